use std::cell::RefCell;
use std::convert::Infallible;

use super::*;

mod hostile;

/// `example.org` with accounts alice, bob, Eve (disabled), full (over quota); `staging.example` captured; `shop.example` named without
/// mail; aliases as written.
struct House {
    directory: Directory,
    asked: RefCell<Vec<String>>,
}

const TODAY: u64 = 20_781;

fn book(aliases: &[(&str, &str)]) -> Book {
    let mut book = Book::default();
    for (line, (name, to)) in aliases.iter().enumerate() {
        let alias = alias(line + 10, to);
        match *name {
            "*" => book.catch_all = Some(alias),
            "!postmaster" => book.postmaster = Some(alias),
            name => drop(book.aliases.insert(name.into(), alias)),
        }
    }
    book
}

fn alias(line: usize, to: &str) -> Alias {
    let member = |text: &str| match text.strip_prefix('|') {
        Some(program) => Member::Program(program.into()),
        None if text.contains('@') => Member::Address(Address::parse(text.as_bytes()).unwrap()),
        None => Member::Address(Address::parse(format!("{text}@example.org").as_bytes()).unwrap()),
    };
    Alias { line, members: to.split_whitespace().map(member).collect() }
}

fn domain(name: &str, handling: Handling) -> MailDomain {
    MailDomain { name: name.into(), line: 5, handling }
}

impl House {
    fn new(aliases: &[(&str, &str)]) -> Self {
        Self::with(book(aliases))
    }

    fn with(book: Book) -> Self {
        let mut domains = MailDomains::default();
        domains.add(domain("example.org", Handling::Accounts(book.into())));
        domains.add(domain("xn--bcher-kva.example", Handling::Accounts(Box::default())));
        domains.add(domain("staging.example", Handling::Captured { line: 7 }));
        domains.add(domain("shop.example", Handling::Refused));
        let directory = Directory::new(Arc::new(domains), Srs::new([5; Srs::KEY]));
        Self { directory, asked: RefCell::default() }
    }

    async fn accounts(&self, wanted: Wanted<'_>) -> Result<Option<Holder<u32>>, Infallible> {
        self.asked.borrow_mut().push(format!("{wanted:?}"));
        let all = [
            (1, "alice@example.org", Standing::Open),
            (2, "bob@example.org", Standing::Open),
            (3, "eve@example.org", Standing::Disabled),
            (4, "full@example.org", Standing::OverQuota),
            (5, "josé@xn--bcher-kva.example", Standing::Open),
        ];
        let found = all.into_iter().find(|(_, address, _)| match wanted {
            Wanted::Account(name) => *address == name,
            Wanted::First(domain) => address.ends_with(&format!("@{domain}")),
        });
        Ok(found.map(|(id, address, standing)| Holder { id, address: address.into(), standing }))
    }

