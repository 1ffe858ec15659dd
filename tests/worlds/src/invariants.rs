//! What holds for every plan, whatever the world looks like.

use std::collections::BTreeMap;

use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Holding, ScalableTarget},
    blueprint::{Blueprint, Wanted},
    kubernetes::DESIRED_ANNOTATION,
    names::OWNER_UID_TAG,
    observed::{Lifecycle, Observation, Present},
    plan::{DeleteMode, Operation, Plan, Step},
    planner::{self, DeletionPolicy, Input},
    resource::{ResourceKey, ResourceKind},
};

/// A secret that must not be seen anywhere.
pub const CANARY: &str = "canary:p@ss/w0rd";

/// Makes a plan and holds it against everything that every plan has to keep.
pub fn plan(input: &Input<'_>) -> Plan {
    let plan = planner::plan(input);
    let mut free = BTreeMap::new();
    for step in plan.free_steps() {
        assert!(
            free.insert(&step.key, step).is_none(),
            "two free steps for {}",
            step.key
        );
        check_step(step, input);
    }
    plan
}

/// What takes too long to be asked of every pass: that a plan depends on its input alone, and shows no secret.
pub fn scrutinise(plan: &Plan, input: &Input<'_>) {
    assert_eq!(
        *plan,
        planner::plan(input),
        "the same input gives the same plan"
    );
    let rebuilt = rebuilt(input.blueprint);
    assert_eq!(
        *plan,
        planner::plan(&Input {
            blueprint: &rebuilt,
            ..input.clone()
        }),
        "the order in which resources were added does not matter"
    );
    let shown = format!("{plan:?}{}{input:?}", serde_json::to_string(plan).unwrap());
    assert!(
        !shown.contains(CANARY) && !shown.contains("canary"),
        "a secret shows"
    );
}

/// The same blueprint, put together the other way round.
fn rebuilt(blueprint: &Blueprint) -> Blueprint {
    let mut other = Blueprint::default();
    for secret in blueprint.secrets() {
        other.read_secret(secret);
    }
    for (key, node) in blueprint.iter().collect::<Vec<_>>().into_iter().rev() {
        let depends_on: Vec<ResourceKey> = node.depends_on.iter().rev().cloned().collect();
        match node.wanted.clone() {
            Wanted::Aws(resource) => {
                drop(other.aws(node.section, node.role.clone(), *resource, &depends_on))
            }
            Wanted::Kubernetes(mut object) => {
                // It is put on when the object is added.
                let metadata = object.body["metadata"].as_object_mut().unwrap();
                let annotations = metadata["annotations"].as_object_mut().unwrap();
                annotations
                    .remove(DESIRED_ANNOTATION)
                    .expect("it is stamped");
                if annotations.is_empty() {
                    metadata.remove("annotations");
                }
                drop(other.kubernetes(node.section, node.role.clone(), *object, &depends_on));
            }
            Wanted::Held(failure) => {
                drop(other.held(node.section, node.role.clone(), key.clone(), failure))
            }
            Wanted::Pending(missing) => drop(other.pending(
                node.section,
                node.role.clone(),
                key.clone(),
                missing,
                &depends_on,
            )),
        }
        other.wait_for(key, node.awaits.clone());
    }
    other
}

/// Whether an AWS resource carries our tag; a subscription, whether its topic is seen to.
pub fn is_ours(present: &Present, input: &Input<'_>) -> bool {
    let tagged = |present: &Present| present.tags().get(OWNER_UID_TAG) == Some(&input.owner.uid);
    match &present.resource {
        AwsResource::SnsSubscription(subscription) => {
            let topic = input
                .observed
                .aws
                .values()
                .find_map(|observation| match observation {
                    Observation::Present(topic) => match &topic.resource {
                        AwsResource::SnsTopic(found) => {
                            (found.arn == subscription.topic_arn).then_some(topic)
                        }
                        _ => None,
                    },
                    _ => None,
                });
            topic.is_some_and(|topic| tagged(topic))
        }
        _ => tagged(present),
    }
}

