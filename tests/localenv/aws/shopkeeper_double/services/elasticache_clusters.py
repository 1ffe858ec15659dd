"""Cache clusters: memcached clusters and single Redis nodes; and the members of replication groups, as far as they show."""

from __future__ import annotations

from typing import Any

from shopkeeper_double.lifecycle import GONE, Lifecycle

from ._records import Record, Shape, now, page, refuse
from .elasticache_engines import ENGINES, Engine, check_node_type, engine_named, order
from .elasticache_groups import check_family, find_parameter_group, find_subnet_group, zones_of
from .elasticache_replication import (
    MOST_REPLICAS,
    ReplicationGroup,
    check_auth_token,
    check_retention,
    find_group,
    need_available,
)
from .elasticache_resources import (
    account_hash,
    arn,
    check_identifier,
    check_security_groups,
    check_tags,
    find,
    host,
    operation,
    store,
)
from .elasticache_snapshots import check_new_snapshot, find_available_snapshot, take_snapshot


class CacheCluster(Record):
    """A cluster outside a replication group; `hidden["nodes"]` holds its nodes."""

    def __init__(self, backend: Any, shape: Shape, tags: list[Shape] | None) -> None:
        super().__init__(shape, "elasticache", "cache-cluster", status_key="CacheClusterStatus", tags=tags)
        self.backend = backend
        self.hidden.update(
            nodes=[],
            pending={},
            parameter_apply=Lifecycle("elasticache", "parameter-group", settled="in-sync"),
            zones_in_use=lambda: [node["zone"] for node in self.hidden["nodes"]],
        )

    @property
    def name(self) -> str:
        return self["CacheClusterId"]

    @property
    def engine(self) -> Engine:
        return ENGINES[self["Engine"]]

    def add_node(self, zone: str | None = None) -> None:
        zones, nodes = self.hidden["zones"], self.hidden["nodes"]
        number = 1 + max((int(node["id"]) for node in nodes), default=0)
        nodes.append({"id": f"{number:04}", "zone": zone or zones[len(nodes) % len(zones)], "created": now()})

    def shown(self, status: str | None = None, with_nodes: bool = True) -> Shape:
        shape = super().shown(status)
        nodes = self.hidden["nodes"]
        apply_status = self.hidden["parameter_apply"].state
        shape["EngineVersion"] = self.hidden["engine_version"]
        shape["NumCacheNodes"] = len(nodes)
        shape["PendingModifiedValues"] = dict(self.hidden["pending"])
        zones = {node["zone"] for node in nodes}
        shape["PreferredAvailabilityZone"] = "Multiple" if len(zones) > 1 else next(iter(zones), None)
        shape["PreferredMaintenanceWindow"] = self.hidden["maintenance_window"]
        shape["CacheSubnetGroupName"] = self.hidden["subnet_group"]
        shape["SecurityGroups"] = [{"SecurityGroupId": each, "Status": "active"} for each in self.hidden["security_groups"]]
        shape["CacheParameterGroup"] = {
            "CacheParameterGroupName": self.hidden["parameter_group"],
            "ParameterApplyStatus": apply_status,
            "CacheNodeIdsToReboot": [],
        }
        if self.hidden["topic"]:
            shape["NotificationConfiguration"] = {"TopicArn": self.hidden["topic"], "TopicStatus": "active"}
        created = shape["CacheClusterStatus"] != "creating"
        if created and self["Engine"] == "memcached":
            shape["ConfigurationEndpoint"] = {
                "Address": host(self.backend, self.name, account_hash(self.backend), "cfg"),
                "Port": self.hidden["port"],
            }
        if with_nodes:
            shape["CacheNodes"] = [
                {
                    "CacheNodeId": node["id"],
                    "CacheNodeStatus": shape["CacheClusterStatus"],
                    "CacheNodeCreateTime": node["created"],
                    "ParameterGroupStatus": apply_status,
                    "CustomerAvailabilityZone": node["zone"],
                    **(
                        {
                            "Endpoint": {
                                "Address": host(self.backend, self.name, account_hash(self.backend), node["id"]),
                                "Port": self.hidden["port"],
                            }
                        }
                        if created
                        else {}
                    ),
                }
                for node in nodes
            ]
        return shape


def find_cluster(backend: Any, name: str | None) -> CacheCluster:
    found: Any = find(backend, "cache_clusters", name, "CacheClusterNotFound", "CacheCluster")
    return found


