"""IAM: documents that are read before they are kept, quotas, refused deletes, OIDC client ids, service-linked roles."""

from __future__ import annotations

import json
import re
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import EmptyResult
from moto.iam import models, responses
from moto.iam.exceptions import (
    DeleteConflictException,
    InvalidInput,
    LimitExceededException,
    MalformedPolicyDocument,
    ValidationError,
)
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator

from shopkeeper_double.services import replaces
from shopkeeper_double.services._policy_documents import is_known_principal, listed, problem_of, statements_of

#: The roles that services make for themselves, where the name is not the first label of the service's domain.
SERVICE_LINKED_ROLES = {
    "autoscaling": "AutoScaling",
    "batch": "Batch",
    "cks.kms": "KeyManagementServiceCustomKeyStores",
    "dms": "DMS",
    "dynamodb.application-autoscaling": "ApplicationAutoScaling_DynamoDBTable",
    "ec2.application-autoscaling": "ApplicationAutoScaling_EC2SpotFleetRequest",
    "ecs": "ECS",
    "ecs.application-autoscaling": "ApplicationAutoScaling_ECSService",
    "eks": "AmazonEKS",
    "eks-fargate": "AmazonEKSForFargate",
    "eks-nodegroup": "AmazonEKSNodegroup",
    "elasticache": "ElastiCache",
    "elasticache.application-autoscaling": "ApplicationAutoScaling_ElastiCacheRG",
    "elasticloadbalancing": "ElasticLoadBalancing",
    "es": "AmazonElasticsearchService",
    "grafana": "AmazonGrafana",
    "kafka": "Kafka",
    "opensearchservice": "AmazonOpenSearchService",
    "rds": "RDS",
    "rds.application-autoscaling": "ApplicationAutoScaling_RDSCluster",
    "replication.dynamodb": "DynamoDBReplication",
    "kinesisreplication.dynamodb": "DynamoDBKinesisDataStreamsReplication",
    "s2svpn": "VPCS2SVPN",
    "scraper.aps": "AmazonPrometheusScraper",
    "spot": "EC2Spot",
    "spotfleet": "EC2SpotFleet",
    "transitgateway": "VPCTransitGateway",
}
MOST_POLICIES_OF_A_ROLE = 10
MOST_CLIENT_IDS = 100
#: In characters that are not white space.
LARGEST_INLINE, LARGEST_MANAGED, LARGEST_TRUST = 10240, 6144, 2048
TRUST_QUOTA = "Cannot exceed quota for ACLSizePerRole: {}"


def _size(document: str) -> int:
    return len(re.sub(r"\s", "", document))


def refuse_trust_policy(document: str, account: str) -> None:
    """MalformedPolicyDocument for what does not say who may assume the role."""
    IAMTrustPolicyDocumentValidator(document).validate()
    for statement in statements_of(json.loads(document)):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise MalformedPolicyDocument("Missing required field Principal")
        principal = statement.get("Principal")
        for entity in listed(principal.get("AWS")) if isinstance(principal, dict) else []:
            if not is_known_principal(entity, account):
                raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{entity}"')
    problem = problem_of(document, ("sts",), account, needs_resource=False)
    if problem is not None and problem.kind == "principal":
        raise MalformedPolicyDocument(problem.text)
    if _size(document) > LARGEST_TRUST:
        raise LimitExceededException(TRUST_QUOTA.format(LARGEST_TRUST))


def _refuse_service_linked(role: models.Role) -> None:
    if role._linked_service:
        raise ServiceException(
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only modifiable by AWS",
        )


def _refuse_role_settings(response: responses.IamResponse) -> None:
    duration = response._get_param("MaxSessionDuration")
    if duration is not None and not 3600 <= int(duration) <= 43200:
        raise ValidationError(
            f"1 validation error detected: Value '{duration}' at 'maxSessionDuration' failed to satisfy constraint: Member"
            f" must have value {'less than or equal to 43200' if int(duration) > 43200 else 'greater than or equal to 3600'}"
        )
    name = response._get_param("RoleName") or ""
    if not re.match(r"^[\w+=,.@-]{1,64}$", name, re.ASCII):
        raise ValidationError(
            f"1 validation error detected: Value '{name}' at 'roleName' failed to satisfy constraint: Member must satisfy"
            " regular expression pattern: [\\w+=,.@-]+ and have length less than or equal to 64"
        )
    path = response._get_param("Path")
    if path and not re.match(r"^/([\x21-\x7e]+/)?$", path):
        raise ValidationError(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters"
            " and/or / characters."
        )


