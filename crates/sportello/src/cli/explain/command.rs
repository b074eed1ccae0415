//! What would happen to a command.

use sportello_service::run::Program;

use super::{Basis, Told};
use crate::config::Role;
use crate::config::value::{duration_text, size_text};
use crate::protocol::command::described;

/// Whether it is a built-in or a configured program.
pub(super) fn is_known(basis: &Basis, name: &str) -> bool {
    described(name).is_some() || program(basis, name).is_some()
}

/// Which program runs, or which built-in answers, and on which channels.
pub(super) fn explain<'a>(basis: &'a Basis, name: &'a str) -> Told<'a> {
    let mut told = Told::new();
    if let Some(line) = described(name) {
        told.say(format!("a built-in command: {line}"));
    } else if let Some(program) = program(basis, name) {
        of_program(&mut told, program);
        told.whole.extend(basis.named("command", program.name()));
    }
    let mut channels = basis.settings.channels.iter().filter(|door| matches!(door.role, Role::Command(_))).peekable();
    if channels.peek().is_none() {
        told.say("no channel speaks command, so no client can give it");
    }
    for door in channels {
        told.say(format!(
            "on channel {} at {}, for everybody on this machine",
            door.channel.name, door.channel.address
        ));
        told.heads.extend(basis.named("channel", &door.channel.name));
    }
    told
}

fn program<'a>(basis: &'a Basis, name: &str) -> Option<&'a Program> {
    basis.settings.programs.iter().find(|program| program.name().eq_ignore_ascii_case(name))
}

fn of_program(told: &mut Told<'_>, program: &Program) {
    told.say(format!("{} runs the program {}", program.name(), program.path().display()));
    told.say(format!("written: {} {}", program.name(), program.template.usage()));
    if let Some(summary) = &program.summary {
        told.say(format!("what it is for: {summary}"));
    }
    let limits = &program.limits;
    told.say(format!(
        "it may take {}, then it is told to end, and killed {} later",
        duration_text(limits.timeout),
        duration_text(limits.grace)
    ));
    told.say(format!(
        "at once: {}; waiting: {}, for {} at most, then BUSY",
        limits.parallel,
        limits.queue,
        duration_text(limits.queue_wait)
    ));
    let size = |bytes: usize| size_text(bytes as u64);
    told.say(format!(
        "arguments up to {}, input up to {}, output up to {}; the last {} of standard error are logged",
        size(limits.arguments),
        size(limits.stdin),
        size(limits.output),
        size(limits.stderr)
    ));
    told.say("it runs as the user of the server, without a shell, and is killed when its client leaves");
}
