"""Changes of replication groups: settings, replicas, shards, and the failover test."""

from __future__ import annotations

from typing import Any

from ._records import Shape, now, refuse
from .elasticache_engines import NODE_TYPES, check_node_type, engine_named, order
from .elasticache_groups import check_family, find_parameter_group
from .elasticache_replication import (
    MOST_REPLICAS,
    ReplicationGroup,
    check_auth_token,
    check_retention,
    check_user_groups,
    find_group,
    log_deliveries,
    need_available,
)
from .elasticache_resources import check_security_groups, find, operation


def _check_version(group: ReplicationGroup, params: Shape) -> tuple[str, str]:
    """Engine and version after the change: upgrades only, and from Redis to Valkey but not back."""
    current_engine, current = group["Engine"], group.hidden["engine_version"]
    engine = engine_named(params.get("Engine") or current_engine, "redis", "valkey")
    if engine.name != current_engine and engine.name != "valkey":
        raise refuse("InvalidParameterCombination", "The engine can be changed from redis to valkey, and not back.")
    if engine.name != current_engine and not params.get("EngineVersion"):
        raise refuse("InvalidParameterCombination", "A change of engine needs an engine version.")
    version = engine.resolve(params.get("EngineVersion") or current)
    if engine.name == current_engine and order(version) < order(current):
        raise refuse(
            "InvalidParameterCombination",
            f"Requested version {version} is lower than the current version {current}: an engine cannot be downgraded.",
        )
    return engine.name, version


def _check_modes(group: ReplicationGroup, params: Shape) -> None:
    failover = params.get("AutomaticFailoverEnabled", group["AutomaticFailover"] == "enabled")
    multi_az = params.get("MultiAZEnabled", group["MultiAZ"] == "enabled")
    if multi_az and not failover:
        raise refuse("InvalidParameterCombination", "Multi-AZ requires automatic failover to be enabled.")
    if failover and group.replicas < 1 and not group["ClusterEnabled"]:
        raise refuse("InvalidParameterCombination", "Automatic failover needs a replication group with at least one replica.")
    if group["ClusterEnabled"] and not failover:
        raise refuse("InvalidParameterCombination", "Automatic failover cannot be turned off with cluster mode enabled.")


def _check_auth(group: ReplicationGroup, params: Shape) -> None:
    strategy, token = params.get("AuthTokenUpdateStrategy"), params.get("AuthToken")
    if strategy and not token and strategy != "DELETE":
        raise refuse("InvalidParameterCombination", "AuthTokenUpdateStrategy needs an AuthToken.")
    if strategy == "DELETE" and not (params.get("UserGroupIdsToAdd") or group["UserGroupIds"]):
        raise refuse("InvalidParameterValue", "Auth token update strategy delete is not supported currently")
    if token:
        tls = params.get("TransitEncryptionEnabled", group["TransitEncryptionEnabled"])
        check_auth_token(token, tls)
    if (token or strategy) and not params.get("ApplyImmediately"):
        raise refuse("InvalidParameterValue", "Modifications of the AUTH token must be applied immediately.")


@operation
def modify_replication_group(backend: Any, params: Shape) -> Shape:
    group = find_group(backend, params.get("ReplicationGroupId"))
    # Checks first, in one place, so that a refused call changes nothing.
    engine, version = _check_version(group, params)
    if params.get("CacheNodeType"):
        check_node_type(params["CacheNodeType"])
    _check_modes(group, params)
    _check_auth(group, params)
    if params.get("SnapshotRetentionLimit") is not None:
        check_retention(params["SnapshotRetentionLimit"])
    security_groups = check_security_groups(backend, params.get("SecurityGroupIds"))
    new_group = None
    if params.get("CacheParameterGroupName"):
        new_group = find_parameter_group(backend, params["CacheParameterGroupName"])
        check_family(new_group, engine, version)
    tls = params.get("TransitEncryptionEnabled", group["TransitEncryptionEnabled"])
    added = check_user_groups(backend, params.get("UserGroupIdsToAdd"), tls, engine)
    removed = list(group["UserGroupIds"]) if params.get("RemoveUserGroups") else list(params.get("UserGroupIdsToRemove") or [])
    unknown = [name for name in removed if name not in group["UserGroupIds"]]
    if unknown:
        raise refuse(
            "InvalidParameterValue", f"User groups are not associated with the replication group: {', '.join(unknown)}"
        )
    primary = params.get("PrimaryClusterId")
    if primary and primary not in group["MemberClusters"]:
        raise refuse("InvalidParameterValue", f"{primary} is not a member of replication group {group.name}.")
    need_available(group)

    _apply_light(group, params)
    lasting = _apply_at_once(group, params, security_groups)
    if new_group is not None and new_group["CacheParameterGroupName"] != group.hidden["parameter_group"]:
        # The group stays available; its nodes take the new parameters over.
        group.hidden["parameter_group"] = new_group["CacheParameterGroupName"]
        group.hidden["parameter_apply"].begin("applying")
    if added or removed:
        # Shown as pending until the members have taken it over.
        group.hidden["pending"].setdefault("shown", {})["UserGroups"] = {
            "UserGroupIdsToAdd": added,
            "UserGroupIdsToRemove": removed,
        }
        lasting = True

    pending = group.hidden["pending"]
    for key, value, current in (
        ("CacheNodeType", params.get("CacheNodeType"), group["CacheNodeType"]),
        ("EngineVersion", version, group.hidden["engine_version"]),
        ("Engine", engine, group["Engine"]),
    ):
        if value is not None and value != current:
            pending[key] = value
        elif params.get(key) is not None:
            pending.pop(key, None)
    at_once = bool(params.get("ApplyImmediately"))
    if primary:
        _promote(group, primary)
        lasting = True
    if at_once and set(pending) & {"CacheNodeType", "EngineVersion", "Engine"}:
        lasting = True
    if lasting:
        group.lifecycle.begin("modifying", on_settled=lambda: _apply_pending(group, at_once))
    return {"ReplicationGroup": group.shown()}


