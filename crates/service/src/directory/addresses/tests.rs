use sportello_store::{AccountChange, NewAccount, Settings};

use super::super::{Book, Delivery, Handling, MailDomain, Refusal};
use super::*;

struct House {
    addresses: Addresses,
    folder: std::path::PathBuf,
}

impl House {
    async fn open(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sportello-directory-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let store = Store::open(Settings::new(folder.clone())).unwrap();
        let addresses = Addresses::new(domains(), store);
        Self { addresses, folder }
    }

    async fn close(self) {
        self.addresses.store.close().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }

    async fn make(&self, address: &str, quota: Option<u64>) -> AccountId {
        let new = NewAccount { address: address.to_owned(), quota, ..NewAccount::default() };
        self.addresses.store.create_account(new).await.unwrap()
    }

    async fn told(&self, recipient: &str) -> Result<Vec<Delivery<AccountId>>, Refusal> {
        self.told_of(recipient, Room::For(1)).await
    }

    async fn told_of(&self, recipient: &str, room: Room) -> Result<Vec<Delivery<AccountId>>, Refusal> {
        let recipient = ForwardPath::parse(format!("<{recipient}>").as_bytes()).unwrap().0;
        self.addresses.resolve(&recipient, &ReversePath::Null, room).await.unwrap().outcome
    }

    fn remembered(&self) -> usize {
        self.addresses.remembered.lock().unwrap().accounts.len()
    }
}

fn domains() -> Arc<MailDomains> {
    let mut domains = MailDomains::default();
    let handling = Handling::Accounts(Box::<Book>::default());
    domains.add(MailDomain { name: "example.org".into(), line: 1, handling });
    Arc::new(domains)
}

fn mailbox(account: AccountId, address: &str) -> Result<Vec<Delivery<AccountId>>, Refusal> {
    Ok(vec![Delivery::Mailbox { account, address: address.into(), tag: None }])
}

#[tokio::test]
async fn what_is_remembered_is_right_after_an_account_changed() {
    let house = House::open("changes").await;
    assert_eq!(house.told("ada@example.org").await, Err(Refusal::Unknown));
    let ada = house.make("Ada@example.org", None).await;
    let expect = mailbox(ada, "Ada@example.org");
    assert_eq!(house.told("ADA@Example.org").await, expect);
    assert_eq!((house.told("ada@example.org").await, house.remembered()), (expect, 1));
    let store = &house.addresses.store;
    store.change_account(ada, AccountChange::Disable).await.unwrap();
    assert_eq!(house.told("ada@example.org").await, Err(Refusal::Disabled));
    store.change_account(ada, AccountChange::Enable).await.unwrap();
    assert!(house.told("ada@example.org").await.is_ok());
    store.delete_account(ada).await.unwrap();
    assert_eq!(house.told("ada@example.org").await, Err(Refusal::Unknown));
    let again = house.make("ada@example.org", None).await;
    assert_eq!(house.told("ada@example.org").await, mailbox(again, "ada@example.org"));
    assert!(house.addresses.may_send_as(again, &Address::parse(b"ADA+x@example.org").unwrap()).await.unwrap());
    house.close().await;
}

#[tokio::test]
async fn a_quota_is_looked_at_each_time_and_nobody_is_not_remembered() {
    let house = House::open("quota").await;
    let full = house.make("full@example.org", Some(0)).await;
    for _ in 0..2 {
        assert_eq!(house.told("full@example.org").await, Err(Refusal::OverQuota));
        assert_eq!(house.told("nobody@example.org").await, Err(Refusal::Unknown));
    }
    assert_eq!(house.remembered(), 0);
    // Who must answer does.
    assert_eq!(house.told("postmaster@example.org").await, Ok(vec![Delivery::Captured]));
    house.addresses.store.change_account(full, AccountChange::Quota(None)).await.unwrap();
    assert_eq!(house.told("abuse@example.org").await, mailbox(full, "full@example.org"));
    house.close().await;
}

