//! Certificates for the servers that are measured: self-signed, with ECDSA keys on P-256, the same files for all of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Error};

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// Makes one for `name` in `folder`.
pub(crate) fn make(folder: &Path, name: &str) -> Result<Pair, Error> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]);
    let made = made.map_err(|error| Error::not_so(format!("no certificate for {name}: {error}")))?;
    let pair = Pair { chain: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    fs::write(&pair.chain, made.cert.pem()).doing(|| "writing a certificate".to_owned())?;
    fs::write(&pair.key, made.signing_key.serialize_pem()).doing(|| "writing a key".to_owned())?;
    Ok(pair)
}
