"""DynamoDB global tables (version 2019.11.21): replicas in other regions, made and removed by UpdateTable."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

from shopkeeper_double.lifecycle import GONE, Lifecycle
from shopkeeper_double.services.dynamodb import begin_creating


class Replica:
    """A region's copy of a table, as the tables in the other regions describe it."""

    def __init__(self, table: Table, region: str, asked: dict[str, Any]) -> None:
        self.table = table
        self.region = region
        self.asked = asked
        self.lifecycle = Lifecycle("dynamodb", "replica", settled="ACTIVE")

    def __deepcopy__(self, memo: dict[int, Any]) -> Replica:
        # A transaction and a backup copy the table; the copy is still a member of the same global table.
        return self

    def describe(self) -> dict[str, Any]:
        described = {
            "RegionName": self.region,
            "ReplicaStatus": self.lifecycle.state,
            "ReplicaArn": self.table.table_arn,
            "ReplicaTableClassSummary": {"TableClass": self.asked.get("TableClassOverride") or "STANDARD"},
        }
        for given in ("KMSMasterKeyId", "ProvisionedThroughputOverride", "OnDemandThroughputOverride"):
            if self.asked.get(given):
                described[given] = self.asked[given]
        return described


def _regional_copy(table: Table, region: str) -> Table:
    """The table in another region: the same definition, and the same items at once."""
    other = Table(
        table.name,
        account_id=table.account_id,
        region=region,
        schema=copy.deepcopy(table.schema),
        attr=copy.deepcopy(table.attr),
        billing_mode=table.billing_mode,
        throughput={key: table.throughput[key] for key in ("ReadCapacityUnits", "WriteCapacityUnits")}
        if table.billing_mode == "PROVISIONED"
        else None,
        streams={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    other.indexes = copy.deepcopy(table.indexes)
    other.global_indexes = copy.deepcopy(table.global_indexes)
    other.warm_throughput = dict(table.warm_throughput)
    other.items = table.items
    return other


def planned(backend: DynamoDBBackend, table: Table, updates: list[dict[str, Any]]) -> list[Callable[[], None]]:
    """Check ReplicaUpdates, and return what carries each of them out; ValidationException where one cannot be."""
    from moto.dynamodb.models import dynamodb_backends

    changes: list[Callable[[], None]] = []
    for update in updates:
        (action, asked), *_ = update.items()
        region = asked["RegionName"]
        others = dynamodb_backends[backend.account_id][region]
        if action == "Create":
            stream = table.stream_specification or {}
            if stream.get("StreamViewType") != "NEW_AND_OLD_IMAGES":
                raise MockValidationException(
                    "Table needs to have a stream enabled with NEW_AND_OLD_IMAGES before a replica can be added"
                )
            if region == backend.region_name:
                raise MockValidationException(
                    f"Cannot add, delete, or update the local region through ReplicaUpdates: {region}"
                )
            if region in table.replicas or table.name in others.tables:
                raise MockValidationException(
                    f"Failed to create a the new replica of table with name: '{table.name}' because one or more replicas"
                    " already existed as tables."
                )
            changes.append(lambda region=region, asked=asked, others=others: _add(backend, table, others, region, asked))
        elif region not in table.replicas:
            raise MockValidationException(
                "Replica specified in the Replica Update or Replica Delete action of the request was not found."
            )
        elif action == "Delete":
            changes.append(lambda region=region, others=others: _remove(backend, table, others, region))
        else:
            changes.append(lambda region=region, asked=asked: _update(table, region, asked))
    return changes


def _add(backend: DynamoDBBackend, table: Table, others: DynamoDBBackend, region: str, asked: dict[str, Any]) -> None:
    other = _regional_copy(table, region)
    begin_creating(other)
    others.tables[table.name] = other
    members = {backend.region_name: table, **{name: each.table for name, each in table.replicas.items()}}
    for name, member in members.items():
        seen = member.replicas[region] = Replica(other, region, asked)
        seen.lifecycle.begin("CREATING")
        other.replicas[name] = Replica(member, name, {})


def _remove(backend: DynamoDBBackend, table: Table, others: DynamoDBBackend, region: str) -> None:
    leaving = table.replicas[region].table
    for member in [table, *(each.table for each in table.replicas.values())]:
        if region in member.replicas:
            member.replicas[region].lifecycle.begin("DELETING", then=GONE)
    leaving.replicas.clear()
    leaving.lifecycle.begin("DELETING", then=GONE)


def _update(table: Table, region: str, asked: dict[str, Any]) -> None:
    replica = table.replicas[region]
    replica.asked = {**replica.asked, **asked}
    replica.lifecycle.begin("UPDATING")
