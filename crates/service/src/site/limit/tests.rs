use bytes::Bytes;

use super::*;
use crate::site::tests::request;
use crate::web::{Incoming, Ready};

fn known(request: &Request) -> Known {
    Known::of(request, &Default::default())
}

#[test]
fn a_rate_is_read() {
    for (written, expect) in [
        ("10/s", Some(600)),
        ("100/min", Some(100)),
        ("1000000/s", Some(60_000_000)),
        ("1000001/s", None),
        ("0/s", None),
        ("/s", None),
        ("10", None),
        ("10/h", None),
        ("+1/s", None),
        ("99999999999/s", None),
    ] {
        assert_eq!(per_minute(written).ok().map(NonZeroU32::get), expect, "{written}");
    }
    assert_eq!(By::parse("header X-Key"), Some(By::Field("x-key".into())));
    for wrong in ["", "header", "header ", "header a b", "somebody"] {
        assert_eq!(By::parse(wrong), None, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_let_through_and_then_the_rate() {
    let often = Often { per_minute: NonZeroU32::new(60).unwrap(), at_once: NonZeroU32::new(3).unwrap() };
    let limit = Limit::Often(Arc::new(HowOften::new(By::Field("x-key".into()), often)));
    let ask = |key: &'static str| {
        let mut asked = request("/");
        asked.fields.add("x-key", key).unwrap();
        let known = known(&asked);
        limit.take(&mut asked, &known, &mut Kept::default())
    };
    for _ in 0..3 {
        assert!(ask("a").is_ok());
    }
    let refused = ask("a").unwrap_err();
    assert_eq!((refused.status, refused.fields.text("retry-after")), (429, Some("1")));
    assert!(ask("b").is_ok());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(ask("a").is_ok());
    assert!(ask("a").is_err());
}

#[test]
fn places_are_given_back() {
    let limit = Limit::AtOnce(Arc::new(AtOnce::new(By::Address, 2)));
    let mut asked = request("/");
    let known = known(&asked);
    let mut kept = Kept::default();
    for _ in 0..2 {
        assert!(limit.take(&mut asked, &known, &mut kept).is_ok());
    }
    assert_eq!(limit.take(&mut asked, &known, &mut kept).unwrap_err().status, 503);
    kept.places.pop();
    assert!(limit.take(&mut asked, &known, &mut kept).is_ok());
    drop(kept);
    let Limit::AtOnce(at_once) = &limit else { return };
    assert!(at_once.under_way.lock().unwrap().is_empty());
}

#[test]
fn neighbours_of_ipv6_are_one() {
    let near = [network("2001:db8::1".parse().unwrap()), network("2001:db8::2".parse().unwrap())];
    assert_eq!(near[0], near[1]);
    assert_ne!(near[0], network("2001:db8:0:1::1".parse().unwrap()));
    assert_ne!(network("192.0.2.1".parse().unwrap()), network("192.0.2.2".parse().unwrap()));
}

/// Pieces of a length that nobody knows.
struct Unknown(Ready);

impl crate::web::Pieces for Unknown {
    fn poll_piece(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, crate::web::Broken>>> {
        self.0.poll_piece(context)
    }

    fn left(&self) -> Option<u64> {
        None
    }
}

#[tokio::test]
async fn a_body_is_taken_at_its_bound_and_not_beyond() {
    let ready = |length: usize| Ready::new([Bytes::from(vec![b'x'; length])]);
    for (length, expect) in [(4usize, true), (5, false)] {
        let known_length = capped(Incoming::Pieces(Box::new(ready(length))), 4);
        assert_eq!(known_length.is_ok(), expect, "{length}");
        let (body, overrun) = capped(Incoming::Pieces(Box::new(Unknown(ready(length)))), 4).unwrap();
        assert_eq!(body.whole(100).await.is_ok(), expect, "{length}");
        assert_eq!(overrun.unwrap().happened(), !expect, "{length}");
    }
}
