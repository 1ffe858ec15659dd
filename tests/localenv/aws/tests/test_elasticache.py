"""ElastiCache: what an operator of caches meets on AWS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


class Fixture:
    """A VPC with three subnets, a security group, a key, a subnet group; and the settings of a group AWS accepts."""

    def __init__(self, double: Any) -> None:
        self.double = double
        self.cache = double.client("elasticache")
        ec2 = double.client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate("abc")
        ]
        self.group = ec2.create_security_group(GroupName="cache", Description="cache", VpcId=self.vpc)["GroupId"]
        self.key = double.client("kms").create_key(Description="cache")["KeyMetadata"]["Arn"]
        self.cache.create_cache_subnet_group(
            CacheSubnetGroupName="private", CacheSubnetGroupDescription="d", SubnetIds=self.subnets
        )

    def create(self, name: str = "carts", **changes: Any) -> dict[str, Any]:
        given = {
            "ReplicationGroupId": name,
            "ReplicationGroupDescription": "d",
            "Engine": "valkey",
            "EngineVersion": "8.0",
            "CacheNodeType": "cache.t4g.small",
            "NumNodeGroups": 1,
            "ReplicasPerNodeGroup": 1,
            "AutomaticFailoverEnabled": True,
            "MultiAZEnabled": True,
            "TransitEncryptionEnabled": True,
            "AtRestEncryptionEnabled": True,
            "KmsKeyId": self.key,
            "CacheSubnetGroupName": "private",
            "SecurityGroupIds": [self.group],
            "SnapshotRetentionLimit": 3,
            "Tags": [{"Key": "owner", "Value": "shop"}],
        } | changes
        given = {key: value for key, value in given.items() if value is not None}
        return self.cache.create_replication_group(**given)["ReplicationGroup"]

    def describe(self, name: str = "carts") -> dict[str, Any]:
        return self.cache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0]

    def modify(self, name: str = "carts", **changes: Any) -> dict[str, Any]:
        return self.cache.modify_replication_group(ReplicationGroupId=name, **changes)["ReplicationGroup"]

    def members(self, name: str = "carts") -> list[dict[str, Any]]:
        clusters = self.cache.describe_cache_clusters(ShowCacheNodeInfo=True)["CacheClusters"]
        return [each for each in clusters if each.get("ReplicationGroupId") == name]

    def count(self, operation: str, replicas: int, name: str = "carts") -> Any:
        call = getattr(self.cache, f"{operation}_replica_count")
        return call(ReplicationGroupId=name, NewReplicaCount=replicas, ApplyImmediately=True)


@pytest.fixture
def aws(double: Any) -> Fixture:
    return Fixture(double)


@pytest.fixture
def slow(aws: Fixture, lasting: None) -> Fixture:
    return aws


# --- states ----------------------------------------------------------------------------------------------------------


def test_a_group_is_created_and_then_has_addresses(slow: Fixture) -> None:
    assert slow.create()["Status"] == "creating"
    shown = slow.describe()
    assert shown["Status"] == "creating"
    assert not shown.get("NodeGroups"), "the nodes have no addresses before they exist"
    assert [each["CacheClusterStatus"] for each in slow.members()] == ["creating", "creating"]
    slow.double.settle()
    shown = slow.describe()
    assert shown["Status"] == "available"
    shard = shown["NodeGroups"][0]
    assert shard["PrimaryEndpoint"]["Address"].startswith("master.carts.")
    assert shard["PrimaryEndpoint"]["Address"].endswith(".euw1.cache.amazonaws.com")
    assert shard["PrimaryEndpoint"]["Port"] == 6379
    assert shard["ReaderEndpoint"]["Address"].startswith("replica.carts.")
    assert [each["CurrentRole"] for each in shard["NodeGroupMembers"]] == ["primary", "replica"]
    members = slow.members()
    assert [each["CacheClusterId"] for each in members] == shown["MemberClusters"] == ["carts-001", "carts-002"]
    assert members[0]["CacheNodes"][0]["Endpoint"]["Address"].startswith("carts-001.carts.")
    assert len({each["PreferredAvailabilityZone"] for each in members}) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda aws: aws.modify(CacheNodeType="cache.t4g.medium", ApplyImmediately=True),
        lambda aws: aws.count("increase", 2),
        lambda aws: aws.cache.test_failover(ReplicationGroupId="carts", NodeGroupId="0001"),
        lambda aws: aws.cache.create_snapshot(ReplicationGroupId="carts", SnapshotName="s"),
        lambda aws: aws.cache.delete_replication_group(ReplicationGroupId="carts"),
        lambda aws: aws.cache.add_tags_to_resource(ResourceName=aws.describe()["ARN"], Tags=[{"Key": "tier", "Value": "a"}]),
    ],
)
def test_what_needs_an_available_group_is_refused_while_it_is_created(slow: Fixture, call: Any) -> None:
    slow.create()
    assert refused(lambda: call(slow)) == "InvalidReplicationGroupState"


def test_deletion_lasts_ends_and_leaves_a_snapshot(slow: Fixture) -> None:
    made = slow.create()
    slow.double.settle()
    delete = lambda: slow.cache.delete_replication_group(ReplicationGroupId="carts", FinalSnapshotIdentifier="last")  # noqa: E731
    assert delete()["ReplicationGroup"]["Status"] == "deleting"
    assert slow.describe()["Status"] == "deleting"
    assert refused(delete) == "InvalidReplicationGroupState"
    assert refused(slow.create) == "ReplicationGroupAlreadyExists"
    slow.double.settle()
    assert refused(slow.describe) == "ReplicationGroupNotFoundFault"
    assert slow.members() == []
    snapshot = slow.cache.describe_snapshots(SnapshotName="last")["Snapshots"][0]
    assert (snapshot["SnapshotStatus"], snapshot["ReplicationGroupId"]) == ("available", "carts")
    again = slow.create()
    assert (again["ReplicationGroupCreateTime"] - made["ReplicationGroupCreateTime"]).total_seconds() > 1


# --- create ----------------------------------------------------------------------------------------------------------


def test_what_a_request_says_is_what_is_shown(aws: Fixture) -> None:
    aws.create(
        Engine="redis",
        EngineVersion="7.1",
        Port=6380,
        AuthToken="abcdefghijklmnop1234",
        SnapshotWindow="03:00-04:00",
        PreferredMaintenanceWindow="Mon:05:00-Mon:06:00",
    )
    shown = aws.describe()
    for key, value in {
        "AutomaticFailover": "enabled",
        "MultiAZ": "enabled",
        "TransitEncryptionEnabled": True,
        "TransitEncryptionMode": "required",
        "AtRestEncryptionEnabled": True,
        "KmsKeyId": aws.key,
        "AuthTokenEnabled": True,
        "SnapshotRetentionLimit": 3,
        "SnapshotWindow": "03:00-04:00",
        "ClusterEnabled": False,
        "ClusterMode": "disabled",
        "Engine": "redis",
        "SnapshottingClusterId": "carts-002",
    }.items():
        assert shown[key] == value, key
    member = aws.members()[0]
    assert member["EngineVersion"] == "7.1.0"
    assert member["CacheSubnetGroupName"] == "private"
    assert member["PreferredMaintenanceWindow"] == "mon:05:00-mon:06:00"
    assert member["SecurityGroups"] == [{"SecurityGroupId": aws.group, "Status": "active"}]
    assert member["CacheParameterGroup"]["CacheParameterGroupName"] == "default.redis7"
    assert member["CacheNodes"][0]["Endpoint"]["Port"] == 6380


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Engine": "memcached"}, "InvalidParameterValue"),
        ({"EngineVersion": "9.9"}, "InvalidParameterValue"),
        ({"CacheNodeType": "cache.huge"}, "InvalidParameterValue"),
        ({"ReplicasPerNodeGroup": 6}, "InvalidParameterValue"),
        ({"ReplicasPerNodeGroup": 0}, "InvalidParameterCombination"),
        ({"AutomaticFailoverEnabled": False}, "InvalidParameterCombination"),
        ({"NumCacheClusters": 2}, "InvalidParameterCombination"),
        ({"AuthToken": "abcdefghijklmnop1234", "TransitEncryptionEnabled": False}, "InvalidParameterCombination"),
        ({"AuthToken": "short"}, "InvalidParameterValue"),
        ({"AtRestEncryptionEnabled": False}, "InvalidParameterCombination"),
        ({"KmsKeyId": "6fd4a1c5-6dd4-4b0e-9d2f-0123456789ab"}, "InvalidKMSKeyFault"),
        ({"SnapshotRetentionLimit": 36}, "InvalidParameterValue"),
        ({"CacheSubnetGroupName": "absent"}, "CacheSubnetGroupNotFoundFault"),
        ({"CacheParameterGroupName": "absent"}, "CacheParameterGroupNotFound"),
        ({"CacheParameterGroupName": "default.redis7"}, "InvalidParameterCombination"),
        ({"NumNodeGroups": 2, "CacheParameterGroupName": "default.valkey8"}, "InvalidParameterCombination"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidParameterValue"),
        ({"UserGroupIds": ["absent"]}, "UserGroupNotFound"),
        ({"SnapshotName": "absent"}, "SnapshotNotFoundFault"),
    ],
)
def test_settings_that_aws_refuses(aws: Fixture, change: dict[str, Any], code: str) -> None:
    assert refused(lambda: aws.create(**change)) == code
    assert aws.cache.describe_replication_groups()["ReplicationGroups"] == []


# --- modify ----------------------------------------------------------------------------------------------------------


def test_a_change_of_node_type_waits_or_lasts(slow: Fixture) -> None:
    slow.create()
    slow.double.settle()
    slow.modify(CacheNodeType="cache.t4g.medium", ReplicationGroupDescription="shopping carts")
    shown = slow.describe()
    assert (shown["Status"], shown["CacheNodeType"]) == ("available", "cache.t4g.small")
    assert shown["Description"] == "shopping carts"
    assert slow.members()[0]["PendingModifiedValues"] == {"CacheNodeType": "cache.t4g.medium"}
    slow.modify(CacheNodeType="cache.r7g.large", ApplyImmediately=True)
    shown = slow.describe()
    assert (shown["Status"], shown["CacheNodeType"]) == ("modifying", "cache.t4g.small")
    assert refused(lambda: slow.modify(SnapshotRetentionLimit=1)) == "InvalidReplicationGroupState"
    slow.double.settle()
    shown = slow.describe()
    assert (shown["Status"], shown["CacheNodeType"]) == ("available", "cache.r7g.large")
    assert slow.members()[0]["PendingModifiedValues"] == {}


def test_an_engine_goes_up_and_from_redis_to_valkey(aws: Fixture) -> None:
    aws.create(Engine="redis", EngineVersion="7.0")
    up = lambda **given: aws.modify(ApplyImmediately=True, **given)  # noqa: E731
    assert refused(lambda: up(EngineVersion="6.2")) == "InvalidParameterCombination"
    up(EngineVersion="7.1")
    assert aws.members()[0]["EngineVersion"] == "7.1.0"
    up(Engine="valkey", EngineVersion="8.0")
    assert aws.describe()["Engine"] == "valkey"
    assert aws.members()[0]["CacheParameterGroup"]["CacheParameterGroupName"] == "default.valkey8"
    assert refused(lambda: up(Engine="redis", EngineVersion="7.1")) == "InvalidParameterCombination"


def test_replicas_are_added_and_taken_away(slow: Fixture) -> None:
    slow.create()
    slow.double.settle()
    slow.count("increase", 3)
    assert slow.describe()["Status"] == "modifying"
    assert len(slow.describe()["MemberClusters"]) == 2
    slow.double.settle()
    shown = slow.describe()
    assert len(shown["MemberClusters"]) == len(shown["NodeGroups"][0]["NodeGroupMembers"]) == len(slow.members()) == 4
    assert refused(lambda: slow.count("increase", 3)) == "NoOperationFault"
    assert refused(lambda: slow.count("increase", 6)) == "InvalidParameterValue"
    assert refused(lambda: slow.count("increase", 2)) == "InvalidParameterCombination"
    assert refused(lambda: slow.count("decrease", 0)) == "InvalidParameterCombination"
    slow.count("decrease", 1)
    slow.double.settle()
    shown = slow.describe()
    assert shown["MemberClusters"] == ["carts-001", "carts-002"]
    assert shown["NodeGroups"][0]["NodeGroupMembers"][0]["CurrentRole"] == "primary"
    # A name is not used twice: the next replica is a new one.
    slow.count("increase", 2)
    slow.double.settle()
    assert slow.describe()["MemberClusters"] == ["carts-001", "carts-002", "carts-005"]


def test_a_failover_makes_a_replica_the_primary(aws: Fixture) -> None:
    aws.create()
    aws.cache.test_failover(ReplicationGroupId="carts", NodeGroupId="0001")
    roles = {each["CacheClusterId"]: each["CurrentRole"] for each in aws.describe()["NodeGroups"][0]["NodeGroupMembers"]}
    assert roles == {"carts-001": "replica", "carts-002": "primary"}
    absent = lambda: aws.cache.test_failover(ReplicationGroupId="carts", NodeGroupId="0009")  # noqa: E731
    assert refused(absent) == "NodeGroupNotFoundFault"


def test_cluster_mode_has_slots_and_is_resharded(slow: Fixture) -> None:
    slow.create(NumNodeGroups=3, CacheParameterGroupName="default.valkey8.cluster.on")
    slow.double.settle()
    shown = slow.describe()
    assert shown["ClusterEnabled"] is True
    assert shown["ConfigurationEndpoint"]["Address"].startswith("clustercfg.carts.")
    assert [each["Slots"] for each in shown["NodeGroups"]] == ["0-5460", "5461-10922", "10923-16383"]
    assert shown["MemberClusters"][0] == "carts-0001-001"

    def reshard(count: int, **given: Any) -> Any:
        return slow.cache.modify_replication_group_shard_configuration(
            ReplicationGroupId="carts", NodeGroupCount=count, ApplyImmediately=True, **given
        )

    reshard(4)
    assert (slow.describe()["Status"], len(slow.describe()["NodeGroups"])) == ("modifying", 3)
    assert "Resharding" in slow.describe()["PendingModifiedValues"]
    slow.double.settle()
    shown = slow.describe()
    assert [each["NodeGroupId"] for each in shown["NodeGroups"]] == ["0001", "0002", "0003", "0004"]
    assert len(shown["MemberClusters"]) == 8
    assert refused(lambda: reshard(2)) == "InvalidParameterCombination"
    reshard(2, NodeGroupsToRemove=["0001", "0003"])
    slow.double.settle()
    shown = slow.describe()
    assert [(each["NodeGroupId"], each["Slots"]) for each in shown["NodeGroups"]] == [
        ("0002", "0-8191"),
        ("0004", "8192-16383"),
    ]


def test_a_refused_change_changes_nothing(aws: Fixture) -> None:
    aws.create()
    before = aws.describe()
    call = lambda: aws.modify(ReplicationGroupDescription="x", SnapshotRetentionLimit=9, CacheNodeType="cache.huge")  # noqa: E731
    assert refused(call) == "InvalidParameterValue"
    assert aws.describe() == before


# --- groups ----------------------------------------------------------------------------------------------------------


def test_groups_in_use_stay(aws: Fixture) -> None:
    aws.cache.create_cache_parameter_group(
        CacheParameterGroupName="tuned", CacheParameterGroupFamily="valkey8", Description="d"
    )
    aws.create(CacheParameterGroupName="tuned")
    assert refused(lambda: aws.cache.delete_cache_subnet_group(CacheSubnetGroupName="private")) == "CacheSubnetGroupInUse"
    assert (
        refused(lambda: aws.cache.delete_cache_parameter_group(CacheParameterGroupName="tuned"))
        == "InvalidCacheParameterGroupState"
    )
    aws.cache.delete_replication_group(ReplicationGroupId="carts")
    aws.cache.delete_cache_subnet_group(CacheSubnetGroupName="private")
    aws.cache.delete_cache_parameter_group(CacheParameterGroupName="tuned")
    assert (
        refused(lambda: aws.cache.describe_cache_subnet_groups(CacheSubnetGroupName="private"))
        == "CacheSubnetGroupNotFoundFault"
    )


def test_parameters_have_defaults_and_come_back_to_them(aws: Fixture) -> None:
    cache = aws.cache
    cache.create_cache_parameter_group(CacheParameterGroupName="tuned", CacheParameterGroupFamily="valkey8", Description="d")

    def parameter(name: str) -> dict[str, Any]:
        pages = cache.get_paginator("describe_cache_parameters").paginate(
            CacheParameterGroupName="tuned", PaginationConfig={"PageSize": 20}
        )
        return next(each for answer in pages for each in answer["Parameters"] if each["ParameterName"] == name)

    def set_to(name: str, value: str, group: str = "tuned") -> None:
        change = {"ParameterName": name, "ParameterValue": value}
        cache.modify_cache_parameter_group(CacheParameterGroupName=group, ParameterNameValues=[change])

    assert parameter("maxmemory-policy")["ParameterValue"] == "volatile-lru"
    assert refused(lambda: set_to("no-such-parameter", "1")) == "InvalidParameterValue"
    assert refused(lambda: set_to("maxmemory-policy", "sometimes")) == "InvalidParameterValue"
    assert refused(lambda: set_to("maxmemory-policy", "noeviction", "default.valkey8")) == "InvalidCacheParameterGroupState"
    set_to("maxmemory-policy", "allkeys-lru")
    assert (parameter("maxmemory-policy")["ParameterValue"], parameter("maxmemory-policy")["Source"]) == (
        "allkeys-lru",
        "user",
    )
    cache.reset_cache_parameter_group(CacheParameterGroupName="tuned", ResetAllParameters=True)
    assert parameter("maxmemory-policy")["ParameterValue"] == "volatile-lru"


# --- lists and tags --------------------------------------------------------------------------------------------------


def test_pages_hold_every_group_once(aws: Fixture) -> None:
    for number in range(22):
        aws.create(f"c-{number:02}", ReplicasPerNodeGroup=0, AutomaticFailoverEnabled=False, MultiAZEnabled=False)
    first = aws.cache.describe_replication_groups(MaxRecords=20)
    assert len(first["ReplicationGroups"]) == 20
    second = aws.cache.describe_replication_groups(MaxRecords=20, Marker=first["Marker"])
    assert [each["ReplicationGroupId"] for each in second["ReplicationGroups"]] == ["c-20", "c-21"]
    assert "Marker" not in second


def test_tags_are_seen_wherever_they_are_shown(aws: Fixture) -> None:
    arn = aws.create()["ARN"]
    aws.cache.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "tier", "Value": "a"}])
    aws.cache.remove_tags_from_resource(ResourceName=arn, TagKeys=["owner"])
    assert aws.cache.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "tier", "Value": "a"}]
    assert refused(lambda: aws.cache.remove_tags_from_resource(ResourceName=arn, TagKeys=["owner"])) == "TagNotFound"
    entries = aws.double.control("GET", "inventory?service=elasticache")[1]["resources"]
    found = [(each["name"], each["status"], each["tags"]) for each in entries if each["type"] == "replication-group"]
    assert found == [("carts", "available", {"tier": "a"})]
    tagging = aws.double.client("resourcegroupstaggingapi")
    mappings = tagging.get_resources(TagFilters=[{"Key": "tier"}])["ResourceTagMappingList"]
    assert [each["ResourceARN"] for each in mappings] == [arn]
    absent = arn.replace("carts", "absent")
    assert refused(lambda: aws.cache.list_tags_for_resource(ResourceName=absent)) == "ReplicationGroupNotFoundFault"


# --- snapshots, users, serverless, memcached -------------------------------------------------------------------------


def test_a_snapshot_lasts_and_restores(slow: Fixture) -> None:
    slow.create(Engine="redis", EngineVersion="7.1")
    slow.double.settle()
    slow.cache.create_snapshot(ReplicationGroupId="carts", SnapshotName="s1")
    assert slow.describe()["Status"] == "snapshotting"
    restore = lambda: slow.create("copy", SnapshotName="s1", EngineVersion=None, Engine="redis")  # noqa: E731
    assert refused(restore) == "InvalidSnapshotState"
    assert refused(lambda: slow.cache.delete_snapshot(SnapshotName="s1")) == "InvalidSnapshotState"
    slow.double.settle()
    restore()
    assert slow.members("copy")[0]["EngineVersion"] == "7.1.0"
    assert slow.describe()["Status"] == "available"


def test_user_groups_need_a_default_user_and_have_states(slow: Fixture) -> None:
    cache = slow.cache
    password = {"Type": "password", "Passwords": ["abcdefghijklmnop1234"]}
    app = {"UserId": "app", "UserName": "app", "Engine": "redis", "AccessString": "on ~app:* +@read"}
    assert refused(lambda: cache.create_user(**app)) == "InvalidParameterValue"
    created = cache.create_user(**app, AuthenticationMode=password)
    assert (created["Status"], created["Authentication"]) == ("active", {"Type": "password", "PasswordCount": 1})
    make = lambda users: cache.create_user_group(UserGroupId="shop", Engine="redis", UserIds=users)  # noqa: E731
    assert refused(lambda: make(["app"])) == "DefaultUserRequired"
    assert refused(lambda: make(["absent"])) == "UserNotFound"
    assert make(["default", "app"])["Status"] == "creating"
    assert refused(lambda: cache.modify_user_group(UserGroupId="shop", UserIdsToRemove=["app"])) == "InvalidUserGroupState"
    assert refused(lambda: slow.create(UserGroupIds=["shop"])) == "InvalidUserGroupState"
    slow.double.settle()
    slow.create(UserGroupIds=["shop"])
    assert slow.describe()["UserGroupIds"] == ["shop"]
    shown = cache.describe_user_groups(UserGroupId="shop")["UserGroups"][0]
    assert (shown["Status"], shown["ReplicationGroups"]) == ("active", ["carts"])
    assert cache.describe_users(UserId="app")["Users"][0]["UserGroupIds"] == ["shop"]
    cache.modify_user(UserId="app", AccessString="off ~* +@all")
    assert cache.describe_users(UserId="app")["Users"][0]["Status"] == "modifying"
    cache.modify_user_group(UserGroupId="shop", UserIdsToRemove=["app"])
    slow.double.settle()
    assert cache.describe_user_groups(UserGroupId="shop")["UserGroups"][0]["UserIds"] == ["default"]
    assert refused(lambda: cache.delete_user(UserId="default")) == "InvalidParameterValue"
    cache.delete_user(UserId="app")
    assert cache.describe_users(UserId="app")["Users"][0]["Status"] == "deleting"
    slow.double.settle()
    assert refused(lambda: cache.describe_users(UserId="app")) == "UserNotFound"


def test_a_user_group_comes_and_goes_while_a_cache_is_modified(slow: Fixture) -> None:
    cache = slow.cache
    user = {"Engine": "redis", "AccessString": "on ~* +@all", "AuthenticationMode": {"Type": "iam"}}
    assert refused(lambda: cache.create_user(UserId="app", UserName="other", **user)) == "InvalidParameterCombination"
    cache.create_user(UserId="app", UserName="app", **user)
    cache.create_user_group(UserGroupId="shop", Engine="redis", UserIds=["default", "app"])
    cache.create_user_group(UserGroupId="others", Engine="redis", UserIds=["default"])
    slow.create(TransitEncryptionEnabled=False, TransitEncryptionMode=None)
    slow.double.settle()
    change = lambda **changes: slow.modify(ApplyImmediately=True, **changes)  # noqa: E731
    assert refused(lambda: change(UserGroupIdsToAdd=["shop"])) == "InvalidParameterCombination"
    change(TransitEncryptionEnabled=True, TransitEncryptionMode="preferred")
    slow.double.settle()
    change(UserGroupIdsToAdd=["shop"])
    shown = slow.describe()
    assert (shown["Status"], shown["UserGroupIds"]) == ("modifying", [])
    assert shown["PendingModifiedValues"]["UserGroups"]["UserGroupIdsToAdd"] == ["shop"]
    slow.double.settle()
    assert slow.describe()["UserGroupIds"] == ["shop"]
    change(UserGroupIdsToAdd=["others"], UserGroupIdsToRemove=["shop"])
    slow.double.settle()
    assert slow.describe()["UserGroupIds"] == ["others"]
    assert refused(lambda: change(UserGroupIdsToRemove=["shop"])) == "InvalidParameterValue"
    cache.delete_user_group(UserGroupId="shop")
    assert cache.describe_user_groups(UserGroupId="shop")["UserGroups"][0]["Status"] == "deleting"
    slow.double.settle()
    assert refused(lambda: cache.describe_user_groups(UserGroupId="shop")) == "UserGroupNotFound"


def test_engines_of_users_and_groups_have_to_fit(aws: Fixture) -> None:
    cache = aws.cache
    user = {"AccessString": "on ~* +@all"}
    password = {"Type": "password", "Passwords": ["abcdefghijklmnop1234"]}
    cache.create_user(UserId="old", UserName="old", Engine="redis", AuthenticationMode=password, **user)
    cache.create_user(UserId="open", UserName="open", Engine="redis", NoPasswordRequired=True, **user)
    cache.create_user(UserId="new", UserName="new", Engine="valkey", AuthenticationMode=password, **user)
    cache.create_user(UserId="nobody", UserName="default", Engine="redis", AuthenticationMode=password, AccessString="off")
    make = lambda engine, *users: cache.create_user_group(  # noqa: E731
        UserGroupId=f"{engine}-users", Engine=engine, UserIds=list(users)
    )
    assert refused(lambda: make("redis", "nobody", "new")) == "InvalidParameterCombination"
    assert refused(lambda: make("valkey", "new", "open")) == "InvalidParameterCombination"
    make("valkey", "new", "old")
    make("redis", "nobody", "old")
    create = lambda name, group, **engine: aws.create(name, UserGroupIds=[group], **engine)  # noqa: E731
    redis = {"Engine": "redis", "EngineVersion": "7.1"}
    assert refused(lambda: create("sessions", "valkey-users", **redis)) == "InvalidParameterCombination"
    create("sessions", "redis-users", **redis)
    create("carts", "redis-users")
    create("pages", "valkey-users")
    assert refused(lambda: cache.delete_user(UserId="nobody")) == "DefaultUserAssociatedToUserGroup"
    # Any other user leaves its groups.
    cache.delete_user(UserId="old")
    assert cache.describe_user_groups(UserGroupId="redis-users")["UserGroups"][0]["UserIds"] == ["nobody"]


def test_a_serverless_cache_goes_through_its_states(slow: Fixture) -> None:
    cache = slow.cache
    limits = {"DataStorage": {"Maximum": 10, "Unit": "GB"}, "ECPUPerSecond": {"Maximum": 5000}}
    given = {"ServerlessCacheName": "sessions", "Engine": "valkey", "SubnetIds": slow.subnets[:2], "CacheUsageLimits": limits}
    assert cache.create_serverless_cache(**given)["ServerlessCache"]["Status"] == "creating"
    describe = lambda: cache.describe_serverless_caches(ServerlessCacheName="sessions")["ServerlessCaches"][0]  # noqa: E731
    delete = lambda: cache.delete_serverless_cache(ServerlessCacheName="sessions", FinalSnapshotName="last")  # noqa: E731
    assert "Endpoint" not in describe()
    assert refused(delete) == "InvalidServerlessCacheStateFault"
    assert refused(lambda: cache.create_serverless_cache(**given)) == "ServerlessCacheAlreadyExistsFault"
    slow.double.settle()
    assert describe()["Endpoint"]["Address"].endswith(".serverless.euw1.cache.amazonaws.com")
    cache.modify_serverless_cache(ServerlessCacheName="sessions", CacheUsageLimits={"ECPUPerSecond": {"Maximum": 9000}})
    assert describe()["Status"] == "modifying"
    slow.double.settle()
    assert describe()["CacheUsageLimits"] == limits | {"ECPUPerSecond": {"Maximum": 9000}}
    delete()
    assert describe()["Status"] == "deleting"
    slow.double.settle()
    assert refused(describe) == "ServerlessCacheNotFoundFault"
    snapshots = cache.describe_serverless_cache_snapshots(ServerlessCacheSnapshotName="last")["ServerlessCacheSnapshots"]
    assert [each["Status"] for each in snapshots] == ["available"]


def test_a_memcached_cluster_grows_and_shrinks(aws: Fixture) -> None:
    cache = aws.cache
    cache.create_cache_cluster(
        CacheClusterId="pages",
        Engine="memcached",
        CacheNodeType="cache.t4g.small",
        NumCacheNodes=2,
        CacheSubnetGroupName="private",
        AZMode="cross-az",
    )
    describe = lambda: cache.describe_cache_clusters(CacheClusterId="pages", ShowCacheNodeInfo=True)["CacheClusters"][0]  # noqa: E731
    modify = lambda **given: cache.modify_cache_cluster(CacheClusterId="pages", ApplyImmediately=True, **given)  # noqa: E731
    shown = describe()
    assert shown["ConfigurationEndpoint"]["Address"].endswith(".cfg.euw1.cache.amazonaws.com")
    assert [each["CacheNodeId"] for each in shown["CacheNodes"]] == ["0001", "0002"]
    assert shown["PreferredAvailabilityZone"] == "Multiple"
    modify(NumCacheNodes=3)
    assert refused(lambda: modify(NumCacheNodes=2)) == "InvalidParameterCombination"
    modify(NumCacheNodes=2, CacheNodeIdsToRemove=["0001"])
    assert [each["CacheNodeId"] for each in describe()["CacheNodes"]] == ["0002", "0003"]
    cache.delete_cache_cluster(CacheClusterId="pages")
    assert refused(describe) == "CacheClusterNotFound"


def test_a_creation_may_fail(aws: Fixture) -> None:
    aws.double.control(
        "PUT", "config", {"outcomes": {"elasticache.replication-group.creating": {"then": "create-failed", "count": 1}}}
    )
    aws.create()
    assert aws.describe()["Status"] == "create-failed"
    assert refused(lambda: aws.modify(SnapshotRetentionLimit=1)) == "InvalidReplicationGroupState"
    aws.cache.delete_replication_group(ReplicationGroupId="carts")
    assert refused(aws.describe) == "ReplicationGroupNotFoundFault"
