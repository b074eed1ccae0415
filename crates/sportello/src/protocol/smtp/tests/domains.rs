//! Mail for domains that have accounts and aliases.

use std::num::NonZeroU32;

use sportello_net::rate::Often;
use sportello_service::accounts::{Accounts, NewAccount};
use sportello_service::directory::{Addresses, Alias, Book, Handling, MailDomain, MailDomains, Member};
use sportello_service::dns::Table;
use sportello_service::judge::{self, Judge, Judging, Policy, Rules, Treatment, Trouble};
use sportello_store::queue::{Chosen, EntryRow, EntryWindow};
use sportello_wire::mail::Address;

use super::*;

fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).unwrap()
}

fn domains() -> MailDomains {
    let alias =
        |members: &[&str]| Alias { line: 1, members: members.iter().map(|to| Member::Address(address(to))).collect() };
    let aliases = [
        ("all", alias(&["alice@example.org", "bob@example.org", "alice@example.org"])),
        ("away", alias(&["carol@elsewhere.example", "alice@example.org"])),
        ("tick", Alias { line: 1, members: vec![Member::Program("tick".into())] }),
    ];
    let aliases = aliases.into_iter().map(|(name, alias)| (name.into(), alias)).collect();
    let lists = vec!["list.example".to_owned()];
    let judging = Judging::By(Rules { lists, ..Rules::default() });
    let book = Book { aliases, judging, ..Book::default() };
    let mut domains = MailDomains::default();
    let mut add = |name: &str, handling| domains.add(MailDomain { name: name.into(), line: 1, handling });
    add("example.org", Handling::Accounts(Box::new(book)));
    add("caught.example", Handling::Captured { line: 1 });
    let all_to_bob = |judging| {
        let catch_all = Some(alias(&["bob@example.org"]));
        Handling::Accounts(Box::new(Book { catch_all, judging, ..Book::default() }))
    };
    let policy =
        Policy { dmarc: Treatment::Reject, spf: Treatment::Junk, trouble: Trouble::Defer, ..Policy::default() };
    add("strict.example", all_to_bob(Judging::By(Rules { policy, lists: Vec::new() })));
    add("unjudged.example", all_to_bob(Judging::Off));
    domains
}

/// A server with accounts: alice, bob, full, whose mailbox has no room, and small, whose has room for 4 KiB.
fn exchange() -> Server {
    exchange_in(None)
}

/// One that judges all that arrives by what this says, if there is anything.
fn exchange_in(world: Option<Table>) -> Server {
    let local = if world.is_some() { Local::LikeOthers } else { Local::Trusted };
    exchange_with(Settings { local, ..Settings::default() }, world)
}

fn exchange_with(settings: Settings, world: Option<Table>) -> Server {
    let judged = judge::Settings { server: "mx.example.org".to_owned() };
    let judge = world.map(|world| Judge::new(judged, Arc::new(world)).unwrap());
    let made = |store: &Store| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let accounts = runtime.block_on(async {
            let accounts = Accounts::open(store.clone()).await.unwrap();
            for (name, quota) in [("alice", None), ("bob", None), ("full", Some(0)), ("small", Some(4096))] {
                let address = format!("{name}@example.org");
                accounts.add(NewAccount { address, password: None, quota, groups: Vec::new() }).await.unwrap();
            }
            accounts
        });
        let office = Office::new(accounts, Addresses::new(Arc::new(domains()), store.clone()));
        Some(judge.into_iter().fold(office, Office::judging))
    };
    server_asking(settings, Deadlines::default(), made)
}

impl Server {
    fn inbox(&self, account: &str) -> Vec<MessageRow> {
        self.mailbox(account, "INBOX")
    }

    fn mailbox(&self, account: &str, name: &str) -> Vec<MessageRow> {
        self.runtime.block_on(async {
            let account = self.store.account(account).await.unwrap().unwrap();
            let mailbox = self.store.mailbox(account.id, name).await.unwrap().unwrap();
            self.store.list(ListPage { mailbox, before: None, limit: ListPage::MOST }).await.unwrap()
        })
    }

