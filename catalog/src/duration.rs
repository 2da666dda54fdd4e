//! Durations as files write them: a number and a unit, `500ms`, `3s`, `1h30m`, `2d`. A unit is mandatory.

use std::time::Duration;

/// Reads a duration that is not negative.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let units = [("ms", 0.001), ("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("s", 1.0)];
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|at| *at > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let (unit, seconds) = units.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total += number * seconds;
        rest = rest[unit.len()..].trim_start();
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_carries_its_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("3s", 3000),
            ("1.5s", 1500),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "3", "s", "-1s", "3 sec", "3x", "1e3s", "1..5s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
