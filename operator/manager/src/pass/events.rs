//! Events: what was done and what became of it, for `kubectl describe`.

use k8s_openapi::api::core::v1::ObjectReference;
use shopkeeper_api::{
    Managed,
    status::{Status, condition, reason},
};
use shopkeeper_kube::events::{Event, Severity};
use shopkeeper_plan::{
    aws::Holding,
    blueprint::Blueprint,
    failure::Failure,
    inventory,
    names::OWNER_UID_TAG,
    observed::{Observed, Weight},
    plan::{Action, DeleteMode, Operation, Plan, Step},
    planner::{DeletionPolicy, Inventory},
    report::{self, ConditionDraft, Report},
    resolve::platform::KeyNeed,
    resource::ResourceKind,
};

use super::{Subject, execute::Executed};

/// Tells of the steps on AWS resources that were taken, and of what somebody changed in the cluster and is set back. Kubernetes objects have
/// events of their own; one for each would bury the rest.
pub(super) async fn publish<K: Managed>(
    subject: &Subject<'_, K>,
    plan: &Plan,
    executed: &Executed,
    before: &Status,
    policy: DeletionPolicy,
) {
    let accepted: Vec<&Step> = executed
        .accepted
        .iter()
        .filter_map(|position| plan.steps.get(*position))
        .filter(|step| matches!(step.key.kind, ResourceKind::Aws(_)))
        .collect();
    for step in accepted.iter().filter(|step| step.action != Action::Retain) {
        if step.action == Action::Create && step.key.holds(Holding::Data) && was_there(step, before)
        {
            let note = format!(
                "{}: creating it anew, and empty. What was there before is in its last snapshot or backup, if policy.deletion left one",
                step.key
            );
            send(subject, Severity::Warning, "MadeAnew", note).await;
        } else if step.action == Action::Create && step.is_repair {
            send(subject, Severity::Warning, GONE, report::describe(step)).await;
        } else {
            let (reason, note) = words(step);
            send(subject, Severity::Normal, reason, note).await;
        }
    }
    let repaired = executed
        .accepted
        .iter()
        .filter_map(|position| plan.steps.get(*position))
        .filter(|step| matches!(step.key.kind, ResourceKind::Kubernetes(_)))
        .filter(|step| step.action == Action::Update && step.is_repair);
    for step in repaired {
        let note = format!("{}: {}", step.key, report::change(step));
        send(subject, Severity::Normal, "Repaired", note).await;
    }
    // It is known for the last time. At the end of the custom resource all that stays is told at once.
    if subject.object.meta().deletion_timestamp.is_none() {
        stays(subject, accepted, policy).await;
    }
}

/// Reason of the event about something that somebody deleted.
const GONE: &str = "Gone";

/// Tells what became of what was approved where the plan changed, and of an approval that approves nothing, when it is seen first.
pub(super) async fn approvals<K: Managed>(subject: &Subject<'_, K>, before: &Status, plan: &Plan) {
    let told = before.plan.as_ref().and_then(|plan| plan.changed.as_ref());
    let changed = plan.decisions.changed.as_ref();
    if let Some(text) = changed.filter(|text| told != Some(text)) {
        send(subject, Severity::Warning, "PlanChanged", text.clone()).await;
    }
    let is_told = |text: &str| {
        let mut conditions = before.conditions.iter();
        conditions.any(|condition| condition.message.contains(text))
    };
    let outdated = plan.decisions.outdated.as_ref();
    if let Some(text) = outdated.filter(|text| !is_told(text)) {
        send(subject, Severity::Warning, "ApprovalOutdated", text.clone()).await;
    }
}

/// Tells what somebody deleted and is not made anew before a person decides, when it is seen first.
pub(super) async fn missed<K: Managed>(subject: &Subject<'_, K>, before: &Status, plan: &Plan) {
    for step in inventory::new_losses(&before.inventory, plan) {
        let note = format!("{}: {}", step.key, report::change(step));
        send(subject, Severity::Warning, GONE, note).await;
    }
}

