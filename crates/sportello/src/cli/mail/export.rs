//! `sportello mail export`: messages to files. What exists stays as it is; a file has its name only when it is whole.
//!
//! Bounded by one page of the list and one piece of a message in memory, whatever the mail's size.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Form, Found, Row, absent, commands};
use crate::cli::conversation::resp::{Commands, Error};
use crate::cli::paper::{Failed, Paper, grouped};
use crate::cli::place::Whereabouts;

/// `sportello mail export`.
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// The folder (eml) or the file (mbox) to make. A folder may be there already: what it has stays, what it lacks is added.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// eml: a folder of files; mbox: one file.
    #[arg(long, value_name = "FORM", default_value = "eml")]
    pub form: Form,
    /// Only what this search finds.
    #[arg(long, value_name = "QUERY")]
    pub search: Option<String>,
    /// Print one line of JSON: {"messages","bytes","kept","path"}.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// What came of it.
#[derive(Debug, Default)]
struct Sum {
    messages: u64,
    bytes: u64,
    /// Files that were there already.
    kept: u64,
}

/// Runs it.
pub fn run(export: &Export) -> Result<u8, Failed> {
    let mut lister = commands(&export.whereabouts)?;
    // A connection of its own, so that nothing is lost when a message is deleted meanwhile.
    let mut reader = commands(&export.whereabouts)?;
    let mut sum = Sum::default();
    match export.form {
        Form::Eml => {
            fs::create_dir_all(&export.path)?;
            each(&mut lister, export, |row| save(&export.path, row, &mut reader, &mut sum))?;
        }
        Form::Mbox => {
            absent(&export.path)?;
            let part = beside(&export.path);
            let file = File::create_new(&part)?;
            let written = each(&mut lister, export, {
                let mut mbox = Mbox { out: BufWriter::new(file), at: At::Between };
                let (reader, sum) = (&mut reader, &mut sum);
                move |row| append(&mut mbox, row, reader, sum)
            });
            let placed = written.and_then(|()| Ok(place(&part, &export.path)?));
            if let Err(failed) = placed {
                // What is not whole gets no name.
                let _ = fs::remove_file(&part);
                return Err(failed);
            }
        }
    }
    let mut paper = Paper::stdout();
    if export.json {
        let path = export.path.display().to_string();
        paper.json(&json!({ "messages": sum.messages, "bytes": sum.bytes, "kept": sum.kept, "path": path }))?;
    } else {
        let kept = if sum.kept > 0 { format!(", {} were there already", grouped(sum.kept)) } else { String::new() };
        let (messages, bytes) = (grouped(sum.messages), grouped(sum.bytes));
        paper.line(format_args!("{messages} messages, {bytes} bytes, in {}{kept}", export.path.display()))?;
    }
    Ok(0)
}

/// Every message that is meant, newest first. New mail that comes meanwhile is left out.
fn each(lister: &mut Commands, export: &Export, mut act: impl FnMut(&Row) -> Result<(), Failed>) -> Result<(), Failed> {
    let mut before = u32::MAX.to_string();
    loop {
        let rows = match &export.search {
            Some(query) => {
                let words = ["MAIL", "SEARCH", query, PAGE, "BEFORE", &before, "JSON"];
                let found: Found = lister.json(&words)?;
                if found.pending > 0 {
                    return Err(Failed::new(
                        "not all mail is indexed yet, so a search may miss some: try again shortly",
                    ));
                }
                found.messages
            }
            None => lister.json::<Vec<Row>>(&["MAIL", "LIST", PAGE, "BEFORE", &before, "JSON"])?,
        };
        let Some(last) = rows.last() else { return Ok(()) };
        before = last.uid.to_string();
        rows.iter().try_for_each(&mut act)?;
    }
}

/// Messages asked for at once.
const PAGE: &str = "200";

/// One message into a file of its own.
fn save(folder: &Path, row: &Row, reader: &mut Commands, sum: &mut Sum) -> Result<(), Failed> {
    let path = folder.join(format!("{}.eml", row.id));
    if fs::symlink_metadata(&path).is_ok() {
        sum.kept += 1;
        return Ok(());
    }
    let part = beside(&path);
    // One that an earlier export left unfinished.
    let _ = fs::remove_file(&part);
    let mut file = File::create_new(&part)?;
    let copied = reader.copy(&["MAIL", "READ", &row.id.to_string(), "RAW"], &mut file);
    let done = match copied {
        Ok(bytes) => place(&part, &path).map(|()| Some(bytes)).map_err(Failed::from),
        Err(Error::Refused(why)) if is_gone(&why) => Ok(None),
        Err(error) => Err(error.into()),
    };
    let _ = fs::remove_file(&part);
    if let Some(bytes) = done? {
        sum.messages += 1;
        sum.bytes += bytes;
    }
    Ok(())
}

