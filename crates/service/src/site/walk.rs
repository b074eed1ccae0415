//! The way of one request through a site.

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::time::timeout;

use super::ask::{Cookies, Peer};
use super::change::{FieldChange, Of};
use super::cursor::{Cursor, Stop};
use super::description::{Action, Step};
use super::limit::{Kept, holding};
use super::ours::Ours;
use super::redirect::to_https;
use super::trust::Trust;
use super::{Site, root};
use crate::compress::Compression;
use crate::compress::answer::{Wanted, compressed};
use crate::fastcgi::{Asked, Claims};
use crate::files::{Batch, Form, preferred_form};
use crate::web::{Answer, Body, Network, Request, Scheme, trace};

/// What the way has found out about a request.
#[derive(Debug)]
pub(super) struct Known {
    address: IpAddr,
    account: Option<Box<str>>,
    groups: Vec<Box<[u8]>>,
    /// What was taken off the path, as it is sent.
    stripped: Vec<u8>,
    /// Path and query as they were asked for, where a step changed them.
    asked: Option<Bytes>,
}

impl Known {
    pub(super) fn of(request: &Request, trust: &Trust) -> Self {
        Self { address: trust.address(request), account: None, groups: Vec::new(), stripped: Vec::new(), asked: None }
    }

    /// Who asks, as far as it is believed.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn is_from(&self, networks: &[Network]) -> bool {
        networks.iter().any(|network| network.has(self.address))
    }

    /// Who logged in.
    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    pub(super) fn set_account(&mut self, name: Box<str>) {
        self.account = Some(name);
    }

    /// What the group of this number found in the latest path that fitted.
    pub(super) fn group(&self, number: usize) -> &[u8] {
        number.checked_sub(1).and_then(|place| self.groups.get(place)).map_or(&[], |found| found)
    }

    /// Path and query as they were asked for, where a step changed them.
    pub(super) fn asked(&self) -> Option<&[u8]> {
        self.asked.as_deref()
    }

    /// What was taken off the path that was asked for, as it is sent.
    pub(super) fn stripped(&self) -> &[u8] {
        &self.stripped
    }

    /// Keeps path and query before the first step that changes them.
    fn keep_asked(&mut self, request: &Request) {
        self.asked.get_or_insert_with(|| request.target().into());
    }

    pub(super) fn set_groups(&mut self, groups: Vec<Box<[u8]>>) {
        self.groups = groups;
    }
}

/// What is to be done to the answer, the last one first.
enum Effect<'d> {
    Field(&'d FieldChange, Bytes),
    ErrorPages(usize),
    Compress(&'d Compression, Wanted),
}

/// What a request gathers on its way.
struct Passage<'d> {
    known: Known,
    effects: Vec<Effect<'d>>,
    /// Of those who were asked and let it pass.
    cookies: Cookies,
    kept: Kept,
    form: Form,
    /// Whether it was said that nothing is encoded.
    is_plain: bool,
}

/// Answers one request. It is handed from one to the next in a box, and what is large or rare has a box of its own: the whole way of a
/// request is made anew for each, and costs by its size.
pub(super) async fn answer(site: &Site, mut request: Box<Request>) -> Answer {
    let trust = &site.description().trust;
    let mut passage = Passage {
        known: Known::of(&request, trust),
        effects: Vec::new(),
        cookies: Cookies::default(),
        kept: Kept::default(),
        form: preferred_form(request.fields.values("accept")),
        is_plain: false,
    };
    request.scheme = trust.scheme(&request);
    let notes = Rc::clone(&request.notes);
    notes.set_address(passage.known.address());
    let led = lead(site, &mut request, &mut passage).await;
    if let Some(account) = passage.known.account() {
        notes.set_account(account);
    }
    let (made, encoded) = match led {
        Ok(action) => {
            let encoded = encoded(site, action);
            // A folder encodes by what is written beside it; a route in front that only prepares may have said that nothing is.
            if passage.is_plain && encoded == Encoded::ByFolder {
                request.fields.remove("accept-encoding");
            }
            (carry_out(site, action, request, &passage).await, encoded)
        }
        Err(answered) => (answered, Encoded::ByNobody),
    };
    finished(site, made, encoded, passage).await
}

