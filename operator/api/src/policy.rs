//! What Shopkeeper may do by itself.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern;

/// What Shopkeeper may do by itself. What is left out comes from the Platform's `defaults.policy`, and then from the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.driftInterval) || !self.driftInterval.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self.driftInterval) >= duration('1m')")
    .message("driftInterval must be 1m or more: AWS limits calls for the whole account"))]
pub struct Policy {
    /// What happens to AWS resources when they are not declared any more: `Retain` keeps those that hold data, with what they need,
    /// topics and subscriptions, `Snapshot` deletes them after a last backup and keeps those that AWS has no backup of (buckets and
    /// queues that are not empty, the key), `Delete` deletes them with their data. Node groups and roles are always deleted.
    /// Default: Snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionPolicy>,
    /// What to do about an AWS resource that has the name but was not made for this custom resource: `Never` stops and says so,
    /// `IfTagged` takes it over when its tags `shopkeeper.dev/owner` (`<kind>/<namespace>/<name>`) and `shopkeeper.dev/cluster` (the
    /// ARN of the EKS cluster) name this custom resource, as those of an earlier one do, `Adopt` also when it has no owner tag. What belongs to another custom
    /// resource is never taken over. Default: IfTagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<AdoptionPolicy>,
    /// What to do about a change made behind our back: `Repair` undoes it, `Report` only says so. Default: Repair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftPolicy>,
    /// How long a change made behind our back may go unseen in AWS, as a duration. What also changes by itself, as databases, caches
    /// and node groups do, is looked at six times as often, but not more than once a minute. At least 1m. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 24), regex(pattern = pattern::DURATION))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')")
        .message("driftInterval must be a duration of hours, minutes or seconds, such as 10m or 1h30m"))]
    pub drift_interval: Option<String>,
    /// Which changes wait for approval: with `Automatic` none, with `ApproveDisruptive` those that interrupt traffic or lose
    /// data, with `ApproveAll` every one but those that only bring a password that was rotated at its source to the pods (the Secret of
    /// a binding and the rolling restart for it): until then they could not log in. A plan is approved by the annotation `shopkeeper.dev/approve: <plan hash>`.
    /// Default: ApproveDisruptive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangePolicy>,
    /// Stops every change while true, also deletion. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

impl Policy {
    /// These settings, with what is left out taken from `fallback`.
    pub fn or(&self, fallback: &Policy) -> Policy {
        Policy {
            deletion: self.deletion.or(fallback.deletion),
            adoption: self.adoption.or(fallback.adoption),
            drift: self.drift.or(fallback.drift),
            drift_interval: self
                .drift_interval
                .clone()
                .or_else(|| fallback.drift_interval.clone()),
            changes: self.changes.or(fallback.changes),
            suspend: self.suspend.or(fallback.suspend),
        }
    }
}

/// What happens to AWS resources when their custom resource is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum DeletionPolicy {
    /// Keep what holds data.
    Retain,
    /// Delete them after a last backup; retain what cannot be backed up.
    Snapshot,
    /// Delete them with their data.
    Delete,
}

/// What to do about an AWS resource that exists without our owner tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum AdoptionPolicy {
    /// Stop and say so.
    Never,
    /// Take it over when its tags name this custom resource.
    IfTagged,
    /// Take it over when its tags name this custom resource, or no owner.
    Adopt,
}

/// What to do about a change that was not made through the custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum DriftPolicy {
    /// Undo it.
    Repair,
    /// Say so in conditions, events and metrics.
    Report,
}

/// Which changes wait for approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ChangePolicy {
    /// None.
    Automatic,
    /// Those that interrupt traffic or lose data.
    ApproveDisruptive,
    /// Every one.
    ApproveAll,
}
