//! From a cold page cache to serving, the memory held then, and whether the time grows as what is held does.

use std::path::Path;

use anyhow::{Context, Result};

use crate::bench::{Bench, Measured};
use crate::england::Place;
use crate::figures::{Reach, Row};
use crate::servers::Server;

/// The smaller England, as a share of the one that is measured.
const SMALLER: f64 = 0.25;

pub fn measure(bench: &mut Bench<'_>) {
    let rows = || {
        vec![
            Row::figure("start to ready, England, cold page cache", "s", Reach::AtMost(10.0)),
            Row::figure("resident memory, England", "GiB", Reach::AtMost(1.0)).note("when it begins to serve"),
            Row::new(
                "start to ready, per million presentations: England vs a quarter of it",
                "s",
                Reach::AtMost(1.1),
                ["England", "a quarter"],
            )
            .note("constant means that the larger one takes no more time for each"),
        ]
    };
    bench.or_not_measured(rows(), |bench| {
        let scale: f64 = bench.arguments.scale.parse().context("the scale is no number")?;
        let smaller = bench.place.beside("quarter")?;
        smaller.prepare(&(scale * SMALLER).to_string())?;
        let mut rows = rows();
        let emptied = drop_page_cache();
        if !emptied {
            // A warm start says nothing of a cold one; the memory is the same.
            for row in rows.iter_mut().filter(|row| row.unit == "s") {
                row.void = true;
                row.notes.push("the page cache could not be emptied: warm".into());
            }
        }
        let england = bench.place;
        bench.rounds(rows, |_| start(england, emptied), |_| start(&smaller, emptied));
        Ok(())
    });
}

/// One start; void when the page cache could be emptied before, and cannot be now.
fn start(place: &Place, emptied: bool) -> Result<Measured> {
    let millions = millions(place)?;
    let cold = drop_page_cache();
    let server = place.serve("")?;
    let seconds = server.ready_after.as_secs_f64();
    let gib = resident_gib(&server)?;
    server.stop()?;
    Ok(Measured { void: emptied && !cold, ..Measured::sure(vec![seconds, gib, seconds / millions]) })
}

/// What a server holds in memory, in GiB.
pub fn resident_gib(server: &Server) -> Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bytes = server.resident_bytes()? as f64;
    Ok(bytes / f64::from(1 << 30))
}

/// Presentations of the England, in millions.
fn millions(place: &Place) -> Result<f64> {
    let text = std::fs::read_to_string(place.file("england/manifest.json")).context("an England without a manifest")?;
    let manifest: serde_json::Value = serde_json::from_str(&text)?;
    let count = manifest["counts"]["presentations"].as_f64().context("a manifest without a count")?;
    Ok(count / 1e6)
}

/// Empties the page cache where that is allowed.
fn drop_page_cache() -> bool {
    let synced = std::process::Command::new("sync").status().is_ok_and(|status| status.success());
    synced && std::fs::write(Path::new("/proc/sys/vm/drop_caches"), "3").is_ok()
}
