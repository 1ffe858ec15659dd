"""Aurora DB clusters: create, describe, modify, fail over, stop, start, delete; their endpoints follow the members."""

from __future__ import annotations

import string
from typing import Any

from shopkeeper_double.lifecycle import GONE

from ._records import Record, Shape, now, page, random_name, refuse
from .rds_cluster_snapshots import check_new_cluster_snapshot, take_cluster_snapshot
from .rds_engines import ENGINES, Engine, check_upgrade, engine_named
from .rds_groups import find_parameter_group, subnet_group_or_default
from .rds_instance_checks import check_family, check_log_types, check_retention, check_windows, choose_windows
from .rds_instances import endpoint_address, members_of
from .rds_resources import (
    add_event,
    arn,
    check_identifier,
    check_tags,
    filtered,
    find_cluster,
    key_arn,
    name_in,
    need_cluster_available,
    operation,
    security_group_memberships,
)
from .rds_secrets import MasterUserSecret, check_new_credentials, modify_credentials


class Cluster(Record):
    """A DB cluster. Who its members are and which of them writes is read from the instances."""

    def __init__(self, backend: Any, shape: Shape, tags: list[Shape] | None) -> None:
        super().__init__(shape, "rds", "db-cluster", tags=tags)
        self.backend = backend
        self.hidden["pending"] = {}

    @property
    def name(self) -> str:
        return self["DBClusterIdentifier"]

    @property
    def engine(self) -> Engine:
        return ENGINES[self["Engine"]]

    @property
    def endpoint(self) -> str:
        """moto's proxies read it as an attribute."""
        return self["Endpoint"]

    def shown(self, status: str | None = None) -> Shape:
        shape = super().shown(status)
        members = members_of(self.backend, self)
        shape["DBClusterMembers"] = [
            {
                "DBInstanceIdentifier": member.name,
                "IsClusterWriter": bool(member.hidden.get("writer")),
                "DBClusterParameterGroupStatus": "in-sync",
                "PromotionTier": member.get("PromotionTier", 1),
            }
            for member in members
        ]
        shape["MultiAZ"] = len({member.get("AvailabilityZone") for member in members}) > 1
        shape["LatestRestorableTime"] = now()
        if self.hidden["pending"]:
            shape["PendingModifiedValues"] = dict(self.hidden["pending"])
        if secret := self.hidden.get("secret"):
            shape["MasterUserSecret"] = secret.shape()
        return shape

    def set_name(self, name: str) -> None:
        """Identifier, ARN and endpoints; a cluster that is already stored moves with its members."""
        old_name = self.get("DBClusterIdentifier")
        members = members_of(self.backend, self) if old_name else []
        if old_name and old_name in self.backend.clusters:
            del self.backend.clusters[old_name]
        self.update(
            DBClusterIdentifier=name,
            DBClusterArn=arn(self.backend, "cluster", name),
            Endpoint=endpoint_address(self.backend, name, "cluster-"),
            ReaderEndpoint=endpoint_address(self.backend, name, "cluster-ro-"),
        )
        for member in members:
            member["DBClusterIdentifier"] = name
        self.backend.clusters[name] = self

    def apply_pending(self) -> None:
        pending, self.hidden["pending"] = self.hidden["pending"], {}
        pending.pop("MasterUserPassword", None)
        if name := pending.pop("DBClusterIdentifier", None):
            self.set_name(name)
        if exports := pending.pop("PendingCloudwatchLogsExports", None):
            enabled = set(self["EnabledCloudwatchLogsExports"]) - set(exports["LogTypesToDisable"])
            self["EnabledCloudwatchLogsExports"] = sorted(enabled | set(exports["LogTypesToEnable"]))
        version = pending.get("EngineVersion")
        if version and self["DBClusterParameterGroup"] == f"default.{self.engine.family(self['EngineVersion'])}":
            self["DBClusterParameterGroup"] = find_parameter_group(
                self.backend, f"default.{self.engine.family(version)}", cluster=True
            )["DBClusterParameterGroupName"]
        self.update(pending)


