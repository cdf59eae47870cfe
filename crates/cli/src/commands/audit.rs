//! Proofs about the audit, checked here: what the service says is believed only as far as the given keys sign it.

use kith_api::v1;
use kith_merkle::{Checkpoint, Hash, VerifierKey, leaf_hash, verify_inclusion};
use serde_json::json;

use super::{Done, Text};
use crate::audit_args::ProveArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::settings::Settings;

/// Why the service refuses a proof that there will never be.
const NEVER_SIGNED: &str = "NEVER_SIGNED";

/// What was proven.
#[derive(Debug, PartialEq, Eq)]
struct Proven {
    /// The entry, by its own reference.
    entry: String,
    leaf_index: u64,
    size: u64,
    /// Witnesses that signed the head, and when, in seconds of POSIX time.
    witnessed: Vec<(String, u64)>,
    /// Set when the entry itself was removed: then this leaf alone is proven, and not what it was made of.
    removed_leaf: Option<Hash>,
}

/// Asks for the proof of an entry and checks it.
///
/// # Errors
/// No connection, or a refusal.
pub async fn prove(settings: &Settings, args: &ProveArgs) -> Result<Done, Failure> {
    let client = settings.connect_as_person().await?;
    let request = v1::GetInclusionProofRequest { audit_reference: args.reference.clone() };
    let response = client.audit().get_inclusion_proof(client.request(request)).await;
    let response = match response {
        Ok(response) => response.into_inner(),
        Err(status) => return unproven(&args.reference, Failure::status(&status, Sent::Question)),
    };
    Ok(match check(&response, &args.reference, &args.log_key, &args.witness_keys) {
        Ok(Proven { entry, leaf_index, size, witnessed: _, removed_leaf: Some(leaf) }) => removed(
            &response,
            args.log_key.name(),
            (args.reference.as_str(), entry.as_str()),
            (leaf_index, size, &leaf),
        ),
        Ok(found) => proven(&found, &args.reference, args.log_key.name()),
        Err(why) => not_proven(&args.reference, &why),
    })
}

/// What is said of an entry that is proven.
fn proven(found: &Proven, reference: &str, log: &str) -> Done {
    let Proven { entry, leaf_index, size, witnessed, removed_leaf: _ } = found;
    // What is not proven comes first: whoever reads one line alone reads that.
    let mut text = unbound(reference);
    text.push_str(&format!("PROVEN: entry {entry} is leaf {leaf_index} of {size} under a head signed by {log}\n"));
    for (name, time_s) in witnessed {
        text.push_str(&format!("witnessed by {name} at {time_s} (seconds since 1970)\n"));
    }
    // No program that looks at the code alone is to take this for a proof of what the reference says.
    let exit = if is_numbered(reference) { Exit::Done } else { Exit::ReferenceNotProven };
    let witnesses: Vec<_> = witnessed.iter().map(|(name, time)| json!({"name": name, "at": time})).collect();
    let json = json!({
        "proven": true, "reference_proven": is_numbered(reference), "entry": entry, "leaf_index": leaf_index,
        "size": size, "witnesses": witnesses, "exit_code": exit.code(),
    });
    Done { text: Text::Plain(text), json, exit }
}

/// What no proof shows of a reference that does not tell its entry: that it leads there. Nothing for one that does.
fn unbound(reference: &str) -> String {
    if is_numbered(reference) {
        return String::new();
    }
    format!(
        "NOT PROVEN: that reference {reference} leads to this entry. The service alone says so, nothing binds the proof to it, \
         and a service that lies can have any other entry proven\n"
    )
}

/// What is said of an entry of which there is no proof, or none that holds.
fn not_proven(reference: &str, why: &str) -> Done {
    let text = format!("NOT PROVEN: entry {reference}: {why}\n");
    let json = json!({"proven": false, "why": why, "exit_code": Exit::NotProven.code()});
    Done { text: Text::Plain(text), json, exit: Exit::NotProven }
}

