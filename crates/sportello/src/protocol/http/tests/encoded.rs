//! Files in the form that a client takes: chosen, tagged, cut and kept each for itself.

use std::io::Read;
use std::time::Instant;

use sportello_service::compress::{Compression, Level, encode};
use sportello_wire::http1::coding::Coding;

use super::*;

fn page() -> String {
    (0..400).map(|line| format!("line {line} of a page\n")).collect()
}

fn served(folder: &Path) -> Served {
    let levels = [Coding::Brotli, Coding::Zstd, Coding::Gzip].map(Level::usual).into();
    let compression = Compression { levels, ..Compression::default() };
    let precompressed = vec![Coding::Brotli, Coding::Gzip];
    let settings = Settings { compression, precompressed, hot_file: 64 * 1024, ..Settings::default() };
    Served::Sites(Sites::only(files(folder, settings)))
}

fn house() -> House {
    let house = House::serving(Deadlines::default(), served);
    // By this thread, which changes them later: a worker makes its services when it comes to it.
    for (name, content) in
        [("page.txt", page()), ("small.txt", "small".into()), ("large.txt", page().repeat(50)), ("picture.png", page())]
    {
        fs::write(house.folder.join(name), content).unwrap();
    }
    house
}

/// A head and what follows it, from one connection that does nothing else.
fn ask(house: &House, request: &str) -> (String, Vec<u8>) {
    let mut stream = house.client();
    let (line, fields) = request.split_once('\n').unwrap_or((request, ""));
    let fields: String = fields.lines().map(|field| format!("{field}\r\n")).collect();
    write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = bytes.split_off(end);
    (String::from_utf8(bytes).unwrap(), body)
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

fn encoded(coding: Coding) -> Vec<u8> {
    encode(Level::usual(coding), page().as_bytes()).unwrap()
}

/// The body of a message in chunks.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            assert_eq!(bytes, b"0\r\n\r\n");
            return out;
        }
        out.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}

