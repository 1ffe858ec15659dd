"""Secrets Manager: what a secret that is scheduled for deletion refuses, managed secrets, names, and resource policies."""

from __future__ import annotations

import json
import re
import time

from moto.secretsmanager import models, responses
from moto.secretsmanager.exceptions import InvalidRequestException, SecretsManagerClientError, ValidationException

from shopkeeper_double.services import replaces
from shopkeeper_double.services._keys import unusable
from shopkeeper_double.services._policy_documents import problem_of, statements_of

MARKED = "You can't perform this operation on the secret because it was marked for deletion."
#: What AWS refuses for a secret that is scheduled for deletion, besides what moto refuses by itself.
REFUSED_WHILE_SCHEDULED = (
    "put_secret_value",
    "update_secret",
    "rotate_secret",
    "get_resource_policy",
    "put_resource_policy",
    "delete_resource_policy",
    "tag_resource",
    "untag_resource",
    "update_secret_version_stage",
    "replicate_secret_to_regions",
)


class MalformedPolicyDocument(SecretsManagerClientError):
    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicyDocumentException", message)


class PublicPolicy(SecretsManagerClientError):
    def __init__(self) -> None:
        super().__init__("PublicPolicyException", "You specified a policy that grants broad access to the secret")


class KeyFailure(SecretsManagerClientError):
    """`code` is EncryptionFailure or DecryptionFailure."""

    def __init__(self, code: str, problem: str) -> None:
        what = "encrypt" if code == "EncryptionFailure" else "decrypt"
        super().__init__(code, f"Secrets Manager can't {what} the protected secret text using the provided KMS key. {problem}")


def _install_keys() -> None:
    backend = models.SecretsManagerBackend

    @replaces(backend)
    def _add_secret(before, self, secret_id, *args, **kwargs):
        held = self.secrets.get(secret_id)
        key = kwargs.get("kms_key_id") or (held.kms_key_id if held is not None else None)
        if (problem := unusable(self.account_id, self.region_name, key)) is not None:
            raise KeyFailure("EncryptionFailure", problem)
        return before(self, secret_id, *args, **kwargs)

    @replaces(backend)
    def get_secret_value(before, self, secret_id, *args, **kwargs):
        held = self.secrets.get(secret_id) if self._is_valid_identifier(secret_id) else None
        if held is not None and (problem := unusable(self.account_id, self.region_name, held.kms_key_id)) is not None:
            raise KeyFailure("DecryptionFailure", problem)
        return before(self, secret_id, *args, **kwargs)


def drop_deleted(backend: models.SecretsManagerBackend) -> None:
    """A secret is gone, and its name free, once its recovery window is over."""
    for secret in list(backend.secrets.values()):
        if getattr(secret, "deleted_date", None) and secret.deleted_date <= time.time():
            backend.secrets.pop(secret.name)


def _refuse_while_scheduled(operation: str) -> None:
    def refused(before, self):
        identifier = self._get_param("SecretId")
        if identifier and identifier in self.backend.secrets and self.backend.secrets[identifier].is_deleted():
            raise InvalidRequestException(MARKED)
        return before(self)

    refused.__name__ = operation
    replaces(responses.SecretsManagerResponse)(refused)


def install() -> None:
    _install_keys()
    response = responses.SecretsManagerResponse
    for operation in REFUSED_WHILE_SCHEDULED:
        _refuse_while_scheduled(operation)

    @replaces(SecretsManagerClientError)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        self.code = 400  # moto answers 404 for what is not there, as a REST service would

    # What the inventory shows of a secret that is on its way out.
    models.FakeSecret.status = property(lambda self: "PendingDeletion" if self.is_deleted() else None)

    @replaces(response)
    def call_action(before, self):
        drop_deleted(self.backend)
        return before(self)

    @replaces(response)
    def create_secret(before, self):
        name = self._get_param("Name")
        if not re.match(r"^[\w/+=.@!-]{1,512}$", name, re.ASCII):
            raise ValidationException(
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
            )
        secrets = self.backend.secrets
        if name in secrets and secrets[name].is_deleted():
            raise InvalidRequestException(
                "You can't create this secret because a secret with this name is already scheduled for deletion."
            )
        return before(self)

    @replaces(response)
    def delete_secret(before, self):
        identifier = self._get_param("SecretId")
        secrets = self.backend.secrets
        if identifier in secrets and secrets[identifier].owning_service:
            raise InvalidRequestException(
                f"You can't perform this operation on the secret because it's managed by {secrets[identifier].owning_service}."
            )
        return before(self)

    @replaces(response)
    def put_resource_policy(before, self):
        policy = self._get_param("ResourcePolicy")
        problem = problem_of(policy, ("secretsmanager",), self.current_account)
        if problem is not None:
            raise MalformedPolicyDocument(f"This resource policy contains a syntax error. {problem.text}")
        if self._get_bool_param("BlockPublicPolicy", False) and _is_broad(policy):
            raise PublicPolicy()
        return before(self)


def _is_broad(policy: str) -> bool:
    return any(
        statement.get("Effect") == "Allow"
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and not statement.get("Condition")
        for statement in statements_of(json.loads(policy))
    )