fn check_step(step: &Step, input: &Input<'_>) {
    let key = &step.key;
    match key.kind {
        ResourceKind::Aws(kind) => match (&step.operation, input.observed.aws.get(key)) {
            (Operation::AwsCreate { .. }, Some(Observation::Absent)) => {
                check_dependencies(step, input)
            }
            (Operation::AwsUpdate { fields, .. }, Some(Observation::Present(present))) => {
                assert!(is_ours(present, input), "{key} is not ours and is changed");
                assert_eq!(
                    present.lifecycle,
                    Lifecycle::Available,
                    "AWS refuses to change {key} now"
                );
                assert!(!fields.is_empty(), "nothing is changed of {key}");
                check_dependencies(step, input);
            }
            (Operation::AwsAdopt { .. }, Some(Observation::Present(present))) => {
                assert!(!is_ours(present, input), "{key} is ours already");
                assert!(
                    input.policies.adoption != planner::AdoptionPolicy::Never,
                    "{key} is adopted"
                );
                assert_ne!(
                    present.lifecycle,
                    Lifecycle::Deleting,
                    "{key} is on its way out"
                );
            }
            (Operation::AwsDelete { mode }, Some(Observation::Present(present))) => {
                assert!(is_ours(present, input), "{key} is not ours and is deleted");
                assert!(
                    may_delete(kind, present, *mode, input),
                    "{key} is deleted with {mode:?} under {:?}",
                    input.policies.deletion
                );
            }
            (Operation::Forget, Some(Observation::Present(present))) => {
                assert!(
                    is_ours(present, input),
                    "{key} is not ours and is handed back"
                );
                assert_ne!(kind.holding(), Holding::Nothing, "{key} is left behind");
            }
            (Operation::LeaveBehind(failure), Some(Observation::Present(present))) => {
                assert!(
                    !is_ours(present, input)
                        || matches!(kind.holding(), Holding::Support | Holding::Key)
                        || kind == AwsKind::SqsQueue,
                    "{key} is ours and left behind"
                );
                assert!(
                    input.inventory.contains_key(key) || is_ours(present, input),
                    "{key} was never ours"
                );
                assert!(!failure.remedy.is_empty(), "{key} is left without a word");
            }
            (Operation::DrainNodes, Some(Observation::Present(present))) => {
                assert!(is_ours(present, input), "{key} is not ours and is drained")
            }
            (Operation::UncordonNodes, Some(Observation::Present(present))) => {
                assert!(
                    is_ours(present, input),
                    "{key} is not ours and is uncordoned"
                );
                assert!(
                    input.blueprint.get(key).is_some(),
                    "{key} is to go and is uncordoned"
                );
            }
            (operation, observation) => panic!("{operation:?} of {key}, which is {observation:?}"),
        },
        ResourceKind::Kubernetes(_) => {
            match (&step.operation, input.observed.kubernetes.get(key)) {
                (Operation::KubernetesApply { .. }, None) => check_dependencies(step, input),
                (Operation::KubernetesApply { .. }, Some(object)) => {
                    assert!(object.ours, "{key} is not ours and is changed");
                    assert!(
                        !object.is_terminating(),
                        "{key} is on its way out and is changed"
                    );
                    check_dependencies(step, input);
                }
                (Operation::KubernetesDelete, Some(object)) => {
                    assert!(object.ours, "{key} is not ours and is deleted");
                    assert!(!object.is_terminating(), "{key} is deleted again");
                }
                (operation, object) => panic!("{operation:?} of {key}, which is {object:?}"),
            }
        }
    }
}

fn check_dependencies(step: &Step, input: &Input<'_>) {
    let node = input
        .blueprint
        .get(&step.key)
        .expect("only what is wanted is made or changed");
    for other in &node.depends_on {
        assert!(
            planner::is_usable(other, input),
            "{} does not wait for {other}",
            step.key
        );
    }
}

/// The deletion policy, written down a second time: what each kind may lose under each of them.
fn may_delete(kind: AwsKind, present: &Present, mode: DeleteMode, input: &Input<'_>) -> bool {
    let holds_nothing = matches!(
        kind,
        AwsKind::IamRole | AwsKind::NodeGroup | AwsKind::PodIdentityAssociation
    );
    // An autoscaler that is not wanted would fight over what is.
    let scales_what_stays =
        ScalableTarget::table_of(&present.resource.name()).is_some_and(|(table, _)| {
            let table = ResourceKey::aws(AwsKind::DynamoDbTable, table);
            !input.deleting && input.blueprint.get(&table).is_some()
        });
    match input.policies.deletion {
        DeletionPolicy::Retain => holds_nothing || scales_what_stays,
        DeletionPolicy::Snapshot => match kind {
            AwsKind::KmsKey => false,
            AwsKind::S3Bucket | AwsKind::SqsQueue => present.empty == Some(true),
            AwsKind::RdsInstance | AwsKind::DynamoDbTable | AwsKind::CacheReplicationGroup => {
                mode == DeleteMode::Snapshot
            }
            _ => true,
        },
        DeletionPolicy::Delete => true,
    }
}
