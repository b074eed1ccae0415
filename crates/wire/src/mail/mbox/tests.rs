use std::convert::Infallible;

use super::*;
use crate::mail::marks::Marks;

/// What a file holds: for each message its sender, its seconds, its flags and its bytes; and whether something was before the first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    messages: Vec<(FromLine, Marks, String)>,
    ranges: Vec<(u64, u64)>,
    strayed: bool,
}

fn read(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Held {
    let mut held = Held::default();
    let mut sink = |event: Event<'_>| {
        match event {
            Event::Stray => held.strayed = true,
            Event::Begin { line, offset } => {
                held.messages.push((line, Marks::NONE, String::new()));
                held.ranges.push((offset, 0));
            }
            Event::Text(text) => held.messages.last_mut().unwrap().2 += std::str::from_utf8(text).unwrap(),
            Event::End { marks, offset } => {
                held.messages.last_mut().unwrap().1 = marks;
                held.ranges.last_mut().unwrap().1 = offset;
            }
        }
        Ok::<(), Infallible>(())
    };
    let mut reader = Reader::default();
    pieces.for_each(|piece| reader.push(piece.as_ref(), &mut sink).unwrap());
    reader.finish(&mut sink).unwrap();
    held
}

fn check(file: &str, expect: &[&str]) {
    let whole = read([file].iter());
    let texts: Vec<&str> = whole.messages.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(texts, expect, "{file:?}");
    for length in [1, 2, 3, 7, 100, 1024] {
        assert!(read(file.as_bytes().chunks(length)) == whole, "{file:?} in pieces of {length}");
    }
    for ((start, end), message) in whole.ranges.iter().zip(&whole.messages) {
        let alone = read([&file[*start as usize..*end as usize]].iter());
        assert_eq!(&alone.messages, std::slice::from_ref(message), "read again by itself");
    }
}

const DATE: &str = "Sun Nov  6 08:49:37 1994";

#[test]
fn messages_are_told_apart() {
    let from = format!("From ada {DATE}\n");
    check("", &[]);
    check("\n\n", &[]);
    check(&from, &[""]);
    check(&format!("{from}A: b\n\ntext\n"), &["A: b\n\ntext\n"]);
    check(&format!("{from}A: b\n\ntext\n\n{from}C: d\n\n\n\n"), &["A: b\n\ntext\n", "C: d\n\n\n"]);
    check(&format!("\n{from}A: b\n\ntext\n\n{from}"), &["A: b\n\ntext\n", ""]);
    check(&format!("{from}A: b\n\nno gap\n{from}more\n"), &[&format!("A: b\n\nno gap\n{from}more\n")]);
    check(&format!("{from}A: b\n\nx\n\nFrom here on\ny\n"), &["A: b\n\nx\n\nFrom here on\ny\n"]);
    check("From ada\nA: b\n\nx\n\nFrom bob\nC: d\n", &["A: b\n\nx\n", "C: d\n"]);
    check(&format!("{from}Content-Length: 99999\n\nx\n\n{from}B: c\n"), &["Content-Length: 99999\n\nx\n", "B: c\n"]);
    let crlf = from.replace('\n', "\r\n");
    check(&format!("{crlf}A: b\r\n\r\nx\r\n\r\n{crlf}C: d\r\n"), &["A: b\r\n\r\nx\r\n", "C: d\r\n"]);
}

#[test]
fn quotes_are_taken_off() {
    let from = format!("From ada {DATE}\n");
    for (text, expect) in [
        (">From x\n", "From x\n"),
        (">>From x\n", ">From x\n"),
        ("> From x\n", "> From x\n"),
        (">>>Fro\n", ">>>Fro\n"),
        (" >From x\n", " >From x\n"),
    ] {
        check(&format!("{from}A: b\n\n{text}"), &[&format!("A: b\n\n{expect}")]);
    }
    for quotes in (1018..1026).chain([2046, 2047, 2048, 3000]) {
        let (quoted, plain) = (">".repeat(quotes), ">".repeat(quotes - 1));
        check(&format!("{from}A: b\n\n{quoted}From x\n"), &[&format!("A: b\n\n{plain}From x\n")]);
        check(&format!("{from}A: b\n\n{quoted}\nx"), &[&format!("A: b\n\n{quoted}\nx")]);
    }
}

