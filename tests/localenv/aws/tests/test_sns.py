"""SNS: topics, subscriptions, and deliveries to queues."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


@pytest.fixture
def sns(double: Any) -> Any:
    return double.client("sns")


@pytest.fixture
def sqs(double: Any) -> Any:
    return double.client("sqs")


@pytest.fixture
def topic(sns: Any) -> str:
    return sns.create_topic(Name="orders", Attributes={"DisplayName": "d"}, Tags=[{"Key": "shop", "Value": "a"}])["TopicArn"]


def queue(sqs: Any, name: str, **attributes: str) -> tuple[str, str]:
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(sqs: Any, url: str) -> list[str]:
    return [each["Body"] for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]


def allowing(topic: str, queue_arn: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
                }
            ],
        }
    )


def test_creating_a_topic_again(sns, topic):
    assert sns.create_topic(Name="orders")["TopicArn"] == topic
    assert sns.create_topic(Name="orders", Attributes={"DisplayName": "d"})["TopicArn"] == topic
    assert code(sns.create_topic, Name="orders", Attributes={"DisplayName": "e"}) == "InvalidParameter"
    assert code(sns.create_topic, Name="orders", Tags=[{"Key": "shop", "Value": "b"}]) == "InvalidParameter"
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "d"


def test_attributes_of_a_topic(sns, topic):
    for name, value in (("TracingConfig", "Active"), ("SignatureVersion", "2"), ("KmsMasterKeyId", "alias/a")):
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
        assert sns.get_topic_attributes(TopicArn=topic)["Attributes"][name] == value
    refused = [("Colour", "blue"), ("Policy", "{not json"), ("TracingConfig", "x"), ("FifoTopic", "true"), ("ContentBasedDeduplication", "true")]
    for name, value in refused:
        asked = {"TopicArn": topic, "AttributeName": name, "AttributeValue": value}
        assert code(sns.set_topic_attributes, **asked) == "InvalidParameter"
    assert "DeliveryPolicy" not in sns.get_topic_attributes(TopicArn=topic)["Attributes"]


def test_a_fifo_topic_keeps_its_scope(sns):
    attributes = {"FifoTopic": "true", "FifoThroughputScope": "MessageGroup"}
    arn = sns.create_topic(Name="orders.fifo", Attributes=attributes)["TopicArn"]
    shown = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (shown["FifoTopic"], shown["FifoThroughputScope"]) == ("true", "MessageGroup")


def test_subscribing_again(sns, sqs, topic):
    _, arn = queue(sqs, "q")
    asked = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn}
    filtered = {"FilterPolicy": '{"kind": ["order"]}', "RawMessageDelivery": "true"}
    first = sns.subscribe(**asked, Attributes=filtered)["SubscriptionArn"]
    assert sns.subscribe(**asked, Attributes={"FilterPolicy": '{"kind":["order"]}'})["SubscriptionArn"] == first
    assert sns.subscribe(**asked)["SubscriptionArn"] == first
    other = {"FilterPolicy": '{"kind": ["return"]}'}
    assert code(sns.subscribe, **asked, Attributes=other) == "InvalidParameter"
    assert json.loads(sns.get_subscription_attributes(SubscriptionArn=first)["Attributes"]["FilterPolicy"]) == {"kind": ["order"]}
    assert code(sns.subscribe, TopicArn=topic, Protocol="pigeon", Endpoint="coop") == "InvalidParameter"
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"] == "1"


def test_mail_waits_for_somebody_to_agree(sns, topic):
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": "a@shop.test"}
    assert sns.subscribe(**asked)["SubscriptionArn"] == "pending confirmation"
    arn = sns.subscribe(**asked, ReturnSubscriptionArn=True)["SubscriptionArn"]
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"] == "true"
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [each["SubscriptionArn"] for each in listed] == ["PendingConfirmation"]
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"] == "1"


def test_a_queue_with_a_policy_takes_only_what_it_allows(sns, sqs, topic):
    url, arn = queue(sqs, "q")
    dead, dead_arn = queue(sqs, "dead")
    other = sns.create_topic(Name="other")["TopicArn"]
    redrive = json.dumps({"deadLetterTargetArn": dead_arn})
    for each in (topic, other):
        attributes = {"RawMessageDelivery": "true", "RedrivePolicy": redrive}
        sns.subscribe(TopicArn=each, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allowing(topic, arn)})
    sns.publish(TopicArn=topic, Message="allowed")
    sns.publish(TopicArn=other, Message="not allowed")
    assert received(sqs, url) == ["allowed"]
    assert received(sqs, dead) == ["not allowed"]


def test_publishing_to_a_queue_that_is_gone(sns, sqs, topic):
    url, arn = queue(sqs, "q")
    dead, dead_arn = queue(sqs, "dead")
    attributes = {"RawMessageDelivery": "true", "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn})}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    sqs.delete_queue(QueueUrl=url)
    assert sns.publish(TopicArn=topic, Message="lost?")["MessageId"]
    assert received(sqs, dead) == ["lost?"]


def test_what_a_server_does_not_take_goes_to_the_dead_letters_that_let_the_topic_in(sns, sqs, topic):
    dead, dead_arn = queue(sqs, "dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn})
    # Nobody listens there.
    asked = {"TopicArn": topic, "Protocol": "https", "Endpoint": "https://127.0.0.1:9/hook"}
    sns.subscribe(**asked, Attributes={"RedrivePolicy": redrive})
    sns.publish(TopicArn=topic, Message="kept")
    assert [json.loads(body)["Message"] for body in received(sqs, dead)] == ["kept"]
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"Policy": allowing("arn:aws:sns:eu-west-1:123456789012:other", dead_arn)})
    sns.publish(TopicArn=topic, Message="lost")
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"Policy": allowing(topic, dead_arn)})
    sns.publish(TopicArn=topic, Message="kept again")
    assert [json.loads(body)["Message"] for body in received(sqs, dead)] == ["kept again"]


def test_redrive_policies_are_checked(sns, sqs, topic):
    _, dead = queue(sqs, "dead")
    _, ordered = queue(sqs, "dead.fifo", FifoQueue="true")
    _, first = queue(sqs, "first.fifo", FifoQueue="true")
    fifo = sns.create_topic(Name="orders.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]

    def policy(arn: str, **more: Any) -> str:
        return json.dumps({"deadLetterTargetArn": arn, **more})

    mail = {"TopicArn": topic, "Protocol": "sms", "Endpoint": "+15550100"}
    to_fifo = {"TopicArn": fifo, "Protocol": "sqs", "Endpoint": first}
    for asked, refused in (
        (mail, "{no json"),
        (mail, ""),
        (mail, "{}"),
        (mail, policy("dead")),
        (mail, policy(dead.replace(":sqs:", ":sns:"))),
        (mail, policy(dead, maxReceiveCount=5)),
        (mail, policy(dead.replace("123456789012", "999988887777"))),
        (mail, policy(dead.replace(":eu-west-1:", ":eu-west-2:"))),
        (mail, policy(ordered)),
        (to_fifo, policy(dead)),
    ):
        assert code(sns.subscribe, **asked, Attributes={"RedrivePolicy": refused}) == "InvalidParameter", refused
    for asked, taken, refused in ((mail, dead, ordered), (to_fifo, ordered, dead)):
        arn = sns.subscribe(**asked, Attributes={"RedrivePolicy": policy(taken)}, ReturnSubscriptionArn=True)["SubscriptionArn"]
        changed = {"SubscriptionArn": arn, "AttributeName": "RedrivePolicy"}
        for value in (policy(refused), policy(taken, maxReceiveCount=5), ""):
            assert code(sns.set_subscription_attributes, **changed, AttributeValue=value) == "InvalidParameter", value
        assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["RedrivePolicy"] == policy(taken)
        sns.set_subscription_attributes(**changed)
        assert "RedrivePolicy" not in sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]


def test_delivery_is_wrapped_unless_raw(sns, sqs, topic):
    url, arn = queue(sqs, "q")
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    sns.publish(TopicArn=topic, Message="m")
    envelope = json.loads(received(sqs, url)[0])
    assert (envelope["Message"], envelope["TopicArn"]) == ("m", topic)
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="true")
    sns.publish(TopicArn=topic, Message="n")
    assert received(sqs, url) == ["n"]
