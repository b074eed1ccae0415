use super::letter::{Origin, part_body};
use super::structure::{Encoding, Kind, Structure};
use super::*;

fn letter(message: &str) -> Letter {
    Letter::of(message.replace('\n', "\r\n").as_bytes(), &Limits::default())
}

/// The structure as one line: depth, kind and type of each part.
fn outline(message: &str, limits: &Limits) -> (String, bool) {
    let structure = Structure::of(message.replace('\n', "\r\n").as_bytes(), limits);
    let outline: Vec<String> =
        structure.parts.iter().map(|part| format!("{}{}", ">".repeat(part.depth), part.media_type)).collect();
    (outline.join(" "), structure.cut)
}

const ALTERNATIVE: &str = "From: =?utf-8?q?Andr=C3=A9?= <a@example.org>
To: b@example.org
Subject: =?utf-8?b?w4RwZmVs?=
 and more
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

preamble
--outer
Content-Type: multipart/alternative; boundary=\"in ner\"

--in ner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9 =
done
--in ner
Content-Type: text/html

<p>caf\u{e9}</p>
--in ner--
--outer
Content-Type: application/pdf; name=\"x.pdf\"
Content-Disposition: attachment; filename=\"../r\u{e9}port.pdf\"
Content-Transfer-Encoding: base64

aGVsbG8=
--outer
Content-Type: message/rfc822

Subject: inner

inner text
--outer--
epilogue
";

#[test]
fn a_letter_is_read() {
    let letter = letter(ALTERNATIVE);
    assert_eq!(letter.field("subject"), Some("Äpfel and more"));
    assert_eq!(letter.field("From"), Some("André <a@example.org>"));
    let text = letter.text.as_ref().unwrap();
    assert_eq!((text.text.as_str(), text.origin), ("café done", Origin::Sent));
    assert_eq!(letter.html.as_ref().unwrap().text, "<p>café</p>");
    let saved: Vec<String> =
        letter.attachments.iter().map(|&number| saved_name(letter.part(number).unwrap())).collect();
    assert_eq!(saved, ["réport.pdf", "part-5.eml"]);
    assert!(!letter.cut);
    let crlf = ALTERNATIVE.replace('\n', "\r\n");
    assert_eq!(part_body(crlf.as_bytes(), letter.part(4).unwrap()), b"hello");
    assert_eq!(part_body(crlf.as_bytes(), letter.part(5).unwrap()), b"Subject: inner\r\n\r\ninner text");
}

#[test]
fn the_plain_view_is_what_a_terminal_may_show() {
    let plain = plain(&letter(&ALTERNATIVE.replace("caf=C3=A9", "=1B]0;x=07ding")));
    assert_eq!(
        plain,
        "From: André <a@example.org>\nTo: b@example.org\nSubject: Äpfel and more\n\n]0;xding done\n\
         [attachment 4: réport.pdf, application/pdf, 8 bytes as sent]\n\
         [attachment 5: part-5.eml, message/rfc822, 28 bytes as sent]\n"
    );
}

#[test]
fn structures() {
    for (message, expect) in [
        ("", "text/plain"),
        ("no header at all", "text/plain"),
        ("Subject: x\n\nbody", "text/plain"),
        ("Content-Type: text\n\nbody", "text/plain"),
        ("Content-Type: te<xt/html\n\nbody", "application/octet-stream"),
        ("Content-Type: multipart/mixed\n\n--x\n\na", "text/plain"),
        ("Content-Type: multipart/mixed; boundary=x\n\nno delimiter", "multipart/mixed"),
        ("Content-Type: multipart/mixed; boundary=x\n\n--x\n\na", "multipart/mixed >text/plain"),
        ("Content-Type: multipart/mixed; boundary=x\n\n--x--\n--x\n\na", "multipart/mixed"),
        ("Content-Type: multipart/mixed; boundary=x\n\n--xy\n\na\n--x\n\nb\n--x--", "multipart/mixed >text/plain"),
        ("Content-Type: multipart/mixed; boundary=x\n\na --x\n--x \n\nb\n--x--", "multipart/mixed >text/plain"),
        (
            "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: y\n\na\n--x--",
            "multipart/digest >message/rfc822 >>text/plain",
        ),
        ("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==", "message/rfc822"),
    ] {
        assert_eq!(outline(message, &Limits::default()), (expect.to_owned(), false), "{message:?}");
    }
}

