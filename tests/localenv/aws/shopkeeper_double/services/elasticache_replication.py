"""Replication groups: create, describe, delete; their shards, members and host names.

Members are not resources of their own here: DescribeCacheClusters works them out from the group, so that the two answers
always agree.
"""

from __future__ import annotations

import copy
import datetime
from typing import Any

from shopkeeper_double.lifecycle import GONE, Lifecycle, clock

from ._records import Record, Shape, now, page, refuse
from .elasticache_engines import ENGINES, Engine, check_node_type, engine_named
from .elasticache_groups import check_family, find_parameter_group, find_subnet_group, has_cluster_mode, zones_of
from .elasticache_resources import (
    account_hash,
    arn,
    check_identifier,
    check_security_groups,
    check_tags,
    find,
    host,
    key_arn,
    operation,
    store,
)
from .elasticache_snapshots import check_new_snapshot, find_available_snapshot, take_snapshot

MOST_REPLICAS = 5


class ReplicationGroup(Record):
    """A replication group. `hidden["shards"]` holds its shards, each with the ids of its members, the primary named."""

    def __init__(self, backend: Any, shape: Shape, tags: list[Shape] | None) -> None:
        super().__init__(shape, "elasticache", "replication-group", tags=tags)
        self.backend = backend
        self.hidden.update(
            shards=[],
            member_tags={},
            pending={},
            parameter_apply=Lifecycle("elasticache", "parameter-group", settled="in-sync"),
            zones_in_use=self.zones_in_use,
        )

    @property
    def name(self) -> str:
        return self["ReplicationGroupId"]

    @property
    def engine(self) -> Engine:
        return ENGINES[self["Engine"]]

    @property
    def replicas(self) -> int:
        """Replicas of the shard that has fewest."""
        return min((len(shard["members"]) - 1 for shard in self.hidden["shards"]), default=0)

    def zones_in_use(self) -> list[str]:
        return [member["zone"] for shard in self.hidden["shards"] for member in shard["members"]]

    # --- shards and members ------------------------------------------------------------------------------------------

    def add_shard(self, replicas: int, zones: list[str] | None = None) -> None:
        number = 1 + max((int(shard["id"]) for shard in self.hidden["shards"]), default=0)
        shard: Shape = {"id": f"{number:04}", "members": [], "primary": "", "next": 1}
        self.hidden["shards"].append(shard)
        for index in range(1 + replicas):
            self.add_member(shard, (zones or [None] * (index + 1))[index] if zones and index < len(zones) else None)
        shard["primary"] = shard["members"][0]["id"]
        self.share_slots()

    def add_member(self, shard: Shape, zone: str | None = None) -> None:
        in_shard = f"{shard['id']}-" if self["ClusterEnabled"] else ""
        available = self.hidden["zones"]
        shard["members"].append(
            {
                "id": f"{self.name}-{in_shard}{shard['next']:03}",
                "zone": zone or available[len(shard["members"]) % len(available)],
                "created": now(),
            }
        )
        shard["next"] += 1
        self.set_members()

    def drop_member(self, shard: Shape, member_id: str) -> None:
        shard["members"] = [member for member in shard["members"] if member["id"] != member_id]
        self.set_members()

    def set_members(self) -> None:
        self["MemberClusters"] = [member["id"] for shard in self.hidden["shards"] for member in shard["members"]]

    def share_slots(self) -> None:
        """Each shard holds an equal part of the 16384 slots."""
        shards = self.hidden["shards"]
        if not self["ClusterEnabled"]:
            return
        edges = [round(index * 16384 / len(shards)) for index in range(len(shards) + 1)]
        for shard, low, high in zip(shards, edges, edges[1:], strict=False):
            shard["slots"] = f"{low}-{high - 1}"

    def find_shard(self, shard_id: str | None) -> Shape:
        for shard in self.hidden["shards"]:
            if shard["id"] == shard_id:
                return shard
        raise refuse("NodeGroupNotFoundFault", f"Node group {shard_id} not found in replication group {self.name}.")

    # --- host names --------------------------------------------------------------------------------------------------

    def _endpoint(self, *labels: str) -> Shape:
        return {"Address": host(self.backend, *labels), "Port": self.hidden["port"]}

    def primary_endpoint(self) -> Shape:
        if self["TransitEncryptionEnabled"]:
            return self._endpoint("master", self.name, account_hash(self.backend))
        return self._endpoint(self.name, account_hash(self.backend), "ng", "0001")

    def reader_endpoint(self) -> Shape:
        if self["TransitEncryptionEnabled"]:
            return self._endpoint("replica", self.name, account_hash(self.backend))
        return self._endpoint(f"{self.name}-ro", account_hash(self.backend), "ng", "0001")

    def configuration_endpoint(self) -> Shape:
        return self._endpoint("clustercfg", self.name, account_hash(self.backend))

    def member_endpoint(self, member_id: str) -> Shape:
        if self["TransitEncryptionEnabled"]:
            return self._endpoint(member_id, self.name, account_hash(self.backend))
        return self._endpoint(member_id, account_hash(self.backend), "0001")

    # --- answers -----------------------------------------------------------------------------------------------------

    def shown(self, status: str | None = None) -> Shape:
        shape = super().shown(status)
        shape["PendingModifiedValues"] = copy.deepcopy(self.hidden["pending"].get("shown", {}))
        if shape["Status"] == "creating":
            # The nodes have no addresses yet.
            return shape
        shape["NodeGroups"] = [self._shard_shape(shard, shape["Status"]) for shard in self.hidden["shards"]]
        if self["ClusterEnabled"]:
            shape["ConfigurationEndpoint"] = self.configuration_endpoint()
        return shape

    def _shard_shape(self, shard: Shape, status: str) -> Shape:
        members = []
        for member in shard["members"]:
            shape = {
                "CacheClusterId": member["id"],
                "CacheNodeId": "0001",
                "PreferredAvailabilityZone": member["zone"],
            }
            if not self["ClusterEnabled"]:
                # With cluster mode, roles and node addresses are what the engine itself tells.
                shape["CurrentRole"] = "primary" if member["id"] == shard["primary"] else "replica"
                shape["ReadEndpoint"] = self.member_endpoint(member["id"])
            members.append(shape)
        group: Shape = {"NodeGroupId": shard["id"], "Status": status, "NodeGroupMembers": members}
        if self["ClusterEnabled"]:
            group["Slots"] = shard["slots"]
        else:
            group["PrimaryEndpoint"] = self.primary_endpoint()
            group["ReaderEndpoint"] = self.reader_endpoint()
        return group

    def member_shapes(self) -> list[Shape]:
        """The members as DescribeCacheClusters shows them."""
        status = self.status
        shapes = []
        for shard in self.hidden["shards"]:
            for member in shard["members"]:
                node: Shape = {
                    "CacheNodeId": "0001",
                    "CacheNodeStatus": status,
                    "CacheNodeCreateTime": member["created"],
                    "ParameterGroupStatus": self.hidden["parameter_apply"].state,
                    "CustomerAvailabilityZone": member["zone"],
                }
                if status != "creating":
                    node["Endpoint"] = self.member_endpoint(member["id"])
                shapes.append(
                    {
                        "CacheClusterId": member["id"],
                        "ClientDownloadLandingPage": "https://console.aws.amazon.com/elasticache/home#client-download:",
                        "CacheNodeType": self["CacheNodeType"],
                        "Engine": self["Engine"],
                        "EngineVersion": self.hidden["engine_version"],
                        "CacheClusterStatus": status,
                        "NumCacheNodes": 1,
                        "PreferredAvailabilityZone": member["zone"],
                        "CacheClusterCreateTime": member["created"],
                        "PreferredMaintenanceWindow": self.hidden["maintenance_window"],
                        "PendingModifiedValues": {
                            key: value
                            for key, value in self.hidden["pending"].items()
                            if key in ("CacheNodeType", "EngineVersion")
                        },
                        "CacheSecurityGroups": [],
                        "CacheParameterGroup": {
                            "CacheParameterGroupName": self.hidden["parameter_group"],
                            "ParameterApplyStatus": self.hidden["parameter_apply"].state,
                            "CacheNodeIdsToReboot": [],
                        },
                        "CacheSubnetGroupName": self.hidden["subnet_group"],
                        "CacheNodes": [node],
                        "AutoMinorVersionUpgrade": self["AutoMinorVersionUpgrade"],
                        "SecurityGroups": [
                            {"SecurityGroupId": group, "Status": "active"} for group in self.hidden["security_groups"]
                        ],
                        "ReplicationGroupId": self.name,
                        "SnapshotRetentionLimit": self["SnapshotRetentionLimit"]
                        if member["id"] == self.get("SnapshottingClusterId")
                        else 0,
                        "SnapshotWindow": self["SnapshotWindow"],
                        "AuthTokenEnabled": self["AuthTokenEnabled"],
                        "TransitEncryptionEnabled": self["TransitEncryptionEnabled"],
                        "AtRestEncryptionEnabled": self["AtRestEncryptionEnabled"],
                        "ARN": arn(self.backend, "cluster", member["id"]),
                        "ReplicationGroupLogDeliveryEnabled": bool(self["LogDeliveryConfigurations"]),
                        "LogDeliveryConfigurations": copy.deepcopy(self["LogDeliveryConfigurations"]),
                        "NetworkType": self["NetworkType"],
                        "IpDiscovery": self["IpDiscovery"],
                        **(
                            {"NotificationConfiguration": {"TopicArn": self.hidden["topic"], "TopicStatus": "active"}}
                            if self.hidden["topic"]
                            else {}
                        ),
                        **(
                            {"TransitEncryptionMode": self["TransitEncryptionMode"]} if "TransitEncryptionMode" in self else {}
                        ),
                    }
                )
        return shapes

    def set_snapshotting_member(self) -> None:
        """Automatic backups are taken of a replica where there is one; cluster mode shows none."""
        self.pop("SnapshottingClusterId", None)
        if self["SnapshotRetentionLimit"] and not self["ClusterEnabled"]:
            shard = self.hidden["shards"][0]
            replicas = [member["id"] for member in shard["members"] if member["id"] != shard["primary"]]
            self["SnapshottingClusterId"] = (replicas or [shard["primary"]])[0]