def check_serverless(scaling: Shape | None) -> Shape | None:
    if not scaling:
        return None
    low, high = scaling.get("MinCapacity"), scaling.get("MaxCapacity")
    for name, value in (("MinCapacity", low), ("MaxCapacity", high)):
        if value is not None and (not 0 <= value <= 256 or (value * 2) % 1):
            raise refuse(
                "InvalidParameterValue", f"The {name} of a Serverless v2 cluster is 0 to 256 in steps of 0.5: {value}"
            )
    if high is not None and high < 1:
        raise refuse("InvalidParameterValue", f"Serverless v2 maximum capacity {high} isn't valid. It must be at least 1.")
    if low is not None and high is not None and low > high:
        raise refuse(
            "InvalidParameterCombination",
            f"Serverless v2 minimum capacity {low} must not be greater than maximum capacity {high}.",
        )
    shape = {key: float(value) for key, value in (("MinCapacity", low), ("MaxCapacity", high)) if value is not None}
    if low == 0:
        shape["SecondsUntilAutoPause"] = scaling.get("SecondsUntilAutoPause") or 300
    return shape


def check_cluster_free(backend: Any, identifier: str | None) -> str:
    name = check_identifier("DBClusterIdentifier", identifier)
    if name in backend.clusters:
        raise refuse("DBClusterAlreadyExistsFault", "DB Cluster already exists")
    return name


def build_cluster(backend: Any, params: Shape) -> Cluster:
    """Check the settings of a new cluster and store it in state creating; credentials are the caller's."""
    name = check_cluster_free(backend, params.get("DBClusterIdentifier"))
    engine = engine_named(params.get("Engine"))
    if not engine.aurora:
        raise refuse("InvalidParameterValue", f"Engine {engine.name} is offered here without Multi-AZ DB clusters.")
    version = engine.resolve(params.get("EngineVersion"))
    group = find_parameter_group(
        backend, params.get("DBClusterParameterGroupName") or f"default.{engine.family(version)}", cluster=True
    )
    check_family(group, engine, version)
    subnet_group = subnet_group_or_default(backend, params.get("DBSubnetGroupName"))
    retention = params.get("BackupRetentionPeriod", 1)
    check_retention(retention, 1)
    backup, maintenance = choose_windows(params)
    storage = params.get("StorageType") or "aurora"
    if storage not in ("aurora", "aurora-iopt1"):
        raise refuse("InvalidParameterValue", f"Invalid storage type: {storage}")
    scaling = check_serverless(params.get("ServerlessV2ScalingConfiguration"))
    global_cluster = None
    if params.get("GlobalClusterIdentifier"):
        global_cluster = backend.global_clusters.get(params["GlobalClusterIdentifier"])
        if global_cluster is None:
            raise refuse("GlobalClusterNotFoundFault", f"Global cluster {params['GlobalClusterIdentifier']} not found.")
    tags = check_tags(params.get("Tags"))
    encrypted = bool(params.get("StorageEncrypted") or params.get("KmsKeyId"))
    zones = sorted({each["SubnetAvailabilityZone"]["Name"] for each in subnet_group["Subnets"]})
    shape = {
        "AllocatedStorage": 1,
        "AvailabilityZones": params.get("AvailabilityZones")
        or zones[:3]
        or [f"{backend.region_name}{each}" for each in "abc"],
        "BackupRetentionPeriod": retention,
        "DBClusterParameterGroup": group["DBClusterParameterGroupName"],
        "DBSubnetGroup": subnet_group["DBSubnetGroupName"],
        "CustomEndpoints": [],
        "Engine": engine.name,
        "EngineVersion": version,
        "EngineMode": params.get("EngineMode") or "provisioned",
        "Port": params.get("Port") or engine.port,
        "MasterUsername": params.get("MasterUsername"),
        "DBClusterOptionGroupMemberships": [],
        "PreferredBackupWindow": backup,
        "PreferredMaintenanceWindow": maintenance,
        "ReadReplicaIdentifiers": [],
        "VpcSecurityGroups": security_group_memberships(backend, params.get("VpcSecurityGroupIds"), subnet_group["VpcId"]),
        "HostedZoneId": "Z2R2ITUGPM61AM",
        "StorageEncrypted": encrypted,
        "DbClusterResourceId": "cluster-" + random_name(26, string.ascii_uppercase + string.digits),
        "AssociatedRoles": [],
        "IAMDatabaseAuthenticationEnabled": params.get("EnableIAMDatabaseAuthentication", False),
        "ClusterCreateTime": now(),
        "EarliestRestorableTime": now(),
        "EnabledCloudwatchLogsExports": check_log_types(engine, version, params.get("EnableCloudwatchLogsExports") or []),
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
        "DeletionProtection": params.get("DeletionProtection", False),
        "HttpEndpointEnabled": params.get("EnableHttpEndpoint", False),
        "ActivityStreamStatus": "stopped",
        "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", False),
        "CrossAccountClone": False,
        "DomainMemberships": [],
        "NetworkType": params.get("NetworkType") or "IPV4",
        "DatabaseInsightsMode": params.get("DatabaseInsightsMode") or "standard",
        "EngineLifecycleSupport": params.get("EngineLifecycleSupport") or "open-source-rds-extended-support",
    }
    # AWS leaves StorageType out for the standard configuration and names only I/O-Optimized.
    if storage != "aurora":
        shape["StorageType"] = storage
    if params.get("DatabaseName"):
        shape["DatabaseName"] = params["DatabaseName"]
    if encrypted:
        shape["KmsKeyId"] = key_arn(backend, params.get("KmsKeyId"))
    if scaling:
        shape["ServerlessV2ScalingConfiguration"] = scaling
    if params.get("BacktrackWindow"):
        shape["BacktrackWindow"] = params["BacktrackWindow"]
    cluster = Cluster(backend, shape, tags)
    cluster.set_name(name)
    if global_cluster is not None:
        cluster["GlobalClusterIdentifier"] = global_cluster["GlobalClusterIdentifier"]
        global_cluster.hidden["members"].append(cluster["DBClusterArn"])
    cluster.lifecycle.begin(
        "creating",
        on_settled=lambda: add_event(backend, "db-cluster", cluster, cluster.name, "creation", "DB cluster created"),
    )
    return cluster


