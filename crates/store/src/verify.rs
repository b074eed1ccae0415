//! Is a stored body still what was accepted? Blocks; runs on `blocking-*`.

use std::fs::File;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::types::{MessageRow, StoredBody, Verdict};

/// Bytes read at once.
const PIECE: usize = 64 << 10;

/// Hashes the body and compares.
pub(crate) fn verify(row: &MessageRow, body: &StoredBody) -> Result<Verdict, Error> {
    let hash: [u8; 32] = match body {
        StoredBody::Memory(bytes) => Sha256::digest(bytes).into(),
        StoredBody::File { file, .. } => hash_of(file)?,
    };
    Ok(if hash == row.hash { Verdict::Whole } else { Verdict::Damaged })
}

/// The hash of all that is in the file, whatever length the row says.
fn hash_of(file: &File) -> Result<[u8; 32], Error> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut offset = 0u64;
    loop {
        match file.read_at(&mut piece, offset) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(length) => {
                hasher.update(piece.get(..length).unwrap_or_default());
                offset = offset.saturating_add(length as u64);
            }
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) => return Err(Error::io("reading a body", why)),
        }
    }
}
