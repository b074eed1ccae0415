//! What a CA is answered that asks over HTTP whether a name is ours.

use super::*;

pub(super) const TOKEN: &str = "a-Token_1";
pub(super) const ANSWER: &str = "a-Token_1.print";

#[test]
fn a_ca_is_answered_whatever_host_it_asks_for_before_any_site_and_nobody_else_is() {
    let house = House::open();
    let ask = |method: &str, path: &str, host: &str| {
        house.dialogue(&format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).remove(0)
    };
    let path = format!("/.well-known/acme-challenge/{TOKEN}");
    // Over loopback a foreign host is refused otherwise.
    for host in ["www.example.org", "localhost", "other.example.org:80"] {
        assert_eq!(ask("GET", &path, host), (200, ANSWER.to_owned()), "{host}");
    }
    assert_eq!(ask("HEAD", &path, "www.example.org").0, 200);
    assert_ne!(ask("POST", &path, "localhost").0, 200);
    for other in
        ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/b", "/.well-known/acme-challenge/a%2DToken_1"]
    {
        assert_eq!(ask("GET", other, "localhost").0, 404, "{other}");
        assert_ne!(ask("GET", other, "www.example.org").0, 200, "{other}");
    }
    let later = house.dialogue(&format!(
        "GET {path} HTTP/1.1\r\nhost: x.example\r\n\r\nGET /a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    ));
    assert_eq!(later, [(200, ANSWER.to_owned()), (200, "first".to_owned())]);
    house.close();
}
