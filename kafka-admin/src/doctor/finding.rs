//! How findings are told: each once, with times in units that fit.

use runtime::finding::Finding;

/// The same findings as one with all their places, in the order in which they first came.
pub(crate) fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |it: &&mut Finding| {
            (it.check, it.level, &it.what, &it.advice) == (finding.check, finding.level, &finding.what, &finding.advice)
        };
        match out.iter_mut().find(same) {
            Some(known) => known.places.extend(finding.places),
            None => out.push(finding),
        }
    }
    out
}

/// A time as people say it.
pub(crate) fn span(time: std::time::Duration) -> String {
    let millis = time.as_millis();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")] {
        // 90 minutes are told as such, and not as an hour and a half.
        if millis >= unit && (millis.is_multiple_of(unit) || millis >= 10 * unit) {
            return format!("{} {name}", millis / unit);
        }
    }
    format!("{millis} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_at_many_places_is_told_once() {
        let one = |place: &str| Finding::warning("topics", "too small", "enlarge it").at(place);
        let merged = merged(vec![one("a"), Finding::ok("brokers", "3"), one("b")]);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].places, ["a", "b"]);
    }

    #[test]
    fn times_are_told_in_units_that_fit() {
        let told = |millis: u64| span(std::time::Duration::from_millis(millis));
        assert_eq!(told(6000), "6 s");
        assert_eq!(told(1500), "1500 ms");
        assert_eq!(told(90 * 60_000), "90 min");
        assert_eq!(told(7 * 86_400_000), "7 d");
        assert_eq!(told(26 * 3_600_000 + 5000), "26 h");
    }
}
