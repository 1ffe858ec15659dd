"""What RDS refuses in the settings of a DB instance, and partly of a DB cluster, before it does anything."""

from __future__ import annotations

import os
from typing import Any

from moto.rds.utils import valid_preferred_maintenance_window

from ._records import Record, Shape, refuse
from .rds_engines import CERTIFICATE_AUTHORITIES, STORAGE_LIMITS, Engine
from .rds_resources import check_identifier

#: Windows used when the request names none; the first that does not overlap the window that it does name.
_BACKUP_WINDOWS = ("05:12-05:42", "08:21-08:51")
_MAINTENANCE_WINDOWS = ("sun:07:15-sun:07:45", "wed:10:02-wed:10:32")


#: From this size on, gp3 volumes are striped over four: more operations, and a choice of how many.
GP3_STRIPED_GIB = 400
#: Most operations a second for each GiB, of the storage types that are provisioned by the operation.
_MOST_IOPS_PER_GIB = {"io1": 50, "io2": 1000}


def gp3_is_strict() -> bool:
    """Whether Iops and StorageThroughput of a small gp3 volume are refused, as AWS does even for the values it has anyway.

    Off unless SHOPKEEPER_DOUBLE_STRICT_GP3 is set: many tests name the 3000 operations that such a volume has.
    """
    return bool(os.environ.get("SHOPKEEPER_DOUBLE_STRICT_GP3"))


def check_storage(engine: Engine, storage_type: str, size: int, iops: int | None, throughput: int | None = None) -> None:
    """`iops` and `throughput` are what the request asks for, or for io1 and io2 what the instance has already."""
    if storage_type not in STORAGE_LIMITS:
        raise refuse("InvalidParameterValue", f"Invalid storage type: {storage_type}")
    smallest, largest = STORAGE_LIMITS[storage_type]
    if not smallest <= size <= largest:
        raise refuse(
            "InvalidParameterValue",
            f"Invalid storage size for engine name {engine.name} and storage type {storage_type}: {size}",
        )
    if iops and storage_type in ("gp2", "standard"):
        raise refuse("InvalidParameterCombination", f"You can't specify Iops for storage type {storage_type}.")
    if storage_type == "gp3":
        _check_gp3(engine, size, iops, throughput)
    if storage_type in _MOST_IOPS_PER_GIB:
        if not iops:
            raise refuse("InvalidParameterCombination", f"You must specify Iops for storage type {storage_type}.")
        ratio = iops / size
        if iops < 1000 or not 0.5 <= ratio <= _MOST_IOPS_PER_GIB[storage_type]:
            raise refuse(
                "InvalidParameterCombination",
                f"Invalid iops to storage (GB) ratio for engine name {engine.name} and storage type {storage_type}: {ratio:.4f}",
            )


def _check_gp3(engine: Engine, size: int, iops: int | None, throughput: int | None) -> None:
    if size < GP3_STRIPED_GIB:
        if (iops or throughput) and gp3_is_strict():
            raise refuse(
                "InvalidParameterCombination",
                f"You can't specify IOPS or storage throughput for engine {engine.name} and a storage size less than "
                f"{GP3_STRIPED_GIB}.",
            )
    elif (iops is not None and not 12000 <= iops <= 64000) or (throughput is not None and not 500 <= throughput <= 4000):
        raise refuse(
            "InvalidParameterCombination",
            f"Invalid iops or storage throughput for engine name {engine.name} and storage type gp3: {iops}, {throughput}",
        )


def check_retention(days: int | None, smallest: int = 0) -> None:
    if days is not None and not smallest <= days <= 35:
        raise refuse(
            "InvalidParameterValue",
            f"Invalid backup retention period: {days}. Retention period must be between {smallest} and 35.",
        )


def check_windows(backup: str, maintenance: str) -> None:
    if problem := valid_preferred_maintenance_window(maintenance, backup):
        raise refuse("InvalidParameterValue", problem)


def choose_windows(params: Shape) -> tuple[str, str]:
    backup, maintenance = params.get("PreferredBackupWindow"), (params.get("PreferredMaintenanceWindow") or "").lower()
    backups = (backup,) if backup else _BACKUP_WINDOWS
    maintenances = (maintenance,) if maintenance else _MAINTENANCE_WINDOWS
    for each in backups:
        for other in maintenances:
            if not valid_preferred_maintenance_window(other, each):
                return each, other
    check_windows(backups[0], maintenances[0])
    return backups[0], maintenances[0]


def check_log_types(engine: Engine, version: str, types: list[str]) -> list[str]:
    unknown = [each for each in types if each not in engine.log_types]
    if unknown:
        raise refuse(
            "InvalidParameterCombination",
            f"You cannot use the log types '{', '.join(unknown)}' with engine version {engine.name} {version}. "
            "For supported log types, see the documentation.",
        )
    return sorted(types)


def check_family(group: Record, engine: Engine, version: str) -> None:
    family = engine.family(version)
    if group["DBParameterGroupFamily"] != family:
        name = group.get("DBParameterGroupName") or group.get("DBClusterParameterGroupName")
        raise refuse(
            "InvalidParameterCombination",
            f"The Parameter Group {name} with DBParameterGroupFamily {group['DBParameterGroupFamily']} can't be used for this "
            f"instance. Please use a Parameter Group with DBParameterGroupFamily {family}.",
        )


def check_monitoring(params: Shape) -> None:
    interval, role = params.get("MonitoringInterval") or 0, params.get("MonitoringRoleArn")
    if interval not in (0, 1, 5, 10, 15, 30, 60):
        raise refuse("InvalidParameterValue", f"Invalid value for MonitoringInterval: {interval}")
    if interval and not role:
        raise refuse(
            "InvalidParameterCombination",
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.",
        )


def check_authority(name: str | None) -> str:
    if name and name not in CERTIFICATE_AUTHORITIES:
        raise refuse("CertificateNotFound", f"Certificate not found: {name}")
    return name or CERTIFICATE_AUTHORITIES[0]


def check_free(backend: Any, identifier: str | None, parameter: str = "DBInstanceIdentifier") -> str:
    name = check_identifier(parameter, identifier)
    if name in backend.databases:
        raise refuse("DBInstanceAlreadyExists", "DB instance already exists")
    return name
