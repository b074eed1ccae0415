use super::*;

/// Says yes to everything, and notes what happened: events and bodies.
struct Driver {
    session: Session,
    input: Vec<u8>,
    out: Vec<u8>,
    log: Vec<String>,
    body: Vec<u8>,
    stored: usize,
}

impl Driver {
    fn new(limits: Limits) -> Self {
        let session = Session::new("mx.example.org", limits);
        Self { session, input: Vec::new(), out: Vec::new(), log: Vec::new(), body: Vec::new(), stored: 0 }
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.input.extend_from_slice(bytes.as_ref());
        loop {
            let Progress { consumed, event } = self.session.receive(&self.input, &mut self.out);
            let stop = matches!(event, Event::NeedMore | Event::Close);
            match &event {
                Event::NeedMore => {}
                Event::Body(slice) => self.body.extend_from_slice(slice),
                Event::Close if self.log.last().is_some_and(|last| last == "Close") => {}
                event => self.log.push(format!("{event:?}")),
            }
            let (question, end) = (matches!(event, Event::Mail | Event::Recipient), matches!(event, Event::BodyEnd));
            if matches!(event, Event::Fault(_) | Event::Hello | Event::Reset) {
                self.body.clear();
            }
            self.input.drain(..consumed);
            if question {
                self.session.accept(&mut self.out);
            }
            if end {
                self.stored += 1;
                self.log.push(self.body.escape_ascii().to_string());
                self.body.clear();
                self.session.stored(self.stored, &mut self.out);
            }
            if stop {
                return self;
            }
        }
    }

    /// The replies since the last time.
    fn replies(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.out)).unwrap()
    }

    fn codes(&mut self) -> Vec<u16> {
        let replies = self.replies();
        let last_lines = replies.lines().filter(|line| line.as_bytes().get(3) == Some(&b' '));
        last_lines.map(|line| line[..3].parse().unwrap()).collect()
    }
}

const ONE_MAIL: &str =
    "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\nSubject: x\r\n\r\n..text\r\n.\r\nQUIT\r\n";

/// Where in it the text could begin.
const DATA_AT: usize = 55;

#[test]
fn a_mail_with_its_events() {
    assert!(ONE_MAIL[DATA_AT..].starts_with("DATA"));
    let mut driver = Driver::new(Limits::default());
    driver.session.greeting(&mut driver.out);
    assert_eq!(driver.replies(), "220 mx.example.org ESMTP Sportello\r\n");
    driver.say("EHLO c\r\nMAIL FROM:<a@b> SIZE=7\r\nRCPT TO:<c@d>\r\n");
    assert_eq!(driver.session.hello(), Some(&Hello::Ehlo("c".into())));
    let envelope = driver.session.envelope().unwrap();
    assert_eq!((envelope.mail.size, envelope.recipients.len()), (Some(7), 1));
    driver.say("DATA\r\n..a\r\n.\r\n");
    assert_eq!(driver.session.envelope(), None);
    driver.say("QUIT\r\n");
    assert_eq!(driver.log, ["Hello", "Mail", "Recipient", "Data", "BodyEnd", ".a\\r\\n", "Close"]);
    assert_eq!(
        driver.replies(),
        "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n\
         250-BINARYMIME\r\n250-LIMITS MAILMAX=100000 RCPTMAX=1000 RCPTDOMAINMAX=1000\r\n250 ENHANCEDSTATUSCODES\r\n\
         250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Ok: queued as 1\r\n221 2.0.0 Bye\r\n"
    );
}

