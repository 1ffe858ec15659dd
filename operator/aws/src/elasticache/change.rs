//! Which change of a replication group comes next.
//!
//! ElastiCache takes one change at a time; each makes the group busy for minutes. What can go in one call goes in one.

use std::cmp::Ordering;

use shopkeeper_plan::aws::{CacheReplicationGroup, TransitEncryption};

use crate::request::differs;

/// One call that changes a replication group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// ModifyReplicationGroup: all that takes hold without a restart.
    Settings,
    /// ModifyReplicationGroup: engine, version and the parameter group that fits them.
    Engine,
    /// ModifyReplicationGroup.
    ParameterGroup,
    /// ModifyReplicationGroup.
    NodeType,
    /// ModifyReplicationGroup: takeover, and in another zone.
    MultiAz,
    /// ModifyReplicationGroup: one step towards what is desired.
    TransitEncryption(TransitEncryption),
    /// ModifyReplicationGroup: whose users get in.
    UserGroup,
    /// IncreaseReplicaCount.
    MoreReplicas,
    /// DecreaseReplicaCount.
    FewerReplicas,
    /// AddTagsToResource.
    Tags,
}

/// The fields of [`Change::Settings`].
pub(super) const SETTINGS: &[&str] = &[
    "description",
    "securityGroups",
    "snapshotRetentionDays",
    "snapshotWindow",
    "maintenanceWindow",
    "autoMinorVersionUpgrade",
];

/// The change that comes next. `None` where no call brings any of the fields nearer.
pub(super) fn next(
    desired: &CacheReplicationGroup,
    observed: &CacheReplicationGroup,
    fields: &[String],
) -> Option<Change> {
    fields
        .iter()
        .find_map(|field| change_of(desired, observed, fields, field))
}