def _owner(backend: Any, name: str | None) -> ReplicationGroup | None:
    groups: Any = store(backend, "replication_groups").values()
    return next((group for group in groups if (name or "").lower() in group["MemberClusters"]), None)


def _member_shape(group: ReplicationGroup, name: str) -> Shape:
    return next(shape for shape in group.member_shapes() if shape["CacheClusterId"] == name.lower())


def _need_available(cluster: CacheCluster) -> None:
    if cluster.status != "available":
        raise refuse("InvalidCacheClusterState", f"Cache cluster {cluster.name} is not in available state.")


@operation
def create_cache_cluster(backend: Any, params: Shape) -> Shape:
    name = check_identifier("CacheClusterId", params.get("CacheClusterId"), 50)
    if name in store(backend, "cache_clusters") or _owner(backend, name) is not None:
        raise refuse("CacheClusterAlreadyExists", f"Cache cluster {name} already exists.")
    if params.get("ReplicationGroupId"):
        return _add_replica(backend, name, params)
    if params.get("SnapshotName"):
        snapshot = find_available_snapshot(backend, params["SnapshotName"])
        params = {key: snapshot[key] for key in ("Engine", "EngineVersion", "CacheNodeType")} | params
    engine = engine_named(params.get("Engine"))
    version = engine.resolve(params.get("EngineVersion"))
    node_type = check_node_type(params.get("CacheNodeType"))
    count = params.get("NumCacheNodes") or 1
    most = 40 if engine.name == "memcached" else 1
    if not 1 <= count <= most:
        raise refuse("InvalidParameterValue", f"NumCacheNodes must be between 1 and {most} for {engine.name}: {count}")
    if params.get("AZMode") == "cross-az" and count == 1:
        raise refuse("InvalidParameterCombination", "Cannot have cross-az with a single cache node.")
    if engine.name == "valkey":
        raise refuse("InvalidParameterValue", "Valkey needs a replication group or a serverless cache.")
    parameter_group = find_parameter_group(
        backend, params.get("CacheParameterGroupName") or f"default.{engine.family(version)}"
    )
    check_family(parameter_group, engine.name, version)
    subnet_group = find_subnet_group(backend, params.get("CacheSubnetGroupName") or "default")
    security_groups = check_security_groups(backend, params.get("SecurityGroupIds"))
    tls = bool(params.get("TransitEncryptionEnabled"))
    if params.get("AuthToken"):
        check_auth_token(params["AuthToken"], tls)
    cluster = CacheCluster(
        backend,
        {
            "CacheClusterId": name,
            "ClientDownloadLandingPage": "https://console.aws.amazon.com/elasticache/home#client-download:",
            "CacheNodeType": node_type,
            "Engine": engine.name,
            "CacheClusterCreateTime": now(),
            "CacheSecurityGroups": [],
            "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
            "SnapshotRetentionLimit": check_retention(params.get("SnapshotRetentionLimit")),
            "SnapshotWindow": params.get("SnapshotWindow") or "05:00-06:00",
            "AuthTokenEnabled": bool(params.get("AuthToken")),
            "TransitEncryptionEnabled": tls,
            "AtRestEncryptionEnabled": False,
            "ARN": arn(backend, "cluster", name),
            "ReplicationGroupLogDeliveryEnabled": False,
            "LogDeliveryConfigurations": [],
            "NetworkType": params.get("NetworkType") or "ipv4",
            "IpDiscovery": params.get("IpDiscovery") or "ipv4",
        },
        check_tags(params.get("Tags")),
    )
    zones = zones_of(subnet_group)
    single = params.get("PreferredAvailabilityZone") or (None if params.get("AZMode") == "cross-az" else zones[0])
    cluster.hidden.update(
        engine_version=version,
        parameter_group=parameter_group["CacheParameterGroupName"],
        subnet_group=subnet_group["CacheSubnetGroupName"],
        vpc_id=subnet_group["VpcId"],
        security_groups=security_groups,
        maintenance_window=(params.get("PreferredMaintenanceWindow") or "sun:09:00-sun:10:00").lower(),
        topic=params.get("NotificationTopicArn"),
        port=params.get("Port") or engine.port,
        zones=params.get("PreferredAvailabilityZones") or ([single] if single else zones),
    )
    for _ in range(count):
        cluster.add_node()
    store(backend, "cache_clusters")[name] = cluster
    cluster.lifecycle.begin("creating")
    return {"CacheCluster": cluster.shown("creating")}


