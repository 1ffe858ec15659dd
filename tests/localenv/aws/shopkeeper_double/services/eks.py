"""EKS: moto's backend and responses are replaced whole, since states, updates and tags go through all of it."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, BaseResponse, EmptyResult

from .eks_backend import ADDONS, EksBackend
from .eks_resources import DEFAULT_VERSION, PLATFORM_VERSION, SUPPORTED_VERSIONS, TEMPLATE, not_found, now

INVENTORY_SERVICES = ("eks",)

PATHS = [
    "/clusters",
    "/clusters/(?P<name>[^/]+)",
    "/clusters/(?P<name>[^/]+)/(?P<part>[a-z-]+)",
    "/clusters/(?P<name>[^/]+)/(?P<part>[a-z-]+)/(?P<rest>.+)",
    "/tags/(?P<resourceArn>.+)",
    "/addons/(?P<part>[a-z-]+)",
    "/cluster-versions",
]


class EksResponse(BaseResponse):
    """Parameters come parsed by botocore's input models in `self.params`."""

    def __init__(self) -> None:
        super().__init__(service_name="eks")
        self.automated_parameter_parsing = True

    @property
    def backend(self) -> EksBackend:
        from moto.eks.models import eks_backends

        return eks_backends[self.current_account][self.region]  # type: ignore[return-value]

    def _get(self, name: str) -> Any:
        return self.params.get(name)

    def _page(self, member: str, names: list[Any]) -> ActionResult:
        page, token = self.backend.page(names, self.params)
        return ActionResult({member: page, **({"nextToken": token} if token else {})})

    def create_cluster(self) -> ActionResult:
        return ActionResult({"cluster": self.backend.create_cluster(self.params).shape()})

    def describe_cluster(self) -> ActionResult:
        return ActionResult({"cluster": self.backend.cluster(self._get("name")).shape()})

    def list_clusters(self) -> ActionResult:
        return self._page("clusters", sorted(self.backend.live_clusters()))

    def update_cluster_config(self) -> ActionResult:
        return ActionResult({"update": self.backend.update_cluster_config(self.params).shape()})

    def update_cluster_version(self) -> ActionResult:
        return ActionResult({"update": self.backend.update_cluster_version(self.params).shape()})

    def delete_cluster(self) -> ActionResult:
        return ActionResult({"cluster": self.backend.delete_cluster(self._get("name")).shape()})

    def describe_update(self) -> ActionResult:
        updates = self.backend.updated_resource(self.params).updates
        if self._get("updateId") not in updates:
            raise not_found(f"No update found for ID: {self._get('updateId')}")
        return ActionResult({"update": updates[self._get("updateId")].shape()})

    def list_updates(self) -> ActionResult:
        return self._page("updateIds", list(self.backend.updated_resource(self.params).updates))

    def create_nodegroup(self) -> ActionResult:
        return ActionResult({"nodegroup": self.backend.create_nodegroup(self.params).shape()})

    def describe_nodegroup(self) -> ActionResult:
        cluster = self.backend.cluster(self._get("clusterName"))
        return ActionResult({"nodegroup": self.backend.nodegroup(cluster, self._get("nodegroupName")).shape()})

    def list_nodegroups(self) -> ActionResult:
        return self._page("nodegroups", sorted(self.backend.cluster(self._get("clusterName")).nodegroups))

    def update_nodegroup_config(self) -> ActionResult:
        return ActionResult({"update": self.backend.update_nodegroup_config(self.params).shape()})

    def update_nodegroup_version(self) -> ActionResult:
        return ActionResult({"update": self.backend.update_nodegroup_version(self.params).shape()})

    def delete_nodegroup(self) -> ActionResult:
        nodegroup = self.backend.delete_nodegroup(self._get("clusterName"), self._get("nodegroupName"))
        return ActionResult({"nodegroup": nodegroup.shape()})

    def create_fargate_profile(self) -> ActionResult:
        return ActionResult({"fargateProfile": self.backend.create_fargate_profile(self.params).shape()})

    def describe_fargate_profile(self) -> ActionResult:
        profile = self.backend.fargate_profile(self._get("clusterName"), self._get("fargateProfileName"))
        return ActionResult({"fargateProfile": profile.shape()})

    def list_fargate_profiles(self) -> ActionResult:
        return self._page("fargateProfileNames", sorted(self.backend.cluster(self._get("clusterName")).fargate_profiles))

    def delete_fargate_profile(self) -> ActionResult:
        profile = self.backend.delete_fargate_profile(self._get("clusterName"), self._get("fargateProfileName"))
        return ActionResult({"fargateProfile": profile.shape()})

    def create_pod_identity_association(self) -> ActionResult:
        return ActionResult({"association": self.backend.create_association(self.params).shape()})

    def describe_pod_identity_association(self) -> ActionResult:
        association = self.backend.association(self._get("clusterName"), self._get("associationId"))
        return ActionResult({"association": association.shape()})

    def list_pod_identity_associations(self) -> ActionResult:
        summary = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
        held = self.backend.cluster(self._get("clusterName")).associations.values()
        matching = [
            {name: each.values[name] for name in summary if name in each.values}
            for each in held
            if self._get("namespace") in (None, each.values["namespace"])
            and self._get("serviceAccount") in (None, each.values["serviceAccount"])
        ]
        return self._page("associations", matching)

    def update_pod_identity_association(self) -> ActionResult:
        return ActionResult({"association": self.backend.update_association(self.params).shape()})

    def delete_pod_identity_association(self) -> ActionResult:
        association = self.backend.delete_association(self._get("clusterName"), self._get("associationId"))
        return ActionResult({"association": association.shape()})

    def create_addon(self) -> ActionResult:
        return ActionResult({"addon": self.backend.create_addon(self.params).shape()})

    def describe_addon(self) -> ActionResult:
        return ActionResult({"addon": self.backend.addon(self._get("clusterName"), self._get("addonName")).shape()})

    def list_addons(self) -> ActionResult:
        return self._page("addons", sorted(self.backend.cluster(self._get("clusterName")).addons))

    def update_addon(self) -> ActionResult:
        return ActionResult({"update": self.backend.update_addon(self.params).shape()})

    def delete_addon(self) -> ActionResult:
        addon = self.backend.delete_addon(self._get("clusterName"), self._get("addonName"))
        return ActionResult({"addon": addon.shape()})

    def describe_addon_versions(self) -> ActionResult:
        wanted = self._get("addonName")
        if wanted is not None and wanted not in ADDONS:
            raise not_found(f"Addon {wanted} specified is not supported")
        version = self._get("kubernetesVersion") or DEFAULT_VERSION
        compatible = [{"clusterVersion": version, "platformVersions": ["*"], "defaultVersion": True}]
        addons = [
            {
                "addonName": name,
                "type": "networking" if name in ("vpc-cni", "coredns", "kube-proxy") else "other",
                "addonVersions": [
                    {
                        "addonVersion": newest or f"v{version}.1-eksbuild.2",
                        "architecture": ["amd64", "arm64"],
                        "compatibilities": compatible,
                        "requiresConfiguration": False,
                    }
                ],
                "publisher": "eks",
                "owner": "aws",
            }
            for name, newest in ADDONS.items()
            if wanted in (None, name)
        ]
        return self._page("addons", addons)

    def describe_cluster_versions(self) -> ActionResult:
        wanted = self._get("clusterVersions")
        versions = [
            {
                "clusterVersion": version,
                "clusterType": "eks",
                "defaultPlatformVersion": PLATFORM_VERSION,
                "defaultVersion": version == DEFAULT_VERSION,
                "status": "standard-support" if version in SUPPORTED_VERSIONS[-3:] else "extended-support",
                "versionStatus": "STANDARD_SUPPORT" if version in SUPPORTED_VERSIONS[-3:] else "EXTENDED_SUPPORT",
                "kubernetesPatchVersion": f"{version}.1",
            }
            for version in reversed(SUPPORTED_VERSIONS)
            if not wanted or version in wanted
        ]
        return self._page("clusterVersions", versions)

    def create_access_entry(self) -> ActionResult:
        return ActionResult({"accessEntry": self.backend.create_access_entry(self.params).shape()})

    def describe_access_entry(self) -> ActionResult:
        entry = self.backend.access_entry(self._get("clusterName"), self._get("principalArn"))
        return ActionResult({"accessEntry": entry.shape()})

    def list_access_entries(self) -> ActionResult:
        return self._page("accessEntries", list(self.backend.access_entries(self._get("clusterName"))))

    def update_access_entry(self) -> ActionResult:
        entry = self.backend.access_entry(self._get("clusterName"), self._get("principalArn"))
        for name in ("kubernetesGroups", "username"):
            if self._get(name) is not None:
                entry.values[name] = self._get(name)
        entry.values["modifiedAt"] = now()
        return ActionResult({"accessEntry": entry.shape()})

    def delete_access_entry(self) -> ActionResult:
        self.backend.access_entry(self._get("clusterName"), self._get("principalArn"))
        del self.backend.access_entries(self._get("clusterName"))[self._get("principalArn")]
        return EmptyResult()

    def associate_access_policy(self) -> ActionResult:
        entry = self.backend.access_entry(self._get("clusterName"), self._get("principalArn"))
        moment = now()
        policy = {
            "policyArn": self._get("policyArn"),
            "accessScope": self._get("accessScope"),
            "associatedAt": moment,
            "modifiedAt": moment,
        }
        entry.policies[policy["policyArn"]] = policy
        return ActionResult(
            {
                "clusterName": self._get("clusterName"),
                "principalArn": self._get("principalArn"),
                "associatedAccessPolicy": policy,
            }
        )

    def disassociate_access_policy(self) -> ActionResult:
        entry = self.backend.access_entry(self._get("clusterName"), self._get("principalArn"))
        if entry.policies.pop(self._get("policyArn"), None) is None:
            raise not_found(f"The policy is not associated: {self._get('policyArn')}")
        return EmptyResult()

    def list_associated_access_policies(self) -> ActionResult:
        entry = self.backend.access_entry(self._get("clusterName"), self._get("principalArn"))
        return self._page("associatedAccessPolicies", list(entry.policies.values()))

    def tag_resource(self) -> ActionResult:
        self.backend.tag_resource(self._get("resourceArn"), self._get("tags") or {})
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        self.backend.untag_resource(self._get("resourceArn"), self._get("tagKeys") or [])
        return EmptyResult()

    def list_tags_for_resource(self) -> ActionResult:
        return ActionResult({"tags": self.backend.tagged(self._get("resourceArn")).tags})


