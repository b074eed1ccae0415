//! What the application is told.

use super::*;

async fn told(request: Request, asked: &Asked, change: impl FnOnce(&mut Settings)) -> BTreeMap<String, String> {
    let house = House::new([Reply::Say(says(HELLO))]);
    let mut settings = house.settings();
    change(&mut settings);
    let answer = house.fastcgi(settings).answer(request, asked).await.unwrap();
    assert_eq!(whole(answer).await.0, 200);
    let root = house.folder.join("www").display().to_string();
    house.seen(0).params.into_iter().map(|(name, value)| (name, value.replace(&root, "ROOT"))).collect()
}

fn fields(lines: &[(&'static str, &'static str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in lines {
        fields.add(*name, *value).unwrap();
    }
    fields
}

#[test]
fn a_plain_request_has_these_parameters_and_no_other() {
    on_a_worker(async {
        let request = Request {
            fields: fields(&[("accept", "*/*")]),
            ..request("GET", "/blog/index.php/2024/caf%C3%A9%20x?a=%20b&c")
        };
        let told = told(request, &Asked::default(), |settings| {
            settings.scripts = settings.scripts.clone().with_path_info();
        })
        .await;
        let expect = [
            ("DOCUMENT_ROOT", "ROOT"),
            ("DOCUMENT_URI", "/blog/index.php/2024/caf\u{e9} x"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("HTTP_ACCEPT", "*/*"),
            ("HTTP_HOST", "www.example.org:8080"),
            ("PATH_INFO", "/2024/caf\u{e9} x"),
            ("PATH_TRANSLATED", "ROOT/2024/caf\u{e9} x"),
            ("QUERY_STRING", "a=%20b&c"),
            ("REDIRECT_STATUS", "200"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "50000"),
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_SCHEME", "http"),
            ("REQUEST_URI", "/blog/index.php/2024/caf%C3%A9%20x?a=%20b&c"),
            ("SCRIPT_FILENAME", "ROOT/blog/index.php"),
            ("SCRIPT_NAME", "/blog/index.php"),
            ("SERVER_ADDR", "192.0.2.1"),
            ("SERVER_NAME", "www.example.org"),
            ("SERVER_PORT", "8080"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", concat!("Sportello/", env!("CARGO_PKG_VERSION"))),
        ];
        assert_eq!(told, expect.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    });
}

#[test]
fn a_field_becomes_the_variable_of_its_name_and_no_other() {
    on_a_worker(async {
        for (lines, name, expect) in [
            (&[("user-agent", "a")][..], "HTTP_USER_AGENT", Some("a")),
            (&[("x-1-a", "b")], "HTTP_X_1_A", Some("b")),
            (&[("authorization", "Basic eDp5")], "HTTP_AUTHORIZATION", Some("Basic eDp5")),
            // httpoxy.
            (&[("proxy", "http://evil.example/")], "HTTP_PROXY", None),
            (&[("Proxy", "http://evil.example/")], "HTTP_PROXY", None),
            // What would be the variable of another field.
            (&[("x_user", "root")], "HTTP_X_USER", None),
            (&[("x-user", "ada"), ("x_user", "root")], "HTTP_X_USER", Some("ada")),
            (&[("x.user", "root")], "HTTP_X.USER", None),
            (&[("x!user", "root")], "HTTP_X!USER", None),
            (&[("content_length", "9")], "HTTP_CONTENT_LENGTH", None),
            (&[("script_filename", "/etc/passwd")], "SCRIPT_FILENAME", Some("ROOT/index.php")),
            (&[("php_value", "auto_prepend_file=/x")], "PHP_VALUE", None),
            (&[("php-value", "auto_prepend_file=/x")], "PHP_VALUE", None),
            (&[("https", "on")], "HTTPS", None),
            (&[("remote-addr", "127.0.0.1")], "REMOTE_ADDR", Some("192.0.2.7")),
            (&[("host", "other.example")], "HTTP_HOST", Some("www.example.org:8080")),
            // What has a variable of its own.
            (&[("content-type", "a/b")], "CONTENT_TYPE", Some("a/b")),
            (&[("content-type", "a/b")], "HTTP_CONTENT_TYPE", None),
            (&[("content-length", "0")], "CONTENT_LENGTH", Some("0")),
            // Several lines.
            (&[("accept", "a"), ("x-y", "z"), ("accept", "b")], "HTTP_ACCEPT", Some("a, b")),
            (&[("cookie", "a=1"), ("cookie", "b=2")], "HTTP_COOKIE", Some("a=1; b=2")),
            // Claims of whoever is not trusted.
            (&[("x-forwarded-for", "127.0.0.1")], "HTTP_X_FORWARDED_FOR", None),
            (&[("x-forwarded-proto", "https")], "HTTP_X_FORWARDED_PROTO", None),
            (&[("x-real-ip", "127.0.0.1")], "HTTP_X_REAL_IP", None),
            (&[("forwarded", "for=127.0.0.1")], "HTTP_FORWARDED", None),
            (&[("expect", "100-continue")], "HTTP_EXPECT", None),
        ] {
            let request = Request { fields: fields(lines), ..request("GET", "/") };
            let told = told(request, &Asked::default(), |_| {}).await;
            assert_eq!(told.get(name).map(String::as_str), expect, "{lines:?}");
            assert!(told.keys().all(|name| is_name(name)), "{told:?}");
        }
    });
}

#[test]
fn who_is_behind_a_trusted_proxy_is_believed() {
    on_a_worker(async {
        for (address, claims, expect) in [
            (Some("198.51.100.1"), Claims::Told(Says::XForwarded), ("198.51.100.1", false, true)),
            (Some("198.51.100.1"), Claims::Told(Says::Forwarded), ("198.51.100.1", false, false)),
            (Some("::ffff:192.0.2.7"), Claims::Untold, ("192.0.2.7", true, false)),
            (None, Claims::Untold, ("192.0.2.7", true, false)),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            let asked = Asked { address, claims, ..Asked::default() };
            let request = Request {
                fields: fields(&[
                    ("x-forwarded-for", "198.51.100.1"),
                    ("x-real-ip", "6.6.6.6"),
                    ("forwarded", "for=198.51.100.1"),
                ]),
                ..request("GET", "/")
            };
            let told = told(request, &asked, |_| {}).await;
            assert_eq!(told.contains_key("HTTP_FORWARDED"), claims == Claims::Told(Says::Forwarded));
            assert!(!told.contains_key("HTTP_X_REAL_IP"), "no family has it");
            let has = |name: &str| told.contains_key(name);
            assert_eq!((&*told["REMOTE_ADDR"], has("REMOTE_PORT"), has("HTTP_X_FORWARDED_FOR")), expect);
        }
    });
}

#[test]
fn what_came_before_the_script_is_told_too() {
    on_a_worker(async {
        let asked = Asked {
            target: Some(Bytes::from_static(b"/2024/hello?x")),
            account: Some("ada".into()),
            ..Asked::default()
        };
        let request = Request {
            scheme: Scheme::Https,
            authority: Bytes::from_static(b"[2001:db8::1]:8443"),
            fields: fields(&[("authorization", "Basic eDp5")]),
            client: Client {
                peer: "[::ffff:192.0.2.9]:1".parse().unwrap(),
                local: "[2001:db8::1]:8443".parse().unwrap(),
                secured: None,
            },
            ..request("GET", "/index.php")
        };
        let told = told(request, &asked, |settings| {
            settings.seen_as = Some("/var/www/html/".into());
            settings.params = vec![("APP_ENV".into(), "test".into()), ("SERVER_NAME".into(), "fixed".into())];
        })
        .await;
        for (name, expect) in [
            ("REQUEST_URI", Some("/2024/hello?x")),
            ("SCRIPT_FILENAME", Some("/var/www/html/index.php")),
            ("DOCUMENT_ROOT", Some("/var/www/html/")),
            ("HTTPS", Some("on")),
            ("REQUEST_SCHEME", Some("https")),
            ("REMOTE_USER", Some("ada")),
            ("AUTH_TYPE", Some("Basic")),
            ("HTTP_AUTHORIZATION", None),
            ("REMOTE_ADDR", Some("192.0.2.9")),
            ("SERVER_ADDR", Some("2001:db8::1")),
            ("SERVER_PORT", Some("8443")),
            ("APP_ENV", Some("test")),
            ("SERVER_NAME", Some("fixed")),
        ] {
            assert_eq!(told.get(name).map(String::as_str), expect, "{name}");
        }
    });
}

#[test]
fn an_authority_is_a_host_without_its_port() {
    on_a_worker(async {
        for (authority, expect) in [
            ("example.org", "example.org"),
            ("example.org:80", "example.org"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("", "192.0.2.1"),
        ] {
            let request = Request { authority: Bytes::from_static(authority.as_bytes()), ..request("GET", "/") };
            let told = told(request, &Asked::default(), |_| {}).await;
            assert_eq!(told["SERVER_NAME"], expect, "{authority}");
            assert_eq!(told.contains_key("HTTP_HOST"), !authority.is_empty());
        }
    });
}

#[test]
fn a_field_that_fits_into_no_record_is_refused() {
    on_a_worker(async {
        // A name of 6 bytes and its length, the length of the value in four.
        for (length, expect) in [(65_535 - 11, 200), (65_535 - 10, 431)] {
            let house = House::new([Reply::Say(says(HELLO))]);
            let mut fields = Fields::new();
            fields.add("x", vec![b'v'; length]).unwrap();
            let request = Request { fields, ..request("GET", "/") };
            assert_eq!(ask(&house.fastcgi(house.settings()), request).await.0, expect);
        }
    });
}