@operation
def create_db_cluster(backend: Any, params: Shape) -> Shape:
    check_cluster_free(backend, params.get("DBClusterIdentifier"))
    engine = engine_named(params.get("Engine"))
    # The secondary of a global database has its primary's credentials.
    if not params.get("GlobalClusterIdentifier") or params.get("MasterUsername"):
        check_new_credentials(engine, params)
    cluster = build_cluster(backend, params)
    if params.get("ManageMasterUserPassword"):
        cluster.hidden["secret"] = MasterUserSecret(
            backend, "cluster", cluster["DBClusterArn"], cluster["MasterUsername"], params.get("MasterUserSecretKmsKeyId")
        )
    return {"DBCluster": cluster.shown("creating")}


@operation
def describe_db_clusters(backend: Any, params: Shape) -> Shape:
    identifier = params.get("DBClusterIdentifier")
    clusters = [find_cluster(backend, identifier)] if identifier else list(backend.clusters.values())
    clusters = filtered(
        params,
        clusters,
        {
            "db-cluster-id": ("DBClusterIdentifier", "DBClusterArn"),
            "db-cluster-resource-id": "DbClusterResourceId",
            "engine": "Engine",
            "domain": "Domain",
            "clone-group-id": "CloneGroupId",
        },
    )
    shown, marker = page(params, clusters, lambda cluster: cluster["DBClusterIdentifier"])
    return {"DBClusters": [cluster.shown() for cluster in shown], "Marker": marker}


@operation
def describe_db_cluster_endpoints(backend: Any, params: Shape) -> Shape:
    wanted = params.get("DBClusterIdentifier")
    clusters = [find_cluster(backend, wanted)] if wanted else list(backend.clusters.values())
    endpoints = [
        {
            "DBClusterIdentifier": cluster["DBClusterIdentifier"],
            "Endpoint": cluster[key],
            "EndpointType": kind,
            "Status": "available",
        }
        for cluster in clusters
        for kind, key in (("WRITER", "Endpoint"), ("READER", "ReaderEndpoint"))
    ]
    shown, marker = page(params, endpoints, lambda each: each["Endpoint"])
    return {"DBClusterEndpoints": shown, "Marker": marker}


# --- modify ----------------------------------------------------------------------------------------------------------