    /// What waits for other servers: sender, recipient, destination.
    fn queued(&self) -> Vec<(String, String, String)> {
        let window = EntryWindow { of: Chosen::default(), before: None, limit: 100 };
        let rows = self.runtime.block_on(self.store.queue_page(window)).unwrap();
        let told = |row: EntryRow| {
            let recipients =
                row.entry.recipients.iter().map(|one| one.recipient.address.clone()).collect::<Vec<_>>().join(" ");
            (row.entry.sender.clone(), recipients, row.entry.destination.to_string())
        };
        rows.into_iter().map(told).collect()
    }
}

#[test]
fn recipients_are_asked_of_the_directory() {
    let server = exchange();
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<x@elsewhere.example>\r\n").expect(&[250, 250]);
    for (recipient, reply) in [
        ("alice@example.org", "250 2.1.5"),
        ("ALICE+news@Example.ORG", "250 2.1.5"),
        ("all@example.org", "250 2.1.5"),
        ("postmaster", "250 2.1.5"),
        ("postmaster@example.org", "250 2.1.5"),
        ("whoever@caught.example", "250 2.1.5"),
        ("nobody@example.org", "550 5.1.1"),
        ("full@example.org", "452 4.2.2"),
        ("tick@example.org", "451 4.3.5"),
        ("alice@elsewhere.example", "550 5.7.1"),
    ] {
        let said = client.send(format!("RCPT TO:<{recipient}>\r\n")).reply();
        assert!(said.starts_with(reply), "{recipient}: {said}");
    }
    server.stop(client);
}

#[test]
fn a_message_that_a_mailbox_has_no_room_for_is_refused_before_it_comes() {
    let server = exchange();
    let mut client = server.client();
    client.send("EHLO c\r\n");
    while client.reply().starts_with("250-") {}
    for (size, reply) in [("", "250"), (" SIZE=0", "250"), (" SIZE=4096", "250"), (" SIZE=4097", "452 4.2.2")] {
        client.send(format!("MAIL FROM:<x@elsewhere.example>{size}\r\n")).expect(&[250]);
        let said = client.send("RCPT TO:<small@example.org>\r\n").reply();
        assert!(said.starts_with(reply), "{size}: {said}");
        // Whoever has room gets it all the same.
        client.send("RCPT TO:<alice@example.org>\r\nRSET\r\n").expect(&[250, 250]);
    }
    server.stop(client);
}

#[test]
fn this_is_no_open_relay_however_the_recipient_is_spelled() {
    let server = exchange();
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<alice@example.org>\r\n").expect(&[250, 250]);
    for recipient in [
        "victim@elsewhere.example",
        "victim%elsewhere.example@example.org",
        "victim%elsewhere.example@[127.0.0.1]",
        "victim%elsewhere.example@mx.example.org",
        "\"victim@elsewhere.example\"@example.org",
        "\"victim%elsewhere.example\"@example.org",
        "\"victim@elsewhere.example\"@[127.0.0.1]",
        "@example.org:victim@elsewhere.example",
        "@example.org,@mx.example.org:victim@elsewhere.example",
        "elsewhere.example!victim@example.org",
        "elsewhere.example!victim",
        "mx.example.org!elsewhere.example!victim@example.org",
        "victim@elsewhere.example@example.org",
        "victim@[192.0.2.1]",
        "victim@elsewhere.example%example.org",
        "victim@example.org.elsewhere.example",
        "victim",
        "\"victim\"@elsewhere.example",
        "victim@localhost",
    ] {
        let said = client.send(format!("RCPT TO:<{recipient}>\r\n")).reply();
        assert!(said.starts_with("5"), "{recipient}: {said}");
    }
    assert_eq!(server.queued(), []);
    server.stop(client);
}

