//! From a request to what answers it. What takes no waiting is answered here.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sportello_net::Connection;
use sportello_service::run::Invocation;
use sportello_wire::resp::{Arguments, Reply, Version};
use tokio::time::Instant;

use super::builtin::{self, Builtin, Kind, Subcommand};
use super::session::Library;
use super::show::Subject;
use super::task::{Action, Form, Label, Task};
use super::{Service, account, client, dkim, docs, help, kept, mail, mailbox, queue, refused, show};

/// What a request may look at and change.
pub(super) struct Context<'a> {
    pub(super) connection: &'a Connection,
    pub(super) service: &'a Service,
    pub(super) reply: &'a mut Reply,
    pub(super) library: &'a mut Library,
    /// When the connection began.
    pub(super) opened: Instant,
}

/// What is to happen next.
pub(super) enum Step {
    /// It is answered; so common that it is only counted.
    Pong,
    /// It is answered.
    Answered,
    /// It must be waited for.
    Task(Box<Task>),
    /// It is answered, and the session begins anew.
    Reset,
    /// The connection shows from now on what others ask.
    Monitor,
    /// It is answered, and the connection ends.
    Over,
}

/// Carries one request out, or says what is to be waited for.
pub(super) fn dispatch(arguments: &Arguments<'_>, began: Instant, context: &mut Context<'_>) -> Step {
    let name = arguments.name();
    let Some(builtin) = builtin::find(name) else {
        return run(arguments, 0, Bytes::new(), began, context);
    };
    if !builtin.takes.contains(&(arguments.len() - 1)) {
        return wrong_number(builtin.name, context.reply);
    }
    match builtin.kind {
        Kind::Ping => return ping(arguments, context.reply),
        Kind::Echo => context.reply.bulk(arguments.at(1).unwrap_or_default()),
        Kind::Time => time(context.reply),
        Kind::Hello => hello(arguments, context),
        Kind::Auth => context.reply.error("ERR", NO_ACCOUNTS),
        Kind::Quit => {
            context.reply.ok();
            return Step::Over;
        }
        Kind::Reset => {
            context.reply.simple("RESET");
            return Step::Reset;
        }
        Kind::Select => match arguments.at(1) {
            Some(b"0") => context.reply.ok(),
            _ => context.reply.error("ERR", "DB index is out of range: there is only 0, and no keys in it"),
        },
        Kind::Help => help::help(arguments, context),
        Kind::Command => docs::command(builtin, arguments, context),
        Kind::SlowLog => context.service.records.slow.command(builtin, arguments, context.reply),
        Kind::Monitor => return Step::Monitor,
        Kind::Client => return client::dispatch(builtin, arguments, began, context),
        Kind::Dkim => return dkim::dispatch(builtin, arguments, began, context),
        Kind::Mail => return mail::dispatch(builtin, arguments, began, context),
        Kind::Account => return account::dispatch(builtin, arguments, began, context),
        Kind::Bans => return account::bans(arguments, context),
        Kind::Mailbox => return mailbox::dispatch(builtin, arguments, began, context),
        Kind::Queue => return queue::dispatch(builtin, arguments, began, context),
        Kind::Pipe => {
            let input = Bytes::copy_from_slice(arguments.at(1).unwrap_or_default());
            return run(arguments, 2, input, began, context);
        }
        Kind::Info => {
            let lower = |section: &[u8]| String::from_utf8_lossy(section).to_ascii_lowercase();
            return task(arguments, began, Action::Info { sections: arguments.from(1).map(lower).collect() });
        }
        Kind::Certificates => match arguments.at(1) {
            Some(word) if word.eq_ignore_ascii_case(b"ROOT") => return task(arguments, began, Action::Root),
            Some(word) if word.eq_ignore_ascii_case(b"RENEW") => return renew(arguments, began, context),
            Some(word) if !word.eq_ignore_ascii_case(b"JSON") => {
                context.reply.error("ERR", "syntax error: CERTIFICATES [JSON|ROOT|RENEW name]");
            }
            Some(_) => show::certificates(&context.service.keyring.standing(), Form::Json, context.reply),
            None => show::certificates(&context.service.keyring.standing(), Form::Text, context.reply),
        },
        Kind::Status | Kind::Connections | Kind::Threads => return show(builtin, arguments, began, context.reply),
        Kind::Reload => return reload(builtin, arguments, began, context),
    }
    Step::Answered
}

