"""DB instances: create, describe, reboot, stop, start, delete. Modifications are in `rds_instance_changes`."""

from __future__ import annotations

import datetime
import hashlib
import string
from typing import Any

from shopkeeper_double.lifecycle import GONE, Lifecycle

from ._records import Record, Shape, now, page, random_name, refuse
from .rds_engines import ENGINES, Engine, check_class, engine_named
from .rds_groups import find_parameter_group, subnet_group_or_default
from .rds_instance_checks import (
    GP3_STRIPED_GIB,
    check_authority,
    check_family,
    check_free,
    check_log_types,
    check_monitoring,
    check_retention,
    check_storage,
    choose_windows,
)
from .rds_resources import (
    add_event,
    arn,
    check_tags,
    filtered,
    find_cluster,
    find_instance,
    key_arn,
    need_instance_state,
    operation,
    security_group_memberships,
)
from .rds_secrets import MasterUserSecret, check_new_credentials
from .rds_snapshots import check_new_snapshot, delete_automated_snapshots, take_automated_snapshot, take_snapshot

#: Settings of the storage: after a change of these the storage is optimized for a while.
STORAGE_SETTINGS = {"AllocatedStorage", "StorageType", "Iops", "StorageThroughput"}


class Instance(Record):
    """A DB instance. Members of a cluster show the cluster's storage, credentials and backups."""

    def __init__(self, backend: Any, shape: Shape, parameter_group: str, tags: list[Shape] | None) -> None:
        super().__init__(shape, "rds", "db-instance", status_key="DBInstanceStatus", tags=tags)
        self.backend = backend
        self.hidden.update(
            parameter_group=parameter_group,
            parameter_apply=Lifecycle("rds", "db-parameter-group", settled="in-sync"),
            pending={},
        )

    @property
    def name(self) -> str:
        return self["DBInstanceIdentifier"]

    @property
    def engine(self) -> Engine:
        return ENGINES[self["Engine"]]

    def shown(self, status: str | None = None) -> Shape:
        shape = super().shown(status)
        shape["DBParameterGroups"] = [
            {
                "DBParameterGroupName": self.hidden["parameter_group"],
                "ParameterApplyStatus": self.hidden["parameter_apply"].state,
            }
        ]
        shape["PendingModifiedValues"] = dict(self.hidden["pending"])
        if secret := self.hidden.get("secret"):
            shape["MasterUserSecret"] = secret.shape()
        if shape.get("MaxAllocatedStorage", 0) <= shape.get("AllocatedStorage", 0):
            shape.pop("MaxAllocatedStorage", None)
        if shape.get("BackupRetentionPeriod") and "InstanceCreateTime" in shape:
            shape["LatestRestorableTime"] = now()
        if self.get("ReadReplicaSourceDBInstanceIdentifier") and self.status == "available":
            shape["StatusInfos"] = [{"StatusType": "read replication", "Status": "replicating", "Normal": True}]
        cluster = self.backend.clusters.get(self.get("DBClusterIdentifier") or "")
        if cluster is not None:
            shown = cluster.shown()
            for key in (
                "EngineVersion",
                "MasterUsername",
                "BackupRetentionPeriod",
                "PreferredBackupWindow",
                "StorageEncrypted",
                "KmsKeyId",
                "VpcSecurityGroups",
                "IAMDatabaseAuthenticationEnabled",
            ):
                if key in shown:
                    shape[key] = shown[key]
            shape["DBName"] = shown.get("DatabaseName")
        return shape

    # --- transitions -------------------------------------------------------------------------------------------------

    def begin_creating(self) -> None:
        self.lifecycle.begin("creating", on_settled=self._created)

    def _created(self) -> None:
        zones = [subnet["SubnetAvailabilityZone"]["Name"] for subnet in self["DBSubnetGroup"]["Subnets"]]
        zones = sorted(set(zones)) or [f"{self.backend.region_name}a", f"{self.backend.region_name}b"]
        self.setdefault("AvailabilityZone", zones[0])
        if self.get("MultiAZ"):
            self["SecondaryAvailabilityZone"] = next((zone for zone in zones if zone != self["AvailabilityZone"]), zones[0])
        self["InstanceCreateTime"] = now()
        self["Endpoint"] = {
            "Address": endpoint_address(self.backend, self.name),
            "Port": self.hidden["port"],
            "HostedZoneId": "Z2R2ITUGPM61AM",
        }
        self["CertificateDetails"] = {
            "CAIdentifier": self["CACertificateIdentifier"],
            "ValidTill": now() + datetime.timedelta(days=365),
        }
        self.hidden["pending"].pop("MasterUserPassword", None)
        add_event(self.backend, "db-instance", self, self.name, "creation", "DB instance created")
        # The first automated backup follows the creation, and the instance is not available while it lasts.
        if self.get("BackupRetentionPeriod") and not self.get("DBClusterIdentifier"):
            self.begin_backing_up()

    def begin_backing_up(self) -> None:
        self.lifecycle.begin("backing-up", on_settled=lambda: take_automated_snapshot(self.backend, self))

    def begin_modifying(self, state: str) -> None:
        self.lifecycle.begin(state, on_settled=self.apply_pending)

    def apply_pending(self) -> None:
        pending, self.hidden["pending"] = self.hidden["pending"], {}
        if "DBInstanceIdentifier" in pending:
            self.rename(pending.pop("DBInstanceIdentifier"))
        if exports := pending.pop("PendingCloudwatchLogsExports", None):
            enabled = set(self["EnabledCloudwatchLogsExports"]) - set(exports["LogTypesToDisable"])
            self["EnabledCloudwatchLogsExports"] = sorted(enabled | set(exports["LogTypesToEnable"]))
        pending.pop("MasterUserPassword", None)
        if (port := pending.pop("Port", None)) is not None:
            self.hidden["port"] = self["Endpoint"]["Port"] = port
        if (version := pending.get("EngineVersion")) and version != self["EngineVersion"]:
            old_default = f"default.{self.engine.family(self['EngineVersion'])}"
            if self.hidden["parameter_group"] == old_default:
                self.hidden["parameter_group"] = find_parameter_group(self.backend, f"default.{self.engine.family(version)}")[
                    "DBParameterGroupName"
                ]
            # An upgrade restarts the instance, so nothing waits for a reboot any longer.
            self.hidden["parameter_apply"].settle("in-sync")
        had_two_zones = self.get("MultiAZ")
        self.update(pending)
        if pending.get("MultiAZ") and not had_two_zones:
            self["SecondaryAvailabilityZone"] = f"{self.backend.region_name}b"
        elif pending.get("MultiAZ") is False:
            self.pop("SecondaryAvailabilityZone", None)
        if "CACertificateIdentifier" in pending:
            self["CertificateDetails"]["CAIdentifier"] = pending["CACertificateIdentifier"]
        if set(pending) & STORAGE_SETTINGS:
            set_provisioned_performance(self, pending)
            self.lifecycle.begin("storage-optimization")

    def rename(self, new_name: str) -> None:
        databases = self.backend.databases
        old_name = self.name
        databases.pop(old_name, None)
        self["DBInstanceIdentifier"] = new_name
        self["DBInstanceArn"] = arn(self.backend, "db", new_name)
        if "Endpoint" in self:
            self["Endpoint"]["Address"] = endpoint_address(self.backend, new_name)
        databases[new_name] = self
        for other in databases.values():
            replicas = other.get("ReadReplicaDBInstanceIdentifiers", [])
            if old_name in replicas:
                replicas[replicas.index(old_name)] = new_name
            if other.get("ReadReplicaSourceDBInstanceIdentifier") == old_name:
                other["ReadReplicaSourceDBInstanceIdentifier"] = new_name


