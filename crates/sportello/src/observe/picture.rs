//! Makes the [`Picture`] of one moment from what every crate counts.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sportello_net::ban::Bans;
use sportello_net::tls::Secured;
use sportello_net::{ChannelReport, ConnectionReport, TcpInfo, UNIX_PEER, Workers};
use sportello_service::certificates::{Keyring, described};
use sportello_service::picture::{
    ApplicationView, BansView, CertificateView, ChannelView, ConfigurationView, ConnectionView, Observer, Picture,
    RefusalView, RequestView, StoreView, TcpView, ThreadView, UpstreamView,
};
use sportello_service::queue::Figures;
use sportello_service::run::Runner;
use sportello_service::site::Description;
use sportello_store::Store;

use super::request::Samples;
use super::routes::{Route, Routes};
use super::threads;

/// What a picture is made from. Shared by all who look.
pub struct Observatory {
    /// The state folder.
    pub state: PathBuf,
    /// The latest requests of each worker.
    pub samples: Vec<Samples>,
    /// The store.
    pub store: Store,
    /// The certificates.
    pub keyring: Keyring,
    /// What workers count of sites and routes.
    pub routes: Routes,
    /// What the queue counts.
    pub sending: Arc<Figures>,
    /// When the server began to accept.
    pub began: Instant,
    /// What the configuration in force says.
    pub view: Mutex<Arc<View>>,
}

/// What is said of the server by the configuration in force.
pub struct View {
    /// The one address, as given.
    pub address: IpAddr,
    /// Which configuration that is, where it is a file.
    pub configuration: Option<ConfigurationView>,
    /// What is said of each channel, by its number.
    pub channels: HashMap<usize, About>,
    /// The programs.
    pub runner: Runner,
    /// All sites and their routes, as written.
    pub routes: Vec<Route>,
    /// The sites.
    pub sites: Vec<Arc<Description>>,
}

/// What is said of a channel beside its counters.
pub struct About {
    /// Its protocol.
    pub protocol: &'static str,
    /// What it does.
    pub purpose: String,
    /// Asks what it has refused, by reason; for a channel that counts that.
    pub refusals: Option<Box<dyn Fn() -> Vec<RefusalView> + Send + Sync>>,
}

impl Observatory {
    /// Gives everyone who looks the same picture-maker.
    pub fn observer(self: Arc<Self>, workers: &Workers) -> Observer {
        let workers = workers.clone();
        Arc::new(move || {
            let (observatory, workers) = (Arc::clone(&self), workers.clone());
            Box::pin(async move { observatory.look(&workers).await })
        })
    }

    /// Another configuration is in force.
    pub fn replace(&self, view: View) {
        self.routes.keep(&view.routes);
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    async fn look(&self, workers: &Workers) -> Picture {
        let view = Arc::clone(&self.view.lock().unwrap_or_else(PoisonError::into_inner));
        let reports = workers.report(Picture::MOST_CONNECTIONS).await;
        let connections: Vec<_> = reports.into_iter().take(Picture::MOST_CONNECTIONS).map(connection).collect();
        let figures = self.store.figures();
        Picture {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            address: Some(view.address),
            state: self.state.display().to_string(),
            now_ms: milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            uptime_ms: milliseconds(self.began.elapsed()),
            resident_bytes: threads::resident_bytes(),
            configuration: view.configuration.clone(),
            channels: view.channels(workers),
            threads: worker_threads(workers),
            connections_open: workers.counters().iter().map(|counters| counters.open()).sum(),
            connections,
            requests: latest(&self.samples),
            store: StoreView {
                messages: figures.messages,
                bytes: figures.bytes,
                accepted: figures.accepted,
                commits: figures.commits,
                memory_bytes: figures.memory_bytes,
                spooled: figures.spooled,
                failed: figures.failed,
            },
            sending: self.sending.read(),
            bans: bans(workers.bans()),
            programs: view.runner.view(),
            certificates: self.certificates(),
            routes: self.routes.view(&view.routes),
            upstreams: view.upstreams(),
            applications: view.applications(),
        }
    }

    fn certificates(&self) -> Vec<CertificateView> {
        let now = SystemTime::now();
        let standing = self.keyring.standing();
        standing.iter().take(Picture::MOST_CERTIFICATES).map(|one| CertificateView::of(one, now)).collect()
    }
}

impl View {
    fn upstreams(&self) -> Vec<UpstreamView> {
        let mut all = Vec::new();
        for site in &self.sites {
            let of_site = site.proxies.iter().flat_map(|upstreams| upstreams.view(&site.name));
            of_site.for_each(|one| UpstreamView::add(&mut all, one));
            if all.len() >= Picture::MOST_UPSTREAMS {
                break;
            }
        }
        all.truncate(Picture::MOST_UPSTREAMS);
        all
    }

