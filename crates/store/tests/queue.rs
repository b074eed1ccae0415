//! The queue of the store: what is accepted for others is leased once, settled whole, and never lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use sportello_store::queue::{
    Answer, Attempt, Change, Chosen, Contact, Destination, EntryState, EntryWindow, Lease, Options, Outgoing, Priority,
    Recipient, Script, Settled, Settlement, Speaker, Standing, TlsNeed, To, Unsettled,
};
use sportello_store::{Accept, Envelope, Error, MessageId, Place, Quota, Store};
use sportello_wire::mail::status::{Class, Status};
use sportello_wire::mail::{Notify, Ret};
use sportello_wire::smtp::server::BodyType;
use support::{accept_of, bytes, read, write};

/// Later than anything that a test accepts, and earlier than anybody should look at it.
fn soon() -> u64 {
    now() + 60_000
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

fn to(address: &str) -> To {
    let (_, domain) = address.rsplit_once('@').unwrap();
    let recipient = Recipient { address: address.to_owned(), ..Recipient::default() };
    To { destination: Destination::new(domain), recipient }
}

fn outgoing(addresses: &[&str]) -> Outgoing {
    Outgoing {
        sender: "sender@example.org".to_owned(),
        recipients: addresses.iter().map(|address| to(address)).collect(),
        options: Options::default(),
        priority: Priority::Normal,
    }
}

async fn for_others(store: &Store, queue: Vec<Outgoing>, places: Vec<Place>) -> Result<MessageId, Error> {
    let body = write(store, b"Subject: out\r\n\r\nbody\r\n").await?;
    store.accept(Accept { places, queue, ..accept_of(body, "out") }).await.map(|accepted| accepted.id)
}

async fn send(store: &Store, addresses: &[&str]) -> MessageId {
    for_others(store, vec![outgoing(addresses)], Vec::new()).await.unwrap()
}

async fn lease(store: &Store, destination: &str) -> Vec<Lease> {
    store.queue_lease(&Destination::new(destination), soon(), 100).await.unwrap()
}

fn done(lease: &Lease) -> Settlement {
    Settlement {
        entry: lease.entry.id,
        generation: lease.generation,
        left: Vec::new(),
        due_ms: 0,
        attention_ms: 0,
        attempt: Some(attempt(Contact::Reached, "250 ok")),
    }
}

fn attempt(contact: Contact, conversation: &str) -> Attempt {
    let server = Some("mx.example.net [192.0.2.9]".to_owned());
    Attempt { at_ms: soon(), contact, server, conversation: conversation.to_owned() }
}

fn later(text: &str) -> Answer {
    Answer { by: Speaker::Server, status: Status::new(Class::Transient, 2, 1), text: text.to_owned() }
}

/// All recipients of the entry wait on until `due_ms`.
fn put_off(lease: &Lease, due_ms: u64, contact: Contact) -> Settlement {
    let left = lease
        .entry
        .recipients
        .iter()
        .map(|unsettled| Unsettled { last: Some(later("451 4.2.1 later")), recipient: unsettled.recipient.clone() });
    let attempt = Some(attempt(contact, "451 4.2.1 later"));
    Settlement { left: left.collect(), due_ms, attention_ms: lease.entry.attention_ms, attempt, ..done(lease) }
}

async fn due(store: &Store, now_ms: u64) -> Vec<String> {
    let due = store.queue_due(now_ms, 100).await.unwrap();
    due.destinations.into_iter().map(|due| due.destination.to_string()).collect()
}

async fn figures(store: &Store) -> [u64; 3] {
    let figures = store.queue_figures();
    [figures.waiting, figures.leased, figures.held]
}

fn all() -> EntryWindow {
    EntryWindow { of: Chosen::default(), before: None, limit: 200 }
}

#[tokio::test]
async fn an_entry_comes_back_as_it_was_accepted_one_for_each_destination() {
    let place = support::Place::new();
    let store = place.open();
    let special = Outgoing {
        sender: String::new(),
        recipients: vec![To {
            destination: Destination::new("EXAMPLE.net"),
            recipient: Recipient {
                address: "\"a \\\"b\"@EXAMPLE.net".to_owned(),
                notify: "SUCCESS,DELAY".parse::<Notify>().unwrap(),
                original: Some("utf-8;bücher@example.net".to_owned()),
            },
        }],
        options: Options {
            envelope_id: Some("QQ 31".to_owned()),
            ret: Some(Ret::Headers),
            tls: TlsNeed::Required,
            script: Script::Utf8,
            body: BodyType::BinaryMime,
        },
        priority: Priority::High,
    };
    let id = for_others(&store, vec![special.clone()], Vec::new()).await.unwrap();
    let many = send(&store, &["a@one.example", "b@two.example", "c@one.example"]).await;
    assert_eq!(due(&store, soon()).await, ["example.net", "one.example", "two.example"]);
    let leases = lease(&store, "example.NET").await;
    let [Lease { entry, .. }] = &leases[..] else { panic!("{leases:?}") };
    assert_eq!((entry.message, entry.sender.as_str(), entry.attempts), (id, "", 0));
    assert_eq!((&entry.options, entry.priority, entry.state), (&special.options, Priority::High, EntryState::Leased));
    let recipients: Vec<_> = entry.recipients.iter().map(|unsettled| unsettled.recipient.clone()).collect();
    assert_eq!(recipients, [special.recipients[0].recipient.clone()]);
    assert!(entry.recipients.iter().all(|unsettled| unsettled.last.is_none()));
    let one = lease(&store, "one.example").await;
    let names = |lease: &Lease| -> Vec<String> {
        lease.entry.recipients.iter().map(|unsettled| unsettled.recipient.address.clone()).collect()
    };
    assert_eq!(one.iter().map(names).collect::<Vec<_>>(), [["a@one.example", "c@one.example"]]);
    assert_eq!(one[0].entry.message, many);
    assert_eq!(read(&store, many).await, b"Subject: out\r\n\r\nbody\r\n");
    assert_eq!(figures(&store).await, [1, 2, 0]);
    store.close().await;
}

#[tokio::test]
async fn more_recipients_than_go_together_are_several_entries() {
    let place = support::Place::new();
    let store = place.open();
    let addresses: Vec<String> = (0..=Outgoing::MOST_TOGETHER).map(|number| format!("{number}@one.example")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    send(&store, &addresses[..Outgoing::MOST_TOGETHER]).await;
    assert_eq!(figures(&store).await, [1, 0, 0]);
    send(&store, &addresses).await;
    let sizes: Vec<usize> = lease(&store, "one.example").await.iter().map(|one| one.entry.recipients.len()).collect();
    assert_eq!(sizes, [100, 100, 1]);
    store.close().await;
}

#[tokio::test]
async fn nobody_is_given_what_is_leased_and_a_stale_lease_changes_nothing() {
    let place = support::Place::new();
    let store = place.open();
    let id = send(&store, &["a@one.example"]).await;
    let first = lease(&store, "one.example").await.remove(0);
    assert_eq!(lease(&store, "one.example").await, []);
    assert_eq!(store.queue_attend(u64::MAX >> 1, 10).await.unwrap(), []);
    assert_eq!(due(&store, soon()).await, [""; 0]);
    store.close().await;
    drop(store);

    // The next opening takes it back: another server may have it, so it is counted.
    let store = place.open();
    assert_eq!(store.queue_figures().interrupted, 1);
    assert_eq!(figures(&store).await, [1, 0, 0]);
    assert_eq!(store.queue_settle(done(&first), None).await.unwrap(), Settled::Stale, "it waits");
    let second = lease(&store, "one.example").await.remove(0);
    assert!(second.generation > first.generation);
    assert_eq!((second.entry.id, second.entry.interruptions), (first.entry.id, 1));
    let body = write(&store, &bytes(200_000, 1)).await.unwrap();
    let report = accept_of(body, "a report on a lease of another opening");
    assert_eq!(store.queue_settle(done(&first), Some(report)).await.unwrap(), Settled::Stale, "it is leased anew");
    assert_eq!(place.names("blobs"), [""; 0], "its report is not here");
    assert_eq!(store.queue_give_back(vec![first]).await.unwrap(), 0);
    assert_eq!(figures(&store).await, [0, 1, 0]);
    assert_eq!(store.queue_settle(done(&second), None).await.unwrap(), Settled::Done(None));
    assert_eq!(store.queue_settle(done(&second), None).await.unwrap(), Settled::Stale, "it is settled");
    assert!(store.body(id).await.unwrap().is_none());
    store.close().await;
    drop(store);
    let store = place.open();
    assert_eq!(store.queue_figures().interrupted, 0, "what was settled was not interrupted");
    store.close().await;
}

#[tokio::test]
async fn a_message_goes_with_its_last_entry_and_its_last_mailbox() {
    let place = support::Place::new();
    let store = place.open();
    let large = bytes(200_000, 2);
    let body = write(&store, &large).await.unwrap();
    let queue = vec![outgoing(&["a@one.example", "b@two.example"])];
    let id = store.accept(Accept { queue, ..accept_of(body, "both") }).await.unwrap().id;
    let one = lease(&store, "one.example").await.remove(0);
    store.queue_settle(done(&one), None).await.unwrap();
    assert_eq!(store.delete(&[id]).await.unwrap(), 1);
    assert!(store.message(id).await.unwrap().is_none(), "it is in no mailbox");
    assert_eq!(read(&store, id).await, large, "it is still to be sent");
    let two = lease(&store, "two.example").await.remove(0);
    store.queue_settle(done(&two), None).await.unwrap();
    assert!(store.body(id).await.unwrap().is_none());
    store.indexed().await.unwrap();

    let kept = for_others(&store, vec![outgoing(&["a@one.example"])], vec![Place::CAUGHT]).await.unwrap();
    let one = lease(&store, "one.example").await.remove(0);
    store.queue_settle(done(&one), None).await.unwrap();
    assert!(store.message(kept).await.unwrap().is_some(), "it is in a mailbox");
    assert_eq!(store.queue_destinations(None, 10).await.unwrap(), []);
    store.close().await;
    assert_eq!(place.names("blobs"), [""; 0]);
}

#[tokio::test]
async fn what_is_left_waits_on_and_the_report_comes_with_it() {
    let place = support::Place::new();
    let store = place.open();
    let id = send(&store, &["a@one.example", "b@one.example"]).await;
    let one = lease(&store, "one.example").await.remove(0);
    let due_ms = soon() + 1000;
    let mut settlement = put_off(&one, due_ms, Contact::Reached);
    settlement.left.remove(0);
    let body = write(&store, b"Subject: report\r\n\r\n").await.unwrap();
    let mut report = accept_of(body, "report");
    report.places = vec![Place { quota: Quota::Passed, ..Place::CAUGHT }];
    let Settled::Done(Some(report)) = store.queue_settle(settlement, Some(report)).await.unwrap() else { panic!() };
    assert_eq!(store.message(report).await.unwrap().unwrap().summary.subject, "report");
    assert_eq!(lease(&store, "one.example").await, []);
    assert_eq!(store.queue_due(soon(), 10).await.unwrap().next_ms, Some(due_ms));
    assert_eq!(store.queue_lease(&Destination::new("one.example"), due_ms - 1, 10).await.unwrap(), []);
    let again = store.queue_lease(&Destination::new("one.example"), due_ms, 10).await.unwrap().remove(0);
    assert_eq!((again.entry.message, again.entry.attempts), (id, 1));
    let left: Vec<_> = again.entry.recipients.iter().map(|one| (one.recipient.address.as_str(), &one.last)).collect();
    assert_eq!(left, [("b@one.example", &Some(later("451 4.2.1 later")))]);
    let attempt = store.queue_attempt(again.entry.id).await.unwrap().unwrap();
    assert_eq!((attempt.contact, attempt.conversation.as_str()), (Contact::Reached, "451 4.2.1 later"));
    // A report that the store refuses settles nothing.
    let body = write(&store, b"Subject: report\r\n\r\n").await.unwrap();
    let refused =
        Accept { envelope: Envelope { sender: "x".repeat(999), recipients: Vec::new() }, ..accept_of(body, "") };
    assert!(matches!(store.queue_settle(done(&again), Some(refused)).await, Err(Error::TooMany { .. })));
    assert_eq!(figures(&store).await, [0, 1, 0]);
    assert_eq!(store.queue_give_back(vec![again]).await.unwrap(), 1);
    assert_eq!(store.queue_lease(&Destination::new("one.example"), due_ms, 10).await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_destination_that_is_not_reached_is_left_alone_with_all_its_entries() {
    let place = support::Place::new();
    let store = place.open();
    for _ in 0..3 {
        send(&store, &["a@dead.example"]).await;
    }
    let until_ms = soon() + 120_000;
    let leases = store.queue_lease(&Destination::new("dead.example"), soon(), 2).await.unwrap();
    for (at, one) in leases.iter().enumerate() {
        // Two that fail at once are one failure.
        let settlement = put_off(one, soon() + 90_000, Contact::Unreached { until_ms: until_ms + at as u64 });
        store.queue_settle(settlement, None).await.unwrap();
    }
    assert_eq!(lease(&store, "dead.example").await, []);
    send(&store, &["b@dead.example"]).await;
    send(&store, &["b@live.example"]).await;
    let found = store.queue_due(soon(), 10).await.unwrap();
    assert_eq!(found.next_ms, Some(until_ms + 1));
    assert_eq!(due(&store, soon()).await, ["live.example"]);
    let dead = &store.queue_destinations(None, 1).await.unwrap()[0];
    assert_eq!((dead.failures, dead.waiting, dead.next_ms), (1, 4, Some(until_ms + 1)));
    assert_eq!(dead.last.as_ref().unwrap().contact, Contact::Unreached { until_ms: until_ms + 1 });
    let untried = &store.queue_page(all()).await.unwrap()[1].entry;
    assert_eq!(untried.attempts, 0);
    let why = store.queue_attempt(untried.id).await.unwrap().unwrap();
    assert!(matches!(why.contact, Contact::Unreached { .. }), "what keeps it is told: {why:?}");

    // Reached again, all of it may go.
    let one = store.queue_lease(&Destination::new("dead.example"), until_ms + 1, 1).await.unwrap().remove(0);
    store.queue_settle(done(&one), None).await.unwrap();
    let dead = &store.queue_destinations(None, 1).await.unwrap()[0];
    assert_eq!((dead.failures, dead.waiting), (0, 3));
    assert_eq!(store.queue_lease(&Destination::new("dead.example"), until_ms + 1, 10).await.unwrap().len(), 3);
    store.close().await;
}

#[tokio::test]
async fn what_is_urgent_goes_first_and_then_what_is_due_first() {
    let place = support::Place::new();
    let store = place.open();
    let mut expect = Vec::new();
    for priority in [Priority::Bulk, Priority::Normal, Priority::High, Priority::Normal] {
        let queue = vec![Outgoing { priority, ..outgoing(&["a@one.example"]) }];
        expect.push((priority, for_others(&store, queue, Vec::new()).await.unwrap()));
    }
    expect.sort();
    let three = store.queue_lease(&Destination::new("one.example"), soon(), 3).await.unwrap();
    let rest = lease(&store, "one.example").await;
    let found: Vec<_> = three.iter().chain(&rest).map(|one| (one.entry.priority, one.entry.message)).collect();
    assert_eq!(found, expect);
    store.close().await;
}

#[tokio::test]
async fn somebody_looks_at_what_waits_too_long_whatever_its_destination_does() {
    let place = support::Place::new();
    let store = place.open();
    store.attend_after(std::time::Duration::from_secs(60));
    send(&store, &["a@one.example"]).await;
    store.queue_stand(Destination::new("one.example"), Standing::Suspended).await.unwrap();
    let attention_ms = store.queue_due(0, 10).await.unwrap().attention_ms.unwrap();
    assert_eq!(store.queue_attend(attention_ms - 1, 10).await.unwrap(), []);
    let look = store.queue_attend(attention_ms, 10).await.unwrap().remove(0);
    let entry = look.entry.clone();
    assert_eq!(entry.attention_ms, attention_ms);
    let left = entry.recipients.clone();
    let settlement =
        Settlement { left, due_ms: entry.due_ms, attention_ms: attention_ms + 5, attempt: None, ..done(&look) };
    store.queue_settle(settlement, None).await.unwrap();
    assert_eq!(store.queue_due(0, 10).await.unwrap().attention_ms, Some(attention_ms + 5));
    let row = store.queue_page(all()).await.unwrap().remove(0).entry;
    assert_eq!((row.attempts, row.due_ms, row.state), (0, entry.due_ms, EntryState::Waiting));
    store.close().await;
}

#[tokio::test]
async fn people_hold_release_retry_and_delete_what_they_choose() {
    let place = support::Place::new();
    let store = place.open();
    let mut ids = Vec::new();
    for _ in 0..Store::STEP + 1 {
        ids.push(send(&store, &["a@one.example", "b@two.example"]).await);
    }
    let entries = 2 * (Store::STEP as u64 + 1);
    let one = Chosen { destination: Some(Destination::new("ONE.example")), message: None };
    let first = Chosen { message: Some(ids[0]), destination: None };
    let both = Chosen { message: Some(ids[0]), destination: one.destination.clone() };
    let nobody = Chosen { destination: Some(Destination::new("three.example")), message: None };
    assert_eq!(store.queue_change(nobody, Change::Delete).await.unwrap(), 0);
    assert_eq!(store.queue_change(both.clone(), Change::Hold).await.unwrap(), 1);
    assert_eq!(store.queue_change(first.clone(), Change::Hold).await.unwrap(), 1, "the other one");
    assert_eq!(store.queue_change(one.clone(), Change::Hold).await.unwrap(), Store::STEP as u64);
    assert_eq!(figures(&store).await, [entries / 2 - 1, 0, entries / 2 + 1]);
    assert_eq!(lease(&store, "one.example").await, []);
    assert_eq!(store.queue_change(Chosen::default(), Change::Retry).await.unwrap(), entries / 2 - 1);
    assert_eq!(store.queue_change(Chosen::default(), Change::Release).await.unwrap(), entries / 2 + 1);
    assert_eq!(figures(&store).await, [entries, 0, 0]);
    let leased = store.queue_lease(&Destination::new("one.example"), soon(), 1).await.unwrap().remove(0);
    assert_eq!(store.queue_change(one, Change::Delete).await.unwrap(), entries / 2, "also what is being tried");
    assert_eq!(store.queue_settle(done(&leased), None).await.unwrap(), Settled::Stale);
    assert_eq!(store.queue_change(both, Change::Delete).await.unwrap(), 0);
    assert!(store.body(ids[0]).await.unwrap().is_some());
    assert_eq!(store.queue_change(Chosen::default(), Change::Delete).await.unwrap(), entries / 2);
    assert!(store.body(ids[0]).await.unwrap().is_none());
    assert_eq!(figures(&store).await, [0, 0, 0]);
    assert_eq!(store.queue_destinations(None, 10).await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn a_retry_does_not_wait_for_its_time_nor_for_its_destinations() {
    let place = support::Place::new();
    let store = place.open();
    send(&store, &["a@one.example"]).await;
    let one = lease(&store, "one.example").await.remove(0);
    let never = u64::MAX >> 2;
    store.queue_settle(put_off(&one, never, Contact::Unreached { until_ms: never }), None).await.unwrap();
    assert_eq!(lease(&store, "one.example").await, []);
    assert_eq!(store.queue_change(Chosen::default(), Change::Retry).await.unwrap(), 1);
    assert_eq!(lease(&store, "one.example").await.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_suspended_destination_rests_until_it_is_resumed_also_after_a_restart() {
    let place = support::Place::new();
    let store = place.open();
    let one = || Destination::new("one.example");
    assert!(store.queue_stand(one(), Standing::Suspended).await.unwrap());
    assert!(!store.queue_stand(one(), Standing::Suspended).await.unwrap());
    send(&store, &["a@one.example"]).await;
    assert_eq!(lease(&store, "one.example").await, []);
    store.close().await;
    drop(store);
    let store = place.open();
    assert_eq!(due(&store, soon()).await, [""; 0]);
    let row = store.queue_destinations(None, 10).await.unwrap().remove(0);
    assert_eq!((row.standing, row.waiting, row.next_ms), (Standing::Suspended, 1, None));
    assert!(store.queue_stand(one(), Standing::Open).await.unwrap());
    assert!(!store.queue_stand(one(), Standing::Open).await.unwrap());
    assert_eq!(lease(&store, "one.example").await.len(), 1);
    store.queue_change(Chosen::default(), Change::Delete).await.unwrap();
    store.queue_stand(one(), Standing::Suspended).await.unwrap();
    store.queue_stand(one(), Standing::Open).await.unwrap();
    assert_eq!(store.queue_destinations(None, 10).await.unwrap(), [], "nothing is kept of it");
    let long = Destination::new(&"x".repeat(Destination::LONGEST + 1));
    assert!(matches!(store.queue_stand(long, Standing::Suspended).await, Err(Error::TooMany { .. })));
    store.close().await;
}

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest_of_all_of_a_destination_of_a_message() {
    let place = support::Place::new();
    let store = place.open();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(send(&store, &["a@one.example", "b@two.example"]).await);
    }
    let page = async |of: Chosen, before, limit| {
        let rows = store.queue_page(EntryWindow { of, before, limit }).await.unwrap();
        rows.into_iter()
            .map(|row| (row.entry.id, row.entry.message, row.entry.destination.to_string()))
            .collect::<Vec<_>>()
    };
    let everything = page(Chosen::default(), None, 200).await;
    assert_eq!(everything.len(), 6);
    assert!(everything.is_sorted_by(|one, other| one.0 > other.0));
    assert_eq!(page(Chosen::default(), Some(everything[1].0), 2).await, everything[2..4]);
    let one = Chosen { destination: Some(Destination::new("one.example")), message: None };
    let expect: Vec<_> = everything.iter().filter(|row| row.2 == "one.example").cloned().collect();
    assert_eq!(page(one.clone(), None, 200).await, expect);
    let of_message: Vec<_> = everything.iter().filter(|row| row.1 == ids[1]).cloned().collect();
    assert_eq!(page(Chosen { message: Some(ids[1]), ..Chosen::default() }, None, 200).await, of_message);
    let expect: Vec<_> = of_message.iter().filter(|row| row.2 == "one.example").cloned().collect();
    assert_eq!(page(Chosen { message: Some(ids[1]), ..one }, None, 200).await, expect);
    let row = store.queue_page(all()).await.unwrap().remove(0);
    assert_eq!((row.size, row.subject.as_str()), (22, "out"));
    store.close().await;
}

#[tokio::test]
async fn what_passes_a_bound_is_refused_at_n_plus_one() {
    let place = support::Place::new();
    let store = place.open();
    let many = |number: usize| vec![outgoing(&vec!["a@one.example"; number])];
    let named = |length: usize| {
        let mut queue = vec![outgoing(&["a@one.example"])];
        queue[0].recipients[0].destination = Destination::new(&"x".repeat(length));
        queue
    };
    let original = |length: usize| {
        let mut queue = vec![outgoing(&["a@one.example"])];
        queue[0].recipients[0].recipient.original = Some("x".repeat(length));
        queue
    };
    for (within, beyond) in [
        (many(Envelope::MOST_RECIPIENTS), many(Envelope::MOST_RECIPIENTS + 1)),
        (named(Destination::LONGEST), named(Destination::LONGEST + 1)),
        (original(Envelope::LONGEST_ADDRESS), original(Envelope::LONGEST_ADDRESS + 1)),
        (vec![outgoing(&["a@one.example"]); Outgoing::MOST], vec![outgoing(&["a@one.example"]); Outgoing::MOST + 1]),
    ] {
        assert!(for_others(&store, within, Vec::new()).await.is_ok());
        assert!(matches!(for_others(&store, beyond, Vec::new()).await, Err(Error::TooMany { .. })));
    }
    for nothing in [Vec::new(), vec![outgoing(&[])]] {
        assert!(matches!(for_others(&store, nothing, Vec::new()).await, Err(Error::Refused(_))));
    }
    store.queue_change(Chosen::default(), Change::Delete).await.unwrap();
    for _ in 0..=Store::MOST_LEASED {
        send(&store, &["a@one.example"]).await;
    }
    assert_eq!(
        store.queue_lease(&Destination::new("one.example"), soon(), 1000).await.unwrap().len(),
        Store::MOST_LEASED
    );
    let one = lease(&store, "one.example").await.remove(0);
    let mut settlement = put_off(&one, 0, Contact::Reached);
    settlement.attempt = Some(attempt(Contact::Reached, &"ü".repeat(Attempt::LONGEST)));
    settlement.left[0].last = Some(later(&"ü".repeat(Answer::LONGEST)));
    store.queue_settle(settlement, None).await.unwrap();
    let kept = store.queue_attempt(one.entry.id).await.unwrap().unwrap();
    assert_eq!(kept.conversation.len(), Attempt::LONGEST);
    let again = lease(&store, "one.example").await.remove(0);
    assert_eq!(again.entry.recipients[0].last.as_ref().unwrap().text.len(), Answer::LONGEST);
    store.close().await;
    assert!(matches!(store.queue_lease(&Destination::new("one.example"), 0, 1).await, Err(Error::Closed)));
}
