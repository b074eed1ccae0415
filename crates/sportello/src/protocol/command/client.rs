//! CLIENT: who is connected, under which name, and away with one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use sportello_net::ConnectionReport;
use sportello_wire::resp::{Arguments, Version};
use tokio::time::Instant;

use super::dispatch::{Context, Step, is, task, unknown_subcommand, visible, wrong_number};
use super::session::{Library, Session};
use super::task::Action;

/// The most connections of each worker that are listed.
pub(super) const MOST_LISTED: usize = 1000;
/// The most bytes of a name, of a library or of a version.
const NAME: usize = 64;

/// Which connections are to be closed. All that is given must be so.
#[derive(Debug, Default)]
pub(super) struct Victims {
    id: Option<u64>,
    address: Option<SocketAddr>,
    manner: Manner,
}

/// How KILL was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// With filters: answers a number, and spares the one who asks.
    #[default]
    Filters,
    /// With an address alone: answers OK, or that there is none.
    Old,
}

pub(super) fn dispatch(arguments: &Arguments<'_>, began: Instant, context: &mut Context<'_>) -> Step {
    let word = arguments.at(1);
    let count = arguments.len() - 2;
    let exactly = |wanted: usize| count == wanted;
    match () {
        () if is(word, "ID") && exactly(0) => context.reply.count(context.connection.id()),
        () if is(word, "INFO") && exactly(0) => {
            let line = own_line(context);
            context.reply.verbatim(&line);
        }
        () if is(word, "LIST") && exactly(0) => return task(arguments, began, Action::ListClients),
        () if is(word, "GETNAME") && exactly(0) => match context.connection.name() {
            name if name.is_empty() => context.reply.null(),
            name => context.reply.text(&name),
        },
        () if is(word, "SETNAME") && exactly(1) => {
            if set_name(arguments.at(2).unwrap_or_default(), context) {
                context.reply.ok();
            }
        }
        () if is(word, "SETINFO") && exactly(2) => set_info(arguments, context),
        () if is(word, "KILL") && count > 0 => match victims(arguments) {
            Ok(victims) => return task(arguments, began, Action::KillClients { victims }),
            Err(error) => context.reply.error("ERR", error),
        },
        () if ["ID", "INFO", "LIST", "GETNAME", "SETNAME", "SETINFO", "KILL"].iter().any(|known| is(word, known)) => {
            let name = format!("client|{}", visible(word.unwrap_or_default()));
            return wrong_number(&name, context.reply);
        }
        () => unknown_subcommand(arguments, context.reply),
    }
    Step::Answered
}

/// Keeps the name of a connection; `false`: it was refused and that was answered.
pub(super) fn set_name(name: &[u8], context: &mut Context<'_>) -> bool {
    match word(name) {
        Some(name) => {
            context.connection.set_name(name);
            true
        }
        None => {
            context.reply.error(
                "ERR",
                "Client names cannot contain spaces, newlines or special characters, nor be longer than 64 bytes.",
            );
            false
        }
    }
}

/// Printable ASCII without spaces, as Redis has it, and not too long.
fn word(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= NAME && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

fn set_info(arguments: &Arguments<'_>, context: &mut Context<'_>) {
    let Some(value) = arguments.at(3).and_then(word) else {
        return context
            .reply
            .error("ERR", "a library's name and version cannot contain spaces, newlines or special characters");
    };
    match arguments.at(2) {
        attribute if is(attribute, "LIB-NAME") => context.library.name = value.into(),
        attribute if is(attribute, "LIB-VER") => context.library.version = value.into(),
        attribute => {
            let attribute = visible(attribute.unwrap_or_default());
            return context.reply.error("ERR", format!("Unrecognized option '{attribute}'"));
        }
    }
    context.reply.ok();
}

/// `KILL ip:port` or `KILL ID n ADDR ip:port`, in any order.
fn victims(arguments: &Arguments<'_>) -> Result<Victims, String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let address =
        |value: &[u8]| text(value).parse().map_err(|_| format!("'{}' is not an address and a port", visible(value)));
    let mut values = arguments.from(2);
    let mut victims = Victims::default();
    while let Some(filter) = values.next() {
        let Some(value) = values.next() else {
            if arguments.len() == 3 {
                return Ok(Victims { address: Some(address(filter)?), manner: Manner::Old, ..Victims::default() });
            }
            return Err("syntax error".to_owned());
        };
        if filter.eq_ignore_ascii_case(b"ID") {
            let id = text(value).parse().map_err(|_| "client-id should be greater than 0".to_owned())?;
            victims.id = Some(id);
        } else if filter.eq_ignore_ascii_case(b"ADDR") {
            victims.address = Some(address(value)?);
        } else {
            return Err(format!("syntax error: KILL takes ID and ADDR, not '{}'", visible(filter)));
        }
    }
    Ok(victims)
}

/// Closes connections of any channel.
pub(super) async fn kill(victims: Victims, session: &mut Session<'_>) {
    let workers = &session.service.workers;
    let own = session.connection.id();
    let mut killed = 0u64;
    for report in workers.report(usize::MAX).await {
        let meant =
            victims.id.is_none_or(|id| id == report.id) && victims.address.is_none_or(|address| address == report.peer);
        if !meant || (report.id == own && victims.manner == Manner::Filters) {
            continue;
        }
        killed += u64::from(workers.kill(report.id).await);
    }
    match victims.manner {
        Manner::Filters => session.reply.count(killed),
        Manner::Old if killed > 0 => session.reply.ok(),
        Manner::Old => session.reply.error("ERR", "No such client"),
    }
}

/// The connections of this channel, one per line.
pub(super) fn list(reports: &[ConnectionReport], session: &mut Session<'_>) {
    let channel = session.connection.channel().index;
    let mut text = String::new();
    for report in reports.iter().filter(|report| report.channel.index == channel) {
        text += &Line {
            id: report.id,
            peer: report.peer,
            local: report.channel.address,
            name: &report.name,
            age: report.age,
            idle: report.idle,
            doing: &report.doing,
            requests: report.requests,
        }
        .text();
        if report.id == session.connection.id() {
            text += &own_part(&session.library, session.reply.version());
        }
        text.push('\n');
    }
    session.reply.verbatim(&text);
}

fn own_line(context: &Context<'_>) -> String {
    let connection = context.connection;
    let mut text = Line {
        id: connection.id(),
        peer: connection.peer(),
        local: connection.local(),
        name: &connection.name(),
        age: Duration::ZERO,
        idle: Duration::ZERO,
        doing: "CLIENT",
        requests: connection.request_number(),
    }
    .text();
    text += &own_part(context.library, context.reply.version());
    text.push('\n');
    text
}

fn own_part(library: &Library, version: Version) -> String {
    let version = if version == Version::Resp3 { 3 } else { 2 };
    format!(" resp={version} lib-name={} lib-ver={}", library.name, library.version)
}

/// One connection, as Redis writes it; names of its own for what Redis does not have.
struct Line<'a> {
    id: u64,
    peer: SocketAddr,
    local: SocketAddr,
    name: &'a str,
    age: Duration,
    idle: Duration,
    doing: &'a str,
    requests: u64,
}

impl Line<'_> {
    fn text(&self) -> String {
        let word = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("_");
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "id={} addr={} laddr={} name={} age={} idle={} db=0 cmd={} tot-cmds={}",
            self.id,
            self.peer,
            self.local,
            word(self.name),
            self.age.as_secs(),
            self.idle.as_secs(),
            word(self.doing),
            self.requests
        );
        text
    }
}
