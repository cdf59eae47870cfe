//! Identities in odd encodings: what one reader takes for no identity and another for one must be refused by all.

use rcgen::{CustomExtension, SanType};

use super::{Case, hold, refused, taken};
use crate::authority::{Authority, Pair};
use crate::harness::{ED, LA, TestServer};

/// The extension that holds alternative names.
const ALTERNATIVE_NAMES: [u64; 4] = [2, 5, 29, 17];

/// Tags of names: e-mail, host, URI.
const EMAIL: u8 = 0x81;
const HOST: u8 = 0x82;
const URI: u8 = 0x86;

/// A value in DER, of less than 256 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    [head.as_slice(), content].concat()
}

/// A certificate whose extension of names has this content.
fn with_names(root: &Authority, content: Vec<u8>, critical: bool) -> Pair {
    root.issue(&[], |params| {
        params.subject_alt_names.clear();
        let mut names = CustomExtension::from_oid_content(&ALTERNATIVE_NAMES, content);
        names.set_criticality(critical);
        params.custom_extensions = vec![names];
    })
}

#[test]
fn odd_encodings() {
    let server = TestServer::ready(|_| {});
    let root = &server.authority;
    let cases = [texts(root), structures(root)];
    hold("odd encodings", &server, &cases.into_iter().flatten().collect::<Vec<_>>());
}

/// The one URI is written, but not as an identity is.
fn texts(root: &Authority) -> Vec<Case> {
    let bytes = |name: &str, uri: &[u8]| refused(name, with_names(root, der(0x30, &der(URI, uri)), false));
    let text = |name: &str, uri: &str| bytes(name, uri.as_bytes());
    vec![
        text("a percent sign and digits for a letter", "spiffe://kith.test/org/R1%48/role/ed"),
        text("a percent sign and digits in the role", "spiffe://kith.test/org/R1H/role/%65d"),
        text("the scheme in capitals", "SPIFFE://kith.test/org/R1H/role/ed"),
        text("the trust domain in capitals", "spiffe://KITH.TEST/org/R1H/role/ed"),
        text("a stroke at the end", "spiffe://kith.test/org/R1H/role/ed/"),
        text("a question", "spiffe://kith.test/org/R1H/role/ed?x"),
        text("a fragment", "spiffe://kith.test/org/R1H/role/ed#x"),
        text("a step up", "spiffe://kith.test/org/RJ1/../R1H/role/ed"),
        text("a space before it", " spiffe://kith.test/org/R1H/role/ed"),
        text("a line end after it", "spiffe://kith.test/org/R1H/role/ed\n"),
        text("a zero after it", "spiffe://kith.test/org/R1H/role/ed\0"),
        text("a zero within", "spiffe://kith.test/org/R1H/role/ed\0.example"),
        text("a letter of another script", "spiffe://kith.test/org/R1H/role/\u{435}d"),
        text("digits of another script", "spiffe://kith.test/org/R\u{ff11}H/role/ed"),
        text("a mark before it", "\u{feff}spiffe://kith.test/org/R1H/role/ed"),
        bytes("bytes that are no text", b"spiffe://kith.test/org/R1H/role/ed\xff"),
        bytes("two bytes a letter", &ED.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()),
        text("an empty URI", ""),
    ]
}

/// The identity is there, but not as the one URI of one extension in DER.
fn structures(root: &Authority) -> Vec<Case> {
    let identity = der(URI, ED.as_bytes());
    let names = |name: &str, content: Vec<u8>| refused(name, with_names(root, content, false));
    let listed = |name: &str, of: &[u8]| names(name, der(0x30, of));
    let body = ED.as_bytes();
    let length = u8::try_from(body.len()).unwrap();
    let longer = [&[URI, 0x81, length][..], body].concat();
    let longest = [&[URI, 0x82, 0, length][..], body].concat();
    let endless = [&[URI, 0x80][..], body, &[0, 0]].concat();
    let twice = root.issue(&[ED], |params| {
        let again = CustomExtension::from_oid_content(&ALTERNATIVE_NAMES, der(0x30, &der(HOST, b"a.example")));
        params.custom_extensions = vec![again];
    });
    let mail = root.issue(&[], |params| params.subject_alt_names = vec![SanType::Rfc822Name(ED.try_into().unwrap())]);
    vec![
        taken("in plain DER", with_names(root, der(0x30, &identity), false)),
        taken("in a critical extension", with_names(root, der(0x30, &identity), true)),
        taken(
            "beside a host",
            with_names(root, der(0x30, &[der(HOST, b"a.example"), identity.clone()].concat()), false),
        ),
        listed("as a host", &der(HOST, body)),
        listed("as an e-mail address", &der(EMAIL, body)),
        refused("as an e-mail address of a certificate maker", mail),
        listed("in pieces", &der(0xa6, &der(0x16, body))),
        listed("as a string of no kind of name", &der(0x16, body)),
        listed("beside a URI that is no text", &[identity.clone(), der(URI, b"\xff\xfe")].concat()),
        listed("beside an empty URI", &[identity.clone(), der(URI, b"")].concat()),
        listed("beside another in pieces", &[identity.clone(), der(0xa6, &der(0x16, LA.as_bytes()))].concat()),
        listed("with its length in two bytes", &longer),
        listed("with its length in three bytes", &longest),
        listed("without a length", &endless),
        listed("cut short", &identity[..identity.len() - 1]),
        names("in no sequence", identity.clone()),
        names("in a set", der(0x31, &identity)),
        names("with something after the sequence", [der(0x30, &identity), vec![5, 0]].concat()),
        names("in an empty extension", Vec::new()),
        names("in an empty sequence", der(0x30, &[])),
        refused("beside a second extension of names", twice),
    ]
}
