//! What is in a folder, for people (HTML) and for programs (JSON).
//!
//! Shows what can be asked for: files and folders that are not hidden and, of symbolic links, those that stay beneath the
//! root. Everything read from the disk is escaped by maud or serde. Bounded by [`MOST_ENTRIES`], and the page says so when it
//! is cut.

use std::borrow::Cow;
use std::fs::File;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
use serde::Serialize;
use sportello_wire::date;
use sportello_wire::http1::target::{TreePath, encode_name, is_hidden_name};

use super::media::{self, Form};
use super::resolve::{Identity, Root};
use super::settings::HiddenNames;
use crate::failure::Failure;
use crate::web::Answer;

/// The most entries a listing shows.
pub const MOST_ENTRIES: usize = 10_000;
/// The most names that are looked at to find them.
const MOST_NAMES: usize = 10 * MOST_ENTRIES;

/// A folder's visible content.
struct Listing {
    entries: Vec<Entry>,
    extent: Extent,
}

/// Whether a listing shows all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    Cut,
}

struct Entry {
    name: Vec<u8>,
    kind: Kind,
    size: u64,
    modified: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Folder,
    File,
}

/// Lists `folder`, which `path` leads to.
pub(super) fn answer(
    root: &Root,
    folder: File,
    path: &TreePath,
    form: Form,
    hidden: HiddenNames,
) -> Result<Answer, Failure> {
    let listing = read(root, &folder, path, MOST_ENTRIES, hidden)?;
    let answer = match form {
        Form::Html => Answer::bytes(200, "text/html; charset=utf-8", page(&listing, path).into_string()),
        Form::Json => Answer::bytes(200, "application/json", json(&listing, path)?),
    };
    Ok(answer
        .with("vary", "accept")
        .with("cache-control", "no-cache")
        .with("x-content-type-options", "nosniff")
        .with("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"))
}

fn read(root: &Root, folder: &File, path: &TreePath, most: usize, hidden: HiddenNames) -> Result<Listing, Failure> {
    let mut entries = Vec::new();
    let mut extent = Extent::Whole;
    let names = Dir::read_from(folder).map_err(|error| Failure::internal(std::io::Error::from(error)))?;
    for (looked_at, found) in names.enumerate() {
        let found = found.map_err(|error| Failure::internal(std::io::Error::from(error)))?;
        let name = found.file_name().to_bytes();
        // A backslash cannot be asked for: another reader could see another path.
        let shown = match hidden {
            HiddenNames::NotThere => !is_hidden_name(name),
            HiddenNames::Served => name != b"." && name != b"..",
        };
        if !shown || name.contains(&b'\\') {
            continue;
        }
        if entries.len() == most || looked_at >= MOST_NAMES {
            extent = Extent::Cut;
            break;
        }
        // One that is gone again meanwhile is left out.
        let Ok(stat) = statat(folder, found.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let stat = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => through_link(root, path, name),
            _ => Some(stat),
        };
        entries.extend(stat.and_then(|stat| Entry::of(name, &stat)));
    }
    entries.sort_by_cached_key(|entry| {
        (entry.kind, String::from_utf8_lossy(&entry.name).to_lowercase(), entry.name.clone())
    });
    Ok(Listing { entries, extent })
}

fn through_link(root: &Root, path: &TreePath, name: &[u8]) -> Option<Stat> {
    let mut names = path.names.clone();
    if !names.is_empty() {
        names.push(b'/');
    }
    names.extend_from_slice(name);
    root.look_beneath(&names)
}

impl Entry {
    fn of(name: &[u8], stat: &Stat) -> Option<Self> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Folder,
            FileType::RegularFile => Kind::File,
            _ => return None,
        };
        let identity = Identity::of(stat);
        Some(Self { name: name.to_vec(), kind, size: identity.size, modified: identity.modified_seconds() })
    }

    fn shown(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Relative to the folder. `./` keeps a name with a colon from being read as a scheme.
    fn link(&self) -> String {
        let mut link = String::from("./");
        encode_name(&self.name, &mut link);
        if self.kind == Kind::Folder {
            link.push('/');
        }
        link
    }

    /// The icon's id and colour class.
    fn icon(&self) -> (&'static str, &'static str) {
        if self.kind == Kind::Folder {
            return ("folder", "folder");
        }
        let media = media::type_of(&self.name);
        let family = media.split('/').next().unwrap_or_default();
        let extension = self.name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
        match (family, media) {
            ("image", _) => ("picture", "picture"),
            ("audio", _) => ("sound", "sound"),
            ("video", _) => ("film", "film"),
            ("text", _) if PROSE.contains(&extension) => ("text", "text"),
            ("text", "text/plain; charset=utf-8") if extension.len() == self.name.len() => ("text", "text"),
            ("text", _) | (_, "application/json" | "application/wasm") => ("code", "code"),
            (_, "application/pdf") => ("text", "film"),
            (_, "application/zip" | "application/gzip" | "application/x-tar" | "application/x-gzip") => {
                ("archive", "archive")
            }
            _ if ARCHIVES.contains(&extension) => ("archive", "archive"),
            _ => ("file", "text"),
        }
    }
}