#[test]
fn a_boundary_within_another_is_told_apart() {
    let message = "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n\
                   --ab\n\none\n--ab\n\ntwo\n--ab--\n--a\n\nthree\n--a--\n";
    let (outline, _) = outline(message, &Limits::default());
    assert_eq!(outline, "multipart/mixed >multipart/mixed >>text/plain >>text/plain >text/plain");
    assert_eq!(letter(message).text.unwrap().text, "one\r\ntwo\r\nthree");
}

#[test]
fn nesting_is_followed_to_the_limit_and_no_further() {
    let nested = |levels: usize| "Content-Type: message/rfc822\n\n".repeat(levels) + "Subject: x\n\nbody";
    let limits = Limits { depth: 4, ..Limits::default() };
    let structure = |levels| Structure::of(nested(levels).replace('\n', "\r\n").as_bytes(), &limits);
    assert_eq!((structure(4).parts.len(), structure(4).cut), (5, false));
    assert_eq!((structure(5).parts.len(), structure(5).cut), (5, true));
    assert_eq!(structure(5).parts.last().unwrap().kind, Kind::Leaf);
    // A million levels would end a parser that recursed, or that dropped what it built recursively.
    let deep = Letter::of(nested(1_000_000).as_bytes(), &Limits::default());
    assert!(deep.cut);
}

#[test]
fn parts_are_counted_to_the_limit_and_no_further() {
    let wide =
        |parts: usize| format!("Content-Type: multipart/mixed; boundary=x\n\n{}--x--\n", "--x\n\na\n".repeat(parts));
    let limits = Limits { parts: 10, ..Limits::default() };
    for (parts, listed, cut) in [(9, 10, false), (10, 10, true), (100_000, 10, true)] {
        let structure = Structure::of(wide(parts).replace('\n', "\r\n").as_bytes(), &limits);
        assert_eq!((structure.parts.len(), structure.cut), (listed, cut), "{parts}");
    }
}

#[test]
fn text_and_fields_are_shown_to_the_limit_and_no_further() {
    let limits = Limits { text_bytes: 5, fields: 2, ..Limits::default() };
    for (message, text, fields, cut) in [
        ("A: 1\r\nB: 2\r\n\r\n12345", "12345", 2, false),
        ("A: 1\r\nB: 2\r\n\r\n123456", "12345", 2, true),
        ("A: 1\r\nB: 2\r\nC: 3\r\n\r\n1", "1", 2, true),
    ] {
        let letter = Letter::of(message.as_bytes(), &limits);
        assert_eq!((letter.text.unwrap().text.as_str(), letter.fields.len(), letter.cut), (text, fields, cut));
    }
    let header = format!("Subject: {}\r\n\r\nx", "s".repeat(400_000));
    let letter = Letter::of(header.as_bytes(), &Limits::default());
    assert!(letter.cut);
    assert!(letter.field("subject").is_none_or(|value| value.chars().count() <= 8 * 1024 + 1));
}

#[test]
fn html_alone_is_also_text() {
    let letter = letter("Content-Type: text/html\n\n<style>p{}</style><p>Hello <b>there</b></p><p>you &amp; me</p>");
    let text = letter.text.unwrap();
    assert_eq!(text.origin, Origin::MadeFromHtml);
    assert_eq!(text.text.trim(), "Hello there\nyou & me");
}

#[test]
fn an_encoded_part_keeps_its_encoding() {
    let letter = letter("Content-Type: image/png\nContent-Transfer-Encoding: BASE64 \n\naGk=");
    let part = letter.part(0).unwrap();
    assert_eq!((part.encoding, letter.attachments.as_slice()), (Encoding::Base64, [0].as_slice()));
}

#[test]
fn a_message_is_opened_up_to_the_limit_and_not_beyond() {
    assert_eq!(readable(MOST_MESSAGE as u64).unwrap(), MOST_MESSAGE);
    for length in [MOST_MESSAGE as u64 + 1, u64::MAX] {
        assert_eq!(readable(length).unwrap_err().class, Class::TooLarge);
    }
}

#[tokio::test(start_paused = true)]
async fn large_readings_wait_for_room() {
    static ONLY: Semaphore = Semaphore::const_new(4);
    let two_mebibytes = 2 * 1024 * 1024;
    let all = room_for(&ONLY, two_mebibytes).await.unwrap();
    assert_eq!(room_for(&ONLY, 1).await.unwrap_err().class, Class::Busy, "none is left, however long one waits");
    let message = Message::large(b"a part".to_vec(), all);
    let slice = message.derived(b"derived".to_vec()).slice(0..2);
    drop(message);
    assert_eq!(ONLY.available_permits(), 0, "what is still being sent holds its room");
    drop(slice);
    assert!(room_for(&ONLY, two_mebibytes).await.is_ok());
}
