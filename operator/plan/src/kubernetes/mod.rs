//! The Kubernetes objects that Shopkeeper makes. One file an object.

use std::{collections::BTreeMap, fmt};

use kube::core::DynamicObject;
use serde_json::Value;

use crate::{difference, sensitive::fingerprint};

pub(crate) mod bindings;
pub(crate) mod deployment;
pub(crate) mod horizontal_pod_autoscaler;
pub(crate) mod http_route;
pub(crate) mod ingress;
mod load_balancer;
mod managers;
pub(crate) mod network_policy;
pub mod object;
pub(crate) mod pod;
pub(crate) mod pod_disruption_budget;
pub mod readiness;
pub mod replicas;
mod security;
pub(crate) mod security_group_policy;
pub(crate) mod service;
pub(crate) mod service_account;
pub(crate) mod service_monitor;
pub(crate) mod strategic_merge;
pub mod surplus;
mod tracing;
mod volumes;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident, $api_version:literal, $plural:literal, stage $stage:literal;)+) => {
        /// A kind of Kubernetes object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KubernetesKind { $($(#[doc = $doc])+ $kind,)+ }

        impl KubernetesKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Its name in the API, which is also its identifier in inventories and metrics.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)+ }
            }

            /// Group and version, `apps/v1`.
            #[must_use]
            pub const fn api_version(self) -> &'static str {
                match self { $(Self::$kind => $api_version,)+ }
            }

            /// Group and version apart: `("apps", "v1")`; the core group is the empty text.
            #[must_use]
            pub fn group_and_version(self) -> (&'static str, &'static str) {
                self.api_version().split_once('/').unwrap_or(("", self.api_version()))
            }

            /// Its plural in URLs and RBAC rules.
            #[must_use]
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)+ }
            }

            /// See [`crate::resource::ResourceKind::teardown_stage`].
            #[must_use]
            pub const fn teardown_stage(self) -> u8 {
                match self { $(Self::$kind => $stage,)+ }
            }
        }
    };
}

// Traffic goes first, then what restarts pods, then the pods, then what pods need to end well. The stage of a Deployment is over when
// the last of its pods has ended, whatever became of the Deployment (see `planner::pods`).
kinds! {
    /// Route through a load balancer.
    Ingress, "networking.k8s.io/v1", "ingresses", stage 0;
    /// Routes of a Gateway; only where its CRD exists.
    HTTPRoute, "gateway.networking.k8s.io/v1", "httproutes", stage 0;
    /// Scrape configuration; only where its CRD exists.
    ServiceMonitor, "monitoring.coreos.com/v1", "servicemonitors", stage 0;
    /// Scales a Deployment.
    HorizontalPodAutoscaler, "autoscaling/v2", "horizontalpodautoscalers", stage 1;
    /// The pods.
    Deployment, "apps/v1", "deployments", stage 2;
    /// Name and virtual address of the pods.
    Service, "v1", "services", stage 3;
    /// Limits voluntary disruption.
    PodDisruptionBudget, "policy/v1", "poddisruptionbudgets", stage 3;
    /// Who may call.
    NetworkPolicy, "networking.k8s.io/v1", "networkpolicies", stage 3;
    /// Bindings that hold credentials.
    Secret, "v1", "secrets", stage 4;
    /// Bindings that hold none.
    ConfigMap, "v1", "configmaps", stage 4;
    /// Security groups of the pods; only where its CRD exists.
    SecurityGroupPolicy, "vpcresources.k8s.aws/v1beta1", "securitygrouppolicies", stage 4;
    /// Identity of the pods.
    ServiceAccount, "v1", "serviceaccounts", stage 4;
}

impl KubernetesKind {
    /// Whether one of this kind needs one of the other for as long as it is there.
    #[must_use]
    pub const fn rests_on(self, other: Self) -> bool {
        match self {
            // Pods without their network policy are open to anybody, and without their Secret they do not start.
            Self::Deployment => true,
            // Whoever comes by them would be answered with errors.
            Self::Ingress | Self::HTTPRoute => matches!(other, Self::Deployment | Self::Service),
            Self::HorizontalPodAutoscaler => matches!(other, Self::Deployment),
            Self::ServiceMonitor
            | Self::Service
            | Self::PodDisruptionBudget
            | Self::NetworkPolicy
            | Self::Secret
            | Self::ConfigMap
            | Self::SecurityGroupPolicy
            | Self::ServiceAccount => false,
        }
    }

    /// Whether its definition belongs to somebody else, and may not be there.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::HTTPRoute | Self::ServiceMonitor | Self::SecurityGroupPolicy
        )
    }

    /// Whether it is deleted in the foreground: it stays, being deleted, until the pods that it made are gone.
    #[must_use]
    pub const fn outlives_its_pods(self) -> bool {
        matches!(self, Self::Deployment)
    }
}

/// A desired Kubernetes object.
#[derive(Clone, PartialEq)]
pub struct KubernetesObject {
    /// The kind.
    pub kind: KubernetesKind,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The whole object as JSON. For a Secret this holds the values: see the [`fmt::Debug`] of this type.
    pub body: Value,
    /// The fewest replicas of a Deployment that an autoscaler scales; `None` for every other object. Neither compared nor
    /// hashed: it is only a part of what is sent.
    pub autoscaled_from: Option<i32>,
}

/// Never shows a body: that of a Secret holds secrets, and the others are long.
impl fmt::Debug for KubernetesObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.id(), self.namespace, self.name)
    }
}

/// Annotation that holds a hash of what was applied. What is taken out of a specification is not there to be compared: only
/// the hash tells that the object has to be applied again, so that the API server takes away what is ours and no longer said.
///
/// That of a Deployment ends with a hash of its pods, by which a plan knows whether they are exchanged.
pub const DESIRED_ANNOTATION: &str = "shopkeeper.dev/desired";

