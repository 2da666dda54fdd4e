//! `--fresh`: deletes the log and the results, and nothing else that lies in the data folder.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::Path,
};

use bus::embedded::{self, Embedded, OpenError};
use catalog_log::{Standing, on_the_bus};
use client::exit::Usage;
use settings::Config;

/// Starts anew; the text says what was deleted, if anything was.
///
/// # Errors
/// Another process uses the folder, it is another catalog's and nobody agrees, or a file is not Herald's or cannot be deleted.
pub(super) async fn start(config: &Config, catalog: &Path) -> anyhow::Result<Option<String>> {
    let data = config.data.display();
    if let Some(other) = others(config, catalog).await? {
        let other = other.display();
        let held = format!("{data} has the log and the results of the catalog in {other}");
        if !io::stdin().is_terminal() {
            let advice = "start with --fresh on a terminal, which asks, or choose another folder with --data";
            return Err(Usage(format!("{held}, which --fresh would delete; {advice}")).into());
        }
        if !agrees(&format!("{held}. Delete them?"))? {
            return Err(Usage("nothing was deleted; choose another folder with --data".to_owned()).into());
        }
    }
    // The results first: from the log they could be made again.
    let results = results::store::erase(&config.results.path)?.then(|| config.results.path.clone());
    let erased: Vec<String> =
        results.into_iter().chain(embedded::erase(&config.data)?).map(|file| file.display().to_string()).collect();
    Ok((!erased.is_empty()).then(|| format!("🧹 Started anew: deleted {}", erased.join(" and "))))
}

/// The other folder whose catalog is in the log.
async fn others(config: &Config, catalog: &Path) -> anyhow::Result<Option<std::path::PathBuf>> {
    if !config.data.join(embedded::FILE).exists() {
        return Ok(None);
    }
    let bus = match Embedded::open(&config.embedded()) {
        Ok(bus) => bus,
        Err(error @ OpenError::InUse { .. }) => return Err(error.into()),
        // A log that this version cannot read says not whose it is.
        Err(_) => return Ok(None),
    };
    let found = on_the_bus(&bus).await;
    bus.close();
    match found.map(|record| Standing::of(record.as_ref(), catalog)) {
        Ok(Standing::Another(other)) => Ok(Some(other)),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn agrees(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
