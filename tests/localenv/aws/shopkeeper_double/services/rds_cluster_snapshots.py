"""DB cluster snapshots: taken by hand and when a cluster is deleted."""

from __future__ import annotations

import copy
from typing import Any

from shopkeeper_double.lifecycle import GONE

from ._records import Record, Shape, now, page, refuse, tag_list
from .rds_resources import (
    arn,
    check_identifier,
    check_tags,
    filtered,
    find,
    find_cluster,
    key_arn,
    name_in,
    need_cluster_available,
    operation,
)

_SETTINGS = (
    "Engine",
    "EngineVersion",
    "EngineMode",
    "MasterUsername",
    "DatabaseName",
    "Port",
    "StorageEncrypted",
    "KmsKeyId",
    "StorageType",
    "BackupRetentionPeriod",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "CopyTagsToSnapshot",
    "ServerlessV2ScalingConfiguration",
    "NetworkType",
)


def settings_of_cluster(cluster: Record) -> Shape:
    return {key: copy.deepcopy(cluster[key]) for key in _SETTINGS if key in cluster}


def check_new_cluster_snapshot(backend: Any, identifier: str | None, parameter: str = "DBClusterSnapshotIdentifier") -> str:
    name = check_identifier(parameter, identifier, longest=255)
    if name in backend.cluster_snapshots:
        raise refuse(
            "DBClusterSnapshotAlreadyExistsFault",
            f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.",
        )
    return name


def find_cluster_snapshot(backend: Any, identifier: str | None) -> Record:
    return find(backend.cluster_snapshots, identifier, "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot")


def _store(backend: Any, shape: Shape, tags: list[Shape] | None, settings: Shape) -> Record:
    snapshot = Record(shape, "rds", "db-cluster-snapshot", tags=tags)
    snapshot.hidden["settings"] = settings
    backend.cluster_snapshots[shape["DBClusterSnapshotIdentifier"]] = snapshot
    snapshot.lifecycle.begin("creating", on_settled=lambda: snapshot.update(PercentProgress=100))
    return snapshot


def take_cluster_snapshot(backend: Any, cluster: Record, name: str, tags: list[Shape] | None) -> Record:
    """Start a snapshot of a cluster. Its tags are those given, or the cluster's where CopyTagsToSnapshot is set."""
    if not tags and cluster["CopyTagsToSnapshot"]:
        tags = tag_list(cluster.tags)
    shape = {
        "DBClusterSnapshotIdentifier": name,
        "SnapshotCreateTime": now(),
        "SnapshotType": "manual",
        "PercentProgress": 0,
        "DBClusterSnapshotArn": arn(backend, "cluster-snapshot", name),
        "LicenseModel": "postgresql-license" if "postgres" in cluster["Engine"] else "general-public-license",
    }
    for key in (
        "AvailabilityZones",
        "DBClusterIdentifier",
        "Engine",
        "EngineMode",
        "AllocatedStorage",
        "Port",
        "ClusterCreateTime",
        "MasterUsername",
        "EngineVersion",
        "StorageEncrypted",
        "KmsKeyId",
        "IAMDatabaseAuthenticationEnabled",
        "StorageType",
        "DbClusterResourceId",
        "BackupRetentionPeriod",
        "PreferredBackupWindow",
    ):
        if key in cluster:
            shape[key] = copy.deepcopy(cluster[key])
    return _store(backend, shape, tags, settings_of_cluster(cluster))


@operation
def create_db_cluster_snapshot(backend: Any, params: Shape) -> Shape:
    name = check_new_cluster_snapshot(backend, params.get("DBClusterSnapshotIdentifier"))
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    need_cluster_available(cluster)
    snapshot = take_cluster_snapshot(backend, cluster, name, check_tags(params.get("Tags")))
    return {"DBClusterSnapshot": snapshot.shown("creating")}


