use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::api::core::v1::Node;
use kube::Client;

use super::*;
use crate::testing::{Answer, Received, Requests, client, failure};

// A Node serves as the typed object with a status and conditions of its own.
fn node(version: u64, status: Value) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": "n", "uid": "uid-1", "resourceVersion": version.to_string()}, "status": status,
    }))
    .unwrap()
}

fn conditions(ready: &str, message: &str, time: Option<&str>) -> Value {
    let mut condition =
        json!({"type": "Ready", "status": ready, "reason": "Reason", "message": message});
    if let Some(time) = time {
        condition["lastTransitionTime"] = json!(time);
    }
    json!({"conditions": [condition]})
}

/// A server that keeps what is applied and counts the version up; `alter` is what it makes of the status.
fn server(alter: fn(&mut Value)) -> (Api<Node>, Requests) {
    let version = AtomicU64::new(10);
    let (client, requests) = client(move |request| {
        let mut status = request.body["status"].clone();
        alter(&mut status);
        let version = version.fetch_add(1, Ordering::SeqCst);
        Some((200, serde_json::to_value(node(version, status)).unwrap()))
    });
    (Api::all(client), requests)
}

async fn write(
    writer: &StatusWriter,
    api: &Api<Node>,
    observed: &Node,
    status: &Value,
) -> Option<Node> {
    match writer.write(api, observed, status).await.unwrap() {
        StatusWrite::Unchanged => None,
        StatusWrite::Written(node) => Some(*node),
    }
}

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

#[test]
fn the_transition_time_is_kept_until_the_status_of_the_condition_changes() {
    let now: Timestamp = "2026-08-01T12:00:00.123456Z".parse().unwrap();
    let observed = conditions("False", "old", Some(LONG_AGO));
    let kept = with_transition_times(
        &observed,
        conditions("False", "new", Some("2026-07-07T00:00:00Z")),
        now,
    );
    assert_eq!(kept, conditions("False", "new", Some(LONG_AGO)));
    let moved = with_transition_times(&observed, conditions("True", "new", None), now);
    assert_eq!(
        moved,
        conditions("True", "new", Some("2026-08-01T12:00:00Z"))
    );
    let first = with_transition_times(&Value::Null, conditions("True", "new", None), now);
    assert_eq!(first, moved);
}

#[test]
fn only_what_is_said_counts() {
    let one = json!({"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True", "lastTransitionTime": LONG_AGO}]});
    let other =
        json!({"conditions": [{"type": "B", "status": "True"}, {"type": "A", "status": "True"}]});
    assert!(!differs(&one, &other));
    assert!(!differs(&Value::Null, &json!({})));
    assert!(differs(
        &one,
        &json!({"conditions": [{"type": "A", "status": "False"}, {"type": "B", "status": "True"}]})
    ));
    assert!(differs(&one, &json!({"phase": "x"})));
    assert!(
        differs(&json!({"a": 1, "b": 2}), &json!({"a": 1})),
        "a field that went"
    );
}

#[test]
fn versions_are_numbers() {
    assert!(is_older(Some("9"), Some("10")));
    assert!(!is_older(Some("10"), Some("9")));
    assert!(!is_older(Some("10"), Some("10")));
    assert!(!is_older(Some("a"), Some("b")));
    assert!(!is_older(None, Some("1")));
}

#[tokio::test]
async fn the_same_status_is_written_once() {
    let (api, requests) = server(|_| {});
    let writer = StatusWriter::new();
    let status = conditions("False", "waiting", None);
    let written = write(&writer, &api, &node(1, Value::Null), &status)
        .await
        .unwrap();
    let sent = requests.take().pop().unwrap();
    assert_eq!(
        (sent.method.as_str(), sent.path.as_str()),
        ("PATCH", "/api/v1/nodes/n/status")
    );
    assert_eq!(sent.content_type, "application/apply-patch+yaml");
    assert!(
        sent.query.contains("fieldManager=shopkeeper-status") && sent.query.contains("force=true")
    );
    assert!(sent.body.pointer("/metadata/resourceVersion").is_none());
    assert!(
        sent.body
            .pointer("/status/conditions/0/lastTransitionTime")
            .is_some()
    );

    assert!(
        write(&writer, &api, &written, &status).await.is_none(),
        "as the watch tells it later"
    );
    assert!(
        write(&writer, &api, &node(1, Value::Null), &status)
            .await
            .is_none(),
        "while the cache lags behind"
    );
    assert!(
        write(&StatusWriter::new(), &api, &written, &status)
            .await
            .is_none(),
        "after a restart"
    );
    assert!(requests.take().is_empty());

    assert!(
        write(&writer, &api, &written, &conditions("True", "done", None))
            .await
            .is_some()
    );
}

