//! The workers: take keys from a queue, run a pass for each, and put them back as its outcome says.

use std::{fmt, future::Future, hash::Hash, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    metrics::{ControllerMetrics, OneController},
    queue::{Backoff, Lane, Queue, Taken},
};

/// Identifies one pass in logs, events and traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PassId(u64);

impl PassId {
    fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for PassId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// What a handler is told about the pass it runs.
#[derive(Debug, Clone)]
pub struct Pass<K> {
    /// The key to reconcile.
    pub key: K,
    /// Why, roughly: an edit or a resync.
    pub lane: Lane,
    /// The id of this pass.
    pub id: PassId,
    /// How many passes of this key failed in a row before this one.
    pub failures: u32,
}

/// What becomes of a key after its pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// When to run again if nothing else triggers the key. `None` on a failed pass means the key's own exponential backoff.
    pub requeue_after: Option<Duration>,
    /// The lane of that next pass.
    pub lane: Lane,
    /// Whether the pass failed. A pass that did not clears the key's backoff.
    pub failed: bool,
}

impl Outcome {
    /// All is done; only a trigger brings the key back.
    #[must_use]
    pub fn done() -> Self {
        Self {
            requeue_after: None,
            lane: Lane::Resync,
            failed: false,
        }
    }

    /// The pass succeeded and wants another one: [`Lane::Edit`] where work is under way, [`Lane::Resync`] for periodic repair.
    #[must_use]
    pub fn requeue_after(after: Duration, lane: Lane) -> Self {
        Self {
            requeue_after: Some(after),
            lane,
            failed: false,
        }
    }

    /// The pass failed: try again after the key's exponential backoff.
    #[must_use]
    pub fn failed() -> Self {
        Self {
            requeue_after: None,
            lane: Lane::Edit,
            failed: true,
        }
    }

    /// The pass failed, and when to try again is known: a throttling answer that names a time, or an input that only a user can
    /// put right.
    #[must_use]
    pub fn failed_after(after: Duration, lane: Lane) -> Self {
        Self {
            requeue_after: Some(after),
            lane,
            failed: true,
        }
    }
}

/// How a set of workers runs.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The name of the controller, in metrics and logs.
    pub controller: String,
    /// How many passes run at once, at least 1. All but one of them may be resyncs: one worker is always left for edits.
    pub concurrency: usize,
    /// How long running passes may go on after the shutdown was asked for.
    pub grace: Duration,
    /// How long a pass may take. One that takes longer hangs: it is ended, and its key is tried again as after any failure.
    pub limit: Duration,
    /// The backoff of failing keys.
    pub backoff: Backoff,
}

impl WorkerOptions {
    /// Options with a grace period of 20 seconds (within the 30 seconds a Pod gets to end), a limit of 10 minutes and the default backoff.
    #[must_use]
    pub fn new(controller: impl Into<String>, concurrency: usize) -> Self {
        Self {
            controller: controller.into(),
            concurrency: concurrency.max(1),
            grace: Duration::from_secs(20),
            limit: PASS_LIMIT,
            backoff: Backoff::default(),
        }
    }
}

/// Far beyond what a pass takes, which waits for nothing but its own requests, and each of those has a time limit of its own. One that hangs
/// all the same would keep its key from ever being looked at again, and a few of them all keys.
const PASS_LIMIT: Duration = Duration::from_secs(600);

/// How the workers ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Passes that were still running when the grace period ended, and were aborted.
    pub aborted: usize,
}

