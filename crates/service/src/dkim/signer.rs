//! What is written in front of a message that goes out: a signature by each key of its sender's domain.
//!
//! Signs only what the sender's own domain stands behind: its author must be of that domain, and a sender that was rewritten because
//! the message was forwarded (SRS) has none of our signatures, since somebody else wrote it. Who the caller lets send as whom is not
//! known here. Bounded by: [`HEADER_LARGEST`]; the body is read in pieces.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use mail_auth::AuthenticatedMessage;
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::common::to_a_label;
use mail_auth::dkim::{DkimSigner, DkimSigningStream, Done};
use rustls::pki_types::PrivateKeyDer;
use sportello_store::StoredBody;
use sportello_wire::mail::header;
use sportello_wire::mail::relaxed::Relaxed;

use super::key::{Algorithm, Key, Standing};
use super::{Keyring, KeyringError};
use crate::judge::HEADER_LARGEST;

/// The fields that are signed. One that is named is signed where it is missing too, so that nobody can add it; one that is there once
/// and named twice, so that nobody can add a second one (RFC 6376 §8.15).
const FIELDS: [&str; 18] = [
    "From",
    "From",
    "Subject",
    "Subject",
    "Date",
    "Date",
    "To",
    "To",
    "Cc",
    "Cc",
    "Reply-To",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
];

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Signs with a keyring's keys.
#[derive(Clone, Debug)]
pub struct Signer {
    keyring: Keyring,
}

/// Why a message was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Its body cannot be read.
    #[error("the message cannot be read")]
    Read(#[from] io::Error),
    /// A key does not work.
    #[error("the message cannot be signed: {0}")]
    Key(String),
}

/// The keys of one domain that sign now.
pub(super) struct Keys {
    domain: String,
    rsa: Vec<DkimSigner<RsaKey<Sha256>, Done>>,
    ed25519: Vec<DkimSigner<Ed25519Key, Done>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keys").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Keys {
    pub(super) fn new(domain: &str, keys: &[Key]) -> Result<Self, KeyringError> {
        let spoiled = |error: mail_auth::Error| KeyringError::Key(format!("a kept key of {domain}: {error}"));
        let mut all = Self { domain: domain.to_owned(), rsa: Vec::new(), ed25519: Vec::new() };
        for key in keys.iter().filter(|key| key.standing == Standing::Signing) {
            let private = key.private()?;
            match key.algorithm {
                Algorithm::Rsa => {
                    let key_pair = RsaKey::from_key_der(PrivateKeyDer::Pkcs8(private.into())).map_err(spoiled)?;
                    all.rsa.push(DkimSigner::from_key(key_pair).domain(domain).selector(&key.selector).headers(FIELDS));
                }
                Algorithm::Ed25519 => {
                    let key_pair = Ed25519Key::from_pkcs8_maybe_unchecked_der(&private).map_err(spoiled)?;
                    all.ed25519
                        .push(DkimSigner::from_key(key_pair).domain(domain).selector(&key.selector).headers(FIELDS));
                }
            }
        }
        Ok(all)
    }
}

impl Signer {
    pub(super) fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }

    /// The fields that come before the message `body` that this sender sends: whole lines, or nothing where we have no key for it or
    /// it is not its domain's own mail. Reads the whole message and computes: not for a worker's event loop.
    pub fn sign(&self, sender: &str, body: &StoredBody) -> Result<Vec<u8>, SignError> {
        let Some(keys) = self.keys(sender) else { return Ok(Vec::new()) };
        match body {
            StoredBody::Memory(bytes) => signed(&keys, &mut bytes.as_ref()),
            StoredBody::File { file, length } => {
                signed(&keys, &mut At { file: Arc::clone(file), next: 0, end: *length })
            }
        }
    }

    /// The keys of a sender's domain.
    fn keys(&self, sender: &str) -> Option<Arc<Keys>> {
        let (local, domain) = sender.rsplit_once('@')?;
        let start = local.get(..5).unwrap_or_default().to_ascii_uppercase();
        let is_rewritten =
            ["SRS0", "SRS1"].iter().any(|srs| start.starts_with(srs)) && start.ends_with(['=', '-', '+']);
        if is_rewritten {
            return None;
        }
        self.keyring.of(&to_a_label(domain)).filter(|keys| !keys.rsa.is_empty() || !keys.ed25519.is_empty())
    }
}

fn signed(keys: &Keys, body: &mut dyn Read) -> Result<Vec<u8>, SignError> {
    let mut chunk = vec![0; CHUNK];
    let mut begun = Vec::new();
    // The header first: its author decides.
    let end = loop {
        if let Some(end) = header::end(&begun) {
            break end;
        }
        let read = read(body, &mut chunk)?;
        if begun.len() + read.len() > HEADER_LARGEST {
            tracing::warn!(domain = keys.domain, "a message's header is too large to be signed");
            return Ok(Vec::new());
        }
        if read.is_empty() {
            break begun.len();
        }
        begun.extend_from_slice(read);
    };
    if !is_by(keys, begun.get(..end).unwrap_or_default()) {
        return Ok(Vec::new());
    }
    let mut rsa: Vec<_> = keys.rsa.iter().map(DkimSigner::sign_streaming).collect();
    let mut ed25519: Vec<_> = keys.ed25519.iter().map(DkimSigner::sign_streaming).collect();
    let (head, mut next) = begun.split_at_checked(end).unwrap_or((&begun, &[]));
    let mut feed = |bytes: &[u8]| {
        feed(&mut rsa, bytes);
        feed(&mut ed25519, bytes);
    };
    feed(head);
    // In the form it is signed in, since `mail-auth` keeps lines of spaces at the end of a body.
    let mut relaxed = Relaxed::new();
    while !next.is_empty() {
        relaxed.take(next, &mut feed);
        next = read(body, &mut chunk)?;
    }
    relaxed.finish(&mut feed);
    let mut fields = String::new();
    finish(rsa, &mut fields)?;
    finish(ed25519, &mut fields)?;
    Ok(fields.into_bytes())
}

/// Whether every author is of the domain that signs, or of one within it.
fn is_by(keys: &Keys, header: &[u8]) -> bool {
    let Some(message) = AuthenticatedMessage::parse(header) else { return false };
    let is_ours = |address: &String| {
        let domain = address.rsplit_once('@').map(|(_, domain)| to_a_label(domain).into_owned()).unwrap_or_default();
        domain.strip_suffix(keys.domain.as_str()).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    };
    !message.from.is_empty() && message.from.iter().all(is_ours)
}

fn feed<T: SigningKey>(streams: &mut [DkimSigningStream<'_, T>], bytes: &[u8]) {
    for stream in streams {
        stream.write(bytes);
    }
}

fn finish<T: SigningKey>(streams: Vec<DkimSigningStream<'_, T>>, fields: &mut String) -> Result<(), SignError> {
    for stream in streams {
        let signature = stream.finish().map_err(|error| SignError::Key(error.to_string()))?;
        fields.push_str(&signature.to_header());
    }
    Ok(())
}

fn read<'a>(body: &mut dyn Read, chunk: &'a mut [u8]) -> io::Result<&'a [u8]> {
    loop {
        match body.read(chunk) {
            Ok(read) => return Ok(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file that others read too, from its beginning to its end.
struct At {
    file: Arc<std::fs::File>,
    next: u64,
    end: u64,
}

impl Read for At {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.next)).unwrap_or(usize::MAX).min(into.len());
        let read = self.file.read_at(into.get_mut(..left).unwrap_or_default(), self.next)?;
        if read == 0 && left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.next = self.next.saturating_add(read as u64);
        Ok(read)
    }
}
