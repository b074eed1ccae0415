//! The session over real sockets: what the state machine's own tests cannot see.

mod deadlines;
mod domains;
mod sources;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use sportello_net::limit::Limit;
use sportello_net::{Channel, Deadlines, Listener, Serve, Speaker, Workers};
use sportello_store::{ListPage, MailboxId, MessageRow, StoredBody};

use super::*;

struct Smtp(Rc<Service>);

impl Serve for Smtp {
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + 'static {
        serve(connection, Rc::clone(&self.0))
    }
}

/// A mail server of one worker with a store of its own.
struct Server {
    address: SocketAddr,
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
    store: Store,
    folder: PathBuf,
    runtime: tokio::runtime::Runtime,
    conversations: Conversations,
    refusals: Arc<Refusals>,
}

fn server() -> Server {
    server_with(Settings::default(), Deadlines::default())
}

fn server_with(settings: Settings, deadlines: Deadlines) -> Server {
    server_asking(settings, deadlines, |_| None)
}

/// One whose sessions ask the office that is made for its store, if one is.
fn server_asking(settings: Settings, deadlines: Deadlines, office: impl FnOnce(&Store) -> Option<Office>) -> Server {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("sportello-smtp-{}-{number}", std::process::id()));
    let store = Store::open(sportello_store::Settings::new(&folder)).unwrap();
    let channel = Channel { name: "mail".into(), ..sportello_net::simulation::channel(Speaker::Server, deadlines) };
    let listener = Listener::bind(channel, 1).unwrap();
    let address = listener.channel().address;
    let mail = store.clone();
    let conversations = Conversations::default();
    let keeper = conversations.clone();
    let (office, purpose) = (office(&store), settings.purpose);
    let policy = Arc::new(Policy::new(&settings));
    let refusals = Arc::clone(policy.refusals());
    let make = move |_: &Workers, _| {
        let service = Service::new(mail.clone(), "mx.example.org", Arc::clone(&policy), keeper.clone());
        Smtp(Rc::new(match &office {
            Some(office) => service.asking(office.clone(), purpose),
            None => service,
        }))
    };
    let (workers, threads) = Workers::start(vec![listener], Limit::new(100, 100), make).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Server { address, workers, threads, store, folder, runtime, conversations, refusals }
}

impl Server {
    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Client { reader: BufReader::new(stream) };
        assert_eq!(client.reply(), "220 mx.example.org ESMTP Sportello");
        client
    }

    fn messages(&self) -> Vec<MessageRow> {
        let page = ListPage { mailbox: MailboxId::INBOX, before: None, limit: ListPage::MOST };
        self.runtime.block_on(self.store.list(page)).unwrap()
    }

    fn body(&self, message: &MessageRow) -> Vec<u8> {
        match self.runtime.block_on(self.store.body(message.id)).unwrap().unwrap() {
            StoredBody::Memory(bytes) => bytes.to_vec(),
            StoredBody::File { file, .. } => {
                let mut bytes = Vec::new();
                (&*file).read_to_end(&mut bytes).unwrap();
                bytes
            }
        }
    }

    /// Waits until no connection is open and no body is held.
    fn wait_until_nothing_is_left(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.runtime.block_on(self.workers.report(1)).is_empty() || self.store.figures().memory_bytes > 0 {
            assert!(Instant::now() < until, "something is left behind");
            std::thread::yield_now();
        }
    }

    /// Stops when the clients have left: the server would linger for them.
    fn stop<C>(self, clients: C) {
        drop(clients);
        self.runtime.block_on(self.workers.drain());
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.runtime.block_on(self.store.close());
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end_matches("\r\n").to_owned()
    }

    /// The codes of the next replies, each of one line.
    fn expect(&mut self, codes: &[u16]) -> &mut Self {
        for code in codes {
            let reply = self.reply();
            assert!(reply.starts_with(&format!("{code} ")), "{code} expected: {reply:?}");
        }
        self
    }

    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.escape_ascii().to_string(), "");
    }
}

const ENVELOPE: &str = "HELO c\r\nMAIL FROM:<alice@a>\r\nRCPT TO:<bob@b>\r\nDATA\r\n";

