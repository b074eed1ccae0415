//! A batch, made ready to be said: its addresses read, its text looked at.

use sportello_wire::mail::{Address, ForwardPath, ReversePath};
use sportello_wire::smtp::client::{Envelope, Recipient};

use super::answers::Obstacle;
use super::letter::Letter;
use super::settings::{Exit, Settings};
use crate::queue::carrier::{Options, Script, TlsNeed};
use crate::queue::{Batch, Fate};

/// What is carried, and which recipients it has.
pub(super) struct Load {
    pub(super) letter: Letter,
    pub(super) envelope: Envelope,
    /// For each recipient of the envelope its place in the batch.
    pub(super) places: Vec<usize>,
    pub(super) needs_tls: bool,
}

/// A load, where it goes, how it leaves, and what has become of those whose addresses are none.
pub(super) struct Loaded {
    pub(super) load: Load,
    pub(super) destination: String,
    pub(super) exit: Exit,
    pub(super) fates: Vec<Option<Fate>>,
}

impl Load {
    /// Makes it ready.
    pub(super) async fn of(batch: Batch, settings: &Settings) -> Result<Loaded, Obstacle> {
        let letter = Letter::new(batch.prefix, batch.body);
        let nature = letter.examine().await;
        let nature = nature.map_err(|error| Obstacle::now(3, 0, format!("the message cannot be read: {error}")))?;
        let Options { envelope_id, ret, tls, script, .. } = batch.options;
        let sender = reverse(&batch.sender)
            .ok_or_else(|| Obstacle::never(1, 7, format!("{} is no sender's address", batch.sender)))?;
        let domain = match &sender {
            ReversePath::Address(address) => address.domain().asked_for(),
            ReversePath::Null => None,
        };
        let (relay, sources) = settings.exit(domain.as_deref());
        let exit = Exit { relay: relay.cloned(), sources: sources.to_vec() };
        let mut fates = vec![None; batch.recipients.len()];
        let (mut recipients, mut places) = (Vec::new(), Vec::new());
        for (at, (recipient, fate)) in batch.recipients.into_iter().zip(&mut fates).enumerate() {
            match forward(&recipient.address) {
                Some(path) => {
                    recipients.push(Recipient { path, notify: recipient.notify, original: recipient.original });
                    places.push(at);
                }
                None => *fate = Some(Obstacle::never(1, 3, format!("{} is no address", recipient.address)).fate()),
            }
        }
        let is_ascii = sender.is_ascii() && recipients.iter().all(|recipient| recipient.path.is_ascii());
        let needs_tls = tls == TlsNeed::Required;
        let envelope = Envelope {
            sender,
            recipients,
            size: letter.size(),
            body: nature.body,
            // RFC 6531 §3.6: what was said to us need not be said where nothing is beyond ASCII.
            utf8: !is_ascii || (script == Script::Utf8 && !nature.is_header_ascii),
            envelope_id,
            ret,
            require_tls: needs_tls,
        };
        let load = Self { letter, envelope, places, needs_tls };
        Ok(Loaded { load, destination: batch.destination.as_str().to_owned(), exit, fates })
    }
}

/// An address for RCPT. Where only its domain is beyond ASCII it is said in A-labels, which every server understands.
fn forward(text: &str) -> Option<ForwardPath> {
    let text = in_ascii(text);
    match ForwardPath::parse(format!("<{text}>").as_bytes()) {
        Ok((path, [])) => Some(path),
        _ => None,
    }
}

fn reverse(text: &str) -> Option<ReversePath> {
    let text = in_ascii(text);
    match ReversePath::parse(format!("<{text}>").as_bytes()) {
        Ok((path, [])) => Some(path),
        _ => None,
    }
}

fn in_ascii(text: &str) -> String {
    let parsed = Address::parse(text.as_bytes()).ok();
    let ascii =
        parsed.filter(|address| !address.domain().is_ascii() && address.local().is_ascii()).and_then(|address| {
            let (local, _) = text.rsplit_once('@')?;
            Some(format!("{local}@{}", address.domain().asked_for()?))
        });
    ascii.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_said_so_that_every_server_understands() {
        let said = |text| forward(text).map(|path| path.to_string());
        assert_eq!(said("bob@example.org").as_deref(), Some("bob@example.org"));
        assert_eq!(said("bob@Bücher.example").as_deref(), Some("bob@xn--bcher-kva.example"));
        assert_eq!(said("böb@Bücher.example").as_deref(), Some("böb@Bücher.example"));
        assert_eq!(said("\"a b\"@bücher.example").as_deref(), Some("\"a b\"@xn--bcher-kva.example"));
        for wrong in ["", "a", "a@b>x", "a@b\r\nRSET", "a b@c", "<a@b>", "a@b> NOTIFY=NEVER"] {
            assert_eq!(said(wrong), None, "{wrong:?}");
        }
        assert_eq!(reverse(""), Some(ReversePath::Null));
        assert_eq!(reverse("a@b\r\n"), None);
    }
}
