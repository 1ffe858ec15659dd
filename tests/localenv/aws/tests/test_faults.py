"""Faults by script: what a rule may do to a call, and which calls it picks."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError

from shopkeeper_double.middleware import codes
from test_core import PROTOCOLS, refused

#: (code, status) of throttling, denial and expired credentials, as most services of a protocol have them.
JSON = (("ThrottlingException", 400), ("AccessDeniedException", 400), ("ExpiredTokenException", 400))
QUERY = (("Throttling", 400), ("AccessDenied", 403), ("ExpiredToken", 403))
EKS = (("ThrottlingException", 429), ("AccessDeniedException", 403), ("ExpiredTokenException", 403))
S3 = (("SlowDown", 503), ("AccessDenied", 403), ("ExpiredToken", 400))
SQS = (("RequestThrottled", 400), *JSON[1:])
SNS = (QUERY[0], ("AuthorizationError", 403), QUERY[2])
EC2 = (("RequestLimitExceeded", 503), ("UnauthorizedOperation", 403), ("RequestExpired", 400))
#: (service, a call that needs nothing, those three, the codes of 500 and 503).
WORDS = [
    ("eks", "list_clusters", EKS, "ServerException", "ServiceUnavailableException"),
    ("rds", "describe_db_instances", QUERY, "InternalFailure", "ServiceUnavailable"),
    ("elasticache", "describe_replication_groups", QUERY, "InternalFailure", "ServiceUnavailable"),
    ("dynamodb", "list_tables", JSON, "InternalServerError", "ServiceUnavailable"),
    ("s3", "list_buckets", S3, "InternalError", "ServiceUnavailable"),
    ("sns", "list_topics", SNS, "InternalError", "ServiceUnavailable"),
    ("sqs", "list_queues", SQS, "InternalFailure", "ServiceUnavailable"),
    ("kms", "list_keys", JSON, "KMSInternalException", "ServiceUnavailable"),
    ("iam", "list_roles", QUERY, "ServiceFailure", "ServiceUnavailable"),
    ("secretsmanager", "list_secrets", JSON, "InternalServiceError", "ServiceUnavailable"),
    ("ec2", "describe_vpcs", EC2, "InternalError", "Unavailable"),
    ("application-autoscaling", "describe_scalable_targets", JSON, "InternalServiceException", "ServiceUnavailable"),
]


class TestWords:
    """Every service says it in its own words."""

    @pytest.mark.parametrize(("service", "method", "refusals", "broken", "away"), WORDS, ids=[each[0] for each in WORDS])
    def test_each_service_has_its_codes(
        self, double: Any, service: str, method: str, refusals: Any, broken: str, away: str
    ) -> None:
        needed = {"ServiceNamespace": "dynamodb"} if service == "application-autoscaling" else {}

        def call() -> Any:
            return getattr(double.client(service), method)(**needed)

        for kind, expected in zip(("throttle", "access_denied", "expired_credentials"), refusals, strict=True):
            double.fault(kind=kind, service=service, count=1)
            assert refused(call) == expected, kind
        double.fault(kind="5xx", service=service, count=1)
        assert refused(call) == (broken, 500)
        double.fault(kind="5xx", service=service, status=503, count=1)
        assert refused(call) == (away, 503)
        call()

    def test_the_codes_of_quotas_are_those_of_the_models(self) -> None:
        """Each operation's quota is one of the errors that its model has; EC2, SQS and S3 list none."""
        import botocore.session

        session = botocore.session.get_session()
        for (service, operation), (code, status) in codes.QUOTA.items():
            model = session.get_service_model(service)
            if service in ("ec2", "s3"):
                continue
            shapes = [model.shape_for(name) for name in model.shape_names]
            if operation is not None:
                shapes = model.operation_model(operation).error_shapes
            errors = [each for each in shapes if getattr(each, "metadata", {}).get("exception")]
            told = [(each.name, each.metadata.get("error", {})) for each in errors]
            known = {error.get("code", name): error.get("httpStatusCode") for name, error in told}
            assert code in known, (service, operation, code)
            if known[code] is not None:
                assert status == known[code], (service, operation)

    @pytest.mark.parametrize(
        ("service", "operation", "expected"),
        [
            ("eks", "list_clusters", "ResourceLimitExceededException"),
            ("rds", "describe_db_instances", "StorageQuotaExceeded"),
            ("dynamodb", "list_tables", "LimitExceededException"),
            ("sqs", "list_queues", "OverLimit"),
            ("iam", "list_roles", "LimitExceeded"),
            ("sns", "list_topics", "TopicLimitExceeded"),
        ],
    )
    def test_a_reached_quota(self, double: Any, service: str, operation: str, expected: str) -> None:
        double.fault(kind="quota", service=service, count=1)
        assert refused(getattr(double.client(service), operation))[0] == expected


