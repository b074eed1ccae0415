//! One stream: its request is led to what answers it, and its answer sent as the client takes it.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use sportello_service::desk;
use sportello_service::files::{Content, Stored, Whole};
use sportello_service::site::Site;
use sportello_service::web::{Answer, Body, Fields, Pieces, Request};
use sportello_wire::http1::Refusal;
use sportello_wire::http1::field::Lines;
use sportello_wire::http1::target::Host;
use tokio::time::Instant;

use super::super::budget::{Share, Spent};
use super::super::guard::{self, Claim};
use super::super::{BODIES, Served, Service, clock, fault, memory};
use super::asked::{self, Unfit};
use super::teller::Teller;
use super::window::Window;
use super::{Shared, WORTH_OF_PIECE, coming};

/// Answers one request.
pub(super) async fn answer(
    shared: Rc<Shared>,
    service: Rc<Service>,
    (head, body): (Parts, RecvStream),
    mut respond: SendResponse<Bytes>,
) {
    let started = Instant::now();
    let deadlines = shared.stream.connection().channel().deadlines;
    let (body, rest) = coming::incoming(&shared, body, &head.headers, &deadlines);
    // RFC 9110 §10.1.1. Whoever is not asked for its body is told by the answer.
    if rest.is_some() && head.headers.contains_key(header::EXPECT) {
        let mut go_on = Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        let _ = respond.send_informational(go_on);
    }
    let method = head.method.clone();
    let asked = asked::request(&head, body, &shared.stream, &service);
    let notes = asked.as_ref().ok().map(|request| Rc::clone(&request.notes));
    let teller = Teller::new(&shared, &service, &head, notes.as_deref(), started);
    let is_head = method == http::Method::HEAD;
    let answer = match asked {
        Ok(request) => {
            let misdirected = asked::misdirected(&head, request.client.secured.is_some()).ok().flatten();
            let answering = Box::pin(carry_out(&shared, &service, request, misdirected));
            tokio::select! {
                biased;
                answer = answering => answer,
                _ = poll_fn(|context| respond.poll_reset(context)) => {
                    return teller.taken_back();
                }
            }
        }
        Err(Unfit { status: 204, .. }) => Answer::empty(204).with("allow", "GET, HEAD, OPTIONS"),
        Err(Unfit { status, sentence }) => fault::page(&Fields::new(), status, &sentence),
    };
    notes.iter().for_each(|notes| notes.is_answered(&answer));
    let sending = Sending { shared: &shared, window: Window::new(&deadlines), teller: &teller };
    match sending.send(&mut respond, answer, is_head).await {
        Ok(()) => {
            teller.answered();
            if let Some(rest) = rest {
                rest.skip().await;
            }
        }
        Err(Cut::Reset) => teller.taken_back(),
        Err(Cut::Slow | Cut::Broken) => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            teller.broken_off();
        }
    }
}

/// The fields as they came.
pub(super) struct Headers<'h>(pub(super) &'h http::HeaderMap);