def inventory(account_id: str, region: str) -> list[dict[str, Any]]:
    """Clusters and their parts. Node groups carry `detail`: what a test needs to make nodes for them."""
    from moto.eks.models import eks_backends

    backend: EksBackend = eks_backends[account_id][region]  # type: ignore[assignment]
    found = []
    for cluster in backend.live_clusters().values():
        for resource in (cluster, *cluster.parts()):
            values = resource.values
            name = next(
                values[key]
                for key in ("nodegroupName", "fargateProfileName", "addonName", "associationId", "principalArn", "name")
                if key in values
            )
            entry = {
                "service": "eks",
                "type": resource.kind,
                "name": name,
                "arn": resource.arn,
                "status": resource.lifecycle.state,
                "tags": dict(resource.tags),
                "region": region,
            }
            if resource.kind != "cluster":
                entry["cluster"] = cluster.name
            if resource.kind == "nodegroup":
                shown = ("scalingConfig", "updateConfig", "instanceTypes", "labels", "taints", "subnets", "capacityType", *TEMPLATE)
                entry["detail"] = {key: values[key] for key in shown if key in values}
                if rollout := resource.rolling_out():  # type: ignore[attr-defined]
                    entry["rollout"] = rollout
            if resource.kind == "fargate-profile":
                entry["detail"] = {key: values[key] for key in ("podExecutionRoleArn", "subnets", "selectors")}
            if resource.kind == "pod-identity-association":
                entry["detail"] = {key: values[key] for key in ("namespace", "serviceAccount", "roleArn")}
            found.append(entry)
    return found


def install() -> None:
    from moto.eks import models, urls

    # moto finds a backend's URLs from the module its class is defined in.
    EksBackend.__module__ = models.__name__
    models.eks_backends.backend = EksBackend
    urls.url_paths.clear()
    urls.url_paths.update({"{0}" + path + "$": EksResponse.dispatch for path in PATHS})
