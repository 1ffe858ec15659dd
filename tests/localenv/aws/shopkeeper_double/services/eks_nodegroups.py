"""The rules of managed node groups: what is refused, what is filled in, and what an update changes."""

from __future__ import annotations

import json
import re
from typing import Any

from .eks_resources import (
    NODE_VERSION_SKEW,
    NODEGROUP_NAME,
    SUPPORTED_VERSIONS,
    Cluster,
    Nodegroup,
    invalid_parameter,
    invalid_request,
    latest_release,
    minor,
)

DEFAULT_SCALING = {"minSize": 1, "maxSize": 2, "desiredSize": 2}
RESERVED_LABEL_PREFIXES = ("kubernetes.io/", "k8s.io/", "eks.amazonaws.com/")
#: Families whose name carries a g right after the generation are Graviton: m7g, c6gn, t4g, x2gd, r8g. a1 is the first.
GRAVITON = re.compile(r"^(a1|[a-z]+\d+g[a-z]*)\.")
TAINT_EFFECTS = ("NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE")
AL2_LAST_VERSION = "1.32"


def check_name(name: str) -> None:
    if not NODEGROUP_NAME.match(name):
        raise invalid_parameter(
            "The nodegroup name must begin with letter or digit and can have any of letters, digits, hyphens and "
            "underscores, and be at most 63 characters long."
        )


def check_scaling(scaling: dict[str, int]) -> None:
    smallest, largest, desired = (scaling.get(key) for key in ("minSize", "maxSize", "desiredSize"))
    if smallest is not None and smallest < 0:
        raise invalid_parameter("Minimum capacity cannot be less than 0")
    if largest is not None and largest < 1:
        raise invalid_parameter("Maximum capacity cannot be less than 1")
    if smallest is not None and largest is not None and smallest > largest:
        raise invalid_parameter(f"Minimum capacity {smallest} can't be greater than maximum capacity {largest}")
    if desired is not None and largest is not None and desired > largest:
        raise invalid_parameter(f"desired capacity {desired} can't be greater than max size {largest}")
    if desired is not None and smallest is not None and desired < smallest:
        raise invalid_parameter(f"Minimum capacity {smallest} can't be greater than desired size {desired}")


def check_update_config(update_config: dict[str, Any]) -> None:
    if "maxUnavailable" in update_config and "maxUnavailablePercentage" in update_config:
        raise invalid_parameter("maxUnavailable and maxUnavailablePercentage cannot be specified together")
    if not 1 <= update_config.get("maxUnavailable", 1) <= 100:
        raise invalid_parameter("maxUnavailable must be between 1 and 100")
    if not 1 <= update_config.get("maxUnavailablePercentage", 1) <= 100:
        raise invalid_parameter("maxUnavailablePercentage must be between 1 and 100")


def check_labels(labels: dict[str, str]) -> None:
    if any(key.startswith(RESERVED_LABEL_PREFIXES) for key in labels):
        raise invalid_parameter(f"Label cannot contain reserved prefixes [{', '.join(RESERVED_LABEL_PREFIXES)}]")


def check_taints(taints: list[dict[str, str]]) -> None:
    if len(taints) > 50:
        raise invalid_parameter("A node group can have at most 50 taints")
    for taint in taints:
        if taint.get("effect") not in TAINT_EFFECTS or not taint.get("key"):
            raise invalid_parameter(f"Taint {taint.get('key')} has an invalid key or effect {taint.get('effect')}")


def check_instance_types(instance_types: list[str], ami_type: str) -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    unknown = [each for each in instance_types if each not in INSTANCE_TYPES]
    if unknown:
        raise invalid_parameter(f"The following supplied instance types do not exist: [{', '.join(unknown)}]")
    for each in instance_types:
        if ami_type != "CUSTOM" and bool(GRAVITON.match(each)) != ("ARM_64" in ami_type):
            raise invalid_parameter(f"[{each}] is not a valid instance type for requested amiType {ami_type}")


def default_ami_type(instance_types: list[str]) -> str:
    arm = bool(instance_types) and all(GRAVITON.match(each) for each in instance_types)
    return "AL2023_ARM_64_STANDARD" if arm else "AL2023_x86_64_STANDARD"


def check_ami_type(ami_type: str, version: str) -> None:
    if ami_type.startswith("AL2_") and minor(version) > minor(AL2_LAST_VERSION):
        raise invalid_parameter(
            f"AMI Type {ami_type} is only supported for kubernetes versions {AL2_LAST_VERSION} or earlier"
        )