def _apply_light(group: ReplicationGroup, params: Shape) -> None:
    """What AWS changes without the group leaving its state."""
    if params.get("ReplicationGroupDescription"):
        group["Description"] = params["ReplicationGroupDescription"]
    if params.get("AutoMinorVersionUpgrade") is not None:
        group["AutoMinorVersionUpgrade"] = params["AutoMinorVersionUpgrade"]
    if params.get("SnapshotWindow"):
        group["SnapshotWindow"] = params["SnapshotWindow"]
    if params.get("PreferredMaintenanceWindow"):
        group.hidden["maintenance_window"] = params["PreferredMaintenanceWindow"].lower()
    if params.get("NotificationTopicArn"):
        group.hidden["topic"] = params["NotificationTopicArn"]
    if params.get("NotificationTopicStatus") == "inactive":
        group.hidden["topic"] = None
    if params.get("SnapshotRetentionLimit") is not None:
        group["SnapshotRetentionLimit"] = params["SnapshotRetentionLimit"]
        group.set_snapshotting_member()


def _apply_at_once(group: ReplicationGroup, params: Shape, security_groups: list[str]) -> bool:
    """What takes effect whatever ApplyImmediately says, through state modifying; true when there is any."""
    lasting = False
    for key, field in (("AutomaticFailoverEnabled", "AutomaticFailover"), ("MultiAZEnabled", "MultiAZ")):
        if params.get(key) is not None and group[field] != ("enabled" if params[key] else "disabled"):
            group[field] = "enabled" if params[key] else "disabled"
            lasting = True
    if security_groups and security_groups != group.hidden["security_groups"]:
        group.hidden["security_groups"] = security_groups
        lasting = True
    if params.get("LogDeliveryConfigurations"):
        given = {each["LogType"] for each in params["LogDeliveryConfigurations"]}
        kept = [each for each in group["LogDeliveryConfigurations"] if each["LogType"] not in given]
        group["LogDeliveryConfigurations"] = kept + log_deliveries(params["LogDeliveryConfigurations"])
        lasting = True
    shown = group.hidden["pending"].setdefault("shown", {})
    if params.get("AuthToken"):
        shown["AuthTokenStatus"] = "SETTING" if params.get("AuthTokenUpdateStrategy") == "SET" else "ROTATING"
        group.hidden["auth_token"] = params["AuthToken"]
        lasting = True
    elif params.get("AuthTokenUpdateStrategy") == "DELETE":
        group.hidden["auth_token"] = None
        lasting = True
    for key in ("TransitEncryptionEnabled", "TransitEncryptionMode", "ClusterMode"):
        if params.get(key) is not None and params[key] != group.get(key):
            shown[key] = params[key]
            lasting = True
    return lasting


