//! The list of caught messages, newest first: searched, selected, marked, deleted. Whole without scripts.

use std::net::SocketAddr;

use maud::{Markup, html};
use sportello_store::{MessageRow, Page as Rows, TagCount};

use super::form;
use super::format;
use super::layout::{Page, Place, moment};
use super::syntax;
use crate::mailbox::name::shown;
use crate::picture::Picture;
use crate::web::Answer;

/// One page of the list.
pub(super) struct Listing {
    /// Its rows, and how many there are in all: of the mailbox, or found.
    pub page: Rows,
    /// Messages of the mailbox, and unread ones of them.
    pub mailbox: (u64, u64),
    /// How many newer ones were passed over.
    pub start: u64,
    /// What is searched for, if anything.
    pub query: Option<String>,
    /// Why the query was not understood.
    pub trouble: Option<String>,
    /// Messages that are not indexed yet, so that a search may miss them.
    pub pending: u64,
    /// All tags in use.
    pub tags: Vec<TagCount>,
}

/// The page; `picture` tells where mail is taken.
pub(super) fn answer(listing: &Listing, picture: &Picture) -> Answer {
    let (messages, unread) = listing.mailbox;
    let content = html! {
        div.title {
            h1 { "Inbox" }
            (syntax::search(listing.query.as_deref()))
        }
        (labels(listing))
        div #inbox {
            @if let Some(trouble) = &listing.trouble { p.note.remote.trouble { "This search is not understood: " (trouble) "." } }
            @else { (heading(listing)) }
            @if messages == 0 { (empty(picture)) }
            @else if listing.trouble.is_some() {}
            @else if listing.page.rows.is_empty() { p.hint { (nothing(listing)) } }
            @else { (selection(listing)) }
            (turning(listing))
        }
    };
    let title = if unread > 0 { format!("Inbox ({unread})") } else { "Inbox".to_owned() };
    let reload = (listing.start == 0 && listing.query.is_none()).then_some(10);
    let status = if listing.trouble.is_some() { 400 } else { 200 };
    Page { title: &title, place: Place::Inbox, style: Some("mail.css"), script: "inbox.js", reload, content }
        .answer(status)
}

/// The tags in use, each a search.
fn labels(listing: &Listing) -> Markup {
    html! {
        @if !listing.tags.is_empty() {
            nav.labels aria-label="Tags" {
                @for count in listing.tags.iter().take(MOST_LABELS) {
                    @let query = format!("tag:\"{}\"", count.tag);
                    a.label href=(address(0, Some(&query))) aria-current=[(listing.query.as_ref() == Some(&query)).then_some("page")] {
                        bdi { (shown(count.tag.as_str(), 40)) } " " small { (format::grouped(count.messages)) }
                    }
                }
            }
        }
    }
}

fn heading(listing: &Listing) -> Markup {
    let (messages, unread) = listing.mailbox;
    html! {
        p.hint.counts {
            @if messages == 0 { "Every mail sent to this server is caught here; none leaves this machine." }
            @else if listing.query.is_some() {
                b { (format::grouped(listing.page.messages)) } " found, " (format::grouped(listing.page.unread)) " of them unread. "
                a href="/inbox" { "Show all " (format::grouped(messages)) }
                @if listing.pending > 0 { " · the text of " (format::grouped(listing.pending)) " messages is not indexed yet" }
            } @else {
                (format::grouped(messages)) " messages, " b #unread { (format::grouped(unread)) } " unread"
            }
        }
    }
}

fn nothing(listing: &Listing) -> &'static str {
    match (&listing.query, listing.start) {
        (None, _) => "There are no older messages.",
        (Some(_), 0) => "Nothing is found.",
        (Some(_), _) => "Nothing older is found.",
    }
}

/// The messages, in a form that does something with those that are chosen.
fn selection(listing: &Listing) -> Markup {
    html! {
        form #selection method="post" action="/inbox/selected" {
            input type="hidden" name="start" value=(listing.start);
            @if let Some(query) = &listing.query { input type="hidden" name="query" value=(query); }
            div.tools {
                label.all hidden { input #all type="checkbox"; " All" }
                div.chosen {
                    button type="submit" name="do" value="read" { "Read" }
                    button type="submit" name="do" value="unread" { "Unread" }
                    span.tagging {
                        input type="text" name="tag" maxlength="100" size="10" placeholder="tag" aria-label="A tag for the chosen messages" autocomplete="off";
                        button type="submit" name="do" value="tag" { "Tag" }
                    }
                    details.confirm {
                        summary { "Delete" }
                        div.sure { p { "The chosen messages go for good." } button.danger type="submit" name="do" value="delete" { "Yes, delete them" } }
                    }
                }
                div.of-all {
                    @if listing.query.is_none() {
                        @if listing.mailbox.1 > 0 { button type="submit" formaction="/inbox/read-all" { "Mark all read" } }
                        details.confirm {
                            summary { "Delete all" }
                            div.sure {
                                p { "All " (format::grouped(listing.mailbox.0)) " messages go for good." }
                                button.danger type="submit" formaction="/inbox/delete-all" { "Yes, delete all" }
                            }
                        }
                    }
                }
            }
            ol.mails { @for row in &listing.page.rows { (mail(row)) } }
        }
    }
}

