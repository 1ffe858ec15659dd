//! Fargate: pods that a profile selects get a node each, as EKS does it.
//!
//! EKS has a webhook that gives a pod the scheduler `fargate-scheduler` and a label with the name of the profile, when it is made and
//! then never again. Here a MutatingAdmissionPolicy for each profile does so, and this is the scheduler.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::Method;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::nodes;
use super::subnets::SubnetZones;
use crate::REGION;
use crate::aws_double::AwsControl;

/// The shortest pause between two looks at the profiles.
const PAUSE: Duration = Duration::from_millis(300);
/// A look is followed by a pause this many times as long.
const PAUSE_FACTOR: u32 = 10;
/// The label that EKS gives to pods of a profile.
const PROFILE_LABEL: &str = "eks.amazonaws.com/fargate-profile";
/// The scheduler that EKS gives to them.
const SCHEDULER: &str = "fargate-scheduler";
/// What the policies are known by.
const MANAGED: (&str, &str) = ("localenv.shopkeeper.dev/fargate", "true");

/// Plays Fargate.
pub(super) struct Fargate {
    client: Client,
    control: AwsControl,
    zones: SubnetZones,
    next_address: u16,
}

/// A profile in the double's inventory.
#[derive(Deserialize)]
struct Profile {
    name: String,
    status: String,
    cluster: String,
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    subnets: Vec<String>,
    selectors: Vec<Selector>,
}

#[derive(Deserialize)]
struct Selector {
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Fargate {
    pub(super) fn new(client: Client, endpoint: &str) -> Self {
        Self {
            client,
            control: AwsControl::new(endpoint),
            zones: SubnetZones::new(endpoint),
            // Above the addresses of node groups.
            next_address: 0x8000,
        }
    }

    /// Runs until it is dropped. What fails is tried again in the next round.
    pub(super) async fn run(mut self) {
        loop {
            let began = Instant::now();
            if let Err(problem) = self.round().await {
                tracing::debug!(
                    problem = format!("{problem:#}"),
                    "Fargate profiles are looked at again"
                );
            }
            tokio::time::sleep((began.elapsed() * PAUSE_FACTOR).clamp(PAUSE, PAUSE * 30)).await;
        }
    }

    async fn round(&mut self) -> Result<()> {
        let profiles = self.profiles().await?;
        self.drop_policies(&profiles).await?;
        for profile in &profiles {
            match profile.status.as_str() {
                "CREATING" => self.admit(profile).await,
                "DELETING" => self.empty(profile).await,
                _ => Ok(()),
            }
            .with_context(|| format!("Fargate profile {}", profile.name))?;
        }
        self.schedule(&profiles).await?;
        self.drop_nodes().await
    }

    /// Read from the double's memory, as node groups are.
    async fn profiles(&self) -> Result<Vec<Profile>> {
        let path = format!("inventory?service=eks&region={REGION}");
        let answer = self.control.request(Method::GET, &path, None).await?;
        answer["resources"]
            .as_array()
            .context("an inventory without resources")?
            .iter()
            .filter(|entry| entry["type"] == "fargate-profile")
            .map(|entry| Profile::deserialize(entry).context("not a Fargate profile"))
            .collect()
    }

    /// Has new pods find the profile, and says so once one does: the API server takes a moment to heed a policy.
    async fn admit(&self, profile: &Profile) -> Result<()> {
        let patch = PatchParams::apply(super::USER_AGENT).force();
        let (policies, bindings): (
            Api<MutatingAdmissionPolicy>,
            Api<MutatingAdmissionPolicyBinding>,
        ) = (Api::all(self.client.clone()), Api::all(self.client.clone()));
        for (index, selector) in profile.detail.selectors.iter().enumerate() {
            let name = format!("{}-{index}", profile.policy());
            policies
                .patch(
                    &name,
                    &patch,
                    &Patch::Apply(policy(&name, profile, selector)),
                )
                .await?;
            bindings
                .patch(&name, &patch, &Patch::Apply(binding(&name)))
                .await?;
        }
        for selector in &profile.detail.selectors {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), &selector.namespace);
            let asked = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            let answer = pods.create(&asked, &probe(selector)?).await?;
            if answer.labels().get(PROFILE_LABEL) != Some(&profile.name) {
                return Ok(());
            }
        }
        self.played(profile).await
    }

    /// Ends the pods of a profile that goes, budget or not, and says when the last is gone.
    async fn empty(&self, profile: &Profile) -> Result<()> {
        let all: Api<Pod> = Api::all(self.client.clone());
        let of_profile = ListParams::default().labels(&format!("{PROFILE_LABEL}={}", profile.name));
        let left = all.list(&of_profile).await?.items;
        for pod in &left {
            let pods: Api<Pod> =
                Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
            let now = DeleteParams::default().grace_period(0);
            unless_gone(pods.delete(&pod.name_any(), &now).await)?;
        }
        if left.is_empty() {
            self.played(profile).await?;
        }
        Ok(())
    }

    async fn played(&self, profile: &Profile) -> Result<()> {
        let report = json!({
            "region": REGION, "cluster": profile.cluster, "fargate_profile": profile.name,
        });
        self.control
            .request(Method::POST, "nodes", Some(report))
            .await
            .map(drop)
    }

    /// Takes away the policies of profiles that are going or gone.
    async fn drop_policies(&self, profiles: &[Profile]) -> Result<()> {
        let staying: BTreeSet<String> = profiles
            .iter()
            .filter(|profile| matches!(profile.status.as_str(), "CREATING" | "ACTIVE"))
            .flat_map(|profile| {
                (0..profile.detail.selectors.len())
                    .map(|index| format!("{}-{index}", profile.policy()))
            })
            .collect();
        self.drop_others::<MutatingAdmissionPolicyBinding>(&staying)
            .await?;
        self.drop_others::<MutatingAdmissionPolicy>(&staying).await
    }

    async fn drop_others<K>(&self, staying: &BTreeSet<String>) -> Result<()>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
        K: k8s_openapi::Resource<Scope = k8s_openapi::ClusterResourceScope>,
        K: Resource<Scope = k8s_openapi::ClusterResourceScope>,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(&format!("{}={}", MANAGED.0, MANAGED.1));
        for object in api.list(&ours).await? {
            let name = object.name_any();
            if !staying.contains(&name) {
                unless_gone(api.delete(&name, &DeleteParams::default()).await)?;
            }
        }
        Ok(())
    }

    /// Gives each pod that waits for Fargate a node of its own.
    async fn schedule(&mut self, profiles: &[Profile]) -> Result<()> {
        let all: Api<Pod> = Api::all(self.client.clone());
        let waiting =
            ListParams::default().fields(&format!("spec.schedulerName={SCHEDULER},spec.nodeName="));
        let nodes: Api<Node> = Api::all(self.client.clone());
        for pod in all.list(&waiting).await? {
            let profile = profiles.iter().find(|profile| {
                profile.status == "ACTIVE" && pod.labels().get(PROFILE_LABEL) == Some(&profile.name)
            });
            let Some(profile) = profile.filter(|_| pod.metadata.deletion_timestamp.is_none())
            else {
                continue;
            };
            let zones = self.zones.of(&profile.detail.subnets).await;
            let zone = &zones[usize::from(self.next_address) % zones.len()];
            let node = nodes::fargate_node(self.next_address, zone)?;
            self.next_address = self.next_address.wrapping_add(1);
            let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
            let node = nodes
                .create(&PostParams::default(), &node)
                .await?
                .name_any();
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
            let binding = json!({
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": name, "namespace": namespace},
                "target": {"apiVersion": "v1", "kind": "Node", "name": node},
            });
            let asked = PostParams::default();
            let bound = pods
                .create_subresource::<Value, Value>("binding", &name, &asked, &binding)
                .await;
            unless_gone(bound)?;
        }
        Ok(())
    }

    /// A node goes with its pod.
    async fn drop_nodes(&self) -> Result<()> {
        let api: Api<Node> = Api::all(self.client.clone());
        let all: Api<Pod> = Api::all(self.client.clone());
        for node in api
            .list(&ListParams::default().labels(nodes::ON_FARGATE))
            .await?
        {
            let name = node.name_any();
            let on_it = ListParams::default().fields(&format!("spec.nodeName={name}"));
            if all.list(&on_it).await?.items.is_empty() {
                unless_gone(api.delete(&name, &DeleteParams::default()).await)?;
            }
        }
        Ok(())
    }
}

