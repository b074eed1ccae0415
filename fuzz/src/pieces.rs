//! The same bytes in other pieces.

/// How an input is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Not at all.
    Whole,
    /// Into single bytes.
    Bytes,
    /// Into pieces of 1 to 16 bytes, as the number tells.
    Random(u64),
}

/// The cuts that every input is tried with besides the whole.
pub(crate) fn cuts(data: &[u8]) -> [Cut; 2] {
    [Cut::Bytes, Cut::Random(seed(data))]
}

/// The pieces of `data`.
pub(crate) fn pieces(data: &[u8], cut: Cut) -> Vec<&[u8]> {
    match cut {
        Cut::Whole => vec![data],
        Cut::Bytes => data.chunks(1).collect(),
        Cut::Random(mut state) => {
            let (mut rest, mut pieces) = (data, Vec::new());
            while !rest.is_empty() {
                let length = 1 + (next(&mut state) % 16) as usize;
                let (piece, after) = rest.split_at(length.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces
        }
    }
}

/// A number that depends on every byte (FNV-1a).
pub(crate) fn seed(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)) | 1
}

/// xorshift64*, by Sebastiano Vigna.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}
