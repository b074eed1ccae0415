//! Mail servers and web servers on loopback, kind and hostile.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;

/// An authority, and what it signs.
pub(super) struct House {
    authority: Authority,
    pub(super) root: CertificateDer<'static>,
}

impl House {
    pub(super) fn new() -> Self {
        let authority = Authority::make(SystemTime::now(), "test").unwrap();
        let root = CertificateDer::from_pem_slice(authority.root().as_bytes()).unwrap();
        Self { authority, root }
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.authority.root().as_bytes().to_vec()
    }

    /// For a server of this name, which shows its authority too.
    pub(super) fn server(&self, name: &str) -> (Arc<ServerConfig>, CertificateDer<'static>) {
        let credential = self.authority.sign(&[name.to_owned()], SystemTime::now()).unwrap();
        let certified = credential.certified();
        let leaf = certified.cert[0].clone();
        let key =
            CertifiedKey { cert: vec![leaf.clone(), self.root.clone()], key: Arc::clone(&certified.key), ocsp: None };
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        (Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)))), leaf)
    }
}

/// How a server behaves.
#[derive(Clone, Default)]
pub(super) struct Manners {
    /// What it offers; without any, HELO is all it knows.
    pub(super) offers: Vec<&'static str>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Encrypted from the first byte.
    pub(super) implicit: bool,
    /// What it answers to a line instead of what is usual; an empty answer closes, `END` is the end of a text, empty the greeting.
    pub(super) instead: Option<fn(&str) -> Option<String>>,
}

/// A server, and what it was told: commands, and texts behind `TEXT `.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(at: &str, manners: Manners) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let told = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (manners, told) = (manners.clone(), Arc::clone(&told));
                told.lock().unwrap().push("CONNECTED".to_owned());
                tokio::spawn(async move {
                    if manners.implicit {
                        let tls = TlsAcceptor::from(manners.tls.clone().unwrap());
                        if let Ok(stream) = tls.accept(stream).await {
                            converse(BufReader::new(stream), &manners, &told, Begin::Greeting).await;
                        }
                        return;
                    }
                    let left = converse(BufReader::new(stream), &manners, &told, Begin::Greeting).await;
                    if let (Some(stream), Some(tls)) = (left, manners.tls.clone())
                        && let Ok(stream) = TlsAcceptor::from(tls).accept(stream.into_inner()).await
                    {
                        told.lock().unwrap().push("ENCRYPTED".to_owned());
                        converse(BufReader::new(stream), &manners, &told, Begin::Secured).await;
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.seen().iter().filter_map(|line| line.strip_prefix("TEXT ").map(str::to_owned)).collect()
    }

    pub(super) fn has(&self, begin: &str) -> bool {
        self.seen().iter().any(|line| line.starts_with(begin))
    }
}

#[derive(PartialEq)]
enum Begin {
    Greeting,
    Secured,
}

/// The stream, where STARTTLS was agreed to.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    manners: &Manners,
    told: &Mutex<Vec<String>>,
    begin: Begin,
) -> Option<BufReader<S>> {
    let instead = |line: &str| manners.instead.and_then(|instead| instead(line));
    if begin == Begin::Greeting {
        let greeting = instead("").unwrap_or_else(|| "220 there.example ESMTP\r\n".to_owned());
        stream.write_all(greeting.as_bytes()).await.ok()?;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        told.lock().unwrap().push(line.clone());
        let reply = instead(&line).unwrap_or_else(|| usual(&line, manners, &begin));
        if reply.is_empty() {
            return None;
        }
        let mut reply = reply;
        if let Some(octets) = line.strip_prefix("BDAT ").map(|rest| rest.strip_suffix(" LAST").unwrap()) {
            let mut text = vec![0; octets.parse().unwrap()];
            stream.read_exact(&mut text).await.ok()?;
            told.lock().unwrap().push(format!("TEXT {}", String::from_utf8(text).unwrap()));
        }
        stream.write_all(reply.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if line == "STARTTLS" && reply.starts_with("220") {
            return Some(stream);
        }
        if line == "DATA" && reply.starts_with("354") {
            let mut text = Vec::new();
            while text != b".\r\n" && !text.ends_with(b"\r\n.\r\n") {
                if stream.read_until(b'\n', &mut text).await.ok()? == 0 {
                    return None;
                }
            }
            told.lock().unwrap().push(format!("TEXT {}", String::from_utf8(text).unwrap()));
            reply = instead("END").unwrap_or_else(|| "250 2.0.0 Ok: queued\r\n".to_owned());
            stream.write_all(reply.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
        }
    }
}

fn usual(line: &str, manners: &Manners, begin: &Begin) -> String {
    let word = line.split([' ', ':']).next().unwrap_or_default();
    match word {
        "EHLO" if manners.offers.is_empty() && manners.tls.is_none() => "502 What?\r\n".to_owned(),
        "EHLO" => {
            let mut lines = vec!["there.example".to_owned()];
            lines.extend(manners.offers.iter().map(|offer| (*offer).to_owned()));
            if manners.tls.is_some() && *begin == Begin::Greeting && !manners.implicit {
                lines.push("STARTTLS".to_owned());
            }
            let last = lines.pop().unwrap();
            lines.iter().map(|line| format!("250-{line}\r\n")).collect::<String>() + &format!("250 {last}\r\n")
        }
        "HELO" => "250 there.example\r\n".to_owned(),
        "STARTTLS" => "220 2.0.0 Go\r\n".to_owned(),
        "DATA" => "354 Go on\r\n".to_owned(),
        "BDAT" => "250 2.0.0 Ok: queued\r\n".to_owned(),
        "AUTH" => "235 2.7.0 Ok\r\n".to_owned(),
        "QUIT" => "221 2.0.0 Bye\r\n".to_owned(),
        _ => "250 2.1.0 Ok\r\n".to_owned(),
    }
}

/// A web server over TLS that gives one answer to everybody: the bytes as they are.
pub(super) async fn web(at: &str, config: Arc<ServerConfig>, answer: String) -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<usize>>::default());
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (config, answer, count) = (Arc::clone(&config), answer.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                *count.lock().unwrap() += 1;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, asked)
}
