//! Whole batches, to servers on loopback.

use std::net::{IpAddr, SocketAddr};

use sportello_store::StoredBody;
use sportello_wire::mail::Notify;
use sportello_wire::sasl::Password;

use super::table::{Table, mx, of_address};
use super::*;
use crate::dns::{Kind, Record};
use crate::queue::carrier::{Options, Reach, Reports, TlsNeed};
use crate::queue::{Destination, Fate, Recipient};

mod hostile;
mod policies;
mod servers;

use servers::{House, Manners, Server};

const TEXT: &str = "Subject: x\r\n\r\n.\r\ntext\r\n";

fn batch(destination: &str, recipients: &[&str]) -> Batch {
    let recipient =
        |address: &&str| Recipient { address: (*address).to_owned(), notify: Notify::default(), original: None };
    Batch {
        entry: 1,
        message: 2,
        destination: Destination::new(destination),
        prefix: Vec::new(),
        body: StoredBody::Memory(TEXT.into()),
        sender: "a@here.example".to_owned(),
        recipients: recipients.iter().map(recipient).collect(),
        options: Options::default(),
    }
}

fn settings(port: u16) -> Settings {
    Settings { port, allowed: vec!["127.0.0.0/8".parse().unwrap()], ..Settings::new("here.example") }
}

/// To a server at this address, by an MX record.
fn table(address: SocketAddr) -> Table {
    let mx = mx(10, "mx.d.example");
    Table::default().with("d.example", Kind::Mx, &[mx]).address("mx.d.example", &address.ip().to_string())
}

fn outbound(settings: Settings, table: Table) -> Outbound {
    Outbound::over(settings, Arc::new(table), None).unwrap()
}

/// One batch to one recipient of a server.
async fn carried(server: &Server) -> Carried<Kept> {
    let outbound = outbound(settings(server.address.port()), table(server.address));
    outbound.carry(batch("d.example", &["b@d.example"]), None).await
}

/// `+`, `~` or `-`, the status, the text.
fn told(fate: &Fate) -> String {
    let (mark, answer) = match fate {
        Fate::Delivered(answer) => ('+', answer),
        Fate::Deferred(answer) => ('~', answer),
        Fate::Failed(answer) => ('-', answer),
    };
    format!("{mark}{} {}", answer.status, answer.text)
}

fn only(carried: &Carried<Kept>) -> String {
    assert_eq!(carried.fates.len(), 1);
    told(&carried.fates[0])
}

#[tokio::test]
async fn a_message_arrives_and_the_connection_carries_the_next() {
    let server =
        Server::start("127.0.0.1:0", Manners { offers: vec!["PIPELINING", "DSN"], ..Manners::default() }).await;
    let outbound = outbound(settings(server.address.port()), table(server.address));
    let first = outbound.carry(batch("d.example", &["b@d.example", "no address"]), None).await;
    assert_eq!(told(&first.fates[0]), "+2.0.0 250 2.0.0 Ok: queued");
    assert_eq!(told(&first.fates[1]), "-5.1.3 no address is no address");
    assert_eq!((first.reach, first.reports), (Reach::Spoke, Reports::PassedOn));
    assert_eq!(first.server.as_deref(), Some("mx.d.example [127.0.0.1]"));
    for part in [
        "connected to mx.d.example [127.0.0.1]",
        "< 220 there",
        "> EHLO here.example",
        "> DATA",
        "bytes of the message",
    ] {
        assert!(first.conversation.contains(part), "{part} is not in {}", first.conversation);
    }
    let second = outbound.carry(batch("d.example", &["c@d.example"]), first.kept).await;
    assert!(only(&second).starts_with("+2.0.0") && second.conversation.contains("that was kept"));
    outbound.part(second.kept.unwrap()).await;
    let stuffed = format!("TEXT {}.\r\n", TEXT.replace("\r\n.\r\n", "\r\n..\r\n"));
    let expect = [
        "CONNECTED",
        "EHLO here.example",
        "MAIL FROM:<a@here.example>",
        "RCPT TO:<b@d.example>",
        "DATA",
        &stuffed,
        "MAIL FROM:<a@here.example>",
        "RCPT TO:<c@d.example>",
        "DATA",
        &stuffed,
        "QUIT",
    ];
    assert_eq!(server.seen(), expect);
}

