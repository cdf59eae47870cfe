//! What proves a person and what does not: every way to bend a token, at the boundaries of time, and across a reload.

use std::path::Path;

use kith_domain::caller::{Caller, Purpose};
use kith_domain::proof::ProvenPerson;
use kith_domain::text::{PersonText, RoleCode, UserId};
use ring::hmac;
use serde_json::{Value, json};

use super::testing::{
    BEGINNING, ISSUED, ISSUER, LIFE, Signer, after_ms, claims, encoded, key_set, list, metadata, table, trust, with,
    without,
};
use super::*;

const KEYS: &str = include_str!("vectors/keys.json");
const TOKENS: &str = include_str!("vectors/tokens.txt");

/// Milliseconds that clocks may differ by, as the list says when it says nothing.
const SKEW_MS: i64 = 60_000;

fn issuer(signers: &[&Signer]) -> Arc<Issuer> {
    Arc::clone(&table(true, &key_set(signers)).organisations[&trust()])
}

fn caller(user_id: &str, user_name: &str, role_code: &str) -> Caller {
    Caller {
        user_id: UserId::parse(user_id).unwrap(),
        user_name: PersonText::parse(user_name).unwrap(),
        user_role: PersonText::parse("whatever").unwrap(),
        purpose: Purpose::DirectCare,
        organisation: trust(),
        role_code: RoleCode::parse(role_code).unwrap(),
    }
}

/// What a token proves a moment after it was issued.
fn found(issuer: &Issuer, token: &str) -> Result<PersonDigest, Unproven> {
    issuer.prove(token, trust(), after_ms(1)).map(|proven| proven.person)
}

#[test]
fn a_token_proves_the_person_whom_it_names_and_nobody_else() {
    let signer = Signer::new(1);
    let issuer = issuer(&[&signer]);
    let proven = found(&issuer, &signer.token(&claims())).unwrap();
    assert_eq!(proven, digest_of(&caller("n1", "Zebedee Nurse", "R8000")));
    for other in [
        caller("n2", "Zebedee Nurse", "R8000"),
        caller("n1", "Zebedee nurse", "R8000"),
        caller("n1", "Zebedee Nurse", "R8001"),
        caller("n1Z", "ebedee Nurse", "R8000"),
    ] {
        assert_ne!(proven, digest_of(&other));
    }
    let audiences = with("aud", json!(["https://other.example", testing::AUDIENCE]));
    assert!(found(&issuer, &signer.token(&audiences)).is_ok());
    for kind in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        let mut header = signer.header();
        header["typ"] = kind.into();
        assert!(found(&issuer, &signer.sign(&header.to_string(), &claims().to_string())).is_ok(), "{kind}");
    }
    let header = json!({"alg": "EdDSA", "kid": signer.kid});
    assert!(found(&issuer, &signer.sign(&header.to_string(), &claims().to_string())).is_ok(), "no typ");
}

/// Made by OpenSSL, of which this service has nothing.
#[test]
fn tokens_made_elsewhere_stand_for_each_algorithm_and_no_altered_one_does() {
    let issuer = Arc::clone(&table(true, KEYS).organisations[&trust()]);
    assert_eq!(TOKENS.lines().count(), 3);
    for token in TOKENS.lines() {
        assert_eq!(found(&issuer, token), Ok(digest_of(&caller("n1", "A Nurse", "R8000"))));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = TOKENS.lines().find(|other| *other != token).unwrap().rsplit_once('.').unwrap().1;
        let turned: String = signature.chars().rev().collect();
        for signature in [other, &turned, "", &signature[4..]] {
            let refused = found(&issuer, &format!("{signed}.{signature}")).unwrap_err();
            // Turned round, its last letter may leave bits over.
            assert!(matches!(refused, Unproven::NotTrusted | Unproven::Unreadable), "{refused}");
        }
        let (header, _) = signed.split_once('.').unwrap();
        let payload = encoded(with("name", "Another").to_string());
        assert_eq!(found(&issuer, &format!("{header}.{payload}.{signature}")), Err(Unproven::NotTrusted));
    }
}

