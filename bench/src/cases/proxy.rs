//! The reverse proxy against nginx's, both before the same upstream: CPU per request, and memory per idle WebSocket.

use std::fs;
use std::net::SocketAddr;

use crate::error::{Doing, Error};
use crate::generator::exchange::{Exchange, Kind, Secrecy};
use crate::generator::{http, websocket};
use crate::harness::Harness;
use crate::memory::Memory;
use crate::peers::nginx::{self, AccessLog, Configured, Core, Files};
use crate::peers::sportello;
use crate::result::{Finding, Measure, Unit};
use crate::rounds::Contender;

const PATH: &str = "/1k.txt";
const CONNECTIONS: usize = 32;
/// Long enough for a server to give back what it gives back.
const REST: std::time::Duration = std::time::Duration::from_millis(700);

/// A small answer, connections kept on both sides.
pub(crate) fn kept(harness: &Harness, target: f64) -> Result<Finding, Error> {
    let root = harness.folder("root")?;
    let body = vec![b'x'; 1 << 10];
    fs::write(root.join("1k.txt"), &body).doing(|| "writing the file to serve".to_owned())?;
    let server = format!("root {};", root.display());
    let http = Files::Small.directives().to_owned();
    let upstream = Configured { name: "upstream", core: Core::Load, listen: "", http, server, log: AccessLog::Off };
    let upstream = nginx::start_as(harness, &upstream)?;
    let mut contenders = vec![
        ours(harness, upstream.address)?,
        theirs(harness, "nginx", upstream.address, "", AccessLog::Off)?,
        theirs(harness, "nginx, with such fields too", upstream.address, FORWARDED, AccessLog::Off)?,
        theirs(harness, "nginx, with such fields and its access log", upstream.address, FORWARDED, AccessLog::On)?,
    ];
    let mut exchanges = Vec::new();
    let mut heads = Vec::new();
    for contender in &contenders {
        let answer = http::answer(contender.address, PATH, Kind::Kept, 1, &body)?;
        heads.push(format!("{} {}", contender.name, answer.head.len()));
        exchanges.push(Exchange {
            requests: vec![http::request(contender.address, PATH, Kind::Kept)],
            answer: answer.length,
            depth: 1,
            connections: CONNECTIONS,
            kind: Kind::Kept,
            secrecy: Secrecy::Plain,
        });
    }
    let slices = super::in_turns(harness, &mut contenders, &exchanges)?;
    for contender in &contenders {
        http::answer(contender.address, PATH, Kind::Kept, 1, &body)?;
    }
    let named = contenders.iter().map(|contender| contender.name.clone()).collect();
    let notes = vec![
        "The upstream, an nginx with the file, is on core 1 beside the load, and not counted".to_owned(),
        "Sportello writes X-Forwarded-For, -Host, -Proto, Forwarded and Via, and a line of its log".to_owned(),
        format!("Bytes in the head of an answer: {}", heads.join(", ")),
    ];
    Ok(Finding::compared(Measure::CpuPerOperation, target, named, slices, notes))
}

/// What `count` WebSockets hold that have said a frame and heard one, and say nothing more.
pub(crate) fn websockets(harness: &Harness, count: usize) -> Result<Finding, Error> {
    let each = |proxy: &dyn Fn(SocketAddr) -> Result<Contender, Error>| {
        // One more goes first: what is allocated once is not charged to each.
        let upstream = websocket::Upstream::start(count + 1)?;
        let proxy = proxy(upstream.address)?;
        let first = websocket::open(proxy.address, "/ws", 1)?;
        std::thread::sleep(REST);
        let before = Memory::of_tree(proxy.process.id());
        let opened = websocket::open(proxy.address, "/ws", count)?;
        let kept = upstream.kept()?;
        std::thread::sleep(REST);
        let after = Memory::of_tree(proxy.process.id());
        drop((first, opened, kept));
        Ok::<_, Error>(after.anonymous.saturating_sub(before.anonymous) as f64 / count as f64)
    };
    let value = each(&|upstream| ours(harness, upstream))?;
    let nginx = each(&|upstream| theirs(harness, "nginx", upstream, UPGRADE, AccessLog::Off))?;
    let notes = vec![format!("nginx: {nginx:.0} bytes"), "both connections of each, with all buffers".to_owned()];
    Ok(Finding::bounded(Unit::Bytes, value, 32.0 * 1024.0, notes))
}

fn ours(harness: &Harness, upstream: SocketAddr) -> Result<Contender, Error> {
    let site = format!("    site \"*\" {{ proxy \"http://{upstream}\"; }}\n");
    let configuration = format!("channel web port=0 protocol=http\ndomain example.org {{\n{site}}}\n");
    sportello::start_configured(harness, "Sportello", &configuration)
}

/// nginx as its manual says that connections upstream are kept.
fn theirs(harness: &Harness, name: &str, upstream: SocketAddr, more: &str, log: AccessLog) -> Result<Contender, Error> {
    let connection = if more == UPGRADE { "" } else { "proxy_set_header Connection \"\";" };
    let own = Configured {
        name,
        core: Core::Servers,
        listen: "",
        http: format!(
            "{} upstream behind {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; keepalive_timeout 600s; }}",
            Files::Small.directives()
        ),
        server: format!(
            "location / {{ proxy_pass http://behind; proxy_http_version 1.1; {connection} proxy_read_timeout 1h; {more} }}"
        ),
        log,
    };
    nginx::start_as(harness, &own)
}

/// What a server behind a proxy wants to know, as everybody's configuration has it.
const FORWARDED: &str = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
                         proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;";
/// Its manual's "WebSocket proxying".
const UPGRADE: &str = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";";
