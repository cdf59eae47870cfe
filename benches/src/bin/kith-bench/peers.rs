//! PostgreSQL and Redis, from the distribution's packages, with what was changed of their configuration written down. Each runs
//! in a scratch folder or without one, and is stopped with its value.

mod postgres;
mod redis;

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

pub use postgres::Postgres;
pub use redis::Redis;

fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {shown}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {}\n{said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
