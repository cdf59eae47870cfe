//! `kithd verify`: what a stopped server left on disk, held against itself, the log's key and what others kept. It calls nothing
//! sound for which no signature stands, and needs no private key.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use kith_engine::{Keys, TreeCheck, VerifyReport};
use kith_merkle::VerifierKey;

use crate::application::{Pinned, Verdict};
use crate::audit_key;
use crate::config::Config;

type Failure = Box<dyn Error + Send + Sync>;

/// Verifies everything, and writes what is found and what that comes to.
///
/// # Errors
/// When the data cannot be examined at all.
pub(crate) fn run(
    config: &Config,
    pinned: Pinned<'_>,
    keys: &Arc<Keys>,
    out: &mut dyn Write,
) -> Result<Verdict, Failure> {
    let audit = &config.audit;
    let configured = audit_key::load(config).map(|signer| signer.map(|signer| signer.key().clone()));
    // With a key that is named and cannot be read a start signs as little as with none.
    let signs = matches!(configured, Ok(Some(_)));
    let (key, is_another) = match pinned.log_key {
        Some(given) => (Some(given.clone()), is_another(given, &configured, out)?),
        None => (configured.map_err(|what| format!("read the audit's key: {what}"))?, false),
    };
    let witnesses = audit.witnesses.iter().map(|key| key.0.clone()).collect();
    let tree = TreeCheck { dir: &audit.tree, key, witnesses, kept: pinned.kept.to_vec() };
    let tree = (!audit.tree.as_os_str().is_empty()).then_some(&tree);
    let sinks = [audit.primary.as_path(), audit.spill.as_path()];
    let found = match kith_engine::verify(&config.storage.data_dir, sinks, tree, keys) {
        Ok(report) => {
            write!(out, "{report}")?;
            verdict(&report, signs)
        }
        Err(error) if error.is_damage() => {
            writeln!(out, "FAULT failed to {error}")?;
            Verdict::Damaged
        }
        Err(error) => return Err(error.into()),
    };
    let verdict = if is_another && found != Verdict::Damaged { Verdict::KeyChanged } else { found };
    writeln!(out, "{}", word(verdict))?;
    Ok(verdict)
}

/// Whether the configuration signs with another key than the one that was given; says so. Whoever verifies needs no private key: that
/// it is not there to be compared is told, and no fault.
fn is_another(
    given: &VerifierKey,
    configured: &Result<Option<VerifierKey>, String>,
    out: &mut dyn Write,
) -> io::Result<bool> {
    match configured {
        Ok(Some(configured)) if configured == given => {}
        Ok(Some(configured)) => {
            writeln!(out, "FAULT the configuration signs with key {configured}, and {given} was given")?;
            return Ok(true);
        }
        Ok(None) => writeln!(out, "audit tree: the configuration names no signing key, so nothing new is signed")?,
        Err(what) => writeln!(out, "audit tree: the signing key was not compared with the one that was given: {what}")?,
    }
    Ok(false)
}

/// What a report comes to. Where nothing will be signed, nothing says who wrote what stands after the newest head: a moment's entries
/// after a power cut, or all that was written since somebody took the key away.
fn verdict(report: &VerifyReport, signs: bool) -> Verdict {
    if report.is_sound() {
        return if report.is_signed(signs) { Verdict::Sound } else { Verdict::NotSigned };
    }
    if report.only_the_key_changed() { Verdict::KeyChanged } else { Verdict::Damaged }
}

/// The last line.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Sound => "sound",
        Verdict::Damaged => "DAMAGED",
        Verdict::KeyChanged => {
            "KEY CHANGED: if nobody decided on another key, somebody put it there, and may have replaced every head"
        }
        Verdict::NotSigned => {
            "NOT SIGNED: no signature stands for the audit or for its end, so whoever has the disks and the storage key could have \
             written that"
        }
    }
}

#[cfg(test)]
mod tests {
    use kith_merkle::LogSigner;

    use super::*;

    #[test]
    fn a_key_that_is_not_the_configurations_is_a_fault_and_one_that_cannot_be_compared_is_told() {
        let key = |seed: u8| LogSigner::from_seed("kith.test/audit", &[seed; 32]).unwrap().key().clone();
        let said = |configured| {
            let mut out: Vec<u8> = Vec::new();
            let is_another = is_another(&key(1), &configured, &mut out).unwrap();
            (is_another, String::from_utf8(out).unwrap())
        };
        assert_eq!(said(Ok(Some(key(1)))), (false, String::new()));
        let (another, fault) = said(Ok(Some(key(2))));
        assert!(another && fault.starts_with("FAULT the configuration signs with key "), "{fault}");
        assert!(fault.contains(&key(1).to_string()) && fault.contains(&key(2).to_string()), "{fault}");
        for (configured, words) in [(Ok(None), "names no signing key"), (Err("gone".to_owned()), "not compared")] {
            let (another, told) = said(configured);
            assert!(!another && told.contains(words) && !told.contains("FAULT"), "{told}");
        }
    }

    /// Whatever is not sound does not say so, in any part of its word.
    #[test]
    fn every_verdict_has_a_word_of_its_own() {
        assert_eq!(word(Verdict::Sound), "sound");
        for (verdict, begins) in [
            (Verdict::Damaged, "DAMAGED"),
            (Verdict::KeyChanged, "KEY CHANGED: "),
            (Verdict::NotSigned, "NOT SIGNED: "),
        ] {
            assert!(word(verdict).starts_with(begins) && !word(verdict).contains("sound"), "{verdict:?}");
        }
    }
}
