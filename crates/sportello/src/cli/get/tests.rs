use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// A server that gives these answers, one connection each, and says what it was asked.
fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            asked.push(head);
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    (base, thread)
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sportello-get-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn fetch(base: &str, file: &Path) -> Result<Report, String> {
    let url = Url::parse(&format!("{base}/f")).unwrap();
    fetch_to_file(&url, file, Earlier::Use, Instant::now()).map_err(|failed| failed.message)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123456789";

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let folder = folder("resume");
    let file = folder.join("f");
    let (base, thread) = server(vec![
        "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123".into(),
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789".into(),
    ]);
    let message = fetch(&base, &file).unwrap_err();
    assert!(message.starts_with("4 B of 10 B came"), "{message}");
    assert_eq!(names(&folder), ["f.part", "f.part.json"]);
    let report = fetch(&base, &file).unwrap();
    assert_eq!((report.status, report.bytes, report.resumed), (206, 10, 4));
    assert_eq!(names(&folder), ["f"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"0123456789");
    let asked = thread.join().unwrap();
    assert!(!asked[0].contains("Range"));
    assert!(asked[1].contains("\r\nRange: bytes=4-\r\nIf-Range: \"v1\"\r\n"), "{}", asked[1]);
    std::fs::remove_dir_all(folder).unwrap();
}

/// After four bytes of version 1, the server answers `second` (and `third`, if asked again).
fn second_run(name: &str, second: &str, third: &[&str]) -> (Result<Report, String>, Vec<String>, Vec<String>) {
    let folder = folder(name);
    let file = folder.join("f");
    let first = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123";
    let answers = [first, second].iter().chain(third).map(|answer| (*answer).to_owned()).collect();
    let (base, thread) = server(answers);
    fetch(&base, &file).unwrap_err();
    let outcome = fetch(&base, &file);
    let asked = thread.join().unwrap();
    let names = names(&folder);
    if names == ["f"] {
        assert_eq!(std::fs::read(&file).unwrap(), b"0123456789");
    }
    std::fs::remove_dir_all(folder).unwrap();
    (outcome, names, asked)
}

#[test]
fn another_version_begins_again() {
    let (outcome, names, _) = second_run("changed", WHOLE, &[]);
    assert_eq!(outcome.map(|report| (report.bytes, report.resumed)), Ok((10, 0)));
    assert_eq!(names, ["f"]);
}

#[test]
fn a_range_that_cannot_be_is_asked_for_again_without_it() {
    let refusal = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */4\r\nContent-Length: 0\r\n\r\n";
    let (outcome, names, asked) = second_run("416", refusal, &[WHOLE]);
    assert_eq!(outcome.map(|report| (report.bytes, report.resumed)), Ok((10, 0)));
    assert_eq!(names, ["f"]);
    assert!(!asked[2].contains("Range"));
}

#[test]
fn a_wrong_part_is_never_put_into_the_file() {
    for (at, range) in
        ["bytes 0-9/10", "bytes 5-9/10", "bytes 4-8/10", "bytes 4-9/*", "bytes 9-4/10", ""].iter().enumerate()
    {
        let answer =
            format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\nContent-Length: 6\r\n\r\nxxxxxx");
        let (outcome, names, _) = second_run(&format!("range-{at}"), &answer, &[]);
        assert_eq!(outcome.map(|_| ()), Err(Error::Range.to_string()), "{range}");
        assert_eq!(names, ["f.part", "f.part.json"], "what is there stays");
    }
    let long = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 7\r\n\r\n4567890";
    let (outcome, _, _) = second_run("range-long", long, &[]);
    assert_eq!(outcome.map(|_| ()), Err("the file should have 10 bytes and has 11".to_owned()));
}

#[test]
fn what_cannot_be_proved_the_same_is_fetched_anew() {
    let folder = folder("weak");
    let file = folder.join("f");
    let (base, thread) = server(vec![
        "HTTP/1.1 200 OK\r\nETag: W/\"v1\"\r\nContent-Length: 10\r\n\r\n0123".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n".into(),
    ]);
    fetch(&base, &file).unwrap_err();
    assert_eq!(names(&folder), ["f.part"]);
    assert_eq!(fetch(&base, &file).unwrap().bytes, 10);
    assert!(!thread.join().unwrap()[1].contains("Range"));
    assert_eq!(names(&folder), ["f"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_error_leaves_nothing_behind() {
    let folder = folder("error");
    for (answer, message) in [
        ("HTTP/1.1 404 Not\x1b[2JFound\r\nContent-Length: 2\r\n\r\nno", "does not speak HTTP/1"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "the server answers 404 Not Found"),
        ("HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\nno", "the server answers 206 Partial Content"),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "does not say where to"),
        ("HTTP/1.1 302 Found\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n", "http:// only"),
        ("220 mail ESMTP\r\n", "does not speak HTTP/1"),
        ("", "closed the connection without an answer"),
    ] {
        let (base, thread) = server(vec![answer.to_owned()]);
        let outcome = fetch(&base, &folder.join("f")).unwrap_err();
        assert!(outcome.contains(message), "{outcome}");
        thread.join().unwrap();
        assert_eq!(names(&folder), [""; 0]);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn redirects_are_followed_ten_times_and_no_more() {
    let folder = folder("redirects");
    let redirect = "HTTP/1.1 307 Temporary Redirect\r\nLocation: next\r\nContent-Length: 0\r\n\r\n".to_owned();
    let mut answers = vec![redirect.clone(); REDIRECTS_MOST];
    answers.push(WHOLE.to_owned());
    let (base, thread) = server(answers);
    let report = fetch(&base, &folder.join("f")).unwrap();
    assert_eq!((report.redirects, report.url), (10, format!("{base}/next")));
    assert!(thread.join().unwrap()[1].starts_with("GET /next HTTP/1.1\r\n"));
    let (base, thread) = server(vec![redirect; REDIRECTS_MOST + 1]);
    assert_eq!(fetch(&base, &folder.join("g")).unwrap_err(), Error::Redirects.to_string());
    thread.join().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn two_runs_are_kept_apart() {
    let folder = folder("locked");
    let held = Part::open(&folder.join("f")).unwrap();
    let message = fetch("http://127.0.0.1:1", &folder.join("f")).unwrap_err();
    assert!(message.contains("by another process"), "{message}");
    drop(held);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn content_ranges_are_read_or_refused() {
    let check = |text: &str, expect: Option<(u64, u64, u64)>| {
        let range = ContentRange::parse(text).map(|range| (range.first, range.last, range.total));
        assert_eq!(range, expect, "{text}");
    };
    check("bytes 0-0/1", Some((0, 0, 1)));
    check("bytes 4-9/10", Some((4, 9, 10)));
    for wrong in [
        "",
        "bytes */4",
        "bytes 4-9/*",
        "bytes 4-10/10",
        "bytes 9-4/10",
        "bytes +4-9/10",
        "items 4-9/10",
        "bytes 4-/10",
    ] {
        check(wrong, None);
    }
}
