use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sportello_store::{Accept, Envelope, Origin, Settings, Summary};

use super::*;
use crate::picture::{ChannelView, ConnectionView, RequestView, ThreadView};

/// A desk over a store of its own; the folder goes when it is dropped.
struct House {
    desk: Desk,
    folder: PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn house() -> House {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("sportello-desk-{}-{number}", std::process::id()));
    let store = Store::open(Settings::new(&folder)).unwrap();
    let observer: Observer = Arc::new(|| Box::pin(async { picture() }));
    House { desk: Desk::new(store, observer), folder }
}

fn picture() -> Picture {
    let channel = |name: &str, protocol: &str, port: u16| ChannelView {
        name: name.into(),
        protocol: protocol.into(),
        address: Some(([127, 0, 0, 1], port).into()),
        purpose: "<b>purpose</b>".into(),
        ..ChannelView::default()
    };
    Picture {
        version: "0.1.0".into(),
        address: Some([127, 0, 0, 1].into()),
        channels: vec![channel("web", "http", 8080), channel("mail", "smtp", 1025), channel("desk", "http", 8025)],
        threads: vec![ThreadView { name: "worker-0".into(), ..ThreadView::default() }],
        connections: vec![ConnectionView { name: "<i>me</i>".into(), ..ConnectionView::default() }],
        requests: vec![RequestView { what: "GET /<script>".into(), ..RequestView::default() }],
        ..Picture::default()
    }
}

impl House {
    async fn mail(&self, message: &str) -> MessageId {
        let mut body = self.desk.store.begin(None).unwrap();
        body.write(message.replace('\n', "\r\n").as_bytes()).await.unwrap();
        let envelope = Envelope { sender: "a@example.org".into(), recipients: vec!["b@example.org".into()] };
        let origin =
            Origin { peer: ([127, 0, 0, 1], 4000).into(), helo: "me".into(), channel: "mail".into(), connection: 1 };
        let subject = message.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
        let summary = Summary { subject: subject.into(), from: "A <a@example.org>".into(), ..Summary::default() };
        self.desk.store.accept(Accept { envelope, origin, summary, body }).await.unwrap().id
    }

    async fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Reply {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
        let mut all = vec![("host".to_owned(), b"127.0.0.1:8025".to_vec())];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query,
            fields: all,
            body: Bytes::new(),
            peer: ([127, 0, 0, 1], 5000).into(),
        };
        Reply(self.desk.answer(request).await)
    }

    async fn page(&self, target: &str) -> String {
        let reply = self.ask("GET", target, &[]).await;
        assert_eq!(reply.0.status, 200, "{target}");
        reply.text()
    }
}

struct Reply(Answer);

impl Reply {
    fn field(&self, name: &str) -> Option<&str> {
        self.0.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_ref())
    }

    fn text(&self) -> String {
        match &self.0.body {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Body::Empty => String::new(),
            other => panic!("not text: {other:?}"),
        }
    }
}

#[tokio::test]
async fn routes() {
    let house = house();
    let id = house.mail("Subject: Hello\n\nText").await;
    for (method, target, status) in [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/inbox", 200),
        ("GET", "/inbox?before=7", 200),
        ("GET", "/inbox?before=x", 200),
        ("GET", "/inbox/ID", 200),
        ("GET", "/inbox/ID/text", 200),
        ("GET", "/inbox/ID/headers", 200),
        ("GET", "/inbox/ID/tree", 200),
        ("GET", "/inbox/ID/attachments", 200),
        ("GET", "/inbox/ID/source", 200),
        ("GET", "/inbox/ID/raw", 200),
        ("GET", "/inbox/ID/part/0", 200),
        ("GET", "/inbox/ID/part/1", 404),
        ("GET", "/inbox/ID/part/-1", 404),
        ("GET", "/inbox/ID/html", 404),
        ("GET", "/inbox/999999", 404),
        ("GET", "/inbox/0", 404),
        ("GET", "/inbox/../inbox", 404),
        ("GET", "/inbox/ID/text/more/and/more", 404),
        ("GET", "/%69nbox", 404),
        ("GET", "/api", 200),
        ("GET", "/api/v1/status", 200),
        ("GET", "/api/v1/messages", 200),
        ("GET", "/api/v1/message/ID", 200),
        ("GET", "/api/v1/message/ID/raw", 200),
        ("GET", "/api/v1/message/999999", 404),
        ("DELETE", "/api/v1/message/999999", 404),
        ("GET", "/api/v2", 404),
        ("POST", "/", 405),
        ("GET", "/inbox/ID/delete", 405),
        ("GET", "/inbox/delete-all", 405),
        ("DELETE", "/api/v1/status", 405),
        ("PUT", "/api/v1/message/ID", 405),
        ("GET", "/assets/0/desk.css", 200),
        ("GET", "/assets/0/../desk.css", 404),
        ("GET", "/assets/0/missing.js", 404),
        ("GET", "/favicon.ico", 200),
        ("GET", "/nothing", 404),
        ("POST", "/inbox/ID/unread", 303),
        ("POST", "/inbox/ID/delete", 303),
    ] {
        let target = target.replace("ID", &id.to_string());
        assert_eq!(house.ask(method, &target, &[]).await.0.status, status, "{method} {target}");
    }
}

#[tokio::test]
async fn every_page_says_what_it_may_do() {
    let house = house();
    let id = house.mail("Subject: Hello\nContent-Type: text/html\n\n<b>x</b>").await;
    let pages = ["/", "/inbox", "/api", "/nothing", "/api/v1/status", "/inbox/ID", "/inbox/ID/tree", "/inbox/999999"];
    for target in pages.map(|target| target.replace("ID", &id.to_string())) {
        let reply = house.ask("GET", &target, &[]).await;
        for (name, value) in [
            ("content-security-policy", guard::PAGE_POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(reply.field(name), Some(value), "{name} of {target}");
        }
        assert!(!reply.text().contains("style=\""), "{target} has a style that its own policy forbids");
    }
    assert!(guard::PAGE_POLICY.starts_with("default-src 'none'; script-src 'self';"));
    for (target, policy) in [("html", guard::FRAME_POLICY), ("html?remote=1", guard::FRAME_POLICY_REMOTE)] {
        let reply = house.ask("GET", &format!("/inbox/{id}/{target}"), &[]).await;
        assert_eq!(reply.field("content-security-policy"), Some(policy));
        assert!(!policy.contains("allow-scripts") && !policy.contains("allow-same-origin"));
    }
    let foreign = house.ask("GET", &format!("/inbox/{id}/html?remote=1"), &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(foreign.field("content-security-policy"), Some(guard::FRAME_POLICY), "only our own page asks for it");
}

#[tokio::test]
async fn the_first_page_is_escaped_and_whole_without_scripts() {
    let house = house();
    let page = house.page("/").await;
    for expected in [
        ":8080",
        ":1025",
        "worker-0",
        "GET /&lt;script&gt;",
        "&lt;i&gt;me&lt;/i&gt;",
        "&lt;b&gt;purpose",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    assert!(!page.contains("GET /<script>"));
    let inbox = house.page("/inbox").await;
    assert!(inbox.contains("swaks --server 127.0.0.1:1025"), "an empty inbox says how to send a first mail");
}
