//! Slow and silent clients, and the clocks of sources, in simulated time.

use std::net::IpAddr;
use std::num::NonZeroU32;

use sportello_net::rate::Often;
use sportello_net::simulation::{self, Client, Simulation};

use super::*;
use crate::config::{Role, usual};

/// The mail channel's waits, as `serve` has them.
fn channel() -> Channel {
    simulation::channel(Speaker::Server, usual::deadlines(&Role::Smtp(Settings::default())))
}

/// A service with a store of its own, and where simulated clients reach it.
struct House<'s> {
    simulation: &'s Simulation,
    service: Rc<Service>,
    store: Store,
}

fn simulate(settings: Settings, act: impl AsyncFnOnce(House<'_>)) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("sportello-slow-{}-{number}", std::process::id()));
    let store = Store::open(sportello_store::Settings::new(&folder)).unwrap();
    let policy = Arc::new(Policy::new(&settings));
    simulation::run(channel(), async |simulation| {
        let service = Service::new(store.clone(), "mx.example.org", policy, Conversations::default());
        act(House { simulation, service: Rc::new(service), store: store.clone() }).await;
        store.close().await;
    });
    std::fs::remove_dir_all(folder).unwrap();
}

impl House<'_> {
    /// A client from this machine that was greeted.
    async fn client(&self) -> Client {
        let mut client = self.simulation.connect(|connection| serve(connection, Rc::clone(&self.service)));
        client.settle().await;
        assert_eq!(said(&mut client), "220 mx.example.org ESMTP Sportello\r\n");
        client
    }

    /// A client from elsewhere.
    async fn stranger(&self, address: &str) -> Client {
        let address: IpAddr = address.parse().unwrap();
        let peer = SocketAddr::new(address, 4_711);
        let mut client = self.simulation.connect_from(peer, |connection| serve(connection, Rc::clone(&self.service)));
        client.settle().await;
        client
    }

    async fn messages(&self) -> usize {
        let page = ListPage { mailbox: MailboxId::INBOX, before: None, limit: ListPage::MOST };
        self.store.list(page).await.unwrap().len()
    }
}

fn said(client: &mut Client) -> String {
    String::from_utf8(client.heard()).unwrap()
}

const TIMEOUT: &str = "421 4.4.2 Error: timeout, closing the channel\r\n";
const GREETING: &str = "220 mx.example.org ESMTP Sportello\r\n";
const TRANSACTION: &str = "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_client_that_says_nothing_is_told_so_after_five_minutes() {
    simulate(Settings::default(), async |house| {
        let mut client = house.client().await;
        client.pass(seconds(299)).await;
        assert_eq!(said(&mut client), "");
        client.pass(seconds(2)).await;
        assert_eq!(said(&mut client), TIMEOUT);
        assert!(client.is_over());
    });
}

#[test]
fn a_client_that_falls_silent_is_told_so_wherever_it_does() {
    for first in ["HELO c\r\n", "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT", &format!("{TRANSACTION}DATA\r\n"), ENVELOPE] {
        simulate(Settings::default(), async |house| {
            let mut client = house.client().await;
            client.send(first).await;
            let replies = said(&mut client);
            assert_eq!(replies.lines().count(), first.matches("\r\n").count(), "{replies}");
            assert!(replies.lines().all(|reply| reply.starts_with(['2', '3'])), "{replies}");
            let mut passed = 0;
            while !client.is_over() {
                client.pass(seconds(10)).await;
                passed += 10;
                assert!(passed <= 310, "{first}");
            }
            assert_eq!(said(&mut client), TIMEOUT, "{first}");
            assert_eq!(house.messages().await, 0, "{first}");
        });
    }
}

#[test]
fn a_client_that_creeps_is_ended_wherever_it_creeps_and_stores_nothing() {
    let text = format!("{TRANSACTION}DATA\r\n");
    let chunk = format!("{TRANSACTION}BDAT 100000 LAST\r\n");
    for (what, first, piece, every) in [
        ("a command", "N", "O", 10),
        ("a header", text.as_str(), "S", 10),
        ("a body", &format!("{text}Subject: x\r\n\r\n"), "x", 10),
        ("a chunk", &chunk, "x", 10),
        ("many chunks", TRANSACTION, "BDAT 1\r\nx", 20),
        ("a chunk that belongs to nothing", "BDAT 100000\r\n", "x", 10),
    ] {
        simulate(Settings::default(), async |house| {
            let mut client = house.client().await;
            client.send(first).await;
            let mut passed = 0;
            while !client.is_over() {
                client.send(piece).await;
                client.pass(seconds(every)).await;
                passed += every;
                assert!(passed < 600, "{what}");
            }
            assert!(passed >= 180, "{what}: {passed} s");
            assert!(said(&mut client).ends_with(TIMEOUT), "{what}");
            assert_eq!(house.messages().await, 0, "{what}");
        });
    }
}

