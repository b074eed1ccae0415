//! Content codings (RFC 9110 §8.4.1) and which of them a client takes (§12.5.3).
//!
//! Knows no file: it is given the values of Accept-Encoding and what is offered, and says in which order to try. Bounded by the
//! head that the values lie in.

use super::Fields;
use super::field::{self, weight};

/// A content coding that this server makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// `br`: RFC 7932.
    Brotli,
    /// `zstd`: RFC 8878, in windows of at most 8 MiB (RFC 9659).
    Zstd,
    /// `gzip`: RFC 1952; also known as `x-gzip`.
    Gzip,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// As it is called in fields.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of this name. Names are compared without case (RFC 9110 §8.4.1).
    pub fn of(name: &[u8]) -> Option<Self> {
        // RFC 9110 §8.4.1.3: "x-gzip" is equivalent to "gzip".
        let name = if name.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { name };
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }
}

/// How well a client likes each coding, in thousandths; 0: it takes none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Liking {
    codings: [u16; Coding::ALL.len()],
    /// What was said of sending it as it is; `None`: nothing, and then it is liked less than all that is liked at all.
    identity: Option<u16>,
}

impl Liking {
    /// Reads the lines of Accept-Encoding, which together are one list (RFC 9110 §5.3). Without any, and from an empty list, the
    /// client likes no coding. Of a coding that is named twice the first counts; a member that cannot be read counts as not there.
    pub fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut codings, mut identity, mut others) = ([None; Coding::ALL.len()], None, None);
        for member in values.flat_map(field::list) {
            let mut parts = member.split(|&byte| byte == b';');
            let name = parts.next().unwrap_or_default().trim_ascii();
            let liking = match (parts.next(), parts.next()) {
                (None, _) => Some(1000),
                (Some(parameter), None) => weight(parameter),
                // RFC 9110 §12.5.3: a coding has no parameter but its weight.
                (Some(_), Some(_)) => None,
            };
            let Some(liking) = liking else { continue };
            let place = if name == b"*" {
                &mut others
            } else if name.eq_ignore_ascii_case(b"identity") {
                &mut identity
            } else if let Some(place) = Coding::of(name).and_then(|coding| codings.get_mut(coding as usize)) {
                place
            } else {
                continue;
            };
            place.get_or_insert(liking);
        }
        // `*` stands for what is not named.
        Self { codings: codings.map(|liking| liking.or(others).unwrap_or(0)), identity: identity.or(others) }
    }

    /// The same of all fields of a request.
    pub fn of_fields(fields: Fields<'_>) -> Self {
        Self::of(fields.values("accept-encoding"))
    }

    fn liking(&self, coding: Coding) -> u16 {
        self.codings.get(coding as usize).copied().unwrap_or(0)
    }

    /// In which order to try what is offered, given by how much the server likes it: what the client likes best first, among equals the
    /// server's first. What it does not take, and what it likes less than the plain form, is not in it.
    pub fn order(&self, offered: &[Coding]) -> Order {
        let mut order = Order::PLAIN;
        let least = self.identity.unwrap_or(0).max(1);
        for &coding in offered {
            let liking = self.liking(coding);
            if liking < least || order.iter().any(|its| its == coding) {
                continue;
            }
            let place = order.iter().position(|its| self.liking(its) < liking).unwrap_or(order.count);
            order.insert(place, coding);
        }
        order
    }
}

/// The codings to try, one after the other; then the plain form, which is always given in the end: also to who refuses it by
/// `identity;q=0`, since RFC 9110 §12.4.1 lets a server disregard what it cannot meet, and a file is worth more than a 406.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    codings: [Coding; Coding::ALL.len()],
    count: usize,
}

impl Order {
    /// The plain form alone.
    pub const PLAIN: Self = Self { codings: Coding::ALL, count: 0 };

