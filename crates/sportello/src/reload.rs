//! Another configuration while the server runs: read and checked first, refused whole if anything is wrong with it.
//!
//! Asked for by SIGHUP or by `RELOAD` over the command line's socket, and carried out by `main`'s thread, one at a time. What is
//! wrong is told to whoever asked and to the log, all of it; the old configuration runs on. Nothing of the running server changes
//! before all that may fail is done: the file is read, folders are opened, new ports are bound, every worker can accept on them.
//!
//! Bounded by: [`WAITING`] who ask; [`READING`] for reading the file; `net`'s patience with each worker.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sportello_service::picture::ConfigurationView;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::announce::Ready;
use crate::cli::chain;
use crate::config::fault::Severity;
use crate::config::{Checked, Settings, fixed, report};
use crate::server::Server;

/// Who ask and wait.
const WAITING: usize = 16;
/// How long reading and checking the file may take; a folder on a dead disk ends it.
const READING: Duration = Duration::from_secs(20);

/// By which one asks for a reload.
#[derive(Clone, Debug)]
pub struct Reloads(mpsc::Sender<oneshot::Sender<Reloaded>>);

/// Where those who ask are heard.
pub type Requests = mpsc::Receiver<oneshot::Sender<Reloaded>>;

/// What came of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether the file is in force now.
    pub ok: bool,
    /// The file.
    pub file: String,
    /// The beginning of the SHA-256 of its text, where it could be read.
    pub hash: String,
    /// What is wrong with it, one line each; then the configuration of before is in force.
    pub errors: Vec<String>,
    /// What is odd in it, one line each.
    pub warnings: Vec<String>,
    /// The channels that were added, taken away and changed, one line each.
    pub changes: Vec<String>,
}

impl Reloads {
    /// One end for those who ask, the other for who hears.
    pub fn channel() -> (Self, Requests) {
        let (asks, hears) = mpsc::channel(WAITING);
        (Self(asks), hears)
    }

    /// Asks and waits for what came of it; `None` when too many ask already, or the server stops. Whoever drops the future does
    /// not hear it.
    pub async fn ask(&self) -> Option<Reloaded> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).ok()?;
        answered.await.ok()
    }
}

/// A configuration in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The file; `None` where flags said it.
    pub file: Option<PathBuf>,
    /// What it came to.
    pub settings: Settings,
}

impl InForce {
    /// Puts the file in force as it is now, if nothing is wrong with it.
    pub async fn reload(&mut self, server: &mut Server) -> Reloaded {
        let Some(file) = self.file.clone() else {
            let error = "the server was started without a file (serve --config FILE): there is nothing to read again";
            return Reloaded { errors: vec![error.to_owned()], ..Reloaded::default() };
        };
        let mut reloaded = Reloaded { file: file.display().to_string(), ..Reloaded::default() };
        match self.replaced(&file, server, &mut reloaded).await {
            Ok(settings) => {
                self.settings = settings;
                reloaded.ok = true;
                let (hash, changes) = (&reloaded.hash, reloaded.changes.join("; "));
                info!(file = reloaded.file, hash, changes, "the configuration was loaded again");
                if let Err(error) = Ready::new(&self.settings, &server.doors).leave() {
                    warn!(%error, "cannot tell our clients where the channels are now");
                }
            }
            Err(errors) => {
                reloaded.errors = errors;
                for why in &reloaded.errors {
                    error!(file = reloaded.file, why, "the configuration is refused; the one of before runs on");
                }
            }
        }
        reloaded
    }

    async fn replaced(
        &self,
        file: &Path,
        server: &mut Server,
        reloaded: &mut Reloaded,
    ) -> Result<Settings, Vec<String>> {
        let path = file.to_owned();
        // On a thread of its own, for it looks at folders and programs too.
        let read = timeout(READING, spawn_blocking(move || Checked::read(&path))).await;
        let checked = match read {
            Ok(Ok(checked)) => checked.map_err(|error| vec![chain(&error)])?,
            Ok(Err(error)) => return Err(vec![format!("the file could not be checked: {error}")]),
            Err(_) => return Err(vec![format!("reading the file took longer than {} s", READING.as_secs())]),
        };
        let configuration = configuration(file, checked.source.text());
        reloaded.hash.clone_from(&configuration.hash);
        let of = |severity| {
            let faults: Vec<_> = checked.faults.iter().filter(|fault| fault.severity == severity).cloned().collect();
            report::plain(&checked.source, &faults).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        reloaded.warnings = of(Severity::Warning);
        let Some(settings) = checked.settings else { return Err(of(Severity::Error)) };
        let fixed = fixed::changed(&self.settings, &settings);
        if !fixed.is_empty() {
            return Err(fixed);
        }
        let changes = server.renew(&settings, configuration).await;
        reloaded.changes = changes.map_err(|error| vec![chain(&error)])?;
        Ok(settings)
    }
}

/// What is told of a configuration.
pub fn configuration(file: &Path, text: &str) -> ConfigurationView {
    let mut hash = String::new();
    for byte in Sha256::digest(text.as_bytes()).iter().take(HASH_SHOWN) {
        // Writing to a string does not fail.
        let _ = write!(hash, "{byte:02x}");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let loaded_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    ConfigurationView { file: file.display().to_string(), hash, loaded_ms }
}

/// Bytes of the hash that are shown: enough to tell two files apart.
const HASH_SHOWN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_told_by_its_text() {
        let [one, other] = ["", "a"].map(|text| configuration(Path::new("/x.kdl"), text));
        // FIPS 180-4: the hash of nothing.
        assert_eq!((one.hash.as_str(), one.file.as_str()), ("e3b0c44298fc", "/x.kdl"));
        assert_ne!(one.hash, other.hash);
        assert!(one.loaded_ms > 0);
    }

    #[tokio::test]
    async fn so_many_may_wait_and_no_more() {
        let (reloads, mut requests) = Reloads::channel();
        let asking: Vec<_> = (0..WAITING)
            .map(|_| {
                tokio::spawn({
                    let reloads = reloads.clone();
                    async move { reloads.ask().await }
                })
            })
            .collect();
        while requests.len() < WAITING {
            tokio::task::yield_now().await;
        }
        assert_eq!(reloads.ask().await, None);
        for answer in std::iter::from_fn(|| requests.try_recv().ok()) {
            answer.send(Reloaded { ok: true, ..Reloaded::default() }).unwrap();
        }
        for asked in asking {
            assert!(asked.await.unwrap().is_some_and(|reloaded| reloaded.ok));
        }
        drop(requests);
        assert_eq!(reloads.ask().await, None);
    }
}
