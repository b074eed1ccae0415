use super::*;
use crate::cli::paper::Ink;

fn visit(thread: &str) -> Visit {
    Visit {
        asked: "DATA".into(),
        client: "255.255.255.255:65535".parse().unwrap(),
        channel: "commands".into(),
        port: 65_535,
        thread: thread.into(),
        connection: 1,
        answer: "250 2.0.0 Ok: queued as 18446744073709551615 and more".into(),
        milliseconds: 123_456.7,
        tcp: Some(sportello_service::picture::TcpView {
            bytes_received: 123_456,
            rtt_us: 55_000,
            min_rtt_us: 55,
            ..Default::default()
        }),
    }
}

fn facts(untrue: &[&str]) -> Facts {
    let channels = ["web", "mail", "commands", "desk"].map(|name| (name.to_owned(), 65_535));
    Facts {
        ok: untrue.is_empty(),
        untrue: untrue.iter().map(|sentence| (*sentence).to_owned()).collect(),
        server: ServerFacts {
            version: "0.1.0".into(),
            address: "127.0.0.1".into(),
            pid: 4_194_304,
            own: true,
            channels: channels.into(),
            threads: vec!["worker-0".into()],
        },
        at_the_same_time: vec![visit("worker-0"), visit("worker-1")],
        programs: Naps::Ran { spans: vec![(0.0, 1.01), (0.02, 1.03)], seconds: 1.03 },
        mail: Letter { id: "17".into(), sent: 700, stored: 900, added: 200, trace: "Received: from x".repeat(20) },
    }
}

fn all(facts: &Facts, ink: Ink) -> String {
    [
        show::server(&facts.server, ink),
        show::visits(&facts.at_the_same_time, ink),
        show::naps(&facts.programs, ink),
        show::letter(&facts.mail, ink),
        show::end(facts, Some(Duration::from_millis(7)), ink),
    ]
    .concat()
}

#[test]
fn it_fits_into_a_hundred_columns() {
    let text = all(&facts(&[]), Ink::Plain);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{}: {line}", line.chars().count());
    }
    assert!(!text.contains('\x1b'));
    for part in ["port 65535 commands → worker-0 → answer `250 2.0.0 Ok", "━", "is so"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let coloured = all(&facts(&[]), Ink::Colour);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, all(&facts(&[]), Ink::Plain));
}

#[test]
fn what_is_not_so_is_said_and_ends_with_one() {
    assert_eq!(outcome(&facts(&[])).unwrap(), 0);
    let facts = facts(&["the sky is green", "water is dry"]);
    let failed = outcome(&facts).unwrap_err();
    assert_eq!((failed.code, failed.message.as_str()), (1, "not so: the sky is green; water is dry"));
    assert!(!all(&facts, Ink::Plain).contains("is so"));
}

#[test]
fn the_json_names_every_fact() {
    let json = serde_json::to_value(facts(&[])).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["at_the_same_time"][0]["thread"], "worker-0");
    assert_eq!(json["at_the_same_time"][0]["tcp"]["min_rtt_us"], 55);
    assert_eq!(json["programs"]["spans"][1][1], 1.03);
    assert_eq!(json["mail"]["added"], 200);
    let skipped = serde_json::to_value(Naps::Skipped { skipped: "no nap".into() }).unwrap();
    assert_eq!(skipped["skipped"], "no nap");
}