@operation
def modify_db_cluster(backend: Any, params: Shape) -> Shape:
    cluster: Any = find_cluster(backend, params.get("DBClusterIdentifier"))
    scaling = check_serverless(_merged_scaling(cluster, params.get("ServerlessV2ScalingConfiguration")))
    need_cluster_available(cluster)
    engine, version = cluster.engine, cluster["EngineVersion"]
    check_retention(params.get("BackupRetentionPeriod"), 1)
    backup = params.get("PreferredBackupWindow") or cluster["PreferredBackupWindow"]
    maintenance = (params.get("PreferredMaintenanceWindow") or cluster["PreferredMaintenanceWindow"]).lower()
    if params.get("PreferredBackupWindow") or params.get("PreferredMaintenanceWindow"):
        check_windows(backup, maintenance)
    wanted: Shape = {}
    if params.get("EngineVersion"):
        wanted["EngineVersion"] = check_upgrade(
            engine, version, params["EngineVersion"], bool(params.get("AllowMajorVersionUpgrade"))
        )
    if params.get("StorageType"):
        if params["StorageType"] not in ("aurora", "aurora-iopt1"):
            raise refuse("InvalidParameterValue", f"Invalid storage type: {params['StorageType']}")
        wanted["StorageType"] = params["StorageType"]
    if params.get("EnableIAMDatabaseAuthentication") is not None:
        wanted["IAMDatabaseAuthenticationEnabled"] = params["EnableIAMDatabaseAuthentication"]
    if params.get("NewDBClusterIdentifier") and params["NewDBClusterIdentifier"].lower() != cluster.name:
        wanted["DBClusterIdentifier"] = check_cluster_free(backend, params["NewDBClusterIdentifier"])
    group = None
    if params.get("DBClusterParameterGroupName"):
        group = find_parameter_group(backend, params["DBClusterParameterGroupName"], cluster=True)
        check_family(group, engine, wanted.get("EngineVersion", version))
    memberships = None
    if params.get("VpcSecurityGroupIds") is not None:
        vpc_id = subnet_group_or_default(backend, cluster["DBSubnetGroup"])["VpcId"]
        memberships = security_group_memberships(backend, params["VpcSecurityGroupIds"], vpc_id)
    logs = params.get("CloudwatchLogsExportConfiguration") or {}
    enable = check_log_types(engine, version, logs.get("EnableLogTypes") or [])
    disable = check_log_types(engine, version, logs.get("DisableLogTypes") or [])
    resets_credentials = modify_credentials(backend, cluster, "cluster", cluster["DBClusterArn"], engine, params)

    for key in ("DeletionProtection", "CopyTagsToSnapshot", "AutoMinorVersionUpgrade", "DatabaseInsightsMode"):
        if params.get(key) is not None:
            cluster[key] = params[key]
    if params.get("EnableHttpEndpoint") is not None:
        cluster["HttpEndpointEnabled"] = params["EnableHttpEndpoint"]
    cluster.update(PreferredBackupWindow=backup, PreferredMaintenanceWindow=maintenance)
    state = None
    for key, value in (
        ("BackupRetentionPeriod", params.get("BackupRetentionPeriod")),
        ("ServerlessV2ScalingConfiguration", scaling),
        ("DBClusterParameterGroup", group and group["DBClusterParameterGroupName"]),
        ("VpcSecurityGroups", memberships),
        ("Port", params.get("Port")),
        ("BacktrackWindow", params.get("BacktrackWindow")),
    ):
        if value is not None and cluster.get(key) != value:
            cluster[key] = value
            state = "modifying"
    pending = cluster.hidden["pending"]
    if enable or disable:
        pending["PendingCloudwatchLogsExports"] = {"LogTypesToEnable": enable, "LogTypesToDisable": disable}
        state = state or "modifying"
    if resets_credentials:
        state = "resetting-master-credentials"
    for key, value in wanted.items():
        if cluster.get(key, "aurora" if key == "StorageType" else None) != value:
            pending[key] = value
        else:
            pending.pop(key, None)
    deferred = {
        key: pending[key]
        for key in ("EngineVersion", "DBClusterIdentifier", "IAMDatabaseAuthenticationEnabled", "StorageType")
        if key in pending
    }
    at_once = bool(params.get("ApplyImmediately"))
    if at_once and deferred:
        state = (
            "upgrading" if "EngineVersion" in deferred else "renaming" if "DBClusterIdentifier" in deferred else "modifying"
        )
    if state:
        held = {} if at_once else deferred

        def apply() -> None:
            for key in held:
                pending.pop(key, None)
            cluster.apply_pending()
            cluster.hidden["pending"].update(held)

        cluster.lifecycle.begin(state, on_settled=apply)
    return {"DBCluster": cluster.shown()}


