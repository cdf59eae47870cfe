//! What fuzzing calls: one function for each reader of this crate that meets the network or a file, with what became of the
//! bytes in a few words. Never used in production.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use http::{HeaderMap, HeaderValue};
use kith_api::client::CALLER_METADATA;
use kith_domain::caller::{CareContext, Purpose, Role};
use kith_domain::method::Method;
use kith_domain::time::Moment;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use tokio::time::Instant;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::client_trust::Authorities;
use crate::config::{Config, Limits, Tls};
use crate::directory::Directory;
use crate::flood::FrameCounter;
use crate::frame_heads::{PREFACE, kind};
use crate::http2_refusals::{END_HEADERS, Http2Refusals};
use crate::mistakes::Mistakes;
use crate::server_pair::ServerPair;
use crate::shed::Shed;
use crate::tls::{certificates, expires_s};
use crate::{audit_key, deadline, issuers, metrics, person_tokens, plan_file, policy_file, revocation, services};

/// Certificates of a chain at most. A client may show fewer.
const CHAIN_MAX: usize = 12;

/// Refusals of a connection that are told at most.
const REASONS: usize = 4;

/// A plan file.
#[must_use]
pub fn plan_file(bytes: &[u8]) -> String {
    match plan_file::parse(bytes) {
        Ok(file) => {
            let faults: Vec<_> = file.rows.iter().filter_map(|row| row.plan.as_ref().err()).collect();
            let first = faults.first().map(|fault| &fault.reason);
            format!("{:?}, {} rows, {} at fault, {first:?}", file.mode, file.rows.len().min(20), faults.len().min(9))
        }
        Err(fault) => format!("{:?} {}", fault.code, fault.reason),
    }
}

/// One file of the directory, chosen by the first byte, beside two good ones.
///
/// # Errors
/// A scratch file cannot be written.
pub fn directory(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    const FILES: [(&str, &str); 3] = [
        ("organisations.csv", "ods_code,name,contact_phone,successor_code\nR1H,Barts,01632 960100,\n"),
        ("sites.csv", "ods_site_code,name,organisation_code\nR1H12,Royal London,R1H\n"),
        (
            "authorities.csv",
            "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n\
             E06000001,Hartlepool,01632 960200,01632 960201,08:30,17:00\n",
        ),
    ];
    let Some((first, rest)) = bytes.split_first() else { return Ok(String::from("nothing")) };
    let chosen = usize::from(*first) % FILES.len();
    for (at, (name, good)) in FILES.iter().enumerate() {
        std::fs::write(scratch.join(name), if at == chosen { rest } else { good.as_bytes() })?;
    }
    let mut config = Config::default();
    config.directory.organisations = scratch.join("organisations.csv");
    config.directory.sites = scratch.join("sites.csv");
    config.directory.authorities = scratch.join("authorities.csv");
    let mut mistakes = Mistakes::new();
    let found = Directory::collect(&config, &mut mistakes);
    // The list of those who stand in none of them, whichever was chosen.
    std::fs::write(scratch.join("services.csv"), rest)?;
    drop(crate::directory::services::find(&scratch.join("services.csv"), None));
    Ok(format!(
        "{chosen}: {} organisations, {} mistakes",
        found.organisations().len().min(9),
        mistakes.iter().count().min(9)
    ))
}

/// A configuration. What is taken prints as what it is.
#[must_use]
pub fn configuration(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return String::from("no text") };
    match Config::parse("kithd.toml", text, []) {
        Ok(config) => {
            let again = config.to_toml().map(|printed| Config::parse("printed", &printed, []));
            assert_eq!(again, Ok(Ok(config)), "a configuration prints as another");
            String::from("taken")
        }
        Err(mistakes) => {
            // Which sections, and how many: what the mistakes quote is the text's own.
            let of = |section: &str| mistakes.iter().filter(|found| found.to_string().contains(section)).count().min(3);
            let sections = ["server.", "tls.", "audit.", "answers.", "purge.", "feeds.", "limits.", "unknown field"];
            format!("{:?} of {}", sections.map(of), mistakes.iter().count().min(9))
        }
    }
}

/// A policy. What is taken lets an emergency department ask, and grants nothing that no policy may grant.
#[must_use]
pub fn policy(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return String::from("no text") };
    let policy = match policy_file::parse(text) {
        Ok(policy) => policy,
        Err(reasons) => {
            // The first words of what is wrong: the rest quotes the text.
            let words = reasons.first().map(|reason| reason.split([':', '"', '`']).next().unwrap_or_default());
            return format!(
                "{:?}, {}",
                words.map(|words| words.chars().take(40).collect::<String>()),
                reasons.len().min(9)
            );
        }
    };
    let mut granted = 0_usize;
    for (method, word) in Method::WORDS {
        for (role, _) in Role::WORDS {
            for (purpose, _) in Purpose::WORDS {
                for (context, _) in CareContext::WORDS {
                    if policy.granted(role, method, purpose, context).is_none() {
                        continue;
                    }
                    granted += 1;
                    assert!(method.ceiling().contains(&role), "{word} is granted to {role}");
                    assert!(
                        method.may_be_for(purpose) && (!method.asks() || method.may_be_in(role, context)),
                        "{word} {role}"
                    );
                }
            }
        }
    }
    assert!(policy.is_granted_ever(Role::Ed, Method::Lookup), "nobody may ask at triage");
    format!("taken, some {} granted", granted / 16)
}

