"""Serverless caches and their snapshots."""

from __future__ import annotations

import base64
import copy
from typing import Any

from shopkeeper_double.lifecycle import GONE

from ._records import Record, Shape, now, refuse
from .elasticache_engines import engine_named
from .elasticache_groups import subnet_shapes
from .elasticache_resources import (
    arn,
    check_identifier,
    check_security_groups,
    check_tags,
    ec2,
    find,
    host,
    host_suffix,
    key_arn,
    operation,
    store,
)

_MAJOR_VERSIONS = {"valkey": {"8": "8.0", "7": "7.2"}, "redis": {"7": "7.1"}, "memcached": {"1.6": "1.6.22"}}


def _page(params: Shape, records: list[Record], key: str) -> tuple[list[Record], str | None]:
    """Serverless operations page with NextToken and MaxResults, up to 50 at a time."""
    largest = params.get("MaxResults") or 50
    ordered = sorted(records, key=lambda record: record[key])
    if params.get("NextToken"):
        after = base64.b64decode(params["NextToken"]).decode()
        ordered = [record for record in ordered if record[key] > after]
    shown = ordered[:largest]
    return shown, base64.b64encode(shown[-1][key].encode()).decode() if len(ordered) > largest else None


def _find(backend: Any, name: str | None) -> Record:
    return find(backend, "serverless_caches", name, "ServerlessCacheNotFoundFault", "ServerlessCache")


def _need_available(cache: Record) -> None:
    if cache.status != "available":
        raise refuse(
            "InvalidServerlessCacheStateFault", f"Serverless cache {cache['ServerlessCacheName']} is not in available state."
        )


def _check_limits(limits: Shape) -> Shape:
    storage, power = limits.get("DataStorage") or {}, limits.get("ECPUPerSecond") or {}
    for name, low, high, limit in (("DataStorage", 1, 5000, storage), ("ECPUPerSecond", 1000, 15000000, power)):
        minimum, maximum = limit.get("Minimum"), limit.get("Maximum")
        for value in (minimum, maximum):
            if value is not None and not low <= value <= high:
                raise refuse("InvalidParameterValue", f"{name} must be between {low} and {high}: {value}")
        if minimum is not None and maximum is not None and minimum > maximum:
            raise refuse("InvalidParameterCombination", f"The minimum of {name} is greater than its maximum.")
    return copy.deepcopy(limits)


@operation
def create_serverless_cache(backend: Any, params: Shape) -> Shape:
    name = check_identifier("ServerlessCacheName", params.get("ServerlessCacheName"), 40)
    caches = store(backend, "serverless_caches")
    if name in caches:
        raise refuse("ServerlessCacheAlreadyExistsFault", f"Serverless cache {name} already exists.")
    engine = engine_named((params.get("Engine") or "").lower())
    versions = _MAJOR_VERSIONS[engine.name]
    major = params.get("MajorEngineVersion") or next(iter(versions))
    if major not in versions:
        raise refuse("InvalidParameterValue", f"Major engine version {major} is not offered for {engine.name}.")
    subnet_ids = params.get("SubnetIds")
    if not subnet_ids:
        vpc = ec2(backend).default_vpc
        subnet_ids = [subnet.id for subnet in ec2(backend).describe_subnets() if vpc and subnet.vpc_id == vpc.id][:3]
    vpc_id, _ = subnet_shapes(backend, subnet_ids)
    groups = check_security_groups(backend, params.get("SecurityGroupIds"))
    default = ec2(backend).get_default_security_group(vpc_id)
    if params.get("UserGroupId"):
        find(backend, "user_groups", params["UserGroupId"], "UserGroupNotFound", "User group")
    shape: Shape = {
        "ServerlessCacheName": name,
        "Description": params.get("Description") or " ",
        "CreateTime": now(),
        "Engine": engine.name,
        "MajorEngineVersion": major,
        "FullEngineVersion": versions[major],
        "SecurityGroupIds": groups or ([default.id] if default else []),
        "SubnetIds": list(subnet_ids),
        "SnapshotRetentionLimit": params.get("SnapshotRetentionLimit") or 0,
        "ARN": arn(backend, "serverlesscache", name),
    }
    if params.get("CacheUsageLimits"):
        shape["CacheUsageLimits"] = _check_limits(params["CacheUsageLimits"])
    if params.get("KmsKeyId"):
        shape["KmsKeyId"] = key_arn(backend, params["KmsKeyId"])
    for key in ("UserGroupId", "DailySnapshotTime"):
        if params.get(key):
            shape[key] = params[key]
    cache = Record(shape, "elasticache", "serverless-cache", tags=check_tags(params.get("Tags")))

    def created() -> None:
        address = host(backend, f"{name}-{host_suffix(backend, name)}", "serverless")
        first, second = (11211, 11212) if engine.name == "memcached" else (6379, 6380)
        cache["Endpoint"] = {"Address": address, "Port": first}
        cache["ReaderEndpoint"] = {"Address": address, "Port": second}

    caches[name] = cache
    cache.lifecycle.begin("creating", on_settled=created)
    return {"ServerlessCache": cache.shown("creating")}


