"""EKS in one account and region."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from moto.core.base_backend import BaseBackend
from moto.core.exceptions import ServiceException
from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource

from shopkeeper_double.lifecycle import GONE, drop_gone

from . import eks_nodegroups as rules
from .eks_resources import (
    CLUSTER_NAME,
    DEFAULT_VERSION,
    LOG_TYPES,
    PLATFORM_VERSION,
    SUPPORTED_VERSIONS,
    AccessEntry,
    Addon,
    Cluster,
    FargateProfile,
    Nodegroup,
    PodIdentityAssociation,
    Resource,
    Update,
    authority_data,
    in_use,
    invalid_parameter,
    invalid_request,
    minor,
    new_association_id,
    new_identifier,
    not_found,
    now,
)

ROLE_ARN = re.compile(r"^arn:[^:]+:iam::\d{12}:role/.+$")
#: Addons of EKS itself, with the version that goes with the newest Kubernetes.
ADDONS = {
    "vpc-cni": "v1.21.1-eksbuild.3",
    "coredns": "v1.13.2-eksbuild.1",
    "kube-proxy": None,  # follows the cluster's version
    "eks-pod-identity-agent": "v1.3.10-eksbuild.2",
    "aws-ebs-csi-driver": "v1.55.0-eksbuild.1",
    "aws-efs-csi-driver": "v2.2.0-eksbuild.1",
    "metrics-server": "v0.8.1-eksbuild.1",
    "snapshot-controller": "v8.4.0-eksbuild.1",
    "amazon-cloudwatch-observability": "v4.9.0-eksbuild.1",
}


class EksBackend(BaseBackend, TaggableResourcesMixin):
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

    def part(self, cluster: Cluster, held: dict[str, Any], name: str, called: str) -> Any:
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

    def subnets(self, identifiers: list[str]) -> list[Any]:
        found = {subnet.id: subnet for zone in self.ec2.subnets.values() for subnet in zone.values()}
        absent = [each for each in identifiers if each not in found]
        if absent:
            raise invalid_parameter(f"The subnet ID '{absent[0]}' does not exist")
        return [found[each] for each in identifiers]

    def once(self, operation: str, parameters: dict[str, Any], make: Callable[[], Any]) -> Any:
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
        return self.once("CreateCluster", p, lambda: self._create_cluster(p))  # type: ignore[no-any-return]

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
            "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.",
            vpc_id,
            tags={"Name": f"eks-cluster-sg-{name}", f"kubernetes.io/cluster/{name}": "owned", "aws:eks:cluster-name": name},
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
        return self.once("UpdateClusterConfig", p, lambda: self._update_cluster_config(p))  # type: ignore[no-any-return]

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
        return self.once("UpdateClusterVersion", p, lambda: self._update_cluster_version(p))  # type: ignore[no-any-return]

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
        if kind != "deletion" and resource.lifecycle.state in ("CREATING", "DELETING"):
            raise in_use(f"{what.capitalize()} {name} cannot be updated as it is currently not in Active State")

    def _begin_update(
        self, resource: Resource, kind: str, told: dict[str, Any], effect: Callable[[], Any] | None = None
    ) -> Update:
        update = Update(resource, kind, told)

        def settled() -> None:
            if effect is not None:
                effect()
            resource.values["modifiedAt"] = now()
            update.finished()

        resource.lifecycle.begin("UPDATING", on_settled=settled)
        return update

    def updated_resource(self, p: dict[str, Any]) -> Resource:
        cluster = self.cluster(p["name"])
        if p.get("nodegroupName"):
            return self.nodegroup(cluster, p["nodegroupName"])
        if p.get("addonName"):
            return self.part(cluster, cluster.addons, p["addonName"], "addon")  # type: ignore[no-any-return]
        return cluster

    # --- node groups ------------------------------------------------------------------------------------------------

    def nodegroup(self, cluster: Cluster, name: str) -> Nodegroup:
        return self.part(cluster, cluster.nodegroups, name, "node group")  # type: ignore[no-any-return]

    def create_nodegroup(self, p: dict[str, Any]) -> Nodegroup:
        return self.once("CreateNodegroup", p, lambda: self._create_nodegroup(p))  # type: ignore[no-any-return]

    def _create_nodegroup(self, p: dict[str, Any]) -> Nodegroup:
        cluster, name = self.cluster(p["clusterName"]), p["nodegroupName"]
        if name in cluster.nodegroups:
            raise in_use(f"NodeGroup already exists with name {name} and cluster name {cluster.name}")
        cluster = self.active_cluster(cluster.name)
        rules.check_name(name)
        scaling = {**rules.DEFAULT_SCALING, **(p.get("scalingConfig") or {})}
        rules.check_scaling(scaling)
        update_config = dict(p.get("updateConfig") or {"maxUnavailable": 1})
        rules.check_update_config(update_config)
        rules.check_labels(p.get("labels") or {})
        rules.check_taints(p.get("taints") or [])
        self._check_node_subnets(cluster, p.get("subnets") or [])
        self._check_node_role(p["nodeRole"])
        template, data = None, {}
        if p.get("launchTemplate"):
            template, data = rules.launch_template(p["launchTemplate"], self.ec2)
            self._check_template(p, data)
        instance_types = list(p.get("instanceTypes") or ([] if data.get("InstanceType") else ["t3.medium"]))
        custom_image = bool(data.get("ImageId"))
        known_types = instance_types or [data["InstanceType"]]
        ami_type = "CUSTOM" if custom_image else p.get("amiType") or rules.default_ami_type(known_types)
        version = p.get("version") or cluster.version
        rules.check_version(version, cluster)
        rules.check_ami_type(ami_type, version)
        rules.check_instance_types(known_types, ami_type)
        identifier = new_identifier().lower()
        identifier = "-".join((identifier[:8], identifier[8:12], identifier[12:16], identifier[16:20], identifier[20:]))
        created = now()
        values: dict[str, Any] = {
            "nodegroupName": name,
            "nodegroupArn": self.arn(f"nodegroup/{cluster.name}/{name}/{identifier}"),
            "clusterName": cluster.name,
            "createdAt": created,
            "modifiedAt": created,
            "capacityType": p.get("capacityType") or "ON_DEMAND",
            "scalingConfig": scaling,
            "subnets": list(p["subnets"]),
            "amiType": ami_type,
            "nodeRole": p["nodeRole"],
            "labels": dict(p.get("labels") or {}),
            "taints": [dict(each) for each in p.get("taints") or []],
            "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{identifier}"}]},
            "health": {"issues": []},
            "updateConfig": update_config,
            "tags": dict(p.get("tags") or {}),
        }
        if not custom_image:
            values["version"] = version
            values["releaseVersion"] = rules.release_for(version, p.get("releaseVersion"), ami_type)
        if instance_types:
            values["instanceTypes"] = instance_types
        if template is not None:
            values["launchTemplate"] = template
        else:
            values["diskSize"] = p.get("diskSize") or (50 if ami_type.startswith("WINDOWS") else 20)
        for optional in ("remoteAccess", "nodeRepairConfig", "warmPoolConfig"):
            if p.get(optional):
                values[optional] = p[optional]
        if p.get("remoteAccess"):
            values["resources"]["remoteAccessSecurityGroup"] = f"sg-0{identifier.replace('-', '')[:16]}"
        nodegroup = Nodegroup(values)
        nodegroup.lifecycle.begin("CREATING")
        cluster.nodegroups[name] = nodegroup
        return nodegroup

    def _check_node_subnets(self, cluster: Cluster, identifiers: list[str]) -> None:
        if not identifiers:
            raise invalid_parameter("Subnets cannot be empty")
        for subnet in self.subnets(identifiers):
            if subnet.vpc_id != cluster.values["resourcesVpcConfig"]["vpcId"]:
                raise invalid_parameter(f"Subnet {subnet.id} is not in the VPC of cluster {cluster.name}")

    def _check_node_role(self, arn: str) -> None:
        role = self.role(arn, f"The role with name {arn.rsplit('/', 1)[-1]} cannot be found.")
        if role is not None and not rules.trusts(role.assume_role_policy_document, "ec2.amazonaws.com"):
            raise invalid_parameter(
                "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of "
                f"nodeRole {arn}"
            )

    @staticmethod
    def _check_template(p: dict[str, Any], data: dict[str, Any]) -> None:
        if p.get("diskSize"):
            raise invalid_parameter("Disk size must be specified within the launch template.")
        if p.get("remoteAccess"):
            raise invalid_parameter("Remote access configuration cannot be specified with a launch template.")
        if p.get("instanceTypes") and data.get("InstanceType"):
            raise invalid_parameter("Instance type can not be specified in both the launch template and the API request.")
        if data.get("ImageId") and (p.get("version") or p.get("releaseVersion") or p.get("amiType", "CUSTOM") != "CUSTOM"):
            raise invalid_parameter("You cannot specify an AMI type or version with an image id in the launch template")

    def update_nodegroup_config(self, p: dict[str, Any]) -> Update:
        return self.once("UpdateNodegroupConfig", p, lambda: self._update_nodegroup_config(p))  # type: ignore[no-any-return]

    def _update_nodegroup_config(self, p: dict[str, Any]) -> Update:
        nodegroup = self.nodegroup(self.cluster(p["clusterName"]), p["nodegroupName"])
        rules.check_scaling({**nodegroup.values["scalingConfig"], **(p.get("scalingConfig") or {})})
        rules.check_update_config(p.get("updateConfig") or {})
        rules.check_labels((p.get("labels") or {}).get("addOrUpdateLabels") or {})
        rules.check_taints((p.get("taints") or {}).get("addOrUpdateTaints") or [])
        self._refuse_second_update(nodegroup, "ConfigUpdate")
        return self._begin_update(nodegroup, "ConfigUpdate", rules.apply_config(nodegroup, p))

    def update_nodegroup_version(self, p: dict[str, Any]) -> Update:
        return self.once("UpdateNodegroupVersion", p, lambda: self._update_nodegroup_version(p))  # type: ignore[no-any-return]

    def _update_nodegroup_version(self, p: dict[str, Any]) -> Update:
        cluster = self.cluster(p["clusterName"])
        nodegroup = self.nodegroup(cluster, p["nodegroupName"])
        values, changes, told = nodegroup.values, {}, {}
        if p.get("launchTemplate"):
            if "launchTemplate" not in values:
                raise invalid_parameter(
                    "You cannot specify a launch template when the node group was not deployed with a launch template"
                )
            template, _ = rules.launch_template(p["launchTemplate"], self.ec2)
            if template["id"] != values["launchTemplate"]["id"]:
                raise invalid_parameter("You cannot change the launch template of a node group, only its version")
            changes["launchTemplate"] = template
            told.update({"LaunchTemplateName": template["name"], "LaunchTemplateVersion": template["version"]})
        if values["amiType"] == "CUSTOM":
            if p.get("version") or p.get("releaseVersion"):
                raise invalid_parameter("You cannot specify a version for a node group with a custom AMI")
        else:
            version = p.get("version") or values["version"]
            if version not in (cluster.version, values["version"]):
                raise invalid_parameter(
                    f"Nodegroup Kubernetes version should be equal to Cluster kubernetes version {cluster.version} or "
                    f"NodeGroup kubernetes version {values['version']}"
                )
            rules.check_ami_type(values["amiType"], version)
            changes["version"] = version
            changes["releaseVersion"] = rules.release_for(version, p.get("releaseVersion"), values["amiType"])
            told.update({"Version": changes["version"], "ReleaseVersion": changes["releaseVersion"]})
        self._refuse_second_update(nodegroup, "VersionUpdate")
        return self._begin_update(nodegroup, "VersionUpdate", told, lambda: values.update(changes))

    def delete_nodegroup(self, cluster_name: str, name: str) -> Nodegroup:
        nodegroup = self.nodegroup(self.cluster(cluster_name), name)
        self._refuse_second_update(nodegroup, "deletion")
        if nodegroup.lifecycle.state == "DELETING":
            raise in_use(f"NodeGroup {name} is already being deleted")
        nodegroup.lifecycle.begin("DELETING", then=GONE)
        return nodegroup

    # --- Fargate profiles -------------------------------------------------------------------------------------------

    def create_fargate_profile(self, p: dict[str, Any]) -> FargateProfile:
        return self.once("CreateFargateProfile", p, lambda: self._create_fargate_profile(p))  # type: ignore[no-any-return]

    def _create_fargate_profile(self, p: dict[str, Any]) -> FargateProfile:
        cluster, name = self.active_cluster(p["clusterName"]), p["fargateProfileName"]
        if name in cluster.fargate_profiles:
            raise in_use("A Fargate Profile already exists with this name in this cluster.")
        busy = [each for each in cluster.fargate_profiles.values() if each.lifecycle.in_transition]
        if busy:  # EKS creates and deletes one profile of a cluster at a time
            raise in_use(f"Fargate profile {busy[0].values['fargateProfileName']} is being created or deleted")
        selectors = p.get("selectors") or []
        if not selectors:
            raise invalid_parameter("Fargate Profile requires at least one selector.")
        if len(selectors) > 5:
            raise invalid_parameter("Fargate Profile can have at most 5 selectors.")
        for selector in selectors:
            if not selector.get("namespace"):
                raise invalid_parameter(
                    "Fargate Profile must have at least one selector with at least one namespace value."
                )
            if len(selector.get("labels") or {}) > 5:
                raise invalid_parameter("Request contains Selector with more than 5 Label pairs")
        self.role(p["podExecutionRoleArn"], "The pod execution role does not exist")
        self.subnets(p.get("subnets") or [])
        profile = FargateProfile(
            {
                "fargateProfileName": name,
                "fargateProfileArn": self.arn(f"fargateprofile/{cluster.name}/{name}/{new_identifier().lower()}"),
                "clusterName": cluster.name,
                "createdAt": now(),
                "podExecutionRoleArn": p["podExecutionRoleArn"],
                "subnets": list(p.get("subnets") or cluster.values["resourcesVpcConfig"]["subnetIds"]),
                "selectors": selectors,
                "health": {"issues": []},
                "tags": dict(p.get("tags") or {}),
            }
        )
        profile.lifecycle.begin("CREATING")
        cluster.fargate_profiles[name] = profile
        return profile

    def fargate_profile(self, cluster_name: str, name: str) -> FargateProfile:
        cluster = self.cluster(cluster_name)
        return self.part(cluster, cluster.fargate_profiles, name, "Fargate Profile")  # type: ignore[no-any-return]

    def delete_fargate_profile(self, cluster_name: str, name: str) -> FargateProfile:
        profile = self.fargate_profile(cluster_name, name)
        if profile.lifecycle.state == "DELETING":
            raise in_use(f"Fargate profile {name} is already being deleted")
        profile.lifecycle.begin("DELETING", then=GONE)
        return profile

    # --- Pod Identity -----------------------------------------------------------------------------------------------

    def create_association(self, p: dict[str, Any]) -> PodIdentityAssociation:
        return self.once("CreatePodIdentityAssociation", p, lambda: self._create_association(p))  # type: ignore[no-any-return]

    def _create_association(self, p: dict[str, Any]) -> PodIdentityAssociation:
        cluster = self.active_cluster(p["clusterName"])
        for held in cluster.associations.values():
            if (held.values["namespace"], held.values["serviceAccount"]) == (p["namespace"], p["serviceAccount"]):
                raise in_use(f"Association already exists: {held.values['associationId']}")
        self.role(p["roleArn"], "Role provided in the request does not exist.")
        identifier, created = new_association_id(), now()
        values = {
            "clusterName": cluster.name,
            "namespace": p["namespace"],
            "serviceAccount": p["serviceAccount"],
            "roleArn": p["roleArn"],
            "associationArn": self.arn(f"podidentityassociation/{cluster.name}/{identifier}"),
            "associationId": identifier,
            "tags": dict(p.get("tags") or {}),
            "createdAt": created,
            "modifiedAt": created,
            "disableSessionTags": p.get("disableSessionTags", False),
        }
        if p.get("targetRoleArn"):
            values["targetRoleArn"] = p["targetRoleArn"]
        association = PodIdentityAssociation(values)
        cluster.associations[identifier] = association
        return association

    def association(self, cluster_name: str, identifier: str) -> PodIdentityAssociation:
        cluster = self.cluster(cluster_name)
        if identifier not in cluster.associations:
            raise not_found(f"No association found for ID: {identifier}")
        return cluster.associations[identifier]

    def update_association(self, p: dict[str, Any]) -> PodIdentityAssociation:
        association = self.association(p["clusterName"], p["associationId"])
        if p.get("roleArn"):
            self.role(p["roleArn"], "Role provided in the request does not exist.")
        for name in ("roleArn", "targetRoleArn", "disableSessionTags"):
            if p.get(name) is not None:
                association.values[name] = p[name]
        association.values["modifiedAt"] = now()
        return association

    def delete_association(self, cluster_name: str, identifier: str) -> PodIdentityAssociation:
        association = self.association(cluster_name, identifier)
        del self.cluster(cluster_name).associations[identifier]
        association.lifecycle.settle(GONE)
        return association

    # --- addons -----------------------------------------------------------------------------------------------------

    def create_addon(self, p: dict[str, Any]) -> Addon:
        return self.once("CreateAddon", p, lambda: self._create_addon(p))  # type: ignore[no-any-return]

    def _create_addon(self, p: dict[str, Any]) -> Addon:
        cluster, name = self.active_cluster(p["clusterName"]), p["addonName"]
        if name in cluster.addons:
            raise in_use("Addon already exists.")
        if name not in ADDONS:
            raise invalid_parameter(f"Addon {name} specified is not supported in {cluster.version} kubernetes version")
        created = now()
        values = {
            "addonName": name,
            "clusterName": cluster.name,
            "addonVersion": p.get("addonVersion") or ADDONS[name] or f"v{cluster.version}.1-eksbuild.2",
            "addonArn": self.arn(f"addon/{cluster.name}/{name}/{new_identifier().lower()}"),
            "createdAt": created,
            "modifiedAt": created,
            "health": {"issues": []},
            "tags": dict(p.get("tags") or {}),
        }
        for optional in ("serviceAccountRoleArn", "configurationValues"):
            if p.get(optional):
                values[optional] = p[optional]
        addon = Addon(values)
        addon.lifecycle.begin("CREATING")
        cluster.addons[name] = addon
        return addon

    def addon(self, cluster_name: str, name: str) -> Addon:
        cluster = self.cluster(cluster_name)
        return self.part(cluster, cluster.addons, name, "addon")  # type: ignore[no-any-return]

    def update_addon(self, p: dict[str, Any]) -> Update:
        addon = self.addon(p["clusterName"], p["addonName"])
        self._refuse_second_update(addon, "AddonUpdate")
        changes = {
            name: p[name] for name in ("addonVersion", "serviceAccountRoleArn", "configurationValues") if p.get(name)
        }
        told = {name[0].upper() + name[1:]: value for name, value in changes.items()}
        return self._begin_update(addon, "AddonUpdate", told, lambda: addon.values.update(changes))

    def delete_addon(self, cluster_name: str, name: str) -> Addon:
        addon = self.addon(cluster_name, name)
        addon.lifecycle.begin("DELETING", then=GONE)
        return addon

    # --- access entries ---------------------------------------------------------------------------------------------

    def _cluster_with_api_access(self, name: str) -> Cluster:
        cluster = self.cluster(name)
        if cluster.values["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
            raise invalid_request(
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."
            )
        return cluster

    def create_access_entry(self, p: dict[str, Any]) -> AccessEntry:
        return self.once("CreateAccessEntry", p, lambda: self._create_access_entry(p))  # type: ignore[no-any-return]

    def _create_access_entry(self, p: dict[str, Any]) -> AccessEntry:
        cluster, principal = self._cluster_with_api_access(p["clusterName"]), p["principalArn"]
        if principal in cluster.access_entries:
            raise in_use("The specified access entry resource is already in use on this cluster.")
        created = now()
        path = principal.split(":", 5)[-1].replace(":", "/")
        entry = AccessEntry(
            {
                "clusterName": cluster.name,
                "principalArn": principal,
                "kubernetesGroups": list(p.get("kubernetesGroups") or []),
                "accessEntryArn": self.arn(
                    f"access-entry/{cluster.name}/{path.split('/')[0]}/{self.account_id}/{path.split('/')[-1]}/{new_identifier().lower()}"
                ),
                "createdAt": created,
                "modifiedAt": created,
                "tags": dict(p.get("tags") or {}),
                "username": p.get("username") or principal,
                "type": p.get("type") or "STANDARD",
            }
        )
        cluster.access_entries[principal] = entry
        return entry

    def access_entry(self, cluster_name: str, principal: str) -> AccessEntry:
        cluster = self._cluster_with_api_access(cluster_name)
        if principal not in cluster.access_entries:
            raise not_found(f"The specified principalArn could not be found: {principal}")
        return cluster.access_entries[principal]

    def access_entries(self, cluster_name: str) -> dict[str, AccessEntry]:
        return self._cluster_with_api_access(cluster_name).access_entries

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
