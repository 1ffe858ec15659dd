"""The server, its middleware and its control interface."""

from __future__ import annotations

import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from shopkeeper_double import lifecycle
from shopkeeper_double.lifecycle import GONE, Lifecycle, TransitionSettings, drop_gone

PACKAGE = pathlib.Path(__file__).parent.parent
#: (service, a method that needs no resource): one for each protocol the operator speaks.
PROTOCOLS = [
    ("eks", "list_clusters", "ListClusters"),  # rest-json
    ("s3", "list_buckets", "ListBuckets"),  # rest-xml
    ("rds", "describe_db_instances", "DescribeDBInstances"),  # query
    ("ec2", "describe_vpcs", "DescribeVpcs"),  # ec2
    ("dynamodb", "list_tables", "ListTables"),  # json
    ("sqs", "list_queues", "ListQueues"),  # json with query errors
    ("sns", "list_topics", "ListTopics"),
    ("iam", "list_roles", "ListRoles"),
    ("kms", "list_keys", "ListKeys"),
    ("elasticache", "describe_replication_groups", "DescribeReplicationGroups"),
    ("secretsmanager", "list_secrets", "ListSecrets"),
    ("route53", "list_hosted_zones", "ListHostedZones"),
]


def refused(call: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


class TestLifecycle:
    def test_a_transition_lasts_and_its_effect_comes_at_its_end(self, lasting: None) -> None:
        applied: list[str] = []
        life = Lifecycle("rds", "db-instance", settled="available")
        life.begin("modifying", on_settled=lambda: applied.append("x"))
        assert (life.state, life.in_transition, applied) == ("modifying", True, [])
        lifecycle.clock.advance(2e6)
        assert (life.state, life.in_transition, applied) == ("available", False, ["x"])
        assert (life.state, applied) == ("available", ["x"]), "the effect comes once"

    def test_a_second_transition_keeps_the_effect_of_the_first(self, lasting: None) -> None:
        applied: list[str] = []
        life = Lifecycle("rds", "db-instance", settled="available")
        life.begin("modifying", on_settled=lambda: applied.append("first"))
        life.begin("rebooting")
        assert (life.state, applied) == ("rebooting", ["first"])

    def test_what_is_gone_is_dropped(self, lasting: None) -> None:
        class Held:
            def __init__(self) -> None:
                self.lifecycle = Lifecycle("rds", "db-instance", settled="available")

        held = {"kept": Held(), "deleted": Held()}
        held["deleted"].lifecycle.begin("deleting", then=GONE)
        drop_gone(held)
        assert set(held) == {"kept", "deleted"}
        lifecycle.clock.advance(2e6)
        forgotten: list[Any] = []
        drop_gone(held, forget=forgotten.append)
        assert set(held) == {"kept"} and len(forgotten) == 1

    def test_a_transition_may_end_badly_a_given_number_of_times(self, lasting: None) -> None:
        applied: list[str] = []
        lifecycle.settings.change(outcomes={"rds.db-instance.creating": {"then": "failed", "count": 1}})
        for expected in ("failed", "available"):
            life = Lifecycle("rds", "db-instance", settled="available")
            life.begin("creating", on_settled=lambda: applied.append("x"))
            assert life.state == "creating"
            lifecycle.clock.advance(2e6)
            assert life.state == expected
        assert applied == ["x"], "what failed had no effect"

    def test_the_longest_override_wins(self) -> None:
        settings = TransitionSettings(1.0)
        settings.change(overrides={"rds.*": 2.0, "rds.db-instance.creating": 3.0})
        assert settings.seconds("rds", "db-instance", "creating") == 3.0
        assert settings.seconds("rds", "db-instance", "deleting") == 2.0
        assert settings.seconds("eks", "nodegroup", "CREATING") == 1.0
        settings.change(overrides={"rds.*": None})
        assert settings.seconds("rds", "db-instance", "deleting") == 1.0


class TestRecord:
    @pytest.mark.parametrize(("service", "method", "operation"), PROTOCOLS)
    def test_operations_are_named_in_every_protocol(self, double: Any, service: str, method: str, operation: str) -> None:
        getattr(double.client(service), method)()
        entry = double.calls()[-1]
        assert (entry["service"], entry["operation"], entry["write"]) == (service, operation, False)
        assert (entry["status"], entry["error_code"]) == (200, None)
        assert entry["region"] == "eu-west-1"
        assert "Boto3" in entry["user_agent"]

    def test_writes_their_resources_and_their_errors(self, double: Any) -> None:
        s3 = double.client("s3")
        s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket="photos", Key="a/b.jpg", Body=b"x")
        s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
        s3.get_bucket_versioning(Bucket="photos")
        refused(lambda: double.client("dynamodb").delete_table(TableName="nothing"))
        writes = double.calls(write="true")
        assert [(each["service"], each["operation"]) for each in writes] == [
            ("s3", "CreateBucket"),
            ("s3", "PutObject"),
            ("s3", "PutBucketVersioning"),
            ("dynamodb", "DeleteTable"),
        ]
        assert writes[1]["resources"][:2] == ["photos", "a/b.jpg"]
        assert writes[3]["resources"] == ["nothing"]
        assert writes[3]["error_code"] == "ResourceNotFoundException"

    def test_the_subject_of_an_operation_is_its_first_resource(self, double: Any) -> None:
        refused(
            lambda: double.client("rds").create_db_instance(
                DBInstanceIdentifier="orders",
                DBInstanceClass="db.m6g.large",
                Engine="postgres",
                DBSubnetGroupName="absent",
                MasterUsername="a",
                MasterUserPassword="abcdefgh1",
                AllocatedStorage=20,
            )
        )
        assert double.calls()[-1]["resources"][0] == "orders"

    @pytest.mark.parametrize(("service", "method", "operation"), PROTOCOLS)
    def test_a_call_is_found_by_its_request_id(self, double: Any, service: str, method: str, operation: str) -> None:
        answer = getattr(double.client(service), method)()
        assert answer["ResponseMetadata"]["HTTPHeaders"].keys() & {"x-amzn-requestid", "x-amz-request-id"}
        assert double.calls()[-1]["request_id"] in answer["ResponseMetadata"]["HTTPHeaders"].values()

    def test_since_gives_only_what_came_after(self, double: Any) -> None:
        eks = double.client("eks")
        eks.list_clusters()
        last = double.control("GET", "calls")[1]["last"]
        assert double.calls(since=last) == []
        refused(lambda: eks.describe_cluster(name="c"))
        assert [each["operation"] for each in double.calls(since=last, service="eks")] == ["DescribeCluster"]
        double.control("DELETE", "calls")
        assert double.calls() == []
        eks.list_clusters()
        assert double.calls()[0]["seq"] > last, "numbers go on after the record is cleared"