fn words(step: &Step) -> (&'static str, String) {
    let usually = if step.minutes > 0 {
        format!(", usually {} min", step.minutes)
    } else {
        String::new()
    };
    match (&step.operation, step.action) {
        (Operation::DrainNodes, _) => (
            "Draining",
            format!("{}: its pods move to other nodes", step.key),
        ),
        (Operation::UncordonNodes, _) => (
            "Uncordoned",
            format!("{}: its nodes, which were to go, take pods again", step.key),
        ),
        (_, Action::Create) => ("Creating", format!("{}: creating{usually}", step.key)),
        (_, Action::Update) => {
            let changes: Vec<String> = step
                .changes
                .iter()
                .map(|change| format!("{} {} -> {}", change.field, change.from, change.to))
                .collect();
            (
                "Updating",
                format!("{}: {}{usually}", step.key, changes.join(", ")),
            )
        }
        // AWS gave up on it.
        (_, Action::Replace) if !step.changes.is_empty() => (
            "Replacing",
            format!(
                "{}: deleting it, to be made again: {}",
                step.key, step.changes[0].from
            ),
        ),
        (_, Action::Replace) => (
            "Replacing",
            format!("{}: deleting what was replaced{usually}", step.key),
        ),
        (Operation::AwsDelete { mode }, Action::Delete)
            if *mode == DeleteMode::Snapshot && step.key.holds(Holding::Data) =>
        {
            // What tells this deletion from others is added where it is asked for: the log has the name in full.
            let last = format!(
                "with a last snapshot or backup, {}-final-...",
                step.key.name
            );
            (
                "Deleting",
                format!("{}: deleting{usually}, {last}", step.key),
            )
        }
        (_, Action::Delete) => ("Deleting", format!("{}: deleting{usually}", step.key)),
        (_, Action::Adopt) => ("Adopted", format!("{}: adopted", step.key)),
        (_, Action::Retain | Action::Wait) => ("Retained", format!("{}: kept", step.key)),
    }
}

/// Whether a resource was seen in the last pass, on its way out.
fn was_there(step: &Step, before: &Status) -> bool {
    before.inventory.iter().any(|item| {
        item.kind == step.key.kind.id() && item.name == step.key.name && item.state.is_some()
    })
}

/// Tells what stays in AWS although the custom resource goes: as the policy asks, or because it is not ours any more.
pub(super) async fn retained<K: Managed>(
    subject: &Subject<'_, K>,
    plan: &Plan,
    policy: DeletionPolicy,
) {
    stays(subject, &plan.steps, policy).await;
}

/// Tells that the key of a Platform stays although the policy asks to delete it, and why.
pub(super) async fn key_kept<K: Managed>(subject: &Subject<'_, K>, need: &KeyNeed) {
    let note = format!(
        "the KMS key is kept although policy.deletion is Delete, since {}. To do: delete the key in KMS once nothing needs it",
        need.describe()
    );
    let regarding: ObjectReference = subject.object.object_ref(&());
    let event = event(Severity::Warning, "Retained", note);
    let recorder = &subject.world.recorder;
    recorder.publish_in_any_case(&regarding, &event).await;
}

/// Tells what was found by its tags and is wanted by nobody. What is declared is nothing that anybody would miss.
pub(super) async fn found<K: Managed>(
    subject: &Subject<'_, K>,
    found: &Inventory,
    draft: &Blueprint,
) {
    for key in found.keys().filter(|key| draft.get(key).is_none()) {
        tracing::warn!(resource = %key, "found by its tags, and in no inventory");
        let note = format!(
            "{key} carries the tags of this custom resource and was not in its inventory: it is taken back, and goes by policy.deletion \
             as what is not declared any more"
        );
        send(subject, Severity::Warning, "Found", note).await;
    }
}

/// Tells that AWS does not let us search for what may have been left.
pub(super) async fn not_searched<K: Managed>(subject: &Subject<'_, K>, failure: &Failure) {
    let note = format!(
        "what carries the tags of this custom resource could not be searched for: {failure}. To do: look for the tag \
         {OWNER_UID_TAG}={} in AWS",
        subject.owner.uid
    );
    send(subject, Severity::Warning, "NotSearched", note).await;
}

async fn stays<'a, K: Managed>(
    subject: &Subject<'_, K>,
    steps: impl IntoIterator<Item = &'a Step>,
    policy: DeletionPolicy,
) {
    let regarding: ObjectReference = subject.object.object_ref(&());
    for staying in report::staying(steps, policy) {
        let (severity, reason) = if staying.is_left_behind {
            (Severity::Warning, "LeftBehind")
        } else {
            (Severity::Normal, "Retained")
        };
        // Events of a namespace go with it.
        tracing::info!(note = %staying.note, "stays in AWS");
        let event = event(severity, reason, staying.note);
        let recorder = &subject.world.recorder;
        recorder.publish_in_any_case(&regarding, &event).await;
    }
}

