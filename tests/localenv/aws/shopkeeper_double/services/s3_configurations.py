"""The configurations of an S3 bucket that are kept as they are sent: parsed and written by S3's own model.

Two sorts. Those of which a bucket has many, each under an id (intelligent tiering, metrics, analytics, inventory), and those
of which it has one (lifecycle, encryption, replication, request payment).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.model import Shape
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import get_service_model
from moto.moto_api._internal import mock_random
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response


class Refusal(S3ClientError):
    """An S3 error with its HTTP status, which the model does not tell for most of them."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message)
        self.status = status


def malformed() -> Refusal:
    return Refusal(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
        400,
    )


def invalid(message: str) -> Refusal:
    return Refusal("InvalidArgument", message, 400)


def parsed(response: S3Response, operation: str, payload: str) -> dict[str, Any]:
    """The body of a request as the operation's model has it; MalformedXML where the model does not allow it."""
    model = get_service_model("s3").operation_model(operation)
    request = response.normalized_request
    try:
        values = PROTOCOL_PARSERS["rest-xml"](model).parse(
            {
                "method": request.method,
                "values": request.args,
                "headers": request.headers,
                "body": response.body,
                "url_path": request.path,
                "url_params": {"Bucket": response.bucket_name},
            }
        )
    except Exception as unreadable:  # moto's parser raises whatever its XML and number parsers raise
        raise malformed() from unreadable
    document = values.get(payload)
    if not document:
        raise malformed()
    _check(document, model.input_shape.members[payload])
    return document


def _check(value: Any, shape: Shape) -> None:
    """Required members and the values of enumerations, which moto does not look at."""
    if shape.type_name == "structure":
        if not isinstance(value, dict) or any(name not in value for name in shape.required_members):
            raise malformed()
        for name, member in value.items():
            _check(member, shape.members[name])
    elif shape.type_name == "list":
        for member in value:
            _check(member, shape.member)
    elif getattr(shape, "enum", None) and value not in shape.enum:
        raise malformed()


@dataclass
class Served:
    """An operation on a sub-resource, and how it is answered."""

    operation: str
    answer: Callable[[S3Response, FakeBucket, dict[str, Any]], Any]


def _empty(response: S3Response, status: int) -> Any:
    _, headers, body = response.serialized(EmptyResult())
    return status, headers, body


