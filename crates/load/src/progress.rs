//! The progress bar: on a terminal alone, and never part of what is measured.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::Window;
use crate::run::Running;

/// How often it is drawn.
const REDRAW: Duration = Duration::from_millis(250);

/// A bar being drawn; none where standard error is no terminal.
pub struct Bar {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// Takes it away.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only draws.
            let _ended = thread.join();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}

/// Draws the progress of a run.
#[must_use]
pub fn watch(running: &Running, window: Window) -> Bar {
    let done = Arc::new(AtomicBool::new(false));
    if !std::io::stderr().is_terminal() {
        return Bar { done, thread: None };
    }
    let (progress, clock, stop) = (running.progress(), running.clock(), Arc::clone(&done));
    let thread = std::thread::spawn(move || {
        let bar = ProgressBar::new(window.end / 1_000_000);
        let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        while !stop.load(Ordering::Relaxed) {
            let now = clock.now();
            let part = if now < window.begin {
                "warm-up"
            } else if now < window.end {
                "measuring"
            } else {
                "finishing"
            };
            let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            let (sent, ok) = (count(&progress.sent), count(&progress.ok));
            let (failed, wrong) = (count(&progress.failed), count(&progress.wrong));
            bar.set_position((now / 1_000_000).min(window.end / 1_000_000));
            bar.set_message(format!("{part}: {sent} sent, {ok} answered, {failed} failed, {wrong} WRONG"));
            std::thread::sleep(REDRAW);
        }
        bar.finish_and_clear();
    });
    Bar { done, thread: Some(thread) }
}
