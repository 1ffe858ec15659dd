//! Against a real API server, since a scripted one only confirms what its author believes. The tests share the one that the local
//! environment starts, and each makes a namespace of its own.

// Clippy's leave for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{ConfigMap, Namespace, Node, ObjectReference, Pod},
    events::v1::Event as KubernetesEvent,
};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy},
    core::{DeserializeGuard, GroupVersionKind, PartialObjectMeta},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use shopkeeper_kube::{
    apply::{Deletion, Eviction, ObjectIdentity, Writer, identity_of},
    client::{self, ClientOptions},
    events::{Event, Recorder, Severity},
    lease::{LeaseOptions, Standing, campaign},
    metrics::Metrics,
    queue::{Lane, Queue},
    status::{FinalizerChange, StatusWrite, StatusWriter, add_finalizer, remove_finalizer},
    store::{ObjectKey, Readiness},
    tenure::Tenure,
    watch::Watch,
};
use shopkeeper_localenv::LocalEnvironment;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// The environment, while any test uses it. What a static holds is never dropped, and an environment has processes to end.
static SHARED: Mutex<Weak<LocalEnvironment>> = Mutex::const_new(Weak::new());

async fn environment() -> Arc<LocalEnvironment> {
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = LocalEnvironment::builder("kube-tests")
        .aws(false)
        .nodes(false)
        .start()
        .await
        .unwrap();
    let started = Arc::new(started);
    *shared = Arc::downgrade(&started);
    started
}

struct World {
    /// Ends with the last test that uses it.
    _environment: Arc<LocalEnvironment>,
    config: Config,
    client: Client,
    metrics: Metrics,
    namespace: String,
}

impl World {
    async fn new() -> Self {
        let environment = environment().await;
        let config = environment.client_config();
        let metrics = Metrics::register(&mut Registry::default());
        let client = client::build(
            config.clone(),
            &ClientOptions::new("test"),
            &metrics.rest_client,
            Tenure::unlimited(),
        )
        .unwrap();
        let namespace = format!("kube-test-{:08x}", rand::random::<u32>());
        let made =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        Writer::new(client.clone()).apply(&made).await.unwrap();
        // The ServiceAccount admission refuses Pods until this one is there, which the controller manager makes when it comes to it.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": "default"}});
        Writer::new(client.clone()).apply(&account).await.unwrap();
        Self {
            _environment: environment,
            config,
            client,
            metrics,
            namespace,
        }
    }

