//! `sportello call`: one command, its answer on standard output, its outcome as the exit code.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use sportello_wire::resp::client::Value;
use thiserror::Error;

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Paper, grouped, visible_bytes};
use super::place::Whereabouts;

/// `sportello call`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "sportello call [OPTIONS] NAME [ARG]...")]
pub struct Call {
    /// The command, a built-in (HELP lists them) or a program given to the server by --command, and its arguments, which
    /// no shell sees.
    #[arg(value_name = "NAME", required = true, trailing_var_arg = true)]
    pub words: Vec<String>,
    /// Give the program this file, or `-` for our own standard input, as its standard input (at most 512 KiB).
    #[arg(long, value_name = "FILE")]
    pub stdin: Option<PathBuf>,
    /// How long to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub wait: u64,
    /// Print the answer as one line of JSON: {"command","ok","kind","answer"|"base64","error","exit"}.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

const EXAMPLES: &str = "\
Options stand before NAME; everything after it belongs to the command.

Examples:
  sportello call PING
  sportello call HELP
  sportello serve --command greet=/usr/local/bin/greet    (in another terminal)
  sportello call greet Ada
  sportello call --stdin letter.txt wordcount
  make-it | sportello call --stdin - publish > answer

What the program printed comes out byte for byte.

Exit codes: 0 when it exited with 0, its own code when it exited with another, 75 when it asks to be tried again, 124 when \
it was out of time, 1 for every other error (on standard error), 2 for wrong usage.";

/// The most bytes of standard input that are sent: it travels as one argument, and the server takes no longer ones.
fn stdin_most() -> u64 {
    sportello_wire::resp::Limits::default().argument as u64
}

/// Why a call was not made.
#[derive(Debug, Error)]
pub enum Error {
    /// The input cannot be read.
    #[error("{} cannot be read", .0.display())]
    Input(PathBuf, #[source] io::Error),
    /// The input is larger than [`stdin_most`].
    #[error("{} is larger than {} bytes, the most that a call carries", .0.display(), grouped(*.1))]
    TooLarge(PathBuf, u64),
}

/// Runs it; the exit code is the outcome's.
pub fn run(call: &Call) -> Result<u8, Failed> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    if let Some(path) = &call.stdin {
        words.push(b"PIPE".to_vec());
        words.push(input(path, stdin_most())?);
    }
    words.extend(call.words.iter().map(|word| word.clone().into_bytes()));
    let deadlines = Deadlines { idle: Duration::from_secs(call.wait), ..Deadlines::default() };
    let way = call.whereabouts.commands()?;
    let answer = Commands::reach(&way, deadlines)?.ask(&words)?;
    if call.json { print_json(call, &answer) } else { print_plain(&answer) }
}

fn input(path: &PathBuf, most: u64) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::Input(path.clone(), error);
    let mut bytes = Vec::new();
    let source: Box<dyn Read> =
        if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
    source.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most { Err(Error::TooLarge(path.clone(), most)) } else { Ok(bytes) }
}

fn print_plain(answer: &Value) -> Result<u8, Failed> {
    match answer {
        Value::Error(error) => Err(Failed::new(visible_bytes(error)).with_code(exit_code(error))),
        Value::Bulk(bytes) => {
            let mut paper = Paper::stdout();
            paper.bytes(bytes)?;
            paper.flush()?;
            Ok(0)
        }
        other => {
            let mut text = String::new();
            describe(other, 0, &mut text);
            Paper::stdout().text(text)?;
            Ok(0)
        }
    }
}

/// The exit code that stands for an error's first word.
fn exit_code(error: &[u8]) -> u8 {
    let mut words = error.split(|byte| *byte == b' ');
    match words.next().unwrap_or_default() {
        b"EXIT" => {
            let code = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u8>().ok());
            code.filter(|code| *code != 0).unwrap_or(1)
        }
        // EX_TEMPFAIL of sysexits.h; what timeout(1) says.
        b"TRYAGAIN" => 75,
        b"TIMEOUT" => 124,
        _ => 1,
    }
}

