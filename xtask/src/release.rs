//! Release builds of our programs: what is deployed, and the only builds whose times say anything.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

/// What cargo says of the package that compiles RocksDB.
const ROCKSDB: &str = "librocksdb-sys";
/// Below the target directory: where cargo leaves a release, and the target directory of what is built beside a compiled RocksDB.
const RELEASE: &str = "release";
const BESIDE: &str = "assure-build";

/// Builds all programs, RocksDB with them; gives their folder.
pub fn everything(workspace: &Workspace) -> Result<PathBuf> {
    println!("Release builds; RocksDB takes about 20 minutes on two cores, the first time only");
    process::run(workspace.cargo().args(["build", "--release", "--locked", "--workspace", "--bins"]))?;
    Ok(workspace.target().join(RELEASE))
}

/// Builds the programs of some packages beside the RocksDB that the dev build has compiled, as optimised as a release would; gives their
/// folder. In a target directory of its own: whoever builds everything would else compile RocksDB anew after it, and the other way round.
pub fn of(workspace: &Workspace, packages: &[&str]) -> Result<PathBuf> {
    let library = compiled_rocksdb(workspace)?;
    let target = workspace.target().join(BESIDE);
    println!("Release builds, with the RocksDB of {}: five to fifteen minutes, the first time only", library.display());
    let mut command = workspace.cargo();
    command.env("ROCKSDB_LIB_DIR", &library).env("ROCKSDB_STATIC", "1");
    command.args(["build", "--release", "--locked", "--bins", "--target-dir"]).arg(&target);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    process::run(&mut command)?;
    Ok(target.join(RELEASE))
}

/// The folder in which the dev build, which this makes where it is not there, has left RocksDB's library.
fn compiled_rocksdb(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = workspace.cargo();
    command.args(["build", "--workspace", "--bins", "--locked", "--message-format", "json-render-diagnostics"]);
    let output = process::output(&mut command)?;
    ensure!(output.status.success(), "the dev build failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let folder = built_in(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("cargo does not say where {ROCKSDB} was compiled"))?;
    let library = folder.join("librocksdb.a");
    ensure!(library.is_file(), "{} is not there: was RocksDB compiled by the dev build?", library.display());
    Ok(folder)
}

/// The folder into which RocksDB's build script wrote, by cargo's messages: it repeats them where nothing had to be built.
fn built_in(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = messages.filter(|message| {
        message["reason"] == "build-script-executed"
            && message["package_id"].as_str().is_some_and(|id| id.contains(&format!("#{ROCKSDB}@")))
    });
    built.find_map(|message| message["out_dir"].as_str().map(|path| Path::new(path).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_rocksdb_is_the_one_that_cargo_tells() {
        let executed = |package: &str| {
            format!(
                r#"{{"reason":"build-script-executed","package_id":"registry+https://x#{package}@1.0.0","out_dir":"/t/{package}/out"}}"#
            )
        };
        let artifact = r##"{"reason":"compiler-artifact","package_id":"registry+https://x#librocksdb-sys@1.0.0"}"##;
        let messages =
            [executed("lz4-sys"), artifact.to_owned(), executed(ROCKSDB), "{\"reason\"".to_owned()].join("\n");
        assert_eq!(built_in(&messages), Some(PathBuf::from("/t/librocksdb-sys/out")));
        assert_eq!(built_in(&executed("lz4-sys")), None);
    }
}
