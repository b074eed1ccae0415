//! HELP: the commands for people, from the one table of built-ins and the configured programs.

use sportello_service::run::Program;
use sportello_wire::resp::{Arguments, Reply};

use super::builtin::{self, BUILTINS, Builtin};
use super::dispatch::{Context, visible};
use super::syntax;

/// `HELP [name]`
pub(super) fn help(arguments: &Arguments<'_>, context: &mut Context<'_>) {
    let runner = &context.service.runner;
    if let Some(name) = arguments.at(1) {
        if let Some(builtin) = builtin::find(name) {
            return context.reply.lines(&lines(builtin));
        }
        return match std::str::from_utf8(name).ok().and_then(|name| runner.program(name)) {
            Some(program) => context.reply.lines(&[of_program(program)]),
            None => context.reply.error("ERR", format!("unknown command '{}'; HELP lists them", visible(name))),
        };
    }
    let mut all: Vec<String> = BUILTINS.iter().map(line).collect();
    if runner.names().is_empty() {
        all.push("No programs: give some to the server with --command NAME=PATH".to_owned());
    }
    all.extend(runner.names().iter().filter_map(|name| runner.program(name)).map(of_program));
    context.reply.lines(&all);
}

/// `NAME HELP`, in Redis's form.
pub(super) fn subcommands(builtin: &Builtin, reply: &mut Reply) {
    let mut lines = vec![format!("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", builtin.name)];
    for subcommand in builtin.subcommands {
        lines.push(format!("{} {}", subcommand.name, syntax::usage(subcommand.arguments)).trim_end().to_owned());
        lines.push(format!("    {}.", subcommand.summary));
    }
    reply.lines(&lines);
}

/// What a program does, in one line.
pub(super) fn summary(program: &Program) -> &str {
    program.summary.as_deref().unwrap_or("a program of this server")
}

/// A built-in command in one line, by its name in letters of either case: its usage, and what it does.
pub fn described(name: &str) -> Option<String> {
    builtin::find(name.as_bytes()).map(line)
}

fn line(builtin: &Builtin) -> String {
    let names: Vec<&str> = builtin.subcommands.iter().map(|subcommand| subcommand.name).collect();
    let usage = if names.is_empty() { syntax::usage(builtin.arguments) } else { names.join("|") };
    let separator = if usage.is_empty() { "" } else { " " };
    format!("{}{separator}{usage}: {}", builtin.name, builtin.summary)
}

/// One built-in, each subcommand on a line of its own.
fn lines(builtin: &Builtin) -> Vec<String> {
    let mut lines = vec![line(builtin)];
    lines.extend(builtin.subcommands.iter().map(|subcommand| {
        let usage = syntax::usage(subcommand.arguments);
        let separator = if usage.is_empty() { "" } else { " " };
        format!("  {} {}{separator}{usage}: {}", builtin.name, subcommand.name, subcommand.summary)
    }));
    lines
}

fn of_program(program: &Program) -> String {
    let usage = program.template.usage();
    format!("{} {usage}: {}", program.name(), summary(program))
}
