//! Node groups, Fargate profiles, Pod Identity associations and the facts of a cluster, against the double.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod double;

use aws_sdk_eks::types::{ComputeConfigRequest, VpcConfigRequest};
use double::{CLUSTER, Double, Seed, change, converge, differing, look, owner_tags, remove, token};
use serde_json::json;
use shopkeeper_aws::{Account, eks::cluster_facts};
use shopkeeper_plan::{
    aws::{
        AwsKind, AwsResource, CapacityType, FargateProfile, FargateSelector, IamRole, NodeGroup,
        NodeGroupUpdate, PodIdentityAssociation, Taint, TaintEffect,
    },
    facts::PodIdentityAgent,
    failure::{Class, Failure},
    observed::Lifecycle,
    plan::DeleteMode,
};

fn role(name: &str, service: &str) -> IamRole {
    IamRole {
        name: name.into(),
        description: "For tests".into(),
        trust_policy: json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}],
        }),
        inline_policies: Default::default(),
        managed_policy_arns: Default::default(),
        tags: owner_tags(),
    }
}

async fn node_role(double: &Double, account: &Account) -> String {
    converge(double, account, role("octank-nodes", "ec2.amazonaws.com"))
        .await
        .arn
        .unwrap()
}

fn node_group(seed: &Seed, node_role_arn: String) -> NodeGroup {
    NodeGroup {
        cluster: CLUSTER.into(),
        name: "octank-shop-orders-3f9a1c".into(),
        node_role_arn,
        subnets: seed.private_subnets().into_iter().collect(),
        instance_types: vec!["m7g.large".into(), "m6g.large".into()],
        capacity_type: CapacityType::Spot,
        ami_type: "AL2023_ARM_64_STANDARD".into(),
        disk_size: Some(40),
        labels: [
            ("shopkeeper.dev/pool".to_owned(), "orders".to_owned()),
            ("tier".to_owned(), "app".to_owned()),
        ]
        .into(),
        taints: [taint("shopkeeper.dev/pool", "orders"), taint("spot", "")].into(),
        min_size: 1,
        max_size: 4,
        desired_size: None,
        update: NodeGroupUpdate::MaxUnavailablePercentage(33),
        version: Some("1.35".into()),
        release_version: None,
        force_update: false,
        tags: owner_tags(),
    }
}

fn fargate_profile(seed: &Seed, pod_execution_role_arn: String) -> FargateProfile {
    FargateProfile {
        cluster: CLUSTER.into(),
        name: "octank-shop-orders".into(),
        pod_execution_role_arn,
        subnets: seed.private_subnets().into_iter().collect(),
        selectors: [FargateSelector {
            namespace: "shop".into(),
            labels: [("shopkeeper.dev/pool".to_owned(), "orders".to_owned())].into(),
        }]
        .into(),
        tags: owner_tags(),
    }
}

fn taint(key: &str, value: &str) -> Taint {
    Taint {
        key: key.into(),
        value: value.into(),
        effect: TaintEffect::NoSchedule,
    }
}

#[tokio::test]
async fn a_node_group_follows_what_is_desired_in_every_field() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let mut desired = node_group(&seed, node_role(&double, &account).await);

    let wanted: AwsResource = desired.clone().into();
    account.create(&wanted).await.unwrap();
    let present = look(&account, AwsKind::NodeGroup, &desired.name)
        .await
        .unwrap();
    assert_eq!(present.lifecycle, Lifecycle::Creating);
    // Everything is there from the beginning: no update follows the creation.
    double.forget_calls();
    let present = converge(&double, &account, desired.clone()).await;
    assert_eq!(double.writes(), Vec::<String>::new());
    assert!(
        present
            .arn
            .unwrap()
            .contains("nodegroup/octank-prod/octank-shop-orders")
    );

    change(&double, &account, &mut desired, |group| {
        group.labels = [
            ("shopkeeper.dev/pool".to_owned(), "cart".to_owned()),
            ("team".to_owned(), "cart".to_owned()),
        ]
        .into();
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        group.taints = [
            taint("shopkeeper.dev/pool", "cart"),
            Taint {
                effect: TaintEffect::PreferNoSchedule,
                ..taint("spot", "")
            },
        ]
        .into();
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        group.update = NodeGroupUpdate::MaxUnavailable(2)
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        drop(group.tags.insert("team".into(), "orders".into()))
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        group.desired_size = Some(3)
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        group.version = Some("1.36".into());
        group.force_update = true;
    })
    .await;

    for mode in [DeleteMode::Snapshot, DeleteMode::Everything] {
        remove(&double, &account, desired.clone(), mode).await;
        converge(&double, &account, desired.clone()).await;
    }
    remove(&double, &account, desired, DeleteMode::Everything).await;
}