#[tokio::test]
async fn a_message_has_room_where_the_quota_leaves_as_much() {
    let house = House::open("room").await;
    let small = house.make("small@example.org", Some(1000)).await;
    let big = house.make("big@example.org", None).await;
    let expect = mailbox(small, "small@example.org");
    for (room, taken) in [(0, true), (1, true), (1000, true), (1001, false), (u64::MAX, false)] {
        let told = house.told_of("small@example.org", Room::For(room)).await;
        assert_eq!(told, if taken { expect.clone() } else { Err(Refusal::OverQuota) }, "{room}");
        assert_eq!(house.told_of("big@example.org", Room::For(room)).await, mailbox(big, "big@example.org"));
    }
    // Reports come whatever it leaves; nothing at all is more than none.
    house.addresses.store.change_account(small, AccountChange::Quota(Some(0))).await.unwrap();
    assert_eq!(house.told_of("small@example.org", Room::For(0)).await, Err(Refusal::OverQuota));
    assert_eq!(
        house.told_of("SMALL+tag@example.org", Room::Any).await,
        Ok(vec![Delivery::Mailbox { account: small, address: "small@example.org".into(), tag: Some("tag".into()) }])
    );
    house.close().await;
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let house = House::open("bounded").await;
    let ada = house.make("ada@example.org", None).await;
    let fill = |number: usize| {
        let mut remembered = house.addresses.remembered.lock().unwrap();
        remembered.change = house.addresses.store.account_changes();
        let holder = |at: usize| Holder { id: ada, address: format!("{at}").into(), standing: Standing::Open };
        remembered.accounts = (0..number).map(|at| (format!("{at}@example.org").into(), holder(at))).collect();
    };
    fill(Addresses::MOST_REMEMBERED - 1);
    assert!(house.told("ada@example.org").await.is_ok());
    assert_eq!(house.remembered(), Addresses::MOST_REMEMBERED);
    fill(Addresses::MOST_REMEMBERED);
    assert!(house.told("ada@example.org").await.is_ok());
    assert_eq!(house.remembered(), 1);
    house.close().await;
}

#[test]
fn workers_on_fresh_state_rewrite_senders_by_one_key() {
    let on_a_thread = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = on_a_thread();
    let house = runtime.block_on(House::open("one-key"));
    let sender = Address::parse(b"ada@far.example").unwrap();
    let rewritten = |srs: &Srs| srs.rewritten(&sender, sender.domain(), 5).unwrap();
    let barrier = std::sync::Barrier::new(2);
    // As each worker has it, on its own thread.
    let worker = || {
        let addresses = house.addresses.with(domains());
        barrier.wait();
        rewritten(&on_a_thread().block_on(addresses.directory()).unwrap().srs)
    };
    let made = std::thread::scope(|scope| [scope.spawn(worker), scope.spawn(worker)].map(|one| one.join().unwrap()));
    let kept = runtime.block_on(house.addresses.store.secret(Addresses::KEY)).unwrap().unwrap();
    let expect = rewritten(&Srs::new(kept.try_into().unwrap()));
    assert_eq!(made, [expect.clone(), expect]);
    runtime.block_on(house.close());
}

#[tokio::test]
async fn the_key_for_rewritten_senders_is_kept() {
    let house = House::open("key").await;
    let store = house.addresses.store.clone();
    // Whoever only captures needs none.
    let caught = house.addresses.with(Arc::new(MailDomains::captured()));
    assert!(caught.resolve(&ForwardPath::Postmaster, &ReversePath::Null, Room::For(1)).await.unwrap().outcome.is_ok());
    assert_eq!(store.secret(Addresses::KEY).await.unwrap(), None);
    let sender = Address::parse(b"ada@far.example").unwrap();
    let rewritten = async |addresses: &Addresses| {
        let srs = addresses.directory().await.unwrap().srs;
        srs.rewritten(&sender, sender.domain(), 5).unwrap()
    };
    let first = rewritten(&house.addresses).await;
    let key = store.secret(Addresses::KEY).await.unwrap().unwrap();
    assert_eq!(rewritten(&Addresses::new(domains(), store.clone())).await, first);
    assert_eq!(rewritten(&house.addresses.with(domains())).await, first);
    assert_eq!(store.secret(Addresses::KEY).await.unwrap().unwrap(), key);
    house.close().await;
}
