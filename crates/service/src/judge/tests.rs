use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;

use super::dmarc::{DmarcResult, Wish};
use super::signatures::SignatureResult;
use super::spf::SpfResult;
use super::*;
use crate::dns::Table;

mod dkimpy;

/// The key of RFC 8463 §A.2, and its record.
const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const RECORD: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

const MESSAGE: &str =
    "From: Ada <ada@example.org>\r\nTo: bob@example.com\r\nSubject: hello\r\n\r\nA body\r\nof two lines \r\n\r\n";

fn sign(message: &str, domain: &str) -> String {
    let decode = |text| base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).unwrap();
    let key =
        Ed25519Key::from_seed_and_public_key(&decode(SEED), &decode(RECORD.rsplit("p=").next().unwrap())).unwrap();
    let signer = DkimSigner::from_key(key).domain(domain).selector("s1").headers(["From", "To", "Subject"]);
    format!("{}{message}", signer.sign(message.as_bytes()).unwrap().to_header())
}

fn hear(message: &[u8], piece: usize) -> Heard {
    let mut hearing = Hearing::new();
    for piece in message.chunks(piece) {
        hearing.take(piece);
    }
    hearing.finish()
}

fn judge(table: Table) -> (Judge, Arc<Table>) {
    let table = Arc::new(table);
    let settings = Settings { server: "mx.here.example".to_owned() };
    (Judge::new(settings, Arc::clone(&table) as Arc<dyn Dns>).unwrap(), table)
}

async fn findings(table: Table, message: &str) -> Findings {
    let (judge, _) = judge(table);
    let address = "192.0.2.1".parse().unwrap();
    let source = judge.connected(address, &["list.example".to_owned()]).await;
    let spf = judge.sender(address, "mx.example.org", "ada@example.org").await;
    judge.message(source, spf, &hear(message.as_bytes(), 7)).await
}

fn world() -> Table {
    Table::new()
        .txt("s1._domainkey.example.org", RECORD)
        .txt("example.org", "v=spf1 ip4:192.0.2.1 -all")
        .txt("_dmarc.example.org", "v=DMARC1; p=reject")
}

#[tokio::test]
async fn a_message_that_is_what_it_says() {
    let found = findings(world(), &sign(MESSAGE, "example.org")).await;
    assert_eq!(found.spf.result, SpfResult::Pass);
    assert_eq!(found.dkim.len(), 1);
    assert_eq!(found.dkim[0].result, SignatureResult::Pass, "{found:?}");
    assert_eq!((found.dmarc.result, found.dmarc.wish), (DmarcResult::Pass, Wish::Reject));
    assert_eq!(found.judge(&Policy::default()).action, Action::Accept);
    let field = String::from_utf8(found.field()).unwrap();
    assert!(field.starts_with("Authentication-Results: mx.here.example;\r\n\tiprev=permerror"), "{field}");
    for expect in [
        "spf=pass",
        "smtp.mailfrom=example.org",
        "dkim=pass",
        "header.d=example.org",
        "header.s=s1",
        "dmarc=pass",
        "header.from=example.org",
    ] {
        assert!(field.contains(expect), "{expect} in {field}");
    }
    assert!(field.ends_with("\r\n") && !field.contains("\r\n\r\n"));
}

#[tokio::test]
async fn a_message_in_any_pieces_is_the_same_message() {
    let signed = sign(MESSAGE, "example.org");
    for piece in 1..signed.len() {
        let heard = hear(signed.as_bytes(), piece);
        let whole = hear(signed.as_bytes(), signed.len());
        assert_eq!((heard.header, heard.hashes), (whole.header, whole.hashes), "{piece}");
    }
}

#[tokio::test]
async fn a_message_that_was_changed() {
    for (from, to) in [("two lines", "three lines"), ("Subject: hello", "Subject: hallo")] {
        let found = findings(world(), &sign(MESSAGE, "example.org").replace(from, to)).await;
        assert_eq!(found.dkim[0].result, SignatureResult::Fail, "{to}");
        assert_eq!(found.dmarc.result, DmarcResult::Pass, "SPF is still right");
    }
}

