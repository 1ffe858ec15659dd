//! What all specimens may rest on: made once, by somebody else.

use std::collections::BTreeSet;

use shopkeeper_aws::Account;
use shopkeeper_plan::aws::{
    AccessString, AwsResource, CacheAuthentication, CacheParameterGroup, CacheSubnetGroup,
    CacheUser, IamRole, KmsKey, RdsParameterGroup, RdsSubnetGroup,
};

use crate::{
    building_blocks::{queue, trust},
    double::{Double, Seed, converge, owner_tags},
};

/// What all specimens may rest on: made once, by somebody else.
pub struct Ground {
    pub double: Double,
    pub seed: Seed,
    /// An account of another actor, for drift.
    pub somebody_else: Account,
    /// ARNs of two keys.
    pub keys: [String; 2],
    /// ARNs of two roles for pods.
    pub pod_roles: [String; 2],
    /// ARN of a role for nodes.
    pub node_role: String,
    /// ARN of a role by which Fargate runs pods.
    pub fargate_role: String,
    /// Two security groups.
    pub security_groups: [String; 2],
    /// ARNs of two queues.
    pub queues: [String; 2],
}

pub const GROUND: &str = "ground";

pub const CACHE_USERS: [&str; 3] = ["ground-default", "ground-app", "ground-more"];

impl Ground {
    pub async fn make() -> Self {
        let (double, seed) = Double::start_seeded();
        double.transition_seconds(0.0);
        let account = double.account();
        let mut keys = Vec::new();
        for alias in ["alias/ground-one", "alias/ground-two"] {
            let key = KmsKey {
                alias: Some(alias.into()),
                description: GROUND.into(),
                policy: None,
                rotation_period_days: None,
                enabled: true,
                tags: owner_tags(),
            };
            keys.push(arn(&double, &account, key).await);
        }
        let mut roles = Vec::new();
        for (name, service) in [
            ("ground-one", "pods.eks.amazonaws.com"),
            ("ground-two", "pods.eks.amazonaws.com"),
            ("ground-nodes", "ec2.amazonaws.com"),
            ("ground-fargate", "eks-fargate-pods.amazonaws.com"),
        ] {
            let role = IamRole {
                name: name.into(),
                description: GROUND.into(),
                trust_policy: trust(service),
                inline_policies: Default::default(),
                managed_policy_arns: Default::default(),
                tags: owner_tags(),
            };
            roles.push(arn(&double, &account, role).await);
        }
        let fargate_role = roles.pop().unwrap();
        let node_role = roles.pop().unwrap();
        let mut queues = Vec::new();
        for name in ["ground-one", "ground-two"] {
            queues.push(arn(&double, &account, queue(name)).await);
        }
        for user in CACHE_USERS {
            let is_default = user == CACHE_USERS[0];
            let user = CacheUser {
                id: user.into(),
                user_name: if is_default { "default" } else { user }.into(),
                access_string: if is_default {
                    AccessString::nothing()
                } else {
                    AccessString::from("on ~* &* +@all".to_owned())
                },
                authentication: if is_default {
                    CacheAuthentication::Password
                } else {
                    CacheAuthentication::Iam
                },
                password_current: None,
                tags: owner_tags(),
            };
            converge(&double, &account, user).await;
        }
        let subnets: BTreeSet<String> = seed.private_subnets().into_iter().collect();
        let cache_subnets = CacheSubnetGroup {
            name: GROUND.into(),
            description: GROUND.into(),
            subnets: subnets.clone(),
            tags: owner_tags(),
        };
        converge(&double, &account, cache_subnets).await;
        let database_subnets = RdsSubnetGroup {
            name: GROUND.into(),
            description: GROUND.into(),
            subnets,
            tags: owner_tags(),
        };
        converge(&double, &account, database_subnets).await;
        for (name, family) in [
            ("ground-redis", "redis7"),
            ("ground-one", "valkey8"),
            ("ground-two", "valkey8"),
        ] {
            let of_cache = CacheParameterGroup {
                name: name.into(),
                family: family.into(),
                description: GROUND.into(),
                parameters: Default::default(),
                tags: owner_tags(),
            };
            converge(&double, &account, of_cache).await;
        }
        for name in ["ground-one", "ground-two"] {
            let of_database = RdsParameterGroup {
                name: name.into(),
                family: "postgres16".into(),
                description: GROUND.into(),
                parameters: Default::default(),
                tags: owner_tags(),
            };
            converge(&double, &account, of_database).await;
        }
        let security_groups = [
            double.security_group(&seed, "ground-one"),
            double.security_group(&seed, "ground-two"),
        ];
        Self {
            keys: keys.try_into().unwrap(),
            pod_roles: roles.try_into().unwrap(),
            node_role,
            fargate_role,
            security_groups,
            queues: queues.try_into().unwrap(),
            somebody_else: double.account_of("matrix-somebody-else"),
            double,
            seed,
        }
    }
}

async fn arn(double: &Double, account: &Account, resource: impl Into<AwsResource>) -> String {
    converge(double, account, resource).await.arn.unwrap()
}
