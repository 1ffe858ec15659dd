"""What a request means: service, operation, resources, parameters, and who sent it."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import botocore.session
from botocore.model import ServiceModel
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from moto.core.routing import ServiceOperationRouter, get_service_router
from moto.core.utils import get_service_model

#: Names in a signature's scope that are not the names of botocore's service models.
MODEL_BY_SIGNING_NAME = {
    "aps": "amp",
    "email": "ses",
    "elasticloadbalancing": "elbv2",
    "mobiletargeting": "pinpoint",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "sms-voice": "pinpoint-sms-voice-v2",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
READS = re.compile(
    r"^(Describe|List|Get|Head|Query|Scan|BatchGet|TransactGet|Search|Lookup|Select|Simulate|Decode|Estimate|Validate|Verify"
    r"|Check|Test(?!Failover)|Receive|Decrypt|Encrypt|ReEncrypt|GenerateData|GenerateMac|GenerateRandom|Assume|Count|Poll)"
)
NAMES_A_RESOURCE = re.compile(
    r"(Name|Names|Identifier|Identifiers|Id|Ids|ARN|Arn|Arns|Url|Bucket|name|Key|Namespace|namespace|serviceAccount)$"
)
SCOPE = re.compile(r"Credential=([^/,&]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
#: What an operation does to its subject, cut off its name to find the subject: CreateDBInstance is about a DBInstance.
VERB = re.compile(r"^(Create|Delete|Modify|Update|Describe|Get|List|Put|Start|Stop|Reboot|Restore|Tag|Untag|Set|Add|Remove)")

#: How much of an XML document the record keeps.
LARGEST_XML = 4096


@dataclass
class Call:
    """One call to AWS, as far as it can be told from the request."""

    service: str
    operation: str | None
    region: str
    protocol: str
    method: str
    path: str
    content_type: str
    user_agent: str
    query: str = ""
    body: bytes = b""
    account: str = ""
    access_key: str = ""
    resources: list[str] = field(default_factory=list)
    #: What was asked, as its protocol has it: members of a JSON document, fields of a form, parts of a path.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = field(default_factory=lambda: _new_identifier())
    began: float = field(default_factory=time.time)

    @functools.cached_property
    def is_write(self) -> bool:
        if self.operation:
            return not READS.match(self.operation)
        return self.method not in ("GET", "HEAD")

    def contains(self, text: str) -> bool:
        """Whether the request has this in its path, its query or its body, as it was sent or decoded."""
        if text.encode() in self.body or text in self.path or text in self.query:
            return True
        return text in unquote_plus(self.query) or text in unquote_plus(self.body.decode("utf-8", "replace"))


def _new_identifier() -> str:
    """A random UUID."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


@functools.lru_cache(maxsize=1)
def _known_services() -> frozenset[str]:
    return frozenset(botocore.session.get_session().get_available_services())


_loading = threading.Lock()


def _model_and_router(service: str) -> tuple[ServiceModel, ServiceOperationRouter]:
    """A service's model, and what finds its operations. Loading them takes half a second or more, and is kept.

    One at a time: moto's cache lets every thread that asks before the first answer load them again, and an operator that starts asks
    with many at once.
    """
    with _loading:
        return get_service_model(service), get_service_router(service)


def _signature(headers: Mapping[str, str], query: str, path: str) -> tuple[str, str, str]:
    """The service, the region and the access key that the request was signed with."""
    scope = SCOPE.search(headers.get("Authorization", "")) or SCOPE.search(
        query.replace("X-Amz-Credential", "Credential").replace("%2F", "/").replace("%2f", "/")
    )
    if scope is None:  # unsigned: only S3 is used that way (public objects)
        return "s3", "us-east-1", ""
    access_key, region, signing_name = scope.group(1), scope.group(2), scope.group(3).lower()
    target = headers.get("X-Amz-Target", "")
    if signing_name == "dynamodb" and target.startswith("DynamoDBStreams"):
        return "dynamodbstreams", region, access_key
    if signing_name == "s3" and path.startswith("/v20180820/"):
        return "s3control", region, access_key
    if signing_name == "ses" and path.startswith("/v2/"):
        return "sesv2", region, access_key
    if signing_name == "es":
        return ("opensearch" if path.startswith("/2021-01-01/") else "es"), region, access_key
    return MODEL_BY_SIGNING_NAME.get(signing_name, signing_name), region, access_key


