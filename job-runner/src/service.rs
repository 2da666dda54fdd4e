//! Follows the catalog and keeps one group per job; a group that fails stops no other.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use bus::{BackOff, Bus, Waiting, has_any};
use contracts::{control::Standing, lane, names::GroupName, topics};
use futures_util::FutureExt;
use jiff::Timestamp;
use runtime::meter;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    OUTAGE,
    attempt::panicked,
    config::Config,
    error::{Error, GroupError, Remedy},
    group::{self, Context, Told},
    handle::{Board, Cell, GroupState, Handle},
    plan::Draft,
    registry::Registry,
    selection::Selection,
    view::{CatalogView, JobSpec},
    word::Word,
};

/// How often it is looked whether jobs that the catalog has forgotten are drained, while there are any.
const LOOK_AT_GONE: Duration = Duration::from_secs(30);

/// How many jobs are named of those that a shutdown waits for.
const SAID: usize = 5;

/// What the job runner needs of others.
pub struct Deps {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The catalog that counts, as it is followed on the topic `catalog`; none until there is a record.
    pub catalog: watch::Receiver<Option<Arc<CatalogView>>>,
    /// What was said about jobs, as it is followed on the topic `control`; none until all of it is known, and nothing is run
    /// before.
    pub control: watch::Receiver<Option<Arc<Standing>>>,
    /// The kinds of jobs that this process has.
    pub registry: Registry,
    /// Where it is shown how each job is.
    pub board: Board,
}

/// The stage. See the crate.
pub struct Service {
    config: Arc<Config>,
    deps: Deps,
}

/// A group that was started.
struct Kept {
    drafts: watch::Sender<Arc<Draft>>,
    words: watch::Sender<Word>,
    stop: CancellationToken,
    cell: Arc<Cell>,
    /// The catalog names it no more, not even as retired: it goes once it is drained.
    gone: bool,
}

/// What was asked of the bus, and has ended.
enum Chore {
    /// Groups that have nothing left to read.
    Drained(Vec<GroupName>),
    /// A group's positions were forgotten, or not.
    Forgotten(GroupName, Result<(), bus::Error>),
}

/// The groups and what the loop over them remembers.
struct Groups<'s> {
    service: &'s Service,
    shutdown: CancellationToken,
    selection: Selection,
    view: Option<Arc<CatalogView>>,
    /// What was said about jobs.
    standing: Option<Arc<Standing>>,
    kept: HashMap<GroupName, Kept>,
    /// Groups that are shown although nobody can run them.
    unusable: HashSet<GroupName>,
    /// Groups that are gone and whose positions are to be forgotten: whether that is being done just now.
    forgotten: HashMap<GroupName, bool>,
    /// Questions to the bus, of which none holds up the others.
    chores: JoinSet<Chore>,
    tasks: JoinSet<(GroupName, Result<(), GroupError>)>,
}

impl Service {
    /// The stage, not started yet.
    pub fn new(config: Config, deps: Deps) -> Self {
        Self { config: Arc::new(config), deps }
    }

    /// What others may ask while it runs.
    pub fn handle(&self) -> Handle {
        Handle::new(self.deps.bus.clone(), self.deps.board.clone())
    }

    /// Runs until it is told to stop; then running jobs may finish within the grace period.
    ///
    /// # Errors
    /// [`Error`]: the bus or the catalog's follower has ended. A job that fails is no error of the stage.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let (mut catalog, mut control) = (self.deps.catalog.clone(), self.deps.control.clone());
        catalog.mark_changed();
        control.mark_changed();
        self.deps.board.clear();
        let mut groups = Groups {
            service: &self,
            shutdown: shutdown.child_token(),
            selection: Selection::new(&self.config.jobs),
            view: None,
            standing: None,
            kept: HashMap::new(),
            unusable: HashSet::new(),
            forgotten: HashMap::new(),
            chores: JoinSet::new(),
            tasks: JoinSet::new(),
        };
        let ended = groups.keep(&mut catalog, &mut control, &shutdown).await;
        self.say_whom_it_waits_for();
        groups.shutdown.cancel();
        let limit = self.config.longest_end();
        let left = timeout(limit, async { while groups.tasks.join_next().await.is_some() {} }).await;
        if left.is_err() {
            tracing::warn!(
                jobs = groups.tasks.len(),
                "the bus did not take the last commits in time; records run again"
            );
        }
        self.deps.registry.end().await;
        ended
    }
}

