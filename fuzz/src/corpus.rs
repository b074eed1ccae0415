//! A corpus in one file: a line for each input, with all but printable ASCII escaped as Rust does it in byte strings.
//!
//! Bounded by what is committed; `cargo xtask fuzz` keeps it below [`MOST`] bytes for each target. Also compiled into `xtask`,
//! which packs what was found.

/// The most bytes of one target's file.
pub const MOST: usize = 100 * 1024;

/// The inputs in a packed file; what is malformed is left out.
pub fn unpack(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter(|line| !line.starts_with("# ")).filter_map(|line| unescape(line.as_bytes())).collect()
}

/// A packed file of these inputs: the shortest first, as many as there is room for, none twice.
pub fn pack(mut inputs: Vec<Vec<u8>>) -> String {
    inputs.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    inputs.dedup();
    let mut text = String::new();
    for input in inputs.iter().filter(|input| !input.is_empty()) {
        let line = input.escape_ascii().to_string();
        if text.len() + line.len() < MOST {
            // A line that would be read as a comment.
            text.push_str(&if line.starts_with("# ") { format!("\\x23{}", &line[1..]) } else { line });
            text.push('\n');
        }
    }
    text
}

fn unescape(line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
                other => other,
            },
            other => other,
        });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let inputs = vec![b"# x".to_vec(), all, b"\r\n".to_vec(), b"a\\b".to_vec()];
        let mut back = unpack(&pack(inputs.clone()));
        let mut expect = inputs;
        expect.sort();
        back.sort();
        assert_eq!(back, expect);
        assert!(pack(vec![vec![0; MOST]]).is_empty() && unpack("\\x").is_empty());
    }
}
