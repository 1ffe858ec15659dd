"""Application Auto Scaling: what is not registered, what is partly registered again, what goes with a target, and what the
service does to a table by itself."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

TARGET = {
    "ServiceNamespace": "dynamodb",
    "ResourceId": "table/orders",
    "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
}
TRACKING = {
    "PolicyName": "p",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
    },
}


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


@pytest.fixture
def dynamodb(double: Any) -> Any:
    return double.client("dynamodb")


@pytest.fixture
def scaling(double: Any, dynamodb: Any) -> Any:
    """A client, and the provisioned table that the targets scale."""
    make_table(dynamodb)
    return double.client("application-autoscaling")


def make_table(dynamodb: Any, index: str | None = None, **capacity: Any) -> None:
    key = [{"AttributeName": "id", "KeyType": "HASH"}]
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    capacity = capacity or {"ProvisionedThroughput": units}
    table = {"TableName": "orders" if index is None else "indexed", "KeySchema": key, **capacity}
    if index is not None:
        projection = {"ProjectionType": "ALL"}
        table["GlobalSecondaryIndexes"] = [{"IndexName": index, "KeySchema": key, "Projection": projection, **capacity}]
    dynamodb.create_table(**table, AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])


def reads(dynamodb: Any, table: str = "orders") -> int:
    return dynamodb.describe_table(TableName=table)["Table"]["ProvisionedThroughput"]["ReadCapacityUnits"]


def status(dynamodb: Any) -> str:
    return dynamodb.describe_table(TableName="orders")["Table"]["TableStatus"]


def test_nothing_is_found_before_a_target_is_registered(scaling):
    assert code(scaling.put_scaling_policy, **TARGET, **TRACKING) == "ObjectNotFoundException"
    assert code(scaling.deregister_scalable_target, **TARGET) == "ObjectNotFoundException"
    assert code(scaling.delete_scaling_policy, **TARGET, PolicyName="p") == "ObjectNotFoundException"
    assert code(scaling.delete_scheduled_action, **TARGET, ScheduledActionName="s") == "ObjectNotFoundException"
    assert code(scaling.register_scalable_target, **TARGET, MinCapacity=1) == "ValidationException"


def test_policies_and_alarms_go_with_their_target(double, scaling):
    scaling.register_scalable_target(**TARGET, MinCapacity=5, MaxCapacity=10)
    first = scaling.put_scaling_policy(**TARGET, **TRACKING)
    again = scaling.put_scaling_policy(**TARGET, **TRACKING)
    assert first["PolicyARN"] == again["PolicyARN"]
    alarms = double.client("cloudwatch")
    assert len(alarms.describe_alarms()["MetricAlarms"]) == len(again["Alarms"])
    scaling.deregister_scalable_target(**TARGET)
    assert scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"] == []
    assert alarms.describe_alarms()["MetricAlarms"] == []


def test_a_target_has_tags_and_the_role_of_its_service(scaling):
    arn = scaling.register_scalable_target(**TARGET, MinCapacity=5, MaxCapacity=10, Tags={"shop": "a"})["ScalableTargetARN"]
    scaling.tag_resource(ResourceARN=arn, Tags={"x": "y"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["shop"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"x": "y"}
    assert code(scaling.list_tags_for_resource, ResourceARN=f"{arn}x") == "ResourceNotFoundException"
    scaling.register_scalable_target(**TARGET, MaxCapacity=20)
    target = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"][0]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (5, 20)
    assert target["RoleARN"].endswith("AWSServiceRoleForApplicationAutoScaling_DynamoDBTable")


def test_the_inventory_has_targets_and_policies(double, scaling):
    scaling.register_scalable_target(**TARGET, MinCapacity=5, MaxCapacity=10, Tags={"shop": "a"})
    scaling.put_scaling_policy(**TARGET, **TRACKING)
    resources = double.control("GET", "inventory?service=application-autoscaling")[1]["resources"]
    assert {each["type"]: each["tags"] for each in resources} == {"scalable-target": {"shop": "a"}, "scaling-policy": {}}


def test_only_what_is_there_and_provisioned_can_be_scaled(dynamodb, scaling):
    limits = {"MinCapacity": 5, "MaxCapacity": 10}
    assert code(scaling.register_scalable_target, **{**TARGET, "ResourceId": "table/none"}, **limits) == "ValidationException"
    of_index = {"ServiceNamespace": "dynamodb", "ScalableDimension": "dynamodb:index:ReadCapacityUnits"}
    make_table(dynamodb, index="by-id")
    absent = {**of_index, "ResourceId": "table/indexed/index/none"}
    assert code(scaling.register_scalable_target, **absent, **limits) == "ValidationException"
    scaling.register_scalable_target(**of_index, ResourceId="table/indexed/index/by-id", **limits)
    # A dimension of a table for an index.
    wrong = {**TARGET, "ResourceId": "table/indexed/index/by-id"}
    assert code(scaling.register_scalable_target, **wrong, **limits) == "ValidationException"
    dynamodb.update_table(TableName="orders", BillingMode="PAY_PER_REQUEST")
    assert code(scaling.register_scalable_target, **TARGET, **limits) == "ValidationException"
    assert code(scaling.register_scalable_target, **TARGET, MinCapacity=0, MaxCapacity=10) == "ValidationException"


def test_capacity_is_brought_into_the_range_at_once(dynamodb, scaling, lasting, double):
    double.settle()
    scaling.register_scalable_target(**TARGET, MinCapacity=8, MaxCapacity=10)
    assert (status(dynamodb), reads(dynamodb)) == ("UPDATING", 5)
    double.settle()
    assert (status(dynamodb), reads(dynamodb)) == ("ACTIVE", 8)
    throughput = dynamodb.describe_table(TableName="orders")["Table"]["ProvisionedThroughput"]
    assert throughput["WriteCapacityUnits"] == 5
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=6)
    double.settle()
    assert reads(dynamodb) == 6
    # Within the range nothing is done.
    scaling.register_scalable_target(**TARGET, MaxCapacity=600)
    assert (status(dynamodb), reads(dynamodb)) == ("ACTIVE", 6)


def test_capacity_of_an_index_is_brought_into_the_range(dynamodb, scaling):
    make_table(dynamodb, index="by-id")
    target = {"ResourceId": "table/indexed/index/by-id", "ScalableDimension": "dynamodb:index:WriteCapacityUnits"}
    scaling.register_scalable_target(ServiceNamespace="dynamodb", **target, MinCapacity=9, MaxCapacity=20)
    index = dynamodb.describe_table(TableName="indexed")["Table"]["GlobalSecondaryIndexes"][0]
    throughput = index["ProvisionedThroughput"]
    assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (5, 9)


def test_what_is_set_outside_the_range_is_set_back_unless_scaling_is_suspended(dynamodb, scaling):
    scaling.register_scalable_target(**TARGET, MinCapacity=5, MaxCapacity=10)
    less = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 5}
    dynamodb.update_table(TableName="orders", ProvisionedThroughput=less)
    dynamodb.describe_table(TableName="orders")
    assert reads(dynamodb) == 5
    scaling.register_scalable_target(**TARGET, SuspendedState={"DynamicScalingOutSuspended": True})
    dynamodb.update_table(TableName="orders", ProvisionedThroughput=less)
    dynamodb.describe_table(TableName="orders")
    assert reads(dynamodb) == 2


def test_a_table_that_turned_on_demand_is_left_alone(dynamodb, scaling):
    scaling.register_scalable_target(**TARGET, MinCapacity=5, MaxCapacity=10)
    dynamodb.update_table(TableName="orders", BillingMode="PAY_PER_REQUEST")
    assert reads(dynamodb) == 0
    dynamodb.delete_table(TableName="orders")
    scaling.deregister_scalable_target(**TARGET)


def test_one_policy_tracks_the_metric_of_its_dimension_within_bounds(scaling):
    scaling.register_scalable_target(**TARGET, MinCapacity=5, MaxCapacity=10)
    scaling.put_scaling_policy(**TARGET, **TRACKING)
    assert code(scaling.put_scaling_policy, **TARGET, **{**TRACKING, "PolicyName": "q"}) == "ValidationException"
    for value, metric in [(19.0, "Read"), (91.0, "Read"), (70.0, "Write")]:
        tracking = {
            "TargetValue": value,
            "PredefinedMetricSpecification": {"PredefinedMetricType": f"DynamoDB{metric}CapacityUtilization"},
        }
        wrong = {**TRACKING, "TargetTrackingScalingPolicyConfiguration": tracking}
        assert code(scaling.put_scaling_policy, **TARGET, **wrong) == "ValidationException"
    steps = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]}
    step = {"PolicyName": "s", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": steps}
    assert code(scaling.put_scaling_policy, **TARGET, **step) == "ValidationException"
