use super::*;
use crate::queue::Queue;

/// The names dashboards and alerts rely on, as they are scraped.
#[tokio::test]
async fn the_names_are_those_of_client_go_and_controller_runtime() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let queue = Queue::new("storefront", &metrics.queue);
    queue.add(1, Lane::Edit);
    queue.add(2, Lane::Edit);
    let taken = queue.next().await;
    queue.record_failure(&taken.key, &crate::queue::Backoff::default());
    queue.done(&taken.key);
    let controller = metrics.controller.of("storefront");
    controller.success.inc();
    controller.time.observe(0.1);
    let watch = metrics.watch.of("Pod");
    watch.errors.inc();
    watch.last_event.set(12.5);
    metrics.rest_client.observe(
        Some(200),
        "GET",
        "kubernetes.default.svc",
        Duration::from_millis(3),
    );
    metrics.rest_client.observe(
        None,
        "GET",
        "kubernetes.default.svc",
        Duration::from_millis(3),
    );
    metrics.lease.set("shopkeeper", true);

    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        r#"workqueue_depth{name="storefront",lane="edit"} 1"#,
        r#"workqueue_depth{name="storefront",lane="resync"} 0"#,
        r#"workqueue_adds_total{name="storefront",lane="edit"} 2"#,
        r#"workqueue_retries_total{name="storefront"} 1"#,
        r#"workqueue_unfinished_work_seconds{name="storefront"} 0.0"#,
        r#"workqueue_longest_running_processor_seconds{name="storefront"} 0.0"#,
        r#"workqueue_queue_duration_seconds_count{name="storefront",lane="edit"} 1"#,
        r#"workqueue_work_duration_seconds_count{name="storefront"} 1"#,
        r#"controller_runtime_reconcile_total{controller="storefront",result="success"} 1"#,
        r#"controller_runtime_reconcile_total{controller="storefront",result="error"} 0"#,
        r#"controller_runtime_reconcile_errors_total{controller="storefront"} 0"#,
        r#"controller_runtime_reconcile_panics_total{controller="storefront"} 0"#,
        r#"controller_runtime_reconcile_timeouts_total{controller="storefront"} 0"#,
        r#"controller_runtime_reconcile_time_seconds_count{controller="storefront"} 1"#,
        r#"controller_runtime_active_workers{controller="storefront"} 0"#,
        r#"controller_runtime_max_concurrent_reconciles{controller="storefront"} 0"#,
        r#"shopkeeper_watch_errors_total{kind="Pod"} 1"#,
        r#"shopkeeper_watch_invalid_objects_total{kind="Pod"} 0"#,
        r#"shopkeeper_watch_last_event_timestamp_seconds{kind="Pod"} 12.5"#,
        r#"shopkeeper_store_objects{kind="Pod"} 0"#,
        r#"rest_client_requests_total{code="200",method="GET",host="kubernetes.default.svc"} 1"#,
        r#"rest_client_requests_total{code="<error>",method="GET",host="kubernetes.default.svc"} 1"#,
        r#"rest_client_request_duration_seconds_count{verb="GET",host="kubernetes.default.svc"} 2"#,
        r#"leader_election_master_status{name="shopkeeper"} 1"#,
    ] {
        assert!(
            text.lines().any(|present| present == line),
            "{line}\nis missing in\n{text}"
        );
    }
}

#[tokio::test]
async fn several_queues_share_one_description_and_a_dropped_one_is_forgotten() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let kept = Queue::<u8>::new("kept", &metrics.queue);
    let dropped = Queue::<u8>::new("dropped", &metrics.queue);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert_eq!(
        text.matches("# TYPE workqueue_depth gauge").count(),
        1,
        "{text}"
    );
    assert!(text.contains(r#"name="kept""#) && text.contains(r#"name="dropped""#));
    drop(dropped);
    text.clear();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(!text.contains(r#"name="dropped""#));
    drop(kept);
}
