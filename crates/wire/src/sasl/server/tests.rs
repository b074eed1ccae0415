use super::*;

const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn keys(passwords: &[&str]) -> Keys {
    let salt = BASE64_STANDARD.decode(SALT).unwrap();
    let pair = |password: &&str| Pair::derive(&Password::new(password).unwrap(), &salt, 4_096);
    Keys { pairs: passwords.iter().map(pair).collect(), salt, iterations: 4_096 }
}

/// The state in which the example of RFC 7677 §3 is when its client has proved nothing yet.
fn example(keys: Keys) -> Exchange {
    let challenged = Challenged {
        name: "user".into(),
        keys,
        nonce: NONCE.into(),
        binding: b"n,,".to_vec(),
        conversation: format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s={SALT},i=4096,").into_bytes(),
    };
    let state = State::Challenged(Box::new(challenged));
    Exchange { mechanism: Mechanism::ScramSha256, offers_binding: OffersBinding::No, state }
}

#[test]
fn the_example_of_rfc_7677() {
    let last = format!("c=biws,r={NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    for (passwords, pair) in [(&["pencil"][..], Some(0)), (&["pen", "pencil"], Some(1)), (&["pen"], None), (&[], None)]
    {
        let mut exchange = example(keys(passwords));
        let next = exchange.respond(Some(last.as_bytes()));
        let Some(pair) = pair else {
            assert_eq!((next, exchange.asked()), (Err(Error::Proof), None));
            assert_eq!(exchange.approve(), None);
            continue;
        };
        assert_eq!((next, exchange.asked()), (Ok(Next::Ask), Some(Asked::Proved("user", pair))));
        let signature = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_vec();
        assert_eq!(exchange.approve(), Some(("user".into(), Some(signature))));
        assert_eq!(exchange.respond(Some(last.as_bytes())), Err(Error::Malformed));
    }
}

#[test]
fn a_proof_that_was_touched_is_none() {
    let last = format!("c=biws,r={NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    for (from, to, expect) in [
        ("c=biws", "c=eSws", Error::Binding),
        ("c=biws", "c=", Error::Binding),
        ("r=rOp", "r=xOp", Error::Malformed),
        ("k0,p=", "k0x,p=", Error::Malformed),
        ("k0,p=", "k0,x=y,p=", Error::Proof),
        ("p=dHz", "p=eHz", Error::Proof),
        ("dVQ=", "", Error::Malformed),
        (",p=", ",q=", Error::Malformed),
    ] {
        let touched = last.replace(from, to);
        assert_ne!(touched, last);
        assert_eq!(example(keys(&["pencil"])).respond(Some(touched.as_bytes())), Err(expect), "{touched}");
    }
}

#[test]
fn plain_says_all_at_once() {
    for (response, expect) in [
        (&b"\0alice\0secret"[..], Ok(("alice", "secret"))),
        (b"alice\0alice\0secret", Ok(("alice", "secret"))),
        ("\0\u{e4}@b\u{fc}cher.example\0\u{df}".as_bytes(), Ok(("\u{e4}@b\u{fc}cher.example", "\u{df}"))),
        (b"bob\0alice\0secret", Err(Error::Impersonation)),
        (b"\0alice\0", Err(Error::Malformed)),
        (b"\0\0secret", Err(Error::Malformed)),
        (b"\0alice", Err(Error::Malformed)),
        (b"\0alice\0sec\0ret", Err(Error::Malformed)),
        (b"\0al\nice\0secret", Err(Error::Malformed)),
        (b"\0alice\0\xff", Err(Error::Malformed)),
        (b"", Err(Error::Malformed)),
    ] {
        let mut exchange = Exchange::new(Mechanism::Plain, OffersBinding::No);
        assert_eq!(exchange.respond(None), Ok(Next::Challenge(Vec::new())));
        let next = exchange.respond(Some(response));
        let Ok((name, password)) = expect else {
            assert_eq!(next.err(), expect.err(), "{response:?}");
            continue;
        };
        let password = Password::new(password).unwrap();
        assert_eq!((next, exchange.asked()), (Ok(Next::Ask), Some(Asked::Password(name, &password))));
        assert_eq!(exchange.approve(), Some((name.into(), None)));
        assert_eq!(exchange.asked(), None);
        assert_eq!(exchange.approve(), None);
    }
}

#[test]
fn plain_is_bounded() {
    for (length, good) in [(super::super::LONGEST_PASSWORD, true), (super::super::LONGEST_PASSWORD + 1, false)] {
        let response = [b"\0alice\0", "x".repeat(length).as_bytes()].concat();
        assert_eq!(Exchange::new(Mechanism::Plain, OffersBinding::No).respond(Some(&response)).is_ok(), good);
    }
    let response = vec![b'x'; LONGEST_MESSAGE + 1];
    assert_eq!(Exchange::new(Mechanism::Plain, OffersBinding::No).respond(Some(&response)), Err(Error::Malformed));
}

#[test]
fn login_asks_twice_or_once() {
    for initial in [None, Some(&b"alice"[..])] {
        let mut exchange = Exchange::new(Mechanism::Login, OffersBinding::No);
        if initial.is_none() {
            assert_eq!(exchange.respond(None), Ok(Next::Challenge(b"Username:".to_vec())));
        }
        assert_eq!(exchange.respond(Some(b"alice")), Ok(Next::Challenge(b"Password:".to_vec())));
        assert_eq!(exchange.respond(Some(b"secret")), Ok(Next::Ask));
        let password = Password::new("secret").unwrap();
        assert_eq!(exchange.asked(), Some(Asked::Password("alice", &password)));
    }
}

#[test]
fn what_a_client_says_of_binding_must_fit_what_is_offered() {
    use Mechanism::{ScramSha256 as Without, ScramSha256Plus as With};
    for (mechanism, offers, header, good) in [
        (Without, OffersBinding::No, "n,,", true),
        (Without, OffersBinding::Yes, "n,,", true),
        (Without, OffersBinding::No, "y,,", true),
        (Without, OffersBinding::Yes, "y,,", false),
        (Without, OffersBinding::Yes, "p=tls-exporter,,", false),
        (With, OffersBinding::Yes, "p=tls-exporter,,", true),
        (With, OffersBinding::Yes, "p=tls-unique,,", false),
        (With, OffersBinding::Yes, "n,,", false),
        (With, OffersBinding::Yes, "y,,", false),
    ] {
        let first = format!("{header}n=user,r=abc");
        let next = Exchange::new(mechanism, offers).respond(Some(first.as_bytes()));
        assert_eq!(next, if good { Ok(Next::Ask) } else { Err(Error::Binding) }, "{mechanism} {offers:?} {header}");
    }
}
