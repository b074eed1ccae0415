//! The dispatcher on a simulated clock, with a carrier that does what a test says, over a real store.

mod stage;

use std::time::Duration;

use sportello_store::queue::{Change, Chosen, Standing};

use super::carrier::{Reach, Reports};
use super::house::Home;
use super::{Destination, lanes};
use stage::{Act, Stage, delivered, failed, later, unreached};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_is_deferred_is_tried_as_scheduled_told_of_once_and_given_up_at_the_end() {
    let stage = Stage::new(|_, _| Act::answers(later()));
    stage.send("anna@example.org", &["bob@slow.example"]).await;
    let (script, store) = stage
        .run(async |stage| {
            stage.pass(4 * HOUR + MINUTE).await;
            assert_eq!(stage.subjects().await, ["Your message is not delivered yet"]);
            stage.pass(116 * HOUR - 2 * MINUTE).await;
            assert_eq!(stage.store.queue_figures().waiting, 1, "it is not given up before its time");
            stage.pass(3 * MINUTE).await;
        })
        .await;
    let times: Vec<Duration> = script.tries().iter().map(|one| one.at).collect();
    let minutes = [2, 5, 15, 30, 60, 120, 240];
    for (at, pair) in times.windows(2).enumerate() {
        let wait = minutes.get(at).copied().unwrap_or(240) * MINUTE;
        let (least, most) = (wait * 4 / 5, wait * 6 / 5 + Duration::from_secs(61));
        let gap = pair[1] - pair[0];
        assert!((least..=most).contains(&gap), "wait {at} is {gap:?}, not {wait:?} or so");
    }
    assert!((28..50).contains(&times.len()), "{} tries in five days", times.len());
    let expect = ["Your message could not be delivered", "Your message is not delivered yet"];
    assert_eq!(stage::subjects(&store).await, expect, "each once");
    let bounce = stage::newest(&store).await;
    for part in [
        "Action: failed",
        "Status: 5.4.7",
        "not delivered within 120 hours; at last: 451 4.2.1 later",
        "bob@slow.example",
    ] {
        assert!(bounce.contains(part), "{part}: {bounce}");
    }
    assert!(bounce.contains("Content-Type: message/rfc822\r\n\r\nSubject: out\r\n"), "{bounce}");
    assert_eq!(store.queue_figures(), Default::default());
    store.close().await;
}

#[tokio::test]
async fn each_recipient_has_its_own_end_and_one_report_tells_of_all_that_failed() {
    let stage = Stage::new(|batch, number| Act {
        fates: match number {
            0 => vec![delivered(), failed("550 5.1.1 no such user"), later(), failed("550 5.7.1 go away")],
            _ => batch.recipients.iter().map(|_| delivered()).collect(),
        },
        ..Act::answers(delivered())
    });
    stage.send("anna@example.org", &["a@one.example", "b@one.example", "c@one.example", "d@one.example"]).await;
    let (script, store) = stage.run(async |stage| stage.pass(10 * MINUTE).await).await;
    let tries = script.tries();
    let names: Vec<Vec<&str>> = tries.iter().map(|one| one.recipients.iter().map(String::as_str).collect()).collect();
    assert_eq!(
        names,
        [vec!["a@one.example", "b@one.example", "c@one.example", "d@one.example"], vec!["c@one.example"]]
    );
    assert!(tries.iter().all(|one| one.prefix == b"X-Signed: yes\r\n"));
    assert!(!tries[1].was_kept, "a connection is not kept for minutes");
    assert_eq!(stage::subjects(&store).await, ["Your message could not be delivered"]);
    let bounce = stage::newest(&store).await;
    assert_eq!(bounce.matches("Action: failed").count(), 2, "{bounce}");
    assert!(!bounce.contains("a@one.example") && !bounce.contains("c@one.example"), "{bounce}");
    let counted = script.figures();
    assert_eq!((counted.attempts, counted.delivered, counted.deferred, counted.failed), (2, 2, 1, 2));
    assert_eq!((counted.reports, counted.unreported), (1, 0));
    store.close().await;
}