#[test]
fn a_question_is_asked_until_it_is_answered() {
    let mut session = Session::new("h", Limits::default());
    let mut out = Vec::new();
    assert_eq!(session.receive(b"HELO c\r\n", &mut out).event, Event::Hello);
    let input = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nNOOP\r\n";
    let mut rest = &input[..];
    let mut ask = |session: &mut Session, expect: Event<'_>| {
        let mut out = Vec::new();
        let Progress { consumed, event } = session.receive(rest, &mut out);
        assert!(event == expect && out.is_empty(), "{event:?}");
        rest = &rest[consumed..];
        let again = session.receive(rest, &mut out);
        assert_eq!(again, Progress { consumed: 0, event: expect });
    };
    ask(&mut session, Event::Mail);
    session.stored(1, &mut out); // an answer to another question changes nothing
    ask(&mut session, Event::Mail);
    session.accept(&mut out);
    ask(&mut session, Event::Recipient);
    assert_eq!(session.recipient().unwrap().path.to_string(), "c@d");
    session.refuse(Reply::new(550, "5.1.1", "No"), &mut out);
    assert_eq!(session.recipient(), None);
    assert_eq!(session.receive(b"RCPT TO:<e@f>\r\n", &mut out).event, Event::Recipient);
    session.accept(&mut out);
    session.accept(&mut out);
    let recipients = |session: &Session| session.envelope().unwrap().recipients.len();
    assert_eq!(recipients(&session), 1);
    assert_eq!(session.receive(b"DATA\r\n", &mut out).event, Event::Data);
    assert_eq!(session.receive(b".\r\n", &mut out).event, Event::BodyEnd);
    out.clear();
    session.accept(&mut out);
    assert_eq!((session.receive(b"NOOP\r\n", &mut out).event, out.len()), (Event::BodyEnd, 0));
    session.refuse(Reply::new(451, "4.3.0", "Later"), &mut out);
    assert_eq!(out, b"451 4.3.0 Later\r\n");
    assert_eq!(session.envelope(), None);
}

#[test]
fn a_text_refused_by_the_driver_is_read_to_its_end() {
    let mut driver = Driver::new(Limits::default());
    driver.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nfirst\r\n").replies();
    let Driver { session, out, .. } = &mut driver;
    session.refuse(Reply::new(452, "4.3.1", "Disk full"), out);
    assert!(out.is_empty(), "nothing is said before the end");
    driver.say("second\r\nQUIT\r\n.\r\nNOOP\r\n");
    assert_eq!(driver.replies(), "452 4.3.1 Disk full\r\n250 2.0.0 Ok\r\n");
    assert_eq!(driver.body, b"first\r\n");
}

#[test]
fn text_read_past_at_the_limit_and_one_octet_beyond() {
    for (beyond, expect) in
        [(0, "550 5.5.2 Error: the message has an LF without CR (curl: --crlf)\r\n250 2.0.0 Ok\r\n"), (1, "550 ")]
    {
        let limits = Limits { message: 100, ..Limits::default() };
        let most = usize::try_from(limits.refused_text()).unwrap() - "\r\n.\r\n".len();
        let mut driver = Driver::new(limits);
        driver.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").replies();
        // The bare LF is where it is refused.
        driver.say("a\n").say(vec![b'x'; most - 1]).say(vec![b'x'; 1 + beyond]).say("\r\n.\r\nNOOP\r\n");
        let replies = driver.replies();
        assert!(replies.starts_with(expect), "{beyond}: {replies}");
        assert_eq!((replies.lines().count(), driver.session.errors()), (2 - beyond, 1));
        assert_eq!(driver.log.last().is_some_and(|last| last == "Close"), beyond == 1, "{:?}", driver.log);
        assert!(driver.log.iter().any(|event| event.starts_with("Refused")), "it is told in the log");
    }
}

#[test]
fn chunks_read_past_at_the_limit_and_one_octet_beyond() {
    let limits = Limits { message: Limits::REFUSED_SLACK, ..Limits::default() };
    let (half, most) = (limits.message, limits.refused_text());
    assert_eq!(half * 2, most);
    let chunk = |octets: u64| format!("BDAT {octets}\r\n{}", "x".repeat(usize::try_from(octets).unwrap()));
    let mut driver = Driver::new(limits);
    driver.say("EHLO c\r\n").say(chunk(half)).say(chunk(half)).say("BDAT 0\r\n");
    assert_eq!(driver.codes(), [250, 503, 503, 503]);
    // What a transaction that begins has left behind it no longer counts.
    driver.say("MAIL FROM:<a@b>\r\n").say(chunk(half)).say(chunk(half));
    assert_eq!(driver.codes(), [250, 554, 554]);
    driver.say(chunk(1)).say("NOOP\r\n");
    assert_eq!(driver.codes(), [554]);
    assert_eq!(driver.log.last().unwrap(), "Close");
}

#[test]
fn a_command_line_at_the_limit_and_one_octet_beyond() {
    let limits = Limits { command_line: 20, ..Limits::default() };
    for (length, code) in [(20, 250), (21, 500)] {
        let line = format!("NOOP {}\r\n", "x".repeat(length - 7));
        let mut whole = Driver::new(limits.clone());
        assert_eq!(whole.say(&line).codes(), [code]);
        let mut pieces = Driver::new(limits.clone());
        for byte in line.bytes() {
            pieces.say([byte]);
        }
        assert_eq!(pieces.codes(), [code]);
    }
}

