"""What hangs on a DynamoDB table and has states of its own: time to live, Kinesis destinations, Contributor Insights."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import unix_time
from moto.dynamodb import responses
from moto.dynamodb.exceptions import MockValidationException, ResourceNotFoundException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

from shopkeeper_double.lifecycle import Lifecycle
from shopkeeper_double.services import replaces


def _table(backend: DynamoDBBackend, name: str) -> Table:
    try:
        return backend.get_table(name)
    except ResourceNotFoundException:
        raise ResourceNotFoundException(table_name=name) from None


def _refuse_while_coming_or_going(table: Table) -> None:
    if table.lifecycle.state in ("CREATING", "DELETING"):
        raise ServiceException("ResourceInUseException", f"Table is not in an ACTIVE state: {table.name}")


class KinesisDestination:
    """A Kinesis data stream that a table sends its changes to. AWS keeps it, DISABLED, once it is switched off."""

    def __init__(self, stream: str, configuration: dict[str, Any]) -> None:
        self.stream = stream
        self.precision = configuration.get("ApproximateCreationDateTimePrecision")
        self.lifecycle = Lifecycle("dynamodb", "kinesis-destination", settled="ACTIVE")

    def describe(self) -> dict[str, Any]:
        described = {"StreamArn": self.stream, "DestinationStatus": self.lifecycle.state}
        if self.precision:
            described["ApproximateCreationDateTimePrecision"] = self.precision
        return described


class ContributorInsights:
    """The setting for a table or one of its indexes."""

    def __init__(self) -> None:
        self.mode = "ACCESSED_AND_THROTTLED_KEYS"
        self.changed: float | None = None
        self.lifecycle = Lifecycle("dynamodb", "contributor-insights", settled="DISABLED")


def _install_time_to_live() -> None:
    @replaces(DynamoDBBackend)
    def update_time_to_live(before, self, table_name, ttl_spec):
        table = _table(self, table_name)
        _refuse_while_coming_or_going(table)
        attribute, enable = ttl_spec["AttributeName"], ttl_spec["Enabled"]
        if not attribute:
            raise MockValidationException("TimeToLiveSpecification.AttributeName must not be empty")
        if table.ttl_lifecycle.in_transition:
            # AWS takes up to an hour, and takes no other change meanwhile.
            raise MockValidationException("Time to live has been modified multiple times within a fixed interval")
        enabled = table.ttl_lifecycle.state == "ENABLED"
        if enabled and table.ttl["AttributeName"] != attribute:
            raise MockValidationException(
                f"TimeToLive is active on a different AttributeName: current AttributeName is {table.ttl['AttributeName']}"
            )
        if enabled == enable:
            raise MockValidationException(f"TimeToLive is already {'enabled' if enable else 'disabled'}")
        table.ttl["AttributeName"] = attribute
        if enable:
            table.ttl_lifecycle.begin("ENABLING", then="ENABLED")
        else:
            table.ttl_lifecycle.begin("DISABLING", then="DISABLED")

    @replaces(DynamoDBBackend)
    def describe_time_to_live(before, self, table_name):
        table = _table(self, table_name)
        state = table.ttl_lifecycle.state
        if state == "DISABLED":
            return {"TimeToLiveStatus": state}
        return {"TimeToLiveStatus": state, "AttributeName": table.ttl["AttributeName"]}


def _install_kinesis() -> None:
    handler = responses.DynamoHandler

    def described(table: Table, destination: KinesisDestination, key: str, status: str | None = None) -> ActionResult:
        answer: dict[str, Any] = {
            "TableName": table.name,
            "StreamArn": destination.stream,
            "DestinationStatus": status or destination.lifecycle.state,
        }
        if destination.precision:
            answer[key] = {"ApproximateCreationDateTimePrecision": destination.precision}
        return ActionResult(answer)

    def active(table: Table, stream: str) -> KinesisDestination:
        destination = table.kinesis_destinations.get(stream)
        if destination is None:
            raise ResourceNotFoundException(
                f"Requested resource not found: Table: {table.name} does not have a Kinesis destination for {stream}"
            )
        if destination.lifecycle.state != "ACTIVE":
            raise MockValidationException(
                "Table is not in a valid state to change Kinesis Streaming Destination: KinesisStreamingDestination must be"
                " ACTIVE to perform this operation."
            )
        return destination

    @replaces(handler)
    def enable_kinesis_streaming_destination(before, self):
        table = _table(self.dynamodb_backend, self.body["TableName"])
        _refuse_while_coming_or_going(table)
        stream = self.body["StreamArn"]
        _refuse_unless_stream(self.current_account, stream)
        current = table.kinesis_destinations.get(stream)
        if current is not None and current.lifecycle.state != "DISABLED":
            raise MockValidationException(
                "Table is not in a valid state to enable Kinesis Streaming Destination: EnableKinesisStreamingDestination"
                " must be DISABLED or ENABLE_FAILED to perform ENABLE operation."
            )
        taking = [each for each in table.kinesis_destinations.values() if each.lifecycle.state != "DISABLED"]
        if len(taking) >= 2:
            raise ServiceException("LimitExceededException", "A table can have two Kinesis destinations at the same time")
        destination = KinesisDestination(stream, self.body.get("EnableKinesisStreamingConfiguration") or {})
        destination.lifecycle.begin("ENABLING")
        table.kinesis_destinations[stream] = destination
        return described(table, destination, "EnableKinesisStreamingConfiguration", "ENABLING")

    @replaces(handler)
    def disable_kinesis_streaming_destination(before, self):
        table = _table(self.dynamodb_backend, self.body["TableName"])
        destination = active(table, self.body["StreamArn"])
        destination.lifecycle.begin("DISABLING", then="DISABLED")
        return described(table, destination, "EnableKinesisStreamingConfiguration", "DISABLING")

    @replaces(handler)
    def update_kinesis_streaming_destination(before, self):
        table = _table(self.dynamodb_backend, self.body["TableName"])
        destination = active(table, self.body["StreamArn"])
        configuration = self.body.get("UpdateKinesisStreamingConfiguration") or {}
        precision = configuration.get("ApproximateCreationDateTimePrecision")
        if not precision or precision == (destination.precision or "MILLISECOND"):
            raise MockValidationException("Invalid Request: Precision is already set to the desired value")
        destination.precision = precision
        destination.lifecycle.begin("UPDATING")
        return described(table, destination, "UpdateKinesisStreamingConfiguration", "UPDATING")

    @replaces(handler)
    def describe_kinesis_streaming_destination(before, self):
        table = _table(self.dynamodb_backend, self.body["TableName"])
        destinations = [each.describe() for each in table.kinesis_destinations.values()]
        return ActionResult({"TableName": table.name, "KinesisDataStreamDestinations": destinations})


def _refuse_unless_stream(account: str, arn: str) -> None:
    from moto.kinesis.models import kinesis_backends

    streams = kinesis_backends[account][arn.split(":")[3]].streams
    stream = next((each for each in streams.values() if each.arn == arn), None)
    if stream is None:
        raise ResourceNotFoundException(f"User does not have a permission to use kinesis stream {arn}, or it does not exist")
    if stream.status != "ACTIVE":
        raise ServiceException("ResourceInUseException", f"Kinesis stream is not in an ACTIVE state: {arn}")


def _install_contributor_insights() -> None:
    handler = responses.DynamoHandler

    def setting(self: Any) -> tuple[Table, str | None, ContributorInsights]:
        table = _table(self.dynamodb_backend, self.body["TableName"])
        index = self.body.get("IndexName")
        if index and index not in {each.name for each in table.global_indexes}:
            raise ResourceNotFoundException(f"Requested resource not found: Table: {table.name} Index: {index} not found")
        return table, index, table.contributor_insights.setdefault(index or "", ContributorInsights())

    def described(table: Table, index: str | None, insights: ContributorInsights) -> dict[str, Any]:
        answer = {"TableName": table.name, "ContributorInsightsStatus": insights.lifecycle.state}
        if index:
            answer["IndexName"] = index
        if insights.lifecycle.state != "DISABLED":
            answer["ContributorInsightsMode"] = insights.mode
        return answer

    @replaces(handler)
    def update_contributor_insights(before, self):
        table, index, insights = setting(self)
        _refuse_while_coming_or_going(table)
        insights.mode = self.body.get("ContributorInsightsMode") or insights.mode
        insights.changed = unix_time()
        if self.body["ContributorInsightsAction"] == "ENABLE":
            if insights.lifecycle.state != "ENABLED":
                insights.lifecycle.begin("ENABLING", then="ENABLED")
        elif insights.lifecycle.state != "DISABLED":
            insights.lifecycle.begin("DISABLING", then="DISABLED")
        return ActionResult(described(table, index, insights))

    @replaces(handler)
    def describe_contributor_insights(before, self):
        table, index, insights = setting(self)
        answer = described(table, index, insights)
        if insights.changed:
            answer["LastUpdateDateTime"] = insights.changed
        answer["ContributorInsightsRuleList"] = []
        return ActionResult(answer)

    @replaces(handler)
    def list_contributor_insights(before, self):
        wanted = self.body.get("TableName")
        tables = [_table(self.dynamodb_backend, wanted)] if wanted else list(self.dynamodb_backend.tables.values())
        summaries = [
            described(table, index or None, insights)
            for table in tables
            for index, insights in table.contributor_insights.items()
        ]
        return ActionResult({"ContributorInsightsSummaries": summaries})


def install() -> None:
    _install_time_to_live()
    _install_kinesis()
    _install_contributor_insights()
