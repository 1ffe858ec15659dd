"""Cache subnet groups and cache parameter groups."""

from __future__ import annotations

import re
from typing import Any

from ._records import Record, Shape, page, refuse
from .elasticache_engines import ENGINES, accepts, engine_named, families, parameters_of
from .elasticache_resources import arn, check_identifier, check_tags, ec2, operation, store

# --- subnet groups ---------------------------------------------------------------------------------------------------


def subnet_shapes(backend: Any, subnet_ids: list[str]) -> tuple[str, list[Shape]]:
    found = []
    for subnet_id in subnet_ids:
        try:
            found.append(ec2(backend).get_subnet(subnet_id))
        except Exception as absent:  # moto's EC2 errors carry EC2's code, which ElastiCache does not use
            raise refuse("InvalidSubnet", f"The subnet ID '{subnet_id}' does not exist") from absent
    if not found or len({subnet.vpc_id for subnet in found}) > 1:
        raise refuse("InvalidSubnet", "The subnets must all be in one VPC, and at least one must be given.")
    return found[0].vpc_id, [
        {
            "SubnetIdentifier": subnet.id,
            "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
            "SupportedNetworkTypes": ["ipv4"],
        }
        for subnet in found
    ]


def find_subnet_group(backend: Any, name: str | None) -> Record:
    if (name or "").lower() == "default" and "default" not in store(backend, "cache_subnet_groups"):
        vpc = ec2(backend).default_vpc
        subnet_ids = [subnet.id for subnet in ec2(backend).describe_subnets() if vpc and subnet.vpc_id == vpc.id]
        if subnet_ids:
            _new_subnet_group(backend, "default", "Default CacheSubnetGroup", subnet_ids, None)
    group = store(backend, "cache_subnet_groups").get((name or "").lower())
    if group is None:
        raise refuse("CacheSubnetGroupNotFoundFault", f"Cache Subnet Group {name} does not exist.")
    return group


def zones_of(group: Record) -> list[str]:
    return sorted({subnet["SubnetAvailabilityZone"]["Name"] for subnet in group["Subnets"]})


def _new_subnet_group(backend: Any, name: str, description: str, subnet_ids: list[str], tags: list[Shape] | None) -> Record:
    vpc_id, subnets = subnet_shapes(backend, subnet_ids)
    group = Record(
        {
            "CacheSubnetGroupName": name,
            "CacheSubnetGroupDescription": description,
            "VpcId": vpc_id,
            "Subnets": subnets,
            "ARN": arn(backend, "subnetgroup", name),
            "SupportedNetworkTypes": ["ipv4"],
        },
        "elasticache",
        "subnet-group",
        tags=tags,
    )
    store(backend, "cache_subnet_groups")[name] = group
    return group


@operation
def create_cache_subnet_group(backend: Any, params: Shape) -> Shape:
    name = (params.get("CacheSubnetGroupName") or "").lower()
    if not name or name == "default" or not re.fullmatch(r"[a-z0-9-]{1,255}", name):
        raise refuse("InvalidParameterValue", "The parameter CacheSubnetGroupName is not a valid identifier.")
    if name in store(backend, "cache_subnet_groups"):
        raise refuse("CacheSubnetGroupAlreadyExists", f"Cache subnet group {name} already exists.")
    tags = check_tags(params.get("Tags"))
    group = _new_subnet_group(
        backend, name, params.get("CacheSubnetGroupDescription") or "", params.get("SubnetIds") or [], tags
    )
    return {"CacheSubnetGroup": group.shown()}


@operation
def describe_cache_subnet_groups(backend: Any, params: Shape) -> Shape:
    name = params.get("CacheSubnetGroupName")
    groups = [find_subnet_group(backend, name)] if name else list(store(backend, "cache_subnet_groups").values())
    shown, marker = page(params, groups, lambda group: group["CacheSubnetGroupName"])
    return {"CacheSubnetGroups": [group.shown() for group in shown], "Marker": marker}


def _users_of(backend: Any, setting: str, name: str) -> list[Record]:
    return [
        record
        for kind in ("replication_groups", "cache_clusters")
        for record in store(backend, kind).values()
        if record.hidden.get(setting) == name
    ]


@operation
def modify_cache_subnet_group(backend: Any, params: Shape) -> Shape:
    group = find_subnet_group(backend, params.get("CacheSubnetGroupName"))
    if params.get("SubnetIds"):
        vpc_id, subnets = subnet_shapes(backend, params["SubnetIds"])
        in_use = _users_of(backend, "subnet_group", group["CacheSubnetGroupName"])
        if in_use and vpc_id != group["VpcId"]:
            raise refuse("InvalidSubnet", "The subnets are not in the VPC of the cache subnet group, which is in use.")
        zones = {subnet["SubnetAvailabilityZone"]["Name"] for subnet in subnets}
        if any(zone not in zones for record in in_use for zone in record.hidden.get("zones_in_use", lambda: [])()):
            raise refuse("SubnetInUse", "The requested subnets leave an Availability Zone that cache nodes are in.")
        group.update(VpcId=vpc_id, Subnets=subnets)
    if params.get("CacheSubnetGroupDescription") is not None:
        group["CacheSubnetGroupDescription"] = params["CacheSubnetGroupDescription"]
    return {"CacheSubnetGroup": group.shown()}


