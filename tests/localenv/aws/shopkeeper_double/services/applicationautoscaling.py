"""Application Auto Scaling: errors for what is not registered, tags of targets, what a deregistration takes along."""

from __future__ import annotations

import json
from typing import Any

from moto.applicationautoscaling import models, responses
from moto.core.exceptions import JsonRESTError
from moto.utilities.utils import get_partition

from shopkeeper_double.services import replaces
from shopkeeper_double.services.iam import SERVICE_LINKED_ROLES


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


def _target(backend: models.ApplicationAutoscalingBackend, arn: str) -> models.FakeScalableTarget:
    for targets in backend.targets.values():
        for target in targets.values():
            if target.arn == arn:
                return target
    raise ResourceNotFound(arn)


def _install_models() -> None:
    backend = models.ApplicationAutoscalingBackend

    @replaces(models.FakeScalableTarget)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        self.tags: dict[str, str] = {}
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
        return before(self, namespace, r_id, dimension, min_capacity, max_capacity, *args, **kwargs)

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
