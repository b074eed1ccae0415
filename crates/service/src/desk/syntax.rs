//! The search box, and beneath it what can be written there and which keys the list knows.

use maud::{Markup, html};
use sportello_store::Query;

/// The box, holding what was searched for.
pub(super) fn search(query: Option<&str>) -> Markup {
    html! {
        form.search role="search" method="get" action="/inbox" {
            input #search type="search" name="query" value=(query.unwrap_or_default()) maxlength=(Query::LONGEST)
                placeholder="Search mail" aria-label="Search mail" autocomplete="off" spellcheck="false";
            button type="submit" { "Search" }
            details.syntax {
                summary aria-label="How to search, and keys" { "?" }
                div.sure {
                    dl {
                        @for (written, meaning) in SYNTAX { dt { code { (written) } } dd { (meaning) } }
                    }
                    p.hint.keys hidden {
                        "Keys: "
                        @for (key, meaning) in KEYS { kbd { (key) } " " (meaning) " · " }
                        kbd { "Esc" } " leaves a field"
                    }
                }
            }
        }
    }
}

const SYNTAX: &[(&str, &str)] = &[
    ("invoice july", "both words, by their beginnings"),
    ("\"as it stands\"", "a phrase"),
    ("-draft", "without it; before any of these"),
    ("from: to: cc: subject: body:", "in one place; addressed: is from, to or cc"),
    ("message-id:", "the Message-ID"),
    ("is:unread  is:read  is:tagged", "the state"),
    ("tag:\"to pay\"", "a tag"),
    ("has:attachment", "with a file"),
    ("after:2026-07-01  before:2026-08-01", "received, UTC"),
    ("larger:20k  smaller:5M", "bytes"),
];

const KEYS: &[(&str, &str)] = &[
    ("j", "down"),
    ("k", "up"),
    ("Enter", "open"),
    ("x", "choose"),
    ("r", "read"),
    ("u", "unread"),
    ("#", "delete"),
    ("/", "search"),
];