/// Leads a request to what answers it, unless a step does.
async fn lead<'d>(
    site: &'d Site,
    request: &mut Request,
    passage: &mut Passage<'d>,
) -> Result<&'d Action, Result<Answer, Ours>> {
    let mut cursor = Cursor::new(site.description());
    loop {
        match cursor.next(request, &mut passage.known) {
            Stop::Passed(..) => {}
            Stop::Entered(_, route) if route.block.only_prepares() => {}
            Stop::Entered(_, route) => request.notes.set_route(&route.block.label),
            Stop::Step(_, step) => take(site, step, request, passage).await?,
            Stop::Unclear(..) => return Err(Err(Ours::new(400, "this path can be read in two ways"))),
            Stop::End(Some(action)) => return Ok(&action.what),
            Stop::End(None) => return Err(Err(Ours::new(404, "nothing of that name is here"))),
        }
    }
}

/// Takes a step, which may answer.
async fn take<'d>(
    site: &'d Site,
    step: &'d Step,
    request: &mut Request,
    passage: &mut Passage<'d>,
) -> Result<(), Result<Answer, Ours>> {
    let known = &mut passage.known;
    match step {
        Step::Https(port) => to_https(request, *port).map_or(Ok(()), |answer| Err(Ok(answer))),
        Step::Rewrite(rewrite) => {
            known.keep_asked(request);
            known.stripped.clear();
            rewrite.take(request, known).ok_or_else(|| Err(Ours::new(400, "no path comes of this request")))
        }
        Step::StripPrefix(prefix) => {
            known.keep_asked(request);
            if let Some(names) = prefix.take(request) {
                known.stripped.extend_from_slice(&names);
            }
            Ok(())
        }
        Step::Field(change) => {
            let value = change.value(request, known);
            match change.of {
                Of::Request => change.take(&mut request.fields, value),
                Of::SecureAnswer if request.scheme == Scheme::Http => {}
                Of::Answer | Of::SecureAnswer => passage.effects.push(Effect::Field(change, value)),
            }
            Ok(())
        }
        Step::Access(access) => access.take(known).map_err(Err),
        Step::Limit(limit) => limit.take(request, known, &mut passage.kept).map_err(Err),
        Step::Login(login) => login.take(request, known).await.map_err(Err),
        // Large, and rare beside the others.
        Step::Ask(ask) => {
            let asked = ask.take(site.proxy(ask.proxy), request, known, peer(site, request));
            passage.cookies.extend(Box::pin(asked).await?);
            Ok(())
        }
        Step::Compress(compression) => {
            // The nearest holds, also where it says that nothing is encoded.
            passage.effects.retain(|effect| !matches!(effect, Effect::Compress(..)));
            passage.is_plain = compression.levels.is_empty();
            if !passage.is_plain {
                passage.effects.push(Effect::Compress(compression, Wanted::of(request)));
            }
            Ok(())
        }
        Step::ErrorPages(place) => {
            passage.effects.push(Effect::ErrorPages(*place));
            Ok(())
        }
    }
}

/// Whether the word of whoever is connected counts.
fn peer(site: &Site, request: &Request) -> Peer {
    let is_believed = site.description().trust.proxies.iter().any(|proxy| proxy.has(request.client.peer.ip()));
    if is_believed { Peer::Believed(site.description().trust.says) } else { Peer::Stranger }
}

/// Lets an action answer, within the time it has.
async fn carry_out(site: &Site, action: &Action, request: Box<Request>, passage: &Passage<'_>) -> Result<Answer, Ours> {
    let made = match passage.kept.within {
        None => act(site, action, request, &passage.known).await,
        Some(within) => match timeout(within, Box::pin(act(site, action, request, &passage.known))).await {
            Ok(made) => made,
            Err(_) => return Err(Ours::new(504, "the answer took too long")),
        },
    };
    // Whatever became of it: its body was not whole.
    let overrun = passage.kept.overrun.iter().any(super::limit::Overrun::happened);
    if overrun { Err(super::limit::too_large()) } else { made }
}

