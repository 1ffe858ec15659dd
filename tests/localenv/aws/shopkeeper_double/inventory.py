"""A flat list of what exists in the double, read from the backends' memory: no call is made, none is recorded.

A service module may answer for its own services (`inventory(account_id, region)` and `INVENTORY_SERVICES`); for the rest
the tables below say where moto keeps things.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BackendDict
from moto.core.resource_tagging import iter_taggable_backends

from . import services


@dataclass(frozen=True)
class Kept:
    """Where moto keeps one kind of resource, and under which attributes its name, ARN and status are found."""

    service: str
    type: str
    held: str
    name: tuple[str, ...]
    arn: tuple[str, ...] = ("arn",)
    status: tuple[str, ...] = ("status",)
    region: str | None = None  # for services with one backend for all regions

    @property
    def backends(self) -> Any:
        module = importlib.import_module(f"moto.{self.service}.models")
        return getattr(module, f"{self.service}_backends")


KEPT = (
    Kept("iam", "role", "roles", ("name",), region="aws"),
    Kept("iam", "instance-profile", "instance_profiles", ("name",), region="aws"),
    Kept("iam", "oidc-provider", "open_id_providers", ("url",), region="aws"),
    Kept("kms", "key", "keys", ("id",), status=("key_state",)),
    Kept("dynamodb", "table", "tables", ("name",), arn=("table_arn",)),
    Kept("dynamodb", "backup", "backups", ("name",)),
    Kept("elasticache", "replication-group", "replication_groups", ("replication_group_id",)),
    Kept("elasticache", "cache-cluster", "cache_clusters", ("cache_cluster_id",), status=("cache_cluster_status",)),
    Kept("elasticache", "subnet-group", "cache_subnet_groups", ("cache_subnet_group_name",)),
    Kept("elasticache", "parameter-group", "cache_parameter_groups", ("cache_parameter_group_name", "name")),
    Kept("elasticache", "snapshot", "snapshots", ("snapshot_name", "name"), status=("snapshot_status", "status")),
    Kept("rds", "db-instance", "databases", ("db_instance_identifier",), status=("db_instance_status", "status")),
    Kept("rds", "db-cluster", "clusters", ("db_cluster_identifier",)),
    Kept("rds", "db-subnet-group", "subnet_groups", ("name",), status=("subnet_group_status",)),
    Kept("rds", "db-parameter-group", "db_parameter_groups", ("name", "db_parameter_group_name")),
    Kept("rds", "db-cluster-parameter-group", "db_cluster_parameter_groups", ("name", "db_cluster_parameter_group_name")),
    Kept("rds", "db-snapshot", "database_snapshots", ("db_snapshot_identifier", "snapshot_id")),
    Kept("rds", "db-cluster-snapshot", "cluster_snapshots", ("db_cluster_snapshot_identifier", "snapshot_id")),
    Kept("s3", "bucket", "buckets", ("name",), region="aws"),
    Kept("sns", "topic", "topics", ("name",)),
    Kept("sns", "subscription", "subscriptions", ("arn",)),
    Kept("sqs", "queue", "queues", ("name",), arn=("queue_arn",)),
    Kept("secretsmanager", "secret", "secrets", ("name",)),
)


def inventory(region: str | None = None, service: str | None = None) -> list[dict[str, Any]]:
    """Everything in the account, sorted; what is being deleted is still there, with that status."""
    account = os.environ.get("MOTO_ACCOUNT_ID", DEFAULT_ACCOUNT_ID)
    found: list[dict[str, Any]] = []
    answered: set[str] = set()
    for module in services.installed:
        if not hasattr(module, "inventory"):
            continue
        answered.update(module.INVENTORY_SERVICES)
        for each in _regions_in_use(account):
            found.extend({"region": each, **entry} for entry in module.inventory(account, each))
    found.extend(entry for kept in KEPT if kept.service not in answered for entry in _entries(kept, account))
    if "kms" not in answered:
        found.extend(_aliases(account))
    selected = [
        entry
        for entry in found
        if (region is None or entry["region"] in (region, "aws")) and (service is None or entry["service"] == service)
    ]
    return sorted(selected, key=lambda entry: (entry["service"], entry["type"], entry["region"], str(entry["name"])))


def _regions_in_use(account: str) -> list[str]:
    """Regions for which any backend has been made; asking for another would make one."""
    return sorted(
        {
            str(region)
            for backends in list(BackendDict._instances)
            if account in list(backends.keys())
            for region in list(dict.keys(dict.__getitem__(backends, account)))
            if not str(region).startswith(("aws", "global"))  # services with one backend for a whole partition
        }
    )


def _backends_of(kept: Kept, account: str) -> Iterator[tuple[str, Any]]:
    backends = kept.backends
    if account in list(backends.keys()):
        yield from list(dict.items(dict.__getitem__(backends, account)))


def _entries(kept: Kept, account: str) -> Iterator[dict[str, Any]]:
    for region, backend in _backends_of(kept, account):
        held = getattr(backend, kept.held, None)
        if held is None:
            continue
        tags = _tags_by_arn(account, region if kept.region is None else "us-east-1", backend)
        for resource in _all_in(held):
            lifecycle = getattr(resource, "lifecycle", None)
            if lifecycle is not None and lifecycle.gone:
                continue
            arn = _first(resource, kept.arn)
            yield {
                "service": kept.service,
                "type": kept.type,
                "name": _first(resource, kept.name),
                "arn": arn,
                "status": lifecycle.state if lifecycle is not None else _first(resource, kept.status),
                "tags": tags[arn] if arn in tags else _as_mapping(getattr(resource, "tags", None)),
                # A bucket is in a region, though S3 keeps all buckets in one place.
                "region": getattr(resource, "region_name", region) if kept.service == "s3" else region,
            }


def _aliases(account: str) -> Iterator[dict[str, Any]]:
    for region, backend in _backends_of(Kept("kms", "alias", "keys", ("id",)), account):
        for key in list(backend.keys.values()):
            for alias in list(getattr(key, "aliases", {}).values()):
                yield {
                    "service": "kms",
                    "type": "alias",
                    "name": alias.alias_name,
                    "arn": alias.alias_arn,
                    "status": None,
                    "tags": {},
                    "region": region,
                    "detail": {"key": alias.target_key_id},
                }


def _all_in(held: Any) -> list[Any]:
    # moto's SecretsStore finds a secret under its name and under its ARN: one entry each.
    return list({id(resource): resource for resource in list(held.values())}.values())


def _tags_by_arn(account: str, region: str, backend: Any) -> dict[str, dict[str, str]]:
    for taggable in iter_taggable_backends(account, region):
        if taggable is backend:
            return {resource.arn: dict(resource.tags) for resource in taggable.iter_tagged_resources()}
    return {}


def _first(resource: Any, names: tuple[str, ...]) -> Any:
    return next((getattr(resource, name) for name in names if getattr(resource, name, None) is not None), None)


def _as_mapping(tags: Any) -> dict[str, str]:
    """moto keeps tags as a mapping, as a list of Key and Value, or as a mapping to those."""
    if not tags:
        return {}
    values = tags.values() if isinstance(tags, dict) else tags
    if isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values()):
        return dict(tags)
    return {each.get("Key", each.get("TagKey")): each.get("Value", each.get("TagValue")) for each in values}
