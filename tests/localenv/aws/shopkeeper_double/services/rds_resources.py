"""What every RDS topic needs: the stores, names and ARNs, network and key lookups, state refusals, tags, events."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.exceptions import KMSKeyNotAccessibleFault
from moto.utilities.utils import CaseInsensitiveDict

from ._records import Operations, Record, Shape, now, refuse, settle_all, tag_list, tag_map

operation = Operations()

_IDENTIFIER = re.compile(r"^[a-zA-Z](?!.*--)[a-zA-Z0-9-]*(?<!-)$")


def check_identifier(parameter: str, value: str | None, longest: int = 63) -> str:
    """An identifier as RDS stores it, in lower case."""
    if not value:
        raise refuse("InvalidParameterValue", f"The parameter {parameter} must be provided and must not be blank.")
    if len(value) > longest or not _IDENTIFIER.match(value):
        raise refuse(
            "InvalidParameterValue",
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain only "
            "ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.",
        )
    return value.lower()


def arn(backend: Any, kind: str, name: str) -> str:
    return f"arn:{backend.partition}:rds:{backend.region_name}:{backend.account_id}:{kind}:{name}"


def name_in(identifier: str) -> str:
    """Identifiers may be given as ARNs; the name is the last part (automated snapshots have a colon in theirs)."""
    return identifier.split(":", 6)[-1] if identifier.startswith("arn:") else identifier


def store(backend: Any, name: str) -> MutableMapping[str, Record]:
    """A store that moto's backend does not have. It lives on the backend, so that a reset empties it."""
    stores = backend.__dict__.setdefault("shopkeeper_stores", {})
    return stores.setdefault(name, CaseInsensitiveDict())


def settle(backend: Any) -> None:
    """Bring all RDS resources to the present before an operation looks at them."""
    settle_all(
        (
            backend.databases,
            backend.clusters,
            backend.database_snapshots,
            backend.cluster_snapshots,
            backend.blue_green_deployments,
            backend.global_clusters,
        )
    )


def find(resources: MutableMapping[str, Record], identifier: str | None, code: str, kind: str) -> Record:
    record = resources.get(name_in(identifier or ""))
    if record is None:
        raise refuse(code, f"{kind} {identifier} not found.")
    return record


def find_instance(backend: Any, identifier: str | None) -> Record:
    if identifier and not identifier.startswith("arn:") and not _IDENTIFIER.match(identifier):
        check_identifier("DBInstanceIdentifier", identifier)
    record = backend.databases.get(name_in(identifier or ""))
    if record is None:
        raise refuse("DBInstanceNotFound", f"DBInstance {name_in(identifier or '')} not found.")
    return record


def find_cluster(backend: Any, identifier: str | None) -> Record:
    return find(backend.clusters, identifier, "DBClusterNotFoundFault", "DBCluster")


def need_instance_state(instance: Record, message: str, *states: str) -> None:
    if instance.status not in (states or ("available", "storage-optimization")):
        raise refuse("InvalidDBInstanceState", message)


def need_cluster_available(cluster: Record) -> None:
    if cluster.status != "available":
        raise refuse(
            "InvalidDBClusterStateFault",
            f"DbCluster {cluster['DBClusterIdentifier']} is in {cluster.status} state but expected it to be one of available.",
        )


# --- network and keys ------------------------------------------------------------------------------------------------


def ec2(backend: Any) -> Any:
    return ec2_backends[backend.account_id][backend.region_name]


def subnets_of(backend: Any, subnet_ids: Iterable[str]) -> list[Any]:
    found = []
    for subnet_id in subnet_ids:
        try:
            found.append(ec2(backend).get_subnet(subnet_id))
        except Exception as absent:  # moto's EC2 errors are werkzeug exceptions with EC2's code, which RDS does not use
            raise refuse(
                "InvalidSubnet",
                f"The requested subnet {subnet_id} is invalid, or multiple subnets were requested that are not all in a "
                "common VPC.",
            ) from absent
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise refuse("InvalidSubnet", "The requested subnets are not all in a common VPC.")
    return found


def security_group_memberships(backend: Any, group_ids: list[str] | None, vpc_id: str | None) -> list[Shape]:
    if not group_ids:
        default = ec2(backend).get_default_security_group(vpc_id) if vpc_id else None
        group_ids = [default.id] if default else []
    for group_id in group_ids:
        group = ec2(backend).get_security_group_from_id(group_id)
        if group is None:
            raise refuse("InvalidParameterValue", f"Invalid security group , groupId= {group_id}, groupName=.")
        if vpc_id and group.vpc_id != vpc_id:
            raise refuse(
                "InvalidParameterCombination",
                "The DB instance and EC2 security group are in different VPCs. "
                f"The DB instance is in {vpc_id} and the EC2 security group is in {group.vpc_id}",
            )
    return [{"VpcSecurityGroupId": group_id, "Status": "active"} for group_id in group_ids]


def key_arn(backend: Any, key_id: str | None) -> str:
    """The ARN of a KMS key given as id, ARN or alias; the key that AWS manages for RDS when none is given."""
    wanted = key_id or "alias/aws/rds"
    try:
        key = backend.kms.describe_key(wanted)
    except Exception as absent:
        if key_id is None:
            return f"arn:{backend.partition}:kms:{backend.region_name}:{backend.account_id}:key/aws-rds"
        raise KMSKeyNotAccessibleFault(key_id) from absent
    if key_id and not getattr(key, "enabled", True):
        raise KMSKeyNotAccessibleFault(key_id)
    return key.arn


