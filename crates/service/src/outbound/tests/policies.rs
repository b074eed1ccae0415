//! MTA-STS and DANE, with servers that prove who they are and with others.

use std::sync::Mutex;

use sha2::{Digest, Sha256};

use super::servers::web;
use super::*;
use crate::dns::Tlsa;

const MODES: &str = "version: STSv1\r\nmode: MODE\r\nmx: mx.d.example\r\nmax_age: 86400\r\n";

struct Scene {
    server: Server,
    outbound: Outbound,
    asked: Arc<Mutex<usize>>,
}

/// A domain with a policy, and its server.
async fn scene(policy: &str, head: &str, tls: Option<&str>) -> Scene {
    let house = House::new();
    let tls = tls.map(|name| house.server(name).0);
    let server = Server::start("127.0.0.1:0", Manners { offers: vec!["PIPELINING"], tls, ..Manners::default() }).await;
    let answer = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{policy}", policy.len());
    let (at, asked) = web("127.0.0.1:0", house.server("mta-sts.d.example").0, answer).await;
    let record = Record::Txt(b"v=STSv1; id=1;".to_vec());
    let table = table(server.address)
        .with("_mta-sts.d.example", Kind::Txt, &[record])
        .address("mta-sts.d.example", "127.0.0.1");
    let settings = Settings { policy_port: at.port(), root: Some(house.pem()), ..settings(server.address.port()) };
    Scene { server, outbound: outbound(settings, table), asked }
}

const OK: &str = "HTTP/1.1 200 Ok\r\nContent-Type: text/plain; charset=utf-8";

async fn check(policy: &str, head: &str, tls: Option<&str>, expect: &str) -> Scene {
    let scene = scene(policy, head, tls).await;
    for _ in 0..2 {
        let carried = scene.outbound.carry(batch("d.example", &["b@d.example"]), None).await;
        let said = only(&carried);
        assert!(said.starts_with(expect), "{said} and not {expect}: {}", carried.conversation);
        assert_eq!(scene.server.has("MAIL"), expect == "+");
    }
    assert_eq!(*scene.asked.lock().unwrap(), 1, "a policy is asked for once");
    scene
}

#[tokio::test]
async fn an_enforced_policy_lets_nothing_pass_but_what_it_says() {
    let enforce = MODES.replace("MODE", "enforce");
    let scene = check(&enforce, OK, Some("mx.d.example"), "+").await;
    assert!(scene.server.has("ENCRYPTED"));
    check(&enforce, OK, Some("mx.other.example"), "~4.7.5").await;
    check(&enforce, OK, None, "~4.7.5").await;
    check(&enforce.replace("mx.d", "mx.other"), OK, Some("mx.d.example"), "~4.7.5").await;
}

#[tokio::test]
async fn a_policy_that_is_tested_stops_nothing() {
    let testing = MODES.replace("MODE", "testing");
    for tls in [Some("mx.d.example"), Some("mx.other.example"), None] {
        check(&testing, OK, tls, "+").await;
    }
    check(&testing.replace("mx.d", "mx.other"), OK, Some("mx.d.example"), "+").await;
    check(&MODES.replace("MODE", "none"), OK, None, "+").await;
}

#[tokio::test]
async fn what_is_no_policy_is_none() {
    let enforce = MODES.replace("MODE", "enforce");
    for head in [
        "HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Type: text/plain",
        "HTTP/1.1 404 No",
        "HTTP/1.1 200 Ok\r\nContent-Type: text/html",
    ] {
        check(&enforce, head, None, "+").await;
    }
    check("version: STSv2\r\n", OK, None, "+").await;
    let long = format!("{enforce}x: {}\r\n", "y".repeat(64 * 1024));
    check(&long, OK, None, "+").await;
}

/// A server with a certificate, and what the DNS says of it.
async fn dane(record: impl Fn(&House, &[u8]) -> Tlsa, proven: bool, tls: bool) -> (Carried<Kept>, Server) {
    let house = House::new();
    let (config, leaf) = house.server("mx.d.example");
    let tls = tls.then_some(config);
    let server = Server::start("127.0.0.1:0", Manners { offers: vec!["PIPELINING"], tls, ..Manners::default() }).await;
    let (mx, address) = ([mx(10, "mx.d.example")], [of_address(server.address.ip())]);
    let name = format!("_{}._tcp.mx.d.example", server.address.port());
    let tlsa = [Record::Tlsa(record(&house, &leaf))];
    let table = if proven {
        Table::default().proven("d.example", Kind::Mx, &mx).proven("mx.d.example", Kind::A, &address).proven(
            &name,
            Kind::Tlsa,
            &tlsa,
        )
    } else {
        table(server.address).with(&name, Kind::Tlsa, &tlsa)
    };
    let outbound = outbound(settings(server.address.port()), table);
    (outbound.carry(batch("d.example", &["b@d.example"]), None).await, server)
}

fn record(usage: u8, certificate: &[u8]) -> Tlsa {
    Tlsa { usage, selector: 0, matching: 1, data: Sha256::digest(certificate).to_vec() }
}

#[tokio::test]
async fn dane_counts_where_it_is_proved() {
    for proven in [true, false] {
        for (usage, tls, expect) in [(3, true, true), (3, false, false), (2, true, true)] {
            let (carried, server) =
                dane(|house, leaf| record(usage, if usage == 2 { &house.root } else { leaf }), proven, tls).await;
            let said = only(&carried);
            assert!(said.starts_with(if expect || !proven { "+" } else { "~4.7.5" }), "{usage} {proven} {tls}: {said}");
            assert_eq!(carried.conversation.contains(", verified"), proven && expect, "{}", carried.conversation);
            assert_eq!(server.has("MAIL"), expect || !proven);
        }
        let (carried, _) = dane(|_, _| record(3, b"another"), proven, true).await;
        assert!(only(&carried).starts_with(if proven { "~4.7.5" } else { "+" }), "{}", only(&carried));
    }
    // Records of no use say that there is TLS.
    let unusable = |_: &House, leaf: &[u8]| record(1, leaf);
    let (carried, _) = dane(unusable, true, true).await;
    assert!(only(&carried).starts_with('+') && carried.conversation.contains("not verified"));
    assert!(only(&dane(unusable, true, false).await.0).starts_with("~4.7.5"));
}

#[tokio::test]
async fn records_that_are_kept_from_us_stop_the_mail() {
    let server = Server::start("127.0.0.1:0", Manners::default()).await;
    let (mx, address) = ([mx(10, "mx.d.example")], [of_address(server.address.ip())]);
    let name = format!("_{}._tcp.mx.d.example", server.address.port());
    let table = Table::default()
        .proven("d.example", Kind::Mx, &mx)
        .proven("mx.d.example", Kind::A, &address)
        .failing(&name, Kind::Tlsa);
    let outbound = outbound(settings(server.address.port()), table);
    let carried = outbound.carry(batch("d.example", &["b@d.example"]), None).await;
    assert!(only(&carried).starts_with("~4.7.5") && !server.has("CONNECTED"));
}
