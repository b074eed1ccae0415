use std::time::Duration;

use super::*;
use crate::dns::Table;

async fn ask(table: &Table, sender: &str, address: &str) -> Spf {
    let mut questions = Questions::new(table, 100, Duration::from_secs(20));
    let client = Client { address: address.parse().unwrap(), helo: "mx.example.org", sender, receiver: "here.example" };
    check(&mut questions, client).await
}

#[tokio::test]
async fn a_match_two_inclusions_deep_is_the_outermost_ones() {
    let table = Table::new()
        .txt("example.org", "v=spf1 -include:a.example.org +all")
        .txt("a.example.org", "v=spf1 ?include:b.example.org ?all")
        .txt("b.example.org", "v=spf1 ip4:192.0.2.1 -all");
    let spf = ask(&table, "x@example.org", "192.0.2.1").await;
    assert_eq!(spf.result, SpfResult::Pass, "a neutral match is not a pass: {spf:?}");
    let table = Table::new()
        .txt("example.org", "v=spf1 -include:a.example.org +all")
        .txt("a.example.org", "v=spf1 include:b.example.org ?all")
        .txt("b.example.org", "v=spf1 ip4:192.0.2.1 -all");
    assert_eq!(ask(&table, "x@example.org", "192.0.2.1").await.result, SpfResult::Fail);
}

#[tokio::test]
async fn look_ups_are_bounded() {
    let mut table = Table::new();
    for number in 0..20 {
        let text = format!("v=spf1 include:{}.example.org", number + 1);
        table = table.txt(&format!("{number}.example.org"), &text);
    }
    for (first, expect) in [(10, SpfResult::PermError), (9, SpfResult::PermError)] {
        let spf = ask(&table, &format!("x@{first}.example.org"), "192.0.2.1").await;
        assert_eq!(spf.result, expect, "{spf:?}");
    }
    let tenth = table.txt("20.example.org", "v=spf1 ip4:192.0.2.1 -all");
    assert_eq!(ask(&tenth, "x@10.example.org", "192.0.2.1").await.result, SpfResult::Pass);
    assert_eq!(ask(&tenth, "x@9.example.org", "192.0.2.1").await.result, SpfResult::PermError, "eleven");
    let around = Table::new().txt("loop.example.org", "v=spf1 redirect=loop.example.org");
    assert_eq!(ask(&around, "x@loop.example.org", "192.0.2.1").await.result, SpfResult::PermError);
    assert_eq!(around.asked(), 11);
}

#[tokio::test]
async fn look_ups_that_find_nothing_are_bounded() {
    let table = Table::new()
        .txt("two.example.org", "v=spf1 a:a.example.com a:b.example.com -all")
        .txt("three.example.org", "v=spf1 a:a.example.com a:b.example.com a:c.example.com -all");
    assert_eq!(ask(&table, "x@two.example.org", "192.0.2.1").await.result, SpfResult::Fail);
    assert_eq!(ask(&table, "x@three.example.org", "192.0.2.1").await.result, SpfResult::PermError);
}

#[tokio::test]
async fn names_that_do_not_point_back_are_not_believed() {
    let record = "v=spf1 ptr -all";
    let ptr = |name: &str| crate::dns::Record::Ptr(name.to_owned());
    let claims = || Table::new().txt("example.org", record).with("1.2.0.192.in-addr.arpa", ptr("mx.example.org"));
    assert_eq!(ask(&claims(), "x@example.org", "192.0.2.1").await.result, SpfResult::Fail);
    let proves = claims().address("mx.example.org", "192.0.2.1");
    assert_eq!(ask(&proves, "x@example.org", "192.0.2.1").await.result, SpfResult::Pass);
}

#[tokio::test]
async fn the_null_sender_is_the_name_of_helo() {
    let table = Table::new().txt("mx.example.org", "v=spf1 ip4:192.0.2.1 -all");
    let spf = ask(&table, "", "192.0.2.1").await;
    assert_eq!((spf.result, spf.identity, spf.domain.as_str()), (SpfResult::Pass, Identity::Helo, "mx.example.org"));
    let spf = ask(&table, "x@MX.example.org", "::ffff:192.0.2.1").await;
    assert_eq!((spf.result, spf.identity), (SpfResult::Pass, Identity::MailFrom));
}

#[tokio::test]
async fn an_international_domain_is_looked_up_in_ascii() {
    let table = Table::new().txt("xn--bcher-kva.example", "v=spf1 ip4:192.0.2.1 -all");
    assert_eq!(ask(&table, "x@b\u{fc}cher.example", "192.0.2.1").await.result, SpfResult::Pass);
}

#[tokio::test]
async fn strange_words_are_not_repeated() {
    let table =
        |words: &str| Table::new().txt("example.org", "v=spf1 -all exp=why.example.org").txt("why.example.org", words);
    let why = ask(&table("%{i} is not ours"), "x@example.org", "192.0.2.1").await.explanation;
    assert_eq!(why.as_deref(), Some("192.0.2.1 is not ours"));
    assert_eq!(ask(&table("a\r\nb"), "x@example.org", "192.0.2.1").await.explanation, None);
    assert_eq!(ask(&table("%{l}"), "\u{e4}@example.org", "192.0.2.1").await.explanation, None);
}