#[test]
fn an_algorithm_is_the_keys_and_never_the_tokens() {
    let (signer, stranger) = (Signer::new(1), Signer::new(2));
    let issuer = issuer(&[&signer]);
    let unsigned = |header: &Value| format!("{}.{}", encoded(header.to_string()), encoded(claims().to_string()));
    for algorithm in ["none", "None", "ES256", "RS256", "HS256", "eddsa", "Ed25519", ""] {
        let header = json!({"alg": algorithm, "kid": signer.kid, "typ": "JWT"});
        let token = signer.sign(&header.to_string(), &claims().to_string());
        assert_eq!(found(&issuer, &token), Err(Unproven::NotTrusted), "{algorithm}");
        assert_eq!(found(&issuer, &format!("{}.", unsigned(&header))), Err(Unproven::NotTrusted), "{algorithm}");
    }
    // The public key taken for a secret.
    let header = json!({"alg": "HS256", "kid": signer.kid, "typ": "JWT"});
    for secret in [signer.public().to_vec(), encoded(signer.public()).into_bytes(), key_set(&[&signer]).into_bytes()] {
        let signed = unsigned(&header);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
        assert_eq!(found(&issuer, &format!("{signed}.{}", encoded(tag))), Err(Unproven::NotTrusted));
    }
    // Another's key under a known name, under its own, and brought along.
    let named = json!({"alg": "EdDSA", "kid": signer.kid});
    assert_eq!(found(&issuer, &stranger.sign(&named.to_string(), &claims().to_string())), Err(Unproven::NotTrusted));
    assert_eq!(found(&issuer, &stranger.token(&claims())), Err(Unproven::NotTrusted));
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(stranger.public())});
    let brought = json!({"alg": "EdDSA", "kid": signer.kid, "jwk": jwk, "jku": "https://evil.example/keys"});
    assert_eq!(found(&issuer, &stranger.sign(&brought.to_string(), &claims().to_string())), Err(Unproven::NotTrusted));
}

#[test]
fn a_key_is_its_own_issuers_whatever_another_calls_one() {
    let (here, mut there) = (Signer::new(1), Signer::new(2));
    there.kid = here.kid.clone();
    let first = list("R1H", true).replace("listed = 1", "listed = 2");
    let second = list("RRK", true).split_off(BEGINNING.len()).replace("keys.json", "there.json");
    let keys_of = |path: &Path| Ok(key_set(&[if path == Path::new("there.json") { &there } else { &here }]));
    let table = file::table(&format!("{first}{second}"), keys_of).unwrap();
    let other = OdsCode::parse("RRK").unwrap();
    let of = |organisation: OdsCode, signer: &Signer| {
        let token = signer.token(&with("organisation", organisation.as_str()));
        table.organisations[&organisation].prove(&token, organisation, after_ms(1)).map(|_| ())
    };
    assert_eq!((of(trust(), &here), of(other, &there)), (Ok(()), Ok(())));
    let not_trusted = Err(Unproven::NotTrusted);
    assert_eq!((of(trust(), &there), of(other, &here)), (not_trusted, not_trusted));
}

#[test]
fn a_header_that_is_not_understood_in_full_is_refused() {
    let signer = Signer::new(1);
    let issuer = issuer(&[&signer]);
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("typ", json!("JOSE")),
        ("typ", json!(7)),
        ("kid", json!(7)),
        ("alg", json!(null)),
    ] {
        let mut header = signer.header();
        header[name] = value;
        let token = signer.sign(&header.to_string(), &claims().to_string());
        assert_eq!(found(&issuer, &token), Err(Unproven::Unreadable), "{header}");
    }
    let twice = format!(r#"{{"alg":"none","kid":"{0}","alg":"EdDSA"}}"#, signer.kid);
    for header in ["{}", "", "[]", r#"{"alg":"EdDSA"}"#, &twice] {
        assert_eq!(found(&issuer, &signer.sign(header, &claims().to_string())), Err(Unproven::Unreadable), "{header}");
    }
}

