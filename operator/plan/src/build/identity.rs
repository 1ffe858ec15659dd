//! The AWS identity of pods, and how they get from one to another without being without.
//!
//! Pods are given their way to credentials when they start: an annotation of the ServiceAccount, or an association, that comes later
//! does nothing for them. And EKS prefers an association where both are there. So a change of mode goes in this order, each step from
//! what is seen of the one before: the role trusts both ways; the new way is there, and the association gone where it is not that; the
//! pods are replaced; the role and the ServiceAccount forget the old way.

use serde_json::Value;

use crate::{
    aws::{AwsKind, AwsResource, IamRole, PodIdentityAssociation},
    blueprint::{Remark, Section},
    difference::canonical,
    failure::{Class, Failure},
    kubernetes::{
        KubernetesKind,
        readiness::{Autoscaled, Readiness, readiness},
        service_account::ROLE_ANNOTATION,
    },
    names::{OWNER_TAG, OWNER_UID_TAG},
    observed::Observation,
    resolve::{
        ComponentIdentity, DataResource, IdentityMode, Placement, Replicas, RoleDraft, permissions,
    },
    resource::ResourceKey,
};

use super::{
    ComponentBuilder,
    marks::{Wanted, marked},
    outputs,
};

/// Annotation of pods that says how they were told to get credentials: `PodIdentity`, `None`, or for IRSA the ARN of the role. Left
/// out where there was never anything but the first two.
pub(crate) const PODS_ANNOTATION: &str = "shopkeeper.dev/identity";
const POD_IDENTITY: &str = "PodIdentity";
const NO_IDENTITY: &str = "None";

/// What an identity means for the other objects of a component.
#[derive(Debug, Default)]
pub(super) struct BuiltIdentity {
    /// The role, which pods wait for.
    pub keys: Vec<ResourceKey>,
    /// What gives the role to the ServiceAccount; pods wait for that, too.
    pub association: Option<AwsResource>,
    /// The role that the ServiceAccount names.
    pub account_role: Option<String>,
    /// Value of [`PODS_ANNOTATION`].
    pub of_pods: Option<String>,
    /// What is missing: new pods would have no credentials.
    pub awaits: Option<Failure>,
}