class TestFaults:
    @pytest.mark.parametrize(("service", "method", "operation"), PROTOCOLS)
    def test_throttling_is_read_as_such_and_retried(self, double: Any, service: str, method: str, operation: str) -> None:
        from botocore.retries.standard import ThrottledRetryableChecker

        double.fault(kind="throttle", service=service, operation=operation, count=1)
        code, _ = refused(getattr(double.client(service), method))
        assert code in ThrottledRetryableChecker._THROTTLED_ERROR_CODES
        double.control("DELETE", "faults")
        double.fault(kind="throttle", service=service, count=1)
        getattr(double.client(service, attempts=2), method)()
        assert [each["fault"] for each in double.calls(service=service)][-2:] == ["throttle", None]

    @pytest.mark.parametrize(("service", "method", "operation"), PROTOCOLS)
    def test_denial_and_an_error_of_choice_are_readable(
        self, double: Any, service: str, method: str, operation: str
    ) -> None:
        call = getattr(double.client(service), method)
        double.fault(kind="access_denied", service=service, count=1)
        code, status = refused(call)
        assert code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
        assert status in (400, 403)
        double.fault(kind="error", service=service, code="SomethingElse", status=418, message="no", count=1)
        assert refused(call) == ("SomethingElse", 418)
        double.fault(kind="5xx", service=service, status=503, count=1)
        assert refused(call)[1] == 503
        call()

    def test_a_rule_skips_counts_and_matches_by_resource(self, double: Any) -> None:
        dynamodb = double.client("dynamodb")
        double.fault(kind="quota", service="dynamodb", operation="Describe*", resource="cart-*", after=1, count=2)
        seen = [refused(lambda: dynamodb.describe_table(TableName="cart-1"))[0] for _ in range(4)]
        absent, full = "ResourceNotFoundException", "LimitExceededException"
        assert seen == [absent, full, full, absent]
        assert refused(lambda: dynamodb.describe_table(TableName="orders"))[0] == absent
        rule = double.control("GET", "faults")[1]["faults"][0]
        assert (rule["seen"], rule["applied"]) == (4, 2)

    def test_a_lost_response_takes_effect(self, double: Any) -> None:
        sqs = double.client("sqs")
        double.fault(kind="lost_response", service="sqs", operation="CreateQueue", count=1)
        with pytest.raises(ConnectionClosedError):
            sqs.create_queue(QueueName="q")
        assert len(sqs.list_queues().get("QueueUrls", [])) == 1
        lost = next(each for each in double.calls() if each["operation"] == "CreateQueue")
        assert (lost["status"], lost["fault"]) == (None, "lost_response")

    def test_what_a_call_did_is_put_back(self, double: Any) -> None:
        sqs = double.client("sqs")
        url = sqs.create_queue(QueueName="orders")["QueueUrl"]
        double.fault(kind="put_back", service="sqs", operation="SetQueueAttributes", count=1)

        def delay() -> str:
            return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]["DelaySeconds"]

        for shown in ("0", "5"):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "5"})
            assert delay() == shown

    def test_a_timeout_takes_no_effect(self, double: Any) -> None:
        double.fault(kind="timeout", service="sqs", operation="CreateQueue", count=1)
        with pytest.raises(ReadTimeoutError):
            double.client("sqs", read_timeout=0.1).create_queue(QueueName="q")
        assert double.client("sqs").list_queues().get("QueueUrls", []) == []

    def test_a_truncated_answer(self, double: Any) -> None:
        s3 = double.client("s3")
        s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket="photos", Key="k", Body=b"0123456789" * 1000)
        double.fault(kind="truncated", service="s3", operation="GetObject", count=1)
        body = s3.get_object(Bucket="photos", Key="k")["Body"]
        with pytest.raises((IncompleteReadError, ResponseStreamingError)):
            body.read()

    def test_a_stale_read_shows_what_was_before_the_last_write(self, double: Any) -> None:
        sqs = double.client("sqs")
        double.fault(kind="stale", service="sqs", operation="ListQueues", after=2, count=2)

        def names() -> list[str]:
            return [url.rsplit("/", 1)[1] for url in sqs.list_queues().get("QueueUrls", [])]

        assert names() == []
        sqs.create_queue(QueueName="a")
        assert names() == ["a"]
        assert names() == [], "as before the write"
        sqs.create_queue(QueueName="b")
        assert names() == ["a"], "as before the second write"
        assert names() == ["a", "b"], "the rule is spent"
        assert [each["fault"] for each in double.calls(operation="ListQueues")] == [None, None, "stale", "stale", None]

    def test_latency(self, double: Any) -> None:
        double.fault(kind="latency", service="eks", seconds=0.2, count=1)
        began = time.monotonic()
        double.client("eks").list_clusters()
        assert time.monotonic() - began >= 0.2

    @pytest.mark.parametrize(
        "rule",
        [{}, {"kind": "nonsense"}, {"kind": "error"}, {"kind": "latency"}, {"kind": "throttle", "servcie": "rds"}],
    )
    def test_a_rule_that_makes_no_sense_is_refused(self, double: Any, rule: dict[str, Any]) -> None:
        status, answer = double.control("POST", "faults", rule)
        assert status == 400 and answer["error"]


