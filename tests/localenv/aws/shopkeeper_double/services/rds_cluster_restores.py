"""DB clusters made from others (restored), and global clusters."""

from __future__ import annotations

import copy
import string
from typing import Any

from ._records import Record, Shape, page, random_name, refuse, tag_list
from .rds_cluster_snapshots import find_cluster_snapshot, settings_of_cluster
from .rds_clusters import Cluster, build_cluster, check_cluster_free
from .rds_engines import check_upgrade, engine_named
from .rds_resources import check_identifier, check_tags, find_cluster, operation
from .rds_secrets import MasterUserSecret


def _restored(backend: Any, settings: Shape, params: Shape, source_tags: dict[str, str]) -> Cluster:
    wanted = copy.deepcopy(settings) | {key: value for key, value in params.items() if value is not None}
    # The key and the encryption are the data's, and the restore keeps them unless another key is named.
    if not params.get("Tags"):
        wanted["Tags"] = tag_list(source_tags)
    cluster = build_cluster(backend, wanted)
    if params.get("ManageMasterUserPassword"):
        cluster.hidden["secret"] = MasterUserSecret(
            backend, "cluster", cluster["DBClusterArn"], cluster["MasterUsername"], params.get("MasterUserSecretKmsKeyId")
        )
    return cluster


@operation
def restore_db_cluster_from_snapshot(backend: Any, params: Shape) -> Shape:
    check_cluster_free(backend, params.get("DBClusterIdentifier"))
    snapshot = find_cluster_snapshot(backend, params.get("SnapshotIdentifier"))
    if snapshot.status != "available":
        raise refuse("InvalidDBClusterSnapshotStateFault", "The snapshot is not in available state.")
    if params.get("Engine") != snapshot["Engine"]:
        raise refuse(
            "InvalidParameterCombination", f"The snapshot's engine is {snapshot['Engine']}, not {params.get('Engine')}."
        )
    return {"DBCluster": _restored(backend, snapshot.hidden["settings"], params, snapshot.tags).shown("creating")}


@operation
def restore_db_cluster_to_point_in_time(backend: Any, params: Shape) -> Shape:
    check_cluster_free(backend, params.get("DBClusterIdentifier"))
    source = find_cluster(backend, params.get("SourceDBClusterIdentifier"))
    if params.get("RestoreToTime") and params.get("UseLatestRestorableTime"):
        raise refuse("InvalidParameterCombination", "Cannot specify both RestoreToTime and UseLatestRestorableTime")
    if not params.get("RestoreToTime") and not params.get("UseLatestRestorableTime"):
        raise refuse("InvalidParameterCombination", "Specify either RestoreToTime or UseLatestRestorableTime")
    tags = source.tags if source["CopyTagsToSnapshot"] else {}
    return {"DBCluster": _restored(backend, settings_of_cluster(source), params, tags).shown("creating")}


# --- global clusters -------------------------------------------------------------------------------------------------


def _find_global(backend: Any, identifier: str | None) -> Record:
    record = backend.global_clusters.get(identifier or "")
    if record is None:
        raise refuse("GlobalClusterNotFoundFault", f"Global cluster {identifier} not found.")
    return record


def _global_shape(cluster: Record, status: str | None = None) -> Shape:
    shape = cluster.shown(status)
    members = cluster.hidden["members"]
    shape["GlobalClusterMembers"] = [
        {
            "DBClusterArn": each,
            "Readers": members[1:] if index == 0 else [],
            "IsWriter": index == 0,
            "SynchronizationStatus": "connected",
        }
        for index, each in enumerate(members)
    ]
    return shape