/// Tells what AWS notes of resources that are not being changed, when it appears.
pub(super) async fn noted<K: Managed>(
    subject: &Subject<'_, K>,
    before: &Status,
    inventory: &Inventory,
    observed: &Observed,
) {
    for (key, note) in report::new_notes(&before.inventory, observed) {
        if !inventory.contains_key(key) {
            continue;
        }
        let (severity, reason) = match note.weight {
            Weight::Information => (Severity::Normal, "Noted"),
            Weight::Danger | Weight::Outage { .. } => (Severity::Warning, "Endangered"),
        };
        send(subject, severity, reason, format!("{key}: {}", note.text)).await;
    }
}

/// Tells what is declared as hardly anybody would mean it, when it is seen first.
pub(super) async fn remarked<K: Managed>(
    subject: &Subject<'_, K>,
    before: &Status,
    blueprint: &Blueprint,
) {
    for remark in report::new_remarks(&before.conditions, blueprint) {
        send(
            subject,
            Severity::Warning,
            remark.reason,
            remark.text.clone(),
        )
        .await;
    }
}

/// Tells what somebody changed and `policy.drift` asks to leave so, when it is seen first.
pub(super) async fn drifted<K: Managed>(subject: &Subject<'_, K>, before: &Status, plan: &Plan) {
    for step in
        inventory::new_drift(&before.inventory, plan).filter(|step| step.action != Action::Create)
    {
        let note = format!("{}: {}", step.key, report::change(step));
        send(subject, Severity::Warning, "Drifted", note).await;
    }
}

/// Tells that the cluster lacks the Pod Identity agent, or has it again.
pub(super) async fn agent<K: Managed>(
    subject: &Subject<'_, K>,
    before: &Status,
    agent: &ConditionDraft,
) {
    let known = before
        .conditions
        .iter()
        .find(|condition| condition.type_ == agent.r#type)
        .map(|condition| condition.status.as_str());
    let severity = match (known, agent.status) {
        (Some(known), now) if known == now => return,
        (None, "True") => return,
        (_, "True") => Severity::Normal,
        _ => Severity::Warning,
    };
    send(subject, severity, agent.reason, agent.message.clone()).await;
}

/// Tells that it became ready, or stopped being so and needs a person.
pub(super) async fn readiness<K: Managed>(subject: &Subject<'_, K>, report: &Report) {
    if let Some(stalled) = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == condition::STALLED)
    {
        send(
            subject,
            Severity::Warning,
            stalled.reason,
            stalled.message.clone(),
        )
        .await;
        return;
    }
    let ready = |condition: &&ConditionDraft| condition.r#type == condition::READY;
    let ready = report.conditions.iter().find(ready);
    if let Some(waiting) = ready.filter(|ready| ready.reason == reason::APPROVAL_REQUIRED) {
        send(
            subject,
            Severity::Warning,
            waiting.reason,
            waiting.message.clone(),
        )
        .await;
    } else if report.ready {
        let message = ready.map(|ready| ready.message.clone());
        send(
            subject,
            Severity::Normal,
            "Ready",
            message.unwrap_or_default(),
        )
        .await;
    }
}

/// Tells that the API server does not take the status: it stays as it was.
pub(super) async fn status_refused<K: Managed>(subject: &Subject<'_, K>, why: &str) {
    let note = format!("its status is not written, and stays as it was: {why}");
    send(subject, Severity::Warning, "StatusRefused", note).await;
}

async fn send<K: Managed>(
    subject: &Subject<'_, K>,
    severity: Severity,
    reason: &str,
    note: String,
) {
    let regarding: ObjectReference = subject.object.object_ref(&());
    let event = event(severity, reason, note);
    subject.world.recorder.publish(&regarding, &event).await;
}

fn event(severity: Severity, reason: &str, note: String) -> Event {
    Event {
        severity,
        reason: reason.to_owned(),
        action: "Reconcile".to_owned(),
        note,
    }
}
