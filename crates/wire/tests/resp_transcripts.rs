//! Plays `tests/transcripts/resp/*.txt` against the RESP parser and writer: whole, in pieces, and byte by byte.
//!
//! `C:` is a line from the client and `S:` one of the server's answer (CRLF is added to both; `\r`, `\n`, `\t`, `\\` and `\xHH`
//! are escapes; a line that ends in `\` has no CRLF of its own), `S: (closed)` says that the server closes, `#` is a comment.

#![allow(clippy::unwrap_used, reason = "a test outside a crate: clippy.toml knows only cfg(test)")]

use std::fs;
use std::path::Path;

use sportello_wire::resp::{Arguments, Limits, Next, Parser, Reply, Version};

#[test]
fn every_transcript_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/resp");
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (client, server) = read(&fs::read_to_string(&path).unwrap());
        for size in [1, 2, 5, client.len()] {
            let said = play(&client, size);
            let (said, server) = (said.escape_ascii().to_string(), server.escape_ascii().to_string());
            assert_eq!(said, server, "{} in pieces of {size}", path.display());
        }
        played += 1;
    }
    assert!(played > 0, "no transcripts found");
}

/// Feeds the bytes in pieces, and gives what the server answers.
fn play(client: &[u8], size: usize) -> Vec<u8> {
    let mut parser = Parser::new(Limits { argument: 200, request: 400, line: 100, ..Limits::default() });
    let mut reply = Reply::new();
    let (mut held, mut needed) = (Vec::new(), 1);
    for piece in client.chunks(size) {
        held.extend_from_slice(piece);
        while held.len() >= needed {
            match parser.next(&held) {
                Next::Incomplete { needed: more } => needed = more,
                Next::Nothing { consumed } => {
                    held.drain(..consumed);
                    needed = 1;
                }
                Next::Request { arguments, consumed } => {
                    let going = answer(&arguments, &mut reply);
                    held.drain(..consumed);
                    needed = 1;
                    if !going {
                        return closed(&reply);
                    }
                }
                Next::Refused(refused) => {
                    reply.error("ERR", refused.to_string());
                    return closed(&reply);
                }
            }
        }
    }
    reply.bytes().to_vec()
}

fn closed(reply: &Reply) -> Vec<u8> {
    [reply.bytes(), b"(closed)\r\n"].concat()
}

/// A server of a few commands; `false`: it closes.
fn answer(arguments: &Arguments<'_>, reply: &mut Reply) -> bool {
    match (arguments.name().to_ascii_uppercase().as_slice(), arguments.len()) {
        (b"PING", 1) => reply.pong(),
        (b"ECHO", 2) => reply.bulk(arguments.at(1).unwrap()),
        (b"WORDS", _) => {
            reply.array(arguments.len() - 1);
            arguments.from(1).for_each(|word| reply.bulk(word));
        }
        (b"HELLO", 2) => {
            reply.set_version(if arguments.at(1) == Some(b"3") { Version::Resp3 } else { Version::Resp2 });
            reply.map(2);
            reply.text("proto");
            reply.integer(if reply.version() == Version::Resp3 { 3 } else { 2 });
            reply.text("modules");
            reply.array(0);
        }
        (b"KINDS", 1) => {
            reply.array(5);
            reply.null();
            reply.boolean(true);
            reply.double(0.5);
            reply.verbatim("text");
            reply.lines(&["a", "b"]);
        }
        (b"QUIT", 1) => {
            reply.ok();
            return false;
        }
        (name, _) => reply.error("ERR", format!("unknown command '{}'", name.escape_ascii())),
    }
    true
}

/// What the client sends and what the server answers.
fn read(transcript: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut client, mut server) = (Vec::new(), Vec::new());
    for line in transcript.lines() {
        let (who, text) = line.split_at_checked(2).unwrap_or((line, ""));
        let bytes = unescaped(text.strip_prefix(' ').unwrap_or(text));
        match who {
            "C:" => client.extend(bytes),
            "S:" => server.extend(bytes),
            _ => assert!(line.is_empty() || line.starts_with('#'), "neither C: nor S: nor #: {line}"),
        }
    }
    (client, server)
}

/// A line's bytes, with the CRLF that it is written without.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, (letter == '\\').then(|| letters.next()).flatten()) {
            ('\\', None) => return bytes,
            ('\\', Some('r')) => bytes.push(b'\r'),
            ('\\', Some('n')) => bytes.push(b'\n'),
            ('\\', Some('t')) => bytes.push(b'\t'),
            ('\\', Some('\\')) => bytes.push(b'\\'),
            ('\\', Some('x')) => {
                let digits: String = letters.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            ('\\', Some(other)) => panic!("not an escape: \\{other}"),
            (other, _) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
