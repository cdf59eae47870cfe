//! `kith-witness`: the program. Asks again and again, prints one line for each change, and ends with 3 when history changed, with
//! 4 when the log does not prove that it has not, and with 5 when nothing new comes of it.

mod core_files;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use kith_api::client::{Client, ConnectOptions, Trouble, certificate_identity};
use kith_api::v1;
use kith_merkle::{Hash, VerifierKey, WitnessSigner, new_secret_pem};
use kith_witness::{Log, Memory, Outcome, Round, Silence, Unproven, WatchError};
use zeroize::Zeroizing;

/// Exit code when history has changed.
const CHANGED: u8 = 3;
/// Exit code when the log shows more and does not prove that it follows, or no head that is signed with its key any more.
const UNPROVEN: u8 = 4;
/// Exit code when nothing new has come of the log for too long.
const SILENT: u8 = 5;
/// Exit code when a single round came to nothing.
const FAILED: u8 = 1;
/// What a server says of which nothing is signed.
const NO_CHECKPOINT: &str = "NO_CHECKPOINT";
/// Longest time to connect and to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// Watches the audit of a Kith server from outside.
#[derive(Debug, Parser)]
#[command(
    name = "kith-witness",
    version,
    about = "Watches the audit of a Kith server from outside",
    after_help = "Ends with 3 and HISTORY HAS CHANGED when what the log shows does not follow from what it showed; with 4 and UNPROVEN \
                  when it shows more and does not prove that it follows, or no head that is signed with its key any more; with 5 and SILENT \
                  when nothing new has come of it for too long; with 1 when a single round came to nothing."
)]
struct Arguments {
    /// `host:port` of the server.
    #[arg(long, env = "KITH_SERVER")]
    server: String,
    /// PEM file of the authorities that signed the server's certificate.
    #[arg(long, env = "KITH_CA")]
    ca: PathBuf,
    /// PEM file of the witness's certificate, of role witness.
    #[arg(long, env = "KITH_CERT")]
    cert: PathBuf,
    /// PEM file of its private key.
    #[arg(long, env = "KITH_KEY")]
    key: PathBuf,
    /// The log's public key, as `kithd new-audit-key` printed it.
    #[arg(long)]
    log_key: VerifierKey,
    /// The witness's name.
    #[arg(long)]
    name: String,
    /// PEM file of the key that cosigns; made when it is not there.
    #[arg(long)]
    signing_key: PathBuf,
    /// The witness's own directory, on its own disk.
    #[arg(long)]
    state: PathBuf,
    /// Time between two rounds, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    every_ms: u64,
    /// Rounds in which the log may show a larger tree and not prove that it follows, or no head that is signed with its key once
    /// one is remembered, before this ends with UNPROVEN. Rounds in which it cannot be asked at all are not counted. With --once
    /// it is one.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    unproven_rounds: u32,
    /// Minutes in which the log may not be there, or not grow, before this ends with SILENT. One that goes on grows each minute,
    /// by the cosignatures alone.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    silent_minutes: u64,
    /// One round, and no more.
    #[arg(long)]
    once: bool,
}

/// A server.
struct Served(Client);

impl Log for Served {
    type Error = anyhow::Error;

