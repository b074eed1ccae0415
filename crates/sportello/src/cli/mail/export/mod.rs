//! `sportello mail export`: messages to files. What exists stays as it is; a file has its name only when it is whole and on disk.
//!
//! Bounded by one page of the list and one piece of a message in memory, whatever the mail's size; and by the names of one
//! folder, where one is added to.

mod eml;
mod maildir;
mod mbox;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use sportello_wire::mail::folder;

use self::eml::Eml;
use self::maildir::Maildir;
use self::mbox::Mbox;
use super::{Form, Found, Row, account_and_path, commands};
use crate::cli::conversation::resp::{Commands, Error};
use crate::cli::paper::{Failed, Paper, grouped};
use crate::cli::place::{Way, Whereabouts};

/// `sportello mail export`.
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// The account whose mailboxes are saved (the mail that is caught, unless told), and the folder (eml, maildir; mbox for
    /// all mailboxes of an account) or the file (mbox) to make. A folder may be there already: what it has stays, what it
    /// lacks is added.
    #[arg(value_name = "[ACCOUNT] PATH", required = true)]
    pub what: Vec<String>,
    /// Only this mailbox of the account.
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<String>,
    /// In which form [default: maildir for an account, eml for what is caught]
    #[arg(long, value_name = "FORMAT", alias = "form")]
    pub format: Option<Form>,
    /// Only what this search finds, of what is caught.
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
    /// Messages that were there already.
    kept: u64,
}

/// Which messages, in which order.
enum Listing<'a> {
    /// All of a mailbox, oldest first; by the command line's socket only.
    Mailbox(u64),
    /// What is caught, newest first.
    Caught(Option<&'a str>),
}

/// A mailbox as MAILBOX LIST shows it.
#[derive(Deserialize)]
struct Mailbox {
    id: u64,
    name: String,
}

/// Messages in one of the forms.
trait Sink {
    /// Saves one message; how many bytes that were, `None` where it was there already. What the server refuses leaves no trace.
    fn save(&mut self, row: &Row, reader: &mut Commands) -> Result<Option<u64>, Failed>;
    /// All are there.
    fn end(self: Box<Self>) -> Result<(), Failed>;
}

/// Runs it.
pub fn run(export: &Export) -> Result<u8, Failed> {
    let (account, path) = account_and_path(&export.what)?;
    match account {
        Some(_) if export.search.is_some() => return Err(Failed::new("--search looks at what is caught").with_code(2)),
        None if export.mailbox.is_some() => return Err(Failed::new("--mailbox is for an account").with_code(2)),
        _ => {}
    }
    let mut lister = commands(&export.whereabouts)?;
    // A connection of its own, so that nothing is lost when a message is deleted meanwhile.
    let mut reader = commands(&export.whereabouts)?;
    let mut sum = Sum::default();
    match account {
        None => {
            let sink = open(export.format.unwrap_or(Form::Eml), path)?;
            let by_socket = matches!(export.whereabouts.commands()?, Way::Socket(_));
            let listing = match &export.search {
                None if by_socket => Listing::Mailbox(CAUGHT),
                search => Listing::Caught(search.as_deref()),
            };
            save(sink, &listing, &mut lister, &mut reader, &mut sum)?;
        }
        Some(account) => {
            let form = export.format.unwrap_or(Form::Maildir);
            let mut mailboxes: Vec<Mailbox> = lister.json(&["MAILBOX", "LIST", account])?;
            let alone = export.mailbox.is_some();
            if let Some(name) = &export.mailbox {
                mailboxes.retain(|mailbox| mailbox.name == *name);
            }
            if mailboxes.is_empty() {
                return Err(Failed::new("there is no such mailbox"));
            }
            for mailbox in mailboxes {
                let path = if alone { path.to_owned() } else { place_of(form, path, &mailbox.name)? };
                let sink = open(form, &path)?;
                save(sink, &Listing::Mailbox(mailbox.id), &mut lister, &mut reader, &mut sum)?;
            }
        }
    }
    report(path, export, &sum)
}

/// The number of the mailbox that catches.
const CAUGHT: u64 = 1;

/// Where one of several mailboxes goes.
fn place_of(form: Form, path: &Path, mailbox: &str) -> Result<PathBuf, Failed> {
    let name = folder::to_file(mailbox);
    match form {
        Form::Eml => Err(Failed::new("eml has no folders: name one mailbox with --mailbox, or use --format maildir")),
        Form::Maildir if mailbox == "Inbox" => Ok(path.to_owned()),
        Form::Maildir => {
            let folder = path.join(format!(".{name}"));
            create_folder(&folder)?;
            // What tells Maildir++'s folders from others.
            File::options().create(true).append(true).open(folder.join("maildirfolder"))?;
            Ok(folder)
        }
        Form::Mbox => {
            create_folder(path)?;
            Ok(path.join(format!("{name}.mbox")))
        }
    }
}