def _add_replica(backend: Any, name: str, params: Shape) -> Shape:
    """A cache cluster created in a replication group is a further replica, with the name that the request gives."""
    group = find_group(backend, params["ReplicationGroupId"])
    if group["ClusterEnabled"]:
        raise refuse("InvalidParameterCombination", "With cluster mode enabled, replicas are added with IncreaseReplicaCount.")
    shard = group.hidden["shards"][0]
    if len(shard["members"]) > MOST_REPLICAS:
        raise refuse("InvalidParameterValue", f"A node group has at most {MOST_REPLICAS} replicas.")
    need_available(group)
    group.add_member(shard, params.get("PreferredAvailabilityZone"))
    shard["members"][-1]["id"] = name
    group.set_members()
    group.lifecycle.begin("modifying", on_settled=group.set_snapshotting_member)
    return {"CacheCluster": _member_shape(group, name) | {"CacheClusterStatus": "creating"}}


@operation
def describe_cache_clusters(backend: Any, params: Shape) -> Shape:
    name, with_nodes = params.get("CacheClusterId"), bool(params.get("ShowCacheNodeInfo"))
    if name:
        owner = _owner(backend, name)
        shapes = (
            [_member_shape(owner, name)] if owner is not None else [find_cluster(backend, name).shown(with_nodes=with_nodes)]
        )
    else:
        clusters: Any = store(backend, "cache_clusters").values()
        shapes = [cluster.shown(with_nodes=with_nodes) for cluster in clusters]
        if not params.get("ShowCacheClustersNotInReplicationGroups"):
            groups: Any = store(backend, "replication_groups").values()
            shapes += [shape for group in groups for shape in group.member_shapes()]
    if not with_nodes:
        for shape in shapes:
            shape.pop("CacheNodes", None)
    shown, marker = page(params, shapes, lambda shape: shape["CacheClusterId"])
    return {"CacheClusters": shown, "Marker": marker}


@operation
def modify_cache_cluster(backend: Any, params: Shape) -> Shape:
    name = params.get("CacheClusterId")
    if _owner(backend, name) is not None:
        raise refuse("InvalidCacheClusterState", f"Cache cluster {name} belongs to a replication group; modify the group.")
    cluster = find_cluster(backend, name)
    at_once = bool(params.get("ApplyImmediately"))
    version = (
        cluster.engine.resolve(params["EngineVersion"]) if params.get("EngineVersion") else cluster.hidden["engine_version"]
    )
    if cluster["Engine"] == "redis" and order(version) < order(cluster.hidden["engine_version"]):
        raise refuse("InvalidParameterCombination", "An engine cannot be downgraded.")
    if params.get("CacheNodeType"):
        check_node_type(params["CacheNodeType"])
        if cluster["Engine"] == "memcached" and params["CacheNodeType"] != cluster["CacheNodeType"]:
            raise refuse("InvalidParameterCombination", "The node type of a memcached cluster cannot be changed.")
    count = params.get("NumCacheNodes")
    current, leaving = len(cluster.hidden["nodes"]), params.get("CacheNodeIdsToRemove") or []
    if count is not None:
        most = 40 if cluster["Engine"] == "memcached" else 1
        if not 1 <= count <= most:
            raise refuse("InvalidParameterValue", f"NumCacheNodes must be between 1 and {most}: {count}")
        if count < current and len(leaving) != current - count:
            raise refuse("InvalidParameterCombination", f"CacheNodeIdsToRemove must name {current - count} nodes.")
        if count >= current and leaving:
            raise refuse("InvalidParameterCombination", "CacheNodeIdsToRemove is only for a smaller number of nodes.")
    if params.get("SnapshotRetentionLimit") is not None:
        check_retention(params["SnapshotRetentionLimit"])
    security_groups = check_security_groups(backend, params.get("SecurityGroupIds"))
    new_group = None
    if params.get("CacheParameterGroupName"):
        new_group = find_parameter_group(backend, params["CacheParameterGroupName"])
        check_family(new_group, cluster["Engine"], version)
    _need_available(cluster)

    for key in ("AutoMinorVersionUpgrade", "SnapshotRetentionLimit", "SnapshotWindow"):
        if params.get(key) is not None:
            cluster[key] = params[key]
    if params.get("PreferredMaintenanceWindow"):
        cluster.hidden["maintenance_window"] = params["PreferredMaintenanceWindow"].lower()
    if params.get("NotificationTopicArn"):
        cluster.hidden["topic"] = params["NotificationTopicArn"]
    if new_group is not None:
        cluster.hidden["parameter_group"] = new_group["CacheParameterGroupName"]
        cluster.hidden["parameter_apply"].begin("applying")
    lasting = bool(security_groups) and security_groups != cluster.hidden["security_groups"]
    if security_groups:
        cluster.hidden["security_groups"] = security_groups
    pending = cluster.hidden["pending"]
    if count is not None and count != current:
        pending["NumCacheNodes"] = count
        if leaving:
            pending["CacheNodeIdsToRemove"] = leaving
    if version != cluster.hidden["engine_version"]:
        pending["EngineVersion"] = version
    if params.get("CacheNodeType") and params["CacheNodeType"] != cluster["CacheNodeType"]:
        pending["CacheNodeType"] = params["CacheNodeType"]
    if (at_once and pending) or lasting:
        cluster.lifecycle.begin("modifying", on_settled=lambda: _apply_pending(cluster) if at_once else None)
    return {"CacheCluster": cluster.shown()}