#[test]
fn each_message_has_its_own_clock_though_the_next_one_began_with_it() {
    simulate(Settings::default(), async |house| {
        let mut client = house.client().await;
        client.send("HELO c\r\nMA").await;
        for number in 1..=40 {
            client.send("IL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nMA").await;
            assert!(said(&mut client).contains("queued as"), "message {number}");
            client.pass(seconds(100)).await;
        }
        assert!(!client.is_over());
        assert_eq!(house.messages().await, 40);
    });
}

#[test]
fn a_client_that_reads_no_reply_is_not_read_either_and_is_gone_after_a_minute() {
    simulate(Settings::default(), async |house| {
        let mut client = house.client().await;
        client.shut_ear();
        let transaction = format!("MAIL FROM:<a@b>\r\n{}RSET\r\n", "RCPT TO:<c@d>\r\n".repeat(900));
        client.send("HELO c\r\n").await;
        let took_all = client.send(transaction.repeat(400)).await;
        assert!(!took_all, "what comes is not read while the replies to it are not");
        assert!(!client.has_ended());
        client.pass(seconds(59)).await;
        assert!(!client.has_ended());
        client.pass(seconds(2)).await;
        assert!(client.has_ended());
        client.listen(usize::MAX);
        assert!(!said(&mut client).contains("421"), "there is no room for a last word");
    });
}

#[test]
fn a_stranger_is_greeted_after_the_delay_unless_it_speaks_before() {
    let settings = Settings { greet_delay: seconds(5), ..Settings::default() };
    simulate(settings, async |house| {
        drop(house.client().await); // this machine is greeted at once
        let mut patient = house.stranger("192.0.2.1").await;
        patient.pass(Duration::from_millis(4_900)).await;
        assert_eq!(said(&mut patient), "");
        patient.pass(Duration::from_millis(200)).await;
        assert_eq!(said(&mut patient), GREETING);
        patient.send("HELO c\r\n").await;
        assert_eq!(said(&mut patient), "250 mx.example.org\r\n");

        let mut hasty = house.stranger("192.0.2.2").await;
        hasty.pass(Duration::from_millis(4_900)).await;
        hasty.send(format!("{TRANSACTION}DATA\r\nx\r\n.\r\n")).await;
        assert_eq!(said(&mut hasty), "554 5.5.1 Error: a client waits for the greeting before it speaks\r\n");
        assert!(hasty.is_over());
        assert_eq!(house.messages().await, 0);
    });
}

#[test]
fn a_server_that_stops_says_so_to_who_waits_for_the_greeting() {
    simulate(Settings { greet_delay: seconds(5), ..Settings::default() }, async |house| {
        let mut waiting = house.stranger("192.0.2.1").await;
        house.simulation.drain();
        waiting.settle().await;
        assert_eq!(said(&mut waiting), "421 4.3.2 The server is shutting down, try again later\r\n");
    });
}

#[test]
fn a_source_comes_again_when_its_time_has_come() {
    let settings = Settings { connections: NonZeroU32::new(2).map(Often::per_minute), ..Settings::default() };
    simulate(settings, async |house| {
        let (mut one, mut two) = (house.stranger("2001:db8::1").await, house.stranger("2001:db8::2").await);
        assert_eq!((said(&mut one), said(&mut two)), (GREETING.into(), GREETING.into()));
        let mut three = house.stranger("2001:db8::3").await;
        assert_eq!(said(&mut three), "421 4.7.1 Error: too many connections from your address, try again in 30 s\r\n");
        assert!(three.is_over());
        let mut other = house.stranger("2001:db8:0:1::1").await;
        assert_eq!(said(&mut other), GREETING);
        other.pass(seconds(30)).await;
        let mut again = house.stranger("2001:db8::4").await;
        assert_eq!(said(&mut again), GREETING);
    });
}
