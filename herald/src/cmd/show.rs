//! `herald show`: what happened under a correlation id.

use std::process::ExitCode;

use crate::{
    cli::ShowOptions,
    exit,
    page::{self, Awaited, Page},
    print, render,
};

use super::send::verdict;

/// Shows it once, after waiting for it, or page by page.
///
/// # Errors
/// The API cannot be reached, or refuses; that nothing is known of it is an answer, with exit code 1.
pub(super) async fn run(options: ShowOptions) -> anyhow::Result<ExitCode> {
    let correlation = &options.correlation;
    let waited = match options.wait {
        Some(timeout) => {
            let awaited = Awaited { correlation, invocation: None, raw: None, timeout };
            page::follow(&options.api, &awaited, !options.json).await?
        }
        None => None,
    };
    // Who waits for no time is answered all the same.
    let known = match waited {
        Some(last) => Some(last),
        None => page::known(&options.api, correlation).await?,
    };
    let Some(first) = known else {
        print::error(&format!("nothing is known of correlation {correlation} (any more)"));
        return Ok(ExitCode::from(exit::NO));
    };
    let code = options.wait.map_or(ExitCode::SUCCESS, |timeout| verdict(&first.summary, None, timeout));
    if options.wait.is_some() && !options.json {
        print::line("")?;
    }
    if options.all {
        all(&options, first).await?;
    } else {
        show(&options, &first)?;
    }
    Ok(code)
}

fn show(options: &ShowOptions, page: &Page) -> anyhow::Result<()> {
    print::line(&if options.json { page.json() } else { render::summary(&page.summary) })?;
    Ok(())
}

/// Every page as it comes; the totals only after the last.
async fn all(options: &ShowOptions, mut page: Page) -> anyhow::Result<()> {
    loop {
        let next = page.summary.next.take();
        if options.json {
            show(options, &page)?;
        } else if next.is_some() {
            print::line(&render::invocations(&page.summary))?;
        } else {
            show(options, &page)?;
        }
        let Some(cursor) = next else { return Ok(()) };
        page = page::get(&options.api, &options.correlation, Some(&cursor)).await?;
    }
}
