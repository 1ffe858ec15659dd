"""Application Auto Scaling: errors for what is not registered, tags of targets, what a deregistration takes along, and what
the service does by itself to DynamoDB's tables and indexes.

A target is refused for a table or index that does not exist or is on demand. Registering one brings the capacity into the range
at once where the table is ACTIVE; else, and whenever somebody sets it outside the range later, the service does so after the
transition `application-autoscaling.scalable-target.adjusting`. There is no load here: nothing is scaled within the range.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from moto.applicationautoscaling import models, responses
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import GlobalSecondaryIndex, Table
from moto.dynamodb.responses import DynamoHandler
from moto.utilities.utils import get_partition

from shopkeeper_double.lifecycle import clock, settings
from shopkeeper_double.services import dynamodb, dynamodb_update, replaces
from shopkeeper_double.services.iam import SERVICE_LINKED_ROLES

#: What a policy for DynamoDB may track, by the end of the dimension.
METRICS = {"ReadCapacityUnits": "DynamoDBReadCapacityUtilization", "WriteCapacityUnits": "DynamoDBWriteCapacityUtilization"}
UNITS = tuple(METRICS)


class ObjectNotFound(JsonRESTError):
    def __init__(self, message: str) -> None:
        super().__init__("ObjectNotFoundException", message)


class ResourceNotFound(JsonRESTError):
    def __init__(self, arn: str) -> None:
        super().__init__("ResourceNotFoundException", f"The scalable target was not found: {arn}")


def _described(namespace: str, resource: str, dimension: str) -> str:
    return f"service namespace: {namespace}, resource ID: {resource}, scalable dimension: {dimension}"


def _refuse_unless_registered(
    backend: models.ApplicationAutoscalingBackend, namespace: str, resource: str, dimension: str
) -> None:
    if not backend._scalable_target_exists(resource, dimension):
        raise ObjectNotFound(f"No scalable target registered for {_described(namespace, resource, dimension)}")


@dataclass
class Scaled:
    """The table that a target scales, or the index of it."""

    table: Table
    index: GlobalSecondaryIndex | None

    @property
    def throughput(self) -> dict[str, Any]:
        return (self.index or self.table).throughput

    def request(self, units: str, number: int) -> dict[str, Any]:
        """UpdateTable with another number of these units and the others as they are."""
        asked = {unit: self.throughput[unit] for unit in UNITS} | {units: number}
        if self.index is None:
            return {"ProvisionedThroughput": asked}
        update = {"IndexName": self.index.name, "ProvisionedThroughput": asked}
        return {"GlobalSecondaryIndexUpdates": [{"Update": update}]}


def _scaled(account_id: str, region: str, resource: str) -> Scaled | None:
    """What `table/NAME` or `table/NAME/index/NAME` names; None where there is no such thing."""
    _, name, *rest = resource.split("/")
    table = dynamodb_backends[account_id][region].tables.get(name)
    if table is None or table.lifecycle.gone or table.lifecycle.state == "DELETING":
        return None
    dynamodb.settle(table)
    if not rest:
        return Scaled(table, None)
    index = next((each for each in table.global_indexes if each.name == rest[-1] and not each.lifecycle.gone), None)
    return None if index is None else Scaled(table, index)


def _refuse_unless_scalable(account_id: str, region: str, resource: str, dimension: str) -> None:
    scaled = _scaled(account_id, region, resource)
    if scaled is None:
        what = "index" if "/index/" in resource else "table"
        raise models.AWSValidationException(f"DynamoDB {what} does not exist: {resource}")
    if scaled.table.billing_mode == "PAY_PER_REQUEST":
        raise models.AWSValidationException(
            f"Scalable dimension {dimension} is not supported for {resource}: the billing mode of the table is PAY_PER_REQUEST"
        )


def _adjust(target: models.FakeScalableTarget) -> None:
    """Bring what a target scales into its range, where it is ACTIVE and outside."""
    backend = target.applicationautoscaling_backend
    scaled = _scaled(backend.account_id, backend.region_name, target.resource_id)
    if scaled is None or scaled.table.billing_mode == "PAY_PER_REQUEST":
        target.outside_since = None
        return
    units = target.scalable_dimension.rsplit(":", 1)[-1]
    number = scaled.throughput[units]
    wanted = max(target.min_capacity, min(target.max_capacity, number))
    suspended = target.suspended_state or {}
    direction = "DynamicScalingOutSuspended" if wanted > number else "DynamicScalingInSuspended"
    if wanted == number or suspended.get(direction):
        target.outside_since = None
        return
    if target.outside_since is None:
        target.outside_since = clock.now()
    waited = clock.now() - target.outside_since
    if waited < settings.seconds("application-autoscaling", "scalable-target", "adjusting"):
        return
    indexes_ready = all(index.lifecycle.state == "ACTIVE" for index in scaled.table.global_indexes)
    if scaled.table.lifecycle.state == "ACTIVE" and indexes_ready:
        target.outside_since = None
        dynamodb_update.apply(scaled.table, scaled.request(units, wanted))


def _target(backend: models.ApplicationAutoscalingBackend, arn: str) -> models.FakeScalableTarget:
    for targets in backend.targets.values():
        for target in targets.values():
            if target.arn == arn:
                return target
    raise ResourceNotFound(arn)


def _refuse_wrong_policy(
    backend: models.ApplicationAutoscalingBackend,
    name: str,
    resource: str,
    dimension: str,
    body: dict[str, Any] | None,
    kind: str | None,
) -> None:
    if kind == "StepScaling":
        raise models.AWSValidationException(f"Policy type StepScaling is not supported for scalable dimension {dimension}")
    metric = _metric(body)
    if metric is None:
        return
    if METRICS.get(dimension.rsplit(":", 1)[-1]) != metric:
        raise models.AWSValidationException(
            f"Predefined metric type {metric} is not compatible with scalable dimension {dimension}"
        )
    if not 20 <= body["TargetValue"] <= 90:
        raise models.AWSValidationException(f"Target value of {metric} must be in the range of 20 to 90")
    for policy in backend.policies.values():
        same = (policy.resource_id, policy.scalable_dimension) == (resource, dimension)
        if same and policy.policy_name != name and _metric(policy.target_tracking_scaling_policy_configuration) == metric:
            raise models.AWSValidationException(
                "Only one TargetTrackingScaling policy for a given metric specification is allowed."
            )


def _metric(body: dict[str, Any] | None) -> str | None:
    return ((body or {}).get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")


def _install_models() -> None:
    backend = models.ApplicationAutoscalingBackend

    @replaces(models.FakeScalableTarget)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        self.tags: dict[str, str] = {}
        self.outside_since: float | None = None
        if not self.role_arn:
            # The service-linked role, which the service makes with the first target.
            owner = self.applicationautoscaling_backend
            name = SERVICE_LINKED_ROLES.get(f"{self.service_namespace}.application-autoscaling", "ApplicationAutoScaling")
            self.role_arn = (
                f"arn:{get_partition(owner.region_name)}:iam::{owner.account_id}:role/aws-service-role/"
                f"{self.service_namespace}.application-autoscaling.amazonaws.com/AWSServiceRoleFor{name}"
            )

    @replaces(backend)
    def register_scalable_target(before, self, namespace, r_id, dimension, min_capacity, max_capacity, *args, **kwargs):
        known = self._scalable_target_exists(r_id, dimension)
        if not known and (min_capacity is None or max_capacity is None):
            raise models.AWSValidationException("Minimum and maximum capacity must be specified for a new scalable target")
        current = self.targets[dimension][r_id] if known else None
        least = min_capacity if min_capacity is not None else current.min_capacity
        most = max_capacity if max_capacity is not None else current.max_capacity
        if least > most:
            raise models.AWSValidationException("Maximum capacity cannot be less than minimum capacity")
        if namespace == "dynamodb":
            models._target_params_are_valid(namespace, r_id, dimension)
            _refuse_unless_scalable(self.account_id, self.region_name, r_id, dimension)
            if least < 1:
                raise models.AWSValidationException("Minimum capacity cannot be less than 1 for this scalable dimension")
        target = before(self, namespace, r_id, dimension, min_capacity, max_capacity, *args, **kwargs)
        if namespace == "dynamodb":
            # At once where the table is active.
            target.outside_since = float("-inf")
            _adjust(target)
            if target.outside_since is not None:
                target.outside_since = clock.now()
        return target

    @replaces(backend)
    def deregister_scalable_target(before, self, namespace, r_id, dimension):
        _refuse_unless_registered(self, namespace, r_id, dimension)
        before(self, namespace, r_id, dimension)
        # Policies (with their alarms) and scheduled actions go with the target.
        for key, policy in list(self.policies.items()):
            if (policy.service_namespace, policy.resource_id, policy.scalable_dimension) == (namespace, r_id, dimension):
                policy.delete_alarms(self.account_id, self.region_name)
                del self.policies[key]
        self.scheduled_actions = [
            action
            for action in self.scheduled_actions
            if (action.service_namespace, action.resource_id, action.scalable_dimension) != (namespace, r_id, dimension)
        ]

    @replaces(backend)
    def put_scaling_policy(
        before, self, policy_name, service_namespace, resource_id, scalable_dimension, policy_body, policy_type
    ):
        _refuse_unless_registered(self, service_namespace, resource_id, scalable_dimension)
        if service_namespace == "dynamodb":
            _refuse_wrong_policy(self, policy_name, resource_id, scalable_dimension, policy_body, policy_type)
        key = models.FakeApplicationAutoscalingPolicy.formulate_key(
            service_namespace, resource_id, scalable_dimension, policy_name
        )
        old = self.policies.get(key)
        if old is not None:
            # moto makes new alarms and leaves the old ones behind.
            old.delete_alarms(self.account_id, self.region_name)
        policy = before(
            self, policy_name, service_namespace, resource_id, scalable_dimension, policy_body, policy_type
        )
        if old is not None:
            policy.policy_arn = old.policy_arn
        return policy

    @replaces(backend)
    def delete_scaling_policy(before, self, policy_name, service_namespace, resource_id, scalable_dimension):
        key = models.FakeApplicationAutoscalingPolicy.formulate_key(
            service_namespace, resource_id, scalable_dimension, policy_name
        )
        if key not in self.policies:
            where = _described(service_namespace, resource_id, scalable_dimension)
            raise ObjectNotFound(f"No scaling policy found for {where}, policy name: {policy_name}")
        before(self, policy_name, service_namespace, resource_id, scalable_dimension)

    @replaces(backend)
    def put_scheduled_action(before, self, *args, **kwargs):
        _refuse_unless_registered(
            self, kwargs["service_namespace"], kwargs["resource_id"], kwargs["scalable_dimension"]
        )
        before(self, *args, **kwargs)

    @replaces(backend)
    def delete_scheduled_action(
        before, self, service_namespace, scheduled_action_name, resource_id, scalable_dimension
    ):
        count = len(self.scheduled_actions)
        before(self, service_namespace, scheduled_action_name, resource_id, scalable_dimension)
        if len(self.scheduled_actions) == count:
            where = _described(service_namespace, resource_id, scalable_dimension)
            raise ObjectNotFound(f"No scheduled action found for {where}, scheduled action name: {scheduled_action_name}")


def _scale_on_every_look() -> None:
    """What the service has done by now is there whenever somebody asks DynamoDB."""

    @replaces(DynamoHandler)
    def call_action(before, self):
        backend = models.applicationautoscaling_backends[self.current_account][self.region]
        for targets in backend.targets.values():
            for target in targets.values():
                if target.service_namespace == "dynamodb":
                    _adjust(target)
        return before(self)


def _install_responses() -> None:
    response = responses.ApplicationAutoScalingResponse

    @replaces(response)
    def register_scalable_target(before, self):
        backend = self.applicationautoscaling_backend
        known = backend._scalable_target_exists(self._get_param("ResourceId"), self._get_param("ScalableDimension"))
        tags = self._get_param("Tags") or {}
        if known and tags:
            raise responses.AWSValidationException("Tags can only be added when registering a new scalable target")
        answer = before(self)
        if tags:
            _target(backend, json.loads(answer)["ScalableTargetARN"]).tags.update(tags)
        return answer

    @replaces(response)
    def tag_resource(before, self):
        tags = _target(self.applicationautoscaling_backend, self._get_param("ResourceARN")).tags
        tags.update(self._get_param("Tags") or {})
        return "{}"

    @replaces(response)
    def untag_resource(before, self):
        tags = _target(self.applicationautoscaling_backend, self._get_param("ResourceARN")).tags
        for key in self._get_param("TagKeys") or []:
            tags.pop(key, None)
        return "{}"

    @replaces(response)
    def list_tags_for_resource(before, self):
        return json.dumps({"Tags": _target(self.applicationautoscaling_backend, self._get_param("ResourceARN")).tags})

    @replaces(response)
    def describe_scaling_activities(before, self):
        return json.dumps({"ScalingActivities": []})


INVENTORY_SERVICES = ("application-autoscaling",)


def inventory(account_id: str, region: str) -> list[dict[str, Any]]:
    """Scalable targets and scaling policies."""
    backend = models.applicationautoscaling_backends[account_id][region]
    targets = [
        {
            "service": "application-autoscaling",
            "type": "scalable-target",
            "name": f"{target.resource_id}/{target.scalable_dimension}",
            "arn": target.arn,
            "status": None,
            "tags": dict(target.tags),
        }
        for by_resource in backend.targets.values()
        for target in by_resource.values()
    ]
    policies = [
        {
            "service": "application-autoscaling",
            "type": "scaling-policy",
            "name": policy.policy_name,
            "arn": policy.policy_arn,
            "status": None,
            "tags": {},
        }
        for policy in backend.policies.values()
    ]
    return [*targets, *policies]


def install() -> None:
    _install_models()
    _install_responses()
    _scale_on_every_look()
