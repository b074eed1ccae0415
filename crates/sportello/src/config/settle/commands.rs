//! The programs that clients may run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sportello_service::run::{Limits, Parameter, Program, ProgramError, Takes, Template, TemplateError};

use super::{one, set};
use crate::config::as_written::{Directive, Value, Written};
use crate::config::fault::Fault;
use crate::config::source::Span;
use crate::protocol::command::RESERVED;

/// All programs that can be run.
pub(super) fn settle(written: &Written, faults: &mut Vec<Fault>) -> Vec<Program> {
    let mut programs = Vec::new();
    let mut names: Vec<(String, Span)> = Vec::new();
    for directive in written.all("command") {
        let Some((value, name)) = one(Some(directive)).and_then(|value| Some((value, value.text()?))) else { continue };
        let lower = name.to_ascii_lowercase();
        if let Some((_, first)) = names.iter().find(|(other, _)| *other == lower) {
            let fault = Fault::error(value.span, format!("two commands are named {name}")).label("here again");
            let help = "give each a name of its own; letters of either case mean the same";
            faults.push(fault.also(*first, "first here").help(help));
        }
        names.push((lower, value.span));
        programs.extend(one_program(directive, (name, value.span), faults));
    }
    programs
}

fn one_program(directive: &Directive, (name, at): (&str, Span), faults: &mut Vec<Fault>) -> Option<Program> {
    let template = template(directive, faults);
    let path = one(directive.first("program"))?;
    match Program::new(name, path.path()?, RESERVED) {
        Ok(mut program) => {
            written_by_others(path, faults);
            program.summary = one(directive.first("summary")).and_then(Value::text).map(str::to_owned);
            program.template = template?;
            program.limits = limits(directive);
            Some(program)
        }
        Err(error) => {
            faults.push(refused(&error, at, path.span));
            None
        }
    }
}

fn refused(error: &ProgramError, name: Span, path: Span) -> Fault {
    match error {
        ProgramError::Reserved(reserved) => {
            let fault = Fault::error(name, format!("{reserved} is the name of a built-in command")).label("taken");
            fault.help("choose another name; HELP on a command channel lists the built-in ones")
        }
        ProgramError::Name(_) | ProgramError::Form(_) | ProgramError::Twice(_) => Fault::error(name, error.to_string()),
        ProgramError::Missing(_, file, cause) => {
            let what = match cause.kind() {
                std::io::ErrorKind::NotFound => format!("the program {} does not exist", file.display()),
                _ => format!("the program {} cannot be used: {cause}", file.display()),
            };
            Fault::error(path, what)
                .label("not there")
                .help("write the path of an executable file; `command -v NAME` finds it")
        }
        ProgramError::NotExecutable(_, file) => {
            let fault = Fault::error(path, format!("the program {} may not be executed", file.display()));
            fault.label("not executable").help(format!("if it is the right one: chmod +x {}", file.display()))
        }
        ProgramError::NotFile(_, file) => {
            Fault::error(path, format!("{} is a folder or a device", file.display())).label("no program")
        }
        ProgramError::Relative(..) => Fault::error(path, error.to_string()),
    }
}

/// What others may write, or any folder above it, others may make the server run.
fn written_by_others(path: &Value, faults: &mut Vec<Fault>) {
    const OTHERS: u32 = 0o002;
    let Some(written) = path.path().and_then(|path| std::path::absolute(path).ok()) else { return };
    // A link leads elsewhere: who may rename a folder on either way decides as well.
    let real = fs::canonicalize(&written).unwrap_or_else(|_| written.clone());
    let places: BTreeSet<&Path> = written.ancestors().chain(real.ancestors()).collect();
    for place in places {
        let Ok(metadata) = fs::metadata(place) else { continue };
        let sticky = metadata.is_dir() && metadata.permissions().mode() & 0o1000 != 0;
        if metadata.permissions().mode() & OTHERS != 0 && !sticky {
            let fault = Fault::error(path.span, format!("everybody may write {}", place.display()));
            let label = "and so decide what runs here";
            faults.push(fault.label(label).help(format!("chmod o-w {}", place.display())));
        }
    }
}

