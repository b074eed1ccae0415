//! The body of a request: read whole for those who want it, read past for those who do not.
//!
//! Bounded by the limit given and by the connection's deadlines.

use bytes::{Bytes, BytesMut};
use sportello_net::{Buffer, Connection, Ended};
use sportello_wire::http1::Refusal;
use sportello_wire::http1::answer::CONTINUE;
use sportello_wire::http1::body::{Decoder, Framing};
use thiserror::Error;

/// Why a body was not read.
#[derive(Debug, Error)]
pub(super) enum IntakeError {
    /// It may not be read, or not further; the connection's framing is lost.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection ended.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// What the client waits for before it sends the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    /// 100 Continue (RFC 9110 §10.1.1).
    Continue,
    /// Nothing.
    None,
}

/// What becomes of the bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    Nothing,
}

/// Reads a body of at most `most` bytes to its end.
pub(super) async fn read(
    connection: &mut Connection,
    input: &mut Buffer,
    framing: Framing,
    expectation: Expectation,
    keep: Keep,
    most: u64,
) -> Result<Bytes, IntakeError> {
    let mut decoder = Decoder::new(framing, most)?;
    let mut whole = BytesMut::new();
    // RFC 9110 §10.1.1: not needed once some of the body has come.
    if expectation == Expectation::Continue && !decoder.is_done() && input.is_empty() {
        connection.write_all(CONTINUE).await?;
    }
    while !decoder.is_done() {
        if input.is_empty() && connection.read(input).await? == 0 {
            return Err(Ended::Closed.into());
        }
        let step = decoder.decode(input.filled())?;
        if keep == Keep::All {
            whole.extend_from_slice(input.filled().get(step.data).unwrap_or_default());
        }
        input.consume(step.consumed);
    }
    Ok(whole.freeze())
}
