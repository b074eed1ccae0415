use super::{Reply, Version};

/// Writes with `write` in both versions.
fn check(write: impl Fn(&mut Reply), resp2: &str, resp3: &str) {
    for (version, expect) in [(Version::Resp2, resp2), (Version::Resp3, resp3)] {
        let mut reply = Reply::new();
        reply.set_version(version);
        write(&mut reply);
        assert_eq!(
            reply.bytes().escape_ascii().to_string(),
            expect.as_bytes().escape_ascii().to_string(),
            "{version:?}"
        );
    }
}

#[test]
fn each_kind_of_value_in_both_versions() {
    check(Reply::ok, "+OK\r\n", "+OK\r\n");
    check(Reply::pong, "+PONG\r\n", "+PONG\r\n");
    check(|reply| reply.simple("fine"), "+fine\r\n", "+fine\r\n");
    check(|reply| reply.error("ERR", "no"), "-ERR no\r\n", "-ERR no\r\n");
    check(|reply| reply.integer(-7), ":-7\r\n", ":-7\r\n");
    check(|reply| reply.count(u64::MAX), ":9223372036854775807\r\n", ":9223372036854775807\r\n");
    check(|reply| reply.bulk(b"a\r\nb\0"), "$5\r\na\r\nb\0\r\n", "$5\r\na\r\nb\0\r\n");
    check(|reply| reply.text(""), "$0\r\n\r\n", "$0\r\n\r\n");
    check(
        |reply| {
            reply.begin_bulk(2);
            reply.end_bulk();
        },
        "$2\r\n\r\n",
        "$2\r\n\r\n",
    );
    check(|reply| reply.lines(&["a", "b\n"]), "*2\r\n+a\r\n+b \r\n", "*2\r\n+a\r\n+b \r\n");
    check(Reply::null, "$-1\r\n", "_\r\n");
    check(|reply| reply.array(3), "*3\r\n", "*3\r\n");
    check(|reply| reply.map(3), "*6\r\n", "%3\r\n");
    check(|reply| reply.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    check(|reply| reply.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    check(|reply| reply.double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n");
    check(|reply| reply.boolean(true), ":1\r\n", "#t\r\n");
    check(|reply| reply.boolean(false), ":0\r\n", "#f\r\n");
    check(|reply| reply.verbatim("hé"), "$3\r\nhé\r\n", "=7\r\ntxt:hé\r\n");
}

#[test]
fn a_line_end_in_an_error_begins_no_other_reply() {
    check(|reply| reply.error("EXIT 1", "a\r\n+OK\nb"), "-EXIT 1 a  +OK b\r\n", "-EXIT 1 a  +OK b\r\n");
    check(|reply| reply.simple("a\n:1"), "+a :1\r\n", "+a :1\r\n");
}

#[test]
fn a_line_is_cut_at_its_bound() {
    for (length, written) in [(Reply::LINE, Reply::LINE), (Reply::LINE + 1, Reply::LINE)] {
        let mut reply = Reply::new();
        reply.simple(&"x".repeat(length));
        assert_eq!(reply.len(), written + 3);
    }
}

#[test]
fn clearing_gives_room_back() {
    let mut reply = Reply::new();
    reply.bulk(&[b'x'; 100_000]);
    reply.clear(1024);
    assert!(reply.is_empty());
    assert!(reply.out.capacity() <= 1024);
}
