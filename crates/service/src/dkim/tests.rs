use std::sync::Arc;

use bytes::Bytes;
use sportello_store::{Settings, Store, StoredBody};

use super::*;
use crate::dns::{Dns, Record, Table};
use crate::judge::signatures::SignatureResult;
use crate::judge::{self, Hearing, Judge};

const MESSAGE: &str = "Received: by x\r\nFrom: Ada <ada@example.org>\r\nTo: bob@example.com\r\nSubject: hello\r\nDate: today\r\n\r\nA body \r\n \r\n\r\n";

struct Place(std::path::PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn keyring(name: &str) -> (Keyring, Store, Place) {
    let folder = std::env::temp_dir().join(format!("sportello-dkim-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let store = Store::open(Settings::new(&folder)).unwrap();
    (Keyring::open(store.clone()).await.unwrap(), store, Place(folder))
}

/// What a judge makes of a message, by the records of these keys.
async fn verified(views: &[KeyView], message: &[u8]) -> Vec<(String, SignatureResult)> {
    let mut table = Table::new();
    for view in views {
        table.add(&view.name, Record::Txt(view.record.clone().into_bytes()));
    }
    let settings = judge::Settings { server: "here.example".to_owned() };
    let judge = Judge::new(settings, Arc::new(table) as Arc<dyn Dns>).unwrap();
    let address = "192.0.2.1".parse().unwrap();
    let (source, spf) = (judge.connected(address, &[]).await, judge.sender(address, "x", "").await);
    let mut hearing = Hearing::new();
    hearing.take(message);
    let found = judge.message(source, spf, &hearing.finish()).await;
    found.dkim.into_iter().map(|signature| (signature.selector, signature.result)).collect()
}

fn body(message: &str) -> StoredBody {
    StoredBody::Memory(Bytes::copy_from_slice(message.as_bytes()))
}

#[tokio::test]
async fn keys_of_both_kinds_sign_and_are_verified() {
    let (keyring, store, _place) = keyring("both").await;
    let views = keyring.make("Example.ORG.").await.unwrap();
    assert_eq!(views.iter().map(|view| view.standing).collect::<Vec<_>>(), [Standing::Signing; 2]);
    let fields = keyring.signer().sign("ada@example.org", &body(MESSAGE)).unwrap();
    let text = String::from_utf8(fields.clone()).unwrap();
    assert_eq!(text.matches("DKIM-Signature: ").count(), 2, "{text}");
    assert!(text.contains("rsa-sha256") && text.contains("ed25519-sha256") && text.ends_with("\r\n"));
    let whole = [fields.as_slice(), MESSAGE.as_bytes()].concat();
    let expect: Vec<_> = views.iter().map(|view| (view.selector.clone(), SignatureResult::Pass)).collect();
    assert_eq!(verified(&views, &whole).await, expect);
    for added in ["From: eve@example.net\r\n", "Subject: other\r\n", "Reply-To: eve@example.net\r\n", "Cc: x@y.org\r\n"]
    {
        let changed = [added.as_bytes(), &whole].concat();
        let results = verified(&views, &changed).await;
        assert!(results.iter().all(|(_, result)| *result == SignatureResult::Fail), "{added}: {results:?}");
    }
    let again = Keyring::open(store.clone()).await.unwrap();
    assert_eq!(again.list(Some("example.org")).await.unwrap(), views, "they are kept");
    let fields = again.signer().sign("ada@example.org", &body(MESSAGE)).unwrap();
    assert_eq!(verified(&views, &[fields.as_slice(), MESSAGE.as_bytes()].concat()).await, expect);
    store.close().await;
}

#[tokio::test]
async fn what_is_not_our_own_mail_is_not_signed() {
    let (keyring, store, _place) = keyring("own").await;
    keyring.make("example.org").await.unwrap();
    let signer = keyring.signer();
    let foreign = MESSAGE.replace("ada@example.org", "ada@example.net");
    let two = MESSAGE.replace("Ada <ada@example.org>", "ada@example.org, eve@example.net");
    for (sender, message, expect) in [
        ("ada@example.org", MESSAGE, true),
        ("Ada@EXAMPLE.org", MESSAGE, true),
        ("ada@example.org", &MESSAGE.replace("@example.org", "@mail.example.org"), true),
        ("", MESSAGE, false),
        ("ada@example.net", MESSAGE, false),
        ("SRS0=abcd=xy=example.net=ada@example.org", MESSAGE, false),
        ("srs1+abcd=example.com==xy@example.org", MESSAGE, false),
        ("ada@example.org", &foreign, false),
        ("ada@example.org", &two, false),
        ("ada@example.org", &MESSAGE.replace("@example.org", "@notexample.org"), false),
        ("ada@example.org", "Subject: nobody\r\n\r\nx\r\n", false),
        ("ada@example.org", "", false),
    ] {
        let fields = signer.sign(sender, &body(message)).unwrap();
        assert_eq!(!fields.is_empty(), expect, "{sender}: {message}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_large_message_is_read_in_pieces() {
    let (keyring, store, place) = keyring("large").await;
    let views = keyring.make("example.org").await.unwrap();
    let large = format!("{MESSAGE}{}", "a line of text \r\n".repeat(20_000));
    let path = place.0.join("large");
    std::fs::write(&path, &large).unwrap();
    let file = Arc::new(std::fs::File::open(&path).unwrap());
    let stored = StoredBody::File { file: Arc::clone(&file), length: large.len() as u64 };
    let fields = keyring.signer().sign("ada@example.org", &stored).unwrap();
    let results = verified(&views, &[fields.as_slice(), large.as_bytes()].concat()).await;
    assert!(results.len() == 2 && results.iter().all(|(_, result)| *result == SignatureResult::Pass));
    let missing = StoredBody::File { file, length: large.len() as u64 + 1 };
    assert!(matches!(keyring.signer().sign("ada@example.org", &missing), Err(SignError::Read(_))));
    store.close().await;
}

#[tokio::test]
async fn keys_change_with_overlap() {
    let (keyring, store, _place) = keyring("overlap").await;
    assert!(matches!(keyring.rotate("example.org").await, Err(KeyringError::None(_))));
    let first = keyring.make("example.org").await.unwrap();
    assert!(matches!(keyring.rotate("example.org").await, Err(KeyringError::NoNext(_))));
    assert!(matches!(keyring.retire("example.org", Haste::Now).await, Err(KeyringError::NothingToRetire(_))));
    let second = keyring.make("example.org").await.unwrap();
    assert!(second.iter().all(|view| view.standing == Standing::Next));
    assert!(first.iter().all(|view| second.iter().all(|next| next.selector != view.selector)));
    assert!(matches!(keyring.make("example.org").await, Err(KeyringError::NextIsThere(_))));
    let by = |fields: Vec<u8>, views: &[KeyView]| {
        let text = String::from_utf8(fields).unwrap();
        views.iter().all(|view| text.contains(&format!("s={};", view.selector)))
    };
    assert!(by(keyring.signer().sign("ada@example.org", &body(MESSAGE)).unwrap(), &first));
    let all = keyring.rotate("example.org").await.unwrap();
    assert_eq!(all.len(), 4);
    assert!(by(keyring.signer().sign("ada@example.org", &body(MESSAGE)).unwrap(), &second));
    keyring.make("example.org").await.unwrap();
    assert!(matches!(keyring.rotate("example.org").await, Err(KeyringError::BeforeIsThere(_))));
    let early = keyring.retire("example.org", Haste::Wait).await;
    assert!(matches!(early, Err(KeyringError::TooEarly { hours: 168, .. })), "{early:?}");
    let gone = keyring.retire("example.org", Haste::Now).await.unwrap();
    assert_eq!(
        gone.iter().map(|view| &view.selector).collect::<Vec<_>>(),
        first.iter().map(|view| &view.selector).collect::<Vec<_>>()
    );
    assert_eq!(keyring.list(None).await.unwrap().len(), 4);
    store.close().await;
}

#[tokio::test]
async fn domains_and_their_records() {
    let (keyring, store, _place) = keyring("records").await;
    for domain in ["", "[192.0.2.1]", "a b.org", "a..org", &format!("{}.org", "x".repeat(217))] {
        assert!(matches!(keyring.make(domain).await, Err(KeyringError::Domain(_))), "{domain:?}");
    }
    let views = keyring.make("b\u{fc}cher.example").await.unwrap();
    assert!(views.iter().all(|view| view.name.ends_with("._domainkey.xn--bcher-kva.example")));
    let line = views[0].zone_line();
    let strings: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(strings.concat(), views[0].record);
    assert!(strings.len() == 2 && strings.iter().all(|string| string.len() <= 255));
    store.close().await;
}