const PROSE: [&[u8]; 6] = [b"txt", b"md", b"markdown", b"csv", b"log", b"ics"];
const ARCHIVES: [&[u8]; 8] = [b"gz", b"tgz", b"xz", b"zst", b"bz2", b"7z", b"rar", b"deb"];

fn page(listing: &Listing, path: &TreePath) -> Markup {
    let here = path.segments().last().map_or(Cow::Borrowed("Files"), String::from_utf8_lossy);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (here) }
                style { (PreEscaped(include_str!("listing.css"))) }
            }
            body {
                (PreEscaped(include_str!("listing.svg")))
                main {
                    h1 { (breadcrumb(path)) }
                    p { (summary(listing)) }
                    @if listing.extent == Extent::Cut {
                        p.cut role="note" { "This folder holds more: " (listing.entries.len()) " entries are shown." }
                    }
                    (table(listing, path))
                    footer { "Times are in UTC." }
                }
            }
        }
    }
}

fn breadcrumb(path: &TreePath) -> Markup {
    let names: Vec<_> = path.segments().map(String::from_utf8_lossy).collect();
    html! {
        @if names.is_empty() {
            "Files"
        } @else {
            a.home href=(up(names.len())) title="Top folder" aria-label="Top folder" { (icon("home", "")) }
            @for (depth, name) in names.iter().enumerate() {
                i aria-hidden="true" { "/" }
                @if depth + 1 == names.len() { (name) } @else { a href=(up(names.len() - depth - 1)) { (name) } }
            }
        }
    }
}

/// The relative way up by this many folders.
fn up(folders: usize) -> String {
    "../".repeat(folders)
}

fn summary(listing: &Listing) -> String {
    let folders = listing.entries.iter().filter(|entry| entry.kind == Kind::Folder).count();
    let files = listing.entries.len() - folders;
    let bytes = listing.entries.iter().filter(|entry| entry.kind == Kind::File).map(|entry| entry.size);
    let bytes = bytes.fold(0, u64::saturating_add);
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    match (folders, files) {
        (0, 0) => "Nothing is here.".to_owned(),
        (folders, 0) => count(folders, "folder", "folders"),
        (0, files) => format!("{}, {}", count(files, "file", "files"), human_size(bytes)),
        (folders, files) => {
            format!("{}, {}, {}", count(folders, "folder", "folders"), count(files, "file", "files"), human_size(bytes))
        }
    }
}

fn table(listing: &Listing, path: &TreePath) -> Markup {
    let top = path.names.is_empty();
    html! {
        @if !(top && listing.entries.is_empty()) {
            table {
                thead { tr { th { "Name" } th.number { "Size" } th.when { "Changed" } } }
                tbody {
                    @if !top {
                        tr { td.name { a href="../" { (icon("up", "text")) span { "Up" } } } td.number {} td.when {} }
                    }
                    @for entry in &listing.entries { (row(entry)) }
                }
            }
        }
    }
}

fn row(entry: &Entry) -> Markup {
    let (picture, colour) = entry.icon();
    let stamp = date::rfc3339(entry.modified, 0);
    let stamp = std::str::from_utf8(&stamp).unwrap_or_default();
    let shown = format!("{} {}", stamp.get(..10).unwrap_or_default(), stamp.get(11..16).unwrap_or_default());
    html! {
        tr.b[entry.kind == Kind::Folder] {
            td.name { a href=(entry.link()) { (icon(picture, colour)) span { (entry.shown()) } } }
            td.number {
                @if entry.kind == Kind::File { span title={ (entry.size) " bytes" } { (human_size(entry.size)) } }
            }
            td.when { time datetime=(stamp) { (shown) } }
        }
    }
}

fn icon(picture: &str, colour: &str) -> Markup {
    html! { svg class=[(!colour.is_empty()).then_some(colour)] aria-hidden="true" { use href={ "#" (picture) } {} } }
}

/// Bytes as people read them: three digits at most.
fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let places = usize::from(size < 9.95);
    format!("{size:.places$} {}", UNITS[unit])
}

#[derive(Serialize)]
struct JsonListing<'a> {
    path: String,
    complete: bool,
    entries: Vec<JsonEntry<'a>>,
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    name: Cow<'a, str>,
    href: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    modified: String,
}

fn json(listing: &Listing, path: &TreePath) -> Result<Vec<u8>, Failure> {
    let entries = listing.entries.iter().map(|entry| JsonEntry {
        name: entry.shown(),
        href: entry.link(),
        kind: if entry.kind == Kind::Folder { "folder" } else { "file" },
        size: (entry.kind == Kind::File).then_some(entry.size),
        modified: String::from_utf8_lossy(&date::rfc3339(entry.modified, 0)).into_owned(),
    });
    let mut shown = String::from("/");
    for name in path.segments() {
        encode_name(name, &mut shown);
        shown.push('/');
    }
    let listing = JsonListing { path: shown, complete: listing.extent == Extent::Whole, entries: entries.collect() };
    serde_json::to_vec(&listing).map_err(Failure::internal)
}

#[cfg(test)]
mod tests;
