//! A request that cannot be answered at once: a file that is not in memory, the desk, anything but a plain GET.
//!
//! The head is copied out of the buffer, so that the body can be read through it.

use std::io;
use std::rc::Rc;

use sportello_net::Ended;
use sportello_service::certificates::answers::BENEATH;
use sportello_service::desk::{self, Desk};
use sportello_service::files::{
    Content, Files, Found, HotFile, LargeFile, PackedFile, Taste, Whole, preferred_form, represent,
};
use sportello_service::site::Site;
use sportello_service::web::{Answer, Body, Incoming};
use sportello_wire::http1::body::Framing;
use sportello_wire::http1::condition::Outcome;
use sportello_wire::http1::field::Known;
use sportello_wire::http1::head::parse;
use sportello_wire::http1::range::Part;
use sportello_wire::http1::target::Target;
use sportello_wire::http1::{Head, Method, Persistence, Refusal};

use super::budget::Share;
use super::coming::Intake;
use super::guard::Claim;
use super::intake::{self, Expectation, IntakeError, Keep};
use super::memory::{self, Arrival};
use super::neutral::Raw;
use super::representation;
use super::session::{End, Next, Session};
use super::told::{self, Asked};
use super::{BODIES, COPY_BELOW, Served, UNREAD_MOST, clock, fault, guard, neutral};

/// Who answers a request that was admitted.
enum Answerer<'a> {
    Site(Rc<Site>),
    Desk(&'a Desk),
}