def endpoint_address(backend: Any, name: str, prefix: str = "") -> str:
    """<name>.<hash>.<region>.rds.amazonaws.com; the hash is one for each account and region, as in AWS."""
    digest = hashlib.sha256(f"{backend.account_id}/{backend.region_name}".encode()).hexdigest()
    return f"{name}.{prefix}c{digest[:11]}.{backend.region_name}.rds.amazonaws.com"


def set_provisioned_performance(record: Record, given: Shape) -> None:
    """gp3 always has IOPS and throughput, more of both once it is striped; gp2 and magnetic storage have none of their own."""
    storage = record["StorageType"]
    if storage == "gp3":
        least_iops, least_throughput = (3000, 125) if record["AllocatedStorage"] < GP3_STRIPED_GIB else (12000, 500)
        record["Iops"] = given.get("Iops") or max(least_iops, record.get("Iops", 0))
        record["StorageThroughput"] = given.get("StorageThroughput") or max(
            least_throughput, record.get("StorageThroughput", 0)
        )
    elif storage in ("gp2", "standard"):
        record.pop("Iops", None)
        record.pop("StorageThroughput", None)
    else:
        record.pop("StorageThroughput", None)


# --- create ----------------------------------------------------------------------------------------------------------


def _common_shape(backend: Any, name: str, engine: Engine, version: str, params: Shape, subnet_group: Shape) -> Shape:
    shape = {
        "DBInstanceIdentifier": name,
        "DBInstanceClass": check_class(engine, version, params.get("DBInstanceClass")),
        "Engine": engine.name,
        "EngineVersion": version,
        "LicenseModel": params.get("LicenseModel") or engine.license_model,
        "DBSubnetGroup": subnet_group | {"SubnetGroupStatus": "Complete"},
        "DBSecurityGroups": [],
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
        "ReadReplicaDBInstanceIdentifiers": [],
        "PubliclyAccessible": params.get("PubliclyAccessible", False),
        "OptionGroupMemberships": [
            {
                "OptionGroupName": params.get("OptionGroupName")
                or f"default:{engine.name}-{engine.major(version).replace('.', '-')}",
                "Status": "in-sync",
            }
        ],
        "DbInstancePort": 0,
        "DbiResourceId": "db-" + random_name(26, string.ascii_uppercase + string.digits),
        "CACertificateIdentifier": check_authority(params.get("CACertificateIdentifier")),
        "DomainMemberships": [],
        "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", False),
        "MonitoringInterval": params.get("MonitoringInterval") or 0,
        "DBInstanceArn": arn(backend, "db", name),
        "DatabaseInsightsMode": params.get("DatabaseInsightsMode") or "standard",
        "PerformanceInsightsEnabled": params.get("EnablePerformanceInsights", False),
        "DeletionProtection": params.get("DeletionProtection", False),
        "AssociatedRoles": [],
        "CustomerOwnedIpEnabled": False,
        "NetworkType": params.get("NetworkType") or "IPV4",
        "ActivityStreamStatus": "stopped",
        "BackupTarget": "region",
        "DedicatedLogVolume": params.get("DedicatedLogVolume", False),
        "IsStorageConfigUpgradeAvailable": False,
        "EngineLifecycleSupport": params.get("EngineLifecycleSupport") or "open-source-rds-extended-support",
        "EnabledCloudwatchLogsExports": check_log_types(engine, version, params.get("EnableCloudwatchLogsExports") or []),
    }
    if params.get("MonitoringRoleArn"):
        shape["MonitoringRoleArn"] = params["MonitoringRoleArn"]
    if params.get("AvailabilityZone"):
        shape["AvailabilityZone"] = params["AvailabilityZone"]
    if shape["PerformanceInsightsEnabled"]:
        shape["PerformanceInsightsRetentionPeriod"] = params.get("PerformanceInsightsRetentionPeriod") or 7
        shape["PerformanceInsightsKMSKeyId"] = key_arn(backend, params.get("PerformanceInsightsKMSKeyId"))
    check_monitoring(params)
    return shape


