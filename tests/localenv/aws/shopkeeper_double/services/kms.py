"""KMS: the states of a key and what they refuse, rotation with its period, policies that are read, and paging."""

from __future__ import annotations

import datetime
import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time, utcnow
from moto.kms import models, responses
from moto.kms.exceptions import NotFoundException, ValidationException

from shopkeeper_double.services import replaces
from shopkeeper_double.services._policy_documents import problem_of

#: Operations on a key by the states that they refuse.
CRYPTOGRAPHIC = (
    "encrypt",
    "generate_data_key",
    "generate_data_key_without_plaintext",
    "generate_mac",
    "sign",
    "verify",
    "verify_mac",
    "get_public_key",
)
CHANGING = (
    "update_key_description",
    "create_alias",
    "update_alias",
    "create_grant",
    "tag_resource",
    "untag_resource",
    "enable_key",
    "disable_key",
)
ROTATING = ("enable_key_rotation", "disable_key_rotation", "rotate_key_on_demand")
MOST_ON_DEMAND_ROTATIONS = 25


class Disabled(JsonRESTError):
    def __init__(self, key: models.Key) -> None:
        super().__init__("DisabledException", f"{key.arn} is disabled.")


class InvalidState(JsonRESTError):
    def __init__(self, message: str) -> None:
        super().__init__("KMSInvalidStateException", message)


def drop_deleted(backend: models.KmsBackend) -> None:
    """A key is gone once its waiting period is over."""
    now = utcnow()
    for key in list(backend.keys.values()):
        if key.key_state == "PendingDeletion" and key.deletion_date is not None and key.deletion_date <= now:
            backend.delete_key(key.id)


def refuse_state(key: models.Key, disabled_too: bool) -> None:
    if key.key_state == "PendingDeletion":
        raise InvalidState(f"{key.arn} is pending deletion.")
    if key.key_state == "Disabled" and disabled_too:
        raise Disabled(key)


def _key(response: responses.KmsResponse, name: str = "KeyId") -> models.Key | None:
    """The key a request names; None where moto will say what is wrong with the name."""
    identifier = response._get_param(name)
    backend = response.kms_backend
    if not identifier:
        return None
    try:
        return backend.keys.get(backend.any_id_to_key_id(identifier))
    except AttributeError:
        return None


def refuse_policy(policy: Any, account: str) -> None:
    problem = problem_of(str(policy), ("kms",), account)
    if problem is not None:
        raise JsonRESTError("MalformedPolicyDocumentException", problem.text)


def page(response: responses.KmsResponse, items: list[Any], identity: Any, most: int, usual: int) -> tuple[list[Any], Any]:
    """A page of `items`, and the marker of the next one. AWS's markers are opaque; here the last item of the page."""
    limit = response._get_param("Limit") or usual
    if not 1 <= limit <= most:
        raise ValidationException(
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value"
            f" {'less than or equal to ' + str(most) if limit > most else 'greater than or equal to 1'}"
        )
    marker = response._get_param("Marker")
    start = 0
    if marker:
        names = [identity(item) for item in items]
        if marker not in names:
            raise JsonRESTError("InvalidMarkerException", f"Invalid marker: {marker}")
        start = names.index(marker) + 1
    chosen = items[start : start + limit]
    return chosen, identity(chosen[-1]) if start + limit < len(items) else None


def paged(key: str, chosen: list[Any], marker: Any, **more: Any) -> str:
    answer = {key: chosen, "Truncated": marker is not None, **more}
    if marker is not None:
        answer["NextMarker"] = marker
    return json.dumps(answer)


def _refuse_in_states(operation: str, disabled_too: bool) -> None:
    def refused(before, self):
        key = _key(self, "TargetKeyId" if operation.endswith("_alias") else "KeyId")
        if key is not None:
            refuse_state(key, disabled_too)
        return before(self)

    refused.__name__ = operation
    replaces(responses.KmsResponse)(refused)