/// A value for people: one line each, what lies inside is set in.
fn describe(value: &Value, depth: usize, text: &mut String) {
    let margin = "  ".repeat(depth);
    match value {
        Value::Array(values) => values.iter().for_each(|value| describe(value, depth + 1, text)),
        Value::Map(pairs) => {
            for (key, value) in pairs {
                let inline = !matches!(value, Value::Array(_) | Value::Map(_));
                *text += &format!("{margin}{}:{}", flat(key), if inline { " " } else { "\n" });
                if inline {
                    *text += &format!("{}\n", flat(value));
                } else {
                    describe(value, depth + 1, text);
                }
            }
        }
        plain => *text += &format!("{}{}\n", "  ".repeat(depth.saturating_sub(1)), flat(plain)),
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::Simple(bytes) | Value::Bulk(bytes) | Value::Error(bytes) => visible_bytes(bytes),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.clone(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Null => "(nothing)".to_owned(),
        Value::Array(values) => format!("({} values)", values.len()),
        Value::Map(pairs) => format!("({} pairs)", pairs.len()),
    }
}

/// The answer for machines.
#[derive(Debug, Serialize)]
struct Report<'a> {
    command: &'a [String],
    ok: bool,
    kind: &'static str,
    /// The answer, where it is text or no string at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<serde_json::Value>,
    /// The answer's bytes, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The exit code of this process.
    exit: u8,
}

fn print_json(call: &Call, answer: &Value) -> Result<u8, Failed> {
    let kind = match answer {
        Value::Simple(_) => "simple",
        Value::Error(_) => "error",
        Value::Integer(_) => "integer",
        Value::Bulk(_) => "bulk",
        Value::Null => "null",
        Value::Boolean(_) => "boolean",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Map(_) => "map",
    };
    let mut report = Report { command: &call.words, ok: true, kind, answer: None, base64: None, error: None, exit: 0 };
    match answer {
        Value::Error(error) => {
            report.ok = false;
            report.exit = exit_code(error);
            report.error = Some(String::from_utf8_lossy(error).into_owned());
        }
        Value::Bulk(bytes) if std::str::from_utf8(bytes).is_err() => report.base64 = Some(base64(bytes)),
        other => report.answer = Some(json(other)),
    }
    Paper::stdout().json(&report)?;
    Ok(report.exit)
}

fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Simple(bytes) | Value::Bulk(bytes) | Value::Error(bytes) => {
            Json::String(String::from_utf8_lossy(bytes).into_owned())
        }
        Value::Integer(number) => Json::from(*number),
        Value::Number(number) => Json::String(number.clone()),
        Value::Boolean(truth) => Json::Bool(*truth),
        Value::Null => Json::Null,
        Value::Array(values) => Json::Array(values.iter().map(json).collect()),
        Value::Map(pairs) => Json::Object(pairs.iter().map(|(key, value)| (flat(key), json(value))).collect()),
    }
}

/// RFC 4648 §4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place > group.len() { '=' } else { char::from(ALPHABET[six]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_an_exit_code() {
        for (error, code) in [
            ("EXIT 3 it failed", 3),
            ("EXIT 255", 255),
            ("EXIT 0", 1),
            ("EXIT 256 x", 1),
            ("EXIT", 1),
            ("TRYAGAIN later", 75),
            ("TIMEOUT after 30 s", 124),
            ("BUSY", 1),
            ("ERR unknown command", 1),
            ("EXITED 3", 1),
            ("", 1),
        ] {
            assert_eq!(exit_code(error.as_bytes()), code, "{error}");
        }
    }

    #[test]
    fn values_are_shown_one_a_line() {
        let check = |value: Value, expect: &str| {
            let mut text = String::new();
            describe(&value, 0, &mut text);
            assert_eq!(text, expect);
        };
        let simple = |text: &str| Value::Simple(text.as_bytes().to_vec());
        check(simple("PONG"), "PONG\n");
        check(Value::Array(vec![Value::Integer(1), Value::Array(vec![simple("a"), simple("b")])]), "1\n  a\n  b\n");
        check(
            Value::Map(vec![(simple("a"), Value::Null), (simple("b"), Value::Array(vec![Value::Integer(1)]))]),
            "a: (nothing)\nb:\n  1\n",
        );
        check(simple("\x1b[2J"), "\u{fffd}[2J\n");
    }

    #[test]
    fn base64_as_the_rfc_shows_it() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn input_is_bounded_at_n() {
        let path = std::env::temp_dir().join(format!("sportello-call-{}", std::process::id()));
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(input(&path, 5).unwrap(), b"12345");
        assert!(matches!(input(&path, 4), Err(Error::TooLarge(_, 4))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(input(&path, 4), Err(Error::Input(..))));
    }
}
