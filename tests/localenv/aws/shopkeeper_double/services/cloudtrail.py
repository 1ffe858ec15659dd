"""CloudTrail: the history of events, made of the calls that the double has recorded.

As on AWS it tells of the calls to a service's own API and not of those to what customers keep in it, of failed ones too, newest first,
and by the fifty. Events of global services are told in us-east-1 alone. They are told at once, where AWS takes minutes.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError

from ..middleware.record import CallRecord
from . import replaces

LARGEST_PAGE = 50
GLOBAL_SERVICES = frozenset({"iam", "sts", "route53", "cloudfront"})
#: What CloudTrail calls data events, which its history does not have.
DATA = re.compile(
    r"^(dynamodb:(Put|Update|Delete|BatchWrite|TransactWrite|Execute)\w*(Item|Items|Statement|Transaction)"
    r"|s3:(Put|Delete|Copy|Restore)Objects?|s3:.*MultipartUpload|s3:UploadPart.*"
    r"|sqs:(Send|Delete|ChangeMessageVisibility|Receive)Message\w*|sns:Publish\w*)$"
)
#: LookupEvents takes one attribute, and of these only what the operator asks by is built.
ATTRIBUTES = frozenset({"ReadOnly", "EventName", "EventSource"})

#: Set by the server before the first call.
record: CallRecord


def _ended(call: dict[str, Any]) -> float:
    """When it took effect, and not when it came: it may have waited for its turn."""
    return call["time"] + call["duration_ms"] / 1000


def _event(call: dict[str, Any]) -> dict[str, Any]:
    source = f"{call['service']}.amazonaws.com"
    told = {
        "eventVersion": "1.11",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_ended(call))),
        "eventSource": source,
        "eventName": call["operation"],
        "awsRegion": call["region"],
        "userAgent": call["user_agent"],
        "requestParameters": {**call["parameters"], "resources": call["resources"]},
        "responseElements": None,
        "eventID": call["request_id"],
        "readOnly": not call["write"],
        "recipientAccountId": call["account"],
    }
    if call["error_code"]:
        told["errorCode"] = call["error_code"]
    return {
        "EventId": call["request_id"],
        "EventName": call["operation"],
        "ReadOnly": "false" if call["write"] else "true",
        "AccessKeyId": call["access_key"],
        # To a second, as on AWS.
        "EventTime": int(_ended(call)),
        "EventSource": source,
        "Resources": [],
        "CloudTrailEvent": json.dumps(told, default=str),
    }


def _is_told(call: dict[str, Any], account: str, region: str) -> bool:
    there = "us-east-1" if call["service"] in GLOBAL_SERVICES else call["region"]
    name = f"{call['service']}:{call['operation']}"
    return bool(call["operation"]) and call["account"] == account and there == region and not DATA.match(name)


def _matches(event: dict[str, Any], attribute: dict[str, str] | None) -> bool:
    return attribute is None or event[attribute["AttributeKey"]] == attribute["AttributeValue"]


def install() -> None:
    @replaces(CloudTrailResponse)
    def lookup_events(before, self):
        asked = json.loads(self.body or "{}")
        attributes = asked.get("LookupAttributes") or []
        size = asked.get("MaxResults", LARGEST_PAGE)
        if len(attributes) > 1 or any(each.get("AttributeKey") not in ATTRIBUTES for each in attributes):
            raise JsonRESTError("InvalidLookupAttributesException", "Occurs when a lookup attribute is specified that is not valid.")
        if not 1 <= size <= LARGEST_PAGE:
            raise JsonRESTError("InvalidMaxResultsException", "This exception is thrown if the limit specified is not valid.")
        start, end = asked.get("StartTime") or 0, asked.get("EndTime") or float("inf")
        if start > end:
            raise JsonRESTError("InvalidTimeRangeException", "The start time is after the end time.")
        # A page begins behind the last call that the one before it told, whatever was called since.
        below = float("inf")
        if asked.get("NextToken"):
            try:
                below = int(base64.b64decode(asked["NextToken"]))
            except ValueError:
                raise JsonRESTError("InvalidNextTokenException", "A token that is not valid, or that was used in another request.") from None
        found: list[dict[str, Any]] = []
        last = 0
        for call in reversed(record.select()):
            if call["seq"] >= below or not start <= _ended(call) <= end:
                continue
            if not _is_told(call, self.current_account, self.region):
                continue
            event = _event(call)
            if not _matches(event, attributes[0] if attributes else None):
                continue
            if len(found) == size:
                return json.dumps({"Events": found, "NextToken": base64.b64encode(str(last).encode()).decode()})
            found.append(event)
            last = call["seq"]
        return json.dumps({"Events": found})
