//! HTTPS and HTTP/2 against nginx with the same certificate: CPU per handshake and per request.

use std::fs;
use std::path::{Path, PathBuf};

use crate::certificate::{self, Pair};
use crate::error::{Doing, Error};
use crate::generator::exchange::{Exchange, Kind, Secrecy};
use crate::generator::h2load::Streams;
use crate::generator::handshake::Handshakes;
use crate::generator::http;
use crate::generator::tls::{self, NEGOTIATED, Resume};
use crate::harness::Harness;
use crate::peers::nginx::{self, AccessLog, Configured, Core, Files};
use crate::peers::sportello;
use crate::result::{Finding, Measure};
use crate::rounds::{Contender, take_turns};

/// The site's name, which every client names.
const NAME: &str = "www.example.org";
/// As the rows without TLS have it.
const CONNECTIONS: usize = 32;

/// Handshakes alone, each on a new connection.
pub(crate) fn handshakes(harness: &Harness, resume: Resume, target: f64) -> Result<Finding, Error> {
    let site = Site::make(harness, 1 << 10)?;
    let mut contenders = site.contenders(harness, "ssl")?;
    // Without a request there is nothing to log.
    contenders.truncate(2);
    let load = Handshakes { names: vec![tls::name(NAME)?], connections: CONNECTIONS, resume };
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    for contender in &mut contenders {
        site.check(contender)?;
        contender.log = None;
    }
    let slices =
        take_turns(harness, &mut contenders, &mut |contender, time, meter| load.run(contender.address, time, meter))?;
    let how = match resume {
        Resume::Never => "full handshakes, two tickets given",
        Resume::ByTicket => {
            "resumed by ticket with a new key exchange (psk_dhe_ke); what was negotiated is checked for each"
        }
    };
    let notes = vec![format!("{NEGOTIATED}; {CONNECTIONS} at a time; {how}; the client does not verify signatures")];
    Ok(Finding::compared(Measure::CpuPerOperation, target, named, slices, notes))
}

/// One request at a time on each of 32 kept connections.
pub(crate) fn kept(harness: &Harness, length: usize, target: f64) -> Result<Finding, Error> {
    let site = Site::make(harness, length)?;
    let mut contenders = site.contenders(harness, "ssl")?;
    let mut exchanges = Vec::new();
    let mut heads = Vec::new();
    for contender in &contenders {
        let answer = site.check(contender)?;
        heads.push(format!("{} {}", contender.name, answer.head.len()));
        exchanges.push(Exchange {
            requests: vec![site.request()],
            answer: answer.length,
            depth: 1,
            connections: CONNECTIONS,
            kind: Kind::Kept,
            secrecy: Secrecy::Tls(tls::client(Resume::Never)?, vec![tls::name(NAME)?]),
        });
    }
    let slices = super::in_turns(harness, &mut contenders, &exchanges)?;
    for contender in &contenders {
        site.check(contender)?;
    }
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let notes = vec![
        format!("{NEGOTIATED}; the load counts records and does not decrypt them"),
        format!("Bytes in the head of an answer: {}", heads.join(", ")),
    ];
    Ok(Finding::compared(Measure::CpuPerOperation, target, named, slices, notes))
}

/// HTTP/2, many streams at once.
pub(crate) fn streams(harness: &Harness, target: f64) -> Result<Finding, Error> {
    let site = Site::make(harness, 1 << 10)?;
    let mut contenders = site.contenders(harness, "ssl http2")?;
    for contender in &contenders {
        site.check(contender)?;
    }
    let load = Streams { host: NAME, path: site.path.clone(), connections: 16, streams: 32 };
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let slices =
        take_turns(harness, &mut contenders, &mut |contender, time, meter| load.run(contender.address, time, meter))?;
    let notes =
        vec![format!("h2load on core 1, {} connections of {} streams; {NEGOTIATED}", load.connections, load.streams)];
    Ok(Finding::compared(Measure::CpuPerOperation, target, named, slices, notes))
}

/// One file behind one certificate.
struct Site {
    root: PathBuf,
    path: String,
    body: Vec<u8>,
    pair: Pair,
}

impl Site {
    fn make(harness: &Harness, length: usize) -> Result<Self, Error> {
        let root = harness.folder("root")?;
        let name = format!("{}k.txt", length >> 10);
        let body: Vec<u8> = b"0123456789abcdef\n".iter().copied().cycle().take(length).collect();
        fs::write(root.join(&name), &body).doing(|| "writing the file to serve".to_owned())?;
        let pair = certificate::make(&harness.folder("certificate")?, NAME)?;
        Ok(Self { root, path: format!("/{name}"), body, pair })
    }

    /// Sportello and nginx, whose `listen` says `listen`.
    fn contenders(&self, harness: &Harness, listen: &str) -> Result<Vec<Contender>, Error> {
        let ours = format!(
            "channel web port=0 protocol=http tls=auto\ncertificate \"{}\" key=\"{}\"\n\
             domain example.org {{\n    site {NAME} {{ root \"{}\"; }}\n}}\n",
            self.pair.chain.display(),
            self.pair.key.display(),
            self.root.display()
        );
        let theirs = Configured {
            name: "nginx",
            core: Core::Servers,
            listen,
            // Over TLS every byte passes through its buffers: sendfile has nothing to send.
            http: format!("{} http2_max_concurrent_streams 256;", Files::Small.directives()),
            server: format!("server_name {NAME};\nroot {};\n{}", self.root.display(), secure(&self.pair)),
            log: AccessLog::Off,
        };
        Ok(vec![
            sportello::start_configured(harness, "Sportello", &ours)?,
            nginx::start_as(harness, &theirs)?,
            nginx::start_as(harness, &Configured { name: "nginx, access log on", log: AccessLog::On, ..theirs })?,
        ])
    }

    fn request(&self) -> Vec<u8> {
        http::request_to(NAME, &self.path, "")
    }

    fn check(&self, contender: &Contender) -> Result<http::Answer, Error> {
        http::answer_secure(contender.address, &tls::client(Resume::Never)?, NAME, &self.request(), &self.body)
    }
}

/// nginx's directives for TLS: tickets, as ours; nothing kept.
fn secure(pair: &Pair) -> String {
    let (chain, key): (&Path, &Path) = (&pair.chain, &pair.key);
    format!(
        "ssl_certificate {};\nssl_certificate_key {};\nssl_protocols TLSv1.2 TLSv1.3;\nssl_session_tickets on;\n\
         ssl_session_cache off;\nssl_session_timeout 1d;",
        chain.display(),
        key.display()
    )
}