#[test]
fn claims_must_be_there_and_of_this_issuer_for_this_service() {
    let signer = Signer::new(1);
    let issuer = issuer(&[&signer]);
    let of = |claims: &Value| found(&issuer, &signer.token(claims)).unwrap_err();
    for claims in [
        with("iss", "https://id.example/rrk"),
        with("iss", format!("{ISSUER}/")),
        with("iss", json!([ISSUER])),
        without("iss"),
        with("aud", "https://other.example"),
        with("aud", json!([])),
        with("aud", json!([7])),
        with("aud", json!({"https": testing::AUDIENCE})),
        without("aud"),
    ] {
        assert_eq!(of(&claims), Unproven::NotTrusted, "{claims}");
    }
    for name in ["sub", "name", "role_code", "organisation", "iat", "nbf", "exp"] {
        assert_eq!(of(&without(name)), Unproven::Unreadable, "{name}");
        assert_eq!(of(&with(name, json!(null))), Unproven::Unreadable, "{name}");
        assert_eq!(of(&with(name, json!([name]))), Unproven::Unreadable, "{name}");
    }
    for name in ["iat", "nbf", "exp"] {
        for odd in
            [json!("1790000000"), json!(1_790_000_000.5), json!(-1), json!(1e300), json!(u64::MAX), json!(i64::MAX)]
        {
            assert_eq!(of(&with(name, odd.clone())), Unproven::Unreadable, "{name} {odd}");
        }
    }
    assert_eq!(of(&with("organisation", "r1h")), Unproven::Unreadable);
    let twice = claims().to_string().replacen('{', r#"{"sub":"n2","#, 1);
    let disguised = claims().to_string().replacen('{', r#"{"\u0073ub":"n2","#, 1);
    let header = signer.header().to_string();
    for odd in [twice.as_str(), disguised.as_str(), "", "{}{}", "null"] {
        assert_eq!(found(&issuer, &signer.sign(&header, odd)), Err(Unproven::Unreadable), "{odd}");
    }
}

/// As the list names them, and under no other name.
#[test]
fn role_and_organisation_are_read_from_the_claims_that_the_list_names() {
    let signer = Signer::new(1);
    let named = "role_code_claim = \"title\"\norganisation_claim = \"https://id.example/org\"\n";
    let text = format!("{}{named}", list("R1H", true));
    let table = file::table(&text, |_| Ok(key_set(&[&signer]))).unwrap();
    let issuer = &table.organisations[&trust()];
    let mut good = without("role_code");
    good.as_object_mut().unwrap().remove("organisation");
    good["title"] = "R8000".into();
    good["https://id.example/org"] = "R1H".into();
    assert_eq!(found(issuer, &signer.token(&good)), Ok(digest_of(&caller("n1", "Zebedee Nurse", "R8000"))));
    // What stands under the usual names is not looked at.
    (good["role_code"], good["organisation"]) = ("R8001".into(), "RRK".into());
    assert_eq!(found(issuer, &signer.token(&good)), Ok(digest_of(&caller("n1", "Zebedee Nurse", "R8000"))));
    assert_eq!(found(issuer, &signer.token(&claims())), Err(Unproven::Unreadable));
}

#[test]
fn time_counts_to_the_millisecond_on_both_sides_also_for_a_token_that_is_known() {
    let signer = Signer::new(1);
    let ends_ms = LIFE * 1_000 + SKEW_MS;
    let (good, early) = (signer.token(&claims()), signer.token(&with("nbf", ISSUED - 500)));
    for (token, ms, expected) in [
        (&good, -SKEW_MS - 1, Err(Unproven::NotYetValid)),
        (&good, -SKEW_MS, Ok(())),
        (&good, ends_ms - 1, Ok(())),
        (&good, ends_ms, Err(Unproven::Expired)),
        // Issued in the future, whatever it says of its beginning.
        (&early, -SKEW_MS - 1, Err(Unproven::NotYetValid)),
        (&early, -SKEW_MS, Ok(())),
    ] {
        let issuer = issuer(&[&signer]);
        for known in [false, true] {
            let proven = issuer.prove(token, trust(), after_ms(ms)).map(|_| ());
            assert_eq!(proven, expected, "{ms} known: {known}");
            assert_eq!(issuer.prove(token, trust(), after_ms(1)).unwrap().until, after_ms(ends_ms));
            assert_eq!(issuer.kept(), 1);
        }
    }
    let issuer = issuer(&[&signer]);
    for (exp, expected) in [(3_600, Ok(())), (3_601, Err(Unproven::Lifetime)), (0, Err(Unproven::Lifetime))] {
        let proven = found(&issuer, &signer.token(&with("exp", ISSUED + exp))).map(|_| ());
        assert_eq!(proven, expected, "{exp}");
    }
    let before = with("exp", ISSUED - 1);
    assert_eq!(found(&issuer, &signer.token(&before)), Err(Unproven::Lifetime));
}

#[test]
fn another_organisations_token_proves_nobody_here() {
    let signer = Signer::new(1);
    let issuer = issuer(&[&signer]);
    let (token, other) = (signer.token(&claims()), OdsCode::parse("RRK").unwrap());
    for _ in 0..2 {
        assert_eq!(issuer.prove(&token, other, after_ms(1)), Err(Unproven::OtherOrganisation));
    }
    found(&issuer, &token).unwrap();
    assert_eq!(issuer.prove(&token, other, after_ms(1)), Err(Unproven::OtherOrganisation), "known by now");
}

#[test]
fn huge_and_odd_tokens_are_refused() {
    let signer = Signer::new(1);
    let issuer = issuer(&[&signer]);
    let good = signer.token(&claims());
    let huge = signer.token(&with("more", "x".repeat(9_000)));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    // Four bits are over in the last letter of 64 bytes' base64, and one spelling alone sets none of them.
    let last = signature.chars().next_back().unwrap();
    let other = char::from(u8::try_from(last).unwrap() + 1);
    let respelled = format!("{}{other}", &signature[..signature.len() - 1]);
    for odd in [
        huge.as_str(),
        "",
        ".",
        "..",
        "...",
        "....",
        &format!("{header}.{payload}"),
        &format!("{good}.{signature}"),
        &format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        &format!("{good}="),
        &format!("{good} "),
        &format!(" {good}"),
        &format!("{header}.{payload}.{respelled}"),
        &format!("{header}=.{payload}.{signature}"),
        &format!("{header}.{payload}.+/{signature}"),
        &format!("{header}.{payload}.\u{e9}{signature}"),
        &"a.".repeat(4_000),
    ] {
        assert_eq!(found(&issuer, odd), Err(Unproven::Unreadable), "{}", &odd[..odd.len().min(40)]);
    }
    assert_eq!(issuer.kept(), 0, "what is refused is not kept");
}

#[test]
fn one_bearer_token_is_read_from_the_metadata() {
    let signer = Signer::new(1);
    let tokens = PersonTokens::default();
    let good = signer.token(&claims());
    let bearer = format!("Bearer {good}");
    let of = |values: &[&str]| tokens.proof(trust(), &metadata(values), || after_ms(1));
    assert_eq!(of(&["whatever"]), PersonProof::NotAsked, "nobody is listed");
    let unproven = |why| PersonProof::Unproven(why);
    for required in [false, true] {
        tokens.put_in_force(table(required, &key_set(&[&signer])));
        assert!(matches!(of(&[&bearer]), PersonProof::Proven(_)));
        assert!(matches!(of(&[&format!("bEARER {good}")]), PersonProof::Proven(_)));
        let none = if required { unproven(Unproven::Missing) } else { PersonProof::NotAsked };
        assert_eq!(of(&[]), none);
        assert_eq!(tokens.is_needed(trust()), required);
        let spaced = format!("Bearer  {good}");
        for odd in ["Bearer", "", "Basic YTpi", &good, &spaced] {
            assert_eq!(of(&[odd]), unproven(Unproven::Unreadable), "what cannot be read is not as good as nothing");
        }
        assert_eq!(of(&[&bearer, &bearer]), unproven(Unproven::Unreadable));
        let other = OdsCode::parse("RRK").unwrap();
        assert!(!tokens.is_needed(other));
        let proof =
            tokens.proof(other, &metadata(&["Basic YTpi"]), || panic!("no clock is read for who is not listed"));
        assert_eq!(proof, PersonProof::NotAsked);
    }
}

#[test]
fn a_key_that_is_gone_proves_nobody_from_then_on() {
    let (old, new) = (Signer::new(1), Signer::new(2));
    let tokens = PersonTokens::default();
    let of = |signer: &Signer| {
        let bearer = format!("Bearer {}", signer.token(&claims()));
        tokens.proof(trust(), &metadata(&[&bearer]), || after_ms(1))
    };
    let not_trusted = PersonProof::Unproven(Unproven::NotTrusted);
    tokens.put_in_force(table(true, &key_set(&[&old])));
    assert!(matches!(of(&old), PersonProof::Proven(_)) && of(&new) == not_trusted);
    tokens.put_in_force(table(true, &key_set(&[&old, &new])));
    assert!(matches!(of(&old), PersonProof::Proven(_)) && matches!(of(&new), PersonProof::Proven(_)));
    tokens.put_in_force(table(true, &key_set(&[&new])));
    assert!(of(&old) == not_trusted && matches!(of(&new), PersonProof::Proven(_)));
    tokens.put_in_force(Arc::default());
    assert_eq!(of(&old), PersonProof::NotAsked);
}

/// What goes on behind its call's beginning asks this.
#[test]
fn what_proved_somebody_proves_nobody_once_its_key_is_gone_or_trusted_for_something_else() {
    let (old, new, mut named_alike) = (Signer::new(1), Signer::new(2), Signer::new(3));
    named_alike.kid = old.kid.clone();
    let tokens = PersonTokens::default();
    let (text, keys) = (list("R1H", true), key_set(&[&old]));
    let put_in_force = |text: &str, keys: &str| {
        tokens.put_in_force(Arc::new(file::table(text, |_| Ok(keys.to_owned())).unwrap()));
    };
    put_in_force(&text, &keys);
    let bearer = format!("Bearer {}", old.token(&claims()));
    // Told anew, and known.
    let [by, again] = [0, 1].map(|_| match tokens.proof(trust(), &metadata(&[&bearer]), || after_ms(1)) {
        PersonProof::Proven(ProvenPerson { person: _, until: _, by }) => by,
        other @ (PersonProof::NotAsked | PersonProof::Unproven(_)) => panic!("{other:?}"),
    });
    assert_eq!(by, again);
    for (text, keys, proves) in [
        (&text, &keys, true),
        (&text, &key_set(&[&new, &old]), true),
        (&text.replace("required = true", "required = false"), &keys, true),
        (&text, &key_set(&[&new]), false),
        (&text, &key_set(&[&named_alike]), false),
        (&text.replace(ISSUER, "https://id.example/rrk"), &keys, false),
        (&text.replace(testing::AUDIENCE, "https://other.example"), &keys, false),
        (&format!("{text}role_code_claim = \"title\"\n"), &keys, false),
        (&text.replace("R1H", "RRK"), &keys, true),
    ] {
        put_in_force(text, keys);
        assert_eq!(tokens.still_prove(trust(), by), proves, "{text} {keys}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_names_nobody() {
    let signer = Signer::new(1);
    let keys = keys::read(key_set(&[&signer]).as_bytes()).unwrap();
    let terms = claims::Terms {
        issuer: ISSUER.to_owned(),
        audience: testing::AUDIENCE.to_owned(),
        role_code_claim: "role_code".to_owned(),
        organisation_claim: "organisation".to_owned(),
        clock_skew_s: 60,
        max_lifetime_s: 3_600,
    };
    let issuer = Issuer::new(true, terms, keys, 4);
    let first = signer.token(&with("jti", 0));
    for id in 0..50 {
        found(&issuer, &signer.token(&with("jti", id))).unwrap();
        found(&issuer, &first).unwrap();
        assert!(issuer.kept() <= 8, "{}", issuer.kept());
    }
    let tokens = PersonTokens::default();
    tokens.put_in_force(table(true, &key_set(&[&signer])));
    let shown = format!("{issuer:?} {tokens:?}");
    assert!(shown.contains("Issuer") && !shown.contains("Zebedee") && !shown.contains(&signer.kid), "{shown}");
}
