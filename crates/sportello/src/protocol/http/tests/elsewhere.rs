//! A channel that only sends to the same over TLS.

use super::challenge::{ANSWER, TOKEN};
use super::*;

/// One folder, for one host.
fn named(folder: &Path) -> Served {
    let mut sites = Sites::default();
    sites.add(&[SiteName::parse("www.example.org").unwrap()], &site(files(folder, Settings::default()))).unwrap();
    Served::Sites(sites)
}

/// The status and the Location that these bytes are answered with.
fn place(house: &House, request: &str) -> (u16, Option<String>) {
    let mut stream = house.client();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let place = text.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned);
    (text.split(' ').nth(1).unwrap().parse().unwrap(), place)
}

#[test]
fn every_request_for_a_site_is_sent_to_https_and_no_other_one() {
    let house = House::made(Deadlines::default(), Some(8443), named);
    let to = |path: &str| Some(format!("https://www.example.org:8443{path}"));
    for (line, host, expect) in [
        ("GET /a", "www.example.org", (308, to("/a"))),
        ("HEAD /a?b=c", "www.example.org:80", (308, to("/a?b=c"))),
        ("GET /not-there", "www.example.org:65535", (308, to("/not-there"))),
        ("DELETE /", "www.example.org", (308, to("/"))),
        ("GET //evil.example/x", "www.example.org", (308, to("/evil.example/x"))),
        ("GET http://www.example.org:8080/x", "other.example", (308, to("/x"))),
        // Nobody's host is sent nowhere, and what is no host is none.
        ("GET /", "evil.example", (421, None)),
        ("GET http://evil.example/", "www.example.org", (421, None)),
        ("GET /", "www.example.org:99999", (400, None)),
        ("GET /", "www.example.org:80@evil.example", (400, None)),
        ("GET /", "www.example.org/evil.example", (400, None)),
        ("GET /a%2f..", "www.example.org", (400, None)),
        ("OPTIONS *", "www.example.org", (204, None)),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(place(&house, &request), expect, "{request}");
    }
    assert_eq!(place(&house, "GET /a HTTP/1.0\r\n\r\n"), (404, None));
    house.close();
}

#[test]
fn a_body_is_read_past_and_a_ca_is_answered() {
    let house = House::made(Deadlines::default(), Some(443), named);
    let post = "POST /a HTTP/1.1\r\nHost: www.example.org\r\nContent-Length: 5\r\n\r\nhello";
    let again = get("/.well-known/acme-challenge/").replace("localhost", "www.example.org");
    let question = format!(
        "GET /.well-known/acme-challenge/{TOKEN} HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n"
    );
    let answers = house.dialogue(&format!("{post}{again}{question}"));
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [308, 308, 200]);
    assert_eq!(answers[2].1, ANSWER);
    house.close();
}
