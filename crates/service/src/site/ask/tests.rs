use std::cell::RefCell;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use super::*;
use crate::proxy::{Address, Settings, Upstreams};
use crate::site::tests::{request, respond};
use crate::site::{Action, Block, Description, Item, Rewrite, Site, Step, Trust, Written};

type Heard = Rc<RefCell<Vec<String>>>;

/// Says this on each connection when it has heard the head of a request; nothing at all: stays silent.
async fn server(says: Vec<u8>) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let told = Rc::clone(&heard);
    spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            while !bytes.ends_with(b"\r\n\r\n") {
                let Ok(count @ 1..) = stream.read(&mut buffer).await else { break };
                bytes.extend_from_slice(&buffer[..count]);
            }
            told.borrow_mut().push(String::from_utf8(bytes).unwrap());
            if says.is_empty() {
                // Until the other side has had enough.
                let _ = stream.read(&mut buffer).await;
            }
            let _ = stream.write_all(&says).await;
        }
    });
    (address, heard)
}

fn ask(copies: &[(&str, &str)]) -> Ask {
    Ask {
        proxy: 0,
        target: Question::parse("/auth?for=us").unwrap(),
        within: Duration::from_secs(10),
        copies: copies.iter().map(|(from, to)| FieldCopy::new(from, to).unwrap()).collect(),
        account: None,
    }
}

/// A site that asks `address`, and then says who it thinks is there.
fn site(address: &str, ask: Ask, before: Vec<Step>, trust: Trust) -> Rc<Site> {
    let mut settings = Settings::of([Address::parse(address).unwrap()]);
    settings.trusted = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    settings.says = vec![Says::XForwarded, Says::Forwarded];
    let steps = before.into_iter().chain([Step::Ask(ask)]);
    let items = steps.map(|step| Written { line: 0, what: Item::Step(step) }).collect();
    let action = respond(299).map(|what: Action| Written { line: 0, what });
    let block = Block { items, action, ..Block::default() };
    Rc::new(Site::new(
        std::sync::Arc::new(Description {
            block,
            trust,
            proxies: vec![Upstreams::new(settings)],
            ..Description::default()
        }),
        Vec::new(),
    ))
}

