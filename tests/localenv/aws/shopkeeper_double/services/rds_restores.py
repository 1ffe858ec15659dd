"""DB instances made from others: restored from a snapshot or to a point in time, and read replicas."""

from __future__ import annotations

import copy
from typing import Any

from ._records import Record, Shape, refuse, tag_list
from .rds_instance_checks import check_free
from .rds_instances import Instance, build_instance
from .rds_resources import find_instance, name_in, need_instance_state, operation
from .rds_secrets import MasterUserSecret
from .rds_snapshots import find_snapshot, settings_of

#: Names that differ between what an instance shows and what a request says.
_REQUEST_NAMES = {"IAMDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication"}


def _restored(backend: Any, settings: Shape, params: Shape, name: str, source_tags: dict[str, str]) -> Instance:
    """Build an instance from kept settings, with what the request says instead.

    AWS takes from the source what the data dictates (engine, storage, key, credentials, class); Multi-AZ, deletion
    protection, network and parameter group are the request's or the defaults.
    """
    wanted = {_REQUEST_NAMES.get(key, key): copy.deepcopy(value) for key, value in settings.items()}
    size = params.get("AllocatedStorage")
    if size is not None and size < wanted["AllocatedStorage"]:
        raise refuse(
            "InvalidParameterValue", "The allocated storage size can't be less than the source snapshot or backup size."
        )
    if params.get("StorageType") not in (None, wanted.get("StorageType")):
        wanted.pop("Iops", None)
        wanted.pop("StorageThroughput", None)
    wanted.update({key: value for key, value in params.items() if value is not None})
    wanted["DBInstanceIdentifier"] = name
    if not params.get("Tags"):
        wanted["Tags"] = tag_list(source_tags)
    instance = build_instance(backend, wanted)
    if params.get("ManageMasterUserPassword"):
        instance.hidden["secret"] = MasterUserSecret(
            backend, "db", instance["DBInstanceArn"], instance["MasterUsername"], params.get("MasterUserSecretKmsKeyId")
        )
    return instance


@operation
def restore_db_instance_from_db_snapshot(backend: Any, params: Shape) -> Shape:
    name = check_free(backend, params.get("DBInstanceIdentifier"))
    snapshot = find_snapshot(backend, params.get("DBSnapshotIdentifier"))
    if snapshot.status != "available":
        raise refuse("InvalidDBSnapshotState", f"The snapshot {snapshot['DBSnapshotIdentifier']} is not available.")
    if params.get("Engine") not in (None, snapshot["Engine"]):
        raise refuse("InvalidParameterCombination", f"The snapshot's engine is {snapshot['Engine']}, not {params['Engine']}.")
    instance = _restored(backend, snapshot.hidden["settings"], params, name, snapshot.tags)
    return {"DBInstance": instance.shown("creating")}


@operation
def restore_db_instance_to_point_in_time(backend: Any, params: Shape) -> Shape:
    source = find_instance(backend, params.get("SourceDBInstanceIdentifier"))
    name = check_free(backend, params.get("TargetDBInstanceIdentifier"), "TargetDBInstanceIdentifier")
    if bool(params.get("RestoreTime")) == bool(params.get("UseLatestRestorableTime")):
        raise refuse("InvalidParameterCombination", "Specify either RestoreTime or UseLatestRestorableTime, and not both.")
    if not source.get("BackupRetentionPeriod"):
        raise refuse(
            "PointInTimeRestoreNotEnabled",
            f"Automated backups are not enabled for the DB instance {source['DBInstanceIdentifier']}.",
        )
    tags = source.tags if source["CopyTagsToSnapshot"] else {}
    return {"DBInstance": _restored(backend, settings_of(source), params, name, tags).shown("restoring")}


@operation
def create_db_instance_read_replica(backend: Any, params: Shape) -> Shape:
    name = check_free(backend, params.get("DBInstanceIdentifier"))
    source = find_instance(backend, params.get("SourceDBInstanceIdentifier"))
    need_instance_state(source, f"The source DB instance {source['DBInstanceIdentifier']} is not in available state.")
    if not source.get("BackupRetentionPeriod"):
        raise refuse(
            "InvalidDBInstanceState",
            "Automated backups are not enabled for this database instance. To enable automated backups, use ModifyDBInstance "
            "to set the backup retention period to a non-zero value.",
        )
    settings = settings_of(source)
    # A replica is not backed up unless it is told to, and keeps the source's parameter group within one region.
    settings["BackupRetentionPeriod"] = 0
    settings["MasterUsername"] = source["MasterUsername"]
    wanted = (
        params if params.get("DBParameterGroupName") else params | {"DBParameterGroupName": source.hidden["parameter_group"]}
    )
    if not wanted.get("DBSubnetGroupName"):
        wanted = wanted | {"DBSubnetGroupName": source["DBSubnetGroup"]["DBSubnetGroupName"]}
    replica = _restored(backend, settings, wanted, name, {})
    replica["ReadReplicaSourceDBInstanceIdentifier"] = source["DBInstanceIdentifier"]
    source["ReadReplicaDBInstanceIdentifiers"].append(name)
    # RDS takes a snapshot of the source to fill the replica with.
    source.lifecycle.begin("backing-up")
    return {"DBInstance": replica.shown("creating")}


@operation
def promote_read_replica(backend: Any, params: Shape) -> Shape:
    replica = find_instance(backend, params.get("DBInstanceIdentifier"))
    source_name = replica.get("ReadReplicaSourceDBInstanceIdentifier")
    if not source_name:
        raise refuse("InvalidDBInstanceState", f"DB Instance {replica['DBInstanceIdentifier']} is not a read replica.")
    need_instance_state(replica, f"DB Instance {replica['DBInstanceIdentifier']} is not in available state.")
    name = replica["DBInstanceIdentifier"]

    def promoted() -> None:
        replica.pop("ReadReplicaSourceDBInstanceIdentifier", None)
        replica["BackupRetentionPeriod"] = params.get("BackupRetentionPeriod", 1)
        if params.get("PreferredBackupWindow"):
            replica["PreferredBackupWindow"] = params["PreferredBackupWindow"]
        source: Record | None = backend.databases.get(name_in(source_name))
        if source is not None and name in source["ReadReplicaDBInstanceIdentifiers"]:
            source["ReadReplicaDBInstanceIdentifiers"].remove(name)

    replica.lifecycle.begin("modifying", on_settled=promoted)
    return {"DBInstance": replica.shown("modifying")}