    fn resolve_from(&self, recipient: &str, sender: &str) -> Resolution<u32> {
        let recipient = ForwardPath::parse(format!("<{recipient}>").as_bytes()).unwrap().0;
        let sender = ReversePath::parse(format!("<{sender}>").as_bytes()).unwrap().0;
        let asked = Asked { recipient: &recipient, sender: &sender, today: TODAY };
        let Ok(resolution) =
            ready(self.directory.resolve(asked, async |wanted: Wanted<'_>| self.accounts(wanted).await));
        resolution
    }

    fn may(&self, account: u32, address: &str) -> bool {
        let address = Address::parse(address.as_bytes()).unwrap();
        let accounts = async |wanted: Wanted<'_>| self.accounts(wanted).await;
        let Ok(may) = ready(self.directory.may_send_as(&account, &address, accounts));
        may
    }

    /// What becomes of mail to it, in short.
    fn told(&self, recipient: &str) -> String {
        shown(&self.resolve_from(recipient, "sender@elsewhere.example"))
    }
}

fn shown(resolution: &Resolution<u32>) -> String {
    let one = |delivery: &Delivery<u32>| match delivery {
        Delivery::Mailbox { account, tag, .. } => {
            format!("{account}{}", tag.as_deref().map(|tag| format!("+{tag}")).unwrap_or_default())
        }
        Delivery::Forward { address, .. } => format!("to {address}"),
        Delivery::Program { name, .. } => format!("run {name}"),
        Delivery::Captured => "captured".to_owned(),
    };
    match &resolution.outcome {
        Ok(deliveries) => deliveries.iter().map(one).collect::<Vec<_>>().join(", "),
        Err(refusal) => format!("{refusal:?}"),
    }
}

/// Nothing here ever waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn an_address_means_what_is_written() {
    let house = House::new(&[
        ("info", "alice bob"),
        ("team", "info carol@elsewhere.example"),
        ("build", "|ci"),
        ("both", "both backup@elsewhere.example"),
        ("bob+lists", "alice"),
        ("bob", "bob alice"),
        ("partner", "ada@staging.example"),
        ("shop", "ada@shop.example"),
        ("twice", "alice info alice"),
        ("mixed", "alice full eve nobody"),
        ("dead", "eve nobody"),
        ("filled", "full eve"),
        ("over", "x@bücher.example josé@BÜCHER.example"),
    ]);
    for (recipient, expect) in [
        ("alice@example.org", "1"),
        ("ALICE@Example.ORG", "1"),
        ("\"alice\"@example.org", "1"),
        ("alice+shop@example.org", "1+shop"),
        ("alice+@example.org", "1+"),
        ("+alice@example.org", "Unknown"),
        ("nobody@example.org", "Unknown"),
        ("eve@example.org", "Disabled"),
        ("full@example.org", "OverQuota"),
        ("info@example.org", "1, 2"),
        ("Info+x@example.org", "1, 2"),
        ("team@example.org", "1, 2, to carol@elsewhere.example"),
        ("build@example.org", "run ci"),
        // There is no account of this name.
        ("both@example.org", "to backup@elsewhere.example"),
        ("bob@example.org", "2, 1"),
        ("bob+lists@example.org", "1"),
        ("bob+other@example.org", "2, 1"),
        ("partner@example.org", "captured"),
        ("shop@example.org", "to ada@shop.example"),
        ("twice@example.org", "1, 2"),
        ("mixed@example.org", "1"),
        ("dead@example.org", "Disabled"),
        ("filled@example.org", "OverQuota"),
        ("over@example.org", "5"),
        ("josé@bücher.example", "5"),
        ("JOSÉ@xn--bcher-kva.example", "5"),
        ("anybody@staging.example", "captured"),
        ("ada@shop.example", "NotOurs"),
        ("ada@elsewhere.example", "NotOurs"),
        ("ada@[127.0.0.1]", "NotOurs"),
        ("ada@sub.example.org", "NotOurs"),
        ("ada@example.org.evil.example", "NotOurs"),
    ] {
        assert_eq!(house.told(recipient), expect, "{recipient}");
    }
    let mixed = house.resolve_from("mixed@example.org", "");
    let left: Vec<_> = mixed.left_out.iter().map(|left| (left.address.local(), left.why)).collect();
    assert_eq!(left, [("full", Refusal::OverQuota), ("eve", Refusal::Disabled), ("nobody", Refusal::Unknown)]);
}

#[test]
fn postmaster_and_abuse_always_answer() {
    let plain = House::new(&[]);
    let named = House::new(&[("!postmaster", "bob"), ("abuse", "alice bob")]);
    let full = House::new(&[("!postmaster", "full nobody")]);
    for (recipient, first, by_name, last) in [
        ("postmaster@example.org", "1", "2", "captured"),
        ("PostMaster@example.org", "1", "2", "captured"),
        ("abuse@example.org", "1", "1, 2", "captured"),
        // RFC 5321 §4.1.1.3: without a domain.
        ("postmaster", "1", "2", "captured"),
        ("hostmaster@example.org", "Unknown", "Unknown", "Unknown"),
        ("postmaster@staging.example", "captured", "captured", "captured"),
        ("postmaster@shop.example", "NotOurs", "NotOurs", "NotOurs"),
    ] {
        assert_eq!([plain.told(recipient), named.told(recipient), full.told(recipient)], [first, by_name, last]);
    }
    let caught = Directory::new(Arc::new(MailDomains::captured()), Srs::new([5; 32]));
    let caught = House { directory: caught, asked: RefCell::default() };
    assert_eq!([caught.told("postmaster"), caught.told("who@ever.example")], ["captured", "captured"]);
    let none = House { directory: Directory::new(Arc::default(), Srs::new([5; 32])), asked: RefCell::default() };
    assert_eq!([none.told("postmaster"), none.told("who@ever.example")], ["NotOurs", "NotOurs"]);
    // Nothing was asked of accounts where no domain has any.
    assert!(caught.asked.borrow().is_empty() && none.asked.borrow().is_empty());
}

#[test]
fn a_catch_all_takes_what_nobody_bears() {
    let mut with = book(&[("*", "bob"), ("list", "gone")]);
    let house = House::with(with.clone());
    for (recipient, expect) in [
        ("nobody@example.org", "2"),
        ("x+y@example.org", "2"),
        ("alice@example.org", "1"),
        ("eve@example.org", "Disabled"),
        ("full@example.org", "OverQuota"),
        ("postmaster@example.org", "1"),
        ("list@example.org", "2"),
    ] {
        assert_eq!(house.told(recipient), expect, "{recipient}");
    }
    with.plus_tags = PlusTags::Off;
    let house = House::with(with);
    assert_eq!(house.told("alice+x@example.org"), "2");
}

#[test]
fn each_step_is_told() {
    let house = House::new(&[("team", "alice+t carol@elsewhere.example |ci")]);
    let resolution = house.resolve_from("team@example.org", "ada@elsewhere.example");
    let told: Vec<_> = resolution.trace.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 10: alias team stands for alice+t@example.org, carol@elsewhere.example, the program ci",
            "alice+t@example.org is the account alice@example.org, t being its tag",
            "carol@elsewhere.example is another server's: it is sent on, its sender rewritten so that bounces come back (SRS)",
        ]
    );
    let resolution = house.resolve_from("x@shop.example", "");
    assert_eq!(resolution.trace[0].to_string(), "line 5: the domain shop.example is named here, and has no mail");
}

