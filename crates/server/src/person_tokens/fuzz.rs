//! What fuzzing calls: the readers of this module, one chosen by the first byte. Never used in production.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kith_domain::codes::OdsCode;
use kith_domain::time::Moment;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::claims::Terms;
use super::issuer::Issuer;
use super::{file, jws, keys};

/// The seed of the key that signs what is tried. It proves nobody anywhere else.
const SEED: [u8; 32] = [7; 32];
const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT","kid":"fuzz"}"#;
/// Later than any token that may be made at the moment of the trial.
const LATER_MS: i64 = 2 * 86_400_000;

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn pair() -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&SEED).ok()
}

fn key_set() -> Option<String> {
    let key = encoded(pair()?.public_key().as_ref());
    Some(format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"fuzz","use":"sig","x":"{key}"}}]}}"#))
}

fn signed(claims: &[u8]) -> Option<String> {
    let signed = format!("{}.{}", encoded(HEADER.as_bytes()), encoded(claims));
    let signature = encoded(pair()?.sign(signed.as_bytes()).as_ref());
    Some(format!("{signed}.{signature}"))
}

fn issuer() -> Option<Issuer> {
    let terms = Terms {
        issuer: String::from("https://id.example"),
        audience: String::from("kith"),
        role_code_claim: String::from("role_code"),
        organisation_claim: String::from("organisation"),
        clock_skew_s: 60,
        max_lifetime_s: 3_600,
    };
    Some(Issuer::new(true, terms, keys::read(key_set()?.as_bytes()).ok()?, 2))
}

/// A token: what is said of it the second time is what was said the first time, and in two days it proves nobody.
fn token(text: &str, at: Moment) -> Option<String> {
    let (issuer, organisation) = (issuer()?, OdsCode::parse("R1H").ok()?);
    let found = issuer.prove(text, organisation, at);
    assert_eq!(issuer.prove(text, organisation, at), found, "a token is judged otherwise the second time");
    if let Ok(proven) = found {
        assert!(proven.until > at, "a token proves somebody whose time is over");
        let later = issuer.prove(text, organisation, Moment(at.0.saturating_add(LATER_MS)));
        assert!(later.is_err(), "a token outlives its time");
    }
    Some(found.map_or_else(|why| why.reason().to_owned(), |_| String::from("proven")))
}

/// Takes any bytes, and says in a few words what became of them.
pub(crate) fn take(bytes: &[u8], at: Moment) -> String {
    let Some((kind, rest)) = bytes.split_first() else { return String::from("nothing") };
    let text = std::str::from_utf8(rest).unwrap_or_default();
    let said = match kind % 5 {
        0 => token(text, at),
        1 => signed(rest).and_then(|text| token(&text, at)),
        2 => Some(format!("header {}", jws::header_of(rest).is_some())),
        3 => Some(match keys::read(rest) {
            Ok(keys) => format!("{} keys", keys.len().min(9)),
            Err(reasons) => format!("{} reasons", reasons.len().min(9)),
        }),
        _ => {
            let keys = key_set().unwrap_or_default();
            Some(match file::table(text, |_| Ok(keys.clone())) {
                Ok(table) => format!("{} listed", table.organisations.len().min(9)),
                Err(reasons) => format!("{} reasons", reasons.len().min(9)),
            })
        }
    };
    said.unwrap_or_else(|| String::from("no key"))
}

/// Good inputs, each behind the byte that chooses its reader; a token among them counts at `at`.
pub(crate) fn seeds(at: Moment) -> Vec<Vec<u8>> {
    let seconds = at.0.div_euclid(1_000);
    let claims = serde_json::json!({
        "iss": "https://id.example", "aud": ["kith"], "sub": "n1", "name": "A Nurse", "role_code": "R8000",
        "organisation": "R1H", "iat": seconds, "nbf": seconds, "exp": seconds.saturating_add(600),
    })
    .to_string();
    let list = "version = 1\nlisted = 2\nclock_skew_s = 30\n[[organisation]]\ncodes = [\"R1H\", \"E06000001\"]\n\
                required = true\nissuer = \"https://id.example\"\naudience = \"kith\"\nkeys = \"keys.json\"\n";
    let whole = signed(claims.as_bytes()).unwrap_or_default();
    let texts =
        [(0, whole), (1, claims), (2, HEADER.to_owned()), (3, key_set().unwrap_or_default()), (4, list.to_owned())];
    texts.into_iter().map(|(kind, text)| [&[kind][..], text.as_bytes()].concat()).collect()
}
