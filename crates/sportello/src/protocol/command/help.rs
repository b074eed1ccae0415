//! HELP for people and COMMAND for client libraries, from the one table of built-ins and the configured programs.

use sportello_wire::resp::{Arguments, Reply};

use super::builtin::{self, BUILTINS, Builtin};
use super::dispatch::{Context, is, unknown_subcommand, visible};

/// A built-in or a program.
enum Entry<'a> {
    Builtin(&'static Builtin),
    Program(&'a str),
}

impl Entry<'_> {
    fn name(&self) -> String {
        match self {
            Self::Builtin(builtin) => builtin.name.to_ascii_lowercase(),
            Self::Program(name) => (*name).to_owned(),
        }
    }

    fn summary(&self) -> &str {
        match self {
            Self::Builtin(builtin) => builtin.summary,
            Self::Program(_) => "a program of this server",
        }
    }

    /// The number of words it takes, its name included; negative: at least so many.
    fn arity(&self) -> i64 {
        match self {
            Self::Builtin(builtin) => {
                let least = i64::try_from(*builtin.takes.start()).unwrap_or(0) + 1;
                if builtin.takes.start() == builtin.takes.end() { least } else { -least }
            }
            Self::Program(_) => -1,
        }
    }
}

/// `HELP [name]`
pub(super) fn help(arguments: &Arguments<'_>, context: &mut Context<'_>) {
    let names = context.service.runner.names();
    if let Some(name) = arguments.at(1) {
        return match find(name, names) {
            Some(entry) => context.reply.lines(&[line(&entry)]),
            None => context.reply.error("ERR", format!("unknown command '{}'; HELP lists them", visible(name))),
        };
    }
    let mut lines: Vec<String> = BUILTINS.iter().map(|builtin| line(&Entry::Builtin(builtin))).collect();
    if names.is_empty() {
        lines.push("No programs: give some to the server with --command NAME=PATH".to_owned());
    }
    lines.extend(names.iter().map(|name| line(&Entry::Program(name))));
    context.reply.lines(&lines);
}

fn line(entry: &Entry<'_>) -> String {
    match entry {
        Entry::Builtin(builtin) if builtin.usage.is_empty() => format!("{}: {}", builtin.name, builtin.summary),
        Entry::Builtin(builtin) => format!("{} {}: {}", builtin.name, builtin.usage, builtin.summary),
        Entry::Program(name) => format!("{name} [argument ...]: {}", entry.summary()),
    }
}

/// `COMMAND [COUNT | LIST | INFO [name ...] | DOCS [name ...]]`
pub(super) fn command(arguments: &Arguments<'_>, context: &mut Context<'_>) {
    let names = context.service.runner.names();
    let all = || BUILTINS.iter().map(Entry::Builtin).chain(names.iter().map(|name| Entry::Program(name)));
    let asked: Vec<Option<Entry<'_>>> = if arguments.len() > 2 {
        arguments.from(2).map(|name| find(name, names)).collect()
    } else {
        all().map(Some).collect()
    };
    let reply = &mut *context.reply;
    match arguments.at(1) {
        None => info(&asked, reply),
        word if is(word, "INFO") => info(&asked, reply),
        word if is(word, "COUNT") && arguments.len() == 2 => reply.count((BUILTINS.len() + names.len()) as u64),
        word if is(word, "LIST") && arguments.len() == 2 => {
            reply.array(BUILTINS.len() + names.len());
            all().for_each(|entry| reply.text(&entry.name()));
        }
        word if is(word, "DOCS") => {
            let known: Vec<_> = asked.into_iter().flatten().collect();
            reply.map(known.len());
            for entry in known {
                reply.text(&entry.name());
                reply.map(3);
                reply.text("summary");
                reply.text(entry.summary());
                reply.text("since");
                reply.text(env!("CARGO_PKG_VERSION"));
                reply.text("group");
                reply.text(if matches!(entry, Entry::Program(_)) { "programs" } else { "server" });
            }
        }
        _ => unknown_subcommand(arguments, reply),
    }
}

/// As Redis 7 describes a command; none here has keys.
fn info(entries: &[Option<Entry<'_>>], reply: &mut Reply) {
    reply.array(entries.len());
    for entry in entries {
        let Some(entry) = entry else {
            reply.null();
            continue;
        };
        reply.array(10);
        reply.text(&entry.name());
        reply.integer(entry.arity());
        // Flags; first key, last key, step; ACL categories, tips, key specifications, subcommands.
        reply.array(0);
        (0..3).for_each(|_| reply.integer(0));
        (0..4).for_each(|_| reply.array(0));
    }
}

fn find<'a>(name: &[u8], programs: &'a [String]) -> Option<Entry<'a>> {
    let program = || programs.iter().find(|program| program.as_bytes().eq_ignore_ascii_case(name));
    builtin::find(name).map(Entry::Builtin).or_else(|| program().map(|name| Entry::Program(name)))
}