#[test]
fn a_message_is_stored_byte_for_byte_behind_our_fields() {
    let server = server();
    let mut client = server.client();
    client.send("EHLO client.example.com\r\n");
    while client.reply().as_bytes().get(3) == Some(&b'-') {}
    client.send("MAIL FROM:<alice@a>\r\nRCPT TO:<bob@b>\r\nDATA\r\n").expect(&[250, 250, 354]);
    client.send("From: =?utf-8?Q?Andr=C3=A9?= <a@b>\r\nSubject: hello\r\n\r\n..dot\r\n\u{e9}\r\n.\r\n");
    let [message] = &server.messages_after(|| client.reply())[..] else { panic!("one message") };
    assert_eq!(message.envelope.sender, "alice@a");
    assert_eq!(message.envelope.recipients, ["bob@b"]);
    assert_eq!((message.summary.from.as_str(), message.summary.subject.as_str()), ("André <a@b>", "hello"));
    assert_eq!((message.origin.helo.as_str(), message.origin.channel.as_str()), ("client.example.com", "mail"));
    let body = String::from_utf8(server.body(message)).unwrap();
    let (ours, theirs) = body.split_at(body.find("From: =?").unwrap());
    assert_eq!(theirs, "From: =?utf-8?Q?Andr=C3=A9?= <a@b>\r\nSubject: hello\r\n\r\n.dot\r\n\u{e9}\r\n");
    let begin = format!(
        "Return-Path: <alice@a>\r\nReceived: from client.example.com ([127.0.0.1])\r\n\tby mx.example.org with ESMTP id \
         {}\r\n\tfor <bob@b>;\r\n\t",
        message.id
    );
    assert!(ours.starts_with(&begin) && ours.ends_with("+0000\r\n"), "{ours}");
    server.stop(client);
}

impl Server {
    /// The Inbox after a reply that must name the queue id of its newest message.
    fn messages_after(&self, reply: impl FnOnce() -> String) -> Vec<MessageRow> {
        let reply = reply();
        let messages = self.messages();
        let newest = messages.iter().map(|message| message.id).max().unwrap();
        assert_eq!(reply, format!("250 2.0.0 Ok: queued as {newest}"));
        messages
    }
}

#[test]
fn a_text_without_header_is_parted_from_our_fields_by_an_empty_line() {
    let server = server();
    let mut client = server.client();
    client.send("HELO c\r\n").expect(&[250]);
    let long = format!("{}: x\r\n", "n".repeat(300));
    for (text, parted) in [
        ("Hello\r\n", true),
        ("Subject: x\r\n\r\nHello\r\n", false),
        ("\r\nHello\r\n", false),
        ("", false),
        ("n\r\n", true),
        (&long, true),
    ] {
        client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").expect(&[250, 250, 354]);
        // None of the texts has a dot to double.
        for byte in text.bytes() {
            client.send([byte]);
        }
        client.send(".\r\n");
        let messages = server.messages_after(|| client.reply());
        let newest = messages.iter().max_by_key(|message| message.id).unwrap();
        let body = String::from_utf8(server.body(newest)).unwrap();
        let ours = body.strip_suffix(text).unwrap();
        assert_eq!(ours.ends_with("+0000\r\n\r\n"), parted, "{text:?}: {body}");
        assert_eq!(ours.ends_with("+0000\r\n"), !parted, "{text:?}: {body}");
    }
    server.stop(client);
}

#[test]
fn a_large_message_goes_through_the_spool_whole() {
    let server = server();
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<> SIZE=3000000\r\nRCPT TO:<bob@b>\r\nDATA\r\n").expect(&[250, 250, 250, 354]);
    let line = |number: usize| format!(".{number:070}\r\n");
    let text: String = (0..40_000).map(line).collect();
    let sent: String = (0..40_000).map(|number| format!(".{}", line(number))).collect();
    client.send(&sent).send(".\r\nQUIT\r\n");
    client.expect(&[250, 221]).expect_end();
    let [message] = &server.messages()[..] else { panic!("one message") };
    let body = server.body(message);
    assert!(body.ends_with(text.as_bytes()) && body.len() < text.len() + 1_000);
    server.stop(client);
}

