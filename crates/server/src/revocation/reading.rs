//! Files of revocation lists, read list by list: what is wrong with one file, or one list in it, is told and keeps no other out.
//! Never decides what becomes of what was read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::{self, PemObject};

use super::{List, Lists};
use crate::tls::TlsError;

/// Files of lists in a directory: an authority has one, or a few.
const FILES_MAX: usize = 256;

/// Largest file of lists: a revoked certificate takes some 40 bytes, so this is a million and a half of them.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// Lists in a file: all that a few authorities have. Many more, of whatever names, would take so long to hold against each other that
/// what other files revoke waits.
const LISTS_MAX: usize = 256;

/// What the names of files end in that are read from a directory.
const EXTENSIONS: [&str; 2] = ["pem", "crl"];

/// How far ahead of this machine's clock a list may have been issued: clocks go wrong by less. One that is dated later could never be
/// followed by a list with the right date, for that would be older, and whoever that revokes would go on.
const AHEAD_MAX_S: i64 = 3_600;

/// What each list in a file begins with, at the beginning of a line.
const BEGINNING: &[u8] = b"-----BEGIN ";

/// What files hold: the lists that can be read, and everything that is wrong with the others.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) lists: Lists,
    pub(crate) faults: Vec<TlsError>,
}

impl Reading {
    /// Reads a PEM file, or every `.pem` and `.crl` file of a directory, at a time in seconds since 1970.
    pub(crate) fn of(path: &Path, now_s: i64) -> Self {
        let mut reading = Self::default();
        match files(path) {
            Ok(files) => files.iter().for_each(|file| reading.take_file(file, now_s)),
            Err(fault) => reading.faults.push(fault),
        }
        if reading.lists.0.is_empty() && reading.faults.is_empty() {
            reading.faults.push(wrong(path, NONE));
        }
        reading
    }

    /// The lists, where nothing is wrong with any file.
    ///
    /// # Errors
    /// What is wrong, the first of it.
    pub(crate) fn whole(self) -> Result<Lists, TlsError> {
        let Self { lists, faults } = self;
        faults.into_iter().next().map_or(Ok(lists), Err)
    }

    /// Every list in a file; a file without one is no file of lists.
    fn take_file(&mut self, path: &Path, now_s: i64) {
        let text = match bounded(path) {
            Ok(text) => text,
            Err(fault) => return self.faults.push(fault),
        };
        let file: Arc<Path> = Arc::from(path);
        let before = self.lists.0.len() + self.faults.len();
        let mut sections = sections(&text);
        for section in sections.by_ref().take(LISTS_MAX) {
            for der in CertificateRevocationListDer::pem_slice_iter(section) {
                match der {
                    Ok(der) => self.take(der, &file, now_s),
                    Err(source) => self.faults.push(TlsError::Read { path: path.to_owned(), source }),
                }
            }
        }
        if sections.next().is_some() {
            self.faults.push(wrong(path, &format!("expected at most {LISTS_MAX} lists: the others are not read")));
        }
        if self.lists.0.len() + self.faults.len() == before {
            self.faults.push(wrong(path, NONE));
        }
    }

    fn take(&mut self, der: CertificateRevocationListDer<'static>, file: &Arc<Path>, now_s: i64) {
        match List::new(der, file) {
            Some(list) if list.issued_s > now_s.saturating_add(AHEAD_MAX_S) => {
                let at =
                    jiff::Timestamp::from_second(list.issued_s).map_or_else(|_| String::from("?"), |at| at.to_string());
                let what = "more than an hour ahead of this machine's clock: no later one could take its place";
                self.faults.push(wrong(file, &format!("the list of {} was issued at {at}, {what}", list.name)));
            }
            Some(list) => self.lists.0.push(Arc::new(list)),
            None => self.faults.push(wrong(file, "expected DER of a revocation list")),
        }
    }
}

/// What is wrong with a file, or a directory, that has no list.
const NONE: &str = "expected a revocation list, found none";

/// The bytes of a file of lists.
fn bounded(file: &Path) -> Result<Vec<u8>, TlsError> {
    let read = |error| TlsError::Read { path: file.to_owned(), source: pem::Error::Io(error) };
    let metadata = std::fs::metadata(file).map_err(read)?;
    // A pipe, or a device, may never come to its end, and what other files revoke would wait for it.
    if !metadata.is_file() {
        return Err(wrong(file, "expected a file"));
    }
    let length = metadata.len();
    if length > FILE_MAX_BYTES {
        return Err(wrong(file, &format!("expected at most {FILE_MAX_BYTES} bytes, found {length}")));
    }
    std::fs::read(file).map_err(read)
}