fn template(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Template> {
    let parameters: Vec<Parameter> =
        directive.all("argument").filter_map(|argument| parameter(argument, faults)).collect();
    let program = directive.first("program")?;
    let words: Vec<&str> = program.arguments.iter().skip(1).filter_map(Value::text).collect();
    match Template::new(&words, parameters) {
        Ok(template) => Some(template),
        Err(error) => {
            faults.push(misfit(&error, directive, program));
            None
        }
    }
}

fn parameter(directive: &Directive, faults: &mut Vec<Fault>) -> Option<Parameter> {
    let name = one(Some(directive))?.text()?.to_owned();
    let words: Vec<String> = directive.arguments.iter().skip(1).filter_map(Value::text).map(str::to_owned).collect();
    let from = directive.property("from");
    let to = directive.property("to");
    let takes = match (from, to) {
        (None, None) if words.is_empty() => Takes::Text,
        (None, None) => Takes::OneOf(words),
        (Some(_), _) | (_, Some(_)) if !words.is_empty() => {
            let fault = Fault::error(directive.span, format!("{name} cannot be one of these words and a number too"));
            faults.push(fault.label("words and a range").help("write the words, or from= and to="));
            return None;
        }
        _ => {
            let least = from.and_then(Value::integer).unwrap_or(i64::MIN);
            Takes::Integer(least..=to.and_then(Value::integer).unwrap_or(i64::MAX))
        }
    };
    Some(Parameter { name, takes })
}

fn misfit(error: &TemplateError, directive: &Directive, program: &Directive) -> Fault {
    let arguments = |name: &str| -> Vec<Span> {
        let named = |argument: &&Directive| one(Some(argument)).and_then(Value::text) == Some(name);
        directive.all("argument").filter(named).map(|argument| argument.span).collect()
    };
    let first = |name: &str| arguments(name).first().copied().unwrap_or(directive.name);
    match error {
        TemplateError::Unknown(name) => {
            let word = format!("{{{name}}}");
            let at = program
                .arguments
                .iter()
                .find(|value| value.text() == Some(&word))
                .map_or(program.name, |value| value.span);
            let fault = Fault::error(at, format!("the word {word} names no argument of this command")).label("unknown");
            fault.help(format!("write argument {name} in the command's block"))
        }
        TemplateError::Twice(name) => {
            let again = arguments(name).get(1).copied().unwrap_or(directive.name);
            let fault = Fault::error(again, format!("two arguments are named {name}")).label("here again");
            fault.also(first(name), "first here").help("give each a name of its own")
        }
        TemplateError::Nothing(name) => Fault::error(first(name), format!("the argument {name} allows nothing at all"))
            .label("from is more than to")
            .help("write a from= that is not more than to="),
        TemplateError::Name(name) => Fault::error(first(name), error.to_string()),
        TemplateError::TooMany | TemplateError::Nul => Fault::error(program.span, error.to_string()),
    }
}

fn limits(directive: &Directive) -> Limits {
    let mut limits = Limits::default();
    let value = |name: &str| one(directive.first(name));
    let property = |name: &str, property: &str| directive.first(name).and_then(|found| found.property(property));
    set(&mut limits.timeout, value("timeout").and_then(Value::time));
    set(&mut limits.grace, property("timeout", "kill-after").and_then(Value::time));
    set(&mut limits.parallel, value("parallel").and_then(Value::number));
    set(&mut limits.queue, value("queue").and_then(Value::number));
    set(&mut limits.queue_wait, property("queue", "wait").and_then(Value::time));
    set(&mut limits.arguments, value("arguments-size").and_then(Value::number));
    set(&mut limits.stdin, value("input").and_then(Value::number));
    set(&mut limits.output, value("output").and_then(Value::number));
    set(&mut limits.stderr, value("diagnostics").and_then(Value::number));
    limits
}
