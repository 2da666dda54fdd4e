//! Secrets in plain text among the options of a job: a catalog lies in a repository, and travels on the bus.

use crate::yaml::{Content, Entry, Yaml};

/// What the name of a secret has as a word.
const WORDS: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "authorization", "credential", "credentials"];
/// What a name ends with that says where a secret is, or what it is called.
const ELSEWHERE: [&str; 7] = ["file", "path", "name", "header", "url", "id", "env"];
/// What secrets of well-known services begin with.
const PREFIXES: [&str; 10] =
    ["sk_live_", "rk_live_", "whsec_", "ghp_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "-----BEGIN"];
/// What stands before a secret in a header.
const SCHEMES: [&str; 2] = ["Bearer ", "Basic "];
/// The fewest characters of a text that is taken for a secret by what it begins with.
const LONG: usize = 16;

/// The places of texts that look like secrets, with the name that each has, or none where its own form tells.
pub(super) fn of(node: &Yaml) -> Vec<(usize, Option<&str>)> {
    let mut found = Vec::new();
    look(node, None, &mut found);
    found
}

fn look<'y>(node: &'y Yaml, key: Option<&'y str>, found: &mut Vec<(usize, Option<&'y str>)>) {
    match &node.content {
        Content::Scalar(text, _) => {
            let named = key.filter(|key| is_secrets_name(key) && !text.is_empty() && !text.contains("${"));
            if named.is_some() || has_secrets_form(text) {
                found.push((node.start, named));
            }
        }
        Content::List(items) => items.iter().for_each(|item| look(item, key, found)),
        // What the configuration calls that is no secret itself.
        Content::Map { entries, .. } if key != Some("env") && is_reference(entries) => {}
        Content::Map { entries, .. } => entries.iter().for_each(|entry| look(&entry.value, Some(&entry.key), found)),
    }
}

/// Whether it is `{ secret: name }`, also with a `prefix`.
fn is_reference(entries: &[Entry]) -> bool {
    let is_one_of = |known: &[&str]| entries.iter().all(|entry| known.contains(&entry.key.as_str()));
    is_one_of(&["secret", "prefix"]) && entries.iter().any(|entry| entry.key == "secret")
}

fn is_secrets_name(name: &str) -> bool {
    let mut words: Vec<String> = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        if !letter.is_alphanumeric() || letter.is_uppercase() && before.is_lowercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    let is = |words: &[String], known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let last = words.len().saturating_sub(1);
    let of_two =
        words.windows(2).any(|two| two[1] == "key" && ["api", "private", "access", "secret"].contains(&&*two[0]));
    !is(&words[last..], &ELSEWHERE) && (of_two || is(&words, &WORDS))
}

fn has_secrets_form(text: &str) -> bool {
    let is_long =
        |rest: &str| rest.chars().take_while(|letter| !letter.is_whitespace() && *letter != '$').count() >= LONG;
    let begins = |prefix: &&str| {
        text.match_indices(*prefix).any(|(at, _)| {
            let is_word = text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
            is_word && is_long(&text[at..])
        })
    };
    let follows = |scheme: &&str| text.split(*scheme).skip(1).any(is_long);
    PREFIXES.iter().any(begins) || SCHEMES.iter().any(follows) || has_password(text)
}

/// Whether it is a URL with a user and a password.
fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        let password =
            authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
        password.is_some_and(|password| !password.is_empty() && !password.starts_with('$'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn found(text: &str) -> Vec<Option<String>> {
        let node = yaml::read(text).expect("YAML").expect("something");
        of(&node).into_iter().map(|(_, name)| name.map(str::to_owned)).collect()
    }

    #[test]
    fn what_is_called_a_secret_or_looks_like_one_is_found() {
        for name in
            ["PASSWORD", "db_password", "apiKey", "API_KEY", "x-api-key", "githubToken", "Authorization", "secret"]
        {
            assert_eq!(found(&format!("env: {{ {name}: hunter2 }}")), [Some(name.to_owned())], "{name}");
        }
        for text in [
            "authorization: Bearer abcdefghijklmnopqrstuv",
            "sk_live_4242424242424242",
            "--key=ghp_0123456789abcdefghij",
            "postgres://app:hunter2@db/shop",
        ] {
            assert_eq!(found(&format!("run: [curl, '{text}']")), [None], "{text}");
        }
    }

    #[test]
    fn what_only_names_a_secret_or_is_filled_in_is_none() {
        for text in [
            "{ PASSWORD_FILE: /run/secrets/password, TOKEN_URL: https://a/b, secretName: billing }",
            "{ token: \"${data.token}\", tokenizer: words, monkey: x, key: a-b, keys: b }",
            "{ a: Bearer of good news, b: 'Bearer ${event.id}', c: https://a:8080/b, d: skate }",
            "{ password: '' }",
            "{ password: { secret: smtp-password }, headers: { authorization: { secret: a, prefix: 'Token ' } } }",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
