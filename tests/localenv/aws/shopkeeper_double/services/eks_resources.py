"""What EKS keeps: clusters and what hangs off them, as values in the shape of botocore's output models."""

from __future__ import annotations

import base64
import datetime
import re
import uuid
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto.core.exceptions import ServiceException
from moto.moto_api._internal import mock_random

from shopkeeper_double.lifecycle import Lifecycle, drop_gone, settings

#: Kubernetes minors that a cluster may have, oldest first, and the default of CreateCluster.
SUPPORTED_VERSIONS = ("1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36")
DEFAULT_VERSION = "1.36"
PLATFORM_VERSION = "eks.9"
#: The date in the newest AMI release of every version: `1.36.1-20261105`.
LATEST_RELEASE_DATE = "20261105"
#: Nodes may be this many minors behind the control plane (Kubernetes' version skew policy).
NODE_VERSION_SKEW = 3

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def invalid_parameter(message: str) -> ServiceException:
    return ServiceException("InvalidParameterException", message)


def invalid_request(message: str) -> ServiceException:
    return ServiceException("InvalidRequestException", message)


def in_use(message: str) -> ServiceException:
    return ServiceException("ResourceInUseException", message)


def limit_exceeded(message: str) -> ServiceException:
    return ServiceException("ResourceLimitExceededException", message)


def not_found(message: str) -> ServiceException:
    return ServiceException("ResourceNotFoundException", message)


def minor(version: str) -> int:
    return int(version.split(".")[1])


def latest_release(version: str) -> str:
    return f"{version}.1-{LATEST_RELEASE_DATE}"


def authority_data(name: str) -> str:
    """A certificate authority as DescribeCluster gives it: base64 of PEM. Clients parse it before they use it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - datetime.timedelta(minutes=5))
        .not_valid_after(now() + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.PEM)).decode()


#: What a node is replaced for when it changes.
TEMPLATE = ("version", "releaseVersion", "launchTemplate")
_NO_CAPACITY = {
    "code": "AsgInstanceLaunchFailures",
    "message": "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient "
    "capacity in the Availability Zone you requested.",
}
#: The usual health issue of a node group that failed.
HEALTH = {
    "CREATE_FAILED": _NO_CAPACITY,
    "DEGRADED": _NO_CAPACITY,
    "DELETE_FAILED": {
        "code": "Ec2SecurityGroupDeletionFailure",
        "message": "DependencyViolation - resource has a dependent object",
    },
}


FARGATE_HEALTH = {
    "CREATE_FAILED": {
        "code": "AccessDenied",
        "message": "Access denied while authorizing the pod execution role for the cluster",
    },
    "DELETE_FAILED": {"code": "InternalFailure", "message": "Could not delete the Fargate profile"},
}


class Resource:
    """Something with values, tags, and a state that lasts. `kind` names it in the transition settings."""

    kind = ""
    arn_member = ""

    def __init__(self, values: dict[str, Any], settled: str = "ACTIVE") -> None:
        self.values = values
        self.values.setdefault("tags", {})
        self.lifecycle = Lifecycle("eks", self.kind, settled, name=self.name_in(values))
        self.updates: dict[str, Update] = {}

    @staticmethod
    def name_in(values: dict[str, Any]) -> str | None:
        """What the resource is called, by its own name rather than its cluster's."""
        members = ("nodegroupName", "fargateProfileName", "addonName", "associationId", "principalArn", "name")
        return next((str(values[member]) for member in members if values.get(member)), None)

    @property
    def arn(self) -> str:
        return str(self.values[self.arn_member])

    @property
    def tags(self) -> dict[str, str]:
        return self.values["tags"]  # type: ignore[no-any-return]

    def shape(self) -> dict[str, Any]:
        """As describe shows it now. The state is read first: reading it may apply an update whose time is over."""
        status = self.lifecycle.state
        return {**self.values, "status": status}

    def running_update(self) -> "Update | None":
        return next((update for update in self.updates.values() if update.status == "InProgress"), None)


class Update:
    """One update of a cluster, a node group or an addon: in progress for as long as the resource is UPDATING by it.

    It failed when the resource is no longer in transition and the update's effect has not come.
    """

    def __init__(self, resource: Resource, update_type: str, parameters: dict[str, Any]) -> None:
        self.id = str(uuid.uuid4())
        self._values = {
            "id": self.id,
            "type": update_type,
            "params": [{"type": name, "value": str(value)} for name, value in parameters.items()],
            "createdAt": now(),
            "errors": [],
        }
        self._resource = resource
        self._done = False
        resource.updates[self.id] = self

    def finished(self) -> None:
        self._done = True

    @property
    def status(self) -> str:
        in_transition = self._resource.lifecycle.in_transition
        if self._done:
            return "Successful"
        newest = next(reversed(self._resource.updates)) == self.id
        return "InProgress" if in_transition and newest else "Failed"

    def shape(self) -> dict[str, Any]:
        status = self.status
        if status == "Failed" and not self._values["errors"]:
            told = self._resource.lifecycle.detail or {}
            message = "Couldn't proceed with upgrade process as new nodes are not joining node group"
            self._values["errors"] = [
                {
                    "errorCode": told.get("errorCode", "NodeCreationFailure"),
                    "errorMessage": told.get("errorMessage", message),
                    "resourceIds": [self._resource.values.get("nodegroupName") or self._resource.arn],
                }
            ]
        return {**self._values, "status": status}


