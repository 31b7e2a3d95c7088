//! Ages on a command line, as Cyrus writes them: `3`, `0.5` (days), `12h`, `1d12h`, `90s`.

/// Seconds of an age.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no age: a number of days, or like 1d12h30m");
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit = match tail.chars().next() {
            None | Some('d') => 86_400.0,
            Some('h') => 3600.0,
            Some('m') => 60.0,
            Some('s') => 1.0,
            Some(_) => return Err(wrong()),
        };
        total += number * unit;
        rest = tail.get(1..).unwrap_or_default();
    }
    Ok(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_days_unless_they_say_so() {
        for (text, seconds) in
            [("3", 259_200), ("0.5", 43_200), ("1d12h", 129_600), ("90s", 90), ("0", 0), ("2m", 120)]
        {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for text in ["", "x", "3w", "d", "-1", "1.2.3"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
