//! What all pages have: the head, the bar at the top, the foot. Everything that is put into a page is escaped by maud.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use crate::web::Answer;

/// A page around its content.
pub(super) struct Page<'a> {
    /// Its title.
    pub title: &'a str,
    /// Which entry of the bar it belongs to.
    pub place: Place,
    /// Its own style sheet.
    pub style: Option<&'a str>,
    /// Its script, an ES module.
    pub script: &'a str,
    /// Seconds after which a browser without scripts loads it again.
    pub reload: Option<u32>,
    /// What is on it.
    pub content: Markup,
}

/// The entries of the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The picture of the server.
    Server,
    /// The mail.
    Inbox,
    /// The mail for other servers.
    Queue,
    /// The kept SMTP sessions.
    Sessions,
    /// The JSON API.
    Reference,
}

impl Place {
    /// Where a path belongs.
    pub(super) fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("inbox") => Self::Inbox,
            Some("queue") => Self::Queue,
            Some("sessions") => Self::Sessions,
            _ => Self::Server,
        }
    }
}

impl Page<'_> {
    /// The page as an answer.
    pub(super) fn answer(self, status: u16) -> Answer {
        Answer::bytes(status, "text/html; charset=utf-8", self.render().into_string())
    }

    fn render(self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Sportello" }
                    link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                    link rel="stylesheet" href=(assets::url("desk.css"));
                    @if let Some(style) = self.style { link rel="stylesheet" href=(assets::url(style)); }
                    script src=(assets::url("theme.js")) {}
                    script type="module" src=(assets::url(self.script)) {}
                    @if let Some(seconds) = self.reload { noscript { meta http-equiv="refresh" content=(seconds); } }
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    (bar(self.place, self.reload))
                    main #content { (self.content) }
                }
            }
        }
    }
}

/// A page that is renewed by itself says whether it is.
fn bar(place: Place, reload: Option<u32>) -> Markup {
    let entry = |entry: Place, href: &str, text: &str| {
        html! { a href=(href) aria-current=[(entry == place).then_some("page")] { (text) } }
    };
    html! {
        header.bar {
            a.brand href="/" { (mark()) span { "Sportello" } }
            nav aria-label="Pages" {
                (entry(Place::Server, "/", "Server"))
                (entry(Place::Inbox, "/inbox", "Inbox"))
                (entry(Place::Queue, "/queue", "Queue"))
                (entry(Place::Sessions, "/sessions", "Sessions"))
                (entry(Place::Reference, "/api", "API"))
            }
            span.live {
                @if reload.is_some() { span #live data-state="static" role="status" { span.dot {} span.word { "snapshot" } } }
            }
            button.theme #theme type="button" hidden aria-label="Change between light and dark" title="Light or dark" {
                svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" {
                    circle cx="12" cy="12" r="8" fill="none" stroke="currentColor" stroke-width="1.8" {}
                    path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" {}
                }
            }
        }
    }
}

/// The mark: a counter window, its opening, and what is handed through.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" {
            path d="M4 21V9.5a8 8 0 0 1 16 0V21" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" {}
            path d="M2.5 21h19M8 15.5h8" stroke="currentColor" stroke-width="2" stroke-linecap="round" {}
            circle cx="12" cy="10" r="2" fill="currentColor" {}
        }
    }
}

/// A page that says what went wrong.
pub(super) fn sorry(status: u16, place: Place, sentence: &str) -> Answer {
    let content = html! {
        section.sorry {
            p.number { (status) }
            h1 { (sentence) }
            p { a href="/" { "The server" } " · " a href="/inbox" { "The inbox" } }
        }
    };
    Page { title: "Not done", place, style: None, script: "page.js", reload: None, content }.answer(status)
}

/// A moment, in UTC here and in the reader's time once the script has seen it.
pub(super) fn moment(unix_ms: u64, text: &str) -> Markup {
    html! { time datetime=(super::format::rfc3339(unix_ms)) { (text) } }
}
