use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

use futures::stream;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::{
    metrics::{Metrics, QueueMetrics},
    queue::{Lane, Queue},
    store::Readiness,
    testing::{client, failure, no_such_path},
};

fn pod(name: &str, version: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": version, "managedFields": [{"manager": "kubectl"}]},
    }))
    .unwrap()
}

type Script = Vec<watcher::Result<Event<Received<Pod>>>>;

/// A watch whose stream plays the script and then stays silent.
fn scripted(script: Script) -> Watch<Pod> {
    let script = Arc::new(Mutex::new(VecDeque::from(script)));
    Watch::new(
        "Pod".into(),
        Arc::new(move |_| {
            let script = Arc::clone(&script);
            stream::poll_fn(move |_| match script.lock().unwrap().pop_front() {
                Some(event) => std::task::Poll::Ready(Some(event)),
                None => std::task::Poll::Pending,
            })
            .boxed()
        }),
    )
}

fn forbidden() -> watcher::Error {
    let status = kube::core::Status::failure("no", "Forbidden").with_code(403);
    watcher::Error::InitialListFailed(kube::Error::Api(status.boxed()))
}

fn queue() -> Queue<String> {
    Queue::new("test", &QueueMetrics::default())
}

fn by_name(change: &Change<Pod>) -> Vec<(String, Lane)> {
    vec![(change.key.name.clone(), change.lane())]
}

/// A callback that asks for the passes that a mapper names.
fn adding_to<K: Resource + 'static>(
    queue: &Queue<String>,
    mapper: fn(&Change<K>) -> Vec<(String, Lane)>,
) -> impl Fn(&Change<K>) + Send + Sync + 'static {
    let queue = queue.clone();
    move |change| {
        for (key, lane) in mapper(change) {
            queue.add(key, lane);
        }
    }
}

fn metrics() -> (Registry, WatchMetrics) {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry).watch;
    (registry, metrics)
}