def _apply_pending(group: ReplicationGroup, at_once: bool) -> None:
    pending = group.hidden["pending"]
    shown = pending.pop("shown", {})
    if shown.pop("AuthTokenStatus", None):
        group["AuthTokenLastModifiedDate"] = now()
    group["AuthTokenEnabled"] = bool(group.hidden["auth_token"])
    if user_groups := shown.pop("UserGroups", None):
        _exchange_user_groups(group, user_groups["UserGroupIdsToAdd"], user_groups["UserGroupIdsToRemove"])
    if shown.get("TransitEncryptionEnabled") and "TransitEncryptionMode" not in shown:
        group["TransitEncryptionMode"] = "preferred"
    group.update(shown)
    if shown.get("ClusterMode") == "enabled":
        group["ClusterEnabled"] = True
        group.share_slots()
    if not at_once:
        return
    if "CacheNodeType" in pending:
        group["CacheNodeType"] = pending.pop("CacheNodeType")
    engine, version = pending.pop("Engine", group["Engine"]), pending.pop("EngineVersion", group.hidden["engine_version"])
    if (engine, version) != (group["Engine"], group.hidden["engine_version"]):
        old_default = f"default.{group.engine.family(group.hidden['engine_version'])}"
        group["Engine"], group.hidden["engine_version"] = engine, version
        if group.hidden["parameter_group"].startswith(old_default):
            suffix = group.hidden["parameter_group"].removeprefix(old_default)
            name = f"default.{group.engine.family(version)}{suffix}"
            group.hidden["parameter_group"] = find_parameter_group(group.backend, name)["CacheParameterGroupName"]


def _exchange_user_groups(group: ReplicationGroup, added: list[str], removed: list[str]) -> None:
    for name in removed:
        group["UserGroupIds"].remove(name)
        find(group.backend, "user_groups", name, "UserGroupNotFound", "UserGroup")["ReplicationGroups"].remove(group.name)
    for name in added:
        if name not in group["UserGroupIds"]:
            group["UserGroupIds"].append(name)
            find(group.backend, "user_groups", name, "UserGroupNotFound", "UserGroup")["ReplicationGroups"].append(group.name)


def _promote(group: ReplicationGroup, member_id: str) -> None:
    for shard in group.hidden["shards"]:
        if any(member["id"] == member_id for member in shard["members"]):
            shard["primary"] = member_id
    group.set_snapshotting_member()


# --- replicas --------------------------------------------------------------------------------------------------------


def _targets(group: ReplicationGroup, params: Shape) -> list[tuple[Shape, int, list[str] | None]]:
    """Shards to change, with the new number of replicas and the zones asked for."""
    if not params.get("ApplyImmediately"):
        raise refuse(
            "InvalidParameterValue", "ApplyImmediately must be true: ApplyImmediately=false is not currently supported."
        )
    configured = params.get("ReplicaConfiguration")
    if configured:
        return [
            (group.find_shard(each.get("NodeGroupId")), each["NewReplicaCount"], each.get("PreferredAvailabilityZones"))
            for each in configured
        ]
    count = params.get("NewReplicaCount")
    if count is None:
        raise refuse("InvalidParameterCombination", "Either NewReplicaCount or ReplicaConfiguration must be given.")
    return [(shard, count, None) for shard in group.hidden["shards"]]


@operation
def increase_replica_count(backend: Any, params: Shape) -> Shape:
    group = find_group(backend, params.get("ReplicationGroupId"))
    targets = _targets(group, params)
    for shard, count, _ in targets:
        if not 0 <= count <= MOST_REPLICAS:
            raise refuse(
                "InvalidParameterValue",
                f"The number of replicas per node group must be between 0 and {MOST_REPLICAS}: {count}",
            )
        if count < len(shard["members"]) - 1:
            raise refuse(
                "InvalidParameterCombination",
                f"Node group {shard['id']} has more than {count} replicas; use DecreaseReplicaCount.",
            )
    need_available(group)
    if all(count == len(shard["members"]) - 1 for shard, count, _ in targets):
        raise refuse("NoOperationFault", "The operation was not performed because no changes were required.")

    def grown() -> None:
        for shard, count, zones in targets:
            wanted = list(zones or [])
            while len(shard["members"]) - 1 < count:
                index = len(shard["members"])
                group.add_member(shard, wanted[index] if index < len(wanted) else None)
        group.set_snapshotting_member()

    group.lifecycle.begin("modifying", on_settled=grown)
    return {"ReplicationGroup": group.shown("modifying")}


