//! What the API server and the controllers do with a step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    kubernetes::{KubernetesKind, KubernetesObject, surplus::surplus},
    observed::{Lifecycle, ObservedObject},
    planner::DriftPolicy,
    resolve::fargate::FARGATE_LABEL,
    resource::{ResourceKey, ResourceKind},
};

use super::World;

impl World {
    pub(super) fn tick_kubernetes(&mut self) -> bool {
        let mut moved = false;
        for (group, ending) in std::mem::take(&mut self.ending) {
            moved |= ending > 0;
            *self.pods.get_mut(&group).expect("it has pods") -= ending;
        }
        let before = self.kubernetes.len();
        self.kubernetes.retain(|_, object| !object.is_terminating());
        moved |= self.kubernetes.len() != before;
        let fewest: BTreeMap<String, Value> = self
            .kubernetes
            .iter()
            .filter(|(key, _)| {
                key.kind == ResourceKind::Kubernetes(KubernetesKind::HorizontalPodAutoscaler)
            })
            .map(|(key, object)| (key.name.clone(), object.body["spec"]["minReplicas"].clone()))
            .collect();
        let group = self
            .aws
            .iter()
            .filter(|(_, thing)| thing.present.lifecycle == Lifecycle::Available)
            .find_map(|(_, thing)| match &thing.present.resource {
                AwsResource::NodeGroup(group) => Some(group.name.clone()),
                _ => None,
            });
        // Where the Deployments want their pods: of two frontends one may be on Fargate.
        let wanted: BTreeSet<String> = self
            .kubernetes
            .iter()
            .filter(|(key, _)| key.kind == ResourceKind::Kubernetes(KubernetesKind::Deployment))
            .filter_map(|(_, object)| {
                let labels = &object.body["spec"]["template"]["metadata"]["labels"];
                let profile = labels[FARGATE_LABEL].as_str().map(str::to_owned);
                profile.or_else(|| group.clone())
            })
            .collect();
        for (key, object) in &mut self.kubernetes {
            let status = match key.kind {
                ResourceKind::Kubernetes(KubernetesKind::Deployment) => {
                    let running = object.body["spec"]["replicas"].as_u64();
                    if let Some(least) = fewest.get(&key.name)
                        && running < least.as_u64()
                    {
                        object.body["spec"]["replicas"] = least.clone();
                        moved = true;
                        set_replicas(&mut object.body, "kube-controller-manager", "Update");
                    }
                    let replicas = object.body["spec"]["replicas"].clone();
                    // Pods of a profile go where the template says; those of a node group stay until its nodes are drained.
                    let labels = &object.body["spec"]["template"]["metadata"]["labels"];
                    let profile = labels[FARGATE_LABEL].as_str().map(str::to_owned);
                    let on_fargate = |place: &String| {
                        self.aws.contains_key(&ResourceKey::aws(
                            AwsKind::FargateProfile,
                            place.as_str(),
                        ))
                    };
                    let moves = match &profile {
                        Some(profile) => !self.pods.contains_key(profile),
                        None => self
                            .pods
                            .keys()
                            .any(|place| on_fargate(place) && !wanted.contains(place)),
                    };
                    if moves && let Some(place) = profile.as_ref().or(group.as_ref()) {
                        let count = usize::try_from(replicas.as_u64().unwrap()).unwrap();
                        self.pods.retain(|place, _| wanted.contains(place));
                        self.pods.insert(place.clone(), count);
                        moved = true;
                    }
                    if let (Some(group), true) = (&group, self.pods.values().sum::<usize>() == 0) {
                        self.pods.insert(
                            group.clone(),
                            usize::try_from(replicas.as_u64().unwrap()).unwrap(),
                        );
                    }
                    json!({
                        "observedGeneration": object.body["metadata"]["generation"],
                        "replicas": replicas, "updatedReplicas": replicas,
                        "availableReplicas": if self.pods_fail { json!(0) } else { replicas.clone() },
                    })
                }
                ResourceKind::Kubernetes(KubernetesKind::Service)
                    if object.body["spec"]["type"] == "LoadBalancer" =>
                {
                    json!({"loadBalancer": {"ingress": [{"hostname": "nlb.example"}]}})
                }
                ResourceKind::Kubernetes(KubernetesKind::HTTPRoute) => {
                    let generation = &object.body["metadata"]["generation"];
                    let said = |kind: &str| json!({"type": kind, "status": "True", "observedGeneration": generation});
                    let parents: Vec<Value> = object.body["spec"]["parentRefs"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|parent| json!({"parentRef": parent, "conditions": [said("Accepted"), said("ResolvedRefs")]}))
                        .collect();
                    json!({"parents": parents})
                }
                ResourceKind::Kubernetes(KubernetesKind::Ingress) => {
                    json!({"loadBalancer": {"ingress": [{"hostname": "alb.example"}]}})
                }
                _ => continue,
            };
            moved |= object.body["status"] != status;
            object.body["status"] = status;
        }
        moved
    }

