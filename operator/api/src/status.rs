//! What Shopkeeper says about a custom resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types of conditions. Ready, Reconciling and Stalled follow kstatus; the others are one for each phase.
pub mod condition {
    /// Everything declared exists, and works as far as can be seen. Always present.
    pub const READY: &str = "Ready";
    /// Work is going on. Present only while true.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing will happen until someone changes something. Present only while true.
    pub const STALLED: &str = "Stalled";
    /// The network of a Platform was found, and there is something to tell of it. Absent where there is not.
    pub const NETWORK_READY: &str = "NetworkReady";
    /// Nodes for the pods are in place.
    pub const NODES_READY: &str = "NodesReady";
    /// The data tier is in place.
    pub const DATA_READY: &str = "DataReady";
    /// The pods run.
    pub const WORKLOAD_READY: &str = "WorkloadReady";
    /// Load balancers and routes are in place.
    pub const EDGE_READY: &str = "EdgeReady";
    /// The cluster of a Platform has the Pod Identity agent.
    pub const POD_IDENTITY_READY: &str = "PodIdentityReady";

    /// All of them.
    pub const ALL: [&str; 9] = [
        READY,
        RECONCILING,
        STALLED,
        NETWORK_READY,
        NODES_READY,
        DATA_READY,
        WORKLOAD_READY,
        EDGE_READY,
        POD_IDENTITY_READY,
    ];
}

/// Reasons of conditions.
pub mod reason {
    /// All is as declared.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Work is going on.
    pub const PROGRESSING: &str = "Progressing";
    /// Work is going on after an error that goes away by itself.
    pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";
    /// `policy.suspend` is set.
    pub const SUSPENDED: &str = "Suspended";
    /// Something that this refers to is missing or not ready.
    pub const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";
    /// The spec cannot be carried out as it is.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// A plan waits for approval.
    pub const APPROVAL_REQUIRED: &str = "ApprovalRequired";
    /// The custom resource is being deleted.
    pub const DELETING: &str = "Deleting";
    /// Deletion waits for something that is named in the message.
    pub const DELETION_BLOCKED: &str = "DeletionBlocked";
    /// Something is not as declared, and `policy.drift` is Report.
    pub const DRIFTED: &str = "Drifted";
    /// All was as declared a moment ago, and AWS does not answer just now. Ready stays true for some minutes.
    pub const NOT_OBSERVED: &str = "NotObserved";
    /// A resource of that name exists and is not ours.
    pub const ADOPTION_REQUIRED: &str = "AdoptionRequired";
    /// A name that this asks for belongs to another custom resource of the namespace.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// The operator's AWS credentials belong to another account than the Platform: nothing is looked at or changed.
    pub const WRONG_ACCOUNT: &str = "WrongAccount";
    /// AWS or Kubernetes refused by permission.
    pub const ACCESS_DENIED: &str = "AccessDenied";
    /// The cluster has no Pod Identity agent.
    pub const AGENT_MISSING: &str = "AgentMissing";
    /// A quota leaves no room.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// An AWS resource failed in a way that no retry cures.
    pub const FAILED: &str = "Failed";
    /// Nodes are being made.
    pub const NODES_CREATING: &str = "NodesCreating";
    /// The data tier is being made.
    pub const DATA_CREATING: &str = "DataCreating";
    /// A new version is being rolled out.
    pub const ROLLING_OUT: &str = "RollingOut";
}

/// What Shopkeeper says about a custom resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Generation of the spec that this status is about; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions: Ready, Reconciling, Stalled, and one for each phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Where it is reached: a URL, or `<service>.<namespace>.svc:<port>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub endpoint: Option<String>,
    /// Replicas of its workloads, added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// Everything it owns, in Kubernetes and in AWS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub inventory: Vec<InventoryItem>,
    /// The Platform it was first made on. It stays there: another one means another account, region, cluster or other names,
    /// and data does not move by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformInUse>,
    /// Value of the annotation `shopkeeper.dev/reconcile-requested-at` that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_reconcile_at: Option<String>,
    /// Hash of the plan that was approved last. An approval is used once: what comes up again has another hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_handled_approval: Option<String>,
    /// What is about to change. Absent when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
}

/// Replicas of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Ready and wanted, such as `3/3`.
    #[schemars(length(max = 16))]
    pub summary: String,
    /// Wanted.
    pub desired: i32,
    /// Ready.
    pub ready: i32,
}

impl Replicas {
    /// Counts with the summary that goes with them.
    pub fn new(desired: i32, ready: i32) -> Self {
        Replicas {
            summary: format!("{ready}/{desired}"),
            desired,
            ready,
        }
    }
}

/// The Platform that a custom resource was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformInUse {
    /// Name of the Platform.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Account, 12 digits.
    #[schemars(length(max = 12))]
    pub account_id: String,
    /// Region.
    #[schemars(length(max = 32))]
    pub region: String,
    /// EKS cluster.
    #[schemars(length(max = 100))]
    pub cluster: String,
}

/// Something that a custom resource owns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    /// Kind: that of Kubernetes, or service and type in AWS, such as `RdsInstance`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name in Kubernetes or AWS.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,
    /// Part it plays, such as `database` or `frontends.web`.
    #[schemars(length(max = 512))]
    pub role: String,
    /// ARN in AWS, uid in Kubernetes; empty until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub id: Option<String>,
    /// State in the words of its API, such as `available` or `creating`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub state: Option<String>,
    /// What AWS notes of it, such as a reboot that is pending; absent where there is nothing to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub note: Option<String>,
    /// True where it is not as declared, since somebody changed it, and `policy.drift` is Report. Absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<bool>,
    /// Hash of what was wanted when it was last seen to be so: a difference from the same wish is drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub applied: Option<String>,
    /// True where it was there before this inventory: taken over, or found by its tags. Absent where it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
    /// Hash of what was wanted when AWS gave up on it and it was deleted to be made again, and AWS's id of the one that was deleted. If
    /// the next one fails as well a person has to act, and there is no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub remade_for: Option<String>,
}

/// What is about to change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSummary {
    /// Hash of the steps that wait for approval; the annotation `shopkeeper.dev/approve` takes it. Absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hash: Option<String>,
    /// The plan in one line, such as `2 changes: 1 failover, 1 restart`.
    #[schemars(length(max = 1024))]
    pub summary: String,
    /// Whether it waits for approval.
    pub waiting_for_approval: bool,
    /// Generation of the spec that it is for: an approval is good for that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// What became of what was approved, where the plan changed before it was done. Absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub changed: Option<String>,
    /// The steps that wait for approval, and those that were approved and are not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub steps: Vec<PlannedStep>,
}

/// A step that a person has to approve, or has approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// Kind of the resource, as in the inventory.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name of the resource, as in the inventory.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,
    /// What is done, such as `instanceClass db.r7g.large -> db.r7g.xlarge`.
    #[schemars(length(max = 256))]
    pub change: String,
    /// What that does: None, Rolling, Restart, Failover, Downtime or DataLoss.
    #[schemars(length(max = 16))]
    pub effect: String,
    /// Whether it was approved and is not done yet. Otherwise it waits for approval.
    pub approved: bool,
    /// Fingerprints of the values that wait or were approved: while they are the same the approval is good for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 16)))]
    pub values: Vec<String>,
}
