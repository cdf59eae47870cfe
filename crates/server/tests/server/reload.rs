//! Certificates replaced while connections are open.

use std::fs;

use rustls::version::TLS13;
use tonic::Code;

use crate::authority::{Authority, Pair};
use crate::harness::{ED, TestServer, call, client};

/// The server's certificate as a new connection sees it.
async fn presented(server: &TestServer, pair: &Pair) -> Vec<u8> {
    let stream = server.tls(Some(pair), &[&TLS13]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn replace(server: &TestServer) {
    server.authority.server().write(&server.path("server.pem"), &server.path("server.key"));
}

#[test]
fn new_connections_see_the_new_certificate_and_open_ones_go_on() {
    let server = TestServer::ready(|_| {});
    let pair = server.authority.client(&[ED]);
    client(async {
        let open = server.connect(&pair).await.unwrap();
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
        let before = presented(&server, &pair).await;
        replace(&server);
        assert_eq!(presented(&server, &pair).await, before, "only a reload may change it");
        server.tls.reload().unwrap();
        assert_ne!(presented(&server, &pair).await, before);
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
    });
}

#[test]
fn changed_files_are_noticed() {
    let server = TestServer::ready(|config| config.tls.reload_interval_ms = 50);
    let pair = server.authority.client(&[ED]);
    client(async {
        let open = server.connect(&pair).await.unwrap();
        let before = presented(&server, &pair).await;
        replace(&server);
        while presented(&server, &pair).await == before {
            tokio::task::yield_now().await;
        }
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
    });
}

#[test]
fn a_bad_new_file_keeps_the_old_one_in_force() {
    let server = TestServer::ready(|_| {});
    let pair = server.authority.client(&[ED]);
    client(async {
        let before = presented(&server, &pair).await;
        for (name, content) in [
            ("server.pem", String::from("no certificate")),
            ("server.key", String::new()),
            ("clients.pem", String::from("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            ("server.pem", Authority::new().server().certificate),
        ] {
            let path = server.path(name);
            let good = fs::read(&path).unwrap();
            fs::write(&path, &content).unwrap();
            assert!(server.tls.reload().is_err(), "{name} was taken");
            assert_eq!(presented(&server, &pair).await, before);
            fs::write(&path, good).unwrap();
        }
        server.tls.reload().unwrap();
    });
}

#[test]
fn a_removed_client_authority_is_out_for_new_connections() {
    let server = TestServer::ready(|_| {});
    let pair = server.authority.client(&[ED]);
    client(async {
        let open = server.connect(&pair).await.unwrap();
        let next = Authority::new();
        fs::write(server.path("clients.pem"), &next.pem).unwrap();
        server.tls.reload().unwrap();

        let refused = match server.connect(&pair).await {
            Ok(channel) => call(&channel, "Who", &[]).await.code() != Code::Ok,
            Err(_) => true,
        };
        assert!(refused);
        let taken = server.connect(&next.client(&[ED])).await.unwrap();
        assert_eq!(call(&taken, "Who", &[]).await.code(), Code::Ok);
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
    });
}
