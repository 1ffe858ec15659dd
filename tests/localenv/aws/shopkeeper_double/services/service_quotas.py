"""Service Quotas: the quotas that the double itself keeps to, and their applied values.

moto knows the quotas of VPC alone. Whoever refuses because of a quota asks `allowed`, so that what GetServiceQuota tells is what
is refused. A test changes a value by the control interface, as an increase (or a smaller account) changes it on AWS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.servicequotas import models, responses

from . import replaces


@dataclass(frozen=True)
class Quota:
    """One quota as AWS lists it, with the value that an account has at first."""

    service: str
    service_name: str
    code: str
    name: str
    default: float
    description: str


_EKS = "Amazon Elastic Kubernetes Service (Amazon EKS)"

#: From AWS's list of the quotas of EKS.
QUOTAS = {
    (quota.service, quota.code): quota
    for quota in (
        Quota(
            "eks",
            _EKS,
            "L-6D54EA21",
            "Managed node groups per cluster",
            30.0,
            "The maximum number of managed node groups per cluster.",
        ),
        Quota(
            "eks",
            _EKS,
            "L-BD136A63",
            "Nodes per managed node group",
            450.0,
            "The maximum number of nodes per managed node group.",
        ),
        Quota(
            "eks",
            _EKS,
            "L-33415657",
            "Fargate profiles per cluster",
            10.0,
            "The maximum number of Fargate profiles per cluster.",
        ),
    )
}

NODE_GROUPS_PER_CLUSTER = ("eks", "L-6D54EA21")
NODES_PER_NODE_GROUP = ("eks", "L-BD136A63")
FARGATE_PROFILES_PER_CLUSTER = ("eks", "L-33415657")

#: Applied values that differ from the default.
_applied: dict[tuple[str, str], float] = {}


def allowed(quota: tuple[str, str]) -> int:
    """How many the account may have."""
    return int(_applied.get(quota, QUOTAS[quota].default))


def change(values: dict[str, float | None]) -> None:
    """Set applied values by `<service>/<code>`; None goes back to the default."""
    parsed = {}
    for name, value in values.items():
        service, _, code = name.partition("/")
        if (service, code) not in QUOTAS:
            known = ", ".join("/".join(key) for key in QUOTAS)
            raise ValueError(f"no quota {name}; there are {known}")
        parsed[service, code] = None if value is None else float(value)
    for key, value in parsed.items():
        if value is None:
            _applied.pop(key, None)
        else:
            _applied[key] = value


def describe() -> dict[str, float]:
    """Applied values that differ from the default, by `<service>/<code>`."""
    return {"/".join(key): value for key, value in _applied.items()}


def reset() -> None:
    _applied.clear()


def _shape(quota: Quota, region: str, account: str, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": quota.service,
        "ServiceName": quota.service_name,
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:{quota.service}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
        "Description": quota.description,
    }


def _required(response: Any, *names: str) -> list[str]:
    given = json.loads(response.body or "{}")
    missing = [name for name in names if not given.get(name)]
    if missing:
        raise JsonRESTError("IllegalArgumentException", f"{', '.join(missing)} must not be empty")
    return [str(given[name]) for name in names]


def install() -> None:
    @replaces(models.ServiceQuotasBackend)
    def get_service_quota(before, self, service_code, quota_code):
        quota = QUOTAS.get((service_code, quota_code))
        if quota is None:
            return before(self, service_code, quota_code)
        return _shape(quota, self.region_name, self.account_id, float(allowed((service_code, quota_code))))

    @replaces(models.ServiceQuotasBackend)
    def list_aws_default_service_quotas(before, self, service_code):
        ours = [quota for quota in QUOTAS.values() if quota.service == service_code]
        if not ours:
            return before(self, service_code)
        return [_shape(quota, self.region_name, "", quota.default) for quota in ours]

    @replaces(responses.ServiceQuotasResponse)
    def get_aws_default_service_quota(before, self):
        service_code, quota_code = _required(self, "ServiceCode", "QuotaCode")
        quota = QUOTAS.get((service_code, quota_code))
        if quota is None:
            return json.dumps({"Quota": self.backend.get_service_quota(service_code, quota_code)})
        return json.dumps({"Quota": _shape(quota, self.region, "", quota.default)})

    @replaces(responses.ServiceQuotasResponse)
    def list_service_quotas(before, self):
        (service_code,) = _required(self, "ServiceCode")
        codes = [quota["QuotaCode"] for quota in self.backend.list_aws_default_service_quotas(service_code)]
        return json.dumps({"Quotas": [self.backend.get_service_quota(service_code, code) for code in codes]})
