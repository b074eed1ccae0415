use serde_json::{Value, json};
use sportello_store::Tag;

use crate::desk::tests::{House, Reply, house};

impl Reply {
    fn json(&self) -> Value {
        assert_eq!(self.field("content-type"), Some("application/json"), "{}", self.text());
        serde_json::from_str(&self.text()).unwrap()
    }
}

impl House {
    async fn told(&self, target: &str) -> Value {
        let reply = self.ask("GET", target, &[]).await;
        assert_eq!(reply.0.status, 200, "{target}: {}", reply.text());
        reply.json()
    }

    /// A call that changes something; its status, and what it says.
    async fn call(&self, method: &str, target: &str, body: &Value) -> (u16, String) {
        let reply = self.send(method, target, &[], &body.to_string()).await;
        (reply.0.status, reply.text())
    }

    async fn ok(&self, method: &str, target: &str, body: Value) {
        assert_eq!(self.call(method, target, &body).await, (200, "ok".to_owned()), "{method} {target} {body}");
    }

    async fn ids(&self, target: &str) -> Vec<String> {
        let list = self.told(target).await;
        let id = |message: &Value| message["ID"].as_str().unwrap().to_owned();
        list["messages"].as_array().unwrap().iter().map(id).collect()
    }

    async fn several(&self, number: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for number in 0..number {
            ids.insert(
                0,
                self.mail(&format!("Subject: {number}\nTo: b@example.org\n\nText {number}")).await.to_string(),
            );
        }
        ids
    }
}

