"""SNS: topics and subscriptions that keep their attributes, repeats that differ, and deliveries that may fail."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import requests
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores, ensure_boolean
from moto.sns import models, responses
from moto.sns.exceptions import SNSInvalidParameter
from moto.sqs.exceptions import QueueDoesNotExist
from moto.sqs.models import sqs_backends

from shopkeeper_double.services import replaces
from shopkeeper_double.services._keys import unusable
from shopkeeper_double.services._policy_documents import allows, problem_of

#: Seconds. SNS waits for 15; here all other calls wait meanwhile.
SERVER_TIMEOUT = 2
DESTINATIONS = ("HTTP", "Firehose", "Lambda", "Application", "SQS")
FEEDBACK = {
    f"{destination}{setting}"
    for destination in DESTINATIONS
    for setting in ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
}
#: Attributes that moto does not know; they are shown as they were set.
KEPT = {"TracingConfig", "SignatureVersion", "ArchivePolicy", "FifoThroughputScope", "MaximumMessageSize", *FEEDBACK}
CHANGEABLE = {"DeliveryPolicy", "DisplayName", "Policy", "KmsMasterKeyId", "ContentBasedDeduplication", *KEPT}
PROTOCOLS = ("http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose")
#: Whoever reads the mail has to agree first.
CONFIRMED_BY_PEOPLE = ("email", "email-json")


def invalid(what: str, reason: str | None = None) -> SNSInvalidParameter:
    return SNSInvalidParameter(f"Invalid parameter: {what}" + (f" Reason: {reason}" if reason else ""))


def refuse_attribute(name: str, value: Any, account: str, creating: bool) -> None:
    if name not in CHANGEABLE and not (creating and name == "FifoTopic"):
        raise invalid("AttributeName")
    if name == "Policy" and value and problem_of(value, ("sns",), account) is not None:
        raise invalid("Policy Error: null")
    if name in ("DeliveryPolicy", "ArchivePolicy") and value:
        _document(name, value)
    if name == "TracingConfig" and value not in ("PassThrough", "Active"):
        raise invalid("Attributes", "TracingConfig must be PassThrough or Active")
    if name == "SignatureVersion" and str(value) not in ("1", "2"):
        raise invalid("Attributes", "SignatureVersion must be 1 or 2")
    if name == "FifoThroughputScope" and value not in ("Topic", "MessageGroup"):
        raise invalid("Attributes", "FifoThroughputScope must be Topic or MessageGroup")


def _document(name: str, value: Any) -> dict[str, Any]:
    try:
        document = json.loads(value)
    except (TypeError, ValueError):
        document = None
    if not isinstance(document, dict):
        raise invalid(name, "failed to parse JSON.")
    return document


def problem_of_redrive(value: Any, topic: models.Topic, endpoint: str) -> str | None:
    """Why a subscription may not have such a RedrivePolicy. Whether the queue exists is not asked: what is sent to one that does not
    is lost, and counted as NumberOfNotificationsFailedToRedriveToDlq."""
    try:
        document = json.loads(value)
    except (TypeError, ValueError):
        document = None
    if not isinstance(document, dict):
        return "failed to parse JSON."
    for name in document:
        if name != "deadLetterTargetArn":
            return f"invalid JSON. Attribute {name} is unknown."
    arn = str(document.get("deadLetterTargetArn", "")).split(":")
    if len(arn) != 6 or arn[0] != "arn" or arn[2] != "sqs" or not arn[5]:
        return "deadLetterTargetArn is an invalid arn"
    if (arn[3], arn[4]) != (topic.sns_backend.region_name, topic.account_id):
        return "deadLetterTargetArn must be of the account and region of the topic"
    is_fifo = arn[5].endswith(".fifo")
    if ensure_boolean(topic.fifo_topic) and endpoint.endswith(".fifo") and not is_fifo:
        return "must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."
    if is_fifo and not ensure_boolean(topic.fifo_topic):
        return "must use a standard queue as DLQ for a Subscription to a standard Topic."
    return None


def shown(topic: models.Topic) -> dict[str, Any]:
    """Attributes of a topic as GetTopicAttributes has them; what was never set is left out."""
    mine = [each for each in topic.sns_backend.subscriptions.values() if each.topic is topic]
    pending = sum(1 for each in mine if each.attributes.get("PendingConfirmation"))
    attributes: dict[str, Any] = {
        "Owner": topic.account_id,
        "Policy": topic.policy,
        "TopicArn": topic.arn,
        "DisplayName": topic.display_name,
        "SubscriptionsPending": pending,
        "SubscriptionsConfirmed": len(mine) - pending,
        "SubscriptionsDeleted": topic.subscriptions_deleted,
        "EffectiveDeliveryPolicy": topic.effective_delivery_policy,
    }
    if topic.delivery_policy:
        attributes["DeliveryPolicy"] = topic.delivery_policy
    if topic.kms_master_key_id:
        attributes["KmsMasterKeyId"] = topic.kms_master_key_id
    if topic.fifo_topic:
        attributes["FifoTopic"] = topic.fifo_topic
        attributes["ContentBasedDeduplication"] = topic.content_based_deduplication
        attributes["FifoThroughputScope"] = "Topic"
    for name in KEPT:
        value = getattr(topic, camelcase_to_underscores(name), None)
        if value not in (None, ""):
            attributes[name] = value
    return attributes


def _same(one: Any, other: Any) -> bool:
    """Whether two values of an attribute say the same; documents are compared by what they say."""
    try:
        return json.loads(one) == json.loads(other)
    except (TypeError, ValueError):
        return str(one).lower() == str(other).lower()


def _install_topics() -> None:
    response, backend = responses.SNSResponse, models.SNSBackend

    @replaces(backend)
    def create_topic(before, self, name, attributes=None, tags=None):
        given = attributes or {}
        for attribute, value in given.items():
            refuse_attribute(attribute, value, self.account_id, creating=True)
        existing = self.topics.get(models.make_arn_for_topic(self.account_id, name, self.region_name))
        if existing is not None:
            has = shown(existing)
            if any(not _same(has.get(attribute, ""), value) for attribute, value in given.items()):
                raise invalid("Attributes", "Topic already exists with different attributes")
            if tags and tags != existing._tags:
                raise invalid("Tags", "Topic already exists with different tags")
        return before(self, name, attributes, tags)

    @replaces(response)
    def get_topic_attributes(before, self):
        return ActionResult({"Attributes": shown(self.backend.get_topic(self._get_param("TopicArn")))})

    @replaces(response)
    def set_topic_attributes(before, self):
        topic = self.backend.get_topic(self._get_param("TopicArn"))
        name, value = self._get_param("AttributeName"), self._get_param("AttributeValue")
        refuse_attribute(name, value, self.current_account, creating=False)
        if name in ("ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy") and not topic.fifo_topic:
            raise invalid(name, f"{name} can only be set for FIFO topics")
        if name == "Policy" and not value:
            raise invalid("Policy Error: null")
        return before(self)


def _install_keys() -> None:
    @replaces(models.SNSBackend)
    def publish(before, self, message, arn, *args, **kwargs):
        topic = self.topics.get(arn)
        key = getattr(topic, "kms_master_key_id", None)
        if (problem := unusable(self.account_id, self.region_name, key)) is not None:
            raise ServiceException("KMSInvalidState", problem)
        return before(self, message, arn, *args, **kwargs)


def _install_subscriptions() -> None:
    response = responses.SNSResponse
    models.requests = SimpleNamespace(post=_post)

    @replaces(response)
    def subscribe(before, self):
        protocol, given = self._get_param("Protocol"), self._get_attributes()
        if protocol not in PROTOCOLS:
            raise invalid(f"Does not support this protocol string: {protocol}")
        if "RedrivePolicy" in given:
            topic = self.backend.get_topic(self._get_param("TopicArn"))
            problem = problem_of_redrive(given["RedrivePolicy"], topic, self._get_param("Endpoint"))
            if problem is not None:
                raise invalid("Attributes", f"RedrivePolicy: {problem}")
        existing = self.backend._find_subscription(self._get_param("TopicArn"), self._get_param("Endpoint"), protocol)
        if existing is not None:
            has = {"RawMessageDelivery": False, **existing.attributes}
            if any(not _same(has.get(name, ""), value) for name, value in given.items()):
                raise invalid("Attributes", "Subscription already exists with different attributes")
        result = before(self)
        subscription = self.backend.subscriptions[result.result["SubscriptionArn"]]
        if protocol in CONFIRMED_BY_PEOPLE and existing is None:
            subscription.attributes["PendingConfirmation"] = True
            subscription.attributes["ConfirmationWasAuthenticated"] = False
        if subscription.attributes.get("PendingConfirmation") and not ensure_boolean(
            self._get_param("ReturnSubscriptionArn", "false")
        ):
            return ActionResult({"SubscriptionArn": "pending confirmation"})
        return result

    @replaces(response)
    def set_subscription_attributes(before, self):
        subscription = self.backend.subscriptions.get(self._get_param("SubscriptionArn"))
        name, value = self._get_param("AttributeName"), self._get_param("AttributeValue")
        if subscription is not None and name == "RedrivePolicy":
            if value is None:
                subscription.attributes.pop(name, None)
                return EmptyResult()
            problem = problem_of_redrive(value, subscription.topic, subscription.endpoint)
            if problem is not None:
                raise invalid(f"RedrivePolicy: {problem}")
        return before(self)

    for operation in ("list_subscriptions", "list_subscriptions_by_topic"):
        _show_pending(operation)

    @replaces(models.Subscription)
    def publish(before, self, message, message_id, *args, **kwargs):
        if self.attributes.get("PendingConfirmation"):
            return
        if self.protocol == "sqs" and not _admitted(self, self.endpoint):
            _to_dead_letters(self, before, message, message_id, *args, **kwargs)
            return
        try:
            before(self, message, message_id, *args, **kwargs)
        except (QueueDoesNotExist, requests.RequestException):
            # Publishing succeeds all the same: a delivery that fails is not the publisher's matter. AWS tries a server for up to an hour;
            # here it is given up at once.
            _to_dead_letters(self, before, message, message_id, *args, **kwargs)


def _show_pending(operation: str) -> None:
    def listed(before, self):
        result = before(self)
        entries = [
            {
                "SubscriptionArn": "PendingConfirmation" if each.attributes.get("PendingConfirmation") else each.arn,
                "Owner": each.owner,
                "Protocol": each.protocol,
                "Endpoint": each.endpoint,
                "TopicArn": each.topic_arn,
            }
            for each in result.result["Subscriptions"]
        ]
        return ActionResult({**result.result, "Subscriptions": entries})

    listed.__name__ = operation
    replaces(responses.SNSResponse)(listed)


def _queue(account: str, arn: str) -> Any:
    _, _, _, region, _, name = arn.split(":", 5)
    return sqs_backends[account][region].queues.get(name)


def _post(*args: Any, **kwargs: Any) -> Any:
    """A server that does not answer in time, or not well, has not got the message: moto waits for ever and takes any answer."""
    answer = requests.post(*args, timeout=SERVER_TIMEOUT, **kwargs)
    answer.raise_for_status()
    return answer


def _admitted(subscription: models.Subscription, endpoint: str) -> bool:
    """Whether the queue's policy lets the topic send.

    AWS delivers to no queue whose policy does not say so. Here a queue that has no policy at all takes everything, so that
    tests about something else need none; one that has a policy is held to it.
    """
    queue = _queue(subscription.account_id, endpoint)
    if queue is None or not queue.policy:
        return True
    return allows(
        queue.policy, "sns.amazonaws.com", "sqs:SendMessage", queue.queue_arn, subscription.topic.arn, subscription.account_id
    )


def _to_dead_letters(
    subscription: models.Subscription, deliver: Any, message: str, message_id: str, *args: Any, **kwargs: Any
) -> None:
    """Deliver to the queue that the subscription's RedrivePolicy names, where there is one."""
    policy = subscription.attributes.get("RedrivePolicy")
    target = json.loads(policy)["deadLetterTargetArn"] if policy else None
    if target is None or _queue(subscription.account_id, target) is None or not _admitted(subscription, target):
        return
    was = subscription.endpoint, subscription.protocol
    subscription.endpoint, subscription.protocol = target, "sqs"
    try:
        deliver(subscription, message, message_id, *args, **kwargs)
    finally:
        subscription.endpoint, subscription.protocol = was


def install() -> None:
    _install_keys()
    _install_topics()
    _install_subscriptions()
