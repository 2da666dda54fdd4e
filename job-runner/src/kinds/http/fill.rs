//! The options for one event. What a row fills in becomes a text and nothing else: never a reference to a secret, and never
//! a part of a URL that it was not meant to be.

use catalog::{Filler, RenderError, Template};
use serde_json::{Map, Value, json};

use super::url;

/// What stands in place of a URL whose host was filled in.
pub(super) const FILLED: &str = "filled";

/// The options, each as [`super::options::Options::of`] reads it.
pub(super) fn fill(options: &Template, filler: &Filler<'_>) -> Result<Value, RenderError> {
    let Template::Map(entries) = options else {
        return Ok(json!({ "url": url(options, filler)? }));
    };
    let mut out = Map::new();
    for (key, template) in entries {
        let value = match (key.as_str(), template) {
            ("url", Template::Text(_) | Template::Expression(_)) => url(template, filler)?,
            ("headers", Template::Map(headers)) => Value::Object(
                headers.iter().map(|(name, value)| header(name, value, filler)).collect::<Result<_, _>>()?,
            ),
            _ => filler.value(key, template)?,
        };
        out.insert(key.clone(), value);
    }
    Ok(Value::Object(out))
}

fn url(template: &Template, filler: &Filler<'_>) -> Result<Value, RenderError> {
    let wrong = |message: String| RenderError { path: "url".to_owned(), message };
    let filled = url::fill(&filler.pieces("url", template)?).map_err(wrong)?;
    Ok(if filled.is_host_written { Value::String(filled.text) } else { json!({ FILLED: filled.text }) })
}

fn header(name: &str, template: &Template, filler: &Filler<'_>) -> Result<(String, Value), RenderError> {
    let value = match template {
        Template::Text(_) | Template::Expression(_) => {
            let pieces = filler.pieces(&format!("headers.{name}"), template)?;
            Value::String(pieces.into_iter().map(|piece| piece.text).collect())
        }
        written => filler.value(&format!("headers.{name}"), written)?,
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use catalog::JobContext;

    use super::*;

    fn of(text: &str) -> Template {
        Template::compile(text).expect("a template")
    }

    fn filled(options: &Template, data: &Value) -> Result<Value, RenderError> {
        fill(options, &Filler::of(&JobContext { data, event: &json!({}), payload: None }))
    }

    #[test]
    fn what_a_row_fills_in_is_a_text_and_no_reference_to_a_secret() {
        let headers = Template::Map(vec![("x-a".to_owned(), of("${data.a}"))]);
        let options = Template::Map(vec![
            ("url".to_owned(), of("https://b.example/${data.id}")),
            ("headers".to_owned(), headers),
            ("body".to_owned(), Template::Map(vec![("all".to_owned(), of("${data}"))])),
        ]);
        let data = json!({ "id": "a/b", "a": 5 });
        let told = json!({
            "url": "https://b.example/a%2Fb", "headers": { "x-a": "5" }, "body": { "all": { "id": "a/b", "a": 5 } }
        });
        assert_eq!(filled(&options, &data), Ok(told));
        let error = filled(&options, &json!({ "id": 1, "a": { "secret": "billing-key" } })).expect_err("a map");
        assert!(error.to_string().starts_with("headers.x-a: data.a is a list or a map"), "{error}");
    }

    #[test]
    fn a_host_that_a_row_chooses_is_marked() {
        let whole = of("${data.url}");
        let told = json!({ "url": { FILLED: "http://10.0.0.1/" } });
        assert_eq!(filled(&whole, &json!({ "url": "http://10.0.0.1/" })), Ok(told));
        let error = filled(&whole, &json!({ "url": { "secret": "slack-url" } })).expect_err("a map");
        assert!(error.to_string().starts_with("url: data.url is a list or a map"), "{error}");
        let error = filled(&of("https://${data.host}/x"), &json!({ "host": "a/b" })).expect_err("a path");
        assert!(error.to_string().starts_with("url: what is filled in for the host has '/'"), "{error}");
    }
}