fn on_stage(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

fn with(mut request: Request, fields: &[(&'static str, &'static str)]) -> Request {
    for (name, value) in fields {
        request.fields.add(*name, *value).unwrap();
    }
    request
}

fn answer(status: &str, rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{rest}").into_bytes()
}

/// What the step leaves of a request's fields, or the status of the answer.
async fn asked(says: &[u8], ask: &Ask, request: &mut Request) -> Result<(), u16> {
    let (address, _) = server(says.to_vec()).await;
    let mut settings = Settings::of([Address::parse(&format!("http://{address}")).unwrap()]);
    settings.trusted = vec!["0.0.0.0/0".parse().unwrap()];
    settings.says = vec![Says::XForwarded, Says::Forwarded];
    let proxy = Proxy::new(Upstreams::new(settings));
    let mut known = Known::of(request, &Trust::default());
    let made = ask.take(Some(&proxy), request, &mut known, Peer::Stranger).await;
    made.map(drop).map_err(|answered| answered.map_or_else(|ours| ours.status, |answer| answer.status))
}

#[test]
fn with_a_2xx_the_request_goes_on_and_with_nothing_else() {
    on_stage(async {
        for (says, expect) in [
            (answer("200 OK", "content-length: 0\r\n\r\n"), Ok(())),
            (answer("204 No Content", "\r\n"), Ok(())),
            (answer("299 Yes", "content-length: 2\r\n\r\nok"), Ok(())),
            (answer("302 Found", "location: /login\r\ncontent-length: 0\r\n\r\n"), Err(302)),
            (answer("401 Unauthorized", "content-length: 0\r\n\r\n"), Err(401)),
            (answer("403 Forbidden", "content-length: 0\r\n\r\n"), Err(403)),
            (answer("404 Not Found", "content-length: 0\r\n\r\n"), Err(404)),
            (answer("500 Oops", "content-length: 0\r\n\r\n"), Err(500)),
            (answer("304 Not Modified", "\r\n"), Err(502)),
            (answer("101 Switching Protocols", "upgrade: x\r\nconnection: upgrade\r\n\r\n"), Err(502)),
            // What cannot be read in one way only lets nobody in.
            (answer("200 OK", "content-length: 0\r\ncontent-length: 1\r\n\r\n"), Err(502)),
            (b"yes\r\n\r\n".to_vec(), Err(502)),
            (b"HTTP/1.1 200".to_vec(), Err(502)),
        ] {
            assert_eq!(asked(&says, &ask(&[]), &mut request("/")).await, expect, "{}", says.escape_ascii());
        }
    });
}

#[tokio::test(start_paused = true)]
async fn silence_lets_nobody_in() {
    let test = async { assert_eq!(asked(b"", &ask(&[]), &mut request("/")).await, Err(504)) };
    LocalSet::new().run_until(test).await;
}

#[test]
fn nobody_is_let_in_where_nobody_can_be_asked() {
    on_stage(async {
        let gone = site("http://127.0.0.1:1", ask(&[]), vec![], Trust::default());
        let refused = gone.answer(request("/")).await;
        assert_eq!(refused.status, 502);
        let nowhere = site("http://127.0.0.1:1", Ask { proxy: 7, ..ask(&[]) }, vec![], Trust::default());
        assert_eq!(nowhere.answer(request("/")).await.status, 502);
    });
}

#[test]
fn the_question_is_a_get_that_tells_what_the_client_wants_and_nothing_it_claims() {
    on_stage(async {
        let (address, heard) = server(answer("204 No Content", "\r\n")).await;
        let rewrite = Step::Rewrite(Rewrite::parse("/other").unwrap());
        let site =
            site(&format!("http://{address}"), ask(&[("Remote-User", "Remote-User")]), vec![rewrite], Trust::default());
        let sent = with(
            request("/x/../%61%20b//c?d=%20e"),
            &[
                ("cookie", "session=1"),
                ("authorization", "Bearer t"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-uri", "/public"),
                ("x_forwarded_uri", "/public"),
                ("x-forwarded-method", "OPTIONS"),
                ("x-original-url", "https://www.example.org/public"),
                ("x_original_uri", "/public"),
                ("x-real-ip", "10.0.0.1"),
                ("forwarded", "for=10.0.0.1"),
                ("remote-user", "admin"),
                ("remote_user", "admin"),
                ("content-type", "text/plain"),
                ("if-none-match", "*"),
                ("range", "bytes=0-0"),
            ],
        );
        let sent = Request { method: Method::Post, verb: Bytes::from_static(b"POST"), ..sent };
        assert_eq!(site.answer(sent).await.status, 299);
        let heard = heard.borrow()[0].clone();
        let mut lines: Vec<&str> = heard.trim_end().lines().collect();
        assert_eq!(lines.remove(0), "GET /auth?for=us HTTP/1.1");
        lines.sort_unstable();
        let traces = lines.extract_if(.., |line| line.starts_with("traceparent: 00-")).count();
        assert_eq!(traces, 1);
        assert_eq!(
            lines,
            [
                "Host: www.example.org:8080",
                "authorization: Bearer t",
                "cookie: session=1",
                "forwarded: for=192.0.2.7;host=\"www.example.org:8080\";proto=http",
                "via: 1.1 sportello",
                "x-forwarded-for: 192.0.2.7",
                "x-forwarded-host: www.example.org:8080",
                "x-forwarded-method: POST",
                "x-forwarded-proto: http",
                "x-forwarded-uri: /a%20b/c?d=%20e",
            ]
        );
    });
}

#[test]
fn a_proxy_that_is_believed_tells_of_its_clients() {
    on_stage(async {
        let (address, heard) = server(answer("204 No Content", "\r\n")).await;
        let trust = Trust { proxies: vec!["192.0.2.0/24".parse().unwrap()], ..Trust::default() };
        let site = site(&format!("http://{address}"), ask(&[]), vec![], trust);
        let fields =
            [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https"), ("x-forwarded-uri", "/public")];
        assert_eq!(site.answer(with(request("/a"), &fields)).await.status, 299);
        let heard = heard.borrow()[0].clone();
        for line in ["x-forwarded-for: 198.51.100.1, 192.0.2.7", "x-forwarded-proto: https", "x-forwarded-uri: /a"] {
            assert!(heard.contains(&format!("\r\n{line}\r\n")), "{line}: {heard}");
        }
        assert!(!heard.contains("/public"), "{heard}");
    });
}

#[test]
fn who_it_is_says_the_answer_and_never_the_client() {
    on_stage(async {
        let copies = [("X-User", "Remote-User"), ("Remote-Groups", "remote-groups")];
        let claims = [("remote-user", "admin"), ("remote_user", "admin"), ("Remote-Groups", "wheel"), ("x-user", "me")];
        let of = |request: &Request| {
            let one =
                |name| request.fields.values(name).map(|value| value.escape_ascii().to_string()).collect::<Vec<_>>();
            (one("remote-user"), one("remote-groups"), one("remote_user"))
        };
        for (says, expect) in [
            (
                answer("200 OK", "x-user: ada\r\nremote-groups: a\r\nremote-groups: b\r\ncontent-length: 0\r\n\r\n"),
                (vec!["ada"], vec!["a", "b"]),
            ),
            // Not named in the answer: then nobody is.
            (answer("200 OK", "content-length: 0\r\n\r\n"), (vec![], vec![])),
            (answer("200 OK", "remote-user: eve\r\ncontent-length: 0\r\n\r\n"), (vec![], vec![])),
        ] {
            let mut sent = with(request("/"), &claims);
            assert_eq!(asked(&says, &ask(&copies), &mut sent).await, Ok(()));
            let (user, groups, other) = of(&sent);
            assert_eq!(
                (user, groups),
                (
                    expect.0.iter().map(ToString::to_string).collect(),
                    expect.1.iter().map(ToString::to_string).collect()
                )
            );
            assert!(other.is_empty());
        }
        // A name that only the copy is made from stays the client's own.
        for (length, expect) in [(COPIED_MOST, Ok(())), (COPIED_MOST + 1, Err(502))] {
            let says = answer("200 OK", &format!("x-user: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(length)));
            assert_eq!(asked(&says, &ask(&copies), &mut request("/")).await, expect, "{length}");
        }
    });
}

#[test]
fn the_account_is_known_behind_it() {
    on_stage(async {
        let (address, _) = server(answer("200 OK", "remote-user: ada\r\ncontent-length: 0\r\n\r\n")).await;
        let ask = Ask { account: Some("remote-user".into()), ..ask(&[("Remote-User", "Remote-User")]) };
        let site = site(&format!("http://{address}"), ask, vec![], Trust::default());
        let mut description = (**site.description()).clone();
        let to = super::super::Redirect::parse("/of/{account}", None).unwrap();
        description.block.action = Some(Written { line: 0, what: Action::Redirect(to) });
        let answer = Rc::new(Site::new(std::sync::Arc::new(description), Vec::new())).answer(request("/")).await;
        assert_eq!(answer.fields.text("location"), Some("/of/ada"));
    });
}

#[test]
fn cookies_of_who_lets_pass_are_the_clients_whatever_answers_it() {
    on_stage(async {
        let says =
            "set-cookie: session=2; Path=/; HttpOnly\r\nset-cookie: b=1\r\nx-other: 1\r\ncontent-length: 0\r\n\r\n";
        let (address, _) = server(answer("200 OK", says)).await;
        let site = site(&format!("http://{address}"), ask(&[]), vec![], Trust::default());
        let mut nothing = (**site.description()).clone();
        nothing.block.action = None;
        let nothing = Rc::new(Site::new(std::sync::Arc::new(nothing), Vec::new()));
        for (site, status, kept) in [(site, 299, "private"), (nothing, 404, "no-store")] {
            let given = site.answer(request("/")).await;
            assert_eq!((given.status, given.fields.text("cache-control")), (status, Some(kept)));
            let cookies: Vec<_> = given.fields.values("set-cookie").collect();
            assert_eq!(cookies, [&b"session=2; Path=/; HttpOnly"[..], b"b=1"]);
            assert_eq!(given.fields.values("x-other").count(), 0, "and nothing else");
        }
        for (length, expect) in [(COPIED_MOST, Ok(())), (COPIED_MOST + 1, Err(502))] {
            let says = answer("200 OK", &format!("set-cookie: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(length)));
            assert_eq!(asked(&says, &ask(&[]), &mut request("/")).await, expect, "{length}");
        }
    });
}

#[test]
fn what_refuses_is_the_clients_answer_up_to_its_bound() {
    on_stage(async {
        let page = answer(
            "401 Unauthorized",
            "www-authenticate: Bearer\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nlocation: https://login.example/?rd=x\r\n\
             connection: close, x-secret\r\nx-secret: 1\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\nsorry",
        );
        let (address, _) = server(page).await;
        let given = site(&format!("http://{address}"), ask(&[]), vec![], Trust::default()).answer(request("/")).await;
        let fields: Vec<_> =
            given.fields.iter().map(|(name, value)| format!("{name}: {}", value.escape_ascii())).collect();
        assert_eq!(
            fields,
            [
                "www-authenticate: Bearer",
                "set-cookie: a=1",
                "set-cookie: b=2",
                "location: https://login.example/?rd=x",
                "content-type: text/html"
            ]
        );
        assert!(matches!(given.body, Body::Bytes(body) if &body[..] == b"sorry"));
        for (length, expect) in [(BODY_MOST, 403), (BODY_MOST + 1, 502)] {
            let mut says = answer("403 Forbidden", &format!("content-length: {length}\r\n\r\n"));
            says.extend(std::iter::repeat_n(b'x', length as usize));
            assert_eq!(asked(&says, &ask(&[]), &mut request("/")).await, Err(expect), "{length}");
            // Of which nobody said how long it is.
            let mut says = answer("403 Forbidden", "connection: close\r\n\r\n");
            says.extend(std::iter::repeat_n(b'x', length as usize));
            assert_eq!(asked(&says, &ask(&[]), &mut request("/")).await, Err(expect), "{length}");
        }
        let broken = answer("403 Forbidden", "content-length: 9\r\n\r\nhalf");
        assert_eq!(asked(&broken, &ask(&[]), &mut request("/")).await, Err(502));
    });
}

#[test]
fn a_body_of_the_client_is_left_for_who_answers() {
    on_stage(async {
        let mut sent = request("/");
        sent.body = Incoming::Pieces(Box::new(crate::web::Ready::new([Bytes::from_static(b"hello")])));
        let says = answer("204 No Content", "\r\n");
        assert_eq!(asked(&says, &ask(&[]), &mut sent).await, Ok(()));
        assert_eq!(std::mem::take(&mut sent.body).whole(5).await.unwrap(), "hello");
    });
}

#[test]
fn what_cannot_be_asked_or_copied_is_refused() {
    for (written, expect) in [
        ("/auth", true),
        ("/auth?a=b", true),
        ("/", true),
        ("", false),
        ("auth", false),
        ("/a b", false),
        ("/a#b", false),
        ("/a\r\nb", false),
        ("/../a", false),
        ("/ä", false),
    ] {
        assert_eq!(Question::parse(written).is_ok(), expect, "{written}");
    }
    for (from, to, expect) in [
        ("Remote-User", "remote-user", true),
        ("X-Forwarded-User", "Remote-User", true),
        ("Host", "x", false),
        ("x", "Host", false),
        ("x", "content-length", false),
        ("x", "X-Forwarded-User", false),
        ("x", "X_Forwarded_For", false),
        ("x", "x-real-ip", false),
        ("", "x", false),
        ("x", "a b", false),
    ] {
        assert_eq!(FieldCopy::new(from, to).is_ok(), expect, "{from} {to}");
    }
}