@operation
def decrease_replica_count(backend: Any, params: Shape) -> Shape:
    group = find_group(backend, params.get("ReplicationGroupId"))
    doomed = params.get("ReplicasToRemove") or []
    if doomed and params.get("ApplyImmediately"):
        absent = [each for each in doomed if each not in group["MemberClusters"]]
        if absent:
            raise refuse("CacheClusterNotFound", f"CacheCluster {absent[0]} not found.")
        targets = [
            (shard, len(shard["members"]) - 1 - sum(member["id"] in doomed for member in shard["members"]), None)
            for shard in group.hidden["shards"]
        ]
        if any(shard["primary"] in doomed for shard in group.hidden["shards"]):
            raise refuse("InvalidParameterValue", "The primary of a node group cannot be removed.")
    else:
        targets = _targets(group, params)
    fewest = (
        1 if group["MultiAZ"] == "enabled" or (group["AutomaticFailover"] == "enabled" and not group["ClusterEnabled"]) else 0
    )
    for shard, count, _ in targets:
        if count < fewest:
            raise refuse(
                "InvalidParameterCombination",
                f"A replication group with Multi-AZ or automatic failover needs at least {fewest} replica in each node group.",
            )
        if count > len(shard["members"]) - 1:
            raise refuse(
                "InvalidParameterCombination",
                f"Node group {shard['id']} has fewer than {count} replicas; use IncreaseReplicaCount.",
            )
    need_available(group)
    if all(count == len(shard["members"]) - 1 for shard, count, _ in targets):
        raise refuse("NoOperationFault", "The operation was not performed because no changes were required.")

    def shrunk() -> None:
        for shard, count, _ in targets:
            replicas = [member["id"] for member in shard["members"] if member["id"] != shard["primary"]]
            leaving = [each for each in replicas if each in doomed] or replicas[::-1]
            for member_id in leaving[: len(replicas) - count]:
                group.drop_member(shard, member_id)
        group.set_snapshotting_member()

    group.lifecycle.begin("modifying", on_settled=shrunk)
    return {"ReplicationGroup": group.shown("modifying")}


# --- shards ----------------------------------------------------------------------------------------------------------


@operation
def modify_replication_group_shard_configuration(backend: Any, params: Shape) -> Shape:
    group = find_group(backend, params.get("ReplicationGroupId"))
    count = params.get("NodeGroupCount") or 0
    if not params.get("ApplyImmediately"):
        raise refuse("InvalidParameterValue", "ApplyImmediately must be true: resharding is applied immediately.")
    if not group["ClusterEnabled"]:
        raise refuse(
            "InvalidParameterValue", "The replication group has cluster mode disabled; its node group cannot be divided."
        )
    if not 1 <= count <= 500:
        raise refuse("InvalidParameterValue", f"The number of node groups must be between 1 and 500: {count}")
    shards = group.hidden["shards"]
    ids = [shard["id"] for shard in shards]
    remove, retain = params.get("NodeGroupsToRemove") or [], params.get("NodeGroupsToRetain") or []
    for each in (*remove, *retain):
        group.find_shard(each)
    if count < len(shards) and bool(remove) == bool(retain):
        raise refuse(
            "InvalidParameterCombination",
            "Either NodeGroupsToRemove or NodeGroupsToRetain must be given to reduce the number of node groups.",
        )
    leaving = set(remove) if remove else set(ids) - set(retain) if retain else set()
    if count < len(shards) and len(ids) - len(leaving) != count:
        raise refuse("InvalidParameterCombination", f"The node groups named do not leave {count} node groups.")
    need_available(group)
    if count == len(shards):
        raise refuse("NoOperationFault", "The operation was not performed because no changes were required.")
    zones = {
        each.get("NodeGroupId"): each.get("PreferredAvailabilityZones") for each in params.get("ReshardingConfiguration") or []
    }
    replicas = group.replicas
    group.hidden["pending"]["shown"] = {"Resharding": {"SlotMigration": {"ProgressPercentage": 0.0}}}

    def resharded() -> None:
        group.hidden["pending"].pop("shown", None)
        group.hidden["shards"] = [shard for shard in group.hidden["shards"] if shard["id"] not in leaving]
        while len(group.hidden["shards"]) < count:
            group.add_shard(replicas, zones.get(f"{len(group.hidden['shards']) + 1:04}"))
        group.set_members()
        group.share_slots()

    group.lifecycle.begin("modifying", on_settled=resharded)
    return {"ReplicationGroup": group.shown("modifying")}


@operation
def test_failover(backend: Any, params: Shape) -> Shape:
    group = find_group(backend, params.get("ReplicationGroupId"))
    shard = group.find_shard(params.get("NodeGroupId"))
    if group["AutomaticFailover"] != "enabled" or len(shard["members"]) < 2:
        raise refuse("InvalidReplicationGroupState", "The failover test needs automatic failover and at least one replica.")
    need_available(group)

    def failed_over() -> None:
        _promote(group, next(member["id"] for member in shard["members"] if member["id"] != shard["primary"]))

    group.lifecycle.begin("modifying", on_settled=failed_over)
    return {"ReplicationGroup": group.shown("modifying")}


@operation
def list_allowed_node_type_modifications(backend: Any, params: Shape) -> Shape:
    if params.get("ReplicationGroupId"):
        current = find_group(backend, params["ReplicationGroupId"])["CacheNodeType"]
    else:
        current = find(backend, "cache_clusters", params.get("CacheClusterId"), "CacheClusterNotFound", "CacheCluster")[
            "CacheNodeType"
        ]
    others = sorted(NODE_TYPES - {current})
    return {"ScaleUpModifications": others, "ScaleDownModifications": others}
