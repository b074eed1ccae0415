//! Mutations that are the same each time: for the short run, which must not fail today and pass tomorrow.

use crate::pieces::next;

/// Makes new inputs from old ones, in an order that the seed alone decides.
pub struct Mutator {
    state: u64,
}

/// What many formats find interesting.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\r\n\r\n",
    b"\r\n.\r\n",
    b".",
    b" ",
    b":",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"\xff",
    b"\xc3\xa9",
    b"%2e%2e",
    b"/",
    b"\"",
    b"\\",
    b"$",
    b"*",
    b"=?",
    b"?=",
    b"<",
    b">",
];

impl Mutator {
    /// From a seed, which may be anything.
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    fn below(&mut self, most: usize) -> usize {
        (next(&mut self.state) as usize) % most.max(1)
    }

    /// A new input of at most `longest` bytes.
    pub fn mutate(&mut self, corpus: &[Vec<u8>], longest: usize) -> Vec<u8> {
        let pick = self.below(corpus.len());
        let mut input = corpus.get(pick).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.change(&mut input, corpus);
        }
        input.truncate(longest);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 => {
                let byte = next(&mut self.state) as u8;
                input.insert(at, byte);
            }
            1 => {
                let piece = PIECES[self.below(PIECES.len())];
                input.splice(at..at, piece.iter().copied());
            }
            2 => {
                let end = at + self.below(input.len() + 1 - at);
                input.drain(at..end);
            }
            3 => {
                let bit = self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            4 => {
                let end = at + self.below(input.len().min(at + 64) + 1 - at.min(input.len().min(at + 64)));
                let copy = input.get(at..end).unwrap_or_default().to_vec();
                input.splice(at..at, copy);
            }
            5 => input.truncate(at),
            _ => {
                let pick = self.below(corpus.len());
                let other = corpus.get(pick).map_or(&[][..], Vec::as_slice);
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