def build_instance(backend: Any, params: Shape) -> Instance:
    """Check the settings of a new instance outside a cluster, and store it in state creating.

    Credentials are the caller's: a restored instance has those of its source.
    """
    name = check_free(backend, params.get("DBInstanceIdentifier"))
    engine = engine_named(params.get("Engine"))
    version = engine.resolve(params.get("EngineVersion"))
    subnet_group = subnet_group_or_default(backend, params.get("DBSubnetGroupName"))
    parameter_group = find_parameter_group(backend, params.get("DBParameterGroupName") or f"default.{engine.family(version)}")
    check_family(parameter_group, engine, version)
    retention = params.get("BackupRetentionPeriod", 1)
    check_retention(retention)
    backup, maintenance = choose_windows(params)
    storage_type = params.get("StorageType") or ("io1" if params.get("Iops") else "gp3")
    size = params.get("AllocatedStorage")
    if size is None:
        raise refuse("InvalidParameterValue", "The parameter AllocatedStorage must be provided and must not be blank.")
    check_storage(engine, storage_type, size, params.get("Iops"), params.get("StorageThroughput"))
    if params.get("MaxAllocatedStorage") is not None and params["MaxAllocatedStorage"] <= size:
        raise refuse("InvalidParameterCombination", "Max storage size must be greater than storage size")
    if params.get("MultiAZ") and params.get("AvailabilityZone"):
        raise refuse(
            "InvalidParameterCombination", "Requesting a specific availability zone is not valid for Multi-AZ instances."
        )
    tags = check_tags(params.get("Tags"))

    shape = _common_shape(backend, name, engine, version, params, subnet_group) | {
        "MasterUsername": params.get("MasterUsername"),
        "AllocatedStorage": size,
        "StorageType": storage_type,
        "MultiAZ": params.get("MultiAZ", False),
        "PreferredBackupWindow": backup,
        "PreferredMaintenanceWindow": maintenance,
        "BackupRetentionPeriod": retention,
        "StorageEncrypted": params.get("StorageEncrypted", False),
        "IAMDatabaseAuthenticationEnabled": params.get("EnableIAMDatabaseAuthentication", False),
        "VpcSecurityGroups": security_group_memberships(backend, params.get("VpcSecurityGroupIds"), subnet_group["VpcId"]),
    }
    if params.get("DBName"):
        shape["DBName"] = params["DBName"]
    if shape["StorageEncrypted"]:
        shape["KmsKeyId"] = key_arn(backend, params.get("KmsKeyId"))
    if params.get("MaxAllocatedStorage") is not None:
        shape["MaxAllocatedStorage"] = params["MaxAllocatedStorage"]

    instance = Instance(backend, shape, parameter_group["DBParameterGroupName"], tags)
    set_provisioned_performance(instance, params)
    if storage_type in ("io1", "io2"):
        instance["Iops"] = params["Iops"]
    instance.hidden["port"] = params.get("Port") or engine.port
    backend.databases[name] = instance
    instance.begin_creating()
    return instance


