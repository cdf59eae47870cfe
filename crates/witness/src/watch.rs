//! One round: what is fetched is held against what is remembered. It cosigns what follows, and never again after what does
//! not.

use std::fmt;
use std::future::Future;

use kith_merkle::{
    Checkpoint, CheckpointError, Hash, KeyError, Note, ProofError, VerifierKey, WitnessSigner, verify_consistency,
};

use crate::memory::{Memory, MemoryError};

/// Where heads and proofs come from, and cosignatures go.
pub trait Log {
    /// Why it cannot be asked.
    type Error: fmt::Display;

    /// The newest signed head; `None` when the log says that nothing of it is signed.
    fn checkpoint(&self) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send;
    /// The proof from one tree to another.
    fn consistency(&self, from: u64, to: u64) -> impl Future<Output = Result<Vec<Hash>, Self::Error>> + Send;
    /// Takes a head with a cosignature.
    fn cosigned(&self, note: String) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// How history changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// The log shows fewer leaves than it did.
    #[error("ROLLED BACK: the log had {had} leaves and shows {shows}")]
    RolledBack {
        /// Leaves remembered.
        had: u64,
        /// Leaves shown.
        shows: u64,
    },
    /// The log shows another tree of the same size.
    #[error("FORKED: the log shows another tree of {size} leaves")]
    Forked {
        /// Leaves of both.
        size: u64,
    },
    /// The log's own proof does not lead from what it showed to what it shows.
    #[error("REWRITTEN: the tree of {to} leaves does not begin with the one of {from}: {what}")]
    Rewritten {
        /// Leaves remembered.
        from: u64,
        /// Leaves shown.
        to: u64,
        /// What is wrong with the proof.
        what: ProofError,
    },
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The first head ever seen was taken on trust.
    First(u64),
    /// A head that follows from the one before was cosigned: leaves before and now.
    Followed(u64, u64),
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// History has changed, now or before.
    #[error("history has changed: {0}")]
    Changed(String),
    /// The log could not be asked; it is asked again.
    #[error("ask the log: {0}")]
    Log(String),
    /// The log shows a larger tree and nothing that could be a proof that it begins with the one remembered. Once, that is a
    /// broken connection.
    #[error("be shown that the tree of {to} leaves begins with the one of {from}: {why}")]
    Unproven {
        /// Leaves remembered.
        from: u64,
        /// Leaves shown.
        to: u64,
        /// What came in place of a proof.
        why: String,
    },
    /// A head is remembered, and what the log shows in its place is none that is signed with the log's key, or nothing at all:
    /// whoever replaces the key can sign any history.
    #[error("be shown a head that is signed with the log's key, as the one of {from} leaves was: {why}")]
    NotShown {
        /// Leaves remembered.
        from: u64,
        /// What came in its place.
        why: String,
    },
    /// No head is remembered, and what the log shows is not signed with its key, or is no head.
    #[error("read the log's head: {0}")]
    Head(#[from] CheckpointError),
    /// No head is remembered, and the log has none.
    #[error("read the log's head: nothing is signed")]
    NoHead,
    /// What is shown follows, and is remembered; its cosignature was not taken.
    #[error("have its cosignature taken: {why}")]
    NotTaken {
        /// What the round came to all the same.
        outcome: Outcome,
        /// What came in place of thanks.
        why: String,
    },
    /// The memory cannot be used: nothing may be cosigned.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The witness's own key cannot sign this.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What a round needs.
#[derive(Debug)]
pub struct Round<'a> {
    /// The log's public key.
    pub key: &'a VerifierKey,
    /// The witness's own.
    pub signer: &'a WitnessSigner,
    /// Its memory.
    pub memory: &'a Memory,
    /// The time, in seconds of POSIX time.
    pub time_s: u64,
}

impl Round<'_> {
    /// Fetches, judges, remembers, and only then cosigns. Whether the disk takes the alarm decides nothing of whether it is cried.
    ///
    /// # Errors
    /// Every [`WatchError`].
    pub async fn run<L: Log>(&self, log: &L) -> Result<Outcome, WatchError> {
        // Where it cannot be told whether history had changed, nothing is cosigned; the log is looked at all the same.
        let unread = match self.memory.alarm() {
            Ok(Some(told)) => return Err(WatchError::Changed(told)),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let before = self.memory.read(self.key)?;
        let asked = |error: L::Error| WatchError::Log(error.to_string());
        let shown = log.checkpoint().await.map_err(asked)?.ok_or(WatchError::NoHead);
        let opened = shown.and_then(|shown| Ok(Checkpoint::open(shown.as_bytes(), self.key)?));
        let (now, note) = opened.map_err(|error| match &before {
            None => error,
            Some((old, _)) => WatchError::NotShown { from: old.size, why: error.to_string() },
        })?;
        let outcome = match &before {
            None => Outcome::First(now.size),
            Some((old, old_note)) => {
                if let Some(alarm) = self.judge(log, old, &now).await? {
                    return Err(self.cry(&alarm, &format!("remembered:\n{old_note}\nshown:\n{note}")));
                }
                Outcome::Followed(old.size, now.size)
            }
        };
        if let Some(error) = unread {
            return Err(error.into());
        }
        self.memory.write(&note.to_string())?;
        let cosigned = self.cosign(note)?;
        match log.cosigned(cosigned).await {
            Ok(()) => Ok(outcome),
            Err(error) => Err(WatchError::NotTaken { outcome, why: error.to_string() }),
        }
    }

    async fn judge<L: Log>(&self, log: &L, old: &Checkpoint, now: &Checkpoint) -> Result<Option<Alarm>, WatchError> {
        let (from, to) = (old.size, now.size);
        if to < from {
            return Ok(Some(Alarm::RolledBack { had: from, shows: to }));
        }
        if to == from {
            return Ok((old.root != now.root).then_some(Alarm::Forked { size: to }));
        }
        let unproven = |error: L::Error| WatchError::Unproven { from, to, why: error.to_string() };
        let proof = log.consistency(from, to).await.map_err(unproven)?;
        match verify_consistency(from, to, &old.root, &now.root, &proof) {
            Ok(()) => Ok(None),
            // As many hashes as no proof between these two has: it shows neither that history changed nor that it did not.
            Err(what @ ProofError::Length { .. }) => Err(WatchError::Unproven { from, to, why: what.to_string() }),
            Err(what @ (ProofError::Root | ProofError::Outside { .. } | ProofError::Shrinks { .. })) => {
                Ok(Some(Alarm::Rewritten { from, to, what }))
            }
        }
    }

    /// History has changed. What could not be written down stands in the words, with both heads, for they are nowhere else.
    fn cry(&self, alarm: &Alarm, heads: &str) -> WatchError {
        WatchError::Changed(match self.memory.cry(&format!("{alarm}\n\n{heads}")) {
            Ok(()) => alarm.to_string(),
            Err(error) => format!("{alarm}\nNOT WRITTEN DOWN, so keep these words: failed to {error}\n\n{heads}"),
        })
    }

    /// The head with this witness's statement, and no other's.
    fn cosign(&self, mut note: Note) -> Result<String, WatchError> {
        let own = (self.key.name(), self.key.id());
        note.signatures.retain(|signature| (signature.name.as_str(), signature.key_id) == own);
        note.signatures.push(self.signer.cosign(&note.text, self.time_s)?);
        Ok(note.to_string())
    }
}

#[cfg(test)]
mod tests;
