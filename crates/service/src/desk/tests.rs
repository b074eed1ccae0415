use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sportello_store::{Accept, Envelope, Origin, Place, Settings, Summary};

use super::*;
use crate::picture::{ChannelView, ConnectionView, RequestView, ThreadView};
use crate::web::Incoming;

/// A desk over a store of its own; the folder goes when it is dropped.
pub(super) struct House {
    pub(super) desk: Desk,
    folder: PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn house() -> House {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("sportello-desk-{}-{number}", std::process::id()));
    let store = Store::open(Settings::new(&folder)).unwrap();
    let observer: Observer = Arc::new(|| Box::pin(async { picture() }));
    House { desk: Desk::new(store, observer, Conversations::default()), folder }
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
    pub(super) async fn mail(&self, message: &str) -> MessageId {
        let mut body = self.desk.store.begin(None).unwrap();
        body.write(message.replace('\n', "\r\n").as_bytes()).await.unwrap();
        let envelope = Envelope { sender: "a@example.org".into(), recipients: vec!["b@example.org".into()] };
        let origin =
            Origin { peer: ([127, 0, 0, 1], 4000).into(), helo: "me".into(), channel: "mail".into(), connection: 1 };
        let read = sportello_wire::mail::Summary::of(message.replace('\n', "\r\n").as_bytes());
        let summary = Summary {
            from: if read.from.is_empty() { "A <a@example.org>".into() } else { read.from },
            to: read.to,
            subject: read.subject,
            date_unix: read.date_unix.map(|seconds| seconds as i64),
            message_id: read.message_id,
        };
        self.desk
            .store
            .accept(Accept {
                envelope,
                origin,
                summary,
                body,
                places: vec![Place::CAUGHT],
                queue: Vec::new(),
                trace: None,
            })
            .await
            .unwrap()
            .id
    }

    pub(super) async fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(method, target, fields, "").await
    }

    pub(super) async fn send(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
        let mut all = vec![("host".to_owned(), b"127.0.0.1:8025".to_vec())];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query,
            fields: all,
            body: Bytes::copy_from_slice(body.as_bytes()),
            peer: ([127, 0, 0, 1], 5000).into(),
        };
        Reply(self.desk.answer(request).await)
    }

    pub(super) async fn page(&self, target: &str) -> String {
        let reply = self.ask("GET", target, &[]).await;
        assert_eq!(reply.0.status, 200, "{target}");
        reply.text()
    }
}

pub(super) struct Reply(pub(super) Answer);

