"""Snapshots of replication groups and of single nodes, by hand and when they are deleted."""

from __future__ import annotations

import copy
from typing import Any

from shopkeeper_double.lifecycle import GONE

from ._records import Record, Shape, now, page, refuse
from .elasticache_resources import arn, check_identifier, check_tags, find, key_arn, operation, store


def check_new_snapshot(backend: Any, name: str | None, parameter: str = "SnapshotName") -> str:
    wanted = check_identifier(parameter, name, 255)
    if wanted in store(backend, "snapshots"):
        raise refuse("SnapshotAlreadyExistsFault", f"Snapshot with specified name {wanted} already exists.")
    return wanted


def find_snapshot(backend: Any, name: str | None) -> Record:
    return find(backend, "snapshots", name, "SnapshotNotFoundFault", "Snapshot")


def find_available_snapshot(backend: Any, name: str | None) -> Record:
    snapshot = find_snapshot(backend, name)
    if snapshot.status != "available":
        raise refuse("InvalidSnapshotState", f"Snapshot {name} is not in available state.")
    return snapshot


def _store(backend: Any, shape: Shape, tags: list[Shape] | None, state: str) -> Record:
    snapshot = Record(shape, "elasticache", "snapshot", status_key="SnapshotStatus", tags=tags)
    store(backend, "snapshots")[shape["SnapshotName"]] = snapshot
    snapshot.lifecycle.begin(state)
    return snapshot


def take_snapshot(backend: Any, name: str, source: Any, tags: list[Shape] | None, kms_key_id: str | None = None) -> Record:
    """Start a snapshot of a replication group or of a cache cluster."""
    group = "ReplicationGroupId" in source
    hidden = source.hidden
    shape: Shape = {
        "SnapshotName": name,
        "SnapshotSource": "manual",
        "CacheNodeType": source["CacheNodeType"],
        "Engine": source["Engine"],
        "EngineVersion": hidden["engine_version"],
        "NumCacheNodes": 1,
        "PreferredMaintenanceWindow": hidden["maintenance_window"],
        "Port": hidden["port"],
        "CacheParameterGroupName": hidden["parameter_group"],
        "CacheSubnetGroupName": hidden["subnet_group"],
        "VpcId": hidden["vpc_id"],
        "AutoMinorVersionUpgrade": source["AutoMinorVersionUpgrade"],
        "SnapshotRetentionLimit": source["SnapshotRetentionLimit"],
        "SnapshotWindow": source["SnapshotWindow"],
        "ARN": arn(backend, "snapshot", name),
        "DataTiering": source.get("DataTiering", "disabled"),
    }
    if kms_key_id or source.get("KmsKeyId"):
        shape["KmsKeyId"] = key_arn(backend, kms_key_id or source["KmsKeyId"])
    if group:
        shards = hidden["shards"]
        shape.update(
            ReplicationGroupId=source["ReplicationGroupId"],
            ReplicationGroupDescription=source["Description"],
            AutomaticFailover=source["AutomaticFailover"],
            NumNodeGroups=len(shards),
            NodeSnapshots=[
                {
                    "CacheClusterId": shard["members"][-1]["id"],
                    "NodeGroupId": shard["id"],
                    "CacheNodeId": "0001",
                    "CacheSize": "4 MB",
                    "CacheNodeCreateTime": shard["members"][-1]["created"],
                    "SnapshotCreateTime": now(),
                }
                for shard in shards
            ],
        )
    else:
        shape.update(
            CacheClusterId=source["CacheClusterId"],
            CacheClusterCreateTime=source["CacheClusterCreateTime"],
            PreferredAvailabilityZone=source["PreferredAvailabilityZone"],
            NodeSnapshots=[
                {
                    "CacheNodeId": "0001",
                    "CacheSize": "4 MB",
                    "CacheNodeCreateTime": source["CacheClusterCreateTime"],
                    "SnapshotCreateTime": now(),
                }
            ],
        )
    return _store(backend, shape, tags, "creating")


@operation
def create_snapshot(backend: Any, params: Shape) -> Shape:
    name = check_new_snapshot(backend, params.get("SnapshotName"))
    group_name, cluster_name = params.get("ReplicationGroupId"), params.get("CacheClusterId")
    if bool(group_name) == bool(cluster_name):
        raise refuse("InvalidParameterCombination", "Exactly one of ReplicationGroupId and CacheClusterId must be given.")
    source: Any
    if group_name:
        source = find(backend, "replication_groups", group_name, "ReplicationGroupNotFoundFault", "ReplicationGroup")
        wrong_state = "InvalidReplicationGroupState"
    else:
        # A member of a group stands for its group, whose data is one with cluster mode disabled.
        owner = next(
            (each for each in store(backend, "replication_groups").values() if cluster_name in each["MemberClusters"]), None
        )
        source = owner or find(backend, "cache_clusters", cluster_name, "CacheClusterNotFound", "CacheCluster")
        wrong_state = "InvalidCacheClusterState"
    if source["Engine"] == "memcached":
        raise refuse("SnapshotFeatureNotSupportedFault", "Snapshots are not supported for memcached.")
    if source.status != "available":
        raise refuse(wrong_state, "Snapshots can only be taken of a cache in available state.")
    snapshot = take_snapshot(backend, name, source, check_tags(params.get("Tags")), params.get("KmsKeyId"))
    source.lifecycle.begin("snapshotting")
    return {"Snapshot": snapshot.shown("creating")}


@operation
def describe_snapshots(backend: Any, params: Shape) -> Shape:
    name = params.get("SnapshotName")
    snapshots = [find_snapshot(backend, name)] if name else list(store(backend, "snapshots").values())
    for key in ("ReplicationGroupId", "CacheClusterId"):
        if params.get(key):
            snapshots = [each for each in snapshots if each.get(key) == params[key].lower()]
    source = {"user": "manual", "system": "automated"}.get(params.get("SnapshotSource") or "", params.get("SnapshotSource"))
    if source:
        snapshots = [each for each in snapshots if each["SnapshotSource"] == source]
    shown, marker = page(params, snapshots, lambda snapshot: snapshot["SnapshotName"])
    shapes = [snapshot.shown() for snapshot in shown]
    return {"Snapshots": shapes, "Marker": marker}


@operation
def copy_snapshot(backend: Any, params: Shape) -> Shape:
    source = find_available_snapshot(backend, params.get("SourceSnapshotName"))
    name = check_new_snapshot(backend, params.get("TargetSnapshotName"), "TargetSnapshotName")
    shape = copy.deepcopy(dict(source)) | {
        "SnapshotName": name,
        "ARN": arn(backend, "snapshot", name),
        "SnapshotSource": "manual",
    }
    if params.get("KmsKeyId"):
        shape["KmsKeyId"] = key_arn(backend, params["KmsKeyId"])
    return {"Snapshot": _store(backend, shape, check_tags(params.get("Tags")), "copying").shown("copying")}


@operation
def delete_snapshot(backend: Any, params: Shape) -> Shape:
    snapshot = find_available_snapshot(backend, params.get("SnapshotName"))
    snapshot.lifecycle.begin("deleting", then=GONE)
    return {"Snapshot": snapshot.shown("deleting")}
