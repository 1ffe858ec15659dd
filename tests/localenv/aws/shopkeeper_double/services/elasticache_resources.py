"""What every ElastiCache topic needs: the stores, names, ARNs and host names, key lookups, tags."""

from __future__ import annotations

import hashlib
import re
from collections.abc import MutableMapping
from typing import Any

from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends

from ._records import Operations, Record, Shape, refuse, settle_all, tag_list, tag_map

operation = Operations()

_IDENTIFIER = re.compile(r"^[a-zA-Z](?!.*--)[a-zA-Z0-9-]*(?<!-)$")


def check_identifier(parameter: str, value: str | None, longest: int) -> str:
    """An identifier as ElastiCache stores it, in lower case."""
    if not value or len(value) > longest or not _IDENTIFIER.match(value):
        raise refuse(
            "InvalidParameterValue",
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain only "
            f"ASCII letters, digits, and hyphens; must be at most {longest} characters long; and must not end with a hyphen or "
            "contain two consecutive hyphens.",
        )
    return value.lower()


def arn(backend: Any, kind: str, name: str) -> str:
    return f"arn:aws:elasticache:{backend.region_name}:{backend.account_id}:{kind}:{name}"


def store(backend: Any, name: str) -> MutableMapping[str, Record]:
    """A store by name: moto's own where it has one, otherwise kept on the backend, so that a reset empties it."""
    if name in ("replication_groups", "cache_clusters", "cache_subnet_groups", "snapshots", "users"):
        return getattr(backend, name)
    return backend.__dict__.setdefault("shopkeeper_stores", {}).setdefault(name, {})


STORES = (
    "replication_groups",
    "cache_clusters",
    "cache_subnet_groups",
    "snapshots",
    "users",
    "cache_parameter_groups",
    "user_groups",
    "serverless_caches",
    "serverless_cache_snapshots",
)


def settle(backend: Any) -> None:
    """Bring all ElastiCache resources to the present before an operation looks at them."""
    users = store(backend, "users")
    if not isinstance(users.get("default"), Record):
        # Every account has this user; moto makes it an object of its own.
        users["default"] = Record(
            {
                "UserId": "default",
                "UserName": "default",
                "Engine": "redis",
                "MinimumEngineVersion": "6.0",
                "AccessString": "on ~* +@all",
                "UserGroupIds": [],
                "Authentication": {"Type": "no-password"},
                "ARN": arn(backend, "user", "default"),
            },
            "elasticache",
            "user",
            settled="active",
        )
    settle_all(store(backend, name) for name in STORES)


def find(backend: Any, store_name: str, name: str | None, code: str, kind: str) -> Record:
    record = store(backend, store_name).get((name or "").lower())
    if record is None:
        raise refuse(code, f"{kind} {name} not found.")
    return record


# --- host names ------------------------------------------------------------------------------------------------------

_DIRECTIONS = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
}


def short_region(region: str) -> str:
    """use1 for us-east-1, as in ElastiCache's host names."""
    *prefix, direction, number = region.split("-")
    return f"{''.join(prefix)}{_DIRECTIONS.get(direction, direction[:1])}{number}"


def account_hash(backend: Any) -> str:
    return hashlib.sha256(f"elasticache/{backend.account_id}/{backend.region_name}".encode()).hexdigest()[:6]


def host_suffix(backend: Any, name: str) -> str:
    """The part that makes a serverless cache's host name unique; the same each time it is asked for."""
    return hashlib.sha256(f"{account_hash(backend)}/{name}".encode()).hexdigest()[:6]


def host(backend: Any, *labels: str) -> str:
    return ".".join((*labels, short_region(backend.region_name), "cache.amazonaws.com"))


# --- network and keys ------------------------------------------------------------------------------------------------


def ec2(backend: Any) -> Any:
    return ec2_backends[backend.account_id][backend.region_name]


def check_security_groups(backend: Any, group_ids: list[str] | None) -> list[str]:
    for group_id in group_ids or []:
        if ec2(backend).get_security_group_from_id(group_id) is None:
            raise refuse("InvalidParameterValue", f"Some security group Ids don't exist: {group_id}")
    return list(group_ids or [])