impl Lines for Headers<'_> {
    fn values_of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f [u8]> {
        self.0.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

/// Sends the content of an answer that was [given](super::quick) but for that.
pub(super) async fn follow(
    shared: Rc<Shared>,
    service: Rc<Service>,
    head: Parts,
    (mut stream, content): (SendStream<Bytes>, Bytes),
) {
    let teller = Teller::new(&shared, &service, &head, None, Instant::now());
    teller.begun(200);
    let window = Window::new(&shared.stream.connection().channel().deadlines);
    match (Sending { shared: &shared, window, teller: &teller }).piece(&mut stream, content, true).await {
        Ok(()) => teller.answered(),
        Err(Cut::Reset) => teller.taken_back(),
        Err(Cut::Slow | Cut::Broken) => {
            stream.send_reset(Reason::INTERNAL_ERROR);
            teller.broken_off();
        }
    }
}

async fn carry_out(shared: &Shared, service: &Service, request: Request, misdirected: Option<Refusal>) -> Answer {
    let reach = memory::reach(&shared.stream.connection());
    // Held for as long as the body is.
    let mut share = Share::of(&BODIES);
    let fields = request.fields.clone();
    let claim = Claim { host: &request.authority, named: Host::parse(&request.authority), origins: Some(&fields) };
    let answer = match &*service.served {
        Served::Sites(sites) => {
            let alike = guard::asked_alike(service.terms.as_deref(), request.client.secured.as_deref(), claim.named);
            match alike.and_then(|()| guard::site(&claim, reach, sites)) {
                Ok(site) if misdirected.is_some() && !is_gateway(&site, &request) => misled(&fields, misdirected),
                Ok(site) => match service.https.and_then(|port| site.to_https(&request, port)) {
                    Some(answer) => answer,
                    None => site.answer(request).await,
                },
                Err(foreign) => fault::foreign(&fields, foreign),
            }
        }
        Served::Desk(_) if misdirected.is_some() => misled(&fields, misdirected),
        Served::Desk(desk) => match guard::admit(&claim, reach) {
            Ok(()) => match whole(request, service.limits.body, &mut share).await {
                Ok(request) => desk.answer(request).await,
                Err(answer) => answer,
            },
            Err(foreign) => fault::foreign(&fields, foreign),
        },
    };
    fault::worded(&fields, answer)
}

/// RFC 9110 §7.4: a gateway that is believed may ask for what its client asked it for.
fn is_gateway(site: &Site, request: &Request) -> bool {
    site.description().trust.has(request.client.peer.ip())
}

fn misled(fields: &Fields, misdirected: Option<Refusal>) -> Answer {
    let said = misdirected.map(|refusal| (refusal.status(), refusal.to_string()));
    said.map_or_else(|| Answer::empty(400), |(status, sentence)| fault::page(fields, status, &sentence))
}

/// The request as the desk takes it, its body read whole.
async fn whole(mut request: Request, most: u64, share: &mut Share<'_>) -> Result<desk::Request, Answer> {
    let mut body = Vec::new();
    let mut incoming = std::mem::take(&mut request.body);
    while let Some(piece) = incoming.piece().await.map_err(|_| Answer::empty(400))? {
        if body.len() as u64 + piece.len() as u64 > most {
            return Err(Answer::empty(413));
        }
        share.hold(body.len() + piece.len()).map_err(|Spent| Answer::empty(503).with("retry-after", "1"))?;
        body.extend_from_slice(&piece);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let host = ("host".to_owned(), request.authority.to_vec());
    let fields = request.fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
    Ok(desk::Request {
        method: text(&request.verb),
        path: text(request.path.encoded()),
        query: request.query.as_deref().map(text),
        fields: [host].into_iter().chain(fields).collect(),
        body: body.into(),
        peer: request.client.peer,
    })
}

/// Why an answer was not sent whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client took its request back, or is gone.
    Reset,
    /// The client holds its window shut.
    Slow,
    /// What answers broke off.
    Broken,
}

struct Sending<'s> {
    shared: &'s Shared,
    window: Window,
    /// Is told what goes.
    teller: &'s Teller<'s>,
}

