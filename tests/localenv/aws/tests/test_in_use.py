"""What AWS refuses while something is in use, busy or just gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

import test_eks
import test_elasticache
import test_rds
from shopkeeper_double.lifecycle import clock, settings
from test_core import refused as refused_with_status
from test_stale import TRUST


def refused(call: Any) -> str:
    return refused_with_status(call)[0]


class TestDatabases:
    def test_groups_and_keys_of_an_instance(self, double: Any) -> None:
        aws = test_rds.Fixture(double)
        aws.rds.create_db_parameter_group(DBParameterGroupName="p", DBParameterGroupFamily="postgres16", Description="d")
        aws.create(DBParameterGroupName="p")
        ec2 = double.client("ec2")
        assert refused(lambda: aws.rds.delete_db_subnet_group(DBSubnetGroupName="private")) == "InvalidDBSubnetGroupStateFault"
        assert refused(lambda: aws.rds.delete_db_parameter_group(DBParameterGroupName="p")) == "InvalidDBParameterGroupState"
        assert refused(lambda: ec2.delete_security_group(GroupId=aws.group)) == "DependencyViolation"
        assert refused(lambda: ec2.delete_subnet(SubnetId=aws.subnets[0])) == "DependencyViolation"
        aws.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)
        aws.rds.describe_db_instances()
        aws.rds.delete_db_parameter_group(DBParameterGroupName="p")
        aws.rds.delete_db_subnet_group(DBSubnetGroupName="private")
        ec2.delete_security_group(GroupId=aws.group)
        ec2.delete_subnet(SubnetId=aws.subnets[0])

    def test_an_instance_that_is_not_available(self, double: Any) -> None:
        aws = test_rds.Fixture(double)
        settings.change(default_seconds=100.0)
        aws.create()
        assert refused(lambda: aws.modify(AllocatedStorage=200)) == "InvalidDBInstanceState"
        assert refused(lambda: aws.rds.reboot_db_instance(DBInstanceIdentifier="orders")) == "InvalidDBInstanceState"
        aws.settled()
        aws.modify(AllocatedStorage=200, ApplyImmediately=True)
        assert refused(lambda: aws.rds.stop_db_instance(DBInstanceIdentifier="orders")) == "InvalidDBInstanceState"
        assert refused(
            lambda: aws.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="s")
        ) in ("InvalidDBInstanceState", None)

    def test_a_protected_instance(self, double: Any) -> None:
        aws = test_rds.Fixture(double)
        aws.create(DeletionProtection=True)
        call = lambda: aws.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)  # noqa: E731
        assert refused(call) == "InvalidParameterCombination"

    def test_a_key_that_is_scheduled_for_deletion_makes_nothing(self, double: Any) -> None:
        aws = test_rds.Fixture(double)
        double.client("kms").schedule_key_deletion(KeyId=aws.key, PendingWindowInDays=7)
        assert refused(aws.create) == "KMSKeyNotAccessibleFault"


class TestCaches:
    def test_groups_of_a_replication_group(self, double: Any) -> None:
        aws = test_elasticache.Fixture(double)
        aws.cache.create_cache_parameter_group(
            CacheParameterGroupName="p", CacheParameterGroupFamily="valkey8", Description="d"
        )
        aws.create(CacheParameterGroupName="p")
        ec2 = double.client("ec2")
        assert refused(lambda: aws.cache.delete_cache_subnet_group(CacheSubnetGroupName="private")) == "CacheSubnetGroupInUse"
        assert (
            refused(lambda: aws.cache.delete_cache_parameter_group(CacheParameterGroupName="p"))
            == "InvalidCacheParameterGroupState"
        )
        assert refused(lambda: ec2.delete_security_group(GroupId=aws.group)) == "DependencyViolation"
        assert refused(lambda: ec2.delete_subnet(SubnetId=aws.subnets[0])) == "DependencyViolation"
        aws.cache.delete_replication_group(ReplicationGroupId="carts")
        aws.cache.describe_replication_groups()
        aws.cache.delete_cache_parameter_group(CacheParameterGroupName="p")
        aws.cache.delete_cache_subnet_group(CacheSubnetGroupName="private")
        ec2.delete_security_group(GroupId=aws.group)

    def test_a_group_that_is_not_available(self, double: Any) -> None:
        aws = test_elasticache.Fixture(double)
        settings.change(default_seconds=100.0)
        aws.create()
        assert refused(lambda: aws.modify(ReplicationGroupDescription="x")) == "InvalidReplicationGroupState"
        assert refused(lambda: aws.count("increase", 2)) == "InvalidReplicationGroupState"
        assert refused(lambda: aws.cache.delete_replication_group(ReplicationGroupId="carts")) == "InvalidReplicationGroupState"

    def test_a_key_that_is_scheduled_for_deletion_makes_nothing(self, double: Any) -> None:
        aws = test_elasticache.Fixture(double)
        double.client("kms").schedule_key_deletion(KeyId=aws.key, PendingWindowInDays=7)
        assert refused(aws.create) == "InvalidKMSKeyFault"


class TestNodeGroups:
    def test_a_cluster_with_node_groups_stays(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        at.create()
        assert refused(lambda: at.eks.delete_cluster(name=test_eks.CLUSTER)) == "ResourceInUseException"
        ec2 = double.client("ec2")
        group = at.eks.describe_cluster(name=test_eks.CLUSTER)["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
        assert refused(lambda: ec2.delete_security_group(GroupId=group)) == "DependencyViolation"
        assert refused(lambda: ec2.delete_subnet(SubnetId=at.subnets[0])) == "DependencyViolation"

    def test_one_change_at_a_time(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        settings.change(default_seconds=100.0)
        at.create()
        assert refused(lambda: at.update(scalingConfig={"maxSize": 9})) == "ResourceInUseException"
        clock.advance(101)
        at.update(scalingConfig={"maxSize": 9})
        assert refused(lambda: at.update(scalingConfig={"maxSize": 8})) == "ResourceInUseException"
        delete = lambda: at.eks.delete_nodegroup(clusterName=test_eks.CLUSTER, nodegroupName="orders")  # noqa: E731
        assert refused(delete) == "ResourceInUseException"
        clock.advance(101)
        delete()
        assert refused(delete) == "ResourceInUseException"
        assert refused(lambda: at.create()) == "ResourceInUseException", "its name is not free yet"

    def test_nothing_is_made_in_a_cluster_that_goes(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        settings.change(default_seconds=100.0)
        at.eks.delete_cluster(name=test_eks.CLUSTER)
        assert refused(at.create) == "InvalidRequestException"
        assert refused(at.associate) == "InvalidRequestException"

    def test_a_group_whose_role_is_gone_is_degraded(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        at.create()
        double.client("iam").delete_role(RoleName="node")
        shown = at.describe()
        assert (shown["status"], shown["health"]["issues"][0]["code"]) == ("DEGRADED", "IamNodeRoleNotFound")
        test_eks.role(double, "node", "ec2.amazonaws.com")
        assert at.describe()["status"] == "ACTIVE"


class TestRolesAndKeys:
    def test_a_role_with_policies_stays(self, double: Any) -> None:
        iam = double.client("iam")
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
        assert refused(lambda: iam.delete_role(RoleName="r")) == "DeleteConflict"
        iam.detach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
        document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
        iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
        assert refused(lambda: iam.delete_role(RoleName="r")) == "DeleteConflict"
        iam.delete_role_policy(RoleName="r", PolicyName="p")
        iam.create_instance_profile(InstanceProfileName="i")
        iam.add_role_to_instance_profile(InstanceProfileName="i", RoleName="r")
        assert refused(lambda: iam.delete_role(RoleName="r")) == "DeleteConflict"

    def test_a_key_that_is_scheduled_for_deletion(self, double: Any) -> None:
        kms = double.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        for call in (
            lambda: kms.encrypt(KeyId=key, Plaintext=b"x"),
            lambda: kms.update_key_description(KeyId=key, Description="x"),
            lambda: kms.enable_key_rotation(KeyId=key),
            lambda: kms.create_alias(AliasName="alias/x", TargetKeyId=key),
            lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]),
            lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
        ):
            assert refused(call) == "KMSInvalidStateException"
        kms.describe_key(KeyId=key)

    def test_nothing_is_encrypted_with_a_key_that_goes(self, double: Any) -> None:
        kms = double.client("kms")
        key = kms.create_key()["KeyMetadata"]["Arn"]
        queue = double.client("sqs").create_queue(QueueName="q", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
        topic = double.client("sns").create_topic(Name="t", Attributes={"KmsMasterKeyId": key})["TopicArn"]
        secrets = double.client("secretsmanager")
        secrets.create_secret(Name="kept", SecretString="x", KmsKeyId=key)
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        assert refused(lambda: double.client("sqs").send_message(QueueUrl=queue, MessageBody="x")) == "KmsInvalidState"
        assert refused(lambda: double.client("sns").publish(TopicArn=topic, Message="x")) == "KMSInvalidState"
        assert refused(lambda: secrets.create_secret(Name="s", SecretString="x", KmsKeyId=key)) == "EncryptionFailure"
        assert refused(lambda: secrets.get_secret_value(SecretId="kept")) == "DecryptionFailure"
        table = lambda: double.client("dynamodb").create_table(  # noqa: E731
            TableName="t",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        )
        assert refused(table) == "ValidationException"
        kms.cancel_key_deletion(KeyId=key)
        kms.enable_key(KeyId=key)
        secrets.get_secret_value(SecretId="kept")
        double.client("sqs").send_message(QueueUrl=queue, MessageBody="x")
        table()

    def test_the_policy_of_a_key_has_one_name_that_may_be_left_out(self, double: Any) -> None:
        kms = double.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        shown = kms.get_key_policy(KeyId=key)
        assert shown["PolicyName"] == "default" and json.loads(shown["Policy"])["Statement"]
        assert kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == shown["Policy"]
        kms.put_key_policy(KeyId=key, Policy=shown["Policy"])
        assert refused(lambda: kms.get_key_policy(KeyId=key, PolicyName="other")) == "NotFoundException"


class TestTablesBucketsAndQueues:
    def table(self, double: Any, **more: Any) -> Any:
        dynamodb = double.client("dynamodb")
        dynamodb.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **more,
        )
        return dynamodb

    def test_a_table_that_is_busy_or_protected(self, double: Any) -> None:
        settings.change(default_seconds=100.0)
        dynamodb = self.table(double, DeletionProtectionEnabled=True)
        assert refused(lambda: dynamodb.delete_table(TableName="t")) == "ResourceInUseException"
        assert refused(lambda: dynamodb.update_table(TableName="t", DeletionProtectionEnabled=False)) == "ResourceInUseException"
        clock.advance(101)
        assert refused(lambda: dynamodb.delete_table(TableName="t")) == "ValidationException"
        dynamodb.update_table(TableName="t", DeletionProtectionEnabled=False)
        assert refused(lambda: dynamodb.delete_table(TableName="t")) == "ResourceInUseException"
        clock.advance(101)
        dynamodb.delete_table(TableName="t")
        assert refused(lambda: self.table(double)) == "ResourceInUseException"

    def test_a_bucket_with_anything_in_it(self, double: Any) -> None:
        s3 = double.client("s3")
        s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
        version = s3.put_object(Bucket="photos", Key="k", Body=b"x")["VersionId"]
        assert refused(lambda: s3.delete_bucket(Bucket="photos")) == "BucketNotEmpty"
        marker = s3.delete_object(Bucket="photos", Key="k")["VersionId"]
        assert refused(lambda: s3.delete_bucket(Bucket="photos")) == "BucketNotEmpty", "versions and markers count"
        s3.delete_object(Bucket="photos", Key="k", VersionId=version)
        assert refused(lambda: s3.delete_bucket(Bucket="photos")) == "BucketNotEmpty"
        s3.delete_object(Bucket="photos", Key="k", VersionId=marker)
        s3.delete_bucket(Bucket="photos")

    def test_queues_take_a_minute(self, double: Any) -> None:
        sqs = double.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        sqs.purge_queue(QueueUrl=url)
        assert refused(lambda: sqs.purge_queue(QueueUrl=url)) == "AWS.SimpleQueueService.PurgeQueueInProgress"
        clock.advance(61)
        sqs.purge_queue(QueueUrl=url)
        sqs.delete_queue(QueueUrl=url)
        assert refused(lambda: sqs.create_queue(QueueName="q")) == "AWS.SimpleQueueService.QueueDeletedRecently"
        clock.advance(61)
        sqs.create_queue(QueueName="q")


class TestNetworks:
    def test_security_groups_and_subnets(self, double: Any) -> None:
        ec2 = double.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
        one, two = (
            ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"] for name in ("one", "two")
        )
        for group in (one, two):  # a group that only refers to itself is in nobody's way
            pair = [{"GroupId": one}]
            ec2.authorize_security_group_ingress(
                GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": pair}]
            )
        assert refused(lambda: ec2.delete_security_group(GroupId=one)) == "DependencyViolation"
        ec2.delete_security_group(GroupId=two)
        eni = ec2.create_network_interface(SubnetId=subnet, Groups=[one])["NetworkInterface"]["NetworkInterfaceId"]
        assert refused(lambda: ec2.delete_security_group(GroupId=one)) == "DependencyViolation"
        assert refused(lambda: ec2.delete_subnet(SubnetId=subnet)) == "DependencyViolation"
        assert refused(lambda: ec2.delete_vpc(VpcId=vpc)) == "DependencyViolation"
        ec2.delete_network_interface(NetworkInterfaceId=eni)
        ec2.delete_security_group(GroupId=one)
        gateway = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        assert refused(lambda: ec2.delete_subnet(SubnetId=subnet)) == "DependencyViolation"
        ec2.delete_nat_gateway(NatGatewayId=gateway)
        ec2.delete_subnet(SubnetId=subnet)


@pytest.mark.parametrize("service", ["rds", "elasticache"])
def test_a_snapshot_name_is_taken_once(double: Any, service: str) -> None:
    if service == "rds":
        aws: Any = test_rds.Fixture(double)
        aws.create()
        call = lambda: aws.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="s")  # noqa: E731
        expected = "DBSnapshotAlreadyExists"
    else:
        aws = test_elasticache.Fixture(double)
        aws.create()
        call = lambda: aws.cache.create_snapshot(ReplicationGroupId="carts", SnapshotName="s")  # noqa: E731
        expected = "SnapshotAlreadyExistsFault"
    call()
    assert refused(call) == expected
