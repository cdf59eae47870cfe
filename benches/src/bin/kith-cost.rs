//! `kith-cost`: answers a number of lookups in process, from the bytes of the request to the bytes of the padded answer, audit
//! entry included, and nothing of the transport. What it costs does not depend on the clock: callgrind counts the
//! instructions of its first thread, a counting allocator its allocations.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use kith_api::convert::padding::{Fill, Padded};
use kith_api::convert::{answer, lookup};
use kith_api::v1;
use kith_benches::{Failure, Filled, NOW, Source, filled_from};
use kith_domain::NhsNumber;
use kith_domain::caller::{Peer, Role};
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_engine::{Asked, AuditMode};
use prost::Message;
use tokio::runtime::{Builder, Runtime};

/// The default padding.
const FILL: Fill = Fill { step: 1024, min_steps: 4 };

/// Presentations of a child, and earlier lookups, of each viewer one: about what a child has of whom anything is held.
const VISITS: usize = 2;
const DAY_SECONDS: i64 = 86_400;

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// Two presentations elsewhere, each looked up once; one in sixty is on a plan
    Held,
    /// Nothing
    None,
    /// As held, each on a plan with siblings, one of them shielded too, and shielded; the feeds of their place are late
    ShieldedHere,
    /// The same in another place, where others saw and looked at them; the feeds of the first are late
    ShieldedThere,
}

/// Answers lookups in process.
#[derive(Parser)]
struct Arguments {
    /// How many
    #[arg(long, default_value_t = 1_000)]
    lookups: usize,
    /// What is held about the children asked about
    #[arg(long, value_enum, default_value_t = Which::Held)]
    which: Which,
    /// Children held
    #[arg(long, default_value_t = 20_000)]
    children: usize,
    /// Print the allocations of a lookup
    #[arg(long)]
    allocations: bool,
}

fn request(number: NhsNumber, n: usize) -> Vec<u8> {
    let caller = v1::Caller {
        user_id: "n1".into(),
        user_name: "A Nurse".into(),
        user_role: "Triage nurse".into(),
        role_code: "R8000".into(),
        purpose: v1::Purpose::DirectCare.into(),
        organisation: "R1H".into(),
    };
    v1::LookupRequest {
        caller: Some(caller),
        subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number.digits())) }),
        request_id: uuid::Uuid::from_u128(n as u128 + 1).to_string(),
        ..v1::LookupRequest::default()
    }
    .encode_to_vec()
}

#[inline(never)]
/// What the service does between the frames of the transport.
fn one(filled: &Filled, runtime: &Runtime, peer: Peer, request: &[u8], reply: &mut Vec<u8>) -> Result<(), Failure> {
    let engine = &filled.engine;
    let request = v1::LookupRequest::decode(request)?;
    let parsed = lookup::parse(request, peer.organisation, NOW).map_err(|faults| format!("{faults:?}"))?;
    let lookup::ParsedLookup { caller, context, question, request_id } = parsed;
    let method = Method::LookupMany;
    let asked = Asked { peer, caller, context, question, request_id, trace: None, method, person_proven: false };
    let answered = runtime.block_on(engine.ask(asked))?;
    let window = engine.settings().presentation_window_days;
    let wire = answer::wire(&answered.answer, engine.reference_of(&answered), engine.directory(), window);
    let response = v1::LookupResponse { answer: Some(wire), ..v1::LookupResponse::default() }.padded(FILL);
    reply.clear();
    Ok(response.encode(reply)?)
}

/// Asks for each viewer, on a day of its own each, and waits until the access history has it.
async fn look_up(filled: &Filled, viewers: [&str; VISITS], requests: &[Vec<u8>]) -> Result<(), Failure> {
    let engine = &filled.engine;
    for (days, viewer) in (1_i64..).zip(viewers) {
        let peer = Peer { organisation: OdsCode::parse(viewer)?, role: Role::Ed };
        let at = NOW.plus_seconds(-DAY_SECONDS * days);
        for bytes in requests {
            let mut request = v1::LookupRequest::decode(bytes.as_slice())?;
            request.request_id = uuid::Uuid::new_v4().to_string();
            if let Some(caller) = &mut request.caller {
                caller.organisation = viewer.to_owned();
            }
            let parsed = lookup::parse(request, peer.organisation, at).map_err(|faults| format!("{faults:?}"))?;
            let lookup::ParsedLookup { caller, context, question, request_id } = parsed;
            let method = Method::Lookup;
            let asked =
                Asked { peer, caller, context, question, request_id, trace: None, method, person_proven: false };
            engine.ask(asked).await?;
        }
    }
    let behind = || engine.positions().derived_through < engine.positions().synced_through;
    while engine.audit_window().unsynced > 0 || behind() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(())
}

/// Fails unless the answer is one about a shielded child with siblings, one of them shielded, beside a late feed of each kind: what
/// is compared would else be less than there can be.
fn is_of_a_family(reply: &[u8]) -> Result<(), Failure> {
    let answer = v1::LookupResponse::decode(reply)?.answer.ok_or("there is no answer")?;
    let siblings = answer.siblings.ok_or("nothing is said of siblings")?;
    let plans = answer.plans.and_then(|plans| plans.completeness).ok_or("nothing is said of feeds of plans")?;
    let seen = answer.presentations.and_then(|seen| seen.completeness).ok_or("nothing is said of other feeds")?;
    let found = (answer.shielded, siblings.notices.len(), siblings.unshown, plans.stale, seen.stale);
    if found == (true, 1, 1, 1, 1) {
        return Ok(());
    }
    Err(format!("expected a shielded child, a sibling told of and one only known, stale feeds, found {found:?}").into())
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().build()?;
    let source = match arguments.which {
        Which::Held | Which::None => Source::USUAL,
        Which::ShieldedHere => Source::SHIELDED_HERE,
        Which::ShieldedThere => Source::SHIELDED_THERE,
    };
    let filled = runtime.block_on(filled_from(source, arguments.children, VISITS, AuditMode::Bounded))?;
    let peer = Peer { organisation: OdsCode::parse("R1H")?, role: Role::Ed };
    let numbers = match arguments.which {
        Which::Held | Which::ShieldedHere | Which::ShieldedThere => &filled.held,
        Which::None => &filled.unknown,
    };
    let requests: Vec<Vec<u8>> = numbers.iter().enumerate().map(|(n, number)| request(*number, n)).collect();
    if !matches!(arguments.which, Which::None) {
        let most = requests.len().min(arguments.lookups.max(1_000));
        runtime.block_on(look_up(&filled, source.viewers(), &requests[..most]))?;
    }
    let mut reply = Vec::with_capacity(64 << 10);
    let mut answer = |request: &[u8]| one(&filled, &runtime, peer, request, &mut reply);
    let mut bytes = 0;
    for request in requests.iter().cycle().take(arguments.lookups) {
        answer(request)?;
        bytes += request.len();
    }
    if arguments.allocations {
        let mut failed = Ok(());
        let counted = allocation_counter::measure(|| failed = requests.iter().take(1_000).try_for_each(|r| answer(r)));
        failed?;
        println!("allocations of 1000 lookups: {}, bytes {}", counted.count_total, counted.bytes_total);
    }
    if matches!(arguments.which, Which::ShieldedHere | Which::ShieldedThere) {
        is_of_a_family(&reply)?;
    }
    println!("{} lookups, {bytes} bytes asked, the last answer {} bytes", arguments.lookups, reply.len());
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kith-cost: failed to answer: {error}");
            ExitCode::FAILURE
        }
    }
}
