//! What is told of answers whose body is written from where it is: after it went, and as much as went.

use super::*;

/// More than sockets take, and kept in memory.
const HUGE: usize = 32 << 20;

#[test]
fn a_body_is_told_of_when_it_has_gone() {
    let house = House::serving(Deadlines::default(), |folder| {
        fs::write(folder.join("huge"), vec![b'h'; HUGE]).unwrap();
        let settings = Settings { hot_file: HUGE as u64, hot_files: 2 * HUGE, ..Settings::default() };
        Served::Sites(Sites::only(files(folder, settings)))
    });
    let mut stream = house.client();
    // Once from the disk; then it is in memory.
    stream.write_all(get("/huge").as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).0, 200);
    stream.write_all(get("/huge").as_bytes()).unwrap();
    let mut some = [0; 100];
    stream.read_exact(&mut some).unwrap();
    // It leaves with all but a little unread.
    drop(stream);
    let told = house.told();
    let [(_, first, all), (what, last, bytes)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&**what, &**first, &**last), ("GET /huge", "200", "200"));
    assert!(*all > HUGE as u64 && (100..HUGE as u64).contains(bytes), "{told:?}");
}

#[test]
fn bytes_and_order_are_as_they_were_asked_for() {
    let house = House::open();
    let requests = [get("/medium"), get("/medium"), get("/a"), get("/medium"), LAST.into()].concat();
    let medium = ok(&"m".repeat(COPY_BELOW));
    for _ in 0..2 {
        assert!(
            house.dialogue(&requests) == [medium.clone(), medium.clone(), ok("first"), medium.clone(), ok("first")]
        );
    }
    let told = house.told();
    let asked: Vec<&str> = told.iter().map(|(what, ..)| &**what).collect();
    assert_eq!(asked, ["GET /medium", "GET /medium", "GET /a", "GET /medium", "GET /a"]);
    for (what, outcome, bytes) in &told {
        let body = if what == "GET /a" { 5 } else { COPY_BELOW as u64 };
        assert!(outcome == "200" && (body + 1..body + 500).contains(bytes), "{what} {bytes}");
    }
}