#[test]
fn recipients_at_the_limit_and_one_beyond() {
    let mut driver = Driver::new(Limits { recipients: 100, ..Limits::default() });
    driver.say("EHLO c\r\nMAIL FROM:<a@b>\r\n").replies();
    for number in 0..100 {
        assert_eq!(driver.say(format!("RCPT TO:<r{number}@x>\r\n")).codes(), [250]);
    }
    assert_eq!(driver.say("RCPT TO:<beyond@x>\r\n").replies(), "452 4.5.3 Error: too many recipients\r\n");
    assert_eq!(driver.session.envelope().unwrap().recipients.len(), 100);
    assert_eq!(driver.say("DATA\r\n.\r\n").codes(), [354, 250]);
}

#[test]
fn a_declared_size_at_the_limit_and_one_octet_beyond() {
    let mut driver = Driver::new(Limits { message: 1_000, ..Limits::default() });
    driver.say("EHLO c\r\n").replies();
    assert_eq!(driver.say("MAIL FROM:<a@b> SIZE=1001\r\n").replies(), "552 5.3.4 Error: the message is too large\r\n");
    assert_eq!(driver.say("MAIL FROM:<a@b> SIZE=1000\r\n").codes(), [250]);
}

#[test]
fn errors_at_the_limit_and_one_beyond() {
    let mut driver = Driver::new(Limits { errors: 3, ..Limits::default() });
    assert_eq!(driver.say("X\r\nX\r\nX\r\nNOOP\r\n").codes(), [500, 500, 500, 250]);
    assert_eq!(driver.say("X\r\nNOOP\r\n").replies(), "421 4.7.0 Error: too many errors\r\n");
    assert_eq!(driver.log.last().unwrap(), "Close");
}

#[test]
fn commands_without_a_message_at_the_limit_and_one_beyond() {
    let limits = Limits { idle_commands: 6, ..Limits::default() };
    let mut driver = Driver::new(limits.clone());
    assert_eq!(driver.say("NOOP\r\n".repeat(7)).codes(), [250, 250, 250, 250, 250, 250, 421]);
    let mut driver = Driver::new(limits);
    driver.say("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nEHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n").replies();
    assert_eq!(
        driver.say("RSET\r\n".repeat(7)).codes(),
        [250, 250, 250, 250, 250, 250, 421],
        "a message starts the count anew"
    );
}

#[test]
fn refused_recipients_without_a_message_at_the_limit_and_one_beyond() {
    let limits = Limits { recipients: 1, idle_commands: 5, ..Limits::default() };
    let mut driver = Driver::new(limits);
    driver.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").replies();
    // Two commands so far that bring no message further; three refused recipients make five.
    assert_eq!(driver.say("RCPT TO:<e@f>\r\n".repeat(5)).codes(), [452, 452, 452, 421]);
    assert_eq!(driver.log.last().unwrap(), "Close");
}

#[test]
fn what_is_pipelined_behind_a_mail_put_off_is_no_error_and_bounded_all_the_same() {
    let said = |reply: Reply, commands: &str| {
        let limits = Limits { errors: 2, idle_commands: 8, ..Limits::default() };
        let mut session = Session::new("mx.example.org", limits);
        let (input, mut out) = (format!("HELO c\r\nMAIL FROM:<a@b>\r\n{commands}"), Vec::new());
        let mut input = input.as_bytes();
        loop {
            let Progress { consumed, event } = session.receive(input, &mut out);
            input = &input[consumed..];
            match event {
                Event::Mail => session.refuse(reply.clone(), &mut out),
                Event::NeedMore if input.is_empty() => break,
                Event::Close => break,
                _ => {}
            }
        }
        let codes =
            String::from_utf8(out).unwrap().lines().map(|line| line[..3].parse().unwrap()).collect::<Vec<u16>>();
        (codes, session.errors())
    };
    let (later, never) = (Reply::new(450, "4.7.1", "Later"), Reply::new(550, "5.7.1", "Never"));
    let batch = "RCPT TO:<c@d>\r\nDATA\r\nBDAT 3 LAST\r\nx\r\n";
    assert_eq!(said(later.clone(), batch), (vec![250, 450, 450, 450, 450], 0));
    assert_eq!(said(never, batch), (vec![250, 550, 503, 421], 3));
    // HELO and MAIL are two commands that bring no message further; six make eight.
    assert_eq!(said(later.clone(), &"DATA\r\n".repeat(6)).0, [250, 450, 450, 450, 450, 450, 450, 450]);
    assert_eq!(said(later, &"DATA\r\n".repeat(7)).0, [250, 450, 450, 450, 450, 450, 450, 450, 421]);
}