async fn act(site: &Site, action: &Action, mut request: Box<Request>, known: &Known) -> Result<Answer, Ours> {
    if matches!(action, Action::FastCgi(_) | Action::Proxy(_)) {
        trace::pass_on(&mut request);
    }
    match action {
        Action::Root(root) => match site.folder(root.folder) {
            Some(files) => Box::pin(root::answer(files, root, *request, known)).await,
            None => Err(Ours::new(404, "nothing of that name is here")),
        },
        Action::Respond(respond) => Ok(respond.answer()),
        Action::Redirect(redirect) => Ok(redirect.answer(&request, known)),
        Action::FastCgi(place) => {
            let nothing = || Ours::new(404, "nothing of that name is here");
            let application = site.application(*place).ok_or_else(nothing)?;
            let asked = Asked {
                target: known.asked.clone(),
                account: known.account().map(Box::from),
                address: Some(known.address()),
                claims: match peer(site, &request) {
                    Peer::Believed(says) => Claims::Told(says),
                    Peer::Stranger => Claims::Untold,
                },
                stripped: known.stripped().into(),
            };
            Box::pin(application.answer(*request, &asked)).await.ok_or_else(nothing)
        }
        // Large, and rare beside files.
        Action::Run(run) => Box::pin(run.answer(site.runner(), *request, known)).await,
        Action::Proxy(place) => match site.proxy(*place) {
            Some(proxy) => {
                let made = Box::pin(Rc::clone(proxy).ask(request, known.address())).await;
                made.map_err(|fault| Ours::new(fault.status(), fault.told()))
            }
            None => Err(Ours::new(404, "nothing of that name is here")),
        },
    }
}

/// Whether whoever answered has chosen the coding of its files already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoded {
    ByFolder,
    ByNobody,
}

fn encoded(site: &Site, action: &Action) -> Encoded {
    let Action::Root(root) = action else { return Encoded::ByNobody };
    let folder = site.description().folders.get(root.folder);
    let encodes = folder.is_some_and(|folder| !folder.settings.compression.levels.is_empty());
    if encodes { Encoded::ByFolder } else { Encoded::ByNobody }
}

/// Does to the answer what was written on the way, from the inside out.
async fn finished(site: &Site, made: Result<Answer, Ours>, encoded: Encoded, passage: Passage<'_>) -> Answer {
    let Passage { effects, cookies, kept, form, .. } = passage;
    let (mut answer, mut is_ours) = match made {
        Ok(answer) => (answer, false),
        Err(ours) => (ours.page(form), true),
    };
    for effect in effects.into_iter().rev() {
        match effect {
            Effect::Field(change, value) => change.take(&mut answer.fields, value),
            // What somebody else said of it stays as it is, and a program that wants JSON gets JSON.
            Effect::ErrorPages(place) if is_ours && form == Form::Html => {
                let Some(files) = site.folder(place) else { continue };
                let page = Box::pin(files.error_page(answer.status, Batch::begin())).await;
                let Some(page) = page else { continue };
                for name in ["content-type", "content-encoding"] {
                    answer.fields.remove(name);
                }
                let answer_now = answer.with("content-type", page.description().media_type());
                answer = answer_now.over(Body::Bytes(Bytes::copy_from_slice(page.body())));
                is_ours = false;
            }
            Effect::ErrorPages(_) => {}
            // A folder keeps its files encoded, and has found which of them gain by it.
            Effect::Compress(..)
                if encoded == Encoded::ByFolder && (answer.status == 304 || matches!(answer.body, Body::Stored(_))) => {
            }
            Effect::Compress(compression, wanted) => {
                answer = Box::pin(compressed(answer, &wanted, compression)).await;
            }
        }
    }
    cookies.give(&mut answer);
    holding(answer, kept.places)
}
