"""Application Auto Scaling: what is not registered, what is partly registered again, what goes with a target."""

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
def scaling(double: Any) -> Any:
    return double.client("application-autoscaling")


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