impl Service {
    fn say_whom_it_waits_for(&self) {
        let running: Vec<_> = self.deps.board.status().into_iter().filter(|status| status.in_flight > 0).collect();
        if running.is_empty() {
            return;
        }
        let names: Vec<&str> = running.iter().take(SAID).map(|status| status.group.full_name()).collect();
        let runs = running.iter().map(|status| status.in_flight).sum::<usize>();
        let (jobs, names) = (running.len(), names.join(", "));
        let grace = self.config.grace;
        tracing::info!(
            runs, jobs, names, %grace,
            "waiting for what runs, then it is cancelled and the next start takes it up again"
        );
    }
}

impl Groups<'_> {
    async fn keep(
        &mut self,
        catalog: &mut watch::Receiver<Option<Arc<CatalogView>>>,
        control: &mut watch::Receiver<Option<Arc<Standing>>>,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let mut look = interval(LOOK_AT_GONE);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let has_gone = !self.forgotten.is_empty() || self.kept.values().any(|kept| kept.gone);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    let (group, ended) = ended.expect("invariant: a group catches its panics and is never aborted");
                    self.ended(group, ended)?;
                }
                Some(Ok(chore)) = self.chores.join_next(), if !self.chores.is_empty() => self.done(chore),
                changed = catalog.changed() => {
                    changed.map_err(|_| Error::CatalogGone)?;
                    self.view = catalog.borrow_and_update().clone();
                    self.follow();
                }
                changed = control.changed() => {
                    changed.map_err(|_| Error::ControlGone)?;
                    let is_first = self.standing.is_none();
                    self.standing = control.borrow_and_update().clone();
                    if is_first { self.follow() } else { self.pass_on() }
                }
                _ = look.tick(), if has_gone => self.look_at_gone(),
            }
        }
    }

    /// Starts what is new, tells what stays, and lets go what went.
    fn follow(&mut self) {
        // A job of which it is not known whether it is paused is not run.
        let Some(view) = self.view.clone().filter(|_| self.standing.is_some()) else { return };
        let mut names: Vec<&str> = view.each().map(|(job, _)| job.group.full_name()).collect();
        names.sort_unstable();
        self.selection.look(view.number, &names);
        let ours = view.jobs.iter().filter(|job| self.selection.takes(&job.group)).count();
        tracing::info!(catalog.number = view.number, jobs = ours, "the job runner follows a catalog");
        for (job, retired) in view.each() {
            if self.selection.takes(&job.group) {
                self.tell(&view, job, retired);
            }
        }
        self.show_unusable(&view);
        let named: HashSet<&GroupName> = view.each().map(|(job, _)| &job.group).collect();
        for (group, kept) in self.kept.iter_mut().filter(|(group, kept)| !kept.gone && !named.contains(group)) {
            // What it has yet to run it runs by its last definition.
            tracing::info!(
                job.name = group.full_name(),
                "the catalog has forgotten the job; it goes once it is drained"
            );
            kept.cell.retire(true);
            kept.gone = true;
        }
    }

    /// Tells each group what was said about its job, if that is news.
    fn pass_on(&self) {
        for (group, kept) in &self.kept {
            let word = self.word(group);
            kept.words.send_if_modified(|known| {
                let is_news = *known != word;
                *known = word;
                is_news
            });
        }
    }

    fn word(&self, group: &GroupName) -> Word {
        self.standing.as_ref().map(|standing| Word::of(standing, group, Timestamp::now())).unwrap_or_default()
    }

    /// Shows which jobs that left nobody can run here. One that this process has runs on by its last definition.
    fn show_unusable(&mut self, view: &CatalogView) {
        let board = &self.service.deps.board;
        for group in std::mem::take(&mut self.unusable) {
            if !view.unusable.contains(&group) && !self.kept.contains_key(&group) {
                board.remove(&group);
            }
        }
        let ours = view.unusable.iter().filter(|group| self.selection.takes(group) && !self.kept.contains_key(group));
        for group in ours {
            let error = GroupError::Unusable;
            tracing::error!(job.name = group.full_name(), error.kind = error.kind(), %error, "a job cannot run");
            board.add(group).fail(Some((GroupState::Stopped(error), Timestamp::now())));
            self.unusable.insert(group.clone());
        }
    }

    fn tell(&mut self, view: &CatalogView, job: &JobSpec, retired: bool) {
        let starts = Arc::new(view.starts.get(&job.group).cloned().unwrap_or_default());
        let draft = Arc::new(Draft { number: view.number, job: job.clone(), starts });
        if self.forgotten.get(&job.group) == Some(&true) {
            // It begins anew once its positions are forgotten.
            return;
        }
        self.forgotten.remove(&job.group);
        if let Some(kept) = self.kept.get_mut(&job.group) {
            // One that is leaving begins anew when it has left.
            kept.gone = false;
            kept.cell.retire(retired);
            kept.drafts.send_replace(draft);
            return;
        }
        let (drafts, receiver) = watch::channel(draft);
        let (words, said) = watch::channel(self.word(&job.group));
        let stop = self.shutdown.child_token();
        let cell = self.service.deps.board.add(&job.group);
        cell.retire(retired);
        let context = Context {
            bus: self.service.deps.bus.clone(),
            registry: self.service.deps.registry.clone(),
            config: self.service.config.clone(),
            cell: cell.clone(),
        };
        let (group, stopped) = (job.group.clone(), stop.clone());
        let told = Told { drafts: receiver, words: said };
        self.tasks.spawn(meter::inherit(async move { (group, supervise(context, told, stopped).await) }));
        self.kept.insert(job.group.clone(), Kept { drafts, words, stop, cell, gone: false });
    }

    /// Asks which groups of jobs that left the catalog have nothing left to run, and has positions forgotten.
    fn look_at_gone(&mut self) {
        if !self.chores.is_empty() {
            return;
        }
        let gone: Vec<GroupName> =
            self.kept.iter().filter(|(_, kept)| kept.gone).map(|(group, _)| group.clone()).collect();
        let bus = self.service.deps.bus.clone();
        self.chores.spawn(async move {
            Chore::Drained(drained(&*bus, gone).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot see which jobs that left are drained");
                Vec::new()
            }))
        });
        let again: Vec<GroupName> = self.forgotten.keys().cloned().collect();
        again.into_iter().for_each(|group| self.forget(group));
    }

    fn forget(&mut self, group: GroupName) {
        self.forgotten.insert(group.clone(), true);
        let bus = self.service.deps.bus.clone();
        self.chores.spawn(async move {
            let forgotten = bus.forget(group.as_str()).await;
            Chore::Forgotten(group, forgotten)
        });
    }

    fn done(&mut self, chore: Chore) {
        match chore {
            Chore::Drained(groups) => {
                for kept in groups.iter().filter_map(|group| self.kept.get(group)).filter(|kept| kept.gone) {
                    kept.stop.cancel();
                }
            }
            Chore::Forgotten(group, Ok(())) => {
                self.forgotten.remove(&group);
                self.tell_again(&group);
            }
            Chore::Forgotten(group, Err(error)) => {
                tracing::info!(job.name = group.full_name(), %error, "its positions are not forgotten yet");
                self.forgotten.insert(group.clone(), false);
                self.tell_again(&group);
            }
        }
    }

    /// Starts a group anew that came back into the catalog while it was leaving.
    fn tell_again(&mut self, group: &GroupName) {
        let view = self.view.clone().unwrap_or_default();
        if let Some((job, retired)) = view.each().find(|(job, _)| job.group == *group)
            && self.selection.takes(group)
        {
            self.tell(&view, job, retired);
        }
    }

    /// A group's task has ended: it was told to, or the bus has stopped.
    fn ended(&mut self, group: GroupName, ended: Result<(), GroupError>) -> Result<(), Error> {
        if let Err(GroupError::Bus(error @ bus::Error::Stopped(_))) = ended {
            return Err(Error::Bus(error));
        }
        self.service.deps.board.remove(&group);
        let Some(kept) = self.kept.remove(&group) else { return Ok(()) };
        if kept.gone {
            tracing::info!(job.name = group.full_name(), "the job is drained and gone");
            self.forget(group);
        } else {
            self.tell_again(&group);
        }
        Ok(())
    }
}

