//! `kith-cost`: answers a number of lookups in process, from the bytes of the request to the bytes of the padded answer, audit
//! entry included, and nothing of the transport: by the engine and the translation alone, or by whatever kithd serves a
//! connection with (`--service`). What it costs does not depend on the clock: callgrind counts the instructions of its first
//! thread, a counting allocator its allocations.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use allocation_counter::AllocationInfo;
use clap::{Parser, ValueEnum};
use kith_api::convert::padding::{Fill, Padded};
use kith_api::convert::{answer, lookup};
use kith_api::v1;
use kith_benches::{ASKER, Failure, Filled, NOW, Source, filled_from};
use kith_domain::NhsNumber;
use kith_domain::caller::{Peer, Role};
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::time::Moment;
use kith_engine::{Asked, AuditMode};
use kith_server::bench_entry::{MESSAGE_HEAD_BYTES, Served};
use kith_server::config::Config;
use kith_server::identity::PeerIdentity;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;
use tonic::codegen::http;

/// The default padding.
const FILL: Fill = Fill { step: 1024, min_steps: 4 };

/// Presentations of a child, and earlier lookups, of each viewer one: about what a child has of whom anything is held.
const VISITS: usize = 2;
const DAY_SECONDS: i64 = 86_400;
/// Lookups whose allocations are counted.
const COUNTED: usize = 1_000;
/// Room for any reply, so that its growth is not counted.
const REPLY_BYTES: usize = 64 << 10;

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
    /// Ask what kithd serves a connection with, at this time of day, instead of the engine
    #[arg(long)]
    service: bool,
}

impl Arguments {
    fn source(&self) -> Source {
        let source = match self.which {
            Which::Held | Which::None => Source::USUAL,
            Which::ShieldedHere => Source::SHIELDED_HERE,
            Which::ShieldedThere => Source::SHIELDED_THERE,
        };
        // The service looks at the clock.
        if self.service { source.at(now()) } else { source }
    }

