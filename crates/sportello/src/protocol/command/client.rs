//! CLIENT: who is connected, under which name, and away with one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use sportello_net::ConnectionReport;
use sportello_wire::resp::{Arguments, Version};
use tokio::time::Instant;

use super::builtin::Builtin;
use super::dispatch::{Context, Step, is, subcommand, task, visible};
use super::session::{self, Library, Session};
use super::task::Action;
use super::{help, refused};

/// The most connections of each worker that are listed.
pub(super) const MOST_LISTED: usize = 1000;
/// The most bytes of a name, of a library or of a version.
const NAME: usize = 64;

/// Which connections are to be closed. All that is given must be so.
#[derive(Debug, Default)]
pub(super) struct Victims {
    id: Option<u64>,
    address: Option<SocketAddr>,
    local: Option<SocketAddr>,
    nobody: bool,
    manner: Manner,
    own: Own,
}

/// How KILL was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// With filters: answers a number.
    #[default]
    Filters,
    /// With an address alone: answers OK, or that there is none.
    Old,
}

/// What becomes of the one who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Own {
    #[default]
    Spared,
    Meant,
}

/// Which connections are to be listed.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    ids: Option<Vec<u64>>,
    nobody: bool,
}

pub(super) fn dispatch(
    builtin: &Builtin,
    arguments: &Arguments<'_>,
    began: Instant,
    context: &mut Context<'_>,
) -> Step {
    let word = arguments.at(1).unwrap_or_default();
    if let Some(reason) = refused::client(word) {
        context.reply.error("ERR", format!("CLIENT {}: {reason}", visible(word).to_ascii_uppercase()));
        return Step::Answered;
    }
    let Some(subcommand) = subcommand(builtin, arguments, context.reply) else { return Step::Answered };
    match subcommand.name {
        "ID" => context.reply.count(context.connection.id()),
        "INFO" => {
            let line = own_line(context);
            context.reply.verbatim(&line);
        }
        "LIST" => match wanted(arguments) {
            Ok(wanted) => return task(arguments, began, Action::ListClients { wanted }),
            Err(error) => context.reply.error("ERR", error),
        },
        "GETNAME" => match context.connection.name() {
            name if name.is_empty() => context.reply.null(),
            name => context.reply.text(&name),
        },
        "SETNAME" => {
            if set_name(arguments.at(2).unwrap_or_default(), context) {
                context.reply.ok();
            }
        }
        "SETINFO" => set_info(arguments, context),
        "KILL" => match victims(arguments) {
            Ok(victims) => return task(arguments, began, Action::KillClients { victims }),
            Err(error) => context.reply.error("ERR", error),
        },
        _ => help::subcommands(builtin, context.reply),
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

/// `KILL ip:port`, or filters: `ID n`, `ADDR ip:port`, `LADDR ip:port`, `TYPE normal`, `SKIPME yes|no`, in any order.
fn victims(arguments: &Arguments<'_>) -> Result<Victims, String> {
    let mut values = arguments.from(2);
    let mut victims = Victims::default();
    while let Some(filter) = values.next() {
        let Some(value) = values.next() else {
            if arguments.len() == 3 {
                let address = Some(address(filter)?);
                return Ok(Victims { address, manner: Manner::Old, own: Own::Meant, ..Victims::default() });
            }
            return Err("syntax error".to_owned());
        };
        let named = |name| is(Some(filter), name);
        if named("ID") {
            victims.id = Some(number(value)?);
        } else if named("ADDR") {
            victims.address = Some(address(value)?);
        } else if named("LADDR") {
            victims.local = Some(address(value)?);
        } else if named("TYPE") {
            victims.nobody |= is_nobody(value)?;
        } else if named("SKIPME") {
            victims.own = match Some(value) {
                value if is(value, "YES") => Own::Spared,
                value if is(value, "NO") => Own::Meant,
                _ => return Err("syntax error: SKIPME takes YES or NO".to_owned()),
            };
        } else {
            let filter = visible(filter);
            return Err(format!("syntax error: KILL takes ID, ADDR, LADDR, TYPE and SKIPME, not '{filter}'"));
        }
    }
    Ok(victims)
}

/// `LIST [TYPE type] [ID id ...]`
fn wanted(arguments: &Arguments<'_>) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut values = arguments.from(2);
    while let Some(option) = values.next() {
        match (Some(option), values.next()) {
            (option, Some(kind)) if is(option, "TYPE") => wanted.nobody |= is_nobody(kind)?,
            (option, Some(first)) if is(option, "ID") => {
                let mut ids = vec![number(first)?];
                for id in values.by_ref() {
                    ids.push(number(id)?);
                }
                wanted.ids = Some(ids);
            }
            _ => return Err("syntax error".to_owned()),
        }
    }
    Ok(wanted)
}

/// Whether no client here is of this kind; Redis has others than the normal ones.
fn is_nobody(kind: &[u8]) -> Result<bool, String> {
    match Some(kind) {
        kind if is(kind, "NORMAL") => Ok(false),
        kind if ["MASTER", "REPLICA", "SLAVE", "PUBSUB"].iter().any(|other| is(kind, other)) => Ok(true),
        _ => Err(format!("Unknown client type '{}'", visible(kind))),
    }
}

fn number(written: &[u8]) -> Result<u64, String> {
    let number = std::str::from_utf8(written).ok().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| "client-id should be greater than 0".to_owned())
}

fn address(written: &[u8]) -> Result<SocketAddr, String> {
    let address = std::str::from_utf8(written).ok().and_then(|text| text.parse().ok());
    address.ok_or_else(|| format!("'{}' is not an address and a port", visible(written)))
}

/// Closes connections of any channel.
pub(super) async fn kill(victims: Victims, session: &mut Session) {
    let service = Rc::clone(&session.service);
    let workers = &service.workers;
    let own = session.connection.id();
    let mut killed = 0u64;
    for report in workers.report(usize::MAX).await {
        let meant = !victims.nobody
            && victims.id.is_none_or(|id| id == report.id)
            && victims.address.is_none_or(|address| address == report.peer)
            && victims.local.is_none_or(|local| local == report.channel.address);
        if !meant || (report.id == own && victims.own == Own::Spared) {
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

/// The connections of the command channels, one per line.
pub(super) fn list(reports: &[ConnectionReport], wanted: &Wanted, session: &mut Session) {
    let mut text = String::new();
    for report in reports {
        let meant = !wanted.nobody
            && session.service.channels.contains(&report.channel.index)
            && wanted.ids.as_ref().is_none_or(|ids| ids.contains(&report.id));
        if !meant {
            continue;
        }
        text += &Line {
            id: report.id,
            peer: report.peer,
            local: report.channel.address,
            name: &report.name,
            age: report.age,
            idle: report.idle,
            doing: &report.doing,
            requests: report.requests,
            bytes: (report.bytes_in, report.bytes_out),
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
        age: context.opened.elapsed(),
        // It has just spoken.
        idle: Duration::ZERO,
        doing: "CLIENT",
        requests: connection.request_number(),
        bytes: connection.bytes(),
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

/// One connection, as Redis writes it; of Redis's fields those that mean something here.
struct Line<'a> {
    id: u64,
    peer: SocketAddr,
    local: SocketAddr,
    name: &'a str,
    age: Duration,
    idle: Duration,
    doing: &'a str,
    requests: u64,
    /// In and out.
    bytes: (u64, u64),
}

impl Line<'_> {
    fn text(&self) -> String {
        let word = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("_");
        let (into, out) = self.bytes;
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "id={} addr={} laddr={} name={} age={} idle={} flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 cmd={} user=default \
             tot-net-in={into} tot-net-out={out} tot-cmds={}",
            self.id,
            session::address(self.peer),
            session::address(self.local),
            word(self.name),
            self.age.as_secs(),
            self.idle.as_secs(),
            word(self.doing).to_ascii_lowercase(),
            self.requests
        );
        text
    }
}
