"""Reads that are only eventually consistent, for every service that Shopkeeper writes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shopkeeper_double.lifecycle import clock, settings
from test_eks import CLUSTER, Fixture

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def seen(read: Callable[[], Any]) -> Any:
    """What a read shows, or the code it is refused with."""
    try:
        return read()
    except ClientError as refused:
        return refused.response["Error"]["Code"]


@dataclass
class Kind:
    """A kind of resource: how it is made, changed, tagged and deleted, and how each of that is read."""

    service: str
    create: Callable[[Any], str]
    describe: Callable[[Any, str], Any]
    absent: str
    list: Callable[[Any], int]
    change: Callable[[Any, str], Any]
    value: Callable[[Any, str], Any]
    tag: Callable[[Any, str], Any]
    tags: Callable[[Any, str], Any]
    delete: Callable[[Any, str], Any] | None
    #: What must be there before.
    needs: Callable[[Any], Any] = field(default=lambda client: None)


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:eu-west-1:123456789012:{rest}"


KINDS = {
    "sqs": Kind(
        "sqs",
        create=lambda c: c.create_queue(QueueName="thing")["QueueUrl"],
        describe=lambda c, n: c.get_queue_url(QueueName="thing"),
        absent="AWS.SimpleQueueService.NonExistentQueue",
        list=lambda c: len(c.list_queues().get("QueueUrls", [])),
        change=lambda c, n: c.set_queue_attributes(QueueUrl=n, Attributes={"DelaySeconds": "7"}),
        value=lambda c, n: c.get_queue_attributes(QueueUrl=n, AttributeNames=["DelaySeconds"])["Attributes"],
        tag=lambda c, n: c.tag_queue(QueueUrl=n, Tags={"a": "b"}),
        tags=lambda c, n: c.list_queue_tags(QueueUrl=n).get("Tags", {}),
        delete=lambda c, n: c.delete_queue(QueueUrl=n),
    ),
    "sns": Kind(
        "sns",
        create=lambda c: c.create_topic(Name="thing")["TopicArn"],
        describe=lambda c, n: c.get_topic_attributes(TopicArn=n),
        absent="NotFound",
        list=lambda c: len(c.list_topics()["Topics"]),
        change=lambda c, n: c.set_topic_attributes(TopicArn=n, AttributeName="DisplayName", AttributeValue="x"),
        value=lambda c, n: c.get_topic_attributes(TopicArn=n)["Attributes"].get("DisplayName"),
        tag=lambda c, n: c.tag_resource(ResourceArn=n, Tags=[{"Key": "a", "Value": "b"}]),
        tags=lambda c, n: c.list_tags_for_resource(ResourceArn=n)["Tags"],
        delete=lambda c, n: c.delete_topic(TopicArn=n),
    ),
    "kms": Kind(
        "kms",
        create=lambda c: c.create_key()["KeyMetadata"]["KeyId"],
        describe=lambda c, n: c.describe_key(KeyId=n),
        absent="NotFoundException",
        list=lambda c: len(c.list_keys()["Keys"]),
        change=lambda c, n: c.update_key_description(KeyId=n, Description="x"),
        value=lambda c, n: c.describe_key(KeyId=n)["KeyMetadata"]["Description"],
        tag=lambda c, n: c.tag_resource(KeyId=n, Tags=[{"TagKey": "a", "TagValue": "b"}]),
        tags=lambda c, n: c.list_resource_tags(KeyId=n)["Tags"],
        delete=None,
    ),
    "iam": Kind(
        "iam",
        create=lambda c: c.create_role(RoleName="thing", AssumeRolePolicyDocument=TRUST)["Role"]["RoleName"],
        describe=lambda c, n: c.get_role(RoleName=n),
        absent="NoSuchEntity",
        list=lambda c: len(c.list_roles()["Roles"]),
        change=lambda c, n: c.update_role(RoleName=n, Description="x"),
        value=lambda c, n: c.get_role(RoleName=n)["Role"].get("Description"),
        tag=lambda c, n: c.tag_role(RoleName=n, Tags=[{"Key": "a", "Value": "b"}]),
        tags=lambda c, n: c.list_role_tags(RoleName=n)["Tags"],
        delete=lambda c, n: c.delete_role(RoleName=n),
    ),
    "s3": Kind(
        "s3",
        create=lambda c: "thing"
        if c.create_bucket(Bucket="thing", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        else "",
        describe=lambda c, n: c.get_bucket_location(Bucket=n),
        absent="NoSuchBucket",
        list=lambda c: len(c.list_buckets()["Buckets"]),
        change=lambda c, n: c.put_bucket_versioning(Bucket=n, VersioningConfiguration={"Status": "Enabled"}),
        value=lambda c, n: c.get_bucket_versioning(Bucket=n).get("Status"),
        tag=lambda c, n: c.put_bucket_tagging(Bucket=n, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}),
        tags=lambda c, n: seen(lambda: c.get_bucket_tagging(Bucket=n)["TagSet"]),
        delete=lambda c, n: c.delete_bucket(Bucket=n),
    ),
    "dynamodb": Kind(
        "dynamodb",
        create=lambda c: c.create_table(
            TableName="thing",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )["TableDescription"]["TableName"],
        describe=lambda c, n: c.describe_table(TableName=n),
        absent="ResourceNotFoundException",
        list=lambda c: len(c.list_tables()["TableNames"]),
        change=lambda c, n: c.update_table(TableName=n, DeletionProtectionEnabled=True),
        value=lambda c, n: c.describe_table(TableName=n)["Table"].get("DeletionProtectionEnabled"),
        tag=lambda c, n: c.tag_resource(ResourceArn=arn("dynamodb", f"table/{n}"), Tags=[{"Key": "a", "Value": "b"}]),
        tags=lambda c, n: c.list_tags_of_resource(ResourceArn=arn("dynamodb", f"table/{n}"))["Tags"],
        delete=lambda c, n: c.update_table(TableName=n, DeletionProtectionEnabled=False) and c.delete_table(TableName=n),
    ),
    "secretsmanager": Kind(
        "secretsmanager",
        create=lambda c: c.create_secret(Name="thing", SecretString="x")["Name"],
        describe=lambda c, n: c.describe_secret(SecretId=n),
        absent="ResourceNotFoundException",
        list=lambda c: len(c.list_secrets()["SecretList"]),
        change=lambda c, n: c.update_secret(SecretId=n, Description="x"),
        value=lambda c, n: c.describe_secret(SecretId=n).get("Description"),
        tag=lambda c, n: c.tag_resource(SecretId=n, Tags=[{"Key": "a", "Value": "b"}]),
        tags=lambda c, n: c.describe_secret(SecretId=n).get("Tags"),
        delete=lambda c, n: c.delete_secret(SecretId=n, ForceDeleteWithoutRecovery=True),
    ),
    "rds": Kind(
        "rds",
        create=lambda c: c.create_db_parameter_group(
            DBParameterGroupName="thing", DBParameterGroupFamily="postgres17", Description="d"
        )["DBParameterGroup"]["DBParameterGroupName"],
        describe=lambda c, n: c.describe_db_parameter_groups(DBParameterGroupName=n),
        absent="DBParameterGroupNotFound",
        list=lambda c: len(c.describe_db_parameter_groups()["DBParameterGroups"]),
        change=lambda c, n: c.modify_db_parameter_group(
            DBParameterGroupName=n,
            Parameters=[{"ParameterName": "log_statement", "ParameterValue": "ddl", "ApplyMethod": "immediate"}],
        ),
        value=lambda c, n: c.describe_db_parameters(DBParameterGroupName=n, Source="user")["Parameters"],
        tag=lambda c, n: c.add_tags_to_resource(ResourceName=arn("rds", f"pg:{n}"), Tags=[{"Key": "a", "Value": "b"}]),
        tags=lambda c, n: c.list_tags_for_resource(ResourceName=arn("rds", f"pg:{n}"))["TagList"],
        delete=lambda c, n: c.delete_db_parameter_group(DBParameterGroupName=n),
    ),
    "elasticache": Kind(
        "elasticache",
        create=lambda c: c.create_cache_parameter_group(
            CacheParameterGroupName="thing", CacheParameterGroupFamily="valkey8", Description="d"
        )["CacheParameterGroup"]["CacheParameterGroupName"],
        describe=lambda c, n: c.describe_cache_parameter_groups(CacheParameterGroupName=n),
        absent="CacheParameterGroupNotFound",
        list=lambda c: len(c.describe_cache_parameter_groups()["CacheParameterGroups"]),
        change=lambda c, n: c.modify_cache_parameter_group(
            CacheParameterGroupName=n,
            ParameterNameValues=[{"ParameterName": "maxmemory-policy", "ParameterValue": "allkeys-lru"}],
        ),
        value=lambda c, n: c.describe_cache_parameters(CacheParameterGroupName=n, Source="user")["Parameters"],
        tag=lambda c, n: c.add_tags_to_resource(
            ResourceName=arn("elasticache", f"parametergroup:{n}"), Tags=[{"Key": "a", "Value": "b"}]
        ),
        tags=lambda c, n: c.list_tags_for_resource(ResourceName=arn("elasticache", f"parametergroup:{n}"))["TagList"],
        delete=lambda c, n: c.delete_cache_parameter_group(CacheParameterGroupName=n),
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
class TestEveryService:
    def test_what_was_created_is_not_found_for_two_reads(self, double: Any, kind: Kind) -> None:
        client = double.client(kind.service)
        before = kind.list(client)
        double.fault(kind="stale", service=kind.service, writes="Create*", reads=2)
        name = kind.create(client)
        assert seen(lambda: kind.describe(client, name)) == kind.absent
        assert kind.list(client) == before
        assert isinstance(kind.describe(client, name), dict)
        assert kind.list(client) == before + 1

    def test_a_change_and_tags_show_late(self, double: Any, kind: Kind) -> None:
        client = double.client(kind.service)
        name = kind.create(client)
        value, tags = kind.value(client, name), kind.tags(client, name)
        double.fault(kind="stale", service=kind.service, seconds=30)
        kind.change(client, name)
        assert kind.value(client, name) == value
        clock.advance(31)
        assert kind.value(client, name) != value
        kind.tag(client, name)
        assert kind.tags(client, name) == tags
        double.control("DELETE", "faults")
        assert kind.tags(client, name) != tags

    def test_what_was_deleted_is_still_there_for_a_while(self, double: Any, kind: Kind) -> None:
        if kind.delete is None:
            pytest.skip("is not deleted at once")
        client = double.client(kind.service)
        name = kind.create(client)
        there = kind.list(client)
        double.fault(kind="stale", service=kind.service, writes="Delete*", seconds=30)
        kind.delete(client, name)
        assert kind.list(client) == there
        assert isinstance(kind.describe(client, name), dict)
        clock.advance(31)
        assert kind.list(client) == there - 1
        assert seen(lambda: kind.describe(client, name)) in (kind.absent, "NonExistentQueue")


class TestWhatIsConcerned:
    def test_other_resources_are_read_as_they_are(self, double: Any) -> None:
        sqs = double.client("sqs")
        urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("a", "b")}
        double.fault(kind="stale", service="sqs", resource="*/a")

        def delay(name: str) -> str:
            answer = sqs.get_queue_attributes(QueueUrl=urls[name], AttributeNames=["DelaySeconds"])
            return answer["Attributes"]["DelaySeconds"]

        for name in urls:
            sqs.set_queue_attributes(QueueUrl=urls[name], Attributes={"DelaySeconds": "9"})
        assert (delay("a"), delay("b")) == ("0", "9")

    def test_a_refused_write_makes_nothing_stale(self, double: Any) -> None:
        sqs = double.client("sqs")
        sqs.create_queue(QueueName="a")
        double.fault(kind="stale", service="sqs")
        assert seen(lambda: sqs.delete_queue(QueueUrl=f"{double.endpoint}/123456789012/absent")) is not None
        sqs.list_queues()
        assert double.calls()[-1]["fault"] is None

    def test_a_node_group_that_is_not_found_yet_and_the_list_without_it(self, double: Any) -> None:
        at = Fixture(double)
        at.create("search")
        double.fault(kind="stale", service="eks", writes="CreateNodegroup", seconds=30)
        at.create("web")
        assert seen(lambda: at.describe("web")) == "ResourceNotFoundException"
        assert at.eks.list_nodegroups(clusterName=CLUSTER)["nodegroups"] == ["search"]
        assert at.describe("search")["status"] == "ACTIVE"
        assert at.eks.describe_cluster(name=CLUSTER)["cluster"]["status"] == "ACTIVE"
        assert [each["fault"] for each in double.calls(service="eks")][-4:] == ["stale", "stale", None, None]
        clock.advance(31)
        assert at.describe("web")["status"] == "ACTIVE"

    def test_a_transition_ends_for_the_resource_and_not_for_the_copy(self, double: Any) -> None:
        """A stale answer neither finishes the resource's transition nor loses it."""
        at = Fixture(double)
        settings.change(default_seconds=100.0)
        told = at.create("web")
        rule = double.fault(kind="stale", service="eks", writes="TagResource")
        at.eks.tag_resource(resourceArn=told["nodegroupArn"], tags={"a": "b"})
        clock.advance(101)
        assert at.describe("web")["status"] == "CREATING", "as it was"
        double.control("DELETE", f"faults?id={rule}")
        assert at.describe("web")["status"] == "ACTIVE"
        assert at.describe("web")["tags"]["a"] == "b"