fn change_of(
    desired: &CacheReplicationGroup,
    observed: &CacheReplicationGroup,
    fields: &[String],
    field: &str,
) -> Option<Change> {
    match field {
        "tags" => Some(Change::Tags),
        // Taking all security groups away is not possible: without one of ours the VPC's default one stays.
        "securityGroups" if desired.security_groups.is_empty() => None,
        _ if SETTINGS.contains(&field) => Some(Change::Settings),
        "engine" | "engineVersion" => Some(Change::Engine),
        // A parameter group is of one engine family: it goes with the engine where that changes too.
        "parameterGroup" if differs(fields, "engine") || differs(fields, "engineVersion") => {
            Some(Change::Engine)
        }
        "parameterGroup" => Some(Change::ParameterGroup),
        "nodeType" => Some(Change::NodeType),
        // Users need TLS: it comes before them and goes after them.
        "userGroup"
            if desired.user_group.is_some()
                && observed.transit_encryption != TransitEncryption::Required
                && differs(fields, "transitEncryption") =>
        {
            change_of(desired, observed, fields, "transitEncryption")
        }
        "userGroup" => Some(Change::UserGroup),
        "transitEncryption"
            if desired.user_group.is_none()
                && observed.user_group.is_some()
                && differs(fields, "userGroup") =>
        {
            Some(Change::UserGroup)
        }
        "transitEncryption" => Some(Change::TransitEncryption(
            observed
                .transit_encryption
                .towards(desired.transit_encryption),
        )),
        "replicas" => match desired.replicas.cmp(&observed.replicas) {
            Ordering::Greater => Some(Change::MoreReplicas),
            // The last replica cannot go while it is to take over.
            Ordering::Less if desired.replicas == 0 && observed.multi_az && !desired.multi_az => {
                Some(Change::MultiAz)
            }
            Ordering::Less => Some(Change::FewerReplicas),
            Ordering::Equal => None,
        },
        // Without a replica there is nothing that could take over.
        "multiAz" if desired.multi_az && observed.replicas == 0 => {
            (desired.replicas > 0).then_some(Change::MoreReplicas)
        }
        "multiAz" => Some(Change::MultiAz),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shopkeeper_plan::aws::{CacheEngine, Tags};

    use super::*;

    fn group() -> CacheReplicationGroup {
        CacheReplicationGroup {
            id: "carts".into(),
            description: "carts".into(),
            engine: CacheEngine::Valkey,
            engine_version: Some("8.0".into()),
            node_type: "cache.t4g.small".into(),
            replicas: 1,
            multi_az: true,
            transit_encryption: TransitEncryption::Required,
            kms_key_arn: None,
            subnet_group: "carts".into(),
            parameter_group: None,
            security_groups: BTreeSet::new(),
            user_group: None,
            other_user_group: None,
            port: 6379,
            snapshot_retention_days: 1,
            snapshot_window: None,
            maintenance_window: None,
            auto_minor_version_upgrade: None,
            tags: Tags::new(),
        }
    }

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn tls_comes_and_goes_in_two_steps() {
        for (from, to, next_step) in [
            (
                TransitEncryption::Disabled,
                TransitEncryption::Required,
                TransitEncryption::Preferred,
            ),
            (
                TransitEncryption::Preferred,
                TransitEncryption::Required,
                TransitEncryption::Required,
            ),
            (
                TransitEncryption::Required,
                TransitEncryption::Disabled,
                TransitEncryption::Preferred,
            ),
            (
                TransitEncryption::Preferred,
                TransitEncryption::Disabled,
                TransitEncryption::Disabled,
            ),
        ] {
            let observed = CacheReplicationGroup {
                transit_encryption: from,
                ..group()
            };
            let desired = CacheReplicationGroup {
                transit_encryption: to,
                ..group()
            };
            assert_eq!(
                next(&desired, &observed, &fields(&["transitEncryption"])),
                Some(Change::TransitEncryption(next_step))
            );
        }
    }

    #[test]
    fn replicas_come_before_takeover_and_go_after_it() {
        let none = CacheReplicationGroup {
            replicas: 0,
            multi_az: false,
            ..group()
        };
        for order in [["replicas", "multiAz"], ["multiAz", "replicas"]] {
            assert_eq!(
                next(&group(), &none, &fields(&order)),
                Some(Change::MoreReplicas)
            );
            assert_eq!(
                next(&none, &group(), &fields(&order)),
                Some(Change::MultiAz)
            );
        }
        let off = CacheReplicationGroup {
            multi_az: false,
            ..group()
        };
        assert_eq!(
            next(&none, &off, &fields(&["replicas"])),
            Some(Change::FewerReplicas)
        );
    }

    #[test]
    fn users_come_after_tls_and_go_before_it() {
        let open = CacheReplicationGroup {
            transit_encryption: TransitEncryption::Disabled,
            ..group()
        };
        let closed = CacheReplicationGroup {
            user_group: Some("carts".into()),
            ..group()
        };
        let halfway = CacheReplicationGroup {
            transit_encryption: TransitEncryption::Preferred,
            ..group()
        };
        for order in [
            ["transitEncryption", "userGroup"],
            ["userGroup", "transitEncryption"],
        ] {
            let fields = fields(&order);
            assert_eq!(
                next(&closed, &open, &fields),
                Some(Change::TransitEncryption(TransitEncryption::Preferred))
            );
            assert_eq!(
                next(&closed, &halfway, &fields),
                Some(Change::TransitEncryption(TransitEncryption::Required))
            );
            assert_eq!(next(&open, &closed, &fields), Some(Change::UserGroup));
        }
        assert_eq!(
            next(&closed, &group(), &fields(&["userGroup"])),
            Some(Change::UserGroup)
        );
    }

    #[test]
    fn the_parameter_group_goes_with_the_engine() {
        let observed = CacheReplicationGroup {
            engine: CacheEngine::Redis,
            ..group()
        };
        let desired = CacheReplicationGroup {
            parameter_group: Some("valkey8".into()),
            ..group()
        };
        assert_eq!(
            next(&desired, &observed, &fields(&["parameterGroup", "engine"])),
            Some(Change::Engine)
        );
        assert_eq!(
            next(&desired, &group(), &fields(&["parameterGroup"])),
            Some(Change::ParameterGroup)
        );
    }
}