def _install_states() -> None:
    response, backend = responses.KmsResponse, models.KmsBackend

    for operation in (*CRYPTOGRAPHIC, *ROTATING):
        _refuse_in_states(operation, disabled_too=True)
    for operation in CHANGING:
        _refuse_in_states(operation, disabled_too=False)

    @replaces(response)
    def call_action(before, self):
        drop_deleted(self.kms_backend)
        return before(self)

    @replaces(backend)
    def decrypt(before, self, ciphertext_blob, encryption_context, key_id=None):
        plaintext, arn = before(self, ciphertext_blob, encryption_context, key_id)
        # Which key it is shows only in the ciphertext.
        refuse_state(self.keys[self.any_id_to_key_id(arn)], disabled_too=True)
        return plaintext, arn

    @replaces(backend)
    def encrypt(before, self, key_id, plaintext, encryption_context):
        refuse_state(self.keys[self.any_id_to_key_id(key_id)], disabled_too=True)
        return before(self, key_id, plaintext, encryption_context)

    # moto takes only a bare id in these; an ARN is a KeyError.
    @replaces(backend)
    def enable_key(before, self, key_id):
        before(self, self.get_key_id(key_id))

    @replaces(backend)
    def disable_key(before, self, key_id):
        before(self, self.get_key_id(key_id))

    @replaces(response)
    def schedule_key_deletion(before, self):
        key_id = self._get_param("KeyId")
        self._validate_cmk_id(key_id)
        days = self._get_param("PendingWindowInDays", 30)
        if not 7 <= days <= 30:
            raise ValidationException(
                f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: Member"
                f" must have value {'less than or equal to 30' if days > 30 else 'greater than or equal to 7'}"
            )
        key = self.kms_backend.keys[self.kms_backend.get_key_id(key_id)]
        refuse_state(key, disabled_too=False)
        key.enabled = False
        key.key_state = "PendingDeletion"
        key.deletion_date = utcnow() + datetime.timedelta(days=days)
        return json.dumps(
            {
                "KeyId": key.arn,
                "DeletionDate": unix_time(key.deletion_date),
                "KeyState": key.key_state,
                "PendingWindowInDays": days,
            }
        )

    @replaces(response)
    def cancel_key_deletion(before, self):
        key_id = self._get_param("KeyId")
        self._validate_cmk_id(key_id)
        key = self.kms_backend.keys[self.kms_backend.get_key_id(key_id)]
        if key.key_state != "PendingDeletion":
            raise InvalidState(f"{key.arn} is not pending deletion.")
        key.key_state = "Disabled"
        key.deletion_date = None
        return json.dumps({"KeyId": key.arn})


def _install_rotation() -> None:
    response = responses.KmsResponse

    @replaces(models.Key)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        # moto tells no usage where none was asked for.
        self.key_usage = self.key_usage or "ENCRYPT_DECRYPT"
        self.rotation_period = 365
        self.rotation_since: datetime.datetime | None = None

    def rotatable(self: responses.KmsResponse) -> models.Key:
        key_id = self._get_param("KeyId")
        self._validate_cmk_id(key_id)
        key = self.kms_backend.keys[self.kms_backend.get_key_id(key_id)]
        if key.key_spec != "SYMMETRIC_DEFAULT" or key.origin != "AWS_KMS":
            raise JsonRESTError(
                "UnsupportedOperationException",
                f"{key.arn} key spec is {key.key_spec} which is not valid for this operation.",
            )
        return key

    @replaces(response)
    def enable_key_rotation(before, self):
        key = rotatable(self)
        days = self._get_param("RotationPeriodInDays")
        if days is not None and not 90 <= days <= 2560:
            raise ValidationException(
                f"1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: Member"
                f" must have value {'less than or equal to 2560' if days > 2560 else 'greater than or equal to 90'}"
            )
        answer = before(self)
        key.rotation_period = days or (key.rotation_period if key.rotation_since else 365)
        key.rotation_since = utcnow()
        return answer

    @replaces(response)
    def disable_key_rotation(before, self):
        key = rotatable(self)
        answer = before(self)
        key.rotation_since = None
        return answer

    @replaces(response)
    def get_key_rotation_status(before, self):
        key = rotatable(self)
        if key.key_state == "PendingDeletion":
            raise InvalidState(f"{key.arn} is pending deletion.")
        answer: dict[str, Any] = {"KeyRotationEnabled": key.key_rotation_status, "KeyId": key.arn}
        if key.key_rotation_status:
            since = key.rotation_since or utcnow()
            answer["RotationPeriodInDays"] = key.rotation_period
            answer["NextRotationDate"] = unix_time(since + datetime.timedelta(days=key.rotation_period))
        return json.dumps(answer)

    @replaces(response)
    def rotate_key_on_demand(before, self):
        key = rotatable(self)
        if len(key.rotations) >= MOST_ON_DEMAND_ROTATIONS:
            raise JsonRESTError(
                "LimitExceededException", f"On-demand rotations of {key.arn} are limited to {MOST_ON_DEMAND_ROTATIONS}."
            )
        before(self)
        return json.dumps({"KeyId": key.arn})


