"""DynamoDB tables: every field of DescribeTable, and the states a table goes through.

CreateTable, UpdateTable, DeleteTable and the restores answer at once and take seconds to hours to do the work; the table is
CREATING, UPDATING or DELETING meanwhile. UpdateTable is in `dynamodb_update`, backups in `dynamodb_backups`, global tables
in `dynamodb_replicas`, and what hangs on a table (TTL, Kinesis, Contributor Insights) in `dynamodb_table_features`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.dynamodb import responses
from moto.dynamodb.exceptions import MockValidationException, ResourceNotFoundException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models import table as tables
from moto.dynamodb.models.table import DEFAULT_WARM_THROUGHPUT_RCU, DEFAULT_WARM_THROUGHPUT_WCU, GlobalSecondaryIndex, Table
from moto.dynamodbstreams.models import DynamoDBStreamsBackend
from moto.moto_api._internal import mock_random

from shopkeeper_double.lifecycle import GONE, Lifecycle, drop_gone
from shopkeeper_double.services import replaces
from shopkeeper_double.services._keys import unusable

INVALID = "One or more parameter values were invalid: "

#: Operations that read or write items. AWS does not know a table for these until it is ACTIVE for the first time.
ITEM_OPERATIONS = (
    "put_item",
    "get_item",
    "update_item",
    "delete_item",
    "query",
    "scan",
    "batch_get_item",
    "batch_write_item",
    "transact_get_items",
    "transact_write_items",
)


def refuse_unless_active(table: Table) -> None:
    """Only one change of a table's definition runs at a time; ResourceInUseException until it is over."""
    under_way = {"CREATING": "created", "UPDATING": "updated", "DELETING": "deleted"}.get(table.lifecycle.state)
    if under_way:
        raise ServiceException(
            "ResourceInUseException",
            f"Attempt to change a resource which is still in use: Table is being {under_way}: {table.name}",
        )


def settle(table: Table) -> None:
    """Apply what an UpdateTable asked for once it is over: until then AWS describes the values that are in force."""
    if table.lifecycle.in_transition:
        return
    changes, table.pending_changes = table.pending_changes, []
    for change in changes:
        change(table)
    table.global_indexes = [index for index in table.global_indexes if not index.lifecycle.gone]
    used = set(table.attribute_keys)
    # AWS forgets the definition of an attribute with the last index that used it.
    table.attr = [definition for definition in table.attr if definition["AttributeName"] in used]


def key_arn(backend: DynamoDBBackend, key: str) -> str:
    """The ARN of the KMS key that `key` (id, ARN, alias or alias ARN) names; ValidationException where there is none."""
    from moto.kms.models import kms_backends

    region = key.split(":")[3] if key.startswith("arn:") else backend.region_name
    kms = kms_backends[backend.account_id][region]
    try:
        return kms.keys[kms.any_id_to_key_id(key)].arn
    except (KeyError, AttributeError):
        raise MockValidationException(f"KMS validation error: Key '{key}' does not exist") from None


def sse_of(backend: DynamoDBBackend, specification: dict[str, Any] | None) -> dict[str, Any] | None:
    """SSESpecification as DescribeTable shows it; None for the AWS-owned key, which AWS does not show."""
    if not specification or not specification.get("Enabled"):
        if specification and specification.get("KMSMasterKeyId"):
            raise MockValidationException(f"{INVALID}KMSMasterKeyId can be specified only when SSESpecification is enabled")
        return None
    if specification.get("SSEType", "KMS") != "KMS":
        raise MockValidationException(f"{INVALID}Only KMS server-side encryption is supported: SSEType must be KMS")
    key = specification.get("KMSMasterKeyId")
    if (problem := unusable(backend.account_id, backend.region_name, key)) is not None:
        raise MockValidationException(f"KMS validation error: {problem}")
    return {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key_arn(backend, key or "alias/aws/dynamodb")}


def refuse_wrong_billing(
    billing: str, table_or_index: dict[str, Any], index: str | None = None, new: bool = False
) -> None:
    """Capacity units go with PROVISIONED, request limits with PAY_PER_REQUEST."""
    of_index = f" for index: {index}" if index else ""
    if billing == "PROVISIONED":
        if table_or_index.get("OnDemandThroughput"):
            raise MockValidationException(
                f"{INVALID}OnDemandThroughput cannot be specified{of_index} when BillingMode is PROVISIONED"
            )
        if new and not table_or_index.get("ProvisionedThroughput"):
            raise MockValidationException(f"{INVALID}ProvisionedThroughput must be specified for index: {index}")
    elif table_or_index.get("ProvisionedThroughput"):
        raise MockValidationException(
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified{of_index} when BillingMode is"
            " PAY_PER_REQUEST"
        )


