//! What a plan and an observation mean, in conditions and one line for a person. Pure.

use std::collections::BTreeSet;

use shopkeeper_api::status::{condition, reason};

use crate::{
    blueprint::{Blueprint, Section},
    facts::PodIdentityAgent,
    failure::{Class, Failure},
    observed::{NO_AGENT, Observed, Present, Weight},
    plan::{Action, Blocker, Plan, Step},
    resource::ResourceKey,
};

mod approvals;
mod refusals;
mod remarks;
mod remedies;
mod resources;
mod staying;
mod words;

use refusals::{reason_of, reason_to_retry, reason_to_stall, refusal, told};
pub use remarks::new_remarks;
use remarks::remarked;
use resources::scaling_out;
pub use resources::{new_notes, note, replicas, state};
pub use staying::{Staying, staying};
pub use words::{change, describe, summary};
use words::{describe_all, few};

/// How many resources a message names before it counts.
const NAMED: usize = 3;
/// Longest message of a condition, in characters; the API server takes 32768, a terminal shows far less.
const LONGEST_MESSAGE: usize = 1024;

/// A condition without its times, which depend on what was said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionDraft {
    /// Type.
    pub r#type: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// Reason.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

/// What is said about a custom resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Conditions. `Reconciling` and `Stalled` are left out where they are not true, as kstatus wants.
    pub conditions: Vec<ConditionDraft>,
    /// The failure that decides the next try, where there is one.
    pub failure: Option<Failure>,
    /// Whether everything is as desired and works.
    pub ready: bool,
}