@operation
def delete_cache_subnet_group(backend: Any, params: Shape) -> None:
    group = find_subnet_group(backend, params.get("CacheSubnetGroupName"))
    name = group["CacheSubnetGroupName"]
    if name == "default":
        raise refuse("InvalidParameterValue", "The default cache subnet group cannot be deleted.")
    if _users_of(backend, "subnet_group", name):
        raise refuse("CacheSubnetGroupInUse", f"Cache subnet group {name} is currently in use by a cache cluster.")
    del store(backend, "cache_subnet_groups")[name]


# --- parameter groups ------------------------------------------------------------------------------------------------


def find_parameter_group(backend: Any, name: str | None) -> Record:
    """A group by name; the default groups of a family, with and without cluster mode, always exist."""
    groups = store(backend, "cache_parameter_groups")
    wanted = (name or "").lower()
    family = wanted.removeprefix("default.").removesuffix(".cluster.on")
    if wanted not in groups and wanted.startswith("default.") and family in families():
        cluster = wanted.endswith(".cluster.on")
        groups[wanted] = _new_parameter_group(
            backend, wanted, family, f"Default parameter group for {family}{' cluster' if cluster else ''}", None
        )
        if cluster:
            groups[wanted].hidden["parameters"]["cluster-enabled"] = {"ParameterValue": "yes"}
    if wanted not in groups:
        raise refuse("CacheParameterGroupNotFound", f"CacheParameterGroup {name} not found.")
    return groups[wanted]


def has_cluster_mode(group: Record) -> bool:
    return group.hidden["parameters"].get("cluster-enabled", {}).get("ParameterValue") == "yes"


def check_family(group: Record, engine_name: str, version: str) -> None:
    family = ENGINES[engine_name].family(version)
    if group["CacheParameterGroupFamily"] != family:
        raise refuse(
            "InvalidParameterCombination",
            f"Expected a parameter group of family {family} but found one of family {group['CacheParameterGroupFamily']}",
        )


def _new_parameter_group(backend: Any, name: str, family: str, description: str, tags: list[Shape] | None) -> Record:
    group = Record(
        {
            "CacheParameterGroupName": name,
            "CacheParameterGroupFamily": family,
            "Description": description,
            "IsGlobal": False,
            "ARN": arn(backend, "parametergroup", name),
        },
        "elasticache",
        "parameter-group",
        tags=tags,
    )
    group.hidden["parameters"] = {}
    return group


def _check_not_default(name: str) -> None:
    if name.startswith("default."):
        raise refuse("InvalidCacheParameterGroupState", f"The default parameter group {name} cannot be changed.")


@operation
def create_cache_parameter_group(backend: Any, params: Shape) -> Shape:
    name = check_identifier("CacheParameterGroupName", params.get("CacheParameterGroupName"), 255)
    groups = store(backend, "cache_parameter_groups")
    if name in groups:
        raise refuse("CacheParameterGroupAlreadyExists", f"CacheParameterGroup {name} already exists.")
    family = params.get("CacheParameterGroupFamily")
    if family not in families():
        raise refuse("InvalidParameterValue", f"CacheParameterGroupFamily {family} is not a valid parameter group family.")
    if not params.get("Description"):
        raise refuse("InvalidParameterValue", "The parameter Description must be provided and must not be blank.")
    groups[name] = _new_parameter_group(backend, name, family, params["Description"], check_tags(params.get("Tags")))
    return {"CacheParameterGroup": groups[name].shown()}


@operation
def describe_cache_parameter_groups(backend: Any, params: Shape) -> Shape:
    for family in families():
        find_parameter_group(backend, f"default.{family}")
    name = params.get("CacheParameterGroupName")
    groups = [find_parameter_group(backend, name)] if name else list(store(backend, "cache_parameter_groups").values())
    shown, marker = page(params, groups, lambda group: group["CacheParameterGroupName"])
    return {"CacheParameterGroups": [group.shown() for group in shown], "Marker": marker}


def _parameters(group: Record) -> dict[str, Shape]:
    own = group.hidden["parameters"]
    return {name: shape | own.get(name, {}) for name, shape in parameters_of(group["CacheParameterGroupFamily"]).items()}


@operation
def describe_cache_parameters(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("CacheParameterGroupName"))
    parameters = list(_parameters(group).values())
    if source := params.get("Source"):
        if source not in ("user", "system", "engine-default"):
            raise refuse("InvalidParameterValue", f"Invalid source: {source}")
        parameters = [parameter for parameter in parameters if parameter["Source"] == source]
    shown, marker = page(params, parameters, lambda parameter: parameter["ParameterName"])
    return {"Parameters": shown, "CacheNodeTypeSpecificParameters": [], "Marker": marker}