impl ComponentBuilder<'_> {
    /// The role, and what leads pods to it.
    pub(super) fn identity(&mut self) -> BuiltIdentity {
        let component = self.component;
        match &component.identity {
            ComponentIdentity::None => self.built(Vec::new(), None, NO_IDENTITY, true),
            ComponentIdentity::Existing {
                role_arn,
                mode,
                unlisted,
            } => match unlisted {
                Some(failure) if !self.may_have(role_arn, *mode) => {
                    self.kept_identity(None, failure)
                }
                unlisted => {
                    if let Some(failure) = unlisted {
                        self.blueprint.remark(Remark {
                            section: Section::Workload,
                            reason: "RoleNotListed",
                            text: format!(
                                "{failure}; the pods have it, and keep it. To do: {}",
                                failure.remedy
                            ),
                        });
                    }
                    self.with_role(role_arn.clone(), *mode, None)
                }
            },
            ComponentIdentity::Awaited { role, failure } => {
                self.kept_identity(role.as_deref(), failure)
            }
            ComponentIdentity::Made(draft) => {
                let Some(role) = self.role(draft) else {
                    return self.built(Vec::new(), None, NO_IDENTITY, true);
                };
                let arn = self
                    .resolved
                    .platform
                    .iam_arn(&format!("role/{}", role.name));
                let trusts = self
                    .observed_role(&role.name)
                    .is_some_and(|found| trusts(found, draft.trust()));
                let part = component.role_of("identity.role");
                let after = self.not_known_to_be_ours(&role.name);
                let key = self.blueprint.aws(Section::Workload, part, role, &after);
                self.with_role(arn, draft.mode(), Some((key, trusts)))
            }
        }
    }

    /// Whether pods have a role already. Where AWS does not tell of the association nothing is made, and they may have it.
    fn may_have(&self, role_arn: &str, mode: IdentityMode) -> bool {
        match mode {
            IdentityMode::PodIdentity => {
                match self
                    .observed
                    .aws
                    .get(&self.association(String::new()).key())
                {
                    Some(Observation::Absent) => false,
                    Some(Observation::Present(present)) => matches!(
                        &present.resource,
                        AwsResource::PodIdentityAssociation(found) if found.role_arn == role_arn
                    ),
                    Some(Observation::Unknown(_)) | None => true,
                }
            }
            IdentityMode::IRSA => {
                let told = self
                    .deployment()
                    .and_then(|body| marked(body, PODS_ANNOTATION));
                self.account_role() == Some(role_arn) || told == Some(role_arn)
            }
        }
    }

    /// The identity as it is, while the one that is declared cannot be had. Who needs nothing of AWS misses nothing.
    fn kept_identity(&mut self, draft: Option<&RoleDraft>, failure: &Failure) -> BuiltIdentity {
        if let Some(draft) = draft {
            let Some(role) = self.role(draft) else {
                return self.built(Vec::new(), None, NO_IDENTITY, true);
            };
            let key = ResourceKey::aws(AwsKind::IamRole, role.name);
            self.awaited(self.component.role_of("identity.role"), key, failure);
        }
        let association = self.association(String::new()).key();
        if !matches!(
            self.observed.aws.get(&association),
            None | Some(Observation::Absent)
        ) {
            let part = self.component.role_of("identity.association");
            self.awaited(part, association, failure);
        }
        let of_pods = self
            .deployment()
            .and_then(|body| marked(body, PODS_ANNOTATION));
        BuiltIdentity {
            account_role: self.account_role().map(str::to_owned),
            of_pods: of_pods.map(str::to_owned),
            awaits: Some(failure.clone()),
            ..BuiltIdentity::default()
        }
    }

    /// Leads pods to a role. `made` is the role where it is one of ours, and whether it trusts them in the way that is declared.
    fn with_role(
        &mut self,
        arn: String,
        mode: IdentityMode,
        made: Option<(ResourceKey, bool)>,
    ) -> BuiltIdentity {
        let trusts = made.as_ref().is_none_or(|(_, trusts)| *trusts);
        let keys: Vec<ResourceKey> = made.into_iter().map(|(key, _)| key).collect();
        match mode {
            IdentityMode::PodIdentity => {
                let desired = self.association(arn);
                let is_there = self.observed.present(&desired.key()).is_some();
                BuiltIdentity {
                    association: Some(desired),
                    ..self.built(keys, None, POD_IDENTITY, trusts && is_there)
                }
            }
            IdentityMode::IRSA => {
                let key = self.association(arn.clone()).key();
                let is_gone = matches!(
                    self.observed.aws.get(&key),
                    None | Some(Observation::Absent)
                );
                let is_told = self.account_role() == Some(arn.as_str());
                self.built(keys, Some(arn.clone()), &arn, trusts && is_gone && is_told)
            }
        }
    }

    /// What is said to pods and of them. What is not `in_place` is not said to pods that run.
    fn built(
        &self,
        keys: Vec<ResourceKey>,
        account_role: Option<String>,
        wanted: &str,
        in_place: bool,
    ) -> BuiltIdentity {
        let unmarked = [POD_IDENTITY, NO_IDENTITY];
        let of_pods = self.mark(
            PODS_ANNOTATION,
            &Wanted {
                value: wanted,
                unmarked: &unmarked,
                in_place,
            },
        );
        let now = self
            .deployment()
            .and_then(|body| marked(body, PODS_ANNOTATION));
        // Pods that are told to use the role of the ServiceAccount, and new ones of theirs, need its name until the last is gone.
        let old = now.filter(|now| !unmarked.contains(now) || !self.is_rolled_out());
        let account_role =
            account_role.or_else(|| old.and_then(|_| self.account_role().map(str::to_owned)));
        BuiltIdentity {
            keys,
            association: None,
            account_role,
            of_pods,
            awaits: None,
        }
    }

    /// Why pods cannot go to Fargate yet: EKS tells new pods of an association as long as there is one, and on Fargate there is no
    /// agent behind it.
    pub(super) fn held_off_fargate(&self) -> Option<Failure> {
        let Placement::Fargate(_) = &self.component.placement else {
            return None;
        };
        let key = self.association(String::new()).key();
        match self.observed.aws.get(&key) {
            None | Some(Observation::Absent) => None,
            Some(_) => Some(
                Failure::new(
                    Class::NotReady,
                    format!("{key} has to go before pods start on Fargate, where it gives them no credentials"),
                )
                .with_remedy("nothing: it is taken away by itself, then the pods are replaced"),
            ),
        }
    }

    fn association(&self, role_arn: String) -> AwsResource {
        let platform = &self.resolved.platform;
        let mut tags = platform.tags.clone();
        tags.extend(self.resolved.owner.tags(&platform.cluster_arn()));
        AwsResource::from(PodIdentityAssociation {
            cluster: platform.cluster.clone(),
            namespace: self.resolved.owner.namespace.clone(),
            service_account: self.component.service_account.clone(),
            role_arn,
            tags,
        })
    }

    /// The role with the permissions that follow from the data tier, and with the trust that pods of before still need.
    fn role(&self, draft: &RoleDraft) -> Option<IamRole> {
        let platform = &self.resolved.platform;
        let mut statements = Vec::new();
        if self.component.role.is_empty() {
            let granted = |resource: &&DataResource| self.may_be_granted(resource, draft.name());
            statements =
                permissions::statements(platform, self.resolved.data.iter().filter(granted));
            if !outputs::are_in_force(self.resolved, self.observed) {
                permissions::keep_connecting(&mut statements, self.observed, draft.name());
            }
        }
        let mut role = draft.with_permissions(statements)?;
        if let Some(other) = draft.other_trust()
            && self
                .observed_role(&role.name)
                .is_some_and(|found| trusts(found, other))
            && !self.pods_have_changed(draft, &role.name)
            && let Some(list) = role
                .trust_policy
                .get_mut("Statement")
                .and_then(Value::as_array_mut)
        {
            list.push(other.clone());
        }
        Some(role)
    }

    /// Whether pods may get at a resource: at what is there only where it is ours, or a custom resource that names what belongs to others
    /// would open it to its pods, although its adoption is refused. What pods have stays where it is of an earlier custom resource of this
    /// name, as after a restore, or has lost its tags: somebody who removes tags takes nothing away from a shop that runs. Where AWS does
    /// not tell, [`Self::not_known_to_be_ours`] holds the role up.
    fn may_be_granted(&self, resource: &DataResource, role: &str) -> bool {
        let key = resource.key();
        let owner = &self.resolved.owner;
        match self.observed.aws.get(&key) {
            None | Some(Observation::Absent | Observation::Unknown(_)) => true,
            Some(Observation::Present(present)) => {
                let tags = present.tags();
                let uid = tags.get(OWNER_UID_TAG);
                let may_have_been_ours = tags
                    .get(OWNER_TAG)
                    .map_or(uid.is_none(), |other| *other == owner.path());
                uid == Some(&owner.uid) || may_have_been_ours && self.grants(role, &key)
            }
        }
    }

    /// What AWS does not tell of, and pods have no right to yet: the role waits until it does.
    fn not_known_to_be_ours(&self, role: &str) -> Vec<ResourceKey> {
        let data = self.resolved.data.iter();
        data.filter(|resource| permissions::are_given(resource))
            .map(DataResource::key)
            .filter(|key| matches!(self.observed.aws.get(key), Some(Observation::Unknown(_))))
            .filter(|key| self.component.role.is_empty() && !self.grants(role, key))
            .collect()
    }

    /// Whether the role names a resource already.
    fn grants(&self, role: &str, key: &ResourceKey) -> bool {
        self.observed_role(role)
            .is_some_and(|role| names(role, &key.name))
    }

    /// Whether every pod was told to get its credentials in the way that is declared.
    fn pods_have_changed(&self, draft: &RoleDraft, role: &str) -> bool {
        let Some(body) = self.deployment() else {
            return true;
        };
        let told = marked(body, PODS_ANNOTATION).unwrap_or(POD_IDENTITY);
        let wanted = match draft.mode() {
            IdentityMode::PodIdentity => POD_IDENTITY.to_owned(),
            IdentityMode::IRSA => self.resolved.platform.iam_arn(&format!("role/{role}")),
        };
        told == wanted && self.is_rolled_out()
    }

    fn is_rolled_out(&self) -> bool {
        let autoscaled = match &self.component.replicas {
            Replicas::Fixed(_) => None,
            Replicas::Autoscale(range) => Some(Autoscaled {
                least: range.min,
                rolled_out: false,
            }),
        };
        self.deployment().is_some_and(|body| {
            readiness(KubernetesKind::Deployment, body, autoscaled) == Readiness::Ready
        })
    }

    fn observed_role(&self, name: &str) -> Option<&IamRole> {
        let key = ResourceKey::aws(AwsKind::IamRole, name);
        match &self.observed.present(&key)?.resource {
            AwsResource::IamRole(role) => Some(role),
            _ => None,
        }
    }

    /// The role that the ServiceAccount names.
    fn account_role(&self) -> Option<&str> {
        self.body(
            KubernetesKind::ServiceAccount,
            &self.component.service_account,
        )?["metadata"]["annotations"][ROLE_ANNOTATION]
            .as_str()
    }
}

/// Whether the policies of a role name a resource: an ARN ends in its name, or goes on with a slash.
fn names(role: &IamRole, name: &str) -> bool {
    role.inline_policies.values().any(|policy| {
        policy
            .to_string()
            .split(['"', ':', '/'])
            .any(|part| part == name)
    })
}

/// Whether a role has a statement in its trust policy, however AWS writes it.
fn trusts(role: &IamRole, statement: &Value) -> bool {
    let wanted = canonical(statement);
    match &role.trust_policy["Statement"] {
        Value::Array(statements) => statements.iter().any(|other| canonical(other) == wanted),
        other => canonical(other) == wanted,
    }
}