class Nodegroup(Resource):
    kind = "nodegroup"
    arn_member = "nodegroupArn"

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        #: Whether the nodes' role is still in IAM.
        self.role_exists: Callable[[], bool] = lambda: True
        #: The version update that new nodes are being made for, and what they are made of.
        self.rollout: tuple[Update, dict[str, Any]] | None = None

    def rolling_out(self) -> dict[str, Any] | None:
        """What nodes are being replaced for, as those who play them need it."""
        if self.rollout is None or self.lifecycle.state != "UPDATING":
            return None
        update, changes = self.rollout
        return {"update": update.id, **{key: self.values[key] for key in TEMPLATE if key in self.values}, **changes}

    def shape(self) -> dict[str, Any]:
        """A node group that failed says why in `health`; where a test says nothing, no capacity for its instance types."""
        shown = super().shape()
        if shown["status"] == "ACTIVE" and not self.role_exists():
            shown["status"] = "DEGRADED"
            told = {
                "code": "IamNodeRoleNotFound",
                "message": f"We couldn't find the IAM role {shown['nodeRole']} for your managed node group.",
                "resourceIds": [shown["nodeRole"]],
            }
        elif shown["status"] in ("CREATE_FAILED", "DEGRADED", "DELETE_FAILED"):
            told = {**HEALTH[shown["status"]], **(self.lifecycle.detail or {})}
            told.setdefault("resourceIds", [self.values["resources"]["autoScalingGroups"][0]["name"]])
        else:
            return shown
        shown["health"] = {"issues": [told]}
        return shown


class FargateProfile(Resource):
    kind = "fargate-profile"
    arn_member = "fargateProfileArn"

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        #: Whether those who play its pods have done what its transition lasts for.
        self.played = True

    def begin(self, state: str, then: str | None = None) -> None:
        """A transition lasts until pods find the profile, or have left it, where someone plays them."""
        self.played = False
        self.lifecycle.begin(state, then=then, unless=lambda: settings.nodes_are_played and not self.played)

    def shape(self) -> dict[str, Any]:
        """A profile that failed says why in `health`."""
        shown = super().shape()
        if shown["status"] in FARGATE_HEALTH:
            told = {**FARGATE_HEALTH[shown["status"]], **(self.lifecycle.detail or {})}
            told.setdefault("resourceIds", [shown["podExecutionRoleArn"]])
            shown["health"] = {"issues": [told]}
        return shown


class Addon(Resource):
    kind = "addon"
    arn_member = "addonArn"


class PodIdentityAssociation(Resource):
    kind = "pod-identity-association"
    arn_member = "associationArn"

    def shape(self) -> dict[str, Any]:
        return dict(self.values)


class AccessEntry(Resource):
    kind = "access-entry"
    arn_member = "accessEntryArn"

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.policies: dict[str, dict[str, Any]] = {}

    def shape(self) -> dict[str, Any]:
        return dict(self.values)


class Cluster(Resource):
    kind = "cluster"
    arn_member = "arn"

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.nodegroups: dict[str, Nodegroup] = {}
        self.fargate_profiles: dict[str, FargateProfile] = {}
        self.addons: dict[str, Addon] = {}
        self.associations: dict[str, PodIdentityAssociation] = {}
        self.access_entries: dict[str, AccessEntry] = {}

    @property
    def name(self) -> str:
        return str(self.values["name"])

    @property
    def version(self) -> str:
        _ = self.lifecycle.state
        return str(self.values["version"])

    def parts(self) -> list[Resource]:
        """All that hangs off the cluster and still exists."""
        self.drop_gone()
        return [
            *self.nodegroups.values(),
            *self.fargate_profiles.values(),
            *self.addons.values(),
            *self.associations.values(),
            *self.access_entries.values(),
        ]

    def drop_gone(self) -> None:
        for held in (self.nodegroups, self.fargate_profiles, self.addons):
            drop_gone(held)


def new_association_id() -> str:
    return "a-" + mock_random.get_random_string(17, lower_case=True)


def new_identifier() -> str:
    return mock_random.get_random_hex(32).upper()


NODEGROUP_NAME = re.compile(r"^[0-9A-Za-z][0-9A-Za-z_-]{0,62}$")
CLUSTER_NAME = re.compile(r"^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$")