#[tokio::test]
async fn the_bounds_of_a_node_group_move_its_nodes_only_where_they_must() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let mut desired = NodeGroup {
        desired_size: Some(2),
        ..node_group(&seed, node_role(&double, &account).await)
    };
    converge(&double, &account, desired.clone()).await;
    desired.desired_size = None;
    let nodes = |present: shopkeeper_plan::observed::Present| match present.resource {
        AwsResource::NodeGroup(group) => group.desired_size,
        _ => None,
    };
    let present = change(&double, &account, &mut desired, |group| {
        (group.min_size, group.max_size) = (0, 6)
    })
    .await;
    assert_eq!(nodes(present), Some(2));
    let present = change(&double, &account, &mut desired, |group| {
        (group.min_size, group.max_size) = (5, 6)
    })
    .await;
    assert_eq!(nodes(present), Some(5));
    let present = change(&double, &account, &mut desired, |group| {
        (group.min_size, group.max_size) = (0, 1)
    })
    .await;
    assert_eq!(nodes(present), Some(1));
}

#[tokio::test]
async fn all_settings_of_a_node_group_go_in_one_call_and_its_version_in_another() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let mut desired = node_group(&seed, node_role(&double, &account).await);
    converge(&double, &account, desired.clone()).await;
    desired.labels.clear();
    desired.taints.clear();
    desired.max_size = 9;
    desired.update = NodeGroupUpdate::MaxUnavailable(1);
    desired.version = Some("1.36".into());
    double.forget_calls();
    converge(&double, &account, desired).await;
    assert_eq!(
        double.writes(),
        ["UpdateNodegroupConfig", "UpdateNodegroupVersion"]
    );
}

#[tokio::test]
async fn an_update_that_failed_is_told_and_not_begun_again_at_once() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let mut desired = node_group(&seed, node_role(&double, &account).await);
    converge(&double, &account, desired.clone()).await;
    desired.version = Some("1.36".into());
    double.outcome_telling(
        "eks.nodegroup.updating",
        "ACTIVE",
        &json!({
            "errorCode": "PodEvictionFailure",
            "errorMessage": "Reached max retries while trying to evict pods",
        }),
    );
    let version = ["version".to_owned()];
    let present = look(&account, AwsKind::NodeGroup, &desired.name)
        .await
        .unwrap();
    let update = async |desired: &NodeGroup| {
        account
            .update(&desired.clone().into(), &present, &version)
            .await
    };
    double.forget_calls();
    update(&desired).await.unwrap();
    double.settle();
    // EKS went back to the old version, and says no more in the group itself.
    let failure = update(&desired).await.unwrap_err();
    assert_eq!(failure.class, Class::Invalid);
    assert_eq!(failure.code.as_deref(), Some("PodEvictionFailure"));
    assert!(
        failure.message.contains("Reached max retries") && failure.remedy.contains("force"),
        "{failure:?}"
    );
    assert_eq!(double.writes(), ["UpdateNodegroupVersion"]);

    // One that goes past disruption budgets is another one.
    desired.force_update = true;
    update(&desired).await.unwrap();
    assert_eq!(double.writes(), ["UpdateNodegroupVersion"; 2]);
}

