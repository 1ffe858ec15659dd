"""CloudTrail's history of events: what the operator asks it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

WRITES = [{"AttributeKey": "ReadOnly", "AttributeValue": "false"}]


def make_table(double: Any, name: str) -> None:
    double.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_calls_that_change_something_are_told_with_what_they_name(double: Any) -> None:
    make_table(double, "products")
    double.client("dynamodb").describe_table(TableName="products")
    with pytest.raises(ClientError):
        double.client("dynamodb").delete_table(TableName="absent")
    events = double.client("cloudtrail").lookup_events(LookupAttributes=WRITES)["Events"]
    assert [event["EventName"] for event in events] == ["DeleteTable", "CreateTable"], "newest first, and no reads"
    failed, made = (json.loads(event["CloudTrailEvent"]) for event in events)
    assert failed["errorCode"] == "ResourceNotFoundException"
    assert made["requestParameters"]["TableName"] == "products"
    assert "errorCode" not in made
    assert events[1]["EventSource"] == "dynamodb.amazonaws.com"


def test_what_customers_keep_and_what_is_global_is_not_told(double: Any) -> None:
    make_table(double, "products")
    double.client("dynamodb").put_item(TableName="products", Item={"id": {"S": "1"}})
    double.client("s3").create_bucket(Bucket="media", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    double.client("s3").put_object(Bucket="media", Key="a", Body=b"b")
    double.client("iam").create_user(UserName="somebody")
    told = double.client("cloudtrail").lookup_events(LookupAttributes=WRITES)["Events"]
    assert [event["EventName"] for event in told] == ["CreateBucket", "CreateTable"]
    there = double.client("cloudtrail", region="us-east-1").lookup_events(LookupAttributes=WRITES)["Events"]
    assert [event["EventName"] for event in there] == ["CreateUser"]


def test_it_is_told_by_the_page_and_of_a_time(double: Any) -> None:
    before = time.time()
    for number in range(3):
        make_table(double, f"products-{number}")
    client = double.client("cloudtrail")
    first = client.lookup_events(LookupAttributes=WRITES, MaxResults=2, StartTime=before - 1)
    # Made meanwhile: it is no part of the pages that were begun before.
    make_table(double, "products-3")
    second = client.lookup_events(LookupAttributes=WRITES, MaxResults=2, StartTime=before - 1, NextToken=first["NextToken"])
    names = [
        json.loads(event["CloudTrailEvent"])["requestParameters"]["resources"][0]
        for event in first["Events"] + second["Events"]
    ]
    assert names == ["products-2", "products-1", "products-0"]
    assert "NextToken" not in second
    assert client.lookup_events(LookupAttributes=WRITES, StartTime=time.time() + 60)["Events"] == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"LookupAttributes": WRITES * 2}, "InvalidLookupAttributesException"),
        ({"NextToken": "no"}, "InvalidNextTokenException"),
        ({"StartTime": 2, "EndTime": 1}, "InvalidTimeRangeException"),
    ],
)
def test_what_makes_no_sense_is_refused(double: Any, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        double.client("cloudtrail").lookup_events(**asked)
    assert refused.value.response["Error"]["Code"] == code