    fn namespaced<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn config_map(&self, name: &str, value: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": self.namespace, "name": name, "labels": {"app.kubernetes.io/managed-by": "shopkeeper"}},
            "data": {"key": value},
        })
    }

    async fn end(self) {
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn objects_are_applied_created_and_deleted() {
    let world = World::new().await;
    let writer = Writer::new(world.client.clone());
    let first = writer.apply(&world.config_map("one", "a")).await.unwrap();
    let again = writer.apply(&world.config_map("one", "a")).await.unwrap();
    assert_eq!(
        first.resource_version(),
        again.resource_version(),
        "the same again changes nothing"
    );
    assert_eq!(
        again.managed_fields()[0].manager.as_deref(),
        Some("shopkeeper")
    );
    let identity = identity_of(&world.config_map("one", "a")).unwrap();
    assert_eq!(
        writer
            .delete(&identity, "another-uid", PropagationPolicy::Background)
            .await
            .unwrap(),
        Deletion::Replaced
    );
    assert!(writer.get(&identity).await.unwrap().is_some());
    assert_eq!(
        writer
            .delete(
                &identity,
                &first.uid().unwrap(),
                PropagationPolicy::Background
            )
            .await
            .unwrap(),
        Deletion::Accepted
    );
    assert_eq!(
        writer
            .delete(
                &identity,
                &first.uid().unwrap(),
                PropagationPolicy::Background
            )
            .await
            .unwrap(),
        Deletion::AlreadyGone
    );

    let mut unknown = world.config_map("one", "a");
    unknown["apiVersion"] = json!("absent.dev/v1");
    assert_eq!(
        writer.apply(&unknown).await.unwrap_err().label(),
        "not_served"
    );
    let mut invalid = world.config_map("NOT A NAME", "a");
    invalid["data"] = json!(7);
    assert_eq!(writer.apply(&invalid).await.unwrap_err().label(), "invalid");
    world.end().await;
}

#[tokio::test]
async fn pods_are_evicted_and_nodes_cordoned() {
    let world = World::new().await;
    let writer = Writer::new(world.client.clone());
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": world.namespace, "name": "cart", "labels": {"app": "cart"}},
        "spec": {"containers": [{"name": "cart", "image": "cart"}]},
    });
    let pod = writer.apply(&pod).await.unwrap();
    let refused = writer
        .evict(&world.namespace, "cart", "another-uid")
        .await
        .unwrap();
    assert_eq!(
        refused,
        Eviction::AlreadyGone,
        "the precondition reaches the API server"
    );
    assert!(
        world
            .namespaced::<Pod>()
            .get_opt("cart")
            .await
            .unwrap()
            .is_some()
    );
    let evicted = writer
        .evict(&world.namespace, "cart", &pod.uid().unwrap())
        .await
        .unwrap();
    assert_eq!(evicted, Eviction::Accepted);

    let name = format!("{}-node", world.namespace);
    writer
        .apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}))
        .await
        .unwrap();
    let nodes: Api<Node> = Api::all(world.client.clone());
    let mark = "shopkeeper.dev/mark";
    for unschedulable in [true, false] {
        let change = async |version: &str| match unschedulable {
            true => writer.cordon(&name, version, (mark, "shop")).await,
            false => writer.uncordon(&name, version, mark).await,
        };
        // Where controllers are about, they may have written to the new Node in between.
        let version = loop {
            let version = nodes.get(&name).await.unwrap().resource_version().unwrap();
            match change(&version).await {
                Ok(()) => break version,
                Err(shopkeeper_kube::Error::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        let node = nodes.get(&name).await.unwrap();
        assert_eq!(node.annotations().contains_key(mark), unschedulable);
        assert_eq!(
            node.spec
                .and_then(|spec| spec.unschedulable)
                .unwrap_or_default(),
            unschedulable
        );
        let again = change(&version).await;
        assert!(
            matches!(again, Err(shopkeeper_kube::Error::Conflict(_))),
            "it was changed since: {again:?}"
        );
    }
    nodes.delete(&name, &DeleteParams::default()).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_status_is_written_once_and_finalizers_with_care() {
    let world = World::new().await;
    // A gated Pod: nothing else touches it, and yet the API server adds to its status.
    let pods: Api<Pod> = world.namespaced();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "gated"},
        "spec": {"schedulingGates": [{"name": "shopkeeper.dev/test"}], "containers": [{"name": "cart", "image": "cart"}]},
    }))
    .unwrap();
    let pod = pods.create(&PostParams::default(), &pod).await.unwrap();
    let writer = StatusWriter::new();
    let status = json!({"conditions": [{"type": "shopkeeper.dev/Ready", "status": "True", "reason": "Fine", "message": "all is well"}]});
    let written = writer.write(&pods, &pod, &status).await.unwrap();
    let StatusWrite::Written(written) = written else {
        panic!("{written:?}")
    };
    for observed in [&pod, &*written] {
        let again = writer.write(&pods, observed, &status).await.unwrap();
        assert!(matches!(again, StatusWrite::Unchanged), "{again:?}");
    }
    const FINALIZER: &str = "shopkeeper.dev/test";
    let added = add_finalizer(&pods, &written, FINALIZER).await.unwrap();
    let FinalizerChange::Changed(added) = added else {
        panic!("{added:?}")
    };
    let stale = add_finalizer(&pods, &pod, "shopkeeper.dev/other").await;
    assert_eq!(
        stale.unwrap_err().label(),
        "conflict",
        "the list changed since"
    );
    pods.delete("gated", &DeleteParams::default())
        .await
        .unwrap();
    let late = add_finalizer(
        &pods,
        &pods.get("gated").await.unwrap(),
        "shopkeeper.dev/other",
    )
    .await
    .unwrap();
    assert!(matches!(late, FinalizerChange::TooLate), "{late:?}");
    remove_finalizer(&pods, &added, FINALIZER).await.unwrap();
    assert!(pods.get_opt("gated").await.unwrap().is_none());
    world.end().await;
}