def _install_roles() -> None:
    response, backend = responses.IamResponse, models.IAMBackend

    @replaces(response)
    def create_role(before, self):
        _refuse_role_settings(self)
        refuse_trust_policy(self._get_param("AssumeRolePolicyDocument"), self.current_account)
        return before(self)

    @replaces(response)
    def update_assume_role_policy(before, self):
        role = self.backend.get_role(self._get_param("RoleName"))
        _refuse_service_linked(role)
        refuse_trust_policy(self._get_param("PolicyDocument"), self.current_account)
        return before(self)

    @replaces(response)
    def update_role(before, self):
        # moto takes what is left out for empty; AWS leaves it as it is.
        role = self.backend.get_role(self._get_param("RoleName"))
        _refuse_service_linked(role)
        _refuse_role_settings(self)
        description, duration = self._get_param("Description"), self._get_param("MaxSessionDuration")
        role.description = role.description if description is None else description
        role.max_session_duration = role.max_session_duration if duration is None else duration
        return EmptyResult()

    @replaces(response)
    def delete_role(before, self):
        _refuse_service_linked(self.backend.get_role(self._get_param("RoleName")))
        return before(self)

    @replaces(backend)
    def put_role_policy(before, self, role_name, policy_name, policy_json):
        role = self.get_role(role_name)
        _refuse_service_linked(role)
        others = sum(_size(document) for name, document in role.policies.items() if name != policy_name)
        if others + _size(policy_json) > LARGEST_INLINE:
            raise LimitExceededException(f"Maximum policy size of {LARGEST_INLINE} bytes exceeded for role {role_name}")
        before(self, role_name, policy_name, policy_json)

    @replaces(backend)
    def attach_role_policy(before, self, policy_arn, role_name):
        role = self.get_role(role_name)
        _refuse_service_linked(role)
        if policy_arn in role.managed_policies:
            # Attaching again changes nothing; moto counts it twice and the policy can then never be deleted.
            return
        if len(role.managed_policies) >= MOST_POLICIES_OF_A_ROLE:
            raise LimitExceededException(f"Cannot exceed quota for PoliciesPerRole: {MOST_POLICIES_OF_A_ROLE}")
        before(self, policy_arn, role_name)

    @replaces(backend)
    def create_service_linked_role(before, self, service_name, description, suffix):
        labels = service_name.removesuffix(".cn").removesuffix(".amazonaws.com")
        name = f"AWSServiceRoleFor{SERVICE_LINKED_ROLES.get(labels) or _usual_name(labels)}"
        name = f"{name}_{suffix}" if suffix else name
        if any(role.name == name for role in self.roles.values()):
            raise InvalidInput(
                f"Service role name {name} has been taken in this account, please try a different suffix."
            )
        role = before(self, service_name, description, suffix)
        role.name = name
        return role


def _usual_name(labels: str) -> str:
    return "_".join("".join(part.capitalize() for part in label.split("-")) for label in reversed(labels.split(".")))


def _install_policies() -> None:
    backend = models.IAMBackend

    def refuse_large(document: str) -> None:
        if _size(document) > LARGEST_MANAGED:
            raise LimitExceededException(f"Cannot exceed quota for PolicySize: {LARGEST_MANAGED}")

    @replaces(backend)
    def create_policy(before, self, description, path, policy_document, policy_name, tags):
        refuse_large(policy_document)
        return before(self, description, path, policy_document, policy_name, tags)

    @replaces(backend)
    def create_policy_version(before, self, policy_arn, policy_document, set_as_default):
        refuse_large(policy_document)
        version = before(self, policy_arn, policy_document, set_as_default)
        self.get_policy(policy_arn).update_date = version.create_date
        return version

    @replaces(backend)
    def delete_policy(before, self, policy_arn):
        policy = self.get_policy(policy_arn)
        if isinstance(policy, models.AWSManagedPolicy):
            raise ServiceException(
                "AccessDenied", f"User is not authorized to perform: iam:DeletePolicy on resource: policy {policy_arn}"
            )
        if policy.attachment_count > 0:
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise DeleteConflictException(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions."
                " The default version is deleted with the policy."
            )
        before(self, policy_arn)


def _install_oidc_providers() -> None:
    response, backend = responses.IamResponse, models.IAMBackend

    @replaces(backend)
    def create_open_id_connect_provider(before, self, url, thumbprint_list, client_id_list, tags):
        if not url.startswith("https://"):
            raise ValidationError("Invalid Open ID Connect Provider URL")
        if len(client_id_list) > MOST_CLIENT_IDS:
            raise LimitExceededException(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENT_IDS}")
        return before(self, url, thumbprint_list, client_id_list, tags)

    def provider(self: Any) -> models.OpenIDConnectProvider:
        return self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))

    @replaces(response)
    def add_client_id_to_open_id_connect_provider(before, self):
        # Adding one that is there, and removing one that is not, succeed on AWS.
        known, client = provider(self).client_id_list, self._get_param("ClientID")
        if client not in known:
            if len(known) >= MOST_CLIENT_IDS:
                raise LimitExceededException(
                    f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENT_IDS}"
                )
            known.append(client)
        return EmptyResult()

    @replaces(response)
    def remove_client_id_from_open_id_connect_provider(before, self):
        known, client = provider(self).client_id_list, self._get_param("ClientID")
        if client in known:
            known.remove(client)
        return EmptyResult()


def install() -> None:
    _install_roles()
    _install_policies()
    _install_oidc_providers()