# Many under an id ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identified:
    """A sort of configuration that a bucket has several of."""

    sub_resource: str
    operation: str
    payload: str
    put_status: int = 204
    limit: int = 1000
    check: Callable[[dict[str, Any]], None] = lambda document: None

    def put(self, response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
        document = parsed(response, f"Put{self.operation}Configuration", self.payload)
        name = parameters["id"][0]
        if document["Id"] != name:
            raise invalid("The configuration Id in the body does not match the id in the request")
        self.check(document)
        kept = bucket.configurations.setdefault(self.sub_resource, {})
        if name not in kept and len(kept) >= self.limit:
            raise Refusal("TooManyConfigurations", "You are attempting to create a new configuration over the limit.", 400)
        kept[name] = document
        return _empty(response, self.put_status)

    def get(self, response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
        return response.serialized(ActionResult({self.payload: self._kept(bucket, parameters)}))

    def delete(self, response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
        # AWS documents no error for a configuration that is not there.
        bucket.configurations.get(self.sub_resource, {}).pop(parameters["id"][0], None)
        return _empty(response, 204)

    def list(self, response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
        kept = bucket.configurations.get(self.sub_resource, {})
        after = parameters.get("continuation-token", [""])[0]
        names = sorted(name for name in kept if name > after)
        page = names[:100]
        answer: dict[str, Any] = {
            "IsTruncated": len(page) < len(names),
            f"{self.payload}List": [kept[name] for name in page],
        }
        if after:
            answer["ContinuationToken"] = after
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = page[-1]
        return response.serialized(ActionResult(answer))

    def _kept(self, bucket: FakeBucket, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            return bucket.configurations.get(self.sub_resource, {})[parameters["id"][0]]
        except KeyError:
            raise Refusal("NoSuchConfiguration", "The specified configuration does not exist.", 404) from None

    def served(self, method: str, parameters: dict[str, Any]) -> Served | None:
        if method == "GET" and "id" not in parameters:
            return Served(f"List{self.operation}Configurations", self.list)
        answer = {"GET": self.get, "PUT": self.put, "DELETE": self.delete}.get(method)
        if answer is None:
            return None
        if "id" not in parameters:
            raise invalid("Missing required parameter: id")
        return Served(f"{method.capitalize()}{self.operation}Configuration", answer)


def _check_tiering(document: dict[str, Any]) -> None:
    least = {"ARCHIVE_ACCESS": 90, "DEEP_ARCHIVE_ACCESS": 180}
    tiers = [tiering["AccessTier"] for tiering in document["Tierings"]]
    if not tiers or len(tiers) != len(set(tiers)):
        raise malformed()
    for tiering in document["Tierings"]:
        if not least[tiering["AccessTier"]] <= tiering["Days"] <= 730:
            raise invalid(
                f"'Days' for {tiering['AccessTier']} must be between {least[tiering['AccessTier']]} and 730 days"
            )


IDENTIFIED = {
    each.sub_resource: each
    for each in (
        Identified(
            "intelligent-tiering",
            "BucketIntelligentTiering",
            "IntelligentTieringConfiguration",
            put_status=200,
            check=_check_tiering,
        ),
        Identified("metrics", "BucketMetrics", "MetricsConfiguration"),
        Identified("analytics", "BucketAnalytics", "AnalyticsConfiguration"),
        Identified("inventory", "BucketInventory", "InventoryConfiguration"),
    )
}


# One for a bucket ---------------------------------------------------------------------------------------------------------

LEAST_OBJECT_SIZE = "x-amz-transition-default-minimum-object-size"


def _check_lifecycle(rules: list[dict[str, Any]]) -> None:
    names = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(names) != len(set(names)):
        raise invalid("Rule ID must be unique. Found same ID for more than one rule")
    if not 1 <= len(rules) <= 1000:
        raise malformed()
    actions = {
        "Expiration",
        "Transitions",
        "NoncurrentVersionTransitions",
        "NoncurrentVersionExpiration",
        "AbortIncompleteMultipartUpload",
    }
    for rule in rules:
        if ("Filter" in rule) == ("Prefix" in rule):
            raise malformed()
        if len(rule.get("Filter", {})) > 1:
            raise malformed()
        if "And" in rule.get("Filter", {}) and _predicates(rule["Filter"]["And"]) < 2:
            raise malformed()
        if len(rule.get("ID", "")) > 255:
            raise invalid("ID length should not exceed allowed limit of 255")
        if not actions & set(rule):
            raise Refusal("InvalidRequest", "At least one action needs to be specified in a rule", 400)
        _check_lifecycle_days(rule)


def _predicates(both: dict[str, Any]) -> int:
    return len(both) - 1 + len(both["Tags"]) if "Tags" in both else len(both)


def _check_lifecycle_days(rule: dict[str, Any]) -> None:
    expiration = rule.get("Expiration", {})
    if len(expiration) > 1:
        raise malformed()
    if expiration.get("Days", 1) < 1:
        raise invalid("'Days' for Expiration action must be a positive integer")
    for transition in rule.get("Transitions", []):
        if ("Days" in transition) == ("Date" in transition):
            raise malformed()
        days, target = transition.get("Days"), transition["StorageClass"]
        if days is None:
            continue
        if target in ("STANDARD_IA", "ONEZONE_IA") and days < 30:
            raise invalid(f"'Days' in Transition action must be greater than or equal to 30 for storageClass '{target}'")
        if "Days" in expiration and expiration["Days"] <= days:
            raise invalid("'Days' in the Expiration action must be greater than 'Days' in the Transition action")


def _put_lifecycle(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    document = parsed(response, "PutBucketLifecycleConfiguration", "LifecycleConfiguration")
    rules = document["Rules"]
    _check_lifecycle(rules)
    for rule in rules:
        rule.setdefault("ID", str(mock_random.uuid4()))
    size = response.headers.get(LEAST_OBJECT_SIZE, "all_storage_classes_128K")
    bucket.documents["lifecycle"] = {"Rules": rules, "TransitionDefaultMinimumObjectSize": size}
    status, headers, body = response.serialized(ActionResult({"TransitionDefaultMinimumObjectSize": size}))
    return status, headers, body


def _get_lifecycle(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    if "lifecycle" not in bucket.documents:
        raise Refusal("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", 404)
    return response.serialized(ActionResult(bucket.documents["lifecycle"]))


def _delete_lifecycle(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    bucket.documents.pop("lifecycle", None)
    return _empty(response, 204)


def set_default_encryption(bucket: FakeBucket) -> None:
    """SSE-S3, in the form moto keeps, from which it encrypts the objects that are put."""
    bucket.encryption = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}
    bucket.encryption_rules = [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    ]


def _put_encryption(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    document = parsed(response, "PutBucketEncryption", "ServerSideEncryptionConfiguration")
    rules = document["Rules"]
    if len(rules) != 1:
        raise malformed()
    rule = rules[0]
    default = rule.get("ApplyServerSideEncryptionByDefault") or {"SSEAlgorithm": "AES256"}
    if default.get("KMSMasterKeyID") and default["SSEAlgorithm"] == "AES256":
        raise invalid("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
    rule["ApplyServerSideEncryptionByDefault"] = default
    rule.setdefault("BucketKeyEnabled", False)
    bucket.encryption_rules = rules
    bucket.encryption = {
        "Rule": {
            "ApplyServerSideEncryptionByDefault": default,
            "BucketKeyEnabled": str(rule["BucketKeyEnabled"]).lower(),
        }
    }
    return _empty(response, 200)


def _get_encryption(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    return response.serialized(
        ActionResult({"ServerSideEncryptionConfiguration": {"Rules": bucket.encryption_rules}})
    )


def _delete_encryption(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    set_default_encryption(bucket)
    return _empty(response, 204)


def _put_replication(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    document = parsed(response, "PutBucketReplication", "ReplicationConfiguration")
    if not bucket.is_versioned:
        raise Refusal(
            "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration", 400
        )
    for rule in document["Rules"]:
        rule.setdefault("ID", str(mock_random.uuid4()))
    bucket.documents["replication"] = document
    return _empty(response, 200)


def _get_replication(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    if "replication" not in bucket.documents:
        raise Refusal("ReplicationConfigurationNotFoundError", "The replication configuration was not found", 404)
    return response.serialized(ActionResult({"ReplicationConfiguration": bucket.documents["replication"]}))


def _delete_replication(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    bucket.documents.pop("replication", None)
    return _empty(response, 204)


def _put_request_payment(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    bucket.payer = parsed(response, "PutBucketRequestPayment", "RequestPaymentConfiguration")["Payer"]
    return _empty(response, 200)


def _get_request_payment(response: S3Response, bucket: FakeBucket, parameters: dict[str, Any]) -> Any:
    return response.serialized(ActionResult({"Payer": bucket.payer}))


SINGLE = {
    ("PUT", "lifecycle"): Served("PutBucketLifecycleConfiguration", _put_lifecycle),
    ("GET", "lifecycle"): Served("GetBucketLifecycleConfiguration", _get_lifecycle),
    ("DELETE", "lifecycle"): Served("DeleteBucketLifecycle", _delete_lifecycle),
    ("PUT", "encryption"): Served("PutBucketEncryption", _put_encryption),
    ("GET", "encryption"): Served("GetBucketEncryption", _get_encryption),
    ("DELETE", "encryption"): Served("DeleteBucketEncryption", _delete_encryption),
    ("PUT", "replication"): Served("PutBucketReplication", _put_replication),
    ("GET", "replication"): Served("GetBucketReplication", _get_replication),
    ("DELETE", "replication"): Served("DeleteBucketReplication", _delete_replication),
    ("PUT", "requestPayment"): Served("PutBucketRequestPayment", _put_request_payment),
    ("GET", "requestPayment"): Served("GetBucketRequestPayment", _get_request_payment),
}


def find(method: str, parameters: dict[str, Any]) -> Served | None:
    """The operation that a request on a bucket asks for, where it is one of those here."""
    for name in parameters:
        if name in IDENTIFIED:
            return IDENTIFIED[name].served(method, parameters)
        if (method, name) in SINGLE:
            return SINGLE[method, name]
    return None