#[test]
fn a_message_in_chunks_goes_through_the_spool_whole() {
    let server = server();
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@b>\r\n").expect(&[250, 250, 250]);
    let body: Vec<u8> = (0..1_500_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let text = [b"Subject: x\r\n\r\n", &body[..]].concat();
    for chunk in text.chunks(400_000) {
        client.send(format!("BDAT {}\r\n", chunk.len())).send(chunk).expect(&[250]);
    }
    client.send("BDAT 0 LAST\r\nQUIT\r\n").expect(&[250, 221]).expect_end();
    let [message] = &server.messages()[..] else { panic!("one message") };
    assert!(server.body(message).ends_with(&text));
    server.stop(client);
}

#[test]
fn a_message_outside_ascii_is_stored_with_its_addresses() {
    let server = server();
    let mut client = server.client();
    client.send("EHLO client.example.com\r\n");
    while client.reply().as_bytes().get(3) == Some(&b'-') {}
    client
        .send("MAIL FROM:<\u{e4}@b\u{fc}cher.example> SMTPUTF8\r\nRCPT TO:<\u{7528}@b>\r\nDATA\r\n")
        .expect(&[250, 250, 354]);
    client.send("Subject: gr\u{fc}n\r\n\r\nx\r\n.\r\n").expect(&[250]);
    let [message] = &server.messages()[..] else { panic!("one message") };
    assert_eq!(message.envelope.sender, "\u{e4}@b\u{fc}cher.example");
    assert_eq!(message.envelope.recipients, ["\u{7528}@b"]);
    assert_eq!(message.summary.subject, "gr\u{fc}n");
    let body = String::from_utf8(server.body(message)).unwrap();
    assert!(body.contains(" with UTF8SMTP id ") && body.contains("for <\u{7528}@b>;"), "{body}");
    server.stop(client);
}

#[test]
fn what_has_not_ended_is_not_stored() {
    let server = server();
    let mut client = server.client();
    client.send(ENVELOPE).expect(&[250, 250, 250, 354]);
    client.send("Subject: x\r\n\r\ntext\r\n.\r");
    drop(client);
    let mut client = server.client();
    client.send(ENVELOPE).expect(&[250, 250, 250, 354]);
    client.send("x".repeat(300_000));
    drop(client);
    // Between two chunks, within one, and before the last one though all of it has come.
    for chunks in ["BDAT 3\r\nabc", "BDAT 3\r\nabcBDAT 300000\r\nabc", "BDAT 3 LAST\r\nab", "BDAT 0\r\n"] {
        let mut client = server.client();
        client.send("HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").expect(&[250, 250, 250]);
        client.send(chunks);
        client.reader.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = String::new();
        client.reader.read_to_string(&mut rest).unwrap();
        assert!(!rest.contains("queued"), "{rest}");
    }
    server.wait_until_nothing_is_left();
    assert_eq!(server.messages().len(), 0);
    server.stop(());
}

#[test]
fn a_client_that_sends_all_and_shuts_down_is_answered() {
    let server = server();
    let mut client = server.client();
    client.send(ENVELOPE).send("text\r\n.\r\n");
    client.reader.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    client.expect(&[250, 250, 250, 354, 250]).expect_end();
    assert_eq!(server.messages().len(), 1);
    server.stop(client);
}

#[test]
fn a_refused_text_leaves_nothing_behind_and_the_session_goes_on() {
    let limits = Limits { message: 100_000, ..Limits::default() };
    let server = server_with(Settings { limits, ..Settings::default() }, Deadlines::default());
    let mut client = server.client();
    client.send(ENVELOPE).expect(&[250, 250, 250, 354]);
    client.send("line\r\n".repeat(50_000)).send(".\r\n");
    assert_eq!(client.reply(), "552 5.3.4 Error: the message is too large");
    client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").expect(&[250, 250, 354]);
    client.send("bare\nline\r\n.\r\nNOOP\r\n");
    assert_eq!(client.reply(), "550 5.5.2 Error: the message has an LF without CR (curl: --crlf)");
    client.expect(&[250]);
    assert_eq!(server.messages().len(), 0);
    client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n").expect(&[250, 250, 354, 250]);
    assert_eq!(server.messages().len(), 1);
    server.stop(client);
}

#[test]
fn who_goes_on_sending_a_refused_text_is_answered_and_left() {
    let limits = Limits { message: 1_000, ..Limits::default() };
    let most = limits.refused_text();
    let server = server_with(Settings { limits, ..Settings::default() }, Deadlines::default());
    let mut client = server.client();
    client
        .send(ENVELOPE)
        .expect(&[250, 250, 250, 354])
        .send("a\n")
        .send("x".repeat(usize::try_from(most).unwrap() + 1));
    client.expect(&[550]).expect_end();
    assert_eq!(server.messages().len(), 0);
    server.stop(client);
}

#[test]
fn the_text_behind_a_refused_data_is_not_kept_with_its_session() {
    let server = server();
    server.conversations.keep_next(1);
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<a@b>\r\nDATA\r\nHelp yourself, the secret is 42\r\nx\r\nQUIT\r\n");
    client.expect(&[250, 250, 554, 214, 500, 221]).expect_end();
    server.wait_until_nothing_is_left();
    let [conversation] = &server.conversations.list()[..] else { panic!("one session") };
    let said: Vec<_> = conversation.lines.iter().map(|line| line.text.as_str()).collect();
    let at = said.iter().position(|line| *line == "DATA").unwrap();
    assert_eq!(said[at + 1], "554 5.5.1 Error: no valid recipients");
    assert_eq!(said[at + 2], "… 33 bytes");
    assert!(said[at + 3].starts_with("214 "), "{said:?}");
    assert_eq!(said[at + 4], "… 3 bytes");
    server.stop(());
}

#[test]
fn a_store_that_is_closed_refuses_for_now() {
    let server = server();
    let mut client = server.client();
    client.send("HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").expect(&[250, 250, 250]);
    server.runtime.block_on(server.store.close());
    client.send("DATA\r\n").expect(&[354]);
    client.send("text\r\n.\r\n");
    assert_eq!(client.reply(), "451 4.3.0 Error: the store takes no mail, try again later");
    client.send("MAIL FROM:<a@b>\r\n").expect(&[451]);
    server.stop(client);
}

#[test]
fn a_server_that_stops_says_so_to_those_who_idle_and_takes_what_is_under_way() {
    let server = server();
    let (mut idle, mut busy) = (server.client(), server.client());
    idle.send("HELO c\r\n").expect(&[250]);
    busy.send("HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").expect(&[250, 250, 250]);
    server.runtime.block_on(server.workers.drain());
    assert_eq!(idle.reply(), "421 4.3.2 The server is shutting down, try again later");
    idle.expect_end();
    busy.send("DATA\r\n").expect(&[354]).send("text\r\n.\r\n").expect(&[250]);
    assert_eq!(busy.reply(), "421 4.3.2 The server is shutting down, try again later");
    busy.expect_end();
    assert_eq!(server.messages().len(), 1);
    server.stop((idle, busy));
}

#[test]
fn another_protocol_is_sent_away_at_once() {
    let server = server();
    for first in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"*1\r\n"] {
        let mut client = server.client();
        client.send(first);
        assert_eq!(client.reply(), "554 5.5.1 Error: this is an SMTP channel");
        client.expect_end();
    }
    server.stop(());
}

