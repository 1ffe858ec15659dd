"""EC2: networks are told page by page."""

from __future__ import annotations

from typing import Any

from test_eks import refused


def test_subnets_and_vpcs_are_told_page_by_page(double: Any) -> None:
    ec2 = double.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.80.0.0/16")["Vpc"]["VpcId"]
    made = {
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.80.{index}.0/24")["Subnet"]["SubnetId"] for index in range(11)
    }
    of_it = [{"Name": "vpc-id", "Values": [vpc]}]
    pages = list(ec2.get_paginator("describe_subnets").paginate(Filters=of_it, PaginationConfig={"PageSize": 5}))
    assert [len(page["Subnets"]) for page in pages] == [5, 5, 1]
    assert {each["SubnetId"] for page in pages for each in page["Subnets"]} == made
    assert "NextToken" not in ec2.describe_subnets(Filters=of_it)
    for index in range(5):
        ec2.create_vpc(CidrBlock=f"10.8{index + 1}.0.0/16")
    first = ec2.describe_vpcs(MaxResults=5)
    rest = ec2.describe_vpcs(MaxResults=5, NextToken=first["NextToken"])
    told = [each["VpcId"] for each in first["Vpcs"] + rest["Vpcs"]]
    assert len(told) == len(set(told)) == len(ec2.describe_vpcs()["Vpcs"])


def test_a_page_has_five_to_a_thousand(double: Any) -> None:
    ec2 = double.client("ec2", parameter_validation=False)
    for size in (4, 1001):
        code, message = refused(lambda s=size: ec2.describe_subnets(MaxResults=s))
        assert code == "InvalidParameterValue" and f"( {size} )" in message