def check_version(version: str, cluster: Cluster) -> None:
    oldest = minor(cluster.version) - NODE_VERSION_SKEW
    if version not in SUPPORTED_VERSIONS or not oldest <= minor(version) <= minor(cluster.version):
        raise invalid_parameter(
            f"Nodegroup Kubernetes version should be equal to or up to {NODE_VERSION_SKEW} minor versions behind the "
            f"cluster version {cluster.version}"
        )


def release_for(version: str, requested: str | None, ami_type: str) -> str:
    """The AMI release: the one asked for, which must be of that version, or the newest."""
    newest = latest_release(version)
    if ami_type.startswith("BOTTLEROCKET"):
        return requested or "1.52.0-3e1f6a2b"
    if requested is None:
        return newest
    if not re.fullmatch(re.escape(version) + r"\.\d+-\d{8}", requested) or requested > newest:
        raise invalid_parameter(
            f"Requested Nodegroup release version {requested} is invalid. Allowed release version is {newest}"
        )
    return requested


def launch_template(given: dict[str, str], ec2: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """The template and its data, looked up in EC2. `version` left out means the default version."""
    if bool(given.get("id")) == bool(given.get("name")):
        raise invalid_parameter("You must specify either the launch template ID or the launch template name")
    found = [
        each
        for each in ec2.launch_templates.values()
        if each.id == given.get("id") or each.name == given.get("name")
    ]
    if not found:
        raise invalid_request(f"Launch template {given.get('id') or given.get('name')} does not exist")
    template = found[0]
    wanted = given.get("version") or "$Default"
    try:
        version = template.get_version(wanted)
    except Exception:
        raise invalid_request(f"Launch template version {wanted} of {template.id} does not exist") from None
    return {"id": template.id, "name": template.name, "version": str(version.number)}, dict(version.data)


def trusts(policy: str | None, principal: str) -> bool:
    try:
        statements = json.loads(policy or "{}").get("Statement", [])
    except ValueError:
        return False
    for statement in statements if isinstance(statements, list) else [statements]:
        services = (statement.get("Principal") or {})
        services = services.get("Service", []) if isinstance(services, dict) else []
        if principal in (services if isinstance(services, list) else [services]):
            return True
    return False


def apply_config(nodegroup: Nodegroup, parameters: dict[str, Any]) -> dict[str, Any]:
    """Change labels, taints, scaling and the rest as UpdateNodegroupConfig says; returns the update's parameters."""
    values, told = nodegroup.values, {}
    labels = parameters.get("labels") or {}
    if labels.get("addOrUpdateLabels"):
        values["labels"] = {**values["labels"], **labels["addOrUpdateLabels"]}
        told["LabelsToAdd"] = json.dumps(labels["addOrUpdateLabels"])
    if labels.get("removeLabels"):
        values["labels"] = {k: v for k, v in values["labels"].items() if k not in labels["removeLabels"]}
        told["LabelsToRemove"] = json.dumps(labels["removeLabels"])
    taints = parameters.get("taints") or {}
    # A taint is told apart by key and effect; its value may change.
    if taints.get("removeTaints"):
        removed = {(each["key"], each["effect"]) for each in taints["removeTaints"]}
        values["taints"] = [each for each in values["taints"] if (each["key"], each["effect"]) not in removed]
        told["TaintsToRemove"] = json.dumps(taints["removeTaints"])
    if taints.get("addOrUpdateTaints"):
        added = {(each["key"], each["effect"]): each for each in taints["addOrUpdateTaints"]}
        kept = [each for each in values["taints"] if (each["key"], each["effect"]) not in added]
        values["taints"] = kept + list(added.values())
        told["TaintsToAdd"] = json.dumps(taints["addOrUpdateTaints"])
    scaling = parameters.get("scalingConfig") or {}
    if scaling:
        values["scalingConfig"] = {**values["scalingConfig"], **scaling}
        names = {"minSize": "MinSize", "maxSize": "MaxSize", "desiredSize": "DesiredSize"}
        told.update({names[key]: str(value) for key, value in scaling.items()})
    if parameters.get("updateConfig"):
        values["updateConfig"] = dict(parameters["updateConfig"])
        names = {"maxUnavailable": "MaxUnavailable", "maxUnavailablePercentage": "MaxUnavailablePercentage"}
        told.update({names[k]: str(v) for k, v in values["updateConfig"].items() if k in names})
    if parameters.get("nodeRepairConfig"):
        values["nodeRepairConfig"] = dict(parameters["nodeRepairConfig"])
        told["NodeRepairConfig"] = json.dumps(parameters["nodeRepairConfig"])
    return told
