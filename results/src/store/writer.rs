//! The one writer: a batch of progress, and how far it reads, become one transaction.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use bus::{Offset, Record};
use contracts::progress::{self, Fact};
use rusqlite::Connection;

use super::{
    Announced, Durable, Reader, StoreError, Waiting, file, memory::Memory, outbox, reader, transaction::Transaction,
};
use crate::{fold::Line, pace::Step, watch::Change};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// How many bytes of unfinished invocations are remembered beside it.
    pub memory_bytes: usize,
}

impl Options {
    /// The usual store in that file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), memory_bytes: 64 * 1024 * 1024 }
    }
}

/// How far a batch reads one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The position that it starts from, as the store has it.
    pub from: Option<Offset>,
    /// The position behind its last record.
    pub to: Offset,
}

/// What becomes one transaction.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Records of `progress`, of any partition, each partition's in order.
    pub records: Vec<Record>,
    /// How far they read, by partition.
    pub read: BTreeMap<u32, Read>,
    /// Up to where the outbox was published.
    pub sent: Option<i64>,
}

/// What a transaction did.
#[derive(Debug, Default)]
pub struct Applied {
    /// The correlations that changed.
    pub changes: Vec<Change>,
    /// Those that completed, to be published.
    pub announced: Option<Announced>,
    /// How many records were no progress records.
    pub unreadable: u64,
    /// The steps of runs that were told.
    pub steps: Vec<Step>,
}

/// The store's only writer.
#[derive(Debug)]
pub struct Writer {
    pub(super) connection: Connection,
    pub(super) memory: Memory,
    options: Options,
    /// Where retention goes on.
    pub(super) trimmed: i64,
    /// How far a pass over the unfinished rows has come.
    pub(super) swept: i64,
    durable: Durable,
    _lock: File,
}

impl Writer {
    /// Opens the store, creating or migrating its file.
    ///
    /// # Errors
    /// See [`StoreError`]: the file is in use, foreign, of a newer format, or cannot be opened.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let (connection, lock) = file::open(&options.path)?;
        let durable = Durable::new(options.path.clone())?;
        let memory = Memory::default();
        Ok(Self { connection, memory, options, trimmed: 0, swept: 0, durable, _lock: lock })
    }

    /// A reader beside this writer.
    pub fn reader(&self) -> Reader {
        Reader::new(self.options.path.clone())
    }

    /// What makes committed transactions durable.
    pub fn durable(&self) -> Durable {
        self.durable.clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// How far each partition of `progress` has been read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn positions(&self) -> Result<BTreeMap<u32, Offset>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT partition, next FROM position")
            .map_err(StoreError::doing("read"))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, Offset(row.get::<_, i64>(1)? as u64))));
        rows.and_then(Iterator::collect).map_err(StoreError::doing("read"))
    }

    /// Folds a batch and moves the positions, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if a position is not the one the batch starts from, or the file cannot be read or written.
    /// Nothing was written then.
    pub fn apply(&mut self, batch: &Batch) -> Result<Applied, StoreError> {
        let mut steps = Vec::new();
        let applied = self.transaction(|transaction| {
            if let Some(upto) = batch.sent {
                outbox::delete(transaction.connection, upto)?;
            }
            for (partition, read) in &batch.read {
                transaction.advance(*partition, *read)?;
            }
            for record in &batch.records {
                for line in progress::lines(record.value()) {
                    match Line::read(line) {
                        Ok(line) => {
                            if let Fact::Job(step) = &line.progress.fact {
                                steps.push(Step::of(step));
                            }
                            transaction.fold(line)?;
                        }
                        Err(error) => transaction.unreadable(record, &error.to_string())?,
                    }
                }
            }
            Ok(())
        });
        applied.map(|applied| Applied { steps, ..applied })
    }

    /// What was announced from a place in the outbox on, as it stands now, of one row and about `most` bytes; what reopened
    /// since is left out, as it will be announced again.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn outbox(&self, from: Waiting, most: usize) -> Result<Option<Announced>, StoreError> {
        let Some((id, correlations)) = outbox::from(&self.connection, from.id)? else { return Ok(None) };
        let first = if id == from.id { from.index } else { 0 };
        let mut announced = Announced::new(id);
        for (index, correlation) in correlations.iter().enumerate().skip(first) {
            let Some((row, tally)) = reader::tally(&self.connection, correlation)? else { continue };
            if !tally.is_complete() {
                continue;
            }
            let summary = reader::announcement(&self.connection, correlation, row, &tally)?;
            let bytes = contracts::json::size(&summary);
            if !announced.push(summary, bytes, most) {
                announced.rest = Some(index + 1).filter(|next| *next < correlations.len());
                break;
            }
        }
        Ok(Some(announced))
    }

    /// Runs a transaction: all of `work`, or nothing of it.
    pub(super) fn transaction(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<(), StoreError>,
    ) -> Result<Applied, StoreError> {
        let done = self.connection.unchecked_transaction().map_err(StoreError::doing("write")).and_then(|sql| {
            let mut transaction = Transaction::new(&sql, &mut self.memory);
            work(&mut transaction)?;
            let (used, applied) = transaction.finish()?;
            sql.commit().map_err(StoreError::doing("write"))?;
            Ok((used, applied))
        });
        match done {
            Ok((used, applied)) => {
                self.memory.settle(used, self.options.memory_bytes);
                Ok(applied)
            }
            Err(error) => {
                self.memory.clear();
                Err(error.at(&self.options.path))
            }
        }
    }
}