#[test]
fn what_is_forwarded_goes_on_from_us_and_its_bounce_comes_home() {
    let house = House::new(&[("away", "carol@far.example")]);
    let sender_of = |sender: &str| match house.resolve_from("away@example.org", sender).outcome.unwrap().as_slice() {
        [Delivery::Forward { sender, .. }] => sender.to_string(),
        other => panic!("{other:?}"),
    };
    let rewritten = sender_of("ada@elsewhere.example");
    assert!(rewritten.starts_with("SRS0=") && rewritten.ends_with("=elsewhere.example=ada@example.org"), "{rewritten}");
    // A report stays one; who is of ours passes for himself.
    assert_eq!(sender_of(""), "");
    assert_eq!(sender_of("alice@example.org"), "alice@example.org");
    assert_eq!(sender_of("x@staging.example"), "x@staging.example");
    let long = format!("{}@elsewhere.example", "a".repeat(230));
    assert_eq!(sender_of(&long), long);

    let bounce = house.resolve_from(&rewritten, "");
    assert_eq!(shown(&bounce), "to ada@elsewhere.example");
    assert!(matches!(&bounce.outcome.unwrap()[..], [Delivery::Forward { sender: ReversePath::Null, .. }]));
    // Nobody else may send by it, nor with a hash of his own.
    assert_eq!(shown(&house.resolve_from(&rewritten, "spammer@evil.example")), "Unknown");
    let forged = rewritten.replace("=ada@", "=victim@");
    assert_eq!(shown(&house.resolve_from(&forged, "")), "Unknown");
}

#[test]
fn an_account_sends_as_what_it_is_reached_by() {
    let mut book =
        book(&[("info", "alice bob"), ("team", "info"), ("*", "bob"), ("full2", "full"), ("out", "x@far.example")]);
    book.postmaster = Some(alias(3, "alice"));
    let house = House::with(book);
    for (account, address, expect) in [
        (1, "alice@example.org", true),
        (1, "Alice+tag@example.org", true),
        (1, "info@example.org", true),
        (1, "team@example.org", true),
        (1, "postmaster@example.org", true),
        (1, "bob@example.org", false),
        (2, "postmaster@example.org", false),
        // A catch-all takes; it does not give every name away.
        (2, "anything@example.org", false),
        (2, "x@staging.example", false),
        (1, "x@far.example", false),
        (1, "out@example.org", false),
        // Full is no reason not to send.
        (4, "full@example.org", true),
        (4, "full2@example.org", true),
        (5, "josé@bücher.example", true),
    ] {
        assert_eq!(house.may(account, address), expect, "{account} as {address}");
    }
}

#[test]
fn mail_that_leaves_is_captured_where_that_is_written() {
    let mut staging = Book { outgoing: Outgoing::Captured, ..Book::default() };
    staging.aliases.insert("a".into(), alias(1, "alice"));
    let house = House::with(staging);
    let outgoing = |name: &str| house.directory.outgoing(&Domain::parse(name.as_bytes()).unwrap());
    assert_eq!(outgoing("Example.org"), Outgoing::Captured);
    assert_eq!(outgoing("staging.example"), Outgoing::Captured);
    assert_eq!(outgoing("bücher.example"), Outgoing::Sent);
    assert_eq!(outgoing("elsewhere.example"), Outgoing::Sent);
}
