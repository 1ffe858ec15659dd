//! The workers: take keys from a queue, run a pass for each, and put them back as its outcome says.

use std::{
    fmt,
    future::Future,
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

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
    /// The backoff of failing keys.
    pub backoff: Backoff,
}

impl WorkerOptions {
    /// Options with a grace period of 20 seconds (within the 30 seconds a Pod gets to end) and the default backoff.
    #[must_use]
    pub fn new(controller: impl Into<String>, concurrency: usize) -> Self {
        Self {
            controller: controller.into(),
            concurrency: concurrency.max(1),
            grace: Duration::from_secs(20),
            backoff: Backoff::default(),
        }
    }
}

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
    metrics.maximum.set(i64::try_from(concurrency).unwrap_or(i64::MAX));
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
        let Taken { key, lane, failures, .. } = taken;
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
            .instrument(span.clone())
            .await;
        let took = started.elapsed();
        self.metrics.time.observe(took.as_secs_f64());
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(panic) => {
                self.metrics.panics.inc();
                span.in_scope(|| tracing::error!(panic = panic_message(&*panic), "the pass panicked"));
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
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use prometheus_client::registry::Registry;
    use tokio::sync::{Notify, mpsc};

    use super::*;
    use crate::metrics::Metrics;

    fn start<H, F>(concurrency: usize, handler: H) -> (Queue<String>, CancellationToken, tokio::task::JoinHandle<Drained>, Registry)
    where
        H: Fn(Pass<String>) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let queue = Queue::new("test", &metrics.queue);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let (queue, shutdown) = (queue.clone(), shutdown.clone());
            async move {
                run_workers(queue, WorkerOptions::new("test", concurrency), &metrics.controller, handler, shutdown).await
            }
        });
        (queue, shutdown, task, registry)
    }

    fn scrape(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_fails_its_key_alone_and_is_retried() {
        let (sender, mut passes) = mpsc::unbounded_channel();
        let (queue, shutdown, task, registry) = start(2, move |pass: Pass<String>| {
            sender.send((pass.key.clone(), pass.failures)).unwrap();
            assert!(!(pass.key == "bad" && pass.failures == 0), "deliberate");
            async { Outcome::done() }
        });
        queue.add("bad".into(), Lane::Edit);
        assert_eq!(passes.recv().await.unwrap(), ("bad".into(), 0));
        queue.add("good".into(), Lane::Edit);
        assert_eq!(passes.recv().await.unwrap(), ("good".into(), 0));
        assert_eq!(passes.recv().await.unwrap(), ("bad".into(), 1));
        shutdown.cancel();
        assert_eq!(task.await.unwrap(), Drained { aborted: 0 });
        assert_eq!(queue.failures(&"bad".into()), 0, "success clears the failures");
        let text = scrape(&registry);
        for line in [
            r#"controller_runtime_reconcile_panics_total{controller="test"} 1"#,
            r#"controller_runtime_reconcile_total{controller="test",result="error"} 1"#,
            r#"controller_runtime_reconcile_total{controller="test",result="success"} 2"#,
            r#"controller_runtime_active_workers{controller="test"} 0"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_passes_run_at_once_than_allowed_and_never_two_of_a_key() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let keys = Arc::new(Mutex::new(std::collections::HashSet::new()));
        let (sender, mut ended) = mpsc::unbounded_channel();
        let (queue, shutdown, task, _) = start(3, move |pass: Pass<String>| {
            let (keys, sender) = (Arc::clone(&keys), sender.clone());
            async move {
                assert!(keys.lock().unwrap().insert(pass.key.clone()), "two passes of {}", pass.key);
                MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                RUNNING.fetch_sub(1, Ordering::SeqCst);
                keys.lock().unwrap().remove(&pass.key);
                sender.send(pass.key).unwrap();
                Outcome::done()
            }
        });
        for round in 0..2 {
            for key in 0..6 {
                queue.add(format!("key-{key}"), Lane::Edit);
            }
            // The first additions are running by the time of the second round.
            while round == 0 && RUNNING.load(Ordering::SeqCst) < 3 {
                tokio::task::yield_now().await;
            }
        }
        // Three keys were running when they were added again, three merged.
        for _ in 0..9 {
            ended.recv().await.unwrap();
        }
        assert_eq!(MOST.load(Ordering::SeqCst), 3);
        shutdown.cancel();
        task.await.unwrap();
        assert!(ended.try_recv().is_err(), "nothing ran that was not asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn resyncs_leave_a_worker_to_edits() {
        let (sender, mut started) = mpsc::unbounded_channel();
        let (queue, shutdown, task, _) = start(2, move |pass: Pass<String>| {
            sender.send(pass.key.clone()).unwrap();
            async move {
                if pass.lane == Lane::Resync {
                    std::future::pending::<()>().await;
                }
                Outcome::done()
            }
        });
        queue.add("resync-1".into(), Lane::Resync);
        queue.add("resync-2".into(), Lane::Resync);
        assert_eq!(started.recv().await.unwrap(), "resync-1");
        queue.add("edit".into(), Lane::Edit);
        assert_eq!(started.recv().await.unwrap(), "edit");
        shutdown.cancel();
        assert_eq!(task.await.unwrap(), Drained { aborted: 1 });
        assert!(started.try_recv().is_err(), "the second resync waits for the first");
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_pass_may_finish_but_none_is_started_after_shutdown() {
        let release = Arc::new(Notify::new());
        let (sender, mut events) = mpsc::unbounded_channel();
        let (queue, shutdown, task, _) = start(2, {
            let release = Arc::clone(&release);
            move |pass: Pass<String>| {
                let (release, sender) = (Arc::clone(&release), sender.clone());
                async move {
                    sender.send(format!("{} started", pass.key)).unwrap();
                    release.notified().await;
                    sender.send(format!("{} finished", pass.key)).unwrap();
                    Outcome::done()
                }
            }
        });
        queue.add("a".into(), Lane::Edit);
        assert_eq!(events.recv().await.unwrap(), "a started");
        shutdown.cancel();
        queue.add("b".into(), Lane::Edit);
        release.notify_one();
        assert_eq!(task.await.unwrap(), Drained { aborted: 0 });
        assert_eq!(events.recv().await.unwrap(), "a finished");
        assert!(events.recv().await.is_none(), "b never started");
    }

    #[tokio::test(start_paused = true)]
    async fn the_outcome_decides_when_the_key_comes_back() {
        let (sender, mut started) = mpsc::unbounded_channel();
        let (queue, shutdown, task, _) = start(1, move |pass: Pass<String>| {
            sender.send((Instant::now(), pass.lane, pass.failures)).unwrap();
            async move { Outcome::requeue_after(Duration::from_secs(600), Lane::Resync) }
        });
        queue.add("a".into(), Lane::Edit);
        let first = started.recv().await.unwrap();
        let second = started.recv().await.unwrap();
        assert_eq!((first.1, second.1, second.2), (Lane::Edit, Lane::Resync, 0));
        let waited = second.0 - first.0;
        assert!(waited >= Duration::from_secs(600) && waited < Duration::from_secs(601), "{waited:?}");
        shutdown.cancel();
        task.await.unwrap();
    }
}