#[test]
fn small_chunks_without_a_message_at_the_limit_and_one_beyond() {
    let chunk = |octets: u64| format!("BDAT {octets}\r\n{}", "x".repeat(octets as usize));
    let begin = "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    for (octets, last) in [(Limits::SMALL_CHUNK - 1, 421), (Limits::SMALL_CHUNK, 250)] {
        let mut driver = Driver::new(Limits { idle_commands: 4, ..Limits::default() });
        driver.say(begin).replies();
        assert_eq!(driver.say(chunk(octets).repeat(3)).codes(), [250, 250, last], "chunks of {octets}");
    }
}

#[test]
fn messages_of_a_session_at_the_limit_and_one_beyond() {
    let mut driver = Driver::new(Limits { messages: 2, ..Limits::default() });
    let begin = "MAIL FROM:<a@b>\r\nRSET\r\n";
    assert_eq!(driver.say("HELO c\r\n").say(begin).say(begin).codes(), [250, 250, 250, 250, 250]);
    assert_eq!(driver.say(begin).replies(), "421 4.7.0 Error: too many messages in one session, connect again\r\n");
    assert_eq!(driver.log.last().unwrap(), "Close");
}

#[test]
fn domains_of_a_message_at_the_limit_and_one_beyond() {
    let mut driver = Driver::new(Limits { recipient_domains: 2, recipients: 4, ..Limits::default() });
    driver.say("EHLO c\r\n");
    assert!(driver.replies().contains("250-LIMITS MAILMAX=100000 RCPTMAX=4 RCPTDOMAINMAX=2\r\n"));
    for _ in 0..2 {
        driver.say("MAIL FROM:<a@b>\r\nRCPT TO:<a@one>\r\nRCPT TO:<b@TWO>\r\nRCPT TO:<c@ONE>\r\n");
        assert_eq!(driver.codes(), [250, 250, 250, 250]);
        driver.say("RCPT TO:<d@three>\r\n");
        assert_eq!(driver.replies(), "452 4.5.3 Error: too many domains among the recipients\r\n");
        assert_eq!(driver.say("RCPT TO:<e@two>\r\nRCPT TO:<f@two>\r\n").codes(), [250, 452]);
        assert_eq!(driver.say("DATA\r\n.\r\n").codes(), [354, 250]);
    }
}

#[test]
fn chunks_make_a_message_and_a_size_at_the_limit_and_one_octet_beyond() {
    let begin = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    for (last, codes, stored) in [(60, [250, 250], 1), (61, [250, 552], 0)] {
        let mut driver = Driver::new(Limits { message: 100, ..Limits::default() });
        driver.say("EHLO c\r\n").say(begin).replies();
        driver.say(format!("BDAT 40\r\n{}BDAT {last} LAST\r\n{}", "x".repeat(40), "y".repeat(last)));
        assert_eq!((driver.codes(), driver.stored), (codes.to_vec(), stored));
        assert_eq!(driver.session.envelope(), None);
    }
    for (octets, ends) in [(100, false), (101, true), (u64::MAX, true)] {
        for begin in ["", begin] {
            let mut driver = Driver::new(Limits { message: 100, ..Limits::default() });
            driver.say("EHLO c\r\n").say(begin).replies();
            driver.say(format!("BDAT {octets}\r\n"));
            assert_eq!(driver.codes(), if ends { &[552][..] } else { &[] });
            assert_eq!(driver.log.last().unwrap() == "Close", ends);
        }
    }
}

#[test]
fn a_chunk_refused_by_the_driver_is_read_to_its_end() {
    let mut driver = Driver::new(Limits::default());
    driver.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 20 LAST\r\nfirst\r\n").replies();
    assert!(driver.session.is_in_text() && !driver.session.awaits_command());
    let Driver { session, out, .. } = &mut driver;
    session.refuse(Reply::new(452, "4.3.1", "Disk full"), out);
    assert!(out.is_empty(), "nothing is said before the end");
    assert!(driver.session.is_in_text());
    driver.say("QUIT\r\nRSET\r\n\nNOOP\r\n");
    assert_eq!(driver.replies(), "452 4.3.1 Disk full\r\n250 2.0.0 Ok\r\n");
    assert!(!driver.session.is_in_text());
    assert_eq!((driver.body.as_slice(), driver.stored), (&b"first\r\n"[..], 0));
}