    async fn checkpoint(&self) -> Result<Option<String>> {
        let request = self.0.request(v1::GetCheckpointRequest {});
        match self.0.audit().get_checkpoint(request).await {
            Ok(shown) => Ok(Some(shown.into_inner().note)),
            Err(status) if Trouble::from(&status).reason.as_deref() == Some(NO_CHECKPOINT) => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>> {
        let request = self.0.request(v1::GetConsistencyProofRequest { from_size: from, to_size: to });
        let hashes = self.0.audit().get_consistency_proof(request).await?.into_inner().hashes;
        let read = |hash: Vec<u8>| Hash::try_from(hash.as_slice()).context("a hash of another length");
        hashes.into_iter().map(read).collect()
    }

    async fn cosigned(&self, note: String) -> Result<()> {
        self.0.audit().add_cosignature(self.0.request(v1::AddCosignatureRequest { note })).await?;
        Ok(())
    }
}

fn signer(arguments: &Arguments) -> Result<WitnessSigner> {
    let path = &arguments.signing_key;
    if !path.exists() {
        let pem = new_secret_pem()?;
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600)
            .open(path)
            .and_then(|mut file| file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    let failed = || format!("failed to read {}", path.display());
    // Wiped whether or not it is text.
    let bytes = std::fs::read(path).map(Zeroizing::new).with_context(failed)?;
    let pem = std::str::from_utf8(&bytes).with_context(failed)?;
    Ok(WitnessSigner::from_pem(&arguments.name, pem)?)
}

async fn round(arguments: &Arguments, signer: &WitnessSigner, memory: &Memory) -> Result<Outcome, WatchError> {
    let connect = ConnectOptions {
        server: arguments.server.clone(),
        ca: arguments.ca.clone(),
        cert: arguments.cert.clone(),
        key: arguments.key.clone(),
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
    };
    let pem = std::fs::read(&arguments.cert).map_err(|error| WatchError::Log(error.to_string()))?;
    let identity = certificate_identity(&pem).map_err(|error| WatchError::Log(error.to_string()))?;
    // It acts by itself: the name of the witness stands for those who run it.
    let caller = v1::Caller {
        user_id: "kith-witness".to_owned(),
        user_name: arguments.name.clone(),
        user_role: "Audit witness".to_owned(),
        role_code: "WITNESS".to_owned(),
        purpose: v1::Purpose::RecordKeeping.into(),
        organisation: identity.organisation,
    };
    let client = Client::connect(connect).await.map_err(|error| WatchError::Log(error.to_string()))?.as_person(&caller);
    let time_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Round { key: &arguments.log_key, signer, memory, time_s }.run(&Served(client)).await
}

/// How it ends.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: u8,
    /// What is cried.
    cry: Option<String>,
}

impl Ended {
    fn crying(code: u8, cry: String) -> Self {
        Self { code, cry: Some(cry) }
    }
}

/// Has a round made again and again, or once, until it ends; `elapsed` is how long that has gone on.
async fn follow(
    arguments: &Arguments,
    mut make: impl AsyncFnMut() -> Result<Outcome, WatchError>,
    elapsed: impl Fn() -> Duration,
) -> Ended {
    let mut unproven = Unproven::new(if arguments.once { 1 } else { arguments.unproven_rounds });
    let minutes = arguments.silent_minutes;
    let mut silence = Silence::new(Duration::from_secs(60 * minutes));
    let mut said = "";
    loop {
        let outcome = make().await;
        let (is_unproven, is_silent) = (unproven.take(&outcome), silence.take(&outcome, elapsed()));
        let (kind, line, code) = match outcome {
            Ok(Outcome::First(size)) => ("first", format!("first head, of {size} leaves, taken on trust"), 0),
            Ok(Outcome::Followed(had, has)) => ("follows", format!("{has} leaves follow from {had}"), 0),
            Err(WatchError::Changed(what)) => return Ended::crying(CHANGED, format!("HISTORY HAS CHANGED. {what}")),
            Err(error) if is_unproven => {
                let cry = format!("UNPROVEN. It cannot be told whether history has changed: failed to {error}");
                return Ended::crying(UNPROVEN, cry);
            }
            Err(error) => ("fails", format!("failed to {error}"), FAILED),
        };
        if is_silent {
            let cry = format!(
                "SILENT. For {minutes} minutes nothing new has come of the log, so it cannot be told whether history has changed: {line}"
            );
            return Ended::crying(SILENT, cry);
        }
        // One line for each change: it follows every second of every day.
        if kind != said {
            println!("{line}");
            said = kind;
        }
        if arguments.once {
            return Ended { code, cry: None };
        }
        tokio::time::sleep(Duration::from_millis(arguments.every_ms)).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    core_files::forbid().context("failed to forbid core files")?;
    let arguments = Arguments::parse();
    let (signer, memory) = (signer(&arguments)?, Memory::new(&arguments.state));
    println!("witness {}", signer.key());
    let began = Instant::now();
    let make = async || round(&arguments, &signer, &memory).await;
    let ended = follow(&arguments, make, || began.elapsed()).await;
    if let Some(cry) = ended.cry {
        eprintln!("{cry}");
    }
    Ok(ExitCode::from(ended.code))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kith_merkle::LogSigner;

    use super::*;

    const UNIT: &str = include_str!("../../../deploy/kith-witness.service");

    fn set(key: &str) -> &'static str {
        let value = UNIT.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("{key} is not set"))
    }

    #[test]
    fn the_unit_stays_failed_after_whatever_a_person_must_look_at() {
        let codes = set("RestartPreventExitStatus").split(' ').map(|code| code.parse().unwrap());
        // With 2 the command line is at fault.
        assert_eq!(codes.collect::<Vec<u8>>(), [2, CHANGED, UNPROVEN, SILENT]);
    }

    /// Rounds of one start may take as long as the log likes, so no count of starts can stand for those codes: it is for a witness
    /// that cannot even begin.
    #[test]
    fn the_unit_starts_anything_else_again_and_a_witness_that_cannot_begin_so_often() {
        assert_eq!(set("Restart"), "on-failure");
        let number = |key: &str| set(key).trim_end_matches('s').parse::<u64>().unwrap();
        assert!(number("StartLimitBurst") * number("RestartSec") < number("StartLimitIntervalSec"));
    }

    /// A command line that says this beside what it must say.
    fn arguments(more: &[&str]) -> Arguments {
        let key = LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap().key().to_string();
        let least = [
            ["--server", "localhost:7443"],
            ["--ca", "ca.pem"],
            ["--cert", "w.pem"],
            ["--key", "w.key"],
            ["--log-key", key.as_str()],
            ["--name", "witness.test/one"],
            ["--signing-key", "signing.key"],
            ["--state", "w"],
            ["--every-ms", "0"],
        ];
        let words = ["kith-witness"].into_iter().chain(least.into_iter().flatten()).chain(more.iter().copied());
        Arguments::try_parse_from(words).unwrap()
    }

    /// How it ends and after how many rounds, by a clock that goes on a minute with each of them.
    fn followed(more: &[&str], outcome: impl Fn(u64) -> Result<Outcome, WatchError>) -> (Ended, u64) {
        let rounds = Cell::new(0);
        let make = async || {
            rounds.set(rounds.get() + 1);
            assert!(rounds.get() < 100, "it goes on for ever");
            outcome(rounds.get())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let elapsed = || Duration::from_secs(60 * rounds.get());
        let ended = runtime.block_on(follow(&arguments(more), make, elapsed));
        (ended, rounds.get())
    }

    fn unproven() -> Result<Outcome, WatchError> {
        Err(WatchError::Unproven { from: 6, to: 7, why: "unavailable".to_owned() })
    }

    /// What a round comes to.
    type Made = fn() -> Result<Outcome, WatchError>;

    /// In the first round and in the third something new comes, and then nothing does.
    #[test]
    fn a_log_of_which_nothing_new_comes_ends_it_with_a_code_of_its_own_after_as_many_minutes_as_it_is_told() {
        let nothing_new: [(Made, &str); 4] = [
            (|| Ok(Outcome::Followed(6, 6)), "6 leaves follow from 6"),
            (|| Err(WatchError::Log("not there".to_owned())), "failed to ask the log: not there"),
            (|| Err(WatchError::NoHead), "failed to read the log's head: nothing is signed"),
            (unproven, "failed to be shown that the tree of 7 leaves begins with the one of 6: unavailable"),
        ];
        let told: [(&[&str], u64); 3] = [(&[], 30), (&["--silent-minutes", "1"], 1), (&["--silent-minutes", "45"], 45)];
        for (more, minutes) in told {
            for (nothing, line) in nothing_new {
                let (ended, rounds) = followed(more, |round| match round {
                    1 => Ok(Outcome::First(5)),
                    3 => Ok(Outcome::Followed(5, 6)),
                    _ => nothing(),
                });
                // With one minute it has ended before the third.
                assert_eq!((ended.code, rounds), (SILENT, if minutes == 1 { 2 } else { 3 + minutes }), "{line}");
                let words = format!("SILENT. For {minutes} minutes nothing new has come of the log");
                let cry = ended.cry.unwrap();
                assert!(cry.starts_with(&words) && cry.ends_with(line), "{cry}");
            }
        }
    }

    /// Both say more than that nothing new comes.
    #[test]
    fn a_changed_history_and_one_that_is_not_proven_are_cried_as_that_by_a_log_that_is_silent_too() {
        let cases: [(Made, u8, &str); 2] = [
            (unproven, UNPROVEN, "UNPROVEN. It cannot be told whether history has changed"),
            (|| Err(WatchError::Changed("ROLLED BACK".to_owned())), CHANGED, "HISTORY HAS CHANGED. ROLLED BACK"),
        ];
        for (made, code, words) in cases {
            let more = ["--silent-minutes", "1", "--unproven-rounds", "1"];
            let (ended, rounds) = followed(&more, |round| if round == 1 { Ok(Outcome::First(5)) } else { made() });
            assert_eq!((ended.code, rounds), (code, 2), "{words}");
            assert!(ended.cry.unwrap().starts_with(words), "{words}");
        }
    }

    #[test]
    fn a_single_round_ends_with_what_it_came_to() {
        let cases: [(Made, u8); 2] = [(|| Ok(Outcome::Followed(5, 5)), 0), (|| Err(WatchError::NoHead), FAILED)];
        for (made, code) in cases {
            assert_eq!(followed(&["--once"], |_| made()), (Ended { code, cry: None }, 1));
        }
    }
}
