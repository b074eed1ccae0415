//! Handshakes and bytes both ways in simulated time, with rustls as the client.

use std::cell::RefCell;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

use super::*;
use crate::channel::{Channel, Speaker};
use crate::connection::Connection;
use crate::deadline::{Deadlines, TICK};
use crate::rate::Often;
use crate::simulation::{self, Simulation};
use crate::{Buffer, UNIX_PEER};

mod ends;

/// An authority and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn sign(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn key(&self, name: &str) -> Arc<CertifiedKey> {
        let (certificate, key) = self.sign(name);
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate], key))
    }

    fn trusted(&self) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots)
    }
}

fn settings(client: &Client, times: u32) -> Settings {
    let handshakes = Often::per_minute(NonZeroU32::new(times).unwrap());
    Settings { client: client.clone(), handshakes, ..Settings::default() }
}

fn channel() -> Channel {
    Channel {
        index: 0,
        name: "secret".into(),
        address: "127.0.0.1:0".parse().unwrap(),
        loopback: true,
        speaker: Speaker::Client,
        deadlines: Deadlines::default(),
        most_connections: 10,
        backlog: 10,
    }
}

/// What a session said at its end.
type Told = Rc<RefCell<Vec<String>>>;

/// Shakes hands, then sends back all that comes.
async fn echo(mut connection: Box<Connection>, terms: Arc<Terms>, told: Told) {
    let secured = match connection.secure(&terms).await {
        Ok(secured) => secured,
        Err(ended) => return told.borrow_mut().push(format!("{ended}: {ended:?}")),
    };
    let protocol = secured.protocol.clone().map(|name| String::from_utf8(name).unwrap());
    told.borrow_mut().push(format!("{:?} {:?} {}", secured.name, protocol, secured.client.is_some()));
    let mut buffer = Buffer::new();
    loop {
        match connection.idle(&mut buffer).await {
            Ok(0) => break,
            Ok(_) => {
                let result = connection.write_all(buffer.filled()).await;
                buffer.consume(usize::MAX);
                if let Err(ended) = result {
                    return told.borrow_mut().push(ended.to_string());
                }
            }
            Err(ended) => return told.borrow_mut().push(ended.to_string()),
        }
    }
    connection.close().await;
    told.borrow_mut().push("closed".to_owned());
}

/// A client with its side of TLS.
struct Visitor {
    client: simulation::Client,
    session: ClientConnection,
}

impl Visitor {
    fn connect(
        simulation: &Simulation,
        terms: &Arc<Terms>,
        told: &Told,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> Self {
        let (terms, told) = (Arc::clone(terms), Rc::clone(told));
        let client = simulation
            .connect_from("192.0.2.1:5000".parse().unwrap(), |connection| echo(Box::new(connection), terms, told));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self { client, session: ClientConnection::new(Arc::clone(config), name).unwrap() }
    }

    /// Lets both sides say all they have to say.
    async fn talk(&mut self) -> Result<(), rustls::Error> {
        loop {
            let mut out = Vec::new();
            while self.session.wants_write() {
                self.session.write_tls(&mut out).unwrap();
            }
            if !out.is_empty() {
                self.client.send(out.clone()).await;
            }
            self.client.settle().await;
            let heard = self.client.heard();
            if heard.is_empty() && out.is_empty() {
                return Ok(());
            }
            self.hear(heard)?;
        }
    }

    fn hear(&mut self, heard: Vec<u8>) -> Result<(), rustls::Error> {
        let mut heard = Cursor::new(heard);
        while (heard.position() as usize) < heard.get_ref().len() {
            self.session.read_tls(&mut heard).unwrap();
            self.session.process_new_packets()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut piece = [0; 1000];
        while let Ok(count) = self.session.reader().read(&mut piece)
            && count > 0
        {
            all.extend_from_slice(&piece[..count]);
        }
        all
    }
}

/// A house with a certificate for `a.example`, and one that is shown by default.
fn house(authority: &Authority) -> Certificates {
    let certificates = Certificates::default();
    let (own, other) = (authority.key("a.example"), authority.key("default.example"));
    certificates.change(|table| {
        table.show("A.example", Arc::clone(&own));
        table.show_by_default(Arc::clone(&other));
    });
    certificates
}

fn shown(session: &ClientConnection) -> CertificateDer<'static> {
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn bytes_go_both_ways_and_the_end_is_told() {
    let authority = Authority::new();
    let terms = Terms::new(&house(&authority), &settings(&Client::Anyone, 60), &[b"http/1.1"], &Tickets::default());
    let terms = Arc::new(terms.unwrap());
    let mut config = authority.trusted().with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        let mut client = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        client.talk().await.unwrap();
        assert_eq!(*told.borrow(), ["Some(\"a.example\") Some(\"http/1.1\") false"]);
        // More than one record, more than one buffer, and less than one.
        for length in [1, 5_000, 16_384, 300_000] {
            let word: Vec<u8> = (0..length).map(|number| number as u8).collect();
            let mut back = Vec::new();
            for piece in word.chunks(30_000) {
                client.session.writer().write_all(piece).unwrap();
                client.talk().await.unwrap();
                back.extend(client.read());
            }
            assert!(back == word, "{} bytes of {length}", back.len());
        }
        client.session.send_close_notify();
        client.talk().await.unwrap();
        client.client.shut_down().await;
        assert_eq!(told.borrow().last().unwrap(), "closed");
        assert!(client.client.is_over());
    });
}