    /// What an autoscaler does.
    pub fn scale_deployment(&mut self, deployment: &str, replicas: u32) {
        let key = ResourceKey::kubernetes(KubernetesKind::Deployment, deployment);
        let body = &mut self.kubernetes.get_mut(&key).expect("it exists").body;
        body["spec"]["replicas"] = json!(replicas);
        set_replicas(body, "kube-controller-manager", "Update");
    }

    pub(super) fn apply(&mut self, key: &ResourceKey, desired: &KubernetesObject) {
        let existing = self.kubernetes.get(key);
        let mut body = existing.map_or_else(|| json!({}), |object| object.body.clone());
        let generation = body["metadata"]["generation"].as_u64().unwrap_or(0);
        let spec_before = body.get("spec").cloned();
        let last = self.applied.insert(key.clone(), desired.clone());
        let of_others = last
            .as_ref()
            .map(|last| surplus(last, &body))
            .unwrap_or_default();
        if let Some(last) = &last {
            give_up(&mut body, &last.comparable(), &desired.comparable());
        }
        merge(&mut body, &desired.comparable());
        if desired.kind == KubernetesKind::Deployment {
            apply_replicas(
                &mut body,
                &desired.to_apply(existing.map(|object| &object.body)),
            );
        }
        // An apply leaves what others added; it is taken away apart, if it is to be.
        if self.policies.drift == DriftPolicy::Report {
            for entry in of_others {
                let (list, _) = entry.pointer.rsplit_once('/').unwrap();
                let (parent, list) = list.rsplit_once('/').unwrap();
                let list = &mut body.pointer_mut(parent).unwrap()[list];
                if list.is_null() {
                    *list = json!([]);
                }
                // Entries of maps are still there.
                if let Some(list) = list.as_array_mut() {
                    list.push(entry.value);
                }
            }
        } else {
            for entry in surplus(desired, &body).into_iter().rev() {
                take_away(&mut body, &entry.pointer);
            }
        }
        with_defaults(desired.kind, &mut body);
        let changed = body.get("spec").cloned() != spec_before;
        body["metadata"]["generation"] = json!(generation + u64::from(changed));
        body["metadata"]["uid"] = json!(format!("{}-{}", key.kind.id(), key.name));
        let ours = body["metadata"]["ownerReferences"][0]["uid"] == json!(self.wanted.owner.uid);
        self.kubernetes.insert(
            key.clone(),
            ObservedObject {
                uid: body["metadata"]["uid"].as_str().unwrap().to_owned(),
                body,
                ours,
            },
        );
    }

    pub(super) fn remove(&mut self, key: &ResourceKey) {
        match key.kind {
            // The finalizer of the controller holds it until its load balancer is gone.
            ResourceKind::Kubernetes(KubernetesKind::Ingress) => {
                self.kubernetes.get_mut(key).expect("it exists").body["metadata"]["deletionTimestamp"] =
                    json!("2026-01-01T00:00:00Z");
            }
            // It stays until its pods are gone.
            ResourceKind::Kubernetes(KubernetesKind::Deployment) => {
                self.pods.clear();
                self.ending.clear();
                self.kubernetes.get_mut(key).expect("it exists").body["metadata"]["deletionTimestamp"] =
                    json!("2026-01-01T00:00:00Z");
            }
            _ => drop(self.kubernetes.remove(key)),
        }
    }

