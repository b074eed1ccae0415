//! The mail for other servers: where it goes and how that fares, what waits, and one message's last conversations.
//!
//! Shows only; what is done to the queue is done by `sportello queue`, whose words stand on the page.

use maud::{Markup, html};
use sportello_store::queue::{Attempt, Contact, DestinationRow, EntryRow, EntryState, QueueFigures, Standing};

use super::format;
use super::layout::{Page, Place, moment};
use crate::web::Answer;

/// What the page shows.
pub(super) struct Queue {
    pub(super) figures: QueueFigures,
    pub(super) destinations: Vec<DestinationRow>,
    pub(super) entries: Vec<EntryRow>,
}

/// The queue: its destinations and its newest entries.
pub(super) fn answer(queue: &Queue) -> Answer {
    let Queue { figures, destinations, entries } = queue;
    let content = html! {
        article.sessions {
            h1 { "Queue" }
            p.hint {
                (format::grouped(figures.waiting)) " entries wait, " (figures.leased) " are being sent, "
                (format::grouped(figures.held)) " are held. An entry is one message for its recipients at one domain. "
                code { "sportello queue" } " holds, releases, retries and deletes them."
            }
            @if destinations.is_empty() { p.note { "Nothing waits for another server." } }
            @else { (table_of_destinations(destinations)) }
            @if !entries.is_empty() { h2 { "Newest entries" } (table_of_entries(entries)) }
        }
    };
    page("Queue", content)
}

/// One message's entries.
pub(super) fn one(shown: &[(EntryRow, Option<Attempt>)]) -> Answer {
    let content = html! {
        article.sessions {
            p { a href="/queue" { "Queue" } }
            @if let Some((row, _)) = shown.first() { h1 { "Message " (row.entry.message) ": " (row.subject) } }
            @for (row, attempt) in shown {
                h2 { (row.entry.destination) " " small { (state(row)) ", " (row.entry.attempts) " tries" } }
                table {
                    thead { tr { th { "recipient" } th { "said last" } } }
                    tbody {
                        @for one in &row.entry.recipients {
                            tr {
                                td { (one.recipient.address) }
                                td { @if let Some(last) = &one.last { (last.text) } @else { "–" } }
                            }
                        }
                    }
                }
                @if let Some(attempt) = attempt { (conversation(attempt)) }
            }
        }
    };
    page("Queue", content)
}

fn page(title: &str, content: Markup) -> Answer {
    let (style, script) = (Some("mail.css"), "page.js");
    Page { title, place: Place::Queue, style, script, reload: None, content }.answer(200)
}

fn table_of_destinations(rows: &[DestinationRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Destinations" {
            table {
                thead { tr { th { "destination" } th.number { "waiting" } th.number { "being sent" } th.number { "held" } th { "next" } th { "last attempt" } } }
                tbody {
                    @for row in rows {
                        tr {
                            td { (row.destination) }
                            td.number { (format::grouped(row.waiting)) }
                            td.number { (row.leased) }
                            td.number { (format::grouped(row.held)) }
                            td {
                                @match (row.standing, row.next_ms) {
                                    (Standing::Suspended, _) => { strong { "suspended" } }
                                    (Standing::Open, Some(next)) => { (moment(next, &format::second(next))) }
                                    (Standing::Open, None) => { "–" }
                                }
                            }
                            td { @if let Some(last) = &row.last { (told(last, row.failures)) } @else { "–" } }
                        }
                    }
                }
            }
        }
    }
}

fn told(last: &Attempt, failures: u32) -> Markup {
    html! {
        details {
            summary {
                @match last.contact {
                    Contact::Reached => { (last.server.as_deref().unwrap_or("reached")) }
                    Contact::Unreached { .. } => { strong { "not reached" } " (" (failures) " in a row)" }
                }
            }
            (conversation(last))
        }
    }
}

fn conversation(attempt: &Attempt) -> Markup {
    html! {
        p { (moment(attempt.at_ms, &format::second(attempt.at_ms))) @if let Some(server) = &attempt.server { ", " (server) } }
        pre { (attempt.conversation) }
    }
}

fn table_of_entries(rows: &[EntryRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Entries" {
            table {
                thead { tr { th { "message" } th { "from" } th { "to" } th { "subject" } th { "state" } th.number { "tries" } } }
                tbody {
                    @for row in rows {
                        tr {
                            td { a href=(format!("/queue/{}", row.entry.message)) { (row.entry.message) } }
                            td { @if row.entry.sender.is_empty() { "<>" } @else { (row.entry.sender) } }
                            td { (recipients(row)) }
                            td { (row.subject) }
                            td { (state(row)) }
                            td.number { (row.entry.attempts) }
                        }
                    }
                }
            }
        }
    }
}

fn recipients(row: &EntryRow) -> String {
    let first = row.entry.recipients.first().map(|one| one.recipient.address.clone()).unwrap_or_default();
    match row.entry.recipients.len() {
        0 | 1 => first,
        more => format!("{first} and {} more", more.saturating_sub(1)),
    }
}

fn state(row: &EntryRow) -> String {
    match row.entry.state {
        EntryState::Waiting => format!("due {}", format::second(row.entry.due_ms)),
        EntryState::Leased => "being sent".to_owned(),
        EntryState::Held => "held".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sportello_store::queue::{Change, Chosen, Destination, Options, Outgoing, Priority, Recipient, To};
    use sportello_store::{Accept, Envelope, Origin, Summary};

    use crate::desk::tests::house;

    #[tokio::test]
    async fn what_waits_is_shown_with_its_last_words_and_escaped() {
        let house = house();
        assert!(house.page("/queue").await.contains("Nothing waits for another server."));
        let store = &house.desk.store;
        let mut body = store.begin(None).unwrap();
        body.write(b"Subject: hello\r\n\r\n").await.unwrap();
        let recipient = Recipient { address: "\"<b>\"@one.example".to_owned(), ..Recipient::default() };
        let to = To { destination: Destination::new("one.example"), recipient };
        let queue = vec![Outgoing {
            sender: "anna@example.org".to_owned(),
            recipients: vec![to],
            options: Options::default(),
            priority: Priority::Normal,
        }];
        let origin =
            Origin { peer: ([127, 0, 0, 1], 4000).into(), helo: "me".into(), channel: "mail".into(), connection: 1 };
        let summary = Summary { subject: "<script>".to_owned(), ..Summary::default() };
        let (envelope, places) = (Envelope::default(), Vec::new());
        let id = store.accept(Accept { envelope, origin, summary, body, places, queue, trace: None }).await.unwrap().id;
        for page in ["/queue".to_owned(), format!("/queue/{id}")] {
            let page = house.page(&page).await;
            for piece in ["one.example", "&lt;b&gt;", "&lt;script&gt;"] {
                assert!(page.contains(piece), "{piece}: {page}");
            }
            assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        }
        let metrics = house.page("/metrics").await;
        assert!(metrics.contains("sportello_queue_entries{state=\"waiting\"} 1"), "{metrics}");
        store.queue_change(Chosen::default(), Change::Delete).await.unwrap();
        assert_eq!(house.ask("GET", &format!("/queue/{id}"), &[]).await.0.status, 404);
    }
}
