//! One message, given to a server that is ready for it: in one transaction, or in several where it takes fewer recipients at once.
//!
//! Bounded by the recipients: each further transaction has fewer.

use sportello_wire::smtp::client::{Envelope, Event, Outcome};

use super::answers::{Obstacle, fate, is_one_too_many};
use super::letter::Letter;
use super::line::{Line, Lost};
use super::transcript::Transcript;
use crate::queue::Fate;

/// What came of it.
pub(super) struct Given {
    /// For each recipient of the envelope what is known.
    pub(super) fates: Vec<Option<Fate>>,
    /// Why the others must be given to another server, or later.
    pub(super) obstacle: Option<Obstacle>,
    /// Whether another server may be tried for the others: nobody can have taken the message for them.
    pub(super) is_nobodys: bool,
    /// The connection, unless it is lost.
    pub(super) line: Option<Line>,
}

/// Gives it.
pub(super) async fn give(mut line: Line, letter: &Letter, envelope: &Envelope, transcript: &mut Transcript) -> Given {
    let mut fates: Vec<Option<Fate>> = vec![None; envelope.recipients.len()];
    let mut open: Vec<usize> = (0..fates.len()).collect();
    loop {
        let recipients = open.iter().filter_map(|at| envelope.recipients.get(*at).cloned()).collect();
        let this = Envelope { recipients, ..envelope.clone() };
        let (mut out, mut in_text) = (Vec::new(), false);
        if let Err(unfit) = line.session.begin(this, &mut out) {
            return Given { fates, obstacle: Some(unfit.into()), is_nobodys: true, line: Some(line) };
        }
        let ended = converse(&mut line, letter, &mut out, &mut in_text, transcript).await;
        let outcomes = line.session.take_outcomes();
        for (at, outcome) in open.iter().zip(&outcomes) {
            if let Some(place) = fates.get_mut(*at) {
                *place = fate(outcome);
            }
        }
        match ended {
            Ok(None) => {}
            Ok(Some(obstacle)) => return Given { fates, obstacle: Some(obstacle), is_nobodys: true, line: None },
            Err(lost) => {
                // RFC 5321 §4.5.3.2.6: whoever has it all and does not say so may have taken it; then it is given to nobody else now.
                let text = if in_text {
                    format!("{lost}; the message was being sent, and may have been taken")
                } else {
                    lost.to_string()
                };
                let obstacle =
                    if matches!(lost, Lost::Text(_)) { Obstacle::never(6, 0, text) } else { Obstacle::now(4, 2, text) };
                return Given { fates, obstacle: Some(obstacle), is_nobodys: !in_text, line: None };
            }
        }
        let is_any_taken = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Taken(_)));
        open =
            open.into_iter().zip(&outcomes).filter(|(_, outcome)| is_one_too_many(outcome)).map(|(at, _)| at).collect();
        if !is_any_taken || open.is_empty() {
            return Given { fates, obstacle: None, is_nobodys: true, line: Some(line) };
        }
        transcript.note(&format!("{} recipients were too many for one transaction", open.len()));
    }
}

/// Until the transaction is over; an obstacle where the server closes.
async fn converse(
    line: &mut Line,
    letter: &Letter,
    out: &mut Vec<u8>,
    in_text: &mut bool,
    transcript: &mut Transcript,
) -> Result<Option<Obstacle>, Lost> {
    let mut event = line.advance(out, transcript).await?;
    if event == Event::Text {
        *in_text = true;
        event = line.deliver(letter, out, transcript).await?;
    }
    match event {
        Event::Closing(reply) => Ok(Some(Obstacle::closed(&reply))),
        _ => Ok(None),
    }
}