#[tokio::test]
async fn another_release_is_one_of_the_version_that_the_group_has() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let mut desired = NodeGroup {
        release_version: Some("1.35.0-20260101".into()),
        ..node_group(&seed, node_role(&double, &account).await)
    };
    converge(&double, &account, desired.clone()).await;
    // The cluster is a version ahead, and EKS would take that one if it was told none.
    let release = "1.35.0-20260201";
    let present = change(&double, &account, &mut desired, |group| {
        group.release_version = Some(release.into());
    })
    .await;
    let AwsResource::NodeGroup(found) = present.resource else {
        unreachable!()
    };
    assert_eq!(found.version.as_deref(), Some("1.35"));
    assert_eq!(found.release_version.as_deref(), Some(release));
}

#[tokio::test]
async fn drift_that_comes_back_is_repaired_again() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let desired = node_group(&seed, node_role(&double, &account).await);
    let mut drifted = desired.clone();
    drifted.labels.insert("by".into(), "hand".into());
    for _ in 0..2 {
        converge(&double, &account, drifted.clone()).await;
        converge(&double, &account, desired.clone()).await;
    }
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_not_repeated() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let desired: AwsResource = node_group(&seed, node_role(&double, &account).await).into();
    double.fault(&json!({"kind": "lost_response", "service": "eks", "operation": "CreateNodegroup", "count": 1}));
    let failure = account.create(&desired).await.unwrap_err();
    assert_eq!(failure.class, Class::Transient);
    // Once more, as a pass that did not look would do: EKS has one of a name, and the next pass sees whose it is.
    let again = account.create(&desired).await;
    is_in_use(&again.unwrap_err());
    converge(&double, &account, desired).await;
    let pods = role("orders", "pods.eks.amazonaws.com");
    let pods = converge(&double, &account, pods).await.arn.unwrap();
    let fargate = role("octank-fargate", "eks-fargate-pods.amazonaws.com");
    let fargate = converge(&double, &account, fargate).await.arn.unwrap();
    let others: [AwsResource; 2] = [
        association(pods).into(),
        fargate_profile(&seed, fargate).into(),
    ];
    for desired in others {
        account.create(&desired).await.unwrap();
        let again = account.create(&desired).await;
        is_in_use(&again.unwrap_err());
        converge(&double, &account, desired).await;
    }
}

fn is_in_use(failure: &Failure) {
    assert_eq!(failure.code.as_deref(), Some("ResourceInUseException"));
    assert_eq!(failure.class, Class::Conflict);
}

#[tokio::test]
async fn a_role_that_eks_does_not_know_is_waited_for() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let desired: AwsResource = node_group(
        &seed,
        format!("arn:aws:iam::{}:role/not-yet", double::ACCOUNT_ID),
    )
    .into();
    let failure = account.create(&desired).await.unwrap_err();
    assert_eq!(failure.class, Class::NotReady, "{failure:?}");
    let desired: AwsResource =
        association(format!("arn:aws:iam::{}:role/not-yet", double::ACCOUNT_ID)).into();
    let failure = account.create(&desired).await.unwrap_err();
    assert_eq!(failure.class, Class::NotReady, "{failure:?}");
}

fn association(role_arn: String) -> PodIdentityAssociation {
    PodIdentityAssociation {
        cluster: CLUSTER.into(),
        namespace: "shop".into(),
        service_account: "orders".into(),
        role_arn,
        tags: owner_tags(),
    }
}

