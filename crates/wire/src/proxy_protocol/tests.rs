use super::*;

fn version2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

fn addresses4() -> Vec<u8> {
    [&[192, 0, 2, 1, 198, 51, 100, 1][..], &56324_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
}

fn addresses6() -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    [&address("2001:db8::1")[..], &address("2001:db8::2"), &56324_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
}

/// Whole, with bytes of the client behind it, and cut anywhere.
fn check(header: &[u8], expect: Result<Option<&str>, Error>) {
    let expect =
        expect.map(|client| Header { length: header.len(), client: client.map(|client| client.parse().unwrap()) });
    let told = header.escape_ascii();
    assert_eq!(parse(header), expect.map(Some), "{told}");
    for behind in [&b"GET / HTTP/1.1\r\n"[..], b"\r\n", b"\n", b"PROXY ", SIGNATURE] {
        assert_eq!(parse(&[header, behind].concat()), expect.map(Some), "{told}");
    }
    if expect.is_ok() {
        for end in 0..header.len() {
            assert_eq!(parse(&header[..end]), Ok(None), "{told} cut at {end}");
        }
    }
}

#[test]
fn the_line_of_version_1_names_the_client_or_nobody() {
    for (line, expect) in [
        ("TCP4 192.0.2.1 198.51.100.1 56324 443", Ok(Some("192.0.2.1:56324"))),
        ("TCP4 255.255.255.255 255.255.255.255 65535 65535", Ok(Some("255.255.255.255:65535"))),
        ("TCP4 192.0.2.1 198.51.100.1 0 0", Ok(Some("192.0.2.1:0"))),
        ("TCP6 2001:db8::1 2001:db8::2 56324 443", Ok(Some("[2001:db8::1]:56324"))),
        ("TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535", Err(Error::Line)),
        (
            "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1 1",
            Ok(Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1")),
        ),
        ("UNKNOWN", Ok(None)),
        ("UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535", Ok(None)),
        ("UNKNOWN whatever", Ok(None)),
    ] {
        check(format!("PROXY {line}\r\n").as_bytes(), expect);
    }
}

#[test]
fn a_line_that_could_be_read_in_two_ways_is_none() {
    for line in [
        "",
        " ",
        "TCP4",
        "TCP4 192.0.2.1 198.51.100.1 56324",
        "TCP4 192.0.2.1 198.51.100.1 56324 443 1",
        "TCP4 192.0.2.1 198.51.100.1 56324 443 ",
        "TCP4  192.0.2.1 198.51.100.1 56324 443",
        "TCP4 192.0.2.1\t198.51.100.1 56324 443",
        "TCP4 192.0.2.01 198.51.100.1 56324 443",
        "TCP4 192.0.2 198.51.100.1 56324 443",
        "TCP4 0xc0.0.2.1 198.51.100.1 56324 443",
        "TCP4 2001:db8::1 2001:db8::2 56324 443",
        "TCP4 192.0.2.1 2001:db8::2 56324 443",
        "TCP4 example.org 198.51.100.1 56324 443",
        "TCP4 192.0.2.1 198.51.100.1 65536 443",
        "TCP4 192.0.2.1 198.51.100.1 +1 443",
        "TCP4 192.0.2.1 198.51.100.1 -1 443",
        "TCP4 192.0.2.1 198.51.100.1 01 443",
        "TCP4 192.0.2.1 198.51.100.1 56324 443\r",
        "TCP6 192.0.2.1 198.51.100.1 56324 443",
        "TCP6 fe80::1%eth0 2001:db8::2 56324 443",
        "tcp4 192.0.2.1 198.51.100.1 56324 443",
        "UDP4 192.0.2.1 198.51.100.1 56324 443",
        "unknown",
    ] {
        check(format!("PROXY {line}\r\n").as_bytes(), Err(Error::Line));
    }
    check(b"PROXY UNKNOWN\n", Err(Error::Line));
    check(b"PROXY \xff\r\n", Err(Error::Line));
}

#[test]
fn a_line_has_so_many_bytes_and_no_more() {
    let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16));
    check(line(LINE).as_bytes(), Ok(None));
    assert_eq!(parse(line(LINE + 1).as_bytes()), Err(Error::Line));
    let endless = line(LINE + 100);
    assert_eq!(parse(&endless.as_bytes()[..LINE - 1]), Ok(None));
    assert_eq!(parse(&endless.as_bytes()[..LINE]), Err(Error::Line));
}

#[test]
fn the_block_of_version_2_names_the_client_or_nobody() {
    for (command, family, rest, expect) in [
        (0x21, 0x11, addresses4(), Ok(Some("192.0.2.1:56324"))),
        (0x21, 0x11, [addresses4(), b"\x04\0\x01\0".to_vec()].concat(), Ok(Some("192.0.2.1:56324"))),
        (0x21, 0x21, addresses6(), Ok(Some("[2001:db8::1]:56324"))),
        (0x21, 0x31, vec![b'/'; 216], Ok(None)),
        (0x21, 0x00, vec![], Ok(None)),
        (0x21, 0x00, vec![1; 50], Ok(None)),
        // LOCAL: whatever else it says is passed over.
        (0x20, 0x00, vec![], Ok(None)),
        (0x20, 0x11, addresses4(), Ok(None)),
        (0x20, 0xff, vec![1; 3], Ok(None)),
        (0x21, 0x11, addresses4()[..11].to_vec(), Err(Error::Block)),
        (0x21, 0x21, addresses6()[..35].to_vec(), Err(Error::Block)),
        (0x21, 0x31, vec![b'/'; 215], Err(Error::Block)),
        (0x21, 0x12, addresses4(), Err(Error::Block)),
        (0x21, 0x22, addresses6(), Err(Error::Block)),
        (0x21, 0x10, addresses4(), Err(Error::Block)),
        (0x21, 0x41, addresses4(), Err(Error::Block)),
        (0x22, 0x11, addresses4(), Err(Error::Block)),
        (0x11, 0x11, addresses4(), Err(Error::Block)),
        (0x31, 0x11, addresses4(), Err(Error::Block)),
    ] {
        check(&version2(command, family, &rest), expect);
    }
}

#[test]
fn a_block_has_so_many_bytes_and_no_more() {
    check(&version2(0x21, 0x00, &[0; LONGEST - FIXED]), Ok(None));
    let longer = version2(0x21, 0x00, &[0; LONGEST - FIXED + 1]);
    assert_eq!(parse(&longer), Err(Error::Long));
    assert_eq!(parse(&longer[..FIXED]), Err(Error::Long));
}

#[test]
fn whatever_else_begins_a_connection_is_refused_at_its_first_other_byte() {
    for other in ["GET / HTTP/1.1\r\n", "EHLO", "P", "PROXY\t", "PROXZ", "\r\n\r\nx", "\x16\x03\x01", " PROXY "] {
        let bytes = other.as_bytes();
        let known = bytes.iter().zip(WORD).take_while(|(byte, known)| byte == known).count();
        let known = known.max(bytes.iter().zip(SIGNATURE).take_while(|(byte, known)| byte == known).count());
        for end in 0..=bytes.len() {
            let expect = if end <= known { Ok(None) } else { Err(Error::Other) };
            assert_eq!(parse(&bytes[..end]), expect, "{other:?} cut at {end}");
        }
    }
}