    /// One pod moves, as a disruption budget wants it.
    pub(super) fn drain(&mut self, key: &ResourceKey) {
        let other = self
            .aws
            .iter()
            .filter(|(other, thing)| {
                *other != key && thing.present.lifecycle == Lifecycle::Available
            })
            .find_map(|(_, thing)| match &thing.present.resource {
                AwsResource::NodeGroup(group) => Some(group.name.clone()),
                _ => None,
            })
            .unwrap_or_else(|| panic!("the pods of {key} have nowhere to go"));
        self.cordoned.insert(key.name.clone());
        let ending = self.ending.entry(key.name.clone()).or_default();
        assert!(
            *ending < self.pods[&key.name],
            "the pods of {key} were told to end"
        );
        if self.slow_pods {
            *ending += 1;
        } else {
            *self.pods.get_mut(&key.name).expect("it has pods") -= 1;
        }
        *self.pods.entry(other).or_default() += 1;
        for (_, object) in self
            .kubernetes
            .iter_mut()
            .filter(|(key, _)| key.kind == ResourceKind::Kubernetes(KubernetesKind::Deployment))
        {
            let available = object.body["status"]["availableReplicas"].as_i64().unwrap();
            object.body["status"]["availableReplicas"] = json!(available - 1);
        }
    }
}

/// A server-side apply: maps are merged, lists are taken as they are sent.
fn merge(body: &mut Value, desired: &Value) {
    match (body, desired) {
        (Value::Object(body), Value::Object(desired)) => {
            for (name, value) in desired {
                merge(body.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (body, desired) => *body = desired.clone(),
    }
}

/// What was applied before and is not said any more goes.
fn give_up(body: &mut Value, last: &Value, desired: &Value) {
    let (Value::Object(body), Value::Object(last), Value::Object(desired)) = (body, last, desired)
    else {
        return;
    };
    for (name, before) in last {
        match (desired.get(name), body.get_mut(name)) {
            (None, _) => drop(body.remove(name)),
            (Some(now), Some(found)) => give_up(found, before, now),
            (Some(_), None) => {}
        }
    }
}

/// The `remove` of a JSON patch.
fn take_away(body: &mut Value, pointer: &str) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Array(list) => drop(list.remove(last.parse().unwrap())),
        map => {
            let name = last.replace("~1", "/").replace("~0", "~");
            map.as_object_mut().unwrap().remove(&name).unwrap();
        }
    }
}

/// Who is known to have set the replicas of a Deployment.
fn set_replicas(body: &mut Value, manager: &str, operation: &str) {
    body["metadata"]["managedFields"] = json!([
        {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]);
}

/// A server-side apply gives up the replicas that it set before and leaves out now: then they are the default.
fn apply_replicas(body: &mut Value, sent: &Value) {
    if let Some(version) = sent["metadata"].get("resourceVersion") {
        assert_eq!(
            Some(version),
            body["metadata"].get("resourceVersion"),
            "it was changed meanwhile"
        );
    }
    match sent["spec"].get("replicas") {
        Some(replicas) => {
            body["spec"]["replicas"] = replicas.clone();
            set_replicas(body, "shopkeeper", "Apply");
        }
        None if body.pointer("/metadata/managedFields/0/manager") == Some(&json!("shopkeeper")) => {
            body["spec"]["replicas"] = json!(1);
            body["metadata"]["managedFields"] = json!([]);
        }
        None => {}
    }
}

/// What the API server adds.
fn with_defaults(kind: KubernetesKind, body: &mut Value) {
    body["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    match kind {
        KubernetesKind::Deployment => {
            body["spec"]["revisionHistoryLimit"] = json!(10);
            if body["spec"].get("replicas").is_none() {
                body["spec"]["replicas"] = json!(1);
            }
            let pod = &mut body["spec"]["template"]["spec"];
            pod["restartPolicy"] = json!("Always");
            pod["dnsPolicy"] = json!("ClusterFirst");
            for container in pod["containers"].as_array_mut().unwrap() {
                container["terminationMessagePath"] = json!("/dev/termination-log");
            }
        }
        KubernetesKind::Service => {
            body["spec"]["clusterIP"] = json!("10.100.0.1");
            body["spec"]["sessionAffinity"] = json!("None");
        }
        _ => {}
    }
}
