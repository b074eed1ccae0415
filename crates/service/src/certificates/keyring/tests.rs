use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::certificates::authority::{LIFE, stand_in};
use crate::certificates::standing::Source;
use crate::certificates::wanted::{Group, Pair, Signer};

/// A store and files, in a folder that goes away.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sportello-keyring-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> Store {
        Store::open(sportello_store::Settings::new(self.0.join("state"))).unwrap()
    }

    /// Writes a certificate for these names, and its key.
    fn pair(&self, name: &str, names: &[&str]) -> Pair {
        let pair = Pair { chain: self.0.join(format!("{name}.pem")), key: self.0.join(format!("{name}.key")) };
        let (chain, key) = certificate(names);
        replace(&pair.chain, &chain);
        replace(&pair.key, &key);
        pair
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn certificate(names: &[&str]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let chain = CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
    (chain, key.serialize_pem())
}

/// As those who renew certificates do: another file in its place.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

fn group(names: &[&str], files: &[&Pair], signer: Signer) -> Group {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    Group { names, files: files.iter().map(|&pair| pair.clone()).collect(), signer }
}

/// What is said of all certificates: the names, and where they are from.
fn said(keyring: &Keyring) -> Vec<String> {
    let word = |source: &Source| match source {
        Source::File(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
        Source::Acme => "acme".to_owned(),
        Source::Local => "local".to_owned(),
        Source::StandIn => "stand-in".to_owned(),
    };
    let mut said: Vec<_> = keyring
        .standing()
        .iter()
        .map(|standing| format!("{}: {}", word(&standing.source), standing.names.join(" ")))
        .collect();
    said.sort();
    said
}

fn orders(keyring: &Keyring) -> Vec<Order> {
    keyring.orders().borrow().to_vec()
}

fn shown(keyring: &Keyring, name: &str) -> Vec<u8> {
    keyring.table().of(name).unwrap().cert[0].to_vec()
}

#[tokio::test]
async fn each_name_has_the_best_that_is_to_be_had() {
    let place = Place::new();
    let store = place.store();
    let own = place.pair("own", &["a.example"]);
    let all = place.pair("all", &["*.b.org", "b.org", "extra.org"]);
    let keyring = Keyring::new(store.clone(), "laptop");
    let wanted = Wanted {
        groups: vec![
            group(&["laptop", "127.0.0.1"], &[], Signer::Acme),
            group(&["a.example", "www.a.example"], &[&own], Signer::Acme),
            group(&["b.org", "www.b.org", "c.org", "d.org"], &[], Signer::Acme),
            group(&["dev.org"], &[], Signer::Local),
        ],
        files: vec![all],
        usual: None,
    };
    keyring.want(wanted.clone()).await.unwrap();
    let before = [
        "all.pem: b.org www.b.org *.b.org extra.org",
        "local: dev.org",
        "local: laptop 127.0.0.1",
        "own.pem: a.example www.a.example",
        "stand-in: c.org d.org",
    ];
    assert_eq!(said(&keyring), before);
    assert_eq!(orders(&keyring), [["c.org", "d.org"]]);
    assert_eq!(shown(&keyring, "x.b.org"), shown(&keyring, "unknown.org"), "the first file is the default");
    // What a CA signed comes in, and nothing else changes.
    let order = &orders(&keyring)[0];
    let standing_in = shown(&keyring, "c.org");
    let own = shown(&keyring, "a.example");
    let signed = stand_in(order, SystemTime::now()).unwrap();
    let mut changes = keyring.orders();
    keyring.put(order, signed.clone(), Some(SystemTime::now() + LIFE)).unwrap();
    assert_eq!(said(&keyring)[0], "acme: c.org d.org");
    assert_eq!((shown(&keyring, "d.org"), shown(&keyring, "a.example")), (signed.certified().cert[0].to_vec(), own));
    assert_ne!(shown(&keyring, "c.org"), standing_in);
    assert!(!changes.has_changed().unwrap());
    // Without the file another certificate is to be had, and the one there is is for other names.
    keyring.want(Wanted { files: Vec::new(), ..wanted }).await.unwrap();
    assert_eq!(*changes.borrow_and_update().to_vec(), [["b.org", "www.b.org", "c.org", "d.org"]]);
    assert!(said(&keyring).contains(&"stand-in: b.org www.b.org c.org d.org".to_owned()));
    keyring.want(Wanted::default()).await.unwrap();
    assert!(keyring.table().of("b.org").is_none() && keyring.standing().is_empty() && orders(&keyring).is_empty());
    store.close().await;
}

#[tokio::test]
async fn the_local_ca_is_made_once_and_kept() {
    let place = Place::new();
    let store = place.store();
    let keyring = Keyring::new(store.clone(), "laptop");
    keyring.want(Wanted::default()).await.unwrap();
    assert_eq!(keyring.root().await.unwrap(), None, "nobody needs it yet");
    let wanted = Wanted { groups: vec![group(&["localhost"], &[], Signer::Local)], ..Wanted::default() };
    keyring.want(wanted.clone()).await.unwrap();
    let root = keyring.root().await.unwrap().unwrap();
    let first = shown(&keyring, "localhost");
    keyring.want(wanted.clone()).await.unwrap();
    assert_eq!(shown(&keyring, "localhost"), first, "what is good stays");
    let again = Keyring::new(store.clone(), "laptop");
    assert_eq!(again.root().await.unwrap(), Some(root.clone()));
    again.want(wanted.clone()).await.unwrap();
    assert_eq!(again.root().await.unwrap(), Some(root));
    store.keep_secret(KEPT, b"something else".to_vec()).await.unwrap();
    assert!(Keyring::new(store.clone(), "laptop").want(wanted).await.is_err());
    store.close().await;
}

#[tokio::test]
async fn what_is_signed_here_is_signed_anew_before_its_end() {
    let place = Place::new();
    let store = place.store();
    let keyring = Keyring::new(store.clone(), "laptop");
    let groups = vec![group(&["localhost"], &[], Signer::Local), group(&["a.org"], &[], Signer::Acme)];
    keyring.want(Wanted { groups, ..Wanted::default() }).await.unwrap();
    let names = ["localhost", "a.org"];
    let first = names.map(|name| shown(&keyring, name));
    let renewal = SystemTime::now() + LIFE * 2 / 3;
    keyring.look(Look::Resting, renewal - Duration::from_secs(60)).unwrap();
    assert_eq!(names.map(|name| shown(&keyring, name)), first);
    keyring.look(Look::Resting, renewal + Duration::from_secs(60)).unwrap();
    assert!(names.iter().zip(first).all(|(name, first)| shown(&keyring, name) != first));
    store.close().await;
}

#[tokio::test]
async fn a_file_is_replaced_when_it_rests_and_kept_when_it_is_broken() {
    let place = Place::new();
    let store = place.store();
    let pair = place.pair("own", &["a.example"]);
    let keyring = Keyring::new(store.clone(), "laptop");
    let groups = vec![group(&["a.example"], &[&pair], Signer::Local)];
    keyring.want(Wanted { groups, ..Wanted::default() }).await.unwrap();
    let look = |look| {
        keyring.look(look, SystemTime::now()).unwrap();
        (shown(&keyring, "a.example"), keyring.standing()[0].trouble.clone())
    };
    let (first, trouble) = look(Look::Resting);
    assert_eq!(trouble, None);
    // The chain is there, its key not yet.
    let (chain, key) = certificate(&["a.example"]);
    replace(&pair.chain, &chain);
    assert_eq!(look(Look::Resting), (first.clone(), None), "it may move on");
    replace(&pair.key, &key);
    assert_eq!(look(Look::Resting), (first.clone(), None));
    let (second, trouble) = look(Look::Resting);
    assert!(second != first && trouble.is_none());
    // A broken one, for long.
    replace(&pair.chain, "-----BEGIN");
    look(Look::Resting);
    for _ in 0..2 {
        let (third, trouble) = look(Look::Resting);
        assert!(third == second && trouble.as_ref().is_some_and(|why| why.contains("own.pem")), "{trouble:?}");
    }
    // None at all.
    fs::remove_file(&pair.key).unwrap();
    let (fourth, trouble) = look(Look::Now);
    assert!(fourth == second && trouble.as_ref().is_some_and(|why| why.contains("own.key")), "{trouble:?}");
    let (chain, key) = certificate(&["a.example"]);
    replace(&pair.chain, &chain);
    replace(&pair.key, &key);
    let (fifth, trouble) = look(Look::Now);
    assert!(fifth != second && trouble.is_none());
    store.close().await;
}

#[tokio::test]
async fn what_is_not_to_be_had_is_told_and_what_there_is_stays() {
    let place = Place::new();
    let store = place.store();
    let missing = Pair { chain: place.0.join("none.pem"), key: place.0.join("none.key") };
    let keyring = Keyring::new(store.clone(), "laptop");
    let groups = vec![group(&["a.example"], &[&missing], Signer::Local), group(&["b.org"], &[], Signer::Acme)];
    keyring.want(Wanted { groups, ..Wanted::default() }).await.unwrap();
    assert_eq!(said(&keyring), ["local: a.example", "none.pem: ", "stand-in: b.org"]);
    let standing = &keyring.standing()[0];
    assert!(standing.warning(SystemTime::now()).unwrap().contains("none.pem"), "{standing:?}");
    let again = SystemTime::now() + Duration::from_secs(60);
    let order = &orders(&keyring)[0];
    keyring.missed(order, "the CA is down", again).unwrap();
    let warning = |source: Source| {
        let standing = keyring.standing().iter().find(|standing| standing.source == source).unwrap().clone();
        (standing.warning(SystemTime::now()), standing.renewal)
    };
    assert_eq!(warning(Source::StandIn), (Some("the CA is down".to_owned()), Some(again)));
    let signed = stand_in(order, SystemTime::now()).unwrap();
    keyring.put(order, signed.clone(), None).unwrap();
    assert_eq!(warning(Source::Acme), (None, None));
    keyring.missed(order, "the CA is down", again).unwrap();
    assert_eq!(warning(Source::Acme), (Some("the CA is down".to_owned()), Some(again)));
    assert_eq!(shown(&keyring, "b.org"), signed.certified().cert[0].to_vec());
    // For names that nobody wants there is nothing to keep.
    keyring.put(&["z.org".to_owned()], signed, None).unwrap();
    assert_eq!(said(&keyring).len(), 3);
    store.close().await;
}

#[tokio::test]
async fn a_name_is_its_sites_before_it_is_this_machines() {
    let place = Place::new();
    let store = place.store();
    let (own, all) = (place.pair("own", &["a.org"]), place.pair("all", &["b.org", "laptop"]));
    let keyring = Keyring::new(store.clone(), "laptop");
    // As is written with `hostname` the name of a site: of its files, the files for all, a CA, the local CA.
    for (sites, files, host, expect) in [
        (group(&["a.org"], &[&own], Signer::Acme), vec![], "a.org", "own.pem"),
        (group(&["a.org"], &[&own], Signer::Acme), vec![all.clone()], "a.org", "own.pem"),
        (group(&["b.org"], &[], Signer::Acme), vec![all.clone()], "b.org", "all.pem"),
        (group(&["c.org"], &[], Signer::Acme), vec![all.clone()], "c.org", "acme"),
        (group(&["c.org"], &[], Signer::Acme), vec![], "c.org", "acme"),
        (group(&["c.org"], &[], Signer::Local), vec![], "c.org", "local"),
    ] {
        let groups = vec![sites, group(&[host, "localhost"], &[], Signer::Local)];
        keyring.want(Wanted { groups, files: files.clone(), usual: Some(host.to_owned()) }).await.unwrap();
        for order in orders(&keyring) {
            assert_eq!((order.as_slice(), expect), (&[host.to_owned()][..], "acme"), "asked for what there is");
            keyring.put(&order, stand_in(&order, SystemTime::now()).unwrap(), None).unwrap();
        }
        let told = said(&keyring);
        assert!(told.iter().any(|line| line.starts_with(expect) && line.contains(host)), "{host}: {told:?}");
        // Who names nothing is shown the first file, else what the machine's own name is shown.
        let default = if files.is_empty() { host } else { "b.org" };
        assert_eq!(shown(&keyring, "unknown.org"), shown(&keyring, default), "{told:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_in_use_is_told_while_somebody_holds_the_lock() {
    let place = Place::new();
    let store = place.store();
    let keyring = Keyring::new(store.clone(), "laptop");
    let groups = vec![group(&["localhost"], &[], Signer::Local)];
    keyring.want(Wanted { groups, ..Wanted::default() }).await.unwrap();
    let held = keyring.held();
    assert_eq!(said(&keyring), ["local: localhost"]);
    drop(held);
    store.close().await;
}

#[tokio::test]
async fn a_name_that_no_certificate_can_have_keeps_no_other_from_its_own() {
    let place = Place::new();
    let store = place.store();
    let keyring = Keyring::new(store.clone(), "laptop");
    let groups = vec![group(&["a~b.org", "a.org"], &[], Signer::Local), group(&["c!d.org"], &[], Signer::Acme)];
    keyring.want(Wanted { groups, ..Wanted::default() }).await.unwrap();
    assert_eq!((said(&keyring), orders(&keyring)), (vec!["local: a.org".to_owned()], Vec::<Order>::new()));
    store.close().await;
}

#[tokio::test]
async fn a_local_ca_that_is_not_good_now_is_made_anew_and_what_it_signed_too() {
    let place = Place::new();
    let store = place.store();
    let year = Duration::from_secs(365 * 86_400);
    let now = SystemTime::now();
    let groups = vec![group(&["localhost"], &[], Signer::Local)];
    let wanted = Wanted { groups, ..Wanted::default() };
    let over = SystemTime::UNIX_EPOCH..SystemTime::UNIX_EPOCH + 10 * year;
    for validity in [over, now + year..now + 11 * year, now - 10 * year..now + LIFE / 2] {
        let bad = Authority::make_for(validity.clone(), "laptop").unwrap();
        store.keep_secret(KEPT, format!("{}{}", bad.root(), bad.key()).into_bytes()).await.unwrap();
        let keyring = Keyring::new(store.clone(), "laptop");
        keyring.want(wanted.clone()).await.unwrap();
        let root = keyring.root().await.unwrap().unwrap();
        assert_ne!(root, bad.root(), "{validity:?}");
        let again = Keyring::new(store.clone(), "laptop");
        again.want(wanted.clone()).await.unwrap();
        assert_eq!(again.root().await.unwrap(), Some(root), "kept");
    }
    // One that runs while its root comes to its end; and a clock that is set back.
    let keyring = Keyring::new(store.clone(), "laptop");
    keyring.want_at(wanted, now).await.unwrap();
    let (root, first) = (keyring.root().await.unwrap(), shown(&keyring, "localhost"));
    for (later, is_another) in [(now + year, false), (now + 11 * year, true)] {
        keyring.renew_authority(later).await.unwrap();
        assert_eq!(keyring.root().await.unwrap() != root, is_another);
    }
    let second = shown(&keyring, "localhost");
    assert_ne!(first, second, "signed by another root");
    keyring.look(Look::Resting, now).unwrap();
    assert_ne!(shown(&keyring, "localhost"), second, "one of the future is signed anew");
    store.close().await;
}

#[tokio::test]
async fn what_nobody_will_take_back_is_ended() {
    let place = Place::new();
    let store = place.store();
    let keyring = Keyring::new(store.clone(), "laptop");
    let certificate = stand_in(&["a.org".to_owned()], SystemTime::now()).unwrap().certified();
    keyring.show_challenge("a.org", &certificate);
    keyring.answers().give("token", "answer").unwrap();
    let answered = || {
        let over_http = keyring.answers().of("/.well-known/acme-challenge/token");
        (keyring.table().challenge("a.org").is_some(), over_http.is_some())
    };
    assert_eq!(answered(), (true, true));
    keyring.end_challenges();
    assert_eq!(answered(), (false, false));
    store.close().await;
}
