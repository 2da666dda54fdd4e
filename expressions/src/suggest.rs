//! "Did you mean": the known name that is closest to an unknown one.

/// The closest of the known names, if it is close enough to be a slip of the finger.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_different_word_is_not() {
        let known = ["changed", "was", "became", "coalesce"];
        assert_eq!(closest("chnaged", known), Some("changed"));
        assert_eq!(closest("Became", known), Some("became"));
        assert_eq!(closest("wsa", known), Some("was"));
        assert_eq!(closest("upper", known), None);
    }
}
