"""EC2: what is in use is not deleted, and networks are told page by page.

A network interface, and whatever has one, keeps its subnet and its security groups.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.responses.subnets import Subnets
from moto.ec2.responses.vpcs import VPCs

from shopkeeper_double.services import replaces


def _backend(service: str, ec2: Any) -> Any:
    """Another service's backend for the same account and region, None where nobody has used it."""
    from moto.core.base_backend import BackendDict

    for backends in list(BackendDict._instances):
        if backends.service_name == service and ec2.account_id in backends:
            of_account = backends[ec2.account_id]
            return of_account[ec2.region_name] if ec2.region_name in list(of_account.keys()) else None
    return None


def _attachments(ec2: Any) -> Iterator[tuple[str, set[str], set[str]]]:
    """(what has network interfaces, their subnets, their security groups)."""
    # moto keeps the interface of a NAT gateway that is gone.
    left_over = {gateway._eni.id for gateway in ec2.nat_gateways.values() if gateway.state in ("deleted", "deleting")}
    for interface in ec2.enis.values():
        if interface.id not in left_over:
            yield interface.id, {interface.subnet.id}, {group.id for group in interface.group_set}
    if (rds := _backend("rds", ec2)) is not None:
        for instance in rds.databases.values():
            subnets = {each["SubnetIdentifier"] for each in instance["DBSubnetGroup"]["Subnets"]}
            yield (
                instance["DBInstanceIdentifier"],
                subnets,
                {each["VpcSecurityGroupId"] for each in instance.get("VpcSecurityGroups", [])},
            )
    if (elasticache := _backend("elasticache", ec2)) is not None:
        groups = elasticache.cache_subnet_groups
        for store in (elasticache.replication_groups, elasticache.cache_clusters):
            for name, record in store.items():
                hidden = getattr(record, "hidden", {})
                subnet_group = groups.get(hidden.get("subnet_group"), {})
                yield (
                    name,
                    {each["SubnetIdentifier"] for each in subnet_group.get("Subnets", [])},
                    set(hidden.get("security_groups") or []),
                )
    if (eks := _backend("eks", ec2)) is not None:
        for cluster in eks.live_clusters().values():
            network = cluster.values["resourcesVpcConfig"]
            held = {network["clusterSecurityGroupId"], *network["securityGroupIds"]}
            yield cluster.name, set(network["subnetIds"]), held
            for group in cluster.nodegroups.values():
                yield group.values["nodegroupName"], set(group.values["subnets"]), set()


def _refers_to(group: Any, identifier: str) -> bool:
    rules = [*group.ingress_rules, *group.egress_rules]
    return any(rule.source_group.get("GroupId") == identifier for rule in rules)


def _page(request: Any, answer: ActionResult, members: str) -> ActionResult:
    """What DescribeSubnets and DescribeVpcs page by: 5 to 1000 at a time where the caller says how many, else all."""
    largest, token = request._get_param("MaxResults"), request._get_param("NextToken")
    if largest is None:
        return answer
    largest = int(largest)
    if not 5 <= largest <= 1000:
        bound = "greater than 5" if largest < 5 else "less than 1000"
        raise EC2ClientError(
            "InvalidParameterValue", f"Value ( {largest} ) for parameter maxResults is invalid. Expecting a value {bound}."
        )
    found = sorted(answer.result[members], key=lambda each: each.id)
    if token:
        after = base64.b64decode(token).decode()
        found = [each for each in found if each.id > after]
    shown = found[:largest]
    following = base64.b64encode(shown[-1].id.encode()).decode() if len(found) > largest else None
    return ActionResult({members: shown, "NextToken": following})


def install() -> None:
    @replaces(Subnets)
    def describe_subnets(before, self):
        return _page(self, before(self), "Subnets")

    @replaces(VPCs)
    def describe_vpcs(before, self):
        return _page(self, before(self), "Vpcs")

    @replaces(SecurityGroupBackend)
    def _delete_security_group(before, self, vpc_id, group_id):
        others = [each for groups in self.groups.values() for each in groups.values() if each.id != group_id]
        if any(_refers_to(each, group_id) for each in others):
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
        for _, _, groups in _attachments(self):
            if group_id in groups:
                raise DependencyViolationError(f"resource {group_id} has a dependent object")
        return before(self, vpc_id, group_id)

    @replaces(SubnetBackend)
    def delete_subnet(before, self, subnet_id):
        if any(subnet_id in subnets for _, subnets, _ in _attachments(self)):
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        return before(self, subnet_id)