    /// The codings.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Coding> {
        self.codings.into_iter().take(self.count)
    }

    /// Whether only the plain form is left.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.count == 0
    }

    fn insert(&mut self, place: usize, coding: Coding) {
        if let Some(behind) = self.codings.get_mut(place..=self.count) {
            behind.rotate_right(1);
            if let Some(first) = behind.first_mut() {
                *first = coding;
            }
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Zstd};

    fn order(lines: &[&str], offered: &[Coding]) -> Vec<Coding> {
        Liking::of(lines.iter().map(|line| line.as_bytes())).order(offered).iter().collect()
    }

    #[test]
    fn the_client_is_given_what_it_likes() {
        let all = [Brotli, Zstd, Gzip];
        let check = |lines: &[&str], expect: &[Coding]| assert_eq!(order(lines, &all), expect, "{lines:?}");
        check(&[], &[]);
        check(&[""], &[]);
        check(&[" , ,"], &[]);
        check(&["identity"], &[]);
        check(&["gzip"], &[Gzip]);
        check(&["GZip"], &[Gzip]);
        check(&["x-gzip"], &[Gzip]);
        check(&["gzip, deflate, br, zstd"], &all);
        check(&["gzip;q=1.0, br;q=0.5"], &[Gzip, Brotli]);
        check(&["br;q=0.1, gzip;q=0.12, zstd;q=0.119"], &[Gzip, Zstd, Brotli]);
        check(&["gzip;q=0"], &[]);
        check(&["gzip;q=0.000, br"], &[Brotli]);
        check(&["gzip;q=0.001"], &[Gzip]);
        check(&["gzip ; q=0.5 , br ; Q=0.6"], &[Brotli, Gzip]);
        check(&["deflate, compress, exi"], &[]);
        // Several lines are one list, in either order; the first of two that are alike counts.
        check(&["br", "gzip"], &[Brotli, Gzip]);
        check(&["gzip;q=0", "gzip"], &[]);
        check(&["gzip", "gzip;q=0"], &[Gzip]);
        check(&["x-gzip;q=0, gzip"], &[]);
    }

    #[test]
    fn the_star_stands_for_what_is_not_named() {
        let all = [Brotli, Zstd, Gzip];
        let check = |line: &str, expect: &[Coding]| assert_eq!(order(&[line], &all), expect, "{line}");
        check("*", &all);
        check("*;q=0", &[]);
        check("*;q=0, gzip", &[Gzip]);
        check("gzip;q=0, *", &[Brotli, Zstd]);
        check("*;q=0.5, zstd", &[Zstd, Brotli, Gzip]);
        check("identity;q=0, *;q=0", &[]);
        check("identity;q=0, br;q=0.1", &[Brotli]);
        // Who likes it plain better has it plain; who likes both alike has it small.
        check("identity, gzip;q=0.5", &[]);
        check("identity;q=0.5, gzip;q=0.5, br;q=0.4", &[Gzip]);
        check("*;q=0.3, gzip;q=0.2", &[Brotli, Zstd]);
    }

    #[test]
    fn what_cannot_be_read_is_not_there() {
        for line in [
            "gzip;q=",
            "gzip;q=2",
            "gzip;q=1.1",
            "gzip;q=1.0000",
            "gzip;q=0.1234",
            "gzip;q=.5",
            "gzip;q=-1",
            "gzip;q=1;q=1",
            "gzip;x=1",
            "gzip;",
            "gzip;q=0,5x",
            "g zip",
            "gzip q=1",
            "\"gzip\"",
        ] {
            assert_eq!(order(&[line], &[Gzip]), [], "{line}");
        }
        assert_eq!(order(&["gzip;q=2, gzip;q=0.3"], &[Gzip]), [Gzip]);
        assert_eq!(order(&["\u{ff}, gzip"], &[Gzip]), [Gzip]);
    }

    #[test]
    fn among_equals_the_server_decides() {
        assert_eq!(order(&["gzip, zstd, br"], &[Gzip, Brotli]), [Gzip, Brotli]);
        assert_eq!(order(&["gzip, zstd, br"], &[Zstd, Gzip, Brotli, Zstd]), [Zstd, Gzip, Brotli]);
        assert_eq!(order(&["gzip, zstd;q=0.9, br"], &[Zstd, Gzip, Brotli]), [Gzip, Brotli, Zstd]);
        assert_eq!(order(&["gzip"], &[]), []);
        assert!(Order::PLAIN.is_plain());
    }
}
