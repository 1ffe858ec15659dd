//! Objects of the cluster as plain JSON.

use std::{collections::BTreeSet, fmt};

use anyhow::{Context, Result, bail, ensure};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Map, Value, json};

use crate::{PATIENCE, Shop, text};

/// Kinds with group, version and plural. Written down rather than discovered: a scenario names few, and discovery would have
/// to be asked again after every change of the definitions.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("Platform", "shopkeeper.dev", "v1alpha1", "platforms"),
    ("Storefront", "shopkeeper.dev", "v1alpha1", "storefronts"),
    (
        "CatalogService",
        "shopkeeper.dev",
        "v1alpha1",
        "catalogservices",
    ),
    (
        "OrderService",
        "shopkeeper.dev",
        "v1alpha1",
        "orderservices",
    ),
    ("Deployment", "apps", "v1", "deployments"),
    (
        "HorizontalPodAutoscaler",
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
    ),
    (
        "PodDisruptionBudget",
        "policy",
        "v1",
        "poddisruptionbudgets",
    ),
    (
        "NetworkPolicy",
        "networking.k8s.io",
        "v1",
        "networkpolicies",
    ),
    ("Ingress", "networking.k8s.io", "v1", "ingresses"),
    (
        "ServiceMonitor",
        "monitoring.coreos.com",
        "v1",
        "servicemonitors",
    ),
    ("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes"),
    ("Event", "events.k8s.io", "v1", "events"),
    ("Lease", "coordination.k8s.io", "v1", "leases"),
    ("Service", "", "v1", "services"),
    ("ServiceAccount", "", "v1", "serviceaccounts"),
    ("ConfigMap", "", "v1", "configmaps"),
    ("Secret", "", "v1", "secrets"),
    (
        "SecurityGroupPolicy",
        "vpcresources.k8s.aws",
        "v1beta1",
        "securitygrouppolicies",
    ),
    ("Pod", "", "v1", "pods"),
    ("Node", "", "v1", "nodes"),
    ("Namespace", "", "v1", "namespaces"),
];

