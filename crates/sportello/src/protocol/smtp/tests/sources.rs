//! Who is greeted, and what one source may do and hold, over real sockets.

use std::num::NonZeroU32;

use sportello_net::rate::Often;

use super::*;

/// Settings under which this machine is treated like another.
fn strict() -> Settings {
    Settings { local: Local::LikeOthers, ..Settings::default() }
}

fn often(times: u32) -> Option<Often> {
    NonZeroU32::new(times).map(Often::per_minute)
}

/// All that is said over a connection that is not greeted, or to somebody who pours out `said` first.
fn poured(server: &Server, said: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(said.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const TOO_EARLY: &str = "554 5.5.1 Error: a client waits for the greeting before it speaks\r\n";

#[test]
fn who_speaks_before_the_greeting_is_refused_and_nothing_is_stored() {
    let settings = Settings { greet_delay: Duration::from_secs(3_600), ..strict() };
    let server = server_with(settings, Deadlines::default());
    server.conversations.keep_next(1);
    let dialogue = format!("{ENVELOPE}Subject: early\r\n\r\nx\r\n.\r\nQUIT\r\n");
    assert_eq!(poured(&server, &dialogue), TOO_EARLY);
    assert_eq!(poured(&server, "\r\n"), TOO_EARLY);
    assert_eq!(server.messages().len(), 0);
    let kept = server.conversations.list();
    let said: Vec<_> = kept[0].lines.iter().map(|line| line.text.as_str()).collect();
    let elided = format!("… {} bytes", dialogue.len() - "HELO c\r\n".len());
    assert_eq!(said, ["HELO c", &elided, TOO_EARLY.trim_end()]);
    // Who closes before the greeting is not greeted.
    let stream = TcpStream::connect(server.address).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    (&stream).read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "");
    assert_eq!(server.refusals.total(Reason::Pregreet), 2);
    server.stop(());
}

#[test]
fn without_a_delay_who_waits_is_greeted_at_once_and_this_machine_may_speak_first() {
    let server = server_with(strict(), Deadlines::default());
    server.client().send("QUIT\r\n").expect(&[221]).expect_end();
    server.stop(());
    let server =
        server_with(Settings { greet_delay: Duration::from_secs(3_600), ..Settings::default() }, Deadlines::default());
    let answer = poured(&server, "QUIT\r\n");
    assert_eq!(answer, "220 mx.example.org ESMTP Sportello\r\n221 2.0.0 Bye\r\n");
    server.stop(());
}

#[test]
fn a_delay_passes_and_who_waited_is_greeted() {
    let server = server_with(Settings { greet_delay: Duration::from_millis(50), ..strict() }, Deadlines::default());
    server.client().send("QUIT\r\n").expect(&[221]).expect_end();
    server.stop(());
}

#[test]
fn connections_of_a_source_at_the_limit_and_one_beyond() {
    let server = server_with(Settings { connections: often(2), ..strict() }, Deadlines::default());
    for _ in 0..2 {
        server.client().send("QUIT\r\n").expect(&[221]).expect_end();
    }
    let answer = poured(&server, "");
    assert!(answer.starts_with("421 4.7.1 Error: too many connections from your address, try again in "), "{answer}");
    assert!(answer.ends_with(" s\r\n") && answer.lines().count() == 1, "{answer}");
    assert_eq!(server.refusals.total(Reason::ConnectionRate), 1);
    server.stop(());
}

#[test]
fn messages_and_recipients_of_a_source_at_the_limit_and_one_beyond() {
    let settings = Settings { messages: often(3), recipients: often(2), failures: often(1), ..strict() };
    let server = server_with(settings, Deadlines::default());
    let (mut one, mut other) = (server.client(), server.client());
    one.send("HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").expect(&[250, 250, 250]);
    other.send("HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").expect(&[250, 250, 250]);
    let refused = |client: &mut Client, command: &str, what: &str| {
        client.send(command);
        let reply = client.reply();
        assert!(reply.starts_with(&format!("450 4.7.1 Error: too many {what} from your address")), "{reply}");
    };
    refused(&mut one, "RCPT TO:<e@f>\r\n", "recipients");
    refused(&mut other, "RCPT TO:<e@f>\r\n", "recipients");
    for client in [&mut one, &mut other] {
        client.send("DATA\r\n").expect(&[354]).send("x\r\n.\r\n").expect(&[250]);
    }
    one.send("MAIL FROM:<a@b>\r\n").expect(&[250]);
    refused(&mut other, "MAIL FROM:<a@b>\r\n", "messages");
    // What was sent behind it without a pause is put off as well, and spends nothing.
    refused(&mut other, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nBDAT 6 LAST\r\nNOOP\r\n", "messages");
    for _ in 0..3 {
        assert_eq!(other.reply(), "450 4.7.1 Error: the sender was not accepted, try again later");
    }
    other.send("NOOP\r\n").expect(&[250]);
    assert_eq!(server.messages().len(), 2);
    // What was only put off behind a MAIL is no refusal of its own.
    let counts = [Reason::MessageRate, Reason::RecipientRate].map(|reason| server.refusals.total(reason));
    assert_eq!(counts, [2, 2]);
    server.stop((one, other));
}

#[test]
fn errors_of_a_source_over_all_its_sessions_at_the_limit_and_one_beyond() {
    let server = server_with(Settings { failures: often(3), ..strict() }, Deadlines::default());
    let (mut one, mut other) = (server.client(), server.client());
    one.send("FROB\r\nFROB\r\nNOOP\r\n").expect(&[500, 500, 250]);
    other.send("FROB\r\nNOOP\r\n").expect(&[500, 250]);
    other.send("FROB\r\nNOOP\r\n").expect(&[500]);
    let reply = other.reply();
    assert!(reply.starts_with("421 4.7.1 Error: too many errors from your address, try again in "), "{reply}");
    other.expect_end();
    one.send("NOOP\r\n").expect(&[250]);
    assert_eq!(server.refusals.total(Reason::ErrorRate), 1);
    server.stop(one);
}

#[test]
fn the_disk_that_unfinished_messages_of_a_source_hold_is_bounded() {
    let limits = Limits { message: 3_000_000, ..Limits::default() };
    let server = server_with(Settings { limits, unfinished: 4_000_000, ..strict() }, Deadlines::default());
    let full = "452 4.3.1 Error: unfinished messages from your address hold too much disk, try again later";
    let mut holder = server.client();
    holder.send("HELO c\r\nMAIL FROM:<a@b> SIZE=3000000\r\n").expect(&[250, 250]);
    let mut other = server.client();
    other.send("HELO c\r\nMAIL FROM:<a@b> SIZE=1000001\r\n").expect(&[250]);
    assert_eq!(other.reply(), full);
    other.send("MAIL FROM:<a@b> SIZE=1000000\r\nRSET\r\n").expect(&[250, 250]);
    // What was not declared counts as it comes; what lies in memory does not.
    other.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").expect(&[250, 250, 354]);
    other.send("line\r\n".repeat(200_000)).send(".\r\n");
    assert_eq!(other.reply(), full);
    other.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").expect(&[250, 250, 354]);
    other.send("line\r\n".repeat(10_000)).send(".\r\n").expect(&[250]);
    drop(holder);
    server.wait_until_one_is_left();
    other.send("MAIL FROM:<a@b> SIZE=3000000\r\n").expect(&[250]);
    assert_eq!(server.messages().len(), 1);
    assert_eq!(server.refusals.total(Reason::DiskShare), 2);
    server.stop(other);
}

impl Server {
    fn wait_until_one_is_left(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.runtime.block_on(self.workers.report(2)).len() > 1 {
            assert!(Instant::now() < until, "a connection is left behind");
            std::thread::yield_now();
        }
    }
}
