//! HTTP/1.1 as our own client reads and writes it.

use sportello_wire::http1::client::{Asked, Head, Limits, Request, write_request};
use sportello_wire::http1::head;

use crate::pieces::{Cut, cuts, pieces};

fn read(data: &[u8], asked: Asked, cut: Cut) -> Result<(String, Vec<u8>), String> {
    let mut held = Vec::new();
    let mut read = None;
    for piece in pieces(data, cut) {
        held.extend_from_slice(piece);
        if read.is_none() {
            let Some((head, used)) = Head::parse(&held, &Limits::default()).map_err(|error| error.to_string())? else {
                continue;
            };
            assert!(used <= held.len());
            held.drain(..used);
            let body = head.body(asked).map_err(|error| error.to_string())?;
            read = Some((format!("{head:?}"), body, Vec::new()));
        }
        if let Some((_, body, whole)) = &mut read {
            while !held.is_empty() && !body.is_done() {
                let step = body.step(&held).map_err(|error| error.to_string())?;
                assert!(step.used <= held.len() && step.data.end <= step.used && step.used > 0);
                whole.extend_from_slice(&held[step.data.clone()]);
                held.drain(..step.used);
            }
        }
    }
    let Some((head, body, whole)) = read else { return Ok((String::new(), Vec::new())) };
    body.closed().map_err(|error| error.to_string())?;
    Ok((head, whole))
}

/// An answer; the first byte says what was asked for.
pub(crate) fn answer(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let asked = || if first == b'H' { Asked::ForHead } else { Asked::ForBody };
    let whole = read(data, asked(), Cut::Whole);
    for cut in cuts(data) {
        match (read(data, asked(), cut), &whole) {
            (Ok(cut), Ok(whole)) => assert_eq!(cut, *whole),
            (Err(_), Err(_)) => {}
            (cut, whole) => panic!("in pieces {cut:?}, whole {whole:?}"),
        }
    }
}

/// A request: its parts stand on lines. What the client writes, the server reads as one request, and as it was meant.
pub(crate) fn request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\n');
    let mut next = || parts.next().unwrap_or_default();
    let (method, target, host) = (next(), next(), next());
    let fields: Vec<_> = parts.filter_map(|line| line.split_once('=')).collect();
    let mut out = Vec::new();
    if write_request(&Request { method, target, host, fields: &fields }, &mut out).is_err() {
        assert!(out.is_empty());
        return;
    }
    if let Ok(head) = head::parse(&out, &head::Limits::default()) {
        let head = head.unwrap();
        assert_eq!(head.length, out.len(), "it is more than one request");
        assert_eq!((head.verb, head.raw_target), (method.as_bytes(), target.as_bytes()));
    }
}