#[test]
fn between_chunks_a_message_has_begun_and_a_command_may_come() {
    let mut driver = Driver::new(Limits::default());
    driver.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nabc");
    assert!(driver.session.is_in_text() && driver.session.awaits_command());
    assert_eq!(driver.session.envelope().unwrap().recipients.len(), 1);
    driver.say("NOOP\r\nBDAT 0 LAST\r\n");
    assert_eq!(
        driver.log,
        ["Hello", "Mail", "Recipient", "Data", "Answered", "Answered", "Answered", "BodyEnd", "abc"]
    );
}

#[test]
fn after_its_end_a_session_says_nothing() {
    let mut driver = Driver::new(Limits::default());
    assert_eq!(driver.say("QUIT\r\nNOOP\r\n").codes(), [221]);
    assert_eq!(driver.say("NOOP\r\n").codes(), []);
    assert!(driver.input.is_empty());
    let Driver { session, out, .. } = &mut driver;
    session.close(&Reply::new(421, "4.3.2", "Shutting down"), out);
    session.refuse(Reply::new(421, "4.3.2", "Shutting down"), out);
    session.accept(out);
    assert!(out.is_empty());
}

/// Sessions made of good and bad parts, cut at random places: events, bodies and replies must not depend on the cuts.
#[test]
fn the_same_bytes_in_any_pieces_give_the_same_events() {
    let mut seed = 0xc0ffee_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let long = format!("NOOP {}\r\n", "x".repeat(60));
    let parts: [&str; 32] = [
        ONE_MAIL,
        "EHLO c\r\n",
        "HELO c\r\n",
        "MAIL FROM:<a@b>\r\n",
        "MAIL FROM:<a@b> SIZE=10\r\n",
        "RCPT TO:<c@d>\r\n",
        "RCPT TO:<c d>\r\n",
        "DATA\r\n",
        "text\r\n",
        "..text\r\n",
        ".\r\n",
        "\r\n.\r\n",
        "line\nline\r\n.\r\n",
        "\r\n.\r\r\n",
        "RSET\r\n",
        "NOOP\r\n",
        "NOOP\n",
        "no command\r\n",
        "0123456789012345678901234567890123456789\r\n",
        "GET / HTTP/1.1\r\n",
        "\0\r\n",
        "QUIT\r\n",
        "\r\n",
        "BDAT 6\r\ntext\r\n",
        "BDAT 6 LAST\r\nRSET\r\n",
        "BDAT 2 LAST\r\na\r",
        "BDAT 3\r\na\nb",
        "BDAT 0 LAST\r\n",
        "BDAT 0\r\n",
        "BDAT 61\r\n",
        "MAIL FROM:<a@b> BODY=BINARYMIME\r\n",
        &long,
    ];
    let limits =
        Limits { command_line: 64, message: 60, text_line: 32, errors: 4, idle_commands: 9, ..Limits::default() };
    let mut mails = 0;
    for _ in 0..3_000 {
        let mut input = match random(4) {
            0 => String::new(),
            1 => ONE_MAIL[..DATA_AT].to_owned(),
            _ => ONE_MAIL[..random(ONE_MAIL.len())].to_owned(),
        };
        (0..random(12)).for_each(|_| input.push_str(parts[random(parts.len())]));
        let mut whole = Driver::new(limits.clone());
        whole.say(&input);
        for most in [1, 2, 7, 40] {
            let mut pieces = Driver::new(limits.clone());
            let mut rest = input.as_bytes();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + random(most)).min(rest.len()));
                pieces.say(piece);
                rest = after;
            }
            assert_eq!(pieces.log, whole.log, "{input:?}");
            assert_eq!(pieces.replies(), String::from_utf8_lossy(&whole.out), "{input:?}");
        }
        mails += whole.stored;
    }
    assert!(mails > 300, "the test must see mails: {mails}");
}

#[test]
fn a_session_that_waits_is_small() {
    assert!(size_of::<Session>() <= 200, "{}", size_of::<Session>());
}
