use super::*;

fn check(text: &str, expect: Result<&str, Error>) {
    let read = Address::parse(text.as_bytes()).map(|address| address.to_string());
    assert_eq!(read.as_deref(), expect.as_ref().map(|text| *text), "{text}");
}

#[test]
fn addresses_that_are_good_come_back_as_written() {
    for text in [
        "a@b",
        "alice@example.org",
        "first.last+tag@sub.example.org",
        "!#$%&'*+-/=?^_`{|}~@example.org",
        "user@under_score.local",
        "user@[127.0.0.1]",
        "user@[IPv6:::1]",
        "user@[IPv6:2001:db8::1]",
        "\"a b\"@example.org",
        "\"a@b\"@example.org",
        "\"\"@example.org",
        "\"a\\\"b\\\\c\"@example.org",
        "\"a..b\"@example.org",
        "\">\"@example.org",
        "\u{e4}\u{f6}@example.org",
        "\u{7528}\u{6237}@\u{4f8b}\u{5b50}.\u{5e7f}\u{544a}",
        "a@b\u{fc}cher.example",
        "a@\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}.example",
        "a@\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}.example",
        "\"\u{e4} b\"@example.org",
    ] {
        check(text, Ok(text));
    }
}

#[test]
fn quotes_that_are_not_needed_are_taken_away() {
    check("\"alice\"@example.org", Ok("alice@example.org"));
    check("\"al\\ice\"@example.org", Ok("alice@example.org"));
    check("u@[ipv6:::1]", Ok("u@[IPv6:::1]"));
}

#[test]
fn what_is_no_address_is_refused() {
    for (text, error) in [
        ("", Error::Empty),
        ("alice", Error::NoDomain),
        ("@example.org", Error::Local),
        ("alice@", Error::Domain),
        ("alice@@example.org", Error::Domain),
        ("a b@example.org", Error::Local),
        (" a@example.org", Error::Local),
        ("a@example.org ", Error::Domain),
        ("a@exam ple.org", Error::Domain),
        (".a@example.org", Error::Local),
        ("a.@example.org", Error::Local),
        ("a..b@example.org", Error::Local),
        ("a,b@example.org", Error::Local),
        ("a:b@example.org", Error::Local),
        ("a(c)@example.org", Error::Local),
        ("a@b@c", Error::Domain),
        ("a@.org", Error::Domain),
        ("a@example..org", Error::Domain),
        ("a@example.org.", Error::Domain),
        ("a@-b", Error::Domain),
        ("a@b-", Error::Domain),
        ("a@b;c", Error::Domain),
        ("a@[127.0.0.1", Error::Domain),
        ("a@127.0.0.1]", Error::Domain),
        ("a@[127.0.0]", Error::Domain),
        ("a@[127.0.0.256]", Error::Domain),
        ("a@[::1]", Error::Domain),
        ("a@[IPv6:1]", Error::Domain),
        ("a@[IPv6:127.0.0.1]", Error::Domain),
        ("a@[x:1]", Error::Domain),
        ("a@[]", Error::Domain),
        ("\"a@example.org", Error::Local),
        ("\"a\"b@example.org", Error::Local),
        ("\"a\\\"@example.org", Error::Local),
        ("\"a\tb\"@example.org", Error::Local),
        ("\"a\"", Error::NoDomain),
        ("a\0@example.org", Error::Local),
        ("a@example\0.org", Error::Domain),
        ("a\t@example.org", Error::Local),
        ("a\u{85}b@example.org", Error::Local),
        ("a\u{2028}b@example.org", Error::Local),
        ("a\u{202e}b@example.org", Error::Local),
        ("a\u{200b}b@example.org", Error::Local),
        ("\"a\u{feff}\"@example.org", Error::Local),
        ("\"a\\\u{e4}\"@example.org", Error::Local),
        ("\u{a0}@example.org", Error::Local),
        ("\u{e4}..b@example.org", Error::Local),
        ("a@b\u{fc}cher\u{3002}example", Error::Domain),
        ("a@b\u{fc}cher\u{ff0e}example", Error::Domain),
        ("a@\u{2100}.example", Error::Domain),
        ("a@\u{ff41}.example", Error::Domain),
        ("a@b\u{fc}cher\u{2024}example", Error::Domain),
        ("a@-\u{fc}", Error::Domain),
    ] {
        check(text, Err(error));
    }
}

#[test]
fn lengths_at_the_limit_and_one_beyond() {
    let label = "d".repeat(Domain::LONGEST_LABEL);
    check(&format!("a@{label}"), Ok(&format!("a@{label}")));
    check(&format!("a@{label}d"), Err(Error::Domain));

    let local = "l".repeat(Address::LONGEST - 2);
    check(&format!("{local}@d"), Ok(&format!("{local}@d")));
    check(&format!("l{local}@d"), Err(Error::TooLong));

    let (wide, local) = ("\u{fc}".repeat(Domain::LONGEST_LABEL), "\u{fc}".repeat(126));
    check(&format!("a@{wide}"), Ok(&format!("a@{wide}")));
    check(&format!("a@{wide}d"), Err(Error::Domain));
    check(&format!("{local}@d"), Ok(&format!("{local}@d")));
    check(&format!("{local}a@d"), Err(Error::TooLong));

    let name = format!("{label}.{label}.{label}.{label}");
    assert_eq!(name.len(), Domain::LONGEST);
    assert!(Domain::parse(name.as_bytes()).is_ok());
    assert_eq!(Domain::parse(format!("{name}.d").as_bytes()), Err(Error::TooLong));
}

