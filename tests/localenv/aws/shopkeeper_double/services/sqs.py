"""SQS: which attributes a queue takes and with which values, and what changing one leaves alone."""

from __future__ import annotations

import json
from typing import Any

from moto.sqs import models
from moto.sqs.exceptions import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    QueueAlreadyExists,
    SQSException,
)

from shopkeeper_double.lifecycle import clock, settings
from shopkeeper_double.services import replaces
from shopkeeper_double.services._keys import unusable
from shopkeeper_double.services._policy_documents import problem_of

RANGES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1048576),
    "MessageRetentionPeriod": (60, 1209600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43200),
    "KmsDataKeyReusePeriodSeconds": (60, 86400),
}
BOOLEANS = {"FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"}
CHOICES = {"DeduplicationScope": ("messageGroup", "queue"), "FifoThroughputLimit": ("perQueue", "perMessageGroupId")}
DOCUMENTS = {"Policy", "RedrivePolicy", "RedriveAllowPolicy"}
KNOWN = {*RANGES, *BOOLEANS, *CHOICES, *DOCUMENTS, "KmsMasterKeyId"}
OTHER_TYPE = "Dead-letter queue must be same type of queue as the source."
ONLY_FIFO = {"ContentBasedDeduplication", *CHOICES}


def refuse_attributes(attributes: dict[str, Any], fifo: bool, account: str) -> None:
    """InvalidAttributeName for what such a queue does not have, InvalidAttributeValue for what it may not be."""
    for name, value in attributes.items():
        if name not in KNOWN or (name in ONLY_FIFO and not fifo):
            raise InvalidAttributeName(name)
        if name in RANGES:
            least, most = RANGES[name]
            if not str(value).isdecimal() or not least <= int(value) <= most:
                raise InvalidAttributeValue(name)
        elif name in BOOLEANS and str(value).lower() not in ("true", "false"):
            raise InvalidAttributeValue(name)
        elif name in CHOICES and value not in CHOICES[name]:
            raise InvalidAttributeValue(name)
        elif name in DOCUMENTS and value:
            _refuse_document(name, value, account)
    if attributes.get("FifoThroughputLimit") == "perMessageGroupId" and attributes.get("DeduplicationScope") == "queue":
        raise InvalidAttributeValue("FifoThroughputLimit")


def _refuse_document(name: str, value: Any, account: str) -> None:
    if name == "Policy":
        if problem_of(value, ("sqs",), account) is not None:
            raise InvalidAttributeValue(name)
        return
    try:
        document = json.loads(value)
    except (TypeError, ValueError):
        raise InvalidAttributeValue(name) from None
    if not isinstance(document, dict):
        raise InvalidAttributeValue(name)
    if name == "RedrivePolicy" and document:
        count = str(document.get("maxReceiveCount", 10))
        if not count.isdecimal() or not 1 <= int(count) <= 1000 or "deadLetterTargetArn" not in document:
            raise _invalid_redrive(value, "Invalid value for maxReceiveCount or deadLetterTargetArn.")
    if name == "RedriveAllowPolicy" and document:
        permission, sources = document.get("redrivePermission", "allowAll"), document.get("sourceQueueArns")
        if permission not in ("allowAll", "denyAll", "byQueue") or (permission == "byQueue") != bool(sources):
            raise InvalidAttributeValue(name)
        if sources and len(sources) > 10:
            raise InvalidAttributeValue(name)


def _invalid_redrive(value: Any, reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}")


def refuse_dead_letter_queue(queue: models.Queue) -> None:
    """The queue for dead letters is of the same sort, and may itself choose whose letters it takes."""
    dead = queue.dead_letter_queue
    if dead is None or not queue.redrive_policy:
        return
    shown = json.dumps(queue.redrive_policy)
    if dead.fifo_queue != queue.fifo_queue:
        raise _invalid_redrive(shown, OTHER_TYPE)
    allowing = json.loads(getattr(dead, "redrive_allow_policy", None) or "{}")
    permission = allowing.get("redrivePermission", "allowAll")
    if permission == "denyAll" or (permission == "byQueue" and queue.queue_arn not in allowing["sourceQueueArns"]):
        raise _invalid_redrive(shown, "Source queue is not allowed by the dead-letter queue's RedriveAllowPolicy.")


def _normal(name: str, value: Any) -> Any:
    """Attribute values as they are compared and shown: documents by what they say, the rest as text."""
    if value in (None, ""):
        return None
    if name in DOCUMENTS:
        return json.loads(value)
    return str(value).lower() if name in BOOLEANS else str(value)


