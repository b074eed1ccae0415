//! One message: who, when, what; its views as plain links; its HTML in a frame where nothing of it can run.

use maud::{Markup, html};
use sportello_store::MessageRow;

use super::format;
use super::inbox::{address, sender};
use super::layout::{Page, Place, moment};
use super::linked::linked;
use super::route::View;
use crate::mailbox::letter::Origin;
use crate::mailbox::name::{shown, shown_lines};
use crate::mailbox::structure::{Disposition, Encoding, Kind, Part};
use crate::mailbox::{Letter, saved_name};
use crate::web::Answer;

/// What a view of a message is made from.
pub(super) struct Opened<'a> {
    /// What the store knows of it.
    pub row: &'a MessageRow,
    /// It, read.
    pub letter: &'a Letter,
    /// Its first bytes, for the view of its source.
    pub source: &'a str,
    /// How its HTML refers to other hosts.
    pub remote: Remote,
    /// The connection of the session in which it came, if that is kept.
    pub session: Option<u64>,
}

/// Things on other hosts that a mail's HTML wants loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    /// There are this many, and none is loaded.
    Blocked(usize),
    /// The reader has asked for them.
    Loaded,
}

/// The page of one view.
pub(super) fn answer(opened: &Opened<'_>, view: View) -> Answer {
    let row = opened.row;
    let subject = shown(&row.summary.subject, 300);
    let subject = if subject.trim().is_empty() { "(no subject)".to_owned() } else { subject };
    let content = html! {
        article.message {
            p.back { a href="/inbox" { "← Inbox" } }
            h1 { bdi { (subject) } }
            (envelope(opened))
            (tags(row))
            (tabs(opened, view))
            @if opened.letter.cut { p.note { "This message is larger or deeper than what is shown here. " a href=(format!("/inbox/{}/raw", row.id)) { "Save it whole" } "." } }
            (body(opened, view))
            (actions(row))
        }
    };
    Page { title: &subject, place: Place::Inbox, style: Some("mail.css"), script: "message.js", reload: None, content }
        .answer(200)
}

fn envelope(opened: &Opened<'_>) -> Markup {
    let row = opened.row;
    let recipients = &row.envelope.recipients;
    let reverse = if row.envelope.sender.is_empty() { "<>".to_owned() } else { shown(&row.envelope.sender, 320) };
    html! {
        dl.envelope {
            dt { "From" } dd { bdi { (sender(row)) } @if reverse != sender(row) { small { " envelope " bdi { (reverse) } } } }
            dt { "To" }
            dd {
                @for (index, recipient) in recipients.iter().take(MOST_RECIPIENTS).enumerate() {
                    @if index > 0 { ", " } bdi { (shown(recipient, 320)) }
                }
                @if recipients.len() > MOST_RECIPIENTS { " and " (recipients.len() - MOST_RECIPIENTS) " more" }
            }
            dt { "Received" }
            dd {
                (moment(row.received_ms, &format::minute(row.received_ms)))
                small { " " (format::bytes(row.size)) " · from " (row.origin.peer) " (" bdi { (shown(&row.origin.helo, 100)) } ") · id " (row.id) }
                @if let Some(session) = opened.session { small { " · " a href=(format!("/sessions/{session}")) { "its SMTP session" } } }
            }
        }
    }
}

/// Its tags, each a search, and the form that changes them.
fn tags(row: &MessageRow) -> Markup {
    let all: Vec<String> = row.tags.iter().map(ToString::to_string).collect();
    html! {
        div.labels {
            @for tag in &all { a.label href=(address(0, Some(&format!("tag:\"{tag}\"")))) { bdi { (shown(tag, 100)) } } }
            details.tag-editor {
                summary { @if all.is_empty() { "Add tags" } @else { "Edit" } }
                form method="post" action=(format!("/inbox/{}/tags", row.id)) {
                    input type="text" name="tags" value=(all.join(", ")) placeholder="invoice, to pay" aria-label="Tags, parted by commas" autocomplete="off";
                    button type="submit" { "Save" }
                }
            }
        }
    }
}

fn tabs(opened: &Opened<'_>, view: View) -> Markup {
    let id = opened.row.id;
    let tab = |of: View, path: &str, text: &str, count: Option<usize>| {
        html! {
            a href=(format!("/inbox/{id}{path}")) aria-current=[(of == view).then_some("page")] {
                (text) @if let Some(count) = count { " " span.badge { (count) } }
            }
        }
    };
    let letter = opened.letter;
    html! {
        nav.tabs aria-label="Views of this message" {
            @if letter.html.is_some() { (tab(View::Main, "", "HTML", None)) }
            (tab(if letter.html.is_some() { View::Text } else { View::Main }, if letter.html.is_some() { "/text" } else { "" }, "Text", None))
            (tab(View::Headers, "/headers", "Headers", None))
            (tab(View::Tree, "/tree", "MIME tree", None))
            (tab(View::Attachments, "/attachments", "Attachments", Some(letter.attachments.len()).filter(|&count| count > 0)))
            (tab(View::Source, "/source", "Raw", None))
        }
    }
}

fn body(opened: &Opened<'_>, view: View) -> Markup {
    match view {
        View::Main if opened.letter.html.is_some() => html! { (frame(opened)) (files(opened, Files::Strip)) },
        View::Main => html! { (text(opened)) (files(opened, Files::Strip)) },
        View::Text => text(opened),
        View::Headers => headers(opened.letter),
        View::Tree => tree(opened),
        View::Attachments => files(opened, Files::List),
        View::Source => source(opened),
    }
}

