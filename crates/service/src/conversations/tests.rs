use super::*;

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4711))
}

fn begin(keeper: &Conversations, connection: u64) -> Option<Transcript> {
    keeper.begin(connection, peer(), "mail")
}

fn said(conversation: &Conversation) -> Vec<String> {
    let letter = |from| match from {
        Speaker::Client => "C",
        Speaker::Server => "S",
        Speaker::Elided => "-",
    };
    conversation.lines.iter().map(|line| format!("{}: {}", letter(line.from), line.text)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_session_is_kept_with_its_moments_and_without_its_bodies() {
    let keeper = Conversations::default();
    keeper.keep_next(1);
    let mut transcript = begin(&keeper, 7).unwrap();
    transcript.server(b"220 mx ESMTP\r\n");
    tokio::time::advance(Duration::from_millis(250)).await;
    transcript.client(b"EHLO c\r\n");
    transcript.server(b"250-mx\r\n250 HELP\r\n");
    transcript.client(b"DATA\r\n");
    transcript.server(b"354 go\r\n");
    transcript.elide(1_000_000);
    transcript.elide(234_567);
    transcript.server(b"250 ok\r\n");
    let conversation = keeper.find(7).unwrap();
    assert_eq!(
        said(&conversation),
        [
            "S: 220 mx ESMTP",
            "C: EHLO c",
            "S: 250-mx",
            "S: 250 HELP",
            "C: DATA",
            "S: 354 go",
            "-: … 1,234,567 bytes",
            "S: 250 ok"
        ]
    );
    assert_eq!(conversation.lines[0].at, Duration::ZERO);
    assert_eq!(conversation.lines[1].at, Duration::from_millis(250));
    assert_eq!((conversation.peer, conversation.channel.as_str()), (peer(), "mail"));
    assert!(!conversation.over && !conversation.cut);
    transcript.elide(999);
    drop(transcript);
    let conversation = keeper.find(7).unwrap();
    assert!(conversation.over);
    assert_eq!(said(&conversation).last().unwrap(), "-: … 999 bytes");
}

#[tokio::test(start_paused = true)]
async fn it_is_off_until_asked_and_turns_itself_off() {
    let keeper = Conversations::default();
    assert_eq!(keeper.keeping(), Keeping::Off);
    assert!(begin(&keeper, 1).is_none());

    keeper.keep_next(2);
    assert_eq!(keeper.keeping(), Keeping::Next(2));
    assert!(begin(&keeper, 2).is_some());
    assert_eq!(keeper.keeping(), Keeping::Next(1));
    assert!(begin(&keeper, 3).is_some());
    assert_eq!(keeper.keeping(), Keeping::Off);
    assert!(begin(&keeper, 4).is_none());

    keeper.keep_for(Duration::from_secs(60));
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(keeper.keeping(), Keeping::For(Duration::from_secs(1)));
    assert!(begin(&keeper, 5).is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(keeper.keeping(), Keeping::Off);
    assert!(begin(&keeper, 6).is_none());

    keeper.keep_for(Duration::MAX);
    assert_eq!(keeper.keeping(), Keeping::For(Conversations::LONGEST));
    let open = begin(&keeper, 7);
    keeper.stop();
    assert!(begin(&keeper, 8).is_none());
    keeper.keep_next(3);
    keeper.keep_next(0);
    assert_eq!(keeper.keeping(), Keeping::Off);
    drop(open);
    let connections: Vec<u64> = keeper.list().iter().map(|conversation| conversation.connection).collect();
    assert_eq!(connections, [7, 5, 3, 2]);
}

#[test]
fn sessions_at_the_limit_and_one_beyond() {
    let keeper = Conversations::default();
    keeper.keep_next(u32::MAX);
    let mut open: Vec<_> = (0..Conversations::MOST as u64).map(|number| begin(&keeper, number).unwrap()).collect();
    assert_eq!(keeper.list().len(), Conversations::MOST);
    assert!(keeper.find(0).is_some());
    open.push(begin(&keeper, 1_000).unwrap());
    assert_eq!(keeper.list().len(), Conversations::MOST);
    assert!(keeper.find(0).is_none());
    // What made room holds nothing, though its session goes on.
    open[0].client(b"NOOP\r\n");
    assert!(open[0].kept.upgrade().is_none());
    keeper.forget();
    assert!(keeper.list().is_empty());
    assert!(open.iter().all(|transcript| transcript.kept.upgrade().is_none()));
}

#[test]
fn bytes_at_the_limit_and_one_beyond() {
    let keeper = Conversations::default();
    keeper.keep_next(u32::MAX);
    for (beyond, cut) in [(0, false), (1, true)] {
        let mut transcript = begin(&keeper, beyond).unwrap();
        let mut left = Conversations::MOST_BYTES;
        while left > 4_096 {
            transcript.server(&[b'x'; 1_000]);
            left -= 1_000 + size_of::<Line>();
        }
        let half = left / 2;
        transcript.server(&vec![b'y'; half - size_of::<Line>()]);
        transcript.server(&vec![b'z'; left - half - size_of::<Line>() + beyond as usize]);
        let conversation = keeper.find(beyond).unwrap();
        assert_eq!(conversation.cut, cut);
        assert_eq!(conversation.lines.last().unwrap().text.starts_with('z'), !cut);
        assert!(conversation.bytes <= Conversations::MOST_BYTES);
        // Once cut, nothing is added, however small: a gap in the middle would mislead.
        transcript.client(b"\n");
        assert_eq!(keeper.find(beyond).unwrap().lines.len(), conversation.lines.len());
    }
    let mut transcript = begin(&keeper, 9).unwrap();
    transcript.client(&b"\n".repeat(1_000_000));
    assert!(keeper.find(9).unwrap().lines.len() <= Conversations::MOST_BYTES / size_of::<Line>());
}

#[test]
fn a_line_is_printable_and_tells_no_secret() {
    for (line, expect) in [
        (&b"NOOP"[..], "NOOP"),
        (b"", ""),
        ("MAIL FROM:<päivi@bücher.example>".as_bytes(), "MAIL FROM:<päivi@bücher.example>"),
        (b"NOOP a\tb\0c\x1b[31m", "NOOP a\\tb\\u{0}c\\u{1b}[31m"),
        (b"\xff\xc3(", "\\xff\\xc3("),
        ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
        (b"AUTH PLAIN AGFsaWNlAHNlY3JldA==", "AUTH PLAIN …"),
        (b"auth plain AGFsaWNlAHNlY3JldA== x", "auth plain …"),
        (b"AUTH LOGIN", "AUTH LOGIN"),
        (b"AUTH\tPLAIN\tAGFsaWNlAHNlY3JldA==", "AUTH PLAIN …"),
        (b" AUTH  PLAIN AGFsaWNlAHNlY3JldA==", "AUTH PLAIN …"),
        (b"AUTH\x0bs3cret", "AUTH …"),
        (b"AUTH s3cret", "AUTH …"),
        (b"AUTHOR x y", "AUTHOR… 10 bytes"),
        (b"exactly16letters", "exactly16letters"),
        (b"exactly16letters+", "exactly16letters… 17 bytes"),
        (b"Dear Bob, the secret is 42", "Dear… 26 bytes"),
        (b"   ", "… 3 bytes"),
    ] {
        assert_eq!(Verb::of(line).shown(line), expect);
    }
    assert_eq!(printable(b"AUTH PLAIN x"), "AUTH PLAIN x");
    assert_eq!(printable(&[b'x'; LONGEST_LINE]).len(), LONGEST_LINE);
    assert_eq!(printable(&[b'x'; LONGEST_LINE + 1]).chars().count(), LONGEST_LINE + 1);
}

#[test]
fn what_follows_auth_is_left_out_until_the_next_command() {
    let keeper = Conversations::default();
    keeper.keep_next(1);
    let mut transcript = begin(&keeper, 7).unwrap();
    transcript.client(b"AUTH LOGIN\r\nYWRh\r\nczNjcmV0\r\nnoop\r\nYWRh\r\n");
    transcript.client(b"auth\tPLAIN\r\n");
    transcript.server(b"502 no\r\n");
    transcript.client(b"AHNlY3JldA==\r\n");
    transcript.server(b"500 what\r\n");
    transcript.client(b"QUIT\r\n");
    let expect = [
        "C: AUTH LOGIN",
        "-: … 16 bytes",
        "C: noop",
        "C: YWRh",
        "C: auth PLAIN",
        "S: 502 no",
        "-: … 14 bytes",
        "S: 500 what",
        "C: QUIT",
    ];
    assert_eq!(said(&keeper.find(7).unwrap()), expect);
}

#[test]
fn the_text_behind_a_refused_data_is_left_out_whatever_words_it_begins_with() {
    let keeper = Conversations::default();
    keeper.keep_next(1);
    let mut transcript = begin(&keeper, 7).unwrap();
    let mut exchange = |line: &str, reply: &str| {
        transcript.client(line.as_bytes());
        transcript.server(reply.as_bytes());
    };
    exchange("data\r\n", "554 no recipients\r\n");
    for (line, reply) in [
        ("Help me, the password is 42\r\n", "214 EHLO\r\n"),
        ("MAIL me at noon\r\n", "501 no\r\n"),
        ("Dear Bob\r\n", "500 no\r\n"),
        ("noop secret\r\n", "250 ok\r\n"),
        ("Data is secret\r\n", "501 no\r\n"),
        ("helo secret\r\n", "250 mx\r\n"),
        (".\r\n", "500 no\r\n"),
        ("RSET\r\n", "250 ok\r\n"),
        ("NOOP secret\r\n", "250 ok\r\n"),
        ("MAIL FROM:<a@b>\r\n", "250 taken\r\n"),
        ("RCPT TO:<c@d>\r\n", "250 ok\r\n"),
        ("DATA\r\n", "451 later\r\n"),
        ("Help, secret\r\n", "214 EHLO\r\n"),
        ("DATA\r\n", "354 go\r\n"),
        ("HELP all\r\n", "214 EHLO\r\n"),
    ] {
        exchange(line, reply);
    }
    drop(transcript);
    let said = said(&keeper.find(7).unwrap());
    assert!(!said.iter().any(|line| line.contains("secret") || line.contains("42")), "{said:?}");
    let of_client: Vec<_> = said.iter().filter(|line| !line.starts_with('S')).map(String::as_str).collect();
    let expect = [
        "C: data",
        "-: … 29 bytes",
        "-: … 17 bytes",
        "-: … 10 bytes",
        "-: … 13 bytes",
        "-: … 16 bytes",
        "-: … 13 bytes",
        "-: … 3 bytes",
        "C: RSET",
        "-: … 13 bytes",
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "C: DATA",
        "-: … 14 bytes",
        "C: DATA",
        "C: HELP all",
    ];
    assert_eq!(of_client, expect);
}

#[test]
fn a_message_of_an_earlier_run_has_no_session_here() {
    let keeper = Conversations::default();
    keeper.keep_next(1);
    drop(begin(&keeper, 12));
    let began = keeper.find(12).unwrap().began;
    assert!(keeper.of_message(12, began).is_some());
    assert!(keeper.of_message(13, began).is_none());
    assert!(keeper.of_message(12, began - Duration::from_millis(2)).is_none());
}