#[tokio::test]
async fn watches_follow_what_happens() {
    let world = World::new().await;
    let shutdown = CancellationToken::new();
    let queue: Queue<String> = Queue::new("test", &world.metrics.queue);
    let writer = Writer::new(world.client.clone());
    writer
        .apply(&world.config_map("listed", "a"))
        .await
        .unwrap();
    let store = Watch::<ConfigMap>::objects(world.namespaced::<DeserializeGuard<ConfigMap>>(), &())
        .labels("app.kubernetes.io/managed-by=shopkeeper")
        .on_change({
            let queue = queue.clone();
            move |change| {
                let key = format!("{} {}", change.key.name, change.is_deletion());
                queue.add(key, change.lane());
            }
        })
        .start(&world.metrics.watch, shutdown.clone());
    let next = async || tokio::time::timeout(PATIENCE, queue.next()).await.unwrap();
    let listed = next().await;
    assert_eq!(
        (listed.key.as_str(), listed.lane),
        ("listed false", Lane::Resync)
    );
    let applied = writer.apply(&world.config_map("added", "a")).await.unwrap();
    let added = next().await;
    assert_eq!(
        (added.key.as_str(), added.lane),
        ("added false", Lane::Edit)
    );
    let identity = ObjectIdentity {
        kind: GroupVersionKind::gvk("", "v1", "ConfigMap"),
        namespace: Some(world.namespace.clone()),
        name: "added".into(),
    };
    writer
        .delete(
            &identity,
            &applied.uid().unwrap(),
            PropagationPolicy::Background,
        )
        .await
        .unwrap();
    assert_eq!(next().await.key, "added true");
    assert_eq!(store.list().len(), 1);
    assert!(store.list()[0].managed_fields().is_empty());

    let metadata = Watch::metadata(world.namespaced::<PartialObjectMeta<ConfigMap>>(), &())
        .start(&world.metrics.watch, shutdown.clone());
    let ready = tokio::time::timeout(PATIENCE, metadata.wait_until_ready())
        .await
        .unwrap();
    assert_eq!(
        (
            ready,
            metadata
                .get(&ObjectKey::namespaced(&world.namespace, "listed"))
                .is_some()
        ),
        (Readiness::Ready, true)
    );

    let absent = GroupVersionKind::gvk("absent.dev", "v1", "Absent");
    let resource = kube::core::ApiResource::from_gvk(&absent);
    let optional = Watch::<kube::core::DynamicObject>::objects(
        Api::all_with(world.client.clone(), &resource),
        &resource,
    )
    .optional(world.client.clone(), absent)
    .start(&world.metrics.watch, shutdown.clone());
    let ready = tokio::time::timeout(PATIENCE, optional.wait_until_ready())
        .await
        .unwrap();
    assert_eq!(ready, Readiness::NotServed);
    shutdown.cancel();
    world.end().await;
}

#[tokio::test]
async fn events_with_other_notes_are_other_events() {
    let world = World::new().await;
    let recorder = Recorder::new(world.client.clone(), "shopkeeper.dev/shopkeeper", "pod-1");
    let map: ConfigMap = serde_json::from_value(world.config_map("one", "a")).unwrap();
    let regarding = ObjectReference {
        uid: Some("uid-1".into()),
        ..map.object_ref(&())
    };
    for note in [
        "first".to_owned(),
        "second".to_owned(),
        "first".to_owned(),
        "ä".repeat(2000),
    ] {
        let event = Event {
            severity: Severity::Warning,
            reason: "Tested".into(),
            action: "Test".into(),
            note,
        };
        recorder.publish(&regarding, &event).await;
    }
    let events = world
        .namespaced::<KubernetesEvent>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(events.items.len(), 3);
    world.end().await;
}

#[tokio::test]
async fn leadership_passes_on_when_released() {
    let world = World::new().await;
    let run = |pod| {
        let options = LeaseOptions::new(&world.namespace, "shopkeeper", pod);
        campaign(
            world.config.clone(),
            options,
            &ClientOptions::new("test"),
            &world.metrics.rest_client,
            &world.metrics.lease,
        )
        .unwrap()
    };
    let first = run("pod-1");
    tokio::time::timeout(PATIENCE, first.elected())
        .await
        .unwrap();
    let second = run("pod-2");
    let leases: Api<Lease> = world.namespaced();
    let renewed = async || {
        leases
            .get("shopkeeper")
            .await
            .unwrap()
            .spec
            .and_then(|spec| spec.renew_time)
    };
    let acquired = renewed().await;
    let renewal = async {
        while renewed().await == acquired {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewal).await.unwrap();
    assert!(first.standing() == Standing::Leader && second.standing() != Standing::Leader);
    first.release().await;
    tokio::time::timeout(PATIENCE, second.elected())
        .await
        .unwrap();

    let usurped = json!({"spec": {"holderIdentity": "usurper", "renewTime": micro_now(), "leaseDurationSeconds": 15}});
    leases
        .patch(
            "shopkeeper",
            &PatchParams::default(),
            &Patch::Merge(usurped),
        )
        .await
        .unwrap();
    let reason = tokio::time::timeout(PATIENCE, second.lost()).await.unwrap();
    assert!(reason.contains("another identity"), "{reason}");
    world.end().await;
}

fn micro_now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}