@operation
def describe_engine_default_parameters(backend: Any, params: Shape) -> Shape:
    family = params.get("CacheParameterGroupFamily")
    if family not in families():
        raise refuse("InvalidParameterValue", f"CacheParameterGroupFamily {family} is not a valid parameter group family.")
    shown, marker = page(params, list(parameters_of(family).values()), lambda parameter: parameter["ParameterName"])
    return {
        "EngineDefaults": {
            "CacheParameterGroupFamily": family,
            "Parameters": shown,
            "CacheNodeTypeSpecificParameters": [],
            "Marker": marker,
        }
    }


@operation
def modify_cache_parameter_group(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("CacheParameterGroupName"))
    _check_not_default(group["CacheParameterGroupName"])
    changes = params.get("ParameterNameValues") or []
    if not 1 <= len(changes) <= 20:
        raise refuse("InvalidParameterValue", "A request changes at least 1 and at most 20 parameters.")
    known = _parameters(group)
    for change in changes:
        name, value = change.get("ParameterName"), change.get("ParameterValue")
        if name not in known:
            raise refuse("InvalidParameterValue", f"The parameter {name} does not exist.")
        if not known[name]["IsModifiable"]:
            raise refuse("InvalidParameterValue", f"The parameter {name} cannot be modified.")
        if value is None or not accepts(known[name], value):
            raise refuse(
                "InvalidParameterValue",
                f"The parameter value {value} for {name} is invalid. Allowed values: {known[name].get('AllowedValues')}",
            )
    for change in changes:
        group.hidden["parameters"][change["ParameterName"]] = {"ParameterValue": change["ParameterValue"], "Source": "user"}
    _announce(backend, group, any(known[change["ParameterName"]]["ChangeType"] == "requires-reboot" for change in changes))
    return {"CacheParameterGroupName": group["CacheParameterGroupName"]}


def _announce(backend: Any, group: Record, needs_reboot: bool) -> None:
    for record in _users_of(backend, "parameter_group", group["CacheParameterGroupName"]):
        if needs_reboot:
            record.hidden["parameter_apply"].settle("pending-reboot")
        else:
            record.hidden["parameter_apply"].begin("applying")


@operation
def reset_cache_parameter_group(backend: Any, params: Shape) -> Shape:
    group = find_parameter_group(backend, params.get("CacheParameterGroupName"))
    _check_not_default(group["CacheParameterGroupName"])
    own = group.hidden["parameters"]
    if params.get("ResetAllParameters"):
        names = list(own)
    else:
        names = [each.get("ParameterName") for each in params.get("ParameterNameValues") or []]
        if not names:
            raise refuse("InvalidParameterCombination", "Either ResetAllParameters or ParameterNameValues must be given.")
    known = _parameters(group)
    for name in names:
        if name not in known:
            raise refuse("InvalidParameterValue", f"The parameter {name} does not exist.")
    for name in names:
        own.pop(name, None)
    if names:
        _announce(backend, group, any(known[name]["ChangeType"] == "requires-reboot" for name in names))
    return {"CacheParameterGroupName": group["CacheParameterGroupName"]}


@operation
def delete_cache_parameter_group(backend: Any, params: Shape) -> None:
    group = find_parameter_group(backend, params.get("CacheParameterGroupName"))
    name = group["CacheParameterGroupName"]
    _check_not_default(name)
    if _users_of(backend, "parameter_group", name):
        raise refuse(
            "InvalidCacheParameterGroupState",
            f"One or more cache clusters are still members of this parameter group {name}, so the group cannot be deleted",
        )
    del store(backend, "cache_parameter_groups")[name]


# --- engine versions -------------------------------------------------------------------------------------------------


@operation
def describe_cache_engine_versions(backend: Any, params: Shape) -> Shape:
    engines = [engine_named(params["Engine"])] if params.get("Engine") else list(ENGINES.values())
    shapes = [
        {
            "Engine": engine.name,
            "EngineVersion": asked,
            "CacheParameterGroupFamily": engine.family(asked),
            "CacheEngineDescription": engine.description,
            "CacheEngineVersionDescription": f"{engine.description} version {shown}",
        }
        for engine in engines
        for asked, shown in engine.versions.items()
        if params.get("EngineVersion") in (None, asked, shown)
        and params.get("CacheParameterGroupFamily") in (None, engine.family(asked))
        and (not params.get("DefaultOnly") or asked == engine.default)
    ]
    shown_shapes, marker = page(params, shapes, lambda shape: f"{shape['Engine']} {shape['EngineVersion']}")
    return {"CacheEngineVersions": shown_shapes, "Marker": marker}
