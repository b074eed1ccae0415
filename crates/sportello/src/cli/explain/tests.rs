use std::path::Path;

use super::*;
use crate::config::source::Source;

pub(super) fn basis(text: &str) -> Basis {
    let mut faults = Vec::new();
    let source = Source::new(Path::new("/tmp/a.kdl"), text.as_bytes(), &mut faults);
    let checked = Checked::new(source, faults);
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    Basis { settings: checked.settings.unwrap(), written: checked.written }
}

const FILE: &str = r#"address "127.0.0.1"
channel web port=8080 protocol=http
channel all port=8081 protocol=http address="0.0.0.0"
channel mail port=1025 protocol=smtp
channel desk port=8025 protocol=http {
    desk
}
domain example.org {
    site www.example.org {
        root "/bin"
    }
    mail {
        capture
    }
}
"#;

fn asked() -> Asked {
    Asked { method: "GET".to_owned(), fields: Vec::new(), from: None }
}

fn check(told: Result<(Told<'_>, u8), Failed>, basis: &Basis, expect: (&str, &[usize], u8)) {
    let (told, code) = told.unwrap_or_else(|failed| panic!("{}", failed.message));
    let (sentence, numbers, exit) = expect;
    let all = told.happens.join("\n");
    assert!(all.contains(sentence), "{all}");
    let lines: Vec<usize> = lines(basis.written.as_ref().unwrap(), &told).iter().map(|line| line.line).collect();
    assert_eq!((lines.as_slice(), code), (numbers, exit), "{all}");
}

#[test]
fn a_url_is_followed_to_its_file() {
    let basis = basis(FILE);
    let check = |url: &str, expect| check(url::explain(&basis, url, &asked()), &basis, expect);
    check("http://www.example.org:8080/sh", ("200: the file /", &[1, 2, 8, 9, 10, 11], 0));
    check("http://www.example.org:8080/no", ("404", &[1, 2, 8, 9, 10, 11], 1));
    check("http://www.example.org:8080/", ("200: a listing", &[1, 2, 8, 9, 10, 11], 0));
    check("http://www.example.org:8080/%2e%2e/x", ("400", &[1, 2, 8, 9, 10, 11], 1));
    check("http://other.example:8080/", ("loopback answers only", &[1, 2, 9], 1));
    check("http://other.example:8081/", ("no site bears", &[3, 9], 1));
    check("http://127.0.0.1:8025/", ("the desk answers", &[1, 5, 6, 7], 0));
    check("http://127.0.0.2:8025/", ("no channel speaks http", &[2, 3, 4, 5], 1));
    check("http://127.0.0.1/", ("no channel speaks http", &[2, 3, 4, 5], 1));
    check("https://www.example.org:8080/", ("no channel speaks https", &[2, 3, 4, 5], 1));
    assert!(url::explain(&basis, "ftp://www.example.org/", &asked()).is_err());
}

#[test]
fn a_channel_that_sends_to_https_is_told_and_https_is_followed() {
    let basis = basis(
        r#"channel web port=8443 protocol=http tls=auto
channel plain port=8080 protocol=http {
    redirect https
}
channel mapped port=8081 protocol=http {
    redirect https port=443
}
domain example.org {
    site www.example.org {
        redirect https
        root "/bin"
    }
}
"#,
    );
    let check = |url: &str, expect| check(url::explain(&basis, url, &asked()), &basis, expect);
    let sent = "308: the channel sends it to https://www.example.org:8443/sh?a, for the site www.example.org";
    check("http://www.example.org:8080/sh?a", (sent, &[2, 3, 4], 0));
    check("http://www.example.org:8081/", ("it to https://www.example.org/, for", &[5, 6, 7], 0));
    check("http://other.example:8080/", ("loopback answers only", &[2, 3, 4, 9], 1));
    check("https://www.example.org:8443/sh", ("it came over TLS already", &[1, 8, 9, 10, 11], 0));
    check("https://www.example.org:8443/sh", ("200: the file /", &[1, 8, 9, 10, 11], 0));
    check("http://www.example.org:8443/sh", ("no channel speaks http at", &[1, 2, 5], 1));
    check("https://www.example.org/", ("web at 127.0.0.1:8443 (https)", &[1, 2, 5], 1));
}

#[test]
fn an_address_is_followed_to_its_mailbox() {
    let basis = basis(FILE);
    let check = |address: &str, expect| check(mail::explain(&basis, address), &basis, expect);
    check("ada@EXAMPLE.org", ("is taken on channel mail", &[4, 8, 12, 13, 14], 0));
    check("ada@example.net", ("refused at RCPT (550)", &[8], 1));
    check("ada@[127.0.0.1]", ("refused at RCPT (550)", &[8], 1));
    assert!(mail::explain(&basis, "ada@@b").is_err());
}

#[test]
fn a_command_without_a_channel_is_out_of_reach() {
    let basis = basis(FILE);
    assert!(command::is_known(&basis, "ping") && !command::is_known(&basis, "greet"));
    assert!(command::explain(&basis, "ping").happens.join("\n").contains("no channel speaks command"));
    assert!(unknown(&basis, "domian").message.contains("did you mean domain?"));
}

#[test]
fn a_named_domain_without_mail_takes_none_beside_everybody() {
    let basis = basis(
        "channel mail port=1025 protocol=smtp\nchannel web port=8080 protocol=http\n\
         domain example.org { site example.org { root \"/bin\" } }\ndomain \"*\" { mail { capture } }\n",
    );
    let check = |address: &str, expect| check(mail::explain(&basis, address), &basis, expect);
    check("ada@example.org", ("is refused at RCPT (550)", &[3, 4], 1));
    check("ada@example.net", ("every domain that is not named", &[1, 4], 0));
}

const ROUTES: &str = r#"channel web port=8080 protocol=http
domain example.org {
    site www.example.org {
        route "/old/*" {
            redirect "/new{path}"
        }
        route "/api/*" {
            route "/api/ping" {
                respond 200 "pong"
            }
        }
        root "/bin"
    }
}
"#;

#[test]
fn each_route_on_the_way_is_told_with_its_line() {
    let basis = basis(ROUTES);
    let check = |url: &str, expect| check(url::explain(&basis, url, &asked()), &basis, expect);
    check("http://www.example.org:8080/old/x", ("line 4: the route /old/* takes it", &[1, 2, 3, 4, 5], 0));
    check("http://www.example.org:8080/old/x", ("302: /new{path}", &[1, 2, 3, 4, 5], 0));
    check("http://www.example.org:8080/api/ping", ("line 9 decides", &[1, 2, 3, 4, 7, 8, 9], 0));
    check("http://www.example.org:8080/api/x", ("404: nothing is written there", &[1, 2, 3, 4, 7, 8], 1));
    check("http://www.example.org:8080/sh", ("200: the file /", &[1, 2, 3, 4, 7, 12], 0));
    check("http://www.example.org:8080/%2e%2e/x", ("400", &[1, 2, 3], 1));
}