def find_group(backend: Any, name: str | None) -> ReplicationGroup:
    found: Any = find(backend, "replication_groups", name, "ReplicationGroupNotFoundFault", "ReplicationGroup")
    return found


def need_available(group: ReplicationGroup) -> None:
    if group.status != "available":
        raise refuse("InvalidReplicationGroupState", "Replication group must be in available state to modify.")


# --- checks ----------------------------------------------------------------------------------------------------------


def check_auth_token(token: str, encrypted_in_transit: bool) -> None:
    if not encrypted_in_transit:
        raise refuse(
            "InvalidParameterCombination", "The AUTH token can only be used when in-transit encryption (TLS) is enabled."
        )
    if not 16 <= len(token) <= 128 or set(token) & set('/"@%') or not token.isascii() or not token.isprintable():
        raise refuse(
            "InvalidParameterValue",
            "Invalid AuthToken: 16 to 128 printable ASCII characters other than '/', '\"', '@' and '%'.",
        )


def check_retention(limit: int | None) -> int:
    if not 0 <= (limit or 0) <= 35:
        raise refuse("InvalidParameterValue", f"Invalid SnapshotRetentionLimit: {limit}. It must be between 0 and 35.")
    return limit or 0


def check_replicas(count: int) -> None:
    if not 0 <= count <= MOST_REPLICAS:
        raise refuse(
            "InvalidParameterValue", f"The number of replicas per node group must be between 0 and {MOST_REPLICAS}: {count}"
        )


