//! Passes requests on to other servers and their answers back: the reverse proxy.
//!
//! What goes upstream is written anew from what was understood ([`forward`]); what comes back is read as strictly as a request
//! ([`exchange`]). Knows no client's connection: it is given a [`Request`] and returns an [`Answer`] whose body comes as it is asked
//! for. One [`Proxy`] for each worker, over one [`Upstreams`] for all of them.
//!
//! Bounded by: the waits in [`settings::Timeouts`], requests under way, idle connections for each worker and upstream, tries for each
//! request, one piece of at most 64 KiB each way.

mod address;
mod balance;
mod carried;
pub(crate) mod dial;
mod download;
mod encryption;
mod exchange;
mod fault;
mod figures;
mod forward;
mod health;
mod http2;
mod intake;
mod lent;
mod names;
mod place;
mod pool;
mod received;
mod settings;
pub(crate) mod stream;
mod ticks;
mod tunnel;
mod upload;
mod upstream;

use std::cell::RefCell;
use std::mem::take;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sportello_wire::http1::Method;
use sportello_wire::http1::client::{Announced, Asked, Received};
use sportello_wire::http1::head::Persistence;
use tokio::sync::Semaphore;
use tracing::debug;

pub use address::{Address, BadAddress, Place, Speech, Version};
pub use encryption::{BadEncryption, BadIdentity, Believe, Encryption, Identity};
pub use fault::Fault;
pub(crate) use forward::tells_of_client as is_claim;
pub use health::Health;
pub use settings::{Balance, Ejection, Host, Member, Role, Settings, Timeouts, UPSTREAMS_MOST};

use self::balance::{Tried, Turns};
use self::download::{Download, Ends, Untold};
use self::exchange::{Exchange, Heard, Waits};
use self::health::Keeper;
use self::http2::Lines;
use self::intake::Intake;
use self::place::{Lease, Place as Taken};
use self::pool::{Conn, Pool};
use self::ticks::{Clock, Ticks};
use self::tunnel::{OpenTunnels, Through};
use self::upload::Upload;
use self::upstream::Upstream;
use crate::picture::UpstreamView;
use crate::web::{Answer, Body, Fields, Request, Tunnel};

/// The upstreams of one proxy, as all workers share them.
pub struct Upstreams {
    settings: Settings,
    all: Vec<Arc<Upstream>>,
    /// For requests under way.
    places: Arc<Semaphore>,
    tunnels: Arc<OpenTunnels>,
    /// How many proxies were made for it: each draws its own lots.
    proxies: AtomicU64,
    /// Whether a worker keeps names and health fresh.
    is_kept: AtomicBool,
}

/// A proxy, as one worker has it.
pub struct Proxy {
    upstreams: Arc<Upstreams>,
    turns: Turns,
    pools: Vec<Rc<Pool>>,
    /// The connections of HTTP/2.
    lines: Vec<Lines>,
    clock: Rc<Clock>,
    intake: Rc<Intake>,
    waits: Waits,
    keeper: RefCell<Option<Keeper>>,
}

impl Upstreams {
    /// The upstreams of these settings; nothing is opened yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        let upstream = |member: &Member| Arc::new(Upstream::new(member.clone(), settings.ejection));
        let all = settings.upstreams.iter().take(UPSTREAMS_MOST).map(upstream).collect();
        Arc::new(Self {
            places: Arc::new(Semaphore::new(settings.requests_most.min(Semaphore::MAX_PERMITS))),
            settings,
            all,
            tunnels: Arc::default(),
            proxies: AtomicU64::new(0),
            is_kept: AtomicBool::new(false),
        })
    }

    /// Whether there is anything that must be kept fresh.
    fn wants_keeping(&self) -> bool {
        self.settings.health.is_some() || self.all.iter().any(|upstream| upstream.addresses.is_some())
    }

    /// Their addresses, for people.
    pub fn told(&self) -> String {
        let addresses: Vec<_> = self.all.iter().map(|upstream| upstream.member.address.to_string()).collect();
        addresses.join(", ")
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How each upstream is, and what was asked of it; of the tunnels, which are counted together, the first one tells.
    pub fn view(&self, site: &str) -> Vec<UpstreamView> {
        let mut all: Vec<_> = self.all.iter().map(|upstream| upstream.view(site)).collect();
        if let Some(first) = all.first_mut() {
            first.tunnels = self.open_tunnels();
        }
        all
    }

    /// Tunnels that are open at the moment.
    pub fn open_tunnels(&self) -> u64 {
        self.tunnels.count()
    }
}

