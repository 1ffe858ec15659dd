"""Errors in the protocol of the service they come from, so that every SDK reads the code.

moto's serialisers know the protocols and the error shapes of botocore's models; here they are given a code and a message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.request import determine_request_protocol
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from .calls import Call
from .codes import DENIED, EXPIRED, QUOTA, SERVER_FAULT, THROTTLED

@dataclass(frozen=True)
class AwsError:
    """An error as AWS would raise it; `status` None takes the one in the service's model."""

    code: str
    message: str
    status: int | None = None


def throttled(call: Call) -> AwsError:
    code, status = THROTTLED.get(call.service, ("ThrottlingException" if _speaks_json(call) else "Throttling", 400))
    return AwsError(code, "Rate exceeded", status)


def denied(call: Call) -> AwsError:
    json_code = ("AccessDeniedException", 400 if call.protocol == "json" else 403)
    code, status = DENIED.get(call.service, json_code if _speaks_json(call) else ("AccessDenied", 403))
    on = call.resources[0] if call.resources else "*"
    user = "arn:aws:sts::123456789012:assumed-role/shopkeeper/session"
    action = f"{call.service}:{call.operation}"
    return AwsError(code, f"User: {user} is not authorized to perform: {action} on resource: {on}", status)


def quota_reached(call: Call) -> AwsError:
    code, status = QUOTA.get(
        (call.service, call.operation), QUOTA.get((call.service, None), ("LimitExceededException", 400))
    )
    return AwsError(code, f"The quota for {call.operation} is reached.", status)


def server_fault(call: Call, status: int = 500) -> AwsError:
    common = "ServiceUnavailable" if status == 503 else "InternalFailure"
    code = SERVER_FAULT.get((call.service, status), common)
    return AwsError(code, "The request processing has failed because of an unknown error, exception or failure.", status)


def expired(call: Call) -> AwsError:
    json_code = ("ExpiredTokenException", 400 if call.protocol == "json" else 403)
    code, status = EXPIRED.get(call.service, json_code if _speaks_json(call) else ("ExpiredToken", 403))
    told = "Request has expired." if code == "RequestExpired" else "The security token included in the request is expired"
    return AwsError(code, told, status)


def not_implemented(call: Call) -> AwsError:
    """For what the double lacks. SDKs retry 500 but not 501, and harness and people can tell it from a crash."""
    if call.service == "s3":
        code = "NotImplemented"
    else:
        code = "UnknownOperationException" if _speaks_json(call) else "InvalidAction"
    what = f"{call.service}:{call.operation}" if call.operation else f"{call.method} {call.path}"
    return AwsError(code, f"{what} is not implemented by the AWS double.", 501)


def response_for(call: Call, error: AwsError) -> Response:
    """The HTTP answer that carries `error` in the protocol the caller speaks."""
    status, headers, body = _serialize(call, error)
    if _speaks_json(call):
        headers["x-amzn-ErrorType"] = error.code
    return Response(b"" if call.method == "HEAD" else body, status=error.status or status, headers=headers)


def _speaks_json(call: Call) -> bool:
    return call.protocol in ("json", "rest-json")


def _serialize(call: Call, error: AwsError) -> tuple[int, Headers, bytes]:
    try:
        model = get_service_model(call.service)
        protocol = "rest-xml" if call.service == "s3" else determine_request_protocol(model, call.content_type)
        known = call.operation in model.operation_names
        operation = model.operation_model(call.operation) if known else OperationModel({}, model)
        serializer = get_serializer_class(call.service, protocol)(
            operation_model=operation, context=SerializationContext(call.request_id)
        )
        answer = serializer.serialize(ServiceException(error.code, error.message))
        body = answer["body"]
        # The headers matter: SQS puts the code that older SDKs know into x-amzn-query-error.
        headers = Headers({name: str(value) for name, value in answer["headers"].items()})
        headers.setdefault("Content-Type", "application/json" if _speaks_json(call) else "text/xml")
        return answer["status_code"], headers, body.encode() if isinstance(body, str) else body
    except Exception:  # a service botocore does not know, or a protocol moto cannot write: the two common shapes
        if _speaks_json(call):
            text = json.dumps({"__type": error.code, "message": error.message})
            return 400, Headers({"Content-Type": "application/json"}), text.encode()
        told = f"<Type>Sender</Type><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        text = f"<ErrorResponse><Error>{told}</Error><RequestId>{call.request_id}</RequestId></ErrorResponse>"
        return 400, Headers({"Content-Type": "text/xml"}), text.encode()


def error_code_of(response: Response) -> str | None:
    """The AWS error code in an answer, or None when the call succeeded."""
    if response.status_code < 400:
        return None
    from_query = response.headers.get("x-amzn-query-error")
    if from_query:  # SQS, whose older codes SDKs show
        return from_query.split(";")[0]
    from_header = response.headers.get("x-amzn-ErrorType")
    if from_header:
        return from_header.split(":")[0].split("#")[-1]
    text = response.get_data()[:4096].decode("utf-8", "replace")
    found = re.search(r'"(?:__type|code)"\s*:\s*"([^"]+)"', text) or re.search(r"<Code>([^<]+)</Code>", text)
    return found.group(1).split("#")[-1] if found else str(response.status_code)
