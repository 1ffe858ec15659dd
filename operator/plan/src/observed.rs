//! What was observed: the input of the planner beside the blueprint.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::{
    aws::{AwsKind, AwsResource, Tags},
    blueprint::{Blueprint, Wanted},
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    last_seen::LastSeen,
    outputs::Outputs,
    quota::QuotaUse,
    resource::{ResourceKey, ResourceKind},
    sensitive::Sensitive,
};

/// Where a resource is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Being made.
    Creating,
    /// Usable, and open for changes.
    Available,
    /// Usable, and busy with a change: another one would be refused.
    Modifying,
    /// On its way out.
    Deleting,
    /// AWS gave up on it. A message without times or request ids.
    Failed(String),
    /// AWS gave up on deleting it. Likewise.
    DeletionFailed(String),
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It works, and AWS is at something or waits for somebody.
    Information,
    /// It works, and may stop to if nobody does anything.
    Danger,
    /// It does not work, although AWS lets it be changed. A person has to act.
    Outage {
        /// What the person can do.
        remedy: &'static str,
    },
}

/// What a note is about, where a plan or a step goes by it. The text is for people alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matter {
    /// The storage takes no change for some hours.
    StorageIsBusy,
    /// Somebody changed these fields and did not ask to apply that at once: the maintenance window does.
    WaitsForWindow(BTreeSet<&'static str>),
    /// We asked to apply these values at once, and AWS has not done so in good time. A value that AWS does not show is null.
    NotApplied(BTreeMap<&'static str, Value>),
    /// Its deletion is scheduled.
    DeletionIsScheduled,
}

/// What a person should know of the state of a resource: without times and ids, the same for as long as it is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// In plain words.
    pub text: String,
    /// How much it matters.
    pub weight: Weight,
    /// What it is about, where that decides something.
    pub matter: Option<Matter>,
}

impl Note {
    /// A note on a resource that works.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            weight: Weight::Information,
            matter: None,
        }
    }

    /// The same note, with what it is about.
    #[must_use]
    pub fn about(self, matter: Matter) -> Self {
        Self {
            matter: Some(matter),
            ..self
        }
    }

    /// A note on a resource that may stop to work.
    pub fn danger(text: impl Into<String>) -> Self {
        Self {
            weight: Weight::Danger,
            ..Self::new(text)
        }
    }

    /// A note on a resource that does not work.
    pub fn outage(text: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            weight: Weight::Outage { remedy },
            ..Self::new(text)
        }
    }
}

/// The notes on one resource; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// These notes, where there are any.
    #[must_use]
    pub fn of(notes: Vec<Note>) -> Option<Self> {
        (!notes.is_empty()).then_some(Self(notes))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Note> {
        self.0.iter()
    }

    /// What they are about.
    pub fn matters(&self) -> impl Iterator<Item = &Matter> {
        self.iter().filter_map(|note| note.matter.as_ref())
    }
}

impl From<Note> for Notes {
    fn from(note: Note) -> Self {
        Self(vec![note])
    }
}

impl From<String> for Notes {
    fn from(text: String) -> Self {
        Note::new(text).into()
    }
}

impl From<&str> for Notes {
    fn from(text: &str) -> Self {
        Note::new(text).into()
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.0.iter().map(|note| note.text.as_str()).collect();
        f.write_str(&texts.join("; "))
    }
}

/// An AWS resource that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// As AWS reports it, in the terms of what can be desired of it.
    pub resource: AwsResource,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Its ARN, where it has one.
    pub arn: Option<String>,
    /// The id AWS needs to change it, where that is neither name nor ARN (association id, queue URL, key id).
    pub id: Option<String>,
    /// What it tells those that use it.
    pub outputs: Outputs,
    /// Whether it holds no data, for kinds whose data cannot be saved; `None` where that was not looked at.
    pub empty: Option<bool>,
    /// What a person should know of its state, such as a health issue of a node group.
    pub note: Option<Notes>,
}

impl Present {
    /// The notes on it.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.note.iter().flat_map(Notes::iter)
    }

    /// Why it does not work although AWS lets it be changed, as a failure with what a person can do.
    #[must_use]
    pub fn outage(&self, key: &ResourceKey) -> Option<Failure> {
        self.notes().find_map(|note| match note.weight {
            Weight::Outage { remedy } => {
                let text = format!("{key}: {}", note.text);
                Some(Failure::new(Class::Invalid, text).with_remedy(remedy))
            }
            Weight::Information | Weight::Danger => None,
        })
    }

    /// The note that AWS has not applied this value of a field, although it was asked to. A version may be desired in part.
    #[must_use]
    pub fn not_applied(&self, field: &str, desired: &Value) -> Option<&Note> {
        self.notes().find(|note| {
            let Some(Matter::NotApplied(values)) = &note.matter else {
                return false;
            };
            match (values.get(field), desired) {
                (None, _) => false,
                (Some(Value::Null), _) => true,
                (Some(Value::String(asked)), Value::String(desired)) => {
                    asked == desired || asked.starts_with(&format!("{desired}."))
                }
                (Some(asked), desired) => asked == desired,
            }
        })
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        self.resource.tags()
    }

    /// Whether it is a subscription that its endpoint has not confirmed. SNS shows no ARN before, and without one it can
    /// neither be changed nor removed: it takes hold as it was asked for, or goes by itself after two days.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.resource.kind() == AwsKind::SnsSubscription && self.arn.is_none()
    }
}