#[test]
fn a_changed_certificate_is_shown_with_the_next_handshake_and_no_connection_ends() {
    let authority = Authority::new();
    let certificates = house(&authority);
    let terms = Terms::new(&certificates, &settings(&Client::Anyone, 60), &[], &Tickets::default());
    let terms = Arc::new(terms.unwrap());
    let mut config = authority.trusted().with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        let mut first = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        first.talk().await.unwrap();
        let renewed = authority.key("a.example");
        certificates.change(|table| table.show("a.example", Arc::clone(&renewed)));
        let mut second = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        second.talk().await.unwrap();
        assert_ne!(shown(&first.session), shown(&second.session));
        assert_eq!(shown(&second.session), renewed.cert[0]);
        first.session.writer().write_all(b"still here").unwrap();
        first.talk().await.unwrap();
        assert_eq!(first.read(), b"still here");
    });
}

#[test]
fn a_name_is_looked_for_as_it_is_then_as_a_wildcard_of_one_label_then_by_default() {
    let authority = Authority::new();
    let certificates = Certificates::default();
    assert!(certificates.of("a.example").is_none());
    let keys: Vec<_> = ["a.example", "*.example", "default.example"].map(|name| authority.key(name)).into();
    certificates.change(|table| {
        table.show("a.example", Arc::clone(&keys[0]));
        table.show("*.Example", Arc::clone(&keys[1]));
    });
    assert!(certificates.of("x.b.example").is_none());
    certificates.change(|table| table.show_by_default(Arc::clone(&keys[2])));
    for (name, key) in [("A.Example", 0), ("b.example", 1), ("x.b.example", 2), ("example", 2), ("localhost", 2)] {
        assert!(Arc::ptr_eq(&certificates.of(name).unwrap(), &keys[key]), "{name}");
    }
    certificates.change(|table| {
        table.forget("a.example");
        table.forget("*.example");
    });
    assert!(Arc::ptr_eq(&certificates.of("a.example").unwrap(), &keys[2]));
}

#[test]
fn who_must_show_a_certificate_is_known_by_it_and_refused_without() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let must = Client::MustShow(vec![clients.certificate()]);
    let may = Client::MayShow(vec![clients.certificate()]);
    let (certificate, key) = clients.sign("anna");
    let with = authority.trusted().with_client_auth_cert(vec![certificate], key).unwrap();
    let (certificate, key) = authority.sign("anna");
    let with_another = authority.trusted().with_client_auth_cert(vec![certificate], key).unwrap();
    let without = authority.trusted().with_no_client_auth();
    let [with, with_another, without] = [with, with_another, without].map(Arc::new);
    for (policy, config, is_let_in, is_known) in [
        (&must, &with, true, true),
        (&must, &with_another, false, false),
        (&must, &without, false, false),
        (&may, &with, true, true),
        (&may, &with_another, false, false),
        (&may, &without, true, false),
    ] {
        let terms = Arc::new(Terms::new(&house(&authority), &settings(policy, 60), &[], &Tickets::default()).unwrap());
        simulation::run(channel(), async |simulation| {
            let told = Told::default();
            let mut client = Visitor::connect(simulation, &terms, &told, config, "a.example");
            let _ = client.talk().await;
            let said = told.borrow().join(" ");
            assert_eq!(said.starts_with("Some"), is_let_in, "{said}");
            assert_eq!(said.ends_with("true"), is_known, "{said}");
            assert_eq!(client.client.is_over(), !is_let_in);
        });
    }
}

