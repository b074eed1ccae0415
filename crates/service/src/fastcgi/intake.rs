//! The body of a request, taken in whole before the application is asked: by then whoever sends it has done so, however slowly.
//!
//! Bounded by [`SMALL`] bytes in memory for each permit; what is longer, or finds no permit, is put aside.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::SMALL;
use super::exchange::Input;
use super::fault::Fault;
use crate::spool::Spool;
use crate::web::Incoming;

/// What is to be sent of a body of `source`, and what it takes of the `memory`. Dropping the future gives up the body.
pub(super) async fn take<'m>(
    mut body: Incoming,
    source: IpAddr,
    memory: &'m Semaphore,
    spool: &Arc<Spool>,
) -> Result<(Input, Option<SemaphorePermit<'m>>), Fault> {
    let told = match &body {
        Incoming::Empty => return Ok((Input::None, None)),
        pieces @ Incoming::Pieces(_) => pieces.left(),
    };
    let held = memory.try_acquire().ok().filter(|_| told.is_none_or(|length| length <= SMALL));
    let mut begun = Vec::new();
    if let Some(held) = held {
        if told.is_some() {
            let whole = body.whole(SMALL).await.map_err(Fault::Body)?;
            return Ok((Input::Here(whole), Some(held)));
        }
        while (begun.len() as u64) <= SMALL {
            match body.piece().await.map_err(Fault::Body)? {
                Some(piece) => begun.extend_from_slice(&piece),
                None => return Ok((Input::Here(begun.into()), Some(held))),
            }
        }
    }
    let aside = spool.begin(source, told)?.fill(&begun, body).await?;
    Ok((Input::Coming(aside.into_body()), None))
}
