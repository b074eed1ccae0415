use std::path::Path;

use super::*;

fn read(text: &str) -> (Option<Written>, Vec<Fault>) {
    let mut faults = Vec::new();
    let source = Source::new(Path::new("/etc/a.kdl"), text.as_bytes(), &mut faults);
    (Written::read(&source, &mut faults), faults)
}

#[test]
fn values_are_what_the_table_says() {
    let text = "channel \"wéb\" port=0x50 protocol=http { idle \"75s\"; backlog 7 }\n\
                channel b port=1 protocol=smtp { message-size \"25MiB\" }\n\
                domain Example.ORG { site \"WWW.example.org.\" { root www } }\n\
                command c { program p a; argument n from=-3 }\n";
    let (written, faults) = read(&text.replace("wéb", "web"));
    assert!(faults.is_empty(), "{faults:?}");
    let written = written.unwrap();
    let channel = written.first("channel").unwrap();
    assert_eq!(channel.value().and_then(Value::text), Some("web"));
    assert_eq!(channel.property("port").and_then(Value::number::<u16>), Some(80));
    assert_eq!(channel.property("protocol").map(|value| &value.datum), Some(&Datum::Word("http")));
    assert_eq!(channel.first("idle").and_then(Directive::value).and_then(Value::time), Some(Duration::from_secs(75)));
    let other = written.all("channel").nth(1).unwrap();
    assert_eq!(other.first("message-size").and_then(Directive::value).and_then(Value::number), Some(25_u64 << 20));
    let domain = written.first("domain").unwrap();
    assert_eq!(domain.value().and_then(Value::text), Some("example.org"));
    let site = domain.first("site").unwrap();
    assert_eq!(site.value().and_then(Value::text), Some("www.example.org"));
    let root = site.first("root").and_then(Directive::value).and_then(Value::path);
    assert_eq!(root, Some(&PathBuf::from("/etc/www")));
    let argument = written.first("command").unwrap().first("argument").unwrap();
    assert_eq!(argument.property("from").and_then(Value::integer), Some(-3));
    // Places are bytes, also behind letters of several.
    let (written, faults) = read("// é\nstate \"/é\"; workers 2\n");
    assert!(faults.is_empty(), "{faults:?}");
    let written = written.unwrap();
    assert_eq!(written.source.part(written.first("workers").unwrap().name), "workers");
    assert_eq!(written.source.part(written.first("workers").unwrap().span), "workers 2");
    assert_eq!(written.source.part(written.first("state").unwrap().value().unwrap().span), "\"/é\"");
}

#[test]
fn ranges_hold_at_their_ends() {
    for (text, fits) in [
        ("workers 1", true),
        ("workers 256", true),
        ("workers 0", false),
        ("workers 257", false),
        ("workers -1", false),
        ("workers 2.0", false),
        ("workers #true", false),
        ("workers 99999999999999999999999999999999999999", false),
        ("workers \"2\"", true),
        ("grace \"0s\"", true),
        ("grace \"1h\"", true),
        ("grace \"3601s\"", false),
        ("connections 1 per-source=1", true),
        ("connections 0", false),
        ("log info form=json", true),
        ("log info form=\"json\"", true),
        ("log", false),
        ("log info debug", false),
        ("hostname a.b", true),
        ("hostname \"a b\"", false),
        ("address \"::1\"", true),
        ("address \"[::1]\"", false),
        ("state \"\"", false),
    ] {
        assert_eq!(read(text).1.is_empty(), fits, "{text}: {:?}", read(text).1);
    }
}

#[test]
fn hostile_texts_are_told_in_bounded_time() {
    let nested = |open: &str, depth: usize, close: &str| open.repeat(depth) + &close.repeat(depth);
    let texts = [
        nested("a {\n", 100_000, "}\n"),
        nested("/- a {\n", 8, "}\n"),
        nested("a /- {\n", 8, "}\n").repeat(20),
        "a b /-c /- { d { e { f { g { h } } } } }\n".repeat(500),
        "}".repeat(250_000),
        "a =b\n".repeat(50_000),
        "=".repeat(250_000),
        "\"".repeat(250_001),
        "/*".repeat(125_000),
        "\\\n".repeat(100_000) + "x",
        "(".repeat(250_000),
        "a (".repeat(60_000),
        "a \"b\"\"c\"\n".repeat(25_000),
        "workers \\\n".repeat(20_000),
        "channel ".repeat(30_000),
        "channel web port=1\n".repeat(12_000),
        format!("workers {}", "9".repeat(250_000)),
        format!("hostname {}", "a".repeat(250_000)),
        "#".repeat(250_000),
        "/-".repeat(125_000),
        "a /-".repeat(60_000),
        "{};".repeat(80_000),
    ];
    for text in texts {
        let (written, faults) = read(&text);
        let shown = text.get(..20).unwrap_or(&text);
        assert!(written.is_none() || !faults.is_empty(), "{shown}");
        assert!(!faults.is_empty(), "{shown}");
    }
}

#[test]
fn what_is_absent_is_refused_by_name() {
    use crate::config::table::{ABSENT, What};
    for absent in ABSENT {
        let inner = match absent.what {
            What::Directive(name) => format!("{name} x"),
            What::Property(name) => format!("{}=x", name),
            What::Value(name, value) => format!("{name}={value}"),
        };
        let path: Vec<&str> = absent.within.split('/').filter(|name| !name.is_empty()).collect();
        let is_directive = matches!(absent.what, What::Directive(_));
        let mut text = if is_directive { inner } else { String::new() };
        for (depth, name) in path.iter().rev().enumerate() {
            let own = if depth == 0 && !is_directive { format!("{} ", entry(absent.what)) } else { String::new() };
            text = format!("{name} x {own}{{\n{text}\n}}");
        }
        let (_, faults) = read(&text);
        let told = faults.iter().any(|fault| fault.message.contains("is not built yet"));
        assert!(told, "{text}: {faults:?}");
    }
    fn entry(what: What) -> String {
        match what {
            What::Directive(_) => String::new(),
            What::Property(name) => format!("{name}=x"),
            What::Value(name, value) => format!("{name}={value}"),
        }
    }
}
