use super::super::scram::Keys;
use super::super::server::{Asked, Error as Refused, Exchange as Server, Next, OffersBinding};
use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const CHALLENGE: &[u8] = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

/// The client of the example of RFC 7677 §3, waiting for its challenge.
fn example() -> Exchange {
    let state = State::Waiting("n,,", None, NONCE.into());
    Exchange { name: "user".into(), password: password("pencil"), state }
}

#[test]
fn the_example_of_rfc_7677() {
    let mut exchange = example();
    let response = exchange.respond(CHALLENGE).unwrap();
    let expect =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(String::from_utf8(response).unwrap(), expect);
    assert!(!exchange.is_satisfied());
    assert_eq!(exchange.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(Vec::new()));
    assert!(exchange.is_satisfied());
    assert_eq!(exchange.respond(b""), Err(Error::Malformed));
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    for last in [&b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="[..], b"v=", b"e=other-error", b"", b"v=AAAA"] {
        let mut exchange = example();
        exchange.respond(CHALLENGE).unwrap();
        assert_eq!(exchange.respond(last), Err(Error::Server), "{last:?}");
        assert!(!exchange.is_satisfied());
    }
}

#[test]
fn a_challenge_that_gives_the_password_away_or_costs_too_much_is_refused() {
    let with = |iterations: u32| format!("r={NONCE}x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}").into_bytes();
    for iterations in [1, FEWEST_ITERATIONS - 1, MOST_ITERATIONS + 1, u32::MAX] {
        assert_eq!(example().respond(&with(iterations)), Err(Error::Iterations(iterations)));
    }
    assert!(example().respond(&with(FEWEST_ITERATIONS)).is_ok());
    for challenge in ["r=other,s=QQ==,i=4096", &format!("r={NONCE},s=QQ==,i=4096"), "", "e=no"] {
        assert_eq!(example().respond(challenge.as_bytes()), Err(Error::Malformed), "{challenge}");
    }
    assert_eq!(example().respond(&vec![b'x'; LONGEST_MESSAGE + 1]), Err(Error::Malformed));
}

#[test]
fn what_cannot_be_said_is_not_begun() {
    let new = |name, text, binding| Exchange::new(Mechanism::ScramSha256Plus, name, password(text), &[0; 18], binding);
    assert!(new("alice", "secret", Some([7; 32])).is_some());
    assert!(new("alice", "secret", None).is_none());
    assert!(new("", "secret", Some([7; 32])).is_none());
    assert!(new("alice", "sec\0ret", Some([7; 32])).is_none());
}

/// Both sides, against each other: whether the client is let in.
fn meet(mechanism: Mechanism, theirs: &str, bindings: [Option<Binding>; 2]) -> Result<bool, Refused> {
    let [ours, seen] = bindings;
    let offers = if seen.is_some() { OffersBinding::Yes } else { OffersBinding::No };
    let mut server = Server::new(mechanism, offers);
    let mut client = Exchange::new(mechanism, "a=b,c@d", password(theirs), &[1; 18], ours).unwrap();
    let mut next = server.respond(client.initial().as_deref())?;
    loop {
        let challenge = match next {
            Next::Challenge(challenge) => challenge,
            Next::Ask => match server.asked().unwrap() {
                Asked::Password(name, given) => {
                    assert_eq!(name, "a=b,c@d");
                    return Ok(given.reveal() == "\u{2168} secrets" && client.is_satisfied());
                }
                Asked::Keys(name) => {
                    assert_eq!(name, "a=b,c@d");
                    let pairs = vec![Pair::derive(&password("IX secrets"), b"salt and pepper!", 4_096)];
                    let keys = Keys { salt: b"salt and pepper!".to_vec(), iterations: 4_096, pairs };
                    server.challenge(keys, &[2; 18], seen.as_ref()).unwrap()
                }
                Asked::Proved(_, 0) => {
                    let (_, last) = server.approve().unwrap();
                    assert_eq!(client.respond(&last.unwrap()), Ok(Vec::new()));
                    return Ok(client.is_satisfied());
                }
                asked => panic!("{asked:?}"),
            },
        };
        next = server.respond(Some(&client.respond(&challenge).unwrap()))?;
    }
}

#[test]
fn both_sides_understand_each_other() {
    let (one, other) = (Some([7; 32]), Some([8; 32]));
    for mechanism in Mechanism::ALL {
        assert_eq!(
            meet(mechanism, "\u{2168} secrets", [one, one]).is_ok_and(|_| true),
            mechanism != Mechanism::ScramSha256
        );
    }
    // Ours is bound and offered, yet the client was shown SCRAM-SHA-256 alone: somebody took the other away.
    assert_eq!(meet(Mechanism::ScramSha256, "\u{2168} secrets", [one, one]), Err(Refused::Binding));
    for mechanism in [Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login] {
        assert_eq!(meet(mechanism, "\u{2168} secrets", [None, None]), Ok(true));
    }
    assert_eq!(meet(Mechanism::ScramSha256Plus, "\u{2168} secrets", [one, one]), Ok(true));
    assert_eq!(meet(Mechanism::ScramSha256Plus, "\u{2168} secrets", [one, other]), Err(Refused::Binding));
    assert_eq!(meet(Mechanism::ScramSha256, "secrets", [None, None]), Err(Refused::Proof));
}