#[test]
fn a_ticket_of_one_policy_opens_no_other_and_one_of_the_same_does() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let certificates = house(&authority);
    let must = Client::MustShow(vec![clients.certificate()]);
    let tickets = Tickets::default();
    let terms = |policy: &Client| Arc::new(Terms::new(&certificates, &settings(policy, 60), &[], &tickets).unwrap());
    let (open, again, closed) = (terms(&Client::Anyone), terms(&Client::Anyone), terms(&must));
    let config = Arc::new(authority.trusted().with_no_client_auth());
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        for (terms, expect) in
            [(&open, Some(HandshakeKind::Full)), (&again, Some(HandshakeKind::Resumed)), (&closed, None)]
        {
            let mut client = Visitor::connect(simulation, terms, &told, &config, "a.example");
            let result = client.talk().await;
            assert_eq!(result.is_ok(), expect.is_some(), "{result:?}");
            if expect.is_some() {
                assert_eq!(client.session.handshake_kind(), expect);
            }
        }
    });
    drop((open, again, closed));
    let fresh = terms(&Client::Anyone);
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        let mut client = Visitor::connect(simulation, &fresh, &told, &config, "a.example");
        client.talk().await.unwrap();
        assert_eq!(client.session.handshake_kind(), Some(HandshakeKind::Full), "a ticketer goes with the last terms");
    });
}

#[test]
fn a_ca_that_asks_is_answered_while_there_is_a_challenge_and_refused_after() {
    let authority = Authority::new();
    let certificates = house(&authority);
    let answer = authority.key("b.example");
    certificates.change(|table| table.answer_challenge("B.example", Arc::clone(&answer)));
    let terms = Terms::new(&certificates, &settings(&Client::Anyone, 60), &[b"http/1.1"], &Tickets::default());
    let terms = Arc::new(terms.unwrap());
    let mut config = authority.trusted().with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let config = Arc::new(config);
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        let mut client = Visitor::connect(simulation, &terms, &told, &config, "b.example");
        client.talk().await.unwrap();
        assert_eq!(shown(&client.session), answer.cert[0]);
        assert_eq!(client.session.alpn_protocol(), Some(&b"acme-tls/1"[..]));
        certificates.change(|table| table.end_challenge("b.example"));
        let mut client = Visitor::connect(simulation, &terms, &told, &config, "b.example");
        client.talk().await.unwrap_err();
    });
}

#[test]
fn who_says_that_he_is_a_ca_where_none_asks_is_asked_what_others_are() {
    let authority = Authority::new();
    let certificates = house(&authority);
    certificates.change(|table| table.answer_challenge("b.example", authority.key("b.example")));
    let strict = settings(&Client::MustShow(vec![authority.certificate()]), 60);
    let terms = || Terms::new(&certificates, &strict, &[], &Tickets::default()).unwrap();
    let mut config = authority.trusted().with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let config = Arc::new(config);
    for (terms, is_let_in) in [(terms(), true), (terms().without_challenges(), false)] {
        let terms = Arc::new(terms);
        simulation::run(channel(), async |simulation| {
            let told = Told::default();
            let mut client = Visitor::connect(simulation, &terms, &told, &config, "b.example");
            assert_eq!(client.talk().await.is_ok(), is_let_in);
            assert_eq!(told.borrow().join("").contains("acme-tls/1"), is_let_in, "{told:?}");
        });
    }
}

#[test]
fn a_handshake_that_stops_ends_in_time_and_none_more_begin_than_may() {
    let authority = Authority::new();
    let terms = Terms::new(&house(&authority), &settings(&Client::Anyone, 2), &[], &Tickets::default()).unwrap();
    let terms = Arc::new(terms);
    let config = Arc::new(authority.trusted().with_no_client_auth());
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        let mut silent = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        let mut half = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        let mut hello = Vec::new();
        half.session.write_tls(&mut hello).unwrap();
        hello.truncate(hello.len() / 2);
        half.client.send(hello).await;
        let third = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        silent.client.settle().await;
        assert!(told.borrow().join("").contains("TooOften") && third.client.has_ended());
        silent.client.pass(Deadlines::default().handshake - TICK).await;
        assert!(!silent.client.has_ended() && !half.client.has_ended());
        silent.client.pass(TICK).await;
        half.client.settle().await;
        assert!(silent.client.has_ended() && half.client.has_ended());
        assert_eq!(told.borrow().iter().filter(|said| said.contains("Handshake")).count(), 2);
    });
}

