"""EKS in one account and region: what hangs off a cluster."""

from __future__ import annotations

from typing import Any

from shopkeeper_double.lifecycle import GONE, settings

from . import eks_nodegroups as rules
from . import service_quotas
from .eks_clusters import ClusterBackend
from .eks_resources import (
    AccessEntry,
    Addon,
    Cluster,
    FargateProfile,
    Nodegroup,
    PodIdentityAssociation,
    Update,
    in_use,
    invalid_parameter,
    invalid_request,
    limit_exceeded,
    new_association_id,
    new_identifier,
    not_found,
    now,
)

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


class EksBackend(ClusterBackend):
    # --- node groups ------------------------------------------------------------------------------------------------

    def nodegroup(self, cluster: Cluster, name: str) -> Nodegroup:
        return self.part(cluster.nodegroups, name, "node group")

    def create_nodegroup(self, p: dict[str, Any]) -> Nodegroup:
        return self.once("CreateNodegroup", p, lambda: self._create_nodegroup(p))

    def _create_nodegroup(self, p: dict[str, Any]) -> Nodegroup:
        cluster, name = self.cluster(p["clusterName"]), p["nodegroupName"]
        if name in cluster.nodegroups:
            raise in_use(f"NodeGroup already exists with name {name} and cluster name {cluster.name}")
        cluster = self.active_cluster(cluster.name)
        rules.check_name(name)
        scaling = {**rules.DEFAULT_SCALING, **(p.get("scalingConfig") or {})}
        rules.check_scaling(scaling)
        self._check_quotas(cluster, scaling)
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
        nodegroup.role_exists = lambda: self.has_role(values["nodeRole"])
        nodegroup.lifecycle.begin("CREATING")
        cluster.nodegroups[name] = nodegroup
        return nodegroup

    def _check_quotas(self, cluster: Cluster, scaling: dict[str, int]) -> None:
        """What is being deleted still counts: it is there until it is gone."""
        groups = service_quotas.allowed(service_quotas.NODE_GROUPS_PER_CLUSTER)
        if len(cluster.nodegroups) >= groups:
            raise limit_exceeded(f"Cluster {cluster.name} already has the maximum number of node groups: {groups}")
        self._check_node_quota(scaling)

    def _check_node_quota(self, scaling: dict[str, int]) -> None:
        nodes = service_quotas.allowed(service_quotas.NODES_PER_NODE_GROUP)
        if scaling.get("maxSize", 0) > nodes:
            raise limit_exceeded(f"The maximum number of nodes of a node group is {nodes}, and maxSize is {scaling['maxSize']}")

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
            raise invalid_parameter("Instance type cannot be specified in both the launch template and the request.")
        versioned = p.get("version") or p.get("releaseVersion") or p.get("amiType", "CUSTOM") != "CUSTOM"
        if data.get("ImageId") and versioned:
            raise invalid_parameter("You cannot specify an AMI type or version with an image id in the launch template")

    def update_nodegroup_config(self, p: dict[str, Any]) -> Update:
        return self.once("UpdateNodegroupConfig", p, lambda: self._update_nodegroup_config(p))

    def _update_nodegroup_config(self, p: dict[str, Any]) -> Update:
        nodegroup = self.nodegroup(self.cluster(p["clusterName"]), p["nodegroupName"])
        rules.check_scaling({**nodegroup.values["scalingConfig"], **(p.get("scalingConfig") or {})})
        self._check_node_quota(p.get("scalingConfig") or {})
        rules.check_update_config(p.get("updateConfig") or {})
        rules.check_labels((p.get("labels") or {}).get("addOrUpdateLabels") or {})
        rules.check_taints((p.get("taints") or {}).get("addOrUpdateTaints") or [])
        self._refuse_second_update(nodegroup, "ConfigUpdate")
        return self._begin_update(nodegroup, "ConfigUpdate", rules.apply_config(nodegroup, p))

    def update_nodegroup_version(self, p: dict[str, Any]) -> Update:
        return self.once("UpdateNodegroupVersion", p, lambda: self._update_nodegroup_version(p))

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
            # "If no version is specified, then the node group will be updated to match the cluster's current Kubernetes version":
            # the call's own text promises the group's version where it names no release either.
            version = p.get("version") or (cluster.version if p.get("releaseVersion") else values["version"])
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

        def effect() -> None:
            values.update(changes)
            nodegroup.rollout = None

        # The group is UPDATING until its nodes are replaced, where someone plays them.
        nodegroup.rollout = None
        waits = lambda: settings.nodes_are_played and nodegroup.rollout is not None  # noqa: E731
        update = self._begin_update(nodegroup, "VersionUpdate", told, effect, waits)
        nodegroup.rollout = (update, changes)
        return update

    def nodes_replaced(self, cluster_name: str, name: str, update_id: str) -> bool:
        """Whoever plays the nodes says that those of an update are there and the old ones gone."""
        nodegroup = self.nodegroup(self.cluster(cluster_name), name)
        if nodegroup.rollout is None or nodegroup.rollout[0].id != update_id:
            return False
        nodegroup.rollout = None
        return True

    def delete_nodegroup(self, cluster_name: str, name: str) -> Nodegroup:
        nodegroup = self.nodegroup(self.cluster(cluster_name), name)
        self._refuse_second_update(nodegroup, "deletion")
        if nodegroup.lifecycle.state == "DELETING":
            raise in_use(f"NodeGroup {name} is already being deleted")
        nodegroup.lifecycle.begin("DELETING", then=GONE)
        return nodegroup

    # --- Fargate profiles -------------------------------------------------------------------------------------------

    def create_fargate_profile(self, p: dict[str, Any]) -> FargateProfile:
        return self.once("CreateFargateProfile", p, lambda: self._create_fargate_profile(p))

    def _create_fargate_profile(self, p: dict[str, Any]) -> FargateProfile:
        cluster, name = self.active_cluster(p["clusterName"]), p["fargateProfileName"]
        if name in cluster.fargate_profiles:
            raise in_use("A Fargate Profile already exists with this name in this cluster.")
        self._refuse_second_profile(cluster, "create", name)
        allowed = service_quotas.allowed(service_quotas.FARGATE_PROFILES_PER_CLUSTER)
        if len(cluster.fargate_profiles) >= allowed:
            raise limit_exceeded(f"Fargate Profile limit exceeded for cluster {cluster.name}: {allowed}")
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
        self._check_pod_execution_role(p["podExecutionRoleArn"])
        self._check_private_subnets(cluster, p.get("subnets") or [])
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
        profile.begin("CREATING")
        cluster.fargate_profiles[name] = profile
        return profile

    @staticmethod
    def _refuse_second_profile(cluster: Cluster, verb: str, name: str) -> None:
        """EKS creates or deletes one profile of a cluster at a time."""
        for other in cluster.fargate_profiles.values():
            if other.values["fargateProfileName"] != name and other.lifecycle.in_transition:
                raise in_use(
                    f"Cannot {verb} Fargate Profile {name} because cluster {cluster.name} currently has Fargate profile "
                    f"{other.values['fargateProfileName']} in status {other.lifecycle.state}"
                )

    def _check_pod_execution_role(self, arn: str) -> None:
        role = self.role(arn, f"The role with name {arn.rsplit('/', 1)[-1]} cannot be found.")
        # EKS takes the first alone; the contract suite's roles trust the second.
        services = ("eks-fargate-pods.amazonaws.com", "eks.amazonaws.com")
        if role is not None and not any(rules.trusts(role.assume_role_policy_document, service) for service in services):
            raise invalid_parameter(
                "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal"
            )

    def _check_private_subnets(self, cluster: Cluster, identifiers: list[str]) -> None:
        """Fargate runs pods in subnets without a route to an internet gateway alone."""
        if identifiers:
            self._check_node_subnets(cluster, identifiers)
        for identifier in identifiers:
            tables = self.ec2.describe_route_tables(filters={"association.subnet-id": [identifier]})
            routes = [route for table in tables for route in table.routes]
            if any(getattr(route.gateway, "id", "").startswith("igw-") for route in routes):
                raise invalid_parameter(f"Subnet {identifier} provided in Fargate Profile is not a private subnet")

    def fargate_profile(self, cluster_name: str, name: str) -> FargateProfile:
        cluster = self.cluster(cluster_name)
        return self.part(cluster.fargate_profiles, name, "Fargate Profile")

    def delete_fargate_profile(self, cluster_name: str, name: str) -> FargateProfile:
        profile = self.fargate_profile(cluster_name, name)
        if profile.lifecycle.in_transition:
            state = profile.lifecycle.state
            raise in_use(f"Cannot delete Fargate Profile {name} because it currently is in status {state}")
        self._refuse_second_profile(self.cluster(cluster_name), "delete", name)
        profile.begin("DELETING", then=GONE)
        return profile

    def fargate_played(self, cluster_name: str, name: str) -> bool:
        """Whoever plays Fargate says that new pods find a profile, or that the last pods of one that is being deleted are gone."""
        self.fargate_profile(cluster_name, name).played = True
        return True

    # --- Pod Identity -----------------------------------------------------------------------------------------------

    def create_association(self, p: dict[str, Any]) -> PodIdentityAssociation:
        return self.once("CreatePodIdentityAssociation", p, lambda: self._create_association(p))

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
        return self.once("CreateAddon", p, lambda: self._create_addon(p))

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
        return self.part(cluster.addons, name, "addon")

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
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
                "operation."
            )
        return cluster

    def create_access_entry(self, p: dict[str, Any]) -> AccessEntry:
        return self.once("CreateAccessEntry", p, lambda: self._create_access_entry(p))

    def _create_access_entry(self, p: dict[str, Any]) -> AccessEntry:
        cluster, principal = self._cluster_with_api_access(p["clusterName"]), p["principalArn"]
        if principal in cluster.access_entries:
            raise in_use("The specified access entry resource is already in use on this cluster.")
        created = now()
        kind, _, principal_name = principal.split(":", 5)[-1].partition("/")
        path = f"{kind}/{self.account_id}/{principal_name.rsplit('/', 1)[-1]}/{new_identifier().lower()}"
        entry = AccessEntry(
            {
                "clusterName": cluster.name,
                "principalArn": principal,
                "kubernetesGroups": list(p.get("kubernetesGroups") or []),
                "accessEntryArn": self.arn(f"access-entry/{cluster.name}/{path}"),
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