@operation
def describe_serverless_caches(backend: Any, params: Shape) -> Shape:
    name = params.get("ServerlessCacheName")
    caches = [_find(backend, name)] if name else list(store(backend, "serverless_caches").values())
    shown, token = _page(params, caches, "ServerlessCacheName")
    return {"ServerlessCaches": [cache.shown() for cache in shown], "NextToken": token}


@operation
def modify_serverless_cache(backend: Any, params: Shape) -> Shape:
    cache = _find(backend, params.get("ServerlessCacheName"))
    limits = {**cache.get("CacheUsageLimits", {}), **(params.get("CacheUsageLimits") or {})}
    _check_limits(limits)
    groups = check_security_groups(backend, params.get("SecurityGroupIds"))
    if params.get("UserGroupId"):
        find(backend, "user_groups", params["UserGroupId"], "UserGroupNotFound", "User group")
    _need_available(cache)
    if limits:
        cache["CacheUsageLimits"] = limits
    for key in ("Description", "SnapshotRetentionLimit", "DailySnapshotTime", "UserGroupId"):
        if params.get(key) is not None:
            cache[key] = params[key]
    if params.get("RemoveUserGroup"):
        cache.pop("UserGroupId", None)
    if groups:
        cache["SecurityGroupIds"] = groups
    cache.lifecycle.begin("modifying")
    return {"ServerlessCache": cache.shown("modifying")}


@operation
def delete_serverless_cache(backend: Any, params: Shape) -> Shape:
    cache = _find(backend, params.get("ServerlessCacheName"))
    final = params.get("FinalSnapshotName")
    _need_available(cache)
    if final:
        _take_snapshot(backend, cache, final, None, None)
    cache.lifecycle.begin("deleting", then=GONE)
    return {"ServerlessCache": cache.shown("deleting")}


# --- snapshots -------------------------------------------------------------------------------------------------------


def _take_snapshot(backend: Any, cache: Record, name: str, kms_key_id: str | None, tags: list[Shape] | None) -> Record:
    wanted = check_identifier("ServerlessCacheSnapshotName", name, 255)
    snapshots = store(backend, "serverless_cache_snapshots")
    if wanted in snapshots:
        raise refuse("ServerlessCacheSnapshotAlreadyExistsFault", f"Serverless cache snapshot {wanted} already exists.")
    if cache["Engine"] == "memcached":
        raise refuse("InvalidParameterValue", "Snapshots are not offered for memcached here.")
    shape: Shape = {
        "ServerlessCacheSnapshotName": wanted,
        "ARN": arn(backend, "serverlesscachesnapshot", wanted),
        "SnapshotType": "manual",
        "CreateTime": now(),
        "BytesUsedForCache": "0",
        "ServerlessCacheConfiguration": {
            "ServerlessCacheName": cache["ServerlessCacheName"],
            "Engine": cache["Engine"],
            "MajorEngineVersion": cache["MajorEngineVersion"],
        },
    }
    if kms_key_id or cache.get("KmsKeyId"):
        shape["KmsKeyId"] = key_arn(backend, kms_key_id or cache["KmsKeyId"])
    snapshots[wanted] = Record(shape, "elasticache", "serverless-cache-snapshot", tags=tags)
    snapshots[wanted].lifecycle.begin("creating")
    return snapshots[wanted]


def _find_snapshot(backend: Any, name: str | None) -> Record:
    return find(backend, "serverless_cache_snapshots", name, "ServerlessCacheSnapshotNotFoundFault", "ServerlessCacheSnapshot")


@operation
def create_serverless_cache_snapshot(backend: Any, params: Shape) -> Shape:
    cache = _find(backend, params.get("ServerlessCacheName"))
    _need_available(cache)
    tags = check_tags(params.get("Tags"))
    snapshot = _take_snapshot(backend, cache, params.get("ServerlessCacheSnapshotName") or "", params.get("KmsKeyId"), tags)
    return {"ServerlessCacheSnapshot": snapshot.shown("creating")}


@operation
def describe_serverless_cache_snapshots(backend: Any, params: Shape) -> Shape:
    name = params.get("ServerlessCacheSnapshotName")
    snapshots = [_find_snapshot(backend, name)] if name else list(store(backend, "serverless_cache_snapshots").values())
    if cache := params.get("ServerlessCacheName"):
        snapshots = [
            each for each in snapshots if each["ServerlessCacheConfiguration"]["ServerlessCacheName"] == cache.lower()
        ]
    shown, token = _page(params, snapshots, "ServerlessCacheSnapshotName")
    return {"ServerlessCacheSnapshots": [snapshot.shown() for snapshot in shown], "NextToken": token}


@operation
def delete_serverless_cache_snapshot(backend: Any, params: Shape) -> Shape:
    snapshot = _find_snapshot(backend, params.get("ServerlessCacheSnapshotName"))
    if snapshot.status != "available":
        raise refuse("InvalidServerlessCacheSnapshotStateFault", "The snapshot is not in available state.")
    snapshot.lifecycle.begin("deleting", then=GONE)
    return {"ServerlessCacheSnapshot": snapshot.shown("deleting")}
