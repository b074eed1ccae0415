//! What the store's index is given of a message: its Cc, its text, the names of its attachments.

use sportello_store::{Extract, Extractor};

use super::letter::{Letter, saved_name};
use super::structure::Limits;

/// Reads messages for the index, as the desk would show them: text where there is text, else the HTML's words.
pub fn extractor() -> Extractor {
    Extractor::new(extract)
}

fn extract(message: &[u8]) -> Extract {
    let letter = Letter::of(message, &Limits { text_bytes: Extract::MOST_TEXT, ..Limits::default() });
    let attachments =
        letter.attachments.iter().filter_map(|&number| letter.part(number)).map(saved_name).collect::<Vec<_>>();
    let cc = letter.field("cc").unwrap_or_default().to_owned();
    Extract { cc, text: letter.text.map(|text| text.text).unwrap_or_default(), attachments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_html_and_names_are_read() {
        for (message, cc, text, attachments) in [
            ("Cc: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n\r\nplain", "Jürgen <j@example.org>", "plain", &[][..]),
            ("Content-Type: text/html\r\n\r\n<script>no</script><b>Ja</b> oder<p>nein", "", "Ja oder\nnein", &[]),
            ("Content-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\u{e9}", "", "cafÃ©", &[]),
            (
                "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x\r\n\
                 Content-Type: application/pdf; name=a.pdf\r\n\r\nbytes\r\n--x\r\nContent-Type: image/png\r\n\r\n--x--",
                "",
                "hello",
                &["a.pdf", "part-3.png"],
            ),
            ("", "", "", &[]),
            ("no header", "", "", &[]),
        ] {
            let extract = extract(message.as_bytes());
            assert_eq!((extract.cc.as_str(), extract.text.trim()), (cc, text), "{message:?}");
            assert_eq!(extract.attachments, attachments, "{message:?}");
        }
    }

    #[test]
    fn text_is_read_up_to_the_bound_and_not_beyond() {
        for (length, read) in [(Extract::MOST_TEXT, Extract::MOST_TEXT), (Extract::MOST_TEXT + 1, Extract::MOST_TEXT)] {
            let message = format!("Subject: x\r\n\r\n{}", "a".repeat(length));
            assert_eq!(extract(message.as_bytes()).text.len(), read);
        }
    }
}