impl Reply {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.0.fields.text(name)
    }

    pub(super) fn text(&self) -> String {
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
        ("GET", "/inbox?start=7", 200),
        ("GET", "/inbox?start=x", 200),
        ("GET", "/inbox?query=is:unread", 200),
        ("GET", "/inbox?query=+", 200),
        ("GET", "/inbox?query=is:odd", 400),
        ("GET", "/sessions", 200),
        ("GET", "/sessions/1", 404),
        ("GET", "/sessions/keep", 405),
        ("GET", "/inbox/selected", 405),
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
        ("GET", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("GET", "/api/v1/messages", 200),
        ("GET", "/api/v1/message/ID", 200),
        ("GET", "/api/v1/message/ID/raw", 200),
        ("GET", "/api/v1/message/999999", 404),
        ("GET", "/api/v2", 404),
        ("POST", "/", 405),
        ("GET", "/inbox/ID/delete", 405),
        ("GET", "/inbox/delete-all", 405),
        ("DELETE", "/api/v1/status", 405),
        ("PUT", "/api/v1/message/ID", 405),
        ("DELETE", "/api/v1/message/ID", 405),
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
    let pages = [
        "/",
        "/inbox",
        "/inbox?query=is:unread",
        "/sessions",
        "/api",
        "/nothing",
        "/api/v1/status",
        "/inbox/ID",
        "/inbox/ID/tree",
        "/inbox/999999",
    ];
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

#[tokio::test]
async fn requests_of_other_sites_change_nothing() {
    let house = house();
    let id = house.mail("Subject: Hello\n\nText").await;
    let own = "http://127.0.0.1:8025";
    for (fields, refused) in [
        (vec![("sec-fetch-site", "cross-site")], true),
        (vec![("sec-fetch-site", "same-site")], true),
        (vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], true),
        (vec![("origin", "http://evil.example")], true),
        (vec![("origin", "null")], true),
        (vec![("origin", "http://127.0.0.1:8080")], true),
        (vec![("origin", "http://127.0.0.1:80250")], true),
        (vec![("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], true),
        (vec![("sec-fetch-site", "same-origin"), ("origin", own)], false),
        (vec![("sec-fetch-site", "none")], false),
        (vec![("origin", own)], false),
        (vec![("origin", "HTTP://127.0.0.1:8025")], true),
        (vec![], false),
    ] {
        for (method, target) in [("POST", format!("/inbox/{id}/unread")), ("DELETE", "/api/v1/tags/none".to_owned())] {
            let reply = house.ask(method, &target, &fields).await;
            assert_eq!(reply.0.status == 403, refused, "{method} {fields:?}: {}", reply.0.status);
        }
        if refused {
            for target in ["/inbox/delete-all", "/inbox/read-all", "/inbox/selected", "/inbox/1/tags", "/sessions/keep"]
            {
                assert_eq!(house.ask("POST", target, &fields).await.0.status, 403, "{target}");
            }
            assert_eq!(house.ask("DELETE", "/api/v1/messages", &fields).await.0.status, 403);
        }
    }
    assert!(house.desk.store.message(id).await.unwrap().is_some(), "nothing was deleted");
}

#[tokio::test]
async fn what_strangers_wrote_is_shown_and_nothing_more() {
    let house = house();
    let hostile = "Subject: <script>alert(1)</script> \"x\" & \u{202e}evil\nX-Odd: <img src=x onerror=alert(1)>\n\
        Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; name=\"<b>.html\"\n\
        Content-Disposition: attachment; filename=\"../..\\\\<script>\u{202e}.html\"\n\n<script>alert(1)</script>\n\
        --b\nContent-Type: image/svg+xml\n\n<svg onload=alert(1)>\n--b\nContent-Type: text/plain\n\n<script>alert(2)</script> https://x.org/\"><b>\n--b--\n";
    let id = house.mail(hostile).await;
    for view in ["", "/text", "/headers", "/tree", "/attachments", "/source"] {
        let page = house.page(&format!("/inbox/{id}{view}")).await;
        for forbidden in ["<script>", "<img src=x", "<svg onload", "\u{202e}", "../.."] {
            let allowed = view == "/source" && forbidden == "../..";
            assert!(allowed || !page.contains(forbidden), "{forbidden:?} on {view:?}");
        }
    }
    assert!(house.page("/inbox").await.contains("&lt;script&gt;alert(1)&lt;/script&gt; &quot;x&quot; &amp; evil"));
    for (part, media_type) in [(1, "application/octet-stream"), (2, "application/octet-stream"), (3, "text/plain")] {
        let reply = house.ask("GET", &format!("/inbox/{id}/part/{part}"), &[]).await;
        assert_eq!(reply.field("content-type"), Some(media_type));
        let disposition = reply.field("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\""), "{disposition}");
        assert!(!disposition.contains(['/', '\\', '<', '\r', '\n']), "{disposition}");
        assert_eq!(reply.field("content-security-policy"), Some("sandbox; default-src 'none'; frame-ancestors 'none'"));
        assert_eq!(reply.field("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn the_html_of_a_mail_is_shut_in_a_frame() {
    let house = house();
    let html = "Subject: x\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n\
        <img src=\"cid:logo@x\"><img src=\"https://evil.example/pixel\"><script>alert(1)</script><a href=\"https://x.org\">x</a>\n\
        --b\nContent-Type: image/png\nContent-ID: <logo@x>\nContent-Transfer-Encoding: base64\n\niVBORw==\n--b--\n";
    let id = house.mail(html).await;
    let page = house.page(&format!("/inbox/{id}")).await;
    assert!(page.contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""));
    assert!(page.contains("wants to load 1 thing") && page.contains(&format!("href=\"/inbox/{id}?remote=1\"")));
    assert!(page.contains(&format!("src=\"/inbox/{id}/html\"")));
    let asked = house.page(&format!("/inbox/{id}?remote=1")).await;
    assert!(asked.contains(&format!("src=\"/inbox/{id}/html?remote=1\"")));
    let frame = house.page(&format!("/inbox/{id}/html")).await;
    assert!(frame.contains("<img src=\"data:image/png;base64,iVBORw==\">"), "{frame}");
    assert!(!frame.contains("<script") && frame.contains("rel=\"noopener noreferrer\""));
}

#[tokio::test]
async fn opening_marks_as_read_and_unread_undoes_it() {
    let house = house();
    let id = house.mail("Subject: Hello\n\nText").await;
    let seen = async || house.desk.store.message(id).await.unwrap().unwrap().flags.seen();
    house.ask("HEAD", &format!("/inbox/{id}"), &[]).await;
    assert!(!seen().await, "HEAD only asks");
    assert!(house.page("/inbox").await.contains("<title>Inbox (1)"));
    house.page(&format!("/inbox/{id}")).await;
    assert!(seen().await);
    house.ask("POST", &format!("/inbox/{id}/unread"), &[]).await;
    assert!(!seen().await);
}

impl House {
    /// Sends a form; where it sends the browser.
    async fn form(&self, target: &str, body: &str) -> Result<String, u16> {
        let reply = self.send("POST", target, &[], body).await;
        if reply.0.status == 303 { Ok(reply.field("location").unwrap().to_owned()) } else { Err(reply.0.status) }
    }
}

#[tokio::test]
async fn chosen_messages_are_marked_tagged_and_deleted() {
    let house = house();
    let ids =
        [house.mail("Subject: 1\n\na").await, house.mail("Subject: 2\n\na").await, house.mail("Subject: 3\n\na").await];
    let row = async |id: MessageId| house.desk.store.message(id).await.unwrap();
    let both = format!("id={}&id={}", ids[0], ids[1]);
    let next = house.form("/inbox/selected", &format!("start=50&query=is%3Aunread&{both}&do=read")).await;
    assert_eq!(next.as_deref(), Ok("/inbox?query=is%3Aunread&start=50"));
    assert!(row(ids[0]).await.unwrap().flags.seen() && !row(ids[2]).await.unwrap().flags.seen());
    house.form("/inbox/selected", &format!("id={}&do=unread", ids[0])).await.unwrap();
    assert!(!row(ids[0]).await.unwrap().flags.seen());
    house.form(&format!("/inbox/{}/tags", ids[0]), "tags=one%2C+to+pay,").await.unwrap();
    house.form("/inbox/selected", &format!("{both}&do=tag&tag=new")).await.unwrap();
    let tags = async |id| row(id).await.unwrap().tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (tags(ids[0]).await, tags(ids[1]).await),
        (vec!["new".into(), "one".into(), "to pay".into()], vec!["new".to_owned()])
    );
    house.form(&format!("/inbox/{}/tags", ids[0]), "tags=").await.unwrap();
    assert!(tags(ids[0]).await.is_empty());
    house.form("/inbox/selected", "do=delete").await.unwrap();
    assert!(row(ids[2]).await.is_some(), "nothing chosen, nothing done");
    assert_eq!(house.form("/inbox/selected", &both).await, Err(400));
    for (number, expect) in [(200, Ok("/inbox".to_owned())), (201, Err(413))] {
        assert_eq!(house.form("/inbox/selected", &format!("do=read{}", "&id=999999".repeat(number))).await, expect);
    }
    house.form("/inbox/selected", &format!("{both}&do=delete")).await.unwrap();
    assert!(row(ids[0]).await.is_none() && row(ids[2]).await.is_some());
    house.form("/inbox/read-all", "").await.unwrap();
    assert!(row(ids[2]).await.unwrap().flags.seen());
}

#[tokio::test]
async fn the_inbox_is_searched_and_turned_page_by_page() {
    let house = house();
    for number in 0..=PAGE {
        house.mail(&format!("Subject: mail {number}\n\nx")).await;
    }
    let first = house.page("/inbox").await;
    assert!(first.contains("1–50 of 51") && first.contains("href=\"/inbox?start=50\"") && !first.contains("mail 0<"));
    let second = house.page("/inbox?start=50").await;
    assert!(second.contains("mail 0<") && second.contains("href=\"/inbox\"") && !second.contains("Older"));
    assert!(house.page("/inbox?start=51").await.contains("There are no older messages."));
    let found = house.page("/inbox?query=subject:%2217%22").await;
    assert!(found.contains("mail 17<") && !found.contains("mail 18<") && found.contains("<b>1</b> found"), "{found}");
    assert!(found.contains("value=\"subject:&quot;17&quot;\""), "the box holds what was searched for");
    assert!(house.page("/inbox?query=nowhere").await.contains("Nothing is found."));
    let odd = house.ask("GET", "/inbox?query=is:%3Cb%3E", &[]).await;
    assert!(
        odd.0.status == 400 && odd.text().contains("This search is not understood") && !odd.text().contains("is:<b>")
    );
}

#[tokio::test]
async fn tags_are_shown_escaped_and_lead_to_their_search() {
    let house = house();
    let id = house.mail("Subject: x\n\ny").await;
    house.form(&format!("/inbox/{id}/tags"), "tags=%3Cb%3E+%26").await.unwrap();
    for target in ["/inbox".to_owned(), format!("/inbox/{id}")] {
        let page = house.page(&target).await;
        assert!(page.contains("&lt;b&gt; &amp;") && !page.contains("<b> &"), "{target}");
        assert!(page.contains("href=\"/inbox?query=tag%3A%22%3Cb%3E%20%26%22\""), "{target}");
    }
    let found = house.page("/inbox?query=tag%3A%22%3Cb%3E%20%26%22").await;
    assert!(found.contains("aria-current=\"page\"><bdi>&lt;b&gt;"));
}

#[tokio::test]
async fn sessions_are_kept_shown_and_forgotten() {
    let house = house();
    assert!(house.page("/sessions").await.contains("Sessions are not kept."));
    assert_eq!(house.form("/sessions/keep", "minutes=10").await.as_deref(), Ok("/sessions"));
    let keeper = house.desk.conversations.clone();
    let mut kept = keeper.begin(1, ([127, 0, 0, 1], 4000).into(), "mail").unwrap();
    kept.server(b"220 ready\r\n");
    kept.client(b"EHLO <script>\r\n");
    kept.elide(1234);
    let page = house.page("/sessions").await;
    assert!(page.contains("Sessions that begin are kept") && page.contains("href=\"/sessions/1\""), "{page}");
    let page = house.page("/sessions/1").await;
    assert!(page.contains("still going on") && page.contains("EHLO &lt;script&gt;") && !page.contains("<script>"));
    drop(kept);
    assert!(house.page("/sessions/1").await.contains("… 1,234 bytes"));
    let id = house.mail("Subject: x\n\ny").await;
    assert!(
        house.page(&format!("/inbox/{id}")).await.contains("href=\"/sessions/1\""),
        "a message leads to its session"
    );
    house.form("/sessions/keep", "minutes=0").await.unwrap();
    assert!(keeper.begin(2, ([127, 0, 0, 1], 4000).into(), "mail").is_none());
    house.form("/sessions/keep", "do=forget").await.unwrap();
    assert_eq!(house.ask("GET", "/sessions/1", &[]).await.0.status, 404);
    assert!(!house.page(&format!("/inbox/{id}")).await.contains("/sessions/1"));
}

#[tokio::test]
async fn a_message_that_another_site_loads_is_not_read() {
    for (site, read) in [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)] {
        let house = house();
        let id = house.mail("Subject: Once\n\nText").await;
        for view in ["", "/text", "/headers", "/source"] {
            let reply = house.ask("GET", &format!("/inbox/{id}{view}"), &[("sec-fetch-site", site)]).await;
            assert_eq!(reply.0.status, 200, "{site} {view}");
        }
        assert_eq!(house.desk.store.message(id).await.unwrap().unwrap().flags.seen(), read, "{site}");
    }
}

#[tokio::test]
async fn a_closed_store_is_no_fault_of_the_desk() {
    let house = house();
    let id = house.mail("Subject: Last\n\nText").await;
    house.desk.store.close().await;
    for (method, target) in [("DELETE", "/api/v1/messages"), ("POST", "/inbox/ID/delete"), ("GET", "/readyz")] {
        let reply = house.ask(method, &target.replace("ID", &id.to_string()), &[]).await;
        assert_eq!(reply.0.status, 503, "{method} {target}: {}", reply.text());
    }
}

#[test]
fn what_the_store_refuses_has_the_status_of_its_class() {
    use sportello_store::Error;
    let io = Error::Io { doing: "reading", source: Arc::new(std::io::ErrorKind::NotFound.into()) };
    for (error, status, public) in [
        (Error::DiskFull, 507, "no room on the disk"),
        (Error::Failed("sync".into()), 503, "until the server is started again"),
        (Error::Closed, 503, "closed"),
        (Error::Busy, 503, "busy"),
        (Error::TimedOut, 504, "took too long"),
        (Error::TooMany { what: "messages to delete at once", most: 200 }, 413, "at most 200"),
        (Error::Spoiled, 500, "internal error"),
        (Error::Refused("secret".into()), 500, "internal error"),
        (Error::Damaged("secret".into()), 500, "internal error"),
        (io, 500, "internal error"),
    ] {
        let failure = Failure::from(error);
        for path in ["/inbox", "/api/v1/messages"] {
            let reply = Reply(refusal(path, &failure));
            assert_eq!(reply.0.status, status, "{failure:?}");
            let text = reply.text();
            assert!(text.contains(public) && !text.contains("secret"), "{text}");
        }
    }
}

#[tokio::test]
async fn raw_is_byte_for_byte_from_memory_and_from_a_file() {
    let house = house();
    for size in [10, 200_000] {
        let message = format!("Subject: x\n\n{}", "y".repeat(size));
        let id = house.mail(&message).await;
        let reply = house.ask("GET", &format!("/inbox/{id}/raw"), &[]).await;
        assert_eq!(reply.field("content-type"), Some("message/rfc822"));
        let bytes = match reply.0.body {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::File { file, start, length } => {
                let mut bytes = vec![0; length as usize];
                std::os::unix::fs::FileExt::read_exact_at(&*file, &mut bytes, start).unwrap();
                bytes
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(bytes, message.replace('\n', "\r\n").as_bytes());
        let part = house.ask("GET", &format!("/inbox/{id}/part/0"), &[]).await;
        assert_eq!(part.text().len(), size);
    }
}

#[tokio::test]
async fn assets_are_kept_for_good_under_their_own_version_only() {
    let house = house();
    let url = assets::url("desk.css");
    let reply = house.ask("GET", &url, &[]).await;
    assert_eq!(reply.field("cache-control"), Some("public, max-age=31536000, immutable"));
    let tag = reply.field("etag").unwrap().to_owned();
    assert_eq!(house.ask("GET", &url, &[("if-none-match", &tag)]).await.0.status, 304);
    assert_eq!(house.ask("GET", &url, &[("if-none-match", "\"other\"")]).await.0.status, 200);
    assert_eq!(house.ask("GET", "/assets/0/desk.css", &[]).await.field("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn watchers_are_told_and_counted() {
    let house = house();
    let watch = async |target: &str| match house.ask("GET", target, &[]).await.0.body {
        Body::Pieces(events) => Some(Incoming::Pieces(events)),
        _ => None,
    };
    let next = async |events: &mut Incoming| events.piece().await.unwrap().unwrap();
    let mut everything = watch("/api/v1/events").await.unwrap();
    let mut mail = watch("/api/v1/events?only=mail").await.unwrap();
    assert!(next(&mut everything).await.starts_with(b"retry: 2000\n\nevent: history\ndata: ["));
    assert_eq!(next(&mut mail).await.as_ref(), b"retry: 2000\n\n");
    house.mail("Subject: x\n\ny").await;
    while !next(&mut mail).await.starts_with(b"event: mail\ndata: {\"messages\":1,\"unread\":1") {}
    while !next(&mut everything).await.starts_with(b"event: picture\ndata: {\"version\":") {}
    let mut others = Vec::new();
    for _ in 2..events::MOST_WATCHERS {
        others.push(watch("/api/v1/events?only=mail").await.unwrap());
    }
    assert_eq!(house.ask("GET", "/api/v1/events", &[]).await.0.status, 503, "one too many");
    drop(others.pop());
    let last = watch("/api/v1/events").await;
    assert!(last.is_some(), "who leaves makes room");
}
