"""EC2: what is in use is not deleted. A network interface, and whatever has one, keeps its subnet and its security groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend

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


def install() -> None:
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