#[tokio::test]
async fn an_author_who_does_not_stand_behind_it() {
    let forged = sign(MESSAGE, "example.org").replace("ada@example.org", "ceo@bank.example");
    let table = || world().txt("_dmarc.bank.example", "v=DMARC1; p=reject; sp=quarantine");
    let found = findings(table(), &forged).await;
    assert_eq!((found.dmarc.result, found.dmarc.wish), (DmarcResult::Fail, Wish::Reject), "{found:?}");
    assert_eq!(found.judge(&Policy::default()).action, Action::Junk);
    let strict = Policy { dmarc: Treatment::Reject, ..Policy::default() };
    let Action::Reject(refusal) = found.judge(&strict).action else { panic!("{found:?}") };
    assert_eq!((refusal.code, refusal.status), (550, "5.7.26"));
    let below = forged.replace("@bank.example", "@www.bank.example");
    let found = findings(table(), &below).await;
    assert_eq!((found.dmarc.result, found.dmarc.wish), (DmarcResult::Fail, Wish::Quarantine));
    assert_eq!(found.judge(&strict).action, Action::Junk);
}

#[tokio::test]
async fn a_second_author_is_no_way_around() {
    for from in ["ada@example.org, ceo@bank.example", "ceo@bank.example, ada@example.org"] {
        let forged = sign(&MESSAGE.replace("Ada <ada@example.org>", from), "example.org");
        let found = findings(world().txt("_dmarc.bank.example", "v=DMARC1; p=reject"), &forged).await;
        assert_eq!((found.dmarc.result, found.dmarc.domain.as_str()), (DmarcResult::Fail, "bank.example"));
    }
    let many: Vec<String> = (0..=dmarc::AUTHORS_MOST).map(|number| format!("a@{number}.example")).collect();
    let found = findings(world(), &MESSAGE.replace("Ada <ada@example.org>", &many.join(", "))).await;
    assert_eq!((found.dmarc.result, found.dmarc.wish), (DmarcResult::PermError, Wish::Reject));
    let found = findings(world(), &MESSAGE.replace("Ada <ada@example.org>", &many[1..].join(", "))).await;
    assert_eq!(found.dmarc.result, DmarcResult::None);
}

#[tokio::test]
async fn a_name_that_does_not_exist_has_a_wish_of_its_own() {
    let policy = "v=DMARC1; p=none; sp=none; np=reject";
    let forged = MESSAGE.replace("ada@example.org", "ada@nobody.bank.example");
    let found = findings(Table::new().txt("_dmarc.bank.example", policy), &forged).await;
    assert_eq!((found.dmarc.result, found.dmarc.wish), (DmarcResult::Fail, Wish::Reject), "{:?}", found.dmarc);
    let exists = Table::new().txt("_dmarc.bank.example", policy).txt("nobody.bank.example", "here");
    assert_eq!(findings(exists, &forged).await.dmarc.wish, Wish::None);
}

#[tokio::test]
async fn what_cannot_be_known_now() {
    let mut table = world();
    table.trouble("example.org");
    table.trouble("s1._domainkey.example.org");
    table.trouble("_dmarc.example.org");
    let found = findings(table, &sign(MESSAGE, "example.org")).await;
    assert_eq!(found.spf.result, SpfResult::Pass, "what the table knows it says");
    let mut table = Table::new();
    for name in ["example.org", "s1._domainkey.example.org", "_dmarc.example.org"] {
        table.trouble(name);
    }
    let found = findings(table, &sign(MESSAGE, "example.org")).await;
    assert_eq!(found.spf.result, SpfResult::TempError);
    assert_eq!(found.dkim[0].result, SignatureResult::TempError);
    assert_eq!(found.dmarc.result, DmarcResult::TempError);
    assert_eq!(found.judge(&Policy::default()).action, Action::Accept);
    let patient = Policy { trouble: Trouble::Defer, ..Policy::default() };
    assert!(matches!(found.judge(&patient).action, Action::Defer(_)));
}