def build_member(backend: Any, params: Shape) -> Instance:
    """An instance of an Aurora cluster: storage, credentials and backups are the cluster's."""
    name = check_free(backend, params.get("DBInstanceIdentifier"))
    cluster = find_cluster(backend, params["DBClusterIdentifier"])
    engine = engine_named(params.get("Engine"))
    if engine.name != cluster["Engine"]:
        raise refuse(
            "InvalidParameterCombination",
            f"The engine name requested for your DB instance ({engine.name}) doesn't match the engine name of your DB cluster "
            f"({cluster['Engine']}).",
        )
    for forbidden in ("MasterUserPassword", "MasterUsername", "AllocatedStorage", "StorageEncrypted", "KmsKeyId", "DBName"):
        if params.get(forbidden):
            raise refuse(
                "InvalidParameterCombination",
                f"The requested DB Instance will be a member of a DB Cluster. Set {forbidden} for the DB Cluster.",
            )
    version = cluster["EngineVersion"]
    parameter_group = find_parameter_group(backend, params.get("DBParameterGroupName") or f"default.{engine.family(version)}")
    check_family(parameter_group, engine, version)
    subnet_group = subnet_group_or_default(backend, params.get("DBSubnetGroupName") or cluster["DBSubnetGroup"])
    _, maintenance = choose_windows(params)
    if params.get("DBInstanceClass") == "db.serverless" and not cluster.get("ServerlessV2ScalingConfiguration"):
        raise refuse(
            "InvalidDBClusterStateFault",
            "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 DB instance.",
        )
    shape = _common_shape(backend, name, engine, version, params, subnet_group) | {
        "DBClusterIdentifier": cluster["DBClusterIdentifier"],
        "AllocatedStorage": 1,
        "StorageType": cluster.get("StorageType", "aurora"),
        "MultiAZ": False,
        "PreferredMaintenanceWindow": maintenance,
        "PromotionTier": params.get("PromotionTier", 1),
    }
    instance = Instance(backend, shape, parameter_group["DBParameterGroupName"], check_tags(params.get("Tags")))
    instance.hidden["port"] = cluster["Port"]
    instance.hidden["writer"] = not any(member.hidden.get("writer") for member in members_of(backend, cluster))
    backend.databases[name] = instance
    instance.begin_creating()
    return instance


