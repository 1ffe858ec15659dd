"""States that last, end badly, or come by themselves, scripted by kind and by name."""

from __future__ import annotations

from typing import Any

import pytest

import test_eks
import test_elasticache
import test_rds
from shopkeeper_double import lifecycle
from shopkeeper_double.lifecycle import Lifecycle, TransitionSettings, clock, settings
from test_core import refused


def outcome(double: Any, transition: str, then: str, **more: Any) -> None:
    status, answer = double.control("PUT", "config", {"outcomes": {transition: {"then": then, **more}}})
    assert status == 200, answer


def force(double: Any, **body: Any) -> int:
    status, answer = double.control("POST", "states", body)
    assert status == 200, answer
    return answer["changed"]


class TestNames:
    def test_a_glob_may_go_on_with_a_name(self) -> None:
        own = TransitionSettings(1.0)
        own.change(overrides={"rds.db-instance.creating": 2.0, "rds.*/orders-*": 3.0})
        assert own.seconds("rds", "db-instance", "creating", "orders-1") == 3.0, "a name is closer than a kind"
        assert own.seconds("rds", "db-instance", "creating", "users") == 2.0
        assert own.seconds("rds", "db-instance", "deleting", None) == 1.0

    def test_what_aws_fixes_is_fixed(self) -> None:
        own = TransitionSettings(1.0)
        assert own.seconds("sqs", "queue", "deleted-recently") == 60.0
        own.change(overrides={"sqs.*": 1.0})
        assert own.seconds("sqs", "queue", "deleted-recently") == 1.0

    def test_every_kind_knows_its_name(self, double: Any) -> None:
        """Else a test's script for it would be passed over in silence."""
        test_eks.Fixture(double).create("web")
        test_rds.Fixture(double).create("orders")
        cache = test_elasticache.Fixture(double)
        cache.create("carts")
        double.client("dynamodb").create_table(
            TableName="products",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        known = {(each.service, each.kind, each.name) for each in list(lifecycle._alive)}
        assert {
            ("eks", "cluster", test_eks.CLUSTER),
            ("eks", "nodegroup", "web"),
            ("rds", "db-instance", "orders"),
            ("rds", "db-subnet-group", "private"),
            ("elasticache", "replication-group", "carts"),
            ("dynamodb", "table", "products"),
        } <= known


class TestFailures:
    def test_the_one_that_is_named_fails(self, double: Any) -> None:
        aws = test_rds.Fixture(double)
        outcome(double, "rds.db-instance.creating/orders", "incompatible-parameters")
        aws.create("orders")
        aws.create("users")
        assert (aws.status("orders"), aws.settled("users")["DBInstanceStatus"]) == ("incompatible-parameters", "available")

    @pytest.mark.parametrize("state", ["create-failed"])
    def test_a_replication_group_that_failed_can_be_deleted(self, double: Any, state: str) -> None:
        aws = test_elasticache.Fixture(double)
        outcome(double, "elasticache.replication-group.creating/carts", state, count=1)
        aws.create()
        assert aws.describe()["Status"] == state
        assert refused(lambda: aws.modify(ReplicationGroupDescription="x"))[0] == "InvalidReplicationGroupState"
        aws.cache.delete_replication_group(ReplicationGroupId="carts")
        assert refused(aws.describe)[0] == "ReplicationGroupNotFoundFault"

    def test_an_index_that_could_not_be_made_is_rolled_back(self, double: Any) -> None:
        dynamodb = double.client("dynamodb")
        dynamodb.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        settings.change(default_seconds=100.0)
        outcome(double, "dynamodb.global-secondary-index.creating/by-day", "GONE")
        key = [{"AttributeName": "day", "KeyType": "HASH"}]
        create = {"IndexName": "by-day", "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}
        dynamodb.update_table(
            TableName="t",
            AttributeDefinitions=[{"AttributeName": "day", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[{"Create": create}],
        )

        def indexes() -> list[str]:
            shown = dynamodb.describe_table(TableName="t")["Table"].get("GlobalSecondaryIndexes", [])
            return [each["IndexStatus"] for each in shown]

        assert indexes() == ["CREATING"]
        clock.advance(1000)
        assert indexes() == []

    def test_a_node_group_tells_what_the_test_says(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        detail = {"code": "NodeCreationFailure", "message": "Unhealthy nodes in the kubernetes cluster"}
        outcome(double, "eks.nodegroup.creating/web", "CREATE_FAILED", detail=detail)
        at.create("web")
        shown = at.describe("web")
        assert shown["status"] == "CREATE_FAILED"
        assert shown["health"]["issues"][0].items() >= detail.items()
        assert refused(lambda: at.update("web", scalingConfig={"maxSize": 9}))[0] == "ResourceInUseException"
        outcome(double, "eks.nodegroup.deleting/web", "DELETE_FAILED", count=1)
        delete = lambda: at.eks.delete_nodegroup(clusterName=test_eks.CLUSTER, nodegroupName="web")  # noqa: E731
        delete()
        shown = at.describe("web")
        assert (shown["status"], shown["health"]["issues"][0]["code"]) == ("DELETE_FAILED", "Ec2SecurityGroupDeletionFailure")
        delete()
        assert refused(lambda: at.describe("web"))[0] == "ResourceNotFoundException"

    def test_an_update_that_failed_says_why(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        at.create("web", version="1.34")
        detail = {"errorCode": "PodEvictionFailure", "errorMessage": "Reached max retries while trying to evict pods"}
        outcome(double, "eks.nodegroup.updating/web", "ACTIVE", detail=detail)
        update = at.upgrade("web", version="1.35")
        shown = at.eks.describe_update(name=test_eks.CLUSTER, nodegroupName="web", updateId=update["id"])["update"]
        assert (shown["status"], shown["errors"][0]["errorCode"]) == ("Failed", "PodEvictionFailure")
        assert at.describe("web")["version"] == "1.34"


class TestByThemselves:
    def test_a_disk_fills_and_is_emptied(self, double: Any) -> None:
        aws = test_rds.Fixture(double)
        aws.create("orders")
        aws.settled("orders")
        assert force(double, service="rds", kind="db-instance", name="ord*", state="storage-full") == 1
        assert aws.status("orders") == "storage-full"
        force(double, service="rds", kind="db-instance", name="orders", state=None)
        assert aws.status("orders") == "available"

    def test_a_node_group_degrades(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        at.create("web")
        detail = {"code": "AsgInstanceLaunchFailures", "message": "no capacity", "resourceIds": ["x"]}
        assert force(double, service="eks", kind="nodegroup", name="web", state="DEGRADED", detail=detail) == 1
        assert at.describe("web")["health"]["issues"] == [detail]
        at.update("web", scalingConfig={"maxSize": 9})
        assert at.describe("web")["status"] == "ACTIVE"

    def test_nobody_by_that_name(self, double: Any) -> None:
        assert force(double, service="eks", kind="nodegroup", name="web", state="DEGRADED") == 0
        assert double.control("POST", "states", {"service": "eks"})[0] == 400


class TestRollout:
    def test_a_group_is_updating_until_its_nodes_are_replaced(self, double: Any) -> None:
        at = test_eks.Fixture(double)
        at.create("web", version="1.34")
        double.control("PUT", "config", {"nodes_are_played": True})
        try:
            update = at.upgrade("web", version="1.35")
            clock.advance(1000)
            assert (at.describe("web")["status"], at.describe("web")["version"]) == ("UPDATING", "1.34")
            groups = double.control("GET", "inventory?service=eks")[1]["resources"]
            rollout = next(each for each in groups if each["name"] == "web")["rollout"]
            assert (rollout["update"], rollout["version"]) == (update["id"], "1.35")
            report = {"region": "eu-west-1", "cluster": test_eks.CLUSTER, "nodegroup": "web"}
            assert double.control("POST", "nodes", {**report, "update": "another"})[1] == {"accepted": False}
            assert at.update_status(update, "web") == "InProgress"
            assert double.control("POST", "nodes", {**report, "update": update["id"]})[1] == {"accepted": True}
            assert (at.describe("web")["status"], at.describe("web")["version"]) == ("ACTIVE", "1.35")
            assert at.update_status(update, "web") == "Successful"
            groups = double.control("GET", "inventory?service=eks")[1]["resources"]
            assert "rollout" not in next(each for each in groups if each["name"] == "web")
        finally:
            settings.change(nodes_are_played=False)


def test_a_copy_that_is_not_frozen_goes_on() -> None:
    import copy

    life = Lifecycle("x", "y", settled="available")
    life.begin("creating", seconds=10)
    copied = copy.deepcopy(life)
    clock.advance(11)
    assert (life.state, copied.state) == ("available", "available")