/// A revocation list, as it stands within its PEM.
#[must_use]
pub fn revocation_list(bytes: &[u8]) -> String {
    revocation::examine(CertificateRevocationListDer::from(bytes.to_vec()))
}

/// A file of revocation lists.
///
/// # Errors
/// The scratch file cannot be written.
pub fn revocation_file(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    let path = scratch.join("lists.pem");
    std::fs::write(&path, bytes)?;
    let read = revocation::Reading::of(&path, i64::MAX).whole();
    Ok(read.map_or_else(|error| error.to_string().replace(|c: char| c.is_ascii_digit(), ""), |_| String::from("lists")))
}

/// A chain as a client shows it, and the authorities of the configuration: the first byte says how many stand between the leaf and
/// these, and before each certificate is its length in two bytes.
#[must_use]
pub fn chain(bytes: &[u8]) -> String {
    let Some((between, mut rest)) = bytes.split_first() else { return String::from("nothing") };
    let mut shown = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>()
        && shown.len() < CHAIN_MAX
    {
        let (der, after) = after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
        shown.push(CertificateDer::from(der.to_vec()));
        rest = after;
    }
    let Some((leaf, above)) = shown.split_first() else { return String::from("no leaf") };
    let (between, roots) = above.split_at(usize::from(*between).min(above.len()));
    issuers::examine(leaf, between, roots)
}

/// A file of PEM: as certificates, as authorities of clients, as the server's certificate with its key, and as the key that signs the
/// audit's heads.
///
/// # Errors
/// The scratch file cannot be written.
///
/// # Panics
/// When authorities, or a pair, are taken of a file without a certificate: a finding.
pub fn pem_file(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    let path = scratch.join("file.pem");
    std::fs::write(&path, bytes)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let files = Tls { certificate: path.clone(), key: path.clone(), client_ca: path.clone(), ..Tls::default() };
    let mut config = Config::default();
    config.audit.signing_key_file.clone_from(&path);
    let found = certificates(&path).unwrap_or_default();
    let (authorities, pair) = (Authorities::read(&path).is_ok(), ServerPair::read(&files));
    assert!(!found.is_empty() || (!authorities && pair.is_err()), "a certificate of a file that has none");
    let pair = pair.map_or_else(
        |error| error.to_string().replace(&path.display().to_string(), "it"),
        |pair| format!("a pair, dated {}", pair.expires_s.is_some()),
    );
    let (all, dated) = (found.len().min(9), found.iter().filter_map(expires_s).count().min(9));
    let signs = audit_key::load(&config).is_ok();
    Ok(format!("{all} certificates, {dated} dated, authorities {authorities}, {pair}, signs {signs}"))
}

/// A request of the metrics page, all of it.
#[must_use]
pub fn metrics_request(bytes: &[u8]) -> String {
    metrics::examine(bytes)
}

/// The header in which a client states its time-out.
#[must_use]
pub fn timeout(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    deadline::parse_timeout(text)
        .map_or_else(|| String::from("none"), |found| format!("10^{:?}", found.as_secs().checked_ilog10()))
}

/// What goes over a connection after its handshake, whole and in pieces, which are read alike: as what a client sends, whose frames
/// are counted and whose beginning is looked at; as what a server sends, in whose frames refusals are looked for; and as one block of
/// a server's headers, in one frame and in two.
///
/// # Panics
/// When the pieces are read otherwise than the whole: a finding.
#[must_use]
pub fn frames(bytes: &[u8]) -> String {
    // Small budgets, so that short inputs go beyond them.
    let limits = Limits {
        pings_per_10s: 2,
        settings_per_10s: 1,
        resets_per_10s: 1,
        control_frames_per_10s: 3,
        ..Limits::default()
    };
    let now = Instant::now();
    // Every call is held back once, or none.
    let counted = |piece: usize, holds_back: bool| {
        let mut counter = FrameCounter::new(&limits, now);
        let mut may = true;
        let mut may_call = || {
            may = !(holds_back && may);
            may
        };
        bytes.chunks(piece).try_for_each(|part| {
            let mut left = part;
            while !left.is_empty() {
                let handed_on = counter.read(left, || now, &mut may_call)?;
                left = left.get(handed_on..).unwrap_or_default();
            }
            Ok::<_, Shed>(())
        })
    };
    let read = |piece: usize| (counted(piece, true), refusals(bytes, piece));
    let whole = (counted(usize::MAX, false), refusals(bytes, usize::MAX));
    for piece in [1, 7, usize::MAX] {
        assert_eq!(read(piece), whole, "frames in pieces of {piece} are read otherwise");
    }
    let in_block = of_block(&[bytes]);
    for at in [0, 1, bytes.len() / 2] {
        let (first, rest) = bytes.split_at(at.min(bytes.len()));
        assert_eq!(of_block(&[first, rest]), in_block, "a block in two frames, cut at {at}, is read otherwise");
    }
    let (counted, (begun, refused)) = whole;
    let (begins, refused) = (begun.is_empty(), refused.iter().take(REASONS).collect::<Vec<_>>());
    format!("{counted:?}, begins {begins}, refused {refused:?}, block {}", in_block.len())
}