fn open(form: Form, path: &Path) -> Result<Box<dyn Sink>, Failed> {
    Ok(match form {
        Form::Eml => Box::new(Eml::open(path)?),
        Form::Maildir => Box::new(Maildir::open(path)?),
        Form::Mbox => Box::new(Mbox::open(path)?),
    })
}

fn save(
    mut sink: Box<dyn Sink>,
    listing: &Listing<'_>,
    lister: &mut Commands,
    reader: &mut Commands,
    sum: &mut Sum,
) -> Result<(), Failed> {
    each(lister, listing, |row| {
        match sink.save(row, reader)? {
            Some(bytes) => {
                sum.messages += 1;
                sum.bytes += bytes;
            }
            None => sum.kept += 1,
        }
        Ok(())
    })?;
    sink.end()
}

fn report(path: &Path, export: &Export, sum: &Sum) -> Result<u8, Failed> {
    let mut paper = Paper::stdout();
    if export.json {
        let path = path.display().to_string();
        paper.json(&json!({ "messages": sum.messages, "bytes": sum.bytes, "kept": sum.kept, "path": path }))?;
    } else {
        let kept = if sum.kept > 0 { format!(", {} were there already", grouped(sum.kept)) } else { String::new() };
        let (messages, bytes) = (grouped(sum.messages), grouped(sum.bytes));
        paper.line(format_args!("{messages} messages, {bytes} bytes, in {}{kept}", path.display()))?;
    }
    Ok(0)
}

/// Every message that is meant. Of what is caught, new mail that comes meanwhile is left out.
fn each(
    lister: &mut Commands,
    listing: &Listing<'_>,
    mut act: impl FnMut(&Row) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut last = match listing {
        Listing::Mailbox(_) => 0,
        Listing::Caught(_) => u32::MAX,
    };
    loop {
        let uid = last.to_string();
        let rows = match listing {
            Listing::Mailbox(mailbox) => lister.json::<Vec<Row>>(&["MAILBOX", "PAGE", &mailbox.to_string(), &uid])?,
            Listing::Caught(Some(query)) => {
                let found: Found = lister.json(&["MAIL", "SEARCH", query, PAGE, "BEFORE", &uid, "JSON"])?;
                if found.pending > 0 {
                    return Err(Failed::new(
                        "not all mail is indexed yet, so a search may miss some: try again shortly",
                    ));
                }
                found.messages
            }
            Listing::Caught(None) => lister.json::<Vec<Row>>(&["MAIL", "LIST", PAGE, "BEFORE", &uid, "JSON"])?,
        };
        let Some(row) = rows.last() else { return Ok(()) };
        last = row.uid;
        rows.iter().try_for_each(&mut act)?;
    }
}

/// Messages asked for at once.
const PAGE: &str = "200";

/// Copies one message; `None` when it was deleted since it was listed.
fn copy(row: &Row, reader: &mut Commands, into: &mut impl io::Write) -> Result<Option<u64>, Failed> {
    match reader.copy(&["MAIL", "READ", &row.id.to_string(), "RAW"], into) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::Refused(why)) if why.contains("there is no message") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A new file. Mail is nobody's but its owner's.
fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// A folder, with what is missing above it.
fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
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

/// The names in a folder are on disk when this returns.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays() {
        let folder = std::env::temp_dir().join(format!("sportello-export-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (part, path) = (folder.join("x.part"), folder.join("x"));
        fs::write(&path, "mine").unwrap();
        fs::write(&part, "new").unwrap();
        assert!(place(&part, &path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert!(Mbox::open(&path).is_err() && Mbox::open(&folder.join("y")).is_ok());
        sync_folder(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn each_mailbox_has_a_place_beneath_the_path() {
        let root = std::env::temp_dir().join(format!("sportello-places-{}", std::process::id()));
        for (form, mailbox, expect) in [
            (Form::Maildir, "Inbox", ""),
            (Form::Maildir, "Archive/2024", ".Archive.2024"),
            (Form::Maildir, "/", ".\\2f"),
            (Form::Maildir, "../../x", ".\\2e\\2e.\\2e\\2e.x"),
            (Form::Mbox, "Inbox", "Inbox.mbox"),
            (Form::Mbox, "..", "\\2e\\2e.mbox"),
        ] {
            assert_eq!(place_of(form, &root, mailbox).unwrap(), root.join(expect), "{mailbox}");
        }
        assert!(place_of(Form::Eml, &root, "Inbox").is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