#[test]
fn a_session_is_kept_when_it_was_asked_for() {
    let server = server();
    let (mut before, connection) = (server.client(), 2);
    server.conversations.keep_next(1);
    let mut client = server.client();
    before.send("QUIT\r\n").expect(&[221]).expect_end();
    client.send(ENVELOPE).expect(&[250, 250, 250, 354]);
    client.send("Subject: secret\r\n\r\n..secret\r\n.\r\nNOOP\r\n").expect(&[250, 250]);
    client.send("AUTH PLAIN c2VjcmV0\r\n").expect(&[502]);
    client.send("GET /secret HTTP/1.1\r\n\r\n").expect(&[554]).expect_end();
    let [message] = &server.messages()[..] else { panic!("one message") };
    server.wait_until_nothing_is_left();
    let kept = server.conversations.list();
    let [conversation] = &kept[..] else { panic!("one session") };
    assert_eq!((conversation.connection, message.origin.connection), (connection, connection));
    let received = UNIX_EPOCH + Duration::from_millis(message.received_ms);
    assert!(server.conversations.of_message(connection, received).is_some());
    let said: Vec<_> = conversation.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "220 mx.example.org ESMTP Sportello",
            "HELO c",
            "250 mx.example.org",
            "MAIL FROM:<alice@a>",
            "250 2.1.0 Ok",
            "RCPT TO:<bob@b>",
            "250 2.1.5 Ok",
            "DATA",
            "354 End data with <CR><LF>.<CR><LF>",
            "… 32 bytes",
            &format!("250 2.0.0 Ok: queued as {}", message.id),
            "NOOP",
            "250 2.0.0 Ok",
            "AUTH PLAIN …",
            "502 5.5.1 Error: command not implemented",
            "… 22 bytes",
            "554 5.5.1 Error: this is an SMTP channel",
        ]
    );
    assert!(conversation.over && !conversation.cut);
    server.stop(());
}

#[test]
fn a_session_costs_little_while_it_waits() {
    fn size<F>(_: fn(Connection, Rc<Service>) -> F) -> usize {
        size_of::<F>()
    }
    let bytes = size(serve);
    assert!(bytes <= 1_400, "{bytes}");
}