/// The report on a custom resource that could be resolved and planned.
#[must_use]
pub fn of_plan(plan: &Plan, blueprint: &Blueprint, observed: &Observed, deleting: bool) -> Report {
    let plan = &*remedies::explained(plan, blueprint);
    let mut conditions = Vec::new();
    if !deleting {
        for section in Section::ALL {
            conditions.extend(of_section(section, plan, blueprint, observed));
        }
    }
    let failures: Vec<(&Step, &Failure)> = plan
        .steps
        .iter()
        .filter_map(|step| Some((step, refusal(step)?)))
        .collect();
    let stalled = failures
        .iter()
        .find(|(_, failure)| failure.class.needs_a_person());
    let working: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| is_work(step, plan))
        .collect();
    let approvals = plan
        .steps
        .iter()
        .filter(|step| step.blocked_by.contains(&Blocker::Approval))
        .count();
    let drifted: Vec<&Step> = plan.drifted().collect();

    let draft = |r#type, status, reason, message: &str| ConditionDraft {
        r#type,
        status,
        reason,
        message: shorten(message),
    };
    if let Some((step, failure)) = stalled {
        let message = told(step, failure);
        let why = reason_to_stall(step, failure);
        conditions.push(draft(condition::READY, "False", why, &message));
        conditions.push(draft(condition::STALLED, "True", why, &message));
    } else if !working.is_empty() || !failures.is_empty() {
        let (why, message) = match failures.first() {
            Some((step, failure)) => (reason_to_retry(step, failure), told(step, failure)),
            None if deleting => (reason::DELETING, describe_all(&working)),
            None => (progress_reason(&working, blueprint), describe_all(&working)),
        };
        conditions.push(draft(condition::READY, "False", why, &message));
        conditions.push(draft(
            condition::RECONCILING,
            "True",
            if failures.is_empty() {
                reason::PROGRESSING
            } else {
                why
            },
            &message,
        ));
    } else if approvals > 0 {
        let message = approvals::message(plan);
        conditions.push(draft(
            condition::READY,
            "False",
            reason::APPROVAL_REQUIRED,
            &message,
        ));
        conditions.push(draft(
            condition::RECONCILING,
            "True",
            reason::APPROVAL_REQUIRED,
            &message,
        ));
    } else if deleting {
        let message =
            "nothing is left to be done; it ends once AWS has confirmed that all of it is gone";
        conditions.push(draft(condition::READY, "False", reason::DELETING, message));
        conditions.push(draft(
            condition::RECONCILING,
            "True",
            reason::PROGRESSING,
            message,
        ));
    } else if let missed = drifted
        .iter()
        .copied()
        .filter(|step| is_missed(step))
        .collect::<Vec<_>>()
        && !missed.is_empty()
    {
        // What is not there does not work, and it is not made as long as a person leaves it at that.
        let message = format!(
            "{}. To do: set policy.drift to Repair, or restore it",
            describe_all(&missed)
        );
        conditions.push(draft(condition::READY, "False", reason::DRIFTED, &message));
        conditions.push(draft(condition::STALLED, "True", reason::DRIFTED, &message));
    } else if !drifted.is_empty() {
        let mut message = describe_all(&drifted);
        if let Some(text) = not_observed(plan, |_| true) {
            message.push_str(&format!("; {text}"));
        }
        conditions.push(draft(condition::READY, "True", reason::DRIFTED, &message));
    } else if let Some(text) = not_observed(plan, |_| true) {
        let message = format!("{}; {text}", as_declared(plan));
        conditions.push(draft(
            condition::READY,
            "True",
            reason::NOT_OBSERVED,
            &message,
        ));
    } else {
        conditions.push(draft(
            condition::READY,
            "True",
            reason::SUCCEEDED,
            &as_declared(plan),
        ));
    }
    let general = [condition::READY, condition::RECONCILING, condition::STALLED];
    for text in [&plan.decisions.changed, &plan.decisions.outdated]
        .into_iter()
        .flatten()
    {
        for condition in conditions
            .iter_mut()
            .filter(|condition| general.contains(&condition.r#type))
        {
            condition.message = shorten(&format!("{}; {text}", condition.message));
        }
    }
    // Until the custom resource is gone: after that only an event tells of it.
    if deleting && let Some(text) = staying::stays(&plan.steps) {
        for condition in &mut conditions {
            condition.message = shorten(&format!("{}; {text}", condition.message));
        }
    }
    // What is missing is told of by a watch, or looked for slowly: it does not keep what was refused for a moment waiting.
    let refused = |(step, failure): &&(&Step, &Failure)| {
        let is =
            |blocker: &Blocker| matches!(blocker, Blocker::Refused(refused) if refused == *failure);
        step.blocked_by.iter().any(is)
    };
    let failure = stalled
        .or(failures.iter().find(refused))
        .or(failures.first())
        .map(|(_, failure)| (*failure).clone())
        .or_else(|| Some(plan.unseen().next()?.1.clone()));
    let missed = plan.steps.iter().any(is_missed);
    let ready = !deleting && failure.is_none() && working.is_empty() && approvals == 0 && !missed;
    Report {
        conditions,
        failure,
        ready,
    }
}

fn as_declared(plan: &Plan) -> String {
    match plan.unchanged {
        1 => "1 resource is as declared".to_owned(),
        many => format!("{many} resources are as declared"),
    }
}

/// The report on a custom resource that could not be resolved.
#[must_use]
pub fn of_failure(failure: &Failure, deleting: bool) -> Report {
    let message = shorten(&failure.describe());
    let draft = |r#type, status, reason| ConditionDraft {
        r#type,
        status,
        reason,
        message: message.clone(),
    };
    let conditions = if failure.class.needs_a_person() {
        let why = match reason_of(failure) {
            reason::NAME_TAKEN => reason::NAME_TAKEN,
            _ if failure.class == Class::Invalid => reason::INVALID_SPEC,
            why => why,
        };
        vec![
            draft(condition::READY, "False", why),
            draft(condition::STALLED, "True", why),
        ]
    } else {
        let why = match failure.class {
            _ if deleting => reason::DELETION_BLOCKED,
            _ if reason_of(failure) == reason::NAME_TAKEN => reason::NAME_TAKEN,
            Class::NotReady => reason::DEPENDENCY_NOT_READY,
            _ => reason::PROGRESSING_WITH_RETRY,
        };
        vec![
            draft(condition::READY, "False", why),
            draft(condition::RECONCILING, "True", why),
        ]
    };
    Report {
        conditions,
        failure: Some(failure.clone()),
        ready: false,
    }
}

