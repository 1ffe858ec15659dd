"""AWS's own IAM policies, 1500 of them, parsed once in the life of the process.

moto parses them for every IAM backend it makes, and a backend is made by the first call after every reset.
"""

from __future__ import annotations

import copy
from typing import Any

from moto.iam.models import IAMBackend

from . import replaces

_pristine: dict[tuple[str, str], list[Any]] = {}


def install() -> None:
    @replaces(IAMBackend)
    def _init_aws_policies(before: Any, self: IAMBackend) -> list[Any]:
        key = (self.account_id, self.region_name)
        if key not in _pristine:
            _pristine[key] = before(self)
        # Copies: how often a policy is attached is counted on it. Its versions cannot be changed, so they are shared.
        return [copy.copy(policy) for policy in _pristine[key]]
