//! Keys: published ones, and every mangled spelling.

use crate::{KeyError, KeyKind, LogSigner, VerifierKey, WitnessSigner, new_secret_pem};

/// From Go's note package, which everybody tests against.
pub(super) const PUBLISHED_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// The seed of that key, after a byte that says its kind.
pub(super) const PUBLISHED_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

pub(super) fn published_signer() -> LogSigner {
    let seed = crate::note::decode(PUBLISHED_SEED).unwrap()[1..].try_into().unwrap();
    LogSigner::from_seed("PeterNeumann", &seed).unwrap()
}

/// RFC 8410, section 10.3, and the public key of section 10.1.
const PUBLISHED_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const PUBLISHED_SPKI: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

#[test]
fn a_published_public_key_is_read_and_written() {
    let key: VerifierKey = PUBLISHED_KEY.parse().unwrap();
    assert_eq!((key.name(), key.kind(), key.id()), ("PeterNeumann", KeyKind::Log, [0xc7, 0x4f, 0x20, 0xa3]));
    assert_eq!(key.to_string(), PUBLISHED_KEY);
    assert_eq!(published_signer().key(), &key);
}

#[test]
fn no_part_and_no_neighbour_of_a_public_key_is_one() {
    for start in 0..=PUBLISHED_KEY.len() {
        for end in start..=PUBLISHED_KEY.len() {
            if (start, end) != (0, PUBLISHED_KEY.len()) {
                assert!(PUBLISHED_KEY[start..end].parse::<VerifierKey>().is_err(), "{start}..{end}");
            }
        }
    }
    for at in 0..PUBLISHED_KEY.len() {
        let mut bytes = PUBLISHED_KEY.as_bytes().to_vec();
        bytes[at] += 1;
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.parse::<VerifierKey>().is_err(), "{text}");
    }
    for bad in [
        // Too long, with the identifier that belongs to it.
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        // Of a kind that is not known, with the identifier that belongs to it.
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        // In capitals.
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        " PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
}

#[test]
fn a_key_under_another_name_is_the_one_that_its_seed_makes_there() {
    let [one, other] =
        ["w.test/1", "w.test/2"].map(|name| WitnessSigner::from_seed(name, &[7; 32]).unwrap().key().clone());
    assert_ne!(one.id(), other.id());
    assert_eq!(one.named("w.test/2").as_ref(), Ok(&other));
    assert_eq!(one.named("a name"), Err(KeyError::Name));
}

#[test]
fn a_key_of_one_kind_has_another_identifier_than_of_the_other() {
    let seed = [7; 32];
    let (log, witness) = (LogSigner::from_seed("a", &seed).unwrap(), WitnessSigner::from_seed("a", &seed).unwrap());
    assert_ne!(log.key().id(), witness.key().id());
    assert_ne!(log.key().id(), LogSigner::from_seed("b", &seed).unwrap().key().id());
    let read: VerifierKey = witness.key().to_string().parse().unwrap();
    assert_eq!((&read, read.kind()), (witness.key(), KeyKind::Witness));
}

#[test]
fn a_published_secret_key_gives_its_published_public_key() {
    let signer = LogSigner::from_pem("rfc8410", PUBLISHED_PEM).unwrap();
    let public: [u8; 32] = crate::note::decode(PUBLISHED_SPKI).unwrap()[12..].try_into().unwrap();
    assert_eq!(signer.key(), &VerifierKey::new("rfc8410", KeyKind::Log, public).unwrap());
}

#[test]
fn a_new_secret_key_is_read_back_and_never_the_same() {
    let (one, two) = (new_secret_pem().unwrap(), new_secret_pem().unwrap());
    assert_ne!(one, two);
    assert!(one.lines().all(|line| line.len() <= 64), "{} lines", one.lines().count());
    let signer = LogSigner::from_pem("kith.test/audit", &one).unwrap();
    let note = signer.sign("text\n").unwrap();
    assert_eq!(signer.key().verify(&note), Ok(()));
    let witness = WitnessSigner::from_pem("kith.test/audit", &one).unwrap();
    assert_eq!(witness.key().verify(&note), Err(KeyError::Kind));
}

#[test]
fn what_is_no_secret_key_is_refused() {
    for bad in [
        "",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        &PUBLISHED_PEM.replace("PRIVATE", "PUBLIC"),
        &PUBLISHED_PEM.replace("VhC\n", "Vh\n"),
        &format!("{PUBLISHED_PEM}more\n"),
        &format!(" {PUBLISHED_PEM}"),
    ] {
        assert_eq!(LogSigner::from_pem("a", bad).err(), Some(KeyError::Secret), "{} bytes", bad.len());
    }
}

#[test]
fn names_have_no_spaces_and_no_plus_signs() {
    for name in ["", " ", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2003}b", "a\u{7f}b", &"a".repeat(256)] {
        assert_eq!(LogSigner::from_seed(name, &[1; 32]).err(), Some(KeyError::Name), "{name:?}");
    }
    for name in ["a", "example.com/log", &"a".repeat(255)] {
        assert!(LogSigner::from_seed(name, &[1; 32]).is_ok(), "{name:?}");
    }
}

#[test]
fn a_signer_shows_its_public_half_only() {
    let signer = published_signer();
    assert_eq!(format!("{signer:?}"), format!("LogSigner({PUBLISHED_KEY})"));
    let witness = WitnessSigner::from_seed("w", &[1; 32]).unwrap();
    assert_eq!(format!("{witness:?}"), format!("WitnessSigner({})", witness.key()));
}
