//! What the layouts of `layouts` allocate, counted: the bytes asked of the allocator and not given back, without what it rounds them
//! up to; and what the index itself does, for each child seen once and looked up once.
//! `cargo bench -p kith-benches --bench layouts-memory`: a million children, then twelve; other numbers may be given.

use std::hint::black_box;
use std::iter::empty;

use kith_benches::Failure;
use kith_benches::layouts::{KINDS, Layout, bytes, keys, sizes};
use kith_benches::records::{numbers, record};
use kith_domain::feed::FeedBoard;
use kith_index::Index;

/// An index of so many children about whom one presentation and its lookup is held, and nothing else.
fn seen_once(children: usize) -> Result<Index, Failure> {
    let index = Index::new(FeedBoard::new(empty(), empty()));
    index.reserve(children as u64);
    let mut published = 0;
    for (n, number) in (0..).zip(numbers()) {
        if published == children {
            return Ok(index);
        }
        let record = record(n, number)?;
        if record.plans.is_empty() && record.presentations.len() == 1 {
            index.publish(record);
            published += 1;
        }
    }
    Err("there are no more numbers".into())
}

fn main() -> Result<(), Failure> {
    for children in sizes() {
        let held: Vec<u32> = keys().take(children).collect();
        println!("{children} children\n\n| layout | allocated B/child | allocations/child |\n|---|---|---|");
        for (name, make) in KINDS.into_iter().skip(1) {
            let mut made: Option<Box<dyn Layout>> = None;
            let counted = allocation_counter::measure(|| {
                let layout = make();
                layout.fill(&held, |key| bytes(key, 0));
                made = Some(layout);
            });
            let per_child = |count: i64| count as f64 / children as f64;
            println!("| {name} | {:.1} | {:.2} |", per_child(counted.bytes_current), per_child(counted.count_current));
            drop(made);
        }
        let mut made = Err("nothing was made".into());
        let counted = allocation_counter::measure(|| made = seen_once(children));
        let index = made?;
        let per_child = counted.bytes_current as f64 / children as f64;
        println!("\nthe index, each child seen once and looked up once: {per_child:.1} B/child\n");
        drop(black_box(index));
    }
    Ok(())
}
