"""What hangs on a database: IAM roles, log files, automated backups."""

from __future__ import annotations

from typing import Any

from ._records import Record, Shape, now, page, refuse
from .rds_resources import arn, find_cluster, find_instance, need_cluster_available, need_instance_state, operation

# --- roles -----------------------------------------------------------------------------------------------------------


def _add_role(record: Record, params: Shape, code: str, name: str) -> None:
    role, feature = params.get("RoleArn"), params.get("FeatureName")
    for each in record["AssociatedRoles"]:
        if each["RoleArn"] == role and each.get("FeatureName") == feature:
            raise refuse(code, f"Role {role} is already associated with {name}.")
        if feature and each.get("FeatureName") == feature:
            raise refuse(code, f"Feature {feature} of {name} has a role already.")
    record["AssociatedRoles"].append({"RoleArn": role, "Status": "ACTIVE", **({"FeatureName": feature} if feature else {})})


def _remove_role(record: Record, params: Shape, code: str, name: str) -> None:
    kept = [
        each
        for each in record["AssociatedRoles"]
        if each["RoleArn"] != params.get("RoleArn") or each.get("FeatureName") != params.get("FeatureName")
    ]
    if len(kept) == len(record["AssociatedRoles"]):
        raise refuse(code, f"Role {params.get('RoleArn')} is not associated with {name}.")
    record["AssociatedRoles"] = kept


@operation
def add_role_to_db_instance(backend: Any, params: Shape) -> None:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    name = instance["DBInstanceIdentifier"]
    need_instance_state(instance, f"Instance {name} is not in available state.")
    _add_role(instance, params, "DBInstanceRoleAlreadyExists", name)


@operation
def remove_role_from_db_instance(backend: Any, params: Shape) -> None:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    name = instance["DBInstanceIdentifier"]
    need_instance_state(instance, f"Instance {name} is not in available state.")
    _remove_role(instance, params, "DBInstanceRoleNotFound", name)


@operation
def add_role_to_db_cluster(backend: Any, params: Shape) -> None:
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    need_cluster_available(cluster)
    _add_role(cluster, params, "DBClusterRoleAlreadyExists", cluster["DBClusterIdentifier"])


@operation
def remove_role_from_db_cluster(backend: Any, params: Shape) -> None:
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    need_cluster_available(cluster)
    _remove_role(cluster, params, "DBClusterRoleNotFound", cluster["DBClusterIdentifier"])


# --- logs and backups ------------------------------------------------------------------------------------------------


@operation
def describe_db_log_files(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    created = instance.get("InstanceCreateTime")
    name = (
        f"error/postgresql.log.{created:%Y-%m-%d-%H}"
        if created and "postgres" in instance["Engine"]
        else "error/mysql-error.log"
    )
    files = [{"LogFileName": name, "LastWritten": int(created.timestamp() * 1000), "Size": 0}] if created else []
    return {"DescribeDBLogFiles": files}


@operation
def describe_db_instance_automated_backups(backend: Any, params: Shape) -> Shape:
    wanted = params.get("DBInstanceIdentifier")
    instances = [find_instance(backend, wanted)] if wanted else list(backend.databases.values())
    backups = [
        {
            "DBInstanceArn": instance["DBInstanceArn"],
            "DbiResourceId": instance["DbiResourceId"],
            "Region": backend.region_name,
            "DBInstanceIdentifier": instance["DBInstanceIdentifier"],
            "RestoreWindow": {"EarliestTime": instance["InstanceCreateTime"], "LatestTime": now()},
            "AllocatedStorage": instance["AllocatedStorage"],
            "Status": "active",
            "Port": instance.hidden["port"],
            "InstanceCreateTime": instance["InstanceCreateTime"],
            "MasterUsername": instance["MasterUsername"],
            "Engine": instance["Engine"],
            "EngineVersion": instance["EngineVersion"],
            "LicenseModel": instance["LicenseModel"],
            "Encrypted": instance["StorageEncrypted"],
            "StorageType": instance["StorageType"],
            "BackupRetentionPeriod": instance["BackupRetentionPeriod"],
            "DBInstanceAutomatedBackupsArn": arn(
                backend, "auto-backup", instance["DbiResourceId"].replace("db-", "ab-").lower()
            ),
            **({"KmsKeyId": instance["KmsKeyId"]} if "KmsKeyId" in instance else {}),
        }
        for instance in instances
        if instance.get("BackupRetentionPeriod") and "InstanceCreateTime" in instance
    ]
    shown, marker = page(params, backups, lambda backup: backup["DBInstanceIdentifier"])
    return {"DBInstanceAutomatedBackups": shown, "Marker": marker}