#[test]
fn what_is_no_utf8_is_no_address() {
    for text in [&b"\xff@b"[..], b"a@\xc3", b"\xe4@b", b"\"\xc3(\"@b", b"a@\xed\xa0\x80", b"a@\xc0\xae"] {
        assert_eq!(Address::parse(text), Err(Error::Utf8), "{}", text.escape_ascii());
    }
}

#[test]
fn which_addresses_need_smtputf8() {
    for (path, is_ascii) in [
        ("<a@b>", true),
        ("<postmaster>", true),
        ("<a@[127.0.0.1]>", true),
        ("<\u{e4}@b>", false),
        ("<a@\u{e4}>", false),
        ("<\"\u{e4}\"@b>", false),
    ] {
        assert_eq!(ForwardPath::parse(path.as_bytes()).unwrap().0.is_ascii(), is_ascii, "{path}");
    }
    assert!(ReversePath::Null.is_ascii());
    assert!(!ReversePath::parse("<\u{e4}@b>".as_bytes()).unwrap().0.is_ascii());
}

#[test]
fn domains_are_compared_without_case() {
    let path = |text: &str| ForwardPath::parse(text.as_bytes()).unwrap().0;
    for (one, other, same) in [
        ("<a@Example.org>", "<b@example.ORG>", true),
        ("<a@example.org>", "<a@example.net>", false),
        ("<postmaster>", "<PostMaster>", true),
        ("<postmaster>", "<postmaster@example.org>", false),
        ("<a@[127.0.0.1]>", "<b@[127.0.0.1]>", true),
        ("<a@[127.0.0.1]>", "<a@[127.0.0.2]>", false),
    ] {
        assert_eq!(path(one).is_same_domain(&path(other)), same, "{one} {other}");
    }
}

#[test]
fn reverse_paths() {
    let check = |text: &str, expect: Result<(&str, &str), Error>| {
        let read = ReversePath::parse(text.as_bytes());
        let read = read.map(|(path, rest)| (path.to_string(), String::from_utf8(rest.to_vec()).unwrap()));
        assert_eq!(
            read.as_ref().map(|(path, rest)| (path.as_str(), rest.as_str())),
            expect.as_ref().copied(),
            "{text}"
        );
    };
    check("<>", Ok(("", "")));
    check("<> SIZE=1", Ok(("", " SIZE=1")));
    check("<a@b>", Ok(("a@b", "")));
    check("<\">\"@b>x", Ok(("\">\"@b", "x")));
    check("<\"\\\">\"@b>x", Ok(("\"\\\">\"@b", "x")));
    check("<@one:a@b>", Ok(("a@b", "")));
    check("<@one,@[IPv6:::1],@[127.0.0.1]:a@b> x", Ok(("a@b", " x")));
    for (text, error) in [
        ("a@b", Error::Brackets),
        ("<a@b", Error::Brackets),
        ("", Error::Brackets),
        ("<", Error::Brackets),
        ("<\"a@b>", Error::Brackets),
        ("< >", Error::Local),
        ("< a@b>", Error::Local),
        ("<a@b >", Error::Domain),
        ("<<a@b>>", Error::Local),
        ("<@one>", Error::Route),
        ("<@one a@b>", Error::Route),
        ("<@one,a@b>", Error::Route),
        ("<@one,two:a@b>", Error::Route),
        ("<@:a@b>", Error::Route),
        ("<@[x:a@b>", Error::Route),
        ("<@one:>", Error::Empty),
        ("<postmaster>", Error::NoDomain),
    ] {
        check(text, Err(error));
    }
}

#[test]
fn forward_paths() {
    assert_eq!(ForwardPath::parse(b"<PostMaster>"), Ok((ForwardPath::Postmaster, &b""[..])));
    assert_eq!(ForwardPath::parse(b"<>"), Err(Error::Empty));
    assert_eq!(ForwardPath::parse(b"<alice>"), Err(Error::NoDomain));
    let (path, rest) = ForwardPath::parse(b"<postmaster@example.org> NOTIFY=NEVER").unwrap();
    assert_eq!((path.to_string().as_str(), rest), ("postmaster@example.org", &b" NOTIFY=NEVER"[..]));
}

#[test]
fn no_two_or_three_bytes_make_it_panic() {
    let alphabet = b"<>@\"\\[]:,. a1\r\n\0\xff-";
    for &a in alphabet {
        for &b in alphabet {
            for &c in alphabet {
                for &d in alphabet {
                    let text = [b'<', a, b, c, d];
                    let _ = (ReversePath::parse(&text), ForwardPath::parse(&text), Address::parse(&text));
                }
            }
        }
    }
}
