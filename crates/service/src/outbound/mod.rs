//! Mail on its way to other servers: which ones, how they are reached, whom to believe, and what they say.
//!
//! [`Outbound`] is the queue's carrier. Knows no schedule and no lease. [`route`] and [`dial`] find the way by the DNS, [`sts`] and [`assurance`] say what a server must
//! prove, [`line`] speaks, [`trip`] does all of it for one batch. Bounded by: [`trip::WHOLE`] for one batch, [`route::HOSTS_MOST`] servers, and the bounds of
//! each of these.

mod answers;
mod assurance;
mod dial;
mod fetch;
mod letter;
mod line;
mod load;
mod lookup;
mod ourselves;
mod route;
mod settings;
mod sts;
#[cfg(test)]
mod table;
mod transaction;
mod transcript;
mod trip;

use std::sync::Arc;

use rustls::RootCertStore;
use sportello_store::Store;
use thiserror::Error;
use tracing::warn;

use self::fetch::Fetcher;
use self::line::Line;
pub use self::ourselves::Ourselves;
pub use self::settings::{Exit, Relay, RelayTls, Settings};
use self::sts::Policies;
use self::transcript::Transcript;
use crate::certificates::acme::{Agent, AgentError, trusted};
use crate::dns::{Dns, System, SystemError};
use crate::queue::{Batch, Carried, Carrier};

/// Carries mail to other servers.
pub struct Outbound {
    settings: Settings,
    dns: Arc<dyn Dns>,
    policies: Policies,
    roots: Arc<RootCertStore>,
    agent: Agent,
}

/// Mail cannot leave by these settings.
#[derive(Debug, Error)]
pub enum BadOutbound {
    /// Nobody can be asked.
    #[error(transparent)]
    Servers(#[from] SystemError),
    /// Nobody can be believed.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// A connection that may carry more.
pub struct Kept {
    line: Line,
    /// The server, for people.
    server: String,
    /// The relay by which it leads, and the addresses from which it comes: other senders may have others.
    exit: Exit,
}

impl Outbound {
    /// By these settings; policies of other domains are kept in `store`. Reads `/etc/resolv.conf` and the machine's store of authorities where it is to.
    ///
    /// # Errors
    /// When nobody can be asked for names, or a root is none.
    pub fn new(settings: Settings, store: Store) -> Result<Self, BadOutbound> {
        let dns = System::asking(&settings.servers, settings.validation)?;
        Self::over(settings, Arc::new(dns), Some(store))
    }

    fn over(settings: Settings, dns: Arc<dyn Dns>, store: Option<Store>) -> Result<Self, BadOutbound> {
        let roots = match trusted(settings.root.as_deref()) {
            Ok(roots) => roots,
            // Most mail needs nobody's word.
            Err(error) if settings.root.is_none() => {
                warn!(%error, "no mail server's certificate can be verified");
                RootCertStore::empty()
            }
            Err(error) => return Err(error.into()),
        };
        let agent = Agent::new(roots.clone())?;
        Ok(Self { settings, dns, policies: Policies::new(store), roots: Arc::new(roots), agent })
    }

    fn fetcher(&self) -> Fetcher<'_> {
        Fetcher { settings: &self.settings, dns: &*self.dns, agent: &self.agent }
    }
}

impl Carrier for Outbound {
    type Kept = Kept;

    async fn carry(&self, batch: Batch, kept: Option<Kept>) -> Carried<Kept> {
        trip::take(self, batch, kept).await
    }

    async fn part(&self, kept: Kept) {
        kept.line.leave(&mut Transcript::default()).await;
    }
}

#[cfg(test)]
mod tests;