/// A task labelled with its request.
pub(super) fn task(arguments: &Arguments<'_>, began: Instant, action: Action) -> Step {
    Step::Task(Box::new(Task { label: Label::of(arguments, began), words: kept::kept(arguments), action }))
}

/// The error for a wrong number of arguments, as Redis words it.
pub(super) fn wrong_number(name: &str, reply: &mut Reply) -> Step {
    reply.error("ERR", format!("wrong number of arguments for '{}' command", name.to_ascii_lowercase()));
    Step::Answered
}

/// The subcommand that is asked for, with as many arguments as it takes. `None`: it was answered what is wrong.
pub(super) fn subcommand<'b>(
    builtin: &'b Builtin,
    arguments: &Arguments<'_>,
    reply: &mut Reply,
) -> Option<&'b Subcommand> {
    let word = arguments.at(1).unwrap_or_default();
    let found = builtin.subcommand(word);
    match found {
        None => unknown_subcommand(arguments, reply),
        Some(found) if found.takes.contains(&arguments.len().saturating_sub(2)) => return Some(found),
        Some(_) => {
            wrong_number(&format!("{}|{}", builtin.name, visible(word)), reply);
        }
    }
    None
}

/// The error for an unknown subcommand, as Redis words it.
fn unknown_subcommand(arguments: &Arguments<'_>, reply: &mut Reply) {
    let given = visible(arguments.at(1).unwrap_or_default());
    let name = visible(arguments.name()).to_ascii_uppercase();
    reply.error("ERR", format!("unknown subcommand '{given}'. Try HELP {name}."));
}

/// What a client sent, fit to be shown: cut, and without control characters.
pub(super) fn visible(bytes: &[u8]) -> String {
    const MOST: usize = 128;
    let text = String::from_utf8_lossy(bytes.get(..MOST).unwrap_or(bytes));
    text.chars().map(|letter| if letter.is_control() { '.' } else { letter }).collect()
}

/// Whether an argument is this word, in letters of either case.
pub(super) fn is(argument: Option<&[u8]>, word: &str) -> bool {
    argument.is_some_and(|argument| argument.eq_ignore_ascii_case(word.as_bytes()))
}

fn ping(arguments: &Arguments<'_>, reply: &mut Reply) -> Step {
    match arguments.at(1) {
        None => reply.pong(),
        Some(message) => reply.bulk(message),
    }
    Step::Pong
}

fn time(reply: &mut Reply) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    reply.array(2);
    reply.text(&now.as_secs().to_string());
    reply.text(&now.subsec_micros().to_string());
}

/// `HELLO [protover [AUTH username password] [SETNAME name]]`
fn hello(arguments: &Arguments<'_>, context: &mut Context<'_>) {
    let version = match arguments.at(1) {
        None => context.reply.version(),
        Some(b"2") => Version::Resp2,
        Some(b"3") => Version::Resp3,
        Some(_) => return context.reply.error("NOPROTO", "unsupported protocol version"),
    };
    let mut name = None;
    let mut options = arguments.from(2);
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"AUTH") {
            return context.reply.error("ERR", NO_ACCOUNTS);
        }
        match options.next() {
            Some(value) if option.eq_ignore_ascii_case(b"SETNAME") => name = Some(value),
            _ => return context.reply.error("ERR", format!("syntax error in HELLO option '{}'", visible(option))),
        }
    }
    if name.is_some_and(|name| !client::set_name(name, context)) {
        return;
    }
    let (connection, reply) = (context.connection, &mut *context.reply);
    reply.set_version(version);
    reply.map(7);
    reply.text("server");
    reply.text("sportello");
    reply.text("version");
    reply.text(env!("CARGO_PKG_VERSION"));
    reply.text("proto");
    reply.integer(if version == Version::Resp3 { 3 } else { 2 });
    reply.text("id");
    reply.count(connection.id());
    reply.text("mode");
    reply.text("standalone");
    reply.text("role");
    reply.text("master");
    reply.text("modules");
    reply.array(0);
}

