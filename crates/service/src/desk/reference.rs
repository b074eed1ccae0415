//! The page that documents the JSON API.

use maud::{Markup, html};

use super::events::{MOST_WATCHERS, SHOWN_CONNECTIONS};
use super::layout::{Page, Place};
use super::mailpit::MOST_LISTED;
use crate::picture::Picture;
use crate::web::Answer;

/// The page; `picture` gives the examples their address.
pub(super) fn answer(picture: &Picture) -> Answer {
    let desk = picture.channels.iter().find(|channel| channel.name == "desk").and_then(|channel| channel.address);
    let base = desk.map_or_else(String::new, |address| format!("http://{address}"));
    let content = html! {
        article.reference {
            h1 { "The JSON API" }
            p {
                "The calls for mail are those of Mailpit's API v1, in their paths and shapes, so that its clients work here. "
                "Answers are JSON in UTF-8 or the word " code { "ok" } "; a failure is " code { "{\"Error\": \"…\"}" } " with a status that fits. "
                "A body is at most 1 MiB. Requests that change something are refused when a browser sends them for another site."
            }
            @for call in CALLS { (entry(call, &base)) }
            h2.part { "Not of Mailpit" }
            @for call in OURS { (entry(call, &base)) }
            p.hint { "At most " (MOST_WATCHERS) " may watch events at the same time (503 beyond); a picture event carries at most " (SHOWN_CONNECTIONS) " connections, the status all of them up to 1000. A list has at most " (MOST_LISTED) " messages." }
            h2.part { "Of Mailpit, and not here" }
            p { "These are refused with 501: " (NOT_BUILT) "." }
        }
    };
    Page { title: "API", place: Place::Reference, style: None, script: "page.js", reload: None, content }.answer(200)
}

/// One call: its methods, its path, what it does, and a command to try.
struct Entry {
    methods: &'static str,
    path: &'static str,
    what: &'static str,
    shape: &'static str,
    example: &'static str,
}

fn entry(entry: &Entry, base: &str) -> Markup {
    html! {
        section.endpoint {
            h2 {
                @for method in entry.methods.split(' ') { span.method data-method=(method) { (method) } " " }
                code { (entry.path) }
            }
            p { b { (entry.what) } " " (entry.shape) }
            pre { code { (entry.example.replace("BASE", base)) } }
        }
    }
}