/// A refusal of a proof: where the service says that there will never be one, that is the answer, and no question is left to ask.
fn unproven(reference: &str, failure: Failure) -> Result<Done, Failure> {
    if failure.reason.as_deref() == Some(NEVER_SIGNED) {
        Ok(not_proven(reference, &failure.message))
    } else {
        Err(failure)
    }
}

/// What is said of an entry that was removed: nothing is proven of what it was, and its leaf is for whoever kept it.
fn removed(
    response: &v1::GetInclusionProofResponse,
    log: &str,
    (reference, entry): (&str, &str),
    (leaf_index, size, leaf): (u64, u64, &Hash),
) -> Done {
    let leaf = hex::encode(leaf);
    let mut text = format!(
        "NOT PROVEN: entry {entry} itself was removed under retention, as the service says. Leaf {leaf_index} of {size} under a \
         head signed by {log} is {leaf}: whoever kept the entry as it stood can show by it what it was\n"
    );
    text.push_str(&unbound(reference));
    let hashes: Vec<String> = response.hashes.iter().map(hex::encode).collect();
    let json = json!({
        "proven": false, "why": "the entry itself was removed under retention",
        "reference_proven": is_numbered(reference), "entry": entry, "leaf": leaf, "leaf_index": leaf_index, "size": size,
        "hashes": hashes, "note": response.note, "exit_code": Exit::NotProven.code(),
    });
    Done { text: Text::Plain(text), json, exit: Exit::NotProven }
}

/// Whether a reference tells which entry it is. That of an answer about a shielded child does not: it has no dash.
fn is_numbered(reference: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    reference.split_once('-').is_some_and(|(journal, sequence)| digits(journal) && digits(sequence))
}

