//! What was probably meant.

/// The one of `known` that a person most likely mistyped as `written`, if any is near.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word that nobody would type by mistake for a directive is not worth comparing with all of them.
    const LONGEST: usize = 40;
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_ascii_lowercase().replace('_', "-");
    let near = |known: &'a str| {
        let distance = distance(&written, known);
        let most = (known.len().max(written.len()) / 3).max(1);
        (distance <= most || known.strip_suffix('s') == Some(&written)).then_some((distance, known))
    };
    known.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// Insertions, deletions, changes and swaps of neighbours that make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, against) in other.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let change = at(&last, column) + usize::from(letter != against);
            let mut least = change.min(at(&last, column + 1) + 1).min(at(&next, column) + 1);
            let swapped =
                row > 0 && column > 0 && one.get(row - 1) == Some(against) && other.get(column - 1) == Some(letter);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found() {
        let known = ["channel", "domain", "port", "protocol", "address", "first-byte", "connections"];
        for (written, expect) in [
            ("chanel", Some("channel")),
            ("Domain", Some("domain")),
            ("prot", Some("port")),
            ("adress", Some("address")),
            ("first_byte", Some("first-byte")),
            ("connection", Some("connections")),
            ("server", None),
            ("", None),
            (&"x".repeat(100_000), None),
        ] {
            assert_eq!(nearest(written, known), expect, "{written}");
        }
    }
}
