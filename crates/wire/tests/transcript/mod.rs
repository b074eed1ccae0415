//! How a line of a transcript is written.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test outside a crate: clippy.toml knows only cfg(test)")]

/// The bytes of a line: `\r`, `\n`, `\t`, `\\` and `\xHH` are escapes.
pub fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            other => other,
        });
    }
    out
}
