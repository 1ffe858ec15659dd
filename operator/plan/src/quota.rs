//! Quotas of AWS that are known before AWS refuses. See `docs/decisions/0013-quotas-and-limits.md`.

use crate::failure::{Class, Failure};

/// The code of a [`Failure`] that a known quota causes.
const CODE: &str = "QuotaExceeded";

/// A quota, as Service Quotas lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Code of the service.
    pub service: &'static str,
    /// Code of the quota.
    pub code: &'static str,
    /// Its name in the console.
    pub name: &'static str,
    /// What an account has that nobody raised it for.
    pub default: u32,
}

/// Managed node groups of one EKS cluster.
pub const NODE_GROUPS_PER_CLUSTER: Quota = Quota {
    service: "eks",
    code: "L-6D54EA21",
    name: "Managed node groups per cluster",
    default: 30,
};

/// Nodes of one managed node group.
pub const NODES_PER_NODE_GROUP: Quota = Quota {
    service: "eks",
    code: "L-BD136A63",
    name: "Nodes per managed node group",
    default: 450,
};

/// Fargate profiles of one EKS cluster.
pub const FARGATE_PROFILES_PER_CLUSTER: Quota = Quota {
    service: "eks",
    code: "L-33415657",
    name: "Fargate profiles per cluster",
    default: 10,
};

/// What the account may have in the region of a Platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// [`NODE_GROUPS_PER_CLUSTER`].
    pub node_groups_per_cluster: u32,
    /// [`NODES_PER_NODE_GROUP`].
    pub nodes_per_node_group: u32,
    /// [`FARGATE_PROFILES_PER_CLUSTER`].
    pub fargate_profiles_per_cluster: u32,
}

impl Default for Quotas {
    /// What AWS gives to every account.
    fn default() -> Self {
        Self {
            node_groups_per_cluster: NODE_GROUPS_PER_CLUSTER.default,
            nodes_per_node_group: NODES_PER_NODE_GROUP.default,
            fargate_profiles_per_cluster: FARGATE_PROFILES_PER_CLUSTER.default,
        }
    }
}

/// What a pass knows of quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUse {
    /// What is allowed; `None` where the operator could not read it, and AWS's default is assumed.
    pub allowed: Option<Quotas>,
    /// Managed node groups that the cluster has, whoever made them; `None` where they were not counted. Then nothing is
    /// concluded: AWS refuses by itself.
    pub node_groups: Option<u32>,
    /// Fargate profiles that the cluster has, in the same way.
    pub fargate_profiles: Option<u32>,
}

impl QuotaUse {
    fn allowed(&self) -> Quotas {
        self.allowed.unwrap_or_default()
    }

    /// Why there cannot be another node group beside those that there are and `planned` ones that come before it.
    #[must_use]
    pub fn refuses_node_group(&self, cluster: &str, planned: u32) -> Option<Failure> {
        let allowed = self.allowed().node_groups_per_cluster;
        self.refuses_place(
            (NODE_GROUPS_PER_CLUSTER, "managed node groups"),
            (cluster, self.node_groups?, allowed, planned),
            "run the pods on a node group that exists (nodes.type: Shared) or where there is room (nodes.type: None), delete a node \
             group that is not needed",
        )
    }

    /// Why there cannot be another Fargate profile beside those that there are and `planned` ones that come before it.
    #[must_use]
    pub fn refuses_fargate_profile(&self, cluster: &str, planned: u32) -> Option<Failure> {
        let allowed = self.allowed().fargate_profiles_per_cluster;
        self.refuses_place(
            (FARGATE_PROFILES_PER_CLUSTER, "Fargate profiles"),
            (cluster, self.fargate_profiles?, allowed, planned),
            "run the pods on nodes (another nodes.type), delete a Fargate profile that is not needed",
        )
    }

