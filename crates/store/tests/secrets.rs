//! What the server keeps for itself comes back as it was kept, and goes when it is forgotten.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use sportello_store::{Error, Store};
use support::{Place, bytes, deliver};

#[tokio::test]
async fn a_secret_comes_back_as_it_was_kept_last_also_after_a_restart() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.secret("acme/key").await.unwrap(), None);
    store.keep_secret("acme/key", b"one".to_vec()).await.unwrap();
    store.keep_secret("acme/key", bytes(70_000, 1)).await.unwrap();
    store.keep_secret("acme/%", Vec::new()).await.unwrap();
    store.keep_secret("ca/größe", b"two".to_vec()).await.unwrap();
    store.close().await;
    let store = place.open();
    assert_eq!(store.secret("acme/key").await.unwrap(), Some(bytes(70_000, 1)));
    assert_eq!(store.secret("acme/%").await.unwrap(), Some(Vec::new()));
    for (prefix, expect) in [
        ("", &["acme/%", "acme/key", "ca/größe"][..]),
        ("acme/", &["acme/%", "acme/key"]),
        ("acme/%", &["acme/%"]),
        ("ACME/", &[]),
        ("ca/grö", &["ca/größe"]),
        ("d", &[]),
    ] {
        assert_eq!(store.secret_names(prefix).await.unwrap(), expect, "{prefix:?}");
    }
    assert!(store.forget_secret("acme/key").await.unwrap());
    assert!(!store.forget_secret("acme/key").await.unwrap());
    assert_eq!(store.secret("acme/key").await.unwrap(), None);
    store.close().await;
    assert!(matches!(store.keep_secret("acme/key", Vec::new()).await, Err(Error::Closed)));
    assert!(matches!(store.secret("acme/key").await, Err(Error::Closed)));
}

#[tokio::test]
async fn secrets_have_bounds() {
    let place = Place::new();
    let store = place.open();
    let name = "n".repeat(Store::LONGEST_SECRET_NAME);
    let most = Store::LARGEST_SECRET;
    for (name, length, fits) in
        [(&*name, 1, true), (&*format!("{name}n"), 1, false), ("", 1, false), ("a", most, true), ("b", most + 1, false)]
    {
        let result = store.keep_secret(name, vec![b'x'; length]).await;
        assert_eq!(result.is_ok(), fits, "{name:?}: {length} bytes");
        assert!(fits || matches!(result, Err(Error::TooMany { .. } | Error::Refused(_))), "{result:?}");
    }
    assert_eq!(store.secret("a").await.unwrap().unwrap().len(), most);
    // Many at once, so that they share commits.
    let mut others = tokio::task::JoinSet::new();
    for number in 2..Store::MOST_SECRETS {
        let store = store.clone();
        others.spawn(async move { store.keep_secret(&format!("number {number}"), Vec::new()).await.unwrap() });
    }
    others.join_all().await;
    let error = store.keep_secret("one too many", Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::TooMany { most: Store::MOST_SECRETS, .. }), "{error}");
    store.keep_secret("a", Vec::new()).await.unwrap();
    store.forget_secret("a").await.unwrap();
    store.keep_secret("one too many", Vec::new()).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_secret_is_no_mail() {
    let place = Place::new();
    let store = place.open();
    let changes = store.changes();
    store.keep_secret("a", b"x".to_vec()).await.unwrap();
    assert!(!changes.has_changed().unwrap(), "nobody looks at a mailbox for it");
    deliver(&store, b"x", "s").await.unwrap();
    assert_eq!(store.figures().messages, 1);
    assert_eq!(store.secret("a").await.unwrap(), Some(b"x".to_vec()));
    store.close().await;
}
