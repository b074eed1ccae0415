//! `allow` and `deny`: who may go on, by the address that is believed to be the client's.

use std::fmt;

use super::ours::Ours;
use super::walk::Known;
use crate::web::Network;

/// Who may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever is in one of these, and nobody else.
    Allow(Vec<Network>),
    /// Whoever is in none of these; of none at all, nobody.
    Deny(Vec<Network>),
}

impl Access {
    /// 403 for those who may not.
    pub(super) fn take(&self, known: &Known) -> Result<(), Ours> {
        let may = match self {
            Self::Allow(networks) => known.is_from(networks),
            Self::Deny(networks) => !networks.is_empty() && !known.is_from(networks),
        };
        if may { Ok(()) } else { Err(Ours::new(403, "this is not for you")) }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, networks) = match self {
            Self::Allow(networks) => ("allows", networks),
            Self::Deny(networks) => ("denies", networks),
        };
        let list: Vec<String> = networks.iter().map(ToString::to_string).collect();
        write!(formatter, "{word} {}", if list.is_empty() { "everybody".to_owned() } else { list.join(" ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::request;

    #[test]
    fn who_may_go_on() {
        let networks = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<Network>>();
        let known = Known::of(&request("/"), &Default::default());
        for (access, expect) in [
            (Access::Allow(networks(&["192.0.2.0/24"])), true),
            (Access::Allow(networks(&["10.0.0.0/8", "192.0.2.7"])), true),
            (Access::Allow(networks(&["10.0.0.0/8"])), false),
            (Access::Allow(networks(&["::/0"])), false),
            (Access::Deny(networks(&["192.0.2.7"])), false),
            (Access::Deny(networks(&["10.0.0.0/8"])), true),
            (Access::Deny(networks(&[])), false),
        ] {
            assert_eq!(access.take(&known).is_ok(), expect, "{access}");
        }
    }
}
