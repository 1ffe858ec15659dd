"""What a request means (service, operation, resources), and the record of all calls."""

from __future__ import annotations

import functools
import json
import re
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO
from urllib.parse import parse_qs

import botocore.session
from moto.core.request import Request
from moto.core.routing import get_service_router
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
    r"|Check|Test|Receive|Decrypt|Encrypt|ReEncrypt|GenerateData|GenerateMac|GenerateRandom|Assume|Count|Poll)"
)
NAMES_A_RESOURCE = re.compile(
    r"(Name|Names|Identifier|Identifiers|Id|Ids|ARN|Arn|Arns|Url|Bucket|name|Key|Namespace|namespace|serviceAccount)$"
)
SCOPE = re.compile(r"Credential=[^/,&]+/\d{8}/([^/]+)/([^/]+)/aws4_request")
#: What an operation does to its subject, cut off its name to find the subject: CreateDBInstance is about a DBInstance.
VERB = re.compile(r"^(Create|Delete|Modify|Update|Describe|Get|List|Put|Start|Stop|Reboot|Restore|Tag|Untag|Set|Add|Remove)")
RECORD_LIMIT = 100_000


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
    resources: list[str] = field(default_factory=list)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    began: float = field(default_factory=time.time)

    @property
    def is_write(self) -> bool:
        if self.operation:
            return not READS.match(self.operation)
        return self.method not in ("GET", "HEAD")


@functools.lru_cache(maxsize=1)
def _known_services() -> frozenset[str]:
    return frozenset(botocore.session.get_session().get_available_services())


def _service_and_region(headers: Mapping[str, str], query: str, path: str) -> tuple[str, str]:
    scope = SCOPE.search(headers.get("Authorization", "")) or SCOPE.search(
        query.replace("X-Amz-Credential", "Credential").replace("%2F", "/").replace("%2f", "/")
    )
    if scope is None:  # unsigned: only S3 is used that way (public objects)
        return "s3", "us-east-1"
    region, signing_name = scope.group(1), scope.group(2).lower()
    target = headers.get("X-Amz-Target", "")
    if signing_name == "dynamodb" and target.startswith("DynamoDBStreams"):
        return "dynamodbstreams", region
    if signing_name == "s3" and path.startswith("/v20180820/"):
        return "s3control", region
    if signing_name == "ses" and path.startswith("/v2/"):
        return "sesv2", region
    if signing_name == "es":
        return ("opensearch" if path.startswith("/2021-01-01/") else "es"), region
    return MODEL_BY_SIGNING_NAME.get(signing_name, signing_name), region


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
    service, region = _service_and_region(request.headers, query, path)
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
        call.protocol = str(get_service_model(service).protocol)
        try:
            operation, uri_parameters = get_service_router(service).match(request)
            call.operation = str(operation.name)
            parameters = dict(uri_parameters)
        except Exception:  # no such path in the model: left without an operation, answered as not implemented
            parameters = {}
        if call.protocol == "rest-json":
            parameters = {**_json_object(body), **parameters}
    call.resources = _named_resources(call.operation, parameters)
    return call


def _json_object(body: bytes) -> dict[str, Any]:
    if not body or len(body) > 1_000_000:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


class CallRecord:
    """Every call in order, in memory (the last 100 000) and, where a path is given, as a line of JSON in a file."""

    def __init__(self, log_path: str | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=RECORD_LIMIT)
        self._sequence = 0
        self._log: TextIO | None = open(log_path, "a", encoding="utf-8", buffering=1) if log_path else None

    def add(self, call: Call, status: int | None, error_code: str | None, fault: str | None) -> None:
        """`status` None: the caller got no answer (the connection was cut)."""
        entry = {
            "seq": 0,
            "time": call.began,
            "duration_ms": round((time.time() - call.began) * 1000, 1),
            "service": call.service,
            "operation": call.operation,
            "region": call.region,
            "resources": call.resources,
            "write": call.is_write,
            "status": status,
            "error_code": error_code,
            "fault": fault,
            "user_agent": call.user_agent,
            "request_id": call.request_id,
        }
        with self._lock:
            self._sequence += 1
            entry["seq"] = self._sequence
            self._entries.append(entry)
            if self._log is not None:
                self._log.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def select(
        self, since: int = 0, service: str | None = None, operation: str | None = None, write: bool | None = None
    ) -> list[dict[str, Any]]:
        """Calls with a sequence number above `since`, oldest first."""
        with self._lock:
            entries = list(self._entries)
        return [
            entry
            for entry in entries
            if entry["seq"] > since
            and (service is None or entry["service"] == service)
            and (operation is None or entry["operation"] == operation)
            and (write is None or entry["write"] == write)
        ]

    @property
    def last(self) -> int:
        with self._lock:
            return self._sequence

    def clear(self) -> None:
        """Forget the entries. Sequence numbers go on, so that a reader's `since` stays valid."""
        with self._lock:
            self._entries.clear()
