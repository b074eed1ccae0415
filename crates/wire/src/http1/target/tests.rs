use super::*;

#[test]
fn paths_are_decoded_once_and_stay_inside() {
    use PathEnd::{Name, Slash};
    for (raw, names, end) in [
        ("/", "", Slash),
        ("/a", "a", Name),
        ("/a/", "a/", Slash),
        ("/a/b.txt", "a/b.txt", Name),
        ("/%61%2e%62", "a.b", Name),
        ("/a%20b+c", "a b+c", Name),
        ("/%2541", "%41", Name),
        ("/%252e%252e/", "%2e%2e/", Slash),
        ("/./a/.", "a/", Slash),
        ("/a/../b", "b", Name),
        ("/a/b/../../c", "c", Name),
        ("/a/%2e%2E/b", "b", Name),
        ("/a/..", "", Slash),
        ("/a/b/..", "a", Slash),
        ("/...", "...", Name),
        ("//", "", Slash),
        ("//a", "a", Name),
        ("///a//b//", "a/b", Slash),
        ("/a//../b", "b", Name),
        ("/a/..//b", "b", Name),
        ("/a%0Ab", "a\nb", Name),
        ("/%C3%A8", "è", Name),
    ] {
        let path = TreePath::decode(raw.as_bytes()).unwrap();
        let expect = names.strip_suffix('/').unwrap_or(names);
        assert_eq!(String::from_utf8_lossy(&path.names), expect, "{raw}");
        assert_eq!(path.end, end, "{raw}");
    }
}

#[test]
fn what_leaves_the_root_or_has_two_meanings_is_refused() {
    for (raw, expect) in [
        ("/..", BadPath::LeavesRoot),
        ("/../a", BadPath::LeavesRoot),
        ("/a/../../b", BadPath::LeavesRoot),
        ("/%2e%2e/a", BadPath::LeavesRoot),
        ("/.%2E/a", BadPath::LeavesRoot),
        ("/./../a", BadPath::LeavesRoot),
        ("//../a", BadPath::LeavesRoot),
        ("//a//..//..", BadPath::LeavesRoot),
        ("/a%2Fb", BadPath::Ambiguous),
        ("/..%2f..%2fetc/passwd", BadPath::Ambiguous),
        ("/a%00", BadPath::Ambiguous),
        ("/a\\b", BadPath::Ambiguous),
        ("/..\\b", BadPath::Ambiguous),
        ("/%5c", BadPath::Ambiguous),
        ("/%", BadPath::Encoding),
        ("/%4", BadPath::Encoding),
        ("/%4g", BadPath::Encoding),
        ("/%%41", BadPath::Encoding),
        ("/%+1", BadPath::Encoding),
    ] {
        assert_eq!(TreePath::decode(raw.as_bytes()), Err(expect), "{raw}");
    }
}

#[test]
fn hidden_names_are_seen_anywhere_on_the_way() {
    for (raw, hidden) in [
        ("/a", false),
        ("/.a", true),
        ("/%2Egit/config", true),
        ("/a/.b/c", true),
        ("/.well-known/x", false),
        ("/.well-known/.x", true),
        ("/.a/../b", false),
        ("/a.b", false),
    ] {
        assert_eq!(TreePath::decode(raw.as_bytes()).unwrap().is_hidden(), hidden, "{raw}");
    }
}

#[test]
fn loopback_hosts_are_told_from_those_that_only_say_so() {
    for (host, loopback) in [
        ("localhost", true),
        ("LocalHost:8080", true),
        ("localhost.", true),
        ("app.localhost:1", true),
        ("127.0.0.1", true),
        ("127.9.9.9:80", true),
        ("[::1]:80", true),
        ("[::1]", true),
        ("notlocalhost", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("evil.example", false),
        ("128.0.0.1", false),
        ("0.0.0.0", false),
        ("[::ffff:127.0.0.1]", false),
        ("[::2]", false),
    ] {
        assert_eq!(Host::parse(host.as_bytes()).unwrap().is_loopback(), loopback, "{host}");
    }
}

#[test]
fn names_are_encoded_so_that_they_decode_to_themselves() {
    let every: Vec<u8> = (1..=255).filter(|byte| !b"/\\".contains(byte)).collect();
    let mut path = String::from("/");
    encode_name(&every, &mut path);
    assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/%-._~".contains(&byte)));
    assert_eq!(TreePath::decode(path.as_bytes()).unwrap().names, every);
}

#[test]
fn hosts_are_read_as_the_standard_library_reads_addresses() {
    for text in [
        "0.0.0.0",
        "1.2.3.4",
        "255.255.255.255",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1..2.3",
        "1.2.3.4.",
        "1000.1.1.1",
        ".",
    ] {
        let expect = text.parse().ok().map(Host::V4);
        assert_eq!(Host::parse(text.as_bytes()), expect, "{text}");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    for byte in 0..=255 {
        assert_eq!(is_name_byte(byte), allowed(byte), "{byte:#x}");
    }
}
