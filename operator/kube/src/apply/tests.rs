use std::sync::atomic::{AtomicBool, Ordering};

use kube::ResourceExt as _;

use super::*;
use crate::testing::{Answer, Received, Requests, client, failure, no_such_path};

fn discovery(request: &Received) -> Answer {
    match request.path.as_str() {
        "/api/v1" => Some((
            200,
            json!({
                "kind": "APIResourceList", "groupVersion": "v1", "resources": [
                    {"name": "services", "singularName": "service", "namespaced": true, "kind": "Service", "verbs": ["get", "patch"]},
                    {"name": "namespaces", "singularName": "namespace", "namespaced": false, "kind": "Namespace", "verbs": ["get", "patch"]},
                ],
            }),
        )),
        path if path.starts_with("/apis/") && path.split('/').count() == 4 => no_such_path(),
        _ => None,
    }
}

fn writer(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> (Writer, Requests) {
    let (client, requests) = client(move |request| discovery(request).or_else(|| answer(request)));
    (Writer::new(client), requests)
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "cart"}, "spec": {"ports": []}})
}

#[tokio::test]
async fn applies_by_force_under_its_name_and_looks_the_kind_up_once() {
    let (writer, requests) = writer(|request| {
        let mut applied = request.body.clone();
        applied["metadata"]["resourceVersion"] = json!("7");
        Some((200, applied))
    });
    let applied = writer.apply(&service()).await.unwrap();
    assert_eq!(applied.resource_version().as_deref(), Some("7"));
    writer.apply(&service()).await.unwrap();
    let sent = requests.take();
    let lines: Vec<_> = sent
        .iter()
        .map(|request| (request.method.as_str(), request.path.as_str()))
        .collect();
    let path = "/api/v1/namespaces/shop/services/cart";
    assert_eq!(
        lines,
        [("GET", "/api/v1"), ("PATCH", path), ("PATCH", path)]
    );
    assert_eq!(sent[1].content_type, "application/apply-patch+yaml");
    assert_eq!(
        sent[1].body,
        service(),
        "exactly what was given, no field more"
    );
    assert!(
        sent[1].query.contains("fieldManager=shopkeeper") && sent[1].query.contains("force=true"),
        "{}",
        sent[1].query
    );
}

#[tokio::test]
async fn what_cannot_be_applied_is_refused_before_anything_is_sent() {
    let (writer, requests) = writer(|_| failure(500, "InternalError"));
    for (object, expected) in [
        (
            json!({"kind": "Service", "metadata": {"name": "a"}}),
            "invalid",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {}}),
            "invalid",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "b", "name": "a", "managedFields": []}}),
            "invalid",
        ),
    ] {
        assert_eq!(
            writer.apply(&object).await.unwrap_err().label(),
            expected,
            "{object}"
        );
    }
    assert!(requests.take().is_empty());
    for (object, expected) in [
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}),
            "invalid",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"namespace": "b", "name": "a"}}),
            "invalid",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Sevrice", "metadata": {"name": "a"}}),
            "not_served",
        ),
        (
            json!({"apiVersion": "absent.dev/v1", "kind": "Absent", "metadata": {"name": "a"}}),
            "not_served",
        ),
    ] {
        assert_eq!(
            writer.apply(&object).await.unwrap_err().label(),
            expected,
            "{object}"
        );
    }
    assert!(
        requests
            .take()
            .iter()
            .all(|request| request.method == "GET")
    );
}

#[tokio::test]
async fn a_kind_that_is_gone_is_looked_up_again() {
    let gone = Arc::new(AtomicBool::new(true));
    let (writer, requests) = writer({
        let gone = Arc::clone(&gone);
        move |request| {
            if gone.load(Ordering::SeqCst) {
                failure(404, "NotFound")
            } else {
                Some((200, request.body.clone()))
            }
        }
    });
    assert_eq!(
        writer.apply(&service()).await.unwrap_err().label(),
        "not_found"
    );
    gone.store(false, Ordering::SeqCst);
    writer.apply(&service()).await.unwrap();
    assert_eq!(
        requests
            .take_lines()
            .iter()
            .filter(|line| *line == "GET /api/v1")
            .count(),
        2
    );
}

