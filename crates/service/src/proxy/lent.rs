//! Memory for what is small and soon read: most answers of upstreams, with their heads. Lent by the worker, which it comes back to, since
//! making and giving back pieces of this size costs the allocator more than reading them costs us.
//!
//! Bounded by [`MOST`] bytes for each piece, and by [`SPARE`] pieces that a worker keeps.

use std::cell::RefCell;
use std::mem::take;

use bytes::Bytes;

/// What is lent for one piece.
pub(super) const MOST: usize = 4 * 1024;
/// Pieces that a worker keeps to lend them again: about as many as are under way in one turn of its loop.
const SPARE: usize = 64;

thread_local! {
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A copy of at most [`MOST`] bytes.
pub(super) fn copied(bytes: &[u8]) -> Bytes {
    debug_assert!(bytes.len() <= MOST, "it would grow");
    let mut lent = Lent(SPARES.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(MOST)));
    lent.0.extend_from_slice(bytes);
    Bytes::from_owner(lent)
}

/// One piece.
struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = take(&mut self.0);
        bytes.clear();
        // While the thread ends what it keeps may be gone already; then the memory is simply freed.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_comes_back_as_far_as_it_is_kept() {
        let pieces: Vec<Bytes> = (0..=SPARE).map(|_| copied(&[7; MOST])).collect();
        let parts: Vec<Bytes> = pieces.iter().map(|piece| piece.slice(1..3)).collect();
        drop(pieces);
        assert_eq!(SPARES.with_borrow(Vec::len), 0, "a part keeps all of it");
        assert!(parts.iter().all(|part| part == &[7, 7][..]));
        drop(parts);
        assert_eq!(SPARES.with_borrow(Vec::len), SPARE);
        assert_eq!((&copied(b"ab")[..], &copied(b"")[..]), (&b"ab"[..], &b""[..]));
        assert!(SPARES.with_borrow(|spares| spares.iter().all(|spare| spare.capacity() == MOST)));
    }
}
