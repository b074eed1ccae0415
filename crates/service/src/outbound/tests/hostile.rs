//! Servers that do not mean it well.

use super::*;

/// What a server that behaves so makes of a message, and what it was told.
async fn against(instead: fn(&str) -> Option<String>) -> (Carried<Kept>, Server) {
    let manners = Manners { offers: vec!["PIPELINING"], instead: Some(instead), ..Manners::default() };
    let server = Server::start("127.0.0.1:0", manners).await;
    (carried(&server).await, server)
}

async fn check(instead: fn(&str) -> Option<String>, expect: &str) -> Server {
    let (carried, server) = against(instead).await;
    let said = only(&carried);
    assert!(
        said.contains(expect) && said.starts_with(&expect[..1]),
        "{said} and not {expect}: {}",
        carried.conversation
    );
    assert!(carried.kept.is_none() || !expect.starts_with("~4.4.2"), "a server that cannot be believed is left");
    assert!(carried.conversation.len() < 8 * 1024);
    server
}

/// This reply to lines that begin so.
fn at(line: &str, begin: &str, reply: &str) -> Option<String> {
    line.starts_with(begin).then(|| reply.to_owned())
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_left() {
    check(|line| line.is_empty().then(|| "220-still greeting\r\n".repeat(10_000)), "~4.4.2").await;
    check(|line| line.is_empty().then(|| "2".repeat(1 << 20)), "~4.4.2").await;
    check(|line| at(line, "EHLO", &"250-MORE\r\n".repeat(10_000)), "~4.4.2").await;
    check(|line| at(line, "MAIL", &"250-Ok\r\n".repeat(10_000)), "~4.4.2").await;
}

#[tokio::test]
async fn a_server_that_answers_before_it_is_asked_has_taken_nothing() {
    let server = check(|line| at(line, "EHLO", "250 a\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n250 Ok\r\n"), "~4.4.2").await;
    assert!(!server.has("MAIL"));
    let server = check(|line| at(line, "DATA", "354 Go\r\n250 Ok: queued\r\n"), "~4.4.2").await;
    assert!(server.texts().is_empty());
}

#[tokio::test]
async fn later_is_later_for_ever_and_never_is_never() {
    check(|line| line.is_empty().then(|| "450 Later\r\n".to_owned()), "~4.0.0 450 Later").await;
    check(|line| at(line, "MAIL", "450 Later\r\n"), "~4.0.0 450 Later").await;
    check(|line| at(line, "RCPT", "450 4.2.0 Later\r\n"), "~4.2.0 450 4.2.0 Later").await;
    check(|line| at(line, "RCPT", "550 5.1.1 No\r\n"), "-5.1.1 550 5.1.1 No").await;
    let server = check(|line| at(line, "END", "554 5.6.0 I did not like it\r\n"), "-5.6.0 554").await;
    assert_eq!(server.texts().len(), 1);
}

#[tokio::test]
async fn goodbye_in_the_midst_is_later() {
    check(|line| at(line, "MAIL", "421 4.3.2 Bye\r\n"), "~4.3.2 421").await;
    check(|line| at(line, "RCPT", "421 Bye\r\n"), "~4.0.0 421").await;
    check(|line| at(line, "END", "421 Bye\r\n"), "~4.0.0 421").await;
}

#[tokio::test]
async fn whoever_has_the_message_and_does_not_say_so_keeps_it_from_the_others() {
    fn silent(line: &str) -> Option<String> {
        (line == "END").then(|| "250".to_owned())
    }
    // It ends its side in the middle of its reply.
    fn closing(line: &str) -> Option<String> {
        if line == "DATA" { Some("354 Go\r\n".to_owned()) } else { silent(line) }
    }
    let first = {
        let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while let Ok((mut stream, _)) = listener.accept().await {
                // Everything at its time, but for the end.
                let mut bytes = [0; 4_096];
                for reply in ["220 a\r\n", "502 No\r\n", "250 a\r\n", "250 Ok\r\n", "250 Ok\r\n", "354 Go\r\n"] {
                    stream.write_all(reply.as_bytes()).await.unwrap();
                    let _ = stream.read(&mut bytes).await.unwrap();
                }
            }
        });
        address
    };
    let second =
        Server::start(&format!("127.0.0.3:{}", first.port()), Manners { instead: Some(closing), ..Manners::default() })
            .await;
    let hosts = [mx(1, "first"), mx(2, "second")];
    let table = Table::default().with("d.example", Kind::Mx, &hosts);
    let table = table.address("first", "127.0.0.2").address("second", "127.0.0.3");
    let carried = outbound(settings(first.port()), table).carry(batch("d.example", &["b@d.example"]), None).await;
    assert!(
        only(&carried).contains("may have been taken") && only(&carried).starts_with("~4.4.2"),
        "{}",
        only(&carried)
    );
    assert!(!second.has("CONNECTED"));
}

#[tokio::test]
async fn bytes_behind_the_reply_to_starttls_end_it() {
    fn injecting(line: &str) -> Option<String> {
        match line {
            "STARTTLS" => Some("220 Go\r\n250-there.example\r\n250 AUTH PLAIN\r\n".to_owned()),
            line if line.starts_with("EHLO") => Some("250-there.example\r\n250 STARTTLS\r\n".to_owned()),
            _ => None,
        }
    }
    let server = check(injecting, "~4.4.2").await;
    assert!(!server.has("MAIL"));
}

#[tokio::test]
async fn a_size_that_is_too_small_is_believed_and_one_that_is_a_lie_costs_nothing() {
    let server = check(|line| at(line, "EHLO", "250-a\r\n250 SIZE 5\r\n"), "-5.3.4").await;
    assert!(!server.has("MAIL"));
    check(|line| at(line, "EHLO", "250-a\r\n250 SIZE 99999999999999999999999\r\n"), "+2.0.0 250").await;
}

#[tokio::test]
async fn eight_bits_go_only_where_they_are_taken() {
    let server = Server::start("127.0.0.1:0", Manners { offers: vec!["PIPELINING"], ..Manners::default() }).await;
    let outbound = outbound(settings(server.address.port()), table(server.address));
    let with = |body: &'static str, recipient: &str| Batch {
        body: StoredBody::Memory(body.into()),
        ..batch("d.example", &[recipient])
    };
    let said = async |batch| only(&outbound.carry(batch, None).await);
    assert!(said(with("A: b\r\n\r\nü\r\n", "b@d.example")).await.starts_with("-5.6.3"));
    assert!(said(with("A: b\r\n\r\nbare\nline\r\n", "b@d.example")).await.starts_with("-5.6.3"));
    assert!(said(with("A: b\r\n\r\nx\r\n", "ü@d.example")).await.starts_with("-5.6.7"));
    assert!(said(with("A: b\r\n\r\nx\r\n", "b@ü.example")).await.starts_with('+'));
    assert!(server.has("RCPT TO:<b@xn--tda.example>"));
}
