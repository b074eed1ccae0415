//! `sportello get`: fetches one URL into a file that is either whole or not there, and goes on where it stopped.

mod part;
pub(super) mod progress;
pub mod url;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use sportello_wire::http1::client::{Head, Request};
use thiserror::Error;

use self::part::{Earlier, Part};
use self::progress::Progress;
use self::url::Url;
use super::conversation::http::{self, Answer};
use super::conversation::{Conversation, Deadlines};
use super::paper::{Failed, Paper, byte_size, visible};

/// `sportello get`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    /// What to fetch: http://HOST[:PORT]/path
    #[arg(value_name = "URL")]
    pub url: String,
    /// Where to keep it; `-` is standard output [default: the last part of the URL's path, if there is no such file yet]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Begin anew even if FILE.part holds a part of it.
    #[arg(long)]
    pub fresh: bool,
    /// Print what was done as one line of JSON: {"url","status","bytes","seconds","file","resumed",…}.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
The bytes go to FILE.part, and only the whole file gets its name: its length is checked against what the server announced. \
If the transfer breaks off, the same command goes on where it stopped, provided that the server can still prove that it is \
the same file (Range and If-Range with a strong ETag or a date); FILE.part.json keeps that proof. Up to 10 redirects are \
followed. https:// is not spoken yet and refused.

Examples:
  sportello get http://127.0.0.1:8080/big.iso
  sportello get http://127.0.0.1:8080/ -o -
  sportello get http://127.0.0.1:8080/big.iso -o copy.iso --json

Exit codes: 0 the file is whole, 1 it is not (one sentence on standard error says why), 2 wrong usage.";

/// The most redirects that are followed.
const REDIRECTS_MOST: usize = 10;

