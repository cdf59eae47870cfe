//! Every authority's full plan file, on two nights, beside readers over the wire who ask about children all the time: no
//! answer may be wrong at any instant. Each reader knows the admissible states of its child: a plan as before this night's
//! file or as after it, one file at a time, and after a file's verdict only as after it. Times are printed, never judged.
//!
//! `cargo xtask nightly` loads England's 230,000 rows; the test command loads 10,000.

mod england;
mod readers;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kith_api::client::Client;
use kith_api::v1;
use rand::SeedableRng;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::harness::process::Server;
use crate::harness::site::Site;
use crate::harness::{build, count, offline};
use england::England;
use readers::Night;

/// Readers, each with a connection of its own, and the trust that each asks for.
const READERS: usize = 6;
const TRUSTS: [&str; 3] = ["RZ1", "RZ2", "RZ3"];
/// Files on their way at once.
const SENDERS: usize = 8;
/// Bytes of a piece of a file.
const PIECE: usize = 64 * 1_024;

/// The directory: England's authorities, three trusts.
fn site(england: &England) -> Site {
    let mut authorities = "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n".to_owned();
    for code in &england.authorities {
        writeln!(authorities, "{code},Authority {code},01632 960011,01632 960012,08:30,17:00").expect("a line");
    }
    let mut trusts = "ods_code,name,contact_phone,successor_code\n".to_owned();
    let mut sites = "ods_site_code,name,organisation_code\n".to_owned();
    for trust in TRUSTS {
        writeln!(trusts, "{trust},Trust {trust},01632 960101,").expect("a line");
        writeln!(sites, "{trust}01,Site of {trust},{trust}").expect("a line");
    }
    Site::of(&authorities, &trusts, &sites)
}

async fn send(client: &Client, bytes: &[u8]) -> v1::FileVerdict {
    let pieces: Vec<_> = bytes.chunks(PIECE).map(|piece| v1::SubmitPlanFileRequest { chunk: piece.to_vec() }).collect();
    let response = client.plan_files().submit_plan_file(tokio_stream::iter(pieces)).await.expect("a verdict");
    response.into_inner().verdict.expect("a verdict")
}

/// Loads every authority's file; gives the rows and how long it took.
async fn load(server: &Server, night: &Night<'_>, order: &[usize]) -> (usize, Duration) {
    let (next, rows, begun) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
    let sender = async || {
        while let Some(of) = order.get(next.fetch_add(1, Ordering::SeqCst)) {
            let client = server.client(night.england.authorities[*of].as_str()).await;
            let bytes = night.england.file(*of, night.night);
            night.sending(*of);
            let verdict = send(&client, &bytes).await;
            night.answered(*of);
            assert_eq!(verdict.code(), v1::FileCode::Cpf02, "{} {}", verdict.reason, verdict.words);
            check_snapshot(night, *of, verdict.snapshot.as_ref().expect("a snapshot's summary"));
            rows.fetch_add(verdict.rows.len(), Ordering::SeqCst);
        }
    };
    let senders = std::array::from_fn::<_, SENDERS, _>(|_| sender());
    join(senders.into()).await;
    (rows.into_inner(), begun.elapsed())
}

/// Added, changed, missing and ended are as many as the two nights' files differ by.
fn check_snapshot(night: &Night<'_>, of: usize, found: &v1::SnapshotSummary) {
    let england = night.england;
    let parts = || england.of_authority[of][0].iter().flat_map(|child| &england.children[*child].parts);
    let those = |wanted: fn(&england::Part) -> bool| {
        u32::try_from(parts().filter(|part| part.authority == of && wanted(part)).count()).expect("a few thousand")
    };
    if night.night == 0 {
        let all = those(|part| part.nights[0].is_some());
        assert_eq!((found.added, found.changed, found.missing), (all, 0, 0));
        return;
    }
    let added = those(|part| part.nights[0].is_none());
    let unchanged = those(|part| part.nights[0].is_some() && part.nights[0] == part.nights[1]);
    let missing = those(|part| part.nights[1].is_none());
    assert_eq!((found.added, found.unchanged, found.missing, found.ended), (added, unchanged, missing, missing));
}

