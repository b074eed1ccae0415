//! The body of a request: read whole for those who want it, read past for those who do not.
//!
//! Bounded by the limit given, by the budget that all bodies share, and by the connection's deadlines.

use bytes::Bytes;
use sportello_net::{Buffer, Connection, Ended};
use sportello_wire::http1::Refusal;
use sportello_wire::http1::answer::CONTINUE;
use sportello_wire::http1::body::{Decoder, Framing};
use thiserror::Error;

use super::budget::{Share, Spent};

/// Why a body was not read.
#[derive(Debug, Error)]
pub(super) enum IntakeError {
    /// It may not be read, or not further; the connection's framing is lost.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no memory for it now; the connection's framing is lost.
    #[error(transparent)]
    Spent(#[from] Spent),
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
pub(super) enum Keep<'a, 'b> {
    /// They are kept, in memory that this share takes.
    All(&'a mut Share<'b>),
    Nothing,
}

/// Reads a body of at most `most` bytes to its end.
pub(super) async fn read(
    connection: &mut Connection,
    input: &mut Buffer,
    framing: Framing,
    expectation: Expectation,
    mut keep: Keep<'_, '_>,
    most: u64,
) -> Result<Bytes, IntakeError> {
    let mut decoder = Decoder::new(framing, most)?;
    let mut whole = Vec::new();
    // RFC 9110 §10.1.1: not needed once some of the body has come.
    if expectation == Expectation::Continue && !decoder.is_done() && input.is_empty() {
        connection.write_all(CONTINUE).await?;
    }
    while !decoder.is_done() {
        if input.is_empty() && connection.read(input).await? == 0 {
            return Err(Ended::Closed.into());
        }
        let step = decoder.decode(input.filled())?;
        if let Keep::All(share) = &mut keep {
            add(&mut whole, input.filled().get(step.data).unwrap_or_default(), share)?;
        }
        input.consume(step.consumed);
    }
    Ok(whole.into())
}

/// Adds a piece; the memory for it is taken from the share before it is asked of the allocator.
fn add(whole: &mut Vec<u8>, piece: &[u8], share: &mut Share<'_>) -> Result<(), Spent> {
    let length = whole.len().saturating_add(piece.len());
    if length > whole.capacity() {
        let capacity = length.checked_next_power_of_two().unwrap_or(length);
        share.hold(capacity)?;
        whole.reserve_exact(capacity.saturating_sub(whole.len()));
    }
    whole.extend_from_slice(piece);
    Ok(())
}

#[cfg(test)]
mod tests {
    use sportello_net::simulation::{self, Client};
    use sportello_net::{Deadlines, Speaker};

    use super::super::budget::{Budget, FREE};
    use super::*;

    /// Room for one body of up to twice what is free.
    static BODIES: Budget = Budget::new(FREE);

    /// Reads a body, says how that went, and holds its memory until the client has gone.
    async fn take(mut connection: Connection, length: usize) {
        let (mut share, mut input) = (Share::of(&BODIES), Buffer::new());
        let framing = Framing::Length(length as u64);
        let keep = Keep::All(&mut share);
        let body = read(&mut connection, &mut input, framing, Expectation::None, keep, u64::MAX).await;
        let word = match &body {
            Ok(body) => format!("{} bytes", body.len()),
            Err(error) => error.to_string(),
        };
        connection.write_all(word.as_bytes()).await.unwrap();
        while connection.read(&mut input).await.is_ok_and(|count| count > 0) {
            input.consume(usize::MAX);
        }
    }

    async fn said(client: &mut Client, length: usize) -> String {
        client.send(vec![b'x'; length]).await;
        String::from_utf8(client.heard()).unwrap()
    }

    #[test]
    fn a_body_for_which_there_is_no_memory_is_refused_until_another_is_gone() {
        let channel = simulation::channel(Speaker::Client, Deadlines::default());
        simulation::run(channel, async |simulation| {
            let spent = Spent.to_string();
            let mut large = simulation.connect(|connection| take(connection, 2 * FREE));
            assert_eq!(said(&mut large, 2 * FREE).await, format!("{} bytes", 2 * FREE));
            for (length, expect) in [(FREE, format!("{FREE} bytes")), (FREE + 1, spent.clone())] {
                let mut client = simulation.connect(move |connection| take(connection, length));
                assert_eq!(said(&mut client, length).await, expect);
            }
            large.shut_down().await;
            assert!(large.has_ended());
            for (length, expect) in [(2 * FREE + 1, spent), (FREE + 1, format!("{} bytes", FREE + 1))] {
                let mut client = simulation.connect(move |connection| take(connection, length));
                assert_eq!(said(&mut client, length).await, expect);
                client.shut_down().await;
            }
        });
    }
}