def members_of(backend: Any, cluster: Record) -> list[Instance]:
    name = cluster["DBClusterIdentifier"]
    return [instance for instance in backend.databases.values() if instance.get("DBClusterIdentifier") == name]


@operation
def create_db_instance(backend: Any, params: Shape) -> Shape:
    if params.get("DBClusterIdentifier"):
        return {"DBInstance": build_member(backend, params).shown("creating")}
    check_free(backend, params.get("DBInstanceIdentifier"))
    engine = engine_named(params.get("Engine"))
    if engine.aurora:
        raise refuse("InvalidParameterCombination", "The parameter DBClusterIdentifier must be provided for Aurora engines.")
    check_new_credentials(engine, params)
    instance = build_instance(backend, params)
    if params.get("ManageMasterUserPassword"):
        instance.hidden["secret"] = MasterUserSecret(
            backend, "db", instance["DBInstanceArn"], instance["MasterUsername"], params.get("MasterUserSecretKmsKeyId")
        )
    else:
        instance.hidden["pending"]["MasterUserPassword"] = "****"
    return {"DBInstance": instance.shown("creating")}


# --- describe --------------------------------------------------------------------------------------------------------


@operation
def describe_db_instances(backend: Any, params: Shape) -> Shape:
    identifier = params.get("DBInstanceIdentifier")
    instances = [find_instance(backend, identifier)] if identifier else list(backend.databases.values())
    instances = filtered(
        params,
        instances,
        {
            "db-cluster-id": "DBClusterIdentifier",
            "db-instance-id": ("DBInstanceIdentifier", "DBInstanceArn"),
            "dbi-resource-id": "DbiResourceId",
            "domain": "Domain",
            "engine": "Engine",
        },
    )
    shown, marker = page(params, instances, lambda instance: instance["DBInstanceIdentifier"])
    return {"DBInstances": [instance.shown() for instance in shown], "Marker": marker}


# --- reboot, stop, start, delete -------------------------------------------------------------------------------------