    fn refuses_place(
        &self,
        (quota, what): (Quota, &str),
        (cluster, there, allowed, planned): (&str, u32, u32, u32),
        remedy: &str,
    ) -> Option<Failure> {
        if there.saturating_add(planned) < allowed {
            return None;
        }
        let planned = match planned {
            0 => String::new(),
            planned => format!(", and {planned} more are about to be made"),
        };
        Some(self.exceeded(
            quota,
            &format!("cluster {cluster} has {there} of {allowed} {what}{planned}"),
            remedy,
        ))
    }

    /// Why a node group cannot be allowed this many nodes.
    #[must_use]
    pub fn refuses_nodes(&self, most: i32) -> Option<Failure> {
        let allowed = self.allowed().nodes_per_node_group;
        if u32::try_from(most).unwrap_or(0) <= allowed {
            return None;
        }
        Some(self.exceeded(
            NODES_PER_NODE_GROUP,
            &format!(
                "nodes.nodeGroup.max is {most}, and a managed node group may have {allowed} nodes"
            ),
            &format!("lower nodes.nodeGroup.max to {allowed} or less"),
        ))
    }

    fn exceeded(&self, quota: Quota, problem: &str, remedy: &str) -> Failure {
        let Quota {
            service,
            code,
            name,
            ..
        } = quota;
        let assumed = match self.allowed {
            Some(_) => "",
            None => {
                "; AWS's default is assumed, because the operator could not read the quota: let it call servicequotas:GetServiceQuota \
                 where the quota is higher"
            }
        };
        Failure::new(
            Class::Invalid,
            format!("{problem} (quota {code} of {service}, {name})"),
        )
        .with_code(CODE)
        .with_remedy(format!(
            "{remedy}, or request an increase of {code} in Service Quotas{assumed}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn having(node_groups: u32, allowed: Option<u32>) -> QuotaUse {
        QuotaUse {
            allowed: allowed.map(|allowed| Quotas {
                node_groups_per_cluster: allowed,
                ..Quotas::default()
            }),
            node_groups: Some(node_groups),
            fargate_profiles: Some(node_groups),
        }
    }

    #[test]
    fn the_last_free_place_is_given_once() {
        let quotas = having(29, Some(30));
        assert_eq!(quotas.refuses_node_group("octank", 0), None);
        let failure = quotas.refuses_node_group("octank", 1).unwrap();
        assert_eq!(
            failure.describe(),
            "QuotaExceeded: cluster octank has 29 of 30 managed node groups, and 1 more are about to be made (quota L-6D54EA21 of \
             eks, Managed node groups per cluster). To do: run the pods on a node group that exists (nodes.type: Shared) or where \
             there is room (nodes.type: None), delete a node group that is not needed, or request an increase of L-6D54EA21 in \
             Service Quotas"
        );
    }

    #[test]
    fn a_raised_quota_counts_and_an_unknown_one_is_told_to_be_assumed() {
        assert_eq!(having(30, Some(60)).refuses_node_group("octank", 0), None);
        let failure = having(30, None).refuses_node_group("octank", 0).unwrap();
        assert!(
            failure.remedy.contains("servicequotas:GetServiceQuota"),
            "{failure:?}"
        );
    }

    #[test]
    fn what_was_not_counted_is_left_to_aws() {
        assert_eq!(QuotaUse::default().refuses_node_group("octank", 1000), None);
    }

    #[test]
    fn fargate_profiles_have_a_quota_of_their_own() {
        assert_eq!(having(9, None).refuses_fargate_profile("octank", 0), None);
        let failure = having(10, None)
            .refuses_fargate_profile("octank", 0)
            .unwrap();
        assert!(
            failure
                .message
                .contains("10 of 10 Fargate profiles (quota L-33415657 of eks"),
            "{failure}"
        );
    }

    #[test]
    fn nodes_are_bounded_by_the_quota() {
        assert_eq!(QuotaUse::default().refuses_nodes(450), None);
        let failure = QuotaUse::default().refuses_nodes(451).unwrap();
        assert!(failure.message.contains("L-BD136A63"), "{failure}");
    }
}
