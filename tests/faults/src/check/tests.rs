//! The look itself is looked at: what is wrong is found.

use sportello_store::Extractor;

use super::*;

const WORD: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// A store with one message whose index was made by `extractor`; what a check then says.
async fn checked(name: &str, extractor: Extractor, keep: Retention, due: Due) -> Result<Found, String> {
    let folder = std::env::temp_dir().join(format!("sportello-faults-{}-{name}", std::process::id()));
    let state = folder.join("state");
    fs::create_dir_all(&folder).map_err(|why| why.to_string())?;
    let store = Store::open(Settings { extractor, ..Settings::new(&state) }).map_err(|why| chain(&why))?;
    let mut body = store.begin(None).map_err(|why| chain(&why))?;
    let text = format!("From: <s@example.org>\r\nSubject: t\r\n\r\n{WORD}\r\n");
    body.write(text.as_bytes()).await.map_err(|why| chain(&why))?;
    let envelope = Envelope { sender: "s@example.org".to_owned(), recipients: vec!["a@example.org".to_owned()] };
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 25));
    let origin = Origin { peer, helo: "h".to_owned(), channel: "mail".to_owned(), connection: 1 };
    let summary = Summary { subject: "t".to_owned(), ..Summary::default() };
    let accepted = store
        .accept(Accept { envelope, origin, summary, body, places: vec![Place::CAUGHT], queue: Vec::new(), trace: None })
        .await
        .map_err(|why| chain(&why))?;
    store.indexed().await.map_err(|why| chain(&why))?;
    store.close().await;
    let hash = hexadecimal(&Sha256::digest(text.as_bytes()));
    let text = Text { id: accepted.id.number(), bytes: text.len(), hash, word: WORD.to_owned() };
    let due = if due == Due::Maybe { Due::There(text, Mark::Any) } else { due };
    let expected = Expected { due: [("t", due)].into(), words: vec![("t", WORD)], last_id: 1, keep };
    let found = check(&state, &expected).await;
    let _ = fs::remove_dir_all(&folder);
    found
}

fn run(name: &str, extractor: Extractor, keep: Retention, due: Due) -> Result<Found, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|why| why.to_string())?;
    runtime.block_on(checked(name, extractor, keep, due))
}

#[test]
fn a_store_that_keeps_its_promises_passes_and_one_that_does_not_is_found() {
    let (all, whole) = (Retention::default(), sportello_service::mailbox::extractor);
    assert_eq!(run("good", whole(), all, Due::Maybe), Ok(Found { kept: 1, present: 1 }));
    let none = Retention { most_messages: Some(0), ..all };
    assert_eq!(run("retained", whole(), none, Due::Maybe), Ok(Found { kept: 1, present: 1 }));
    for (name, extractor, due, expect) in [
        ("without its words", Extractor::default(), Due::Maybe, "is looked for by its word, and [] are found"),
        ("come back", whole(), Due::Gone, "it was said that it is not"),
        ("never sent", whole(), Due::Unheard, "nobody had sent it"),
    ] {
        let said = run(name, extractor, all, due).unwrap_err();
        assert!(said.contains(expect), "{name}: {said}");
    }
}