def check_user_groups(backend: Any, names: list[str] | None, encrypted_in_transit: bool, engine: str) -> list[str]:
    for name in names or []:
        group = find(backend, "user_groups", name, "UserGroupNotFound", "UserGroup")
        if group.status != "active":
            raise refuse("InvalidUserGroupState", f"User group {name} is not in active state.")
        # Valkey takes user groups of both engines.
        if group["Engine"] == "valkey" and engine != "valkey":
            raise refuse("InvalidParameterCombination", f"User group {name} of engine valkey cannot be used with engine {engine}.")
    if names and not encrypted_in_transit:
        raise refuse(
            "InvalidParameterCombination", "User group based access control requires encryption-in-transit to be enabled."
        )
    return list(names or [])


def _check_failover(params: Shape, replicas: int, cluster_mode: bool, shards: int) -> None:
    failover, multi_az = bool(params.get("AutomaticFailoverEnabled")), bool(params.get("MultiAZEnabled"))
    if multi_az and not failover:
        raise refuse("InvalidParameterCombination", "Multi-AZ requires automatic failover to be enabled.")
    if failover and replicas < 1 and not cluster_mode:
        raise refuse("InvalidParameterCombination", "Automatic failover needs a replication group with at least one replica.")
    if multi_az and replicas < 1:
        raise refuse("InvalidParameterCombination", "Multi-AZ needs at least one replica per node group.")
    if cluster_mode and not failover:
        raise refuse(
            "InvalidParameterCombination", "Redis with cluster mode enabled cannot be created with auto failover turned off."
        )
    if shards > 1 and not cluster_mode:
        raise refuse("InvalidParameterCombination", "Cluster mode should be enabled to have more than one node group.")