impl Profile {
    /// The name of its policies, but for the number of the selector.
    fn policy(&self) -> String {
        format!("fargate-{}-{}", self.cluster, self.name).to_lowercase()
    }
}

fn policy(name: &str, profile: &Profile, selector: &Selector) -> Value {
    let label = PROFILE_LABEL.replace('/', "~1");
    let expression = format!(
        "[JSONPatch{{op: \"add\", path: \"/metadata/labels/{label}\", value: \"{}\"}}, \
         JSONPatch{{op: \"add\", path: \"/spec/schedulerName\", value: \"{SCHEDULER}\"}}]",
        profile.name
    );
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name, "labels": {MANAGED.0: MANAGED.1}},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": selector.namespace}},
                "objectSelector": {"matchLabels": selector.labels},
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                }],
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    })
}

fn binding(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": {MANAGED.0: MANAGED.1}},
        "spec": {"policyName": name},
    })
}

/// A pod that a selector takes, to see what becomes of it.
fn probe(selector: &Selector) -> Result<Pod> {
    let mut labels = selector.labels.clone();
    labels
        .entry("localenv.shopkeeper.dev/probe".into())
        .or_insert_with(|| "true".into());
    serde_json::from_value(json!({
        "metadata": {"name": "fargate-probe", "labels": labels},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe",
                "image": "probe",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    }))
    .context("cannot describe a probe")
}

fn unless_gone<T>(result: kube::Result<T>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
