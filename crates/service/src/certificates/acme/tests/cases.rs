//! What goes well: certificates, renewals, restarts, other names.

use super::*;
use crate::certificates::acme::{External, House, Proof, RenewError};

#[tokio::test(start_paused = true)]
async fn a_certificate_for_all_names_of_a_site_by_each_way_with_nothing_left_behind() {
    for way in [Way::Http, Way::Tls, Way::Dns] {
        let home = Home::new();
        let ca = Stub::new(&home);
        live(&home, &ca, settings(&[way]), async |handle| {
            handle.want(sets(&[&["www.a.example", "A.example"], &["b.example"]])).await;
            pass(MINUTE).await;
            let now = home.clock().now();
            assert!(
                home.state().told.values().all(|(next, trouble)| *next > now + DAY * 56 - HOUR && trouble.is_none())
            );
        })
        .await;
        let state = home.state();
        assert_eq!(state.shown["a.example"].facts().names, ["a.example", "www.a.example"]);
        assert_eq!(state.shown["b.example"].facts().names, ["b.example"]);
        assert!(state.proofs.is_empty(), "{:?}", state.proofs);
        assert_eq!(state.history.len(), 3);
        assert!(state.history.iter().all(|proof| proof.way == way && proof.digest.len() == 32));
        drop(state);
        assert_eq!((ca.ordered().len(), ca.state().accounts.len()), (2, 1));
        assert_eq!(ca.state().accounts[0]["contact"][0], "mailto:ops@example.org");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_is_proved_by_dns_alone() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http, Way::Dns]), async |handle| {
        handle.want(sets(&[&["*.a.example", "a.example"]])).await;
        pass(MINUTE).await;
    })
    .await;
    assert_eq!(home.state().shown["*.a.example"].facts().names, ["*.a.example", "a.example"]);
    let history = home.state().history.clone();
    let records: Vec<String> = history.iter().filter(|proof| proof.way == Way::Dns).map(Proof::record).collect();
    assert_eq!(records, ["_acme-challenge.a.example"]);

    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http, Way::Tls]), async |handle| {
        handle.want(sets(&[&["*.a.example"]])).await;
        pass(MINUTE).await;
        let text = home.trouble("*.a.example").unwrap();
        assert!(text.contains("DNS-01 only"), "{text}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_before_two_thirds_of_its_life_and_the_old_one_is_shown_until_then() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(DAY).await;
        let first = home.until("a.example").unwrap();
        pass(DAY * 54).await;
        assert_eq!(home.until("a.example"), Some(first));
        pass(DAY * 2).await;
        assert!(home.until("a.example").unwrap() > first);
        pass(DAY * 300).await;
    })
    .await;
    let days: Vec<u64> = ca.ordered().iter().map(|at| at.as_secs() / 86_400).collect();
    assert_eq!(days, [0, 56, 112, 168, 225, 281, 337]);
    assert_eq!(ca.state().accounts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_when_the_ca_says_so_and_the_ca_is_told_what_is_replaced() {
    let home = Home::new();
    let ca = Stub::new(&home);
    // 2027-01-15T08:00:00Z is the beginning; the window opens on the tenth day.
    let window = ("2027-01-25T08:00:00Z".to_owned(), "2027-01-27T08:00:00Z".to_owned());
    ca.state().window = Some((window, 6 * 3_600));
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(DAY * 9).await;
        assert_eq!(ca.ordered().len(), 1);
        assert_eq!(ca.count("/renewal/"), 4 * 9);
        pass(DAY + HOUR).await;
        assert_eq!(ca.ordered().len(), 2);
        // The CA must withdraw: the window is in the past, and stays there.
        ca.state().window = Some((("2027-01-01T00:00:00Z".to_owned(), "2027-01-02T00:00:00Z".to_owned()), 60));
        pass(DAY * 3).await;
    })
    .await;
    let state = ca.state();
    let days: Vec<u64> = state.orders.iter().map(|order| order.at.as_secs() / 86_400).collect();
    assert_eq!(days, [0, 10, 11, 12, 13], "no more than one a day");
    assert_eq!(state.orders[0].replaces, None);
    let (issuer, serial) = state.orders[1].replaces.as_deref().unwrap().split_once('.').unwrap();
    assert!(issuer.len() >= 27 && serial == "AQE", "{issuer}.{serial}");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_none_is_not_heeded() {
    let home = Home::new();
    let ca = Stub::new(&home);
    ca.state().window = Some((("2027-01-25T08:00:00Z".to_owned(), "2027-01-25T08:00:00Z".to_owned()), 3_600));
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(DAY * 50).await;
    })
    .await;
    assert_eq!(ca.ordered().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_is_shown_when_it_is_wanted_and_not_ordered_again() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE).await;
    })
    .await;
    home.state().shown.clear();
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        assert!(home.until("a.example").is_some());
        pass(DAY * 40).await;
    })
    .await;
    assert_eq!((ca.ordered().len(), ca.state().accounts.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn another_ca_knows_nothing_of_what_one_has_signed() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE).await;
    })
    .await;
    home.state().shown.clear();
    let mut other = settings(&[Way::Http]);
    other.client.directory = "https://ca.test/directory?staging".to_owned();
    live(&home, &ca, other, async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(Duration::from_millis(1)).await;
        assert!(home.until("a.example").is_none());
        pass(MINUTE).await;
        assert!(home.until("a.example").is_some());
    })
    .await;
    assert_eq!((ca.ordered().len(), ca.state().accounts.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_moves_to_another_set_keeps_its_certificate_until_the_new_one_is_there() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE).await;
        let first = home.until("a.example").unwrap();
        home.state().shown.clear();
        ca.state().is_down = true;
        handle.want(sets(&[&["a.example", "b.example"]])).await;
        pass(MINUTE).await;
        // It is shown for both, and good for one of them.
        assert_eq!((home.until("a.example"), home.until("b.example")), (Some(first), Some(first)));
        ca.state().is_down = false;
        pass(HOUR).await;
        assert!(home.until("a.example").unwrap() > first);
        assert_eq!(home.until("a.example"), home.until("b.example"));
        // What is wanted no more and is over is forgotten.
        pass(DAY * 91).await;
        handle.want(sets(&[&["b.example"]])).await;
        pass(MINUTE).await;
    })
    .await;
    let rows = home.state().kept.keys().filter(|name| name.contains("/certificate/")).count();
    assert_eq!(rows, 2, "the one for both names is good still");
}

