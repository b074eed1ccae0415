//! Connections that are used again.

use super::*;

fn keeping(house: &House, idle_most: usize) -> Rc<FastCgi> {
    house.fastcgi(Settings { idle_most, ..house.settings() })
}

fn hello() -> Reply {
    Reply::Say(says(HELLO))
}

fn connections(house: &House) -> Vec<usize> {
    house.seen.borrow().iter().map(|seen| seen.connection).collect()
}

#[test]
fn none_is_kept_unless_it_is_said() {
    on_a_worker(async {
        let house = House::new([hello(), hello()]);
        let fastcgi = keeping(&house, 0);
        for _ in 0..2 {
            assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, 200);
        }
        assert_eq!(connections(&house), [1, 2]);
        assert!(house.seen.borrow().iter().all(|seen| !seen.keeps));
    });
}

#[test]
fn one_is_used_again_for_what_may_be_repeated() {
    on_a_worker(async {
        let house = House::new([hello(), hello(), hello(), hello()]);
        let fastcgi = keeping(&house, 1);
        for method in ["GET", "HEAD", "POST", "GET"] {
            assert_eq!(ask(&fastcgi, request(method, "/")).await.0, 200);
        }
        assert_eq!(connections(&house), [1, 1, 2, 2]);
        assert!(house.seen.borrow().iter().all(|seen| seen.keeps));
    });
}

#[test]
fn a_request_is_made_again_where_the_application_closed_meanwhile() {
    on_a_worker(async {
        let house = House::new([hello(), Reply::SayAndClose(vec![]), hello()]);
        let fastcgi = keeping(&house, 1);
        for _ in 0..2 {
            assert_eq!(ask(&fastcgi, request("GET", "/")).await.2, Ok("hello".into()));
        }
        assert_eq!(connections(&house), [1, 1, 2]);
    });
}

#[test]
fn a_request_is_made_once_where_an_answer_began_or_the_connection_is_new() {
    on_a_worker(async {
        let house = House::new([hello(), Reply::SayAndClose(record(7, b"oh")), Reply::SayAndClose(vec![])]);
        let fastcgi = keeping(&house, 1);
        for expect in [200, 502, 502] {
            assert_eq!(ask(&fastcgi, request("GET", "/")).await.0, expect);
        }
        assert_eq!(connections(&house), [1, 1, 2]);
    });
}

#[test]
fn what_is_not_clean_is_not_kept() {
    for reply in [
        // Bytes behind the end.
        Reply::Say([says(HELLO), vec![1]].concat()),
        // Answered before the request was read.
        Reply::SayAndClose(says(HELLO)),
    ] {
        on_a_worker(async {
            let house = House::new([reply, hello()]);
            let fastcgi = keeping(&house, 1);
            for _ in 0..2 {
                assert_eq!(ask(&fastcgi, request("GET", "/")).await.2, Ok("hello".into()));
            }
            assert_eq!(connections(&house), [1, 2]);
        });
    }
}

#[test]
fn an_answer_before_the_end_of_the_request_is_whole_and_its_connection_is_not_kept() {
    on_a_worker(async {
        let house = House::new([Reply::SayFirst(says(HELLO)), hello()]);
        let fastcgi = keeping(&house, 1);
        let body = pieces(std::iter::repeat_n(Bytes::from(vec![0; 60_000]), 100));
        assert_eq!(ask(&fastcgi, Request { body, ..request("POST", "/") }).await.2, Ok("hello".into()));
        assert_eq!(ask(&fastcgi, request("GET", "/")).await.2, Ok("hello".into()));
        assert_eq!(house.seen.borrow().last().unwrap().connection, 2);
    });
}

#[test]
fn so_many_are_kept_and_for_so_long() {
    on_a_simulated_clock(async {
        let house = House::new(std::iter::repeat_n(hello(), 3));
        let fastcgi = keeping(&house, 2);
        let asked = Asked::default();
        let answers = [(); 3].map(|()| fastcgi.answer(request("GET", "/"), &asked));
        let [one, two, three] = answers;
        let (one, two, three) = tokio::join!(one, two, three);
        for answer in [one, two, three] {
            assert_eq!(whole(answer.unwrap()).await.0, 200);
        }
        sleep(Duration::from_secs(9)).await;
        assert_eq!(house.closed.get(), 1, "the oldest, since two are kept");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(house.closed.get(), 3, "all, since they were idle for ten seconds");
    });
}
