//! Names of hosts in letters of any script: as people write them and as they are asked for.
//!
//! Whoever asks sends A-labels (RFC 5890 §2.3.2.1), so a name is settled to them as browsers do (UTS 46, without the transitional rules):
//! `Bücher.example` is `xn--bcher-kva.example`. Names of plain letters stay as they are. Bounded by the length of a name.

use std::borrow::Cow;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// A label that nobody can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label of this name is no word of one script, or no A-label (RFC 5891): nobody can ask for it")]
pub struct BadLabel;

/// The name as it is asked for.
///
/// # Errors
/// When it has a label that cannot be.
pub fn asked_for(written: &str) -> Result<Cow<'_, str>, BadLabel> {
    if written.is_ascii() && !has_a_label(written) {
        return Ok(Cow::Borrowed(written));
    }
    let text = written.as_bytes();
    Uts46::new()
        .to_ascii(text, AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::VerifyAllowRootDot)
        .map_err(|_| BadLabel)
}

/// The name for people: in its letters too, where it has others than it is asked for by.
pub fn shown(name: &str) -> String {
    match in_letters(name) {
        Some(letters) => format!("{name} ({letters})"),
        None => name.to_owned(),
    }
}

/// The name in its letters, where those are others.
pub fn in_letters(name: &str) -> Option<String> {
    if !has_a_label(name) {
        return None;
    }
    let (letters, sound) = Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
    sound.is_ok().then(|| letters.into_owned()).filter(|letters| letters != name)
}

fn has_a_label(name: &str) -> bool {
    name.split('.').any(|label| label.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("xn--")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_by_its_a_labels() {
        for (written, expect) in [
            ("www.example.org", Some("www.example.org")),
            ("WWW.example.org.", Some("WWW.example.org.")),
            ("a_b.example", Some("a_b.example")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("BÜCHER.Example", Some("xn--bcher-kva.example")),
            ("bu\u{308}cher.example", Some("xn--bcher-kva.example")),
            ("XN--BCHER-KVA.example", Some("xn--bcher-kva.example")),
            ("straße.example", Some("xn--strae-oqa.example")),
            ("例え。テスト", Some("xn--r8jz45g.xn--zckzah")),
            ("ｗｗｗ．example", Some("www.example")),
            ("пример.испытание.", Some("xn--e1afmkfd.xn--80akhbyknj4f.")),
            // A lone joiner, a mark in front, an empty label, no A-label, too long, a right-to-left word that is mixed.
            ("a\u{200d}b.example", None),
            ("\u{308}a.example", None),
            ("ü..example", None),
            ("xn--.example", None),
            ("xn--a.example", None),
            ("xn--bcher-kva-.example", None),
            ("ü\u{202e}.example", None),
            ("אa1.example", None),
        ] {
            assert_eq!(asked_for(written).as_deref().ok(), expect, "{written}");
        }
        assert!(asked_for(&format!("{}.example", "ü".repeat(54))).is_ok());
        assert!(asked_for(&format!("{}.example", "ü".repeat(63))).is_err());
    }

    #[test]
    fn people_read_both() {
        assert_eq!(shown("xn--bcher-kva.example"), "xn--bcher-kva.example (bücher.example)");
        assert_eq!(shown("*.xn--bcher-kva.example"), "*.xn--bcher-kva.example (*.bücher.example)");
        for plain in ["www.example.org", "*", "xn--a.example", "[::1]"] {
            assert_eq!(shown(plain), plain);
        }
    }
}