#[tokio::test]
async fn by_chunks_nothing_is_doubled_and_signatures_come_first() {
    let server =
        Server::start("127.0.0.1:0", Manners { offers: vec!["CHUNKING", "SIZE 1000"], ..Manners::default() }).await;
    let outbound = outbound(settings(server.address.port()), table(server.address));
    let signed = Batch { prefix: b"Signature: x\r\n".to_vec(), ..batch("d.example", &["b@d.example"]) };
    assert!(only(&outbound.carry(signed, None).await).starts_with('+'));
    let whole = format!("Signature: x\r\n{TEXT}");
    assert!(server.has(&format!("BDAT {} LAST", whole.len())) && server.has("MAIL FROM:<a@here.example> SIZE="));
    assert_eq!(server.texts(), [whole]);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    fn closing(line: &str) -> Option<String> {
        (line == "END").then(|| "250 Ok\r\n421 I close\r\n".to_owned())
    }
    let manners = Manners { offers: vec!["PIPELINING"], instead: Some(closing), ..Manners::default() };
    let server = Server::start("127.0.0.1:0", manners).await;
    let outbound = outbound(settings(server.address.port()), table(server.address));
    let mut kept = None;
    for _ in 0..2 {
        let carried = outbound.carry(batch("d.example", &["b@d.example"]), kept.take()).await;
        assert!(only(&carried).starts_with('+'), "{}", carried.conversation);
        kept = carried.kept;
    }
    assert_eq!(server.seen().iter().filter(|line| *line == "CONNECTED").count(), 2);
}

#[tokio::test]
async fn the_next_server_is_asked_where_the_first_one_takes_nothing() {
    fn refusing(line: &str) -> Option<String> {
        line.is_empty().then(|| "554 5.7.1 No\r\n".to_owned())
    }
    let first = Server::start("127.0.0.2:0", Manners { instead: Some(refusing), ..Manners::default() }).await;
    let port = first.address.port();
    let second = Server::start(&format!("127.0.0.3:{port}"), Manners::default()).await;
    let hosts = [mx(1, "dead"), mx(2, "first"), mx(3, "nowhere"), mx(4, "second"), mx(5, "third")];
    let table = Table::default().with("d.example", Kind::Mx, &hosts);
    let table = table.address("dead", "127.0.0.4").address("first", "127.0.0.2").address("second", "127.0.0.3");
    let carried = outbound(settings(port), table).carry(batch("d.example", &["b@d.example"]), None).await;
    assert!(only(&carried).starts_with('+'), "{}", carried.conversation);
    assert!(first.has("CONNECTED") && second.has("TEXT"));
    assert_eq!(carried.server.as_deref(), Some("second [127.0.0.3]"));
}

#[tokio::test]
async fn more_recipients_than_a_server_takes_go_in_more_transactions() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    fn two_at_most(line: &str) -> Option<String> {
        if line.starts_with("MAIL") {
            TAKEN.store(0, Ordering::SeqCst);
        }
        let is_third = line.starts_with("RCPT") && TAKEN.fetch_add(1, Ordering::SeqCst) >= 2;
        is_third.then(|| "452 4.5.3 Enough\r\n".to_owned())
    }
    let manners = Manners { offers: vec!["PIPELINING"], instead: Some(two_at_most), ..Manners::default() };
    let server = Server::start("127.0.0.1:0", manners).await;
    let outbound = outbound(settings(server.address.port()), table(server.address));
    let recipients = ["a@d.example", "b@d.example", "c@d.example", "d@d.example", "e@d.example"];
    let carried = outbound.carry(batch("d.example", &recipients), None).await;
    assert!(carried.fates.iter().all(|fate| matches!(fate, Fate::Delivered(_))), "{:?}", carried.fates);
    assert_eq!(server.texts().len(), 3);
}

