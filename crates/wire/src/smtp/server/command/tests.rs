use super::parameters::MALFORMED;
use super::*;
use crate::mail::{ForwardPath, Notify, Ret, ReversePath};
use crate::smtp::server::role::Role;

fn mail(sender: &str, size: Option<u64>, body: BodyType) -> Command {
    let sender = ReversePath::parse(format!("<{sender}>").as_bytes()).unwrap().0;
    let utf8 = !sender.is_ascii();
    Command::Mail(Mail { size, body, utf8, ..Mail::from(sender) })
}

fn rcpt(recipient: &str) -> Command {
    Command::Rcpt(ForwardPath::parse(format!("<{recipient}>").as_bytes()).unwrap().0.into())
}

fn check(line: &str, expect: Result<Command, Error>) {
    assert_eq!(Command::parse(line.as_bytes(), Offered::default()), expect, "{line:?}");
}

#[test]
fn commands_that_are_good() {
    use BodyType::{BinaryMime, EightBitMime, SevenBit};
    let bdat = |octets, last| Command::Bdat(Chunk { octets, last });
    for (line, command) in [
        ("EHLO client.example.com", Command::Ehlo("client.example.com".into())),
        ("ehlo [127.0.0.1]", Command::Ehlo("[127.0.0.1]".into())),
        ("EHLO my_machine", Command::Ehlo("my_machine".into())),
        ("HELO x ", Command::Helo("x".into())),
        ("DATA", Command::Data),
        ("data \t ", Command::Data),
        ("RSET", Command::Rset),
        ("NOOP", Command::Noop),
        ("NOOP anything at all", Command::Noop),
        ("VRFY alice", Command::Vrfy),
        ("HELP", Command::Help),
        ("HELP MAIL", Command::Help),
        ("QUIT", Command::Quit),
        ("qUiT", Command::Quit),
        ("MAIL FROM:<a@b>", mail("a@b", None, SevenBit)),
        ("mail from:<a@b>", mail("a@b", None, SevenBit)),
        ("MAIL FROM: <a@b>", mail("a@b", None, SevenBit)),
        ("MAIL FROM:<a@b> ", mail("a@b", None, SevenBit)),
        ("MAIL FROM:<>", mail("", None, SevenBit)),
        ("MAIL FROM:<@x,@y:a@b>", mail("a@b", None, SevenBit)),
        ("MAIL FROM:<\"a> SIZE=1\"@b>", mail("\"a> SIZE=1\"@b", None, SevenBit)),
        ("MAIL FROM:<a@b> SIZE=1000", mail("a@b", Some(1000), SevenBit)),
        ("MAIL FROM:<a@b> SIZE=0", mail("a@b", None, SevenBit)),
        ("MAIL FROM:<a@b> SIZE=99999999999999999999", mail("a@b", Some(u64::MAX), SevenBit)),
        ("MAIL FROM:<a@b> body=8bitmime size=7", mail("a@b", Some(7), EightBitMime)),
        ("MAIL FROM:<a@b> BODY=7BIT", mail("a@b", None, SevenBit)),
        ("MAIL FROM:<a@b> BODY=BinaryMime", mail("a@b", None, BinaryMime)),
        ("MAIL FROM:<\u{e4}@b> SMTPUTF8", mail("\u{e4}@b", None, SevenBit)),
        ("MAIL FROM:<a@\u{e4}> size=7 smtputf8 BODY=8BITMIME", mail("a@\u{e4}", Some(7), EightBitMime)),
        ("RCPT TO:<a@b>", rcpt("a@b")),
        ("RCPT TO:<\u{e4}@b>", rcpt("\u{e4}@b")),
        ("BDAT 0", bdat(0, false)),
        ("BDAT 0 LAST", bdat(0, true)),
        ("bdat 007 last", bdat(7, true)),
        ("BDAT 86400 LAST ", bdat(86_400, true)),
        ("BDAT 18446744073709551615", bdat(u64::MAX, false)),
        ("BDAT 18446744073709551616", bdat(u64::MAX, false)),
        ("BDAT 99999999999999999999 LAST", bdat(u64::MAX, true)),
        ("VRFY \u{e4}@b SMTPUTF8", Command::Vrfy),
        ("rcpt to: <a@b>", rcpt("a@b")),
        ("RCPT TO:<Postmaster>", rcpt("postmaster")),
        ("RCPT TO:<a@[IPv6:::1]>", rcpt("a@[IPv6:::1]")),
    ] {
        check(line, Ok(command));
    }
}

