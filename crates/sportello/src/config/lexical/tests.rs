use super::*;

fn check(text: &str, expect: &[&str]) {
    let (tokens, faults) = tokens(text);
    let told: Vec<String> =
        faults.iter().map(|fault| format!("{} {}", fault.message, fault.help.clone().unwrap_or_default())).collect();
    assert_eq!(told.len(), expect.len(), "{text}: {told:?}");
    for (told, expect) in told.iter().zip(expect) {
        assert!(told.contains(expect), "{text}: {told}");
    }
    if expect.is_empty() {
        let whole: String = tokens.iter().map(|token| &text[token.span.start..token.span.end]).collect();
        assert_eq!(whole, text, "the tokens are the whole text");
        assert!(kdl::KdlDocument::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn what_is_well_written_is_taken_apart() {
    for text in [
        "",
        "\u{FEFF}a 1\n",
        "a b=\"c \\\" d\" 0x1F -1_000 2.5e-3 #true #-inf\r\n",
        "a { b; c {}\n } // d",
        "a /* b /* c */ d */ e",
        "a \\\n  b \\ // why\n  c",
        "/- a { b }\na /-b /-c=1 /-{ d }",
        "a #\"b \" c\\\"# ##\"d\"#e\"##",
        "a \"\"\"\n  b \"x\" \\\"\\\"\\\" c\n  \"\"\"\nd #\"\"\"\n e\n \"\"\"#",
        "www.example.org *.example.org - + a-b é c",
        "a//b",
    ] {
        check(text, &[]);
    }
}

#[test]
fn what_people_get_wrong_is_told() {
    check("a \"b\nc \"d", &["string is not closed on its line write \"", "string is not closed"]);
    check("a #\"b\"", &["write \"# where it ends"]);
    check("a \"\"\"\nb", &["not closed"]);
    check("a {\nb {\n", &["never closed", "never closed"]);
    check("a }\n}", &["} closes nothing", "} closes nothing"]);
    check("/* a", &["comment is never closed"]);
    check("# a comment\nb 30s # c", &["begins with // write: // a comment", "\"30s\"", "begins with // write: // c"]);
    check("root /srv/www", &["write \"/srv/www\""]);
    check("a http://b/c", &["write \"http://b/c\""]);
    check("a C:\\b [1]", &["write \"C:\\\\b\"", "write \"[1]\""]);
    check("a 'b' `c`", &["double quotes write \"b\"", "write \"c\""]);
    check("a true b=null", &["write #true", "write #null"]);
    check("a #yes", &["#yes is no word"]);
    check("a 1.2.3.4 25MiB .5 0x", &["\"1.2.3.4\"", "\"25MiB\"", "\".5\"", "\"0x\""]);
    check("a r\"b\" c\"d\"", &["raw string as #", "whole of it in quotes"]);
    check("a \"b\"c", &["followed by a space"]);
    check("a \0\u{202E}b", &["U+0000 (NUL)", "U+202E"]);
    check("a /-{ b /-c }", &["comments out already"]);
    check("/-a {\n b {\n /-c\n }\n}", &["comments out already"]);
}

#[test]
fn blocks_stand_as_deep_as_they_may() {
    let nested = |depth: usize| "a {\n".repeat(depth) + &"}\n".repeat(depth);
    check(&nested(DEEPEST), &[]);
    check(&nested(DEEPEST + 1), &["more than 8 deep"]);
    check(&nested(100_000), &["more than 8 deep"]);
    check(&"{".repeat(100_000), &["more than 8 deep"]);
    assert_eq!(tokens(&"}".repeat(100_000)).1.len(), MOST_FAULTS);
    assert_eq!(tokens(&"/*".repeat(100_000)).1.len(), 1);
}

#[test]
fn how_words_stand_together_is_told() {
    check("a b= c=1", &["value is missing after this ="]);
    check("a b=\nc d=;e f={ }", &["missing after this =", "missing after this =", "missing after this ="]);
    check("a b=1=2", &["a second ="]);
    check(";a;;", &["ends nothing", "ends nothing"]);
    check("a =b\n=c", &["without =", "without a name"]);
    check("a 1=2 #true=3", &["name is a word"]);
    check("{ a }\nb\n{\n}", &["without the directive", "without the directive"]);
    check("a { b } c\nd { } { }", &["ends with its block", "ends with its block"]);
    check("1 a\n#true", &["begins with its name", "begins with its name"]);
    check("a /-\nb { c /- }", &["nothing follows this /-", "nothing follows this /-"]);
    check("/-/-a", &["one /- is enough"]);
    check("(u8)a (x)1", &["annotated with a type"]);
}

/// What passes here is what the grammar's parser accepts: it never has to recover from an error, which it does by calling
/// itself, as often as it likes.
#[test]
fn what_passes_is_sound() {
    let pieces = [
        "a",
        "b",
        "1",
        "#true",
        "\"s\"",
        "#\"r\"#",
        "\"\"\"\n m\n \"\"\"",
        "=",
        " ",
        " ",
        " ",
        "\n",
        "\n",
        ";",
        "{",
        "}",
        "{",
        "}",
        "/-",
        "// c\n",
        "/* d */",
        "\\\n",
        "-",
        "x=1",
        "a b=2",
        "}\n",
        " { ",
        "\u{FEFF}",
        "\r\n",
        "(",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let (mut passed, mut wrong) = (0, Vec::new());
    for _ in 0..60_000 {
        let mut text = String::new();
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..next() % 14 {
            text.push_str(pieces[next() % pieces.len()]);
        }
        if tokens(&text).1.is_empty() {
            passed += 1;
            let parsed = kdl::KdlDocument::parse(&text);
            wrong.extend(parsed.err().map(|_| text));
        }
    }
    wrong.sort_by_key(String::len);
    assert!(wrong.is_empty(), "{:#?}", wrong.iter().take(20).collect::<Vec<_>>());
    assert!(passed > 3_000, "{passed} of them say something");
}