#[tokio::test]
async fn nobody_is_told_of_a_report_that_fails_nor_where_nobody_has_the_address() {
    for (sender, home) in [("", None), ("gone@example.org", Some(Home::Nowhere))] {
        let mut stage = Stage::new(|_, _| Act::answers(failed("550 5.1.1 no such user")));
        stage.home = home.unwrap_or(stage.home);
        stage.send(sender, &["bob@one.example"]).await;
        let (script, store) = stage.run(async |stage| stage.pass(MINUTE).await).await;
        assert_eq!(stage::subjects(&store).await, [""; 0]);
        assert_eq!((script.figures().reports, script.figures().unreported), (0, 1), "{sender:?}");
        assert_eq!(store.queue_figures(), Default::default());
        store.close().await;
    }
}

#[tokio::test]
async fn a_report_to_a_sender_elsewhere_goes_into_the_queue_and_is_not_reported_on() {
    let mut stage = Stage::new(|_, _| Act::answers(failed("550 5.1.1 no such user")));
    stage.home = Home::Elsewhere(Destination::new("example.org"), "anna@example.org".to_owned());
    stage.send("anna@example.org", &["bob@one.example"]).await;
    let (script, store) = stage.run(async |stage| stage.pass(MINUTE).await).await;
    let tries = script.tries();
    let senders: Vec<(&str, &str)> =
        tries.iter().map(|one| (one.sender.as_str(), one.recipients[0].as_str())).collect();
    assert_eq!(senders, [("anna@example.org", "bob@one.example"), ("", "anna@example.org")]);
    assert_eq!((script.figures().reports, script.figures().unreported), (1, 0));
    store.close().await;
}

#[tokio::test]
async fn a_delivery_is_reported_where_that_was_asked_for_and_nobody_else_does() {
    for (reports, expect) in [(Reports::Ours, &["Your message was handed on"][..]), (Reports::PassedOn, &[])] {
        let stage = Stage::new(move |_, _| Act { reports, ..Act::answers(delivered()) });
        stage.send_with("anna@example.org", &["bob@one.example"], "SUCCESS").await;
        let (_, store) = stage.run(async |stage| stage.pass(MINUTE).await).await;
        assert_eq!(stage::subjects(&store).await, expect);
        store.close().await;
    }
    let stage = Stage::new(|_, _| Act::answers(failed("550 no")));
    stage.send_with("anna@example.org", &["bob@one.example"], "NEVER").await;
    let (_, store) = stage.run(async |stage| stage.pass(MINUTE).await).await;
    assert_eq!(stage::subjects(&store).await, [""; 0]);
    store.close().await;
}

#[tokio::test]
async fn much_for_a_dead_destination_does_not_slow_another() {
    let stage = Stage::new(|batch, _| match batch.destination.as_str() {
        "dead.example" => Act { takes: MINUTE, ..unreached() },
        _ => Act::answers(delivered()),
    });
    for _ in 0..50 {
        stage.send("anna@example.org", &["bob@dead.example"]).await;
    }
    let (script, store) = stage
        .run(async |stage| {
            stage.send("anna@example.org", &["eve@live.example"]).await;
            stage.pass(30 * MINUTE).await;
            stage.send("anna@example.org", &["eve@live.example"]).await;
            stage.pass(MINUTE).await;
        })
        .await;
    let of = |name: &str| script.tries().into_iter().filter(|one| one.destination == name).collect::<Vec<_>>();
    let live: Vec<Duration> = of("live.example").iter().map(|one| one.at).collect();
    assert_eq!(live.len(), 2);
    assert!(live[0] < Duration::from_secs(2) && live[1] < 30 * MINUTE + Duration::from_secs(2), "{live:?}");
    let dead = of("dead.example").len();
    assert!((3..=6).contains(&dead), "{dead} tries of 50 entries that reach nobody");
    assert_eq!(store.queue_figures().waiting, 50);
    assert_eq!(
        store.queue_destinations(None, 1).await.unwrap()[0].failures as usize + 1,
        dead,
        "the first two are one"
    );
    store.close().await;
}