#[tokio::test]
async fn a_client_on_a_list() {
    let found = findings(world().address("1.2.0.192.list.example", "127.0.0.4"), MESSAGE).await;
    assert!(matches!(found.judge(&Policy::default()).action, Action::Reject(_)));
    let lenient = Policy { listed: Treatment::Junk, ..Policy::default() };
    let judgement = found.judge(&lenient);
    assert_eq!(judgement.action, Action::Junk);
    let listed = judgement.trace.iter().find(|step| step.what == "dnsbl").unwrap();
    assert_eq!(listed.why, "list.example says 127.0.0.4");
    assert_eq!(judgement.trace.last().unwrap().verdict, "junk");
    let field = String::from_utf8(found.field()).unwrap();
    assert!(field.contains("x-dnsbl=fail\r\n\t dns.zone=list.example\r\n\t policy.ip=127.0.0.4"), "{field}");
}

#[tokio::test]
async fn only_so_many_signatures_are_looked_at() {
    let one = sign(MESSAGE, "example.org");
    let field = one.strip_suffix(MESSAGE).unwrap();
    let many = field.repeat(signatures::SIGNATURES_MOST + 1) + MESSAGE;
    let found = findings(world(), &many).await;
    assert_eq!((found.dkim.len(), found.passed_over), (signatures::SIGNATURES_MOST, 1));
    let exactly = field.repeat(signatures::SIGNATURES_MOST) + MESSAGE;
    let found = findings(world(), &exactly).await;
    assert_eq!((found.dkim.len(), found.passed_over), (signatures::SIGNATURES_MOST, 0));
    let long = sign(MESSAGE, "example.org").replacen(
        "DKIM-Signature: ",
        &format!("DKIM-Signature: n={};", "x".repeat(9_000)),
        1,
    );
    assert_eq!(findings(world(), &long).await.passed_over, 1);
}

#[tokio::test]
async fn headers_are_bounded() {
    let with = |fields: usize| "X: y\r\n".repeat(fields - 3) + MESSAGE;
    assert_eq!(findings(world(), &with(FIELDS_MOST)).await.refused, None);
    let found = findings(world(), &with(FIELDS_MOST + 1)).await;
    assert!(found.refused.is_some() && found.dkim.is_empty());
    let header = MESSAGE.split_inclusive("\r\n\r\n").next().unwrap().len();
    let large = |more: usize| format!("X: {}\r\n{MESSAGE}", "y".repeat(HEADER_LARGEST - header - 5 + more));
    assert_eq!(findings(world(), &large(0)).await.refused, None);
    assert!(findings(world(), &large(1)).await.refused.is_some());
}

#[tokio::test]
async fn signatures_that_are_not_accepted() {
    let key = include_bytes!("tests/rsa.der");
    let key = RsaKey::<Sha256>::from_key_der(rustls::pki_types::PrivateKeyDer::Pkcs8(key.as_slice().into())).unwrap();
    let signer = DkimSigner::from_key(key).domain("example.org").selector("r").headers(["From"]).body_length(true);
    let message = format!("{}{MESSAGE}", signer.sign(MESSAGE.as_bytes()).unwrap().to_header());
    let found = findings(world(), &message).await;
    assert_eq!(found.dkim[0].result, SignatureResult::Policy, "a part of the body: {found:?}");
    let old = message.replace("rsa-sha256", "rsa-sha1").replace("l=", "q=dns/txt; z=");
    assert_ne!(findings(world(), &old).await.dkim[0].result, SignatureResult::Pass);
}

#[tokio::test]
async fn junk_is_judged_too() {
    let (judge, _) = judge(world());
    let source = judge.connected("192.0.2.1".parse().unwrap(), &[]).await;
    let spf = judge.sender("192.0.2.1".parse().unwrap(), "x", "").await;
    let signed = sign(MESSAGE, "example.org");
    let mut seed = 1_u64;
    for _ in 0..1_000 {
        let mut junk = signed.clone().into_bytes();
        for _ in 0..6 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % junk.len();
            junk[at] = (seed >> 24) as u8;
        }
        let found = judge.message(source.clone(), spf.clone(), &hear(&junk, 11)).await;
        let field = found.field();
        assert!(field.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t')));
        assert!(field.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));
    }
}
