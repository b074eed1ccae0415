//! W3C Trace Context: by which number a request is known to all who take part in answering it.
//!
//! Reads, makes and writes the field `traceparent` (W3C Trace Context, level 1 §3.2 and level 2 §3.2). Takes what is random from its
//! caller. What is not exactly as the specification writes it is no trace: then a new one begins (§4.3), and nothing that came is
//! passed on. Bounded by [`Trace::LENGTH`].

use std::fmt;

/// One trace, and the step of it that leads here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Not all zero.
    id: [u8; 16],
    /// Not all zero.
    parent: [u8; 8],
    flags: u8,
}

impl Trace {
    /// The name of the field.
    pub const FIELD: &str = "traceparent";
    /// Characters of the field as it is written here.
    pub const LENGTH: usize = 55;

    /// Reads the one value of the field. `None` where it is not as the specification says; also where there are two fields, which
    /// the caller sees.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(Self::LENGTH)?;
        let version = hex::<1>(known.get(..2)?)?;
        // Level 1 §3.2.4: a later version may have more behind a dash; this one has not; ff is none.
        match (version, more) {
            ([0xff], _) => return None,
            ([0], []) => {}
            ([0], _) => return None,
            (_, [] | [b'-', ..]) => {}
            _ => return None,
        }
        let [b'-', id @ .., b'-'] = known.get(2..36)? else { return None };
        let [parent @ .., b'-'] = known.get(36..53)? else { return None };
        let (id, parent, [flags]) = (hex(id)?, hex(parent)?, hex::<1>(known.get(53..)?)?);
        (id != [0; 16] && parent != [0; 8]).then_some(Self { id, parent, flags: flags & KNOWN })
    }

    /// A new one, from random bytes.
    pub fn begin(random: [u8; 24]) -> Self {
        let (mut id, mut parent) = ([0; 16], [0; 8]);
        let (front, back) = random.split_at(id.len());
        id.copy_from_slice(front);
        parent.copy_from_slice(back);
        // One of 2⁶⁴ would be none.
        id[15] |= u8::from(id == [0; 16]);
        parent[7] |= u8::from(parent == [0; 8]);
        Self { id, parent, flags: RANDOM }
    }

    /// The next step of the same trace, by random bytes of its own: what is said to an upstream.
    pub fn step(self, random: [u8; 8]) -> Self {
        let mut parent = random;
        parent[7] |= u8::from(parent == [0; 8]);
        Self { parent, ..self }
    }

    /// Its number, in hexadecimal digits.
    pub fn id(&self) -> impl fmt::Display + use<> {
        Digits::<32>::of(&self.id)
    }

    /// The value of the field, all of it ASCII.
    pub fn written(&self) -> [u8; Self::LENGTH] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let [_, _, _, rest @ ..] = &mut out;
        let (id, rest) = rest.split_at_mut(32);
        write_digits(id, &self.id);
        let (parent, rest) = rest.split_at_mut(17);
        write_digits(&mut parent[1..], &self.parent);
        write_digits(&mut rest[1..], &[self.flags]);
        out
    }

    /// Whether whoever began it keeps what is told of it (level 1 §3.2.3.3).
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// As the value of the field.
impl fmt::Display for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.written()).unwrap_or_default())
    }
}

const SAMPLED: u8 = 1;
/// That the last seven bytes of the trace's number are random (level 2 §3.2.2.5).
const RANDOM: u8 = 2;
/// The flags that mean something; others are set to zero (level 1 §3.2.3).
const KNOWN: u8 = SAMPLED | RANDOM;

/// Hexadecimal digits in lower case (level 1 §3.2.1).
struct Digits<const N: usize>([u8; N]);

impl<const N: usize> Digits<N> {
    fn of(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; N];
        write_digits(&mut digits, bytes);
        Self(digits)
    }
}

