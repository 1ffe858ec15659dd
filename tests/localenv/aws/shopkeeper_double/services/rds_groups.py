"""DB subnet groups, DB parameter groups and DB cluster parameter groups."""

from __future__ import annotations

import copy
from collections.abc import Iterable, MutableMapping
from typing import Any

from ._records import Record, Shape, page, refuse
from .rds_parameters import accepts, defaults_of, families
from .rds_resources import (
    arn,
    check_identifier,
    check_tags,
    ec2,
    filtered,
    find,
    name_in,
    operation,
    subnets_of,
)

# --- subnet groups ---------------------------------------------------------------------------------------------------


def _subnet_shapes(backend: Any, subnet_ids: list[str]) -> tuple[str, list[Shape]]:
    subnets = subnets_of(backend, subnet_ids)
    zones = {subnet.availability_zone for subnet in subnets}
    if len(zones) < 2:
        raise refuse(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: "
            f"{', '.join(sorted(zones))}. Add subnets to cover at least 2 AZs.",
        )
    return subnets[0].vpc_id, [
        {
            "SubnetIdentifier": subnet.id,
            "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
            "SubnetOutpost": {},
            "SubnetStatus": "Active",
        }
        for subnet in subnets
    ]


def find_subnet_group(backend: Any, name: str | None) -> Record:
    return find(backend.subnet_groups, name, "DBSubnetGroupNotFoundFault", "DB subnet group")


def subnet_group_or_default(backend: Any, name: str | None) -> Shape:
    """The group's shape as a DB instance shows it; without a name, the group `default` of the account's default VPC."""
    if name and name.lower() != "default":
        return dict(find_subnet_group(backend, name))
    vpc = ec2(backend).default_vpc
    subnets = [subnet for subnet in ec2(backend).describe_subnets() if subnet.vpc_id == vpc.id] if vpc else []
    return {
        "DBSubnetGroupName": "default",
        "DBSubnetGroupDescription": "default",
        "VpcId": vpc.id if vpc else None,
        "SubnetGroupStatus": "Complete",
        "Subnets": [
            {
                "SubnetIdentifier": subnet.id,
                "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
                "SubnetOutpost": {},
                "SubnetStatus": "Active",
            }
            for subnet in subnets
        ],
        "SupportedNetworkTypes": ["IPV4"],
    }


def _users_of_subnet_group(backend: Any, name: str) -> list[str]:
    instances = [
        instance["DBInstanceIdentifier"]
        for instance in backend.databases.values()
        if instance["DBSubnetGroup"]["DBSubnetGroupName"] == name
    ]
    return instances + [
        cluster["DBClusterIdentifier"] for cluster in backend.clusters.values() if cluster["DBSubnetGroup"] == name
    ]


@operation
def create_db_subnet_group(backend: Any, params: Shape) -> Shape:
    name = (params.get("DBSubnetGroupName") or "").lower()
    if not name or name == "default" or len(name) > 255:
        raise refuse("InvalidParameterValue", "The parameter DBSubnetGroupName is not a valid identifier.")
    if name in backend.subnet_groups:
        raise refuse("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")
    if not params.get("DBSubnetGroupDescription"):
        raise refuse("InvalidParameterValue", "The parameter DBSubnetGroupDescription must be provided and must not be blank.")
    tags = check_tags(params.get("Tags"))
    vpc_id, subnets = _subnet_shapes(backend, params.get("SubnetIds") or [])
    group = Record(
        {
            "DBSubnetGroupName": name,
            "DBSubnetGroupDescription": params["DBSubnetGroupDescription"],
            "VpcId": vpc_id,
            "Subnets": subnets,
            "DBSubnetGroupArn": arn(backend, "subgrp", name),
            "SupportedNetworkTypes": ["IPV4"],
        },
        "rds",
        "db-subnet-group",
        settled="Complete",
        status_key="SubnetGroupStatus",
        tags=tags,
    )
    backend.subnet_groups[name] = group
    return {"DBSubnetGroup": group.shown()}


@operation
def describe_db_subnet_groups(backend: Any, params: Shape) -> Shape:
    name = params.get("DBSubnetGroupName")
    groups = [find_subnet_group(backend, name)] if name else list(backend.subnet_groups.values())
    shown, marker = page(params, groups, lambda group: group["DBSubnetGroupName"])
    return {"DBSubnetGroups": [group.shown() for group in shown], "Marker": marker}


