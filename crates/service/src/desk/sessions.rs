//! The kept SMTP sessions: switched on for some minutes, listed, and each told line by line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maud::{Markup, html};

use super::format;
use super::layout::{Page, Place, moment};
use crate::conversations::{Conversation, Conversations, Keeping, Line, Speaker};
use crate::mailbox::name::shown;
use crate::web::Answer;

/// The list.
pub(super) fn list(conversations: &Conversations) -> Answer {
    let kept = conversations.list();
    let content = html! {
        article.sessions {
            h1 { "SMTP sessions" }
            p.hint {
                "What clients and this server say to each other, kept when you ask for it: every line but the text of messages and what follows AUTH. "
                "The newest " (Conversations::MOST) " sessions are kept, in memory only."
            }
            (switch(conversations.keeping(), kept.len()))
            @if kept.is_empty() { p.note { "No session is kept." } }
            @else { (table(&kept)) }
        }
    };
    Page {
        title: "SMTP sessions",
        place: Place::Sessions,
        style: Some("mail.css"),
        script: "page.js",
        reload: None,
        content,
    }
    .answer(200)
}

/// On for some time, off, forgotten.
fn switch(keeping: Keeping, kept: usize) -> Markup {
    html! {
        form.switch method="post" action="/sessions/keep" {
            @match keeping {
                Keeping::Off => { p { "Sessions are not kept." } }
                Keeping::For(left) => { p { b { "Sessions that begin are kept" } " for " (format::milliseconds(milliseconds(left))) " more." } }
                Keeping::Next(more) => { p { b { "The next " (more) " sessions are kept." } } }
            }
            div {
                @for minutes in [1, 10, 60] {
                    button type="submit" name="minutes" value=(minutes) { "Keep for " (minutes) " min" } " "
                }
                @if keeping != Keeping::Off { button type="submit" name="minutes" value="0" { "Stop" } " " }
                @if kept > 0 { button.danger type="submit" name="do" value="forget" { "Forget all" } }
            }
        }
    }
}

fn table(kept: &[Conversation]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Kept sessions" {
            table {
                thead { tr { th { "began" } th.wide { "channel" } th { "client" } th { "says" } th.number { "lines" } } }
                tbody {
                    @for one in kept {
                        tr {
                            td.time { a href=(format!("/sessions/{}", one.connection)) { (began(one)) } }
                            td.wide { (one.channel) }
                            td { (one.peer) }
                            td.what { @if let Some(line) = telling(&one.lines) { (mark(line.from)) " " (line.text) } }
                            td.number { (one.lines.len()) @if !one.over { " …" } }
                        }
                    }
                }
            }
        }
    }
}

/// The line by which a session is known again: its first MAIL, else its latest.
fn telling(lines: &[Line]) -> Option<&Line> {
    let is_mail = |line: &&Line| {
        line.from == Speaker::Client && line.text.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case("mail "))
    };
    lines.iter().find(is_mail).or(lines.last())
}

/// One session.
pub(super) fn one(conversation: &Conversation) -> Answer {
    let content = html! {
        article.sessions {
            p.back { a href="/sessions" { "← SMTP sessions" } }
            h1 { "Session " (conversation.connection) }
            p.hint {
                "from " (conversation.peer) " on channel " (conversation.channel) ", began " (began(conversation))
                @if !conversation.over { " · still going on" }
            }
            ol.dialogue { @for line in &conversation.lines { (told(line)) } }
            @if conversation.lines.is_empty() { p.note { "Nothing has been said yet." } }
            @if conversation.cut { p.note { "More was said than is kept: the first " (format::bytes(Conversations::MOST_BYTES as u64)) " are." } }
        }
    };
    let title = format!("Session {}", conversation.connection);
    Page { title: &title, place: Place::Sessions, style: Some("mail.css"), script: "page.js", reload: None, content }
        .answer(200)
}

fn told(line: &Line) -> Markup {
    let class = match line.from {
        Speaker::Client => "client",
        Speaker::Server => "server",
        Speaker::Elided => "client elided",
    };
    html! {
        li class=(class) {
            span.at { (format::microseconds(u64::try_from(line.at.as_micros()).unwrap_or(u64::MAX))) }
            span.who { (mark(line.from)) }
            code { (shown(&line.text, usize::MAX)) }
        }
    }
}

fn mark(from: Speaker) -> &'static str {
    match from {
        Speaker::Client | Speaker::Elided => "C:",
        Speaker::Server => "S:",
    }
}

fn began(conversation: &Conversation) -> Markup {
    let unix_ms = milliseconds(conversation.began.duration_since(UNIX_EPOCH).unwrap_or_default());
    moment(
        unix_ms,
        &format!("{} {}", format::minute(unix_ms).split(' ').next().unwrap_or_default(), format::second(unix_ms)),
    )
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The moment that the store says.
pub(super) fn at(unix_ms: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)).unwrap_or(UNIX_EPOCH)
}
