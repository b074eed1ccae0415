//! The test suite of openspf.org for RFC 7208 (release 2014.04), played through the seam to name servers.
//!
//! `rfc7208-tests.json` is its `rfc7208-tests.yml` (from the source of pyspf 2.0.14) in JSON, without the comments; its licence is
//! beside it.

use serde_json::{Map, Value};

use super::{Client, check};
use crate::dns::{Asked, Dns, Kind, Record, Table, Unanswered};
use crate::judge::questions::Questions;

/// Whose words for a failure we write in another way, and why. In no result do we differ.
const OTHER_WORDS: &[(&str, &str)] = &[(
    "v-macro-ip6",
    "the suite has the nibbles of an address in capitals; RFC 7208 §7.4 shows them in small letters",
)];

/// A zone of the suite: a table with aliases.
#[derive(Debug)]
struct Zone {
    table: Table,
    aliases: Vec<(String, String)>,
}

impl Dns for Zone {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asked<'a> {
        let mut name = name.trim_end_matches('.').to_ascii_lowercase();
        Box::pin(async move {
            for _ in 0..10 {
                match self.aliases.iter().find(|(alias, _)| *alias == name) {
                    Some((_, target)) => name.clone_from(target),
                    None => return self.table.ask(&name, kind).await,
                }
            }
            Err(Unanswered::Trouble("aliases without an end".to_owned()))
        })
    }
}

fn zone(data: &Map<String, Value>) -> Zone {
    let mut zone = Zone { table: Table::new(), aliases: Vec::new() };
    for (name, records) in data {
        let name = name.to_ascii_lowercase();
        let records = records.as_array().unwrap();
        let has_text = records.iter().any(|record| record.get("TXT").is_some());
        for record in records {
            let Some((kind, value)) = record.as_object().and_then(|record| record.iter().next()) else {
                zone.table.trouble(&name);
                continue;
            };
            let text = || value.as_str().unwrap();
            match kind.as_str() {
                "TXT" if value == "NONE" => zone.table.exists(&name),
                "SPF" if has_text => zone.table.exists(&name),
                "TXT" | "SPF" => zone.table.add(&name, Record::Txt(octets(value))),
                "A" => zone.table.add(&name, Record::A(text().parse().unwrap())),
                "AAAA" => zone.table.add(&name, Record::Aaaa(text().parse().unwrap())),
                "PTR" => zone.table.add(&name, Record::Ptr(text().to_owned())),
                "MX" => {
                    let preference = value[0].as_u64().and_then(|number| number.try_into().ok()).unwrap();
                    let exchange = value[1].as_str().unwrap().to_owned();
                    zone.table.add(&name, Record::Mx { preference, exchange });
                }
                "CNAME" => zone.aliases.push((name.clone(), text().to_ascii_lowercase())),
                other => panic!("the suite has a record of a kind we do not know: {other}"),
            }
        }
    }
    zone
}

/// A text, or the strings of one; a character is an octet.
fn octets(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect(),
        Value::Array(strings) => strings.iter().flat_map(octets).collect(),
        other => panic!("not a text: {other}"),
    }
}

#[tokio::test]
async fn the_suite_of_openspf() {
    let suite: Value = serde_json::from_str(include_str!("rfc7208-tests.json")).unwrap();
    let (mut played, mut wrong) = (0, Vec::new());
    for section in suite.as_array().unwrap() {
        let zone = zone(section["zonedata"].as_object().unwrap());
        for (name, test) in section["tests"].as_object().unwrap() {
            played += 1;
            let text = |key: &str| test[key].as_str().unwrap_or_default();
            let client = Client {
                address: text("host").parse().unwrap(),
                helo: text("helo"),
                sender: text("mailfrom"),
                receiver: "receiver.example.com",
            };
            let mut questions = Questions::new(&zone, 100, std::time::Duration::from_secs(60));
            let spf = check(&mut questions, client).await;
            let expected = match &test["result"] {
                Value::Array(any) => any.iter().any(|one| one == spf.result.word()),
                one => one == spf.result.word(),
            };
            let explained = match &test["explanation"] {
                Value::String(words) if words != "DEFAULT" => spf.explanation.as_ref() == Some(words),
                Value::String(_) => spf.explanation.is_none(),
                _ => true,
            };
            let known = OTHER_WORDS.iter().any(|(known, _)| known == name);
            if !expected || explained == known {
                wrong.push(format!("{}: {name}: {spf:?}\n   expected {test}", section["description"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {played}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(played, 203);
}
