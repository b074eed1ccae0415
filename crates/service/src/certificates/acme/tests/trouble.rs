//! What goes wrong, and how little the CA notices of it.

use super::stub::Fault;
use super::*;
use crate::certificates::acme::RenewError;

/// Orders of a day or more in which nothing ever succeeds must stay below what Let's Encrypt allows: five an hour for a name.
fn bounded(ca: &Stub, name: &str) {
    let state = ca.state();
    let orders = state.orders.iter().filter(|order| order.names().iter().any(|ordered| ordered == name));
    let ordered: Vec<Duration> = orders.map(|order| order.at).collect();
    assert!(ordered.windows(5).all(|five| five[4].abs_diff(five[0]) >= HOUR), "{ordered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_fails_is_told_tried_in_each_way_and_ever_more_rarely() {
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().blind_to = vec!["b.example".to_owned()];
    live(&home, &ca, settings(&[Way::Http, Way::Tls]), async |handle| {
        handle.want(sets(&[&["a.example", "b.example"], &["good.example"]])).await;
        pass(DAY * 10).await;
        let text = home.trouble("a.example").unwrap();
        assert!(text.contains("b.example: nothing seen by") && text.contains("(unauthorized)"), "{text}");
        assert!(home.until("a.example").is_none());
    })
    .await;
    assert!(home.until("good.example").is_some(), "one bad site holds up no other");
    let ways: Vec<Way> =
        home.state().history.iter().filter(|proof| proof.name == "b.example").map(|proof| proof.way).collect();
    assert_eq!(ways[..4], [Way::Http, Way::Tls, Way::Http, Way::Tls]);
    let ordered = ca.ordered();
    // 5, 10, 20 … 1280 minutes, then a day each.
    assert!((16..=20).contains(&ordered.len()), "{ordered:?}");
    bounded(&ca, "b.example");
    assert!(home.state().proofs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_down_is_asked_rarely_and_used_when_it_is_back() {
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().is_down = true;
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"], &["b.example"], &["c.example"]])).await;
        pass(DAY * 2).await;
        let text = home.trouble("a.example").unwrap();
        assert!(text.contains("connection refused"), "{text}");
        let asked = ca.state().asked.len();
        assert!((8..=26).contains(&asked), "{asked} requests");
        ca.state().is_down = false;
        pass(HOUR * 6).await;
        for name in ["a.example", "b.example", "c.example"] {
            assert!(home.until(name).is_some() && home.trouble(name).is_none(), "{name}");
        }
    })
    .await;
    assert_eq!(ca.ordered().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_was_down_for_minutes_has_cost_no_order() {
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().is_down = true;
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE * 10).await;
        ca.state().is_down = false;
        pass(MINUTE * 10).await;
        assert!(home.until("a.example").is_some(), "{:?}", home.trouble("a.example"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_hurries_a_ca_that_is_left_alone() {
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().is_down = true;
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(DAY).await;
        let asked = ca.state().asked.len();
        for _ in 0..100 {
            assert!(matches!(handle.renew("a.example").await, Err(RenewError::Resting(_))));
        }
        pass(MINUTE).await;
        assert_eq!(ca.state().asked.len(), asked);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_signs_and_gives_nothing_is_not_made_to_sign_again_and_again() {
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().faults = vec![Fault::new("/certificate/", 500, "serverInternal"); 1_000];
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(DAY * 7).await;
    })
    .await;
    bounded(&ca, "a.example");
    assert!(ca.ordered().len() <= 17, "{:?}", ca.ordered());
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_limits_is_left_alone_as_long_as_it_says_and_for_other_names_a_little() {
    let home = Home::new();
    let ca = Stub::new(&home);
    let limited = Fault { retry_after: Some(5 * 3_600), ..Fault::new("/neworder", 429, "rateLimited") };
    ca.state().faults = vec![limited];
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"], &["b.example"]])).await;
        pass(Duration::from_secs(10)).await;
        assert_eq!(ca.count("/neworder"), 1);
        pass(HOUR).await;
        assert!(home.until("a.example").is_none() && home.until("b.example").is_some());
        assert!(home.trouble("a.example").unwrap().contains("as the test wants (rateLimited)"));
        // Nor for whoever asks for it.
        assert!(matches!(handle.renew("a.example").await, Err(RenewError::Resting(_))));
        pass(HOUR * 4 - MINUTE * 2).await;
        assert!(home.until("a.example").is_none());
        pass(MINUTE * 5).await;
        assert!(home.until("a.example").is_some());
    })
    .await;
    assert_eq!(ca.count("/neworder"), 3);
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_on_the_way_is_tried_again_and_succeeds() {
    let retry = |fault: Fault| Fault { retry_after: Some(600), ..fault };
    let cases = [
        ("a bad nonce", vec![Fault::new("/neworder", 400, "badNonce")], MINUTE),
        ("only bad nonces", vec![Fault::new("/neworder", 400, "badNonce"); 3], MINUTE * 3),
        ("a directory that is none", vec![Fault::new("/directory", 200, "x")], MINUTE * 3),
        ("no directory", vec![Fault::new("/directory", 503, "x")], MINUTE * 3),
        ("no directory for ten minutes", vec![retry(Fault::new("/directory", 503, "x"))], MINUTE * 11),
        ("no account", vec![Fault::new("/newaccount", 403, "unauthorized")], MINUTE * 3),
        ("an order that is over", vec![Fault::new("/order/", 404, "malformed")], MINUTE * 6),
        ("an authorization that is over", vec![Fault::new("/authorization/", 404, "malformed")], MINUTE * 6),
        ("a challenge that is refused", vec![Fault::new("/challenge/", 400, "malformed")], MINUTE * 6),
        ("a name that is refused", vec![Fault::new("/neworder", 400, "rejectedIdentifier")], MINUTE * 6),
        ("no signature", vec![Fault::new("/finalize/", 403, "badCSR")], MINUTE * 6),
        ("no certificate", vec![Fault::new("/certificate/", 500, "serverInternal")], MINUTE * 6),
        ("a certificate that is none", vec![Fault::new("/certificate/", 200, "x")], MINUTE * 6),
    ];
    for (what, faults, soon) in cases {
        let home = Home::new();
        let ca = Stub::new(&home);
        ca.state().faults = faults;
        live(&home, &ca, settings(&[Way::Http]), async |handle| {
            handle.want(sets(&[&["a.example"]])).await;
            pass(soon).await;
            assert!(home.until("a.example").is_some(), "{what}: {:?}", home.trouble("a.example"));
            assert!(home.state().proofs.is_empty(), "{what}");
            assert_eq!(home.trouble("a.example"), None, "{what}");
        })
        .await;
        assert!(ca.state().faults.is_empty(), "{what}");
        assert!(ca.ordered().len() <= 2, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_on_which_the_ca_never_decides_ends() {
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().never_looks = true;
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE * 6).await;
        let text = home.trouble("a.example").unwrap();
        assert!(text.contains("has not decided"), "{text}");
        assert!(home.state().proofs.is_empty());
        ca.state().never_looks = false;
        pass(MINUTE * 6).await;
        assert!(home.until("a.example").is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_has_forgotten_the_account_gets_another_one() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE).await;
        ca.state().accounts.clear();
        handle.want(sets(&[&["b.example"]])).await;
        // At once: it works, and has lost nothing but that.
        pass(Duration::from_secs(5)).await;
        assert!(home.until("b.example").is_some(), "{:?}", home.trouble("b.example"));
    })
    .await;
    assert_eq!(ca.state().accounts.len(), 1);
    assert_eq!(ca.count("/newaccount"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_forgets_every_account_gets_few() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        for _ in 0..6 * 3_600 {
            ca.state().accounts.clear();
            pass(Duration::from_secs(1)).await;
        }
    })
    .await;
    // 15 seconds, then 30, and so on up to four hours.
    assert!((5..=15).contains(&ca.count("/newaccount")), "{}", ca.count("/newaccount"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_in_every_order_orders_as_rarely_as_one_that_fails() {
    for dies_at in [10, 200, 350, 1_000] {
        let home = Home::new();
        let ca = Stub::new(&home);
        // Half a minute each, for half a day; it dies so many milliseconds after it began.
        for _ in 0..1_440 {
            let began = home.age();
            live(&home, &ca, settings(&[Way::Http]), async |handle| {
                handle.want(sets(&[&["a.example"]])).await;
                pass(Duration::from_millis(dies_at)).await;
            })
            .await;
            pass(Duration::from_secs(30).saturating_sub(home.age() - began)).await;
        }
        assert!(ca.ordered().len() <= 10, "{:?}", ca.ordered());
        bounded(&ca, "a.example");
        for path in ["/newaccount", "/newnonce", "/directory"] {
            assert!(ca.count(path) <= 20, "{path}: {}", ca.count(path));
        }
        assert_eq!(dies_at >= 350, !ca.ordered().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_stopped_while_its_account_was_opened_orders_at_once() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE).await;
    })
    .await;
    assert!(home.until("a.example").is_some());
    // At whatever moment of its first second: nothing but an order that was begun holds up the next start.
    for (number, dies_at) in [0, 10, 50, 100, 200].into_iter().enumerate() {
        let before = ca.ordered().len();
        let name = format!("b{number}.example");
        live(&home, &ca, settings(&[Way::Http]), async |handle| {
            handle.want(sets(&[&["a.example"]])).await;
            pass(Duration::from_millis(dies_at)).await;
        })
        .await;
        live(&home, &ca, settings(&[Way::Http]), async |handle| {
            handle.want(sets(&[&["a.example"], &[&name]])).await;
            pass(Duration::from_secs(5)).await;
        })
        .await;
        assert!(home.until(&name).is_some() && ca.ordered().len() == before + 1, "{dies_at}: {:?}", ca.ordered());
    }
    assert_eq!(ca.count("/newaccount"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_ordered() {
    let home = Home::new();
    let ca = Stub::new(&home);
    home.state().is_full = true;
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(DAY).await;
        let text = home.trouble("a.example").unwrap();
        assert!(text.contains("the disk is full"), "{text}");
        assert!(ca.state().asked.is_empty());
        home.state().is_full = false;
        pass(HOUR * 6).await;
        assert!(home.until("a.example").is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_signed_wrongly_is_not_shown() {
    for expect in ["is not for a.example", "is over already"] {
        let home = Home::new();
        let ca = Stub::new(&home);
        match expect {
            "is over already" => ca.state().life = Duration::ZERO,
            _ => ca.state().signs_for = Some(vec!["evil.example".to_owned()]),
        }
        live(&home, &ca, settings(&[Way::Http]), async |handle| {
            handle.want(sets(&[&["a.example"]])).await;
            pass(DAY).await;
            let text = home.trouble("a.example").unwrap();
            assert!(text.contains(expect), "{text}");
        })
        .await;
        assert!(home.state().shown.is_empty());
        bounded(&ca, "a.example");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_cannot_be_shown_costs_no_challenge() {
    let home = Home::new();
    let ca = Stub::new(&home);
    home.state().broken = vec!["a.example".to_owned()];
    live(&home, &ca, settings(&[Way::Dns]), async |handle| {
        handle.want(sets(&[&["a.example", "b.example"]])).await;
        pass(MINUTE).await;
        let text = home.trouble("a.example").unwrap();
        assert!(text.contains("a.example: the program says no"), "{text}");
        assert!(home.state().proofs.is_empty());
    })
    .await;
    assert_eq!(ca.count("/challenge/"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ca_chooses_neither_the_names_that_are_proved_nor_how_many() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (asked, expect) in [
        (names(&["evil.example"]), "asks for evil.example, which was not ordered"),
        (names(&["a.example", "x/../y\n.example"]), "which was not ordered"),
        (names(&["b.a.example"]), "which was not ordered"),
        (names(&["a.example", "b.example", "a.example"]), "more proofs than there are names"),
    ] {
        for way in [Way::Dns, Way::Tls] {
            let home = Home::new();
            let ca = Stub::new(&home);
            ca.state().asks_for = Some(asked.clone());
            live(&home, &ca, settings(&[way]), async |handle| {
                handle.want(sets(&[&["a.example", "b.example"]])).await;
                pass(MINUTE).await;
                let text = home.trouble("a.example").unwrap();
                assert!(text.contains(expect), "{text}");
            })
            .await;
            let shown: Vec<String> = home.state().history.iter().map(|proof| proof.name.clone()).collect();
            assert_eq!(shown, Vec::<String>::new(), "{asked:?}");
        }
    }
    // As many as there are names, in any case.
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().asks_for = Some(names(&["B.example", "a.example"]));
    live(&home, &ca, settings(&[Way::Dns]), async |handle| {
        handle.want(sets(&[&["a.example", "b.example"]])).await;
        pass(MINUTE).await;
    })
    .await;
    let shown: Vec<String> = home.state().history.iter().map(|proof| proof.name.clone()).collect();
    assert_eq!(shown, ["b.example", "a.example"]);
}

#[tokio::test(start_paused = true)]
async fn an_order_ends_in_an_hour_whatever_is_never_answered() {
    for path in ["/authorization/", "/challenge/", "/finalize/"] {
        let home = Home::new();
        let ca = Stub::new(&home);
        ca.state().is_deaf_to = Some(path);
        live(&home, &ca, settings(&[Way::Http]), async |handle| {
            handle.want(sets(&[&["a.example"]])).await;
            pass(HOUR + MINUTE).await;
            let text = home.trouble("a.example").unwrap();
            assert!(text.contains("in time"), "{path}: {text}");
            assert!(home.state().proofs.is_empty(), "{path}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_the_ca_does_not_take_stops_no_renewal() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE).await;
    })
    .await;
    let mut other = settings(&[Way::Http]);
    other.client.email = Some("nobody@invalid".to_owned());
    ca.state().faults = vec![Fault::new("/account/", 400, "invalidContact")];
    live(&home, &ca, other.clone(), async |handle| {
        handle.want(sets(&[&["a.example"], &["b.example"]])).await;
        pass(MINUTE).await;
        assert!(home.until("b.example").is_some(), "{:?}", home.trouble("b.example"));
    })
    .await;
    assert!(ca.state().faults.is_empty());
    // The next start asks again, and then it is known.
    for asked in [2, 2] {
        live(&home, &ca, other.clone(), async |handle| {
            handle.want(sets(&[&["b.example"]])).await;
            handle.renew("b.example").await.unwrap();
            pass(MINUTE).await;
        })
        .await;
        assert_eq!(ca.count("/account/"), asked);
    }
}
