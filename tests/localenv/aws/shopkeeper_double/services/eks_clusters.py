"""EKS clusters in one account and region: their updates and tags, and what is looked up for all that hangs off them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from moto.core.base_backend import BaseBackend
from moto.core.exceptions import ServiceException
from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource

from shopkeeper_double.lifecycle import GONE, drop_gone

from .eks_resources import (
    CLUSTER_NAME,
    DEFAULT_VERSION,
    LOG_TYPES,
    PLATFORM_VERSION,
    SUPPORTED_VERSIONS,
    Cluster,
    Resource,
    Update,
    authority_data,
    in_use,
    invalid_parameter,
    invalid_request,
    minor,
    new_identifier,
    not_found,
    now,
)

ROLE_ARN = re.compile(r"^arn:[^:]+:iam::\d{12}:role/.+$")
#: A resource or an update.
Made = TypeVar("Made")


class ClusterBackend(BaseBackend, TaggableResourcesMixin):
    SERVICE_NAMESPACE = "eks"

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.clusters: dict[str, Cluster] = {}
        #: What a client token made: (operation, token) to (parameters, resource or update).
        self._tokens: dict[tuple[str, str], tuple[str, Any]] = {}

    # --- looking up -------------------------------------------------------------------------------------------------

    @property
    def ec2(self) -> Any:
        from moto.ec2.models import ec2_backends

        return ec2_backends[self.account_id][self.region_name]

    def arn(self, path: str) -> str:
        return f"arn:{self.partition}:eks:{self.region_name}:{self.account_id}:{path}"

    def live_clusters(self) -> dict[str, Cluster]:
        drop_gone(self.clusters, forget=self._forget_cluster)
        for cluster in self.clusters.values():
            cluster.drop_gone()
        return self.clusters

    def cluster(self, name: str) -> Cluster:
        found = self.live_clusters().get(name)
        if found is None:
            raise not_found(f"No cluster found for name: {name}.")
        return found

    def active_cluster(self, name: str) -> Cluster:
        cluster = self.cluster(name)
        if cluster.lifecycle.state in ("CREATING", "DELETING"):
            raise invalid_request(f"Cluster '{name}' is not in ACTIVE status")
        return cluster

    @staticmethod
    def part(held: dict[str, Made], name: str, called: str) -> Made:
        if name not in held:
            raise not_found(f"No {called} found for name: {name}.")
        return held[name]

    def role(self, arn: str, missing: str) -> Any:
        """The role in IAM, or None where it belongs to another account. `missing` is the message when there is none."""
        from moto.iam.models import iam_backends

        if not ROLE_ARN.match(arn or ""):
            raise invalid_parameter(f"Invalid Role Arn: '{arn}'")
        if arn.split(":")[4] != self.account_id:
            return None
        for role in iam_backends[self.account_id][self.partition].roles.values():
            if role.arn == arn:
                return role
        raise invalid_parameter(missing)

    def has_role(self, arn: str) -> bool:
        try:
            self.role(arn, "")
        except ServiceException:
            return False
        return True

    def subnets(self, identifiers: list[str]) -> list[Any]:
        found = {subnet.id: subnet for zone in self.ec2.subnets.values() for subnet in zone.values()}
        absent = [each for each in identifiers if each not in found]
        if absent:
            raise invalid_parameter(f"The subnet ID '{absent[0]}' does not exist")
        return [found[each] for each in identifiers]

    def once(self, operation: str, parameters: dict[str, Any], make: Callable[[], Made]) -> Made:
        """Run `make` unless the same client token made it before; then give that back."""
        token = parameters.get("clientRequestToken")
        if not token:
            return make()
        key, asked = (operation, token), json.dumps(parameters, sort_keys=True, default=str)
        if key in self._tokens:
            before, made = self._tokens[key]
            if not (isinstance(made, Resource) and made.lifecycle.gone):
                if before != asked:
                    raise invalid_parameter("The client request token was used with other parameters")
                return made
        made = make()
        self._tokens[key] = (asked, made)
        return made

    # --- clusters ---------------------------------------------------------------------------------------------------

    def create_cluster(self, p: dict[str, Any]) -> Cluster:
        return self.once("CreateCluster", p, lambda: self._create_cluster(p))

    def _create_cluster(self, p: dict[str, Any]) -> Cluster:
        name, version = p["name"], p.get("version") or DEFAULT_VERSION
        if name in self.live_clusters():
            raise in_use(f"Cluster already exists with name: {name}")
        if not CLUSTER_NAME.match(name):
            raise invalid_parameter("The cluster name is not valid")
        if version not in SUPPORTED_VERSIONS:
            raise invalid_parameter(f"unsupported Kubernetes version {version}")
        self.role(p["roleArn"], f"Role with arn: {p['roleArn']}, could not be assumed because it does not exist")
        given = p["resourcesVpcConfig"]
        subnets = self.subnets(given.get("subnetIds") or [])
        if len({subnet.availability_zone for subnet in subnets}) < 2:
            raise invalid_parameter("Subnets specified must be in at least two different AZs")
        vpc_id = subnets[0].vpc_id
        if any(subnet.vpc_id != vpc_id for subnet in subnets):
            raise invalid_parameter("Subnets specified must be in the same VPC")
        group = self.ec2.create_security_group(
            f"eks-cluster-sg-{name}-{new_identifier()[:10].lower()}",
            "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
            "as well as any managed workloads.",
            vpc_id,
            tags={
                "Name": f"eks-cluster-sg-{name}",
                f"kubernetes.io/cluster/{name}": "owned",
                "aws:eks:cluster-name": name,
            },
        )
        identifier = new_identifier()
        access = p.get("accessConfig") or {}
        upgrade = p.get("upgradePolicy") or {}
        network = dict(p.get("kubernetesNetworkConfig") or {})
        logging = (p.get("logging") or {}).get("clusterLogging") or []
        values = {
            "name": name,
            "arn": self.arn(f"cluster/{name}"),
            "createdAt": now(),
            "version": version,
            "endpoint": f"https://{identifier}.gr7.{self.region_name}.eks.amazonaws.com",
            "roleArn": p["roleArn"],
            "resourcesVpcConfig": {
                "subnetIds": list(given.get("subnetIds") or []),
                "securityGroupIds": list(given.get("securityGroupIds") or []),
                "clusterSecurityGroupId": group.id,
                "vpcId": vpc_id,
                "endpointPublicAccess": given.get("endpointPublicAccess", True),
                "endpointPrivateAccess": given.get("endpointPrivateAccess", False),
                "publicAccessCidrs": list(given.get("publicAccessCidrs") or ["0.0.0.0/0"]),
            },
            "kubernetesNetworkConfig": {
                "serviceIpv4Cidr": network.pop("serviceIpv4Cidr", "172.20.0.0/16"),
                "ipFamily": network.pop("ipFamily", "ipv4"),
                **network,
            },
            "logging": {"clusterLogging": _logging([], logging)},
            "identity": {"oidc": {"issuer": f"https://oidc.eks.{self.region_name}.amazonaws.com/id/{identifier}"}},
            "certificateAuthority": {"data": authority_data(name)},
            "platformVersion": PLATFORM_VERSION,
            "tags": dict(p.get("tags") or {}),
            "encryptionConfig": p.get("encryptionConfig") or [],
            "health": {"issues": []},
            "accessConfig": {
                "bootstrapClusterCreatorAdminPermissions": access.get("bootstrapClusterCreatorAdminPermissions", True),
                "authenticationMode": access.get("authenticationMode", "CONFIG_MAP"),
            },
            "upgradePolicy": {"supportType": upgrade.get("supportType", "EXTENDED")},
            "deletionProtection": p.get("deletionProtection", False),
        }
        for optional in ("zonalShiftConfig", "remoteNetworkConfig", "computeConfig", "storageConfig"):
            if p.get(optional) is not None:
                values[optional] = p[optional]
        cluster = Cluster(values)
        cluster.lifecycle.begin("CREATING")
        self.clusters[name] = cluster
        return cluster

    def update_cluster_config(self, p: dict[str, Any]) -> Update:
        return self.once("UpdateClusterConfig", p, lambda: self._update_cluster_config(p))

    def _update_cluster_config(self, p: dict[str, Any]) -> Update:
        cluster = self.cluster(p["name"])
        values = cluster.values
        if p.get("logging") is not None:
            kind, told = "LoggingUpdate", {"ClusterLogging": json.dumps(p["logging"])}
        elif p.get("accessConfig") is not None:
            kind, told = "AccessConfigUpdate", {"AuthenticationMode": p["accessConfig"].get("authenticationMode")}
        elif p.get("deletionProtection") is not None:
            kind, told = "DeletionProtectionUpdate", {"DeletionProtection": p["deletionProtection"]}
        elif p.get("upgradePolicy") is not None:
            kind, told = "UpgradePolicyUpdate", {"UpgradePolicy": json.dumps(p["upgradePolicy"])}
        elif p.get("resourcesVpcConfig") is not None:
            kind, told = _network_update(p["resourcesVpcConfig"])
        else:
            raise invalid_parameter("No changes needed for the cluster config provided")
        self._refuse_second_update(cluster, kind)
        if p.get("resourcesVpcConfig"):
            self.subnets(p["resourcesVpcConfig"].get("subnetIds") or [])
            values["resourcesVpcConfig"].update(p["resourcesVpcConfig"])
        if p.get("logging"):
            before = values["logging"]["clusterLogging"]
            values["logging"] = {"clusterLogging": _logging(before, p["logging"].get("clusterLogging") or [])}
        if p.get("accessConfig"):
            values["accessConfig"].update(p["accessConfig"])
        if p.get("upgradePolicy"):
            values["upgradePolicy"].update(p["upgradePolicy"])
        if p.get("deletionProtection") is not None:
            values["deletionProtection"] = p["deletionProtection"]
        return self._begin_update(cluster, kind, told)

    def update_cluster_version(self, p: dict[str, Any]) -> Update:
        return self.once("UpdateClusterVersion", p, lambda: self._update_cluster_version(p))

    def _update_cluster_version(self, p: dict[str, Any]) -> Update:
        cluster, version = self.cluster(p["name"]), p["version"]
        if version not in SUPPORTED_VERSIONS:
            raise invalid_parameter(f"unsupported Kubernetes version update from {cluster.version} to {version}")
        if minor(version) - minor(cluster.version) not in (0, 1):
            raise invalid_parameter(f"Unsupported Kubernetes minor version update from {cluster.version} to {version}")
        self._refuse_second_update(cluster, "VersionUpdate")

        def effect() -> None:
            cluster.values["version"] = version

        told = {"Version": version, "PlatformVersion": PLATFORM_VERSION}
        return self._begin_update(cluster, "VersionUpdate", told, effect)

    def delete_cluster(self, name: str) -> Cluster:
        cluster = self.cluster(name)
        if cluster.values["deletionProtection"]:
            raise invalid_request(f"Cluster {name} has deletion protection enabled")
        if cluster.nodegroups:
            raise in_use("Cluster has nodegroups attached")
        if cluster.fargate_profiles:
            raise in_use("Cluster has Fargate profiles attached")
        if cluster.lifecycle.state == "DELETING":
            raise in_use(f"Cluster {name} is already being deleted")
        self._refuse_second_update(cluster, "deletion")
        cluster.lifecycle.begin("DELETING", then=GONE)
        return cluster

    def _forget_cluster(self, cluster: Cluster) -> None:
        try:
            self.ec2.delete_security_group(group_id=cluster.values["resourcesVpcConfig"]["clusterSecurityGroupId"])
        except Exception:  # someone deleted it before: EKS does not mind
            pass

    # --- updates ----------------------------------------------------------------------------------------------------

    def _refuse_second_update(self, resource: Resource, kind: str) -> None:
        """EKS does one update of a cluster or a node group at a time, and says which one is in the way."""
        what = resource.kind
        name = resource.values.get("nodegroupName") or resource.values.get("addonName") or resource.values.get("name")
        running = resource.running_update()
        if running is not None:
            raise in_use(f"Cannot {kind} because {what} {name} currently has update {running.id} in progress")
        failed = ("CREATE_FAILED", "DELETE_FAILED", "FAILED")
        if kind != "deletion" and resource.lifecycle.state in ("CREATING", "DELETING", *failed):
            raise in_use(f"{what.capitalize()} {name} cannot be updated as it is currently not in Active State")

    def _begin_update(
        self,
        resource: Resource,
        kind: str,
        told: dict[str, Any],
        effect: Callable[[], Any] | None = None,
        unless: Callable[[], bool] | None = None,
    ) -> Update:
        """`unless` is true as long as the update has to wait for something beyond its time."""
        update = Update(resource, kind, told)

        def settled() -> None:
            if effect is not None:
                effect()
            resource.values["modifiedAt"] = now()
            update.finished()

        resource.lifecycle.begin("UPDATING", on_settled=settled, unless=unless)
        return update

    def updated_resource(self, p: dict[str, Any]) -> Resource:
        cluster = self.cluster(p["name"])
        if p.get("nodegroupName"):
            return self.part(cluster.nodegroups, p["nodegroupName"], "node group")
        if p.get("addonName"):
            return self.part(cluster.addons, p["addonName"], "addon")
        return cluster

    # --- tags and lists ---------------------------------------------------------------------------------------------

    def tagged(self, arn: str) -> Resource:
        for cluster in self.live_clusters().values():
            for resource in (cluster, *cluster.parts()):
                if resource.arn == arn:
                    return resource
        raise ServiceException("NotFoundException", f"Resource was not found for arn {arn}")

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        """For the Resource Groups Tagging API, which names a type after the word before the slash in its ARN."""
        for cluster in self.live_clusters().values():
            for resource in (cluster, *cluster.parts()):
                kind = resource.arn.split(":", 5)[5].split("/")[0]
                yield TaggedResource(resource.arn, dict(resource.tags), f"eks:{kind}")

    def tag_resource(self, arn: str, tags: dict[str, str]) -> None:
        self.tagged(arn).tags.update(tags)

    def untag_resource(self, arn: str, tag_keys: list[str]) -> None:
        for key in tag_keys:
            self.tagged(arn).tags.pop(key, None)

    @staticmethod
    def page(names: list[Any], p: dict[str, Any]) -> tuple[list[Any], str | None]:
        """A page of an ordered list, and the token for the next one."""
        size = int(p.get("maxResults") or 100)
        if not 1 <= size <= 100:
            raise invalid_parameter("maxResults must be between 1 and 100")
        start = 0
        if p.get("nextToken"):
            try:
                start = int(base64.urlsafe_b64decode(p["nextToken"]).decode().removeprefix("offset:"))
            except ValueError:
                raise invalid_parameter("Invalid nextToken") from None
        end = start + size
        token = base64.urlsafe_b64encode(f"offset:{end}".encode()).decode() if end < len(names) else None
        return names[start:end], token


def _network_update(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The type of an update of resourcesVpcConfig, and what it tells: subnets and groups are another type than access."""
    if config.get("subnetIds") or config.get("securityGroupIds"):
        told = {"Subnets": config.get("subnetIds"), "SecurityGroups": config.get("securityGroupIds")}
        return "VpcConfigUpdate", {name: json.dumps(value) for name, value in told.items() if value}
    names = {
        "endpointPublicAccess": "EndpointPublicAccess",
        "endpointPrivateAccess": "EndpointPrivateAccess",
        "publicAccessCidrs": "PublicAccessCidrs",
    }
    return "EndpointAccessUpdate", {names[key]: json.dumps(value) for key, value in config.items() if key in names}


def _logging(before: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Control plane logging as EKS shows it: one entry for the types that are on, one for those that are off."""
    enabled = {kind for each in before if each.get("enabled") for kind in each.get("types", [])}
    for each in wanted:
        kinds = set(each.get("types") or [])
        enabled = enabled | kinds if each.get("enabled") else enabled - kinds
    on, off = [k for k in LOG_TYPES if k in enabled], [k for k in LOG_TYPES if k not in enabled]
    return [{"types": kinds, "enabled": state} for kinds, state in ((on, True), (off, False)) if kinds]