/// The report on a custom resource whose policy suspends it.
#[must_use]
pub fn of_suspension(deleting: bool) -> Report {
    let mut message = "suspended by policy.suspend: nothing is observed or changed".to_owned();
    if deleting {
        message.push_str(", and its deletion waits until policy.suspend is taken back");
    }
    let conditions = vec![
        ConditionDraft {
            r#type: condition::READY,
            status: "Unknown",
            reason: reason::SUSPENDED,
            message,
        },
        ConditionDraft {
            // Flux and kstatus allow an unknown Ready only beside Reconciling.
            r#type: condition::RECONCILING,
            status: "True",
            reason: reason::SUSPENDED,
            message: "waits until policy.suspend is taken back".to_owned(),
        },
    ];
    Report {
        conditions,
        failure: None,
        ready: false,
    }
}

fn of_section(
    section: Section,
    plan: &Plan,
    blueprint: &Blueprint,
    observed: &Observed,
) -> Option<ConditionDraft> {
    let keys: BTreeSet<&ResourceKey> = blueprint
        .iter()
        .filter(|(_, node)| node.section == section)
        .map(|(key, _)| key)
        .collect();
    if keys.is_empty() {
        return told_alone(section, blueprint);
    }
    let steps: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| keys.contains(&step.key))
        .collect();
    let failed = steps.iter().find_map(|step| Some((step, refusal(step)?)));
    let working: Vec<&Step> = steps
        .iter()
        .copied()
        .filter(|step| is_work(step, plan))
        .collect();
    let missed: Vec<&Step> = steps
        .iter()
        .copied()
        .filter(|step| is_missed(step))
        .collect();
    let (status, why, message) = if let Some((step, failure)) = failed {
        let why = if failure.class.needs_a_person() {
            reason_to_stall(step, failure)
        } else {
            reason_to_retry(step, failure)
        };
        ("False", why, told(step, failure))
    } else if let (true, Some(first)) = (working.is_empty(), missed.first()) {
        let why = if first.blocked_by.contains(&Blocker::DriftReported) {
            reason::DRIFTED
        } else {
            reason::APPROVAL_REQUIRED
        };
        ("False", why, describe_all(&missed))
    } else if working.is_empty()
        && let Some(text) = not_observed(plan, |step| keys.contains(&step.key))
    {
        let text = format!("{text}{}", dangers(&keys, observed));
        ("True", reason::NOT_OBSERVED, text)
    } else if working.is_empty() {
        (
            "True",
            reason::SUCCEEDED,
            format!(
                "{} of {} resources are ready{}{}",
                keys.len(),
                keys.len(),
                scaling_out(&keys, observed),
                dangers(&keys, observed)
            ),
        )
    } else {
        ("False", section_reason(section), describe_all(&working))
    };
    let message = format!("{message}{}", remarked(blueprint, section));
    Some(ConditionDraft {
        r#type: section.condition(),
        status,
        reason: why,
        message: shorten(&message),
    })
}

/// The condition of a section in which nothing is made, where there is something to tell.
fn told_alone(section: Section, blueprint: &Blueprint) -> Option<ConditionDraft> {
    let told = remarked(blueprint, section);
    let message = told.strip_prefix("; ")?;
    Some(ConditionDraft {
        r#type: section.condition(),
        status: "True",
        reason: reason::SUCCEEDED,
        message: shorten(message),
    })
}

/// The report on a custom resource that was ready a moment ago, and of which AWS does not tell what has to be known first. `drift` is
/// what was told of drift before.
#[must_use]
pub fn of_silence(failure: &Failure, drift: Option<&str>) -> Report {
    let (reason, message) = match drift {
        Some(drift) => (reason::DRIFTED, drift.to_owned()),
        None => (
            reason::NOT_OBSERVED,
            format!("was as declared; AWS could not be looked at: {failure}"),
        ),
    };
    Report {
        conditions: vec![ConditionDraft {
            r#type: condition::READY,
            status: "True",
            reason,
            message: shorten(&message),
        }],
        failure: Some(failure.clone()),
        ready: false,
    }
}

