//! What is in a folder, for people (HTML) and for programs (JSON).
//!
//! Shows what can be asked for: files and folders that are not hidden and, of symbolic links, those that stay beneath the
//! root. Everything read from the disk is escaped by maud or serde, and percent-encoded in links. One page at a time, in bounded
//! memory ([`scan`]); the page says so when it is not all, or not sorted as asked.

mod scan;
mod view;

use std::borrow::Cow;
use std::fs::File;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;
use sportello_wire::date;
use sportello_wire::http1::target::{TreePath, encode_name};

use super::media::{self, Form};
use super::resolve::Root;
use super::settings::{Listings, Settings};
use crate::failure::Failure;
use crate::web::Answer;
use scan::{Bounds, Entry, Extent, Page, Scan, Sorting};
use view::{Kind, Order, Sort};

pub use view::View;

/// Lists `folder`, which `path` leads to, as text in this form.
pub(super) fn write(
    root: &Root,
    folder: &File,
    path: &TreePath,
    view: &View,
    form: Form,
    settings: &Settings,
) -> Result<Vec<u8>, Failure> {
    // A site without listings never comes here.
    let per_page = match settings.listing {
        Listings::On { per_page } => per_page,
        Listings::Off => Listings::PER_PAGE,
    };
    let scan = Scan { root, folder, path, hidden: settings.hidden, per_page, bounds: Bounds::default() };
    let listing = scan.page(view)?;
    match form {
        Form::Html => Ok(page(&listing, path).into_string().into_bytes()),
        Form::Json => json(&listing, path),
    }
}

/// The answer with a listing that was written in this form.
pub(super) fn answer(text: Vec<u8>, form: Form) -> Answer {
    let media_type = match form {
        Form::Html => "text/html; charset=utf-8",
        Form::Json => "application/json",
    };
    Answer::bytes(200, media_type, text)
        .with("vary", "accept")
        .with("cache-control", "no-cache")
        .with("x-content-type-options", "nosniff")
        .with("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
}

impl Entry {
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

fn page(listing: &Page, path: &TreePath) -> Markup {
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
                        p.cut role="note" { "This folder holds more than is looked at; some of it is not shown." }
                    }
                    @if listing.sorting == Sorting::ByNameInstead {
                        p.cut role="note" { "This folder is too large to be sorted so; it is sorted by name." }
                    }
                    (table(listing, path))
                    (turn(listing))
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

fn summary(listing: &Page) -> String {
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let bytes = listing.bytes.map_or(String::new(), |bytes| format!(", {}", human_size(bytes)));
    match (listing.folders, listing.files) {
        (0, 0) => "Nothing is here.".to_owned(),
        (folders, 0) => count(folders, "folder", "folders"),
        (0, files) => count(files, "file", "files") + &bytes,
        (folders, files) => {
            format!("{}, {}{bytes}", count(folders, "folder", "folders"), count(files, "file", "files"))
        }
    }
}

fn table(listing: &Page, path: &TreePath) -> Markup {
    let top = path.names.is_empty();
    html! {
        @if !(top && listing.entries.is_empty()) {
            table {
                thead {
                    tr {
                        th aria-sort=[sorted(listing, Sort::Name)] { (column(listing, Sort::Name, "Name")) }
                        th.number aria-sort=[sorted(listing, Sort::Size)] { (column(listing, Sort::Size, "Size")) }
                        th.when aria-sort=[sorted(listing, Sort::Time)] { (column(listing, Sort::Time, "Changed")) }
                    }
                }
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

/// The head of a column: a link that sorts by it, or turns the order round.
fn column(listing: &Page, sort: Sort, title: &str) -> Markup {
    let order = match (listing.view.sort == sort, sort) {
        (true, _) => listing.view.order.other(),
        (false, Sort::Name) => Order::Ascending,
        // The largest and the latest are what people look for.
        (false, _) => Order::Descending,
    };
    let link = View { sort, order, after: None }.link(None);
    html! { a href=(link) { (title) } }
}

fn sorted(listing: &Page, sort: Sort) -> Option<&'static str> {
    (listing.view.sort == sort).then_some(match listing.view.order {
        Order::Ascending => "ascending",
        Order::Descending => "descending",
    })
}

/// The ways to other pages.
fn turn(listing: &Page) -> Markup {
    html! {
        @if listing.view.after.is_some() || listing.next.is_some() {
            nav aria-label="Pages" {
                @if listing.view.after.is_some() { a rel="first" href=(listing.view.link(None)) { "First page" } }
                @if let Some(next) = &listing.next { a rel="next" href=(listing.view.link(Some(next))) { "Next page" } }
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
    /// Whether nothing lies behind these entries.
    complete: bool,
    sort: &'static str,
    order: &'static str,
    folders: usize,
    files: usize,
    /// The reference to the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
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

fn json(listing: &Page, path: &TreePath) -> Result<Vec<u8>, Failure> {
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
    let listing = JsonListing {
        path: shown,
        complete: listing.extent == Extent::Whole && listing.next.is_none(),
        sort: listing.view.sort.word(),
        order: listing.view.order.word(),
        folders: listing.folders,
        files: listing.files,
        next: listing.next.as_ref().map(|next| listing.view.link(Some(next))),
        entries: entries.collect(),
    };
    serde_json::to_vec(&listing).map_err(Failure::internal)
}

#[cfg(test)]
mod tests;
