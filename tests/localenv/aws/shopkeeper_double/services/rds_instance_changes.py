"""ModifyDBInstance: what applies at once, what waits for the maintenance window, and what is refused."""

from __future__ import annotations

from typing import Any

from ._records import Shape, refuse
from .rds_engines import check_class, check_upgrade
from .rds_groups import find_parameter_group, subnet_group_or_default
from .rds_instance_checks import (
    check_authority,
    check_family,
    check_free,
    check_log_types,
    check_monitoring,
    check_retention,
    check_storage,
    check_windows,
)
from .rds_instances import STORAGE_SETTINGS, Instance
from .rds_resources import find_instance, key_arn, need_instance_state, operation, security_group_memberships
from .rds_secrets import modify_credentials

#: What ModifyDBInstance applies in the next maintenance window unless ApplyImmediately is set. The rest applies at once.
_DEFERRED = (
    "DBInstanceClass",
    "AllocatedStorage",
    "StorageType",
    "Iops",
    "StorageThroughput",
    "EngineVersion",
    "MultiAZ",
    "LicenseModel",
    "CACertificateIdentifier",
    "DedicatedLogVolume",
)
#: Applied at once, and the instance stays available.
_LIGHT = ("DeletionProtection", "CopyTagsToSnapshot", "AutoMinorVersionUpgrade", "PromotionTier")


def _deferred_changes(instance: Instance, params: Shape) -> Shape:
    """What the request changes among the settings that may wait for the maintenance window."""
    engine, version = instance.engine, instance["EngineVersion"]
    changes: Shape = {}
    wanted = {key: params[key] for key in _DEFERRED if params.get(key) is not None}
    if "EngineVersion" in wanted:
        wanted["EngineVersion"] = check_upgrade(
            engine, version, wanted["EngineVersion"], bool(params.get("AllowMajorVersionUpgrade"))
        )
        _check_group_after_upgrade(instance, wanted["EngineVersion"], params.get("DBParameterGroupName"))
    if "DBInstanceClass" in wanted:
        check_class(engine, version, wanted["DBInstanceClass"])
    if "CACertificateIdentifier" in wanted:
        check_authority(wanted["CACertificateIdentifier"])
    if set(wanted) & STORAGE_SETTINGS:
        if instance.get("DBClusterIdentifier"):
            raise refuse("InvalidParameterCombination", "Storage is a setting of the DB cluster, not of its DB instances.")
        if wanted.get("AllocatedStorage") is not None:
            wanted["AllocatedStorage"] = _grown_storage(instance, wanted["AllocatedStorage"])
        storage_type = wanted.get("StorageType", instance["StorageType"])
        keeps_iops = storage_type == instance["StorageType"] and storage_type in ("io1", "io2")
        check_storage(
            engine,
            storage_type,
            wanted.get("AllocatedStorage", instance["AllocatedStorage"]),
            wanted.get("Iops") or (instance.get("Iops") if keeps_iops else None),
            wanted.get("StorageThroughput"),
        )
    if params.get("EnableIAMDatabaseAuthentication") is not None:
        wanted["IAMDatabaseAuthenticationEnabled"] = params["EnableIAMDatabaseAuthentication"]
    if params.get("NewDBInstanceIdentifier"):
        new_name = params["NewDBInstanceIdentifier"].lower()
        wanted["DBInstanceIdentifier"] = (
            new_name if new_name == instance.name else check_free(instance.backend, new_name, "NewDBInstanceIdentifier")
        )
    if params.get("BackupRetentionPeriod") is not None:
        check_retention(params["BackupRetentionPeriod"], 1 if instance.get("ReadReplicaDBInstanceIdentifiers") else 0)
        # Turning backups on or off takes an outage; another length does not.
        if bool(params["BackupRetentionPeriod"]) != bool(instance.get("BackupRetentionPeriod")):
            wanted["BackupRetentionPeriod"] = params["BackupRetentionPeriod"]
    for key, value in wanted.items():
        if instance.get(key) != value:
            changes[key] = value
        else:
            # Asking for what is there already takes back a change that was waiting.
            instance.hidden["pending"].pop(key, None)
    if set(changes) & STORAGE_SETTINGS and instance.status == "storage-optimization":
        raise refuse(
            "InvalidParameterCombination",
            "You can't currently modify the storage of this DB instance because the previous storage change is being optimized.",
        )
    return changes


