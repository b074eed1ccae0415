//! The list of caught messages, newest first.

use std::net::SocketAddr;

use maud::{Markup, html};
use sportello_store::MessageRow;

use super::format;
use super::layout::{Page, Place, moment};
use crate::mailbox::name::shown;
use crate::picture::Picture;
use crate::web::Answer;

/// One page of the list.
pub(super) struct Listing {
    /// The rows, newest first.
    pub rows: Vec<MessageRow>,
    /// How many messages there are in all.
    pub messages: u64,
    /// How many of them are unread.
    pub unread: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<u32>,
    /// Whether this is the first page.
    pub at: At,
}

/// Which page of the list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The newest messages.
    Newest,
    /// Older ones.
    Older,
}

/// The page; `picture` tells where mail is taken.
pub(super) fn answer(listing: &Listing, picture: &Picture) -> Answer {
    let content = html! {
        div #inbox {
            div.title {
                h1 { "Inbox" }
                p.hint {
                    @if listing.messages == 0 { "Every mail sent to this server is caught here; none leaves this machine." }
                    @else { (format::grouped(listing.messages)) " messages, " b #unread { (format::grouped(listing.unread)) } " unread" }
                }
                @if listing.messages > 0 { (delete_all(listing.messages)) }
            }
            @if listing.rows.is_empty() && listing.at == At::Newest { (empty(picture)) }
            @else if listing.rows.is_empty() { p.hint { "There are no older messages." } }
            @else { ol.mails { @for row in &listing.rows { (mail(row)) } } }
            nav.pages aria-label="Pages of the list" {
                @if listing.at == At::Older { a href="/inbox" { "← Newest" } }
                @if let Some(next) = listing.next { a href=(format!("/inbox?before={next}")) rel="next" { "Older →" } }
            }
        }
    };
    let title = if listing.unread > 0 { format!("Inbox ({})", listing.unread) } else { "Inbox".to_owned() };
    let reload = (listing.at == At::Newest).then_some(10);
    Page { title: &title, place: Place::Inbox, style: Some("mail.css"), script: "inbox.js", reload, content }
        .answer(200)
}

fn mail(row: &MessageRow) -> Markup {
    let subject = shown(&row.summary.subject, 200);
    let recipients = row.envelope.recipients.as_slice();
    let first = recipients.first().map(|one| shown(one, 100)).unwrap_or_default();
    html! {
        li class=(if row.flags.seen() { "mail" } else { "mail unread" }) {
            a href=(format!("/inbox/{}", row.id)) {
                span.mark-unread { @if !row.flags.seen() { span.unseen { "unread" } } }
                bdi.from title=(sender(row)) { (name(&sender(row))) }
                span.to { "to " bdi { (first) } @if recipients.len() > 1 { " +" (recipients.len() - 1) } }
                bdi.subject { @if subject.trim().is_empty() { i { "no subject" } } @else { (subject) } }
                span.size { (format::bytes(row.size)) }
                span.when { (moment(row.received_ms, &format::minute(row.received_ms))) }
            }
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

/// A form that works without scripts and asks before it acts.
fn delete_all(messages: u64) -> Markup {
    html! {
        details.confirm {
            summary { "Delete all" }
            form method="post" action="/inbox/delete-all" {
                p { "All " (format::grouped(messages)) " messages go for good." }
                button.danger type="submit" { "Yes, delete all" }
            }
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