def warm_throughput(asked: dict[str, Any] | None, provisioned: dict[str, Any] | None) -> dict[str, int]:
    """What a table or index can serve at once: asked for, else its capacity units, else the floor of on-demand."""
    floor = provisioned or {"ReadCapacityUnits": DEFAULT_WARM_THROUGHPUT_RCU, "WriteCapacityUnits": DEFAULT_WARM_THROUGHPUT_WCU}
    return {
        "ReadUnitsPerSecond": (asked or {}).get("ReadUnitsPerSecond", floor["ReadCapacityUnits"]),
        "WriteUnitsPerSecond": (asked or {}).get("WriteUnitsPerSecond", floor["WriteCapacityUnits"]),
    }


def describe_index(table: Table, index: GlobalSecondaryIndex) -> dict[str, Any]:
    state = index.lifecycle.state
    described = {
        "IndexName": index.name,
        "KeySchema": index.schema,
        "Projection": index.projection,
        "IndexStatus": state,
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **index.throughput},
        "IndexSizeBytes": 0,
        "ItemCount": 0,
        "IndexArn": f"{table.table_arn}/index/{index.name}",
        "WarmThroughput": {**index.warm_throughput, "Status": "UPDATING" if state == "CREATING" else state},
    }
    if state == "CREATING" and table.lifecycle.state != "CREATING":
        # Resources are set up while the table is UPDATING; then the table is ACTIVE again and the index fills.
        described["Backfilling"] = table.lifecycle.state == "ACTIVE"
    if table.billing_mode == "PAY_PER_REQUEST" and index.on_demand_throughput:
        described["OnDemandThroughput"] = index.on_demand_throughput
    return described


def _describe(table: Table) -> dict[str, Any]:
    settle(table)
    described: dict[str, Any] = {
        "AttributeDefinitions": table.attr,
        "TableName": table.name,
        "KeySchema": table.schema,
        "TableStatus": table.lifecycle.state,
        "CreationDateTime": table.created_at,
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **table.throughput},
        "TableSizeBytes": 0,
        "ItemCount": len(table),
        "TableArn": table.table_arn,
        "TableId": table.table_id,
        "DeletionProtectionEnabled": bool(table.deletion_protection_enabled),
        "WarmThroughput": {**table.warm_throughput, "Status": table.warm_lifecycle.state},
    }
    if table.on_demand_since:
        # A table that never left PROVISIONED has no summary.
        described["BillingModeSummary"] = {
            "BillingMode": table.billing_mode,
            "LastUpdateToPayPerRequestDateTime": table.on_demand_since,
        }
    if table.billing_mode == "PAY_PER_REQUEST" and table.on_demand_throughput:
        described["OnDemandThroughput"] = table.on_demand_throughput
    if table.table_class:
        described["TableClassSummary"] = table.table_class
    if table.global_indexes:
        described["GlobalSecondaryIndexes"] = [describe_index(table, index) for index in table.global_indexes]
    if table.indexes:
        described["LocalSecondaryIndexes"] = [
            {
                **index.describe(),
                "IndexSizeBytes": 0,
                "ItemCount": 0,
                "IndexArn": f"{table.table_arn}/index/{index.name}",
            }
            for index in table.indexes
        ]
    if table.latest_stream_label:
        described["LatestStreamLabel"] = table.latest_stream_label
        described["LatestStreamArn"] = f"{table.table_arn}/stream/{table.latest_stream_label}"
    if table.stream_specification and table.stream_specification.get("StreamEnabled"):
        described["StreamSpecification"] = table.stream_specification
    if table.sse_description:
        described["SSEDescription"] = table.sse_description
    if table.replicas:
        drop_gone(table.replicas)
    if table.replicas:
        described["GlobalTableVersion"] = "2019.11.21"
        described["Replicas"] = [replica.describe() for replica in table.replicas.values()]
    return described


def _start(table: Table) -> None:
    """Give a new table what moto does not keep, and let it be CREATING."""
    table.lifecycle = Lifecycle("dynamodb", "table", settled="ACTIVE", name=table.name)
    table.warm_lifecycle = Lifecycle("dynamodb", "warm-throughput", settled="ACTIVE", name=table.name)
    table.table_id = str(mock_random.uuid4())
    table.table_class = None
    table.on_demand_throughput = None
    table.on_demand_since = table.created_at if table.billing_mode == "PAY_PER_REQUEST" else None
    table.sse_description = None
    table.pending_changes: list[Callable[[Table], None]] = []
    table.replicas: dict[str, Any] = {}
    table.kinesis_destinations: dict[str, Any] = {}
    table.contributor_insights: dict[str, Any] = {}
    table.ttl_lifecycle = Lifecycle("dynamodb", "time-to-live", settled="DISABLED", name=table.name)


