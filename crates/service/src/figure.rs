//! Whole numbers as people read them.

/// The digits in groups of three, parted by `between`: `1,234,567`.
pub fn grouped(number: u64, between: char) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len().saturating_mul(2));
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(between);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number, ','), text);
        }
        assert_eq!(grouped(u64::MAX, ','), "18,446,744,073,709,551,615");
    }
}