const CALLS: &[Entry] = &[
    Entry {
        methods: "GET",
        path: "/api/v1/messages?start=0&limit=50",
        what: "Caught messages, newest first.",
        shape: "{total, unread, messages_count, messages_unread, count, start, tags, messages: [{ID, MessageID, Read, From, To, Cc, Bcc, ReplyTo, Subject, Created, Tags, Size, Attachments, Snippet}]}. A person is {Name, Address}; Bcc also has the recipients that no field names.",
        example: "curl -s 'BASE/api/v1/messages?limit=10'",
    },
    Entry {
        methods: "PUT",
        path: "/api/v1/messages",
        what: "Marks messages as read or unread.",
        shape: "{\"Read\": true, \"IDs\": [\"1\"]} or {\"Read\": true, \"Search\": \"…\"}; without either all of them.",
        example: "curl -s -X PUT BASE/api/v1/messages -d '{\"Read\": true}'",
    },
    Entry {
        methods: "DELETE",
        path: "/api/v1/messages",
        what: "Deletes messages.",
        shape: "{\"IDs\": [\"1\"]}; without IDs, or without a body, all of them.",
        example: "curl -s -X DELETE BASE/api/v1/messages -d '{\"IDs\": [\"1\"]}'",
    },
    Entry {
        methods: "GET DELETE",
        path: "/api/v1/search?query=&start=0&limit=50",
        what: "Messages that a search finds, as a list; or deletes them.",
        shape: "Words and \"phrases\", from:, to:, cc:, addressed:, subject:, body:, message-id:, tag:, is:read, is:unread, is:tagged, has:attachment, before:, after:, larger:, smaller:, each turned round by a - before it. Dates are UTC or have an offset; tz is not known by name.",
        example: "curl -s 'BASE/api/v1/search?query=is:unread'",
    },
    Entry {
        methods: "GET",
        path: "/api/v1/message/{ID}",
        what: "One message, which counts as read from then on.",
        shape: "{ID, MessageID, From, To, Cc, Bcc, ReplyTo, ReturnPath, Subject, ListUnsubscribe, Date, Tags, Text, HTML, Size, Inline, Attachments: [{PartID, FileName, ContentType, ContentID, Size, Checksums}]}. ID may be latest here and in the next four, with ?query= the latest that a search finds.",
        example: "curl -s BASE/api/v1/message/latest",
    },
    Entry {
        methods: "GET",
        path: "/api/v1/message/{ID}/headers",
        what: "Its header fields as sent.",
        shape: "{\"Subject\": [\"…\"], …}",
        example: "curl -s BASE/api/v1/message/latest/headers",
    },
    Entry {
        methods: "GET",
        path: "/api/v1/message/{ID}/raw",
        what: "The message byte for byte.",
        shape: "As text/plain; with ?dl=1 to be saved.",
        example: "curl -s BASE/api/v1/message/latest/raw",
    },
    Entry {
        methods: "GET",
        path: "/api/v1/message/{ID}/part/{PartID}",
        what: "One of its parts, decoded.",
        shape: "What a browser could run comes as application/octet-stream.",
        example: "curl -sO -J BASE/api/v1/message/latest/part/1",
    },
    Entry {
        methods: "GET",
        path: "/view/{ID}.html and /view/{ID}.txt",
        what: "Its HTML, in which nothing runs and nothing is loaded from elsewhere, or its text.",
        shape: "404 when it has no HTML.",
        example: "curl -s BASE/view/latest.txt",
    },
    Entry {
        methods: "POST",
        path: "/api/v1/send",
        what: "Makes a message and stores it as if it had come by SMTP.",
        shape: "{From: {Email, Name}, To, Cc, ReplyTo: [{Email, Name}], Bcc: [\"…\"], Subject, Text, HTML, Headers, Tags, Attachments: [{Content (Base64), Filename, ContentType, ContentID}]} gives {\"ID\": \"…\"} once it is on disk.",
        example: "curl -s BASE/api/v1/send -d '{\"From\": {\"Email\": \"a@example.org\"}, \"To\": [{\"Email\": \"b@example.org\"}], \"Subject\": \"Hello\", \"Text\": \"Hi.\"}'",
    },
    Entry {
        methods: "GET PUT",
        path: "/api/v1/tags",
        what: "All tags in use; or gives messages tags in place of those they have.",
        shape: "{\"IDs\": [\"1\"], \"Tags\": [\"invoice\"]}",
        example: "curl -s -X PUT BASE/api/v1/tags -d '{\"IDs\": [\"1\"], \"Tags\": [\"invoice\"]}'",
    },
    Entry {
        methods: "PUT DELETE",
        path: "/api/v1/tags/{tag}",
        what: "Renames a tag, {\"Name\": \"…\"}, or takes it off every message.",
        shape: "",
        example: "curl -s -X DELETE BASE/api/v1/tags/invoice",
    },
    Entry {
        methods: "GET",
        path: "/api/v1/info and /api/v1/webui",
        what: "Version, totals, tags, memory and uptime; what of Mailpit's pages would be switched on.",
        shape: "",
        example: "curl -s BASE/api/v1/info",
    },
    Entry {
        methods: "GET",
        path: "/livez and /readyz",
        what: "ok while the server answers, and while it can store mail.",
        shape: "",
        example: "curl -sf BASE/readyz",
    },
];

const OURS: &[Entry] = &[
    Entry {
        methods: "GET",
        path: "/api/v1/status",
        what: "The server at this moment: address, channels, threads, connections with their TCP health, the latest requests, store, programs.",
        shape: "Counts are totals since the start; a rate is the difference of two answers.",
        example: "curl -s BASE/api/v1/status",
    },
    Entry {
        methods: "GET",
        path: "/api/v1/events",
        what: "Server-sent events.",
        shape: "history (counts of the last minutes: now_ms and, for each channel, its name, requests, bytes_in and bytes_out), then picture (a status) twice a second while anyone watches, and mail (messages, unread, change) when the mail changes. With ?only=mail only the last.",
        example: "curl -sN BASE/api/v1/events",
    },
    Entry {
        methods: "GET",
        path: "/metrics",
        what: "The figures for Prometheus (text exposition 0.0.4).",
        shape: "Channels, threads, store, programs, process.",
        example: "curl -s BASE/metrics",
    },
];

const NOT_BUILT: &str =
    "thumbnails of parts, html-check, link-check, sa-check, release, chaos, and the WebSocket /api/events";
