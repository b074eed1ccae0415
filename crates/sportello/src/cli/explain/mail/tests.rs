use super::super::tests::basis;
use super::*;

const FILE: &str = "channel mail port=0 protocol=smtp\ndomain example.org {\n    mail {\n        alias info to=\"ada bob@far.example\"\n        alias nobody to=gone\n    }\n}\n";

fn account(address: &str, standing: &str, created_ms: u64) -> Account {
    Account { address: address.to_owned(), standing: standing.to_owned(), created_ms, quota: None, used: 0 }
}

fn check(accounts: &Accounts, address: &str, expect: &str, lines: &[usize], code: u8) {
    let basis = basis(FILE);
    let address = Address::parse(address.as_bytes()).unwrap();
    let Some(MailDomain { handling: Handling::Accounts(book), .. }) = basis.settings.mail.of(address.domain()) else {
        panic!("accounts")
    };
    let mut told = Told::new();
    let exit = by_address(&basis, (&address, book), accounts, &mut told).unwrap();
    let all = told.happens.join("\n");
    assert!(all.contains(expect), "{address}: {all}");
    assert_eq!((told.lines.as_slice(), exit), (lines, code), "{all}");
}

#[test]
fn an_address_is_followed_by_its_aliases_to_its_accounts() {
    let known = Accounts::Known(vec![
        account("ada@example.org", "active", 2),
        account("eve@example.org", "disabled", 3),
        account("old@example.org", "active", 1),
    ]);
    check(
        &known,
        "info@example.org",
        "it goes to the mailbox of ada@example.org\nit goes on to bob@far.example",
        &[4],
        0,
    );
    check(&known, "Ada+x@example.org", "x being its tag\nit goes to the mailbox of ada@example.org", &[], 0);
    check(&known, "nobody@example.org", "refused at RCPT: there is no such address\nthere is no catch-all", &[5], 1);
    check(&known, "eve@example.org", "refused at RCPT: the account is disabled", &[], 1);
    check(&known, "postmaster@example.org", "the mailbox of old@example.org", &[], 0);
    check(&known, "SRS0=a=b=c=d@example.org", "stands for the sender", &[], 0);
    let assumed = || Accounts::Assumed(RefCell::new(false));
    check(&assumed(), "bob@example.org", "they are assumed\nit goes to the mailbox of bob@example.org", &[], 0);
    check(&assumed(), "ada+x@example.org", "the mailbox of ada@example.org", &[], 0);
    check(&assumed(), "abuse@example.org", "the one inbox of captured mail", &[], 0);
}
