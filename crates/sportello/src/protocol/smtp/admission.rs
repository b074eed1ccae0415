//! Who is greeted: not whose source connects too often, and not who speaks before the greeting.
//!
//! A server that speaks first can tell a client that listens from one that only pours out its bytes (RFC 5321 §4.3.1: a
//! client waits for the greeting). The look costs no round trip: it is the read that would come after the greeting.
//! Bounded by: the greet delay, and the channel's deadlines.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sportello_net::{Buffer, Connection, Ended, Failed};
use sportello_wire::smtp::server::Reply;

use super::policy::{Counted, Policy};
use super::refusals::Reason;

/// What comes of a connection that has just been made.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is greeted.
    Greet,
    /// It is told this and closed.
    Refuse(Reply),
    /// Its peer has closed already.
    Left,
}

/// Decides on a connection from a source that is counted. What came before the greeting stays in `buffer`.
pub(super) async fn decide(
    policy: &Policy,
    source: IpAddr,
    connection: &mut Connection,
    buffer: &mut Buffer,
) -> Result<Admission, Ended> {
    if let Err(reply) = policy.count(Counted::Connections, source) {
        tracing::debug!(connection = connection.id(), peer = %connection.peer(), %reply, "a client is not greeted");
        connection.count_request(Failed::Yes);
        return Ok(Admission::Refuse(reply));
    }
    match heard(policy.greet_delay(), connection, buffer).await? {
        None => Ok(Admission::Greet),
        Some(0) => Ok(Admission::Left),
        Some(bytes) => {
            tracing::debug!(
                connection = connection.id(),
                peer = %connection.peer(),
                bytes,
                "a client speaks before it is greeted"
            );
            policy.refusals().add(Reason::Pregreet);
            connection.count_request(Failed::Yes);
            Ok(Admission::Refuse(Reply::new(554, "5.5.1", "Error: a client waits for the greeting before it speaks")))
        }
    }
}

/// How many bytes have come when `delay` is over: none, or the end.
async fn heard(delay: Duration, connection: &mut Connection, buffer: &mut Buffer) -> Result<Option<usize>, Ended> {
    let mut read = pin!(connection.idle(buffer));
    if delay.is_zero() {
        let looked = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
        return match looked {
            Poll::Ready(count) => count.map(Some),
            Poll::Pending => Ok(None),
        };
    }
    tokio::time::timeout(delay, read).await.map_or(Ok(None), |count| count.map(Some))
}
