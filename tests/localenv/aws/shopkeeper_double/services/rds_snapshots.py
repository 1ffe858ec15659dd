"""DB snapshots: taken by hand, by the backup window, and when an instance is deleted."""

from __future__ import annotations

import copy
from typing import Any

from shopkeeper_double.lifecycle import GONE

from ._records import Record, Shape, now, page, refuse, tag_list
from .rds_instance_checks import GP3_STRIPED_GIB
from .rds_resources import (
    add_event,
    arn,
    check_identifier,
    check_tags,
    filtered,
    find,
    find_instance,
    key_arn,
    name_in,
    need_instance_state,
    operation,
)

#: What of an instance a snapshot keeps beyond what it shows, for restores.
_SETTINGS = (
    "DBInstanceClass",
    "DBName",
    "MasterUsername",
    "Engine",
    "EngineVersion",
    "LicenseModel",
    "AllocatedStorage",
    "StorageType",
    "Iops",
    "StorageThroughput",
    "StorageEncrypted",
    "KmsKeyId",
    "AutoMinorVersionUpgrade",
    "CopyTagsToSnapshot",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "BackupRetentionPeriod",
    "IAMDatabaseAuthenticationEnabled",
    "NetworkType",
)


def settings_of(instance: Record) -> Shape:
    """What a restore, a replica or a green instance takes from this one, in the names that requests have."""
    settings = {key: copy.deepcopy(instance[key]) for key in _SETTINGS if key in instance} | {"Port": instance.hidden["port"]}
    if instance["StorageType"] == "gp3" and instance["AllocatedStorage"] < GP3_STRIPED_GIB:
        # What every small gp3 volume has is not a setting: asking for it would be refused.
        settings.pop("Iops", None)
        settings.pop("StorageThroughput", None)
    return settings


def check_new_snapshot(backend: Any, identifier: str | None, parameter: str = "DBSnapshotIdentifier") -> str:
    name = check_identifier(parameter, identifier, longest=255)
    if name in backend.database_snapshots:
        raise refuse(
            "DBSnapshotAlreadyExists",
            f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.",
        )
    return name


def find_snapshot(backend: Any, identifier: str | None) -> Record:
    return find(backend.database_snapshots, identifier, "DBSnapshotNotFound", "DBSnapshot")


def _store(backend: Any, shape: Shape, tags: list[Shape] | None, settings: Shape) -> Record:
    snapshot = Record(shape, "rds", "db-snapshot", tags=tags)
    snapshot.hidden["settings"] = settings
    name = shape["DBSnapshotIdentifier"]
    backend.database_snapshots[name] = snapshot

    def complete() -> None:
        snapshot["PercentProgress"] = 100
        add_event(
            backend, "db-snapshot", snapshot, name, "creation", f"{snapshot['SnapshotType'].capitalize()} snapshot created"
        )

    snapshot.lifecycle.begin("creating", on_settled=complete)
    return snapshot


def take_snapshot(backend: Any, instance: Record, name: str, tags: list[Shape] | None, kind: str = "manual") -> Record:
    """Start a snapshot of an instance. Its tags are those given, or the instance's where CopyTagsToSnapshot is set."""
    if not tags and instance["CopyTagsToSnapshot"]:
        tags = tag_list(instance.tags)
    shape = {
        "DBSnapshotIdentifier": name,
        "DBInstanceIdentifier": instance["DBInstanceIdentifier"],
        "SnapshotCreateTime": now(),
        "OriginalSnapshotCreateTime": now(),
        "SnapshotDatabaseTime": now(),
        "Port": instance.hidden["port"],
        "VpcId": instance["DBSubnetGroup"]["VpcId"],
        "SnapshotType": kind,
        "OptionGroupName": instance["OptionGroupMemberships"][0]["OptionGroupName"],
        "PercentProgress": 0,
        "Encrypted": instance["StorageEncrypted"],
        "DBSnapshotArn": arn(backend, "snapshot", name),
        "SnapshotTarget": "region",
    }
    for key in (
        "Engine",
        "EngineVersion",
        "AllocatedStorage",
        "AvailabilityZone",
        "InstanceCreateTime",
        "MasterUsername",
        "LicenseModel",
        "Iops",
        "StorageThroughput",
        "StorageType",
        "KmsKeyId",
        "IAMDatabaseAuthenticationEnabled",
        "DbiResourceId",
        "DedicatedLogVolume",
        "BackupRetentionPeriod",
        "PreferredBackupWindow",
    ):
        if key in instance:
            shape[key] = copy.deepcopy(instance[key])
    return _store(backend, shape, tags, settings_of(instance))


def take_automated_snapshot(backend: Any, instance: Record) -> None:
    name = f"rds:{instance['DBInstanceIdentifier']}-{now():%Y-%m-%d-%H-%M}"
    if name not in backend.database_snapshots:
        take_snapshot(backend, instance, name, None, "automated").status  # noqa: B018
    add_event(backend, "db-instance", instance, instance["DBInstanceIdentifier"], "backup", "Finished DB Instance backup")


def delete_automated_snapshots(backend: Any, instance: Record) -> None:
    for name, snapshot in list(backend.database_snapshots.items()):
        if snapshot["SnapshotType"] == "automated" and snapshot["DbiResourceId"] == instance["DbiResourceId"]:
            del backend.database_snapshots[name]


