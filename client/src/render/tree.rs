//! Why events did not happen, as trees: the same for a change that somebody made up and for one that came. Pure.

use std::fmt::Write as _;

use contracts::why::{Explanation, Failing, NotDetected};

use super::LONGEST;
use crate::print::{BOLD, DIM, RED, clean, cut};

/// The event's name, and where in its file it is decided.
pub fn head(out: &mut String, sign: &str, name: &str, place: Option<&str>) {
    let pad = 40_usize.saturating_sub(name.len());
    let place = place.map(|place| format!("{:pad$}  {DIM}{}{DIM:#}", "", clean(place))).unwrap_or_default();
    let _ = writeln!(out, "{sign} {BOLD}{name}{BOLD:#}{place}");
}

/// An event that did not happen, with the part of its condition that decided.
pub fn not_detected(out: &mut String, not: &NotDetected) {
    head(out, "✗", &not.event.to_string(), not.place.as_deref());
    match &not.explanation {
        Some(explanation) => clause(out, explanation),
        None => drop(writeln!(out, "    {}", clean(&not.because))),
    }
}

/// An event that failed, with the part of its condition that did and the values that it saw.
pub fn failed(out: &mut String, failing: &Failing) {
    head(out, "❌", &failing.event.to_string(), failing.place.as_deref());
    let error = cut(&clean(&failing.error), LONGEST);
    let _ = writeln!(out, "    `{}` failed: {RED}{error}{RED:#}", clean(&failing.stage));
    let Some(why) = &failing.explanation else { return };
    if !why.text.is_empty() && !failing.error.contains(&why.text) {
        let _ = writeln!(out, "    {}", clean(&why.text));
    }
    seen(out, why);
}

/// The part of a condition that decided, with the values that it saw.
pub fn clause(out: &mut String, why: &Explanation) {
    if let Some(because) = &why.because {
        let _ = writeln!(out, "    {}", clean(because));
        seen(out, why);
    } else if why.any_of {
        why.parts.iter().for_each(|part| clause(out, part));
    } else {
        let _ = writeln!(out, "    {} → {}", clean(&why.text), clean(why.value.as_deref().unwrap_or("none")));
        seen(out, why);
    }
    if let Some(meant) = &why.meant {
        let _ = writeln!(out, "      did you mean {}?", clean(meant));
    }
}

/// The values that a part saw, on one line.
fn seen(out: &mut String, why: &Explanation) {
    let mut seen = Vec::new();
    why.parts.iter().for_each(|part| values(&mut seen, part));
    if !seen.is_empty() {
        let _ = writeln!(out, "      {}", seen.join(", "));
    }
}

fn values(out: &mut Vec<String>, part: &Explanation) {
    out.push(match (&part.because, &part.value) {
        (Some(because), _) => clean(because),
        (None, value) => format!("{} = {}", clean(&part.text), clean(value.as_deref().unwrap_or("none"))),
    });
    part.parts.iter().for_each(|part| values(out, part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_failed_has_its_place_its_clause_and_what_that_saw() {
        let part = |text: &str, value: Option<&str>, parts| Explanation {
            text: text.into(),
            value: value.map(str::to_owned),
            parts,
            ..Explanation::default()
        };
        let failing = Failing {
            event: "order.large".parse().expect("a name"),
            stage: "when".into(),
            place: Some("events/order.large.yaml:3".into()),
            error: "a string has no order with an int".into(),
            explanation: Some(part("new.total > 100", None, vec![part("new.total", Some("\"abc\""), vec![])])),
        };
        let mut out = String::new();
        failed(&mut out, &failing);
        let shown = anstream::adapter::strip_str(&out).to_string();
        assert_eq!(
            shown,
            "❌ order.large                               events/order.large.yaml:3\n    `when` failed: a string has no \
             order with an int\n    new.total > 100\n      new.total = \"abc\"\n"
        );
    }

    #[test]
    fn of_clauses_each_of_which_would_do_all_are_shown() {
        let clause = |text: &str, value: &str| Explanation {
            text: text.into(),
            value: Some("false".into()),
            parts: vec![Explanation {
                text: format!("new.{text}"),
                value: Some(value.into()),
                ..Explanation::default()
            }],
            ..Explanation::default()
        };
        let why = Explanation {
            any_of: true,
            parts: vec![clause("a", "1"), clause("b", "\u{1b}[2J2")],
            ..Explanation::default()
        };
        let mut out = String::new();
        super::clause(&mut out, &why);
        assert_eq!(out, "    a → false\n      new.a = 1\n    b → false\n      new.b = 2\n");
    }
}
