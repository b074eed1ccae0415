use super::macros::Use;
use super::*;

fn policy(text: &str) -> Result<Policy, Error> {
    Policy::parse(text.as_bytes())
}

#[test]
fn which_records_are_spf() {
    for (text, expect) in [
        ("v=spf1", true),
        ("V=SPF1 -all", true),
        ("v=spf1 ", true),
        ("v=spf10", false),
        ("v=spf1\t-all", false),
        (" v=spf1", false),
        ("v=spf", false),
        ("", false),
    ] {
        assert_eq!(Policy::is_one(text.as_bytes()), expect, "{text:?}");
    }
}

#[test]
fn every_mechanism() {
    let read =
        policy("v=spf1 a mx/24 -a:x.org//64 ~mx:y.org/8//9 ?ptr ptr:z.org ip4:192.0.2.0/24 ip6:2001:db8::/32 All")
            .unwrap();
    let name = |text| Macros::domain(text);
    let prefixes = |v4, v6| Prefixes { v4, v6 };
    let expect = [
        (Qualifier::Pass, Mechanism::A(None, prefixes(32, 128))),
        (Qualifier::Pass, Mechanism::Mx(None, prefixes(24, 128))),
        (Qualifier::Fail, Mechanism::A(name("x.org"), prefixes(32, 64))),
        (Qualifier::SoftFail, Mechanism::Mx(name("y.org"), prefixes(8, 9))),
        (Qualifier::Neutral, Mechanism::Ptr(None)),
        (Qualifier::Pass, Mechanism::Ptr(name("z.org"))),
        (Qualifier::Pass, Mechanism::Ip4("192.0.2.0".parse().unwrap(), 24)),
        (Qualifier::Pass, Mechanism::Ip6("2001:db8::".parse().unwrap(), 32)),
        (Qualifier::Pass, Mechanism::All),
    ];
    let read: Vec<_> = read.directives.into_iter().map(|read| (read.qualifier, read.mechanism)).collect();
    assert_eq!(read, expect);
}

#[test]
fn what_the_grammar_refuses() {
    for term in [
        "all.",
        "all:x.org",
        "include",
        "include:",
        "include:org",
        "include:x.org/24",
        "exists",
        "a:",
        "a:/8",
        "a/33",
        "a//129",
        "a/08",
        "a/",
        "a//",
        "a:1.2.3.4",
        "a:x.org:80",
        "ptr/8",
        "ptr:",
        "ip4",
        "ip4:1.2.3",
        "ip4:1.2.3.04",
        "ip4:1.2.3.4/33",
        "ip4:1.2.3.4//32",
        "ip6:1.2.3.4",
        "ip6:::1/129",
        "mx:%{q}.org",
        "mx:%{d",
        "mx:%.org",
        "mx:%{d0}.org",
        "mx:%{d!}",
        "mx:%{c}",
        "redirect=",
        "redirect=org",
        "exp=%{t}.x.org",
        "redirect=x.org/24",
        "foo",
        "-foo=bar",
        "1x=y",
        "x=%a",
        "--all",
        "-",
    ] {
        let term: &str = term;
        assert!(policy(&format!("v=spf1 {term} -all")).is_err(), "{term:?}");
    }
    assert_eq!(policy("v=spf1 redirect=a.org redirect=b.org"), Err(Error::Twice("redirect")));
    assert_eq!(policy("v=spf1 exp=a.org EXP=b.org"), Err(Error::Twice("exp")));
    assert_eq!(policy("v=spf1 a:\u{e4}.org"), Err(Error::NotAscii));
    assert_eq!(policy("v=spf1 a\tmx"), Err(Error::NotAscii));
}

#[test]
fn what_nobody_knows_is_passed_over() {
    assert_eq!(policy("v=spf1  x=y  a.b-c_d=%{d}  ").unwrap().directives, []);
}

#[test]
fn the_longest_record() {
    let longest = format!("v=spf1 x={}", "y".repeat(Policy::LONGEST - 9));
    assert!(policy(&longest).is_ok());
    assert_eq!(policy(&(longest + "y")), Err(Error::TooLong));
}

const KNOWN: Variables<'static> = Variables {
    address: std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3)),
    local: "strong-bad",
    sender_domain: "email.example.com",
    domain: "email.example.com",
    helo: "mx.example.org",
    validated_name: "mx.example.org",
    receiver: "here",
    unix_seconds: 1_000,
};

#[test]
fn the_expansions_that_the_standard_shows() {
    let six = Variables { address: "2001:db8::cb01".parse().unwrap(), ..KNOWN };
    for (text, expect) in [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%%%_%-", "% %20"),
        ("%{d99999999999999999999999}", "email.example.com"),
    ] {
        assert_eq!(Macros::parse(text, Use::Name).unwrap().name(&KNOWN), expect, "{text}");
    }
    let expect = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com";
    assert_eq!(Macros::parse("%{ir}.%{v}._spf.%{d2}", Use::Name).unwrap().name(&six), expect);
    let words = Macros::parse("%{c} to %{r} at %{t}", Use::Words).unwrap();
    assert_eq!(words.words(&six), "2001:db8::cb01 to here at 1000");
}

#[test]
fn a_name_that_is_too_long_loses_labels_on_its_left() {
    let label = "x".repeat(62);
    let text = format!("{label}.{label}.{label}.{}.yy", "z".repeat(62));
    let name = Macros::domain(&text).unwrap().name(&KNOWN);
    assert_eq!(text.len(), Macros::LONGEST_NAME + 1);
    assert_eq!(name.len(), Macros::LONGEST_NAME - 62);
    let fits = text.get(1..).unwrap();
    assert_eq!(Macros::domain(fits).unwrap().name(&KNOWN), fits);
    let words = Macros::parse(&"w".repeat(Macros::LONGEST_TEXT + 1), Use::Words).unwrap();
    assert_eq!(words.words(&KNOWN).len(), Macros::LONGEST_TEXT);
}

#[test]
fn junk_gives_no_panic() {
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut junk = b"v=spf1 ".to_vec();
        for _ in 0..24 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let alphabet = b"amx:/ip4%{dr.-}=redirct ?~0129\xc3\xa4";
            junk.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
        }
        if let Ok(Policy { redirect: Some(redirect), .. }) = Policy::parse(&junk) {
            assert!(redirect.name(&KNOWN).len() <= Macros::LONGEST_NAME);
        }
    }
}