#[test]
fn lines_that_are_none_are_refused() {
    use crate::mail::address::Error as Bad;
    let mail = Error::Syntax("MAIL FROM:<address>");
    let rcpt = Error::Syntax("RCPT TO:<address>");
    for (line, error) in [
        ("", Error::Unknown),
        (" ", Error::Unknown),
        (" NOOP", Error::Unknown),
        ("NOOPS", Error::Unknown),
        ("NOOP\tx", Error::Unknown),
        ("DATA:", Error::Unknown),
        ("XCLIENT ADDR=1.2.3.4", Error::NotBuilt),
        ("XFORWARD NAME=x", Error::NotBuilt),
        ("BURL imap://x LAST", Error::NotBuilt),
        ("SEND FROM:<a@b>", Error::NotBuilt),
        ("SOML FROM:<a@b>", Error::NotBuilt),
        ("SAML FROM:<a@b>", Error::NotBuilt),
        ("ATRN", Error::NotBuilt),
        ("NOOP \u{e4}", Error::EightBit),
        ("HELP \u{e4}", Error::EightBit),
        ("DATA \u{e4}", Error::Syntax("DATA")),
        ("FROB\u{e4}", Error::Unknown),
        ("XEXCH50 1 2", Error::Unknown),
        ("EHLO", Error::Syntax("EHLO domain")),
        ("HELO ", Error::Syntax("HELO domain")),
        ("EHLO two words", Error::Syntax("EHLO domain")),
        ("EHLO tab\tin it", Error::Syntax("EHLO domain")),
        ("EHLO ümlaut", Error::Syntax("EHLO domain")),
        ("DATA x", Error::Syntax("DATA")),
        ("RSET x", Error::Syntax("RSET")),
        ("QUIT x", Error::Syntax("QUIT")),
        ("VRFY", Error::Syntax("VRFY address")),
        ("MAIL", mail),
        ("MAIL FROM", mail),
        ("MAIL FROM <a@b>", mail),
        ("MAIL  FROM:<a@b>", mail),
        ("MAIL TO:<a@b>", mail),
        ("MAILFROM:<a@b>", Error::Unknown),
        ("MAIL FROM:", Error::Sender(Bad::Brackets)),
        ("MAIL FROM:a@b", Error::Sender(Bad::Brackets)),
        ("MAIL FROM:  <a@b>", Error::Sender(Bad::Brackets)),
        ("MAIL FROM:\t<a@b>", Error::Sender(Bad::Brackets)),
        ("MAIL FROM:Alice <a@b>", Error::Sender(Bad::Brackets)),
        ("MAIL FROM:<a b@c>", Error::Sender(Bad::Local)),
        ("MAIL FROM:<alice>", Error::Sender(Bad::NoDomain)),
        ("MAIL FROM:<ä@b>", Error::NonAscii),
        ("MAIL FROM:<a@ä> SIZE=1 BODY=8BITMIME", Error::NonAscii),
        ("MAIL FROM:<a\u{202e}@b> SMTPUTF8", Error::Sender(Bad::Local)),
        ("MAIL FROM:<a@b> SIZE=ä", Error::Syntax("SIZE=octets")),
        ("MAIL FROM:<a@b>SIZE=1", MALFORMED),
        ("MAIL FROM:<a@b>  SIZE=1", MALFORMED),
        ("MAIL FROM:<a@b> =1", MALFORMED),
        ("MAIL FROM:<a@b> SIZE", Error::Syntax("SIZE=octets")),
        ("MAIL FROM:<a@b> SIZE=", Error::Syntax("SIZE=octets")),
        ("MAIL FROM:<a@b> SIZE=-1", Error::Syntax("SIZE=octets")),
        ("MAIL FROM:<a@b> SIZE=1k", Error::Syntax("SIZE=octets")),
        ("MAIL FROM:<a@b> SIZE=123456789012345678901", Error::Syntax("SIZE=octets")),
        ("MAIL FROM:<a@b> SIZE=1 SIZE=2", Error::Syntax("a parameter is given once")),
        ("MAIL FROM:<a@b> BODY=7BIT BODY=8BITMIME", Error::Syntax("a parameter is given once")),
        ("MAIL FROM:<a@b> BODY=BINARY", Error::Syntax("BODY=7BIT, BODY=8BITMIME or BODY=BINARYMIME")),
        ("MAIL FROM:<a@b> BODY", Error::Syntax("BODY=7BIT, BODY=8BITMIME or BODY=BINARYMIME")),
        ("MAIL FROM:<a@b> SMTPUTF8 SMTPUTF8", Error::Syntax("a parameter is given once")),
        ("MAIL FROM:<a@b> SMTPUTF8=1", Error::Syntax("SMTPUTF8 has no value")),
        ("MAIL FROM:<a@b> SMTPUTF8=", Error::Syntax("SMTPUTF8 has no value")),
        ("MAIL FROM:<a@b> ENVID=x", Error::Parameter),
        ("MAIL FROM:<a@b> REQUIRETLS", Error::Parameter),
        ("MAIL FROM:<a@b> SIZE=1 NONSENSE SIZE=2", Error::Parameter),
        ("RCPT TO:<a@b> ORCPT=rfc822;a@b", Error::Parameter),
        ("RCPT TO:<a@b> SMTPUTF8", Error::Parameter),
        ("MAIL FROM:<a@b> AUTH=<>", Error::Parameter),
        ("MAIL FROM:<a@b> RET=HDRS", Error::Parameter),
        ("RCPT", rcpt),
        ("RCPT FROM:<a@b>", rcpt),
        ("RCPT TO:<>", Error::Recipient(Bad::Empty)),
        ("RCPT TO:<a@b> NOTIFY=NEVER", Error::Parameter),
        ("RCPT TO:<a@b>,<c@d>", MALFORMED),
        ("RCPT TO:<a@b> <c@d>", MALFORMED),
        ("RCPT TO:<a@b", Error::Recipient(Bad::Brackets)),
        ("STARTTLS now", Error::Syntax("STARTTLS")),
        ("AUTH PLAIN AGEAYg==", Error::NotBuilt),
        ("EXPN list", Error::NotBuilt),
        ("TURN", Error::NotBuilt),
        ("ETRN example.org", Error::NotBuilt),
        ("BDAT", Error::Bdat),
        ("BDAT ", Error::Bdat),
        ("BDAT LAST", Error::Bdat),
        ("BDAT -1", Error::Bdat),
        ("BDAT +1", Error::Bdat),
        ("BDAT 1 FIRST", Error::Bdat),
        ("BDAT 1 LAST LAST", Error::Bdat),
        ("BDAT 1LAST", Error::Bdat),
        ("BDAT  1", Error::Bdat),
        ("BDAT 1  LAST", Error::Bdat),
        ("BDAT 0x10", Error::Bdat),
        ("BDAT 1.5", Error::Bdat),
        ("BDAT 1\tLAST", Error::Bdat),
        ("BDAT 000000000000000000001", Error::Bdat),
        ("GET / HTTP/1.1", Error::Foreign),
        ("POST /x HTTP/1.1", Error::Foreign),
        ("OPTIONS * HTTP/1.1", Error::Foreign),
        ("PRI * HTTP/2.0", Error::Foreign),
        ("NOOP\0", Error::Control),
        ("MAIL FROM:<a\0@b>", Error::Control),
        ("RCPT TO:<a\x08@b>", Error::Control),
        ("NOOP\rRSET", Error::LineEnd),
        ("NOOP\r", Error::LineEnd),
    ] {
        check(line, Err(error));
    }
}