impl Proxy {
    /// A worker's own.
    pub fn new(upstreams: Arc<Upstreams>) -> Rc<Self> {
        let settings = &upstreams.settings;
        let clock = Clock::new();
        let pool = |_| {
            let pool = Rc::new(Pool::new(settings.idle_most, Ticks::of(settings.idle_age).count()));
            let tended: Rc<dyn ticks::Tended> = pool.clone();
            clock.tend(Rc::downgrade(&tended));
            pool
        };
        // Where none is to wait, one ends with its last request.
        let idle_age = if settings.idle_most == 0 { std::time::Duration::ZERO } else { settings.idle_age };
        let number = upstreams.proxies.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Rc::new(Self {
            turns: Turns::new(settings.balance, upstreams.all.len(), number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            pools: upstreams.all.iter().map(pool).collect(),
            lines: upstreams.all.iter().map(|_| Lines::new(&clock, idle_age)).collect(),
            waits: Waits::of(&settings.timeouts),
            clock,
            intake: Rc::new(Intake::new()),
            keeper: RefCell::default(),
            upstreams,
        })
    }

    /// Begins to look up names and to ask upstreams whether they are well, unless another worker does. To be called where tasks can be
    /// spawned; they end with the last use of this proxy.
    pub fn begin(&self) {
        let mut keeper = self.keeper.borrow_mut();
        if keeper.is_none() && self.upstreams.wants_keeping() {
            *keeper = Keeper::begin(&self.upstreams);
        }
    }

    /// Passes a request on, and gives the answer; its body, and what is left of the request's, go on as the answer's pieces are
    /// asked for. Dropping either ends the exchange and closes its connection.
    pub async fn pass(self: Rc<Self>, request: impl Into<Box<Request>>) -> Answer {
        let request = request.into();
        let client = request.client.peer.ip();
        self.ask(request, client).await.unwrap_or_else(|fault| Answer::empty(fault.status()))
    }

    /// The same, where whoever asks says himself what failed, and who the client is believed to be.
    ///
    /// # Errors
    /// When no upstream gives an answer that can be passed back.
    pub fn ask(
        self: Rc<Self>,
        request: impl Into<Box<Request>>,
        client: IpAddr,
    ) -> impl Future<Output = Result<Answer, Fault>> {
        let request = request.into();
        async move {
            let answer = self.try_pass(request, client).await;
            if let Err(fault) = &answer {
                debug!(%fault, "a request could not be passed on");
            }
            answer
        }
    }

    async fn try_pass(self: &Rc<Self>, mut request: Box<Request>, client: IpAddr) -> Result<Answer, Fault> {
        // Where the one who kept it is gone.
        if !self.upstreams.is_kept.load(Ordering::Relaxed) {
            self.begin();
        }
        if forward::is_loop(&request) {
            return Err(Fault::Loop);
        }
        let place = Taken::of(&self.upstreams).await?;
        let announced = forward::announced(&request);
        let upload = Box::new(Upload::new(take(&mut request.body), announced));
        let mut attempt = Attempt { request, announced, upload, place };
        let mut tried = Tried::default();
        let mut last = None;
        for _ in 0..self.upstreams.settings.tries.max(1) {
            let Some((index, mut turn)) = self.turns.next(&self.upstreams.all, client, &mut tried) else { break };
            let Some(upstream) = self.upstreams.all.get(index) else { break };
            match self.through(index, upstream, attempt).await {
                Ok(answer) => return Ok(answer),
                Err(Missed { fault, is_upstreams, again }) => {
                    // At whom one upstream after the other hangs up, he is more likely the reason than they are.
                    let has_blamed = fault.is_end() && last.as_ref().is_some_and(Fault::is_end);
                    if is_upstreams && !has_blamed {
                        upstream.failed(&fault);
                        turn.decide();
                    }
                    let Some(again) = again else { return Err(fault) };
                    upstream.figures.retries.one_more();
                    (attempt, last) = (again, Some(fault));
                }
            }
        }
        Err(last.unwrap_or(Fault::NoUpstream))
    }

    /// One try at one upstream, on a connection that waits or on a new one; where the one that waited had been closed meanwhile, on
    /// both.
    async fn through(
        self: &Rc<Self>,
        index: usize,
        upstream: &Arc<Upstream>,
        mut attempt: Attempt,
    ) -> Result<Answer, Missed> {
        let counted = self.upstreams.settings.counts_loads().then(|| upstream.begin());
        let authority = upstream.member.address.authority();
        let notes = Rc::clone(&attempt.request.notes);
        notes.asks(&upstream.told);
        upstream.figures.requests.one_more();
        if upstream.member.address.version == Version::Two {
            return Box::pin(self.through_http2(index, upstream, attempt, counted)).await;
        }
        let mut waiting = self.pools.get(index).and_then(|pool| pool.take());
        loop {
            let was_used = waiting.is_some();
            let conn = match waiting.take() {
                Some(conn) => conn,
                None => match Box::pin(self.dial(upstream)).await {
                    Ok(conn) => conn,
                    Err(fault) => {
                        return Err(Missed { is_upstreams: fault.is_upstreams(), fault, again: Some(attempt) });
                    }
                },
            };
            notes.is_connected();
            let head = forward::head(&attempt.request, &self.upstreams.settings, authority, attempt.announced);
            attempt.upload.begin(head.map_err(|error| Missed {
                fault: error.into(),
                is_upstreams: false,
                again: None,
            })?);
            let Attempt { request, announced, upload, place } = attempt;
            let mut exchange = Exchange { conn, upload, intake: Rc::clone(&self.intake), waits: self.waits };
            match exchange.head().await {
                Ok(heard) => {
                    return match self.answer(
                        index,
                        &request,
                        exchange,
                        heard,
                        Lease { _place: place, _under_way: counted },
                    ) {
                        Ok(answer) => {
                            upstream.began();
                            Ok(answer)
                        }
                        Err(fault) => Err(Missed { is_upstreams: fault.is_upstreams(), fault, again: None }),
                    };
                }
                Err(failed) => {
                    let is_upstreams = exchange.blames_upstream(&failed.fault);
                    let upload = exchange.upload;
                    let repeatable = failed.may_repeat() && upload.is_repeatable();
                    let may = repeatable && (upload.written() == 0 || forward::is_idempotent(&request));
                    attempt = Attempt { request, announced, upload, place };
                    if !may || !was_used {
                        return Err(Missed { fault: failed.fault, is_upstreams, again: may.then_some(attempt) });
                    }
                }
            }
        }
    }

    async fn dial(&self, upstream: &Upstream) -> Result<Conn, Fault> {
        let stream = dial::dial(upstream, self.upstreams.settings.timeouts.connect).await?;
        upstream.figures.connections.one_more();
        Ok(Conn { stream, watch: self.clock.watch() })
    }

    fn answer(
        self: &Rc<Self>,
        index: usize,
        request: &Request,
        exchange: Exchange,
        heard: Heard,
        lease: Lease,
    ) -> Result<Answer, Fault> {
        let (head, bytes) = (heard.head(), &heard.bytes);
        let mut fields = received::fields(bytes, &head)?;
        let rest = bytes.slice(head.length..);
        request.notes.heard(head.status);
        if head.status == 101 {
            let body = self.tunnel(request, exchange, &head, rest, lease)?;
            self.answered(index);
            // The one field of a connection that says something to the client too: what is spoken now.
            if let Some(protocol) = head.fields.value("upgrade") {
                fields.add_parsed(bytes::Bytes::from_static(b"upgrade"), bytes.slice_ref(protocol));
            }
            return Ok(Answer { status: 101, fields, body });
        }
        let asked = if request.method == Method::Head { Asked::ForHead } else { Asked::ForBody };
        let body = head.body(asked)?;
        let untold = (asked == Asked::ForHead).then(|| head.content_length()).transpose()?;
        // An upstream that was asked to change protocols may think that it has.
        let reusable = forward::upgrade(request).is_none();
        let persistence = if reusable { head.persistence() } else { Persistence::Close };
        let ends = if is_events(&fields) { Ends::Never } else { Ends::Itself };
        if ends == Ends::Never {
            self.answered(index);
        }
        let status = head.status;
        let framed = (rest, body);
        let download = Download::new(Rc::clone(self), index, exchange, framed, (persistence, ends), lease);
        let body = body_of(download)?;
        let body = match untold {
            Some(length) if status != 204 && status != 304 => Body::Pieces(Box::new(Untold(length))),
            _ => body,
        };
        Ok(Answer { status, fields, body })
    }

    /// The way through, if the upstream changes to the protocol that the client asked for (RFC 9110 §7.8).
    fn tunnel(
        &self,
        request: &Request,
        exchange: Exchange,
        head: &Received<'_>,
        first: bytes::Bytes,
        lease: Lease,
    ) -> Result<Body, Fault> {
        let asked = forward::upgrade(request).ok_or(Fault::Upgrade)?;
        let mut given = head.fields.values("upgrade");
        let agreed = match (given.next(), given.next()) {
            (Some(given), None) => given.eq_ignore_ascii_case(asked),
            _ => false,
        };
        if !agreed || !head.upgrades() || !exchange.upload.is_done() {
            return Err(Fault::Upgrade);
        }
        let stream = Through::new(exchange.conn.stream, &self.upstreams.tunnels, lease);
        Ok(Body::Tunnel(Tunnel { stream: Box::new(stream), first, idle: self.upstreams.settings.timeouts.tunnel }))
    }

    fn keep(&self, index: usize, conn: Conn) {
        if let Some(pool) = self.pools.get(index) {
            pool.keep(conn, self.clock.now());
        }
    }

    fn answered(&self, index: usize) {
        if let Some(upstream) = self.upstreams.all.get(index) {
            upstream.answered();
        }
    }

    fn failed(&self, index: usize, fault: &Fault) {
        if let Some(upstream) = self.upstreams.all.get(index) {
            upstream.failed(fault);
        }
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Upstreams").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A request that may be tried.
struct Attempt {
    request: Box<Request>,
    announced: Announced,
    upload: Box<Upload>,
    place: Taken,
}

/// A request to which an upstream gave no answer.
struct Missed {
    fault: Fault,
    /// Whether that says something of the upstream.
    is_upstreams: bool,
    /// What may be tried elsewhere.
    again: Option<Attempt>,
}

/// The body of an answer: in memory where all of it has come with the head, else as it comes.
fn body_of(mut download: Download) -> Result<Body, Fault> {
    let malformed = |_| sportello_wire::http1::client::Error::Chunk;
    let first = download.held_piece().map_err(malformed)?;
    match first {
        Some(piece) if download.is_over() => Ok(Body::Bytes(piece)),
        // What it says with its status alone stays so.
        None if download.is_over() => Ok(Body::Bytes(bytes::Bytes::new())),
        Some(piece) => {
            download.put_back(piece);
            Ok(Body::Pieces(Box::new(download)))
        }
        None => Ok(Body::Pieces(Box::new(download))),
    }
}

fn is_events(fields: &Fields) -> bool {
    fields
        .value("content-type")
        .is_some_and(|kind| kind.get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream")))
}

#[cfg(test)]
mod tests;