class TestEffect:
    @pytest.mark.parametrize(("kind", "exists"), [("reset", False), ("lost_response", True)])
    def test_a_reset_before_and_after_the_effect(self, double: Any, kind: str, exists: bool) -> None:
        sqs = double.client("sqs")
        double.fault(kind=kind, service="sqs", operation="CreateQueue", count=1)
        with pytest.raises(ConnectionClosedError):
            sqs.create_queue(QueueName="q")
        assert bool(sqs.list_queues().get("QueueUrls")) is exists
        lost = double.calls(operation="CreateQueue")[0]
        assert (lost["status"], lost["fault"], lost["effect"]) == (None, kind, exists)

    def test_it_is_a_reset_on_the_wire(self, double: Any) -> None:
        double.fault(kind="reset", service="eks", count=1)
        scope = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/eks/aws4_request, SignedHeaders=host, Signature=x"
        with socket.create_connection(("127.0.0.1", int(double.endpoint.rsplit(":", 1)[1]))) as connection:
            connection.sendall(f"GET /clusters HTTP/1.1\r\nHost: x\r\nAuthorization: {scope}\r\n\r\n".encode())
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        assert double.control("GET", "health")[1]["crashes"] == 0

    @pytest.mark.parametrize(
        ("service", "method", "operation"), [each for each in PROTOCOLS if each[0] in ("rds", "s3", "eks", "dynamodb")]
    )
    def test_half_a_document_in_whole_http(self, double: Any, service: str, method: str, operation: str) -> None:
        """No SDK can read it; botocore takes half a document of JSON for an empty one."""
        whole = getattr(double.client(service), method)()
        double.fault(kind="truncated_body", service=service, count=1)
        try:
            answer = getattr(double.client(service), method)()
        except (ResponseParserError, ClientError):
            return
        assert answer.keys() != whole.keys()

    def test_a_slow_answer_is_late_and_not_undone(self, double: Any) -> None:
        double.fault(kind="latency", service="sqs", operation="CreateQueue", seconds=0.3, count=1)
        began = time.monotonic()
        double.client("sqs").create_queue(QueueName="q")
        assert time.monotonic() - began >= 0.3
        assert double.calls(operation="CreateQueue")[0]["duration_ms"] >= 300


class TestChoice:
    def test_by_a_part_of_the_request(self, double: Any) -> None:
        iam = double.client("iam")
        double.fault(kind="throttle", service="iam", containing="path prefix/")
        iam.list_roles()
        assert refused(lambda: iam.list_roles(PathPrefix="/path prefix/"))[0] == "Throttling"

    def test_by_arn(self, double: Any) -> None:
        sns = double.client("sns")
        arns = [sns.create_topic(Name=name)["TopicArn"] for name in ("buy", "sell")]
        double.fault(kind="access_denied", service="sns", resource="*:buy")
        assert refused(lambda: sns.get_topic_attributes(TopicArn=arns[0]))[0] == "AuthorizationError"
        sns.get_topic_attributes(TopicArn=arns[1])

    def test_writes_only_or_reads_only(self, double: Any) -> None:
        sqs = double.client("sqs")
        double.fault(kind="throttle", service="sqs", write=True)
        sqs.list_queues()
        assert refused(lambda: sqs.create_queue(QueueName="q"))[0] == "RequestThrottled"

    def test_by_caller(self, double: Any) -> None:
        double.fault(kind="throttle", service="sqs", caller="*app/someone-else*")
        double.client("sqs").list_queues()
        other = double.client("sqs", user_agent_appid="someone-else")
        assert refused(other.list_queues)[0] == "RequestThrottled"
        double.control("DELETE", "faults")
        double.fault(kind="throttle", service="sqs", except_caller="*app/someone-else*")
        other.list_queues()
        assert refused(double.client("sqs").list_queues)[0] == "RequestThrottled"

    def test_by_chance_that_comes_out_the_same_for_a_seed(self, double: Any) -> None:
        sqs = double.client("sqs")

        def outcomes(seed: int) -> list[bool]:
            identifier = double.fault(kind="throttle", service="sqs", probability=0.5, seed=seed)
            came: list[bool] = []
            for _ in range(16):
                try:
                    sqs.list_queues()
                    came.append(True)
                except ClientError:
                    came.append(False)
            double.control("DELETE", f"faults?id={identifier}")
            return came

        first = outcomes(7)
        assert {True, False} == set(first)
        assert outcomes(7) == first != outcomes(8)

    def test_times_is_another_word_for_count(self, double: Any) -> None:
        double.fault(kind="throttle", service="sqs", times=1)
        refused(double.client("sqs").list_queues)
        double.client("sqs").list_queues()

    @pytest.mark.parametrize(
        "rule",
        [
            {"kind": "throttle", "probability": 0},
            {"kind": "throttle", "probability": 2},
            {"kind": "hold", "effect": "meanwhile"},
            {"kind": "stale", "reads": -1},
            {"kind": "throttle", "applied": 3},
        ],
    )
    def test_nonsense_is_refused(self, double: Any, rule: dict[str, Any]) -> None:
        assert double.control("POST", "faults", rule)[0] == 400

    def test_to_wait_for_a_rule(self, double: Any) -> None:
        identifier = double.fault(kind="throttle", service="sqs", count=1)
        assert double.control("GET", f"faults/applied?id={identifier}&seconds=0")[1]["applied"] is False
        refused(double.client("sqs").list_queues)
        answer = double.control("GET", f"faults/applied?id={identifier}")[1]
        assert (answer["applied"], answer["call"]["operation"]) == (True, "ListQueues")
        assert double.control("GET", "faults/applied?id=fault-0")[0] == 400
        assert double.control("GET", "faults/applied")[0] == 400