/// What is known of one AWS resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// AWS says that it does not exist.
    Absent,
    /// It exists.
    Present(Box<Present>),
    /// It could not be observed; nothing may be concluded.
    Unknown(Failure),
}

impl Observation {
    /// Why it could not be observed.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Unknown(failure) => Some(failure),
            Self::Absent | Self::Present(_) => None,
        }
    }
}

/// A Kubernetes object as the cache has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedObject {
    /// The object as JSON. The values of a Secret are SHA-256 fingerprints.
    pub body: Value,
    /// Its uid.
    pub uid: String,
    /// Whether it is controlled by our custom resource.
    pub ours: bool,
}

impl ObservedObject {
    /// Whether it was deleted and a finalizer still holds it, as that of a load balancer does for minutes.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.body
            .pointer("/metadata/deletionTimestamp")
            .is_some_and(|time| !time.is_null())
    }

    /// That it is being deleted, and by which finalizers of others it is held.
    #[must_use]
    pub fn ending(&self) -> String {
        let finalizers = self.body.pointer("/metadata/finalizers");
        let finalizers = finalizers.and_then(Value::as_array).into_iter().flatten();
        match held_by(finalizers.filter_map(Value::as_str)) {
            Some(held) => format!("is being deleted, {held}"),
            None => "is being deleted".to_owned(),
        }
    }
}

/// Finalizers that Kubernetes sees to by itself.
const OF_KUBERNETES: [&str; 2] = ["foregroundDeletion", "orphan"];

/// What a person is told of finalizers that hold something that is being deleted: whoever put them there has to take them off.
#[must_use]
pub fn held_by<'a>(finalizers: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let others = finalizers.into_iter().filter(|finalizer| {
        !OF_KUBERNETES.contains(finalizer) && *finalizer != shopkeeper_api::FINALIZER
    });
    let others: Vec<&str> = others.collect();
    let noun = match others.len() {
        0 => return None,
        1 => "finalizer",
        _ => "finalizers",
    };
    Some(format!("held by the {noun} {}", others.join(", ")))
}

/// What is the matter with a cluster without the Pod Identity agent.
pub(crate) const NO_AGENT: &str = "the cluster has no add-on eks-pod-identity-agent";

/// Secrets by name: their entries, or why they could not be read.
pub type Secrets = BTreeMap<String, Result<BTreeMap<String, Sensitive>, Failure>>;

/// Everything observed for one custom resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// AWS resources, by key. A key that is not in here was not looked at, and counts as unknown.
    pub aws: BTreeMap<ResourceKey, Observation>,
    /// Kubernetes objects, by key. A key that is not in here does not exist, unless its kind is [`unlisted`](Self::unlisted).
    pub kubernetes: BTreeMap<ResourceKey, ObservedObject>,
    /// Kinds that the API server does not let the operator list: nobody knows what there is of them.
    pub unlisted: BTreeSet<KubernetesKind>,
    /// Secrets of others that bindings read, by name. One that is not in here does not exist.
    pub secrets: Secrets,
    /// Nodes of node groups, by the name of the group, and the pods that a drain has to move.
    pub nodes: BTreeMap<String, NodeGroupNodes>,
    /// Pods that have not ended, by their Deployment, which need not be there any more. Looked at only where something is to go.
    pub pods: BTreeMap<ResourceKey, Vec<WorkloadPod>>,
    /// Node groups of others that pods are to run on and that EKS does not have.
    pub missing_node_groups: BTreeSet<String>,
    /// What the account may have, and how much of it there is.
    pub quotas: QuotaUse,
    /// What AWS could not delete, and is not asked to delete again yet.
    pub not_yet: BTreeSet<ResourceKey>,
    /// What AWS refused to delete for a reason that a person has to mend.
    pub refused_deletions: BTreeSet<ResourceKey>,
    /// What was as desired a moment ago and AWS does not tell of just now: it counts as it was then. Nothing is written on the strength
    /// of that.
    pub lately: BTreeMap<ResourceKey, LastSeen>,
}

/// The nodes of one node group, as Kubernetes sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeGroupNodes {
    /// All nodes.
    pub nodes: Vec<ObservedNode>,
    /// Pods that run on them and do not belong to them, as those of a DaemonSet do. Looked at only where the group is to go.
    pub pods: Vec<ObservedPod>,
}