def key_arn(backend: Any, key_id: str) -> str:
    try:
        key = kms_backends[backend.account_id][backend.region_name].describe_key(key_id)
    except Exception as absent:
        raise refuse("InvalidKMSKeyFault", f"The KMS key {key_id} does not exist.") from absent
    if not key.enabled:
        raise refuse("InvalidKMSKeyFault", f"The KMS key {key_id} is not enabled.")
    return key.arn


# --- tags ------------------------------------------------------------------------------------------------------------

_TAGGED = {
    "replicationgroup": (
        "replication_groups",
        "ReplicationGroupNotFoundFault",
        "InvalidReplicationGroupState",
        "ReplicationGroup",
    ),
    "cluster": ("cache_clusters", "CacheClusterNotFound", "InvalidCacheClusterState", "CacheCluster"),
    "subnetgroup": ("cache_subnet_groups", "CacheSubnetGroupNotFoundFault", None, "CacheSubnetGroup"),
    "parametergroup": ("cache_parameter_groups", "CacheParameterGroupNotFound", None, "CacheParameterGroup"),
    "snapshot": ("snapshots", "SnapshotNotFoundFault", "InvalidSnapshotState", "Snapshot"),
    "user": ("users", "UserNotFound", None, "User"),
    "usergroup": ("user_groups", "UserGroupNotFound", None, "UserGroup"),
    "serverlesscache": (
        "serverless_caches",
        "ServerlessCacheNotFoundFault",
        "InvalidServerlessCacheStateFault",
        "ServerlessCache",
    ),
    "serverlesscachesnapshot": (
        "serverless_cache_snapshots",
        "ServerlessCacheSnapshotNotFoundFault",
        "InvalidServerlessCacheSnapshotStateFault",
        "ServerlessCacheSnapshot",
    ),
}


def _tagged(backend: Any, resource_arn: str | None, changing: bool) -> dict[str, str]:
    parts = (resource_arn or "").split(":", 6)
    if len(parts) != 7 or parts[2] != "elasticache" or parts[5] not in _TAGGED:
        raise refuse("InvalidARN", f"ARN {resource_arn} is invalid.")
    store_name, not_found, wrong_state, kind = _TAGGED[parts[5]]
    record = store(backend, store_name).get(parts[6])
    tags = record.tags if record is not None else None
    if record is None and parts[5] == "cluster":
        # A member of a replication group has tags of its own, kept with the group.
        record = next((group for group in backend.replication_groups.values() if parts[6] in group["MemberClusters"]), None)
        tags = record.hidden["member_tags"].setdefault(parts[6], dict(record.tags)) if record is not None else None
    if record is None or tags is None:
        raise refuse(not_found, f"{kind} {parts[6]} not found.")
    if changing and wrong_state and record.status != "available":
        raise refuse(wrong_state, "Cluster not in available state for tagging operations.")
    return tags


def _check(tags: dict[str, str]) -> None:
    if any(key.lower().startswith("aws:") for key in tags):
        raise refuse("InvalidParameterValue", "Tag keys that begin with aws: are reserved.")


def check_tags(tags: list[Shape] | None) -> list[Shape]:
    _check(tag_map(tags))
    return tags or []


@operation
def list_tags_for_resource(backend: Any, params: Shape) -> Shape:
    return {"TagList": tag_list(_tagged(backend, params.get("ResourceName"), changing=False))}


@operation
def add_tags_to_resource(backend: Any, params: Shape) -> Shape:
    return {"TagList": tag_list(add_tags(backend, params.get("ResourceName"), tag_map(params.get("Tags"))))}


@operation
def remove_tags_from_resource(backend: Any, params: Shape) -> Shape:
    return {"TagList": tag_list(remove_tags(backend, params.get("ResourceName"), params.get("TagKeys") or []))}


def add_tags(backend: Any, resource_arn: str | None, tags: dict[str, str]) -> dict[str, str]:
    _check(tags)
    current = _tagged(backend, resource_arn, changing=True)
    if len({**current, **tags}) > 50:
        raise refuse("TagQuotaPerResourceExceeded", "A resource has at most 50 tags.")
    current.update(tags)
    return current


def remove_tags(backend: Any, resource_arn: str | None, keys: list[str]) -> dict[str, str]:
    current = _tagged(backend, resource_arn, changing=True)
    missing = [key for key in keys if key not in current]
    if missing:
        raise refuse("TagNotFound", f"Tags not found: {', '.join(missing)}")
    for key in keys:
        del current[key]
    return current