@operation
def create_db_snapshot(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    name = check_new_snapshot(backend, params.get("DBSnapshotIdentifier"))
    if instance.get("DBClusterIdentifier"):
        raise refuse(
            "InvalidParameterValue",
            "The specified instance is a member of a cluster and a snapshot cannot be created directly. "
            "Please use the CreateDBClusterSnapshot API instead.",
        )
    need_instance_state(
        instance,
        f"Cannot create a snapshot because the database instance {instance['DBInstanceIdentifier']} is not currently in the "
        "available state.",
    )
    snapshot = take_snapshot(backend, instance, name, check_tags(params.get("Tags")))
    instance.lifecycle.begin("backing-up")
    return {"DBSnapshot": snapshot.shown("creating")}


@operation
def describe_db_snapshots(backend: Any, params: Shape) -> Shape:
    identifier = params.get("DBSnapshotIdentifier")
    snapshots = [find_snapshot(backend, identifier)] if identifier else list(backend.database_snapshots.values())
    if instance := params.get("DBInstanceIdentifier"):
        snapshots = [each for each in snapshots if each["DBInstanceIdentifier"] == name_in(instance).lower()]
    if resource := params.get("DbiResourceId"):
        snapshots = [each for each in snapshots if each["DbiResourceId"] == resource]
    if kind := params.get("SnapshotType"):
        snapshots = [each for each in snapshots if each["SnapshotType"] == kind]
    snapshots = filtered(
        params,
        snapshots,
        {
            "db-instance-id": "DBInstanceIdentifier",
            "db-snapshot-id": "DBSnapshotIdentifier",
            "dbi-resource-id": "DbiResourceId",
            "snapshot-type": "SnapshotType",
            "engine": "Engine",
        },
    )
    shown, marker = page(params, snapshots, lambda snapshot: snapshot["DBSnapshotIdentifier"])
    return {"DBSnapshots": [snapshot.shown() for snapshot in shown], "Marker": marker}


@operation
def copy_db_snapshot(backend: Any, params: Shape) -> Shape:
    source = find_snapshot(backend, params.get("SourceDBSnapshotIdentifier"))
    name = check_new_snapshot(backend, params.get("TargetDBSnapshotIdentifier"), "TargetDBSnapshotIdentifier")
    if source.status != "available":
        raise refuse("InvalidDBSnapshotState", f"The snapshot {source['DBSnapshotIdentifier']} is not available.")
    tags = check_tags(params.get("Tags")) or (tag_list(source.tags) if params.get("CopyTags") else None)
    shape = copy.deepcopy(dict(source)) | {
        "DBSnapshotIdentifier": name,
        "DBSnapshotArn": arn(backend, "snapshot", name),
        "SnapshotType": "manual",
        "SnapshotCreateTime": now(),
        "SourceDBSnapshotIdentifier": source["DBSnapshotArn"],
        "PercentProgress": 0,
    }
    settings = copy.deepcopy(source.hidden["settings"])
    if params.get("KmsKeyId"):
        key = key_arn(backend, params["KmsKeyId"])
        shape.update(Encrypted=True, KmsKeyId=key)
        settings.update(StorageEncrypted=True, KmsKeyId=key)
    return {"DBSnapshot": _store(backend, shape, tags, settings).shown("creating")}


@operation
def delete_db_snapshot(backend: Any, params: Shape) -> Shape:
    snapshot = find_snapshot(backend, params.get("DBSnapshotIdentifier"))
    if snapshot["SnapshotType"] == "automated":
        raise refuse("InvalidDBSnapshotState", "Only manual snapshots may be deleted.")
    if snapshot.status != "available":
        raise refuse(
            "InvalidDBSnapshotState",
            f"Cannot delete the snapshot because it is not currently in the available state: {snapshot['DBSnapshotIdentifier']}",
        )
    snapshot.lifecycle.begin("deleting", then=GONE)
    return {"DBSnapshot": snapshot.shown("deleted")}


def _restore_attributes(snapshot: Record) -> list[str]:
    return snapshot.hidden.setdefault("restore", [])


def _attributes_shape(snapshot: Record) -> Shape:
    return {
        "DBSnapshotAttributesResult": {
            "DBSnapshotIdentifier": snapshot["DBSnapshotIdentifier"],
            "DBSnapshotAttributes": [{"AttributeName": "restore", "AttributeValues": list(_restore_attributes(snapshot))}],
        }
    }


@operation
def describe_db_snapshot_attributes(backend: Any, params: Shape) -> Shape:
    return _attributes_shape(find_snapshot(backend, params.get("DBSnapshotIdentifier")))


@operation
def modify_db_snapshot_attribute(backend: Any, params: Shape) -> Shape:
    snapshot = find_snapshot(backend, params.get("DBSnapshotIdentifier"))
    if snapshot["SnapshotType"] == "automated":
        raise refuse("InvalidDBSnapshotState", "Automated snapshots cannot be shared; copy the snapshot first.")
    if params.get("AttributeName") != "restore":
        raise refuse("InvalidParameterValue", f"Invalid snapshot attribute {params.get('AttributeName')}")
    values = _restore_attributes(snapshot)
    values += [each for each in params.get("ValuesToAdd") or [] if each not in values]
    for each in params.get("ValuesToRemove") or []:
        if each in values:
            values.remove(each)
    return _attributes_shape(snapshot)