/// The keys of an object, in the order of their names.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_list_has_mailpits_shape() {
    let house = house();
    let id = house
        .mail(
            "From: Ada <ada@example.org>\nTo: Bob <bob@example.org>\nCc: c@example.org\nReply-To: d@example.org\n\
             Subject: Hello\nMessage-ID: <1@example.org>\nContent-Type: multipart/mixed; boundary=b\n\n\
             --b\n\nDear\n Bob\n--b\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf\n\nx\n--b--\n",
        )
        .await;
    let list = house.told("/api/v1/messages").await;
    assert_eq!(
        keys(&list),
        ["count", "messages", "messages_count", "messages_unread", "start", "tags", "total", "unread"]
    );
    for (key, value) in
        [("total", 1), ("unread", 1), ("count", 1), ("messages_count", 1), ("messages_unread", 1), ("start", 0)]
    {
        assert_eq!(list[key], value, "{key}");
    }
    let message = &list["messages"][0];
    let documented = "Attachments Bcc Cc Created From ID MessageID Read ReplyTo Size Snippet Subject Tags To";
    assert_eq!(keys(message), documented.split(' ').collect::<Vec<_>>());
    for (key, value) in [
        ("ID", json!(id.to_string())),
        ("Read", json!(false)),
        ("From", json!({"Name": "Ada", "Address": "ada@example.org"})),
        ("To", json!([{"Name": "Bob", "Address": "bob@example.org"}])),
        ("Cc", json!([{"Name": "", "Address": "c@example.org"}])),
        ("Bcc", json!([{"Name": "", "Address": "b@example.org"}])),
        ("ReplyTo", json!([{"Name": "", "Address": "d@example.org"}])),
        ("Subject", json!("Hello")),
        ("Attachments", json!(1)),
        ("Snippet", json!("Dear Bob")),
        ("Tags", json!([])),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_list_is_paged_by_position() {
    let house = house();
    let ids = house.several(5).await;
    for (query, expect) in [
        ("", 0..5),
        ("?limit=2", 0..2),
        ("?start=2&limit=2", 2..4),
        ("?start=4&limit=2", 4..5),
        ("?start=5", 5..5),
        ("?start=18446744073709551615&limit=1000", 5..5),
        ("?limit=0", 0..5),
        ("?limit=999999", 0..5),
        ("?limit=x&start=-1", 0..5),
    ] {
        assert_eq!(house.ids(&format!("/api/v1/messages{query}")).await, ids[expect], "{query}");
    }
    let list = house.told("/api/v1/messages?start=2&limit=2").await;
    assert_eq!((&list["start"], &list["count"], &list["messages_count"]), (&json!(2), &json!(2), &json!(5)));
}

#[tokio::test]
async fn a_list_names_the_first_of_a_crowd_and_a_message_names_all() {
    let house = house();
    for (number, named) in [(50, 50), (51, 50)] {
        let crowd = (0..number).map(|index| format!("p{index}@example.org")).collect::<Vec<_>>().join(",\n ");
        let fields = ["To", "Cc", "Bcc", "Reply-To"].map(|field| format!("{field}: {crowd}\n"));
        let id = house.mail(&format!("{}Subject: crowd\n\nText", fields.concat())).await;
        for target in ["/api/v1/messages?limit=1", "/api/v1/search?query=crowd&limit=1"] {
            let list = house.told(target).await;
            for field in ["To", "Cc", "Bcc", "ReplyTo"] {
                assert_eq!(list["messages"][0][field].as_array().unwrap().len(), named, "{target} {field}");
            }
        }
        let message = house.told(&format!("/api/v1/message/{id}")).await;
        assert_eq!(message["To"].as_array().unwrap().len(), number);
        assert_eq!(message["Bcc"].as_array().unwrap().len(), number + 1, "and the blind copy");
    }
}

#[tokio::test]
async fn a_message_has_mailpits_shape_and_is_read_once_it_is_told() {
    let house = house();
    let id = house
        .mail(
            "From: Ada <ada@example.org>\nTo: b@example.org\nDate: Sun, 6 Nov 1994 08:49:37 +0000\nSubject: =?utf-8?Q?caf=C3=A9?=\n\
             Message-ID: <1@example.org>\nList-Unsubscribe: <mailto:u@example.org>\nContent-Type: multipart/mixed; boundary=b\n\n\
             --b\nContent-Type: text/html\n\n<p>Hi <img src=\"cid:logo\"></p>\n\
             --b\nContent-Type: image/png; name=logo.png\nContent-ID: <logo>\nContent-Transfer-Encoding: base64\n\nYWJj\n\
             --b\nContent-Type: text/csv\nContent-Disposition: attachment; filename=\"a b.csv\"\n\n1,2\n--b--\n",
        )
        .await;
    let message = house.told(&format!("/api/v1/message/{id}")).await;
    let documented = "Attachments Bcc Cc Date From HTML ID Inline ListUnsubscribe MessageID ReplyTo ReturnPath Size Subject Tags Text To";
    assert_eq!(keys(&message), documented.split(' ').collect::<Vec<_>>());
    for (key, value) in [
        ("MessageID", json!("1@example.org")),
        ("ReturnPath", json!("a@example.org")),
        ("Subject", json!("café")),
        ("Date", json!("1994-11-06T08:49:37.000Z")),
        ("HTML", json!("<p>Hi <img src=\"cid:logo\"></p>")),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    assert!(message["Text"].as_str().unwrap().contains("Hi"));
    assert_eq!(message["ListUnsubscribe"]["Links"], json!(["mailto:u@example.org"]));
    assert_eq!(
        message["Inline"],
        json!([{
            "PartID": "2", "FileName": "logo.png", "ContentType": "image/png", "ContentID": "logo", "Size": 3,
            "Checksums": {
                "MD5": "900150983cd24fb0d6963f7d28e17f72",
                "SHA1": "a9993e364706816aba3e25717850c26c9cd0d89d",
                "SHA256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            },
        }])
    );
    assert_eq!(message["Attachments"][0]["FileName"], "a b.csv");
    assert_eq!(house.told("/api/v1/messages").await["unread"], 0, "told is read");
    let part = house.ask("GET", &format!("/api/v1/message/{id}/part/3"), &[]).await;
    assert_eq!((part.text(), part.field("content-type")), ("1,2".to_owned(), Some("text/csv")));
    let headers = house.told("/api/v1/message/latest/headers").await;
    assert_eq!(headers["Subject"], json!(["=?utf-8?Q?caf=C3=A9?="]));
    let raw = house.ask("GET", "/api/v1/message/latest/raw", &[]).await;
    assert_eq!(raw.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(raw.text().starts_with("From: Ada") && raw.field("content-disposition").is_none());
    let saved = house.ask("GET", "/api/v1/message/latest/raw?dl=1", &[]).await;
    assert_eq!(saved.field("content-disposition"), Some(&*format!("attachment; filename=\"{id}.eml\"")));
}

#[tokio::test]
async fn reading_marks_only_for_a_reader() {
    for (method, site, read) in [("GET", "none", true), ("GET", "cross-site", false), ("HEAD", "none", false)] {
        let house = house();
        let id = house.mail("Subject: x\n\ny").await;
        house.ask(method, &format!("/api/v1/message/{id}"), &[("sec-fetch-site", site)]).await;
        assert_eq!(house.told("/api/v1/messages").await["messages"][0]["Read"], read, "{method} {site}");
    }
}

#[tokio::test]
async fn messages_are_marked_and_deleted_by_id_or_all() {
    let house = house();
    let ids = house.several(4).await;
    let unread = async || house.told("/api/v1/messages").await["unread"].as_u64().unwrap();
    house.ok("PUT", "/api/v1/messages", json!({"Read": true, "IDs": [ids[0], "nonsense"]})).await;
    assert_eq!(unread().await, 3);
    house.ok("PUT", "/api/v1/messages", json!({"Read": true})).await;
    assert_eq!(unread().await, 0);
    house.ok("PUT", "/api/v1/messages", json!({"IDs": [ids[1]]})).await;
    assert_eq!(unread().await, 1, "unread is the default");
    house.ok("DELETE", "/api/v1/messages", json!({"IDs": ["nonsense"]})).await;
    assert_eq!(house.ids("/api/v1/messages").await, ids, "what names no message deletes none");
    for junk in ["{", "[]", "{\"IDs\": \"1\"}", "{\"IDs\": [1]}"] {
        let reply = house.send("DELETE", "/api/v1/messages", &[], junk).await;
        assert_eq!(reply.0.status, 400, "{junk}");
        assert!(reply.json()["Error"].is_string());
    }
    assert_eq!(house.ids("/api/v1/messages").await, ids, "what is not understood deletes nothing");
    house.ok("DELETE", "/api/v1/messages", json!({"IDs": [ids[0], ids[3]]})).await;
    assert_eq!(house.ids("/api/v1/messages").await, ids[1..3]);
    assert_eq!(house.send("DELETE", "/api/v1/messages", &[], "").await.text(), "ok");
    assert_eq!(house.told("/api/v1/messages").await["total"], 0);
}

/// Different names.
fn names(number: usize) -> Vec<String> {
    (0..number).map(|name| format!("t{name}")).collect()
}

#[tokio::test]
async fn tags_are_set_renamed_and_deleted() {
    let house = house();
    let ids = house.several(2).await;
    house.ok("PUT", "/api/v1/tags", json!({"IDs": ids, "Tags": ["one", "Two words", "a,b"]})).await;
    assert_eq!(house.told("/api/v1/tags").await, json!(["ab", "one", "Two words"]));
    assert_eq!(house.told("/api/v1/messages").await["messages"][1]["Tags"], json!(["ab", "one", "Two words"]));
    house.ok("PUT", "/api/v1/tags", json!({"IDs": [ids[0]], "Tags": ["one"]})).await;
    assert_eq!(house.told("/api/v1/info").await["Tags"], json!({"Two words": 1, "ab": 1, "one": 2}));
    house.ok("PUT", "/api/v1/tags/Two%20words", json!({"Name": "3"})).await;
    house.ok("DELETE", "/api/v1/tags/ab", json!(null)).await;
    assert_eq!(house.told(&format!("/api/v1/message/{}", ids[1])).await["Tags"], json!(["3", "one"]));
    house.ok("PUT", "/api/v1/tags", json!({"IDs": ids})).await;
    assert_eq!(house.told("/api/v1/tags").await, json!([]));
    for (method, target, body, status) in [
        ("PUT", "/api/v1/tags/none", json!({"Name": "x"}), 404),
        ("PUT", "/api/v1/tags/none", json!({"Name": ","}), 400),
        ("PUT", "/api/v1/tags/none", json!({}), 400),
        ("DELETE", "/api/v1/tags/none", json!(null), 404),
        ("PUT", "/api/v1/tags", json!([]), 400),
        ("PUT", "/api/v1/tags", json!({"IDs": [], "Tags": names(33)}), 413),
    ] {
        assert_eq!(house.call(method, target, &body).await.0, status, "{method} {target} {body}");
    }
}

#[tokio::test]
async fn a_search_finds_marks_and_deletes() {
    let house = house();
    let ids = house.several(3).await;
    house.ok("PUT", "/api/v1/tags", json!({"IDs": [ids[0], ids[1]], "Tags": ["Two words"]})).await;
    for (query, expect) in [
        ("tag:%22Two+words%22", 0..2),
        ("tag%3A%22two%20words%22&start=1", 1..2),
        ("is:unread&limit=1", 0..1),
        ("-is:tagged", 2..3),
        ("subject:2", 0..1),
        ("nothing", 3..3),
    ] {
        assert_eq!(house.ids(&format!("/api/v1/search?query={query}")).await, ids[expect], "{query}");
    }
    let found = house.told("/api/v1/search?query=is:tagged&limit=1").await;
    for (key, value) in [("total", 3), ("unread", 3), ("count", 1), ("messages_count", 2), ("messages_unread", 2)] {
        assert_eq!(found[key], value, "{key}");
    }
    assert_eq!(house.told("/api/v1/message/latest?query=-is:tagged").await["ID"], json!(ids[2]));
    house.ok("PUT", "/api/v1/messages", json!({"Search": "is:tagged", "Read": true})).await;
    assert_eq!(house.ids("/api/v1/search?query=is:unread").await, [""; 0]);
    let text = house.send("DELETE", "/api/v1/search?query=is:tagged", &[], "").await.text();
    assert_eq!((text.as_str(), house.ids("/api/v1/messages").await), ("ok", ids[2..].to_vec()));
}

#[tokio::test]
async fn what_is_no_search_deletes_nothing() {
    let house = house();
    let id = house.mail("Subject: x\n\ny").await;
    for (query, status) in [
        ("", 400),
        ("?query=", 400),
        ("?query=%20", 400),
        ("?query=--", 400),
        ("?query=is:odd", 400),
        ("?query=before:yesterday", 400),
        ("?query=before:2030-01-01&tz=Pacific/Auckland", 501),
    ] {
        for method in ["GET", "DELETE"] {
            let reply = house.ask(method, &format!("/api/v1/search{query}"), &[]).await;
            assert_eq!(reply.0.status, status, "{method} {query}: {}", reply.text());
            assert!(reply.json()["Error"].is_string());
        }
    }
    for body in [json!({"Search": "is:odd"}), json!({"Search": "is:read", "IDs": [id.to_string()]})] {
        assert_eq!(house.call("PUT", "/api/v1/messages", &body).await.0, 400, "{body}");
    }
    for query in ["before:2030-01-01&tz=UTC", "is:unread&tz=Pacific/Auckland", "after:2020-01-01T00:00%2B02:00"] {
        assert_eq!(house.ids(&format!("/api/v1/search?query={query}")).await, [id.to_string()], "{query}");
    }
}

fn letter() -> Value {
    json!({
        "From": {"Email": "ada@example.org", "Name": "Ada Lovelace"},
        "To": [{"Email": "bob@example.org", "Name": "Bob, é"}],
        "Cc": [{"Email": "carol@example.org"}],
        "Bcc": ["eve@example.org"],
        "ReplyTo": [{"Email": "reply@example.org"}],
        "Subject": "Perché?",
        "Text": "Hello,\nBob ☕\n",
        "HTML": "<p>Hello <img src=\"cid:pic\"></p>",
        "Headers": {"X-Kind": "test", "References": "<0@example.org>"},
        "Tags": ["sent"],
        "Attachments": [
            {"Content": "MSwyCjMsNAo=", "Filename": "notes.csv"},
            {"Content": "data:image/png;base64,iVBORw==", "Filename": "p.png", "ContentID": "pic"},
        ],
    })
}

#[tokio::test]
async fn what_is_sent_is_stored_as_it_was_meant() {
    let house = house();
    let reply = house.send("POST", "/api/v1/send", &[], &letter().to_string()).await;
    assert_eq!(reply.0.status, 200, "{}", reply.text());
    let id = reply.json()["ID"].as_str().unwrap().to_owned();
    let message = house.told(&format!("/api/v1/message/{id}")).await;
    for (key, value) in [
        ("From", json!({"Name": "Ada Lovelace", "Address": "ada@example.org"})),
        ("To", json!([{"Name": "Bob, é", "Address": "bob@example.org"}])),
        ("Cc", json!([{"Name": "", "Address": "carol@example.org"}])),
        ("Bcc", json!([{"Name": "", "Address": "eve@example.org"}])),
        ("ReplyTo", json!([{"Name": "", "Address": "reply@example.org"}])),
        ("ReturnPath", json!("ada@example.org")),
        ("Subject", json!("Perché?")),
        ("Tags", json!(["sent"])),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    assert_eq!(message["Text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), "Hello,\nBob ☕");
    assert!(message["HTML"].as_str().unwrap().contains("cid:pic"));
    assert_eq!(
        (&message["Attachments"][0]["FileName"], &message["Attachments"][0]["Size"]),
        (&json!("notes.csv"), &json!(8))
    );
    assert_eq!(
        (&message["Inline"][0]["ContentID"], &message["Inline"][0]["FileName"]),
        (&json!("pic"), &json!("p.png"))
    );
    let part = message["Attachments"][0]["PartID"].as_str().unwrap();
    assert_eq!(house.ask("GET", &format!("/api/v1/message/{id}/part/{part}"), &[]).await.text(), "1,2\n3,4\n");
    let headers = house.told(&format!("/api/v1/message/{id}/headers")).await;
    for (name, value) in [("X-Kind", "test"), ("References", "<0@example.org>"), ("Return-Path", "<ada@example.org>")] {
        assert_eq!(headers[name], json!([value]));
    }
    assert!(headers["Received"][0].as_str().unwrap().contains("with HTTP id"), "{headers}");
    let raw = house.ask("GET", &format!("/api/v1/message/{id}/raw"), &[]).await.text();
    assert!(!raw.contains("eve@example.org") && !raw.replace("\r\n", "").contains(['\r', '\n']), "{raw}");
}

#[tokio::test]
async fn what_cannot_be_a_message_is_refused_and_nothing_is_stored() {
    let house = house();
    let with = |key: &str, value: Value| {
        let mut letter = letter();
        letter[key] = value;
        letter
    };
    for (sent, word) in [
        (json!({}), "From"),
        (json!("x"), "JSON"),
        (with("From", json!({"Email": "no address"})), "From"),
        (with("From", json!({"Email": "postmaster"})), "From"),
        (with("To", json!([{"Email": "a@x.org\r\nX: y"}])), "To"),
        (with("Bcc", json!(["<a@x.org>"])), "Bcc"),
        (with("ReplyTo", json!([{"Email": ""}])), "Reply-To"),
        (json!({"From": {"Email": "a@x.org"}}), "recipient"),
        (with("Headers", json!({"Subject": "x"})), "overwrite"),
        (with("Headers", json!({"received": "x"})), "overwrite"),
        (with("Headers", json!({"X: y": "x"})), "name"),
        (with("Headers", json!({"": "x"})), "name"),
        (with("Headers", json!({"X": "a\r\nBcc: b"})), "control"),
        (with("Attachments", json!([{"Content": "not base64!", "Filename": "f"}])), "Base64"),
        (with("Attachments", json!([{"Content": "YQ=", "Filename": "f"}])), "Base64"),
        (with("Attachments", json!([{"Content": "YQ==", "Filename": "a\r\nb"}])), "name"),
        (with("Attachments", json!([{"Content": "YQ==", "Filename": "f", "ContentType": "text"}])), "media type"),
        (
            with("Attachments", json!([{"Content": "YQ==", "Filename": "f", "ContentType": "message/rfc822"}])),
            "media type",
        ),
        (with("Attachments", json!([{"Content": "YQ==", "Filename": "f", "ContentID": "a>\r\nb"}])), "control"),
    ] {
        let (status, text) = house.call("POST", "/api/v1/send", &sent).await;
        assert_eq!(status, 400, "{sent}: {text}");
        assert!(text.starts_with("{\"Error\":") && text.contains(word), "{sent}: {text}");
    }
    let crowd = |number: usize| with("Bcc", (0..number - 2).map(|index| format!("a{index}@x.org")).collect());
    assert_eq!(house.call("POST", "/api/v1/send", &crowd(1001)).await.0, 413);
    assert_eq!(house.call("POST", "/api/v1/send", &with("Tags", json!(names(33)))).await.0, 413);
    assert_eq!(house.told("/api/v1/messages").await["total"], 0);
    assert_eq!(house.call("POST", "/api/v1/send", &crowd(1000)).await.0, 200);
    assert_eq!(house.call("POST", "/api/v1/send", &with("Tags", json!(names(32)))).await.0, 200);
}

#[tokio::test]
async fn a_message_whose_tags_find_no_room_is_stored_once_and_its_id_told() {
    let house = house();
    let ids = house.several(Tag::MOST.div_ceil(Tag::MOST_OF_A_MESSAGE)).await;
    for (id, tags) in ids.iter().zip(names(Tag::MOST).chunks(Tag::MOST_OF_A_MESSAGE)) {
        house.ok("PUT", "/api/v1/tags", json!({"IDs": [id], "Tags": tags})).await;
    }
    let reply = house.send("POST", "/api/v1/send", &[], &letter().to_string()).await;
    assert_eq!(reply.0.status, 200, "{}", reply.text());
    let message = house.told(&format!("/api/v1/message/{}", reply.json()["ID"].as_str().unwrap())).await;
    assert_eq!((&message["Subject"], &message["Tags"]), (&json!("Perché?"), &json!([])));
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let house = house();
    let id = house.mail("Subject: x\n\ny").await;
    for (method, target) in [
        ("GET", "/api/v1/message/ID/html-check"),
        ("GET", "/api/v1/message/ID/link-check"),
        ("GET", "/api/v1/message/ID/sa-check"),
        ("GET", "/api/v1/message/ID/part/1/thumb"),
        ("POST", "/api/v1/message/ID/release"),
        ("GET", "/api/v1/chaos"),
        ("PUT", "/api/v1/chaos"),
        ("GET", "/api/events"),
    ] {
        let reply = house.ask(method, &target.replace("ID", &id.to_string()), &[]).await;
        assert_eq!(reply.0.status, 501, "{target}");
        assert!(reply.json()["Error"].as_str().is_some_and(|text| text.len() > 20), "{target}");
    }
    for (method, target, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/message/none", 404),
        ("GET", "/api/v1/message/999999/headers", 404),
        ("GET", "/api/v1/message/999999/part/0", 404),
        ("GET", "/api/v1/message/ID/part/x", 404),
        ("GET", "/view/ID.html", 404),
        ("POST", "/api/v1/messages", 405),
        ("GET", "/api/v1/send", 405),
    ] {
        let reply = house.ask(method, &target.replace("ID", &id.to_string()), &[]).await;
        assert_eq!(reply.0.status, status, "{method} {target}");
        assert!(reply.json()["Error"].is_string(), "{method} {target}");
    }
}

#[tokio::test]
async fn an_empty_mailbox_has_no_latest_message() {
    let house = house();
    assert_eq!(house.ask("GET", "/api/v1/message/latest", &[]).await.0.status, 404);
    let list = house.told("/api/v1/messages").await;
    assert_eq!((&list["messages"], &list["tags"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn views_give_text_and_harmless_html() {
    let house = house();
    let id = house.mail("Subject: x\nContent-Type: text/html\n\n<script>alert(1)</script><b>Hi</b>").await;
    let html = house.ask("GET", &format!("/view/{id}.html"), &[]).await;
    assert!(html.text().contains("<b>Hi</b>") && !html.text().contains("<script"));
    assert!(html.field("content-security-policy").unwrap().starts_with("sandbox "));
    let text = house.ask("GET", "/view/latest.txt", &[]).await;
    assert_eq!(text.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.text().contains("Hi"));
}

#[tokio::test]
async fn info_and_health_are_told() {
    let house = house();
    house.several(2).await;
    let info = house.told("/api/v1/info").await;
    assert_eq!((&info["Messages"], &info["Unread"], &info["Version"]), (&json!(2), &json!(2), &json!("0.1.0")));
    assert_eq!(info["RuntimeStats"]["SMTPAccepted"], 2);
    assert_eq!(house.told("/api/v1/webui").await["MessageRelay"]["Enabled"], false);
    for path in ["/livez", "/readyz"] {
        assert_eq!(house.ask("GET", path, &[]).await.text(), "ok");
    }
}
