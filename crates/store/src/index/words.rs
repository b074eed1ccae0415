//! The words of messages as FTS5 keeps them, and a query as an expression of FTS5.
//!
//! `unicode61` takes a text apart into runs of letters and digits, folds case and takes accents off. Scripts that put
//! no space between words would become words as long as sentences; [`apart`] makes each of their characters a word, in
//! texts and in queries, so that any part of a sentence is found as a phrase. Users' text only ever reaches FTS5 within
//! quotation marks: nothing in it is an operator.

use std::borrow::Cow;
use std::fmt::Write;

use rusqlite::Row;

use crate::query::{Form, Place, Query, Sense, Test};

/// The columns, in the order of [`Words::texts`].
pub(crate) const COLUMNS: [&str; 7] = ["sender", "recipient", "cc", "subject", "body", "names", "message_id"];

/// How texts are taken apart.
pub(crate) const TOKENIZE: &str = "tokenize = 'unicode61 remove_diacritics 2'";

/// The shortest word that may go on: the places of "a…" would be a list of all messages, put together in memory.
const SHORTEST_BEGINNING: usize = 3;

/// What of one message is searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) sender: String,
    pub(crate) recipient: String,
    pub(crate) cc: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) names: String,
    pub(crate) message_id: String,
}

impl Words {
    /// What a row says of its message: the columns of `schema::TEXTS`. The envelope belongs to it, so that what was
    /// sent to somebody is found though no field names them.
    pub(crate) fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let both = |one: usize, other: usize| -> rusqlite::Result<String> {
            Ok(format!("{}\n{}", row.get::<_, String>(one)?, row.get::<_, String>(other)?))
        };
        Ok(Self {
            sender: both(3, 4)?,
            recipient: both(5, 6)?,
            subject: row.get(7)?,
            message_id: row.get(8)?,
            ..Self::default()
        })
    }

    /// As they are written, column by column.
    pub(crate) fn texts(&self) -> [Cow<'_, str>; 7] {
        let Self { sender, recipient, cc, subject, body, names, message_id } = self;
        [sender, recipient, cc, subject, body, names, message_id].map(|text| apart(text))
    }
}

/// A query's text, as two expressions of FTS5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expressions {
    /// What must match.
    pub(crate) positive: Option<String>,
    /// What must not.
    pub(crate) negative: Option<String>,
}

impl Expressions {
    /// Those of a query.
    pub(crate) fn of(query: &Query) -> Self {
        let joined = |sense: Sense, with: &str| {
            let terms = query.terms.iter().filter(|term| term.sense == sense).filter_map(|term| match &term.test {
                Test::Text { place, text, form } => Some(expression(*place, text, *form)),
                _ => None,
            });
            let terms: Vec<String> = terms.collect();
            (!terms.is_empty()).then(|| terms.join(with))
        };
        Self { positive: joined(Sense::Is, " AND "), negative: joined(Sense::IsNot, " OR ") }
    }
}

fn expression(place: Place, text: &str, form: Form) -> String {
    let columns = match place {
        Place::Anywhere => "",
        Place::From => "{sender} : ",
        Place::To => "{recipient} : ",
        Place::Cc => "{cc} : ",
        Place::Addressed => "{sender recipient cc} : ",
        Place::Subject => "{subject} : ",
        Place::Body => "{body} : ",
        Place::MessageId => "{message_id} : ",
    };
    let end = text.trim_end_matches(|letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric());
    let last = end.chars().rev().take_while(|letter| belongs_to_a_word(*letter)).take(SHORTEST_BEGINNING);
    let goes_on = form == Form::Beginning && last.count() == SHORTEST_BEGINNING;
    let star = if goes_on { " *" } else { "" };
    // A quotation mark within quotation marks is written twice.
    let phrase = apart(text).replace('"', "\"\"");
    format!("({columns}\"{phrase}\"{star})")
}

/// The text with a space around each character of a script that has none between words, and without NUL, which would end
/// it early.
fn apart(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains('\0') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if stands_alone(letter) {
            // Writing to a String does not fail.
            let _ = write!(out, " {letter} ");
        } else {
            out.push(if letter == '\0' { ' ' } else { letter });
        }
    }
    Cow::Owned(out)
}

/// Whether `unicode61` keeps the character as a part of a word, for certain: letters and digits of Latin, Greek,
/// Cyrillic, Armenian, Hebrew, Arabic, Georgian and Hangul. Of other scripts, and of letters in circles, it is not known
/// here; words that end in these are found whole.
fn belongs_to_a_word(letter: char) -> bool {
    let known = matches!(letter,
        '\0'..='\u{2c1}' | '\u{370}'..='\u{37d}' | '\u{386}'..='\u{481}' | '\u{48a}'..='\u{527}'
        | '\u{531}'..='\u{556}' | '\u{561}'..='\u{587}' | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}'
        | '\u{660}'..='\u{669}' | '\u{66e}'..='\u{66f}' | '\u{671}'..='\u{6d3}' | '\u{6f0}'..='\u{6f9}'
        | '\u{10d0}'..='\u{10fa}' | '\u{1e00}'..='\u{1fff}' | '\u{ac00}'..='\u{d7a3}');
    known && letter.is_alphanumeric()
}