/// Why the file is not there.
#[derive(Debug, Error)]
pub enum Error {
    /// The URL, or one that a redirect named.
    #[error(transparent)]
    Url(#[from] url::Error),
    /// The URL ends in no name of a file.
    #[error("the URL ends in no file name: say with -o FILE where to keep it")]
    Unnamed,
    /// A file of that name is there, and it was not named by -o.
    #[error("{} is there already: say with -o FILE where to keep it", .0.display())]
    Exists(PathBuf),
    /// More than [`REDIRECTS_MOST`].
    #[error("the server redirects more than {REDIRECTS_MOST} times")]
    Redirects,
    /// A redirect without a place.
    #[error("the server redirects and does not say where to")]
    NoLocation,
    /// The server answered something else than the file.
    #[error("the server answers {0}")]
    Status(String),
    /// A 206 that is not what was asked for.
    #[error("the server sent another part of the file than the one asked for")]
    Range,
    /// The transfer broke off.
    #[error("{0} of {1} came, the rest is missing; the same command goes on from there")]
    Broken(String, String, #[source] http::Error),
    /// Fewer or more bytes came than were announced.
    #[error("the file should have {expected} bytes and has {came}")]
    Length { expected: u64, came: u64 },
}

/// What was done.
#[derive(Debug, Serialize)]
struct Report {
    /// Where it finally came from.
    url: String,
    status: u16,
    /// The bytes of the whole file.
    bytes: u64,
    /// Of these, how many were there before.
    resumed: u64,
    seconds: f64,
    /// Where it is; null for standard output.
    file: Option<String>,
    redirects: usize,
    media_type: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// Runs it.
pub fn run(get: &Get) -> Result<u8, Failed> {
    let to_stdout = get.output.as_deref() == Some(Path::new("-"));
    if get.json && to_stdout {
        return Err(Failed::new("--json and -o - cannot both have standard output").with_code(2));
    }
    let url = Url::parse(&get.url)?;
    let started = Instant::now();
    let report = if to_stdout {
        fetch_to_stdout(&url, started)?
    } else {
        let file = match &get.output {
            Some(file) => file.clone(),
            None => unnamed(&url)?,
        };
        let earlier = if get.fresh { Earlier::Drop } else { Earlier::Use };
        fetch_to_file(&url, &file, earlier, started)?
    };
    if get.json {
        Paper::stdout().json(&report)?;
    } else if let Some(file) = &report.file {
        Paper::stderr().line(summary(&report, file))?;
    }
    Ok(0)
}

fn unnamed(url: &Url) -> Result<PathBuf, Error> {
    let file = PathBuf::from(url.file_name().ok_or(Error::Unnamed)?);
    if file.exists() { Err(Error::Exists(file)) } else { Ok(file) }
}

fn summary(report: &Report, file: &str) -> String {
    let came = report.bytes - report.resumed.min(report.bytes);
    let rate = byte_size((came as f64 / report.seconds.max(0.001)) as u64);
    let resumed = match report.resumed {
        0 => String::new(),
        bytes => format!(", {} of it from before", byte_size(bytes)),
    };
    format!("{}: {} in {:.2} s ({rate}/s){resumed}", visible(file), byte_size(report.bytes), report.seconds)
}

fn fetch_to_stdout(url: &Url, started: Instant) -> Result<Report, Failed> {
    let mut paper = Paper::stdout();
    follow(url, &[], |hop, answer| {
        let head = only_success(answer)?;
        let total = expected(answer)?;
        let mut bytes: u64 = 0;
        loop {
            let piece = answer.piece().map_err(|error| broken(bytes, total, error))?;
            if piece.is_empty() {
                break;
            }
            bytes += piece.len() as u64;
            paper.bytes(piece)?;
        }
        paper.flush()?;
        Ok(Report::new(hop, &head, bytes, 0, None, started.elapsed()))
    })
}

fn fetch_to_file(url: &Url, file: &Path, earlier: Earlier, started: Instant) -> Result<Report, Failed> {
    let mut part = Part::open(file)?;
    let asked_for = url.to_string();
    let validator = if earlier == Earlier::Use { part.validator(&asked_for) } else { None };
    let outcome = match validator {
        None => fetch_whole(url, &mut part, file, started),
        Some(validator) => {
            let range = format!("bytes={}-", part.length());
            let conditions = [("Range", range.as_str()), ("If-Range", validator.as_str())];
            let resumed = follow(url, &conditions, |hop, answer| match answer.head.status {
                206 => resume(hop, answer, &mut part, file, started).map(Some),
                // RFC 9110 §15.5.17: nothing lies behind what is there. It cannot be told from here that it is the whole.
                416 => Ok(None),
                _ => store(hop, &asked_for, answer, &mut part, file, started).map(Some),
            })?;
            match resumed {
                Some(report) => Ok(report),
                None => fetch_whole(url, &mut part, file, started),
            }
        }
    };
    match outcome {
        Ok(report) => part.finish().map(|()| report).map_err(Failed::from),
        Err(failed) => {
            part.abandon_if_empty();
            Err(failed)
        }
    }
}

fn fetch_whole(url: &Url, part: &mut Part, file: &Path, started: Instant) -> Result<Report, Failed> {
    let asked_for = url.to_string();
    follow(url, &[], |hop, answer| store(hop, &asked_for, answer, part, file, started))
}

/// Keeps a 200 from its first byte.
fn store(
    hop: &Hop,
    asked_for: &str,
    answer: &mut Answer<'_>,
    part: &mut Part,
    file: &Path,
    started: Instant,
) -> Result<Report, Failed> {
    let head = only_success(answer)?;
    part.begin(asked_for, &head)?;
    let total = expected(answer)?;
    receive(answer, part, file, total)?;
    Ok(Report::new(hop, &head, part.length(), 0, Some(file), started.elapsed()))
}

/// Appends a 206 that begins exactly behind what is there.
fn resume(
    hop: &Hop,
    answer: &mut Answer<'_>,
    part: &mut Part,
    file: &Path,
    started: Instant,
) -> Result<Report, Failed> {
    let first = part.length();
    let range = answer.head.field("content-range").and_then(ContentRange::parse).ok_or(Error::Range)?;
    if range.first != first || range.last.checked_add(1) != Some(range.total) {
        return Err(Error::Range.into());
    }
    let head = answer.head.clone();
    part.go_on()?;
    receive(answer, part, file, Some(range.total))?;
    Ok(Report::new(hop, &head, part.length(), first, Some(file), started.elapsed()))
}

fn receive(answer: &mut Answer<'_>, part: &mut Part, file: &Path, total: Option<u64>) -> Result<(), Failed> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut progress = Progress::new(&name, part.length(), total);
    loop {
        let piece = match answer.piece() {
            Ok(piece) => piece,
            Err(error) => {
                progress.wipe()?;
                return Err(broken(part.length(), total, error).into());
            }
        };
        if piece.is_empty() {
            break;
        }
        part.write(piece)?;
        progress.advance(piece.len() as u64)?;
    }
    progress.wipe()?;
    match total {
        Some(expected) if expected != part.length() => Err(Error::Length { expected, came: part.length() }.into()),
        _ => Ok(()),
    }
}

fn broken(came: u64, total: Option<u64>, error: http::Error) -> Error {
    Error::Broken(byte_size(came), total.map_or_else(|| "an unknown length".to_owned(), byte_size), error)
}

fn only_success(answer: &Answer<'_>) -> Result<Head, Error> {
    match answer.head.status {
        200 => Ok(answer.head.clone()),
        _ => Err(Error::Status(visible(&answer.head.status_text()))),
    }
}

/// The announced length of the body; a chunked one announces none.
fn expected(answer: &Answer<'_>) -> Result<Option<u64>, Failed> {
    Ok(answer.head.content_length()?)
}

/// One step of a chain of redirects.
struct Hop {
    url: Url,
    redirects: usize,
}

/// Asks for `url`, follows redirects, and hands the answer that is none to `then`.
fn follow<T>(
    url: &Url,
    conditions: &[(&str, &str)],
    then: impl FnOnce(&Hop, &mut Answer<'_>) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let mut hop = Hop { url: url.clone(), redirects: 0 };
    loop {
        let mut conversation = Conversation::open(&hop.url.place, Deadlines::default())?;
        let host = hop.url.host();
        let mut fields = vec![
            ("User-Agent", concat!("sportello/", env!("CARGO_PKG_VERSION"))),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ];
        fields.extend_from_slice(conditions);
        let request = Request { method: "GET", target: &hop.url.target, host: &host, fields: &fields };
        let mut answer = http::get(&mut conversation, &request)?;
        if !matches!(answer.head.status, 301 | 302 | 303 | 307 | 308) {
            return then(&hop, &mut answer);
        }
        if hop.redirects == REDIRECTS_MOST {
            return Err(Error::Redirects.into());
        }
        let location = answer.head.field("location").ok_or(Error::NoLocation)?;
        hop = Hop { url: hop.url.join(location)?, redirects: hop.redirects + 1 };
    }
}

/// `bytes FIRST-LAST/TOTAL` (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentRange {
    first: u64,
    last: u64,
    total: u64,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if digits { text.parse::<u64>().ok() } else { None }
        };
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let range = Self { first: number(first)?, last: number(last)?, total: number(total)? };
        (range.first <= range.last && range.last < range.total).then_some(range)
    }
}

impl Report {
    fn new(hop: &Hop, head: &Head, bytes: u64, resumed: u64, file: Option<&Path>, took: Duration) -> Self {
        let field = |name: &str| head.field(name).map(str::to_owned);
        Self {
            url: hop.url.to_string(),
            status: head.status,
            bytes,
            resumed,
            seconds: took.as_secs_f64(),
            file: file.map(|file| file.display().to_string()),
            redirects: hop.redirects,
            media_type: field("content-type"),
            etag: field("etag"),
            last_modified: field("last-modified"),
        }
    }
}

#[cfg(test)]
mod tests;
