use super::*;

/// A query in one line, to compare with.
fn outline(text: &str) -> String {
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(why) => return why.to_string(),
    };
    let terms: Vec<String> = query
        .terms
        .iter()
        .map(|term| {
            let sign = if term.sense == Sense::Is { "" } else { "not " };
            match &term.test {
                Test::Text { place, text, form: Form::Beginning } => format!("{sign}{place:?} {text}…"),
                Test::Text { place, text, form: Form::Whole } => format!("{sign}{place:?} {text}"),
                test => format!("{sign}{test:?}"),
            }
        })
        .collect();
    terms.join(" and ")
}

#[test]
fn queries_are_read() {
    for (text, expect) in [
        ("invoice", "Anywhere invoice…"),
        ("  two\twords ", "Anywhere two… and Anywhere words…"),
        ("\"a phrase\"", "Anywhere a phrase"),
        ("\"never closed from:x", "Anywhere never closed from:x"),
        ("-spam !\"big offer\"", "not Anywhere spam… and not Anywhere big offer"),
        ("from:anna@example.org", "From anna@example.org…"),
        ("FROM:\"Anna B\"", "From Anna B"),
        ("-to:bob cc:eve addressed:x", "not To bob… and Cc eve… and Addressed x…"),
        ("subject:\"a: b\" body:word", "Subject a: b and Body word…"),
        ("message-id:<1@x.org>", "MessageId <1@x.org>…"),
        ("tag:red -tag:\"two words\"", "Tag(\"red\") and not Tag(\"two words\")"),
        ("is:read is:unread -is:unread", "Read and not Read and Read"),
        ("is:tagged !is:tagged", "Tagged and not Tagged"),
        ("has:attachment -HAS:Attachments", "Attachment and not Attachment"),
        ("before:1970-01-02 after:1970/01/01", "Before(86400000) and After(0)"),
        ("after:\"1970-01-01 00:01\"", "After(60000)"),
        ("larger:5M smaller:20kb larger:7", "Larger(5242880) and Smaller(20480) and Larger(7)"),
        ("larger:1GiB", "Larger(1073741824)"),
        ("http://example.org/x", "Anywhere http://example.org/x…"),
        ("this & - that", "Anywhere this… and Anywhere that…"),
        ("re:hello \"x:y\":z", "Anywhere re:hello… and Anywhere x:y :z"),
        ("a\"b c\"d", "Anywhere a b c d…"),
        (
            "AND OR NOT NEAR(x) a* ^b c+d {e}:f",
            "Anywhere AND… and Anywhere OR… and Anywhere NOT… and Anywhere NEAR(x)… and Anywhere a*… and Anywhere ^b… \
          and Anywhere c+d… and Anywhere {e}:f…",
        ),
    ] {
        assert_eq!(outline(text), expect, "{text}");
    }
}

#[test]
fn what_is_no_query_says_why() {
    for (text, expect) in [
        ("", "there is nothing to search for"),
        (" \t", "there is nothing to search for"),
        ("-", "there is no word to search for in '-'"),
        ("& ***", "there is no word to search for in '&'"),
        ("\"\"", "there is no word to search for in '\"\"'"),
        ("from:", "'from:' takes a word or a \"phrase\""),
        ("to:\"\"", "'to:' takes a word or a \"phrase\""),
        ("subject:!", "there is no word to search for in 'subject:!'"),
        ("tag:", "'tag:' takes the name of a tag"),
        ("is:new", "'is:' takes 'read', 'unread' or 'tagged'"),
        ("has:dog", "'has:' takes 'attachment'"),
        ("before:soon", "'before:' takes a date such as 2026-07-31, or \"2026-07-31 14:30\""),
        ("larger:big", "'larger:' takes a size such as 500, 20k or 5M"),
        ("larger:-1", "'larger:' takes a size such as 500, 20k or 5M"),
        ("larger:99999999999G", "'larger:' takes a size such as 500, 20k or 5M"),
        ("smaller:1iB", "'smaller:' takes a size such as 500, 20k or 5M"),
    ] {
        assert_eq!(outline(text), expect, "{text}");
    }
}

#[test]
fn a_query_has_bounds() {
    let longest = "é".repeat(Query::LONGEST / 2);
    assert!(Query::parse(&longest).is_ok());
    assert_eq!(Query::parse(&format!("{longest}x")), Err(NotAQuery::TooLong));
    let most = "x ".repeat(Query::MOST_TERMS);
    assert_eq!(Query::parse(&most).unwrap().terms.len(), Query::MOST_TERMS);
    assert_eq!(Query::parse(&format!("{most}x")), Err(NotAQuery::TooLong));
}

#[test]
fn only_text_needs_the_text_of_messages() {
    for (text, without) in [("is:read tag:x larger:1", true), ("is:read x", false), ("has:attachment", false)] {
        assert_eq!(Query::parse(text).unwrap().needs_no_text(), without, "{text}");
    }
}
