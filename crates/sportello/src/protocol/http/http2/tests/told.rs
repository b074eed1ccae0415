//! Whatever becomes of a stream, one line tells of it, with the bytes that went.

use std::net::TcpListener;
use std::sync::Arc;

use sportello_service::proxy::{Address, Settings, Upstreams};
use sportello_service::site::{Action, Block, Description, Site, Written};

use super::super::super::{Served, Sites};
use super::*;

/// Checks that there was one, with so many bytes of content.
fn one(house: House, what: &str, outcome: &str, bytes: impl Fn(u64) -> bool) {
    let told = house.told();
    let [(asked, answered, went)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&**asked, &**answered), (what, outcome));
    assert!(bytes(*went), "{told:?}");
}

/// More than the windows that a client has by default.
const LARGE: u64 = 1_000_000;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

#[test]
fn what_is_whole() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    client.ask(1, "GET", "/a");
    assert_eq!(client.content(1).unwrap(), b"first");
    drop(client);
    one(house, "GET /a", "200", |bytes| bytes == 5);
}

#[test]
fn a_stream_that_is_taken_back_within_its_answer() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    client.ask(1, "GET", "/large");
    let first = client.until(DATA).unwrap().payload.len() as u64;
    client.send(&frame(RESET, 0, 1, &CANCEL));
    client.send(&frame(PING, 0, 0, &[7; 8]));
    assert_eq!(client.until(PING).unwrap().payload, [7; 8]);
    drop(client);
    one(house, "GET /large", "200", |bytes| (first..LARGE).contains(&bytes));
}

#[test]
fn a_client_that_leaves_within_its_answer() {
    let house = House::open();
    let mut client = Client::new(&house, &[]);
    client.ask(1, "GET", "/large");
    let first = client.until(DATA).unwrap().payload.len() as u64;
    drop(client);
    one(house, "GET /large", "200", |bytes| (first..LARGE).contains(&bytes));
}

#[test]
fn a_client_that_takes_nothing_of_its_answer() {
    let house = House::with(Deadlines { write: Duration::from_millis(300), ..Deadlines::default() });
    let mut client = Client::new(&house, &[(4, 0)]);
    client.ask(1, "GET", "/a");
    client.until(RESET).unwrap();
    drop(client);
    one(house, "GET /a", "200", |bytes| bytes == 0);
}

#[test]
fn a_client_that_leaves_before_its_answer() {
    // It never says anything.
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::parse(&format!("http://{}", upstream.local_addr().unwrap())).unwrap();
    let house = House::serving(Deadlines::default(), move |_| {
        let action = Some(Written { line: 0, what: Action::Proxy(0) });
        let block = Block { action, ..Block::default() };
        let proxies = vec![Upstreams::new(Settings::of([address.clone()]))];
        let site = Site::new(Arc::new(Description { proxies, block, ..Description::default() }), Vec::new());
        let mut sites = Sites::default();
        sites.set_default(Rc::new(site));
        Served::Sites(sites)
    });
    let mut client = Client::new(&house, &[]);
    client.ask(1, "GET", "/a");
    // It was asked: the request is under way.
    let asked = upstream.accept().unwrap();
    drop(client);
    one(house, "GET /a", "499", |bytes| bytes == 0);
    drop(asked);
}
