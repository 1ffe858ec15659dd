"""SQS: attributes and their values, over the JSON protocol and the query protocol."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from shopkeeper_double.lifecycle import clock, settings


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


def send(double: Any, headers: dict[str, str], body: str) -> tuple[int, Any, str]:
    request = AWSRequest("POST", f"{double.endpoint}/", data=body.encode(), headers=headers)
    SigV4Auth(Credentials("test", "test"), "sqs", "eu-west-1").add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return answer.status_code, answer.headers, answer.text


def query(double: Any, action: str, **parameters: str) -> tuple[int, str]:
    form = urllib.parse.urlencode({"Action": action, "Version": "2012-11-05", **parameters})
    status, _, text = send(double, {"Content-Type": "application/x-www-form-urlencoded"}, form)
    return status, text


@pytest.fixture
def sqs(double: Any) -> Any:
    return double.client("sqs")


def attributes(sqs: Any, url: str) -> dict[str, str]:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("VisibilityTimeout", "43201", "InvalidAttributeValue"),
        ("DelaySeconds", "-1", "InvalidAttributeValue"),
        ("MessageRetentionPeriod", "59", "InvalidAttributeValue"),
        ("MaximumMessageSize", "1023", "InvalidAttributeValue"),
        ("ReceiveMessageWaitTimeSeconds", "twenty", "InvalidAttributeValue"),
        ("SqsManagedSseEnabled", "perhaps", "InvalidAttributeValue"),
        ("Policy", "{not json", "InvalidAttributeValue"),
        ("RedriveAllowPolicy", '{"redrivePermission":"byQueue"}', "InvalidAttributeValue"),
        ("Colour", "blue", "InvalidAttributeName"),
        ("ContentBasedDeduplication", "true", "InvalidAttributeName"),
    ],
)
def test_an_attribute_that_a_queue_cannot_have(sqs, name, value, refused):
    assert code(sqs.create_queue, QueueName="q", Attributes={name: value}) == refused
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    before = attributes(sqs, url)
    assert code(sqs.set_queue_attributes, QueueUrl=url, Attributes={name: value}) == refused
    assert attributes(sqs, url) == before


def test_changing_one_attribute_leaves_the_others(sqs):
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
        ],
    }
    url = sqs.create_queue(QueueName="q", Attributes={"Policy": json.dumps(policy), "KmsMasterKeyId": "alias/a"})["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "99"})
    shown = attributes(sqs, url)
    assert json.loads(shown["Policy"]) == policy
    assert (shown["VisibilityTimeout"], shown["KmsMasterKeyId"], shown["SqsManagedSseEnabled"]) == ("99", "alias/a", "false")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": "", "SqsManagedSseEnabled": "true"})
    shown = attributes(sqs, url)
    assert "Policy" not in shown and "KmsMasterKeyId" not in shown


def test_creating_again(sqs):
    asked = {"QueueName": "q", "Attributes": {"VisibilityTimeout": "60"}}
    url = sqs.create_queue(**asked, tags={"shop": "a"})["QueueUrl"]
    assert sqs.create_queue(**asked, tags={"shop": "b"})["QueueUrl"] == url
    assert sqs.create_queue(QueueName="q")["QueueUrl"] == url
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"shop": "a"}
    asked["Attributes"]["VisibilityTimeout"] = "61"
    with pytest.raises(sqs.exceptions.QueueNameExists):
        sqs.create_queue(**asked)


def test_dead_letters_go_to_a_queue_that_is_there_and_willing(sqs):
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = attributes(sqs, dead)["QueueArn"]

    def redrive(target, count=3):
        return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": count})}

    assert code(sqs.create_queue, QueueName="q", Attributes=redrive(f"{arn}x")) == "InvalidParameterValue"
    assert code(sqs.create_queue, QueueName="q", Attributes=redrive(arn, 1001)) == "InvalidParameterValue"
    fifo = {"FifoQueue": "true", **redrive(arn)}
    assert code(sqs.create_queue, QueueName="q.fifo", Attributes=fifo) == "InvalidParameterValue"
    allow = {"RedriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})}
    sqs.set_queue_attributes(QueueUrl=dead, Attributes=allow)
    assert json.loads(attributes(sqs, dead)["RedriveAllowPolicy"]) == {"redrivePermission": "denyAll"}
    assert code(sqs.create_queue, QueueName="q", Attributes=redrive(arn)) == "InvalidParameterValue"
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": ""})
    sqs.create_queue(QueueName="q", Attributes=redrive(arn))


def test_the_name_of_a_deleted_queue_is_not_free_at_once(sqs):
    settings.change(overrides={"sqs.queue.deleted-recently": 60})
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="q")
    with pytest.raises(sqs.exceptions.QueueDeletedRecently):
        sqs.create_queue(QueueName="q")
    clock.advance(61)
    sqs.create_queue(QueueName="q")


def test_a_prefix_is_no_pattern(sqs):
    for name in ("a-1", "ab1"):
        sqs.create_queue(QueueName=name)
    assert [url.rsplit("/", 1)[1] for url in sqs.list_queues(QueueNamePrefix="a-")["QueueUrls"]] == ["a-1"]


def test_errors_read_the_same_in_both_protocols(double, sqs):
    # SDKs that speak JSON find the code of old in a header.
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.GetQueueUrl", "X-Amzn-Query-Mode": "true"}
    status, answered, text = send(double, headers, '{"QueueName":"none"}')
    assert status == 400 and json.loads(text)["__type"].endswith("QueueDoesNotExist")
    assert answered["x-amzn-query-error"].startswith("AWS.SimpleQueueService.NonExistentQueue;")
    status, text = query(double, "GetQueueUrl", QueueName="none")
    assert status == 400 and "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in text


def test_the_query_protocol_creates_what_the_json_protocol_reads(double, sqs):
    wrong = {"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "43201"}
    status, text = query(double, "CreateQueue", QueueName="q", **wrong)
    assert status == 400 and "<Code>InvalidAttributeValue</Code>" in text
    wrong["Attribute.1.Value"] = "120"
    assert query(double, "CreateQueue", QueueName="q", **wrong)[0] == 200
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    assert attributes(sqs, url)["VisibilityTimeout"] == "120"
    assert query(double, "SendMessage", QueueUrl=url, MessageBody="hello")[0] == 200
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
