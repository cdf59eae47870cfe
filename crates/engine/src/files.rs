//! Taking an authority's plan file: start, rows, what a snapshot misses, end. Each step is a record of the log, so that the
//! same bytes sent again go on where a killed file stopped. It never says "loaded" of what the log has not taken.

use crate::audit_entry::Call;
use crate::engine::Engine;
use crate::file_import::Import;
use crate::keys;
use crate::rows::{CodecError, decode};
use crate::writer::Verdict;
use kith_domain::caller::Caller;
use kith_domain::change::{Change, FileEnded, FilePositionReset, FileStarted};
use kith_domain::codes::LaCode;
use kith_domain::permit::ActionPermit;
use kith_domain::plan_file::{
    FileCode, FileFault, FileMode, FileOutcome, FileState, FileVerdict, LastFile, OpenFile, PlanFile, RowReport,
};
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::time::Moment;
use kith_store::{StoreError, Table};

/// Where an authority's files stand cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row cannot be decoded.
    #[error("{0}")]
    Codec(String),
}

impl From<CodecError> for FilesError {
    fn from(error: CodecError) -> Self {
        Self::Codec(error.to_string())
    }
}

/// Why a file under way could not be brought to its end.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A change about the file as a whole was refused.
    Refused(Refused),
    /// The state cannot be read.
    Unreadable(FilesError),
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<FilesError> for Trouble {
    fn from(error: FilesError) -> Self {
        Self::Unreadable(error)
    }
}

/// Who sends a file.
#[derive(Debug, Clone, Copy)]
pub struct FileSender<'a> {
    /// What allows it.
    pub permit: &'a ActionPermit,
    /// As whose each group of its rows goes into the audit; none of them does where this is not told.
    pub audited_as: Option<(Call, &'a Caller)>,
}

impl<'a> From<&'a ActionPermit> for FileSender<'a> {
    fn from(permit: &'a ActionPermit) -> Self {
        Self { permit, audited_as: None }
    }
}

const RESEND: &str = "the file could not be stored to its end now: send the same file again";

impl Engine {
    /// Keyed hash of a file's bytes: what tells a repeat from another file of the same number.
    #[must_use]
    pub fn file_hash(&self, bytes: &[u8]) -> [u8; 16] {
        self.keys.body_hash(bytes)
    }

    /// Where an authority's files stand.
    ///
    /// # Errors
    /// [`FilesError`] when the state cannot be read.
    pub fn file_state(&self, authority: LaCode) -> Result<FileState, FilesError> {
        let bytes = self.store.get(Table::File, &keys::files(authority))?;
        Ok(bytes.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default())
    }

    /// Sets the next file number of an authority.
    ///
    /// # Errors
    /// The refusal: nothing was changed.
    pub async fn reset_files(&self, permit: &ActionPermit, at: Moment, reset: FilePositionReset) -> Verdict {
        self.change_one(permit, at, Change::FilePositionReset(reset)).await
    }

    /// Makes one change: on disk and visible when this returns.
    pub async fn change_one(&self, permit: &ActionPermit, at: Moment, change: Change) -> Verdict {
        let verdicts = self.change(permit, at, vec![change]).await;
        verdicts.into_iter().next().unwrap_or(Err(Refused::STORAGE))
    }

    /// The verdict on a file that cannot be read. It changes nothing, its number stays free.
    #[must_use]
    pub fn unreadable_file(&self, authority: LaCode, at: Moment, fault: FileFault) -> FileVerdict {
        let FileFault { code, number, reason, words } = fault;
        let expected = self.file_state(authority).ok().map(|state| state.expected());
        let fault = Some((reason, words));
        FileVerdict {
            at,
            number,
            processed: None,
            code,
            fault,
            rows: Vec::new(),
            snapshot: None,
            repeated: false,
            expected,
            broken_off: false,
        }
    }