#[tokio::test]
async fn a_lagging_cache_does_not_move_the_transition_time() {
    let (api, requests) = server(|_| {});
    let writer = StatusWriter::new();
    let stale = node(1, conditions("True", "before", Some(LONG_AGO)));
    write(&writer, &api, &stale, &conditions("False", "failed", None))
        .await
        .unwrap();
    let first = requests
        .take()
        .pop()
        .unwrap()
        .body
        .pointer("/status/conditions/0/lastTransitionTime")
        .cloned();
    write(
        &writer,
        &api,
        &stale,
        &conditions("False", "failed again", None),
    )
    .await
    .unwrap();
    let second = requests
        .take()
        .pop()
        .unwrap()
        .body
        .pointer("/status/conditions/0/lastTransitionTime")
        .cloned();
    assert_eq!(first, second);
}

#[tokio::test]
async fn what_the_server_adds_does_not_make_a_loop() {
    let (api, requests) = server(|status| status["phase"] = json!("Defaulted"));
    let writer = StatusWriter::new();
    let status = conditions("True", "fine", None);
    let written = write(&writer, &api, &node(1, Value::Null), &status)
        .await
        .unwrap();
    for _ in 0..3 {
        assert!(write(&writer, &api, &written, &status).await.is_none());
    }
    assert_eq!(requests.take().len(), 1);

    let edited = node(50, conditions("Unknown", "someone else wrote this", None));
    assert!(
        write(&writer, &api, &edited, &status).await.is_some(),
        "a real difference is repaired"
    );
}

fn with_finalizers(finalizers: &[&str], deleting: bool) -> Node {
    let mut node = node(1, Value::Null);
    node.metadata.finalizers = Some(
        finalizers
            .iter()
            .map(|finalizer| (*finalizer).to_owned())
            .collect(),
    );
    if deleting {
        node.metadata.deletion_timestamp = serde_json::from_value(json!(LONG_AGO)).unwrap();
    }
    node
}

fn echo(_: &Received) -> Answer {
    Some((200, serde_json::to_value(node(2, Value::Null)).unwrap()))
}

fn api(client: Client) -> Api<Node> {
    Api::all(client)
}

#[tokio::test]
async fn a_finalizer_is_added_once_and_never_to_a_dying_object() {
    let (client, requests) = client(echo);
    let api = api(client);
    let change = add_finalizer(&api, &with_finalizers(&[], false), "shopkeeper.dev/cleanup")
        .await
        .unwrap();
    assert!(matches!(change, FinalizerChange::Changed(_)));
    add_finalizer(
        &api,
        &with_finalizers(&["other"], false),
        "shopkeeper.dev/cleanup",
    )
    .await
    .unwrap();
    let sent = requests.take();
    assert_eq!(sent[0].content_type, "application/json-patch+json");
    assert_eq!(
        sent[0].body,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "uid-1"},
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["shopkeeper.dev/cleanup"]},
        ])
    );
    assert_eq!(
        sent[1].body,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "uid-1"},
            {"op": "test", "path": "/metadata/finalizers", "value": ["other"]},
            {"op": "add", "path": "/metadata/finalizers/-", "value": "shopkeeper.dev/cleanup"},
        ])
    );

    let present = add_finalizer(
        &api,
        &with_finalizers(&["shopkeeper.dev/cleanup"], false),
        "shopkeeper.dev/cleanup",
    )
    .await;
    assert!(matches!(present.unwrap(), FinalizerChange::Unchanged));
    let dying = add_finalizer(&api, &with_finalizers(&[], true), "shopkeeper.dev/cleanup").await;
    assert!(matches!(dying.unwrap(), FinalizerChange::TooLate));
    assert!(requests.take().is_empty());
}

#[tokio::test]
async fn a_finalizer_is_removed_where_it_stands_or_not_at_all() {
    let (client, requests) = client(echo);
    let observed = with_finalizers(&["other", "shopkeeper.dev/cleanup"], true);
    remove_finalizer(&api(client), &observed, "shopkeeper.dev/cleanup")
        .await
        .unwrap();
    assert_eq!(
        requests.take()[0].body,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "uid-1"},
            {"op": "test", "path": "/metadata/finalizers/1", "value": "shopkeeper.dev/cleanup"},
            {"op": "remove", "path": "/metadata/finalizers/1"},
        ])
    );
    for (code, reason, expected) in [
        (422, "Invalid", "conflict"),
        (409, "Conflict", "conflict"),
        (403, "Forbidden", "denied"),
    ] {
        let (client, _) = crate::testing::client(move |_| failure(code, reason));
        let error = remove_finalizer(&api(client), &observed, "shopkeeper.dev/cleanup")
            .await
            .unwrap_err();
        assert_eq!(error.label(), expected);
    }
    let (client, _) = crate::testing::client(|_| failure(404, "NotFound"));
    let gone = remove_finalizer(&api(client), &observed, "shopkeeper.dev/cleanup")
        .await
        .unwrap();
    assert!(matches!(gone, FinalizerChange::TooLate));
}
