//! Durations as people write them: `1500ms`, `10s`, `2m`.

use super::number::parse_u32;

/// Nanoseconds of a whole number with its unit: `ms`, `s` or `m`. Without a unit, or with another, it is none.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return None,
    };
    u64::from(parse_u32(number.as_bytes())?).checked_mul(millis * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_number_needs_its_unit() {
        assert_eq!(parse("1500ms"), Some(1_500_000_000));
        assert_eq!(parse("10s"), Some(10_000_000_000));
        assert_eq!(parse("2m"), Some(120_000_000_000));
        assert_eq!(parse("0s"), Some(0));
        assert_eq!(parse("4294967295s"), Some(4_294_967_295_000_000_000));
        for bad in ["", "10", "s", "1.5s", "-1s", "10 s", "10h", "4294967296s", "1s1s", "4294967295m"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