const NO_ACCOUNTS: &str = "no accounts are configured on this server: it takes commands from this machine without AUTH";

fn reload(builtin: &Builtin, arguments: &Arguments<'_>, began: Instant, context: &mut Context<'_>) -> Step {
    if context.service.reloads.is_none() {
        context.reply.error("NOPERM", "RELOAD is for whoever may use the command line's socket: sportello reload");
        return Step::Answered;
    }
    match form(builtin, arguments, context.reply) {
        Some(form) => task(arguments, began, Action::Reload { form }),
        None => Step::Answered,
    }
}

/// `CERTIFICATES RENEW name`: it costs the CA an order, so it is for whoever may reload too.
fn renew(arguments: &Arguments<'_>, began: Instant, context: &mut Context<'_>) -> Step {
    let Some(name) = arguments.at(2).map(|name| String::from_utf8_lossy(name).into_owned()) else {
        context.reply.error("ERR", "syntax error: CERTIFICATES RENEW name");
        return Step::Answered;
    };
    if context.service.reloads.is_none() {
        context.reply.error(
            "NOPERM",
            "CERTIFICATES RENEW is for whoever may use the command line's socket: sportello certificates renew",
        );
        return Step::Answered;
    }
    task(arguments, began, Action::RenewCertificate { name })
}

/// For whom the answer is to be. `None`: it was answered what is wrong.
fn form(builtin: &Builtin, arguments: &Arguments<'_>, reply: &mut Reply) -> Option<Form> {
    match arguments.at(1) {
        None => Some(Form::Text),
        word if is(word, "JSON") => Some(Form::Json),
        Some(other) => {
            let (name, other) = (builtin.name, visible(other));
            reply.error("ERR", format!("syntax error: {name} takes JSON or nothing, not '{other}'"));
            None
        }
    }
}

fn show(builtin: &Builtin, arguments: &Arguments<'_>, began: Instant, reply: &mut Reply) -> Step {
    let Some(form) = form(builtin, arguments, reply) else { return Step::Answered };
    let subject = match builtin.kind {
        Kind::Connections => Subject::Connections,
        Kind::Threads => Subject::Threads,
        _ => Subject::Status,
    };
    task(arguments, began, Action::Show { subject, form })
}

/// A program, whose name is the argument `at`.
fn run(arguments: &Arguments<'_>, at: usize, stdin: Bytes, began: Instant, context: &mut Context<'_>) -> Step {
    let name = arguments.at(at).unwrap_or_default();
    let known = std::str::from_utf8(name).ok().filter(|name| context.service.runner.has(name));
    let Some(name) = known else {
        context.reply.error("ERR", refused::why(name));
        return Step::Answered;
    };
    let connection = context.connection;
    let invocation = Invocation {
        program: name.to_owned(),
        arguments: arguments.from(at + 1).map(<[u8]>::to_vec).collect(),
        stdin,
        peer: connection.peer(),
        request: format!("{}.{}", connection.id(), connection.request_number() + 1),
    };
    // What a program was given may be secret: how much it was is told, not what.
    let label = Label { verb: name.into(), object: Vec::new(), began };
    Step::Task(Box::new(Task { label, words: kept::kept(arguments), action: Action::Run { invocation } }))
}