def _apply_pending(cluster: CacheCluster) -> None:
    pending, cluster.hidden["pending"] = cluster.hidden["pending"], {}
    leaving = pending.get("CacheNodeIdsToRemove", [])
    cluster.hidden["nodes"] = [node for node in cluster.hidden["nodes"] if node["id"] not in leaving]
    while len(cluster.hidden["nodes"]) < pending.get("NumCacheNodes", 0):
        cluster.add_node()
    if "EngineVersion" in pending:
        cluster.hidden["engine_version"] = pending["EngineVersion"]
    if "CacheNodeType" in pending:
        cluster["CacheNodeType"] = pending["CacheNodeType"]


@operation
def reboot_cache_cluster(backend: Any, params: Shape) -> Shape:
    name = params.get("CacheClusterId")
    owner = _owner(backend, name)
    if owner is not None:
        need_available(owner)
        owner.lifecycle.begin("modifying", on_settled=lambda: owner.hidden["parameter_apply"].settle("in-sync"))
        return {"CacheCluster": _member_shape(owner, name or "") | {"CacheClusterStatus": "rebooting cluster nodes"}}
    cluster = find_cluster(backend, name)
    _need_available(cluster)
    cluster.lifecycle.begin("rebooting cluster nodes", on_settled=lambda: cluster.hidden["parameter_apply"].settle("in-sync"))
    return {"CacheCluster": cluster.shown("rebooting cluster nodes")}


@operation
def delete_cache_cluster(backend: Any, params: Shape) -> Shape:
    name = (params.get("CacheClusterId") or "").lower()
    owner = _owner(backend, name)
    if owner is not None:
        return _delete_replica(owner, name)
    cluster = find_cluster(backend, name)
    _need_available(cluster)
    if params.get("FinalSnapshotIdentifier"):
        if cluster["Engine"] == "memcached":
            raise refuse("SnapshotFeatureNotSupportedFault", "Snapshots are not supported for memcached.")
        final = check_new_snapshot(backend, params["FinalSnapshotIdentifier"], "FinalSnapshotIdentifier")
        take_snapshot(backend, final, cluster, None)
    cluster.lifecycle.begin("deleting", then=GONE)
    return {"CacheCluster": cluster.shown("deleting")}


def _delete_replica(group: ReplicationGroup, name: str) -> Shape:
    if group["ClusterEnabled"]:
        raise refuse("InvalidCacheClusterState", "With cluster mode enabled, replicas are removed with DecreaseReplicaCount.")
    shard = group.hidden["shards"][0]
    if shard["primary"] == name:
        raise refuse(
            "InvalidCacheClusterState", f"{name} is the primary of replication group {group.name} and cannot be deleted."
        )
    if group["AutomaticFailover"] == "enabled" and len(shard["members"]) == 2:
        raise refuse("InvalidCacheClusterState", "The last replica cannot be deleted while automatic failover is enabled.")
    need_available(group)
    shape = _member_shape(group, name) | {"CacheClusterStatus": "deleting"}

    def removed() -> None:
        group.drop_member(shard, name)
        group.set_snapshotting_member()

    group.lifecycle.begin("modifying", on_settled=removed)
    return {"CacheCluster": shape}