impl Session<'_> {
    /// Answers the one request at the beginning of the input, whose head has so many bytes.
    pub(super) async fn ask(&mut self, length: usize, arrival: Arrival) -> Result<Next, Ended> {
        let raw = Raw::of(self.input.filled().get(..length).unwrap_or_default());
        // Invariant: what was whole in the buffer is whole in its copy.
        let Ok(Some(head)) = parse(raw.bytes(), &self.service.limits.head) else { return Ok(Next::End(End::Linger)) };
        self.input.consume(length);
        // What was asked before must not wait for this.
        self.flush().await?;
        let text = String::from_utf8_lossy;
        self.connection.set_doing(format_args!("{} {}", text(head.verb), text(head.raw_target)));
        let number = self.connection.request_number();
        match self.carry_out(&head, &raw, arrival).await {
            Ok(next) => Ok(next),
            Err(IntakeError::Ended(ended)) => {
                // Nobody has told of it: it was not answered.
                if self.connection.request_number() == number {
                    let said = self.unanswered(&ended, arrival);
                    told::answered((self.connection, &self.service), &Asked::of(&head), None, said);
                }
                Err(ended)
            }
            Err(IntakeError::Refused(refusal)) => {
                // The framing of what follows is lost.
                let page = fault::page(&head.fields, refusal.status(), &refusal.to_string());
                self.send(&head, page, Next::End(End::Linger), arrival).await
            }
            Err(IntakeError::Spent(spent)) => {
                self.send(&head, fault::spent(&head.fields, spent), Next::End(End::Linger), arrival).await
            }
        }
    }

    async fn carry_out(&mut self, head: &Head<'_>, raw: &Raw, arrival: Arrival) -> Result<Next, IntakeError> {
        if let Some(answer) = self.answer_to_ca(head) {
            let next = self.skip_body(head).await?;
            return Ok(self.send(head, answer, next, arrival).await?);
        }
        let reach = memory::reach(self.connection);
        let service = Rc::clone(&self.service);
        let admitted = match &*service.served {
            Served::Sites(sites) => {
                let secured = self.connection.secured().map(|secured| &**secured);
                guard::asked_alike(service.terms.as_deref(), secured, head.named)
                    .and_then(|()| guard::site(&Claim::of(head), reach, sites))
                    .map(Answerer::Site)
            }
            Served::Desk(desk) => guard::admit(&Claim::of(head), reach).map(|()| Answerer::Desk(desk)),
        };
        match (admitted, head.target) {
            (Err(foreign), _) => {
                let next = self.skip_body(head).await?;
                Ok(self.send(head, fault::foreign(&head.fields, foreign), next, arrival).await?)
            }
            (Ok(_), Target::Asterisk) => {
                let next = self.skip_body(head).await?;
                Ok(self.send(head, options(), next, arrival).await?)
            }
            (Ok(Answerer::Site(site)), Target::Path { path, query }) => {
                if let Some(answer) = self.sent_to_https(&site, head, raw, (path, query)) {
                    let next = self.skip_body(head).await?;
                    return Ok(self.send(head, fault::worded(&head.fields, answer), next, arrival).await?);
                }
                match site.plain() {
                    // Large, as is all that reads files.
                    Some(files) => Box::pin(self.read_folder(files, head, (path, query), arrival)).await,
                    None => self.ask_site(site, head, raw, (path, query), arrival).await,
                }
            }
            (Ok(Answerer::Desk(desk)), Target::Path { path, query }) => {
                let answer = Box::pin(self.ask_desk(desk, head, (path, query))).await?;
                let next = self.next(head);
                Ok(self.send(head, answer, next, arrival).await?)
            }
        }
    }

    async fn ask_desk(
        &mut self,
        desk: &Desk,
        head: &Head<'_>,
        target: (&[u8], Option<&[u8]>),
    ) -> Result<Answer, IntakeError> {
        // Given back with the body: the answer may take its time.
        let mut share = Share::of(&BODIES);
        let request = self.request(head, target, &mut share).await?;
        Ok(desk.answer(request).await)
    }

    /// What a CA is answered that asks whether a name is ours (RFC 8555 §8.3): before any site is looked for, since the question is about
    /// the name, and what a site says of plain HTTP or of strangers is no answer to it.
    fn answer_to_ca(&self, head: &Head<'_>) -> Option<Answer> {
        let Target::Path { path, .. } = head.target else { return None };
        if !path.starts_with(BENEATH.as_bytes()) || !matches!(head.method, Method::Get | Method::Head) {
            return None;
        }
        let answer = self.service.answers.of(std::str::from_utf8(path).ok()?)?;
        Some(Answer::bytes(200, "application/octet-stream", Vec::from(answer.as_bytes())))
    }

    /// What a channel says that only sends elsewhere. Asked when the site is known: a host that is nobody's is sent nowhere. A path that
    /// cannot be read is told so here.
    fn sent_to_https(&self, site: &Site, head: &Head<'_>, raw: &Raw, target: (&[u8], Option<&[u8]>)) -> Option<Answer> {
        let port = self.service.https?;
        match neutral::request(head, raw, target, neutral::client(self.connection), Incoming::Empty) {
            Ok(request) => site.to_https(&request, port),
            Err(bad) => Some(fault::page(&head.fields, 400, &bad.to_string())),
        }
    }

    /// Leads the request through a site that has more to say than which folder it is.
    async fn ask_site(
        &mut self,
        site: Rc<Site>,
        head: &Head<'_>,
        raw: &Raw,
        target: (&[u8], Option<&[u8]>),
        arrival: Arrival,
    ) -> Result<Next, IntakeError> {
        let (intake, body) = Intake::new(head.framing)?;
        match neutral::request(head, raw, target, neutral::client(self.connection), body) {
            Ok(request) => {
                let notes = Rc::clone(&request.notes);
                notes.is_read(arrival.at);
                self.exchange(head, (Box::pin(site.answer(request)), notes), intake, arrival).await
            }
            Err(bad) => {
                let next = self.skip_body(head).await?;
                Ok(self.send(head, fault::page(&head.fields, 400, &bad.to_string()), next, arrival).await?)
            }
        }
    }

    async fn read_folder(
        &mut self,
        files: &Files,
        head: &Head<'_>,
        (path, query): (&[u8], Option<&[u8]>),
        arrival: Arrival,
    ) -> Result<Next, IntakeError> {
        let next = self.skip_body(head).await?;
        let answer = match head.method {
            Method::Get | Method::Head => {
                let form = preferred_form(head.fields.values("accept"));
                let taste = Taste { form, order: memory::order(files, head) };
                match files.find(path, query, taste, arrival.batch).await {
                    Ok(Found::Hot(file)) => return Ok(self.send_hot(head, &file, next, arrival).await?),
                    Ok(Found::Large(file)) => {
                        return Ok(match file.packed() {
                            Ok(file) => self.send_packed(head, file, next, arrival).await?,
                            Err(file) => self.send_large(head, *file, next, arrival).await?,
                        });
                    }
                    Ok(Found::Answer(answer)) => answer,
                    Err(failure) => fault::failed(&head.fields, &failure),
                }
            }
            Method::Options => options(),
            // RFC 9110 §15.6.2: a method that no resource here could have.
            Method::Other if !fault::is_common(head.verb) => {
                fault::page(&head.fields, 501, "this server knows no such method")
            }
            _ => fault::page(&head.fields, 405, "this folder can only be read"),
        };
        // RFC 9110 §10.2.1
        let answer = if matches!(answer.status, 405 | 501) { answer.with("allow", ALLOWED) } else { answer };
        let answer = fault::dressed(answer, &head.fields, files, arrival.batch).await;
        let answer = files.compressed(answer, head.method, head.fields.values("accept-encoding")).await;
        Ok(self.send(head, answer, next, arrival).await?)
    }

    async fn send_hot(
        &mut self,
        head: &Head<'_>,
        file: &Rc<HotFile>,
        next: Next,
        arrival: Arrival,
    ) -> Result<Next, Ended> {
        let beginning = self.beginning(arrival);
        let out = self.outbox.open();
        let before = out.len();
        let decided = representation::begin_hot(out, head, file, next.said(head), &clock::second());
        let bytes = (out.len() - before) as u64 + decided.content.length();
        let sent = self.send_content(&Whole::Hot(Rc::clone(file)), &decided.content).await.map(|()| bytes);
        let said = self.said(&beginning, decided.status, &sent);
        told::answered((self.connection, &self.service), &Asked::of(head), None, said);
        sent.map(|_| next)
    }

    async fn send_large(
        &mut self,
        head: &Head<'_>,
        file: LargeFile,
        next: Next,
        arrival: Arrival,
    ) -> Result<Next, Ended> {
        let beginning = self.beginning(arrival);
        let out = self.outbox.open();
        let before = out.len();
        let decided = representation::begin(out, head, &file.description, next.said(head), &clock::second());
        let bytes = (out.len() - before) as u64 + decided.content.length();
        let sent = self.send_content(&Whole::Large(Rc::new(file)), &decided.content).await.map(|()| bytes);
        let said = self.said(&beginning, decided.status, &sent);
        told::answered((self.connection, &self.service), &Asked::of(head), None, said);
        sent.map(|_| next)
    }

    /// Sends the content of an answer from where it is. A file that was cut short meanwhile ends the connection: less than was promised
    /// is never passed off as all.
    pub(super) async fn send_content(&mut self, file: &Whole, content: &Content) -> Result<(), Ended> {
        match (file, content) {
            (_, Content::One(range)) if range.is_empty() => {}
            // A body in memory is addressable.
            (Whole::Hot(file), Content::One(range)) if range.end - range.start < COPY_BELOW as u64 => {
                self.outbox.open().extend_from_slice(file.part(range.start as usize..range.end as usize));
            }
            (Whole::Hot(file), Content::One(range)) => {
                let part = file.part(range.start as usize..range.end as usize);
                self.connection.write_parts(&[self.outbox.bytes(), part]).await?;
                self.outbox.clear();
            }
            (Whole::Hot(file), Content::Parts(parts)) => {
                let part = |part: &Part| file.part(part.start as usize..part.end() as usize);
                let pieces = parts.pieces().iter().flat_map(|piece| [&*piece.lines, part(&piece.part)]);
                let whole: Vec<&[u8]> = [self.outbox.bytes()].into_iter().chain(pieces).chain([parts.end()]).collect();
                self.connection.write_parts(&whole).await?;
                self.outbox.clear();
            }
            (Whole::Open(file), Content::One(range)) => {
                self.flush().await?;
                self.connection.send_file(file, range.start, range.end - range.start).await?;
            }
            // Only a site's own files are asked for in parts.
            (Whole::Open(_), Content::Parts(_)) => return Err(Ended::Io(io::ErrorKind::Unsupported.into())),
            (Whole::Large(file), Content::One(range)) => {
                self.flush().await?;
                self.send_part(file, range.start, range.end).await?;
            }
            (Whole::Large(file), Content::Parts(parts)) => {
                for piece in parts.pieces() {
                    self.outbox.open().extend_from_slice(&piece.lines);
                    self.flush().await?;
                    self.send_part(file, piece.part.start, piece.part.end()).await?;
                }
                self.outbox.open().extend_from_slice(parts.end());
            }
        }
        Ok(())
    }

    /// Sends a large file that is encoded meanwhile.
    async fn send_packed(
        &mut self,
        head: &Head<'_>,
        file: PackedFile,
        next: Next,
        arrival: Arrival,
    ) -> Result<Next, Ended> {
        let answer = match representation::outcome(head, &file.description, &clock::second()) {
            Outcome::Send(_) => file.answer(),
            outcome => {
                let represented = represent(outcome, &file.description);
                Answer { status: represented.status, fields: represented.fields, body: Body::Empty }
            }
        };
        self.send(head, answer, next, arrival).await
    }

    /// Sends a part of a large file. Its last bytes are held back until it is seen that the file was not rewritten meanwhile.
    async fn send_part(&mut self, file: &LargeFile, start: u64, end: u64) -> Result<(), Ended> {
        let held_back = end.saturating_sub(HELD_BACK).max(start);
        self.connection.send_file(&file.file, start, held_back - start).await?;
        if file.was_rewritten() {
            return Err(Ended::Io(io::ErrorKind::InvalidData.into()));
        }
        self.connection.send_file(&file.file, held_back, end - held_back).await
    }

    /// Reads past a body that no one wants, and says what becomes of the connection. One that is too long, or that the client
    /// holds back until it is asked for (RFC 9110 §10.1.1), is not read: then the connection ends with the answer.
    async fn skip_body(&mut self, head: &Head<'_>) -> Result<Next, IntakeError> {
        if head.framing == Framing::Length(0) {
            return Ok(self.next(head));
        }
        if head.present.has(Known::Expect) {
            return Ok(Next::End(End::Linger));
        }
        let (connection, input) = (&mut *self.connection, &mut self.input);
        let read = intake::read(connection, input, head.framing, Expectation::None, Keep::Nothing, UNREAD_MOST);
        match Box::pin(read).await {
            Ok(_) => Ok(self.next(head)),
            Err(IntakeError::Refused(Refusal::LargeBody)) => Ok(Next::End(End::Linger)),
            Err(error) => Err(error),
        }
    }

    /// The request as a service takes it, its body read whole.
    async fn request(
        &mut self,
        head: &Head<'_>,
        (path, query): (&[u8], Option<&[u8]>),
        share: &mut Share<'_>,
    ) -> Result<desk::Request, IntakeError> {
        let expectation = if head.present.has(Known::Expect) { Expectation::Continue } else { Expectation::None };
        let (connection, input) = (&mut *self.connection, &mut self.input);
        let body =
            intake::read(connection, input, head.framing, expectation, Keep::All(share), self.service.limits.body)
                .await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let field = |(name, value): (&[u8], &[u8])| {
            let name = text(name).to_ascii_lowercase();
            // RFC 9112 §3.2.2: the authority of an absolute target takes the place of Host.
            let value = if name == "host" { head.host } else { value };
            (name, value.to_vec())
        };
        Ok(desk::Request {
            method: text(head.verb),
            path: text(path),
            query: query.map(text),
            fields: head.fields.map(field).collect(),
            body,
            peer: self.connection.peer(),
        })
    }

    /// What becomes of the connection when this request's body is read.
    fn next(&self, head: &Head<'_>) -> Next {
        match memory::persistence(self.connection, head) {
            Persistence::KeepAlive => Next::Request,
            Persistence::Close => Next::End(self.last()),
        }
    }
}

/// The end of a large file that is sent last of all.
const HELD_BACK: u64 = 64 * 1024;
/// What may be asked of a folder.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

fn options() -> Answer {
    Answer::empty(204).with("allow", ALLOWED)
}
