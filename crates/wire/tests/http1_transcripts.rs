//! Plays `tests/transcripts/http/*.txt` against the HTTP/1.1 parser: whole, and byte by byte.
//!
//! `C:` is a line from the client (CRLF is added; `\r`, `\n`, `\t`, `\\` and `\xHH` are escapes; a line that ends in `\` has
//! no CRLF of its own), `S:` is what the server makes of it, `#` is a comment.

#![allow(clippy::unwrap_used, reason = "a test outside a crate: clippy.toml knows only cfg(test)")]

mod transcript;

use std::fs;
use std::path::Path;

use sportello_wire::http1::body::{Decoder, Framing};
use sportello_wire::http1::head::{Limits, parse, worth_parsing};
use sportello_wire::http1::{Persistence, Refusal};

use transcript::unescape;

const BODY_MOST: u64 = 64;

#[test]
fn every_transcript_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/http");
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (client, server) = read(&fs::read_to_string(&path).unwrap());
        for size in [1, 2, 5, client.len().max(1)] {
            assert_eq!(play(&client, size), server, "{} in pieces of {size}", path.display());
        }
        played += 1;
    }
    assert!(played > 0, "no transcripts found");
}

/// Feeds the bytes in pieces, and says what the server saw.
fn play(client: &[u8], size: usize) -> Vec<String> {
    let limits = Limits::default();
    let (mut held, mut said) = (Vec::new(), Vec::new());
    let mut body: Option<(Decoder, Vec<u8>)> = None;
    for piece in client.chunks(size) {
        let before = held.len();
        held.extend_from_slice(piece);
        if body.is_none() && before > 0 && !worth_parsing(before, &held, &limits) {
            continue;
        }
        match advance(&mut held, &mut body, &limits, &mut said) {
            Ok(()) => {}
            Err(refusal) => {
                said.push(format!("{} {refusal}", refusal.status()));
                return said;
            }
        }
    }
    if !held.is_empty() || body.is_some() {
        said.push("waits".into());
    }
    said
}

fn advance(
    held: &mut Vec<u8>,
    body: &mut Option<(Decoder, Vec<u8>)>,
    limits: &Limits,
    said: &mut Vec<String>,
) -> Result<(), Refusal> {
    loop {
        if let Some((mut decoder, mut whole)) = body.take() {
            let step = decoder.decode(held)?;
            whole.extend_from_slice(&held[step.data.clone()]);
            held.drain(..step.consumed);
            if !decoder.is_done() {
                *body = Some((decoder, whole));
                if held.is_empty() {
                    return Ok(());
                }
                continue;
            }
            said.push(format!("body {}", String::from_utf8_lossy(&whole)));
        }
        let Some(head) = parse(held, limits)? else { return Ok(()) };
        let close = if head.persistence == Persistence::Close { " close" } else { "" };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        said.push(format!("{} {} for {}{close}", text(head.verb), text(head.raw_target), text(head.host)));
        if head.framing != Framing::Length(0) {
            *body = Some((Decoder::new(head.framing, BODY_MOST)?, Vec::new()));
        }
        held.drain(..head.length);
    }
}

fn read(text: &str) -> (Vec<u8>, Vec<String>) {
    let (mut client, mut server) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("C:") {
            let line = line.strip_prefix(' ').unwrap_or(line);
            match line.strip_suffix('\\').filter(|line| !line.ends_with('\\')) {
                Some(line) => client.extend(unescape(line)),
                None => {
                    client.extend(unescape(line));
                    client.extend_from_slice(b"\r\n");
                }
            }
        } else if let Some(line) = line.strip_prefix("S: ") {
            server.push(line.to_owned());
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "neither C:, S: nor #: {line}");
        }
    }
    (client, server)
}