def begin_creating(table: Table) -> None:
    """CREATING, with its indexes, which are not filled and so never show Backfilling."""
    table.lifecycle.begin("CREATING")
    for index in table.global_indexes:
        index.lifecycle.begin("CREATING")


def remove_from_replicas(backend: DynamoDBBackend, table: Table) -> None:
    """A table that is deleted in one region leaves the global table; the other regions keep theirs."""
    from moto.dynamodb.models import dynamodb_backends

    for region in table.replicas:
        other = dynamodb_backends[backend.account_id][region].tables.get(table.name)
        if other is not None:
            other.replicas.pop(backend.region_name, None)


def _tables_of_request(body: dict[str, Any]) -> Iterator[str]:
    if "TableName" in body:
        yield body["TableName"]
    yield from body.get("RequestItems") or {}
    for item in body.get("TransactItems") or []:
        yield from (operation["TableName"] for operation in item.values() if "TableName" in operation)


def _table_resource(backend: DynamoDBBackend, arn: str) -> Table:
    for table in backend.tables.values():
        if table.table_arn == arn:
            return table
    raise ResourceNotFoundException(f"Requested resource not found: ResourcArn: {arn} not found")


def _install_models() -> None:
    @replaces(Table)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        _start(self)

    @replaces(Table)
    def describe(before, self, base_key="TableDescription"):
        return {base_key: _describe(self)}

    def restored(self, base_key="TableDescription"):
        described = _describe(self)
        described["RestoreSummary"] = {
            "SourceTableArn": self.source_table_arn,
            "RestoreDateTime": self.restore_date_time,
            "RestoreInProgress": self.lifecycle.state == "CREATING",
        }
        if getattr(self, "source_backup_arn", None):
            described["RestoreSummary"]["SourceBackupArn"] = self.source_backup_arn
        return {base_key: described}

    tables.RestoredTable.describe = restored
    tables.RestoredPITTable.describe = restored

    @replaces(GlobalSecondaryIndex)
    def __init__(before, self, *args, **kwargs):  # noqa: F811 - the names moto gives to both constructors
        before(self, *args, **kwargs)
        self.warm_throughput = {key: value for key, value in self.warm_throughput.items() if key != "Status"}
        self.on_demand_throughput = None
        self.lifecycle = Lifecycle("dynamodb", "global-secondary-index", settled="ACTIVE", name=self.name)

    @replaces(GlobalSecondaryIndex)
    def create(before, dct, table_key_attrs):
        throughput = dct.get("ProvisionedThroughput")
        index = before({**dct, "WarmThroughput": warm_throughput(dct.get("WarmThroughput"), throughput)}, table_key_attrs)
        index.on_demand_throughput = dct.get("OnDemandThroughput")
        return index

    GlobalSecondaryIndex.create = staticmethod(GlobalSecondaryIndex.create)

    @replaces(Table)
    def set_stream_specification(before, self, streams):
        enabling = bool(streams and streams.get("StreamEnabled"))
        enabled = bool((self.stream_specification or {}).get("StreamEnabled"))
        if hasattr(self, "lifecycle") and enabling == enabled:
            raise MockValidationException(
                f"Table already has an enabled stream: TableName: {self.name}"
                if enabling
                else f"Table has no enabled stream: TableName: {self.name}"
            )
        before(self, streams)
        if enabling:
            self.last_stream_view_type = streams["StreamViewType"]

    @replaces(tables.StreamShard)
    def add(before, self, old, new):
        # The last stream stays readable for a day after it is switched off, and takes no more records.
        if (self.table.stream_specification or {}).get("StreamEnabled"):
            before(self, old, new)

    @replaces(DynamoDBStreamsBackend)
    def describe_stream(before, self, arn):
        table = self._get_table_from_arn(arn)
        specification = table.stream_specification or {}
        if specification.get("StreamEnabled"):
            return before(self, arn)
        if table.stream_shard is None or not arn.endswith(f"/stream/{table.latest_stream_label}"):
            raise ResourceNotFoundException(f"Requested resource not found: Stream: {arn} not found")
        return {
            "StreamArn": arn,
            "StreamLabel": table.latest_stream_label,
            "StreamStatus": "DISABLED",
            "StreamViewType": table.last_stream_view_type,
            "CreationRequestDateTime": table.stream_shard.created_on,
            "TableName": table.name,
            "KeySchema": table.schema,
            "Shards": [table.stream_shard.to_json()],
        }

    @replaces(DynamoDBBackend)
    def update_table_streams(before, self, table, stream_specification):
        # moto refuses to enable a stream again once there was one.
        table.set_stream_specification(stream_specification)

    @replaces(DynamoDBBackend)
    def delete_table(before, self, name):
        table = self.get_table(name)
        if table.lifecycle.state == "DELETING":
            return table
        refuse_unless_active(table)
        if table.deletion_protection_enabled:
            raise MockValidationException(
                "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
            )
        table.lifecycle.begin("DELETING", then=GONE)
        for index in table.global_indexes:
            index.lifecycle.begin("DELETING", then=GONE)
        self.resource_policies.pop(table.table_arn, None)
        remove_from_replicas(self, table)
        return table

    @replaces(DynamoDBBackend)
    def list_tables(before, self, limit, exclusive_start_table_name):
        # AWS lists by name, so a page can start after a table that is gone.
        names = sorted(name for name in self.tables if name > (exclusive_start_table_name or ""))
        page = names[: limit or 100]
        return page, page[-1] if len(page) < len(names) else None

    @replaces(DynamoDBBackend)
    def iter_tagged_resources(before, self):
        drop_gone(self.tables)
        yield from before(self)

    @replaces(DynamoDBBackend)
    def tag_resource(before, self, arn, tags):
        table = _table_resource(self, arn)
        kept = [tag for tag in table.tags if tag["Key"] not in tags]
        if len(kept) + len(tags) > 50:
            raise MockValidationException(f"{INVALID}Too many tags: the limit is 50 tags for a resource")
        table.tags = kept + [{"Key": key, "Value": value} for key, value in tags.items()]

    @replaces(DynamoDBBackend)
    def untag_resource(before, self, arn, tag_keys):
        _table_resource(self, arn)
        before(self, arn, tag_keys)