class TestThrottle:
    def test_a_bucket_empties_and_is_charged_by_operation(self, double: Any) -> None:
        double.control("PUT", "config", {"throttle": {"eks:List*": {"burst": 2, "rate": 0.0001}}})
        eks = double.client("eks")
        eks.list_clusters()
        eks.list_clusters()
        assert refused(eks.list_clusters)[0] == "ThrottlingException"
        assert refused(lambda: eks.describe_cluster(name="c"))[0] == "ResourceNotFoundException"
        assert double.control("GET", "config")[1]["throttle"]["eks:List*"]["refused"] == 1
        double.client("eks", region="us-east-1").list_clusters()
        double.control("PUT", "config", {"throttle": {"eks:List*": None}})
        eks.list_clusters()


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("service", "method", "parameters"),
        [
            ("eks", "list_eks_anywhere_subscriptions", {}),  # a path moto does not have
            ("ses", "list_receipt_filters", {}),  # an action moto does not have
            ("personalize", "list_campaigns", {}),
            ("grafana", "list_workspaces", {}),  # a service moto does not have
        ],
    )
    def test_it_is_a_readable_error_that_is_not_retried(
        self, double: Any, service: str, method: str, parameters: dict[str, Any]
    ) -> None:
        client = double.client(service, attempts=3)
        with pytest.raises(ClientError) as caught:
            getattr(client, method)(**parameters)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert "not implemented" in caught.value.response["Error"]["Message"]
        assert len(double.calls()) == 1
        assert double.control("GET", "health")[1]["crashes"] == 0


