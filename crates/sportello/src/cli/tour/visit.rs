//! Three requests at the same moment: one web, one mail, one command.
//!
//! Each client connects, then all three wait at a barrier and ask. Their connections stay open while the server is asked
//! which of its threads holds each, and what its kernel knows of the way between.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use serde::Serialize;
use sportello_service::picture::{Picture, TcpView};
use sportello_wire::http1::client::Request;
use sportello_wire::resp::client::Value;
use sportello_wire::smtp::client::Path;

use super::Untrue;
use crate::cli::conversation::resp::Commands;
use crate::cli::conversation::smtp::Mail;
use crate::cli::conversation::{Conversation, Deadlines, http};
use crate::cli::paper::{Failed, grouped, visible, visible_bytes};
use crate::cli::place::Place;

/// One request and what became of it.
#[derive(Debug, Serialize)]
pub struct Visit {
    /// What was asked.
    pub asked: String,
    /// The client's own end.
    pub client: SocketAddr,
    /// The channel's name, as the server says.
    pub channel: String,
    /// The port.
    pub port: u16,
    /// The thread that holds the connection.
    pub thread: String,
    /// The connection's id at the server.
    pub connection: u64,
    /// The answer, in a few words.
    pub answer: String,
    /// From the request's first byte to the whole answer.
    pub milliseconds: f64,
    /// What the server's kernel knows of the connection.
    pub tcp: Option<TcpView>,
}

/// What one of the three clients saw.
struct Seen {
    channel: &'static str,
    asked: &'static str,
    client: SocketAddr,
    port: u16,
    answer: String,
    milliseconds: f64,
}

/// Where the three go, and what the mail is.
pub struct Ways<'a> {
    pub web: &'a Place,
    pub mail: &'a Place,
    pub commands: &'a Place,
    pub sender: &'a Path,
    pub recipient: &'a Path,
    pub message: &'a [u8],
}

/// The three visits, and the reply that took the mail.
pub fn three(ways: &Ways<'_>, untrue: &mut Untrue) -> Result<(Vec<Visit>, String), Failed> {
    let deadlines = Deadlines::default();
    let mut web = Conversation::open(ways.web, deadlines)?;
    let mut mail = Mail::open(ways.mail, deadlines)?;
    let mut commands = Commands::open(ways.commands, deadlines)?;
    let barrier = Barrier::new(3);
    let (web_seen, mail_seen, commands_seen) = thread::scope(|scope| {
        let web = scope.spawn(|| ask_web(&mut web, ways, &barrier));
        let mail = scope.spawn(|| ask_mail(&mut mail, ways, &barrier));
        let commands = scope.spawn(|| ask_commands(&mut commands, ways, &barrier));
        (joined(web.join()), joined(mail.join()), joined(commands.join()))
    });
    let (mail_seen, reply) = mail_seen?;
    let picture: Picture = Commands::open(ways.commands, deadlines)?.json(&["STATUS", "JSON"])?;
    let visits = [web_seen?, mail_seen, commands_seen?].map(|seen| matched(seen, &picture, untrue));
    // Only now may the three leave.
    drop((web, commands));
    mail.quit();
    Ok((visits.into(), reply))
}

fn joined<T>(outcome: thread::Result<Result<T, Failed>>) -> Result<T, Failed> {
    outcome.unwrap_or_else(|_| Err(Failed::new("a client of the tour panicked")))
}

fn ask_web(web: &mut Conversation, ways: &Ways<'_>, barrier: &Barrier) -> Result<Seen, Failed> {
    const PAGE_MOST: usize = 64 << 20;
    let host = ways.web.to_string();
    let request = Request { method: "GET", target: "/", host: &host, fields: &[("Accept", "text/html")] };
    barrier.wait();
    let started = Instant::now();
    let mut answer = http::get(web, &request)?;
    let page = answer.whole(PAGE_MOST)?.ok_or_else(|| Failed::new("the first page is larger than 64 MiB"))?;
    let milliseconds = since(started);
    if answer.head.status != 200 {
        return Err(Failed::new(format!("GET / is answered by {}", visible(&answer.head.status_text()))));
    }
    let answer = format!("{}, {} bytes", visible(&answer.head.status_text()), grouped(page.len() as u64));
    Ok(Seen { channel: "web", asked: "GET /", client: web.local()?, port: ways.web.port, answer, milliseconds })
}

fn ask_mail(mail: &mut Mail, ways: &Ways<'_>, barrier: &Barrier) -> Result<(Seen, String), Failed> {
    barrier.wait();
    let started = Instant::now();
    let reply = mail.deliver(ways.sender, std::slice::from_ref(ways.recipient), ways.message)?;
    let milliseconds = since(started);
    let client = mail.conversation().local()?;
    let answer = visible(&reply.text());
    let seen = Seen { channel: "mail", asked: "DATA", client, port: ways.mail.port, answer, milliseconds };
    Ok((seen, reply.text()))
}

fn ask_commands(commands: &mut Commands, ways: &Ways<'_>, barrier: &Barrier) -> Result<Seen, Failed> {
    const SAID: &str = "one address, many channels";
    barrier.wait();
    let started = Instant::now();
    let answer = commands.ask(&["ECHO", SAID])?;
    let milliseconds = since(started);
    let said = match answer {
        Value::Bulk(bytes) if bytes == SAID.as_bytes() => visible_bytes(&bytes),
        other => return Err(Failed::new(format!("ECHO does not answer what it was told but {other:?}"))),
    };
    let client = commands.conversation().local()?;
    let (port, answer) = (ways.commands.port, format!("“{said}”"));
    Ok(Seen { channel: "commands", asked: "ECHO", client, port, answer, milliseconds })
}

fn since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

/// Finds the client's connection among those the server has open.
fn matched(seen: Seen, picture: &Picture, untrue: &mut Untrue) -> Visit {
    let found = picture.connections.iter().find(|connection| connection.peer == Some(seen.client));
    match found {
        None => untrue.note(format!("the server does not list the open connection of {}", seen.client)),
        Some(connection) if connection.channel != seen.channel => untrue.note(format!(
            "{} is on the channel {} and the server says {}",
            seen.client,
            seen.channel,
            visible(&connection.channel)
        )),
        Some(connection) if connection.tcp.is_none() => {
            untrue.note(format!("the server knows no TCP_INFO of {}", seen.client));
        }
        Some(_) => {}
    }
    let found = found.cloned().unwrap_or_default();
    Visit {
        asked: seen.asked.to_owned(),
        client: seen.client,
        channel: seen.channel.to_owned(),
        port: seen.port,
        thread: visible(&found.worker),
        connection: found.id,
        answer: seen.answer,
        milliseconds: seen.milliseconds,
        tcp: found.tcp,
    }
}