#[tokio::test]
async fn more_is_sent_at_once_while_that_goes_well_and_connections_are_used_again() {
    let stage = Stage::new(|_, _| Act { takes: Duration::from_secs(10), ..Act::answers(delivered()) });
    for _ in 0..300 {
        stage.send("anna@example.org", &["bob@one.example"]).await;
    }
    let (script, store) = stage.run(async |stage| stage.pass(20 * MINUTE).await).await;
    assert_eq!(script.tries().len(), 300);
    assert!((3..=lanes::MOST_OF_ONE).contains(&script.most_at_once()), "{} at once", script.most_at_once());
    let kept = script.tries().iter().filter(|one| one.was_kept).count();
    assert!(kept >= 300 - lanes::MOST_OF_ONE as usize, "{kept} of 300 on a connection that was there");
    assert_eq!(store.queue_figures(), Default::default());
    store.close().await;
}

#[tokio::test]
async fn what_was_carried_when_the_server_died_is_sent_again_and_counted() {
    let stage = Stage::new(|_, _| Act { takes: MINUTE, ..Act::answers(delivered()) });
    stage.send("anna@example.org", &["bob@one.example"]).await;
    let place = stage.run_and_die(async |stage| stage.pass(MINUTE / 2).await).await;
    let stage = Stage::at(place, |_, _| Act::answers(delivered()));
    assert_eq!(stage.store.queue_figures().interrupted, 1);
    let (script, store) = stage.run(async |stage| stage.pass(MINUTE).await).await;
    assert_eq!(script.tries().len(), 1);
    assert_eq!(store.queue_figures().waiting, 0);
    store.close().await;
}

#[tokio::test]
async fn a_stop_lets_what_is_carried_end_and_gives_back_the_rest() {
    let stage = Stage::new(|_, _| Act { takes: MINUTE, ..Act::answers(delivered()) });
    for _ in 0..5 {
        stage.send("anna@example.org", &["bob@one.example"]).await;
    }
    let (script, store) = stage.run(async |stage| stage.pass(MINUTE / 2).await).await;
    let sent = script.tries().len() as u64;
    assert!((1..=2).contains(&sent), "{sent}");
    assert_eq!((store.queue_figures().waiting, store.queue_figures().leased), (5 - sent, 0));
    store.close().await;
}

#[tokio::test]
async fn what_a_person_asks_for_is_done_at_once() {
    let stage = Stage::new(|_, number| if number == 0 { unreached() } else { Act::answers(delivered()) });
    stage.send("anna@example.org", &["bob@one.example"]).await;
    let (script, store) = stage
        .run(async |stage| {
            stage.pass(Duration::from_secs(5)).await;
            stage.store.queue_change(Chosen::default(), Change::Retry).await.unwrap();
            stage.pass(Duration::from_secs(5)).await;
        })
        .await;
    assert_eq!(script.tries().len(), 2);
    assert!(matches!(script.reaches()[..], [Reach::Unreached, Reach::Spoke]));
    assert_eq!(store.queue_figures(), Default::default());
    store.close().await;
}

#[tokio::test]
async fn what_a_person_lets_go_on_goes_at_once() {
    let stage = Stage::new(|_, _| Act::answers(delivered()));
    let (held, suspended) = (Destination::new("held.example"), Destination::new("suspended.example"));
    stage.send("anna@example.org", &["bob@held.example", "eve@suspended.example"]).await;
    let of = Chosen { message: None, destination: Some(held) };
    stage.store.queue_change(of.clone(), Change::Hold).await.unwrap();
    stage.store.queue_stand(suspended.clone(), Standing::Suspended).await.unwrap();
    let (script, store) = stage
        .run(async |stage| {
            stage.pass(Duration::from_secs(5)).await;
            assert_eq!(stage.tried(), [""; 0]);
            stage.store.queue_stand(suspended, Standing::Open).await.unwrap();
            stage.pass(Duration::from_secs(5)).await;
            assert_eq!(stage.tried(), ["suspended.example"]);
            stage.store.queue_change(of, Change::Release).await.unwrap();
            stage.pass(Duration::from_secs(5)).await;
        })
        .await;
    assert_eq!(script.tries().len(), 2);
    assert_eq!(store.queue_figures(), Default::default());
    store.close().await;
}
