//! Whether what a command printed is what a document says it prints.
//!
//! `…` within a line stands for any text, `…` alone on a line for any lines. In a loose block every number stands for any
//! number, with its unit: the document shows what really came once, the test holds everything but the figures.

/// How exactly numbers must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// As written.
    Exact,
    /// Any number for any number.
    Loose,
}

/// Compares; an error names the first line of the document that was not met.
pub(crate) fn compare(expected: &[String], printed: &str, numbers: Numbers) -> Result<(), String> {
    let prepare = |line: &str| match numbers {
        Numbers::Exact => line.trim_end().to_owned(),
        Numbers::Loose => without_figures(line),
    };
    let mut expected: Vec<String> = expected.iter().map(|line| prepare(line)).collect();
    let mut printed: Vec<String> = printed.lines().map(prepare).collect();
    for lines in [&mut expected, &mut printed] {
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
    }
    if lines_match(&expected, &printed) {
        return Ok(());
    }
    let unmet = (1..=expected.len()).find(|&count| {
        let head = expected.get(..count).unwrap_or(&[]);
        let mut head = head.to_vec();
        head.push(ANY.to_owned());
        !lines_match(&head, &printed)
    });
    let line = unmet.and_then(|count| expected.get(count - 1)).map_or("the end", String::as_str);
    Err(format!("the document says `{line}`; printed was:\n{}", printed.join("\n")))
}

const ANY: &str = "…";

fn lines_match(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == ANY => {
            (0..=printed.len()).any(|skipped| lines_match(rest, printed.get(skipped..).unwrap_or(&[])))
        }
        Some((first, rest)) => match printed.split_first() {
            Some((line, others)) => line_matches(first, line) && lines_match(rest, others),
            None => false,
        },
    }
}

/// Glob matching with `…` as the only wildcard.
fn line_matches(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split(ANY);
    let Some(mut rest) = pieces.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Numbers become `#` and swallow a unit after them; runs of spaces become one, since columns move with the figures.
fn without_figures(line: &str) -> String {
    let mut kept = String::new();
    let mut letters = line.trim_end().chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_digit() {
            while letters.next_if(|next| next.is_ascii_digit() || matches!(next, '.' | ',')).is_some() {}
            kept.push('#');
        } else if matches!(letter, '━' | '·') {
            // A bar, whose length is a figure.
            let mut bar = letter;
            while let Some(next) = letters.next_if(|next| matches!(next, '━' | '·')) {
                bar = if next == '━' { next } else { bar };
            }
            kept.push(bar);
        } else if letter == ' ' {
            while letters.next_if_eq(&' ').is_some() {}
            kept.push(' ');
        } else {
            kept.push(letter);
        }
    }
    for unit in ["# µs", "# ms", "# s", "# KiB", "# MiB", "# GiB", "# B", "# bytes"] {
        let alone = format!("{unit} ");
        kept = format!("{kept} ").replace(&alone, "# ").trim_end().to_owned();
        kept = kept.replace(&format!("{unit},"), "#,").replace(&format!("{unit})"), "#)");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, printed: &str, numbers: Numbers, expect: bool) {
        let lines: Vec<String> = expected.lines().map(str::to_owned).collect();
        let result = compare(&lines, printed, numbers);
        assert_eq!(result.is_ok(), expect, "{expected:?} against {printed:?}: {result:?}");
    }

    #[test]
    fn compares() {
        check("a\nb", "a\nb\n", Numbers::Exact, true);
        check("a\nb", "a\nc\n", Numbers::Exact, false);
        check("a\nb", "a\n", Numbers::Exact, false);
        check("a", "a\nb\n", Numbers::Exact, false);
        check("a\n…", "a\nb\nc\n", Numbers::Exact, true);
        check("…\nc", "a\nb\nc\n", Numbers::Exact, true);
        check("…\nd", "a\nb\nc\n", Numbers::Exact, false);
        check("Date: …", "Date: Mon\n", Numbers::Exact, true);
        check("a … c … e", "a b c d e", Numbers::Exact, true);
        check("a … c … e", "a b c d f", Numbers::Exact, false);
        check("a…", "b", Numbers::Exact, false);
        check("took 1.5 ms, 3 bytes", "took 11 µs, 4,000 bytes", Numbers::Loose, true);
        check("took 1.5 ms", "took 11 µs", Numbers::Exact, false);
        check("worker-0   5 s", "worker-1 6 s", Numbers::Loose, true);
        check("worker-0", "walker-0", Numbers::Loose, false);
        check("nap ━━━━· 1.0 s", "nap ·━━ 12 ms", Numbers::Loose, true);
        check("nap ━━━━· 1.0 s", "nap ··· 12 ms", Numbers::Loose, false);
    }

    #[test]
    fn names_the_line() {
        let lines = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let error = compare(&lines, "a\nx\nc", Numbers::Exact).unwrap_err();
        assert!(error.starts_with("the document says `b`"), "{error}");
    }
}
