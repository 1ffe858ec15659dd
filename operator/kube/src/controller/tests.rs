use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use prometheus_client::registry::Registry;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::metrics::Metrics;

fn start<H, F>(
    concurrency: usize,
    handler: H,
) -> (
    Queue<String>,
    CancellationToken,
    tokio::task::JoinHandle<Drained>,
    Registry,
)
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
            run_workers(
                queue,
                WorkerOptions::new("test", concurrency),
                &metrics.controller,
                handler,
                shutdown,
            )
            .await
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
    assert_eq!(
        queue.failures(&"bad".into()),
        0,
        "success clears the failures"
    );
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
            assert!(
                keys.lock().unwrap().insert(pass.key.clone()),
                "two passes of {}",
                pass.key
            );
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
    assert!(
        ended.try_recv().is_err(),
        "nothing ran that was not asked for"
    );
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
    assert!(
        started.try_recv().is_err(),
        "the second resync waits for the first"
    );
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
        sender
            .send((Instant::now(), pass.lane, pass.failures))
            .unwrap();
        async move { Outcome::requeue_after(Duration::from_secs(600), Lane::Resync) }
    });
    queue.add("a".into(), Lane::Edit);
    let first = started.recv().await.unwrap();
    let second = started.recv().await.unwrap();
    assert_eq!((first.1, second.1, second.2), (Lane::Edit, Lane::Resync, 0));
    let waited = second.0 - first.0;
    assert!(
        waited >= Duration::from_secs(600) && waited < Duration::from_secs(601),
        "{waited:?}"
    );
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_hangs_is_ended_and_its_key_is_tried_again() {
    let (sender, mut started) = mpsc::unbounded_channel();
    let (queue, shutdown, task, registry) = start(1, move |pass: Pass<String>| {
        sender.send((Instant::now(), pass.failures)).unwrap();
        async move {
            if pass.failures == 0 {
                std::future::pending::<()>().await;
            }
            Outcome::done()
        }
    });
    queue.add("a".into(), Lane::Edit);
    let first = started.recv().await.unwrap();
    let second = started.recv().await.unwrap();
    assert_eq!((first.1, second.1), (0, 1));
    assert!(second.0 - first.0 >= PASS_LIMIT);
    shutdown.cancel();
    assert_eq!(task.await.unwrap(), Drained { aborted: 0 });
    let text = scrape(&registry);
    let line = r#"controller_runtime_reconcile_timeouts_total{controller="test"} 1"#;
    assert!(text.contains(line), "{line}\n{text}");
}
