//! What is declared as hardly anybody would mean it, and stops nothing. See [`crate::blueprint::Remark`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use shopkeeper_api::status::condition;

use super::{NAMED, words::few};
use crate::blueprint::{Blueprint, Remark, Section};

/// What is added to the condition of the workload.
pub(super) fn remarked(blueprint: &Blueprint) -> String {
    let texts: Vec<String> = blueprint
        .remarks()
        .iter()
        .map(|remark| remark.text.clone())
        .collect();
    few(&texts, NAMED)
}

/// What is to be said of a custom resource that is Ready, and was not said of it while it was before. Until then whoever is named may
/// still be on the way.
pub fn new_remarks<'a>(
    before: &'a [Condition],
    blueprint: &'a Blueprint,
) -> impl Iterator<Item = &'a Remark> {
    let of = |section: &str| before.iter().find(|condition| condition.type_ == section);
    let was_ready = of(condition::READY).is_some_and(|ready| ready.status == "True");
    let said = of(Section::Workload.condition())
        .filter(|_| was_ready)
        .map(|condition| condition.message.as_str());
    // What was cut off there was told when it was written.
    blueprint
        .remarks()
        .iter()
        .take(NAMED)
        .filter(move |remark| {
            said.is_none_or(|said| !said.contains(&remark.text) && !said.ends_with('…'))
        })
}
