//! `herald show`: what happened under a correlation id, of which the beginning is enough.

use crate::address::Api;
use clap::Args;
use contracts::ids::CorrelationId;
use jiff::Timestamp;
use std::process::ExitCode;
use std::time::Duration;

use crate::{
    exit,
    ids::{self, Given},
    page::{self, Awaited, Page},
    print, render,
    status::say_if_catalog_is_awaited,
};

use crate::send::verdict;

/// What `herald show` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    pub(crate) given: Given,
    /// Wait until it is complete, telling what happens; at most so long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s",
          value_parser = contracts::wait::parse)]
    pub(crate) wait: Option<Duration>,
    /// Show every page of a long list of invocations, not just the first
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON: the summary; with --all one page per line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// Shows it once, after waiting for it, or page by page.
///
/// # Errors
/// The API cannot be reached, or refuses; that nothing is known of it is an answer, with exit code 1.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let found = options.given.meant(&options.api, None).await?.map(|meant| meant.correlation);
    // What nothing is known of yet may be waited for under its whole id.
    let whole = || options.given.id.as_ref().filter(|_| options.wait.is_some())?.parse().ok();
    let Some(correlation) = &found.or_else(whole) else {
        print::error(&options.given.unknown());
        say_if_catalog_is_awaited(&options.api).await;
        return Ok(ExitCode::from(exit::NO));
    };
    let waited = match options.wait {
        Some(timeout) => {
            let awaited = Awaited { correlation, invocation: None, raw: None, timeout };
            page::follow(&options.api, &awaited, !options.json && print::is_terminal()).await?
        }
        None => None,
    };
    // Who waits for no time is answered all the same.
    let known = match waited {
        Some(last) => Some(last),
        None => page::known(&options.api, correlation).await?,
    };
    let Some(first) = known else {
        print::error(&ids::unknown(correlation.as_str()));
        say_if_catalog_is_awaited(&options.api).await;
        return Ok(ExitCode::from(exit::NO));
    };
    let code = options.wait.map_or(ExitCode::SUCCESS, |timeout| verdict(&first.summary, None, timeout));
    if options.wait.is_some() && !options.json && print::is_terminal() {
        print::line("")?;
    }
    if options.all {
        all(&options, correlation, first).await?;
    } else {
        show(&options, &first)?;
    }
    Ok(code)
}

fn show(options: &Options, page: &Page) -> anyhow::Result<()> {
    if options.json {
        print::line(&page.json())
    } else {
        print::block(&render::summary(&page.summary, Timestamp::now()))
    }
}

/// Every page as it comes; the totals only after the last.
async fn all(options: &Options, correlation: &CorrelationId, mut page: Page) -> anyhow::Result<()> {
    loop {
        let next = page.summary.next.take();
        if options.json {
            show(options, &page)?;
        } else if next.is_some() {
            print::block(&render::invocations(&page.summary, Timestamp::now()))?;
        } else {
            show(options, &page)?;
        }
        let Some(cursor) = next else { return Ok(()) };
        page = page::get(&options.api, correlation, Some(&cursor)).await?;
    }
}
