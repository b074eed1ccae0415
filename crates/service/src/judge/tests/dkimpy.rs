//! Messages that dkimpy has signed and sealed: a second implementation, by which ours is checked. `dkimpy.py` has made them.

use base64::Engine;
use serde_json::Value;

use super::*;

#[tokio::test]
async fn what_dkimpy_has_signed_and_sealed() {
    let made: Value = serde_json::from_str(include_str!("dkimpy.json")).unwrap();
    let mut wrong = Vec::new();
    let cases = made["cases"].as_array().unwrap();
    for case in cases {
        let mut table = Table::new();
        for (name, record) in made["records"].as_object().unwrap() {
            table = table.txt(name, record.as_str().unwrap());
        }
        let message = base64::prelude::BASE64_STANDARD.decode(case["message"].as_str().unwrap()).unwrap();
        let found = findings(table, std::str::from_utf8(&message).unwrap()).await;
        let dkim: Vec<&str> = found.dkim.iter().map(|signature| signature.result.word()).collect();
        let is_same = case["dkim"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).eq(dkim);
        if !is_same || case["arc"] != found.arc.result.word() {
            wrong.push(format!("{}: {:?} {:?}", case["name"], found.dkim, found.arc));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases.len(), 19);
}
