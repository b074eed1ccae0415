use super::*;
use crate::http1::head::{Limits, parse};
use crate::http1::range::Part;

/// The moment the representation was changed: `Sun, 06 Nov 1994 08:49:37 GMT`.
const MODIFIED: u64 = 784_111_777;
const NOW: u64 = MODIFIED + 100;
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const WHOLE: Outcome = Outcome::Send(Selected::Whole);
const PART: Outcome = Outcome::Send(Selected::Part(Part { start: 1, length: 2 }));

#[track_caller]
fn check(method: &str, fields: &str, expect: Outcome) {
    check_at(NOW, method, fields, expect);
}

#[track_caller]
fn check_at(now: u64, method: &str, fields: &str, expect: Outcome) {
    let input = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let head = parse(input.as_bytes(), &Limits::default()).unwrap().unwrap();
    let validators = Validators { etag: b"\"e\"", modified: MODIFIED, length: 10 };
    assert_eq!(evaluate(&head, &validators, now), expect, "{method} {fields:?}");
}

#[test]
fn each_field_alone() {
    for (method, fields, expect) in [
        ("GET", String::new(), WHOLE),
        ("GET", "If-Match: *\r\n".into(), WHOLE),
        ("GET", "If-Match: \"e\"\r\n".into(), WHOLE),
        ("GET", "If-Match: \"x\", \"e\"\r\n".into(), WHOLE),
        ("GET", "If-Match: \"x\"\r\nIf-Match: \"e\"\r\n".into(), WHOLE),
        ("GET", "If-Match: \"x\"\r\n".into(), Outcome::Failed),
        // RFC 9110 §13.1.1: strong comparison.
        ("GET", "If-Match: W/\"e\"\r\n".into(), Outcome::Failed),
        ("GET", "If-None-Match: \"e\"\r\n".into(), Outcome::NotModified),
        ("HEAD", "If-None-Match: W/\"e\"\r\n".into(), Outcome::NotModified),
        ("GET", "If-None-Match: *\r\n".into(), Outcome::NotModified),
        ("GET", "If-None-Match: \"x\",\"e\"\r\n".into(), Outcome::NotModified),
        ("GET", "If-None-Match: \"x\"\r\n".into(), WHOLE),
        ("POST", "If-None-Match: *\r\n".into(), Outcome::Failed),
        ("GET", format!("If-Modified-Since: {SAME}\r\n"), Outcome::NotModified),
        ("GET", format!("If-Modified-Since: {AFTER}\r\n"), Outcome::NotModified),
        ("GET", format!("If-Modified-Since: {BEFORE}\r\n"), WHOLE),
        ("GET", "If-Modified-Since: yesterday\r\n".into(), WHOLE),
        ("GET", format!("If-Modified-Since: {SAME}\r\nIf-Modified-Since: {SAME}\r\n"), WHOLE),
        ("POST", format!("If-Modified-Since: {SAME}\r\n"), WHOLE),
        ("GET", format!("If-Unmodified-Since: {SAME}\r\n"), WHOLE),
        ("GET", format!("If-Unmodified-Since: {BEFORE}\r\n"), Outcome::Failed),
        ("GET", "If-Unmodified-Since: never\r\n".into(), WHOLE),
        ("GET", "Range: bytes=1-2\r\n".into(), PART),
        ("HEAD", "Range: bytes=1-2\r\n".into(), WHOLE),
        ("GET", "Range: bytes=10-\r\n".into(), Outcome::Send(Selected::Unsatisfiable)),
        ("GET", "Range: bytes=1-2\r\nRange: bytes=1-2\r\n".into(), WHOLE),
        ("GET", "If-Range: \"e\"\r\n".into(), WHOLE),
    ] {
        check(method, &fields, expect);
    }
}

#[test]
fn the_order_of_rfc_9110_13_2_2_holds() {
    // If-Match outweighs If-Unmodified-Since, If-None-Match outweighs If-Modified-Since.
    check("GET", &format!("If-Match: \"e\"\r\nIf-Unmodified-Since: {BEFORE}\r\n"), WHOLE);
    check("GET", &format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {AFTER}\r\n"), WHOLE);
    // A failed If-Match comes before a matching If-None-Match.
    check("GET", "If-None-Match: \"e\"\r\nIf-Match: \"x\"\r\n", Outcome::Failed);
    check("GET", "If-None-Match: \"e\"\r\nIf-Match: \"e\"\r\n", Outcome::NotModified);
    // A range is looked at last.
    check("GET", "Range: bytes=1-2\r\nIf-None-Match: \"e\"\r\n", Outcome::NotModified);
    check("GET", "Range: bytes=99-\r\nIf-Match: \"x\"\r\n", Outcome::Failed);
}

#[test]
fn if_range_wants_the_very_same() {
    let range = "Range: bytes=1-2\r\n";
    check("GET", &format!("{range}If-Range: \"e\"\r\n"), PART);
    check("GET", &format!("{range}If-Range: \"x\"\r\n"), WHOLE);
    check("GET", &format!("{range}If-Range: W/\"e\"\r\n"), WHOLE);
    check("GET", &format!("{range}If-Range: {SAME}\r\n"), PART);
    check("GET", &format!("{range}If-Range: {AFTER}\r\n"), WHOLE);
    check("GET", &format!("{range}If-Range: junk\r\n"), WHOLE);
    // Within the second that it names, a date tells no two versions apart.
    check_at(MODIFIED, "GET", &format!("{range}If-Range: {SAME}\r\n"), WHOLE);
    check_at(MODIFIED + 1, "GET", &format!("{range}If-Range: {SAME}\r\n"), PART);
}