@operation
def modify_db_subnet_group(backend: Any, params: Shape) -> Shape:
    group = find_subnet_group(backend, params.get("DBSubnetGroupName"))
    vpc_id, subnets = _subnet_shapes(backend, params.get("SubnetIds") or [])
    name = group["DBSubnetGroupName"]
    users = _users_of_subnet_group(backend, name)
    if users and vpc_id != group["VpcId"]:
        raise refuse("InvalidSubnet", "The requested subnets are not in the VPC of the DB subnet group, which is in use.")
    zones = {subnet["SubnetAvailabilityZone"]["Name"] for subnet in subnets}
    for instance in backend.databases.values():
        if instance["DBInstanceIdentifier"] in users and instance.get("AvailabilityZone") not in zones:
            raise refuse(
                "SubnetAlreadyInUse",
                f"The DB instance {instance['DBInstanceIdentifier']} is in an Availability Zone that the new subnets leave.",
            )
    group.update(VpcId=vpc_id, Subnets=subnets)
    if params.get("DBSubnetGroupDescription"):
        group["DBSubnetGroupDescription"] = params["DBSubnetGroupDescription"]
    for instance in backend.databases.values():
        if instance["DBInstanceIdentifier"] in users:
            instance["DBSubnetGroup"] = dict(group) | {"SubnetGroupStatus": "Complete"}
    return {"DBSubnetGroup": group.shown()}


@operation
def delete_db_subnet_group(backend: Any, params: Shape) -> None:
    group = find_subnet_group(backend, params.get("DBSubnetGroupName"))
    name = group["DBSubnetGroupName"]
    if users := _users_of_subnet_group(backend, name):
        raise refuse(
            "InvalidDBSubnetGroupStateFault",
            f"Cannot delete the subnet group '{name}' because at least one database instance: {users[0]} is still using it.",
        )
    del backend.subnet_groups[name]


# --- parameter groups ------------------------------------------------------------------------------------------------


def _new_group(backend: Any, cluster: bool, name: str, family: str, description: str, tags: Iterable[Shape] | None) -> Record:
    prefix = "DBClusterParameterGroup" if cluster else "DBParameterGroup"
    group = Record(
        {
            f"{prefix}Name": name,
            "DBParameterGroupFamily": family,
            "Description": description,
            f"{prefix}Arn": arn(backend, "cluster-pg" if cluster else "pg", name),
        },
        "rds",
        "db-parameter-group",
        tags=tags,
    )
    group.hidden["parameters"] = {}
    return group


def find_parameter_group(backend: Any, name: str | None, cluster: bool = False) -> Record:
    """A group by name. The default group of a family exists as soon as something asks for it, as in AWS."""
    groups: MutableMapping[str, Record] = backend.db_cluster_parameter_groups if cluster else backend.db_parameter_groups
    wanted = name_in(name or "").lower()
    family = wanted.removeprefix("default.")
    if wanted not in groups and wanted.startswith("default.") and family in families():
        groups[wanted] = _new_group(backend, cluster, wanted, family, f"Default parameter group for {family}", None)
    if wanted not in groups:
        kind = "DBClusterParameterGroup" if cluster else "DBParameterGroup"
        raise refuse("DBParameterGroupNotFound", f"{kind} not found: {name}")
    return groups[wanted]


def _create(backend: Any, params: Shape, cluster: bool) -> Record:
    key = "DBClusterParameterGroupName" if cluster else "DBParameterGroupName"
    groups = backend.db_cluster_parameter_groups if cluster else backend.db_parameter_groups
    name = check_identifier(key, params.get(key), longest=255)
    if name in groups:
        raise refuse("DBParameterGroupAlreadyExists", f"Parameter group {name} already exists")
    for required in ("DBParameterGroupFamily", "Description"):
        if not params.get(required):
            raise refuse("InvalidParameterValue", f"The parameter {required} must be provided and must not be blank.")
    family = params["DBParameterGroupFamily"]
    if family not in families():
        raise refuse("InvalidParameterValue", f"ParameterGroupFamily {family} is not a valid parameter group family")
    groups[name] = _new_group(backend, cluster, name, family, params["Description"], check_tags(params.get("Tags")))
    return groups[name]


def _parameters(group: Record) -> list[Shape]:
    own = group.hidden["parameters"]
    return [
        copy.deepcopy(parameter) | own.get(name, {})
        for name, parameter in defaults_of(group["DBParameterGroupFamily"]).items()
    ]


