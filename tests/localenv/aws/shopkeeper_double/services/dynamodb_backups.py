"""DynamoDB point-in-time recovery, on-demand backups, and the restores from both into a new table."""

from __future__ import annotations

import copy
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import unix_time, utcnow
from moto.dynamodb import responses
from moto.dynamodb.exceptions import (
    MockValidationException,
    PointInTimeRecoveryUnavailable,
    ResourceNotFoundException,
    TableNotFoundException,
)
from moto.dynamodb.models import Backup, DynamoDBBackend, RestoredPITTable, RestoredTable, Table
from moto.dynamodb.models.table import GlobalSecondaryIndex

from shopkeeper_double.lifecycle import Lifecycle
from shopkeeper_double.services import replaces
from shopkeeper_double.services.dynamodb import INVALID, begin_creating, refuse_wrong_billing, sse_of


def _table(backend: DynamoDBBackend, name: str) -> Table:
    # The backup operations have an error of their own for a table that is not there.
    try:
        return backend.get_table(name)
    except ResourceNotFoundException:
        raise TableNotFoundException(name) from None


def _refuse_backup_in_use(backup: Backup) -> None:
    restoring = any(
        getattr(table, "source_backup_arn", None) == backup.arn and table.lifecycle.state == "CREATING"
        for table in backup.backend.tables.values()
    )
    if backup.lifecycle.state != "AVAILABLE" or restoring:
        raise ServiceException(
            "BackupInUseException", f"Backup is being created, deleted or restored to a table: {backup.arn}"
        )


def _restored(backend: DynamoDBBackend, new: Table, source: Table, body: dict[str, Any]) -> Any:
    """Give the new table what a restore carries over, and what the request overrides.

    Tags, the stream, time to live, deletion protection, point-in-time recovery and auto scaling do not come with it.
    """
    new.billing_mode = body.get("BillingModeOverride") or source.billing_mode
    overrides = {name: body.get(f"{name}Override") for name in ("ProvisionedThroughput", "OnDemandThroughput")}
    refuse_wrong_billing(new.billing_mode, overrides)
    new.throughput = {**source.throughput, **(body.get("ProvisionedThroughputOverride") or {})}
    if new.billing_mode == "PAY_PER_REQUEST":
        new.throughput = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
        new.on_demand_since = utcnow()
        new.on_demand_throughput = body.get("OnDemandThroughputOverride") or copy.copy(source.on_demand_throughput)
    new.warm_throughput = dict(source.warm_throughput)
    new.table_class = copy.copy(source.table_class)
    override = body.get("SSESpecificationOverride")
    new.sse_description = sse_of(backend, override) if override else copy.copy(source.sse_description)
    if "GlobalSecondaryIndexOverride" in body:
        new.global_indexes = [
            GlobalSecondaryIndex.create(index, new.table_key_attrs) for index in body["GlobalSecondaryIndexOverride"]
        ]
    new.pending_changes = []
    for index in new.global_indexes:
        index.lifecycle = Lifecycle("dynamodb", "global-secondary-index", settled="ACTIVE", name=index.name)
    begin_creating(new)
    description = new.describe()["TableDescription"]
    return responses.DynamoResult({"TableDescription": {**description, "TableStatus": "CREATING"}})


def _install_backups() -> None:
    @replaces(Backup)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        self.lifecycle = Lifecycle("dynamodb", "backup", settled="AVAILABLE", name=self.name)
        self.lifecycle.begin("CREATING")

    without_id = Backup.summary.fget
    # What tells the backups of two tables apart that had the same name one after the other.
    Backup.summary = property(lambda self: {**without_id(self), "TableId": self.table.table_id})
    Backup.status = property(lambda self: self.__dict__.get("ended") or self.lifecycle.state, lambda self, value: None)

    @replaces(DynamoDBBackend)
    def create_backup(before, self, table_name, backup_name):
        table = _table(self, table_name)
        if table.lifecycle.state in ("CREATING", "DELETING"):
            raise ServiceException("TableInUseException", f"Table is being created or deleted: {table.name}")
        backup = before(self, table.name, backup_name)
        backup.backend = self
        return backup

    @replaces(responses.DynamoHandler)
    def create_backup(before, self):  # noqa: F811 - the backend's and the operation's own
        backup = self.dynamodb_backend.create_backup(self.body["TableName"], self.body["BackupName"])
        return responses.DynamoResult({"BackupDetails": {**backup.details, "BackupStatus": "CREATING"}})

    @replaces(DynamoDBBackend)
    def delete_backup(before, self, backup_arn):
        backup = self.get_backup(backup_arn)
        _refuse_backup_in_use(backup)
        before(self, backup_arn)
        backup.ended = "DELETED"
        return backup


def _install_point_in_time_recovery() -> None:
    @replaces(DynamoDBBackend)
    def update_continuous_backups(before, self, table_name, point_in_time_spec):
        table = _table(self, table_name)
        if table.lifecycle.state in ("CREATING", "DELETING"):
            raise ServiceException(
                "ContinuousBackupsUnavailableException",
                f"Backups are being enabled for the table: {table.name}. Please retry later",
            )
        days = point_in_time_spec.get("RecoveryPeriodInDays")
        if days is not None and not 1 <= days <= 35:
            raise MockValidationException(f"{INVALID}RecoveryPeriodInDays must be between 1 and 35")
        before(self, table_name, point_in_time_spec)
        return self.describe_continuous_backups(table_name)

    @replaces(DynamoDBBackend)
    def describe_continuous_backups(before, self, table_name):
        described = copy.deepcopy(before(self, table_name))
        recovery = described["PointInTimeRecoveryDescription"]
        if recovery["PointInTimeRecoveryStatus"] == "ENABLED":
            recovery["LatestRestorableDateTime"] = unix_time()
        return described


def _install_restores() -> None:
    handler = responses.DynamoHandler

    @replaces(handler)
    def restore_table_from_backup(before, self):
        backend, body = self.dynamodb_backend, self.body
        backup = backend.get_backup(body["BackupArn"])
        _refuse_backup_in_use(backup)
        new = backend.restore_table_from_backup(body["TargetTableName"], body["BackupArn"])
        assert isinstance(new, RestoredTable)
        return _restored(backend, new, backup.table, body)

    @replaces(handler)
    def restore_table_to_point_in_time(before, self):
        backend, body = self.dynamodb_backend, self.body
        name = body.get("SourceTableName") or body.get("SourceTableArn", "")
        try:
            source = backend.get_table(name)
        except ResourceNotFoundException:
            raise TableNotFoundException(name) from None
        recovery = source.continuous_backups["PointInTimeRecoveryDescription"]
        if recovery["PointInTimeRecoveryStatus"] != "ENABLED":
            raise PointInTimeRecoveryUnavailable(source.name)
        if bool(body.get("UseLatestRestorableTime")) == bool(body.get("RestoreDateTime")):
            raise MockValidationException(f"{INVALID}Specify either RestoreDateTime or UseLatestRestorableTime")
        new = backend.restore_table_to_point_in_time(body["TargetTableName"], source.name)
        assert isinstance(new, RestoredPITTable)
        return _restored(backend, new, source, body)


def install() -> None:
    _install_backups()
    _install_point_in_time_recovery()
    _install_restores()
