//! How many files and connections this process may have open. What a shell or a container starts it with is often a quarter of the
//! connections that the configuration lets in; past that neither a connection nor a file of the audit can be opened. Never relies on
//! the unit file alone.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::mistakes::Mistakes;

/// For what is open beside connections: the state keeps 384 files at most, the audit and its tree a few, each thread some more.
const RESERVE: u64 = 1_024;

/// Raises the limit to what the system allows this process. Where it may not, `check-config` and the start tell.
pub fn raise() {
    let Rlimit { current: _, maximum } = getrlimit(Resource::Nofile);
    // What it is without this is told as any limit that is too low.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Notes that more connections are let in than this process could have open.
pub(crate) fn note_mistakes(config: &Config, mistakes: &mut Mistakes) {
    // None: as many as there is memory for.
    let Some(allowed) = getrlimit(Resource::Nofile).current else { return };
    let wanted = u64::try_from(config.limits.max_connections).unwrap_or(u64::MAX);
    if allowed < wanted.saturating_add(RESERVE) {
        let most = allowed.saturating_sub(RESERVE);
        let what = format!(
            "expected at most {most}: a process that is started here may have {allowed} files and connections open \
             (LimitNOFILE, ulimit -n), of which {RESERVE} are for state and audit"
        );
        mistakes.note("limits.max_connections", what);
    }
}