def _describe_parameters(params: Shape, parameters: list[Shape]) -> tuple[list[Shape], str | None]:
    if source := params.get("Source"):
        if source not in ("user", "system", "engine-default"):
            raise refuse("InvalidParameterValue", f"Invalid source: {source}")
        parameters = [parameter for parameter in parameters if parameter["Source"] == source]
    for each in params.get("Filters") or []:
        if each["Name"] == "parameter-name":
            parameters = [parameter for parameter in parameters if parameter["ParameterName"] in each["Values"]]
    return page(params, parameters, lambda parameter: parameter["ParameterName"])


def _check_not_default(name: str, key: str) -> None:
    # The dot in a default group's name is what AWS stumbles over: it says so, rather than that the group is a default one.
    if name.startswith("default."):
        raise refuse(
            "InvalidParameterValue",
            f"The parameter {key} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII "
            "letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.",
        )


def _check_changes(group: Record, changes: list[Shape]) -> None:
    if not changes or len(changes) > 20:
        raise refuse("InvalidParameterValue", "A request changes at least 1 and at most 20 parameters.")
    known = defaults_of(group["DBParameterGroupFamily"])
    for change in changes:
        name = change.get("ParameterName")
        if name not in known:
            raise refuse("InvalidParameterValue", f"Could not find parameter with name: {name}")
        parameter = known[name]
        if not parameter["IsModifiable"]:
            raise refuse("InvalidParameterValue", f"The parameter {name} cannot be modified.")
        value = change.get("ParameterValue")
        if value is not None and not accepts(parameter, value):
            raise refuse(
                "InvalidParameterValue",
                f"Invalid parameter value: {value} for: {name} allowed values are: {parameter['AllowedValues']}",
            )
        if change.get("ApplyMethod") == "immediate" and parameter["ApplyType"] == "static":
            raise refuse("InvalidParameterCombination", f"cannot use immediate apply method for static parameter: {name}")


def _announce(backend: Any, group: Record, changes: list[Shape]) -> None:
    """Instances show that a change of their group is applied, or waits for a reboot."""
    name = group["DBParameterGroupName"]
    waits = any(change.get("ApplyMethod") != "immediate" for change in changes)
    for instance in backend.databases.values():
        if instance.hidden["parameter_group"] == name:
            if waits:
                instance.hidden["parameter_apply"].settle("pending-reboot")
            elif instance.hidden["parameter_apply"].state == "in-sync":
                instance.hidden["parameter_apply"].begin("applying")


@operation
def create_db_parameter_group(backend: Any, params: Shape) -> Shape:
    return {"DBParameterGroup": _create(backend, params, cluster=False).shown()}


@operation
def create_db_cluster_parameter_group(backend: Any, params: Shape) -> Shape:
    return {"DBClusterParameterGroup": _create(backend, params, cluster=True).shown()}


@operation
def describe_db_parameter_groups(backend: Any, params: Shape) -> Shape:
    name = params.get("DBParameterGroupName")
    groups = [find_parameter_group(backend, name)] if name else list(backend.db_parameter_groups.values())
    shown, marker = page(params, filtered(params, groups, {}), lambda group: group["DBParameterGroupName"])
    return {"DBParameterGroups": [group.shown() for group in shown], "Marker": marker}


@operation
def describe_db_cluster_parameter_groups(backend: Any, params: Shape) -> Shape:
    name = params.get("DBClusterParameterGroupName")
    groups = (
        [find_parameter_group(backend, name, cluster=True)] if name else list(backend.db_cluster_parameter_groups.values())
    )
    shown, marker = page(params, filtered(params, groups, {}), lambda group: group["DBClusterParameterGroupName"])
    return {"DBClusterParameterGroups": [group.shown() for group in shown], "Marker": marker}


def _modify(group: Record, changes: list[Shape]) -> None:
    _check_changes(group, changes)
    for change in changes:
        group.hidden["parameters"][change["ParameterName"]] = {
            "ParameterValue": change.get("ParameterValue"),
            "ApplyMethod": change.get("ApplyMethod", "pending-reboot"),
            "Source": "user",
        }


def _reset(group: Record, params: Shape) -> list[Shape]:
    changes = params.get("Parameters") or []
    if params.get("ResetAllParameters"):
        if changes:
            raise refuse("InvalidParameterCombination", "ResetAllParameters cannot be true if Parameters are specified.")
        # AWS makes dynamic parameters take effect at once and static ones at the next reboot.
        changes = [{"ParameterName": name, "ApplyMethod": "pending-reboot"} for name in group.hidden["parameters"]]
        group.hidden["parameters"].clear()
        return changes
    _check_changes(group, changes)
    for change in changes:
        group.hidden["parameters"].pop(change["ParameterName"], None)
    return changes