def _named_resources(operation: str | None, parameters: Mapping[str, Any]) -> list[str]:
    """Values of the parameters that name something, those named like the operation's subject first."""
    subject = VERB.sub("", operation or "").lower()

    def nearness(key: str) -> tuple[bool, bool, str]:
        lower = key.lower()
        stem = re.sub(r"(names?|identifiers?|ids?|arns?|url)$", "", lower)
        return (not (stem and subject.startswith(stem)), lower not in ("name", "identifier", "bucket"), key)

    found: list[str] = []
    for key in sorted((k for k in parameters if NAMES_A_RESOURCE.search(k)), key=nearness):
        value = parameters[key]
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and each and each not in found and len(each) <= 2048:
                found.append(each)
    return found[:8]


def identify(environ: dict[str, Any], body: bytes) -> Call:
    """Tell the service from the signature, and the operation the way its protocol says it.

    Query: the Action parameter. JSON: X-Amz-Target. REST: method, path and query against botocore's model. CBOR: the path.
    """
    request = Request({**environ, "wsgi.input": None})
    query = environ.get("QUERY_STRING", "")
    path = request.raw_path
    service, region, access_key = _signature(request.headers, query, path)
    content_type = environ.get("CONTENT_TYPE", "")
    call = Call(
        service=service,
        operation=None,
        region=region,
        protocol="",
        method=environ.get("REQUEST_METHOD", "GET"),
        path=path,
        content_type=content_type,
        user_agent=sys.intern(environ.get("HTTP_USER_AGENT", "")),
        query=query,
        body=body,
        account=_account_of(access_key),
        access_key=access_key,
    )
    parameters: dict[str, Any] = {}
    target = request.headers.get("X-Amz-Target")
    cbor = re.match(r"^/service/[^/]+/operation/([^/]+)$", path)
    if cbor:
        call.protocol, call.operation = "smithy-rpc-v2-cbor", cbor.group(1)
    elif target:
        call.protocol, call.operation = "json", target.rsplit(".", 1)[-1]
        parameters = _json_object(body)
    elif content_type.startswith("application/x-www-form-urlencoded") or "Action=" in query:
        call.protocol = "ec2" if service == "ec2" else "query"
        text = body.decode("utf-8", "replace") if b"Action=" in body else query
        form = parse_qs(text)
        call.operation = form.get("Action", [None])[0]
        parameters = {re.sub(r"\.(member\.|[A-Z]\w+\.)?\d+$", "", key): value for key, value in form.items()}
        if service == "elbv2" and form.get("Version", [""])[0] == "2012-06-01":
            call.service = "elb"
    elif service in _known_services():
        model, router = _model_and_router(service)
        call.protocol = str(model.protocol)
        try:
            operation, uri_parameters = router.match(request)
            call.operation = str(operation.name)
            parameters = dict(uri_parameters)
        except Exception:  # no such path in the model: left without an operation, answered as not implemented
            parameters = {}
        if call.protocol == "rest-json":
            parameters = {**_json_object(body), **parameters}
        elif call.protocol == "rest-xml" and call.is_write and body[:1] == b"<":
            parameters = {**parameters, "Body": body[:LARGEST_XML].decode("utf-8", "replace")}
    call.parameters = parameters
    call.resources = _named_resources(call.operation, parameters)
    return call


def _account_of(access_key: str) -> str:
    """The account that an access key belongs to: that of an IAM user who has it, else the double's own."""
    own = os.environ.get("MOTO_ACCOUNT_ID", DEFAULT_ACCOUNT_ID)
    iam = sys.modules.get("moto.iam.models")
    if iam is None:
        return own
    for account, of_account in list(iam.iam_backends.items()):
        for backend in list(of_account.values()):
            if access_key in backend.access_keys:
                return str(account)
    return own


def _json_object(body: bytes) -> dict[str, Any]:
    if not body or len(body) > 1_000_000:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
