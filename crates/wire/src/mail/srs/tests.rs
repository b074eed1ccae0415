use super::*;

const TODAY: u64 = 20_781;

fn srs() -> Srs {
    Srs::new([7; Srs::KEY])
}

fn parsed(text: &str) -> Address {
    Address::parse(text.as_bytes()).unwrap()
}

fn name(text: &str) -> Domain {
    Domain::parse(text.as_bytes()).unwrap()
}

#[test]
fn what_is_rewritten_comes_home() {
    let here = name("example.org");
    for sender in
        ["ada@example.net", "a=b=c@example.net", "\"a b\"@x.example", "josé@bücher.example", "a.b+c@example.net"]
    {
        let sender = parsed(sender);
        let rewritten = srs().rewritten(&sender, &here, TODAY).unwrap();
        assert_eq!(rewritten.domain(), &here);
        assert!(Srs::is_rewritten(&rewritten) && !Srs::is_rewritten(&sender));
        assert_eq!(srs().home(&rewritten, TODAY).unwrap(), sender, "{rewritten}");
        // RFC 5321 §2.4 forbids to change its case, and it happens.
        let lower = parsed(&rewritten.to_string().to_lowercase());
        assert_eq!(srs().home(&lower, TODAY).unwrap().to_string(), sender.to_string().to_lowercase());
    }
}

#[test]
fn the_form_is_the_one_that_others_read() {
    let rewritten = srs().rewritten(&parsed("ada@example.net"), &name("example.org"), TODAY).unwrap().to_string();
    let parts: Vec<_> = rewritten.split('=').collect();
    let [word, hash, day, domain, local] = parts.as_slice() else { panic!("{rewritten}") };
    assert_eq!((*word, *domain, *local), ("SRS0", "example.net", "ada@example.org"));
    assert_eq!((hash.len(), day.len()), (12, 2));
}

#[test]
fn a_second_forwarder_names_the_first_and_a_third_does_not_make_it_longer() {
    let (first, second, third) = (Srs::new([1; 32]), Srs::new([2; 32]), Srs::new([3; 32]));
    let sender = parsed("ada@a.example");
    let one = first.rewritten(&sender, &name("b.example"), TODAY).unwrap();
    let two = second.rewritten(&one, &name("c.example"), TODAY).unwrap();
    let three = third.rewritten(&two, &name("d.example"), TODAY).unwrap();
    assert!(two.local().starts_with("SRS1=") && two.local().contains("=b.example=="), "{two}");
    assert_eq!(two.local().len(), three.local().len());
    // The bounce leaves out the second.
    assert_eq!(third.home(&three, TODAY).unwrap(), one);
    assert_eq!(second.home(&two, TODAY).unwrap(), one);
    assert_eq!(first.home(&one, TODAY).unwrap(), sender);
    // Another's separator stays as it was.
    let plus = parsed("SRS0+abc=AB=a.example=ada@b.example");
    let on = second.rewritten(&plus, &name("c.example"), TODAY).unwrap();
    assert_eq!(second.home(&on, TODAY).unwrap(), plus);
}

#[test]
fn only_what_this_server_made_comes_home() {
    let good = srs().rewritten(&parsed("ada@example.net"), &name("example.org"), TODAY).unwrap();
    let with = |from: &str, to: &str| parsed(&good.to_string().replacen(from, to, 1));
    let local = good.local();
    let hash = &local[5..17];
    let other = match hash.strip_prefix('A') {
        Some(rest) => format!("B{rest}"),
        None => format!("A{}", &hash[1..]),
    };
    for (address, why) in [
        (with(hash, &other), NotOurs::Hash),
        (with(hash, &hash[..11]), NotOurs::Hash),
        (with(hash, &format!("{hash}A")), NotOurs::Hash),
        (with(hash, ""), NotOurs::Hash),
        (with("=ada", "=eve"), NotOurs::Hash),
        (with("example.net", "example.com"), NotOurs::Hash),
        // Hashed as if one part ended elsewhere.
        (with("example.net=ada", "example.ne=tada"), NotOurs::Hash),
        (parsed("SRS0=@example.org"), NotOurs::Form),
        (parsed("SRS0=a=b=c@example.org"), NotOurs::Form),
        (parsed("SRS1=a@example.org"), NotOurs::Form),
        (parsed("SRS1=a=b=c@example.org"), NotOurs::Form),
        (parsed("SRS1=a=b==c@example.org"), NotOurs::Hash),
        (parsed("SRS2=a@example.org"), NotOurs::Form),
        (parsed("ada@example.org"), NotOurs::Form),
    ] {
        assert_eq!(srs().home(&address, TODAY), Err(why), "{address}");
    }
    assert_eq!(Srs::new([8; 32]).home(&good, TODAY), Err(NotOurs::Hash));
}

#[test]
fn it_is_good_for_its_days_and_not_one_more() {
    // Also over the day on which the count begins anew.
    for made in [0, 5, 1_010, 1_023, 20_781] {
        let rewritten = srs().rewritten(&parsed("ada@example.net"), &name("example.org"), made).unwrap();
        assert!(srs().home(&rewritten, made).is_ok());
        assert!(srs().home(&rewritten, made + DAYS).is_ok());
        assert_eq!(srs().home(&rewritten, made + DAYS + 1), Err(NotOurs::Old));
    }
    // A day in the future is one that is nearly a round ago.
    let rewritten = srs().rewritten(&parsed("ada@example.net"), &name("example.org"), 10).unwrap();
    assert_eq!(srs().home(&rewritten, 9), Err(NotOurs::Old));
}

#[test]
fn what_gets_too_long_is_not_cut() {
    let here = name("example.org");
    // SRS0= + 12 + = + 2 + = + example.net + = + local + @example.org
    let fits = Address::LONGEST - "SRS0=".len() - 13 - 3 - "example.net=".len() - "@example.org".len();
    let sender = |length: usize| parsed(&format!("{}@example.net", "a".repeat(length)));
    let rewritten = srs().rewritten(&sender(fits), &here, TODAY).unwrap();
    assert_eq!(rewritten.to_string().len(), Address::LONGEST);
    assert_eq!(srs().rewritten(&sender(fits + 1), &here, TODAY), Err(Error::TooLong));
    assert_eq!(srs().rewritten(&parsed("a@[192.0.2.1]"), &here, TODAY), Err(Error::Domain));
}