/// Checks a proof; says why it proves nothing.
fn check(
    response: &v1::GetInclusionProofResponse,
    reference: &str,
    log_key: &VerifierKey,
    witness_keys: &[VerifierKey],
) -> Result<Proven, String> {
    let v1::GetInclusionProofResponse { note, leaf_index, hashes, journal, sequence, sealed, removed_leaf } = response;
    let entry = format!("{journal}-{sequence:012}");
    if is_numbered(reference) && entry != reference {
        return Err("the proof is of another entry".to_owned());
    }
    let journal = u16::try_from(*journal).map_err(|_| "the proof is of another entry".to_owned())?;
    let (head, note) = Checkpoint::open(note.as_bytes(), log_key).map_err(|error| error.to_string())?;
    let read = |hash: &Vec<u8>| Hash::try_from(hash.as_slice()).map_err(|_| "a hash of another length".to_owned());
    let removed_leaf = (!removed_leaf.is_empty()).then(|| read(removed_leaf)).transpose()?;
    if removed_leaf.is_some() && !sealed.is_empty() {
        return Err("an entry that is given and is said to be removed".to_owned());
    }
    let of_sealed = || leaf_hash(&[&journal.to_be_bytes(), &sequence.to_be_bytes(), sealed]);
    let leaf = removed_leaf.unwrap_or_else(of_sealed);
    let proof: Vec<Hash> = hashes.iter().map(read).collect::<Result<_, _>>()?;
    verify_inclusion(*leaf_index, head.size, &leaf, &proof, &head.root).map_err(|error| error.to_string())?;
    let mut witnessed = Vec::new();
    for key in witness_keys {
        let time_s =
            key.verify_cosignature(&note).map_err(|error| format!("NOT COSIGNED by {}: {error}", key.name()))?;
        witnessed.push((key.name().to_owned(), time_s));
    }
    Ok(Proven { entry, leaf_index: *leaf_index, size: head.size, witnessed, removed_leaf })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_merkle::{LogSigner, WitnessSigner, node_hash};

    const REFERENCE: &str = "1-000000000007";

    fn witness() -> WitnessSigner {
        WitnessSigner::from_seed("witness.test/one", &[6; 32]).unwrap()
    }

    fn log() -> LogSigner {
        LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap()
    }

    /// The proof of entry 7 as the second of two leaves.
    fn response() -> v1::GetInclusionProofResponse {
        let leaf = leaf_hash(&[&[0, 1], &7_u64.to_be_bytes(), b"sealed"]);
        let other = leaf_hash(&[b"other"]);
        let head = Checkpoint { origin: "kith.test/audit".into(), size: 2, root: node_hash(&other, &leaf) };
        let mut note = head.sign(&log()).unwrap();
        note.signatures.push(witness().cosign(&note.text, 1_700_000_000).unwrap());
        v1::GetInclusionProofResponse {
            note: note.to_string(),
            leaf_index: 1,
            hashes: vec![other.to_vec()],
            journal: 1,
            sequence: 7,
            sealed: b"sealed".to_vec(),
            removed_leaf: Vec::new(),
        }
    }

    fn found(response: &v1::GetInclusionProofResponse) -> Result<Proven, String> {
        check(response, REFERENCE, log().key(), &[witness().key().clone()])
    }

    #[test]
    fn a_right_proof_is_proven_with_its_witnesses() {
        let witnessed = vec![("witness.test/one".to_owned(), 1_700_000_000)];
        let proven = Proven { entry: REFERENCE.to_owned(), leaf_index: 1, size: 2, witnessed, removed_leaf: None };
        assert_eq!(found(&response()), Ok(proven));
    }

    /// The leaf alone says nothing of what the entry was.
    #[test]
    fn of_an_entry_that_was_removed_its_leaf_alone_is_proven() {
        let leaf = leaf_hash(&[&[0, 1], &7_u64.to_be_bytes(), b"sealed"]);
        let removed = v1::GetInclusionProofResponse { sealed: Vec::new(), removed_leaf: leaf.to_vec(), ..response() };
        assert_eq!(found(&removed).unwrap().removed_leaf, Some(leaf));
        let said = super::removed(&removed, "kith.test/audit", (REFERENCE, REFERENCE), (1, 2, &leaf));
        let Text::Plain(text) = &said.text else { panic!("{}", said.json) };
        assert!(text.starts_with("NOT PROVEN: entry 1-000000000007 itself was removed under retention"), "{text}");
        assert!(said.exit == Exit::NotProven && said.json["proven"] == false && text.contains(&hex::encode(leaf)));
        for wrong in [
            v1::GetInclusionProofResponse { sealed: b"sealed".to_vec(), ..removed.clone() },
            v1::GetInclusionProofResponse { removed_leaf: vec![0; 32], ..removed.clone() },
            v1::GetInclusionProofResponse { removed_leaf: vec![0; 31], ..removed.clone() },
            v1::GetInclusionProofResponse { removed_leaf: Vec::new(), ..removed.clone() },
        ] {
            assert!(found(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_reference_that_tells_no_entry_is_proven_with_the_entry_that_the_service_names() {
        let proven = check(&response(), "7KQM2XBD9F4TH3", log().key(), &[]).unwrap();
        assert_eq!(proven.entry, REFERENCE);
        let wrong = v1::GetInclusionProofResponse { sequence: 8, ..response() };
        assert!(check(&wrong, "7KQM2XBD9F4TH3", log().key(), &[]).is_err(), "its leaf is another");
        assert!(is_numbered(REFERENCE) && !is_numbered("7KQM-2XBD-9F4T-H3") && !is_numbered("12345678901234"));
        assert_eq!(
            check(&response(), "1-000000000008", log().key(), &[]).unwrap_err(),
            "the proof is of another entry"
        );
    }

    /// A service that lies answers with a right proof of another entry. It holds, and says nothing of the reference.
    #[test]
    fn of_a_reference_that_tells_no_entry_it_is_said_that_nothing_binds_the_proof_to_it() {
        let found = found(&response()).unwrap();
        let removed_leaf = leaf_hash(&[b"sealed"]);
        let said = |reference: &str| {
            let removed = super::removed(&response(), "kith.test/audit", (reference, REFERENCE), (1, 2, &removed_leaf));
            [proven(&found, reference, "kith.test/audit"), removed].map(|done| match done.text {
                Text::Plain(text) => {
                    assert_eq!(done.json["exit_code"], done.exit.code());
                    (text, done.json["reference_proven"] == true, done.exit)
                }
                Text::Page(_) => panic!("plain text"),
            })
        };
        let exits = |reference: &str| said(reference).map(|(_, _, exit)| exit);
        assert_eq!(exits("7KQM2XBD9F4TH3"), [Exit::ReferenceNotProven, Exit::NotProven]);
        assert_eq!(exits(REFERENCE), [Exit::Done, Exit::NotProven]);
        for (text, bound, _) in said("7KQM2XBD9F4TH3") {
            assert!(
                text.contains("NOT PROVEN: that reference 7KQM2XBD9F4TH3 leads to this entry.") && !bound,
                "{text}"
            );
            assert!(text.starts_with("NOT PROVEN: "), "whoever reads one line alone: {text}");
            assert!(text.contains("a service that lies can have any other entry proven"), "{text}");
        }
        for (text, bound, _) in said(REFERENCE) {
            assert!(!text.contains("that reference") && bound, "{text}");
        }
    }

    #[test]
    fn whatever_is_changed_proves_nothing() {
        let right = response();
        for wrong in [
            v1::GetInclusionProofResponse { sealed: b"other".to_vec(), ..right.clone() },
            v1::GetInclusionProofResponse { sequence: 8, ..right.clone() },
            v1::GetInclusionProofResponse { journal: 2, ..right.clone() },
            v1::GetInclusionProofResponse { journal: 65_537, ..right.clone() },
            v1::GetInclusionProofResponse { leaf_index: 0, ..right.clone() },
            v1::GetInclusionProofResponse { leaf_index: 2, ..right.clone() },
            v1::GetInclusionProofResponse { hashes: vec![], ..right.clone() },
            v1::GetInclusionProofResponse { hashes: vec![vec![0; 31]], ..right.clone() },
            v1::GetInclusionProofResponse { hashes: vec![vec![0; 32]], ..right.clone() },
            v1::GetInclusionProofResponse { note: right.note.replace("\n2\n", "\n3\n"), ..right.clone() },
            v1::GetInclusionProofResponse { note: String::new(), ..right.clone() },
        ] {
            assert!(found(&wrong).is_err(), "{wrong:?}");
        }
        let stranger = WitnessSigner::from_seed("witness.test/two", &[7; 32]).unwrap();
        let told = check(&right, REFERENCE, log().key(), &[stranger.key().clone()]).unwrap_err();
        assert!(told.starts_with("NOT COSIGNED by witness.test/two: "), "{told}");
        let other = LogSigner::from_seed("kith.test/audit", &[8; 32]).unwrap();
        assert!(check(&right, REFERENCE, other.key(), &[]).is_err());
    }

    #[test]
    fn that_there_will_never_be_a_proof_is_not_proven_and_every_other_refusal_is_none() {
        let refused = |reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            unproven(REFERENCE, Failure { reason, ..Failure::bad_input("signed without it") })
        };
        let told = refused(Some("NEVER_SIGNED")).unwrap();
        let Text::Plain(text) = &told.text else { panic!("plain text") };
        assert_eq!((told.exit, &told.json["proven"]), (Exit::NotProven, &json!(false)));
        assert!(text.starts_with("NOT PROVEN: entry 1-000000000007: ") && text.contains("signed without it"), "{text}");
        for reason in [None, Some("NOT_YET_SIGNED"), Some("AUDIT_REMOVED")] {
            let Err(failure) = refused(reason) else { panic!("{reason:?} is no answer") };
            assert_eq!(failure.reason.as_deref(), reason);
        }
    }
}
