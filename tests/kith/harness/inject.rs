//! System calls of a running server that fail or wait, by strace: nothing of the server knows of it. Where tracing is not
//! allowed, says so loudly and gives none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::process::Server;
use super::wait::until;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Write,
    Sync,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Comes back with an input or output error, undone.
    Fails,
    /// Begins so many milliseconds late.
    Waits(u32),
}

/// Which calls of each thread, counted from the moment of attaching; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// So many from this one on.
    These { first: u32, times: u32 },
    /// This one and all after it.
    From(u32),
}

impl Which {
    /// As strace wants it.
    pub fn when(self) -> String {
        match self {
            Self::These { first, times } => format!("{first}..{}", first + times - 1),
            Self::From(first) => format!("{first}+"),
        }
    }
}

/// How long an end that hangs is held up: longer than anybody waits for it.
const HELD_UP_US: u64 = 600_000_000;

/// As long as it lives, the chosen calls are struck.
pub struct Injection {
    strace: Child,
    seen: PathBuf,
    process: u32,
}

impl Injection {
    /// Strikes these calls of each thread on these files, those not yet made included.
    pub fn attach(
        test: &str,
        server: &Server,
        call: Call,
        (how, which): (How, Which),
        files: &[PathBuf],
    ) -> Option<Self> {
        let name = match call {
            Call::Write => "pwrite64",
            Call::Sync => "fdatasync",
        };
        let what = match how {
            How::Fails => "error=EIO".to_owned(),
            How::Waits(ms) => format!("delay_enter={}", u64::from(ms) * 1_000),
        };
        let when = which.when();
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &server.process_id().to_string()]);
        command.args(["-e", &format!("trace={name}"), "-e", &format!("inject={name}:{what}:when={when}")]);
        for file in files {
            command.arg("-P").arg(file);
        }
        Self::begin(test, server, command, None)
    }

    /// The next sync that the thread of this name makes fails; where it ends the process for that, the end hangs.
    pub fn hung_exit(test: &str, server: &Server, name: &str) -> Option<Self> {
        let thread = thread(server.process_id(), name);
        let mut command = Command::new("strace");
        command.args(["-p", &thread, "-e", "trace=fdatasync,exit_group", "-e", "inject=fdatasync:error=EIO:when=1"]);
        command.args(["-e", &format!("inject=exit_group:delay_enter={HELD_UP_US}")]);
        Self::begin(test, server, command, Some(&thread))
    }

    /// Has strace begin, and waits until it traces every thread, or the one.
    fn begin(test: &str, server: &Server, mut command: Command, one: Option<&str>) -> Option<Self> {
        let seen = server.log().with_extension("strace");
        command.args(["-qq", "-y", "-o"]).arg(&seen);
        let said = std::fs::File::create(server.log().with_extension("strace-said")).unwrap();
        let strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn();
        let Ok(strace) = strace else {
            println!("SKIPPED, NOT PASSED: {test}: there is no strace");
            return None;
        };
        let mut injection = Self { strace, seen, process: server.process_id() };
        let traced = until("every thread is traced", || {
            let gone = injection.strace.try_wait().unwrap().is_some();
            (gone || tracers(injection.process, one).iter().all(|tracer| *tracer != 0)).then_some(!gone)
        });
        if !traced {
            let why = std::fs::read_to_string(server.log().with_extension("strace-said")).unwrap_or_default();
            println!("SKIPPED, NOT PASSED: {test}: strace may not trace here: {why}");
            return None;
        }
        Some(injection)
    }

    /// Whether a call was begun that strace writes like this.
    pub fn has_seen(&self, call: &str) -> bool {
        std::fs::read_to_string(&self.seen).unwrap_or_default().contains(call)
    }

    /// How many calls were struck so far.
    pub fn met(&self) -> usize {
        let text = std::fs::read_to_string(&self.seen).unwrap_or_default();
        text.lines().filter(|line| is_struck(line)).count()
    }

    /// How many of these were calls on files of a folder.
    pub fn met_in(&self, folder: &Path) -> usize {
        let text = std::fs::read_to_string(&self.seen).unwrap_or_default();
        struck_in(&text, &std::fs::canonicalize(folder).unwrap())
    }

    /// From now on nothing is struck.
    pub fn detach(mut self) {
        self.end();
        until("no thread is traced", || tracers(self.process, None).iter().all(|tracer| *tracer == 0).then_some(()));
    }

    fn end(&mut self) {
        let _ended_or_not = Command::new("kill").args(["-TERM", &self.strace.id().to_string()]).status();
        let _waited_for = self.strace.wait();
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // A killed tracer would leave the server stopped.
        if matches!(self.strace.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

fn is_struck(line: &str) -> bool {
    line.contains("INJECTED") || line.contains("DELAYED")
}

/// Of what strace saw, the struck calls on files of a folder. A call during which another thread calls stands in two lines, of
/// which the first names the file and the second says that it was struck.
pub fn struck_in(text: &str, folder: &Path) -> usize {
    let within = format!("<{}/", folder.display());
    let (mut begun, mut struck) = (BTreeMap::new(), 0);
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let here = begun.remove(thread).unwrap_or_else(|| call.contains(&within));
        if call.contains("<unfinished") {
            begun.insert(thread, here);
        } else {
            struck += usize::from(here && is_struck(call));
        }
    }
    struck
}

/// The folder of each thread, by whose number it is called.
fn threads(process: u32) -> impl Iterator<Item = PathBuf> {
    let tasks = std::fs::read_dir(Path::new("/proc").join(process.to_string()).join("task"));
    tasks.into_iter().flatten().filter_map(|task| Some(task.ok()?.path()))
}

/// The number of the thread of this name.
fn thread(process: u32, name: &str) -> String {
    let is_it = |folder: &PathBuf| std::fs::read_to_string(folder.join("comm")).is_ok_and(|found| found.trim() == name);
    let folder = threads(process).find(is_it).unwrap_or_else(|| panic!("the server has no thread {name}"));
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Who traces each thread, or the one; 0 nobody.
fn tracers(process: u32, one: Option<&str>) -> Vec<u32> {
    let is_one = |folder: &PathBuf| one.is_none_or(|one| folder.ends_with(one));
    let status = |folder: PathBuf| std::fs::read_to_string(folder.join("status")).ok();
    let tracer = |text: String| text.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok();
    threads(process).filter(is_one).filter_map(status).filter_map(tracer).collect()
}
