"""EKS: what an operator of node groups and Pod Identity meets on AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

CLUSTER = "octank-prod"


def role(double: Any, name: str, *services: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return double.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


class Fixture:
    """A cluster in a VPC with two subnets, and the parameters of a node group that AWS accepts."""

    def __init__(self, double: Any) -> None:
        self.double = double
        self.eks = double.client("eks")
        ec2 = double.client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate("ab")
        ]
        self.node_role = role(double, "node", "ec2.amazonaws.com")
        self.pod_role = role(double, "pod", "pods.eks.amazonaws.com")
        self.eks.create_cluster(
            name=CLUSTER,
            roleArn=role(double, "cluster", "eks.amazonaws.com"),
            version="1.35",
            resourcesVpcConfig={"subnetIds": self.subnets},
        )

    def nodegroup(self, name: str = "orders", **changes: Any) -> dict[str, Any]:
        given = {
            "clusterName": CLUSTER,
            "nodegroupName": name,
            "subnets": self.subnets,
            "nodeRole": self.node_role,
            "scalingConfig": {"minSize": 1, "maxSize": 4, "desiredSize": 2},
            "instanceTypes": ["m7g.large"],
            "labels": {"shopkeeper.dev/service": "orders", "tier": "a"},
            "taints": [{"key": "shopkeeper.dev/service", "value": "orders", "effect": "NO_SCHEDULE"}],
            "tags": {"shopkeeper.dev/owner": "x"},
            **changes,
        }
        return {key: value for key, value in given.items() if value is not None}

    def create(self, name: str = "orders", **changes: Any) -> dict[str, Any]:
        return self.eks.create_nodegroup(**self.nodegroup(name, **changes))["nodegroup"]

    def describe(self, name: str = "orders") -> dict[str, Any]:
        return self.eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName=name)["nodegroup"]

    def update(self, name: str = "orders", **changes: Any) -> dict[str, Any]:
        return self.eks.update_nodegroup_config(clusterName=CLUSTER, nodegroupName=name, **changes)["update"]

    def upgrade(self, name: str = "orders", **changes: Any) -> dict[str, Any]:
        return self.eks.update_nodegroup_version(clusterName=CLUSTER, nodegroupName=name, **changes)["update"]

    def update_status(self, update: dict[str, Any], name: str = "orders") -> str:
        return self.eks.describe_update(name=CLUSTER, nodegroupName=name, updateId=update["id"])["update"]["status"]

    def associate(self, **changes: Any) -> dict[str, Any]:
        given = {"namespace": "shop", "serviceAccount": "orders", "roleArn": self.pod_role, **changes}
        return self.eks.create_pod_identity_association(clusterName=CLUSTER, **given)["association"]


@pytest.fixture
def at(double: Any) -> Fixture:
    return Fixture(double)


@pytest.fixture
def slow(at: Fixture, lasting: None) -> Fixture:
    """A cluster that is there already; from here on transitions last."""
    return at


class TestStates:
    def test_a_node_group_is_made_changed_and_deleted_in_time(self, slow: Fixture) -> None:
        assert slow.create()["status"] == slow.describe()["status"] == "CREATING"
        assert refused(lambda: slow.update(labels={"addOrUpdateLabels": {"a": "b"}}))[0] == "ResourceInUseException"
        slow.double.settle()
        assert slow.describe()["status"] == "ACTIVE"

        update = slow.update(scalingConfig={"desiredSize": 3})
        assert (update["status"], update["type"], slow.describe()["status"]) == ("InProgress", "ConfigUpdate", "UPDATING")
        code, message = refused(lambda: slow.update(labels={"addOrUpdateLabels": {"a": "b"}}))
        assert code == "ResourceInUseException" and update["id"] in message
        assert refused(slow.upgrade)[0] == "ResourceInUseException"
        slow.double.settle()
        assert (slow.update_status(update), slow.describe()["status"]) == ("Successful", "ACTIVE")
        assert slow.describe()["scalingConfig"] == {"minSize": 1, "maxSize": 4, "desiredSize": 3}

        deleted = slow.eks.delete_nodegroup(clusterName=CLUSTER, nodegroupName="orders")["nodegroup"]
        assert deleted["status"] == slow.describe()["status"] == "DELETING"
        assert slow.eks.list_nodegroups(clusterName=CLUSTER)["nodegroups"] == ["orders"]
        assert refused(slow.create)[0] == "ResourceInUseException", "the name is taken until it is gone"
        assert refused(lambda: slow.eks.delete_cluster(name=CLUSTER))[0] == "ResourceInUseException"
        slow.double.settle()
        assert refused(slow.describe)[0] == "ResourceNotFoundException"
        slow.create()

    def test_a_cluster_takes_its_time(self, slow: Fixture) -> None:
        given = slow.eks.describe_cluster(name=CLUSTER)["cluster"]
        made = slow.eks.create_cluster(
            name="other", roleArn=given["roleArn"], resourcesVpcConfig={"subnetIds": slow.subnets}
        )["cluster"]
        assert made["status"] == "CREATING"
        assert refused(lambda: slow.create(clusterName="other"))[0] == "InvalidRequestException"
        slow.double.settle()
        slow.create(clusterName="other")

    def test_a_version_comes_at_the_end_of_its_update(self, slow: Fixture) -> None:
        slow.create(version="1.34")
        slow.double.settle()
        before = slow.describe()
        update = slow.upgrade(version="1.35")
        assert slow.describe()["releaseVersion"] == before["releaseVersion"]
        slow.double.settle()
        assert (slow.describe()["version"], slow.describe()["releaseVersion"][:5]) == ("1.35", "1.35.")
        params = {each["type"]: each["value"] for each in update["params"]}
        assert params["Version"] == "1.35"
        listed = slow.eks.list_updates(name=CLUSTER, nodegroupName="orders")["updateIds"]
        assert listed == [update["id"]]


    def test_creating_and_updating_may_fail(self, slow: Fixture) -> None:
        outcomes = {
            "eks.nodegroup.creating": {"then": "CREATE_FAILED", "count": 1},
            "eks.nodegroup.updating": {"then": "ACTIVE", "count": 1},
        }
        assert slow.double.control("PUT", "config", {"outcomes": outcomes})[0] == 200
        slow.create()
        slow.double.settle()
        assert slow.describe()["status"] == "CREATE_FAILED"
        assert slow.describe()["health"]["issues"][0]["code"] == "AsgInstanceLaunchFailures"
        slow.create("cart", version="1.34")
        slow.double.settle()
        update = slow.upgrade("cart", version="1.35")
        slow.double.settle()
        assert slow.describe("cart")["version"] == "1.34" and slow.describe("cart")["status"] == "ACTIVE"
        assert slow.update_status(update, "cart") == "Failed"
        slow.upgrade("cart", version="1.35")
        slow.double.settle()
        assert slow.describe("cart")["version"] == "1.35"


class TestNodegroups:
    def test_what_was_asked_for_is_shown(self, at: Fixture) -> None:
        asked = at.nodegroup(updateConfig={"maxUnavailablePercentage": 33}, capacityType="SPOT", diskSize=50)
        at.eks.create_nodegroup(**asked)
        shown = at.describe()
        assert {key: shown[key] for key in asked} == asked
        assert shown["amiType"] == "AL2023_ARM_64_STANDARD", "Graviton instances get an arm image"
        assert shown["version"] == "1.35" and shown["health"] == {"issues": []}

    def test_what_was_left_out_is_filled_in(self, at: Fixture) -> None:
        shown = at.create(scalingConfig=None, instanceTypes=None, labels=None, taints=None, tags=None)
        assert shown["instanceTypes"] == ["t3.medium"] and shown["amiType"] == "AL2023_x86_64_STANDARD"
        assert (shown["capacityType"], shown["diskSize"], shown["updateConfig"]) == ("ON_DEMAND", 20, {"maxUnavailable": 1})
        assert (shown["labels"], shown["taints"], shown["tags"]) == ({}, [], {})

    @pytest.mark.parametrize(
        "changes",
        [
            {"scalingConfig": {"minSize": 5, "maxSize": 2, "desiredSize": 3}},
            {"scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 4}},
            {"subnets": ["subnet-0123456789abcdef0"]},
            {"nodeRole": "arn:aws:iam::123456789012:role/absent"},
            {"nodeRole": "arn:aws:iam::123456789012:role/pod"},  # does not trust EC2
            {"labels": {"kubernetes.io/role": "x"}},
            {"updateConfig": {"maxUnavailable": 1, "maxUnavailablePercentage": 10}},
            {"instanceTypes": ["m9zz.huge"]},
            {"amiType": "AL2023_x86_64_STANDARD"},  # for an arm instance
            {"amiType": "AL2_ARM_64"},  # ended with Kubernetes 1.32
            {"version": "1.36"},  # newer than the cluster
            {"version": "1.30"},  # too old for the cluster
            {"releaseVersion": "1.30.1-20200101"},
            {"nodegroupName": "-x"},
            {"nodegroupName": "x" * 64},
        ],
    )
    def test_what_eks_refuses(self, at: Fixture, changes: dict[str, Any]) -> None:
        assert refused(lambda: at.create(**changes))[0] == "InvalidParameterException"
        assert at.eks.list_nodegroups(clusterName=CLUSTER)["nodegroups"] == []

    def test_a_client_token_makes_it_once(self, at: Fixture) -> None:
        first = at.create(clientRequestToken="t")
        assert at.create(clientRequestToken="t")["nodegroupArn"] == first["nodegroupArn"]
        assert refused(lambda: at.create(clientRequestToken="u"))[0] == "ResourceInUseException"
        assert refused(lambda: at.create(clientRequestToken="t", diskSize=99))[0] == "InvalidParameterException"
        at.eks.delete_nodegroup(clusterName=CLUSTER, nodegroupName="orders")
        assert at.create(clientRequestToken="t")["nodegroupArn"] != first["nodegroupArn"]

    def test_labels_and_taints_change_by_difference(self, at: Fixture) -> None:
        at.create()
        at.update(
            labels={"addOrUpdateLabels": {"tier": "b", "new": "1"}, "removeLabels": ["shopkeeper.dev/service"]},
            taints={
                "addOrUpdateTaints": [{"key": "shopkeeper.dev/service", "value": "cart", "effect": "NO_SCHEDULE"}],
                "removeTaints": [{"key": "absent", "value": "", "effect": "NO_EXECUTE"}],
            },
        )
        shown = at.describe()
        assert shown["labels"] == {"tier": "b", "new": "1"}
        assert shown["taints"] == [{"key": "shopkeeper.dev/service", "value": "cart", "effect": "NO_SCHEDULE"}]
        assert refused(lambda: at.update(scalingConfig={"minSize": 9}))[0] == "InvalidParameterException"

    def test_a_launch_template_takes_the_place_of_disk_and_types(self, at: Fixture) -> None:
        ec2 = at.double.client("ec2")
        made = ec2.create_launch_template(LaunchTemplateName="lt", LaunchTemplateData={"InstanceType": "m7g.large"})
        template = made["LaunchTemplate"]["LaunchTemplateId"]
        both = {"launchTemplate": {"id": template, "version": "1"}}
        assert refused(lambda: at.create(**both))[0] == "InvalidParameterException"
        assert refused(lambda: at.create(**both, instanceTypes=None, diskSize=20))[0] == "InvalidParameterException"
        shown = at.create(**both, instanceTypes=None)
        assert "diskSize" not in shown and "instanceTypes" not in shown
        assert shown["launchTemplate"] == {"id": template, "name": "lt", "version": "1"}
        ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "m7g.xlarge"})
        at.upgrade(launchTemplate={"id": template, "version": "2"})
        assert at.describe()["launchTemplate"]["version"] == "2"
        assert refused(lambda: at.upgrade(launchTemplate={"id": template, "version": "9"}))[0] == "InvalidRequestException"

    def test_a_version_is_the_clusters_or_its_own(self, at: Fixture) -> None:
        at.create(version="1.34")
        code, message = refused(lambda: at.upgrade(version="1.36"))
        assert code == "InvalidParameterException" and "1.35" in message

    def test_lists_come_in_pages(self, at: Fixture) -> None:
        for n in range(5):
            at.create(f"ng{n}")
        pages = at.eks.get_paginator("list_nodegroups").paginate(clusterName=CLUSTER, PaginationConfig={"PageSize": 2})
        assert [each["nodegroups"] for each in pages] == [["ng0", "ng1"], ["ng2", "ng3"], ["ng4"]]
        code, _ = refused(lambda: at.eks.list_nodegroups(clusterName=CLUSTER, nextToken="nonsense"))
        assert code == "InvalidParameterException"


class TestPodIdentity:
    def test_from_making_to_deleting(self, at: Fixture) -> None:
        made = at.associate(tags={"a": "b"}, clientRequestToken="t")
        assert at.associate(tags={"a": "b"}, clientRequestToken="t")["associationId"] == made["associationId"]
        assert made["associationArn"].endswith(f":podidentityassociation/{CLUSTER}/{made['associationId']}")
        code, message = refused(at.associate)
        assert code == "ResourceInUseException" and made["associationId"] in message
        at.associate(serviceAccount="cart")
        listed = at.eks.list_pod_identity_associations(clusterName=CLUSTER, namespace="shop", serviceAccount="orders")
        assert [each["associationId"] for each in listed["associations"]] == [made["associationId"]]
        assert "roleArn" not in listed["associations"][0], "lists are summaries: describe tells the role"
        by_id = {"clusterName": CLUSTER, "associationId": made["associationId"]}
        at.eks.update_pod_identity_association(**by_id, roleArn=at.node_role)
        assert at.eks.describe_pod_identity_association(**by_id)["association"]["roleArn"] == at.node_role
        at.eks.delete_pod_identity_association(**by_id)
        assert refused(lambda: at.eks.delete_pod_identity_association(**by_id))[0] == "ResourceNotFoundException"
        at.associate()

    def test_the_role_must_exist(self, at: Fixture) -> None:
        absent = "arn:aws:iam::123456789012:role/absent"
        assert refused(lambda: at.associate(roleArn=absent))[0] == "InvalidParameterException"


class TestCluster:
    def test_what_describe_tells(self, at: Fixture) -> None:
        shown = at.eks.describe_cluster(name=CLUSTER)["cluster"]
        network = shown["resourcesVpcConfig"]
        assert network["vpcId"] == at.vpc and network["subnetIds"] == at.subnets
        groups = at.double.client("ec2").describe_security_groups(GroupIds=[network["clusterSecurityGroupId"]])
        assert groups["SecurityGroups"][0]["VpcId"] == at.vpc
        assert shown["identity"]["oidc"]["issuer"].startswith("https://oidc.eks.eu-west-1.amazonaws.com/id/")
        assert shown["accessConfig"]["authenticationMode"] == "CONFIG_MAP"

    def test_versions_go_up_by_one(self, at: Fixture) -> None:
        assert refused(lambda: at.eks.update_cluster_version(name=CLUSTER, version="1.34"))[0] == "InvalidParameterException"
        at.eks.update_cluster_version(name=CLUSTER, version="1.36")
        assert at.eks.describe_cluster(name=CLUSTER)["cluster"]["version"] == "1.36"

    def test_tags_of_every_kind(self, at: Fixture) -> None:
        arns = [
            at.eks.describe_cluster(name=CLUSTER)["cluster"]["arn"],
            at.create()["nodegroupArn"],
            at.associate()["associationArn"],
            at.eks.create_addon(clusterName=CLUSTER, addonName="coredns")["addon"]["addonArn"],
        ]
        for arn in arns:
            at.eks.tag_resource(resourceArn=arn, tags={"k": "v", "l": "w"})
            at.eks.untag_resource(resourceArn=arn, tagKeys=["l"])
            assert at.eks.list_tags_for_resource(resourceArn=arn)["tags"].get("k") == "v"
            assert "l" not in at.eks.list_tags_for_resource(resourceArn=arn)["tags"]
        assert at.describe()["tags"]["k"] == "v"
        code, _ = refused(lambda: at.eks.list_tags_for_resource(resourceArn=arns[1] + "x"))
        assert code == "NotFoundException"
        tagging = at.double.client("resourcegroupstaggingapi")
        found = tagging.get_resources(TagFilters=[{"Key": "k", "Values": ["v"]}], ResourceTypeFilters=["eks:nodegroup"])
        assert [each["ResourceARN"] for each in found["ResourceTagMappingList"]] == [arns[1]]

    def test_access_entries_need_the_api_mode(self, at: Fixture) -> None:
        entry = {"clusterName": CLUSTER, "principalArn": at.pod_role}
        assert refused(lambda: at.eks.create_access_entry(**entry))[0] == "InvalidRequestException"
        at.eks.update_cluster_config(name=CLUSTER, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
        at.eks.create_access_entry(**entry)
        assert at.eks.list_access_entries(clusterName=CLUSTER)["accessEntries"] == [at.pod_role]
        assert refused(lambda: at.eks.create_access_entry(**entry))[0] == "ResourceInUseException"

    def test_the_inventory_tells_node_groups_in_full(self, at: Fixture) -> None:
        at.create()
        found = at.double.control("GET", "inventory?service=eks")[1]["resources"]
        group = next(each for each in found if each["type"] == "nodegroup")
        assert (group["name"], group["cluster"], group["status"]) == ("orders", CLUSTER, "ACTIVE")
        assert group["detail"]["scalingConfig"]["desiredSize"] == 2
        assert group["tags"] == {"shopkeeper.dev/owner": "x"}


class TestSeed:
    def test_twice_is_once(self, double: Any) -> None:
        from shopkeeper_double.seed import Account

        account = Account(double.endpoint, "eu-west-1", wait_seconds=60)
        first = account.seed()
        writes = len(double.calls(write="true"))
        assert account.seed() == first
        again = [each for each in double.calls(write="true")[writes:] if each["error_code"] is None]
        assert [each["operation"] for each in again] == ["AttachRolePolicy"]
        subnets = double.client("ec2").describe_subnets(Filters=[{"Name": "tag:tier", "Values": ["private"]}])["Subnets"]
        assert sorted(each["AvailabilityZone"] for each in subnets) == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
        assert double.client("eks").describe_cluster(name="octank-prod")["cluster"]["version"] == "1.36"


class TestFargateProfiles:
    @staticmethod
    def create(at: Fixture, name: str = "orders", **changes: Any) -> dict[str, Any]:
        execution_role = "arn:aws:iam::123456789012:role/fargate"
        roles = [each["Arn"] for each in at.double.client("iam").list_roles()["Roles"]]
        if execution_role not in roles:
            execution_role = role(at.double, "fargate", "eks-fargate-pods.amazonaws.com")
        given = {
            "clusterName": CLUSTER,
            "fargateProfileName": name,
            "podExecutionRoleArn": execution_role,
            "subnets": at.subnets,
            "selectors": [{"namespace": "shop", "labels": {"profile": name}}],
            "tags": {"shopkeeper.dev/owner": "x"},
            **changes,
        }
        return at.eks.create_fargate_profile(**given)["fargateProfile"]

    @staticmethod
    def describe(at: Fixture, name: str = "orders") -> dict[str, Any]:
        return at.eks.describe_fargate_profile(clusterName=CLUSTER, fargateProfileName=name)["fargateProfile"]

    @staticmethod
    def delete(at: Fixture, name: str = "orders") -> dict[str, Any]:
        return at.eks.delete_fargate_profile(clusterName=CLUSTER, fargateProfileName=name)["fargateProfile"]

    def test_one_profile_of_a_cluster_is_made_or_deleted_at_a_time(self, slow: Fixture) -> None:
        assert self.create(slow)["status"] == self.describe(slow)["status"] == "CREATING"
        code, message = refused(lambda: self.create(slow, "carts"))
        assert code == "ResourceInUseException" and "Fargate profile orders in status CREATING" in message
        assert refused(lambda: self.delete(slow))[0] == "ResourceInUseException"
        slow.double.settle()
        assert self.describe(slow)["status"] == "ACTIVE"
        assert self.create(slow, "carts")["status"] == "CREATING"
        assert refused(lambda: self.delete(slow))[0] == "ResourceInUseException"
        slow.double.settle()
        assert self.delete(slow)["status"] == self.describe(slow)["status"] == "DELETING"
        assert refused(lambda: self.delete(slow, "carts"))[0] == "ResourceInUseException"
        assert "status DELETING" in refused(lambda: self.create(slow, "third"))[1]
        slow.double.settle()
        assert refused(lambda: self.describe(slow))[0] == "ResourceNotFoundException"
        assert slow.eks.list_fargate_profiles(clusterName=CLUSTER)["fargateProfileNames"] == ["carts"]

    def test_what_it_rests_on_is_checked(self, at: Fixture) -> None:
        code, message = refused(lambda: self.create(at, podExecutionRoleArn=at.node_role))
        assert code == "InvalidParameterException" and "eks-fargate-pods.amazonaws.com" in message
        ec2 = at.double.client("ec2")
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=at.vpc)
        table = ec2.create_route_table(VpcId=at.vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        ec2.associate_route_table(RouteTableId=table, SubnetId=at.subnets[0])
        code, message = refused(lambda: self.create(at))
        assert code == "InvalidParameterException" and f"{at.subnets[0]} provided in Fargate Profile is not a private" in message
        made = self.create(at, subnets=at.subnets[1:])
        assert (made["subnets"], made["selectors"][0]["namespace"]) == (at.subnets[1:], "shop")

    def test_the_quota_counts_every_profile(self, at: Fixture) -> None:
        assert at.double.control("PUT", "config", {"quotas": {"eks/L-33415657": 1}})[0] == 200
        self.create(at)
        assert refused(lambda: self.create(at, "carts"))[0] == "ResourceLimitExceededException"

    def test_one_that_failed_says_why(self, at: Fixture) -> None:
        outcomes = {"eks.fargate-profile.creating": {"then": "CREATE_FAILED", "count": 1}}
        assert at.double.control("PUT", "config", {"outcomes": outcomes})[0] == 200
        self.create(at)
        made = self.describe(at)
        assert (made["status"], made["health"]["issues"][0]["code"]) == ("CREATE_FAILED", "AccessDenied")
        self.delete(at)
        assert refused(lambda: self.describe(at))[0] == "ResourceNotFoundException"

    def test_it_lasts_until_its_pods_are_played(self, at: Fixture) -> None:
        assert at.double.control("PUT", "config", {"nodes_are_played": True})[0] == 200
        self.create(at)
        assert self.describe(at)["status"] == "CREATING"
        told = {"region": "eu-west-1", "cluster": CLUSTER, "fargate_profile": "orders"}
        assert at.double.control("POST", "nodes", told)[1] == {"accepted": True}
        assert self.describe(at)["status"] == "ACTIVE"
        self.delete(at)
        assert self.describe(at)["status"] == "DELETING"
        at.double.control("POST", "nodes", told)
        assert refused(lambda: self.describe(at))[0] == "ResourceNotFoundException"