@operation
def create_global_cluster(backend: Any, params: Shape) -> Shape:
    name = check_identifier("GlobalClusterIdentifier", params.get("GlobalClusterIdentifier"))
    if name in backend.global_clusters:
        raise refuse("GlobalClusterAlreadyExistsFault", f"Global cluster {name} already exists.")
    source = None
    if params.get("SourceDBClusterIdentifier"):
        if not params["SourceDBClusterIdentifier"].startswith("arn:"):
            raise refuse("InvalidParameterValue", f"Malformed db cluster arn {params['SourceDBClusterIdentifier']}")
        if params.get("Engine"):
            raise refuse(
                "InvalidParameterCombination",
                "When creating global cluster from existing db cluster, value for engineName should not be specified since it "
                "will be inherited from source cluster",
            )
        source = find_cluster(backend, params["SourceDBClusterIdentifier"])
        engine, version = engine_named(source["Engine"]), source["EngineVersion"]
    else:
        if not params.get("Engine"):
            raise refuse(
                "InvalidParameterValue", "When creating standalone global cluster, value for engineName should be specified"
            )
        engine = engine_named(params["Engine"])
        version = engine.resolve(params.get("EngineVersion"))
    cluster = Record(
        {
            "GlobalClusterIdentifier": name,
            "GlobalClusterResourceId": "cluster-" + random_name(16, string.hexdigits.lower()),
            # A global cluster belongs to no region.
            "GlobalClusterArn": f"arn:{backend.partition}:rds::{backend.account_id}:global-cluster:{name}",
            "Engine": engine.name,
            "EngineVersion": version,
            "EngineLifecycleSupport": params.get("EngineLifecycleSupport") or "open-source-rds-extended-support",
            "StorageEncrypted": source["StorageEncrypted"] if source is not None else bool(params.get("StorageEncrypted")),
            "DeletionProtection": bool(params.get("DeletionProtection")),
            "Endpoint": f"{name}.global-{random_name(12)}.global.rds.amazonaws.com",
        },
        "rds",
        "global-cluster",
        tags=check_tags(params.get("Tags")),
    )
    if params.get("DatabaseName"):
        cluster["DatabaseName"] = params["DatabaseName"]
    cluster.hidden["members"] = [source["DBClusterArn"]] if source is not None else []
    if source is not None:
        source["GlobalClusterIdentifier"] = name
    backend.global_clusters[name] = cluster
    return {"GlobalCluster": _global_shape(cluster)}


@operation
def describe_global_clusters(backend: Any, params: Shape) -> Shape:
    wanted = params.get("GlobalClusterIdentifier")
    clusters = [_find_global(backend, wanted)] if wanted else list(backend.global_clusters.values())
    shown, marker = page(params, clusters, lambda cluster: cluster["GlobalClusterIdentifier"])
    return {"GlobalClusters": [_global_shape(cluster) for cluster in shown], "Marker": marker}


@operation
def modify_global_cluster(backend: Any, params: Shape) -> Shape:
    cluster = _find_global(backend, params.get("GlobalClusterIdentifier"))
    if params.get("EngineVersion"):
        engine = engine_named(cluster["Engine"])
        cluster["EngineVersion"] = check_upgrade(
            engine, cluster["EngineVersion"], params["EngineVersion"], bool(params.get("AllowMajorVersionUpgrade"))
        )
    if params.get("DeletionProtection") is not None:
        cluster["DeletionProtection"] = params["DeletionProtection"]
    cluster.lifecycle.begin("modifying")
    return {"GlobalCluster": _global_shape(cluster)}


@operation
def remove_from_global_cluster(backend: Any, params: Shape) -> Shape:
    cluster = _find_global(backend, params.get("GlobalClusterIdentifier"))
    member = find_cluster(backend, params.get("DbClusterIdentifier"))
    if member["DBClusterArn"] not in cluster.hidden["members"]:
        raise refuse("DBClusterNotFoundFault", f"{member['DBClusterIdentifier']} is not a member of the global cluster.")
    cluster.hidden["members"].remove(member["DBClusterArn"])
    member.pop("GlobalClusterIdentifier", None)
    return {"GlobalCluster": _global_shape(cluster)}


@operation
def delete_global_cluster(backend: Any, params: Shape) -> Shape:
    cluster = _find_global(backend, params.get("GlobalClusterIdentifier"))
    if cluster["DeletionProtection"]:
        raise refuse(
            "InvalidParameterCombination",
            "Cannot delete protected Global Cluster, please disable deletion protection and try again.",
        )
    if cluster.hidden["members"]:
        raise refuse("InvalidGlobalClusterStateFault", f"Global Cluster {cluster['GlobalClusterArn']} is not empty")
    del backend.global_clusters[cluster["GlobalClusterIdentifier"]]
    return {"GlobalCluster": _global_shape(cluster, "deleting")}
