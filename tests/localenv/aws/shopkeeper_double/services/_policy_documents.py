"""What is wrong with a resource policy, in the order AWS looks at it. IAM's own documents are checked by moto."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from typing import Any

EFFECTS = ("Allow", "Deny")
ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
ENTITY = re.compile(r"^arn:[a-z-]+:iam::(\d{12}):(root|role/.+|user/.+)$")


@dataclass
class Problem:
    """`kind` is one of syntax, version, missing, effect, action, principal; `text` says it for people."""

    kind: str
    text: str


def statements_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def problem_of(
    policy: str | bytes, vendors: tuple[str, ...], account: str, needs_principal: bool = True, needs_resource: bool = True
) -> Problem | None:
    """The first problem of a policy whose actions belong to `vendors` (the part before the colon); None where it is fine."""
    try:
        document = json.loads(policy)
    except ValueError:
        return Problem("syntax", "Policies must be valid JSON and the first byte must be '{'")
    if not isinstance(document, dict) or not isinstance(document.get("Statement", []), (list, dict)):
        return Problem("syntax", "Policies must be valid JSON and the first byte must be '{'")
    if "Statement" not in document:
        return Problem("missing", "Missing required field Statement")
    if document.get("Version", "2008-10-17") not in ("2008-10-17", "2012-10-17"):
        return Problem("version", "The policy must contain a valid version string")
    for statement in statements_of(document):
        problem = _problem_of_statement(statement, vendors, account, needs_principal, needs_resource)
        if problem is not None:
            return problem
    return None


def _problem_of_statement(
    statement: Any, vendors: tuple[str, ...], account: str, needs_principal: bool, needs_resource: bool
) -> Problem | None:
    if not isinstance(statement, dict):
        return Problem("syntax", "Policies must be valid JSON and the first byte must be '{'")
    unknown = set(statement) - ELEMENTS
    if unknown:
        return Problem("syntax", f"Unknown field {sorted(unknown)[0]}")
    if "Effect" not in statement:
        return Problem("missing", "Missing required field Effect")
    if statement["Effect"] not in EFFECTS:
        return Problem("effect", f"Invalid effect : {statement['Effect']}")
    if needs_principal and "Principal" not in statement and "NotPrincipal" not in statement:
        return Problem("missing", "Missing required field Principal")
    actions = listed(statement.get("Action", statement.get("NotAction")))
    if not actions:
        return Problem("missing", "Missing required field Action")
    if needs_resource and not listed(statement.get("Resource", statement.get("NotResource"))):
        return Problem("missing", "Missing required field Resource")
    for action in actions:
        vendor, colon, _ = str(action).partition(":")
        if action != "*" and (not colon or vendor.lower() not in vendors):
            return Problem("action", "Policy has invalid action")
    return _problem_of_principal(statement.get("Principal", statement.get("NotPrincipal")), account)


def _problem_of_principal(principal: Any, account: str) -> Problem | None:
    if principal is None or principal == "*":
        return None
    if not isinstance(principal, dict) or not principal or set(principal) - {"AWS", "Service", "Federated", "CanonicalUser"}:
        return Problem("principal", "Invalid principal in policy")
    for entity in listed(principal.get("AWS")):
        if not is_known_principal(entity, account):
            return Problem("principal", "Invalid principal in policy")
    for service in listed(principal.get("Service")):
        if not re.match(r"^[a-z0-9.-]+\.amazonaws\.com(\.cn)?$", str(service)):
            return Problem("principal", "Invalid principal in policy")
    return None


def is_known_principal(entity: Any, account: str) -> bool:
    """AWS resolves the roles and users a policy names when it is put; those of other accounts are taken as they are."""
    from moto.iam.models import iam_backends

    if entity == "*" or re.match(r"^\d{12}$|^AIDA|^AROA|^arn:[a-z-]+:(sts|cloudfront)::?", str(entity)):
        return True
    found = ENTITY.match(str(entity))
    if found is None:
        return str(entity).startswith("arn:aws:iam::cloudfront:")
    if found.group(1) != account or found.group(2) == "root":
        return True
    iam = iam_backends[account]["aws"]
    # Roles of services that AWS makes itself (service-linked) appear here too once they are made.
    return any(each.arn == entity for each in [*iam.roles.values(), *iam.users.values()])


def allows(policy: str, service: str, action: str, resource: str, source_arn: str, account: str) -> bool:
    """Whether a resource policy lets an AWS service act for the resource `source_arn`: allowed, and not denied."""
    matching = {
        statement.get("Effect")
        for statement in statements_of(json.loads(policy))
        if _names(statement, service)
        and _matches(statement.get("Action"), action, fold=True)
        and _matches(statement.get("Resource"), resource)
        and _holds(statement.get("Condition") or {}, source_arn, account)
    }
    return "Allow" in matching and "Deny" not in matching


def _names(statement: dict[str, Any], service: str) -> bool:
    principal = statement.get("Principal")
    if principal == "*":
        return True
    return isinstance(principal, dict) and ("*" in listed(principal.get("AWS")) or service in listed(principal.get("Service")))


def _matches(patterns: Any, value: str, fold: bool = False) -> bool:
    value = value.lower() if fold else value
    return any(fnmatch.fnmatchcase(value, str(each).lower() if fold else str(each)) for each in listed(patterns))


def _holds(condition: dict[str, Any], source_arn: str, account: str) -> bool:
    """The conditions on where the call comes from; others are taken to hold, as the double has no value for their keys."""
    known = {"aws:sourcearn": source_arn, "aws:sourceaccount": account}
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            value = known.get(key.lower())
            if value is None:
                continue
            exact = operator.startswith("StringEquals") or operator.startswith("StringNotEquals")
            found = value in listed(wanted) if exact else _matches(wanted, value)
            if found == ("Not" in operator):
                return False
    return True
