//! What came of the tests, as JUnit's XML: what continuous integration reads.

use std::fmt::Write as _;

use catalog::Event;

/// What came of one test.
pub(super) struct Case<'c> {
    pub(super) event: &'c Event,
    pub(super) name: &'c str,
    pub(super) line: usize,
    /// What came instead of what was expected, if it failed.
    pub(super) failure: Option<&'c str>,
}

/// The document. The cases of an event stand one behind another.
pub(super) fn document(cases: &[Case<'_>]) -> String {
    let failed = |cases: &[Case<'_>]| cases.iter().filter(|case| case.failure.is_some()).count();
    let mut out = begin(cases.len(), failed(cases), 0);
    for suite in cases.chunk_by(|a, b| a.event.name() == b.event.name()) {
        let name = escape(&suite[0].event.name().to_string());
        let file = escape(suite[0].event.file());
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" file=\"{file}\" tests=\"{}\" failures=\"{}\" errors=\"0\">",
            suite.len(),
            failed(suite)
        );
        for case in suite {
            let title = escape(case.name);
            let _ = write!(
                out,
                "    <testcase classname=\"{name}\" name=\"{title}\" file=\"{file}\" line=\"{}\"",
                case.line
            );
            match case.failure {
                None => out.push_str("/>\n"),
                Some(why) => {
                    let why = escape(why);
                    let _ =
                        writeln!(out, "><failure message=\"{why}\">{file}:{}: {why}</failure></testcase>", case.line);
                }
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out + "</testsuites>\n"
}

/// The document where the catalog cannot be used, so that no test could run.
pub(super) fn broken(report: &str) -> String {
    let report = escape(report);
    begin(1, 0, 1)
        + "  <testsuite name=\"catalog\" tests=\"1\" failures=\"0\" errors=\"1\">\n    <testcase classname=\"catalog\" name=\"it can be used\">"
        + &format!(
            "<error message=\"the catalog has errors\">{report}</error></testcase>\n  </testsuite>\n</testsuites>\n"
        )
}

fn begin(tests: usize, failures: usize, errors: usize) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"herald test\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n"
    )
}

/// A text as it may stand in XML: some characters may not, in any form.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_leaves_its_place() {
        assert_eq!(escape("a<b & \"c\"\n\u{1b}[2J]]>"), "a&lt;b &amp; &quot;c&quot;&#10;�[2J]]&gt;");
        assert!(broken("x < 1").contains("errors=\"1\"") && broken("x < 1").contains("x &lt; 1"));
    }
}