#[test]
fn one_message_goes_to_every_mailbox_once_and_on_to_other_servers() {
    let server = exchange();
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<x@origin.example>\r\nRCPT TO:<all@example.org>\r\n").expect(&[250, 250, 250]);
    client.send("RCPT TO:<away@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n").expect(&[250, 250, 354]);
    client
        .send("Authentication-Results: mx.example.org; dkim=pass\r\nSubject: hello\r\n\r\ntext\r\n.\r\n")
        .expect(&[250]);
    let [row] = server.inbox("alice@example.org").try_into().unwrap();
    assert_eq!((row.summary.subject.as_str(), server.inbox("bob@example.org").len()), ("hello", 1));
    assert!(server.messages().is_empty(), "the inbox that catches has nothing");
    let body = String::from_utf8(server.body(&row)).unwrap();
    // Somebody sends it on: Return-Path is for the last one. Nobody but us says what we have judged.
    assert!(body.starts_with("Received: ") && !body.contains("Authentication-Results"), "{body}");
    assert!(body.ends_with("Subject: hello\r\n\r\ntext\r\n"), "{body}");
    let [(sender, recipient, destination)] = server.queued().try_into().unwrap();
    assert_eq!((recipient.as_str(), destination.as_str()), ("carol@elsewhere.example", "elsewhere.example"));
    assert!(sender.starts_with("SRS0=") && sender.ends_with("@example.org"), "{sender}");
    server.stop(client);
}

#[test]
fn what_is_caught_and_what_is_kept_may_be_one_message() {
    let server = exchange();
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<any@caught.example>\r\n").expect(&[250, 250, 250]);
    client.send("RCPT TO:<bob@example.org>\r\nDATA\r\nHello\r\n.\r\n").expect(&[250, 354, 250]);
    let [row] = server.messages().try_into().unwrap();
    let body = String::from_utf8(server.body(&row)).unwrap();
    assert!(body.starts_with("Return-Path: <>\r\nReceived: ") && body.ends_with("\r\n\r\nHello\r\n"), "{body}");
    assert_eq!(server.inbox("bob@example.org").len(), 1);
    server.stop(client);
}

const FROM_ADA: &str = "Authentication-Results: mx.example.org; dmarc=pass\r\nFrom: ada@bank.example\r\nSubject: money\r\n\r\ntext\r\n.\r\n";

/// Sends a message that says it is from ada@bank.example to alice, and to the domain that is caught.
fn forge(server: &Server) -> String {
    forge_to(server, "alice@example.org")
}

fn forge_to(server: &Server, recipient: &str) -> String {
    let mut client = server.client();
    let begins = format!("HELO c\r\nMAIL FROM:<ada@bank.example>\r\nRCPT TO:<{recipient}>\r\n");
    client.send(&begins).expect(&[250, 250, 250]);
    client.send("DATA\r\n").expect(&[354]);
    client.send(FROM_ADA).reply()
}

#[test]
fn mail_whose_author_does_not_stand_behind_it_goes_to_junk_and_says_why() {
    let world = Table::new().txt("bank.example", "v=spf1 -all").txt("_dmarc.bank.example", "v=DMARC1; p=reject");
    let server = exchange_in(Some(world));
    assert!(forge(&server).starts_with("250 "));
    assert!(server.inbox("alice@example.org").is_empty());
    let [row] = server.mailbox("alice@example.org", "Junk").try_into().unwrap();
    let body = String::from_utf8(server.body(&row)).unwrap();
    assert!(body.starts_with("Authentication-Results: mx.example.org"), "{body}");
    assert_eq!(body.matches("Authentication-Results").count(), 1, "the forged one is gone: {body}");
    assert!(body.contains("spf=fail") && body.contains("dmarc=fail") && !body.contains("dmarc=pass"), "{body}");
    let trace = server.runtime.block_on(server.store.trace(row.id)).unwrap().unwrap();
    assert!(trace.starts_with("{\"decisions\":[{") && trace.contains("dmarc"), "{trace}");
    server.stop(());
}