#[test]
fn a_name_at_the_limit_and_one_octet_beyond() {
    let name = "n".repeat(255);
    check(&format!("EHLO {name}"), Ok(Command::Ehlo(name.as_str().into())));
    check(&format!("EHLO {name}n"), Err(Error::Syntax("EHLO domain")));
}

#[test]
fn the_first_byte_tells_another_protocol() {
    for first in 0..=u8::MAX {
        let letter_or_space = first.is_ascii_alphabetic() || b" \t\r\n".contains(&first);
        assert_eq!(is_foreign(first), !letter_or_space, "{first}");
    }
}

#[test]
fn every_reply_has_codes_of_one_class() {
    use crate::mail::address::Error as Bad;
    for error in [
        Error::TooLong,
        Error::LineEnd,
        Error::Control,
        Error::Foreign,
        Error::Unknown,
        Error::NotBuilt,
        Error::Unencrypted,
        Error::Mechanism,
        Error::Bdat,
        Error::Syntax("x"),
        Error::Parameter,
        Error::Sender(Bad::Local),
        Error::Recipient(Bad::Local),
        Error::NonAscii,
        Error::EightBit,
    ] {
        let reply = error.reply().to_string();
        assert!(reply.starts_with('5') && reply.get(4..6) == Some("5."), "{reply}");
    }
}

