"""Service Quotas, and the refusals that go with the numbers it tells."""

from __future__ import annotations

from typing import Any

from test_eks import CLUSTER, Fixture, refused

GROUPS, NODES, PROFILES = "L-6D54EA21", "L-BD136A63", "L-33415657"


def allow(double: Any, code: str, value: float | None) -> None:
    status, answer = double.control("PUT", "config", {"quotas": {f"eks/{code}": value}})
    assert status == 200, answer


def value(double: Any, code: str) -> float:
    return double.client("service-quotas").get_service_quota(ServiceCode="eks", QuotaCode=code)["Quota"]["Value"]


def test_the_quotas_of_places_for_pods_are_those_that_aws_lists(double: Any) -> None:
    quota = double.client("service-quotas").get_service_quota(ServiceCode="eks", QuotaCode=GROUPS)["Quota"]
    assert quota["QuotaName"] == "Managed node groups per cluster"
    assert (quota["Value"], quota["Adjustable"], quota["QuotaAppliedAtLevel"]) == (30.0, True, "ACCOUNT")
    assert (value(double, NODES), value(double, PROFILES)) == (450.0, 10.0)
    listed = double.client("service-quotas").list_service_quotas(ServiceCode="eks")["Quotas"]
    assert {each["QuotaCode"] for each in listed} == {GROUPS, NODES, PROFILES}


def test_an_unknown_quota_is_no_resource(double: Any) -> None:
    quotas = double.client("service-quotas")
    for service, code in (("eks", "L-00000000"), ("none", GROUPS)):
        code, _ = refused(lambda s=service, c=code: quotas.get_service_quota(ServiceCode=s, QuotaCode=c))
        assert code == "NoSuchResourceException"


def test_a_changed_value_is_told_and_the_default_stays(double: Any) -> None:
    allow(double, GROUPS, 40)
    assert value(double, GROUPS) == 40.0
    default = double.client("service-quotas").get_aws_default_service_quota(ServiceCode="eks", QuotaCode=GROUPS)
    assert default["Quota"]["Value"] == 30.0
    assert double.control("GET", "config")[1]["quotas"] == {f"eks/{GROUPS}": 40.0}
    allow(double, GROUPS, None)
    assert value(double, GROUPS) == 30.0
    assert double.control("PUT", "config", {"quotas": {"eks/L-00000000": 1}})[0] == 400


def test_the_group_above_the_quota_is_refused_until_one_is_gone(double: Any, lasting: None) -> None:
    shop = Fixture(double)
    double.settle()
    allow(double, GROUPS, 2)
    shop.create("one")
    shop.create("two")
    double.settle()
    code, message = refused(lambda: shop.create("three"))
    assert code == "ResourceLimitExceededException" and "2" in message
    shop.eks.delete_nodegroup(clusterName=CLUSTER, nodegroupName="one")
    assert refused(lambda: shop.create("three"))[0] == "ResourceLimitExceededException"
    double.settle()
    shop.create("three")


def test_a_group_of_more_nodes_than_the_quota_is_refused(double: Any) -> None:
    shop = Fixture(double)
    allow(double, NODES, 5)
    size = {"minSize": 0, "maxSize": 6, "desiredSize": 0}
    assert refused(lambda: shop.create(scalingConfig=size))[0] == "ResourceLimitExceededException"
    shop.create(scalingConfig={**size, "maxSize": 5})
    assert refused(lambda: shop.update(scalingConfig=size))[0] == "ResourceLimitExceededException"
