//! One body, encoded: bytes in, bytes out, a flush where what was given must be readable at the other end at once.
//!
//! Knows no connection and no clock, and takes the time it takes: big pieces belong on a blocking thread. Bounded by what it is
//! given at once and by [`MEMORY_MOST`].

use std::io::{self, Write};
use std::mem;

use flate2::write::GzEncoder;
use sportello_wire::http1::coding::Coding;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::level::Level;

/// About what the largest of them holds while its body is under way, bytes.
pub const MEMORY_MOST: usize = 4 * 1024 * 1024;

/// A body on its way into one content coding. The same bytes in the same pieces come out the same.
pub struct Encoder(Kind);

enum Kind {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<ZstdEncoder<'static, Vec<u8>>>),
}

impl Encoder {
    /// Begins a body of about `length` bytes, where that is known: a small one needs little memory.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(level: Level, length: Option<u64>) -> io::Result<Self> {
        // The window need not be larger than what is to come.
        let needed = length.map_or(WINDOW_LOG, |length| 64 - length.leading_zeros());
        let window = needed.clamp(WINDOW_LOG_LEAST, WINDOW_LOG);
        Ok(Self(match level.coding() {
            Coding::Gzip => {
                let compression = flate2::Compression::new(level.of_library());
                Kind::Gzip(Box::new(GzEncoder::new(Vec::new(), compression)))
            }
            Coding::Brotli => {
                let writer = brotli::CompressorWriter::new(Vec::new(), BROTLI_BUFFER, level.of_library(), window);
                Kind::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                // A level of this coding is at most 19.
                let mut encoder = ZstdEncoder::new(Vec::new(), level.of_library() as i32)?;
                encoder.window_log(window)?;
                Kind::Zstd(Box::new(encoder))
            }
        }))
    }

    /// Takes `bytes`, and gives what is ready of their encoded form, perhaps nothing.
    ///
    /// # Errors
    /// When the library fails; the body is then lost.
    pub fn take(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.writer().write_all(bytes)?;
        Ok(self.ready())
    }

    /// Gives what is needed to read all that was taken so far. Costs some bytes each time.
    ///
    /// # Errors
    /// As [`Encoder::take`].
    pub fn flush(&mut self) -> io::Result<Vec<u8>> {
        self.writer().flush()?;
        Ok(self.ready())
    }

    /// Ends the body: gives the rest of it.
    ///
    /// # Errors
    /// As [`Encoder::take`].
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.0 {
            Kind::Gzip(encoder) => encoder.finish(),
            Kind::Brotli(encoder) => Ok(encoder.into_inner()),
            Kind::Zstd(encoder) => encoder.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.0 {
            Kind::Gzip(encoder) => &mut **encoder,
            Kind::Brotli(encoder) => &mut **encoder,
            Kind::Zstd(encoder) => &mut **encoder,
        }
    }

    fn ready(&mut self) -> Vec<u8> {
        mem::take(match &mut self.0 {
            Kind::Gzip(encoder) => encoder.get_mut(),
            Kind::Brotli(encoder) => encoder.get_mut(),
            Kind::Zstd(encoder) => encoder.get_mut(),
        })
    }
}

/// A whole body, encoded.
///
/// # Errors
/// As [`Encoder::take`].
pub fn encode(level: Level, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(level, Some(body.len() as u64))?;
    let mut out = encoder.take(body)?;
    out.extend_from_slice(&encoder.finish()?);
    Ok(out)
}

/// How far back an encoder looks, as a power of two: 512 KiB, which keeps each within [`MEMORY_MOST`].
const WINDOW_LOG: u32 = 19;
const WINDOW_LOG_LEAST: u32 = 10;
/// What brotli's writer puts out at once.
const BROTLI_BUFFER: usize = 16 * 1024;

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use super::*;

    /// The body again.
    pub(in crate::compress) fn decoded(coding: Coding, encoded: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut out)?,
            Coding::Brotli => brotli::Decompressor::new(encoded, 4096).read_to_end(&mut out)?,
            Coding::Zstd => zstd::stream::read::Decoder::new(encoded)?.read_to_end(&mut out)?,
        };
        Ok(out)
    }

    /// So many bytes of text that is neither all alike nor all different.
    pub(in crate::compress) fn text(length: usize) -> Vec<u8> {
        let words = ["the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog.\n"];
        let mut random = 1u32;
        let mut out = Vec::new();
        while out.len() < length {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            out.extend_from_slice(words[(random >> 24) as usize % words.len()].as_bytes());
        }
        out.truncate(length);
        out
    }

    fn levels() -> impl Iterator<Item = Level> {
        Coding::ALL.into_iter().flat_map(|coding| {
            let all = Level::range(coding).map(move |number| Level::new(coding, number).unwrap());
            // The slowest are the libraries' own affair.
            all.filter(|level| level.number() <= 6)
        })
    }

    #[test]
    fn what_goes_in_comes_out() {
        for level in levels() {
            for length in [0, 1, 1000, 70_000] {
                let body = text(length);
                let encoded = encode(level, &body).unwrap();
                assert_eq!(decoded(level.coding(), &encoded).unwrap(), body, "{level:?} {length}");
                assert!(length < 1000 || encoded.len() < length, "{level:?} {length}");
                assert_eq!(encode(level, &body).unwrap(), encoded, "{level:?} {length}: another time, other bytes");
            }
        }
    }

    #[test]
    fn pieces_are_one_body_and_a_flush_makes_them_readable() {
        let body = text(300_000);
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(Level::usual(coding), None).unwrap();
            let mut out = Vec::new();
            for (number, piece) in body.chunks(70_001).enumerate() {
                out.extend(encoder.take(piece).unwrap());
                if number % 2 == 1 {
                    out.extend(encoder.flush().unwrap());
                    let so_far = &body[..(body.len()).min((number + 1) * 70_001)];
                    assert_eq!(readable(coding, &out), so_far, "{coding:?} {number}");
                }
            }
            out.extend(encoder.finish().unwrap());
            assert_eq!(decoded(coding, &out).unwrap(), body, "{coding:?}");
            for cut in [0, 1, out.len() / 2, out.len() - 1] {
                assert!(decoded(coding, &out[..cut]).is_err(), "{coding:?} ends well at {cut}");
            }
        }
    }

    /// What can be read of a body that is not at its end.
    fn readable(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(encoded)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(encoded, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(encoded).unwrap()),
        };
        let (mut out, mut some) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = reader.read(&mut some) {
            out.extend_from_slice(&some[..count]);
        }
        out
    }
}