class TestControl:
    def test_settings_are_kept_and_wrong_ones_refused(self, double: Any) -> None:
        body = {"transition_seconds": 5, "transitions": {"rds.*": 7}}
        assert double.control("PUT", "config", body)[1]["transitions"] == {"rds.*": 7.0}
        assert double.control("GET", "config")[1]["transition_seconds"] == 5
        assert double.control("PUT", "config", {"transition_second": 5})[0] == 400
        assert double.control("PUT", "config", {"outcomes": {"rds.*": {"than": "failed"}}})[0] == 400
        assert double.control("PUT", "health")[0] == 405
        assert double.control("GET", "nothing")[0] == 404

    def test_reset_empties_everything(self, double: Any) -> None:
        double.client("sqs").create_queue(QueueName="q")
        double.fault(kind="throttle", service="rds")
        assert double.control("POST", "reset")[0] == 200
        assert double.client("sqs").list_queues().get("QueueUrls", []) == []
        assert double.control("GET", "faults")[1]["faults"] == []

    def test_the_inventory_lists_without_calling(self, double: Any) -> None:
        queue = double.client("sqs").create_queue(QueueName="q", tags={"a": "b"})
        assert queue["QueueUrl"]
        double.client("sns").create_topic(Name="t", Tags=[{"Key": "c", "Value": "d"}])
        key = double.client("kms").create_key(Tags=[{"TagKey": "e", "TagValue": "f"}])["KeyMetadata"]["KeyId"]
        double.client("kms").create_alias(AliasName="alias/x", TargetKeyId=key)
        before = len(double.calls())
        found = double.control("GET", "inventory")[1]["resources"]
        shown = {(each["service"], each["type"], each["name"]): each["tags"] for each in found}
        assert shown[("sqs", "queue", "q")] == {"a": "b"}
        assert shown[("sns", "topic", "t")] == {"c": "d"}
        assert shown[("kms", "key", key)] == {"e": "f"}
        assert ("kms", "alias", "alias/x") in shown
        assert all(set(each) >= {"service", "type", "name", "arn", "status", "tags", "region"} for each in found)
        assert len(double.calls()) == before


class TestProcess:
    """`python -m shopkeeper_double` as others start it."""

    def start(self, tmp_path: pathlib.Path, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
        port_file = tmp_path / "port"
        command = [sys.executable, "-m", "shopkeeper_double", "--port-file", str(port_file), *arguments]
        process = subprocess.Popen(command, cwd=PACKAGE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"the AWS double answers on ")
        return process, int(port_file.read_text())

    def test_it_answers_logs_and_stops_on_sigterm(self, tmp_path: pathlib.Path) -> None:
        log = tmp_path / "calls.jsonl"
        process, port = self.start(tmp_path, "--calls-log", str(log), "--transition", "eks.*.creating=5")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        config = json.load(opener.open(f"http://127.0.0.1:{port}/_double/config", timeout=30))
        assert config["transitions"] == {"eks.*.creating": 5.0}
        opener.open(urllib.request.Request(f"http://127.0.0.1:{port}/"), timeout=30).read()
        assert json.loads(log.read_text().splitlines()[0])["service"] == "s3"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0

    def test_it_ends_with_the_process_it_belongs_to(self, tmp_path: pathlib.Path) -> None:
        owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        process, _ = self.start(tmp_path, "--parent-pid", str(owner.pid))
        assert process.poll() is None
        owner.communicate(b"\n")
        ended = os.pidfd_open(process.pid)
        assert select.select([ended], [], [], 30)[0], "the double outlived its owner"
        assert process.wait() == 0


class TestManyCallers:
    def test_a_name_is_made_once(self, double: Any) -> None:
        """Twenty callers at the same time: one makes it, the others are told that it is there."""
        from concurrent.futures import ThreadPoolExecutor

        iam = double.client("iam")
        statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

        def create(_: int) -> str:
            try:
                iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)
            except ClientError as error:
                return error.response["Error"]["Code"]
            return "made"

        with ThreadPoolExecutor(20) as callers:
            answers = sorted(callers.map(create, range(20)))
        assert answers == ["EntityAlreadyExists"] * 19 + ["made"]
        assert double.control("GET", "health")[1]["crashes"] == 0

    def test_a_caller_that_waits_holds_up_nobody(self, double: Any) -> None:
        double.fault(kind="timeout", service="eks", operation="ListClusters", count=1)
        scope = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/eks/aws4_request, SignedHeaders=host, Signature=x"
        with socket.create_connection(("127.0.0.1", int(double.endpoint.rsplit(":", 1)[1]))) as waiting:
            waiting.sendall(f"GET /clusters HTTP/1.1\r\nHost: x\r\nAuthorization: {scope}\r\n\r\n".encode())
            while double.control("GET", "faults")[1]["faults"][0]["applied"] == 0:
                pass
            double.client("eks").list_clusters()
            assert select.select([waiting], [], [], 0)[0] == [], "the first caller still waits"
