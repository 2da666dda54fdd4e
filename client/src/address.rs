//! Where the API and the webhook of a running Herald are, as flags of the tools.

use clap::Args;

use crate::http::Base;

/// Where the API is, for every tool that asks it.
#[derive(Debug, Clone, Args)]
pub struct Api {
    /// The API of a running Herald
    #[arg(long, env = "HERALD_API", value_name = "URL", default_value = "http://127.0.0.1:8081", value_parser = api)]
    pub api: Base,
    /// The API's token, where it wants one
    #[arg(long, env = "HERALD_API_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Where the webhook is, for every tool that sends to it.
#[derive(Debug, Clone, Args)]
pub struct Webhook {
    /// The webhook listener of a running Herald, with or without its path /hasura
    #[arg(long, env = "HERALD_URL", value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = webhook)]
    pub url: Base,
    /// The webhook's secret, where it wants one
    #[arg(long, env = "HERALD_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub secret: Option<String>,
}

/// The address of the webhook listener. A URL that ends in the path of the webhook, as `dev` prints it, is the same.
fn webhook(text: &str) -> Result<Base, String> {
    let base: Base = text.parse()?;
    if let Some((before, source)) = base.prefix().rsplit_once("/hasura/") {
        return Err(format!(
            "it names the source `{source}`; give http://{}{before} and --source {source}",
            base.authority()
        ));
    }
    Ok(base.without("/hasura"))
}

/// The address of the API listener. The path of the API behind it is no part of it.
pub fn api(text: &str) -> Result<Base, String> {
    Ok(text.parse::<Base>()?.without("/v1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_its_path_is_the_same_as_without() {
        for text in
            ["http://127.0.0.1:8080", "127.0.0.1:8080/", "http://127.0.0.1:8080/hasura", "127.0.0.1:8080/hasura/"]
        {
            assert_eq!(webhook(text).expect(text).to_string(), "http://127.0.0.1:8080", "{text}");
        }
        assert_eq!(webhook("gate/herald/hasura").expect("a URL").prefix(), "/herald");
        assert_eq!(api("http://127.0.0.1:8081/v1/").expect("a URL").to_string(), "http://127.0.0.1:8081");
        let error = webhook("http://gate/hasura/billing").expect_err("a source within the URL");
        assert!(error.contains("http://gate and --source billing"), "{error}");
    }
}