fn frame(opened: &Opened<'_>) -> Markup {
    let id = opened.row.id;
    let address = match opened.remote {
        Remote::Loaded => format!("/inbox/{id}/html?remote=1"),
        Remote::Blocked(_) => format!("/inbox/{id}/html"),
    };
    html! {
        @if let Remote::Blocked(count) = opened.remote && count > 0 {
            p.note.remote {
                "This mail wants to load " (count) @if count == 1 { " thing" } @else { " things" } " from other hosts, which would tell its sender that you read it. "
                a.button href=(format!("/inbox/{id}?remote=1")) rel="nofollow" { "Load remote images" }
            }
        }
        @if opened.remote == Remote::Loaded { p.note.remote { "Remote images are loaded. " a href=(format!("/inbox/{id}")) { "Block them again" } } }
        // Neither allow-scripts nor allow-same-origin: the document in it can do nothing and is nobody.
        iframe.body sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer" title="The message" src=(address) {}
    }
}

fn text(opened: &Opened<'_>) -> Markup {
    match &opened.letter.text {
        Some(content) => html! {
            @if content.origin == Origin::MadeFromHtml { p.note { "This message has no text of its own; this is made from its HTML." } }
            pre.text { (linked(&shown_lines(&content.text))) }
        },
        None => html! { p.note { "This message has no text." } },
    }
}

fn headers(letter: &Letter) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Header fields" {
            table.headers {
                tbody { @for field in &letter.fields { tr { th scope="row" { (field.name) } td { bdi { (field.value) } } } } }
            }
        }
        @if letter.fields.is_empty() { p.note { "This message has no header fields." } }
    }
}

fn tree(opened: &Opened<'_>) -> Markup {
    html! { ul.tree { (branch(opened, None)) } }
}

/// The parts right beneath `parent`; its depth is bounded by the reader's limits.
fn branch(opened: &Opened<'_>, parent: Option<usize>) -> Markup {
    let parts = &opened.letter.structure.parts;
    html! {
        @for part in parts.iter().filter(|part| part.parent == parent) {
            li {
                div.node {
                    code.type { (part.media_type) }
                    @if part.name.is_some() { bdi.name { (saved_name(part)) } }
                    small { (details(part)) }
                    @if part.kind != Kind::Multipart { a href=(part_address(opened, part)) download { "save" } }
                }
                @if part.kind != Kind::Leaf { ul { (branch(opened, Some(part.number))) } }
            }
        }
    }
}

fn details(part: &Part) -> String {
    let mut details = vec![format::bytes(part.encoded_len() as u64)];
    details.extend(part.charset.as_deref().map(|charset| shown(charset, 40)));
    match part.encoding {
        Encoding::Identity => {}
        Encoding::Base64 => details.push("base64".to_owned()),
        Encoding::QuotedPrintable => details.push("quoted-printable".to_owned()),
    }
    if part.disposition == Disposition::Attachment {
        details.push("attachment".to_owned());
    }
    details.extend(part.content_id.as_deref().map(|id| format!("cid {}", shown(id, 60))));
    details.join(" · ")
}

/// How the attachments are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    /// Beneath the message, when there are any.
    Strip,
    /// As a view of their own.
    List,
}

fn files(opened: &Opened<'_>, shape: Files) -> Markup {
    let parts: Vec<&Part> = opened.letter.attachments.iter().filter_map(|&number| opened.letter.part(number)).collect();
    html! {
        @if parts.is_empty() && shape == Files::List { p.note { "Nothing is attached to this message." } }
        @if !parts.is_empty() {
            ul.files {
                @for part in parts {
                    li {
                        a href=(part_address(opened, part)) download {
                            span.kind aria-hidden="true" { (kind(part)) }
                            bdi.name { (saved_name(part)) }
                            small { (format::bytes(decoded_len(part))) " · " (part.media_type) }
                        }
                    }
                }
            }
        }
    }
}

/// The end of a name as a small label.
fn kind(part: &Part) -> String {
    let name = saved_name(part);
    name.rsplit_once('.')
        .map(|(_, end)| end.chars().take(4).collect::<String>().to_ascii_uppercase())
        .unwrap_or_default()
}

/// About how many bytes a part has once decoded.
fn decoded_len(part: &Part) -> u64 {
    let encoded = part.encoded_len() as u64;
    // RFC 2045 §6.8: 57 bytes become a line of 76 and CR LF.
    if part.encoding == Encoding::Base64 { encoded.saturating_mul(57) / 78 } else { encoded }
}

fn source(opened: &Opened<'_>) -> Markup {
    html! {
        p.note {
            a.button href=(format!("/inbox/{}/raw", opened.row.id)) download { "Save as .eml" }
            " the message byte for byte, as it lies on the disk."
            @if opened.row.size > opened.source.len() as u64 { " Its first " (format::bytes(opened.source.len() as u64)) " are shown." }
        }
        pre.text.source { (shown_lines(opened.source)) }
    }
}

fn actions(row: &MessageRow) -> Markup {
    html! {
        div.actions {
            form method="post" action=(format!("/inbox/{}/unread", row.id)) { button type="submit" { "Mark unread" } }
            details.confirm {
                summary { "Delete" }
                form method="post" action=(format!("/inbox/{}/delete", row.id)) {
                    p { "It goes for good." }
                    button.danger type="submit" { "Yes, delete it" }
                }
            }
        }
    }
}

fn part_address(opened: &Opened<'_>, part: &Part) -> String {
    format!("/inbox/{}/part/{}", opened.row.id, part.number)
}

/// Recipients named on the page.
const MOST_RECIPIENTS: usize = 20;

/// Bytes of the source that are shown.
pub(super) const MOST_SOURCE: usize = 256 * 1024;
