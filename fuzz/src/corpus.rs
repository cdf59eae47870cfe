//! The corpora: a folder for each target, a file for each input. Never written by a test.

use std::io;
use std::path::{Path, PathBuf};

/// Where they lie in the repository.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Every input of a target, in the order of their names.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn read(folder: &Path, target: &str) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder.join(target))? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), std::fs::read(path)?))).collect()
}

/// Writes an input under the name that its bytes give it; says which.
///
/// # Errors
/// It cannot be written.
pub fn write(folder: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    // FNV-1a: a name, and no more.
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let path = folder.join(format!("{hash:016x}"));
    std::fs::write(&path, bytes)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::TARGETS;

    #[test]
    fn every_input_of_every_corpus_is_taken_without_a_finding() {
        let scratch = tempfile::tempdir().unwrap();
        for target in TARGETS {
            let inputs = read(&folder(), target.name).unwrap_or_else(|error| panic!("{}: {error}", target.name));
            assert!(!inputs.is_empty(), "{} has no corpus", target.name);
            for (path, bytes) in inputs {
                let said = std::panic::catch_unwind(|| (target.take)(&bytes, scratch.path()));
                assert!(said.is_ok_and(|said| said.is_ok()), "a finding: {}", path.display());
            }
        }
    }

    #[test]
    fn every_folder_is_of_a_target() {
        for entry in std::fs::read_dir(folder()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(crate::targets::named(&name).is_some(), "{name}");
        }
    }
}
