//! As much of Markdown as the checks of the documents need: headings, fenced blocks, links and inline code, each with its
//! line number. Refuses to know how any of it is rendered.

/// One document, taken apart.
#[derive(Default)]
pub(crate) struct Document {
    /// The anchors of its headings, as the common forges make them.
    pub(crate) anchors: Vec<String>,
    /// Its links, in order.
    pub(crate) links: Vec<Link>,
    /// Its inline code, in order.
    pub(crate) codes: Vec<Code>,
    /// Its fenced blocks, in order.
    pub(crate) blocks: Vec<Block>,
}

/// `[text](target)` or `![text](target)`.
pub(crate) struct Link {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) target: String,
}

/// A piece between single backquotes.
pub(crate) struct Code {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A fenced block: the words after its opening fence, and its lines.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) info: String,
    pub(crate) lines: Vec<String>,
}

/// Takes a document apart.
pub(crate) fn parse(text: &str) -> Document {
    let mut document = Document::default();
    let mut open: Option<Block> = None;
    for (number, line) in (1_usize..).zip(text.lines()) {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block { line: number, info: info.trim().to_owned(), lines: Vec::new() });
            }
            (Some(_), Some("")) => document.blocks.extend(open.take()),
            (Some(block), _) => block.lines.push(line.to_owned()),
            (None, None) => prose(&mut document, number, line),
        }
    }
    document.blocks.extend(open);
    document
}

fn prose(document: &mut Document, number: usize, line: &str) {
    if let Some(heading) = line.strip_prefix('#') {
        document.anchors.push(anchor(heading.trim_start_matches('#').trim()));
    }
    for (index, piece) in line.split('`').enumerate() {
        if index % 2 == 1 {
            document.codes.push(Code { line: number, text: piece.to_owned() });
        }
    }
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, following)) = after.split_once(')') else { break };
        let text = before.rsplit_once('[').map_or(before, |(_, text)| text);
        let link = Link { line: number, text: text.to_owned(), target: target.to_owned() };
        document.links.push(link);
        rest = following;
    }
}

/// Lower case, spaces to hyphens, punctuation dropped.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_document_apart() {
        let text = "# One `Idea`, told\nsee [`a::b`](x.rs) and [y](#z)\n```console run\n$ echo [no](link)\n```\n";
        let document = parse(text);
        assert_eq!(document.anchors, ["one-idea-told"]);
        let links: Vec<_> = document.links.iter().map(|link| (link.line, &*link.text, &*link.target)).collect();
        assert_eq!(links, [(2, "`a::b`", "x.rs"), (2, "y", "#z")]);
        let codes: Vec<_> = document.codes.iter().map(|code| &*code.text).collect();
        assert_eq!(codes, ["Idea", "a::b"]);
        assert_eq!(document.blocks[0].info, "console run");
        assert_eq!(document.blocks[0].lines, ["$ echo [no](link)"]);
    }
}