impl NodeGroupNodes {
    /// Nodes that pods can run on.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.nodes
            .iter()
            .filter(|node| node.ready && !node.unschedulable)
            .count()
    }

    /// Nodes that are cordoned, by whomever.
    #[must_use]
    pub fn cordoned(&self) -> usize {
        self.nodes.iter().filter(|node| node.unschedulable).count()
    }

    /// Nodes that carry our mark.
    pub fn cordoned_by_us(&self) -> impl Iterator<Item = &ObservedNode> {
        self.nodes.iter().filter(|node| node.cordoned_by_us)
    }
}

/// A node of a node group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedNode {
    /// Its name.
    pub name: String,
    /// Whether its kubelet says that it is ready.
    pub ready: bool,
    /// Whether it is cordoned, whoever did so: it takes no further pods.
    pub unschedulable: bool,
    /// Whether it carries the annotation with which we cordon.
    pub cordoned_by_us: bool,
    /// What was seen of it: it is cordoned and uncordoned only as long as nobody changed it since.
    pub resource_version: String,
}

/// A pod on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: another one of that name is not evicted in its stead.
    pub uid: String,
    /// Whether it was told to end, and takes its time.
    pub is_ending: bool,
}

/// A pod of a Deployment, in the namespace of the custom resource, that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadPod {
    /// Its name.
    pub name: String,
    /// The version of the pod template that it was made from (`pod-template-hash`).
    pub version: String,
    /// Its node, where it has one.
    pub node: Option<String>,
    /// The ReplicaSet that it belongs to.
    pub replica_set: Option<String>,
    /// Whether it was told to end.
    pub is_ending: bool,
    /// Whether it should long have ended, or been told to.
    pub is_overdue: bool,
}

impl Observed {
    /// Why nobody knows whether an object is there, where that is so.
    #[must_use]
    pub fn unlisted(&self, key: &ResourceKey) -> Option<Failure> {
        let ResourceKind::Kubernetes(kind) = key.kind else {
            return None;
        };
        self.unlisted.contains(&kind).then(|| {
            Failure::new(
                Class::Denied,
                format!("{key}: the operator may not list {}", kind.plural()),
            )
            .with_remedy("apply config/rbac.yaml of the operator's version")
        })
    }

    /// Notes of each Pod Identity association that the cluster has no agent for them.
    pub fn miss_pod_identity_agent(&mut self) {
        for (key, observation) in &mut self.aws {
            if key.kind == ResourceKind::Aws(AwsKind::PodIdentityAssociation)
                && let Observation::Present(present) = observation
            {
                let mut notes: Vec<Note> = present.notes().cloned().collect();
                notes.push(Note::danger(format!(
                    "pods get no credentials through it: {NO_AGENT}"
                )));
                present.note = Notes::of(notes);
            }
        }
    }

    /// Notes of each resource that its version is newer than declared: AWS installed it, or somebody did.
    pub fn note_newer_versions(&mut self, blueprint: &Blueprint) {
        for (key, node) in blueprint.iter() {
            if let (Wanted::Aws(desired), Some(Observation::Present(present))) =
                (&node.wanted, self.aws.get_mut(key))
            {
                let mut notes: Vec<Note> = present.notes().cloned().collect();
                let newer = desired.newer(&present.resource);
                notes.extend(newer.iter().map(|newer| {
                    if newer.is_major {
                        Note::danger(newer.describe())
                    } else {
                        Note::new(newer.describe())
                    }
                }));
                present.note = Notes::of(notes);
            }
        }
    }

    /// The AWS resource, where it exists.
    #[must_use]
    pub fn present(&self, key: &ResourceKey) -> Option<&Present> {
        match self.aws.get(key) {
            Some(Observation::Present(present)) => Some(present),
            _ => None,
        }
    }

    /// Why an AWS resource could not be looked at just now, where it was as desired a moment ago and asking again is all there is to
    /// do.
    #[must_use]
    pub fn unseen(&self, key: &ResourceKey) -> Option<&Failure> {
        match self.aws.get(key) {
            Some(Observation::Unknown(failure)) if self.lately.contains_key(key) => {
                failure.class.is_silence().then_some(failure)
            }
            _ => None,
        }
    }

    /// The AWS resources of which AWS did not tell anything, where asking again is all there is to do.
    pub fn silent(&self) -> impl Iterator<Item = &ResourceKey> {
        self.aws
            .iter()
            .filter(|(_, observation)| {
                matches!(observation, Observation::Unknown(failure) if failure.class.is_silence())
            })
            .map(|(key, _)| key)
    }

    /// The outputs of an AWS resource, where it exists.
    #[must_use]
    pub fn outputs(&self, key: &ResourceKey) -> Option<&Outputs> {
        self.present(key).map(|present| &present.outputs)
    }
}
