//! Ways to hold a child's bytes by number, side by side: reads alone, reads beside a writer at full speed, and resident memory, with
//! the allocator of kithd. Half of the reads find a child. `cargo bench -p kith-benches --bench layouts`: a million, then twelve;
//! other numbers of children may be given. `--bench layouts-memory` counts the bytes that each allocates.

use kith_benches::layouts::{KINDS, Layout, OURS, bytes, keys, sizes, worked};
use kith_benches::records::mix;
use mimalloc::MiMalloc;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// As in kithd.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const ROUNDS: usize = 7;
const READS: u64 = 200_000;

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

/// Nanoseconds of one read: mean, and three percentiles.
type Figures = [f64; 4];

fn reads(layout: &dyn Layout, held: &[u32], seed: u64) -> Figures {
    let half = (held.len() / 2) as u64;
    let mut into = Vec::with_capacity(1_024);
    let mut times: Vec<u64> = Vec::with_capacity(READS as usize);
    let mut found = 0;
    for n in 0..READS {
        let pick = mix(seed << 32 | n);
        // The second half of the keys is never put.
        let key = held[(pick % half + half * (n % 2)) as usize];
        let start = Instant::now();
        found += u64::from(black_box(layout.get(key, &mut into)));
        times.push(start.elapsed().as_nanos() as u64);
    }
    black_box(found);
    times.sort_unstable();
    let at = |share: f64| times[(share * READS as f64) as usize] as f64;
    [times.iter().sum::<u64>() as f64 / READS as f64, at(0.5), at(0.99), at(0.999)]
}

/// Reads while another thread puts as fast as it can; also how many it put in a second, and what the longest took.
fn beside_a_writer(layout: &dyn Layout, held: &[u32], seed: u64) -> (Figures, f64, Duration) {
    let (stop, puts, longest) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    let figures = std::thread::scope(|scope| {
        scope.spawn(|| {
            let half = held.len() as u64 / 2;
            for n in seed << 32.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let key = held[(mix(n) % half) as usize];
                let (bytes, start) = (bytes(key, n), worked());
                layout.put(key, &bytes);
                longest.fetch_max((worked() - start).as_nanos() as u64, Ordering::Relaxed);
                puts.fetch_add(1, Ordering::Relaxed);
            }
        });
        let figures = reads(layout, held, seed);
        stop.store(true, Ordering::Relaxed);
        figures
    });
    let rate = puts.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    (figures, rate, Duration::from_nanos(longest.load(Ordering::Relaxed)))
}

/// Median, least and most.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    format!("{:>6.0} ({:.0}-{:.0})", values[last / 2], values[0], values[last])
}

fn main() {
    for children in sizes() {
        compare(children);
    }
}

fn compare(children: usize) {
    let held: Vec<u32> = keys().take(2 * children).collect();
    let mut layouts: Vec<(&str, Box<dyn Layout>)> = KINDS.map(|(name, make)| (name, make())).into();
    let (mut memory, mut longest) = (Vec::new(), Vec::new());
    for (_, layout) in &layouts {
        let before = resident();
        longest.push(layout.fill(&held[..children], |key| bytes(key, 0)));
        memory.push((resident().saturating_sub(before)) as f64 / children as f64);
    }
    let again = layouts.iter().position(|(name, _)| *name == OURS).unwrap_or(0);
    let rows = layouts.len() + 1;
    let mut alone: Vec<Vec<Figures>> = vec![Vec::new(); rows];
    let mut beside: Vec<Vec<(Figures, f64, Duration)>> = vec![Vec::new(); rows];
    for round in 0..ROUNDS {
        for row in 0..rows {
            let layout = &*layouts[if row == layouts.len() { again } else { row }].1;
            alone[row].push(reads(layout, &held, (round * rows + row) as u64));
            beside[row].push(beside_a_writer(layout, &held, (round * rows + row) as u64));
        }
    }
    memory.push(memory[again]);
    longest.push(longest[again]);
    println!("{children} children, {ROUNDS} rounds, ns: median (least-most) of the rounds\n");
    println!(
        "| layout | resident B/child | alone p50 | p99 | p99.9 | beside a writer p50 | p99 | p99.9 | puts/s | longest put filling | beside reads |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let names = layouts.drain(..).map(|(name, layout)| {
        std::mem::forget(layout);
        name
    });
    let names: Vec<&str> = names.chain(["65,536 locks, pieces again (A/A)"]).collect();
    for (row, name) in names.iter().enumerate() {
        let one = |at: usize| spread(alone[row].iter().map(|figures| figures[at]).collect());
        let two = |at: usize| spread(beside[row].iter().map(|(figures, _, _)| figures[at]).collect());
        let puts = spread(beside[row].iter().map(|(_, puts, _)| *puts).collect());
        let columns = [one(1), one(2), one(3), two(1), two(2), two(3), puts].join(" | ");
        let beside = beside[row].iter().map(|(_, _, longest)| longest.as_secs_f64() * 1e6).collect();
        let longest = longest[row].as_micros();
        println!("| {name} | {:.0} | {columns} | {longest} us | {} us |", memory[row], spread(beside));
    }
    println!();
}