#[test]
fn flags_are_read_and_their_fields_left_out() {
    let from = format!("From ada@b {DATE}\n");
    let flags = |file: &str| read([file].iter()).messages[0].1;
    for (header, kept, marks) in [
        ("Status: RO\nX-Status: AF\nA: b\n", "A: b\n", Marks::SEEN.with(Marks::ANSWERED).with(Marks::FLAGGED)),
        ("A: b\nStatus: O\nx-status: D\nC: d\n", "A: b\nC: d\n", Marks::DELETED),
        ("A: b\nSTATUS: R\n folded\nC: d\n", "A: b\nC: d\n", Marks::SEEN),
        ("Status: O\nX-Status: \nA: b\nStatus: R\n", "A: b\nStatus: R\n", Marks::NONE),
        ("Status: O\nA: b\nX-Status: F\nStatus: R\n", "A: b\n", Marks::FLAGGED.with(Marks::SEEN)),
        ("A: b\n Status: R\n", "A: b\n Status: R\n", Marks::NONE),
        ("A: b\n\nStatus: R\n", "A: b\n\nStatus: R\n", Marks::NONE),
    ] {
        let file = format!("{from}{header}\ntext\n");
        check(&file, &[&format!("{kept}\ntext\n")]);
        assert_eq!(flags(&file), marks, "{header:?}");
    }
}

#[test]
fn what_is_no_mailbox_file_is_noticed() {
    let from = format!("From ada {DATE}\n");
    assert!(read(["<html>\nFrom x\n"].iter()).strayed);
    let late = read([&format!("junk\n\n{from}A: b\n")].iter());
    assert!(late.strayed && late.messages.len() == 1);
    assert!(!read([&from].iter()).strayed && !read([""].iter()).strayed);
}

#[test]
fn a_long_line_begins_no_message() {
    let from = format!("From ada {DATE}\n");
    let line = |length: usize| format!("From {} {DATE}\n", "a".repeat(length - "From  \n".len() - DATE.len()));
    let at = line(1023);
    check(&format!("{from}A: b\n\n{at}"), &["A: b\n", ""]);
    let beyond = line(1024);
    check(&format!("{from}A: b\n\n{beyond}"), &[&format!("A: b\n\n{beyond}")]);
}

#[test]
fn what_is_written_is_read_byte_for_byte() {
    let marks = Marks::SEEN.with(Marks::DRAFT);
    let messages = [
        "",
        "A: b\r\n",
        "A: b\r\n\r\n",
        "A: b\r\n\r\nFrom x\r\n>From y\r\n>>>From z\r\nFro\r\n",
        "A: b\r\n\r\nno end",
        "A: b\r\n\r\nends with From ",
        "A: b\r\n\r\nFrom",
        "From ada\r\nA: b\r\n",
        "Status: R\r\nX-Status: AF\r\nA: b\r\n\r\n",
        "\r\nno header",
        "\r\n\r\n\r\n",
        "A: b\r\n\r\nbare\nlf\n\n\r\n",
        "no lines at all",
        " begins with a space\r\n",
    ];
    let mut file = Vec::new();
    for message in messages {
        for length in [1, 2, 5, 1000] {
            let mut writer = Writer::begin("ada@b c", 784_111_777, marks, &mut file);
            message.as_bytes().chunks(length).for_each(|piece| writer.text(piece, &mut file));
            writer.end(message.bytes().last(), &mut file);
        }
    }
    let file = String::from_utf8(file).unwrap();
    assert!(file.starts_with(&format!("From ada@b {DATE}\nStatus: RO\nX-Status: T\n\n")), "{file}");
    let expect: Vec<&str> = messages.iter().flat_map(|message| [*message; 4]).collect();
    check(&file, &expect);
    for (line, read, _) in read([&file].iter()).messages {
        assert_eq!((line.sender.as_str(), line.seconds, read), ("ada@b", Some(784_111_777), marks));
    }
}
