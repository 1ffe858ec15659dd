"""Blue/green deployments of DB instances and clusters: a green copy, switched over by exchanging names."""

from __future__ import annotations

import string
from typing import Any

from shopkeeper_double.lifecycle import GONE

from ._records import Record, Shape, now, page, random_name, refuse, tag_list
from .rds_cluster_snapshots import settings_of_cluster
from .rds_clusters import Cluster, begin_deleting_cluster, build_cluster
from .rds_engines import ENGINES, check_upgrade
from .rds_instances import Instance, begin_deleting, build_instance, build_member, members_of
from .rds_resources import arn, check_tags, filtered, find_cluster, find_instance, name_in, operation
from .rds_snapshots import settings_of


def _find(backend: Any, params: Shape) -> Record:
    identifier = params.get("BlueGreenDeploymentIdentifier")
    deployment = backend.blue_green_deployments.get(identifier or "")
    if deployment is None:
        raise refuse(
            "BlueGreenDeploymentNotFoundFault",
            f"BlueGreenDeploymentIdentifier {identifier} doesn't refer to an existing blue/green deployment.",
        )
    return deployment


def _database(backend: Any, database_arn: str) -> Instance | Cluster:
    if not database_arn.startswith("arn:"):
        raise refuse("InvalidParameterValue", f"Source {database_arn} is not a valid ARN.")
    is_cluster = database_arn.split(":")[5] == "cluster"
    found: Any = find_cluster(backend, database_arn) if is_cluster else find_instance(backend, database_arn)
    return found


def _green_name(name: str) -> str:
    return f"{name}-green-{random_name(6, string.ascii_lowercase)}"


def _green_instance(backend: Any, source: Instance, params: Shape, version: str) -> Instance:
    settings = settings_of(source)
    settings.pop("IAMDatabaseAuthenticationEnabled", None)
    wanted = settings | {
        "DBInstanceIdentifier": _green_name(source.name),
        "EngineVersion": version,
        "MultiAZ": source["MultiAZ"],
        "DeletionProtection": source["DeletionProtection"],
        "PubliclyAccessible": source["PubliclyAccessible"],
        "DBSubnetGroupName": source["DBSubnetGroup"]["DBSubnetGroupName"],
        "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in source["VpcSecurityGroups"]],
        "EnableIAMDatabaseAuthentication": source["IAMDatabaseAuthenticationEnabled"],
        "EnableCloudwatchLogsExports": source["EnabledCloudwatchLogsExports"],
        "Tags": tag_list(source.tags),
    }
    if source.engine.family(version) == source.engine.family(source["EngineVersion"]):
        wanted["DBParameterGroupName"] = source.hidden["parameter_group"]
    for key, target in (
        ("DBParameterGroupName", "TargetDBParameterGroupName"),
        ("DBInstanceClass", "TargetDBInstanceClass"),
        ("Iops", "TargetIops"),
        ("StorageType", "TargetStorageType"),
        ("AllocatedStorage", "TargetAllocatedStorage"),
        ("StorageThroughput", "TargetStorageThroughput"),
    ):
        if params.get(target) is not None:
            wanted[key] = params[target]
    return build_instance(backend, wanted)


def _green_cluster(backend: Any, source: Cluster, params: Shape, version: str) -> Cluster:
    wanted = settings_of_cluster(source) | {
        "DBClusterIdentifier": _green_name(source.name),
        "EngineVersion": version,
        "DeletionProtection": source["DeletionProtection"],
        "DBSubnetGroupName": source["DBSubnetGroup"],
        "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in source["VpcSecurityGroups"]],
        "EnableCloudwatchLogsExports": source["EnabledCloudwatchLogsExports"],
        "Tags": tag_list(source.tags),
    }
    if params.get("TargetDBClusterParameterGroupName"):
        wanted["DBClusterParameterGroupName"] = params["TargetDBClusterParameterGroupName"]
    elif source.engine.family(version) == source.engine.family(source["EngineVersion"]):
        wanted["DBClusterParameterGroupName"] = source["DBClusterParameterGroup"]
    green = build_cluster(backend, wanted)
    for member in members_of(backend, source):
        build_member(
            backend,
            {
                "DBInstanceIdentifier": _green_name(member.name),
                "DBClusterIdentifier": green.name,
                "Engine": green["Engine"],
                "DBInstanceClass": params.get("TargetDBInstanceClass") or member["DBInstanceClass"],
                "PromotionTier": member.get("PromotionTier", 1),
                "Tags": tag_list(member.tags),
            },
        )
    return green


def _set_tasks(deployment: Record, status: str) -> None:
    deployment["Tasks"] = [
        {"Name": name, "Status": status}
        for name in ("CREATING_READ_REPLICA_OF_SOURCE", "DB_ENGINE_VERSION_UPGRADE", "CONFIGURE_BACKUPS")
    ]


def _arn_of(database: Instance | Cluster) -> str:
    return database["DBInstanceArn"] if isinstance(database, Instance) else database["DBClusterArn"]