#[tokio::test]
async fn names_that_lead_nowhere_are_said_with_their_reasons() {
    let check = async |destination: &str, table: Table, expect: &str| {
        let carried = outbound(settings(25), table).carry(batch(destination, &["b@d.example"]), None).await;
        let said = only(&carried);
        assert!(said.starts_with(expect), "{said} and not {expect}");
        assert_eq!(carried.reach, Reach::Unreached);
    };
    let empty = Table::default;
    check("d.example", empty().with("d.example", Kind::Mx, &[mx(0, "")]), "-5.1.10").await;
    check("d.example", empty(), "-5.1.2").await;
    check("d.example", empty().failing("d.example", Kind::Mx), "~4.4.3").await;
    check("d.example", empty().with("d.example", Kind::Mx, &[mx(0, "here.example")]), "-5.4.6").await;
    check("d.example", empty().address("d.example", "10.0.0.1"), "~4.4.4").await;
    check("[10.0.0.1]", empty(), "~4.4.4").await;
    check("d.example", empty().with("d.example", Kind::Mx, &[mx(0, "mx")]), "~4.4.3").await;
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_is_silent_holds_nothing_up_for_ever() {
    let table = Table::default().silent("d.example", Kind::Mx);
    let carried = outbound(settings(25), table).carry(batch("d.example", &["b@d.example"]), None).await;
    assert!(only(&carried).starts_with("~4.4.2"));
}

#[tokio::test]
async fn a_server_that_is_ourselves_is_left() {
    fn ours(line: &str) -> Option<String> {
        line.starts_with("EHLO").then(|| "250 HERE.example\r\n".to_owned())
    }
    let server = Server::start("127.0.0.1:0", Manners { instead: Some(ours), ..Manners::default() }).await;
    let said = only(&carried(&server).await);
    assert!(said.starts_with("-5.4.6") && !server.has("MAIL"), "{said}");
    let socket = Server::start("127.0.0.1:0", Manners::default()).await;
    let us = Ourselves::new(&[], &[socket.address]);
    let outbound = outbound(Settings { ourselves: us, ..settings(socket.address.port()) }, table(socket.address));
    let said = only(&outbound.carry(batch("d.example", &["b@d.example"]), None).await);
    assert!(said.starts_with("-5.4.6") && !socket.has("CONNECTED"), "{said}");
}

#[tokio::test]
async fn tls_is_used_where_it_is_offered_whoever_it_is() {
    let (config, _) = House::new().server("somebody.example");
    let server = Server::start("127.0.0.1:0", Manners { tls: Some(config), ..Manners::default() }).await;
    let carried = carried(&server).await;
    assert!(only(&carried).starts_with('+'), "{}", carried.conversation);
    assert!(server.has("ENCRYPTED") && carried.conversation.contains("TLSv1_3"), "{}", carried.conversation);
    assert!(carried.conversation.contains("not verified"));
    assert_eq!(
        server.seen().iter().filter(|line| line.starts_with("EHLO")).count(),
        2,
        "what was said before is forgotten"
    );
}

#[tokio::test]
async fn a_handshake_that_fails_is_tried_without_where_nothing_forbids_it() {
    fn broken(line: &str) -> Option<String> {
        match line {
            "STARTTLS" => Some(" ".to_owned()),
            line if line.starts_with("EHLO") => Some("250-there.example\r\n250 STARTTLS\r\n".to_owned()),
            _ => None,
        }
    }
    fn no_handshake(line: &str) -> Option<String> {
        broken(line).map(|reply| if reply == " " { "220 Go\r\n".to_owned() } else { reply })
    }
    // It agrees, and closes.
    let server = Server::start("127.0.0.1:0", Manners { instead: Some(no_handshake), ..Manners::default() }).await;
    let carried = carried(&server).await;
    assert!(only(&carried).starts_with('+'), "{}", carried.conversation);
    assert!(carried.conversation.contains("once more without") && !server.has("ENCRYPTED"));
}

#[tokio::test]
async fn a_relay_is_verified_and_told_who_we_are() {
    let house = House::new();
    let (config, _) = house.server("relay.example");
    let relay = |port, tls, name: &str| Relay {
        host: "relay.example".to_owned(),
        port,
        tls,
        login: Some((name.to_owned(), Password::new("secret").unwrap())),
    };
    for (implicit, tls) in [(false, RelayTls::Required), (true, RelayTls::Implicit)] {
        let manners = Manners {
            offers: vec!["AUTH PLAIN", "PIPELINING"],
            tls: Some(Arc::clone(&config)),
            implicit,
            ..Manners::default()
        };
        let server = Server::start("127.0.0.1:0", manners).await;
        let port = server.address.port();
        let exit = Exit { relay: Some(relay(port, tls, "ada")), sources: vec!["127.0.0.7".parse::<IpAddr>().unwrap()] };
        let domains = [("here.example".to_owned(), exit)].into();
        // A relay may be anywhere, since it is configured.
        let settings = Settings { domains, root: Some(house.pem()), allowed: Vec::new(), ..settings(25) };
        let outbound = outbound(settings, Table::default().address("relay.example", "127.0.0.1"));
        let carried = outbound.carry(batch("d.example", &["b@d.example"]), None).await;
        assert!(only(&carried).starts_with('+'), "{}", carried.conversation);
        assert!(server.has("AUTH PLAIN AGFkYQBzZWNyZXQ="), "{:?}", server.seen());
        assert!(!carried.conversation.contains("AGFkYQ") && carried.conversation.contains("AUTH PLAIN (secret)"));
        // Another sender does not leave by it.
        let other = Batch { sender: "x@other.example".to_owned(), ..batch("d.example", &["b@d.example"]) };
        let carried = outbound.carry(other, carried.kept).await;
        assert!(only(&carried).starts_with("-5.1.2"), "{}", only(&carried));
    }
}

#[tokio::test]
async fn no_password_is_said_to_a_stranger_or_in_plain_text() {
    let house = House::new();
    let (config, _) = House::new().server("relay.example");
    let stranger = Manners { offers: vec!["AUTH PLAIN"], tls: Some(config), ..Manners::default() };
    let plain = Manners { offers: vec!["AUTH PLAIN"], ..Manners::default() };
    for (manners, tls) in
        [(stranger, RelayTls::Required), (plain.clone(), RelayTls::Required), (plain, RelayTls::Opportunistic)]
    {
        let server = Server::start("127.0.0.1:0", manners).await;
        let login = Some(("ada".to_owned(), Password::new("secret").unwrap()));
        let relay = Relay { host: "relay.example".to_owned(), port: server.address.port(), tls, login };
        let default = Exit { relay: Some(relay), sources: Vec::new() };
        let settings = Settings { default, root: Some(house.pem()), ..settings(25) };
        let outbound = outbound(settings, Table::default().address("relay.example", "127.0.0.1"));
        let carried = outbound.carry(batch("d.example", &["b@d.example"]), None).await;
        assert!(only(&carried).starts_with("~4.7."), "{}", only(&carried));
        assert!(!server.has("AUTH") && !server.has("MAIL"), "{:?}", server.seen());
    }
}

#[tokio::test]
async fn a_message_that_requires_tls_goes_only_where_that_is_certain() {
    let house = House::new();
    let (config, _) = house.server("mx.d.example");
    let required = || Batch {
        options: Options { tls: TlsNeed::Required, ..Options::default() },
        ..batch("d.example", &["b@d.example"])
    };
    let mx = [mx(10, "mx.d.example")];
    let check = async |offers: Vec<&'static str>, proven: bool, expect: &str| {
        let server =
            Server::start("127.0.0.1:0", Manners { offers, tls: Some(Arc::clone(&config)), ..Manners::default() })
                .await;
        let address = [of_address(server.address.ip())];
        let table = if proven {
            Table::default().proven("d.example", Kind::Mx, &mx).proven("mx.d.example", Kind::A, &address)
        } else {
            table(server.address)
        };
        let settings = Settings { root: Some(house.pem()), ..settings(server.address.port()) };
        let carried = outbound(settings, table).carry(required(), None).await;
        assert!(only(&carried).starts_with(expect), "{} and not {expect}", only(&carried));
        server
    };
    let server = check(vec!["REQUIRETLS"], true, "+").await;
    assert!(server.has("MAIL FROM:<a@here.example> REQUIRETLS"));
    assert!(!check(vec!["REQUIRETLS"], false, "-5.7.30").await.has("MAIL"), "nobody proves who its servers are");
    assert!(!check(vec!["PIPELINING"], true, "-5.7.30").await.has("MAIL"), "it would pass it on in plain text");
}
