//! The notes about answers: one small file for each message, synced before and after its answer leaves, so that a killed
//! adapter does not answer twice, or answers with the same bytes. A note holds no content of a message and no identity: the hash by
//! which an answer is known again is keyed, because a verdict may name a child.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kith_api::v1;
use ring::hmac;

use crate::dates::ProtoTimestamp;
use crate::failure::Failure;
use crate::note::{self, Note};
use crate::plan_file::verdict_file;

/// Notes older than this go: MESH keeps a message for 30 days at most.
const KEPT: Duration = Duration::from_secs(40 * 24 * 60 * 60);
/// Ending of a note's name.
const ENDING: &str = "note";
/// Ending of one that is being written.
const BESIDE: &str = "new";
/// The file that one adapter at a time holds.
const LOCK: &str = "lock";

/// The folder of the notes, held by this process alone.
#[derive(Debug)]
pub struct Notes {
    folder: PathBuf,
    /// Under which hashes are kept.
    key: hmac::Key,
    /// Held as long as this lives.
    _lock: File,
}

impl Notes {
    /// Opens the folder, which is made if it is not there, and removes what counts as no note: half of one, and one that an earlier
    /// version wrote, whose hash has no key and would lie there until it is old.
    ///
    /// # Errors
    /// A folder that cannot be used, or that another adapter uses.
    pub fn open(folder: &Path, key: hmac::Key) -> Result<Self, Failure> {
        let shown = folder.display();
        let failed = |error: io::Error| Failure::bad_input(format!("failed to use the state folder {shown}: {error}"));
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {
                let notes = Self { folder: folder.to_owned(), key, _lock: lock };
                notes.remove(BESIDE, |_| true);
                notes.remove(ENDING, |path| fs::read(path).is_ok_and(|bytes| note::read(&bytes).is_none()));
                Ok(notes)
            }
            Err(TryLockError::WouldBlock) => {
                Err(Failure::bad_input(format!("another adapter uses the state folder {shown}")))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// What is noted about a message. A note that cannot be understood counts as none: the message is then answered again.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn read(&self, id: &str) -> io::Result<Option<Note>> {
        match fs::read(self.path(id)) {
            Ok(bytes) => Ok(note::read(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes that an answer may leave from now on, and gives its bytes: those of the answer that may have left before, when
    /// the verdict is still the same. Under another key than that of its note no verdict is known to be the same: the new one
    /// leaves, which the service then says is a repeat.
    ///
    /// # Errors
    /// A note that could not be made durable: nothing may leave.
    pub fn answering(&self, id: &str, verdict: v1::FileVerdict) -> io::Result<Vec<u8>> {
        if let Some(Note::Answering { hmac, created_at, repeated }) = self.read(id)? {
            let created_at = created_at.map(|(seconds, nanos)| ProtoTimestamp { seconds, nanos });
            let before = verdict_file::bytes(&v1::FileVerdict { created_at, repeated, ..verdict.clone() });
            if self.keyed(id, &before) == hmac {
                return Ok(before);
            }
        }
        let bytes = verdict_file::bytes(&verdict);
        let created_at = verdict.created_at.map(|at| (at.seconds, at.nanos));
        let hmac = self.keyed(id, &bytes);
        self.write(id, &Note::Answering { hmac, created_at, repeated: verdict.repeated })?;
        Ok(bytes)
    }

    /// Notes that the answer left.
    ///
    /// # Errors
    /// A note that could not be made durable.
    pub fn answered(&self, id: &str) -> io::Result<()> {
        self.write(id, &Note::Answered)
    }

    /// Removes old notes; what cannot be removed stays until the next time.
    pub fn tidy(&self, now: SystemTime) {
        let old = |path: &Path| {
            let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            changed.and_then(|at| now.duration_since(at).ok()).is_some_and(|age| age > KEPT)
        };
        self.remove(ENDING, old);
    }

    /// Removes files with this ending.
    fn remove(&self, ending: &str, goes: impl Fn(&Path) -> bool) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_some_and(|found| found == ending) && goes(&path) {
                // It is looked at again with the next pass or start.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ENDING}"))
    }

    /// Written beside, synced, put in place, and the place synced: there is the old note or the new one, whole.
    fn write(&self, id: &str, note: &Note) -> io::Result<()> {
        let beside = self.folder.join(format!("{id}.{BESIDE}"));
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(note)?)?;
        file.sync_all()?;
        fs::rename(&beside, self.path(id))?;
        File::open(&self.folder)?.sync_all()
    }

    /// The hash of an answer to this message, under the key.
    fn keyed(&self, id: &str, answer: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        // No id has such a byte in it.
        [id.as_bytes(), &[0], answer].iter().for_each(|part| context.update(part));
        hex::encode(context.sign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder under a key made of this.
    fn opened(folder: &Path, key: &[u8]) -> Result<Notes, Failure> {
        Notes::open(folder, hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn verdict(code: v1::FileCode, seconds: i64, repeated: bool) -> v1::FileVerdict {
        let created_at = Some(ProtoTimestamp { seconds, nanos: 7 });
        v1::FileVerdict { created_at, code: code.into(), number: 3, processed: 1, repeated, ..Default::default() }
    }

    #[test]
    fn an_answer_that_may_have_left_leaves_again_with_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let notes = opened(folder.path(), b"a key").unwrap();
        assert_eq!(notes.read("A").unwrap(), None);
        let first = notes.answering("A", verdict(v1::FileCode::Cpf02, 100, false)).unwrap();
        let again = notes.answering("A", verdict(v1::FileCode::Cpf02, 100, true)).unwrap();
        assert_eq!(first, again, "a repeat that the adapter itself made is not told as one");
        let later = notes.answering("A", verdict(v1::FileCode::Cpf02, 999, true)).unwrap();
        assert_eq!(first, later, "nor another moment");
        let other = notes.answering("A", verdict(v1::FileCode::Cpf04, 100, false)).unwrap();
        assert_ne!(first, other, "another verdict is never hidden behind the first");
        notes.answered("A").unwrap();
        assert_eq!(notes.read("A").unwrap(), Some(Note::Answered));
        assert_eq!(notes.read("B").unwrap(), None);
    }

    #[test]
    fn a_damaged_note_counts_as_none_and_old_notes_go() {
        let folder = tempfile::tempdir().unwrap();
        let notes = opened(folder.path(), b"a key").unwrap();
        notes.answered("A").unwrap();
        fs::write(folder.path().join("B.note"), b"{\"step\":\"answ").unwrap();
        assert_eq!(notes.read("B").unwrap(), None);
        notes.tidy(SystemTime::now());
        assert_eq!(notes.read("A").unwrap(), Some(Note::Answered));
        notes.tidy(SystemTime::now() + KEPT + Duration::from_secs(60));
        assert_eq!(notes.read("A").unwrap(), None);
    }

    #[test]
    fn one_adapter_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = opened(folder.path(), b"a key").unwrap();
        assert!(opened(folder.path(), b"a key").unwrap_err().message.contains("another adapter"));
        drop(first);
        assert!(opened(folder.path(), b"a key").is_ok());
    }

    #[test]
    fn a_note_holds_nothing_of_the_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let notes = opened(folder.path(), b"a key").unwrap();
        let mut verdict = verdict(v1::FileCode::Cpf03, 1, false);
        verdict.rows.push(v1::RowVerdict { words: "secret words".into(), ..Default::default() });
        let answer = notes.answering("A", verdict).unwrap();
        let text = fs::read_to_string(folder.path().join("A.note")).unwrap();
        assert!(text.contains("answering") && !text.contains("secret"), "{text}");
        let found = hex::encode(ring::digest::digest(&ring::digest::SHA256, &answer));
        assert!(!text.contains(&found), "whoever guesses the verdict finds it: {text}");
        let kept = notes.keyed("A", &answer);
        assert!(text.contains(&kept), "{text}");
        assert_ne!(kept, notes.keyed("B", &answer), "two messages with one answer look alike");
        drop(notes);
        let other = opened(folder.path(), b"another key").unwrap();
        assert_ne!(kept, other.keyed("A", &answer), "no key is in it");
    }

    #[test]
    fn after_a_change_of_the_key_an_answer_leaves_as_the_service_gives_it_and_then_with_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let code = v1::FileCode::Cpf02;
        let notes = opened(folder.path(), b"a key").unwrap();
        notes.answering("A", verdict(code, 100, false)).unwrap();
        notes.answered("B").unwrap();
        drop(notes);
        let notes = opened(folder.path(), b"another key").unwrap();
        let anew = notes.answering("A", verdict(code, 200, true)).unwrap();
        assert_eq!(
            anew,
            verdict_file::bytes(&verdict(code, 200, true)),
            "the verdict is told, and that it is a repeat"
        );
        assert_eq!(anew, notes.answering("A", verdict(code, 300, true)).unwrap());
        assert_eq!(notes.read("B").unwrap(), Some(Note::Answered), "what left for certain does not leave again");
    }

    #[test]
    fn hashes_without_a_key_and_halves_of_notes_go_at_the_start_and_what_left_stays_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(
            path("A.note"),
            "{\"step\":\"answering\",\"sha256\":\"00\",\"created_at\":[100,7],\"repeated\":false}",
        )
        .unwrap();
        fs::write(path("A.new"), "{\"step\":\"answering\",\"sha256\":\"00\"").unwrap();
        fs::write(path("B.note"), "{\"step\":\"answered\"}").unwrap();
        let notes = opened(folder.path(), b"a key").unwrap();
        assert!(!path("A.note").exists() && !path("A.new").exists());
        assert_eq!((notes.read("A").unwrap(), notes.read("B").unwrap()), (None, Some(Note::Answered)));
        notes.answering("A", verdict(v1::FileCode::Cpf02, 200, true)).unwrap();
        drop(notes);
        let notes = opened(folder.path(), b"a key").unwrap();
        assert!(notes.read("A").unwrap().is_some(), "a note of this version stays");
    }
}