@operation
def modify_db_parameter_group(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("DBParameterGroupName"))
    _check_not_default(group["DBParameterGroupName"], "DBParameterGroupName")
    _modify(group, params.get("Parameters") or [])
    _announce(backend, group, params["Parameters"])
    return {"DBParameterGroupName": group["DBParameterGroupName"]}


@operation
def modify_db_cluster_parameter_group(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("DBClusterParameterGroupName"), cluster=True)
    _check_not_default(group["DBClusterParameterGroupName"], "DBClusterParameterGroupName")
    _modify(group, params.get("Parameters") or [])
    return {"DBClusterParameterGroupName": group["DBClusterParameterGroupName"]}


@operation
def reset_db_parameter_group(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("DBParameterGroupName"))
    _check_not_default(group["DBParameterGroupName"], "DBParameterGroupName")
    if changes := _reset(group, params):
        _announce(backend, group, changes)
    return {"DBParameterGroupName": group["DBParameterGroupName"]}


@operation
def reset_db_cluster_parameter_group(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("DBClusterParameterGroupName"), cluster=True)
    _check_not_default(group["DBClusterParameterGroupName"], "DBClusterParameterGroupName")
    _reset(group, params)
    return {"DBClusterParameterGroupName": group["DBClusterParameterGroupName"]}


@operation
def describe_db_parameters(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("DBParameterGroupName"))
    parameters, marker = _describe_parameters(params, _parameters(group))
    return {"Parameters": parameters, "Marker": marker}


@operation
def describe_db_cluster_parameters(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("DBClusterParameterGroupName"), cluster=True)
    parameters, marker = _describe_parameters(params, _parameters(group))
    return {"Parameters": parameters, "Marker": marker}


def _engine_defaults(params: Shape) -> Shape:
    family = params.get("DBParameterGroupFamily")
    if family not in families():
        raise refuse("InvalidParameterValue", f"ParameterGroupFamily {family} is not a valid parameter group family")
    parameters, marker = _describe_parameters(params, copy.deepcopy(list(defaults_of(family).values())))
    return {"EngineDefaults": {"DBParameterGroupFamily": family, "Parameters": parameters, "Marker": marker}}


@operation
def describe_engine_default_parameters(backend: Any, params: Shape) -> Shape:
    return _engine_defaults(params)


@operation
def describe_engine_default_cluster_parameters(backend: Any, params: Shape) -> Shape:
    return _engine_defaults(params)


def _copy(backend: Any, params: Shape, cluster: bool) -> Record:
    kind = "DBClusterParameterGroup" if cluster else "DBParameterGroup"
    source = find_parameter_group(backend, params.get(f"Source{kind}Identifier"), cluster)
    group = _create(
        backend,
        {
            f"{kind}Name": params.get(f"Target{kind}Identifier"),
            "DBParameterGroupFamily": source["DBParameterGroupFamily"],
            "Description": params.get(f"Target{kind}Description"),
            "Tags": params.get("Tags"),
        },
        cluster,
    )
    group.hidden["parameters"] = copy.deepcopy(source.hidden["parameters"])
    return group


@operation
def copy_db_parameter_group(backend: Any, params: Shape) -> Shape:
    return {"DBParameterGroup": _copy(backend, params, cluster=False).shown()}


@operation
def copy_db_cluster_parameter_group(backend: Any, params: Shape) -> Shape:
    return {"DBClusterParameterGroup": _copy(backend, params, cluster=True).shown()}


@operation
def delete_db_parameter_group(backend: Any, params: Shape) -> None:
    group = find_parameter_group(backend, params.get("DBParameterGroupName"))
    name = group["DBParameterGroupName"]
    _check_not_default(name, "DBParameterGroupName")
    if any(instance.hidden["parameter_group"] == name for instance in backend.databases.values()):
        raise refuse(
            "InvalidDBParameterGroupState",
            f"One or more database instances are still members of this parameter group {name}, so the group cannot be deleted",
        )
    del backend.db_parameter_groups[name]


@operation
def delete_db_cluster_parameter_group(backend: Any, params: Shape) -> None:
    group = find_parameter_group(backend, params.get("DBClusterParameterGroupName"), cluster=True)
    name = group["DBClusterParameterGroupName"]
    _check_not_default(name, "DBClusterParameterGroupName")
    if any(cluster["DBClusterParameterGroup"] == name for cluster in backend.clusters.values()):
        raise refuse(
            "InvalidDBParameterGroupState",
            f"One or more database clusters are still members of this parameter group {name}, so the group cannot be deleted",
        )
    del backend.db_cluster_parameter_groups[name]