#[tokio::test]
async fn an_association_follows_what_is_desired_in_every_field() {
    let (double, _seed) = Double::start_seeded();
    let account = double.account();
    let orders = converge(&double, &account, role("orders", "pods.eks.amazonaws.com"))
        .await
        .arn
        .unwrap();
    let other = converge(&double, &account, role("other", "pods.eks.amazonaws.com"))
        .await
        .arn
        .unwrap();

    let mut desired = association(orders.clone());
    let present = converge(&double, &account, desired.clone()).await;
    assert!(present.id.is_some());
    // Another service account of the same name is another association.
    let elsewhere = PodIdentityAssociation {
        namespace: "stage".into(),
        ..association(other.clone())
    };
    assert_ne!(converge(&double, &account, elsewhere).await.id, present.id);

    change(&double, &account, &mut desired, |association| {
        association.role_arn = other.clone()
    })
    .await;
    change(&double, &account, &mut desired, |association| {
        association.role_arn = orders.clone()
    })
    .await;
    change(&double, &account, &mut desired, |association| {
        association.role_arn = other.clone()
    })
    .await;
    change(&double, &account, &mut desired, |association| {
        drop(association.tags.insert("team".into(), "orders".into()))
    })
    .await;

    for mode in [DeleteMode::Snapshot, DeleteMode::Everything] {
        let present = converge(&double, &account, desired.clone()).await;
        remove(&double, &account, desired.clone(), mode).await;
        // By what was seen before: gone already is a success.
        account
            .delete(&present, mode, &token(&desired.clone().into()))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn nothing_exists_in_a_cluster_that_does_not_exist() {
    let double = Double::start();
    let account = double.account();
    assert!(look(&account, AwsKind::NodeGroup, "orders").await.is_none());
    assert!(
        look(
            &account,
            AwsKind::PodIdentityAssociation,
            "octank-prod/shop/orders"
        )
        .await
        .is_none()
    );
    assert_eq!(cluster_facts(&account, CLUSTER).await, Ok(None));
}

#[tokio::test]
async fn the_facts_of_a_cluster() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let facts = cluster_facts(&account, CLUSTER).await.unwrap().unwrap();
    assert_eq!(facts.arn, seed.text("cluster_arn"));
    assert_eq!(facts.status, "ACTIVE");
    assert_eq!(facts.version, seed.text("cluster_version"));
    assert_eq!(facts.vpc_id, seed.vpc());
    assert_eq!(
        facts.security_group_id.as_deref(),
        Some(seed.text("cluster_security_group"))
    );
    assert_eq!(facts.oidc_issuer.as_deref(), Some(seed.text("oidc_issuer")));
    assert!(facts.endpoint.starts_with("https://"));
    assert_eq!(facts.pod_identity_agent, PodIdentityAgent::AddOn);

    let eks = aws_sdk_eks::Client::new(&double.configuration());
    eks.delete_addon()
        .cluster_name(CLUSTER)
        .addon_name("eks-pod-identity-agent")
        .send()
        .await
        .unwrap();
    let agent = async |cluster: &str| {
        let facts = cluster_facts(&account, cluster).await.unwrap();
        facts.unwrap().pod_identity_agent
    };
    assert_eq!(agent(CLUSTER).await, PodIdentityAgent::Missing);

    // Its nodes have the agent built in, and no others.
    eks.create_cluster()
        .name("auto")
        .role_arn(node_role(&double, &account).await)
        .resources_vpc_config(
            VpcConfigRequest::builder()
                .set_subnet_ids(Some(seed.private_subnets()))
                .build(),
        )
        .compute_config(ComputeConfigRequest::builder().enabled(true).build())
        .send()
        .await
        .unwrap();
    double.settle();
    assert_eq!(agent("auto").await, PodIdentityAgent::AutoModeNodes);
}

#[tokio::test]
async fn a_node_group_that_could_not_be_made_can_be_deleted() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let desired: AwsResource = node_group(&seed, node_role(&double, &account).await).into();
    double.outcome("eks.nodegroup.creating", "CREATE_FAILED");
    account.create(&desired).await.unwrap();
    double.settle();
    let present = look(&account, AwsKind::NodeGroup, &desired.name())
        .await
        .unwrap();
    assert!(
        matches!(present.lifecycle, Lifecycle::Failed(_)),
        "{:?}",
        present.lifecycle
    );
    assert_eq!(differing(&desired, &present), Vec::<String>::new());
    remove(&double, &account, desired, DeleteMode::Everything).await;
}