/// Thai, Lao, Myanmar, Khmer, Kana, and the ideographs.
fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn queries_become_expressions() {
        for (text, positive, negative) in [
            ("hello", Some(r#"("hello" *)"#), None),
            ("he", Some(r#"("he")"#), None),
            ("\"hello there\" -x", Some(r#"("hello there")"#), Some(r#"("x")"#)),
            ("from:anna@example.org", Some(r#"({sender} : "anna@example.org" *)"#), None),
            ("a-to:b is:read", Some(r#"("a-to:b")"#), None),
            ("-\u{6771}\u{4eac}", None, Some("(\" \u{6771}  \u{4eac} \")")),
            ("abc def -ghi -jkl", Some(r#"("abc" *) AND ("def" *)"#), Some(r#"("ghi" *) OR ("jkl" *)"#)),
            ("is:read", None, None),
            ("a\u{24b6}\u{24b6}", Some("(\"a\u{24b6}\u{24b6}\")"), None),
            ("abc\u{24b6}x", Some("(\"abc\u{24b6}x\")"), None),
            ("abc\u{915}", Some("(\"abc\u{915}\")"), None),
            ("abc-", Some("(\"abc-\" *)"), None),
        ] {
            let expressions = Expressions::of(&Query::parse(text).unwrap());
            assert_eq!(
                (expressions.positive.as_deref(), expressions.negative.as_deref()),
                (positive, negative),
                "{text}"
            );
        }
    }

    /// Whether `query` finds a message with this subject.
    fn finds(query: &str, subject: &str) -> bool {
        let connection = Connection::open_in_memory().unwrap();
        let columns = COLUMNS.join(", ");
        connection.execute_batch(&format!("CREATE VIRTUAL TABLE words USING fts5({columns}, {TOKENIZE})")).unwrap();
        let words = Words { subject: subject.to_owned(), ..Words::default() };
        connection.execute("INSERT INTO words VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", words.texts()).unwrap();
        let Expressions { positive, negative } = Expressions::of(&Query::parse(query).unwrap());
        let matches = |expression: String| {
            let sql = "SELECT count(*) FROM words WHERE words MATCH ?1";
            connection.query_row(sql, [expression], |row| row.get::<_, bool>(0)).unwrap()
        };
        positive.is_none_or(matches) && !negative.is_some_and(matches)
    }

    #[test]
    fn what_is_counted_as_a_part_of_a_word_is_one_for_the_index() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("BEGIN; CREATE VIRTUAL TABLE words USING fts5(text, {TOKENIZE})")).unwrap();
        let mut insert = connection.prepare("INSERT INTO words VALUES (?1)").unwrap();
        let letters: Vec<char> = ('\0'..=char::MAX).filter(|letter| belongs_to_a_word(*letter)).collect();
        for letter in &letters {
            insert.execute([format!("q{letter}q")]).unwrap();
        }
        // Apart they would be "q", or "qq" where the character is passed over.
        let others =
            connection.prepare("SELECT text FROM words WHERE words MATCH 'q OR qq'").unwrap().exists(()).unwrap();
        assert!(letters.len() > 10_000 && !others);
    }

    #[test]
    fn what_is_found_in_which_text() {
        for (query, subject, found) in [
            ("invo", "Your INVOICE", true),
            ("voice", "Your invoice", false),
            ("\"invo\"", "Your invoice", false),
            ("\"your invoice\"", "Your  invoice!", true),
            ("\"invoice your\"", "Your invoice", false),
            ("uber", "Über", true),
            ("ÜBER", "uber", true),
            ("strasse", "straße", false),
            ("Привет", "привет, мир", true),
            ("京都", "東京都に行く", true),
            ("東京都に", "東京都に行く", true),
            ("都京", "東京都に行く", false),
            ("カタカナ", "これはカタカナです", true),
            ("ภาษา", "ฉันพูดภาษาไทย", true),
            ("학교", "학교에서 보자", false),
            ("학교에", "학교에서 보자", true),
            ("foo-bar", "foo bar", true),
            ("foo-ba", "a foo_bar", false),
            ("foo-bar", "bar foo", false),
            ("anna@example.org", "to anna@example.org", true),
            ("subject:word", "word", true),
            ("body:word", "word", false),
            ("-word", "word", false),
            ("-other", "word", true),
            ("AND", "and", true),
            ("NEAR(a)", "x", false),
            ("a*b", "a b", true),
            ("{subject}:x", "subject x", true),
            ("x\u{0}y", "x y", true),
            ("\u{24b6}", "x", false),
            ("x \u{24b6}", "x", false),
            ("x -\u{24b6}", "x", true),
            ("' OR 1=1 --", "x", false),
        ] {
            assert_eq!(finds(query, subject), found, "{query} in {subject}");
        }
    }
}
