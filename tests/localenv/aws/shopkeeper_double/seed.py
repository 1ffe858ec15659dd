"""`python -m shopkeeper_double.seed`: what an AWS account has before Shopkeeper arrives.

A VPC with three private and three public subnets, and an EKS cluster with its usual addons. Made through the AWS API with
boto3, as an account's owner would; what is there already is found by name or tag and left as it is.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

#: What the network and the cluster are called unless told otherwise.
NAME = "octank"
CLUSTER = "octank-prod"
CLUSTER_VERSION = "1.36"
VPC_CIDR = "10.0.0.0/16"
ZONES = "abc"
#: The tags by which the AWS Load Balancer Controller finds subnets, by tier.
LOAD_BALANCER_TAG = {"private": "kubernetes.io/role/internal-elb", "public": "kubernetes.io/role/elb"}
ADDONS = ("vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent")
CLUSTER_POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"


class Account:
    """An account as seen through one endpoint and region."""

    def __init__(
        self, endpoint: str, region: str, wait_seconds: float, name: str = NAME, cluster: str = CLUSTER
    ) -> None:
        self.region = region
        self._name, self._cluster_name = name, cluster
        self._wait_seconds = wait_seconds
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)
        config = Config(retries={"total_max_attempts": 5, "mode": "standard"})
        self.ec2, self.iam, self.eks = (
            session.client(name, endpoint_url=endpoint, config=config) for name in ("ec2", "iam", "eks")
        )

    def seed(self) -> dict[str, Any]:
        """Make what is missing, wait until it is ready, and tell the identifiers."""
        vpc = self._vpc()
        subnets = {tier: self._subnets(vpc, tier) for tier in ("private", "public")}
        self._internet_access(vpc, subnets["public"])
        role = self._cluster_role()
        cluster = self._cluster(role, subnets["private"])
        return {
            "account": role.split(":")[4],
            "region": self.region,
            "vpc": vpc,
            "private_subnets": subnets["private"],
            "public_subnets": subnets["public"],
            "cluster": self._cluster_name,
            "cluster_arn": cluster["arn"],
            "cluster_role": role,
            "cluster_version": cluster["version"],
            "cluster_security_group": cluster["resourcesVpcConfig"]["clusterSecurityGroupId"],
            "oidc_issuer": cluster["identity"]["oidc"]["issuer"],
            "addons": self._addons(),
        }

    def _vpc(self) -> str:
        found = self.ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [self._name]}])["Vpcs"]
        if found:
            return str(found[0]["VpcId"])
        tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": self._name}]}]
        vpc = str(self.ec2.create_vpc(CidrBlock=VPC_CIDR, TagSpecifications=tags)["Vpc"]["VpcId"])
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        return vpc

    def _subnets(self, vpc: str, tier: str) -> list[str]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "tag:tier", "Values": [tier]}]
        found = {each["AvailabilityZone"]: each["SubnetId"] for each in self.ec2.describe_subnets(Filters=filters)["Subnets"]}
        for index, letter in enumerate(ZONES):
            zone = f"{self.region}{letter}"
            if zone in found:
                continue
            tags = {
                "Name": f"{self._name}-{tier}-{zone}",
                "tier": tier,
                LOAD_BALANCER_TAG[tier]: "1",
                f"kubernetes.io/cluster/{self._cluster_name}": "shared",
            }
            # Private subnets hold pods, hence /19; public ones hold load balancers and NAT gateways only, hence /24.
            cidr = f"10.0.{32 * (index + 1)}.0/19" if tier == "private" else f"10.0.{index}.0/24"
            found[zone] = self.ec2.create_subnet(
                VpcId=vpc,
                CidrBlock=cidr,
                AvailabilityZone=zone,
                TagSpecifications=[
                    {"ResourceType": "subnet", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
                ],
            )["Subnet"]["SubnetId"]
            if tier == "public":
                self.ec2.modify_subnet_attribute(SubnetId=found[zone], MapPublicIpOnLaunch={"Value": True})
        return [found[zone] for zone in sorted(found)]

    def _internet_access(self, vpc: str, public_subnets: list[str]) -> None:
        attached = self.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])
        if attached["InternetGateways"]:
            return
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        for subnet in public_subnets:
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def _cluster_role(self) -> str:
        name = f"{self._cluster_name}-cluster"
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                }
            ],
        }
        try:
            role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityAlreadyExists":
                raise
            role = self.iam.get_role(RoleName=name)["Role"]
        self.iam.attach_role_policy(RoleName=name, PolicyArn=CLUSTER_POLICY)
        return str(role["Arn"])

    def _cluster(self, role: str, subnets: list[str]) -> dict[str, Any]:
        try:
            self.eks.create_cluster(
                name=self._cluster_name,
                version=CLUSTER_VERSION,
                roleArn=role,
                resourcesVpcConfig={"subnetIds": subnets, "endpointPrivateAccess": True},
                accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"},
                tags={"Name": self._name},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceInUseException":
                raise
        return self._until_active(lambda: self.eks.describe_cluster(name=self._cluster_name)["cluster"])

    def _addons(self) -> list[str]:
        present = set(self.eks.list_addons(clusterName=self._cluster_name)["addons"])
        for name in ADDONS:
            if name not in present:
                self.eks.create_addon(clusterName=self._cluster_name, addonName=name)
        for name in ADDONS:
            self._until_active(lambda name=name: self.eks.describe_addon(clusterName=self._cluster_name, addonName=name)["addon"])
        return sorted(present | set(ADDONS))

    def _until_active(self, describe: Any) -> dict[str, Any]:
        until = time.monotonic() + self._wait_seconds
        while True:
            resource: dict[str, Any] = describe()
            if resource["status"] == "ACTIVE":
                return resource
            if time.monotonic() > until:
                raise TimeoutError(f"still {resource['status']} after {self._wait_seconds} seconds")
            time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="shopkeeper_double.seed", description=__doc__)
    parser.add_argument("--endpoint", required=True, help="URL of the AWS double")
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--json", type=pathlib.Path, help="also write the identifiers to this file")
    parser.add_argument("--wait-seconds", type=float, default=600.0, help="how long the cluster may take to be ACTIVE")
    parser.add_argument("--name", default=NAME, help="tag Name of the VPC")
    parser.add_argument("--cluster", default=CLUSTER, help="name of the EKS cluster")
    arguments = parser.parse_args()
    account = Account(arguments.endpoint, arguments.region, arguments.wait_seconds, arguments.name, arguments.cluster)
    made = json.dumps(account.seed(), indent=2)
    if arguments.json is not None:
        arguments.json.write_text(made + "\n")
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