impl<const N: usize> fmt::Display for Digits<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// Two digits for each byte.
fn write_digits(out: &mut [u8], bytes: &[u8]) {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' - 10 + half };
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Digits in lower case, and no others (level 1 §3.2.1).
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn the_field_is_read_as_the_specification_says() {
        let same = format!("00-{ID}-{PARENT}-01");
        for (value, expect) in [
            (same.clone(), Some(same.clone())),
            // Level 1 §3.2.3: flags that mean nothing are not passed on.
            (format!("00-{ID}-{PARENT}-ff"), Some(format!("00-{ID}-{PARENT}-03"))),
            (format!("00-{ID}-{PARENT}-00"), Some(format!("00-{ID}-{PARENT}-00"))),
            // Level 1 §3.2.4: of a later version what is known of this one.
            (format!("cc-{ID}-{PARENT}-01"), Some(same.clone())),
            (format!("cc-{ID}-{PARENT}-01-what-the-future-will-be-like"), Some(same.clone())),
            (format!("cc-{ID}-{PARENT}-01.what"), None),
            (format!("ff-{ID}-{PARENT}-01"), None),
            (format!("00-{ID}-{PARENT}-01-"), None),
            (format!("00-{ID}-{PARENT}-01-more"), None),
            (format!("00-{ID}-{PARENT}-0"), None),
            (format!("00-{ID}-{PARENT}-"), None),
            (format!("00-{ID}-{PARENT}"), None),
            (format!("00-{ID}_{PARENT}-01"), None),
            (format!("00_{ID}-{PARENT}-01"), None),
            (format!("00-{ID}-{PARENT}_01"), None),
            (format!("00-{}-{PARENT}-01", "0".repeat(32)), None),
            (format!("00-{ID}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{PARENT}-01", ID.to_uppercase()), None),
            (format!("00-{ID}-{}-01", PARENT.to_uppercase()), None),
            (format!("0X-{ID}-{PARENT}-01"), None),
            (format!("00-{ID}-{PARENT}-.1"), None),
            (format!(" 00-{ID}-{PARENT}-01"), None),
            (format!("00-{}g-{PARENT}-01", &ID[1..]), None),
            (String::new(), None),
            ("00".to_owned(), None),
            (format!("00-{ID}-{PARENT}-0\u{e9}"), None),
        ] {
            let trace = Trace::parse(value.as_bytes());
            assert_eq!(trace.map(|trace| trace.to_string()), expect, "{value}");
        }
        let trace = Trace::parse(same.as_bytes()).unwrap();
        assert_eq!((trace.id().to_string().as_str(), trace.is_sampled()), (ID, true));
        assert_eq!(trace.to_string().len(), Trace::LENGTH);
    }

    #[test]
    fn one_byte_changed_is_another_trace_or_none() {
        let value = format!("00-{ID}-{PARENT}-01").into_bytes();
        let trace = Trace::parse(&value);
        for at in 0..value.len() {
            assert_eq!(Trace::parse(&value[..at]), None, "cut at {at}");
            for byte in 0..=u8::MAX {
                let mut other = value.clone();
                other[at] = byte;
                let read = Trace::parse(&other);
                let hidden = !(2..53).contains(&at);
                assert!(byte == value[at] || hidden || read != trace, "{at} {byte}");
                assert!(read.is_none_or(|read| Trace::parse(read.to_string().as_bytes()) == Some(read)), "{at} {byte}");
            }
        }
    }

    #[test]
    fn what_is_made_can_be_read_also_of_the_rarest_numbers() {
        for random in [[0; 24], [0xff; 24], [7; 24]] {
            let trace = Trace::begin(random);
            assert_eq!(Trace::parse(trace.to_string().as_bytes()), Some(trace));
            assert!(!trace.is_sampled());
            let step = trace.step([0; 8]);
            assert_eq!(Trace::parse(step.to_string().as_bytes()), Some(step));
            assert_eq!(step.id().to_string(), trace.id().to_string());
        }
    }
}
