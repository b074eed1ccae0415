//! What a file can be told apart by: entity tag and Last-Modified (RFC 9110 §8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sportello_wire::http1::condition::Validators;

use super::resolve::Identity;

/// The validators of one version of one file.
#[derive(Clone, Debug)]
pub(super) struct FileValidators {
    /// Strong, with its quotes; empty where the file may still change without a trace.
    pub(super) etag: Box<[u8]>,
    /// Seconds since 1970, never in the future (RFC 9110 §8.8.2.1).
    pub(super) modified: u64,
    pub(super) length: u64,
}

impl FileValidators {
    /// `now` is the time before the file was looked at.
    pub(super) fn of(identity: &Identity, now: Duration) -> Self {
        let etag = match settles_in(identity, now) {
            None => tag(identity).into_boxed_slice(),
            Some(_) => Box::default(),
        };
        Self { etag, modified: identity.modified_seconds().min(now.as_secs()), length: identity.size }
    }

    /// Of a file that changes while it is read: no tag can be relied upon.
    pub(super) fn untagged(identity: &Identity, now: Duration) -> Self {
        Self { etag: Box::default(), ..Self::of(identity, now) }
    }

    /// Of another form of the same file, told apart by its name: other bytes, so another strong tag (RFC 9110 §8.8.3.3).
    pub(super) fn in_form(mut self, name: &str) -> Self {
        if let Some(inner) = self.etag.strip_suffix(b"\"") {
            self.etag = [inner, b"-", name.as_bytes(), b"\""].concat().into();
        }
        self
    }

    /// As the conditions of a request are compared with.
    pub(super) fn borrowed(&self) -> Validators<'_> {
        Validators { etag: &self.etag, modified: self.modified, length: self.length }
    }
}

/// How long until a change of the file is sure to show in its timestamps; `None`: by now it is.
///
/// The kernel stamps files by a clock that moves once per tick (up to 10 ms). Content and metadata both move `changed`, and
/// unlike `modified` no one can set it.
pub(super) fn settles_in(identity: &Identity, now: Duration) -> Option<Duration> {
    let age = now.as_nanos().checked_sub(identity.changed);
    match age {
        Some(age) if age > TICK.as_nanos() => None,
        _ => Some(TICK + Duration::from_millis(1)),
    }
}

/// Twice the longest tick of the kernel's coarse clock.
const TICK: Duration = Duration::from_millis(20);

/// Now, since 1970.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A tag of everything that changes with the content: times in nanoseconds, size, and which file it is, so that one that
/// took another's place is told apart even when both bear the same time.
fn tag(identity: &Identity) -> Vec<u8> {
    let mut mixed = 0u64;
    for part in [identity.modified as u64, identity.changed as u64, identity.inode, identity.device] {
        // splitmix64, by Sebastiano Vigna: each bit of the input moves half the bits of the output.
        mixed = mixed.wrapping_add(part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    format!("\"{mixed:016x}-{:x}\"", identity.size).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity =
        Identity { device: 1, inode: 2, size: 3, modified: 5_000_000_000, changed: 5_000_000_000 };

    #[test]
    fn any_part_of_the_identity_changes_the_tag() {
        let tags = [
            IDENTITY,
            Identity { device: 2, ..IDENTITY },
            Identity { inode: 3, ..IDENTITY },
            Identity { size: 4, ..IDENTITY },
            Identity { modified: 5_000_000_001, ..IDENTITY },
            Identity { changed: 5_000_000_001, ..IDENTITY },
        ]
        .map(|identity| tag(&identity));
        for (index, tag) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(tag), "{index}");
            assert!(tag.starts_with(b"\"") && tag.ends_with(b"\""));
        }
    }

    #[test]
    fn a_tag_is_given_only_when_a_change_would_show() {
        let at = |nanoseconds: u64| FileValidators::of(&IDENTITY, Duration::from_nanos(5_000_000_000 + nanoseconds));
        assert!(at(0).etag.is_empty());
        assert!(at(20_000_000).etag.is_empty());
        assert!(!at(20_000_001).etag.is_empty());
        // Changed in the future, as a clock that was set back shows it.
        assert!(FileValidators::of(&IDENTITY, Duration::from_secs(4)).etag.is_empty());
        assert_eq!(FileValidators::of(&IDENTITY, Duration::from_secs(4)).modified, 4);
        assert_eq!(at(0).modified, 5);
    }
}
