//! What is known of a client before it says a word: does its name point back to it, and is it on a list?
//!
//! Bounded by: [`NAMES_MOST`] names, [`LISTS_MOST`] lists.

use std::net::IpAddr;

use super::questions::{Questions, all};
use crate::dns::{Dns, Kind, Record, Unanswered, reversed};

/// The most names of a client that are looked at.
const NAMES_MOST: usize = 5;
/// The most lists that are asked.
pub const LISTS_MOST: usize = 8;

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its address.
    pub address: IpAddr,
    /// Whether its name points back to it.
    pub iprev: Iprev,
    /// What the lists say of it, in their order.
    pub listings: Vec<Listing>,
}

/// Whether a client's name points back to it (RFC 8601 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Iprev {
    /// It does.
    Pass {
        /// The name, in small letters.
        name: String,
    },
    /// It has names, none of which does.
    Fail,
    /// It has no name.
    PermError,
    /// That cannot be known now.
    TempError(String),
}

impl Iprev {
    /// As it is written in `Authentication-Results`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "pass",
            Self::Fail => "fail",
            Self::PermError => "permerror",
            Self::TempError(_) => "temperror",
        }
    }
}

/// What one list says of a client (RFC 5782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Which list.
    pub list: String,
    /// What it says.
    pub listed: Listed,
}

/// Whether a client is on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// It is; the list's own code says why.
    Yes(std::net::Ipv4Addr),
    /// It is not.
    No,
    /// The list does not say.
    Unknown(String),
}

/// Whether a client's name points back to it.
pub(super) async fn iprev(questions: &mut Questions<'_>, address: IpAddr) -> Iprev {
    let address = address.to_canonical();
    let names = match questions.names(address).await {
        Ok(names) if !names.is_empty() => names,
        Err(Unanswered::Trouble(why)) => return Iprev::TempError(why),
        _ => return Iprev::PermError,
    };
    let mut trouble = None;
    for name in names.into_iter().take(NAMES_MOST) {
        match questions.addresses(&name, address).await {
            Ok(own) if own.contains(&address) => return Iprev::Pass { name: name.to_ascii_lowercase() },
            Err(Unanswered::Trouble(why)) => trouble = Some(why),
            _ => {}
        }
    }
    trouble.map_or(Iprev::Fail, Iprev::TempError)
}

/// What lists say of a client; all are asked at once.
pub(super) async fn listings(
    dns: &dyn Dns,
    time: std::time::Duration,
    address: IpAddr,
    lists: &[String],
) -> Vec<Listing> {
    let reversed = &reversed(address);
    let asked = lists.iter().take(LISTS_MOST).map(|list| async move {
        let mut questions = Questions::new(dns, 1, time);
        let answer = questions.ask(&format!("{reversed}.{list}"), Kind::A).await;
        Listing { list: list.clone(), listed: listed(answer) }
    });
    all(asked).await
}

fn listed(answer: Result<Vec<Record>, Unanswered>) -> Listed {
    let records = match answer {
        Ok(records) => records,
        Err(Unanswered::Trouble(why)) => return Listed::Unknown(why),
        Err(_) => return Listed::No,
    };
    let mut strange = None;
    for record in records {
        let Record::A(code) = record else { continue };
        match code.octets() {
            // Lists say so that they will not answer such as us.
            [127, 255, 255, _] => strange = Some(code),
            [127, ..] => return Listed::Yes(code),
            // A domain that was sold, or a network that answers for everything (RFC 5782 §2.1).
            _ => strange = Some(code),
        }
    }
    strange.map_or(Listed::No, |code| Listed::Unknown(format!("it answers {code}, which says nothing of the client")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dns::Table;

    async fn iprev_of(table: &Table) -> Iprev {
        iprev(&mut Questions::new(table, 10, Duration::from_secs(1)), "192.0.2.1".parse().unwrap()).await
    }

    #[tokio::test]
    async fn names_there_and_back() {
        let ptr = |name: &str| Record::Ptr(name.to_owned());
        let reverse = "1.2.0.192.in-addr.arpa";
        assert_eq!(iprev_of(&Table::new()).await, Iprev::PermError);
        let named = || Table::new().with(reverse, ptr("other.example")).with(reverse, ptr("MX.example"));
        assert_eq!(iprev_of(&named()).await, Iprev::Fail);
        let other = named().address("mx.example", "192.0.2.2");
        assert_eq!(iprev_of(&other).await, Iprev::Fail);
        let back = named().address("mx.example", "192.0.2.1");
        assert_eq!(iprev_of(&back).await, Iprev::Pass { name: "mx.example".to_owned() });
        let mut slow = named();
        slow.trouble("mx.example");
        assert!(matches!(iprev_of(&slow).await, Iprev::TempError(_)));
    }

    #[tokio::test]
    async fn more_names_than_are_looked_at() {
        let mut table = Table::new().address("last.example", "192.0.2.1");
        for number in 1..NAMES_MOST {
            table.add("1.2.0.192.in-addr.arpa", Record::Ptr(format!("{number}.example")));
        }
        table.add("1.2.0.192.in-addr.arpa", Record::Ptr("last.example".to_owned()));
        assert!(matches!(iprev_of(&table).await, Iprev::Pass { .. }));
        let mut more = Table::new().address("last.example", "192.0.2.1");
        for number in 0..NAMES_MOST {
            more.add("1.2.0.192.in-addr.arpa", Record::Ptr(format!("{number}.example")));
        }
        more.add("1.2.0.192.in-addr.arpa", Record::Ptr("last.example".to_owned()));
        assert_eq!(iprev_of(&more).await, Iprev::Fail);
    }

    #[tokio::test]
    async fn lists_are_believed_only_where_they_say_yes() {
        let mut table = Table::new()
            .address("1.2.0.192.yes.example", "127.0.0.2")
            .address("1.2.0.192.refuses.example", "127.255.255.254")
            .address("1.2.0.192.sold.example", "203.0.113.7");
        table.trouble("1.2.0.192.slow.example");
        let lists = ["yes.example", "no.example", "refuses.example", "sold.example", "slow.example"].map(str::to_owned);
        let said = listings(&table, Duration::from_secs(1), "192.0.2.1".parse().unwrap(), &lists).await;
        let said: Vec<_> = said.into_iter().map(|listing| listing.listed).collect();
        assert_eq!(said[..2], [Listed::Yes("127.0.0.2".parse().unwrap()), Listed::No]);
        assert!(said[2..].iter().all(|listed| matches!(listed, Listed::Unknown(_))), "{said:?}");
    }
}
