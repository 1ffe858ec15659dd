//! Many services at once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
    runtime::{WatchStreamExt as _, wait::await_condition, watcher},
};
use serde_json::{Value, json};

use super::stage::{NAMESPACE, PATIENCE};

/// Requests that a client keeps under way: as many connections as it opens.
const CONNECTIONS: usize = 16;

/// The field manager of what a bench applies.
const FIELD_MANAGER: &str = "bench";

/// A CatalogService that has nothing in AWS.
pub fn service_without_aws(number: u32) -> Value {
    json!({
        "apiVersion": "shopkeeper.dev/v1alpha1",
        "kind": "CatalogService",
        "metadata": {"name": format!("service-{number:04}"), "namespace": NAMESPACE},
        "spec": {
            "workload": {
                "image": "registry.example/shop/catalog:1.0.0",
                "ports": [{"name": "http", "containerPort": 8080}],
            },
            "nodes": {"type": "None"},
            "identity": {"type": "None"},
        },
    })
}

/// Applies objects as 16 connections do. Gives the time of the first request.
pub async fn apply_all(client: &Client, objects: &[Value]) -> Result<Instant> {
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let began = Instant::now();
    stream::iter(objects)
        .map(|object| apply(client, object, &parameters))
        .buffer_unordered(CONNECTIONS)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    Ok(began)
}

async fn apply(client: &Client, object: &Value, parameters: &PatchParams) -> Result<()> {
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object has no name")?;
    api(client, object)?
        .patch(name, parameters, &Patch::Apply(object))
        .await
        .with_context(|| format!("applying {} {name}", object["kind"]))?;
    Ok(())
}

fn api(client: &Client, object: &Value) -> Result<Api<DynamicObject>> {
    let text = |member: &str| object[member].as_str().unwrap_or_default();
    Ok(Api::namespaced_with(
        client.clone(),
        NAMESPACE,
        &resource(text("apiVersion"), text("kind")),
    ))
}

/// A kind as its URL has it, with the plural that English gives it.
fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let singular = kind.to_lowercase();
    let plural = match singular.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if singular.ends_with('s') => format!("{singular}es"),
        None => format!("{singular}s"),
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural,
    }
}

/// Waits until so many objects of a kind pass a check; gives the time at which the last did.
pub async fn wait_until_all(
    client: &Client,
    (api_version, kind): (&str, &str),
    count: usize,
    passes: fn(&DynamicObject) -> bool,
) -> Result<Instant> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), NAMESPACE, &resource(api_version, kind));
    let mut passed = BTreeSet::new();
    let mut objects = watcher(api, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    let all = async {
        while passed.len() < count {
            let object = objects.try_next().await?.context("the watch ended")?;
            if passes(&object) {
                passed.insert(object.name_any());
            } else {
                passed.remove(&object.name_any());
            }
        }
        anyhow::Ok(Instant::now())
    };
    match tokio::time::timeout(PATIENCE, all).await {
        Ok(when) => when,
        Err(_) => bail!("after {PATIENCE:?} {} of {count} are ready", passed.len()),
    }
}

/// Whether a custom resource says of its present generation that it is Ready.
pub fn is_ready(object: &DynamicObject) -> bool {
    let ready = object.data["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        });
    ready && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
}

/// Whether a Deployment has rolled out its present generation.
pub fn is_rolled_out(object: &DynamicObject) -> bool {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    status["observedGeneration"].as_i64() == object.metadata.generation
        && status["updatedReplicas"] == spec["replicas"]
        && status["availableReplicas"] == spec["replicas"]
}

/// Every object in the namespace that the operator applied, as it would be applied: without what the API server added, without
/// owner and without the label by which the operator finds its own.
pub async fn applied_by_the_operator(
    client: &Client,
    kinds: &[(&str, &str)],
) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for (api_version, kind) in kinds {
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), NAMESPACE, &resource(api_version, kind));
        for object in api.list(&Default::default()).await? {
            let owned = object
                .owner_references()
                .iter()
                .any(|owner| owner.api_version.starts_with("shopkeeper.dev/"));
            if owned {
                objects.push(bare(api_version, kind, &object));
            }
        }
    }
    Ok(objects)
}

fn bare(api_version: &str, kind: &str, object: &DynamicObject) -> Value {
    let mut labels = object.labels().clone();
    labels.remove("app.kubernetes.io/managed-by");
    let mut bare = object.data.clone();
    bare["apiVersion"] = json!(api_version);
    bare["kind"] = json!(kind);
    bare["metadata"] = json!({
        "name": object.name_any(),
        "namespace": NAMESPACE,
        "labels": labels,
        "annotations": object.annotations(),
    });
    if let Some(members) = bare.as_object_mut() {
        members.remove("status");
    }
    if kind == "Service"
        && let Some(spec) = bare["spec"].as_object_mut()
    {
        // Given by the API server, and refused for a second one.
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    bare
}

/// Changes an object as `kubectl patch --type merge` does.
pub async fn merge(client: &Client, object: &Value, patch: &Value) -> Result<()> {
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object has no name")?;
    api(client, object)?
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .with_context(|| format!("changing {name}"))?;
    Ok(())
}

/// Asks for a pass over a custom resource; gives the time at which its status answers.
pub async fn request_pass(client: &Client, object: &Value, token: &str) -> Result<Instant> {
    let request =
        json!({"metadata": {"annotations": {"shopkeeper.dev/reconcile-requested-at": token}}});
    merge(client, object, &request).await?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let answered = |object: Option<&DynamicObject>| {
        object.is_some_and(|object| object.data["status"]["lastHandledReconcileAt"] == token)
    };
    let answer = await_condition(api(client, object)?, name, answered);
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map(|_| Instant::now()).map_err(Into::into),
        Err(_) => bail!("{name} has had no pass after {PATIENCE:?}"),
    }
}

/// The Deployments of the services, as they change.
pub struct Rollouts(BoxStream<'static, watcher::Result<DynamicObject>>);

impl Rollouts {
    /// Sees every change from now on.
    pub async fn watch(client: &Client) -> Result<Self> {
        let api: Api<DynamicObject> = Api::namespaced_with(
            client.clone(),
            NAMESPACE,
            &resource("apps/v1", "Deployment"),
        );
        let mut events = watcher(api, watcher::Config::default())
            .default_backoff()
            .boxed();
        while !matches!(events.try_next().await?, Some(watcher::Event::InitDone)) {}
        Ok(Self(events.applied_objects().boxed()))
    }

    /// Waits until a Deployment has this image; gives the time at which it was seen.
    pub async fn until_image(&mut self, image: &str) -> Result<Instant> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.try_next()).await;
            let object = next
                .with_context(|| format!("no Deployment has the image {image}"))??
                .context("the watch of Deployments ended")?;
            if object.data["spec"]["template"]["spec"]["containers"][0]["image"] == image {
                return Ok(Instant::now());
            }
        }
    }
}

/// Seconds between two points in time.
pub fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from)
        .max(Duration::from_millis(1))
        .as_secs_f64()
}