#[test]
fn what_is_no_handshake_is_told_so_and_ends() {
    let authority = Authority::new();
    let terms = Terms::new(&house(&authority), &settings(&Client::Anyone, 60), &[], &Tickets::default()).unwrap();
    let terms = Arc::new(terms);
    for (words, is_tls) in [
        (&b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..], false),
        (b"*1\r\n", false),
        (&[0; 600], false),
        (&[22, 3, 1, 0, 4, 2, 0, 0, 0], true),
        (&[22, b'G', b'E', b'T', b' ', b'/'], true),
        (&[0x80, 0x2e, 1, 0, 2, 0, 0], true),
    ] {
        simulation::run(channel(), async |simulation| {
            let told = Told::default();
            let (terms, said) = (Arc::clone(&terms), Rc::clone(&told));
            let mut client = simulation.connect_from(UNIX_PEER, |connection| echo(Box::new(connection), terms, said));
            client.send(words).await;
            client.settle().await;
            assert!(client.has_ended(), "{words:?}");
            let expect = if is_tls { "TLS failed" } else { "the peer does not speak TLS" };
            assert!(told.borrow()[0].starts_with(expect), "{told:?}");
            // A fatal alert (RFC 8446 §6), but only to who may understand it.
            let heard = client.heard();
            let alert = (heard.first(), heard.get(5)) == (Some(&21), Some(&2));
            assert!(alert == is_tls && heard.is_empty() != is_tls, "{heard:?}");
        });
    }
}

#[test]
fn a_name_may_ask_more_of_clients_and_what_another_name_let_in_does_not_open_it() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let must = Client::MustShow(vec![clients.certificate()]);
    let mut asked = settings(&Client::Anyone, 60);
    asked.clients = [("a.example", &must), ("*.b.example", &must), ("open.b.example", &Client::Anyone)]
        .map(|(name, client)| (name.to_owned(), client.clone()))
        .into();
    let terms = Terms::new(&house(&authority), &asked, &[], &Tickets::default()).unwrap();
    assert!(!terms.asks_all_the_same());
    for (one, other, expect) in [
        (Some("default.example"), None, true),
        (Some("a.example"), None, false),
        (Some("a.example"), Some("x.y.b.example"), true),
        (Some("open.b.example"), Some("x.b.example"), false),
        (Some("open.b.example"), Some("b.example"), true),
    ] {
        assert_eq!(terms.asks_the_same(one, other), expect, "{one:?} {other:?}");
    }
    let terms = Arc::new(terms);
    let config = Arc::new(authority.trusted().with_no_client_auth());
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        let mut open = Visitor::connect(simulation, &terms, &told, &config, "default.example");
        open.talk().await.unwrap();
        let mut closed = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        closed.talk().await.unwrap_err();
    });
}

#[test]
fn a_version_that_is_too_old_is_refused() {
    let authority = Authority::new();
    for (oldest, versions, expect) in [
        (Oldest::Tls12, &[&rustls::version::TLS12], Some("TLSv1.2")),
        (Oldest::Tls12, &[&rustls::version::TLS13], Some("TLSv1.3")),
        (Oldest::Tls13, &[&rustls::version::TLS12], None),
        (Oldest::Tls13, &[&rustls::version::TLS13], Some("TLSv1.3")),
    ] {
        let asked = Settings { oldest, ..settings(&Client::Anyone, 60) };
        let terms = Arc::new(Terms::new(&house(&authority), &asked, &[], &Tickets::default()).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        simulation::run(channel(), async |simulation| {
            let (said, terms) = (Rc::new(RefCell::new(None)), Arc::clone(&terms));
            let told = Rc::clone(&said);
            let client = simulation.connect_from(UNIX_PEER, async move |mut connection: Connection| {
                *told.borrow_mut() = connection.secure(&terms).await.ok().map(|secured| secured.version);
            });
            let name = ServerName::try_from("a.example").unwrap();
            let mut visitor = Visitor { client, session: ClientConnection::new(Arc::clone(&config), name).unwrap() };
            assert_eq!(visitor.talk().await.is_ok(), expect.is_some());
            assert_eq!(*said.borrow(), expect);
        });
    }
}

#[test]
fn a_client_that_does_not_read_is_waited_for_and_given_up() {
    let authority = Authority::new();
    let terms = Terms::new(&house(&authority), &settings(&Client::Anyone, 60), &[], &Tickets::default()).unwrap();
    let terms = Arc::new(terms);
    let config = Arc::new(authority.trusted().with_no_client_auth());
    simulation::run(channel(), async |simulation| {
        let told = Told::default();
        let mut client = Visitor::connect(simulation, &terms, &told, &config, "a.example");
        client.talk().await.unwrap();
        client.client.shut_ear();
        for _ in 0..40 {
            client.session.writer().write_all(&[b'x'; 16_000]).unwrap();
            let mut out = Vec::new();
            while client.session.wants_write() {
                client.session.write_tls(&mut out).unwrap();
            }
            client.client.send(out).await;
        }
        assert_eq!(told.borrow().len(), 1, "{told:?}");
        client.client.pass(Duration::from_secs(60)).await;
        assert!(told.borrow()[1].contains("Write") || told.borrow()[1].contains("waiting"), "{told:?}");
    });
}
