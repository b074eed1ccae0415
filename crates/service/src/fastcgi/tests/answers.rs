use super::*;

#[test]
fn an_answer_is_passed_on_as_it_comes() {
    on_a_worker(async {
        let head =
            "Status: 404 Gone fishing\r\nContent-type: text/html\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n<p>";
        let reply = [record(7, b"PHP Notice\n"), record(6, head.as_bytes()), record(6, b"more"), record(6, b""), end()];
        let house = House::new([Reply::Say(reply.concat())]);
        let answer = ask(&house.fastcgi(house.settings()), request("GET", "/?a=b")).await;
        let fields = "content-type: text/html\nset-cookie: a=1\nset-cookie: b=2";
        assert_eq!(answer, (404, fields.into(), Ok("<p>more".into())));
        let seen = house.seen(0);
        assert!(seen.is_whole && !seen.keeps && seen.body.is_empty());
        assert_eq!((&*seen.params["SCRIPT_NAME"], &*seen.params["QUERY_STRING"]), ("/index.php", "a=b"));
    });
}

#[test]
fn fields_of_one_connection_are_kept_back_and_the_length_is_the_bodys() {
    on_a_worker(async {
        let head = "Connection: close\nTransfer-Encoding: chunked\nUpgrade: x\nKeep-Alive: 5\nDate: now\nTrailer: x\nTE: x\n\
                    Content-Length: 2\nX-Kept: yes\n\nok";
        let house = House::new([Reply::Say(says(head))]);
        let fastcgi = house.fastcgi(house.settings());
        let answer = fastcgi.answer(request("GET", "/"), &Asked::default()).await.unwrap();
        let Body::Pieces(pieces) = &answer.body else { panic!("{answer:?}") };
        assert_eq!(pieces.left(), Some(2));
        assert_eq!(whole(answer).await, (200, "x-kept: yes".into(), Ok("ok".into())));
    });
}

#[test]
fn a_location_is_a_redirection_by_the_client() {
    on_a_worker(async {
        let house = House::new(
            ["Location: /local\n\n", "Status: 303\nLocation: https://example.org/\n\n"]
                .map(|head| Reply::Say(says(head))),
        );
        let fastcgi = house.fastcgi(house.settings());
        assert_eq!(ask(&fastcgi, request("GET", "/")).await, (302, "location: /local".into(), Ok(String::new())));
        let expect = (303, "location: https://example.org/".into(), Ok(String::new()));
        assert_eq!(ask(&fastcgi, request("GET", "/")).await, expect);
    });
}

#[test]
fn what_has_no_body_gets_none() {
    on_a_worker(async {
        let long = "Content-Length: 9\nContent-Type: a/b\n\n";
        let house =
            House::new([long, "Status: 304\nETag: \"a\"\n\nno", "Status: 204\n\n"].map(|head| Reply::Say(says(head))));
        let fastcgi = house.fastcgi(house.settings());
        let answer = fastcgi.answer(request("HEAD", "/"), &Asked::default()).await.unwrap();
        let Body::Pieces(pieces) = &answer.body else { panic!("{answer:?}") };
        assert_eq!((answer.status, pieces.left()), (200, Some(9)));
        for status in [304, 204] {
            let answer = fastcgi.answer(request("GET", "/"), &Asked::default()).await.unwrap();
            assert!(answer.status == status && matches!(answer.body, Body::Empty));
        }
    });
}

#[test]
fn nobody_is_asked_for_what_is_not_there() {
    on_a_worker(async {
        let house = House::new([]);
        let fastcgi = house.fastcgi(house.settings());
        for path in ["/missing.php", "/index.php5", "/blog/x", "/.git/index.php", "/index.html"] {
            assert!(fastcgi.answer(request("GET", path), &Asked::default()).await.is_none(), "{path}");
        }
        let moved = |status, to: &str| (status, format!("location: {to}"), Ok(String::new()));
        assert_eq!(ask(&fastcgi, request("GET", "/blog?a=b")).await, moved(301, "/blog/?a=b"));
        assert_eq!(ask(&fastcgi, request("POST", "/blog")).await, moved(308, "/blog/"));
        assert!(house.seen.borrow().is_empty());
    });
}

#[test]
fn an_application_that_is_not_there_is_a_bad_gateway() {
    on_a_worker(async {
        let house = House::new([]);
        for address in [Address::Unix(house.folder.join("nothing")), Address::parse("127.0.0.1:1").unwrap()] {
            let fastcgi = house.fastcgi(Settings { address, ..house.settings() });
            assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, 502);
        }
    });
}

#[test]
fn a_folder_is_where_the_client_knows_it() {
    on_a_worker(async {
        let house = House::new([]);
        let fastcgi = house.fastcgi(house.settings());
        for (stripped, expect) in [("", "/blog/?a=b"), ("/app", "/app/blog/?a=b")] {
            let asked = Asked { stripped: stripped.as_bytes().into(), ..Asked::default() };
            let answer = fastcgi.answer(request("GET", "/blog?a=b"), &asked).await.unwrap();
            assert_eq!((answer.status, answer.fields.text("location")), (301, Some(expect)));
        }
    });
}
