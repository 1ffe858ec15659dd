"""RDS and Aurora: instances, clusters, snapshots, groups and blue/green deployments with AWS's states and refusals.

moto keeps the stores (so that a reset empties them), the parser and the serialiser, and the rest of the service: option
groups, event subscriptions, proxies, export tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.rds import models, responses

from . import (  # noqa: F401 - they register their operations
    rds_blue_green,
    rds_catalogue,
    rds_cluster_restores,
    rds_clusters,
    rds_groups,
    rds_instance_changes,
    rds_restores,
    rds_roles_and_logs,
    replaces,
)
from ._records import Record, tag_map
from .rds_resources import add_tags, operation, remove_tags, settle

INVENTORY_SERVICES = ("rds",)

_KINDS = {
    # store: type in the inventory, type in the tagging API, and the keys of name and ARN
    "databases": ("db-instance", "rds:db", "DBInstanceIdentifier", "DBInstanceArn"),
    "clusters": ("db-cluster", "rds:cluster", "DBClusterIdentifier", "DBClusterArn"),
    "database_snapshots": ("db-snapshot", "rds:snapshot", "DBSnapshotIdentifier", "DBSnapshotArn"),
    "cluster_snapshots": (
        "db-cluster-snapshot",
        "rds:cluster-snapshot",
        "DBClusterSnapshotIdentifier",
        "DBClusterSnapshotArn",
    ),
    "subnet_groups": ("db-subnet-group", "rds:subgrp", "DBSubnetGroupName", "DBSubnetGroupArn"),
    "db_parameter_groups": ("db-parameter-group", "rds:pg", "DBParameterGroupName", "DBParameterGroupArn"),
    "db_cluster_parameter_groups": (
        "db-cluster-parameter-group",
        "rds:cluster-pg",
        "DBClusterParameterGroupName",
        "DBClusterParameterGroupArn",
    ),
    "blue_green_deployments": (
        "blue-green-deployment",
        "rds:deployment",
        "BlueGreenDeploymentIdentifier",
        "BlueGreenDeploymentArn",
    ),
    "global_clusters": ("global-cluster", "rds:global-cluster", "GlobalClusterIdentifier", "GlobalClusterArn"),
}


def _records(backend: Any) -> Iterator[tuple[Record, tuple[str, str, str, str]]]:
    settle(backend)
    for attribute, kind in _KINDS.items():
        for record in list(getattr(backend, attribute).values()):
            yield record, kind


def inventory(account_id: str, region: str) -> list[dict[str, Any]]:
    """What exists in one region, with the default parameter groups left out: AWS makes those, not the account."""
    return [
        {
            "service": "rds",
            "type": type_name,
            "name": record[name_key],
            "arn": record[arn_key],
            "status": record.status,
            "tags": dict(record.tags),
        }
        for record, (type_name, _, name_key, arn_key) in _records(models.rds_backends[account_id][region])
        if not record[name_key].startswith("default.")
    ]


def install() -> None:
    operation.put_on(responses.RDSResponse, lambda response: response.backend, settle)

    @replaces(models.RDSBackend)
    def iter_tagged_resources(before: Any, self: Any) -> Iterator[TaggedResource]:
        for record, (_, tagging_type, name_key, arn_key) in _records(self):
            if not record[name_key].startswith("default."):
                yield TaggedResource(arn=record[arn_key], tags=dict(record.tags), resource_type=tagging_type)
        for proxy in self.db_proxies.values():
            yield TaggedResource(arn=proxy.arn, tags=tag_map(proxy.tags), resource_type="rds:db-proxy")

    @replaces(models.RDSBackend)
    def tag_resource(before: Any, self: Any, arn: str, tags: dict[str, str]) -> None:
        settle(self)
        add_tags(self, arn, tags)

    @replaces(models.RDSBackend)
    def untag_resource(before: Any, self: Any, arn: str, tag_keys: list[str]) -> None:
        settle(self)
        remove_tags(self, arn, tag_keys)
