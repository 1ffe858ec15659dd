"""ElastiCache: replication groups, cache clusters, serverless caches, groups, users and snapshots with AWS's states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.elasticache import models, responses

from . import (  # noqa: F401 - they register their operations
    elasticache_changes,
    elasticache_clusters,
    elasticache_serverless,
    elasticache_users,
    replaces,
)
from ._records import Record
from .elasticache_resources import add_tags, operation, remove_tags, settle, store

INVENTORY_SERVICES = ("elasticache",)

_KINDS = {
    # store: type in the inventory, type in the tagging API, key of the name
    "replication_groups": ("replication-group", "elasticache:replicationgroup", "ReplicationGroupId"),
    "cache_clusters": ("cache-cluster", "elasticache:cluster", "CacheClusterId"),
    "cache_subnet_groups": ("subnet-group", "elasticache:subnetgroup", "CacheSubnetGroupName"),
    "cache_parameter_groups": ("parameter-group", "elasticache:parametergroup", "CacheParameterGroupName"),
    "snapshots": ("snapshot", "elasticache:snapshot", "SnapshotName"),
    "users": ("user", "elasticache:user", "UserId"),
    "user_groups": ("user-group", "elasticache:usergroup", "UserGroupId"),
    "serverless_caches": ("serverless-cache", "elasticache:serverlesscache", "ServerlessCacheName"),
    "serverless_cache_snapshots": (
        "serverless-cache-snapshot",
        "elasticache:serverlesscachesnapshot",
        "ServerlessCacheSnapshotName",
    ),
}


def _records(backend: Any) -> Iterator[tuple[Record, tuple[str, str, str]]]:
    """What the account made: the default groups and the default user are AWS's own."""
    settle(backend)
    for name, kind in _KINDS.items():
        for record in list(store(backend, name).values()):
            if not (record[kind[2]] == "default" or record[kind[2]].startswith("default.")):
                yield record, kind


def inventory(account_id: str, region: str) -> list[dict[str, Any]]:
    """What exists in one region."""
    return [
        {
            "service": "elasticache",
            "type": type_name,
            "name": record[name_key],
            "arn": record["ARN"],
            "status": record.status,
            "tags": dict(record.tags),
        }
        for record, (type_name, _, name_key) in _records(models.elasticache_backends[account_id][region])
    ]


def install() -> None:
    operation.put_on(responses.ElastiCacheResponse, lambda response: response.elasticache_backend, settle)

    @replaces(models.ElastiCacheBackend)
    def iter_tagged_resources(before: Any, self: Any) -> Iterator[TaggedResource]:
        for record, (_, tagging_type, _) in _records(self):
            yield TaggedResource(arn=record["ARN"], tags=dict(record.tags), resource_type=tagging_type)

    @replaces(models.ElastiCacheBackend)
    def tag_resource(before: Any, self: Any, arn: str, tags: dict[str, str]) -> None:
        settle(self)
        add_tags(self, arn, tags)

    @replaces(models.ElastiCacheBackend)
    def untag_resource(before: Any, self: Any, arn: str, tag_keys: list[str]) -> None:
        settle(self)
        remove_tags(self, arn, tag_keys)
