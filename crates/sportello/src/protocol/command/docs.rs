//! COMMAND: the commands for client libraries, in the shapes of Redis 7, so that redis-cli completes and hints.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use sportello_service::run::{Program, Runner, Takes};
use sportello_wire::resp::{Arguments, Reply};

use super::builtin::{self, BUILTINS, Builtin, Subcommand};
use super::dispatch::{Context, is, subcommand};
use super::{help, syntax};

/// What COMMAND can speak of.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Builtin(&'static Builtin),
    Subcommand(&'static Builtin, &'static Subcommand),
    Program(&'a Program),
}

/// `COMMAND [COUNT | LIST | INFO [name ...] | DOCS [name ...] | GETKEYS command ... | HELP]`
pub(super) fn command(builtin: &Builtin, arguments: &Arguments<'_>, context: &mut Context<'_>) {
    let runner = &context.service.runner;
    let reply = &mut *context.reply;
    let Some(word) = arguments.at(1) else { return info(&all(runner), reply) };
    // What Redis takes and we do not must not look like a typing error.
    if is(Some(word), "LIST") && arguments.len() > 2 {
        return reply.error("ERR", "COMMAND LIST takes no FILTERBY here: it lists everything");
    }
    let Some(subcommand) = subcommand(builtin, arguments, reply) else { return };
    match subcommand.name {
        "COUNT" => reply.count((BUILTINS.len() + runner.names().len()) as u64),
        "LIST" => {
            let names: Vec<String> = all(runner).into_iter().flatten().flat_map(with_subcommands).collect();
            reply.array(names.len());
            names.iter().for_each(|name| reply.text(name));
        }
        "INFO" => info(&asked(arguments, runner), reply),
        "DOCS" => {
            let known: Vec<Entry<'_>> = asked(arguments, runner).into_iter().flatten().collect();
            reply.map(known.len());
            for entry in known {
                reply.text(&entry.name());
                entry.document(reply);
            }
        }
        "HELP" => help::subcommands(builtin, reply),
        // Redis's own words for a command without keys.
        _ => match arguments.at(2).and_then(|name| find(name, runner)) {
            Some(_) => reply.error("ERR", "The command has no key arguments"),
            None => reply.error("ERR", "Invalid command specified"),
        },
    }
}

fn all(runner: &Runner) -> Vec<Option<Entry<'_>>> {
    let programs = runner.names().iter().filter_map(|name| runner.program(name)).map(Entry::Program);
    BUILTINS.iter().map(Entry::Builtin).chain(programs).map(Some).collect()
}

/// The entries that were named, or all.
fn asked<'a>(arguments: &Arguments<'_>, runner: &'a Runner) -> Vec<Option<Entry<'a>>> {
    if arguments.len() > 2 { distinct(arguments.from(2).map(|name| find(name, runner))) } else { all(runner) }
}

/// Each entry once, however often it was named: a short request must not make a long answer. What is unknown costs as little
/// as its name.
fn distinct<'a>(entries: impl Iterator<Item = Option<Entry<'a>>>) -> Vec<Option<Entry<'a>>> {
    let mut seen = HashSet::new();
    entries.filter(|entry| entry.is_none_or(|entry| seen.insert(entry.name()))).collect()
}

/// By a name, or by `name|subcommand`.
fn find<'a>(name: &[u8], runner: &'a Runner) -> Option<Entry<'a>> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    match (builtin::find(first), second) {
        (Some(builtin), None) => Some(Entry::Builtin(builtin)),
        (Some(builtin), Some(second)) => builtin.subcommand(second).map(|found| Entry::Subcommand(builtin, found)),
        (None, None) => std::str::from_utf8(first).ok().and_then(|name| runner.program(name)).map(Entry::Program),
        (None, Some(_)) => None,
    }
}

fn with_subcommands(entry: Entry<'_>) -> Vec<String> {
    let mut names = vec![entry.name()];
    if let Entry::Builtin(builtin) = entry {
        names.extend(builtin.subcommands.iter().map(|subcommand| Entry::Subcommand(builtin, subcommand).name()));
    }
    names
}