    /// Takes a file of an authority, with the hash of its bytes. The verdict is made from what the log holds; after
    /// `ResendLater` some rows may be loaded, and the same bytes go on from there. What became of the rows is in the audit, group by
    /// group, where `by` says as whose; the verdict on the whole is not.
    pub async fn take_file<'a>(
        &self,
        by: impl Into<FileSender<'a>>,
        authority: LaCode,
        at: Moment,
        body_hash: [u8; 16],
        file: &PlanFile,
    ) -> FileVerdict {
        let number = file.number;
        let mut begun = false;
        let fault = match self.run_file(by.into(), authority, at, body_hash, file, &mut begun).await {
            Ok((last, repeated)) => return self.answered(authority, file, last, repeated),
            Err(Trouble::Refused(refused)) if refused.kind != RefusedKind::Unavailable => {
                let (code, reason, words) = (FileCode::NoneLoaded, refused.reason, refused.words.to_owned());
                FileFault { code, number: Some(number), reason, words }
            }
            Err(Trouble::Refused(refused)) => resend(number, refused.reason),
            Err(Trouble::Unreadable(error)) => {
                tracing::error!(%error, "where an authority's files stand cannot be read");
                resend(number, Refused::STORAGE.reason)
            }
        };
        let processed = (fault.code == FileCode::NoneLoaded).then_some(0);
        let broken_off = begun && fault.code == FileCode::ResendLater;
        FileVerdict { processed, broken_off, ..self.unreadable_file(authority, at, fault) }
    }

    async fn run_file(
        &self,
        by: FileSender<'_>,
        authority: LaCode,
        at: Moment,
        body_hash: [u8; 16],
        file: &PlanFile,
        begun: &mut bool,
    ) -> Result<(LastFile, bool), Trouble> {
        let rows = u32::try_from(file.rows.len()).unwrap_or(u32::MAX);
        let (number, mode) = (file.number, file.mode);
        let started = FileStarted { authority, number, body_hash, mode, rows };
        let resumed = self.change_one(by.permit, at, Change::FileStarted(started)).await?.repeated;
        *begun = true;
        let state = self.file_state(authority)?;
        let Some(open) = state.open else {
            // It was answered before: that answer stands.
            return state.last.map(|last| (last, true)).ok_or(Trouble::Refused(Refused::STORAGE));
        };
        let outcome = self.import(by, authority, at, open, resumed, file).await?;
        let ended = FileEnded { authority, number, outcome };
        self.change_one(by.permit, at, Change::FileEnded(ended)).await?;
        let last = self.file_state(authority)?.last;
        last.map(|last| (last, false)).ok_or(Trouble::Refused(Refused::STORAGE))
    }

    async fn import(
        &self,
        by: FileSender<'_>,
        authority: LaCode,
        at: Moment,
        open: OpenFile,
        resumed: bool,
        file: &PlanFile,
    ) -> Result<FileOutcome, Trouble> {
        let mut import = Import::new(self, by, authority, at, open, resumed, file);
        import.take_rows().await?;
        let snapshot = match file.mode {
            FileMode::Changes => None,
            FileMode::Snapshot(missing) => Some(import.reconcile(missing).await?),
        };
        import.settle();
        Ok(FileOutcome { unlogged: import.unlogged, ..FileOutcome::new(&import.verdicts, snapshot) })
    }

    /// The verdict as the log keeps it, beside the lines of the file.
    fn answered(&self, authority: LaCode, file: &PlanFile, last: LastFile, repeated: bool) -> FileVerdict {
        let LastFile { number, body_hash: _, at, outcome } = last;
        let verdicts = outcome.verdicts().into_iter().zip(&file.rows);
        FileVerdict {
            at,
            number: Some(number),
            processed: Some(outcome.rows),
            code: outcome.code,
            fault: None,
            rows: verdicts
                .map(|(verdict, row)| RowReport { line: row.line, verdict, further: row.further.clone() })
                .collect(),
            snapshot: outcome.snapshot,
            repeated,
            expected: self.file_state(authority).ok().map(|state| state.expected()),
            broken_off: false,
        }
    }
}

fn resend(number: u64, reason: &'static str) -> FileFault {
    FileFault { code: FileCode::ResendLater, number: Some(number), reason, words: RESEND.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests;
