//! What the layouts of `layouts` allocate, counted: the bytes asked of the allocator and not given back, without what it rounds them
//! up to. `cargo bench -p kith-benches --bench layouts-memory`: a million children, then twelve; other numbers may be given.

use kith_benches::layouts::{KINDS, Layout, bytes, keys, sizes};

fn main() {
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
        println!();
    }
}