/// The groups that have read everything, and of which nothing waits for another attempt.
async fn drained(bus: &dyn Bus, groups: Vec<GroupName>) -> Result<Vec<GroupName>, bus::Error> {
    let names: Vec<String> = groups.iter().map(GroupName::to_string).collect();
    let lags = bus.lags(&names).await?;
    let infos = bus.topics().await?;
    let mut drained = Vec::new();
    for group in groups {
        let is_behind = lags.get(group.as_str()).is_some_and(|all| all.iter().any(|lag| lag.records > 0));
        let lane = infos.iter().find(|info| info.topic.as_str() == topics::lane(&group));
        let waits = match lane {
            Some(lane) if !is_behind => has_any(bus, &OUTAGE, lane, lane::STATES).await?,
            _ => false,
        };
        if !is_behind && !waits {
            drained.push(group);
        }
    }
    Ok(drained)
}

/// Runs a group again and again until it is told to stop. Returns an error only if the process must be started again.
async fn supervise(context: Context, mut told: Told, stop: CancellationToken) -> Result<(), GroupError> {
    let config = &context.config;
    let mut back_off = BackOff::new(config.rejoin_initial.get(), config.rejoin_max.get());
    let (mut failing, mut waiting): (Option<(Timestamp, String)>, Option<Waiting<'_>>) = (None, None);
    loop {
        let started = std::time::Instant::now();
        let run = AssertUnwindSafe(group::run(&context, &mut waiting, &mut told, &stop)).catch_unwind().await;
        let error = match run {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(panic) => GroupError::Panicked(panicked(panic.as_ref()).error),
        };
        if started.elapsed() > config.rejoin_max.get() {
            back_off.renew();
            failing = None;
        }
        let job = told.drafts.borrow().job.group.clone();
        let (remedy, text) = (error.remedy(), error.to_string());
        let is_said = failing.as_ref().is_some_and(|(_, said)| *said == text);
        match &error {
            GroupError::Bus(error @ bus::Error::Unavailable(_)) => {
                waiting.get_or_insert_with(|| OUTAGE.begins(error));
            }
            _ if is_said => tracing::debug!(job.name = job.full_name(), %error, "a job's group failed again"),
            error => {
                let kind = error.kind();
                tracing::error!(job.name = job.full_name(), error.kind = kind, %error, ?remedy, "a job's group failed");
            }
        }
        let since = failing.take().map_or_else(Timestamp::now, |(since, _)| since);
        failing = Some((since, text));
        let (state, wait) = match remedy {
            Remedy::Restart => return Err(error),
            Remedy::Rejoin => (GroupState::Waiting(error), Some(back_off.next())),
            Remedy::NextCatalog => (GroupState::Stopped(error), None),
            // Nobody needs to start the process again, once what is wrong is mended.
            Remedy::Operator => (GroupState::Stopped(error), Some(back_off.longest())),
        };
        context.cell.fail(Some((state, since)));
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Ok(()) = told.drafts.changed(), if remedy != Remedy::Rejoin => {}
            () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
        context.cell.fail(None);
    }
}