/// What is told of how a connection begins, and of what a server sends on it, in pieces of this length.
fn refusals(bytes: &[u8], piece: usize) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut refusals, mut reasons) = (Http2Refusals::new(), Vec::new());
    let begun = bytes.chunks(piece).filter_map(|part| refusals.read(part)).collect();
    // A server has no preface: what stands behind a client's is taken for the frames of either.
    let frames = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    frames.chunks(piece).for_each(|part| refusals.sent(part, |reason| reasons.push(reason)));
    (begun, reasons)
}

/// What is told of a server's block of headers, a frame for each piece, which it sends twice: the second time a table may have it.
fn of_block(pieces: &[&[u8]]) -> Vec<&'static str> {
    let frame = |(at, piece): (usize, &&[u8])| {
        let [_, length @ ..] = u32::try_from(piece.len()).unwrap_or(u32::MAX).to_be_bytes();
        let kind = if at == 0 { kind::HEADERS } else { kind::CONTINUATION };
        let flags = if at + 1 == pieces.len() { END_HEADERS } else { 0 };
        [&length[..], &[kind, flags, 0, 0, 0, 1], *piece].concat()
    };
    let block: Vec<u8> = pieces.iter().enumerate().flat_map(frame).collect();
    let (mut refusals, mut reasons) = (Http2Refusals::new(), Vec::new());
    for _ in 0..2 {
        refusals.sent(&block, |reason| reasons.push(reason));
    }
    reasons
}

/// Headers of a call: the first byte says whether the rest is a person before or after it is written as a header, or a trace. A line
/// each, so that there may be two.
///
/// # Panics
/// When a person is refused without a fault: a finding.
#[must_use]
pub fn headers(bytes: &[u8]) -> String {
    let Some((first, rest)) = bytes.split_first() else { return String::from("nothing") };
    let mut metadata = MetadataMap::new();
    match first % 3 {
        0 => {
            metadata.append_bin(CALLER_METADATA, MetadataValue::from_bytes(rest));
        }
        1 => metadata = MetadataMap::from_headers(lines(CALLER_METADATA, rest)),
        _ => metadata = MetadataMap::from_headers(lines("traceparent", rest)),
    }
    let (person, trace) = services::headers(&metadata);
    let person = match person {
        Ok(_) => String::from("a person"),
        Err(faults) => {
            assert!(!faults.0.is_empty(), "a person is refused without a fault");
            let reasons = faults.0.iter().take(3).map(|fault| fault.reason);
            reasons.collect::<Vec<_>>().join(" ")
        }
    };
    format!("{person}, trace {}", trace.is_some())
}

/// The size and the token of a page, as lists that go by numbers take them.
///
/// # Panics
/// When a page is longer than any may be, or one is refused without a fault: a finding.
#[must_use]
pub fn page(size: u32, token: &str) -> String {
    let taken = services::pages(size, token).map(|page| match page {
        Ok((size, _)) => {
            assert!((1..=500).contains(&size), "a page of {size}");
            "a page"
        }
        Err(faults) => {
            assert!(!faults.0.is_empty(), "a page is refused without a fault");
            faults.0.first().map_or("", |fault| fault.reason)
        }
    });
    taken.join(", ")
}

/// Each line that can be a header's value, under this name.
fn lines(name: &'static str, bytes: &[u8]) -> HeaderMap {
    let values = bytes.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, value);
    }
    headers
}

/// A token that proves a person, its claims, a header, a set of keys or the list that names them: the first byte says which.
#[must_use]
pub fn tokens(bytes: &[u8], at: Moment) -> String {
    person_tokens::fuzz::take(bytes, at)
}

/// Good inputs of [`tokens`].
#[must_use]
pub fn tokens_seeds(at: Moment) -> Vec<Vec<u8>> {
    person_tokens::fuzz::seeds(at)
}
