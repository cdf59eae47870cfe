//! The engine's lookup in process: the whole read path with its audit entry in the kernel (`bounded`). Entries of a
//! worklist, so that no access history piles up behind the measurement; a second bounded row is the A/A row: what
//! differs between the two is noise.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kith_benches::{Failure, Filled, asked, filled};
use kith_domain::NhsNumber;
use kith_engine::AuditMode;
use tokio::runtime::{Builder, Runtime};

/// Children held while measuring.
const CHILDREN: usize = 100_000;

fn numbers_in_turn(numbers: &[NhsNumber]) -> impl FnMut() -> Option<kith_engine::Asked> + '_ {
    let mut turn = numbers.iter().cycle();
    move || turn.next().and_then(|number| asked(*number).ok())
}

fn measure(criterion: &mut Criterion, runtime: &Runtime, name: &str, filled: &Filled, numbers: &[NhsNumber]) {
    let mut next = numbers_in_turn(numbers);
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            &mut next,
            |asked| asked.map(|asked| runtime.block_on(filled.engine.ask(asked)).is_ok()),
            BatchSize::SmallInput,
        );
    });
}

fn lookups(criterion: &mut Criterion) {
    if let Err(error) = run(criterion) {
        eprintln!("failed to fill the engine: {error}");
    }
}

fn run(criterion: &mut Criterion) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().build()?;
    let engine = runtime.block_on(filled(CHILDREN, AuditMode::Bounded))?;
    measure(criterion, &runtime, "lookup/bounded/held", &engine, &engine.held);
    measure(criterion, &runtime, "lookup/bounded/held again (A/A)", &engine, &engine.held);
    measure(criterion, &runtime, "lookup/bounded/none held", &engine, &engine.unknown);
    Ok(())
}

criterion_group!(benches, lookups);
criterion_main!(benches);