@operation
def describe_db_cluster_snapshots(backend: Any, params: Shape) -> Shape:
    identifier = params.get("DBClusterSnapshotIdentifier")
    snapshots = [find_cluster_snapshot(backend, identifier)] if identifier else list(backend.cluster_snapshots.values())
    if cluster := params.get("DBClusterIdentifier"):
        snapshots = [each for each in snapshots if each["DBClusterIdentifier"] == name_in(cluster).lower()]
    if kind := params.get("SnapshotType"):
        snapshots = [each for each in snapshots if each["SnapshotType"] == kind]
    snapshots = filtered(
        params,
        snapshots,
        {
            "db-cluster-id": "DBClusterIdentifier",
            "db-cluster-snapshot-id": "DBClusterSnapshotIdentifier",
            "snapshot-type": "SnapshotType",
            "engine": "Engine",
        },
    )
    shown, marker = page(params, snapshots, lambda snapshot: snapshot["DBClusterSnapshotIdentifier"])
    return {"DBClusterSnapshots": [snapshot.shown() for snapshot in shown], "Marker": marker}


@operation
def copy_db_cluster_snapshot(backend: Any, params: Shape) -> Shape:
    source = find_cluster_snapshot(backend, params.get("SourceDBClusterSnapshotIdentifier"))
    name = check_new_cluster_snapshot(
        backend, params.get("TargetDBClusterSnapshotIdentifier"), "TargetDBClusterSnapshotIdentifier"
    )
    if source.status != "available":
        raise refuse("InvalidDBClusterSnapshotStateFault", "The source snapshot is not in available state.")
    tags = check_tags(params.get("Tags")) or (tag_list(source.tags) if params.get("CopyTags") else None)
    shape = copy.deepcopy(dict(source)) | {
        "DBClusterSnapshotIdentifier": name,
        "DBClusterSnapshotArn": arn(backend, "cluster-snapshot", name),
        "SnapshotCreateTime": now(),
        "SourceDBClusterSnapshotArn": source["DBClusterSnapshotArn"],
        "PercentProgress": 0,
    }
    settings = copy.deepcopy(source.hidden["settings"])
    if params.get("KmsKeyId"):
        key = key_arn(backend, params["KmsKeyId"])
        shape.update(StorageEncrypted=True, KmsKeyId=key)
        settings.update(StorageEncrypted=True, KmsKeyId=key)
    return {"DBClusterSnapshot": _store(backend, shape, tags, settings).shown("copying")}


@operation
def delete_db_cluster_snapshot(backend: Any, params: Shape) -> Shape:
    snapshot = find_cluster_snapshot(backend, params.get("DBClusterSnapshotIdentifier"))
    if snapshot.status != "available":
        raise refuse("InvalidDBClusterSnapshotStateFault", "The snapshot is not in available state.")
    snapshot.lifecycle.begin("deleting", then=GONE)
    return {"DBClusterSnapshot": snapshot.shown("deleted")}


def _attributes_shape(snapshot: Record) -> Shape:
    return {
        "DBClusterSnapshotAttributesResult": {
            "DBClusterSnapshotIdentifier": snapshot["DBClusterSnapshotIdentifier"],
            "DBClusterSnapshotAttributes": [
                {"AttributeName": "restore", "AttributeValues": list(snapshot.hidden.setdefault("restore", []))}
            ],
        }
    }


@operation
def describe_db_cluster_snapshot_attributes(backend: Any, params: Shape) -> Shape:
    return _attributes_shape(find_cluster_snapshot(backend, params.get("DBClusterSnapshotIdentifier")))


@operation
def modify_db_cluster_snapshot_attribute(backend: Any, params: Shape) -> Shape:
    snapshot = find_cluster_snapshot(backend, params.get("DBClusterSnapshotIdentifier"))
    if params.get("AttributeName") != "restore":
        raise refuse("InvalidParameterValue", f"Invalid snapshot attribute {params.get('AttributeName')}")
    values = snapshot.hidden.setdefault("restore", [])
    values += [each for each in params.get("ValuesToAdd") or [] if each not in values]
    for each in params.get("ValuesToRemove") or []:
        if each in values:
            values.remove(each)
    return _attributes_shape(snapshot)
