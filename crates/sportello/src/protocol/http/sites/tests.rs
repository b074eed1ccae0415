use std::sync::Arc;

use sportello_service::files::{Root, Settings};

use super::*;

fn site() -> Rc<Site> {
    let root = Arc::new(Root::open(&std::env::temp_dir()).unwrap());
    Rc::new(Site::of_folder(Rc::new(Files::new(root, Settings::default()))))
}

fn names(texts: &[&str]) -> Vec<SiteName> {
    texts.iter().map(|text| SiteName::parse(text).unwrap()).collect()
}

/// The index of the chosen site among `all`, and whether it was named.
fn choose(sites: &Sites, host: &str, all: &[Rc<Site>]) -> Option<(usize, bool)> {
    let (chosen, named) = match sites.choose(host.as_bytes(), Host::parse(host.as_bytes())) {
        Choice::Named(site) => (site, true),
        Choice::Default(site) => (site, false),
        Choice::None => return None,
    };
    all.iter().position(|site| Rc::ptr_eq(site, &chosen)).map(|at| (at, named))
}

#[test]
fn the_authority_chooses_the_site() {
    let all = [site(), site(), site(), site()];
    let mut sites = Sites::default();
    sites.add(&names(&["example.org", "WWW.Example.org."]), &all[0]).unwrap();
    sites.add(&names(&["*.example.org"]), &all[1]).unwrap();
    sites.add(&names(&["*.deep.example.org", "127.0.0.1", "[::1]"]), &all[2]).unwrap();
    let cases = [
        ("example.org", Some(0)),
        ("EXAMPLE.ORG:8080", Some(0)),
        ("example.org.", Some(0)),
        ("www.example.org.:80", Some(0)),
        ("a.example.org", Some(1)),
        ("a.b.example.org", Some(1)),
        ("deep.example.org", Some(1)),
        ("x.deep.example.org", Some(2)),
        ("127.0.0.1:81", Some(2)),
        ("[::1]:81", Some(2)),
        ("[0:0:0:0:0:0:0:1]", Some(2)),
        ("notexample.org", None),
        ("example.org.evil.example", None),
        ("org", None),
        ("127.0.0.2", None),
        ("[::2]", None),
    ];
    for (host, expect) in cases {
        // The second time it is remembered.
        for _ in 0..2 {
            assert_eq!(choose(&sites, host, &all), expect.map(|site| (site, true)), "{host}");
        }
        assert_eq!(sites.bears(Host::parse(host.as_bytes()).unwrap()), expect.is_some(), "{host}");
    }
    assert!(choose(&sites, "", &all).is_none());
    sites.set_default(Rc::clone(&all[3]));
    sites.latest.take();
    for (host, expect) in cases {
        assert_eq!(choose(&sites, host, &all), Some(expect.map_or((3, false), |site| (site, true))), "{host}");
    }
    // HTTP/1.0 may name no host.
    assert_eq!(choose(&sites, "", &all), Some((3, false)));
}

#[test]
fn no_name_belongs_to_two_sites() {
    let mut sites = Sites::default();
    sites.add(&names(&["a.example", "*.a.example"]), &site()).unwrap();
    let again = sites.add(&names(&["b.example", "A.example."]), &site()).unwrap_err();
    assert_eq!(again.to_string(), "the name a.example is given to two sites of one channel");
}

#[test]
fn names_that_cannot_be_are_refused() {
    for text in [
        "",
        "*",
        "*.",
        "**.a",
        "a.*.b",
        "*.*.a",
        "a:80",
        "[::1]:80",
        "a b",
        "a/b",
        "u@a",
        "127.1",
        "*.127.0.0.1",
        "a..b",
        ".a",
        "é.org",
    ] {
        assert_eq!(SiteName::parse(text), Err(BadSiteName(text.to_owned())), "{text}");
    }
    for (text, shown) in [("A.Example.", "a.example"), ("*.A.example", "*.a.example"), ("[::0001]", "[::1]")] {
        assert_eq!(SiteName::parse(text).unwrap().to_string(), shown);
    }
}