/// Runs passes until `shutdown` is cancelled, then lets the running ones finish within the grace period.
///
/// The handler runs on the task of its pass. A panic in it is caught, counted, and treated as a failure of that key alone.
/// An aborted pass may stop at any of its await points: what it does must be safe to repeat.
pub async fn run_workers<K, H, F>(
    queue: Queue<K>,
    options: WorkerOptions,
    metrics: &ControllerMetrics,
    handler: H,
    shutdown: CancellationToken,
) -> Drained
where
    K: Clone + Eq + Hash + fmt::Display + Send + Sync + 'static,
    H: Fn(Pass<K>) -> F + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let concurrency = options.concurrency.max(1);
    let metrics = metrics.of(&options.controller);
    metrics
        .maximum
        .set(i64::try_from(concurrency).unwrap_or(i64::MAX));
    queue.set_resync_limit(concurrency.saturating_sub(1));
    let worker = Arc::new(Worker {
        queue,
        handler,
        metrics,
        options,
    });
    let mut passes = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = passes.join_next() => report(ended),
            taken = worker.queue.next(), if passes.len() < concurrency => {
                let worker = Arc::clone(&worker);
                passes.spawn(async move { worker.run(taken).await });
            }
        }
    }
    let deadline = Instant::now() + worker.options.grace;
    while !passes.is_empty() {
        match tokio::time::timeout_at(deadline, passes.join_next()).await {
            Ok(Some(ended)) => report(ended),
            Ok(None) => break,
            Err(_) => {
                let aborted = passes.len();
                tracing::warn!(controller = %worker.options.controller, aborted, "grace period over, aborting the passes that still run");
                // Aborting takes effect at the next await point; a pass that blocks its thread must not block the shutdown too.
                let _ = tokio::time::timeout(Duration::from_secs(1), passes.shutdown()).await;
                return Drained { aborted };
            }
        }
    }
    Drained { aborted: 0 }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        // Handlers cannot bring a task down; this is about the few lines around them.
        tracing::error!(%error, "the task of a pass ended abnormally");
    }
}

struct Worker<K, H> {
    queue: Queue<K>,
    handler: H,
    metrics: OneController,
    options: WorkerOptions,
}

impl<K, H, F> Worker<K, H>
where
    K: Clone + Eq + Hash + fmt::Display + Send + Sync + 'static,
    H: Fn(Pass<K>) -> F + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    async fn run(&self, taken: Taken<K>) {
        let Taken {
            key,
            lane,
            failures,
            ..
        } = taken;
        let id = PassId::random();
        let span = tracing::info_span!("pass", controller = %self.options.controller, key = %key, lane = lane.label(), pass = %id);
        let pass = Pass {
            key: key.clone(),
            lane,
            id,
            failures,
        };
        // Also counted down when the pass is aborted.
        self.metrics.active.inc();
        let _active = Active(&self.metrics);
        let started = Instant::now();
        // The call itself is inside, too: a handler may panic before its first await.
        let ended = AssertUnwindSafe(async { (self.handler)(pass).await })
            .catch_unwind()
            .instrument(span.clone());
        let ended = tokio::time::timeout(self.options.limit, ended).await;
        let took = started.elapsed();
        self.metrics.time.observe(took.as_secs_f64());
        let outcome = match ended {
            Ok(Ok(outcome)) => outcome,
            Err(_) => {
                self.metrics.timeouts.inc();
                let limit = self.options.limit.as_secs();
                span.in_scope(|| tracing::error!(limit, "the pass took too long and was ended"));
                Outcome::failed()
            }
            Ok(Err(panic)) => {
                self.metrics.panics.inc();
                span.in_scope(|| {
                    tracing::error!(panic = panic_message(&*panic), "the pass panicked")
                });
                Outcome::failed()
            }
        };
        self.conclude(&key, outcome);
    }

    fn conclude(&self, key: &K, outcome: Outcome) {
        match (outcome.failed, outcome.requeue_after) {
            (true, None) => {
                self.queue.retry(key, &self.options.backoff);
            }
            (true, Some(after)) => {
                self.queue.record_failure(key, &self.options.backoff);
                self.queue.add_after(key.clone(), outcome.lane, after);
            }
            (false, after) => {
                self.queue.forget(key);
                if let Some(after) = after {
                    self.queue.add_after(key.clone(), outcome.lane, after);
                }
            }
        }
        match (outcome.failed, outcome.requeue_after) {
            (true, _) => {
                self.metrics.error.inc();
                self.metrics.errors.inc();
            }
            (false, Some(_)) => {
                self.metrics.requeue_after.inc();
            }
            (false, None) => {
                self.metrics.success.inc();
            }
        }
        // After the requeue, so that the key cannot be seen idle in between.
        self.queue.done(key);
    }
}

struct Active<'a>(&'a OneController);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.dec();
    }
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("of unknown type")
}

#[cfg(test)]
mod tests;
