//! What one message may have asked of name servers: so many questions, and until then.
//!
//! Senders choose what is looked up, so every question of a judgement goes through here.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::dns::{Dns, Kind, Record, Unanswered};

/// Who asks, how often it may, and until when.
#[derive(Debug)]
pub(super) struct Questions<'a> {
    dns: &'a dyn Dns,
    left: usize,
    until: Instant,
}

impl<'a> Questions<'a> {
    /// At most `most` questions, within `time` from now.
    pub(super) fn new(dns: &'a dyn Dns, most: usize, time: Duration) -> Self {
        Self { dns, left: most, until: Instant::now() + time }
    }

    /// Asks one.
    pub(super) async fn ask(&mut self, name: &str, kind: Kind) -> Result<Vec<Record>, Unanswered> {
        self.left = self.left.checked_sub(1).ok_or_else(too_many)?;
        match timeout_at(self.until, self.dns.ask(name, kind)).await {
            Ok(answer) => answer,
            Err(_) => Err(Unanswered::Trouble("nobody answered in time".to_owned())),
        }
    }

    /// Asks for the texts at several names at once.
    pub(super) async fn texts(&mut self, names: Vec<String>) -> Vec<(String, Result<Vec<Vec<u8>>, Unanswered>)> {
        let mut under_way = Vec::with_capacity(names.len());
        for name in names {
            let allowed = self.left.checked_sub(1).map(|left| self.left = left);
            under_way.push((name, allowed));
        }
        let (dns, until) = (self.dns, self.until);
        let asked = under_way.into_iter().map(|(name, allowed)| async move {
            let answer = match allowed {
                None => Err(too_many()),
                Some(()) => timeout_at(until, dns.ask(&name, Kind::Txt))
                    .await
                    .unwrap_or_else(|_| Err(Unanswered::Trouble("nobody answered in time".to_owned()))),
            };
            (name, answer.map(texts))
        });
        all(asked).await
    }

    /// The text records at a name.
    pub(super) async fn text(&mut self, name: &str) -> Result<Vec<Vec<u8>>, Unanswered> {
        self.ask(name, Kind::Txt).await.map(texts)
    }

    /// The addresses of a name, of the kind that `like` is.
    pub(super) async fn addresses(&mut self, name: &str, like: IpAddr) -> Result<Vec<IpAddr>, Unanswered> {
        let kind = if like.is_ipv4() { Kind::A } else { Kind::Aaaa };
        let address = |record| match record {
            Record::A(address) => Some(IpAddr::V4(address)),
            Record::Aaaa(address) => Some(IpAddr::V6(address)),
            _ => None,
        };
        Ok(self.ask(name, kind).await?.into_iter().filter_map(address).collect())
    }

    /// The names of an address, as its reverse zone has them: anybody may claim any name there.
    pub(super) async fn names(&mut self, address: IpAddr) -> Result<Vec<String>, Unanswered> {
        let name = |record| match record {
            Record::Ptr(name) => Some(name),
            _ => None,
        };
        Ok(self.ask(&crate::dns::reverse_name(address), Kind::Ptr).await?.into_iter().filter_map(name).collect())
    }
}

fn too_many() -> Unanswered {
    Unanswered::Trouble("too much would have to be looked up".to_owned())
}

fn texts(records: Vec<Record>) -> Vec<Vec<u8>> {
    let text = |record| match record {
        Record::Txt(text) => Some(text),
        _ => None,
    };
    records.into_iter().filter_map(text).collect()
}

/// Waits for all of them at once; their results in their order.
pub(super) async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut missing = 0;
        for (future, output) in &mut waiting {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => missing += 1,
                }
            }
        }
        if missing == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Table;

    #[tokio::test]
    async fn one_question_more_than_allowed_is_not_asked() {
        let table = Table::new().txt("a.org", "x").txt("b.org", "y");
        let mut questions = Questions::new(&table, 3, Duration::from_secs(1));
        assert_eq!(questions.text("a.org").await, Ok(vec![b"x".to_vec()]));
        let names = ["a.org", "c.org", "b.org"].map(str::to_owned).to_vec();
        let answers: Vec<_> = questions.texts(names).await.into_iter().map(|(_, answer)| answer).collect();
        assert_eq!(answers[..2], [Ok(vec![b"x".to_vec()]), Err(Unanswered::NoSuchName)]);
        assert_eq!(answers[2], Err(too_many()));
        assert_eq!(questions.text("a.org").await, Err(too_many()));
        assert_eq!(table.asked(), 3);
    }

    #[derive(Debug)]
    struct Silent;

    impl Dns for Silent {
        fn ask<'a>(&'a self, _: &'a str, _: Kind) -> crate::dns::Asked<'a> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_allowed() {
        let mut questions = Questions::new(&Silent, 3, Duration::from_secs(7));
        let begun = Instant::now();
        assert!(matches!(questions.text("a.org").await, Err(Unanswered::Trouble(_))));
        let answers = questions.texts(vec!["a.org".to_owned(), "b.org".to_owned()]).await;
        assert!(answers.iter().all(|(_, answer)| matches!(answer, Err(Unanswered::Trouble(_)))));
        assert_eq!(begun.elapsed(), Duration::from_secs(7));
    }
}
