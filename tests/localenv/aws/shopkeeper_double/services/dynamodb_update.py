"""DynamoDB UpdateTable: one change at a time, one index at a time, warm throughput that only grows.

What AWS accepts takes effect when the table is ACTIVE again: until then DescribeTable shows the capacity that is in force.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow
from moto.dynamodb import responses
from moto.dynamodb.exceptions import MockValidationException, ResourceNotFoundException
from moto.dynamodb.models.table import DEFAULT_WARM_THROUGHPUT_RCU, DEFAULT_WARM_THROUGHPUT_WCU, GlobalSecondaryIndex, Table

from shopkeeper_double.lifecycle import GONE, settings
from shopkeeper_double.services import dynamodb_replicas, replaces
from shopkeeper_double.services.dynamodb import INVALID, refuse_unless_active, refuse_wrong_billing, sse_of

CHANGES = (
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexUpdates",
    "StreamSpecification",
    "SSESpecification",
    "ReplicaUpdates",
    "TableClass",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "WarmThroughput",
)


def refuse_shrinking(current: dict[str, Any], asked: dict[str, Any], of: str) -> None:
    for unit in ("ReadUnitsPerSecond", "WriteUnitsPerSecond"):
        if asked.get(unit, current[unit]) < current[unit]:
            raise MockValidationException(
                f"{INVALID}Requested {unit} for WarmThroughput for {of} is lower than current WarmThroughput, decreasing"
                " WarmThroughput is not supported"
            )


def grow_to_capacity(warm: dict[str, int], throughput: dict[str, int]) -> None:
    """Capacity units above the warm throughput raise it: the table was split for them."""
    warm["ReadUnitsPerSecond"] = max(warm["ReadUnitsPerSecond"], throughput["ReadCapacityUnits"])
    warm["WriteUnitsPerSecond"] = max(warm["WriteUnitsPerSecond"], throughput["WriteCapacityUnits"])


def changed_throughput(current: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """ProvisionedThroughputDescription after a change, with the times AWS keeps of it."""
    changed = {**current, **asked}
    pairs = [(current.get(unit, 0), asked[unit]) for unit in ("ReadCapacityUnits", "WriteCapacityUnits")]
    if any(new > old for old, new in pairs):
        changed["LastIncreaseDateTime"] = utcnow()
    if any(new < old for old, new in pairs):
        changed["LastDecreaseDateTime"] = utcnow()
        changed["NumberOfDecreasesToday"] = current.get("NumberOfDecreasesToday", 0) + 1
    return changed


def same_throughput(current: dict[str, Any], asked: dict[str, Any]) -> bool:
    return all(current.get(unit) == asked[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits"))


def set_throughput(table: Table, asked: dict[str, Any]) -> None:
    table.throughput = changed_throughput(table.throughput, asked)
    grow_to_capacity(table.warm_throughput, asked)


def set_billing(table: Table, billing: str) -> None:
    if billing == table.billing_mode:
        return
    table.billing_mode = billing
    if billing == "PROVISIONED":
        table.on_demand_throughput = None
        for index in table.global_indexes:
            index.on_demand_throughput = None
        return
    table.on_demand_since = utcnow()
    nothing = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    floor = {"ReadCapacityUnits": DEFAULT_WARM_THROUGHPUT_RCU, "WriteCapacityUnits": DEFAULT_WARM_THROUGHPUT_WCU}
    for each in [table, *table.global_indexes]:
        each.throughput = {**each.throughput, **nothing}
        grow_to_capacity(each.warm_throughput, floor)


def _refuse(table: Table, body: dict[str, Any]) -> None:
    """What AWS refuses before it changes anything."""
    if not any(body.get(change) is not None for change in CHANGES):
        raise MockValidationException(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or"
            " SSESpecification or ReplicaUpdates is required"
        )
    updates = body.get("GlobalSecondaryIndexUpdates") or []
    if body.get("StreamSpecification") and (body.get("ProvisionedThroughput") or updates):
        what = "IOPS" if body.get("ProvisionedThroughput") else "indexes"
        raise MockValidationException(f"{INVALID}You cannot modify stream status while updating table {what}")
    billing = body.get("BillingMode") or table.billing_mode
    refuse_wrong_billing(billing, body)
    asked = body.get("ProvisionedThroughput")
    switching = billing != table.billing_mode
    if switching and billing == "PROVISIONED":
        if not asked:
            raise MockValidationException(
                f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
            )
        given = {update["Update"]["IndexName"] for update in updates if update.get("Update", {}).get("ProvisionedThroughput")}
        missing = [index.name for index in table.global_indexes if index.name not in given]
        if missing:
            raise MockValidationException(f"{INVALID}ProvisionedThroughput must be specified for index: {', '.join(missing)}")
    if asked and not switching and len([change for change in CHANGES if body.get(change) is not None]) == 1:
        _refuse_no_change(table, asked)
    if body.get("WarmThroughput"):
        refuse_shrinking(table.warm_throughput, body["WarmThroughput"], "table")
    _refuse_indexes(table, updates, billing, body.get("AttributeDefinitions") or [])


def _refuse_no_change(table: Table, asked: dict[str, Any]) -> None:
    # Sent again by whoever compares with a description from before the last change.
    if same_throughput(table.throughput, asked):
        units = [
            f"Current {unit} provisioned for the table: {asked[unit]}. Requested {unit}: {asked[unit]}."
            for unit in ("ReadCapacityUnits", "WriteCapacityUnits")
        ]
        raise MockValidationException(
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            f"{' '.join(units)} Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher"
            " limits."
        )


def _refuse_indexes(table: Table, updates: list[dict[str, Any]], billing: str, definitions: list[dict[str, str]]) -> None:
    indexes = {index.name: index for index in table.global_indexes}
    online = [update for update in updates if update.get("Create") or update.get("Delete")]
    if len(online) > 1:
        raise _one_index_at_a_time()
    for update in updates:
        (action, asked), *more = update.items()
        if more:
            raise MockValidationException(f"{INVALID}Only one global secondary index update per index is allowed simultaneously")
        name = asked["IndexName"]
        busy = [index for index in indexes.values() if index.lifecycle.state in ("CREATING", "DELETING")]
        if action == "Create":
            if name in indexes:
                raise MockValidationException(f"Attempting to create an index which already exists: {name}")
            if busy:
                raise _one_index_at_a_time()
            refuse_wrong_billing(billing, asked, name, new=True)
            known = {each["AttributeName"] for each in [*table.attr, *definitions]}
            missing = [key["AttributeName"] for key in asked["KeySchema"] if key["AttributeName"] not in known]
            if missing:
                raise MockValidationException(
                    f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. Keys: "
                    f"[{', '.join(missing)}], AttributeDefinitions: [{', '.join(sorted(known))}]"
                )
            continue
        if name not in indexes:
            raise ResourceNotFoundException(f"Requested resource not found: Index: {name} not found")
        if action == "Delete":
            # An index that still fills may be given up; one that goes already may not be touched.
            if any(index.name != name or index.lifecycle.state == "DELETING" for index in busy):
                raise _one_index_at_a_time()
        else:
            refuse_wrong_billing(billing, asked, name)
            if asked.get("WarmThroughput"):
                refuse_shrinking(indexes[name].warm_throughput, asked["WarmThroughput"], f"index {name}")


def _one_index_at_a_time() -> ServiceException:
    return ServiceException(
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )


def _update_indexes(table: Table, updates: list[dict[str, Any]]) -> None:
    for update in updates:
        (action, asked), *_ = update.items()
        if action == "Create":
            index = GlobalSecondaryIndex.create(asked, table.table_key_attrs)
            # Two phases as long as each other: resources while the table is UPDATING, then backfilling.
            backfilling = settings.seconds("dynamodb", "global-secondary-index", "CREATING")
            index.lifecycle.begin("CREATING", seconds=settings.seconds("dynamodb", "table", "UPDATING") + backfilling)
            table.global_indexes = [*table.global_indexes, index]
            continue
        index = next(each for each in table.global_indexes if each.name == asked["IndexName"])
        if action == "Delete":
            index.lifecycle.begin("DELETING", then=GONE)
            continue
        index.lifecycle.begin("UPDATING")
        table.pending_changes.append(_index_change(asked))


def _index_change(asked: dict[str, Any]) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        for index in table.global_indexes:
            if index.name != asked["IndexName"]:
                continue
            if asked.get("ProvisionedThroughput"):
                index.throughput = changed_throughput(index.throughput, asked["ProvisionedThroughput"])
                grow_to_capacity(index.warm_throughput, asked["ProvisionedThroughput"])
            if asked.get("OnDemandThroughput"):
                index.on_demand_throughput = {**(index.on_demand_throughput or {}), **asked["OnDemandThroughput"]}
            if asked.get("WarmThroughput"):
                index.warm_throughput.update(asked["WarmThroughput"])

    return change


def apply(table: Table, body: dict[str, Any], sse: dict[str, Any] | None = None) -> None:
    """Begin an update that was not refused: the table is UPDATING until it takes effect."""
    for definition in body.get("AttributeDefinitions") or []:
        if definition["AttributeName"] not in {each["AttributeName"] for each in table.attr}:
            table.attr = [*table.attr, definition]
    later = table.pending_changes
    if body.get("BillingMode"):
        later.append(lambda each, billing=body["BillingMode"]: set_billing(each, billing))
    if body.get("ProvisionedThroughput"):
        later.append(lambda each, asked=body["ProvisionedThroughput"]: set_throughput(each, asked))
    if body.get("OnDemandThroughput"):
        asked = body["OnDemandThroughput"]
        later.append(lambda each: setattr(each, "on_demand_throughput", {**(each.on_demand_throughput or {}), **asked}))
    if body.get("WarmThroughput"):
        table.warm_lifecycle.begin("UPDATING", seconds=settings.seconds("dynamodb", "table", "UPDATING"))
        later.append(lambda each, asked=body["WarmThroughput"]: each.warm_throughput.update(asked))
    if body.get("SSESpecification"):
        if table.sse_description or sse:
            shown = sse or table.sse_description
            table.sse_description = {**shown, "Status": "UPDATING"}
        later.append(lambda each: setattr(each, "sse_description", sse))
    if body.get("TableClass"):
        chosen = {"TableClass": body["TableClass"], "LastUpdateDateTime": utcnow()}
        later.append(lambda each: setattr(each, "table_class", chosen))
    if body.get("DeletionProtectionEnabled") is not None:
        table.deletion_protection_enabled = body["DeletionProtectionEnabled"]
    _update_indexes(table, body.get("GlobalSecondaryIndexUpdates") or [])
    table.lifecycle.begin("UPDATING")


def install() -> None:
    handler = responses.DynamoHandler

    @replaces(handler)
    def update_table(before, self):
        body, backend = self.body, self.dynamodb_backend
        table = backend.get_table(body["TableName"])
        refuse_unless_active(table)
        _refuse(table, body)
        sse = sse_of(backend, body["SSESpecification"]) if body.get("SSESpecification") else None
        replicas = dynamodb_replicas.planned(backend, table, body.get("ReplicaUpdates") or [])
        if body.get("StreamSpecification"):
            backend.update_table_streams(table, body["StreamSpecification"])
        apply(table, body, sse)
        for change in replicas:
            change()
        described = table.describe()["TableDescription"]
        return responses.DynamoResult({"TableDescription": {**described, "TableStatus": "UPDATING"}})