/// One object by kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace; empty for a cluster-scoped kind.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Subject {
    /// An object of a namespace, or of the cluster where the namespace is empty.
    pub fn new(kind: &'static str, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The value of the owner tag of what it makes.
    pub fn path(&self) -> String {
        if self.namespace.is_empty() {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl Shop {
    fn api(&self, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let (kind, group, version, plural) = KINDS
            .iter()
            .copied()
            .find(|(known, ..)| *known == kind)
            .with_context(|| format!("{kind} is not in the list of kinds"))?;
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let client = self.client().clone();
        Ok(if namespace.is_empty() {
            Api::all_with(client, &resource)
        } else {
            Api::namespaced_with(client, namespace, &resource)
        })
    }

    /// The object, where it exists.
    pub async fn find(&self, subject: &Subject) -> Result<Option<Value>> {
        let found = self
            .api(subject.kind, &subject.namespace)?
            .get_opt(&subject.name)
            .await?;
        Ok(found
            .map(|object| serde_json::to_value(&object))
            .transpose()?)
    }

    /// The object. Fails where it does not exist.
    pub async fn get(&self, kind: &'static str, namespace: &str, name: &str) -> Result<Value> {
        let subject = Subject::new(kind, namespace, name);
        self.find(&subject)
            .await?
            .with_context(|| format!("{subject} does not exist"))
    }

    /// All objects of a kind, of all namespaces where the namespace is empty.
    pub async fn list(&self, kind: &str, namespace: &str, labels: &str) -> Result<Vec<Value>> {
        let listed = self
            .api(kind, namespace)?
            .list(&ListParams::default().labels(labels))
            .await?;
        Ok(listed
            .items
            .iter()
            .map(serde_json::to_value)
            .collect::<Result<_, _>>()?)
    }

    /// Changes an object by a JSON merge patch (RFC 7396), as `kubectl patch --type=merge` does.
    pub async fn merge(&self, subject: &Subject, patch: Value) -> Result<Value> {
        let api = self.api(subject.kind, &subject.namespace)?;
        let patched = api
            .patch(&subject.name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        Ok(serde_json::to_value(
            patched.with_context(|| format!("patching {subject}"))?,
        )?)
    }

    /// Takes its status away, as a restore of a backup without it does, or `kubectl replace --subresource=status`.
    pub async fn lose_status(&self, subject: &Subject) -> Result<()> {
        let api = self.api(subject.kind, &subject.namespace)?;
        let patch = Patch::Merge(json!({"status": null}));
        api.patch_status(&subject.name, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("taking the status of {subject} away"))?;
        let object = self
            .get(subject.kind, &subject.namespace, &subject.name)
            .await?;
        ensure!(
            object["status"]["inventory"].is_null(),
            "{subject} still has an inventory"
        );
        Ok(())
    }

    /// Sets an annotation.
    pub async fn annotate(&self, subject: &Subject, name: &str, value: &str) -> Result<()> {
        self.merge(subject, json!({"metadata": {"annotations": {name: value}}}))
            .await
            .map(drop)
    }

    /// Asks for deletion, and does not wait for it.
    pub async fn delete(&self, subject: &Subject) -> Result<()> {
        let deleted = self
            .api(subject.kind, &subject.namespace)?
            .delete(&subject.name, &DeleteParams::default())
            .await;
        deleted.with_context(|| format!("deleting {subject}"))?;
        Ok(())
    }

    /// Waits until an object is gone.
    pub async fn until_gone(&self, subject: &Subject) -> Result<()> {
        self.until(&format!("{subject} is gone"), PATIENCE, async || match self
            .find(subject)
            .await?
        {
            None => Ok(()),
            Some(object) => bail!("{}", conditions(&object)),
        })
        .await
    }

    /// Waits until the custom resource says of its present generation that it is Ready; returns it.
    pub async fn until_ready(&self, subject: &Subject) -> Result<Value> {
        self.until(&format!("{subject} is Ready"), PATIENCE, async || {
            let object = self
                .get(subject.kind, &subject.namespace, &subject.name)
                .await?;
            ensure!(
                is_condition(&object, "Ready", "True")?,
                "{}",
                conditions(&object)
            );
            Ok(object)
        })
        .await
    }

    /// Waits until a condition of the present generation has this status and reason; returns its message.
    pub async fn until_condition(
        &self,
        subject: &Subject,
        condition: &str,
        status: &str,
        reason: &str,
    ) -> Result<String> {
        self.until(
            &format!("{subject} has {condition}={status} for {reason}"),
            PATIENCE,
            async || {
                let object = self
                    .get(subject.kind, &subject.namespace, &subject.name)
                    .await?;
                let found =
                    condition_of(&object, condition).with_context(|| conditions(&object))?;
                ensure!(
                    found["status"] == status && found["reason"] == reason,
                    "{}",
                    conditions(&object)
                );
                ensure!(
                    found["observedGeneration"] == object["metadata"]["generation"],
                    "it is still that of an earlier generation"
                );
                Ok(found["message"].as_str().unwrap_or_default().to_owned())
            },
        )
        .await
    }

    /// Approves the plan that waits, as a person does: reads its hash from the status and writes it into the annotation.
    pub async fn approve(&self, subject: &Subject) -> Result<()> {
        self.until_condition(subject, "Ready", "False", "ApprovalRequired")
            .await?;
        let object = self
            .get(subject.kind, &subject.namespace, &subject.name)
            .await?;
        let hash = text(&object, "/status/plan/hash")?;
        self.annotate(subject, "shopkeeper.dev/approve", hash).await
    }

    /// The plan in the status; `null` where there is none.
    pub async fn plan_of(&self, subject: &Subject) -> Result<Value> {
        let mut object = self
            .get(subject.kind, &subject.namespace, &subject.name)
            .await?;
        Ok(object["status"]["plan"].take())
    }

    /// Asks for a pass now and waits until it is answered.
    pub async fn request_pass(&self, subject: &Subject, at: &str) -> Result<()> {
        self.annotate(subject, "shopkeeper.dev/reconcile-requested-at", at)
            .await?;
        self.until(
            &format!("{subject} has handled the request of {at}"),
            PATIENCE,
            async || {
                let object = self
                    .get(subject.kind, &subject.namespace, &subject.name)
                    .await?;
                ensure!(
                    object["status"]["lastHandledReconcileAt"] == at,
                    "{}",
                    object["status"]["lastHandledReconcileAt"]
                );
                Ok(())
            },
        )
        .await
    }

    /// Every variable that a container is given, with its value looked up in the ConfigMap or Secret that it comes from.
    pub async fn variables(
        &self,
        namespace: &str,
        container: &Value,
    ) -> Result<Map<String, Value>> {
        let mut found = Map::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let from = &variable["valueFrom"];
            let value = if from["configMapKeyRef"].is_object() {
                let source = &from["configMapKeyRef"];
                let map = self
                    .get("ConfigMap", namespace, text(source, "/name")?)
                    .await?;
                map["data"][text(source, "/key")?].clone()
            } else if from["secretKeyRef"].is_object() {
                let source = &from["secretKeyRef"];
                let name = text(source, "/name")?;
                let template = format!(
                    "go-template={{{{index .data {:?} | base64decode}}}}",
                    text(source, "/key")?
                );
                let arguments = ["get", "secret", "-n", namespace, name, "-o", &template];
                json!(self.environment.kubectl(&arguments).await?)
            } else {
                variable["value"].clone()
            };
            found.insert(text(variable, "/name")?.to_owned(), value);
        }
        Ok(found)
    }

    /// The uids of the pods of a workload that are not about to end.
    pub async fn pods(&self, namespace: &str, workload: &str) -> Result<BTreeSet<String>> {
        let labels = format!("app.kubernetes.io/name={workload}");
        let pods = self.list("Pod", namespace, &labels).await?;
        Ok(pods
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"] == Value::Null)
            .map(|pod| pod["metadata"]["uid"].to_string())
            .collect())
    }

    /// The name in the inventory of what was made for a role.
    pub async fn made(&self, subject: &Subject, kind: &str, role: &str) -> Result<String> {
        let object = self
            .get(subject.kind, &subject.namespace, &subject.name)
            .await?;
        let inventory = object["status"]["inventory"]
            .as_array()
            .with_context(|| format!("{subject} has no inventory"))?;
        // One that it replaced stays in the inventory for some seconds after it is gone, without a state.
        let item = inventory
            .iter()
            .find(|item| item["kind"] == kind && item["role"] == role && !item["state"].is_null());
        let item = item.with_context(|| {
            format!(
                "{subject} has no {kind} for {role}; it has {}",
                roles(inventory)
            )
        })?;
        Ok(item["name"].as_str().unwrap_or_default().to_owned())
    }
}

fn roles(inventory: &[Value]) -> String {
    let roles: Vec<String> = inventory
        .iter()
        .map(|item| format!("{} for {}", item["kind"], item["role"]))
        .collect();
    roles.join(", ")
}

/// A condition by type.
pub(crate) fn condition_of<'a>(object: &'a Value, condition: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|found| found["type"] == condition)
}

fn is_condition(object: &Value, condition: &str, status: &str) -> Result<bool> {
    let Some(found) = condition_of(object, condition) else {
        return Ok(false);
    };
    Ok(
        found["status"] == status
            && found["observedGeneration"] == object["metadata"]["generation"],
    )
}

/// The conditions of an object, and the plan that waits, for a message.
pub(crate) fn conditions(object: &Value) -> String {
    let all = object["status"]["conditions"].as_array();
    let mut text: Vec<String> = all
        .into_iter()
        .flatten()
        .map(|condition| {
            let get = |name: &str| condition[name].as_str().unwrap_or_default();
            format!(
                "{}={} {}: {}",
                get("type"),
                get("status"),
                get("reason"),
                get("message")
            )
        })
        .collect();
    if object["status"]["plan"].is_object() {
        text.push(format!("plan {}", object["status"]["plan"]));
    }
    if text.is_empty() {
        "no conditions".to_owned()
    } else {
        text.join(" | ")
    }
}
