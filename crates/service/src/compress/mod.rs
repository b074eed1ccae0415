//! Bodies made smaller on the fly: which of them, by which coding, how hard.
//!
//! Knows no file and no connection: [`Encoder`] turns bytes into bytes, [`answer`] does so to any answer that may be changed. What has
//! been encoded already, what its maker forbids to transform and what is a part of something is left as it is.
//!
//! Bounded by: [`Compression::most`] for a body, [`STREAMS_MOST`] bodies under way, [`encoder::MEMORY_MOST`] for each.

pub mod answer;
pub mod encoder;
mod level;
mod stream;

use sportello_wire::http1::coding::Coding;

use crate::media::{MediaRange, essence};

pub use encoder::{Encoder, encode};
pub use level::Level;
pub use stream::{Encoded, Place, STREAMS_MOST, Source};
pub(crate) use stream::{PIECE, aside};

/// What is compressed on the fly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The codings, the one that is liked best first, and how hard each tries.
    pub levels: Vec<Level>,
    /// Smaller bodies are left as they are, bytes.
    pub minimum: u64,
    /// Larger ones too, bytes.
    pub most: u64,
    /// The media types that are compressed.
    pub types: Types,
}

/// Media types that are compressed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Types {
    /// Those that gain by it: text, scripts, data as text, fonts and pictures that are not compressed in themselves.
    #[default]
    Usual,
    /// These.
    These(Vec<MediaRange>),
}

impl Default for Compression {
    fn default() -> Self {
        Self { levels: Vec::new(), minimum: 1024, most: 64 * 1024 * 1024, types: Types::Usual }
    }
}

impl Compression {
    /// Whether a body of this media type and length, where it is known, is compressed.
    pub fn takes(&self, media_type: &str, length: Option<u64>) -> bool {
        !self.levels.is_empty()
            && length.is_none_or(|length| (self.minimum..=self.most).contains(&length))
            && self.types.hold(media_type)
    }

    /// The level of a coding, if it is one of them.
    pub fn level(&self, coding: Coding) -> Option<Level> {
        self.levels.iter().copied().find(|level| level.coding() == coding)
    }

    /// The codings in their order.
    pub fn codings(&self) -> impl Iterator<Item = Coding> {
        self.levels.iter().map(|level| level.coding())
    }
}

impl Types {
    fn hold(&self, media_type: &str) -> bool {
        match self {
            Self::These(ranges) => ranges.iter().any(|range| range.fits(media_type)),
            Self::Usual => {
                let media_type = essence(media_type).to_ascii_lowercase();
                media_type.starts_with("text/")
                    || media_type.ends_with("+json")
                    || media_type.ends_with("+xml")
                    || USUAL.contains(&media_type.as_str())
            }
        }
    }
}

const USUAL: [&str; 18] = [
    "application/javascript",
    "application/json",
    "application/json5",
    "application/jsonlines",
    "application/msword",
    "application/rtf",
    "application/sql",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-tex",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/x-icon",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gains_by_it_is_compressed() {
        let compression = Compression { levels: vec![Level::usual(Coding::Gzip)], ..Compression::default() };
        for (media_type, length, expect) in [
            ("text/html; charset=utf-8", Some(1024), true),
            ("text/html", Some(1023), false),
            ("text/html", Some(64 << 20), true),
            ("text/html", Some((64 << 20) + 1), false),
            ("text/html", None, true),
            ("image/svg+xml", None, true),
            ("Application/LD+JSON", None, true),
            ("application/wasm", None, true),
            ("image/png", None, false),
            ("application/zip", None, false),
            ("application/octet-stream", None, false),
            ("", None, false),
        ] {
            assert_eq!(compression.takes(media_type, length), expect, "{media_type} {length:?}");
        }
        let these = Types::These(vec![MediaRange::parse("image/*").unwrap()]);
        assert!(these.hold("image/png") && !these.hold("text/html"));
        assert!(!Compression::default().takes("text/html", None), "no coding, nothing to compress by");
    }
}