/// As a submission channel reads a line that is encrypted.
fn submitted(line: &str) -> Result<Command, Error> {
    Command::parse(line.as_bytes(), Role::Submission.offers(true, OffersBinding::No))
}

#[test]
fn the_parameters_of_reports_are_read() {
    let sender = ReversePath::parse(b"<a@b>").unwrap().0;
    let mail = |ret, envelope_id: Option<&str>, require_tls| {
        let envelope_id = envelope_id.map(Into::into);
        Ok(Command::Mail(Mail { ret, envelope_id, require_tls, ..Mail::from(sender.clone()) }))
    };
    let rcpt = |notify, original: Option<&str>| {
        let path = ForwardPath::parse(b"<a@b>").unwrap().0;
        Ok(Command::Rcpt(Recipient { path, notify, original: original.map(Into::into) }))
    };
    for (line, expect) in [
        ("MAIL FROM:<a@b> RET=hdrs ENVID=QQ+2B1 REQUIRETLS", mail(Some(Ret::Headers), Some("QQ+1"), true)),
        ("MAIL FROM:<a@b> AUTH=<> ret=FULL", mail(Some(Ret::Full), None, false)),
        ("MAIL FROM:<a@b> AUTH=e+3Dmc2@example.com", mail(None, None, false)),
        ("RCPT TO:<a@b> NOTIFY=NEVER", rcpt(Notify::NEVER, None)),
        (
            "RCPT TO:<a@b> ORCPT=rfc822;Bob+2B1@x notify=SUCCESS,delay",
            rcpt("SUCCESS,DELAY".parse().unwrap(), Some("rfc822;Bob+1@x")),
        ),
    ] {
        assert_eq!(submitted(line), expect, "{line}");
    }
}

