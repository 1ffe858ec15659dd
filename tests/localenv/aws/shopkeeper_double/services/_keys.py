"""What other services ask of KMS: whether a key that a customer chose can be used at this moment."""

from __future__ import annotations

from typing import Any


def unusable(account: str, region: str, key: str | None) -> str | None:
    """Why a key (id, ARN, alias or alias ARN) encrypts nothing now; None where it does, or where AWS owns it."""
    from moto.kms.models import kms_backends

    if not key or "alias/aws/" in key:
        return None
    if key.startswith("arn:"):
        region = key.split(":")[3]
    kms: Any = kms_backends[account][region]
    try:
        found = kms.keys[kms.any_id_to_key_id(key)]
    except (KeyError, AttributeError):
        return f"Key '{key}' does not exist"
    if found.key_state == "PendingDeletion":
        return f"{found.arn} is pending deletion."
    return f"{found.arn} is disabled." if found.key_state == "Disabled" else None
