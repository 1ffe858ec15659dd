"""The record of calls: what it tells, what it hides, and what it costs."""

from __future__ import annotations

import json
import time
from typing import Any

from shopkeeper_double.middleware import record as module
from shopkeeper_double.middleware.calls import Call, identify
from shopkeeper_double.middleware.faults import Faults, Rule
from shopkeeper_double.middleware.record import CallRecord, shown
from shopkeeper_double.middleware.throttle import Throttle
from test_core import refused


def test_parameters_are_told_without_secrets(double: Any) -> None:
    rds = double.client("rds")
    refused(
        lambda: rds.create_db_instance(
            DBInstanceIdentifier="orders",
            DBInstanceClass="db.m6g.large",
            Engine="postgres",
            DBSubnetGroupName="absent",
            MasterUsername="a",
            MasterUserPassword="hunter2hunter2",
            AllocatedStorage=20,
        )
    )
    double.client("secretsmanager").create_secret(Name="s", SecretString="hunter2hunter2", ClientRequestToken="t" * 32)
    double.client("sqs").create_queue(QueueName="q")
    database, secret, queue = double.calls(write="true")
    assert database["parameters"]["DBInstanceIdentifier"] == ["orders"]
    assert database["parameters"]["MasterUserPassword"] == "(hidden)"
    assert secret["parameters"] == {"Name": "s", "SecretString": "(hidden)", "ClientRequestToken": "t" * 32}
    assert "hunter2" not in json.dumps(double.calls())
    assert [each["effect"] for each in (database, secret, queue)] == [False, True, True]
    assert (queue["account"], queue["access_key"]) == ("123456789012", "test")


def test_long_values_are_cut_and_content_is_left_out() -> None:
    assert shown({"Name": "x" * 5000})[0]["Name"] == "x" * 1024 + "..."
    assert shown({"MessageBody": "hello"})[0] == {"MessageBody": "(content)"}
    kept, size = shown({"Name": "n", "Items": [{"a": "x" * 1000}] * 100})
    assert kept == {"Name": "n", "Items": "(long)"} and size <= module.LONGEST_PARAMETERS


def test_calls_are_filtered_by_resource_and_effect(double: Any) -> None:
    dynamodb = double.client("dynamodb")
    refused(lambda: dynamodb.describe_table(TableName="carts"))
    refused(lambda: dynamodb.delete_table(TableName="carts"))
    refused(lambda: dynamodb.describe_table(TableName="orders"))
    assert [each["operation"] for each in double.calls(resource="carts")] == ["DescribeTable", "DeleteTable"]
    assert double.calls(effect="true") == []


def test_it_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "LARGEST_NUMBER", 10)
    record = CallRecord()
    for _ in range(25):
        record.add(call(), 200, None, None, effect=False)
    assert (record.first, record.last) == (16, 25)
    assert [each["seq"] for each in record.select(since=20)] == [21, 22, 23, 24, 25]
    assert [each["seq"] for each in record.select(since=3)] == list(range(16, 26)), "a reader sees that it missed some"
    monkeypatch.setattr(module, "LARGEST_SIZE", 5 * module.SIZE_OF_ENTRY + 500)
    record.add(call(), 200, None, None, effect=False)
    assert record.last - record.first < 5


def test_a_reader_sees_what_was_forgotten(double: Any) -> None:
    double.client("sqs").list_queues()
    answer = double.control("GET", "calls")[1]
    assert answer["first"] == answer["last"]
    double.control("DELETE", "calls")
    assert double.control("GET", "calls")[1]["first"] == answer["last"] + 1


def test_the_middleware_costs_less_than_a_millisecond_a_call() -> None:
    """Recording, twenty limits and twenty rules; the best of five rounds, since the machine may be busy."""
    record, throttle, faults = CallRecord(), Throttle(), Faults()
    throttle.change({f"rds:Describe{n}*": {"burst": 1, "rate": 1} for n in range(20)} | {"rds": {"burst": 1e9, "rate": 1e9}})
    for n in range(20):
        faults.add(Rule.from_json({"kind": "throttle", "service": "rds", "operation": "Create*", "resource": f"r{n}-*"}))

    def round_of(calls: int) -> float:
        began = time.process_time()
        for _ in range(calls):
            one = identify(environment(), BODY)
            assert throttle.admits(one) and faults.gated(one) is None
            assert faults.take(one, lambda rule, call: False) is None
            record.add(one, 200, None, None, effect=True)
        return (time.process_time() - began) / calls

    round_of(50)
    assert min(round_of(200) for _ in range(5)) < 0.001


BODY = b"Action=CreateDBInstance&Version=2014-10-31&DBInstanceIdentifier=orders&Engine=postgres&AllocatedStorage=20&" + b"&".join(
    f"Tags.Tag.{n}.Key=key{n}&Tags.Tag.{n}.Value=value{n}".encode() for n in range(1, 8)
)


def environment() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "4566",
        "wsgi.url_scheme": "http",
        "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8",
        "HTTP_USER_AGENT": "aws-sdk-rust/1.3 app/shopkeeper",
        "HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/rds/aws4_request, Signature=x",
    }


def call() -> Call:
    return identify(environment(), BODY)