    /// About how many children something is asked, at most.
    fn asked_about(&self) -> usize {
        // The service's lookups leave access history, so that those that are counted are about others.
        let counted = if self.service && self.allocations { COUNTED } else { 0 };
        (self.lookups + counted).max(COUNTED)
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn request(number: NhsNumber, n: usize) -> Vec<u8> {
    let caller = v1::Caller {
        user_id: "n1".into(),
        user_name: "A Nurse".into(),
        user_role: "Triage nurse".into(),
        role_code: "R8000".into(),
        purpose: v1::Purpose::DirectCare.into(),
        organisation: ASKER.into(),
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

// Its name begins as that of `one`, by which callgrind knows what to count; a closure in it would be counted out.
#[inline(never)]
/// What kithd does between the frames of HTTP/2.
fn one_served(
    served: &Served,
    runtime: &Runtime,
    call: http::Request<Body>,
    reply: &mut Vec<u8>,
) -> Result<(), Failure> {
    runtime.block_on(served.answer(call, reply))?;
    Ok(())
}

/// Asks for each viewer, on a day of its own each, and waits until the access history has it.
async fn look_up(filled: &Filled, source: Source, requests: &[Vec<u8>]) -> Result<(), Failure> {
    let engine = &filled.engine;
    for (days, viewer) in (1_i64..).zip(source.viewers()) {
        let peer = Peer { organisation: OdsCode::parse(viewer)?, role: Role::Ed };
        let at = source.now().plus_seconds(-DAY_SECONDS * days);
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

/// Fails unless the answer tells of as much as is held: what is counted would else be of another question.
fn is_answered(reply: &[u8], which: Which) -> Result<(), Failure> {
    let answer = v1::LookupResponse::decode(reply)?.answer.ok_or("there is no answer")?;
    let seen = answer.presentations.ok_or("nothing is said of presentations")?;
    let found = seen.at_this_organisation.len() + seen.at_other_organisations.len();
    let expected = match which {
        Which::Held => VISITS,
        Which::None => 0,
        Which::ShieldedHere | Which::ShieldedThere => return is_of_a_family(reply),
    };
    if found == expected {
        return Ok(());
    }
    Err(format!("expected {expected} presentations in the answer, found {found}").into())
}

fn tell(counted: &AllocationInfo) {
    println!("allocations of {COUNTED} lookups: {}, bytes {}", counted.count_total, counted.bytes_total);
}

/// Asks the engine; gives the last answer.
fn by_engine(
    arguments: &Arguments,
    filled: &Filled,
    runtime: &Runtime,
    requests: &[Vec<u8>],
) -> Result<Vec<u8>, Failure> {
    let peer = Peer { organisation: OdsCode::parse(ASKER)?, role: Role::Ed };
    let mut reply = Vec::with_capacity(REPLY_BYTES);
    let mut answer = |request: &[u8]| one(filled, runtime, peer, request, &mut reply);
    for request in requests.iter().cycle().take(arguments.lookups) {
        answer(request)?;
    }
    if arguments.allocations {
        let mut failed = Ok(());
        let counted =
            allocation_counter::measure(|| failed = requests.iter().take(COUNTED).try_for_each(|r| answer(r)));
        failed?;
        tell(&counted);
    }
    Ok(reply)
}

/// Asks what serves a connection; gives the last answer. What comes in is made beforehand, and is not counted.
fn by_service(
    arguments: &Arguments,
    filled: &Filled,
    runtime: &Runtime,
    requests: &[Vec<u8>],
) -> Result<Vec<u8>, Failure> {
    let peer = PeerIdentity { organisation: ASKER.to_owned(), role: Role::Ed };
    let served = Served::new(Arc::clone(&filled.engine), Config::default(), peer)?;
    let mut reply = Vec::with_capacity(REPLY_BYTES);
    let mut answer = |call: http::Request<Body>| -> Result<(), Failure> {
        one_served(&served, runtime, call, &mut reply)?;
        // As a thread that answers does between two calls: what else is ready has its turn, and is not counted.
        runtime.block_on(tokio::task::yield_now());
        Ok(())
    };
    let asked = requests.iter().cycle();
    for request in asked.clone().take(arguments.lookups) {
        answer(served.lookup(request))?;
    }
    if arguments.allocations {
        let calls: Vec<_> = asked.skip(arguments.lookups).take(COUNTED).map(|request| served.lookup(request)).collect();
        let mut failed = Ok(());
        let counted = allocation_counter::measure(|| failed = calls.into_iter().try_for_each(&mut answer));
        failed?;
        tell(&counted);
    }
    let message = reply.get(MESSAGE_HEAD_BYTES..).ok_or("the reply has no message")?;
    Ok(message.to_vec())
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut builder = Builder::new_current_thread();
    if arguments.service {
        // Deadlines are timers.
        builder.enable_time();
    }
    let (runtime, source) = (builder.build()?, arguments.source());
    let filled = runtime.block_on(filled_from(source, arguments.children, VISITS, AuditMode::Bounded))?;
    let numbers = match arguments.which {
        Which::Held | Which::ShieldedHere | Which::ShieldedThere => &filled.held,
        Which::None => &filled.unknown,
    };
    let requests: Vec<Vec<u8>> = numbers.iter().enumerate().map(|(n, number)| request(*number, n)).collect();
    if !matches!(arguments.which, Which::None) {
        let most = requests.len().min(arguments.asked_about());
        runtime.block_on(look_up(&filled, source, &requests[..most]))?;
    }
    let reply = if arguments.service {
        by_service(arguments, &filled, &runtime, &requests)?
    } else {
        by_engine(arguments, &filled, &runtime, &requests)?
    };
    is_answered(&reply, arguments.which)?;
    let bytes: usize = requests.iter().cycle().take(arguments.lookups).map(Vec::len).sum();
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