    fn applications(&self) -> Vec<ApplicationView> {
        let mut all = Vec::new();
        for site in self.sites.iter().take(Picture::MOST_UPSTREAMS) {
            for application in &site.applications {
                let [requests, connections, failures] = application.figures.totals();
                let (site, application) = (site.name.to_string(), application.settings.address.to_string());
                let one = ApplicationView { site, application, requests, connections, failures };
                ApplicationView::add(&mut all, one);
            }
        }
        all.truncate(Picture::MOST_UPSTREAMS);
        all
    }

    fn channels(&self, workers: &Workers) -> Vec<ChannelView> {
        let view = |report: &ChannelReport| {
            let about = self.channels.get(&report.channel.index)?;
            let accepted = report.sum(|counters| counters.accepted.total());
            Some(ChannelView {
                name: report.channel.name.clone(),
                protocol: about.protocol.to_owned(),
                // A Unix socket has none.
                address: Some(report.channel.address).filter(|address| *address != UNIX_PEER),
                purpose: about.purpose.clone(),
                accepted,
                refused: report.sum(|counters| counters.refused.total()),
                open: accepted.saturating_sub(report.sum(|counters| counters.closed.total())),
                handshakes: report.sum(|counters| counters.handshakes.total()),
                resumed: report.sum(|counters| counters.resumed.total()),
                unsecured: report.sum(|counters| counters.unsecured.total()),
                requests: report.sum(|counters| counters.requests.total()),
                failures: report.sum(|counters| counters.failures.total()),
                bytes_in: report.sum(|counters| counters.bytes_in.total()),
                bytes_out: report.sum(|counters| counters.bytes_out.total()),
                refusals: about.refusals.as_ref().map_or_else(Vec::new, |ask| ask()),
            })
        };
        workers.channels().iter().filter_map(view).collect()
    }
}

fn bans(bans: &Bans) -> BansView {
    let standing = u64::try_from(bans.list().len()).unwrap_or(u64::MAX);
    BansView { standing, begun: bans.begun(), refused: bans.refused() }
}

fn worker_threads(workers: &Workers) -> Vec<ThreadView> {
    let mut threads = threads::threads();
    for (index, counters) in workers.counters().iter().enumerate() {
        let name = format!("worker-{index}");
        if let Some(thread) = threads.iter_mut().find(|thread| thread.name == name) {
            thread.connections = Some(counters.open());
            thread.requests = Some(workers.requests(index));
        }
    }
    threads
}

/// All samples together, oldest first.
fn latest(samples: &[Samples]) -> Vec<RequestView> {
    let of_worker = |sample: &Mutex<VecDeque<RequestView>>| {
        sample.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect::<Vec<_>>()
    };
    let mut all: Vec<_> = samples.iter().flat_map(|sample| of_worker(sample)).collect();
    all.sort_by_key(|request| request.at_ms);
    all
}

fn connection(report: ConnectionReport) -> ConnectionView {
    ConnectionView {
        id: report.id,
        channel: report.channel.name.clone(),
        worker: format!("worker-{}", report.worker),
        peer: Some(report.peer).filter(|peer| *peer != UNIX_PEER),
        age_ms: milliseconds(report.age),
        idle_ms: milliseconds(report.idle),
        doing: report.doing,
        name: report.name,
        tls: report.secured.as_ref().map_or_else(String::new, |secured| tls(secured)),
        client: report.secured.as_ref().and_then(|secured| secured.client.as_ref()).map(|own| described(own)),
        requests: report.requests,
        bytes_in: report.bytes_in,
        bytes_out: report.bytes_out,
        tcp: report.tcp.map(tcp),
    }
}

fn tls(secured: &Secured) -> String {
    let name = secured.name.as_deref().map_or_else(String::new, |name| format!(" {name}"));
    format!("{} {}{name}", secured.version, secured.suite)
}

fn tcp(info: TcpInfo) -> TcpView {
    TcpView {
        rtt_us: info.rtt_us,
        rtt_variance_us: info.rtt_variance_us,
        min_rtt_us: info.min_rtt_us,
        retransmits: info.retransmits,
        congestion_window: info.congestion_window,
        segment_size: info.segment_size,
        delivery_rate: info.delivery_rate,
        bytes_sent: info.bytes_sent,
        bytes_received: info.bytes_received,
        send_window: info.send_window,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