fn assert_scraped(registry: &Registry, line: &str) {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    assert!(
        text.lines().any(|present| present == line),
        "{line}\nis missing in\n{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn changes_and_deletions_reach_the_store_and_the_queue() {
    let queue = queue();
    let (registry, metrics) = metrics();
    let shutdown = CancellationToken::new();
    let store = scripted(vec![
        Ok(Event::Init),
        Ok(Event::InitApply(Ok(pod("listed", "1")))),
        Ok(Event::InitDone),
        Ok(Event::Apply(Ok(pod("added", "2")))),
        Ok(Event::Delete(Ok(pod("listed", "3")))),
    ])
    .on_change(adding_to(&queue, by_name))
    .start(&metrics, shutdown.clone());
    let mut taken = Vec::new();
    for _ in 0..2 {
        let next = queue.next().await;
        taken.push(next.key.clone());
        queue.done(&next.key);
    }
    taken.sort();
    assert_eq!(taken, ["added", "listed"]);
    assert_eq!(store.wait_until_ready().await, Readiness::Ready);
    let added = store.get(&ObjectKey::namespaced("shop", "added")).unwrap();
    assert!(added.managed_fields().is_empty(), "pruned");
    assert_eq!(store.len(), 1);
    assert_scraped(&registry, r#"shopkeeper_store_objects{kind="Pod"} 1"#);
    shutdown.cancel();
    let mut stopped = store.clone();
    while stopped.readiness() != Readiness::Stopped {
        tokio::task::yield_now().await;
        stopped = store.clone();
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_counted_and_retried_ever_more_slowly() {
    let (registry, metrics) = metrics();
    let mut script: Script = Vec::new();
    for _ in 0..6 {
        // As kube's watcher does: each attempt to list is announced.
        script.push(Ok(Event::Init));
        script.push(Err(forbidden()));
    }
    script.push(Ok(Event::Init));
    script.push(Ok(Event::InitDone));
    let started = Instant::now();
    let store = scripted(script).start(&metrics, CancellationToken::new());
    assert_eq!(store.wait_until_ready().await, Readiness::Ready);
    assert_scraped(&registry, r#"shopkeeper_watch_errors_total{kind="Pod"} 6"#);
    // 0.8 s doubled each time and at most 30 s; a backoff that starts over at each attempt would be done in 10.
    assert!(
        started.elapsed() > Duration::from_secs(40),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_watch_does_not_hold_up_another() {
    let (_, metrics) = metrics();
    let shutdown = CancellationToken::new();
    let failing =
        scripted((0..1000).map(|_| Err(forbidden())).collect()).start(&metrics, shutdown.clone());
    let started = Instant::now();
    let working =
        scripted(vec![Ok(Event::Init), Ok(Event::InitDone)]).start(&metrics, shutdown.clone());
    assert_eq!(working.wait_until_ready().await, Readiness::Ready);
    assert!(started.elapsed() < Duration::from_millis(500));
    assert_eq!(failing.readiness(), Readiness::Pending);
    shutdown.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_panicking_callback_does_not_end_the_watch() {
    let queue = queue();
    let (registry, metrics) = metrics();
    let _store = scripted(vec![
        Ok(Event::Init),
        Ok(Event::InitDone),
        Ok(Event::Apply(Ok(pod("bad", "1")))),
        Ok(Event::Apply(Ok(pod("good", "2")))),
    ])
    .on_change(|change| assert!(change.key.name != "bad", "deliberate"))
    .on_change(adding_to(&queue, by_name))
    .start(&metrics, CancellationToken::new());
    assert_eq!(
        queue.next().await.key,
        "bad",
        "the other callback is told still"
    );
    assert_eq!(queue.next().await.key, "good");
    assert_scraped(&registry, r#"shopkeeper_watch_errors_total{kind="Pod"} 1"#);
}

fn pods(items: &[Value]) -> Value {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "10"}, "items": items})
}

#[tokio::test(start_paused = true)]
async fn one_unparsable_object_does_not_break_the_list() {
    let (client, requests) = client(|request| {
        if request.query.contains("watch=true") {
            return None;
        }
        Some((
            200,
            pods(&[
                json!({"metadata": {"namespace": "shop", "name": "bad"}, "spec": {"containers": "not a list"}}),
                json!({"metadata": {"namespace": "shop", "name": "good"}, "spec": {"containers": []}}),
            ]),
        ))
    });
    let (registry, metrics) = metrics();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let store = Watch::<Pod>::objects(Api::all(client), &())
        .labels("app.kubernetes.io/managed-by=shopkeeper")
        .on_invalid({
            let reported = Arc::clone(&reported);
            move |key, _| reported.lock().unwrap().push(key.to_string())
        })
        .start(&metrics, CancellationToken::new());
    assert_eq!(store.wait_until_ready().await, Readiness::Ready);
    assert_eq!(store.len(), 1);
    assert!(
        store
            .invalid(&ObjectKey::namespaced("shop", "bad"))
            .is_some()
    );
    assert_eq!(*reported.lock().unwrap(), ["shop/bad"]);
    assert_scraped(
        &registry,
        r#"shopkeeper_watch_invalid_objects_total{kind="Pod"} 1"#,
    );
    assert!(
        requests.take()[0]
            .query
            .contains("labelSelector=app.kubernetes.io%2Fmanaged-by%3Dshopkeeper")
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_refused_as_too_old_leads_to_a_new_list() {
    let lists = AtomicUsize::new(0);
    let (client, _) = client(move |request| {
        if request.query.contains("watch=true") {
            // The second list is followed by a watch that stays silent.
            return (lists.load(Ordering::SeqCst) < 2).then(|| failure(410, "Expired"))?;
        }
        let name = format!("of-list-{}", lists.fetch_add(1, Ordering::SeqCst) + 1);
        let pod =
            json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"containers": []}});
        Some((200, pods(&[pod])))
    });
    let queue = queue();
    let store = Watch::<Pod>::objects(Api::all(client), &())
        .on_change(adding_to(&queue, by_name))
        .start(&metrics().1, CancellationToken::new());
    let seen = async {
        loop {
            let next = queue.next().await.key;
            queue.done(&next);
            if next == "of-list-2" {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(600), seen)
        .await
        .expect("there is no second list");
    assert!(
        store
            .get(&ObjectKey::namespaced("shop", "of-list-2"))
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn metadata_watches_work_alike() {
    let (client, _) = client(|request| {
        let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "10"}, "items": [
            {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"namespace": "shop", "name": "one"}},
        ]});
        (!request.query.contains("watch=true")).then_some((200, list))
    });
    let store = Watch::metadata(Api::<PartialObjectMeta<ConfigMap>>::all(client), &())
        .start(&metrics().1, CancellationToken::new());
    store.wait_until_ready().await;
    assert!(store.get(&ObjectKey::namespaced("shop", "one")).is_some());
}

#[tokio::test]
async fn packed_objects_are_reduced_first_and_listed_by_the_hundred() {
    let item = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "7", "managedFields": [{"manager": "kubectl"}], "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "owner"}]},
            "data": {"password": "hunter2"},
        })
    };
    let (client, requests) = client(move |request| {
        let (next, items) = match request.query.as_str() {
            query if query.contains("watch=true") => return None,
            query if query.contains("continue=more") => ("", [item("two")]),
            _ => ("more", [item("one")]),
        };
        let metadata = json!({"resourceVersion": "10", "continue": next});
        let list =
            json!({"kind": "SecretList", "apiVersion": "v1", "metadata": metadata, "items": items});
        Some((200, list))
    });
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let reduce = |object: &mut DynamicObject| {
        object.metadata.managed_fields = None;
        object.data["data"]["password"] = json!("hidden");
    };
    let store = Watch::packed(Api::all_with(client, &resource), &resource, reduce)
        .index("owner", crate::store::owner_uids::<PackedObject>)
        .start(&metrics().1, CancellationToken::new());
    store.wait_until_ready().await;
    let found = store.indexed("owner", "owner");
    let names: Vec<String> = found.iter().map(|object| object.name_any()).collect();
    assert_eq!(names, ["one", "two"]);
    let mut expected = item("one");
    expected["data"]["password"] = json!("hidden");
    for member in ["apiVersion", "kind"] {
        expected.as_object_mut().unwrap().remove(member);
    }
    let metadata = expected["metadata"].as_object_mut().unwrap();
    metadata.remove("managedFields");
    assert_eq!(found[0].body(), expected);
    for request in requests.take() {
        let is_paged = request.query.contains("limit=100");
        assert!(
            is_paged || request.query.contains("watch=true"),
            "{request:?}"
        );
    }
}

/// A cluster whose optional kind is listed with this status: 404 where it does not serve it, 403 where we may not list it.
fn with_monitors(listed_with: &Arc<AtomicU16>) -> Client {
    let listed_with = Arc::clone(listed_with);
    let (client, _) = client(move |request| {
        let status = listed_with.load(Ordering::SeqCst);
        match (request.path.as_str(), status) {
            (_, 404) => no_such_path(),
            ("/apis/monitoring.coreos.com/v1", _) => Some((
                200,
                json!({
                    "kind": "APIResourceList", "groupVersion": "monitoring.coreos.com/v1", "resources": [
                        {"name": "servicemonitors", "singularName": "servicemonitor", "namespaced": true, "kind": "ServiceMonitor", "verbs": ["list", "watch"]},
                    ],
                }),
            )),
            (_, 403) => failure(403, "Forbidden"),
            // The watch ends at once: the watcher asks again, and finds the kind gone in time.
            _ if request.query.contains("watch=true") => failure(410, "Expired"),
            _ => Some((
                200,
                json!({
                    "kind": "ServiceMonitorList", "apiVersion": "monitoring.coreos.com/v1", "metadata": {"resourceVersion": "10"},
                    "items": [{"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"namespace": "shop", "name": "one"}}],
                }),
            )),
        }
    });
    client
}

fn monitors(client: Client, queue: &Queue<String>) -> Store<kube::core::DynamicObject> {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "ServiceMonitor");
    let resource = kube::core::ApiResource::from_gvk(&kind);
    Watch::<kube::core::DynamicObject>::objects(Api::all_with(client.clone(), &resource), &resource)
        .optional(client, kind)
        .on_change(adding_to(queue, |change| {
            let key = format!("{} deleted={}", change.key, change.is_deletion());
            vec![(key, Lane::Edit)]
        }))
        .start(&metrics().1, CancellationToken::new())
}

#[tokio::test(start_paused = true)]
async fn an_optional_kind_is_watched_once_it_is_served_and_emptied_when_it_is_not() {
    let status = Arc::new(AtomicU16::new(404));
    let queue = queue();
    let store = monitors(with_monitors(&status), &queue);
    assert_eq!(
        store.wait_until_ready().await,
        Readiness::NotServed,
        "settled although absent"
    );

    status.store(200, Ordering::SeqCst);
    assert_eq!(queue.next().await.key, "shop/one deleted=false");
    assert_eq!((store.readiness(), store.len()), (Readiness::Ready, 1));

    status.store(404, Ordering::SeqCst);
    assert_eq!(queue.next().await.key, "shop/one deleted=true");
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_optional_kind_that_may_not_be_listed_is_settled_and_watched_once_it_may() {
    let status = Arc::new(AtomicU16::new(403));
    let queue = queue();
    let store = monitors(with_monitors(&status), &queue);
    assert_eq!(store.wait_until_ready().await, Readiness::Refused);

    status.store(200, Ordering::SeqCst);
    assert_eq!(queue.next().await.key, "shop/one deleted=false");
    assert_eq!(store.readiness(), Readiness::Ready);

    // What it has known it keeps, as any watch that fails.
    status.store(403, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((store.readiness(), store.len()), (Readiness::Ready, 1));

    // A definition that goes takes its objects with it.
    status.store(404, Ordering::SeqCst);
    assert_eq!(queue.next().await.key, "shop/one deleted=true");
    assert_eq!(store.readiness(), Readiness::NotServed);
}