def _layout(params: Shape) -> tuple[int, int, list[Shape]]:
    """Shards, replicas in each, and the configuration given for each shard."""
    configured = params.get("NodeGroupConfiguration") or []
    shards = params.get("NumNodeGroups") or len(configured) or 1
    if params.get("NumCacheClusters") is not None:
        if params.get("ReplicasPerNodeGroup") is not None or shards > 1:
            raise refuse(
                "InvalidParameterCombination",
                "Cannot specify both NumCacheClusters and ReplicasPerNodeGroup, nor NumCacheClusters with several node groups.",
            )
        if not 1 <= params["NumCacheClusters"] <= 1 + MOST_REPLICAS:
            raise refuse("InvalidParameterValue", f"NumCacheClusters must be between 1 and {1 + MOST_REPLICAS}.")
        return shards, params["NumCacheClusters"] - 1, configured
    if not 1 <= shards <= 500:
        raise refuse("InvalidParameterValue", f"The number of node groups must be between 1 and 500: {shards}")
    replicas = params.get("ReplicasPerNodeGroup") or 0
    check_replicas(replicas)
    if configured and len(configured) != shards:
        raise refuse("InvalidParameterCombination", "NumNodeGroups and the number of node group configurations differ.")
    return shards, replicas, configured


def log_deliveries(requests: list[Shape] | None) -> list[Shape]:
    return [
        {
            key: copy.deepcopy(each[key])
            for key in ("LogType", "DestinationType", "DestinationDetails", "LogFormat")
            if key in each
        }
        | {"Status": "active"}
        for each in requests or []
        if each.get("Enabled", True)
    ]


def _with_snapshot(backend: Any, params: Shape) -> Shape:
    """The request with what a snapshot to restore from says about the data."""
    if not params.get("SnapshotName"):
        return params
    snapshot = find_available_snapshot(backend, params["SnapshotName"])
    kept = {
        "Engine": snapshot["Engine"],
        "EngineVersion": snapshot["EngineVersion"],
        "CacheNodeType": snapshot["CacheNodeType"],
        "NumNodeGroups": snapshot.get("NumNodeGroups", 1),
    }
    merged = kept | params
    if params.get("Engine") and "EngineVersion" not in params and params["Engine"] != snapshot["Engine"]:
        merged.pop("EngineVersion")
    return merged


# --- operations ------------------------------------------------------------------------------------------------------


