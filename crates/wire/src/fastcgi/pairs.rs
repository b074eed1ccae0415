//! Name-value pairs (FastCGI 1.0 §3.4): two lengths, a name, a value. A length below 128 is one byte, any other four.
//!
//! Bounded by: 31 bits for a length; what is read borrows from its input.

use thiserror::Error;

/// Pairs that are cut off, or that say to be longer than what holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a name or a value is longer than what is there")]
pub struct Truncated;

/// One pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// How many bytes this pair takes, lengths included.
pub fn length(name: &[u8], value: &[u8]) -> usize {
    [name, value].iter().fold(0, |sum: usize, part| {
        let prefix = if part.len() < SHORT { 1 } else { 4 };
        sum.saturating_add(prefix).saturating_add(part.len())
    })
}

/// Writes a pair to the end of `out`, if its lengths can be written in 31 bits.
pub(super) fn write(name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let lengths = [u32::try_from(name.len()).ok()?, u32::try_from(value.len()).ok()?];
    if lengths.iter().any(|length| length & LONG != 0) {
        return None;
    }
    for length in lengths {
        match u8::try_from(length) {
            Ok(short) if usize::from(short) < SHORT => out.push(short),
            _ => out.extend_from_slice(&(length | LONG).to_be_bytes()),
        }
    }
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    Some(())
}

/// Takes one pair off the front of `input`, and gives the rest.
///
/// # Errors
/// When it is not whole.
pub fn read(input: &[u8]) -> Result<(Pair<'_>, &[u8]), Truncated> {
    let (name, rest) = read_length(input)?;
    let (value, rest) = read_length(rest)?;
    let (name, rest) = rest.split_at_checked(name).ok_or(Truncated)?;
    let (value, rest) = rest.split_at_checked(value).ok_or(Truncated)?;
    Ok((Pair { name, value }, rest))
}

fn read_length(input: &[u8]) -> Result<(usize, &[u8]), Truncated> {
    match input.split_first() {
        None => Err(Truncated),
        Some((&short, rest)) if usize::from(short) < SHORT => Ok((usize::from(short), rest)),
        Some(_) => {
            let (length, rest) = input.split_first_chunk::<4>().ok_or(Truncated)?;
            let length = usize::try_from(u32::from_be_bytes(*length) & !LONG).map_err(|_| Truncated)?;
            Ok((length, rest))
        }
    }
}

/// The first length that takes four bytes.
const SHORT: usize = 128;
/// The bit that says so.
const LONG: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_as_it_was_written() {
        for (name, value, prefix) in [
            (0, 0, &[0, 0][..]),
            (1, 127, &[1, 127]),
            (127, 128, &[127, 0x80, 0, 0, 128]),
            (128, 1, &[0x80, 0, 0, 128, 1]),
            (65_536, 70_000, &[0x80, 1, 0, 0, 0x80, 1, 0x11, 0x70]),
        ] {
            let (name, value) = (vec![b'n'; name], vec![b'v'; value]);
            let mut out = Vec::new();
            write(&name, &value, &mut out).unwrap();
            assert!(out.starts_with(prefix));
            assert_eq!(out.len(), length(&name, &value));
            out.extend_from_slice(b"rest");
            assert_eq!(read(&out), Ok((Pair { name: &name, value: &value }, &b"rest"[..])));
            for end in 0..out.len() - 4 {
                assert_eq!(read(&out[..end]), Err(Truncated), "{prefix:?} cut at {end}");
            }
        }
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        for bytes in [&[][..], &[1], &[1, 1, b'a'], &[0x80, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0, b'a'], &[0, 0x80, 0, 1]]
        {
            assert_eq!(read(bytes), Err(Truncated), "{bytes:?}");
        }
    }
}