/// One message at the end of the file.
fn append(mbox: &mut Mbox<impl Write>, row: &Row, reader: &mut Commands, sum: &mut Sum) -> Result<(), Failed> {
    mbox.begin(row);
    match reader.copy(&["MAIL", "READ", &row.id.to_string(), "RAW"], mbox) {
        Ok(bytes) => {
            mbox.end()?;
            sum.messages += 1;
            sum.bytes += bytes;
            Ok(())
        }
        Err(Error::Refused(why)) if is_gone(&why) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the server says that a message was deleted since it was listed.
fn is_gone(why: &str) -> bool {
    why.contains("there is no message")
}

/// The name of what is not whole yet.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Gives what is whole its name, unless the name is taken.
fn place(part: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(part, path)?;
    fs::remove_file(part)
}

/// Messages in one file, in the form mboxrd.
struct Mbox<W: Write> {
    out: W,
    at: At,
}

/// Where in a message the next byte stands.
enum At {
    /// Before the first message, or behind one.
    Between,
    /// A message whose first byte has not come: its `From ` line.
    Begun(String),
    /// Behind the `>` at the beginning of a line, and so many letters of `From `.
    LineStart(usize),
    Within,
}

const FROM: &[u8] = b"From ";

impl<W: Write> Mbox<W> {
    fn begin(&mut self, row: &Row) {
        let sender = row.sender.split(|letter: char| letter.is_whitespace() || letter.is_control()).next();
        let sender = sender.filter(|sender| !sender.is_empty()).unwrap_or("MAILER-DAEMON");
        self.at = At::Begun(format!("From {sender} {}\n", asctime(row.received_ms)));
    }

    /// An empty line ends a message, behind the end of its last line.
    fn end(&mut self) -> Result<(), Failed> {
        if let At::LineStart(held) = self.at {
            self.out.write_all(FROM.get(..held).unwrap_or_default())?;
        }
        let separator: &[u8] = if matches!(self.at, At::LineStart(0)) { b"\n" } else { b"\n\n" };
        self.out.write_all(separator)?;
        self.at = At::Between;
        Ok(self.out.flush()?)
    }
}

impl<W: Write> Write for Mbox<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let At::Begun(line) = &self.at {
            self.out.write_all(line.as_bytes())?;
            self.at = At::LineStart(0);
        }
        for &byte in bytes {
            // One `>` more among those at the beginning of a line is the same wherever it is put, so only `From ` is held.
            self.at = match self.at {
                At::LineStart(held) if FROM.get(held) == Some(&byte) => {
                    if held + 1 == FROM.len() {
                        self.out.write_all(b">From ")?;
                        At::Within
                    } else {
                        At::LineStart(held + 1)
                    }
                }
                At::LineStart(held) => {
                    self.out.write_all(FROM.get(..held).unwrap_or_default())?;
                    self.out.write_all(&[byte])?;
                    match byte {
                        b'\n' => At::LineStart(0),
                        b'>' if held == 0 => At::LineStart(0),
                        _ => At::Within,
                    }
                }
                _ => {
                    self.out.write_all(&[byte])?;
                    if byte == b'\n' { At::LineStart(0) } else { At::Within }
                }
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `Mon Nov 23 07:00:00 2026`, UTC.
fn asctime(milliseconds: u64) -> String {
    let date = sportello_wire::date::imf_fixdate(Duration::from_millis(milliseconds).as_secs());
    let date = String::from_utf8_lossy(&date).into_owned();
    // RFC 9110 §5.6.7: `Mon, 23 Nov 2026 07:00:00 GMT`.
    let words: Vec<&str> = date.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [weekday, day, month, year, time, _] => {
            format!("{weekday} {month} {:>2} {time} {year}", day.trim_start_matches('0'))
        }
        _ => date,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        serde_json::from_str(
            r#"{"id":1,"uid":1,"seen":true,"size":1,"received_ms":1795417651000,"sender":"","recipients":[],"from":"","subject":""}"#,
        )
        .unwrap()
    }

    fn mbox(pieces: &[&str]) -> String {
        let mut mbox = Mbox { out: Vec::new(), at: At::Between };
        mbox.begin(&row());
        pieces.iter().for_each(|piece| mbox.write_all(piece.as_bytes()).unwrap());
        mbox.end().unwrap();
        String::from_utf8(mbox.out).unwrap()
    }

    const HEAD: &str = "From MAILER-DAEMON Mon Nov 23 07:07:31 2026\n";

    #[test]
    fn lines_that_look_like_a_beginning_are_quoted() {
        for (text, expect) in [
            ("a: b\r\n\r\nFrom x\r\n", "a: b\r\n\r\n>From x\r\n\n"),
            ("From x\n>From y\n>>From z\n", ">From x\n>>From y\n>>>From z\n\n"),
            ("Fro\nFroFrom x\n> From x\n", "Fro\nFroFrom x\n> From x\n\n"),
            ("no end", "no end\n\n"),
            ("x\nFrom", "x\nFrom\n\n"),
        ] {
            let bytes: Vec<&str> = text.split_inclusive(|_| true).collect();
            for pieces in [vec![text], bytes] {
                let whole = mbox(&pieces);
                assert_eq!(whole.strip_prefix(HEAD), Some(expect), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_there_stays() {
        let folder = std::env::temp_dir().join(format!("sportello-export-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (part, path) = (folder.join("x.part"), folder.join("x"));
        fs::write(&path, "mine").unwrap();
        fs::write(&part, "new").unwrap();
        assert!(place(&part, &path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert!(absent(&path).is_err() && absent(&folder.join("y")).is_ok());
        fs::remove_dir_all(&folder).unwrap();
    }
}