@operation
def create_blue_green_deployment(backend: Any, params: Shape) -> Shape:
    name = params.get("BlueGreenDeploymentName") or ""
    if any(each["BlueGreenDeploymentName"] == name for each in backend.blue_green_deployments.values()):
        raise refuse(
            "BlueGreenDeploymentAlreadyExistsFault", f"A blue/green deployment with the specified name {name} already exists."
        )
    source = _database(backend, params.get("Source") or "")
    is_cluster = isinstance(source, Cluster)
    code = "SourceClusterNotSupportedFault" if is_cluster else "SourceDatabaseNotSupportedFault"
    if "secret" in source.hidden:
        raise refuse(code, f"The source {source.name} isn't supported for a blue/green deployment: RDS manages its password.")
    if source.status != "available":
        state = "InvalidDBClusterStateFault" if is_cluster else "InvalidDBInstanceState"
        raise refuse(state, f"The source {source.name} is not in available state.")
    if not source.get("BackupRetentionPeriod"):
        raise refuse(code, f"The source {source.name} has no automated backups, which a blue/green deployment needs.")
    current = source["EngineVersion"]
    version = current
    if params.get("TargetEngineVersion"):
        version = check_upgrade(ENGINES[source["Engine"]], current, params["TargetEngineVersion"], allow_major=True)
    identifier = "bgd-" + random_name(16)
    deployment = Record(
        {
            "BlueGreenDeploymentIdentifier": identifier,
            "BlueGreenDeploymentName": name,
            "Source": _arn_of(source),
            "CreateTime": now(),
            "BlueGreenDeploymentArn": arn(backend, "deployment", identifier),
        },
        "rds",
        "blue-green-deployment",
        settled="AVAILABLE",
        tags=check_tags(params.get("Tags")),
    )
    green: Instance | Cluster = (
        _green_cluster(backend, source, params, version)
        if isinstance(source, Cluster)
        else _green_instance(backend, source, params, version)
    )
    deployment["Target"] = _arn_of(green)
    deployment.hidden.update(source=source, target=green)
    _set_tasks(deployment, "IN_PROGRESS")
    backend.blue_green_deployments[identifier] = deployment
    _provision(deployment)
    return {"BlueGreenDeployment": _shown(deployment, "PROVISIONING")}


def _provision(deployment: Record, seconds: float | None = None) -> None:
    """Provisioning lasts until the green database is available, however long that takes."""

    def look_again() -> None:
        if deployment.hidden["target"].status == "available":
            _set_tasks(deployment, "COMPLETED")
        else:
            _provision(deployment, seconds=0)

    deployment.lifecycle.begin("PROVISIONING", on_settled=look_again, seconds=seconds)


def _shown(deployment: Record, status: str | None = None) -> Shape:
    shape = deployment.shown(status)
    shape["SwitchoverDetails"] = [
        {"SourceMember": shape["Source"], "TargetMember": shape["Target"], "Status": shape["Status"]}
    ]
    if shape["Status"] == "SWITCHOVER_COMPLETED":
        shape["StatusDetails"] = "Switchover completed"
    return shape


@operation
def describe_blue_green_deployments(backend: Any, params: Shape) -> Shape:
    wanted = params.get("BlueGreenDeploymentIdentifier")
    deployments = [_find(backend, params)] if wanted else list(backend.blue_green_deployments.values())
    deployments = filtered(
        params,
        deployments,
        {
            "blue-green-deployment-identifier": "BlueGreenDeploymentIdentifier",
            "blue-green-deployment-name": "BlueGreenDeploymentName",
            "source": "Source",
            "target": "Target",
        },
    )
    shown, marker = page(params, deployments, lambda each: each["BlueGreenDeploymentIdentifier"])
    return {"BlueGreenDeployments": [_shown(each) for each in shown], "Marker": marker}


@operation
def switchover_blue_green_deployment(backend: Any, params: Shape) -> Shape:
    deployment = _find(backend, params)
    source, target = deployment.hidden["source"], deployment.hidden["target"]
    if deployment.status != "AVAILABLE" or target.status != "available":
        raise refuse(
            "InvalidBlueGreenDeploymentStateFault",
            f"The blue/green deployment {deployment['BlueGreenDeploymentIdentifier']} can't be switched over in state "
            f"{deployment.status}.",
        )

    def exchanged() -> None:
        production = source.name
        blue_members = members_of(backend, source) if isinstance(source, Cluster) else []
        green_members = members_of(backend, target) if isinstance(target, Cluster) else []
        _rename(source, f"{production}-old1")
        _rename(target, production)
        for blue, green in zip(blue_members, green_members, strict=False):
            name = blue.name
            blue.rename(f"{name}-old1")
            green.rename(name)
        deployment.update(Source=_arn_of(source), Target=_arn_of(target))

    deployment.lifecycle.begin("SWITCHOVER_IN_PROGRESS", then="SWITCHOVER_COMPLETED", on_settled=exchanged)
    return {"BlueGreenDeployment": _shown(deployment, "SWITCHOVER_IN_PROGRESS")}


def _rename(database: Instance | Cluster, name: str) -> None:
    database.rename(name) if isinstance(database, Instance) else database.set_name(name)


@operation
def delete_blue_green_deployment(backend: Any, params: Shape) -> Shape:
    deployment = _find(backend, params)
    status = deployment.status
    if status in ("DELETING", "SWITCHOVER_IN_PROGRESS") or (params.get("DeleteTarget") and status == "SWITCHOVER_COMPLETED"):
        raise refuse(
            "InvalidBlueGreenDeploymentStateFault",
            f"The blue/green deployment {deployment['BlueGreenDeploymentIdentifier']} can't be deleted so in state {status}.",
        )
    target = deployment.hidden["target"]
    if (
        params.get("DeleteTarget")
        and name_in(deployment["Target"]) in (backend.databases, backend.clusters)[isinstance(target, Cluster)]
    ):
        if isinstance(target, Cluster):
            for member in members_of(backend, target):
                begin_deleting(member)
            begin_deleting_cluster(target)
        else:
            begin_deleting(target)
    deployment["DeleteTime"] = now()
    deployment.lifecycle.begin("DELETING", then=GONE)
    return {"BlueGreenDeployment": _shown(deployment, "DELETING")}