#[test]
fn each_form_is_given_to_who_takes_it() {
    let house = house();
    let mut tags = Vec::new();
    // Three times: made, from memory, and read lately.
    for round in 0..3 {
        for (accept, coding) in [
            ("", None),
            ("Accept-Encoding: gzip", Some(Coding::Gzip)),
            ("Accept-Encoding: gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("Accept-Encoding: gzip;q=0, zstd;q=0.5", Some(Coding::Zstd)),
            ("Accept-Encoding: br;q=0\nAccept-Encoding: gzip", Some(Coding::Gzip)),
            ("Accept-Encoding: gzip;q=0", None),
            ("Accept-Encoding: identity;q=0, *;q=0", None),
        ] {
            let (head, body) = ask(&house, &format!("GET /page.txt\n{accept}"));
            let expect = coding.map_or(page().into_bytes(), encoded);
            assert!(body == expect, "{round} {accept} {head}");
            assert_eq!(field(&head, "content-encoding"), coding.map(Coding::name), "{round} {accept}");
            assert_eq!(field(&head, "content-length"), Some(expect.len().to_string().as_str()));
            assert_eq!(field(&head, "vary"), Some("accept-encoding"), "{accept}");
            let tag = field(&head, "etag").unwrap().to_owned();
            assert!(tag.starts_with('"'), "a strong tag: {tag}");
            tags.push((coding, tag));
            // HEAD has the same fields, and nothing behind them.
            let (same, nothing) = ask(&house, &format!("HEAD /page.txt\n{accept}"));
            let undated = |head: &str| head.lines().filter(|line| !line.starts_with("date:")).collect::<String>();
            assert_eq!((undated(&same), nothing.len()), (undated(&head), 0), "{accept}");
        }
    }
    for (coding, tag) in &tags {
        assert!(tags.iter().all(|(other, its)| (other == coding) == (its == tag)), "{coding:?} {tag}");
    }
    // What would gain nothing has one form.
    for target in ["/small.txt", "/picture.png"] {
        let (head, _) = ask(&house, &format!("GET {target}\nAccept-Encoding: gzip"));
        assert_eq!((field(&head, "content-encoding"), field(&head, "vary")), (None, None), "{target}");
    }
    house.close();
}

#[test]
fn conditions_and_ranges_are_those_of_the_form() {
    let house = house();
    let gzip = encoded(Coding::Gzip);
    let tag = |accept: &str| {
        let (head, _) = ask(&house, &format!("GET /page.txt\n{accept}"));
        field(&head, "etag").unwrap().to_owned()
    };
    let takes = "Accept-Encoding: gzip";
    let (plain, zipped) = (tag(""), tag(takes));
    for (fields, expect) in [
        (format!("{takes}\nIf-None-Match: {zipped}"), "304"),
        (format!("{takes}\nIf-None-Match: {plain}"), "200"),
        (format!("{takes}\nIf-None-Match: W/{zipped}"), "304"),
        (format!("If-None-Match: {zipped}"), "200"),
        (format!("If-None-Match: {plain}"), "304"),
        (format!("{takes}\nIf-Match: {plain}"), "412"),
        (format!("{takes}\nRange: bytes=10-19"), "206"),
        (format!("{takes}\nRange: bytes=10-19\nIf-Range: {zipped}"), "206"),
        (format!("{takes}\nRange: bytes=10-19\nIf-Range: {plain}"), "200"),
        (format!("{takes}\nRange: bytes={}-", gzip.len()), "416"),
        // Several parts between lines that nobody could decode.
        (format!("{takes}\nRange: bytes=0-1,500-501"), "200"),
        ("Range: bytes=0-1,500-501".to_owned(), "206"),
    ] {
        for _ in 0..2 {
            let (head, body) = ask(&house, &format!("GET /page.txt\n{fields}"));
            assert_eq!(status(&head), expect, "{fields}");
            if expect == "304" || expect == "200" || expect == "206" {
                assert_eq!(field(&head, "vary"), Some("accept-encoding"), "{fields}");
            }
            if expect == "206" && fields.contains(takes) {
                assert!(body == gzip[10..20], "{fields}");
                assert_eq!(field(&head, "content-encoding"), Some("gzip"));
                assert_eq!(field(&head, "content-range"), Some(format!("bytes 10-19/{}", gzip.len()).as_str()));
            }
        }
    }
    house.close();
}

#[test]
fn a_form_changes_with_its_file() {
    let house = house();
    let zipped = |text: &str| encode(Level::usual(Coding::Gzip), text.as_bytes()).unwrap();
    let request = "GET /page.txt\nAccept-Encoding: gzip";
    let mut stream = house.client();
    for round in 0..10 {
        let text = format!("{round} {}", page());
        fs::write(house.folder.join("page.txt"), &text).unwrap();
        write!(stream, "GET /page.txt HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
        let (head, body) = read_bytes(&mut stream);
        assert!(body == zipped(&text), "{round} {head}");
    }
    // An encoded file that is not older than the plain one is given instead; one that is older is not.
    let aged = |name: &str, seconds: u64| {
        let file = fs::File::options().write(true).open(house.folder.join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    fs::write(house.folder.join("page.txt.gz"), "stored").unwrap();
    for (plain, stored, expect) in
        [(2000, 1000, &zipped(&page())[..]), (2000, 2000, b"stored"), (2000, 3000, b"stored")]
    {
        fs::write(house.folder.join("page.txt"), page()).unwrap();
        aged("page.txt.gz", stored);
        aged("page.txt", plain);
        // One that was touched just now counts from a moment later on.
        let began = Instant::now();
        let (mut head, mut body) = ask(&house, request);
        while body != expect && began.elapsed() < Duration::from_secs(20) {
            (head, body) = ask(&house, request);
        }
        assert!(body == expect, "{plain} {stored} {head}");
        assert_eq!(field(&head, "content-encoding"), Some("gzip"));
        assert_eq!(ask(&house, "GET /page.txt").1, page().as_bytes());
    }
    house.close();
}

#[test]
fn a_large_file_is_encoded_as_it_is_sent() {
    let house = house();
    let expect = page().repeat(50);
    let decoded = |bytes: &[u8]| {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    };
    let (head, body) = ask(&house, "GET /large.txt\nAccept-Encoding: gzip");
    assert!(decoded(&unchunked(&body)) == expect);
    let tag = field(&head, "etag").unwrap().to_owned();
    let said = ["content-encoding", "transfer-encoding", "vary", "content-length", "accept-ranges"];
    let expected = [Some("gzip"), Some("chunked"), Some("accept-encoding"), None, None];
    assert_eq!(said.map(|name| field(&head, name)), expected, "{head}");
    let (same, nothing) = ask(&house, "HEAD /large.txt\nAccept-Encoding: gzip");
    assert_eq!((said.map(|name| field(&same, name)), nothing.len()), (expected, 0));
    for (fields, expect) in [
        (format!("If-None-Match: {tag}"), "304"),
        (format!("If-Match: {tag}"), "200"),
        ("If-Match: \"other\"".to_owned(), "412"),
        // No part of what has no length yet.
        ("Range: bytes=0-9".to_owned(), "200"),
    ] {
        let (head, _) = ask(&house, &format!("GET /large.txt\nAccept-Encoding: gzip\n{fields}"));
        assert_eq!(status(&head), expect, "{fields}");
    }
    let (plain, body) = ask(&house, "GET /large.txt\nRange: bytes=0-9");
    assert_eq!((status(&plain), field(&plain, "vary")), ("206", Some("accept-encoding")));
    assert!(body == expect.as_bytes()[..10] && field(&plain, "etag") != Some(&tag));
    // HTTP/1.0 knows no chunks: there it ends with the connection.
    let mut stream = house.client();
    write!(stream, "GET /large.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(decoded(&bytes[end..]) == expect);
    house.close();
}

#[test]
fn a_listing_is_encoded_too() {
    let house = house();
    for number in 0..50 {
        fs::write(house.folder.join("sub").join(format!("file-{number}.txt")), "").unwrap();
    }
    let (head, body) = ask(&house, "GET /sub/\nAccept-Encoding: gzip");
    let vary: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("vary: ")).collect();
    assert_eq!((field(&head, "content-encoding"), &vary[..]), (Some("gzip"), &["accept", "accept-encoding"][..]));
    let mut page = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut page).unwrap();
    assert!(page.contains("file-49.txt") && page.len() > body.len());
    house.close();
}
