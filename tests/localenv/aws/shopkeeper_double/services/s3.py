"""S3 buckets: what a new bucket has, which sub-resources exist, and what bucket policies may say.

moto takes a request on a sub-resource it does not know for a request on the bucket itself, so that
`DELETE /bucket?intelligent-tiering` deletes the bucket. Here a sub-resource is served (`s3_configurations`), or refused with
NotImplemented.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any
from urllib.parse import urlsplit

import xmltodict
from moto.core.responses import ActionResult
from moto.core.serialize import S3Serializer
from moto.core.utils import get_service_model
from moto.s3 import models, responses
from moto.s3.exceptions import S3ClientError
from moto.s3.utils import bucket_policy_is_public

from shopkeeper_double.services import replaces, s3_configurations
from shopkeeper_double.services._policy_documents import listed, problem_of, statements_of
from shopkeeper_double.services.s3_configurations import Refusal

#: Sub-resources that moto serves by itself, by method.
SERVED_BY_MOTO = {
    "GET": {
        "accelerate",
        "acl",
        "cors",
        "encryption",
        "lifecycle",
        "list-type",
        "location",
        "logging",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "tagging",
        "uploads",
        "versioning",
        "versions",
        "website",
    },
    "PUT": {
        "accelerate",
        "acl",
        "cors",
        "encryption",
        "lifecycle",
        "logging",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "publicAccessBlock",
        "replication",
        "tagging",
        "versioning",
        "website",
    },
    "DELETE": {
        "cors",
        "encryption",
        "lifecycle",
        "ownershipControls",
        "policy",
        "publicAccessBlock",
        "replication",
        "tagging",
        "website",
    },
    "POST": {"delete"},
}
#: The same for objects.
SERVED_FOR_OBJECTS = {
    "GET": {"uploadId", "acl", "tagging", "legal-hold", "attributes"},
    "PUT": {"uploadId", "partNumber", "acl", "tagging", "legal-hold", "retention"},
    "DELETE": {"uploadId", "tagging"},
    "POST": {"uploads", "uploadId", "restore", "select", "select-type"},
}
#: Parameters that mean nothing to the operation: the SDKs' name for it, and a presigned URL's signature.
IGNORED = re.compile(r"^(x-id|X-Amz-.*|x-amz-.*|AWSAccessKeyId|Signature|Expires)$")
#: The outermost element of an answer where S3 names it otherwise than the operation. botocore does not look at it, other
#: SDKs do.
ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectTagging": "Tagging",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketIntelligentTieringConfigurations": "ListBucketIntelligentTieringConfigurationsOutput",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}
NAME = re.compile(r"^(?!xn--|sthree-|amzn-s3-demo-)(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3)$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")


@functools.lru_cache(maxsize=1)
def sub_resources() -> dict[tuple[str, bool], set[str]]:
    """The names S3's model puts after the question mark, by method and by whether they are an object's."""
    model = get_service_model("s3")
    found: dict[tuple[str, bool], set[str]] = {}
    for operation in model.operation_names:
        http = model.operation_model(operation).http
        uri = urlsplit(http["requestUri"])
        names = {each.split("=")[0] for each in uri.query.split("&") if each}
        found.setdefault((http["method"], "{Key" in uri.path), set()).update(names)
    return found


def refuse_unserved(method: str, parameters: set[str], of_object: bool) -> None:
    """A request that would be taken for one on the bucket or object itself is refused instead."""
    served = (SERVED_FOR_OBJECTS if of_object else SERVED_BY_MOTO).get(method, set())
    unknown = sub_resources().get((method, of_object), set()) & parameters - served
    if method == "DELETE" and not of_object:
        # Deleting a bucket has no parameters, so anything else asks for something newer than the model.
        unknown |= {each for each in parameters - served if not IGNORED.match(each)}
    if unknown:
        raise Refusal("NotImplemented", f"The double has no {method} ?{sorted(unknown)[0]}", 501)


def refuse_policy(bucket: models.FakeBucket, policy: bytes) -> None:
    """MalformedPolicy for what is not a bucket policy; AccessDenied for a public one where those are blocked."""
    problem = problem_of(policy, ("s3", "s3-object-lambda"), bucket.account_id)
    if problem is not None:
        raise Refusal("MalformedPolicy", problem.text, 400)
    arn = f"arn:{bucket.partition}:s3:::{bucket.name}"
    for statement in statements_of(json.loads(policy)):
        for resource in listed(statement.get("Resource", statement.get("NotResource"))):
            if resource != arn and not str(resource).startswith(f"{arn}/"):
                raise Refusal("MalformedPolicy", "Policy has invalid resource", 400)
    blocked = bucket.public_access_block
    if blocked is not None and blocked.block_public_policy and bucket_policy_is_public(policy):
        raise Refusal(
            "AccessDenied",
            f"User is not authorized to perform: s3:PutBucketPolicy on resource: {arn} because public policies are"
            " prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
            403,
        )


def only_without_tls(statement: Any) -> bool:
    """Whether a statement is about requests that come without TLS."""
    secure = ((statement.get("Condition") or {}).get("Bool") or {}).get("aws:SecureTransport")
    return [str(value).lower() for value in listed(secure)] == ["false"]


def refuse_acl(bucket: models.FakeBucket, acl: Any) -> None:
    if bucket.ownership_rule == "BucketOwnerEnforced" and acl is not None and len(acl.grants) > 1:
        raise Refusal("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)
    if acl is not None and acl.public_read and bucket.public_access_block and bucket.public_access_block.block_public_acls:
        raise Refusal("AccessDenied", "Access Denied: public ACLs are prevented by S3 Block Public Access", 403)


def refuse_other_owner(bucket: models.FakeBucket, headers: Any) -> None:
    """AccessDenied where the caller names another owner than the bucket has."""
    expected = headers.get("x-amz-expected-bucket-owner")
    if expected is not None and expected != bucket.account_id:
        raise Refusal("AccessDenied", "Access Denied", 403)


def _tags_of_new_bucket(body: bytes | str) -> dict[str, str]:
    """The tags in CreateBucketConfiguration, which moto does not read."""
    document = xmltodict.parse(body, force_list=("Tag",)) if body else {}
    given = ((document.get("CreateBucketConfiguration") or {}).get("Tags") or {}).get("Tag", [])
    return {tag["Key"]: tag["Value"] or "" for tag in given}


def _install_models() -> None:
    @replaces(models.FakeBucket)
    def __init__(before, self, *args, **kwargs):
        before(self, *args, **kwargs)
        # Since January 2023 new buckets encrypt with SSE-S3; since April 2023 they block public access and have no ACLs.
        s3_configurations.set_default_encryption(self)
        self.public_access_block = models.PublicAccessBlock(True, True, True, True)
        self.ownership_rule = "BucketOwnerEnforced"
        self.configurations: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, Any] = {}

    @replaces(models.FakeBucket)
    def get_permission(before, self, action, resource):
        # moto heeds no conditions. Callers count as having come by TLS, which is how they reach AWS.
        if self.policy is None:
            return before(self, action, resource)
        whole, document = self.policy, json.loads(self.policy)
        document["Statement"] = [each for each in statements_of(document) if not only_without_tls(each)]
        self.policy = json.dumps(document).encode()
        try:
            return before(self, action, resource)
        finally:
            self.policy = whole

    @replaces(models.S3Backend)
    def create_bucket(before, self, bucket_name, region_name, *args, **kwargs):
        if not NAME.match(bucket_name) or ".." in bucket_name or re.match(r"^(\d+\.){3}\d+$", bucket_name):
            raise Refusal("InvalidBucketName", "The specified bucket is not valid.", 400)
        return before(self, bucket_name, region_name, *args, **kwargs)

    @replaces(models.S3Backend)
    def put_bucket_policy(before, self, bucket_name, policy):
        refuse_policy(self.get_bucket(bucket_name), policy)
        before(self, bucket_name, policy)

    @replaces(models.S3Backend)
    def put_bucket_acl(before, self, bucket_name, acl):
        refuse_acl(self.get_bucket(bucket_name), acl)
        before(self, bucket_name, acl)

    @replaces(models.S3Backend)
    def put_bucket_versioning(before, self, bucket_name, status):
        if status not in ("Enabled", "Suspended"):
            raise Refusal("IllegalVersioningConfigurationException", "The versioning configuration is not valid", 400)
        before(self, bucket_name, status)


def _install_responses() -> None:
    @replaces(responses.S3Response)
    def _bucket_response(before, self, request, full_url):
        parameters = self._get_querystring(request, full_url)
        bucket = self.parse_bucket_name_from_url(request, full_url)
        if not bucket:
            return before(self, request, full_url)
        try:
            if bucket in self.backend.buckets:
                refuse_other_owner(self.backend.get_bucket(bucket), request.headers)
            served = s3_configurations.find(request.method, parameters)
            if served is None:
                refuse_unserved(request.method, set(parameters), of_object=False)
                return before(self, request, full_url)
            self.data["BucketName"] = bucket
            self.data["Action"] = served.operation
            self._authenticate_and_authorize_s3_action(bucket_name=bucket)
            return served.answer(self, self.backend.get_bucket(bucket), parameters)
        except Refusal as refusal:
            return _refused(self, refusal)

    @replaces(responses.S3Response)
    def _bucket_response_put(before, self, request, bucket_name, querystring):
        answer = before(self, request, bucket_name, querystring)
        if self.data.get("Action") == "CreateBucket":
            tags = _tags_of_new_bucket(self.body)
            if tags:
                self.backend.put_bucket_tagging(bucket_name, tags)
        return answer

    @replaces(S3Serializer)
    def _serialize_body(before, self, body):
        named = f"{self.operation_model.name}Response"
        return before(self, {ROOTS.get(self.operation_model.name, key) if key == named else key: body[key] for key in body})

    @replaces(responses.S3Response)
    def _key_response(before, self, request, full_url):
        try:
            refuse_unserved(request.method, set(self._get_querystring(request, full_url)), of_object=True)
            return before(self, request, full_url)
        except Refusal as refusal:
            return _refused(self, refusal)


def _refused(response: responses.S3Response, refusal: Refusal) -> Any:
    if "Action" not in response.data:
        response.data["Action"] = "ListObjects"
    _, headers, body = response.serialized(ActionResult(refusal))
    return refusal.status, headers, body


def install() -> None:
    assert issubclass(Refusal, S3ClientError)
    _install_models()
    _install_responses()
