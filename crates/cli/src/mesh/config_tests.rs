//! What a configuration may say, and how its mistakes are told.

use std::fs::{self, Permissions};

use super::*;

const MESH: &str = "[mesh]\nurl = 'https://mesh.example:443'\nmailbox = 'X26ABC1'\npassword_file = 'password'\n\
    shared_key_file = 'key'\nca = 'mesh-ca.pem'\ncert = 'mesh.pem'\nkey = 'mesh.key'\nworkflow = 'KITH_PLANS'\n\
    answer_workflow = 'KITH_PLANS_ACK'\nstate_dir = 'state'\n";
const KITH: &str = "[kith]\nserver = 'localhost:7443'\nca = 'ca.pem'\n";

fn mistakes(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh.toml");
    fs::write(&path, text).unwrap();
    load(&path).unwrap_err().message
}

fn sender(mailbox: &str, authority: &str) -> String {
    format!("[[sender]]\nmailbox = '{mailbox}'\nauthority = '{authority}'\ncert = 'c.pem'\nkey = 'c.key'\n")
}

#[test]
fn all_mistakes_are_told_together() {
    let text = format!(
        "{}{KITH}{}{}{}",
        MESH.replace("https://mesh", "http://mesh").replace("KITH_PLANS_ACK", "KITH_PLANS"),
        sender("X26ABC2", "E06000001"),
        sender("x26abc2", "Hartlepool"),
        sender("X26ABC1", "E06000002"),
    );
    let told = mistakes(&text);
    for words in [
        "mesh.url: expected https",
        "mesh.answer_workflow: expected another",
        "sender X26ABC2: it is listed twice",
        "Hartlepool is not a GSS code",
        "sender X26ABC1: expected another mailbox",
        "failed to read certificate file",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn unknown_keys_and_missing_senders_are_refused() {
    assert!(mistakes(&format!("{MESH}verify = false\n{KITH}")).contains("verify"));
    assert!(mistakes(&format!("{MESH}{KITH}")).contains("at least one [[sender]]"));
    assert!(mistakes(&format!("{MESH}poll_interval_seconds = 0\n{KITH}")).contains("poll_interval_seconds"));
    assert!(mistakes(&format!("{MESH}max_file_bytes = 0\n{KITH}")).contains("max_file_bytes"));
}

#[test]
fn a_secret_is_one_line_that_others_cannot_read_and_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let with = |text: &str, mode: u32| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        secret(&path)
    };
    assert_eq!(with("open sesame\n", 0o600).unwrap().as_str(), "open sesame");
    assert_eq!(with("open sesame\r\n", 0o640).unwrap().as_str(), "open sesame");
    assert!(with("open sesame\n", 0o644).unwrap_err().message.contains("others can reach it"));
    for bad in ["", "\n", "two\nlines\n", "caf\u{e9}\n"] {
        let told = with(bad, 0o600).unwrap_err().message;
        assert!(told.contains("expected one line") && !told.contains("two"), "{told}");
    }
}

#[test]
fn the_example_names_every_key() {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/mesh.toml")).unwrap();
    let file: File = toml::from_str(&example).unwrap();
    let mut told = Vec::new();
    check_mesh(&file.mesh, &mut told);
    assert_eq!(told, Vec::<String>::new());
    let Mesh { poll_interval_seconds: interval, request_timeout_seconds: timeout, max_file_bytes: bytes, .. } =
        file.mesh;
    assert_eq!((interval, timeout, bytes), (poll_interval_seconds(), request_timeout_seconds(), max_file_bytes()));
    for key in ["poll_interval_seconds", "request_timeout_seconds", "max_file_bytes", "timeout_ms"] {
        assert!(example.contains(&format!("\n{key} = ")), "{key}");
    }
    assert_eq!((file.kith.timeout_ms, file.sender.len()), (timeout_ms(), 2));
}