impl Sending<'_> {
    /// Sends the answer.
    async fn send(mut self, respond: &mut SendResponse<Bytes>, answer: Answer, is_head: bool) -> Result<(), Cut> {
        let (head, body) = head(answer);
        let bodiless = is_head || matches!(head.status().as_u16(), 204 | 304);
        let pieces: Box<dyn Pieces> = match body {
            _ if bodiless => return self.begin(respond, head, true).map(drop),
            Body::Empty => return self.begin(respond, head, true).map(drop),
            Body::Bytes(bytes) if bytes.is_empty() => return self.begin(respond, head, true).map(drop),
            Body::Bytes(bytes) => {
                let mut stream = self.begin(respond, head, false)?;
                return self.piece(&mut stream, bytes, true).await;
            }
            Body::Stored(stored) => stored.into_pieces(),
            Body::File { file, start, length } => {
                let content = Content::One(start..start.saturating_add(length));
                Stored { file: Whole::Open(file), content }.into_pieces()
            }
            Body::Pieces(pieces) => pieces,
            // Nothing that HTTP/2 knows asks for one.
            Body::Tunnel(_) => return Err(Cut::Broken),
        };
        let mut stream = self.begin(respond, head, false)?;
        self.pieces(&mut stream, pieces).await
    }

    fn begin(
        &self,
        respond: &mut SendResponse<Bytes>,
        head: Response<()>,
        is_last: bool,
    ) -> Result<SendStream<Bytes>, Cut> {
        let status = head.status().as_u16();
        let stream = respond.send_response(head, is_last).map_err(|_| Cut::Reset)?;
        self.teller.begun(status);
        Ok(stream)
    }

    async fn pieces(&mut self, stream: &mut SendStream<Bytes>, mut pieces: Box<dyn Pieces>) -> Result<(), Cut> {
        let promised = pieces.left();
        let mut sent = 0u64;
        loop {
            let draining = self.shared.draining.notified();
            // What the client has no room for is not even read.
            if promised.is_some_and(|promised| sent < promised) {
                self.window.room(stream, 1).await?;
            }
            let is_cut = pieces.is_endless() && self.shared.is_draining.get();
            let piece = tokio::select! {
                biased;
                () = async {}, if is_cut => None,
                piece = poll_fn(|context| pieces.poll_piece(context)) => piece.transpose().map_err(|_| Cut::Broken)?,
                _ = poll_fn(|context| stream.poll_reset(context)) => return Err(Cut::Reset),
                () = draining, if pieces.is_endless() => None,
            };
            let Some(piece) = piece else { break };
            sent = sent.saturating_add(piece.len() as u64);
            if promised.is_some_and(|promised| sent > promised) {
                return Err(Cut::Broken);
            }
            let is_last = promised == Some(sent);
            self.piece(stream, piece, is_last).await?;
            if is_last {
                return Ok(());
            }
        }
        if promised.is_some_and(|promised| sent < promised) {
            return Err(Cut::Broken);
        }
        stream.send_data(Bytes::new(), true).map_err(|_| Cut::Reset)
    }

    /// Sends one piece as the windows open.
    async fn piece(&mut self, stream: &mut SendStream<Bytes>, mut piece: Bytes, is_last: bool) -> Result<(), Cut> {
        self.shared.earn(WORTH_OF_PIECE.saturating_add(piece.len() as u64));
        loop {
            let room = self.window.room(stream, piece.len()).await?;
            let now = piece.split_to(room.min(piece.len()));
            let is_end = piece.is_empty();
            let length = now.len();
            self.window.filled(length);
            stream.send_data(now, is_last && is_end).map_err(|_| Cut::Reset)?;
            self.teller.went(length);
            if is_end {
                return Ok(());
            }
        }
    }
}

/// The head of an answer: its fields, its length where that is known, the date.
fn head(answer: Answer) -> (Response<()>, Body) {
    let Answer { status, fields, body } = answer;
    let mut response = Response::new(());
    // Services give none that is no status.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in fields.lines() {
        let name = header::HeaderName::from_bytes(name);
        // What stands in Fields may be sent; what only HTTP/1.1 knows does not stand there.
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value.clone())) {
            headers.append(name, value);
        }
    }
    let length = match &body {
        _ if matches!(status, 204 | 304) => None,
        Body::Empty => Some(0),
        Body::Bytes(bytes) => Some(bytes.len() as u64),
        Body::Stored(stored) => Some(stored.content.length()),
        Body::File { length, .. } => Some(*length),
        Body::Pieces(pieces) => pieces.left(),
        Body::Tunnel(_) => None,
    };
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if let Ok(date) = HeaderValue::from_bytes(&clock::second().date) {
        headers.insert(header::DATE, date);
    }
    (response, body)
}
