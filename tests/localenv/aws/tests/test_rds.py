"""RDS and Aurora: what an operator of databases meets on AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


class Fixture:
    """A VPC with three subnets, a security group, a key, a DB subnet group; and the settings of an instance AWS accepts."""

    def __init__(self, double: Any) -> None:
        self.double = double
        self.rds = double.client("rds")
        ec2 = double.client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate("abc")
        ]
        self.group = ec2.create_security_group(GroupName="db", Description="db", VpcId=self.vpc)["GroupId"]
        self.key = double.client("kms").create_key(Description="db")["KeyMetadata"]["Arn"]
        self.rds.create_db_subnet_group(DBSubnetGroupName="private", DBSubnetGroupDescription="d", SubnetIds=self.subnets)

    def settings(self, name: str = "orders", **changes: Any) -> dict[str, Any]:
        return {
            "DBInstanceIdentifier": name,
            "DBInstanceClass": "db.t4g.medium",
            "Engine": "postgres",
            "EngineVersion": "16.4",
            "AllocatedStorage": 100,
            "StorageEncrypted": True,
            "KmsKeyId": self.key,
            "MasterUsername": "orders",
            "MasterUserPassword": "Passw0rd123",
            "DBSubnetGroupName": "private",
            "VpcSecurityGroupIds": [self.group],
            "Tags": [{"Key": "owner", "Value": "shop"}],
        } | changes

    def create(self, name: str = "orders", **changes: Any) -> dict[str, Any]:
        given = self.settings(name, **changes)
        if given.get("ManageMasterUserPassword"):
            del given["MasterUserPassword"]
        return self.rds.create_db_instance(**given)["DBInstance"]

    def describe(self, name: str = "orders") -> dict[str, Any]:
        return self.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]

    def modify(self, name: str = "orders", **changes: Any) -> dict[str, Any]:
        return self.rds.modify_db_instance(DBInstanceIdentifier=name, **changes)["DBInstance"]

    def status(self, name: str = "orders") -> str:
        return self.describe(name)["DBInstanceStatus"]

    def settled(self, name: str = "orders") -> dict[str, Any]:
        """The instance after creating, backing-up and whatever else follows one another."""
        for _ in range(5):
            if self.status(name) == "available":
                break
            self.double.settle()
        return self.describe(name)

    def snapshot(self, name: str) -> dict[str, Any]:
        return self.rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]

    def cluster(self, name: str = "shop") -> dict[str, Any]:
        return self.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]


@pytest.fixture
def aws(double: Any) -> Fixture:
    return Fixture(double)


@pytest.fixture
def slow(aws: Fixture, lasting: None) -> Fixture:
    return aws


# --- states ----------------------------------------------------------------------------------------------------------


def test_an_instance_is_created_then_backed_up_then_available(slow: Fixture) -> None:
    created = slow.create()
    assert created["DBInstanceStatus"] == "creating"
    assert "Endpoint" not in slow.describe(), "an instance has no address before it exists"
    slow.double.settle()
    assert slow.status() == "backing-up"
    slow.double.settle()
    shown = slow.describe()
    assert shown["DBInstanceStatus"] == "available"
    assert shown["Endpoint"]["Address"].startswith("orders.c")
    assert shown["Endpoint"]["Address"].endswith(".eu-west-1.rds.amazonaws.com")
    assert shown["Endpoint"]["Port"] == 5432
    automated = slow.rds.describe_db_snapshots(DBInstanceIdentifier="orders", SnapshotType="automated")["DBSnapshots"]
    assert [each["DBInstanceIdentifier"] for each in automated] == ["orders"]


@pytest.mark.parametrize(
    "call",
    [
        lambda rds: rds.modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=True),
        lambda rds: rds.reboot_db_instance(DBInstanceIdentifier="orders"),
        lambda rds: rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="s"),
        lambda rds: rds.stop_db_instance(DBInstanceIdentifier="orders"),
        lambda rds: rds.start_db_instance(DBInstanceIdentifier="orders"),
        lambda rds: rds.create_db_instance_read_replica(DBInstanceIdentifier="r", SourceDBInstanceIdentifier="orders"),
        lambda rds: rds.delete_db_instance(DBInstanceIdentifier="orders", FinalDBSnapshotIdentifier="f"),
    ],
)
def test_what_needs_an_available_instance_is_refused_while_it_is_created(slow: Fixture, call: Any) -> None:
    slow.create()
    assert refused(lambda: call(slow.rds)) == "InvalidDBInstanceState"
    assert slow.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"] == []


def test_a_deleted_instance_is_shown_as_deleting_until_it_is_gone(slow: Fixture) -> None:
    slow.create()
    deleted = slow.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)["DBInstance"]
    assert deleted["DBInstanceStatus"] == "deleting"
    assert slow.status() == "deleting"
    assert (
        refused(lambda: slow.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True))
        == "InvalidDBInstanceState"
    )
    assert refused(slow.create) == "DBInstanceAlreadyExists"
    slow.double.settle()
    assert refused(slow.describe) == "DBInstanceNotFound"
    slow.create()


# --- create ----------------------------------------------------------------------------------------------------------


def test_what_a_request_says_is_what_is_shown(aws: Fixture) -> None:
    aws.create(
        MultiAZ=True,
        StorageType="gp3",
        MaxAllocatedStorage=500,
        BackupRetentionPeriod=14,
        PreferredBackupWindow="02:00-03:00",
        PreferredMaintenanceWindow="Mon:04:00-Mon:05:00",
        EnableCloudwatchLogsExports=["postgresql"],
        CopyTagsToSnapshot=True,
        EnablePerformanceInsights=True,
        EnableIAMDatabaseAuthentication=True,
        DeletionProtection=True,
        DBName="orders",
    )
    shown = aws.describe()
    for key, value in {
        "MultiAZ": True,
        "StorageType": "gp3",
        "Iops": 3000,
        "StorageThroughput": 125,
        "MaxAllocatedStorage": 500,
        "BackupRetentionPeriod": 14,
        "PreferredBackupWindow": "02:00-03:00",
        "PreferredMaintenanceWindow": "mon:04:00-mon:05:00",
        "EnabledCloudwatchLogsExports": ["postgresql"],
        "CopyTagsToSnapshot": True,
        "PerformanceInsightsEnabled": True,
        "IAMDatabaseAuthenticationEnabled": True,
        "DeletionProtection": True,
        "DBName": "orders",
        "KmsKeyId": aws.key,
        "StorageEncrypted": True,
        "TagList": [{"Key": "owner", "Value": "shop"}],
    }.items():
        assert shown[key] == value, key
    assert shown["AvailabilityZone"] != shown["SecondaryAvailabilityZone"]
    assert shown["DBSubnetGroup"]["VpcId"] == aws.vpc
    assert shown["VpcSecurityGroups"] == [{"VpcSecurityGroupId": aws.group, "Status": "active"}]
    assert shown["DBParameterGroups"] == [{"DBParameterGroupName": "default.postgres16", "ParameterApplyStatus": "in-sync"}]
    assert shown.get("PendingModifiedValues", {}) == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Engine": "nosql"}, "InvalidParameterValue"),
        ({"EngineVersion": "99.9"}, "InvalidParameterCombination"),
        ({"DBInstanceClass": "db.huge"}, "InvalidParameterValue"),
        ({"DBInstanceClass": "db.serverless"}, "InvalidParameterCombination"),
        ({"AllocatedStorage": 5}, "InvalidParameterValue"),
        ({"StorageType": "io1"}, "InvalidParameterCombination"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue"),
        ({"MaxAllocatedStorage": 50}, "InvalidParameterCombination"),
        ({"MasterUsername": "admin"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "slash/in/it"}, "InvalidParameterValue"),
        ({"MasterUserPassword": None}, "InvalidParameterCombination"),
        ({"DBInstanceIdentifier": "double--hyphen"}, "InvalidParameterValue"),
        ({"DBSubnetGroupName": "absent"}, "DBSubnetGroupNotFoundFault"),
        ({"DBParameterGroupName": "absent"}, "DBParameterGroupNotFound"),
        ({"VpcSecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidParameterValue"),
        ({"KmsKeyId": "6fd4a1c5-6dd4-4b0e-9d2f-0123456789ab"}, "KMSKeyNotAccessibleFault"),
        ({"EnableCloudwatchLogsExports": ["slowquery"]}, "InvalidParameterCombination"),
        (
            {"PreferredBackupWindow": "04:00-05:00", "PreferredMaintenanceWindow": "mon:04:30-mon:05:30"},
            "InvalidParameterValue",
        ),
        ({"MonitoringInterval": 60}, "InvalidParameterCombination"),
        ({"CACertificateIdentifier": "rds-ca-2019"}, "CertificateNotFound"),
    ],
)
def test_settings_that_aws_refuses(aws: Fixture, change: dict[str, Any], code: str) -> None:
    given = {key: value for key, value in aws.settings(**change).items() if value is not None}
    assert refused(lambda: aws.rds.create_db_instance(**given)) == code
    assert aws.rds.describe_db_instances()["DBInstances"] == []


def test_a_parameter_group_of_another_family_is_refused(aws: Fixture) -> None:
    aws.rds.create_db_parameter_group(DBParameterGroupName="fifteen", DBParameterGroupFamily="postgres15", Description="d")
    assert refused(lambda: aws.create(DBParameterGroupName="fifteen")) == "InvalidParameterCombination"


# --- the master user's password --------------------------------------------------------------------------------------


def test_a_managed_password_lives_and_dies_in_secrets_manager(slow: Fixture) -> None:
    secrets = slow.double.client("secretsmanager")
    created = slow.create(ManageMasterUserPassword=True)
    assert created["MasterUserSecret"]["SecretStatus"] == "creating"
    arn = created["MasterUserSecret"]["SecretArn"]
    assert ":secret:rds!db-" in arn
    shown = slow.settled()["MasterUserSecret"]
    assert shown["SecretStatus"] == "active"
    assert shown["KmsKeyId"].startswith("arn:aws:kms:")
    first = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert first["username"] == "orders"
    assert len(first["password"]) >= 8

    assert refused(lambda: slow.modify(RotateMasterUserPassword=True)) == "InvalidParameterCombination"
    slow.modify(RotateMasterUserPassword=True, ApplyImmediately=True)
    assert slow.describe()["MasterUserSecret"]["SecretStatus"] == "rotating"
    assert slow.status() == "available"
    second = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert second["password"] != first["password"]

    assert refused(lambda: slow.modify(ManageMasterUserPassword=False)) == "InvalidParameterCombination"
    slow.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)
    assert refused(lambda: secrets.get_secret_value(SecretId=arn)) == "ResourceNotFoundException"


def test_a_password_is_either_given_or_managed(aws: Fixture) -> None:
    given = aws.settings(ManageMasterUserPassword=True)
    assert refused(lambda: aws.rds.create_db_instance(**given)) == "InvalidParameterCombination"


# --- modify ----------------------------------------------------------------------------------------------------------


def test_a_change_waits_for_the_maintenance_window_unless_told_otherwise(aws: Fixture) -> None:
    aws.create()
    aws.modify(DBInstanceClass="db.m7g.large", AllocatedStorage=200, DeletionProtection=True)
    shown = aws.describe()
    assert shown["DBInstanceStatus"] == "available"
    assert (shown["DBInstanceClass"], shown["AllocatedStorage"]) == ("db.t4g.medium", 100)
    assert shown["PendingModifiedValues"] == {"DBInstanceClass": "db.m7g.large", "AllocatedStorage": 200}
    assert shown["DeletionProtection"] is True, "this one does not wait"
    # What was waiting is applied with what comes now; asking for the present class takes that change back.
    aws.modify(DBInstanceClass="db.t4g.medium", MultiAZ=True, ApplyImmediately=True)
    shown = aws.describe()
    assert (shown["DBInstanceClass"], shown["AllocatedStorage"], shown["MultiAZ"]) == ("db.t4g.medium", 200, True)
    assert shown["PendingModifiedValues"] == {}


def test_a_change_is_pending_while_the_instance_is_modified(slow: Fixture) -> None:
    slow.create()
    slow.settled()
    slow.modify(DBInstanceClass="db.m7g.large", AllocatedStorage=150, ApplyImmediately=True)
    shown = slow.describe()
    assert (shown["DBInstanceStatus"], shown["DBInstanceClass"]) == ("modifying", "db.t4g.medium")
    assert shown["PendingModifiedValues"]["DBInstanceClass"] == "db.m7g.large"
    assert refused(lambda: slow.modify(DBInstanceClass="db.m7g.xlarge", ApplyImmediately=True)) == "InvalidDBInstanceState"
    slow.double.settle()
    shown = slow.describe()
    assert (shown["DBInstanceStatus"], shown["DBInstanceClass"]) == ("storage-optimization", "db.m7g.large")
    # Optimizing the storage takes hours on AWS: everything but the storage can be changed in the meantime.
    assert refused(lambda: slow.modify(AllocatedStorage=300, ApplyImmediately=True)) == "InvalidParameterCombination"
    slow.modify(DeletionProtection=True)
    slow.double.settle()
    assert slow.status() == "available"


def test_storage_only_grows_and_by_a_tenth_at_least(aws: Fixture) -> None:
    aws.create()
    assert refused(lambda: aws.modify(AllocatedStorage=99, ApplyImmediately=True)) == "InvalidParameterCombination"
    aws.modify(AllocatedStorage=101, ApplyImmediately=True)
    assert aws.describe()["AllocatedStorage"] == 110


def test_a_gp3_volume_gets_more_operations_when_it_is_striped(aws: Fixture) -> None:
    aws.create(StorageType="gp3")
    assert (aws.describe()["Iops"], aws.describe()["StorageThroughput"]) == (3000, 125)
    too_few = lambda: aws.modify(AllocatedStorage=400, Iops=3000, ApplyImmediately=True)  # noqa: E731
    assert refused(too_few) == "InvalidParameterCombination"
    aws.modify(AllocatedStorage=400, ApplyImmediately=True)
    assert (aws.describe()["Iops"], aws.describe()["StorageThroughput"]) == (12000, 500)


def test_operations_of_a_small_gp3_volume_are_refused_where_that_is_wanted(aws: Fixture, monkeypatch: Any) -> None:
    monkeypatch.setenv("SHOPKEEPER_DOUBLE_STRICT_GP3", "1")
    assert refused(lambda: aws.create(StorageType="gp3", Iops=3000)) == "InvalidParameterCombination"
    aws.create(StorageType="gp3")
    aws.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="s1")
    aws.rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="copy", DBSnapshotIdentifier="s1")
    assert aws.describe("copy")["Iops"] == 3000
    aws.modify(StorageType="io2", Iops=8000, ApplyImmediately=True)
    assert (aws.describe()["StorageType"], aws.describe()["Iops"]) == ("io2", 8000)
    assert "StorageThroughput" not in aws.describe()


def test_an_upgrade_goes_up_and_a_major_one_says_so(aws: Fixture) -> None:
    aws.create()
    assert refused(lambda: aws.modify(EngineVersion="16.3", ApplyImmediately=True)) == "InvalidParameterCombination"
    assert refused(lambda: aws.modify(EngineVersion="17.4", ApplyImmediately=True)) == "InvalidParameterCombination"
    aws.modify(EngineVersion="17.4", AllowMajorVersionUpgrade=True, ApplyImmediately=True)
    shown = aws.describe()
    assert shown["EngineVersion"] == "17.4"
    assert shown["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres17"


def test_a_new_parameter_group_waits_for_a_reboot(aws: Fixture) -> None:
    aws.create()
    aws.rds.create_db_parameter_group(DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="d")
    aws.modify(DBParameterGroupName="tuned")
    assert aws.status() == "available"
    assert aws.describe()["DBParameterGroups"] == [{"DBParameterGroupName": "tuned", "ParameterApplyStatus": "pending-reboot"}]
    aws.rds.reboot_db_instance(DBInstanceIdentifier="orders")
    assert aws.describe()["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"
    change = {"ParameterName": "max_connections", "ParameterValue": "300", "ApplyMethod": "pending-reboot"}
    aws.rds.modify_db_parameter_group(DBParameterGroupName="tuned", Parameters=[change])
    assert aws.describe()["DBParameterGroups"][0]["ParameterApplyStatus"] == "pending-reboot"


def test_logs_are_switched_one_by_one(aws: Fixture) -> None:
    aws.create(EnableCloudwatchLogsExports=["postgresql"])
    aws.modify(CloudwatchLogsExportConfiguration={"EnableLogTypes": ["upgrade"], "DisableLogTypes": ["postgresql"]})
    assert aws.describe()["EnabledCloudwatchLogsExports"] == ["upgrade"]


def test_a_refused_change_changes_nothing(aws: Fixture) -> None:
    aws.create()
    before = aws.describe()
    call = lambda: aws.modify(DeletionProtection=True, BackupRetentionPeriod=20, AllocatedStorage=50, ApplyImmediately=True)  # noqa: E731
    assert refused(call) == "InvalidParameterCombination"
    after = aws.describe()
    for shown in (before, after):
        shown.pop("LatestRestorableTime")
    assert after == before


def test_a_stopped_instance_only_starts(aws: Fixture) -> None:
    aws.create()
    aws.rds.stop_db_instance(DBInstanceIdentifier="orders")
    assert aws.status() == "stopped"
    assert refused(lambda: aws.modify(AllocatedStorage=200, ApplyImmediately=True)) == "InvalidDBInstanceState"
    assert refused(lambda: aws.rds.stop_db_instance(DBInstanceIdentifier="orders")) == "InvalidDBInstanceState"
    aws.rds.start_db_instance(DBInstanceIdentifier="orders")
    assert aws.status() == "available"


# --- deletion and snapshots ------------------------------------------------------------------------------------------


def test_deletion_needs_a_decision_on_the_final_snapshot(aws: Fixture) -> None:
    aws.create(DeletionProtection=True, CopyTagsToSnapshot=True)
    delete = aws.rds.delete_db_instance
    assert refused(lambda: delete(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)) == "InvalidParameterCombination"
    aws.modify(DeletionProtection=False)
    assert refused(lambda: delete(DBInstanceIdentifier="orders")) == "InvalidParameterCombination"
    both = {"SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "last"}
    assert refused(lambda: delete(DBInstanceIdentifier="orders", **both)) == "InvalidParameterCombination"
    delete(DBInstanceIdentifier="orders", FinalDBSnapshotIdentifier="last")
    assert refused(aws.describe) == "DBInstanceNotFound"
    snapshot = aws.snapshot("last")
    assert (snapshot["Status"], snapshot["SnapshotType"], snapshot["PercentProgress"]) == ("available", "manual", 100)
    assert snapshot["TagList"] == [{"Key": "owner", "Value": "shop"}]
    assert aws.rds.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"] == []


def test_a_snapshot_restores_the_data_and_not_the_protection(aws: Fixture) -> None:
    aws.create(DeletionProtection=True, MultiAZ=True, BackupRetentionPeriod=7)
    aws.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="s1")
    aws.rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="copy", DBSnapshotIdentifier="s1", DBSubnetGroupName="private", DBInstanceClass="db.t4g.large"
    )
    shown = aws.describe("copy")
    assert (shown["Engine"], shown["EngineVersion"], shown["MasterUsername"]) == ("postgres", "16.4", "orders")
    assert (shown["AllocatedStorage"], shown["KmsKeyId"], shown["DBInstanceClass"]) == (100, aws.key, "db.t4g.large")
    assert (shown["MultiAZ"], shown["DeletionProtection"]) == (False, False)
    assert shown["DbiResourceId"] != aws.describe()["DbiResourceId"]


def test_a_snapshot_lasts_and_keeps_its_instance_busy(slow: Fixture) -> None:
    slow.create(BackupRetentionPeriod=0)
    slow.double.settle()
    slow.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="s1")
    assert slow.status() == "backing-up"
    assert slow.snapshot("s1")["Status"] == "creating"
    restore = lambda: slow.rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="c", DBSnapshotIdentifier="s1")  # noqa: E731
    assert refused(restore) == "InvalidDBSnapshotState"
    assert refused(lambda: slow.rds.delete_db_snapshot(DBSnapshotIdentifier="s1")) == "InvalidDBSnapshotState"
    slow.double.settle()
    assert (slow.status(), slow.snapshot("s1")["Status"]) == ("available", "available")


def test_a_replica_follows_its_source_until_it_is_promoted(aws: Fixture) -> None:
    aws.create(BackupRetentionPeriod=0)
    replicate = lambda: aws.rds.create_db_instance_read_replica(DBInstanceIdentifier="r", SourceDBInstanceIdentifier="orders")  # noqa: E731
    assert refused(replicate) == "InvalidDBInstanceState"
    aws.modify(BackupRetentionPeriod=1, ApplyImmediately=True)
    replicate()
    assert aws.describe()["ReadReplicaDBInstanceIdentifiers"] == ["r"]
    assert aws.describe("r")["StatusInfos"][0]["Status"] == "replicating"
    assert refused(lambda: aws.rds.stop_db_instance(DBInstanceIdentifier="orders")) == "InvalidDBInstanceState"
    aws.rds.promote_read_replica(DBInstanceIdentifier="r")
    assert "ReadReplicaSourceDBInstanceIdentifier" not in aws.describe("r")
    assert aws.describe()["ReadReplicaDBInstanceIdentifiers"] == []


# --- groups ----------------------------------------------------------------------------------------------------------


def test_groups_in_use_stay(aws: Fixture) -> None:
    aws.rds.create_db_parameter_group(DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="d")
    aws.create(DBParameterGroupName="tuned")
    assert refused(lambda: aws.rds.delete_db_subnet_group(DBSubnetGroupName="private")) == "InvalidDBSubnetGroupStateFault"
    assert refused(lambda: aws.rds.delete_db_parameter_group(DBParameterGroupName="tuned")) == "InvalidDBParameterGroupState"
    aws.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)
    aws.rds.delete_db_subnet_group(DBSubnetGroupName="private")
    aws.rds.delete_db_parameter_group(DBParameterGroupName="tuned")


def test_a_subnet_group_covers_two_zones(aws: Fixture) -> None:
    create = lambda **given: aws.rds.create_db_subnet_group(DBSubnetGroupDescription="d", **given)  # noqa: E731
    assert refused(lambda: create(DBSubnetGroupName="one", SubnetIds=aws.subnets[:1])) == "DBSubnetGroupDoesNotCoverEnoughAZs"
    assert refused(lambda: create(DBSubnetGroupName="Private", SubnetIds=aws.subnets)) == "DBSubnetGroupAlreadyExists"
    assert refused(lambda: create(DBSubnetGroupName="no", SubnetIds=["subnet-0123456789abcdef0"])) == "InvalidSubnet"
    changed = aws.rds.modify_db_subnet_group(DBSubnetGroupName="private", SubnetIds=aws.subnets[:2])["DBSubnetGroup"]
    assert {each["SubnetIdentifier"] for each in changed["Subnets"]} == set(aws.subnets[:2])
    assert changed["SubnetGroupStatus"] == "Complete"


def test_parameters_have_defaults_and_come_back_to_them(aws: Fixture) -> None:
    rds = aws.rds
    rds.create_db_parameter_group(DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="d")

    def parameter(name: str) -> dict[str, Any]:
        pages = rds.get_paginator("describe_db_parameters").paginate(
            DBParameterGroupName="tuned", PaginationConfig={"PageSize": 20}
        )
        return next(each for answer in pages for each in answer["Parameters"] if each["ParameterName"] == name)

    def set_to(name: str, value: str, method: str) -> None:
        change = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
        rds.modify_db_parameter_group(DBParameterGroupName="tuned", Parameters=[change])

    default = parameter("log_min_duration_statement")
    assert default["Source"] == "engine-default"
    assert refused(lambda: set_to("no_such_parameter", "1", "immediate")) == "InvalidParameterValue"
    assert refused(lambda: set_to("log_statement", "everything", "immediate")) == "InvalidParameterValue"
    assert refused(lambda: set_to("shared_buffers", "1000", "immediate")) == "InvalidParameterCombination"
    set_to("log_min_duration_statement", "250", "immediate")
    assert (parameter("log_min_duration_statement")["ParameterValue"], parameter("log_min_duration_statement")["Source"]) == (
        "250",
        "user",
    )
    rds.reset_db_parameter_group(DBParameterGroupName="tuned", ResetAllParameters=True)
    assert parameter("log_min_duration_statement") == default
    assert (
        refused(
            lambda: rds.modify_db_parameter_group(
                DBParameterGroupName="default.postgres16",
                Parameters=[{"ParameterName": "log_statement", "ParameterValue": "all", "ApplyMethod": "immediate"}],
            )
        )
        == "InvalidParameterValue"
    )


# --- lists and tags --------------------------------------------------------------------------------------------------


def test_pages_hold_every_instance_once(aws: Fixture) -> None:
    for number in range(23):
        aws.create(f"db-{number:02}")
    first = aws.rds.describe_db_instances(MaxRecords=20)
    assert len(first["DBInstances"]) == 20
    # An instance that goes between two pages must not make the next page skip another.
    aws.rds.delete_db_instance(DBInstanceIdentifier="db-00", SkipFinalSnapshot=True)
    second = aws.rds.describe_db_instances(MaxRecords=20, Marker=first["Marker"])
    assert [each["DBInstanceIdentifier"] for each in second["DBInstances"]] == ["db-20", "db-21", "db-22"]
    assert "Marker" not in second
    assert refused(lambda: aws.rds.describe_db_instances(MaxRecords=5)) == "InvalidParameterValue"
    found = aws.rds.describe_db_instances(Filters=[{"Name": "db-instance-id", "Values": ["db-07"]}])["DBInstances"]
    assert [each["DBInstanceIdentifier"] for each in found] == ["db-07"]


def test_tags_are_seen_wherever_they_are_shown(aws: Fixture) -> None:
    arn = aws.create()["DBInstanceArn"]
    aws.rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "tier", "Value": "a"}])
    aws.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["owner"])
    expected = [{"Key": "tier", "Value": "a"}]
    assert aws.rds.list_tags_for_resource(ResourceName=arn)["TagList"] == expected
    assert aws.describe()["TagList"] == expected
    tagging = aws.double.client("resourcegroupstaggingapi")
    found = tagging.get_resources(ResourceTypeFilters=["rds:db"])["ResourceTagMappingList"]
    assert [(each["ResourceARN"], each["Tags"]) for each in found] == [(arn, expected)]
    entry = next(
        each for each in aws.double.control("GET", "inventory?service=rds")[1]["resources"] if each["type"] == "db-instance"
    )
    assert (entry["name"], entry["status"], entry["tags"]) == ("orders", "available", {"tier": "a"})
    absent = arn.replace("orders", "absent")
    assert refused(lambda: aws.rds.list_tags_for_resource(ResourceName=absent)) == "DBInstanceNotFound"


def test_versions_and_classes_are_offered_as_they_are_accepted(aws: Fixture) -> None:
    versions = aws.rds.describe_db_engine_versions(Engine="postgres")["DBEngineVersions"]
    offered = {each["EngineVersion"]: each for each in versions}
    targets = {each["EngineVersion"]: each["IsMajorVersionUpgrade"] for each in offered["16.4"]["ValidUpgradeTarget"]}
    assert targets["16.8"] is False
    assert targets["17.4"] is True
    assert "16.3" not in targets
    default = aws.rds.describe_db_engine_versions(Engine="postgres", DefaultOnly=True)["DBEngineVersions"]
    assert len(default) == 1
    options = aws.rds.describe_orderable_db_instance_options(
        Engine="postgres", EngineVersion="16.4", DBInstanceClass="db.r7g.large"
    )
    assert {each["StorageType"] for each in options["OrderableDBInstanceOptions"]} == {"gp2", "gp3", "io1", "io2"}


# --- Aurora ----------------------------------------------------------------------------------------------------------


def aurora(aws: Fixture, name: str = "shop", **changes: Any) -> dict[str, Any]:
    given = {
        "DBClusterIdentifier": name,
        "Engine": "aurora-postgresql",
        "EngineVersion": "16.8",
        "MasterUsername": "shop",
        "ManageMasterUserPassword": True,
        "DBSubnetGroupName": "private",
        "VpcSecurityGroupIds": [aws.group],
        "StorageEncrypted": True,
        "KmsKeyId": aws.key,
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 8},
    } | changes
    return aws.rds.create_db_cluster(**given)["DBCluster"]


def member(aws: Fixture, name: str, cluster: str = "shop", **changes: Any) -> None:
    aws.rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBClusterIdentifier=cluster,
        DBInstanceClass="db.serverless",
        Engine="aurora-postgresql",
        **changes,
    )


def test_a_cluster_goes_through_its_states(slow: Fixture) -> None:
    assert aurora(slow)["Status"] == "creating"
    modify = lambda **given: slow.rds.modify_db_cluster(DBClusterIdentifier="shop", **given)  # noqa: E731
    assert refused(lambda: modify(BackupRetentionPeriod=7)) == "InvalidDBClusterStateFault"
    slow.double.settle()
    assert slow.cluster()["Status"] == "available"
    assert refused(lambda: modify(ServerlessV2ScalingConfiguration={"MinCapacity": 9})) == "InvalidParameterCombination"
    modify(EngineVersion="16.9", ApplyImmediately=True)
    assert (slow.cluster()["Status"], slow.cluster()["EngineVersion"]) == ("upgrading", "16.8")
    slow.double.settle()
    assert (slow.cluster()["Status"], slow.cluster()["EngineVersion"]) == ("available", "16.9")


def test_one_member_writes_and_failover_changes_which(aws: Fixture) -> None:
    aurora(aws)
    member(aws, "shop-1")
    member(aws, "shop-2", PromotionTier=0)
    writers = lambda: {each["DBInstanceIdentifier"]: each["IsClusterWriter"] for each in aws.cluster()["DBClusterMembers"]}  # noqa: E731
    assert writers() == {"shop-1": True, "shop-2": False}
    assert aws.describe("shop-2")["KmsKeyId"] == aws.key
    aws.rds.failover_db_cluster(DBClusterIdentifier="shop")
    assert writers() == {"shop-1": False, "shop-2": True}
    aws.rds.delete_db_instance(DBInstanceIdentifier="shop-2")
    assert writers() == {"shop-1": True}


def test_a_cluster_is_deleted_after_its_members(slow: Fixture) -> None:
    secret = aurora(slow)["MasterUserSecret"]["SecretArn"]
    member(slow, "shop-1")
    slow.double.settle()
    delete = lambda: slow.rds.delete_db_cluster(DBClusterIdentifier="shop", FinalDBSnapshotIdentifier="last")  # noqa: E731
    assert refused(delete) == "InvalidDBClusterStateFault"
    assert refused(lambda: slow.rds.delete_db_cluster(DBClusterIdentifier="shop")) == "InvalidParameterCombination"
    slow.rds.delete_db_instance(DBInstanceIdentifier="shop-1")
    # A member on its way out is not in the way.
    assert delete()["DBCluster"]["Status"] == "deleting"
    assert slow.cluster()["Status"] == "deleting"
    assert refused(delete) == "InvalidDBClusterStateFault"
    slow.double.settle()
    assert refused(slow.cluster) == "DBClusterNotFoundFault"
    assert (
        slow.rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="last")["DBClusterSnapshots"][0]["Status"]
        == "available"
    )
    assert (
        refused(lambda: slow.double.client("secretsmanager").get_secret_value(SecretId=secret)) == "ResourceNotFoundException"
    )


def test_blue_green_exchanges_the_names_when_green_is_ready(slow: Fixture) -> None:
    slow.create("orders", EngineVersion="15.7")
    slow.settled()
    rds = slow.rds
    deployment = rds.create_blue_green_deployment(
        BlueGreenDeploymentName="up", Source=slow.describe()["DBInstanceArn"], TargetEngineVersion="16.4"
    )["BlueGreenDeployment"]
    given = {"BlueGreenDeploymentIdentifier": deployment["BlueGreenDeploymentIdentifier"]}
    status = lambda: rds.describe_blue_green_deployments(**given)["BlueGreenDeployments"][0]["Status"]  # noqa: E731
    slow.double.settle()
    assert status() == "PROVISIONING", "green is still being backed up"
    assert refused(lambda: rds.switchover_blue_green_deployment(**given)) == "InvalidBlueGreenDeploymentStateFault"
    slow.double.settle()
    assert status() == "AVAILABLE"
    rds.switchover_blue_green_deployment(**given)
    assert slow.describe()["EngineVersion"] == "15.7"
    slow.double.settle()
    assert status() == "SWITCHOVER_COMPLETED"
    assert (slow.describe()["EngineVersion"], slow.describe("orders-old1")["EngineVersion"]) == ("16.4", "15.7")


def test_a_creation_may_fail(aws: Fixture) -> None:
    aws.double.control("PUT", "config", {"outcomes": {"rds.db-instance.creating": {"then": "failed", "count": 1}}})
    aws.create()
    assert aws.status() == "failed"
    assert "Endpoint" not in aws.describe()
    delete = lambda **given: aws.rds.delete_db_instance(DBInstanceIdentifier="orders", **given)  # noqa: E731
    assert refused(lambda: delete(FinalDBSnapshotIdentifier="last")) == "InvalidDBInstanceState"
    delete(SkipFinalSnapshot=True)
    assert refused(aws.describe) == "DBInstanceNotFound"


def test_a_failed_instance_keeps_its_protection(aws: Fixture) -> None:
    modify = lambda **given: aws.rds.modify_db_instance(  # noqa: E731
        DBInstanceIdentifier="orders", ApplyImmediately=True, **given
    )
    outcomes = lambda state: aws.double.control(  # noqa: E731
        "PUT", "config", {"outcomes": {"rds.db-instance.creating": {"then": state, "count": 1}}}
    )
    outcomes("incompatible-network")
    aws.create(DeletionProtection=True)
    assert aws.status() == "incompatible-network"
    assert refused(lambda: modify(DeletionProtection=False)) == "InvalidDBInstanceState"
    delete = lambda: aws.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)  # noqa: E731
    assert refused(delete) == "InvalidParameterCombination"


def test_an_instance_whose_storage_is_full_takes_more(aws: Fixture) -> None:
    aws.double.control("PUT", "config", {"outcomes": {"rds.db-instance.creating": {"then": "storage-full", "count": 1}}})
    aws.create()
    assert aws.status() == "storage-full"
    before = aws.describe()["AllocatedStorage"]
    aws.rds.modify_db_instance(DBInstanceIdentifier="orders", AllocatedStorage=before * 2, ApplyImmediately=True)
    assert aws.describe()["AllocatedStorage"] == before * 2


def test_roles_logs_and_backups_hang_on_an_instance(aws: Fixture) -> None:
    aws.create()
    role = {"RoleArn": "arn:aws:iam::123456789012:role/import", "FeatureName": "s3Import"}
    aws.rds.add_role_to_db_instance(DBInstanceIdentifier="orders", **role)
    assert aws.describe()["AssociatedRoles"] == [role | {"Status": "ACTIVE"}]
    assert (
        refused(lambda: aws.rds.add_role_to_db_instance(DBInstanceIdentifier="orders", **role))
        == "DBInstanceRoleAlreadyExists"
    )
    aws.rds.remove_role_from_db_instance(DBInstanceIdentifier="orders", **role)
    assert aws.describe()["AssociatedRoles"] == []
    assert len(aws.rds.describe_db_log_files(DBInstanceIdentifier="orders")["DescribeDBLogFiles"]) == 1
    backups = aws.rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    assert [(each["DBInstanceIdentifier"], each["Status"]) for each in backups] == [("orders", "active")]
