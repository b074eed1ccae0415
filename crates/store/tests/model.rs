//! Random operations, and the same ones on a model in memory: after each of them both hold the same.
//!
//! The seed of a run that failed is in its message; `SPORTELLO_MODEL_SEED` runs that one again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use sportello_store::{MailboxId, MessageId, Query, Seen, Selection, Start, Store, Tag, Uid, Window};
use support::{Place, bytes, deliver};

const WORDS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "alphabet"];
const TAGS: [&str; 4] = ["red", "green", "blue", "two words"];
const OPERATIONS: usize = 250;

#[derive(Clone, Debug)]
struct Message {
    id: MessageId,
    modseq: u64,
    seen: bool,
    tags: BTreeSet<&'static str>,
    subject: Vec<&'static str>,
    size: usize,
}

#[derive(Default)]
struct Model {
    messages: BTreeMap<u32, Message>,
    next_uid: u32,
    highest_modseq: u64,
}

/// Numbers that look random, the same ones for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap() % limit
    }

    fn some<T: Copy>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().copied().filter(|_| self.below(3) == 0).collect()
    }
}

#[tokio::test]
async fn the_store_holds_what_a_model_holds() {
    let seeds = match std::env::var("SPORTELLO_MODEL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => vec![1, 2],
    };
    for seed in seeds {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let place = Place::new();
    let mut store = place.open();
    let mut model = Model { next_uid: 1, highest_modseq: 1, ..Model::default() };
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for step in 0..OPERATIONS {
        if dice.below(25) == 0 {
            store.close().await;
            store = place.open();
        }
        let done = operate(&store, &mut model, &mut dice).await;
        compare(&store, &model, &format!("seed {seed}, step {step}: {done}")).await;
        compare_searches(&store, &model, &mut dice, seed).await;
    }
    store.close().await;
    let files = model.messages.values().filter(|message| message.size > 128 << 10).count();
    assert_eq!(place.names("blobs").len(), files, "seed {seed}");
}

async fn operate(store: &Store, model: &mut Model, dice: &mut Dice) -> String {
    let ids: Vec<MessageId> = model.messages.values().map(|message| message.id).collect();
    match dice.below(10) {
        0..=3 => {
            let subject = dice.some(&WORDS);
            let size = if dice.below(8) == 0 { 140_000 } else { dice.below(3000) };
            let id = deliver(store, &bytes(size, 1), &subject.join(" ")).await.unwrap();
            model.deliver(id, subject, size);
            format!("deliver {id}")
        }
        4 => {
            let (chosen, seen) = (dice.some(&ids), dice.below(2) == 0);
            let found = store.set_seen_all(Selection::These(chosen.clone()), as_seen(seen)).await.unwrap();
            assert_eq!(found, chosen.len() as u64);
            model.change(|message| chosen.contains(&message.id), |message| message.seen = seen);
            format!("set_seen {chosen:?} {seen}")
        }
        5 => {
            let seen = dice.below(2) == 0;
            store.set_seen_all(Selection::Mailbox(MailboxId::INBOX), as_seen(seen)).await.unwrap();
            model.change(|_| true, |message| message.seen = seen);
            format!("set_seen all {seen}")
        }
        6 => {
            let (chosen, names) = (dice.some(&ids), dice.some(&TAGS));
            let tags: Vec<Tag> = names.iter().map(|name| Tag::parse(name).unwrap()).collect();
            assert_eq!(store.set_tags(&chosen, &tags).await.unwrap(), chosen.len());
            let names: BTreeSet<_> = names.into_iter().collect();
            model.change(|message| chosen.contains(&message.id), |message| message.tags.clone_from(&names));
            format!("set_tags {chosen:?} {names:?}")
        }
        7 => {
            let (from, to) = (TAGS[dice.below(4)], TAGS[dice.below(4)]);
            let [old, new] = [from, to].map(|name| Tag::parse(name).unwrap());
            let had = model.messages.values().any(|message| message.tags.contains(from));
            let done = if dice.below(2) == 0 {
                assert_eq!(store.rename_tag(&old, &new).await.unwrap(), had);
                model.change(
                    |message| message.tags.contains(from),
                    |message| {
                        message.tags.remove(from);
                        message.tags.insert(to);
                    },
                );
                "rename"
            } else {
                assert_eq!(store.delete_tag(&old).await.unwrap(), had);
                model.change(
                    |message| message.tags.contains(from),
                    |message| {
                        message.tags.remove(from);
                    },
                );
                "delete"
            };
            format!("{done} tag {from} {to}")
        }
        8 => {
            let chosen = if dice.below(4) == 0 { dice.some(&ids) } else { ids.into_iter().take(1).collect() };
            assert_eq!(store.delete(&chosen).await.unwrap(), chosen.len());
            model.delete(|message| chosen.contains(&message.id));
            format!("delete {chosen:?}")
        }
        _ => {
            let (text, wanted) = a_query(dice);
            let text = format!("{text} smaller:200");
            let selection = Selection::Found(MailboxId::INBOX, Query::parse(&text).unwrap());
            let doomed = |message: &Message| message.size < 200 && wanted(message);
            let number = model.messages.values().filter(|message| doomed(message)).count();
            let deleted = loop {
                // While indexing waits for a moment it is asked again.
                match store.delete_all(selection.clone()).await {
                    Ok(deleted) => break deleted,
                    Err(error) => assert!(matches!(error, sportello_store::Error::Busy), "{error}"),
                }
            };
            assert_eq!(deleted, number as u64, "{text}");
            model.delete(doomed);
            format!("delete_all {text}")
        }
    }
}

fn as_seen(seen: bool) -> Seen {
    if seen { Seen::Yes } else { Seen::No }
}

impl Model {
    fn deliver(&mut self, id: MessageId, subject: Vec<&'static str>, size: usize) {
        self.highest_modseq += 1;
        let (modseq, tags) = (self.highest_modseq, BTreeSet::new());
        self.messages.insert(self.next_uid, Message { id, modseq, seen: false, tags, subject, size });
        self.next_uid += 1;
    }

    /// Changes what is chosen; only what is then another has changed.
    fn change(&mut self, chosen: impl Fn(&Message) -> bool, change: impl Fn(&mut Message)) {
        for message in self.messages.values_mut().filter(|message| chosen(message)) {
            let before = (message.seen, message.tags.clone());
            change(message);
            if before != (message.seen, message.tags.clone()) {
                self.highest_modseq += 1;
            }
        }
    }

    fn delete(&mut self, chosen: impl Fn(&Message) -> bool) {
        let before = self.messages.len();
        self.messages.retain(|_, message| !chosen(message));
        self.highest_modseq += (before - self.messages.len()) as u64;
    }
}

async fn compare(store: &Store, model: &Model, when: &str) {
    let mailbox = store.mailboxes().await.unwrap().remove(0);
    let unseen = model.messages.values().filter(|message| !message.seen).count() as u64;
    let size: usize = model.messages.values().map(|message| message.size).sum();
    assert_eq!((mailbox.messages, mailbox.unseen), (model.messages.len() as u64, unseen), "{when}");
    assert_eq!((mailbox.bytes, mailbox.uid_next), (size as u64, Uid(model.next_uid)), "{when}");
    assert_eq!((store.figures().messages, store.figures().bytes), (mailbox.messages, size as u64), "{when}");

    let window = Window { start: Start::Newest, limit: Window::MOST };
    let page = store.page(MailboxId::INBOX, window).await.unwrap();
    assert_eq!((page.messages, page.unread), (mailbox.messages, unseen), "{when}");
    assert_eq!(page.rows.len(), model.messages.len(), "{when}");
    let mut modseqs = BTreeSet::new();
    for (row, (uid, message)) in page.rows.iter().zip(model.messages.iter().rev()) {
        assert_eq!((row.uid, row.id, row.size), (Uid(*uid), message.id, message.size as u64), "{when}");
        assert_eq!((row.flags.seen(), &row.summary.subject), (message.seen, &message.subject.join(" ")), "{when}");
        assert_eq!(row.tags.iter().map(Tag::as_str).collect::<BTreeSet<_>>(), message.tags, "{when}");
        assert!(row.modseq <= mailbox.highest_modseq && row.modseq.0 >= message.modseq, "{when}");
        assert!(modseqs.insert(row.modseq), "{when}: two changes have one number");
    }
    let mut counted = BTreeMap::new();
    for tag in model.messages.values().flat_map(|message| &message.tags) {
        *counted.entry((*tag).to_owned()).or_insert(0) += 1;
    }
    let tags = store.tags().await.unwrap();
    let tags: BTreeMap<_, _> = tags.into_iter().map(|count| (count.tag.to_string(), count.messages)).collect();
    assert_eq!(tags, counted, "{when}");
    assert_eq!(mailbox.highest_modseq.0, model.highest_modseq, "{when}");
}

type Wanted = Box<dyn Fn(&Message) -> bool>;

/// A query and what it means.
fn a_query(dice: &mut Dice) -> (String, Wanted) {
    let (word, tag) = (WORDS[dice.below(5)], TAGS[dice.below(4)]);
    let begins = move |message: &Message| message.subject.iter().any(|known| known.starts_with(word));
    match dice.below(6) {
        0 => (word.to_owned(), Box::new(begins)),
        1 => (format!("-subject:{word} is:unread"), Box::new(move |message| !begins(message) && !message.seen)),
        2 => (format!("\"{word}\" is:read"), Box::new(move |message| message.subject.contains(&word) && message.seen)),
        3 => (format!("tag:\"{tag}\""), Box::new(move |message| message.tags.contains(tag))),
        4 => {
            (format!("{word} -tag:\"{tag}\""), Box::new(move |message| begins(message) && !message.tags.contains(tag)))
        }
        _ => ("is:tagged larger:50".to_owned(), Box::new(|message| !message.tags.is_empty() && message.size > 50)),
    }
}

async fn compare_searches(store: &Store, model: &Model, dice: &mut Dice, seed: u64) {
    let (text, wanted) = a_query(dice);
    let (start, limit) = (dice.below(4), 1 + dice.below(5));
    let window = Window { start: Start::At(start as u64), limit };
    let found = store.search(MailboxId::INBOX, Query::parse(&text).unwrap(), window).await.unwrap();
    let expect: Vec<(u32, bool)> = model
        .messages
        .iter()
        .rev()
        .filter(|(_, message)| wanted(message))
        .map(|(uid, message)| (*uid, message.seen))
        .collect();
    let rows: Vec<(u32, bool)> = found.page.rows.iter().map(|row| (row.uid.0, row.flags.seen())).collect();
    let shown: Vec<(u32, bool)> = expect.iter().copied().skip(start).take(limit).collect();
    assert_eq!(rows, shown, "seed {seed}: {text}");
    let unread = expect.iter().filter(|(_, seen)| !seen).count() as u64;
    assert_eq!((found.page.messages, found.page.unread), (expect.len() as u64, unread), "seed {seed}: {text}");
}