#[test]
fn mail_of_a_client_that_is_listed_is_refused_and_mail_that_cannot_be_judged_is_taken() {
    let world = Table::new().address("1.0.0.127.list.example", "127.0.0.2");
    let server = exchange_in(Some(world));
    let reply = forge(&server);
    assert!(reply.starts_with("550 5.7.1 ") && reply.contains("list.example"), "{reply}");
    assert!(server.inbox("alice@example.org").is_empty());
    server.stop(());
    let mut world = Table::new();
    for name in ["bank.example", "_dmarc.bank.example", "1.0.0.127.list.example", "1.0.0.127.in-addr.arpa"] {
        world.trouble(name);
    }
    let server = exchange_in(Some(world));
    assert!(forge(&server).starts_with("250 "));
    assert_eq!(server.inbox("alice@example.org").len(), 1);
    server.stop(());
}

#[test]
fn each_domain_judges_by_its_own_rules() {
    let world = || Table::new().txt("bank.example", "v=spf1 -all").txt("_dmarc.bank.example", "v=DMARC1; p=reject");
    // Who is on a list is of no interest to a domain that does not ask it.
    let server = exchange_in(Some(world().address("1.0.0.127.list.example", "127.0.0.2")));
    let reply = forge_to(&server, "x@strict.example");
    assert!(reply.starts_with("550 5.7.26 ") && reply.contains("bank.example"), "{reply}");
    // Where nothing is judged nothing is said; a lie in our name is taken out all the same.
    assert!(forge_to(&server, "x@unjudged.example").starts_with("250 "));
    let [row] = server.inbox("bob@example.org").try_into().unwrap();
    let body = String::from_utf8(server.body(&row)).unwrap();
    assert!(!body.contains("Authentication-Results"), "{body}");
    assert_eq!(server.runtime.block_on(server.store.trace(row.id)).unwrap(), None);
    server.stop(());
    let mut world = Table::new();
    world.trouble("_dmarc.bank.example");
    let server = exchange_in(Some(world));
    let reply = forge_to(&server, "x@strict.example");
    assert!(reply.starts_with("451 4.4.3 "), "{reply}");
    server.stop(());
}

#[test]
fn recipients_who_judge_by_different_rules_get_messages_of_their_own() {
    let server = exchange_in(Some(Table::new()));
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<ada@bank.example>\r\nRCPT TO:<alice@example.org>\r\n").expect(&[250, 250, 250]);
    client.send("RCPT TO:<x@unjudged.example>\r\nRCPT TO:<bob@example.org>\r\n");
    let reply = client.reply();
    assert!(reply.starts_with("452 4.5.3 "), "{reply}");
    client.expect(&[250]).send("DATA\r\n").expect(&[354]).send(FROM_ADA).expect(&[250]);
    let inboxes = || ["alice@example.org", "bob@example.org"].map(|account| server.inbox(account).len());
    assert_eq!(inboxes(), [1, 1], "who was refused has got none");
    client.send("MAIL FROM:<ada@bank.example>\r\nRCPT TO:<x@unjudged.example>\r\nDATA\r\n").expect(&[250, 250, 354]);
    client.send(FROM_ADA).expect(&[250]);
    assert_eq!(inboxes(), [1, 2]);
    server.stop(client);
}

#[test]
fn a_recipient_who_is_put_off_as_one_too_many_gets_no_mail() {
    let recipients = NonZeroU32::new(1).map(Often::per_minute);
    let server = exchange_with(Settings { local: Local::LikeOthers, recipients, ..Settings::default() }, None);
    let mut client = server.client();
    client
        .send("HELO c\r\nMAIL FROM:<x@elsewhere.example>\r\nRCPT TO:<alice@example.org>\r\n")
        .expect(&[250, 250, 250]);
    client
        .send("RCPT TO:<bob@example.org>\r\nDATA\r\n")
        .expect(&[450, 354])
        .send("x: y\r\n\r\nz\r\n.\r\n")
        .expect(&[250]);
    assert_eq!(["alice@example.org", "bob@example.org"].map(|account| server.inbox(account).len()), [1, 0]);
    server.stop(client);
}