@operation
def create_replication_group(backend: Any, params: Shape) -> Shape:
    name = check_identifier("ReplicationGroupId", params.get("ReplicationGroupId"), 40)
    groups = store(backend, "replication_groups")
    if name in groups:
        raise refuse("ReplicationGroupAlreadyExists", f"Replication group with specified Id {name} already exists.")
    params = _with_snapshot(backend, params)
    engine = engine_named(params.get("Engine") or "redis", "redis", "valkey")
    version = engine.resolve(params.get("EngineVersion"))
    node_type = check_node_type(params.get("CacheNodeType"))
    shards, replicas, configured = _layout(params)

    asks_cluster = params.get("ClusterMode") in ("enabled", "compatible") or shards > 1
    default_group = f"default.{engine.family(version)}{'.cluster.on' if asks_cluster else ''}"
    parameter_group = find_parameter_group(backend, params.get("CacheParameterGroupName") or default_group)
    check_family(parameter_group, engine.name, version)
    cluster_mode = params.get("ClusterMode") == "enabled" or has_cluster_mode(parameter_group)
    _check_failover(params, replicas, cluster_mode, shards)
    subnet_group = find_subnet_group(backend, params.get("CacheSubnetGroupName") or "default")
    tls = bool(params.get("TransitEncryptionEnabled"))
    # Valkey encrypts at rest unless told otherwise, Redis only when told.
    at_rest = params.get("AtRestEncryptionEnabled", engine.name == "valkey")
    if params.get("AuthToken"):
        check_auth_token(params["AuthToken"], tls)
    if params.get("KmsKeyId") and not at_rest:
        raise refuse("InvalidParameterCombination", "A KMS key can only be given when encryption at rest is enabled.")
    user_groups = check_user_groups(backend, params.get("UserGroupIds"), tls, engine.name)
    security_groups = check_security_groups(backend, params.get("SecurityGroupIds"))
    tags = check_tags(params.get("Tags"))

    shape: Shape = {
        "ReplicationGroupId": name,
        "Description": params.get("ReplicationGroupDescription") or " ",
        "GlobalReplicationGroupInfo": {},
        "MemberClusters": [],
        "SnapshotRetentionLimit": check_retention(params.get("SnapshotRetentionLimit")),
        "SnapshotWindow": params.get("SnapshotWindow") or "05:00-06:00",
        "AutomaticFailover": "enabled" if params.get("AutomaticFailoverEnabled") else "disabled",
        "MultiAZ": "enabled" if params.get("MultiAZEnabled") else "disabled",
        "ClusterEnabled": cluster_mode,
        "ClusterMode": params.get("ClusterMode") or ("enabled" if cluster_mode else "disabled"),
        "CacheNodeType": node_type,
        "AuthTokenEnabled": bool(params.get("AuthToken")),
        "TransitEncryptionEnabled": tls,
        "AtRestEncryptionEnabled": bool(at_rest),
        "ARN": arn(backend, "replicationgroup", name),
        "UserGroupIds": user_groups,
        "LogDeliveryConfigurations": log_deliveries(params.get("LogDeliveryConfigurations")),
        # By the double's clock: of two groups of one name the second was made later.
        "ReplicationGroupCreateTime": now() + datetime.timedelta(seconds=clock.ahead),
        "DataTiering": "enabled" if params.get("DataTieringEnabled") else "disabled",
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
        "NetworkType": params.get("NetworkType") or "ipv4",
        "IpDiscovery": params.get("IpDiscovery") or "ipv4",
        "Engine": engine.name,
    }
    if params.get("AuthToken"):
        shape["AuthTokenLastModifiedDate"] = now()
    if tls:
        shape["TransitEncryptionMode"] = params.get("TransitEncryptionMode") or "required"
    if params.get("KmsKeyId"):
        shape["KmsKeyId"] = key_arn(backend, params["KmsKeyId"])

    group = ReplicationGroup(backend, shape, tags)
    zones = zones_of(subnet_group)
    group.hidden.update(
        engine_version=version,
        parameter_group=parameter_group["CacheParameterGroupName"],
        subnet_group=subnet_group["CacheSubnetGroupName"],
        vpc_id=subnet_group["VpcId"],
        security_groups=security_groups,
        maintenance_window=(params.get("PreferredMaintenanceWindow") or "sun:09:00-sun:10:00").lower(),
        topic=params.get("NotificationTopicArn"),
        port=params.get("Port") or engine.port,
        zones=params.get("PreferredCacheClusterAZs") or zones,
        auth_token=params.get("AuthToken"),
    )
    for index in range(shards):
        given = configured[index] if configured else {}
        wanted_zones = (
            [given["PrimaryAvailabilityZone"], *given.get("ReplicaAvailabilityZones", [])]
            if given.get("PrimaryAvailabilityZone")
            else None
        )
        group.add_shard(given.get("ReplicaCount", replicas), wanted_zones)
    group.set_snapshotting_member()
    for user_group in user_groups:
        find(backend, "user_groups", user_group, "UserGroupNotFound", "UserGroup")["ReplicationGroups"].append(name)
    groups[name] = group
    group.lifecycle.begin("creating")
    return {"ReplicationGroup": group.shown("creating")}


@operation
def describe_replication_groups(backend: Any, params: Shape) -> Shape:
    name = params.get("ReplicationGroupId")
    groups = [find_group(backend, name)] if name else list(store(backend, "replication_groups").values())
    shown, marker = page(params, groups, lambda group: group["ReplicationGroupId"])
    return {"ReplicationGroups": [group.shown() for group in shown], "Marker": marker}


@operation
def delete_replication_group(backend: Any, params: Shape) -> Shape:
    group = find_group(backend, params.get("ReplicationGroupId"))
    if group.status not in ("available", "create-failed"):
        raise refuse(
            "InvalidReplicationGroupState",
            f"Replication group {group.name} has status {group.status} which is not valid for deletion.",
        )
    final = params.get("FinalSnapshotIdentifier")
    if final and params.get("RetainPrimaryCluster"):
        raise refuse(
            "InvalidParameterCombination", "FinalSnapshotIdentifier cannot be given when the primary cluster is retained."
        )
    if final:
        need_available(group)
        take_snapshot(backend, check_new_snapshot(backend, final, "FinalSnapshotIdentifier"), group, None)
    for user_group in store(backend, "user_groups").values():
        if group.name in user_group["ReplicationGroups"]:
            user_group["ReplicationGroups"].remove(group.name)
    group.lifecycle.begin("deleting", then=GONE)
    return {"ReplicationGroup": group.shown("deleting")}
