"""Policies of DynamoDB tables and streams: what AWS takes, when, and that they go with their resource."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.dynamodb import responses
from moto.dynamodb.exceptions import MockValidationException, PolicyNotFoundException, ResourceNotFoundException
from moto.dynamodb.models import DynamoDBBackend

from shopkeeper_double.lifecycle import drop_gone
from shopkeeper_double.services import replaces
from shopkeeper_double.services._policy_documents import problem_of

#: White space counts.
LARGEST = 20 * 1024


def _table_name(arn: str) -> str:
    """`arn:aws:dynamodb:eu-west-1:123456789012:table/orders`, and behind that `/stream/2026-11-24T10:00:00.000` for its stream."""
    return arn.split(":", 5)[-1].split("/")[1] if arn.count(":") >= 5 and "/" in arn else arn


def _refuse_unless_active(backend: DynamoDBBackend, arn: str) -> None:
    name = _table_name(arn)
    table = backend.tables.get(name)
    if table is None:
        raise ResourceNotFoundException(f"Requested resource not found: ResourceArn: {arn} not found")
    if table.lifecycle.state in ("CREATING", "DELETING"):
        raise ServiceException("ResourceInUseException", f"Attempt to change a resource which is still in use: {name}")


def drop_policies(backend: DynamoDBBackend) -> None:
    """A table that is made once more under the same name has none of the policies of the one before."""
    for arn in list(backend.resource_policies):
        if _table_name(arn) not in backend.tables:
            backend.resource_policies.pop(arn)


def install() -> None:
    handler = responses.DynamoHandler

    @replaces(handler)
    def call_action(before, self):
        drop_gone(self.dynamodb_backend.tables)
        drop_policies(self.dynamodb_backend)
        return before(self)

    @replaces(handler)
    def put_resource_policy(before, self):
        arn, policy = self.body["ResourceArn"], self.body["Policy"]
        _refuse_unless_active(self.dynamodb_backend, arn)
        if len(policy.encode()) > LARGEST:
            raise MockValidationException(f"Resource-based policy size limit exceeded: {LARGEST} bytes")
        problem = problem_of(policy, ("dynamodb",), self.current_account)
        if problem is not None:
            raise MockValidationException(f"Invalid policy document: {problem.text}")
        return before(self)

    @replaces(DynamoDBBackend)
    def delete_resource_policy(before, self, resource_arn, expected_revision_id):
        _refuse_unless_active(self, resource_arn)
        policy = self.resource_policies.get(resource_arn)
        if policy is None and expected_revision_id:
            raise PolicyNotFoundException(f"Resource-based policy not found for the provided ResourceArn: {resource_arn}")
        if policy is not None:
            before(self, resource_arn, expected_revision_id)
        return policy

    @replaces(handler)
    def delete_resource_policy(before, self):  # noqa: F811 - the names moto gives to both
        backend: Any = self.dynamodb_backend
        policy = backend.delete_resource_policy(
            resource_arn=self.body["ResourceArn"], expected_revision_id=self.body.get("ExpectedRevisionId")
        )
        return ActionResult({"RevisionId": policy.revision_id} if policy is not None else {})
