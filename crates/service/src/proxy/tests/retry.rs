//! What is asked again, where, and what never is.

use std::rc::Rc;

use super::stage::{get, live, nobody, on_stage, proxy, read, ready, request, settle, upstream};
use super::{OK, part};
use crate::proxy::Role;
use crate::web::{Incoming, Request};

#[test]
fn a_connection_that_was_closed_meanwhile_costs_nobody_an_answer() {
    on_stage(async {
        // The first connection answers once, hears the next request and leaves without a word.
        for (verb, body, expect) in [
            ("GET", Incoming::Empty, 200),
            ("HEAD", Incoming::Empty, 200),
            ("DELETE", Incoming::Empty, 200),
            ("PUT", Incoming::Empty, 200),
            ("POST", Incoming::Empty, 502),
            ("PATCH", Incoming::Empty, 502),
            ("PUT", ready(&["a"]), 502),
        ] {
            let (address, told) = upstream(vec![part(&[OK, ""]), part(&[OK])]).await;
            let proxy = proxy(&[address], |_| {});
            assert_eq!(Rc::clone(&proxy).pass(get("/")).await.status, 200);
            let answer = proxy.pass(request(verb, "/again", &[], body)).await;
            assert_eq!(answer.status, expect, "{verb}");
            assert_eq!(told.borrow().len(), if expect == 200 { 2 } else { 1 }, "{verb}");
        }
    });
}

#[test]
fn a_connection_that_is_known_to_be_closed_is_not_used() {
    on_stage(async {
        let (address, told) = upstream(vec![part(&[OK]), part(&[OK])]).await;
        let proxy = proxy(&[address], |_| {});
        assert_eq!(Rc::clone(&proxy).pass(get("/")).await.status, 200);
        settle().await;
        // It may not be repeated, and need not be.
        assert_eq!(proxy.pass(request("POST", "/", &[], ready(&["a"]))).await.status, 200);
        assert_eq!(told.borrow().len(), 2);
    });
}

#[test]
fn an_upstream_that_cannot_be_reached_is_passed_over_whatever_is_asked() {
    on_stage(async {
        let (up, told) = upstream(vec![part(&[OK, OK, OK])]).await;
        let down = nobody();
        let proxy = proxy(&[down, up], |_| {});
        let (sender, unknown) = live();
        drop(sender);
        for body in [Incoming::Empty, ready(&["abc"]), unknown] {
            let answer = Rc::clone(&proxy).pass(request("POST", "/", &[], body)).await;
            assert_eq!(read(answer).await, (200, Ok("ok".to_owned())));
        }
        assert_eq!(told.borrow().len(), 1);
    });
}

#[test]
fn what_may_be_repeated_is_asked_elsewhere_and_nothing_else() {
    on_stage(async {
        let check = async |asked: Request, expect: u16| {
            let (first, _) = upstream(vec![part(&[""])]).await;
            let (second, told) = upstream(vec![part(&[OK])]).await;
            let proxy = proxy(&[first, second], |_| {});
            let verb = asked.verb.clone();
            assert_eq!(proxy.pass(asked).await.status, expect, "{verb:?}");
            assert_eq!(told.borrow().len(), usize::from(expect == 200), "{verb:?}");
        };
        check(get("/"), 200).await;
        check(request("DELETE", "/", &[], Incoming::Empty), 200).await;
        check(request("POST", "/", &[], Incoming::Empty), 502).await;
        check(request("PUT", "/", &[], ready(&["a"])), 502).await;
        // An answer that began is the answer.
        let (first, _) = upstream(vec![part(&["HTTP/1.1 2"])]).await;
        let (second, told) = upstream(vec![part(&[OK])]).await;
        assert_eq!(proxy(&[first, second], |_| {}).pass(get("/")).await.status, 502);
        assert!(told.borrow().is_empty());
    });
}

#[test]
fn tries_are_bounded() {
    on_stage(async {
        for (tries, expect) in [(2, 502), (3, 200)] {
            let (up, _) = upstream(vec![part(&[OK])]).await;
            let addresses = [nobody(), nobody(), up];
            let proxy = proxy(&addresses, |settings| settings.tries = tries);
            assert_eq!(proxy.pass(get("/")).await.status, expect);
        }
    });
}

#[test]
fn a_backup_is_asked_when_no_other_one_is_there() {
    on_stage(async {
        let (backup, told) = upstream(vec![part(&[OK])]).await;
        let (up, _) = upstream(vec![part(&[OK, OK, OK])]).await;
        let change = |settings: &mut crate::proxy::Settings| settings.upstreams[0].role = Role::Backup;
        let all = proxy(&[backup, up], change);
        for _ in 0..3 {
            assert_eq!(Rc::clone(&all).pass(get("/")).await.status, 200);
        }
        assert!(told.borrow().is_empty());
        let proxy = proxy(&[backup, nobody()], change);
        assert_eq!(proxy.pass(get("/")).await.status, 200);
        assert_eq!(told.borrow().len(), 1);
    });
}
