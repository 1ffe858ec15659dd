//! RDS instance.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::{
    plan::Effect,
    version::{Newer, is_newer, is_other_major},
};

/// A database instance whose master password RDS keeps in Secrets Manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RdsInstance {
    /// Identifier, at most 63 characters, lower case.
    pub identifier: String,
    /// Engine in RDS's spelling: `postgres`, `mysql`, `mariadb`.
    pub engine: String,
    /// Version: `17` follows RDS's minor versions, `17.4` is that one or a newer one that RDS has installed. Observed in full.
    pub engine_version: String,
    /// Instance class, such as `db.r7g.large`.
    pub instance_class: String,
    /// Storage in GiB. RDS cannot shrink it and may grow it by itself.
    pub allocated_storage: i32,
    /// Up to how many GiB RDS may grow it; `None` switches that off.
    pub max_allocated_storage: Option<i32>,
    /// Storage type: `gp3`, `io2`.
    pub storage_type: String,
    /// Provisioned operations a second.
    pub iops: Option<i32>,
    /// Whether a standby in another zone takes over.
    pub multi_az: bool,
    /// Name of the database made at creation.
    pub database_name: Option<String>,
    /// Master user.
    pub username: String,
    /// Port.
    pub port: i32,
    /// Name of the subnet group.
    pub subnet_group: String,
    /// Name of the parameter group.
    pub parameter_group: String,
    /// Security groups; empty leaves what AWS gives, the VPC's default one, and does not manage it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub security_groups: BTreeSet<String>,
    /// ARN of the key that encrypts storage, snapshots and the master password.
    pub kms_key_arn: Option<String>,
    /// Days automatic backups are kept, 1 to 35.
    pub backup_retention_days: i32,
    /// Daily window for backups in UTC, `02:00-03:00`.
    pub backup_window: Option<String>,
    /// Weekly window for maintenance in UTC, `sun:04:00-sun:05:00`.
    pub maintenance_window: Option<String>,
    /// Whether deleting is refused.
    pub deletion_protection: bool,
    /// Whether Performance Insights is on.
    pub performance_insights: bool,
    /// Logs sent to CloudWatch Logs.
    pub log_exports: BTreeSet<String>,
    /// Whether RDS installs minor versions in the maintenance window.
    pub auto_minor_version_upgrade: bool,
    /// Certificate authority of the server certificate.
    pub ca_certificate: Option<String>,
    /// Always false: databases stay in private subnets.
    pub publicly_accessible: bool,
    /// Always true: RDS makes, keeps and rotates the master password.
    pub managed_password: bool,
    /// Whether snapshots carry the tags.
    pub copy_tags_to_snapshot: bool,
    /// Tags.
    pub tags: Tags,
}

impl RdsInstance {
    /// Whether another version is of another major one: by the first number for PostgreSQL, by the first two for MySQL and MariaDB.
    #[must_use]
    pub fn is_other_major(&self, version: &str) -> bool {
        let numbers = if self.engine.contains("postgres") {
            1
        } else {
            2
        };
        is_other_major(&self.engine_version, version, numbers)
    }
}

/// How long a class change or a conversion takes in practice, in minutes.
const CLASS_MINUTES: u16 = 10;

impl AwsSpecification for RdsInstance {
    const KIND: AwsKind = AwsKind::RdsInstance;
    const FIELDS: &'static [Field] = &[
        Field::refused(
            "engine",
            "restore the engine; moving to another engine is a migration",
        ),
        Field::one_way("engineVersion", Effect::Downtime, 30),
        Field::in_place("instanceClass", Effect::Downtime, CLASS_MINUTES),
        Field::grow_only("allocatedStorage", Effect::None, CLASS_MINUTES),
        Field::harmless("maxAllocatedStorage").clearable(),
        Field::in_place("storageType", Effect::None, CLASS_MINUTES),
        Field::in_place("iops", Effect::None, CLASS_MINUTES),
        Field::in_place("multiAz", Effect::None, CLASS_MINUTES),
        Field::refused(
            "databaseName",
            "restore the name; create further databases with SQL",
        ),
        Field::refused(
            "username",
            "restore the name; create further users with SQL",
        ),
        Field::in_place("port", Effect::Restart, 5),
        Field::refused(
            "subnetGroup",
            "restore the subnet group; moving a database to another network is a migration",
        ),
        // Attaching a group needs a reboot to take hold in full, which is never ours to start.
        Field::harmless("parameterGroup"),
        Field::harmless("securityGroups"),
        Field::refused(
            "kmsKeyArn",
            "restore the key; RDS encrypts with the key of its creation: copy a snapshot to the new key and restore it",
        ),
        Field::harmless("backupRetentionDays"),
        Field::harmless("backupWindow"),
        Field::harmless("maintenanceWindow"),
        Field::harmless("deletionProtection"),
        Field::harmless("performanceInsights"),
        Field::harmless("logExports"),
        Field::harmless("autoMinorVersionUpgrade"),
        Field::in_place("caCertificate", Effect::Restart, 5),
        Field::harmless("publiclyAccessible"),
        Field::harmless("managedPassword"),
        Field::harmless("copyTagsToSnapshot"),
    ];

    fn name(&self) -> String {
        self.identifier.clone()
    }
    tagged!();

    /// A parameter group belongs to one major version and changes with it, in the same call: what asks for the one asks for the other.
    /// With a standby RDS changes the standby first and fails over, about a minute of refused connections. Automated backups that are
    /// older than the new retention are deleted, and with 0 days all of them. Giving the standby up interrupts nothing and loses nothing.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        match field {
            "parameterGroup" if self.is_other_major(&observed.engine_version) => {
                Some(Effect::Downtime)
            }
            "instanceClass" if observed.multi_az => Some(Effect::Failover),
            "backupRetentionDays"
                if self.backup_retention_days < observed.backup_retention_days =>
            {
                Some(Effect::DataLoss)
            }
            _ => None,
        }
    }

    /// A parameter group belongs to one major version: that of the declared one would be refused.
    fn yielding_to(&self, observed: &Self) -> Self {
        let mut yielding = self.clone();
        for newer in self.newer(observed) {
            yielding.engine_version = newer.observed;
            if newer.is_major {
                yielding
                    .parameter_group
                    .clone_from(&observed.parameter_group);
            }
        }
        yielding
    }

    fn newer(&self, observed: &Self) -> Vec<Newer> {
        let is_newer = self.engine == observed.engine
            && is_newer(&observed.engine_version, &self.engine_version);
        let newer = is_newer.then(|| Newer {
            field: "database.rds.version",
            observed: observed.engine_version.clone(),
            declared: self.engine_version.clone(),
            is_major: self.is_other_major(&observed.engine_version),
        });
        newer.into_iter().collect()
    }
}