/// The condition of a Platform that says whether its cluster has the Pod Identity agent. It is Ready without: a shop may use IRSA.
#[must_use]
pub fn of_pod_identity_agent(agent: PodIdentityAgent) -> ConditionDraft {
    let remedy = "add it (aws eks create-addon --addon-name eks-pod-identity-agent), or set identity.type of the workloads to IRSA";
    let (status, reason, message) = match agent {
        PodIdentityAgent::AddOn => (
            "True",
            reason::SUCCEEDED,
            "the cluster has the agent".to_owned(),
        ),
        PodIdentityAgent::AutoModeNodes => (
            "True",
            reason::SUCCEEDED,
            format!(
                "the nodes of EKS Auto Mode have the agent built in. {NO_AGENT}: for pods on node groups {remedy}"
            ),
        ),
        PodIdentityAgent::Missing => (
            "False",
            reason::AGENT_MISSING,
            format!("{NO_AGENT}: pods get no credentials through Pod Identity. To do: {remedy}"),
        ),
    };
    ConditionDraft {
        r#type: condition::POD_IDENTITY_READY,
        status,
        reason,
        message,
    }
}

/// What could not be looked at just now, and was as desired before.
fn not_observed(plan: &Plan, of: impl Fn(&Step) -> bool) -> Option<String> {
    let unseen: Vec<&Step> = plan
        .unseen()
        .map(|(step, _)| step)
        .filter(|step| of(step))
        .collect();
    (!unseen.is_empty()).then(|| describe_all(&unseen))
}

/// What may make resources stop to work that still do.
fn dangers(keys: &BTreeSet<&ResourceKey>, observed: &Observed) -> String {
    let seen = |key: &'_ ResourceKey| {
        let present = observed.present(key).into_iter();
        let lately = observed.lately.get(key).into_iter();
        present
            .flat_map(Present::notes)
            .chain(lately.flat_map(|seen| &seen.dangers))
            .filter(|note| note.weight == Weight::Danger)
            .map(|note| format!("{key}: {}", note.text))
            .collect::<Vec<_>>()
    };
    let found: Vec<String> = keys.iter().flat_map(|key| seen(key)).collect();
    few(&found, NAMED)
}

/// Whether something is under way or about to be: not what only waits for a person, and not what is left alone.
fn is_work(step: &Step, plan: &Plan) -> bool {
    let unseen = |blocker: &Blocker| matches!(blocker, Blocker::NotObserved(_));
    refusal(step).is_none()
        && step.action != Action::Retain
        && !plan.waits_for_a_person(step)
        && !step.blocked_by.iter().any(unseen)
}

/// Whether it is not there, and is not made before a person decides.
fn is_missed(step: &Step) -> bool {
    step.action == Action::Create && step.waits_for_leave()
}

fn section_reason(section: Section) -> &'static str {
    match section {
        Section::Nodes => reason::NODES_CREATING,
        Section::Data => reason::DATA_CREATING,
        Section::Workload => reason::ROLLING_OUT,
        Section::Network | Section::Edge => reason::PROGRESSING,
    }
}

/// The reason shown in the column: the data tier takes longest, then the nodes.
fn progress_reason(working: &[&Step], blueprint: &Blueprint) -> &'static str {
    let sections: BTreeSet<Section> = working
        .iter()
        .filter_map(|step| Some(blueprint.get(&step.key)?.section))
        .collect();
    [Section::Data, Section::Nodes, Section::Workload]
        .into_iter()
        .find(|section| sections.contains(section))
        .map_or(reason::PROGRESSING, section_reason)
}

fn shorten(text: &str) -> String {
    shorten_to(text, LONGEST_MESSAGE)
}

fn shorten_to(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        text.to_owned()
    } else {
        text.chars().take(longest - 1).chain(['…']).collect()
    }
}