fn mail(row: &MessageRow) -> Markup {
    let subject = shown(&row.summary.subject, 200);
    let recipients = row.envelope.recipients.as_slice();
    let first = recipients.first().map(|one| shown(one, 100)).unwrap_or_default();
    let files = row.preview.as_ref().map_or(0, |preview| preview.attachments);
    html! {
        li class=(if row.flags.seen() { "mail" } else { "mail unread" }) {
            label.pick { input type="checkbox" name="id" value=(row.id) aria-label="Choose this message"; }
            a href=(format!("/inbox/{}", row.id)) {
                span.mark-unread { @if !row.flags.seen() { span.unseen { "unread" } } }
                bdi.from title=(sender(row)) { (name(&sender(row))) }
                span.to { "to " bdi { (first) } @if recipients.len() > 1 { " +" (recipients.len() - 1) } }
                span.subject {
                    @for tag in row.tags.iter().take(MOST_ROW_LABELS) { span.label { bdi { (shown(tag.as_str(), 24)) } } " " }
                    bdi { @if subject.trim().is_empty() { i { "no subject" } } @else { (subject) } }
                    @if let Some(preview) = &row.preview { span.snippet { " " bdi { (shown(&preview.snippet, 120)) } } }
                }
                span.size { @if files > 0 { (clip(files)) " " } (format::bytes(row.size)) }
                span.when { (moment(row.received_ms, &format::minute(row.received_ms))) }
            }
        }
    }
}

fn clip(files: u32) -> Markup {
    let says = if files == 1 { "1 attachment".to_owned() } else { format!("{files} attachments") };
    html! {
        svg.clip viewBox="0 0 16 16" width="13" height="13" role="img" aria-label=(says) {
            path d="M12.5 7.5l-5 5a3 3 0 0 1-4.3-4.3l5.7-5.7a2 2 0 0 1 2.9 2.9L6.2 11a1 1 0 0 1-1.5-1.4l4.6-4.6" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linecap="round" {}
        }
    }
}

/// Who a list says it is from: the From field, else the envelope's sender.
pub(super) fn sender(row: &MessageRow) -> String {
    let from = shown(&row.summary.from, 120);
    if !from.trim().is_empty() {
        return from;
    }
    if row.envelope.sender.is_empty() { "<>".to_owned() } else { shown(&row.envelope.sender, 120) }
}

/// The name in `Name <address>`, where there is one: a list has no room for both.
fn name(sender: &str) -> &str {
    let name = sender.split('<').next().unwrap_or_default().trim().trim_matches('"').trim();
    if name.is_empty() { sender } else { name }
}

/// Where a stretch of the list is found.
pub(super) fn address(start: u64, query: Option<&str>) -> String {
    let query = query.map(|query| format!("query={}", form::encoded(query)));
    let start = (start > 0).then(|| format!("start={start}"));
    let all: Vec<String> = query.into_iter().chain(start).collect();
    if all.is_empty() { "/inbox".to_owned() } else { format!("/inbox?{}", all.join("&")) }
}

/// Newer and older, and where one is.
fn turning(listing: &Listing) -> Markup {
    let (start, shown, all) = (listing.start, listing.page.rows.len() as u64, listing.page.messages);
    let end = start.saturating_add(shown);
    let query = listing.query.as_deref();
    html! {
        nav.pages aria-label="Pages of the list" {
            @if start > 0 { a href=(address(start.saturating_sub(super::PAGE as u64), query)) rel="prev" { "← Newer" } }
            @if shown > 0 && (start > 0 || end < all) {
                span.hint { (format::grouped(start.saturating_add(1))) "–" (format::grouped(end)) " of " (format::grouped(all)) }
            }
            @if end < all && shown > 0 { a href=(address(end, query)) rel="next" { "Older →" } }
        }
    }
}

fn empty(picture: &Picture) -> Markup {
    let smtp = picture.channels.iter().find(|channel| channel.protocol == "smtp").and_then(|channel| channel.address);
    html! {
        section.empty {
            svg viewBox="0 0 120 80" width="120" height="80" aria-hidden="true" {
                rect x="14" y="14" width="92" height="56" rx="6" fill="none" stroke="currentColor" stroke-width="2" {}
                path d="M16 18l44 32 44-32" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" {}
            }
            h2 { "No mail yet" }
            @if let Some(address) = smtp { p { "Send the first one in any of these ways; it appears here at once." } (ways(address)) }
            @else { p { "No mail channel is open on this server." } }
        }
    }
}

fn ways(address: SocketAddr) -> Markup {
    let (ip, port) = (address.ip(), address.port());
    let swaks = format!("swaks --server {address} --to you@example.org --header 'Subject: Hello'");
    let curl = format!(
        "printf 'Subject: Hello\\r\\n\\r\\nFirst mail.\\r\\n' | curl -s smtp://{address} --mail-from me@example.org --mail-rcpt you@example.org -T -"
    );
    let python = format!(
        "python3 - <<'END'\nimport smtplib\nwith smtplib.SMTP(\"{ip}\", {port}) as server:\n    \
         server.sendmail(\"me@example.org\", [\"you@example.org\"], \"Subject: Hello\\n\\nFirst mail.\")\nEND"
    );
    html! {
        dl.ways {
            @for (name, command) in [("swaks", swaks), ("curl", curl), ("Python", python)] {
                dt { (name) }
                dd { pre { code { (command) } } button.copy type="button" hidden data-copy=(command) { "Copy" } }
            }
        }
    }
}

/// Tags offered above the list.
const MOST_LABELS: usize = 30;

/// Tags shown in one row.
const MOST_ROW_LABELS: usize = 4;
