use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sportello_store::{Scopes, Settings};
use sportello_wire::sasl::server::{Asked, Exchange, Next, OffersBinding};
use sportello_wire::sasl::{Mechanism, client};

use super::*;

/// A store that goes away with its accounts.
struct Place {
    folder: PathBuf,
    store: Store,
    accounts: Accounts,
}

impl Place {
    async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sportello-accounts-{}-{number}", std::process::id()));
        let store = Store::open(Settings::new(&folder)).unwrap();
        let accounts = Accounts::open(store.clone()).await.unwrap();
        Self { folder, store, accounts }
    }

    async fn with_ada() -> Self {
        let place = Self::new().await;
        place.add("Ada@Example.org", Some("correct horse")).await.unwrap();
        place
    }

    async fn add(&self, address: &str, password: Option<&str>) -> Result<(), Class> {
        let password = password.map(|text| Password::new(text).unwrap());
        let new = NewAccount { address: address.to_owned(), password, quota: None, groups: vec![] };
        self.accounts.add(new).await.map(drop).map_err(|failure| failure.class)
    }

    async fn verify(&self, name: &str, password: &str, scope: Scope) -> Result<By, Class> {
        let found = self.accounts.verify(name, &Password::new(password).unwrap(), scope).await;
        found.map(|found| found.by).map_err(|failure| failure.class)
    }

    async fn end(self) {
        self.store.close().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const NO: Result<By, Class> = Err(Class::Unauthenticated);

fn scopes(scopes: &[Scope]) -> Scopes {
    scopes.iter().copied().collect()
}

#[tokio::test]
async fn whoever_is_refused_costs_one_hash_and_hears_the_same() {
    let place = Place::with_ada().await;
    place.add("bob@example.org", Some("battery staple")).await.unwrap();
    place.accounts.change("bob@example.org", Change::Disable).await.unwrap();
    place.add("eve@example.org", None).await.unwrap();
    let mut told = Vec::new();
    for (name, password) in [
        ("ada@example.org", "wrong"),
        ("bob@example.org", "battery staple"),
        ("bob@example.org", "wrong"),
        ("eve@example.org", ""),
        ("nobody@example.org", "wrong"),
        ("ada", "correct horse"),
        ("no address at all", "wrong"),
        ("", ""),
    ] {
        let before = place.accounts.hashes();
        let failure = place.accounts.verify(name, &Password::new(password).unwrap(), Scope::Smtp).await.unwrap_err();
        assert_eq!(place.accounts.hashes() - before, 1, "{name}");
        told.push((failure.class, failure.public));
    }
    told.dedup();
    assert_eq!(told, [(Class::Unauthenticated, REFUSED.into())]);
    assert_eq!(place.verify("ada@EXAMPLE.org", "correct horse", Scope::Smtp).await, Ok(By::Password));
    place.end().await;
}

#[tokio::test]
async fn a_password_that_was_right_is_known_until_it_changes() {
    let place = Place::with_ada().await;
    let before = place.accounts.hashes();
    for scope in [Scope::Smtp, Scope::Smtp, Scope::Http] {
        assert_eq!(place.verify("ada@example.org", "correct horse", scope).await, Ok(By::Password));
    }
    assert_eq!(place.accounts.hashes() - before, 1, "compared once");
    place.accounts.change("ada@example.org", Change::Disable).await.unwrap();
    assert_eq!(place.verify("ada@example.org", "correct horse", Scope::Smtp).await, NO);
    place.accounts.change("ada@example.org", Change::Enable).await.unwrap();
    assert_eq!(place.verify("ada@example.org", "correct horse", Scope::Smtp).await, Ok(By::Password));
    let another = Change::Password(Password::new("another one").unwrap());
    place.accounts.change("ADA@example.org", another).await.unwrap();
    assert_eq!(place.verify("ada@example.org", "correct horse", Scope::Smtp).await, NO);
    assert_eq!(place.verify("ada@example.org", "another one", Scope::Smtp).await, Ok(By::Password));
    // Made anew under its name with the password of before: nothing of the old one is known of it.
    place.accounts.delete("ada@example.org").await.unwrap();
    assert_eq!(place.verify("ada@example.org", "another one", Scope::Smtp).await, NO);
    place.end().await;
}

#[tokio::test]
async fn a_password_for_a_program_is_good_for_what_it_was_made_for() {
    let place = Place::with_ada().await;
    let made = place.accounts.add_app_password("ada@example.org", "phone", scopes(&[Scope::Smtp, Scope::Imap])).await;
    let made = made.unwrap();
    let before = place.accounts.hashes();
    for (scope, good) in [(Scope::Smtp, true), (Scope::Imap, true), (Scope::Http, false), (Scope::Command, false)] {
        let result = place.verify("ada@example.org", made.reveal(), scope).await;
        assert_eq!(matches!(result, Ok(By::AppPassword(_, name)) if name == "phone"), good, "{scope:?}");
    }
    assert_eq!(place.accounts.hashes() - before, 2, "those that were refused");
    let used = place.accounts.app_passwords("ada@example.org").await.unwrap().remove(0).used_ms.unwrap();
    place.verify("ada@example.org", made.reveal(), Scope::Smtp).await.unwrap();
    let again = place.accounts.app_passwords("ada@example.org").await.unwrap().remove(0).used_ms.unwrap();
    assert_eq!(used, again, "noted at most once a minute");
    assert_eq!(place.verify("ada@example.org", "correct horse", Scope::Http).await, Ok(By::Password));
    let twice = place.accounts.add_app_password("ada@example.org", "phone", scopes(&[Scope::Smtp])).await;
    assert_eq!(twice.unwrap_err().class, Class::Conflict);
    let useless = place.accounts.add_app_password("ada@example.org", "tv", scopes(&[])).await;
    assert_eq!(useless.unwrap_err().class, Class::BadRequest);
    place.accounts.remove_app_password("ada@example.org", "phone").await.unwrap();
    assert_eq!(place.verify("ada@example.org", made.reveal(), Scope::Smtp).await, NO);
    let gone = place.accounts.remove_app_password("ada@example.org", "phone").await.unwrap_err();
    assert_eq!(gone.class, Class::NotFound);
    place.end().await;
}

#[tokio::test]
async fn accounts_that_cannot_be_are_refused_in_words() {
    let place = Place::with_ada().await;
    for (address, password, expect) in [
        ("ADA@example.ORG", None, Class::Conflict),
        ("ada", None, Class::BadRequest),
        ("@example.org", None, Class::BadRequest),
        ("new@example.org", Some("seven77"), Class::BadRequest),
    ] {
        assert_eq!(place.add(address, password).await, Err(expect), "{address}");
    }
    assert_eq!(place.add("new@example.org", Some("eight888")).await, Ok(()));
    assert_eq!(place.accounts.find("nobody@example.org").await.unwrap_err().class, Class::NotFound);
    assert_eq!(place.accounts.delete("nobody@example.org").await.unwrap_err().class, Class::NotFound);
    place.end().await;
}

/// One login by SCRAM-SHA-256, both sides.
#[tokio::test]
async fn an_account_is_found_however_its_name_is_spelled() {
    let place = Place::new().await;
    place.add("José@Bücher.example", Some("correct horse")).await.unwrap();
    let account = place.accounts.find("josé@xn--bcher-kva.example").await.unwrap();
    assert_eq!(account.address, "josé@xn--bcher-kva.example");
    for name in ["José@Bücher.example", "JOSÉ@BÜCHER.EXAMPLE", "\"josé\"@XN--bcher-kva.example"] {
        assert_eq!(place.accounts.find(name).await.unwrap().id, account.id, "{name}");
        assert_eq!(place.verify(name, "correct horse", Scope::Smtp).await, Ok(By::Password), "{name}");
        assert_eq!(place.add(name, None).await, Err(Class::Conflict), "{name}");
    }
    place.accounts.delete("josé@bücher.example").await.unwrap();
    assert_eq!(place.accounts.find("josé@bücher.example").await.unwrap_err().class, Class::NotFound);
    place.end().await;
}

async fn scram(place: &Place, name: &str, password: &str, scope: Scope) -> Option<By> {
    let password = Password::new(password).unwrap();
    let mut theirs = client::Exchange::new(Mechanism::ScramSha256, name, password, &[1; 18], None).unwrap();
    let mut ours = Exchange::new(Mechanism::ScramSha256, OffersBinding::No);
    let first = theirs.initial().unwrap();
    assert_eq!(ours.respond(Some(&first)), Ok(Next::Ask));
    let Some(Asked::Keys(asked)) = ours.asked() else { panic!("it asks for keys") };
    let offer = place.accounts.scram(asked, scope).await.unwrap();
    let challenge = ours.challenge(offer.keys.clone(), &[7; 18], None).unwrap();
    let last = theirs.respond(&challenge).unwrap();
    ours.respond(Some(&last)).ok()?;
    let Some(Asked::Proved(_, pair)) = ours.asked() else { panic!("it is proved") };
    place.accounts.proved(&offer, pair).await.ok().map(|found| found.by)
}

#[tokio::test]
async fn scram_proves_any_password_that_is_good_for_it() {
    let place = Place::with_ada().await;
    let made = place.accounts.add_app_password("ada@example.org", "phone", scopes(&[Scope::Smtp])).await.unwrap();
    let before = place.accounts.hashes();
    assert_eq!(scram(&place, "Ada@example.org", "correct horse", Scope::Smtp).await, Some(By::Password));
    let by = scram(&place, "ada@example.org", made.reveal(), Scope::Smtp).await;
    assert!(matches!(by, Some(By::AppPassword(_, name)) if name == "phone"));
    assert_eq!(scram(&place, "ada@example.org", made.reveal(), Scope::Imap).await, None);
    assert_eq!(scram(&place, "ada@example.org", "wrong horse", Scope::Smtp).await, None);
    assert_eq!(scram(&place, "nobody@example.org", "correct horse", Scope::Smtp).await, None);
    assert_eq!(place.accounts.hashes() - before, 0, "the work is the client's");
    place.accounts.change("ada@example.org", Change::Disable).await.unwrap();
    assert_eq!(scram(&place, "ada@example.org", "correct horse", Scope::Smtp).await, None);
    place.end().await;
}

#[tokio::test]
async fn what_scram_says_of_a_name_is_the_same_every_time_and_tells_not_whether_it_is_there() {
    let place = Place::with_ada().await;
    let said = async |name: &str| {
        let keys = place.accounts.scram(name, Scope::Smtp).await.unwrap().keys;
        (keys.salt, keys.iterations)
    };
    let (ada, nobody) = (said("ada@example.org").await, said("nobody@example.org").await);
    assert_eq!((ada.0.len(), ada.1), (nobody.0.len(), nobody.1));
    assert_ne!(ada.0, nobody.0);
    assert_eq!((said("ADA@example.org").await, said("nobody@example.org").await), (ada.clone(), nobody.clone()));
    place.add("nobody@example.org", Some("now there is one")).await.unwrap();
    assert_eq!(said("nobody@example.org").await, nobody);
    let again = Accounts::open(place.store.clone()).await.unwrap();
    assert_eq!(again.scram("ada@example.org", Scope::Smtp).await.unwrap().keys.salt, ada.0, "also after a restart");
    place.end().await;
}

#[tokio::test]
async fn a_proof_is_good_only_while_its_password_is() {
    let place = Place::with_ada().await;
    let offer = place.accounts.scram("ada@example.org", Scope::Smtp).await.unwrap();
    assert!(place.accounts.proved(&offer, 0).await.is_ok());
    assert!(place.accounts.proved(&offer, 1).await.is_err());
    let another = Change::Password(Password::new("another one").unwrap());
    place.accounts.change("ada@example.org", another).await.unwrap();
    assert_eq!(place.accounts.proved(&offer, 0).await.unwrap_err().class, Class::Unauthenticated);
    place.end().await;
}
