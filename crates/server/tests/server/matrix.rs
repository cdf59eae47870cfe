//! The certificate matrix: every kind of certificate that must be refused, beside those that must be taken. Each part prints a
//! line for each kind, and how many there were (`COUNTED`, which `cargo xtask assure` adds up); `cargo test -p kith-server --test server matrix -- --nocapture` shows them.

mod encodings;
mod lists;
mod strangers;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair,
    NameConstraints, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, date_time_ymd,
};

use crate::authority::{Authority, Pair};
use crate::harness::{ED, LA, TestServer, client};

/// Every role that a certificate may carry.
const ROLES: [&str; 9] =
    ["ed", "scheduled-care", "local-authority", "demographics", "safeguarding", "broker", "auditor", "ops", "witness"];

/// One kind of certificate, and whether its connection must be taken.
struct Case {
    name: String,
    pair: Option<Pair>,
    taken: bool,
}

fn taken(name: impl Into<String>, pair: Pair) -> Case {
    Case { name: name.into(), pair: Some(pair), taken: true }
}

fn refused(name: impl Into<String>, pair: Pair) -> Case {
    Case { name: name.into(), pair: Some(pair), taken: false }
}

/// Shows each certificate to the server. All are tried before any is complained of.
fn hold(what: &str, server: &TestServer, cases: &[Case]) {
    let mut wrong = Vec::new();
    client(async {
        for Case { name, pair, taken } in cases {
            let found = server.takes(pair.as_ref()).await;
            let verdict = if found { "taken" } else { "refused" };
            println!("certificate matrix: {what}: {name}: {verdict}");
            if found != *taken {
                wrong.push(format!("{name}: {verdict}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    println!("certificate matrix: {what}: {} kinds, each as it should be", cases.len());
    println!("COUNTED certificates {}", cases.len());
}

#[test]
fn who_and_what_for() {
    let server = TestServer::ready(|_| {});
    let cases = [usual(&server.authority), identities(&server.authority), uses(&server.authority)];
    hold("who and what for", &server, &cases.into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn chains() {
    let server = TestServer::ready(|_| {});
    let cases = [chained(&server.authority), oversized(&server.authority)];
    hold("chains", &server, &cases.into_iter().flatten().collect::<Vec<_>>());
}

/// What honest clients show.
fn usual(root: &Authority) -> Vec<Case> {
    let role = |role: &&str| {
        let uri = format!("spiffe://kith.test/org/R1H/role/{role}");
        taken(format!("role {role}"), root.client(&[&uri]))
    };
    let mut cases: Vec<Case> = ROLES.iter().map(role).collect();
    for (name, algorithm) in [("a P-384 key", &PKCS_ECDSA_P384_SHA384), ("an Ed25519 key", &PKCS_ED25519)] {
        cases.push(taken(name, root.issue_for(&KeyPair::generate_for(algorithm).unwrap(), &[ED], |_| {})));
    }
    cases
}

fn identities(root: &Authority) -> Vec<Case> {
    let named = |name: &str, uris: &[&str]| refused(name, root.client(uris));
    let long = format!("spiffe://kith.test/org/{}/role/ed", "A".repeat(2_048));
    vec![
        Case { name: String::from("no certificate"), pair: None, taken: false },
        named("no URI", &[]),
        named("two URIs", &[ED, LA]),
        named("the same URI twice", &[ED, ED]),
        named("an identity and another URI", &[ED, "https://example.org/"]),
        refused("a common name alone", root.issue(&[], |params| params.subject_alt_names.clear())),
        named("another trust domain", &["spiffe://other.test/org/R1H/role/ed"]),
        named("a trust domain below ours", &["spiffe://a.kith.test/org/R1H/role/ed"]),
        named("our trust domain with a port", &["spiffe://kith.test:443/org/R1H/role/ed"]),
        named("our trust domain with a user", &["spiffe://u@kith.test/org/R1H/role/ed"]),
        named("an unknown role", &["spiffe://kith.test/org/R1H/role/root"]),
        named("a role in capitals", &["spiffe://kith.test/org/R1H/role/ED"]),
        named("no role", &["spiffe://kith.test/org/R1H"]),
        named("an organisation in small letters", &["spiffe://kith.test/org/r1h/role/ed"]),
        named("no organisation", &["spiffe://kith.test/org//role/ed"]),
        named("two organisations", &["spiffe://kith.test/org/R1H/role/ed/org/RJ1/role/ed"]),
        named("another scheme", &["https://kith.test/org/R1H/role/ed"]),
        named("an identity of two kilobytes", &[&long]),
    ]
}

fn uses(root: &Authority) -> Vec<Case> {
    let with = |change: &dyn Fn(&mut CertificateParams)| root.issue(&[ED], change);
    let usage = |usages: &[ExtendedKeyUsagePurpose]| with(&|params| params.extended_key_usages = usages.to_vec());
    let unknown = |critical: bool| {
        with(&|params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            extension.set_criticality(critical);
            params.custom_extensions = vec![extension];
        })
    };
    vec![
        refused("expired", with(&|params| params.not_after = date_time_ymd(2001, 1, 1))),
        refused("not yet valid", with(&|params| params.not_before = date_time_ymd(2998, 1, 1))),
        refused("for servers only", usage(&[ExtendedKeyUsagePurpose::ServerAuth])),
        refused("for signing code only", usage(&[ExtendedKeyUsagePurpose::CodeSigning])),
        taken(
            "for servers and clients",
            usage(&[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]),
        ),
        taken("without a stated use", usage(&[])),
        refused("an authority's", with(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        refused("an unknown critical extension", unknown(true)),
        taken("an unknown extension", unknown(false)),
    ]
}

fn chained(root: &Authority) -> Vec<Case> {
    let plain = |_: &mut CertificateParams| {};
    let between = root.below("between", plain);
    let (second, last) = (between.below("second", plain), root.below("last", pathless).below("one too many", plain));
    let expired = root.below("expired", |params| params.not_after = date_time_ymd(2001, 1, 1));
    let early = root.below("early", |params| params.not_before = date_time_ymd(2998, 1, 1));
    let none = root.below("none", |params| params.is_ca = IsCa::ExplicitNoCa);
    let narrow = root.below("narrow", |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName(String::from("other.example"))];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    });
    let mut without = between.client(&[ED]);
    without.certificate = first(&without.certificate);
    let mut another = without.clone();
    another.certificate.push_str(&root.below("between", plain).pem);
    let mut changed = root.client(&[ED]);
    changed.certificate = flipped(&changed.certificate);
    vec![
        refused("another authority's of the same name", Authority::new().client(&[ED])),
        refused("another authority's", Authority::named("another").client(&[ED])),
        refused("with a changed signature", changed),
        taken("with one authority between", between.client(&[ED])),
        taken("with two authorities between", second.client(&[ED])),
        refused("without the authority between", without),
        refused("with another authority between", another),
        refused("under an expired authority", expired.client(&[ED])),
        refused("under an authority that is not yet valid", early.client(&[ED])),
        refused("under a certificate that is no authority", none.client(&[ED])),
        refused("with more authorities between than one allows", last.client(&[ED])),
        refused("with a name that the authority may not give", narrow.client(&[ED])),
    ]
}

fn pathless(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
}

fn oversized(root: &Authority) -> Vec<Case> {
    let chain = |copies: usize| {
        let between = root.below("between", |_| {});
        let mut pair = between.client(&[ED]);
        pair.certificate = format!("{}{}", first(&pair.certificate), between.pem.repeat(copies));
        pair
    };
    let deep = (0..6).fold(root.below("0", |_| {}), |above, depth| above.below(&format!("{depth}"), |_| {}));
    let padded = |bytes: usize| {
        root.issue(&[ED], |params| {
            let padding = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![0; bytes]);
            params.custom_extensions = vec![padding];
        })
    };
    let names = root.issue(&[ED], |params| {
        let name = |n: u32| SanType::DnsName(format!("host{n}.example").try_into().unwrap());
        params.subject_alt_names.extend((0..1_000).map(name));
    });
    vec![
        taken("a chain of six", chain(5)),
        refused("a chain of seven", chain(6)),
        refused("a chain of fifty", chain(49)),
        refused("seven authorities between", deep.client(&[ED])),
        taken("of ten kilobytes", padded(10 << 10)),
        refused("of twenty kilobytes", padded(20 << 10)),
        refused("of sixty kilobytes", padded(60 << 10)),
        refused("with a thousand names", names),
    ]
}

/// The first certificate of a chain.
fn first(pem: &str) -> String {
    let end = "-----END CERTIFICATE-----\n";
    let at = pem.find(end).unwrap() + end.len();
    pem[..at].to_owned()
}

/// The certificate with another letter in its signature, which ends it.
fn flipped(pem: &str) -> String {
    let within = pem.len() - "-----END CERTIFICATE-----\n".len() - 40;
    let at = (0..within).rev().find(|at| pem.as_bytes()[*at].is_ascii_alphanumeric()).unwrap();
    let letter = if &pem[at..=at] == "A" { "B" } else { "A" };
    format!("{}{letter}{}", &pem[..at], &pem[at + 1..])
}
