//! Upstreams that are asked whether they are well, that are named, or that speak TLS.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use super::stage::{get, on_stage, proxy, read, upstream};
use super::{OK, part};
use crate::proxy::{Address, Believe, Encryption, Health, Identity, Member, Proxy, Settings, Upstreams};

const ILL: &str = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
const EVERY: Duration = Duration::from_secs(10);

#[test]
fn an_upstream_that_is_not_well_is_left_out_until_it_is() {
    on_stage(async {
        // Each question comes on a connection of its own: well, twice ill, twice well.
        let parts = [OK, ILL, ILL, OK, OK, OK].map(|answer| part(&[answer])).into();
        let (address, told) = upstream(parts).await;
        let proxy = proxy(&[address], |settings| {
            settings.health = Some(Health { every: EVERY, rise: 2, fall: 2, ..Health::of("/ok?deep") });
        });
        proxy.begin();
        let mut seen = Vec::new();
        for _ in 0..5 {
            tokio::time::sleep(EVERY / 2).await;
            seen.push(proxy.upstreams.all[0].may_admit());
            tokio::time::sleep(EVERY / 2).await;
        }
        assert_eq!(seen, [true, true, false, false, true]);
        assert!(told.borrow().iter().all(|told| told.starts_with(b"GET /ok?deep HTTP/1.1\r\nHost: 127.0.0.1:")));
        let asked = told.borrow().len();
        drop(proxy);
        tokio::time::sleep(EVERY * 3).await;
        assert!(told.borrow().len() <= asked + 1, "nobody is asked for a proxy that is gone");
    });
}

#[test]
fn one_worker_asks_for_all_and_another_one_takes_over() {
    on_stage(async {
        let (address, _) = upstream(Vec::new()).await;
        let mut settings = Settings::of([Address::parse(&format!("http://{address}")).unwrap()]);
        settings.health = Some(Health::of("/"));
        let upstreams = Upstreams::new(settings);
        let [first, second] = [(); 2].map(|()| Proxy::new(Arc::clone(&upstreams)));
        first.begin();
        second.begin();
        assert!(first.keeper.borrow().is_some() && second.keeper.borrow().is_none());
        drop(first);
        second.begin();
        assert!(second.keeper.borrow().is_some());
    });
}

/// What waits for other threads, or works long within one step, would be passed by a clock that leaps.
pub(super) fn in_real_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_named_upstream_is_found() {
    in_real_time(async {
        let (address, _) = upstream(vec![part(&[OK])]).await;
        let upstream = Address::parse(&format!("http://localhost:{}", address.port())).unwrap();
        let proxy = Proxy::new(Upstreams::new(Settings::of([upstream])));
        assert_eq!(read(proxy.pass(get("/")).await).await, (200, Ok("ok".to_owned())));
        // RFC 6761 §6.4: there is no such name, ever.
        let settings = Settings::of([Address::parse("http://none.invalid").unwrap()]);
        let proxy = Proxy::new(Upstreams::new(settings));
        let status = proxy.pass(get("/")).await.status;
        assert!(matches!(status, 502 | 504), "{status}");
    });
}

pub(super) struct Server {
    pub(super) certificate: String,
    pub(super) key: String,
}

pub(super) fn server(name: &str) -> Server {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    Server { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

/// A TLS server that answers once, to those who show the certificate of `client`, or to anyone.
async fn secured(server: &Server, client: Option<&Server>) -> std::net::SocketAddr {
    let chain = vec![CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match client {
        Some(client) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap()).unwrap();
            let provider = Arc::new(aws_lc_rs::default_provider());
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        let mut heard = Vec::new();
        // Two requests on one connection.
        for _ in 0..2 {
            while !heard.ends_with(b"\r\n\r\n") {
                let mut buffer = [0; 4096];
                let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
                heard.extend_from_slice(&buffer[..count]);
            }
            heard.clear();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    });
    address
}

fn over_tls(address: std::net::SocketAddr, encryption: Encryption, name: &str) -> Rc<Proxy> {
    let mut member = Member::of(Address::parse(&format!("https://{address}")).unwrap());
    member.encryption = Some(encryption);
    let member = if name.is_empty() { member } else { member.known_as(name).unwrap() };
    let settings = Settings { upstreams: vec![member], ..Settings::of([]) };
    Proxy::new(Upstreams::new(settings))
}

#[test]
fn an_upstream_of_tls_must_prove_its_name_to_whom_we_believe() {
    in_real_time(async {
        let (known, other) = (server("app.internal"), server("app.internal"));
        let believe = |server: &Server| Believe::vouched(Some(server.certificate.as_bytes())).unwrap();
        for (believe, name, expect) in [
            (believe(&known), "app.internal", 200),
            (believe(&known), "other.internal", 502),
            (believe(&known), "", 502),
            (believe(&other), "app.internal", 502),
            (Believe::Anyone, "app.internal", 200),
            (Believe::Anyone, "", 200),
        ] {
            let address = secured(&known, None).await;
            let proxy = over_tls(address, Encryption::new(believe, None).unwrap(), name);
            for _ in 0..2 {
                let status = Rc::clone(&proxy).pass(get("/")).await.status;
                assert_eq!(status, expect, "{name}");
            }
        }
    });
}

#[test]
fn an_upstream_may_ask_who_we_are() {
    in_real_time(async {
        let (known, us, stranger) = (server("app.internal"), server("us"), server("us"));
        for (shown, expect) in [(Some(&us), 200), (Some(&stranger), 502), (None, 502)] {
            let address = secured(&known, Some(&us)).await;
            let identity = shown.map(|it| Identity::from_pem(it.certificate.as_bytes(), it.key.as_bytes()).unwrap());
            let proxy = over_tls(address, Encryption::new(Believe::Anyone, identity).unwrap(), "");
            assert_eq!(proxy.pass(get("/")).await.status, expect);
        }
    });
}
