"""DynamoDB: a table's fields and states, and what AWS refuses meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shopkeeper_double.lifecycle import clock, settings


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


def message(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Message"]


def definition(name: str = "orders", **more: Any) -> dict[str, Any]:
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "state")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [index("by-state", "state")],
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }


def index(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        **more,
    }


def adding(name: str, key: str) -> dict[str, Any]:
    return {
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": index(name, key)}],
    }


@pytest.fixture
def dynamodb(double: Any) -> Any:
    return double.client("dynamodb")


def table(dynamodb: Any, name: str = "orders") -> dict[str, Any]:
    return dynamodb.describe_table(TableName=name)["Table"]


def states(dynamodb: Any) -> dict[str, str]:
    return {each["IndexName"]: each["IndexStatus"] for each in table(dynamodb).get("GlobalSecondaryIndexes", [])}


def test_a_table_shows_every_field_it_was_made_with(double, dynamodb):
    key = double.client("kms").create_key()["KeyMetadata"]
    double.client("kms").create_alias(AliasName="alias/orders", TargetKeyId=key["KeyId"])
    created = dynamodb.create_table(
        **definition(
            TableClass="STANDARD_INFREQUENT_ACCESS",
            OnDemandThroughput={"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50},
            WarmThroughput={"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000},
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/orders"},
            GlobalSecondaryIndexes=[
                index("by-state", "state", WarmThroughput={"ReadUnitsPerSecond": 12500, "WriteUnitsPerSecond": 4500})
            ],
            ResourcePolicy='{"Version":"2012-10-17","Statement":[]}',
        )
    )["TableDescription"]
    assert created["TableStatus"] == "CREATING"
    shown = table(dynamodb)
    assert shown["TableStatus"] == "ACTIVE"
    assert shown["TableId"] == created["TableId"]
    assert shown["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert shown["OnDemandThroughput"] == {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50}
    assert shown["WarmThroughput"] == {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000, "Status": "ACTIVE"}
    assert shown["SSEDescription"] == {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key["Arn"]}
    assert shown["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    by_state = shown["GlobalSecondaryIndexes"][0]
    assert by_state["IndexArn"] == f"{shown['TableArn']}/index/by-state"
    assert by_state["WarmThroughput"]["ReadUnitsPerSecond"] == 12500
    assert dynamodb.get_resource_policy(ResourceArn=shown["TableArn"])["Policy"]


def test_what_a_table_does_not_have_is_left_out(dynamodb):
    dynamodb.create_table(
        TableName="plain",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
    )
    absent = {"BillingModeSummary", "SSEDescription", "GlobalSecondaryIndexes", "LatestStreamArn", "OnDemandThroughput", "Replicas"}
    assert not absent & set(table(dynamodb, "plain"))


@pytest.mark.parametrize(
    "change",
    [
        {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
        {"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/nobody"}},
        {"WarmThroughput": {"ReadUnitsPerSecond": 10, "WriteUnitsPerSecond": 10}},
        {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]},
    ],
    ids=["units-on-demand", "index-without-units", "no-such-key", "cold", "undefined-attribute"],
)
def test_a_definition_that_does_not_fit_together_is_refused(dynamodb, change):
    assert code(dynamodb.create_table, **definition(**change)) == "ValidationException"
    assert dynamodb.list_tables()["TableNames"] == []


@pytest.mark.usefixtures("lasting")
def test_a_table_is_creating_until_it_is_active(double, dynamodb):
    dynamodb.create_table(**definition())
    assert table(dynamodb)["TableStatus"] == "CREATING"
    assert states(dynamodb) == {"by-state": "CREATING"}
    assert code(dynamodb.create_table, **definition()) == "ResourceInUseException"
    assert code(dynamodb.delete_table, TableName="orders") == "ResourceInUseException"
    assert code(dynamodb.update_table, TableName="orders", TableClass="STANDARD") == "ResourceInUseException"
    assert code(dynamodb.put_item, TableName="orders", Item={"pk": {"S": "1"}}) == "ResourceNotFoundException"
    double.settle()
    assert table(dynamodb)["TableStatus"] == "ACTIVE"
    assert states(dynamodb) == {"by-state": "ACTIVE"}
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "1"}})


def test_one_update_at_a_time_and_its_effect_comes_with_its_end(double, dynamodb):
    dynamodb.create_table(
        **definition(
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
            GlobalSecondaryIndexes=[
                index("by-state", "state", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5})
            ],
        )
    )
    table(dynamodb)
    settings.change(default_seconds=1e6)
    asked = {"ReadCapacityUnits": 50, "WriteCapacityUnits": 4}
    answer = dynamodb.update_table(TableName="orders", ProvisionedThroughput=asked)["TableDescription"]
    assert answer["TableStatus"] == "UPDATING"
    assert answer["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    assert code(dynamodb.update_table, TableName="orders", TableClass="STANDARD") == "ResourceInUseException"
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "usable while it is updated"}})
    double.settle()
    shown = table(dynamodb)
    assert shown["TableStatus"] == "ACTIVE"
    assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 50
    assert shown["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1
    assert shown["WarmThroughput"]["ReadUnitsPerSecond"] == 50  # grows with the capacity, and stays
    assert shown["WarmThroughput"]["WriteUnitsPerSecond"] == 5
    assert "will not change" in message(dynamodb.update_table, TableName="orders", ProvisionedThroughput=asked)


def test_one_index_at_a_time(double, dynamodb):
    dynamodb.create_table(**definition())
    two = {
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in ("a", "b")],
        "GlobalSecondaryIndexUpdates": [{"Create": index("by-a", "a")}, {"Create": index("by-b", "b")}],
    }
    assert code(dynamodb.update_table, TableName="orders", **two) == "LimitExceededException"
    settings.change(overrides={"dynamodb.table.updating": 10, "dynamodb.global-secondary-index.creating": 20})
    dynamodb.update_table(TableName="orders", **adding("by-a", "a"))
    assert table(dynamodb)["TableStatus"] == "UPDATING"
    assert states(dynamodb)["by-a"] == "CREATING"
    clock.advance(11)
    shown = table(dynamodb)
    assert shown["TableStatus"] == "ACTIVE"
    assert [each.get("Backfilling") for each in shown["GlobalSecondaryIndexes"]] == [None, True]
    assert code(dynamodb.update_table, TableName="orders", **adding("by-b", "b")) == "LimitExceededException"
    dynamodb.update_table(TableName="orders", TableClass="STANDARD_INFREQUENT_ACCESS")  # while it fills, others may
    clock.advance(25)
    assert states(dynamodb) == {"by-state": "ACTIVE", "by-a": "ACTIVE"}
    dynamodb.update_table(TableName="orders", **adding("by-b", "b"))


def test_deleting_an_index_takes_its_attribute_along(double, dynamodb):
    dynamodb.create_table(**definition())
    settings.change(default_seconds=1e6)
    double.settle()
    dynamodb.update_table(TableName="orders", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-state"}}])
    assert states(dynamodb) == {"by-state": "DELETING"}
    double.settle()
    assert states(dynamodb) == {}
    assert [each["AttributeName"] for each in table(dynamodb)["AttributeDefinitions"]] == ["pk"]
    gone = [{"Delete": {"IndexName": "by-state"}}]
    assert code(dynamodb.update_table, TableName="orders", GlobalSecondaryIndexUpdates=gone) == "ResourceNotFoundException"


def test_warm_throughput_only_grows(dynamodb):
    dynamodb.create_table(**definition())
    dynamodb.update_table(TableName="orders", WarmThroughput={"ReadUnitsPerSecond": 20000, "WriteUnitsPerSecond": 8000})
    assert table(dynamodb)["WarmThroughput"]["ReadUnitsPerSecond"] == 20000
    lower = {"ReadUnitsPerSecond": 19999, "WriteUnitsPerSecond": 8000}
    assert code(dynamodb.update_table, TableName="orders", WarmThroughput=lower) == "ValidationException"
    of_index = [{"Update": {"IndexName": "by-state", "WarmThroughput": {"ReadUnitsPerSecond": 11000}}}]
    assert code(dynamodb.update_table, TableName="orders", GlobalSecondaryIndexUpdates=of_index) == "ValidationException"


def test_billing_modes_and_what_goes_with_them(dynamodb):
    dynamodb.create_table(**definition(OnDemandThroughput={"MaxReadRequestUnits": 9}))
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    provisioned = {"TableName": "orders", "BillingMode": "PROVISIONED"}
    assert code(dynamodb.update_table, **provisioned) == "ValidationException"
    assert code(dynamodb.update_table, **provisioned, ProvisionedThroughput=units) == "ValidationException"  # and the index
    of_index = [{"Update": {"IndexName": "by-state", "ProvisionedThroughput": units}}]
    dynamodb.update_table(**provisioned, ProvisionedThroughput=units, GlobalSecondaryIndexUpdates=of_index)
    shown = table(dynamodb)
    assert shown["BillingModeSummary"]["BillingMode"] == "PROVISIONED"  # once on demand, always with a summary
    assert "OnDemandThroughput" not in shown
    assert shown["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    dynamodb.update_table(TableName="orders", BillingMode="PAY_PER_REQUEST")
    assert table(dynamodb)["ProvisionedThroughput"]["ReadCapacityUnits"] == 0


def test_streams_go_on_off_and_on_again(double, dynamodb):
    dynamodb.create_table(**definition())
    on = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    dynamodb.update_table(TableName="orders", StreamSpecification=on)
    assert code(dynamodb.update_table, TableName="orders", StreamSpecification=on) == "ValidationException"
    dynamodb.update_table(TableName="orders", StreamSpecification={"StreamEnabled": False})
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "1"}})
    assert "StreamSpecification" not in table(dynamodb)
    last = table(dynamodb)["LatestStreamArn"]  # readable for a day after it is off
    described = double.client("dynamodbstreams").describe_stream(StreamArn=last)["StreamDescription"]
    assert (described["StreamStatus"], described["StreamViewType"]) == ("DISABLED", "NEW_IMAGE")
    dynamodb.update_table(TableName="orders", StreamSpecification=on)
    with_units = {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
    assert code(dynamodb.update_table, TableName="orders", StreamSpecification=on, **with_units) == "ValidationException"


def test_a_protected_table_stays_and_a_deleted_one_lingers(double, dynamodb):
    dynamodb.create_table(**definition(DeletionProtectionEnabled=True))
    assert "protected against deletion" in message(dynamodb.delete_table, TableName="orders")
    dynamodb.update_table(TableName="orders", DeletionProtectionEnabled=False)
    table(dynamodb)
    settings.change(default_seconds=1e6)
    assert dynamodb.delete_table(TableName="orders")["TableDescription"]["TableStatus"] == "DELETING"
    assert table(dynamodb)["TableStatus"] == "DELETING"
    assert dynamodb.delete_table(TableName="orders")["TableDescription"]["TableStatus"] == "DELETING"
    assert code(dynamodb.create_table, **definition()) == "ResourceInUseException"
    double.settle()
    assert code(dynamodb.describe_table, TableName="orders") == "ResourceNotFoundException"
    dynamodb.create_table(**definition())


def test_time_to_live_is_changed_once_in_a_while(double, dynamodb):
    dynamodb.create_table(**definition())
    on = {"Enabled": True, "AttributeName": "expires"}
    off = {"Enabled": False, "AttributeName": "expires"}

    def change(specification):
        return dynamodb.update_time_to_live(TableName="orders", TimeToLiveSpecification=specification)

    assert "already disabled" in message(change, off)
    settings.change(overrides={"dynamodb.time-to-live.*": 1e6})
    change(on)
    assert dynamodb.describe_time_to_live(TableName="orders")["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLING"
    assert "modified multiple times" in message(change, off)
    double.settle()
    assert "already enabled" in message(change, on)
    assert "different AttributeName" in message(change, {"Enabled": True, "AttributeName": "other"})
    change(off)
    double.settle()
    assert dynamodb.describe_time_to_live(TableName="orders")["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    assert code(dynamodb.describe_time_to_live, TableName="none") == "ResourceNotFoundException"


def test_backups_and_restores_take_time(double, dynamodb):
    dynamodb.create_table(**definition(Tags=[{"Key": "shop", "Value": "a"}]))
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "1"}})
    settings.change(default_seconds=1e6)
    details = dynamodb.create_backup(TableName="orders", BackupName="nightly")["BackupDetails"]
    arn = details["BackupArn"]
    assert details["BackupStatus"] == "CREATING"
    assert code(dynamodb.restore_table_from_backup, TargetTableName="copy", BackupArn=arn) == "BackupInUseException"
    assert code(dynamodb.delete_backup, BackupArn=arn) == "BackupInUseException"
    double.settle()
    assert dynamodb.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    dynamodb.restore_table_from_backup(TargetTableName="copy", BackupArn=arn)
    shown = table(dynamodb, "copy")
    assert shown["TableStatus"] == "CREATING" and shown["RestoreSummary"]["RestoreInProgress"] is True
    assert code(dynamodb.delete_backup, BackupArn=arn) == "BackupInUseException"
    double.settle()
    shown = table(dynamodb, "copy")
    assert shown["RestoreSummary"]["RestoreInProgress"] is False and shown["ItemCount"] == 1
    assert shown["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert dynamodb.list_tags_of_resource(ResourceArn=shown["TableArn"])["Tags"] == []
    assert dynamodb.delete_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED"


def test_point_in_time_recovery_comes_before_a_restore_to_a_point_in_time(dynamodb):
    dynamodb.create_table(**definition())
    to_now = {"SourceTableName": "orders", "TargetTableName": "copy", "UseLatestRestorableTime": True}
    assert code(dynamodb.restore_table_to_point_in_time, **to_now) == "PointInTimeRecoveryUnavailableException"
    on = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 36}
    recovery = {"TableName": "orders", "PointInTimeRecoverySpecification": on}
    assert code(dynamodb.update_continuous_backups, **recovery) == "ValidationException"
    on["RecoveryPeriodInDays"] = 7
    dynamodb.update_continuous_backups(**recovery)
    dynamodb.restore_table_to_point_in_time(**to_now)
    assert table(dynamodb, "copy")["TableStatus"] == "ACTIVE"
    to_now.update(SourceTableName="none", TargetTableName="other")
    assert code(dynamodb.restore_table_to_point_in_time, **to_now) == "TableNotFoundException"


def test_a_replica_is_a_table_in_its_region(double, dynamodb):
    dynamodb.create_table(**definition())
    adding_one = [{"Create": {"RegionName": "us-east-2"}}]
    assert code(dynamodb.update_table, TableName="orders", ReplicaUpdates=adding_one) == "ValidationException"
    both = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.update_table(TableName="orders", StreamSpecification=both)
    dynamodb.update_table(TableName="orders", ReplicaUpdates=adding_one)
    assert [(each["RegionName"], each["ReplicaStatus"]) for each in table(dynamodb)["Replicas"]] == [("us-east-2", "ACTIVE")]
    far = double.client("dynamodb", region="us-east-2")
    assert far.describe_table(TableName="orders")["Table"]["Replicas"][0]["RegionName"] == "eu-west-1"
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "1"}})
    assert far.get_item(TableName="orders", Key={"pk": {"S": "1"}})["Item"]
    dynamodb.update_table(TableName="orders", ReplicaUpdates=[{"Delete": {"RegionName": "us-east-2"}}])
    assert "Replicas" not in table(dynamodb)
    assert code(far.describe_table, TableName="orders") == "ResourceNotFoundException"


def test_kinesis_destinations(double, dynamodb):
    dynamodb.create_table(**definition())
    kinesis = double.client("kinesis")
    absent = "arn:aws:kinesis:eu-west-1:123456789012:stream/none"
    assert code(dynamodb.enable_kinesis_streaming_destination, TableName="orders", StreamArn=absent) == "ResourceNotFoundException"
    kinesis.create_stream(StreamName="changes", ShardCount=1)
    stream = kinesis.describe_stream_summary(StreamName="changes")["StreamDescriptionSummary"]["StreamARN"]
    target = {"TableName": "orders", "StreamArn": stream}
    settings.change(overrides={"dynamodb.kinesis-destination.*": 1e6})
    assert dynamodb.enable_kinesis_streaming_destination(**target)["DestinationStatus"] == "ENABLING"
    assert code(dynamodb.disable_kinesis_streaming_destination, **target) == "ValidationException"
    double.settle()
    assert code(dynamodb.enable_kinesis_streaming_destination, **target) == "ValidationException"
    assert dynamodb.disable_kinesis_streaming_destination(**target)["DestinationStatus"] == "DISABLING"
    double.settle()
    described = dynamodb.describe_kinesis_streaming_destination(TableName="orders")["KinesisDataStreamDestinations"]
    assert [each["DestinationStatus"] for each in described] == ["DISABLED"]


def test_contributor_insights_of_a_table_and_of_an_index(double, dynamodb):
    dynamodb.create_table(**definition())
    settings.change(overrides={"dynamodb.contributor-insights.*": 1e6})
    enable = {"TableName": "orders", "IndexName": "by-state", "ContributorInsightsAction": "ENABLE"}
    assert dynamodb.update_contributor_insights(**enable)["ContributorInsightsStatus"] == "ENABLING"
    double.settle()
    of_index = dynamodb.describe_contributor_insights(TableName="orders", IndexName="by-state")
    assert of_index["ContributorInsightsStatus"] == "ENABLED"
    assert dynamodb.describe_contributor_insights(TableName="orders")["ContributorInsightsStatus"] == "DISABLED"
    absent = {**enable, "IndexName": "none"}
    assert code(dynamodb.update_contributor_insights, **absent) == "ResourceNotFoundException"


def test_tags_replace_each_other(dynamodb):
    arn = dynamodb.create_table(**definition(Tags=[{"Key": "shop", "Value": "a"}]))["TableDescription"]["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "shop", "Value": "b"}])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "shop", "Value": "b"}]
    assert code(dynamodb.tag_resource, ResourceArn=f"{arn}x", Tags=[{"Key": "a", "Value": "b"}]) == "ResourceNotFoundException"


def test_a_failed_transaction_leaves_the_table_as_it_was(dynamodb):
    dynamodb.create_table(**definition())
    dynamodb.update_table(TableName="orders", WarmThroughput={"ReadUnitsPerSecond": 20000})
    put = {"TableName": "orders", "Item": {"pk": {"S": "1"}}, "ConditionExpression": "attribute_exists(pk)"}
    assert code(dynamodb.transact_write_items, TransactItems=[{"Put": put}]) == "TransactionCanceledException"
    assert table(dynamodb)["WarmThroughput"]["ReadUnitsPerSecond"] == 20000
    dynamodb.update_table(TableName="orders", TableClass="STANDARD_INFREQUENT_ACCESS")
    assert json.loads(json.dumps(table(dynamodb)["TableClassSummary"], default=str))["TableClass"] == "STANDARD_INFREQUENT_ACCESS"


def test_tables_are_listed_by_name(dynamodb):
    for name in ("ccc", "aaa", "bbb"):
        dynamodb.create_table(**definition(name))
    first = dynamodb.list_tables(Limit=2)
    assert first["TableNames"] == ["aaa", "bbb"] and first["LastEvaluatedTableName"] == "bbb"
    dynamodb.delete_table(TableName="bbb")
    assert dynamodb.list_tables(ExclusiveStartTableName="bbb")["TableNames"] == ["ccc"]


def for_others(arn: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": "dynamodb:GetItem", "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_policy_of_a_table(dynamodb):
    settings.change(overrides={"dynamodb.table.creating": 60})
    dynamodb.create_table(**definition())
    arn = table(dynamodb)["TableArn"]
    assert code(dynamodb.put_resource_policy, ResourceArn=arn, Policy=for_others(arn)) == "ResourceInUseException"
    clock.advance(61)
    assert code(dynamodb.get_resource_policy, ResourceArn=arn) == "PolicyNotFoundException"
    assert code(dynamodb.put_resource_policy, ResourceArn=arn, Policy="{}") == "ValidationException"
    revision = dynamodb.put_resource_policy(ResourceArn=arn, Policy=for_others(arn))["RevisionId"]
    assert dynamodb.put_resource_policy(ResourceArn=arn, Policy=for_others(arn))["RevisionId"] == revision
    assert json.loads(dynamodb.get_resource_policy(ResourceArn=arn)["Policy"]) == json.loads(for_others(arn))
    assert code(dynamodb.delete_resource_policy, ResourceArn=arn, ExpectedRevisionId="other") == "PolicyNotFoundException"
    assert dynamodb.delete_resource_policy(ResourceArn=arn)["RevisionId"] == revision
    assert "RevisionId" not in dynamodb.delete_resource_policy(ResourceArn=arn)
    assert code(dynamodb.get_resource_policy, ResourceArn=f"{arn}-other") == "ResourceNotFoundException"


def test_a_policy_goes_with_its_table(dynamodb):
    dynamodb.create_table(**definition())
    arn = table(dynamodb)["TableArn"]
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=for_others(arn))
    dynamodb.delete_table(TableName="orders")
    dynamodb.create_table(**definition())
    assert code(dynamodb.get_resource_policy, ResourceArn=arn) == "PolicyNotFoundException"