/// A file from each beginning to the next. A list that was cut short would else take the one behind it along.
fn sections(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_beginning = move |at: &usize| {
        text[*at..].starts_with(BEGINNING) && at.checked_sub(1).is_none_or(|before| is_end(text[before]))
    };
    let mut next = (0..text.len()).find(is_beginning);
    std::iter::from_fn(move || {
        let at = next?;
        next = (at + 1..text.len()).find(is_beginning);
        Some(&text[at..next.unwrap_or(text.len())])
    })
}

fn is_end(letter: u8) -> bool {
    matches!(letter, b'\n' | b'\r')
}

/// The files that `path` stands for, in the order of their names.
///
/// # Errors
/// When a directory cannot be listed or holds too many.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, TlsError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listed = |error: std::io::Error| wrong(path, &format!("cannot be listed: {error}"));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(listed)? {
        let file = entry.map_err(listed)?.path();
        if EXTENSIONS.iter().any(|end| file.extension().is_some_and(|found| found == *end)) {
            found.push(file);
        }
    }
    if found.len() > FILES_MAX {
        return Err(wrong(path, &format!("expected at most {FILES_MAX} files, found {}", found.len())));
    }
    found.sort();
    Ok(found)
}

pub(crate) fn wrong(path: &Path, reason: &str) -> TlsError {
    TlsError::Lists { path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
        SerialNumber, date_time_ymd,
    };

    use super::*;

    /// New Year 2021.
    const ISSUED_S: i64 = 1_609_459_200;

    fn list() -> String {
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
        let issuer = Issuer::new(params, KeyPair::generate().unwrap());
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2022, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&issuer).unwrap().pem().unwrap()
    }

    #[test]
    fn a_list_is_read_once_its_date_is_no_more_than_an_hour_ahead() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("lists.pem");
        std::fs::write(&file, list()).unwrap();
        let read = |now_s| Reading::of(&file, now_s).whole().map(|lists| lists.0.len());
        for now_s in [ISSUED_S - AHEAD_MAX_S, ISSUED_S, i64::MAX] {
            assert_eq!(read(now_s).unwrap(), 1, "{now_s}");
        }
        for now_s in [i64::MIN, 0, ISSUED_S - AHEAD_MAX_S - 1] {
            let said = read(now_s).unwrap_err().to_string();
            assert!(said.contains("lists.pem") && said.contains("issued at 2021-01-01T00:00:00Z"), "{said}");
        }
    }

    #[test]
    fn of_a_file_with_any_number_of_lists_no_more_is_read_than_can_be_used() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("lists.pem");
        for (number, faults) in [(LISTS_MAX, LISTS_MAX), (LISTS_MAX + 1, LISTS_MAX + 1), (9_999, LISTS_MAX + 1)] {
            std::fs::write(&file, "-----BEGIN \n".repeat(number)).unwrap();
            let found = Reading::of(&file, ISSUED_S);
            assert_eq!((found.lists.0.len(), found.faults.len()), (0, faults), "{number}");
        }
    }

    #[test]
    fn what_is_no_file_and_may_never_end_is_not_read() {
        let found = Reading::of(Path::new("/dev/zero"), ISSUED_S);
        assert_eq!((found.lists.0.len(), found.faults.len()), (0, 1));
        assert!(found.faults[0].to_string().contains("expected a file"), "{}", found.faults[0]);
    }

    #[test]
    fn a_file_is_read_from_each_beginning_to_the_next() {
        let found = |text: &'static str| sections(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(found(""), Vec::<&[u8]>::new());
        assert_eq!(found("no list"), Vec::<&[u8]>::new());
        assert_eq!(found("words\n-----BEGIN A\nx"), [b"-----BEGIN A\nx"]);
        let both: [&[u8]; 2] = [b"-----BEGIN A-----\nx\r\n", b"-----BEGIN B-----\n-----END B-----\n"];
        assert_eq!(found("-----BEGIN A-----\nx\r\n-----BEGIN B-----\n-----END B-----\n"), both);
        assert_eq!(found("a -----BEGIN A\n"), Vec::<&[u8]>::new(), "within a line it begins nothing");
    }
}