#[test]
fn parameters_of_reports_that_are_none_are_refused() {
    let envelope_id = Error::Syntax("ENVID=xtext of at most 100 characters");
    let original = Error::Syntax("ORCPT=type;xtext of at most 500 characters");
    let notify = Error::Syntax("NOTIFY=NEVER, or some of SUCCESS,FAILURE,DELAY");
    let once = Error::Syntax("a parameter is given once");
    for (line, error) in [
        ("MAIL FROM:<a@b> ENVID=", envelope_id),
        ("MAIL FROM:<a@b> ENVID", envelope_id),
        // The end of a line, which would begin another field in the report's header.
        ("MAIL FROM:<a@b> ENVID=a+0D+0ABcc:+20c@d", envelope_id),
        ("MAIL FROM:<a@b> ENVID=a+00", envelope_id),
        ("MAIL FROM:<a@b> ENVID=a+4", envelope_id),
        ("MAIL FROM:<a@b> ENVID=x ENVID=y", once),
        ("MAIL FROM:<a@b> RET=SOME", Error::Syntax("RET=FULL or RET=HDRS")),
        ("MAIL FROM:<a@b> RET=FULL RET=FULL", once),
        ("MAIL FROM:<a@b> REQUIRETLS=1", Error::Syntax("REQUIRETLS has no value")),
        ("MAIL FROM:<a@b> AUTH=", Error::Syntax("AUTH=<> or AUTH=xtext")),
        ("MAIL FROM:<a@b> NOTIFY=NEVER", Error::Parameter),
        ("RCPT TO:<a@b> ORCPT=a@b", original),
        ("RCPT TO:<a@b> ORCPT=;a@b", original),
        ("RCPT TO:<a@b> ORCPT=rfc822;a+0Ab", original),
        ("RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS", notify),
        ("RCPT TO:<a@b> NOTIFY=", notify),
        ("RCPT TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER", once),
        ("RCPT TO:<a@b> RET=FULL", Error::Parameter),
    ] {
        assert_eq!(submitted(line), Err(error), "{line}");
    }
    for (length, good) in [(100, true), (101, false)] {
        assert_eq!(submitted(&format!("MAIL FROM:<a@b> ENVID={}", "x".repeat(length))).is_ok(), good);
    }
    for (length, good) in [(493, true), (494, false)] {
        assert_eq!(submitted(&format!("RCPT TO:<a@b> ORCPT=rfc822;{}", "x".repeat(length))).is_ok(), good);
    }
}

#[test]
fn auth_names_a_mechanism_that_is_offered() {
    let syntax = Error::Syntax("AUTH mechanism [initial-response]");
    for (line, expect) in [
        ("AUTH PLAIN", Ok(Command::Auth(Mechanism::Plain, None))),
        ("auth login YQ==", Ok(Command::Auth(Mechanism::Login, Some(Initial(b"YQ==".as_slice().into()))))),
        ("AUTH SCRAM-SHA-256 =", Ok(Command::Auth(Mechanism::ScramSha256, Some(Initial(b"=".as_slice().into()))))),
        ("AUTH SCRAM-SHA-256-PLUS", Err(Error::Mechanism)),
        ("AUTH CRAM-MD5", Err(Error::Mechanism)),
        ("AUTH", Err(syntax)),
        ("AUTH PLAIN a b", Err(syntax)),
        ("AUTH  PLAIN", Err(Error::Mechanism)),
    ] {
        assert_eq!(submitted(line), expect, "{line}");
    }
    let plain = Role::Submission.offers(false, OffersBinding::No);
    assert_eq!(Command::parse(b"AUTH PLAIN", plain), Err(Error::Unencrypted));
    assert_eq!(Command::parse(b"MAIL FROM:<a@b> AUTH=<>", plain), Err(Error::Parameter));
    assert_eq!(Command::parse(b"MAIL FROM:<a@b> REQUIRETLS", plain), Err(Error::Parameter));
    let exchange = Role::Exchange.offers(true, OffersBinding::Yes);
    assert_eq!(Command::parse(b"AUTH PLAIN", exchange), Err(Error::NotBuilt));
    assert!(Command::parse(b"MAIL FROM:<a@b> REQUIRETLS", exchange).is_ok());
    assert_eq!(format!("{:?}", submitted("AUTH PLAIN YQ==")), "Ok(Auth(Plain, Some(Initial(…))))");
}
