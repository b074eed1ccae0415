use std::sync::Mutex;

use super::*;
use crate::outbound::table::Table;

/// Gives what is put there, and counts.
#[derive(Default)]
struct Web(Mutex<(Option<String>, usize)>);

impl Web {
    fn put(&self, policy: Option<&str>) {
        self.0.lock().unwrap().0 = policy.map(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Fetch for Web {
    async fn fetch(&self, _: &str) -> Result<Vec<u8>, String> {
        let mut web = self.0.lock().unwrap();
        web.1 += 1;
        web.0.clone().map(String::into_bytes).ok_or_else(|| "nothing there".to_owned())
    }
}

fn policy(server: &str) -> String {
    format!("version: STSv1\nmode: enforce\nmx: {server}\nmax_age: 1000\n")
}

fn dns(records: &[&str]) -> Table {
    let records: Vec<_> = records.iter().map(|text| Record::Txt(text.as_bytes().to_vec())).collect();
    Table::default().with("_mta-sts.d.example", Kind::Txt, &records)
}

async fn asked(policies: &Policies, dns: &Table, web: &Web, at: u64) -> Option<Vec<String>> {
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000 + at);
    policies.of("d.example", dns, web, now).await.map(|policy| policy.servers)
}

#[tokio::test]
async fn a_policy_holds_until_it_expires_whatever_happens_to_its_record() {
    let (policies, web) = (Policies::new(None), Web::default());
    web.put(Some(&policy("one")));
    let first = dns(&["v=spf1 -all", "v=STSv1; id=1;"]);
    let one = Some(vec!["one".to_owned()]);
    assert_eq!(asked(&policies, &first, &web, 0).await, one);
    assert_eq!(asked(&policies, &first, &web, 999).await, one);
    assert_eq!(web.asked(), 1, "the record says nothing new");
    let failing = Table::default().failing("_mta-sts.d.example", Kind::Txt);
    for gone in [Table::default(), failing, dns(&["v=STSv1; id=1;", "v=STSv1; id=2;"]), dns(&["v=STSv1; id=?"])] {
        assert_eq!(asked(&policies, &gone, &web, 999).await, one);
        assert_eq!(asked(&policies, &gone, &web, 1_000).await, None, "and then it does not");
    }
    assert_eq!(web.asked(), 1);
    assert_eq!(asked(&policies, &first, &web, 1_000).await, one, "it is asked for again when it has expired");
    assert_eq!(web.asked(), 2);
}

#[tokio::test]
async fn another_id_is_another_policy_and_one_that_cannot_be_had_changes_nothing() {
    let (policies, web) = (Policies::new(None), Web::default());
    web.put(Some(&policy("one")));
    let one = Some(vec!["one".to_owned()]);
    assert_eq!(asked(&policies, &dns(&["v=STSv1; id=1;"]), &web, 0).await, one);
    let second = dns(&["v=STSv1; id=2;"]);
    web.put(None);
    assert_eq!(asked(&policies, &second, &web, 1).await, one);
    assert_eq!(asked(&policies, &second, &web, 300).await, one);
    assert_eq!(web.asked(), 2, "it is not asked for with each message");
    web.put(Some(&policy("two")));
    assert_eq!(asked(&policies, &second, &web, 301).await, Some(vec!["two".to_owned()]));
    assert_eq!(web.asked(), 3);
}

#[tokio::test]
async fn a_domain_without_a_record_is_not_asked() {
    let (policies, web) = (Policies::new(None), Web::default());
    assert_eq!(asked(&policies, &Table::default(), &web, 0).await, None);
    assert_eq!(web.asked(), 0);
    web.put(Some("<html>"));
    assert_eq!(asked(&policies, &dns(&["v=STSv1; id=1;"]), &web, 0).await, None);
    assert_eq!(web.asked(), 1);
}