def _install_policies() -> None:
    response = responses.KmsResponse

    @replaces(response)
    def create_key(before, self):
        if self._get_param("Policy"):
            refuse_policy(self._get_param("Policy"), self.current_account)
        tags = self._get_param("Tags") or []
        names = [tag["TagKey"] for tag in tags]
        if len(names) != len(set(names)):
            raise JsonRESTError("TagException", "Duplicate tag keys")
        return before(self)

    @replaces(response)
    def get_key_policy(before, self):
        # The only name there is; it may be left out.
        name = self._get_param("PolicyName") or "default"
        if name != "default":
            raise NotFoundException("No such policy exists")
        self._validate_cmk_id(self._get_param("KeyId"))
        policy = self.kms_backend.get_key_policy(self._get_param("KeyId")) or "{}"
        return json.dumps({"Policy": policy, "PolicyName": name})

    @replaces(response)
    def put_key_policy(before, self):
        key_id = self._get_param("KeyId")
        self._validate_cmk_id(key_id)
        if self._get_param("PolicyName") not in (None, "default"):
            raise NotFoundException("No such policy exists")
        refuse_policy(self._get_param("Policy"), self.current_account)
        self.kms_backend.put_key_policy(key_id, self._get_param("Policy"))
        return json.dumps(None)


def _install_lists() -> None:
    response, backend = responses.KmsResponse, models.KmsBackend

    @replaces(backend)
    def list_keys(before, self):
        drop_deleted(self)
        return before(self)

    @replaces(response)
    def list_keys(before, self):  # noqa: F811 - the backend's and the operation's own
        keys = sorted(self.kms_backend.list_keys(), key=lambda key: key.id)
        entries = [{"KeyArn": key.arn, "KeyId": key.id} for key in keys]
        chosen, marker = page(self, entries, lambda key: key["KeyId"], 1000, 100)
        return paged("Keys", chosen, marker)

    @replaces(response)
    def list_aliases(before, self):
        aliases = sorted(json.loads(before(self))["Aliases"], key=lambda alias: alias["AliasName"])
        chosen, marker = page(self, aliases, lambda alias: alias["AliasName"], 100, 50)
        return paged("Aliases", chosen, marker)

    @replaces(response)
    def list_resource_tags(before, self):
        tags = json.loads(before(self))["Tags"]
        chosen, marker = page(self, tags, lambda tag: tag["TagKey"], 50, 50)
        return paged("Tags", chosen, marker)

    @replaces(response)
    def list_grants(before, self):
        key = _key(self)
        if key is None:
            raise NotFoundException(f"Key '{self._display_arn(self._get_param('KeyId'))}' does not exist")
        grants = json.loads(before(self))["Grants"]
        principal = self._get_param("GranteePrincipal")
        grants = [{name: value for name, value in grant.items() if value is not None} for grant in grants]
        grants = [grant for grant in grants if not principal or grant["GranteePrincipal"] == principal]
        chosen, marker = page(self, grants, lambda grant: grant["GrantId"], 100, 50)
        return paged("Grants", [{**grant, "KeyId": key.arn} for grant in chosen], marker)


def install() -> None:
    _install_rotation()
    _install_states()
    _install_policies()
    _install_lists()