# --- tags ------------------------------------------------------------------------------------------------------------

_TAGGED = {
    "db": ("databases", "DBInstanceNotFound", "DBInstance"),
    "cluster": ("clusters", "DBClusterNotFoundFault", "DBCluster"),
    "snapshot": ("database_snapshots", "DBSnapshotNotFound", "DBSnapshot"),
    "cluster-snapshot": ("cluster_snapshots", "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot"),
    "subgrp": ("subnet_groups", "DBSubnetGroupNotFoundFault", "DBSubnetGroup"),
    "pg": ("db_parameter_groups", "DBParameterGroupNotFound", "DBParameterGroup"),
    "cluster-pg": ("db_cluster_parameter_groups", "DBParameterGroupNotFound", "DBClusterParameterGroup"),
    "deployment": ("blue_green_deployments", "BlueGreenDeploymentNotFoundFault", "BlueGreenDeployment"),
    "global-cluster": ("global_clusters", "GlobalClusterNotFoundFault", "GlobalCluster"),
    # These are moto's own objects, with tags as a list.
    "og": ("option_groups", "OptionGroupNotFoundFault", "OptionGroup"),
    "es": ("event_subscriptions", "SubscriptionNotFound", "EventSubscription"),
    "db-proxy": ("db_proxies", "DBProxyNotFoundFault", "DBProxy"),
    "secgrp": ("security_groups", "DBSecurityGroupNotFound", "DBSecurityGroup"),
}


class _TagsOfMoto:
    """moto's own resources hold tags as a list; this gives them the dict that records have."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource
        self.tags = tag_map(resource.tags)

    def save(self) -> None:
        self._resource.tags = tag_list(self.tags)


def _tagged(backend: Any, resource_arn: str | None) -> Any:
    parts = (resource_arn or "").split(":", 6)
    if len(parts) != 7 or parts[2] != "rds" or parts[5] not in _TAGGED:
        raise refuse("InvalidParameterValue", f"Invalid resource name: {resource_arn}")
    attribute, code, kind = _TAGGED[parts[5]]
    resources = getattr(backend, attribute)
    resource = resources.get(parts[6])
    if resource is None and parts[5] == "db-proxy":
        resource = next((proxy for proxy in resources.values() if proxy.resource_id == parts[6]), None)
    if resource is None:
        raise refuse(code, f"{kind} {parts[6]} not found.")
    return resource if isinstance(resource, Record) else _TagsOfMoto(resource)


def _save(tagged: Any) -> None:
    if isinstance(tagged, _TagsOfMoto):
        tagged.save()


@operation
def list_tags_for_resource(backend: Any, params: Shape) -> Shape:
    return {"TagList": tag_list(_tagged(backend, params.get("ResourceName")).tags)}


@operation
def add_tags_to_resource(backend: Any, params: Shape) -> None:
    add_tags(backend, params.get("ResourceName"), tag_map(params.get("Tags")))


@operation
def remove_tags_from_resource(backend: Any, params: Shape) -> None:
    remove_tags(backend, params.get("ResourceName"), params.get("TagKeys") or [])


def add_tags(backend: Any, resource_arn: str | None, tags: dict[str, str]) -> None:
    tagged = _tagged(backend, resource_arn)
    if any(key.lower().startswith("aws:") for key in tags):
        raise refuse("InvalidParameterValue", "Invalid tag key: keys that begin with aws: are reserved.")
    if len({**tagged.tags, **tags}) > 50:
        raise refuse("InvalidParameterValue", "Too many tags: a resource has at most 50.")
    tagged.tags.update(tags)
    _save(tagged)


def remove_tags(backend: Any, resource_arn: str | None, keys: list[str]) -> None:
    tagged = _tagged(backend, resource_arn)
    for key in keys:
        tagged.tags.pop(key, None)
    _save(tagged)


def check_tags(tags: list[Shape] | None) -> list[Shape]:
    for tag in tags or []:
        if tag["Key"].lower().startswith("aws:"):
            raise refuse("InvalidParameterValue", "Invalid tag key: keys that begin with aws: are reserved.")
    return tags or []


# --- filters and events ----------------------------------------------------------------------------------------------


def filtered(params: Shape, records: Iterable[Record], known: dict[str, str | tuple[str, ...]]) -> list[Record]:
    """The records that match every filter. `known` names the fields that each filter looks at."""
    kept = list(records)
    for each in params.get("Filters") or []:
        name, values = each["Name"], {value.lower() for value in each.get("Values") or []}
        if name not in known:
            raise refuse("InvalidParameterValue", f"Unrecognized filter name: {name}")
        if not values:
            raise refuse("InvalidParameterCombination", "Filter values must be provided.")
        fields = (known[name],) if isinstance(known[name], str) else known[name]
        kept = [record for record in kept if values & {str(record.get(field, "")).lower() for field in fields}]
    return kept


def add_event(backend: Any, source_type: str, record: Record, identifier: str, category: str, message: str) -> None:
    events = backend.__dict__.setdefault("shopkeeper_events", [])
    events.append(
        {
            "SourceIdentifier": identifier,
            "SourceType": source_type,
            "Message": message,
            "EventCategories": [category],
            "Date": now(),
            "SourceArn": record.get("DBInstanceArn") or record.get("DBClusterArn") or record.get("DBSnapshotArn", ""),
        }
    )