@operation
def reboot_db_instance(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    need_instance_state(instance, f"Instance {instance.name} is not in available state.")
    if params.get("ForceFailover") and not instance.get("MultiAZ"):
        raise refuse("InvalidParameterCombination", "Cannot force failover of a DB instance that is not Multi-AZ.")

    def restarted() -> None:
        instance.hidden["parameter_apply"].settle("in-sync")
        if params.get("ForceFailover") and "SecondaryAvailabilityZone" in instance:
            instance["AvailabilityZone"], instance["SecondaryAvailabilityZone"] = (
                instance["SecondaryAvailabilityZone"],
                instance["AvailabilityZone"],
            )

    instance.lifecycle.begin("rebooting", on_settled=restarted)
    return {"DBInstance": instance.shown("rebooting")}


@operation
def stop_db_instance(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    if instance.get("DBClusterIdentifier"):
        raise refuse(
            "InvalidDBClusterStateFault", "aurora DB instances are not eligible for stopping or starting; use the DB cluster."
        )
    if instance.get("ReadReplicaSourceDBInstanceIdentifier") or instance["ReadReplicaDBInstanceIdentifiers"]:
        raise refuse("InvalidDBInstanceState", "Cannot stop or start a read replica, or a DB instance that has read replicas.")
    need_instance_state(instance, f"Instance {instance.name} is not in available state.")
    if params.get("DBSnapshotIdentifier"):
        take_snapshot(backend, instance, check_new_snapshot(backend, params["DBSnapshotIdentifier"]), None)
    instance.lifecycle.begin("stopping", then="stopped")
    return {"DBInstance": instance.shown("stopping")}


@operation
def start_db_instance(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    need_instance_state(instance, f"Instance {instance.name} is not stopped, it cannot be started.", "stopped")
    instance.lifecycle.begin("starting")
    return {"DBInstance": instance.shown("starting")}


def begin_deleting(instance: Instance) -> None:
    """Delete an instance whose deletion was found allowed: its secret goes at once, its replicas stand alone."""
    if secret := instance.hidden.pop("secret", None):
        secret.delete()
    backend = instance.backend
    source = backend.databases.get(instance.get("ReadReplicaSourceDBInstanceIdentifier") or "")
    if source is not None and instance.name in source["ReadReplicaDBInstanceIdentifiers"]:
        source["ReadReplicaDBInstanceIdentifiers"].remove(instance.name)
    for replica in instance["ReadReplicaDBInstanceIdentifiers"]:
        if replica in backend.databases:
            backend.databases[replica].pop("ReadReplicaSourceDBInstanceIdentifier", None)
    add_event(backend, "db-instance", instance, instance.name, "deletion", "DB instance deleted")
    instance.lifecycle.begin("deleting", then=GONE)
    cluster = backend.clusters.get(instance.get("DBClusterIdentifier") or "")
    if cluster is not None and instance.hidden.get("writer"):
        # The next member in line takes over when the writer goes.
        instance.hidden["writer"] = False
        heirs = [member for member in members_of(backend, cluster) if member is not instance and member.status != "deleting"]
        if heirs:
            min(heirs, key=lambda member: member.get("PromotionTier", 1)).hidden["writer"] = True


@operation
def delete_db_instance(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    if instance.status == "deleting":
        raise refuse("InvalidDBInstanceState", f"Instance {instance.name} is already being deleted.")
    if instance["DeletionProtection"]:
        raise refuse(
            "InvalidParameterCombination",
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        )
    skip, final = bool(params.get("SkipFinalSnapshot")), params.get("FinalDBSnapshotIdentifier")
    has_own_data = not instance.get("DBClusterIdentifier") and not instance.get("ReadReplicaSourceDBInstanceIdentifier")
    if skip and final:
        raise refuse(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot.",
        )
    if final and not has_own_data:
        raise refuse("InvalidParameterCombination", "A final snapshot cannot be taken of a read replica or a cluster member.")
    if has_own_data and not skip and not final:
        raise refuse(
            "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if final:
        name = check_new_snapshot(backend, final, "FinalDBSnapshotIdentifier")
        need_instance_state(
            instance,
            f"Cannot create a snapshot because the database instance {instance.name} is not currently in the available state.",
            "available",
            "storage-optimization",
            "stopped",
        )
        take_snapshot(backend, instance, name, None)
    if params.get("DeleteAutomatedBackups", True):
        delete_automated_snapshots(backend, instance)
    begin_deleting(instance)
    return {"DBInstance": instance.shown("deleting")}