#[tokio::test(start_paused = true)]
async fn a_person_may_have_it_now_as_often_as_an_hour_allows() {
    let home = Home::new();
    let ca = Stub::new(&home);
    live(&home, &ca, settings(&[Way::Http]), async |handle| {
        handle.want(sets(&[&["a.example"], &["*.b.example"]])).await;
        pass(MINUTE).await;
        assert_eq!(handle.renew("c.example").await, Err(RenewError::Unknown));
        assert_eq!(handle.renew("x.b.example").await, Ok(()), "the wildcard has it");
        for _ in 0..3 {
            assert_eq!(handle.renew("A.example").await, Ok(()));
            pass(MINUTE).await;
        }
        assert!(matches!(handle.renew("a.example").await, Err(RenewError::TooOften(_))));
        pass(HOUR).await;
        assert_eq!(handle.renew("a.example").await, Ok(()));
        pass(MINUTE).await;
    })
    .await;
    let of_a = ca.state().orders.iter().filter(|order| order.names() == ["a.example"]).count();
    assert_eq!(of_a, 5);
}

#[tokio::test(start_paused = true)]
async fn an_external_account_is_bound() {
    let home = Home::new();
    let ca = Stub::new(&home);
    let mut settings = settings(&[Way::Http]);
    settings.client.external = Some(External { id: "kid-1".to_owned(), key: vec![1; 32] });
    live(&home, &ca, settings, async |handle| {
        handle.want(sets(&[&["a.example"]])).await;
        pass(MINUTE).await;
        assert!(home.until("a.example").is_some());
    })
    .await;
    let state = ca.state();
    let binding = &state.accounts[0]["externalAccountBinding"];
    assert!(binding["signature"].is_string() && binding["payload"].is_string(), "{binding}");
}