def _merged_scaling(cluster: Record, scaling: Shape | None) -> Shape | None:
    return {**cluster.get("ServerlessV2ScalingConfiguration", {}), **scaling} if scaling else None


# --- failover, stop, start, delete -----------------------------------------------------------------------------------


@operation
def failover_db_cluster(backend: Any, params: Shape) -> Shape:
    cluster: Any = find_cluster(backend, params.get("DBClusterIdentifier"))
    need_cluster_available(cluster)
    members = members_of(backend, cluster)
    readers = [member for member in members if not member.hidden.get("writer") and member.status == "available"]
    target_name = params.get("TargetDBInstanceIdentifier")
    if target_name:
        target = next((member for member in members if member.name == name_in(target_name).lower()), None)
        if target is None:
            raise refuse("DBInstanceNotFound", f"Cannot find target instance: {target_name}")
        if target.status != "available":
            raise refuse("InvalidDBInstanceState", f"Instance {target_name} should be in valid state for failover.")
    elif not readers:
        raise refuse(
            "InvalidDBClusterStateFault",
            f"Database cluster:{cluster.name} should have at least two database instances in valid states or a valid target "
            "instance for failover.",
        )
    else:
        target = min(readers, key=lambda member: member.get("PromotionTier", 1))

    def promoted() -> None:
        for member in members_of(backend, cluster):
            member.hidden["writer"] = member is target

    cluster.lifecycle.begin("failing-over", on_settled=promoted)
    return {"DBCluster": cluster.shown("failing-over")}


@operation
def reboot_db_cluster(backend: Any, params: Shape) -> Shape:
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    need_cluster_available(cluster)
    cluster.lifecycle.begin("rebooting")
    return {"DBCluster": cluster.shown("rebooting")}


@operation
def stop_db_cluster(backend: Any, params: Shape) -> Shape:
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    need_cluster_available(cluster)
    for member in members_of(backend, cluster):
        member.lifecycle.begin("stopping", then="stopped")
    cluster.lifecycle.begin("stopping", then="stopped")
    return {"DBCluster": cluster.shown("stopping")}


@operation
def start_db_cluster(backend: Any, params: Shape) -> Shape:
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    if cluster.status != "stopped":
        raise refuse(
            "InvalidDBClusterStateFault",
            f"DbCluster {cluster['DBClusterIdentifier']} is in {cluster.status} state but expected it to be one of "
            "stopped,inaccessible-encryption-credentials-recoverable.",
        )
    for member in members_of(backend, cluster):
        member.lifecycle.begin("starting")
    cluster.lifecycle.begin("starting")
    return {"DBCluster": cluster.shown("starting")}


def begin_deleting_cluster(cluster: Cluster) -> None:
    if secret := cluster.hidden.pop("secret", None):
        secret.delete()
    for global_cluster in cluster.backend.global_clusters.values():
        if cluster["DBClusterArn"] in global_cluster.hidden["members"]:
            global_cluster.hidden["members"].remove(cluster["DBClusterArn"])
    add_event(cluster.backend, "db-cluster", cluster, cluster.name, "deletion", "DB cluster deleted")
    cluster.lifecycle.begin("deleting", then=GONE)


@operation
def delete_db_cluster(backend: Any, params: Shape) -> Shape:
    cluster: Any = find_cluster(backend, params.get("DBClusterIdentifier"))
    if cluster.status == "deleting":
        raise refuse("InvalidDBClusterStateFault", f"Cluster {cluster.name} is already being deleted.")
    if cluster["DeletionProtection"]:
        raise refuse(
            "InvalidParameterCombination",
            "Cannot delete protected Cluster, please disable deletion protection and try again.",
        )
    skip, final = bool(params.get("SkipFinalSnapshot")), params.get("FinalDBSnapshotIdentifier")
    if skip and final:
        raise refuse(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot.",
        )
    if not skip and not final:
        raise refuse(
            "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if any(member.status != "deleting" for member in members_of(backend, cluster)):
        raise refuse(
            "InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state."
        )
    if final:
        name = check_new_cluster_snapshot(backend, final, "FinalDBSnapshotIdentifier")
        need_cluster_available(cluster)
        take_cluster_snapshot(backend, cluster, name, None)
    begin_deleting_cluster(cluster)
    return {"DBCluster": cluster.shown("deleting")}
