//! Circles, crowds and depths.

use super::*;

fn domains(aliases: &[(&str, &str)]) -> MailDomains {
    let mut domains = MailDomains::default();
    domains.add(domain("example.org", Handling::Accounts(book(aliases).into())));
    domains
}

#[test]
fn circles_are_found_and_not_gone_round() {
    let aliases = [
        ("a", "b"),
        ("b", "c alice"),
        ("c", "a"),
        ("self", "self"),
        ("one", "two"),
        ("two", "ONE@Example.org"),
        ("fine", "fine alice"),
    ];
    let domains = domains(&aliases);
    let circle = |way: &[&str]| Some(Tangle::Cycle(way.iter().map(|name| format!("{name}@example.org")).collect()));
    assert_eq!(domains.tangle("a@example.org"), circle(&["a", "b", "c", "a"]));
    assert_eq!(domains.tangle("two@example.org"), circle(&["two", "one", "two"]));
    // One that names itself means the account.
    assert_eq!(domains.tangle("self@example.org"), None);
    assert_eq!(domains.tangle("fine@example.org"), None);
    assert_eq!(domains.tangle("nobody@example.org"), None);
    let house = House::new(&aliases);
    assert_eq!(house.told("a@example.org"), "1");
    assert_eq!(house.told("one@example.org"), "Unknown");
    assert_eq!(house.told("self@example.org"), "Unknown");
}

#[test]
fn depth_is_bounded() {
    let names: Vec<String> = (0..=MailDomains::DEEPEST + 1).map(|number| format!("a{number}")).collect();
    let chain = |length: usize| {
        let mut aliases: Vec<(&str, &str)> =
            names.windows(2).take(length).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        aliases.last_mut().unwrap().1 = "alice";
        aliases
    };
    let (fits, beyond) = (chain(MailDomains::DEEPEST), chain(MailDomains::DEEPEST + 1));
    assert_eq!(domains(&fits).tangle("a0@example.org"), None);
    assert_eq!(House::new(&fits).told("a0@example.org"), "1");
    assert_eq!(domains(&beyond).tangle("a0@example.org"), Some(Tangle::TooDeep));
    assert_eq!(House::new(&beyond).told("a0@example.org"), "Unknown");
}

#[test]
fn members_are_bounded() {
    let crowd = |number: usize| (0..number).map(|one| format!("m{one}@far.example ")).collect::<String>();
    let (fits, beyond) = (crowd(MailDomains::MOST_MEMBERS), crowd(MailDomains::MOST_MEMBERS + 1));
    assert_eq!(domains(&[("all", &fits)]).tangle("all@example.org"), None);
    assert_eq!(domains(&[("all", &beyond)]).tangle("all@example.org"), Some(Tangle::TooMany));
    let resolved = House::new(&[("all", &fits)]).resolve_from("all@example.org", "");
    assert_eq!(resolved.outcome.unwrap().len(), MailDomains::MOST_MEMBERS);
    assert_eq!(resolved.trace.len(), Resolution::<u32>::MOST_STEPS);
    let resolved = House::new(&[("all", &beyond)]).resolve_from("all@example.org", "");
    assert_eq!((resolved.outcome.unwrap().len(), resolved.left_out.len()), (MailDomains::MOST_MEMBERS, 1));
    // Aliases that double at each step do not.
    let doubling: Vec<(String, String)> =
        (0..9).map(|step| (format!("d{step}"), format!("d{0} alice d{0}", step + 1))).collect();
    let doubling: Vec<(&str, &str)> = doubling.iter().map(|(name, to)| (name.as_str(), to.as_str())).collect();
    let house = House::new(&doubling);
    assert_eq!(house.told("d0@example.org"), "1");
    assert!(house.asked.borrow().len() < 20);
}

#[test]
fn no_spelling_makes_a_foreign_address_ours() {
    let house = House::new(&[("*", "alice")]);
    for recipient in [
        "victim%far.example@far.example",
        "far.example!victim@far.example",
        "\"victim@far.example\"@far.example",
        "alice@example.org@far.example",
        "alice@example.org.",
    ] {
        let Ok((path, _)) = ForwardPath::parse(format!("<{recipient}>").as_bytes()) else { continue };
        let asked = Asked { recipient: &path, sender: &ReversePath::Null, today: TODAY };
        let Ok(resolution) =
            ready(house.directory.resolve(asked, async |wanted: Wanted<'_>| house.accounts(wanted).await));
        assert_eq!(shown(&resolution), "NotOurs", "{recipient}");
    }
    // And what looks like a route within an address of ours stays a name of ours.
    for recipient in
        ["victim%far.example@example.org", "far.example!victim@example.org", "\"victim@far.example\"@example.org"]
    {
        assert_eq!(house.told(recipient), "1", "{recipient}: the catch-all's, never far.example's");
    }
    assert_eq!(House::new(&[]).told("victim%far.example@example.org"), "Unknown");
}