/// Polls all of them on this task: what waits for the network is waiting, not working.
async fn join<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for (future, done) in &mut pending {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().map(|(_, done)| done.expect("a value")).collect()
}

/// Readers, alone for a while or until told to stop.
async fn readers(night: &Night<'_>, clients: &[Client], least: Duration) -> Vec<Duration> {
    let reader =
        |(n, client): (usize, &Client)| night.reader(client.clone(), TRUSTS[n % TRUSTS.len()], n as u64 + 1, least);
    join(clients.iter().enumerate().map(reader).collect()).await.concat()
}

async fn alone(what: &str, night: &Night<'_>, clients: &[Client], least: Duration) {
    night.stop.store(true, Ordering::SeqCst);
    print(what, readers(night, clients, least).await);
    night.stop.store(false, Ordering::SeqCst);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1_000].as_micros();
    let (p50, p99, p999, max) = (at(500), at(990), at(999), at(1_000));
    println!("nightly: {what}: {} answers, p50 {p50} us, p99 {p99} us, p99.9 {p999} us, max {max} us", times.len());
}

/// Everyone, or so many, after the last verdict: only the new state is admissible.
async fn sweep(night: &Night<'_>, clients: &[Client], most: usize) {
    let (places, next) = (night.england.children.len(), AtomicUsize::new(0));
    let step = places.div_ceil(most);
    let sweeper = async |n: usize, client: &Client| {
        loop {
            let place = next.fetch_add(step, Ordering::SeqCst);
            if place >= places {
                return;
            }
            night.ask(client, TRUSTS[n % TRUSTS.len()], place).await;
        }
    };
    join(clients.iter().enumerate().map(|(n, client)| sweeper(n, client)).collect()).await;
    for [_, changed] in &night.england.of_authority {
        for place in changed {
            night.ask(&clients[0], TRUSTS[0], *place).await;
        }
    }
}

/// Both nights. `alone_for` is the time that readers are measured without a load.
async fn nights(rows: usize, seed: u64, alone_for: Duration, swept: usize) {
    println!("nightly: {rows} rows, KITH_TEST_SEED={seed}");
    let (mut dice, today) = (ChaCha8Rng::seed_from_u64(seed), build::now().london_day());
    let england = England::new(&mut dice, rows, today);
    let mut site = site(&england);
    let server = site.ready().await;
    let mut clients = Vec::new();
    for n in 0..READERS {
        clients.push(server.client(TRUSTS[n % TRUSTS.len()]).await);
    }
    for (which, name) in ["first", "second"].into_iter().enumerate() {
        let night = Night::new(&england, which, today);
        alone(&format!("readers alone before the {name} night"), &night, &clients, alone_for).await;
        alone("the same again", &night, &clients, alone_for).await;
        let mut order: Vec<usize> = (0..england.authorities.len()).collect();
        order.shuffle(&mut dice);
        let loading = async {
            let loaded = load(&server, &night, &order).await;
            night.stop.store(true, Ordering::SeqCst);
            loaded
        };
        let (beside, (rows, took)) = tokio::join!(readers(&night, &clients, alone_for), loading);
        let a_second = rows as u128 * 1_000 / took.as_millis().max(1);
        println!("nightly: {name} night: {rows} rows of {} files in {took:.1?}, {a_second} a second", order.len());
        print(&format!("readers beside the {name} night"), beside);
        let [met, before, after] = night.met.each_ref().map(|count| count.load(Ordering::SeqCst));
        println!("nightly: {met} answers met a change under way: {before} as before it, {after} as after it");
        assert!(met > 20, "the readers met too little of the load to judge it");
        sweep(&night, &clients, swept).await;
        // States are of one day: a run over London's midnight is not judged further.
        if build::now().london_day() != today {
            println!("nightly: the day has changed in London");
            break;
        }
    }
    drop(clients);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_night() {
    nights(10_000, 1, Duration::from_millis(500), usize::MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: cargo xtask nightly"]
async fn every_authoritys_full_file() {
    let seed = u64::from(count("KITH_TEST_SEED", 1));
    nights(count("KITH_NIGHTLY_ROWS", 230_000) as usize, seed, Duration::from_secs(5), 20_000).await;
}
