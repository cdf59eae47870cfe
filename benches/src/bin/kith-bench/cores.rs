//! Where that is asked for, what has a schedule to keep has a processor of its own, and what it asks has the others: where kernel
//! work of the servers is not interrupted, a generator beside it is late by milliseconds, whatever its priority. Both sides of a
//! comparison are kept apart alike. On a machine with two processors it leaves the servers one, which is another comparison.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::servers::Server;

/// Processors, as `taskset` takes them.
#[derive(Debug, PartialEq, Eq)]
pub struct Apart {
    pub generator: String,
    pub servers: String,
    all: String,
}

static APART: OnceLock<Option<Apart>> = OnceLock::new();

/// Keeps them apart from now on, where that can be done: with two processors at least, and `taskset`.
pub fn keep_apart(wanted: bool) {
    APART.get_or_init(|| if wanted { here() } else { None });
}

/// The processors this program may use, apart; none where they are not kept so.
pub fn apart() -> Option<&'static Apart> {
    APART.get()?.as_ref()
}

fn here() -> Option<Apart> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let apart = split(allowed.trim())?;
    taskset(&["-c", &apart.generator, "true"]).ok()?;
    Some(apart)
}

/// The last of a list such as `0-3,8`, and the others.
fn split(list: &str) -> Option<Apart> {
    let mut all = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        all.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    let (generator, servers) = all.split_last().filter(|(_, servers)| !servers.is_empty())?;
    let servers: Vec<String> = servers.iter().map(u32::to_string).collect();
    Some(Apart { generator: generator.to_string(), servers: servers.join(","), all: list.to_owned() })
}

fn taskset(words: &[&str]) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("failed to start taskset")?;
    ensure!(status.success(), "taskset {words:?}: {status}");
    Ok(())
}

/// A server that leaves the generator's processor alone, as long as this value is held.
pub struct Kept(Option<u32>);

impl Kept {
    /// All its threads; nothing is changed where there is nothing to keep apart.
    pub fn of(server: &Server) -> Result<Self> {
        let Some(apart) = apart() else { return Ok(Self(None)) };
        let kept = Self(Some(server.id()));
        taskset(&["-a", "-c", "-p", &apart.servers, &server.id().to_string()])?;
        Ok(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let (Some(id), Some(apart)) = (self.0, apart()) {
            // It may have ended.
            drop(taskset(&["-a", "-c", "-p", &apart.all, &id.to_string()]));
        }
    }
}

/// For the page of results.
pub fn says() -> String {
    match apart() {
        Some(Apart { generator, servers, .. }) => format!(
            "What has a schedule to keep runs on processor {generator}, what it asks and all that runs beside on {servers}; what has none shares all of them."
        ),
        None => String::from("The generator shares the processors with what it asks."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_has_the_last_processor_and_the_servers_have_the_others() {
        let apart = |generator: &str, servers: &str, all: &str| {
            Some(Apart { generator: generator.to_owned(), servers: servers.to_owned(), all: all.to_owned() })
        };
        assert_eq!(split("0-1"), apart("1", "0", "0-1"));
        assert_eq!(split("0-2,8"), apart("8", "0,1,2", "0-2,8"));
        assert_eq!(split("5"), None, "nothing is left for the servers");
        assert_eq!(split(""), None);
        assert_eq!(split("0-x"), None);
    }

    #[test]
    fn a_program_runs_where_it_is_told() {
        let Some(apart) = here() else { return };
        let mut command = crate::programs::child_on(Some(&apart.generator), "sh");
        let printed = command.args(["-c", "grep Cpus_allowed_list /proc/self/status"]).output().unwrap().stdout;
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed.split_whitespace().last(), Some(apart.generator.as_str()), "{printed}");
    }
}