class TestThrottling:
    def test_a_call_is_charged_to_its_service_and_to_its_operation(self, double: Any) -> None:
        limits = {"rds": {"burst": 3, "rate": 0}, "rds:DescribeDBSubnet*": {"burst": 1, "rate": 0}}
        double.control("PUT", "config", {"throttle": limits})
        rds = double.client("rds")
        rds.describe_db_subnet_groups()
        assert refused(rds.describe_db_subnet_groups) == ("Throttling", 400)
        rds.describe_db_instances()
        rds.describe_db_instances()
        assert refused(rds.describe_db_instances) == ("Throttling", 400)
        shown = double.control("GET", "config")[1]["throttle"]
        assert (shown["rds"]["admitted"], shown["rds"]["refused"]) == (3, 1)
        assert (shown["rds:DescribeDBSubnet*"]["admitted"], shown["rds:DescribeDBSubnet*"]["refused"]) == (1, 1)

    def test_each_operation_may_have_a_bucket_of_its_own(self, double: Any) -> None:
        double.control("PUT", "config", {"throttle": {"ec2:Describe*": {"burst": 1, "rate": 0, "each": True}}})
        ec2 = double.client("ec2")
        ec2.describe_vpcs()
        ec2.describe_subnets()
        assert refused(ec2.describe_vpcs) == ("RequestLimitExceeded", 503)

    def test_a_bucket_fills_up_again(self, double: Any) -> None:
        double.control("PUT", "config", {"throttle": {"sqs": {"burst": 1, "rate": 1000}}})
        for _ in range(3):
            double.client("sqs").list_queues()
            time.sleep(0.005)

    def test_the_published_figures(self, double: Any) -> None:
        shown = double.control("PUT", "config", {"throttle_preset": "published"})[1]["throttle"]
        assert (shown["rds"]["burst"], shown["rds"]["rate"]) == (300, 12)
        assert (shown["route53"]["burst"], shown["route53"]["rate"]) == (50, 10)
        assert shown["dynamodb"]["rate"] == 2500
        assert shown["ec2:Describe*"] == {"burst": 100, "rate": 20, "each": True, "refused": 0, "admitted": 0}
        assert double.control("PUT", "config", {"throttle_preset": "guessed"})[0] == 400
        assert double.control("PUT", "config", {"throttle": {"rds": {"burst": 0, "rate": 1}}})[0] == 400

    @pytest.mark.parametrize(("service", "method", "operation"), PROTOCOLS)
    def test_the_sdk_takes_it_for_throttling(self, double: Any, service: str, method: str, operation: str) -> None:
        from botocore.retries.standard import ThrottledRetryableChecker

        double.control("PUT", "config", {"throttle": {service: {"burst": 1, "rate": 0}}})
        getattr(double.client(service), method)()
        assert refused(getattr(double.client(service), method))[0] in ThrottledRetryableChecker._THROTTLED_ERROR_CODES
