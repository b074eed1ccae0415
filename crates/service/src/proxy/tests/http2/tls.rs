//! HTTP/2 over TLS: agreed on, or not spoken.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use h2::server::Builder;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use super::super::keeping::{Server, in_real_time, server};
use super::super::stage::{get, read};
use super::servers::{ok, part, serve};
use crate::proxy::{Address, Believe, Encryption, Fault, Member, Proxy, Settings, Upstreams};

/// One that agrees to these protocols, and speaks HTTP/2 in any case.
async fn secured(server: &Server, protocols: &[&str]) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let part = part(|_, request, respond| async move {
        assert_eq!(request.uri().scheme_str(), Some("https"));
        ok(respond, "ok");
    });
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, part) = (acceptor.clone(), Rc::clone(&part));
            spawn_local(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, Builder::new(), part).await;
                }
            });
        }
    });
    address
}

#[test]
fn it_is_agreed_on_with_whom_we_believe_or_not_spoken() {
    in_real_time(async {
        let (known, other) = (server("app.internal"), server("app.internal"));
        for (vouching, name, protocols, expect) in [
            (&known, "app.internal", &["h2"][..], None),
            (&known, "app.internal", &["http/1.1", "h2"], None),
            (&known, "app.internal", &["http/1.1"], Some("NotHttp2")),
            (&known, "app.internal", &[], Some("NotHttp2")),
            (&known, "other.internal", &["h2"], Some("Connect")),
            (&other, "app.internal", &["h2"], Some("Connect")),
        ] {
            let address = secured(&known, protocols).await;
            let mut member = Member::of(Address::parse(&format!("h2://{address}")).unwrap());
            let believe = Believe::vouched(Some(vouching.certificate.as_bytes())).unwrap();
            member.encryption = Some(Encryption::new(believe, None).unwrap());
            let settings = Settings { upstreams: vec![member.known_as(name).unwrap()], ..Settings::of([]) };
            let proxy = Proxy::new(Upstreams::new(settings));
            for _ in 0..2 {
                let answer = Rc::clone(&proxy).ask(get("/"), "192.0.2.1".parse().unwrap()).await;
                match (answer, expect) {
                    (Ok(answer), None) => assert_eq!(read(answer).await, (200, Ok("ok".to_owned()))),
                    (Err(Fault::NotHttp2), Some("NotHttp2")) | (Err(Fault::Connect(_)), Some("Connect")) => {}
                    (answer, _) => panic!("{name} {protocols:?}: {answer:?}"),
                }
            }
        }
    });
}