impl KubernetesObject {
    /// Writes [`DESIRED_ANNOTATION`] into the body.
    pub fn stamp(&mut self) {
        let short = |value: &Value| fingerprint(value.to_string().as_bytes())[..16].to_owned();
        let mut hash = short(&self.comparable());
        if self.kind == KubernetesKind::Deployment {
            hash = format!("{hash}-{}", short(&self.body["spec"]["template"]));
        }
        self.body["metadata"]["annotations"][DESIRED_ANNOTATION] = Value::from(hash);
    }

    /// Whether applying this Deployment exchanges the pods of the one that was observed. What was taken out of the specification is
    /// not there to be compared, but was part of what was applied.
    #[must_use]
    pub fn exchanges_pods_of(
        &self,
        observed: &Value,
        differences: &[(String, Value, Value)],
    ) -> bool {
        let pods = |body: &Value| {
            let stamp = body["metadata"]["annotations"].get(DESIRED_ANNOTATION);
            let (_, pods) = stamp?.as_str()?.split_once('-')?;
            Some(pods.to_owned())
        };
        self.kind == KubernetesKind::Deployment
            && (differences
                .iter()
                .any(|(path, ..)| path.starts_with("spec.template"))
                || pods(observed).is_some_and(|applied| Some(applied) != pods(&self.body)))
    }

    /// What is sent in a server-side apply, for the object as it was found: the body, and the replicas of a Deployment where
    /// its autoscaler has not set them yet.
    #[must_use]
    pub fn to_apply(&self, found: Option<&Value>) -> Value {
        let mut body = self.body.clone();
        if let Some(least) = self.autoscaled_from {
            replicas::carry(&mut body, least, found);
        }
        body
    }

    /// The body as it is compared and planned with: the values of a Secret are replaced by their fingerprints, as they
    /// are in the cache of observed objects.
    #[must_use]
    pub fn comparable(&self) -> Value {
        let mut body = self.body.clone();
        if self.kind == KubernetesKind::Secret {
            hide_secret_values(&mut body);
        }
        body
    }
}

impl KubernetesObject {
    /// Whether an observed object differs in nothing but secrets that were rotated at their source, or in the hash of them that replaces
    /// the pods.
    #[must_use]
    pub fn differs_in_secrets_alone(&self, observed: &Value) -> bool {
        let form = |body: &Value| {
            let form = &body["metadata"]["annotations"][bindings::FORM_ANNOTATION];
            form.as_str().map(str::to_owned)
        };
        let stamp = format!("metadata.annotations.{DESIRED_ANNOTATION}");
        let hash = format!(
            "spec.template.metadata.annotations.{}",
            pod::BINDINGS_ANNOTATION
        );
        form(&self.body).is_some_and(|desired| form(observed) == Some(desired))
            && self.differences(observed).iter().all(|(path, from, to)| {
                *path == stamp
                    || match self.kind {
                        KubernetesKind::Secret => {
                            path.starts_with("data.") && !from.is_null() && !to.is_null()
                        }
                        KubernetesKind::Deployment => *path == hash,
                        _ => false,
                    }
            })
    }

    /// The paths at which an observed object differs from this one: what is desired and not so, and what somebody added, whose
    /// desired value is `null`.
    #[must_use]
    pub fn differences(&self, observed: &Value) -> Vec<(String, Value, Value)> {
        let mut differences = difference::kubernetes(&self.comparable(), observed);
        differences.extend(
            surplus::surplus(self, observed)
                .into_iter()
                .map(|entry| (entry.path, entry.value, Value::Null)),
        );
        differences
    }
}

impl KubernetesObject {
    /// Who added what an observed object has and this one has not, by its path: the field manager, where the object tells.
    #[must_use]
    pub fn added_by(&self, observed: &Value) -> BTreeMap<String, Option<String>> {
        surplus::surplus(self, observed)
            .into_iter()
            .map(|entry| {
                let manager = managers::added_by(observed, &entry).map(str::to_owned);
                (entry.path, manager)
            })
            .collect()
    }
}

/// Where kubectl keeps a copy of what was applied: of a Secret with its values.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes the values out of a Secret that was read: what is kept of it holds no credentials, and still shows that one of them changed.
pub fn without_values(secret: &mut DynamicObject) {
    hide_secret_values(&mut secret.data);
    if let Some(annotations) = &mut secret.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// Replaces each value of a Secret by the SHA-256 of its text.
///
/// `data` as the API server gives it is base64: the fingerprint is that of the base64 text, so desired Secrets are built
/// with `data` and not with `stringData`.
fn hide_secret_values(body: &mut Value) {
    if let Some(data) = body.get_mut("data").and_then(Value::as_object_mut) {
        for value in data.values_mut() {
            if let Some(text) = value.as_str() {
                *value = Value::from(fingerprint(text.as_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_kept_of_a_secret_shows_its_values() {
        let secret = |password: &str| {
            let mut secret: DynamicObject = serde_json::from_value(serde_json::json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "orders-database", "annotations": {
                    LAST_APPLIED: format!("{{\"data\":{{\"password\":\"{password}\"}}}}"),
                    "kept": "yes",
                }},
                "data": {"password": password},
            }))
            .unwrap();
            without_values(&mut secret);
            serde_json::to_value(&secret).unwrap()
        };
        let (one, other) = (secret("aHVudGVyMg=="), secret("aHVudGVyMw=="));
        assert!(!one.to_string().contains("aHVudGVyMg"), "{one}");
        assert_eq!(one["metadata"]["annotations"]["kept"], "yes");
        assert_ne!(one["data"]["password"], other["data"]["password"]);
    }
}
