//! ElastiCache replication group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::{
    plan::Effect,
    version::{Newer, is_newer, is_other_major},
};

/// The engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheEngine {
    /// `valkey`
    Valkey,
    /// `redis`
    Redis,
}

impl CacheEngine {
    /// How many numbers of a version make a major one, with parameters of its own: two of Redis before 6.
    fn major_numbers(self, version: &str) -> usize {
        let first = version.split('.').next().unwrap_or_default();
        let is_old = first.parse::<u32>().is_ok_and(|first| first < 6);
        if self == Self::Redis && is_old { 2 } else { 1 }
    }
}

/// Whether clients must use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransitEncryption {
    /// Only TLS is served.
    Required,
    /// Both are served; the way from one side to the other.
    Preferred,
    /// Only plain text is served.
    Disabled,
}

impl TransitEncryption {
    /// The next step on the way from plain text to TLS or back: between them both have to be served for a while.
    #[must_use]
    pub const fn towards(self, to: Self) -> Self {
        match (self, to) {
            (Self::Disabled, Self::Required) | (Self::Required, Self::Disabled) => Self::Preferred,
            (_, to) => to,
        }
    }
}

/// A primary with replicas, cluster mode disabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheReplicationGroup {
    /// Id, at most 40 characters, lower case.
    pub id: String,
    /// What it is for.
    pub description: String,
    /// The engine.
    pub engine: CacheEngine,
    /// Its version, such as `8.0`, or a newer one that ElastiCache has installed; `None` takes the newest at creation and does not
    /// manage it.
    pub engine_version: Option<String>,
    /// Instance type, such as `cache.r7g.large`.
    pub node_type: String,
    /// Replicas beside the primary, 0 to 5.
    pub replicas: i32,
    /// Whether a replica takes over when the primary fails, in another zone; needs a replica.
    pub multi_az: bool,
    /// TLS.
    pub transit_encryption: TransitEncryption,
    /// ARN of the key that encrypts at rest; `None` for the key that ElastiCache owns.
    pub kms_key_arn: Option<String>,
    /// Name of the subnet group.
    pub subnet_group: String,
    /// Name of the parameter group; `None` for the engine's default.
    pub parameter_group: Option<String>,
    /// Security groups; empty leaves what AWS gives, the VPC's default one, and does not manage it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub security_groups: BTreeSet<String>,
    /// The user group of the same id as this one, whose users are the only ones to get in. `None` for none: whoever reaches the
    /// cache gets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_group: Option<String>,
    /// A user group with another id, that somebody attached. It makes room for ours, and is left alone where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_user_group: Option<String>,
    /// Port.
    pub port: i32,
    /// Days a daily snapshot is kept; 0 makes none.
    pub snapshot_retention_days: i32,
    /// Daily window for snapshots in UTC, `04:00-05:00`.
    pub snapshot_window: Option<String>,
    /// Weekly window for maintenance in UTC, `sun:05:00-sun:06:00`.
    pub maintenance_window: Option<String>,
    /// Whether ElastiCache installs new minor versions by itself, in the maintenance window; `None` leaves that to ElastiCache and does
    /// not manage it. What is asked for here never waits for that window: every change is applied at once, within the approval that the
    /// policy asks for.
    pub auto_minor_version_upgrade: Option<bool>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for CacheReplicationGroup {
    const KIND: AwsKind = AwsKind::CacheReplicationGroup;
    const FIELDS: &'static [Field] = &[
        Field::harmless("description"),
        Field::in_place("engine", Effect::Failover, 20),
        Field::one_way("engineVersion", Effect::Failover, 20),
        Field::in_place("nodeType", Effect::Failover, 20),
        Field::in_place("replicas", Effect::None, 10),
        Field::in_place("multiAz", Effect::None, 2),
        Field::in_place("transitEncryption", Effect::Restart, 10),
        Field::refused(
            "kmsKeyArn",
            "restore the key; ElastiCache encrypts with the key of its creation: make another cache and switch over",
        ),
        Field::refused(
            "subnetGroup",
            "restore the subnet group, or make another cache and switch over",
        ),
        Field::in_place("parameterGroup", Effect::Restart, 5),
        Field::harmless("securityGroups"),
        // Clients that connect as they did before are refused until they have been replaced.
        Field::in_place("userGroup", Effect::Downtime, 5).clearable(),
        Field::refused(
            "port",
            "restore the port, or make another cache and switch over",
        ),
        Field::harmless("snapshotRetentionDays"),
        Field::harmless("snapshotWindow"),
        Field::harmless("maintenanceWindow"),
        Field::harmless("autoMinorVersionUpgrade"),
    ];

    fn name(&self) -> String {
        self.id.clone()
    }
    tagged!();

    /// Without a replica nothing can take over: what is a failover with one is an outage without. Snapshots that are older than the new
    /// retention are deleted, and with 0 days all of them. Connections to a replica that goes break.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        match field {
            "nodeType" | "engineVersion" | "engine"
                if observed.replicas == 0 || !observed.multi_az =>
            {
                Some(Effect::Downtime)
            }
            "snapshotRetentionDays"
                if self.snapshot_retention_days < observed.snapshot_retention_days =>
            {
                Some(Effect::DataLoss)
            }
            "replicas" if self.replicas < observed.replicas => Some(Effect::Restart),
            _ => None,
        }
    }

    fn on_the_way(&self, observed: &Self, field: &str) -> Option<serde_json::Value> {
        let next = observed.transit_encryption.towards(self.transit_encryption);
        (field == "transitEncryption" && next != self.transit_encryption)
            .then(|| serde_json::json!(next))
    }

    /// A parameter group belongs to one major version: that of the declared one would be refused.
    fn yielding_to(&self, observed: &Self) -> Self {
        let mut yielding = self.clone();
        for newer in self.newer(observed) {
            yielding.engine_version = Some(newer.observed);
            if newer.is_major {
                yielding
                    .parameter_group
                    .clone_from(&observed.parameter_group);
            }
        }
        yielding
    }

    /// Between two engines versions do not compare: Valkey 7.2 comes after Redis 7.1.
    fn newer(&self, observed: &Self) -> Vec<Newer> {
        let (Some(declared), Some(found)) = (&self.engine_version, &observed.engine_version) else {
            return Vec::new();
        };
        if self.engine != observed.engine || !is_newer(found, declared) {
            return Vec::new();
        }
        vec![Newer {
            field: "cache.version",
            observed: found.clone(),
            declared: declared.clone(),
            is_major: is_other_major(declared, found, self.engine.major_numbers(declared)),
        }]
    }
}