def _install_responses() -> None:
    handler = responses.DynamoHandler

    @replaces(handler)
    def call_action(before, self):
        drop_gone(self.dynamodb_backend.tables)
        for table in self.dynamodb_backend.tables.values():
            settle(table)
        return before(self)

    @replaces(handler)
    def create_table(before, self):
        body, backend = self.body, self.dynamodb_backend
        billing = body.get("BillingMode", "PROVISIONED")
        if body["TableName"] in backend.tables:
            raise ServiceException("ResourceInUseException", f"Table already exists: {body['TableName']}")
        refuse_wrong_billing(billing, body)
        for index in body.get("GlobalSecondaryIndexes") or []:
            refuse_wrong_billing(billing, index, index["IndexName"], new=True)
        sse = sse_of(backend, body.get("SSESpecification"))
        before(self)
        table = backend.tables[body["TableName"]]
        table.warm_throughput = warm_throughput(body.get("WarmThroughput"), body.get("ProvisionedThroughput"))
        table.on_demand_throughput = body.get("OnDemandThroughput")
        table.sse_description = sse
        if body.get("TableClass"):
            table.table_class = {"TableClass": body["TableClass"]}
        if body.get("ResourcePolicy"):
            backend.put_resource_policy(table.table_arn, body["ResourcePolicy"], None)
        begin_creating(table)
        described = _describe(table)
        return responses.DynamoResult({"TableDescription": {**described, "TableStatus": "CREATING"}})

    @replaces(handler)
    def delete_table(before, self):
        table = self.dynamodb_backend.delete_table(self.body["TableName"])
        described = _describe(table)
        return responses.DynamoResult({"TableDescription": {**described, "TableStatus": "DELETING"}})

    for operation in ITEM_OPERATIONS:
        _refuse_unless_made(handler, operation)

    @replaces(handler)
    def describe_limits(before, self):
        return ActionResult(
            {
                "AccountMaxReadCapacityUnits": 80000,
                "AccountMaxWriteCapacityUnits": 80000,
                "TableMaxReadCapacityUnits": 40000,
                "TableMaxWriteCapacityUnits": 40000,
            }
        )


def _refuse_unless_made(handler: type, operation: str) -> None:
    def guarded(before, self):
        for name in _tables_of_request(self.body):
            table = self.dynamodb_backend.tables.get(name.rsplit("/", 1)[-1])
            if table is not None and table.lifecycle.state in ("CREATING", "DELETING"):
                raise ResourceNotFoundException()
        return before(self)

    guarded.__name__ = operation
    replaces(handler)(guarded)


def install() -> None:
    _install_models()
    _install_responses()