def _install_queue() -> None:
    queue = models.Queue
    queue.BASE_ATTRIBUTES = [*queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]

    @replaces(queue)
    def __init__(before, self, *args, **kwargs):
        self.redrive_allow_policy = None
        before(self, *args, **kwargs)

    @replaces(queue)
    def _set_attributes(before, self, attributes, now=None):
        # moto takes a change of anything for a removal of the policy.
        policy = getattr(self, "_policy_json", None)
        try:
            before(self, {name: value for name, value in attributes.items() if name != "RedriveAllowPolicy"}, now)
        except SQSException as error:
            if error.code == "AWS.SimpleQueueService.NonExistentQueue":
                raise _invalid_redrive(attributes["RedrivePolicy"], "Dead letter target does not exist.") from None
            if error.code == "InvalidParameterCombination":
                raise _invalid_redrive(attributes["RedrivePolicy"], OTHER_TYPE) from None
            raise
        if "Policy" not in attributes and policy is not None:
            self._policy_json = policy
        if "RedriveAllowPolicy" in attributes:
            allow = attributes["RedriveAllowPolicy"]
            self.redrive_allow_policy = allow if allow and json.loads(allow) else None
        refuse_dead_letter_queue(self)
        # One sort of encryption at a time: the one asked for last.
        if attributes.get("KmsMasterKeyId"):
            self.sqs_managed_sse_enabled = "false"
        elif str(attributes.get("SqsManagedSseEnabled")).lower() == "true" and policy is not None:
            self.kms_master_key_id = None
        elif attributes.get("KmsMasterKeyId") == "":
            self.kms_master_key_id = None


def _install_backend() -> None:
    backend = models.SQSBackend

    @replaces(backend)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        #: Names that are not free yet, and when they are.
        self.deleted_until: dict[str, float] = {}
        #: Until when a queue is being purged.
        self.purging_until: dict[str, float] = {}

    @replaces(backend)
    def create_queue(before, self, name, tags=None, **kwargs):
        fifo = str(kwargs.get("FifoQueue", "false")).lower() == "true"
        attributes = {key: value for key, value in kwargs.items() if key != "region"}
        refuse_attributes(attributes, fifo, self.account_id)
        existing = self.queues.get(name)
        if existing is None:
            if self.deleted_until.pop(name, 0.0) > clock.now():
                raise SQSException(
                    "AWS.SimpleQueueService.QueueDeletedRecently",
                    "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
                )
            return before(self, name, tags, **kwargs)
        shown = existing.attributes
        for key, value in attributes.items():
            if _normal(key, shown.get(key)) != _normal(key, value):
                raise QueueAlreadyExists(
                    f"A queue already exists with the same name and a different value for attribute {key}"
                )
        return existing  # its tags stay what they are

    @replaces(backend)
    def delete_queue(before, self, queue_name):
        before(self, queue_name)
        self.purging_until.pop(queue_name, None)
        lasting = settings.seconds("sqs", "queue", "deleted-recently", queue_name)
        self.deleted_until[queue_name] = clock.now() + lasting

    @replaces(backend)
    def send_message(before, self, queue_name, *args, **kwargs):
        key = self.get_queue(queue_name).kms_master_key_id
        if (problem := unusable(self.account_id, self.region_name, key)) is not None:
            raise SQSException("KmsInvalidState", problem)
        return before(self, queue_name, *args, **kwargs)

    @replaces(backend)
    def purge_queue(before, self, queue_name):
        queue = self.get_queue(queue_name)
        if self.purging_until.get(queue_name, 0.0) > clock.now():
            raise SQSException(
                "AWS.SimpleQueueService.PurgeQueueInProgress",
                f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds.",
            )
        queue.last_purged_at = None  # moto goes by the machine's clock
        before(self, queue_name)
        self.purging_until[queue_name] = clock.now() + settings.seconds("sqs", "queue", "purging", queue_name)

    @replaces(backend)
    def set_queue_attributes(before, self, queue_name, attributes):
        queue = self.get_queue(queue_name)
        refuse_attributes(attributes, queue.fifo_queue, self.account_id)
        if "FifoQueue" in attributes and (str(attributes["FifoQueue"]).lower() == "true") != queue.fifo_queue:
            raise InvalidAttributeValue("FifoQueue")
        return before(self, queue_name, attributes)

    @replaces(backend)
    def list_queues(before, self, queue_name_prefix):
        # moto reads the prefix as a regular expression.
        return [queue for name, queue in self.queues.items() if name.startswith(queue_name_prefix or "")]


def install() -> None:
    _install_queue()
    _install_backend()
