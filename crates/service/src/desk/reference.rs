//! The page that documents the JSON API.

use maud::{Markup, html};

use super::events::{MOST_WATCHERS, SHOWN_CONNECTIONS};
use super::layout::{Page, Place};
use crate::picture::Picture;
use crate::web::Answer;

/// The page; `picture` gives the examples their address.
pub(super) fn answer(picture: &Picture) -> Answer {
    let desk = picture.channels.iter().find(|channel| channel.name == "desk").and_then(|channel| channel.address);
    let base = desk.map_or_else(String::new, |address| format!("http://{address}"));
    let content = html! {
        article.reference {
            h1 { "The JSON API" }
            p { "What the pages show, for programs. Answers are JSON in UTF-8; a failure is " code { "{\"error\": \"…\"}" } " with a status that fits. "
                "Requests that change something are refused when a browser sends them for another site." }
            (entry("GET", "/api/v1/status", "The server at this moment: address, channels, threads, connections with their TCP health, the latest requests, store, programs. "
                , "Counts are totals since the start; a rate is the difference of two answers.", &format!("curl -s {base}/api/v1/status")))
            (entry("GET", "/api/v1/events", "Server-sent events. ",
                EVENTS, &format!("curl -sN {base}/api/v1/events")))
            (entry("GET", "/api/v1/messages?before=UID&limit=N", "Caught messages, newest first, 50 unless told, at most 200: ",
                "{\"messages\": [{id, uid, seen, size, received, sender, recipients, from, to, subject, date_unix, message_id, peer}], total, unread, next}. Give next as before for the page after it; it is null on the last one.",
                &format!("curl -s '{base}/api/v1/messages?limit=10'")))
            (entry("GET", "/api/v1/message/ID", "One message with its structure: ",
                "what the list tells, and headers (pairs of name and decoded value), text, text_made_from_html, html, parts [{number, parent, kind, media_type, charset, name, content_id, disposition, encoding, encoded_bytes}], attachments (numbers of parts), cut. A part's body is at /inbox/ID/part/NUMBER.",
                &format!("curl -s {base}/api/v1/message/1")))
            (entry("GET", "/api/v1/message/ID/raw", "The message byte for byte, ", "as message/rfc822.", &format!("curl -sO -J {base}/api/v1/message/1/raw")))
            (entry("DELETE", "/api/v1/message/ID", "Deletes one message. ", "Answers {\"deleted\": 1}; 404 when there is none.", &format!("curl -s -X DELETE {base}/api/v1/message/1")))
            (entry("DELETE", "/api/v1/messages", "Deletes all messages. ", "Answers {\"deleted\": N}.", &format!("curl -s -X DELETE {base}/api/v1/messages")))
            p.hint { "At most " (MOST_WATCHERS) " may watch events at the same time (503 beyond); a picture event carries at most " (SHOWN_CONNECTIONS) " connections, the status all of them up to 1000." }
        }
    };
    Page { title: "API", place: Place::Reference, style: None, script: "page.js", reload: None, content }.answer(200)
}

fn entry(method: &str, path: &str, what: &str, shape: &str, example: &str) -> Markup {
    html! {
        section.endpoint {
            h2 { span.method data-method=(method) { (method) } " " code { (path) } }
            p { b { (what) } (shape) }
            pre { code { (example) } }
        }
    }
}

const EVENTS: &str = "history (counts of the last minutes: now_ms and, for each channel, its name, requests, bytes_in and bytes_out), then picture (a status) twice a second while anyone watches, and mail (messages, unread, change) when the mail changes. With ?only=mail only the last.";