def _grown_storage(instance: Instance, size: int) -> int:
    current = instance["AllocatedStorage"]
    if size < current:
        raise refuse(
            "InvalidParameterCombination",
            f"Requested storage size ({size}) cannot be less than the current storage size ({current}).",
        )
    # AWS rounds a growth of less than 10% up to 10%. Whole numbers: 1.1 is a little more than 11/10 as a float.
    return size if size == current else max(size, -(-current * 11 // 10))


def _check_group_after_upgrade(instance: Instance, version: str, new_group: str | None) -> None:
    family = instance.engine.family(version)
    if new_group:
        check_family(find_parameter_group(instance.backend, new_group), instance.engine, version)
    elif family != instance.engine.family(instance["EngineVersion"]):
        current = instance.hidden["parameter_group"]
        if not current.startswith("default."):
            raise refuse(
                "InvalidParameterCombination",
                f"The current DB instance parameter group {current} is custom. You must explicitly specify a new DB instance "
                "parameter group, either default or custom, for the engine version upgrade.",
            )


@operation
def modify_db_instance(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    # An instance whose storage is full takes changes: more storage is the way out. One that failed takes none.
    need_instance_state(
        instance, "Database instance is not in available state.", "available", "storage-optimization", "storage-full"
    )
    at_once = bool(params.get("ApplyImmediately"))

    # Everything is checked before anything is changed.
    new_group = params.get("DBParameterGroupName")
    if new_group:
        group = find_parameter_group(backend, new_group)
        if not params.get("EngineVersion"):
            check_family(group, instance.engine, instance["EngineVersion"])
    backup = params.get("PreferredBackupWindow") or instance.get("PreferredBackupWindow")
    maintenance = (params.get("PreferredMaintenanceWindow") or instance["PreferredMaintenanceWindow"]).lower()
    if backup and (params.get("PreferredBackupWindow") or params.get("PreferredMaintenanceWindow")):
        check_windows(backup, maintenance)
    check_monitoring(
        {"MonitoringInterval": instance["MonitoringInterval"], "MonitoringRoleArn": instance.get("MonitoringRoleArn")}
        | {key: params[key] for key in ("MonitoringInterval", "MonitoringRoleArn") if key in params}
    )
    memberships = None
    if params.get("VpcSecurityGroupIds") is not None:
        memberships = security_group_memberships(backend, params["VpcSecurityGroupIds"], instance["DBSubnetGroup"]["VpcId"])
    logs = params.get("CloudwatchLogsExportConfiguration") or {}
    enable = check_log_types(instance.engine, instance["EngineVersion"], logs.get("EnableLogTypes") or [])
    disable = check_log_types(instance.engine, instance["EngineVersion"], logs.get("DisableLogTypes") or [])
    subnet_group = subnet_group_or_default(backend, params["DBSubnetGroupName"]) if params.get("DBSubnetGroupName") else None
    changes = _deferred_changes(instance, params)
    _check_ceiling(instance, params, changes)
    resets_credentials = modify_credentials(backend, instance, "db", instance["DBInstanceArn"], instance.engine, params)

    states = []
    for key in _LIGHT:
        if params.get(key) is not None:
            instance[key] = params[key]
    instance["PreferredMaintenanceWindow"] = maintenance
    if backup:
        instance["PreferredBackupWindow"] = backup
    if params.get("MaxAllocatedStorage") is not None:
        instance["MaxAllocatedStorage"] = params["MaxAllocatedStorage"]
    if new_group and instance.hidden["parameter_group"] != new_group.lower():
        # The instance stays available, and uses the new group from the next reboot on.
        instance.hidden["parameter_group"] = new_group.lower()
        instance.hidden["parameter_apply"].begin("applying", then="pending-reboot")
    pending = instance.hidden["pending"]
    if memberships is not None and memberships != instance.get("VpcSecurityGroups"):
        instance["VpcSecurityGroups"] = memberships
        states.append("modifying")
    if subnet_group is not None and subnet_group["DBSubnetGroupName"] != instance["DBSubnetGroup"]["DBSubnetGroupName"]:
        instance["DBSubnetGroup"] = subnet_group | {"SubnetGroupStatus": "Complete"}
        states.append("moving-to-vpc")
    for key in ("BackupRetentionPeriod", "PubliclyAccessible"):
        if params.get(key) is not None and key not in changes and instance.get(key) != params[key]:
            instance[key] = params[key]
            states.append("modifying")
    if params.get("DBPortNumber") and params["DBPortNumber"] != instance.hidden["port"]:
        # A new port restarts the instance at once, whatever ApplyImmediately says.
        pending["Port"] = params["DBPortNumber"]
        states.append("modifying")
    states += _modify_monitoring(backend, instance, params)
    if enable or disable:
        pending["PendingCloudwatchLogsExports"] = {"LogTypesToEnable": enable, "LogTypesToDisable": disable}
        states.append("configuring-log-exports")
    if resets_credentials:
        if params.get("MasterUserPassword"):
            pending["MasterUserPassword"] = "****"
        states.append("resetting-master-credentials")

    pending.update(changes)
    waiting = {
        key
        for key in pending
        if key in _DEFERRED or key in ("DBInstanceIdentifier", "IAMDatabaseAuthenticationEnabled", "BackupRetentionPeriod")
    }
    if at_once and waiting:
        states.insert(0, _state_for(waiting))
        instance.begin_modifying(states[0])
    elif states:
        _begin_without(instance, waiting, states[0])
    return {"DBInstance": instance.shown()}


def _check_ceiling(instance: Instance, params: Shape, changes: Shape) -> None:
    ceiling = params.get("MaxAllocatedStorage")
    if ceiling is not None and ceiling < changes.get("AllocatedStorage", instance.get("AllocatedStorage", 0)):
        raise refuse("InvalidParameterCombination", "Max storage size must be greater than storage size")


def _state_for(changed: set[str]) -> str:
    if "EngineVersion" in changed:
        return "upgrading"
    if changed == {"DBInstanceIdentifier"}:
        return "renaming"
    if changed == {"IAMDatabaseAuthenticationEnabled"}:
        return "configuring-iam-database-auth"
    return "modifying"


def _begin_without(instance: Instance, waiting: set[str], state: str) -> None:
    """Begin a transition that applies only what does not wait for the maintenance window."""
    held = {key: instance.hidden["pending"][key] for key in waiting}

    def apply() -> None:
        for key in held:
            instance.hidden["pending"].pop(key, None)
        instance.apply_pending()
        instance.hidden["pending"].update(held)

    instance.lifecycle.begin(state, on_settled=apply)


def _modify_monitoring(backend: Any, instance: Instance, params: Shape) -> list[str]:
    states = []
    for key in ("MonitoringInterval", "MonitoringRoleArn"):
        if params.get(key) is not None and instance.get(key) != params[key]:
            instance[key] = params[key]
            states.append("configuring-enhanced-monitoring")
    if params.get("DatabaseInsightsMode"):
        instance["DatabaseInsightsMode"] = params["DatabaseInsightsMode"]
    enabled = params.get("EnablePerformanceInsights")
    if enabled is not None and enabled != instance["PerformanceInsightsEnabled"]:
        instance["PerformanceInsightsEnabled"] = enabled
        states.append("modifying")
    if instance["PerformanceInsightsEnabled"]:
        instance["PerformanceInsightsRetentionPeriod"] = (
            params.get("PerformanceInsightsRetentionPeriod") or instance.get("PerformanceInsightsRetentionPeriod") or 7
        )
        if "PerformanceInsightsKMSKeyId" not in instance or params.get("PerformanceInsightsKMSKeyId"):
            instance["PerformanceInsightsKMSKeyId"] = key_arn(backend, params.get("PerformanceInsightsKMSKeyId"))
    else:
        instance.pop("PerformanceInsightsRetentionPeriod", None)
        instance.pop("PerformanceInsightsKMSKeyId", None)
    return states