#[tokio::test]
async fn deletes_exactly_the_object_it_means() {
    for (answer, expected) in [
        (
            Some((
                200,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
            )),
            Deletion::Accepted,
        ),
        (Some((200, service())), Deletion::Accepted),
        (failure(404, "NotFound"), Deletion::AlreadyGone),
        (failure(409, "Conflict"), Deletion::Replaced),
    ] {
        let (writer, requests) = writer(move |_| answer.clone());
        let identity = identity_of(&service()).unwrap();
        for (propagation, sent_as) in [
            (PropagationPolicy::Background, "Background"),
            (PropagationPolicy::Foreground, "Foreground"),
        ] {
            let deleted = writer.delete(&identity, "uid-1", propagation).await;
            assert_eq!(deleted.unwrap(), expected);
            let sent = requests.take().pop().unwrap();
            assert_eq!(sent.method, "DELETE");
            assert_eq!(sent.body["preconditions"], json!({"uid": "uid-1"}));
            assert_eq!(sent.body["propagationPolicy"], json!(sent_as));
        }
    }
    let (writer, _) = writer(|_| failure(500, "InternalError"));
    let absent = identity_of(
        &json!({"apiVersion": "absent.dev/v1", "kind": "Absent", "metadata": {"name": "a"}}),
    )
    .unwrap();
    let background = || PropagationPolicy::Background;
    assert_eq!(
        writer.delete(&absent, "uid-1", background()).await.unwrap(),
        Deletion::AlreadyGone
    );
    let identity = identity_of(&service()).unwrap();
    assert_eq!(
        writer
            .delete(&identity, "uid-1", background())
            .await
            .unwrap_err()
            .label(),
        "transient"
    );
}

#[tokio::test]
async fn a_budget_blocks_an_eviction_without_being_an_error() {
    for (answer, expected) in [
        (
            Some((
                201,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
            )),
            "accepted",
        ),
        (failure(404, "NotFound"), "gone"),
        (failure(409, "Conflict"), "gone"),
        (failure(429, "TooManyRequests"), "blocked"),
    ] {
        let (writer, requests) = writer(move |_| answer.clone());
        let outcome = match writer.evict("shop", "cart-1", "uid-1").await.unwrap() {
            Eviction::Accepted => "accepted",
            Eviction::AlreadyGone => "gone",
            Eviction::Blocked { message, .. } => {
                assert!(message.contains("scripted"), "{message}");
                "blocked"
            }
        };
        assert_eq!(outcome, expected);
        let sent = requests.take().pop().unwrap();
        assert_eq!(sent.path, "/api/v1/namespaces/shop/pods/cart-1/eviction");
        assert_eq!(
            sent.body.pointer("/deleteOptions/preconditions/uid"),
            Some(&json!("uid-1")),
            "{}",
            sent.body
        );
    }
}

#[tokio::test]
async fn uncordoning_removes_the_field_and_the_mark() {
    let (writer, requests) = writer(|_| Some((200, json!({"metadata": {"name": "node-1"}}))));
    writer
        .cordon("node-1", "7", ("shopkeeper.dev/mark", "shop"))
        .await
        .unwrap();
    writer
        .uncordon("node-1", "8", "shopkeeper.dev/mark")
        .await
        .unwrap();
    let bodies: Vec<_> = requests
        .take()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(
        bodies,
        [
            json!({
                "metadata": {"resourceVersion": "7", "annotations": {"shopkeeper.dev/mark": "shop"}},
                "spec": {"unschedulable": true},
            }),
            json!({
                "metadata": {"resourceVersion": "8", "annotations": {"shopkeeper.dev/mark": null}},
                "spec": {"unschedulable": null},
            }),
        ]
    );
}
