//! Pushes every authority's plans and every trust's presentations, each with its own
//! certificate. A refused row stops the demo: the synthetic England has no bad rows.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::steps::seconds;

use super::client;
use super::place::Place;

/// As many senders at once as keep the server's group commit busy.
const SENDERS: usize = 4;

type Push = fn(&Place, &str, &Path) -> Result<()>;

pub fn everything(place: &Place) -> Result<()> {
    let plans = place.feeds("plans")?;
    all(place, &plans, "plans of local authorities", client::push_plans)?;
    let presentations = place.feeds("presentations")?;
    all(place, &presentations, "presentations of trusts", client::push_presentations)
}

fn all(place: &Place, feeds: &[(String, PathBuf)], what: &str, push: Push) -> Result<()> {
    let started = Instant::now();
    let bar = bar(feeds.len(), what)?;
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                while let Some((code, file)) = feeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = push(place, code, file)
                        && let Ok(mut list) = failures.lock()
                    {
                        list.push(format!("{code}: {error:#}"));
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let failures = failures.into_inner().unwrap_or_default();
    if let Some(first) = failures.first() {
        bail!("{} of {} feeds failed, the first: {first}", failures.len(), feeds.len());
    }
    println!("  {} {what} pushed in {}", feeds.len(), seconds(started.elapsed()));
    Ok(())
}

/// A bar on a terminal; elsewhere it draws nothing and the closing line has to do.
pub fn bar(length: usize, what: &str) -> Result<ProgressBar> {
    let length = u64::try_from(length).context("too many for a progress bar")?;
    let style = ProgressStyle::with_template("  {msg:<28} [{bar:40}] {pos}/{len} {eta}")
        .context("failed to lay out the progress bar")?;
    Ok(ProgressBar::new(length).with_style(style).with_message(what.to_owned()))
}