/// As Redis 7 describes a command; none here has keys.
fn info(entries: &[Option<Entry<'_>>], reply: &mut Reply) {
    reply.array(entries.len());
    for entry in entries {
        match entry {
            Some(entry) => entry.inform(reply),
            None => reply.null_array(),
        }
    }
}

impl Entry<'_> {
    fn name(&self) -> String {
        match self {
            Self::Builtin(builtin) => builtin.name.to_ascii_lowercase(),
            Self::Subcommand(builtin, subcommand) => {
                format!("{}|{}", builtin.name, subcommand.name).to_ascii_lowercase()
            }
            Self::Program(program) => program.name().to_owned(),
        }
    }

    fn summary(&self) -> &str {
        match self {
            Self::Builtin(builtin) => builtin.summary,
            Self::Subcommand(_, subcommand) => subcommand.summary,
            Self::Program(program) => help::summary(program),
        }
    }

    /// The number of words it takes, its name included; negative: at least so many.
    fn arity(&self) -> i64 {
        let of = |takes: &RangeInclusive<usize>, names: i64| {
            let least = i64::try_from(*takes.start()).unwrap_or(0) + names;
            if takes.start() == takes.end() { least } else { -least }
        };
        match self {
            Self::Builtin(builtin) => of(&builtin.takes, 1),
            Self::Subcommand(_, subcommand) => of(&subcommand.takes, 2),
            Self::Program(program) => match program.template.parameters().len() {
                0 => -1,
                count => i64::try_from(count).unwrap_or(0) + 1,
            },
        }
    }

    fn inform(&self, reply: &mut Reply) {
        reply.array(10);
        reply.text(&self.name());
        reply.integer(self.arity());
        // Flags; first key, last key, step; ACL categories, tips, key specifications.
        reply.set(0);
        (0..3).for_each(|_| reply.integer(0));
        reply.set(0);
        reply.array(0);
        reply.set(0);
        let subcommands = if let Self::Builtin(builtin) = self { builtin.subcommands } else { &[] };
        reply.array(subcommands.len());
        if let Self::Builtin(builtin) = self {
            subcommands.iter().for_each(|subcommand| Entry::Subcommand(builtin, subcommand).inform(reply));
        }
    }

    fn document(&self, reply: &mut Reply) {
        let (arguments, subcommands) = match self {
            Self::Builtin(builtin) => (builtin.arguments, builtin.subcommands),
            Self::Subcommand(_, subcommand) => (subcommand.arguments, [].as_slice()),
            Self::Program(_) => ([].as_slice(), [].as_slice()),
        };
        let program = if let Self::Program(program) = self { Some(*program) } else { None };
        let has_arguments = program.is_some() || !arguments.is_empty();
        reply.map(3 + usize::from(has_arguments) + usize::from(!subcommands.is_empty()));
        reply.text("summary");
        reply.text(self.summary());
        reply.text("since");
        reply.text(env!("CARGO_PKG_VERSION"));
        reply.text("group");
        reply.text(if program.is_some() { "programs" } else { "server" });
        if has_arguments {
            reply.text("arguments");
            match program {
                Some(program) => parameters(program, reply),
                None => syntax::describe(arguments, reply),
            }
        }
        if let (Self::Builtin(builtin), false) = (self, subcommands.is_empty()) {
            reply.text("subcommands");
            reply.map(subcommands.len());
            for subcommand in subcommands {
                let entry = Entry::Subcommand(builtin, subcommand);
                reply.text(&entry.name());
                entry.document(reply);
            }
        }
    }
}

/// What a program takes; where nothing is said, any arguments.
fn parameters(program: &Program, reply: &mut Reply) {
    let parameters = program.template.parameters();
    if parameters.is_empty() {
        return syntax::describe(&[syntax::text("argument").many().optional()], reply);
    }
    reply.array(parameters.len());
    for parameter in parameters {
        let words = if let Takes::OneOf(words) = &parameter.takes { words.as_slice() } else { &[] };
        reply.map(2 + usize::from(!words.is_empty()));
        reply.text("name");
        reply.text(&parameter.name);
        reply.text("type");
        reply.text(match parameter.takes {
            Takes::Text => "string",
            Takes::Integer(_) => "integer",
            Takes::OneOf(_) => "oneof",
        });
        if !words.is_empty() {
            reply.text("arguments");
            reply.array(words.len());
            for word in words {
                reply.map(3);
                for text in ["name", word, "type", "pure-token", "token", word] {
                    reply.text(text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_answered_once_however_often_it_is_asked_for() {
        let mail = builtin::find(b"mail").map(Entry::Builtin);
        let ping = builtin::find(b"PING").map(Entry::Builtin);
        let asked = [mail, None, mail, ping, None, mail].into_iter().chain([mail; 1_000]);
        let names: Vec<_> = distinct(asked).into_iter().map(|entry| entry.map(|entry| entry.name())).collect();
        assert_eq!(names, [Some("mail".to_owned()), None, Some("ping".to_owned()), None]);
    }
}
