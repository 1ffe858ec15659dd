//! What is declared as nobody would mean it, and what is legal all the same. `docs/decisions/0036-what-is-told-and-not-refused.md`.

use shopkeeper_api::{Tier, network::Caller, reference::FrontendReference, workload::Workload};

use super::{Context, ServiceKey, component::Place, image};
use crate::blueprint::{Remark, Section};

pub(super) fn remarks(
    context: Context<'_>,
    place: &Place<'_>,
    tier: &Tier<'_>,
    workload: &Workload,
) -> Vec<Remark> {
    let field = format!("{}.workload", place.field);
    let main = [(format!("{field}.image"), &workload.image)];
    let init = workload.init_containers.iter().map(|container| {
        let field = format!("{field}.initContainers[{}].image", container.name);
        (field, &container.image)
    });
    let images = main
        .into_iter()
        .chain(init)
        .filter(|(_, image)| !image::is_pinned(image))
        .map(|(field, _)| Remark {
            section: Section::Workload,
            reason: "ImageNotPinned",
            text: format!(
                "{field} names neither tag nor digest, so that any start of a pod may bring another version: name one, or set \
                 spec.defaults.imageTag of Platform {}",
                context.platform.name
            ),
        });
    let callers = tier
        .callers
        .iter()
        .filter_map(|caller| absent(context, caller))
        .map(|(named, who)| Remark {
            section: Section::Workload,
            reason: "CallerNotFound",
            text: format!(
                "{}.callers[{named}] names {who}, which does not exist and is let in once it does: correct it if it is not to come",
                place.field
            ),
        });
    images.chain(callers).collect()
}

/// Who is named and does not exist: in few words for the field, and in full.
fn absent(context: Context<'_>, caller: &Caller) -> Option<(String, String)> {
    let own = &context.owner.namespace;
    let references = context.references;
    if let Some(service) = &caller.service {
        let key = ServiceKey::of(service, own);
        let is_itself = key.kind.as_str() == context.owner.kind
            && (&key.namespace, &key.name) == (own, &context.owner.name);
        let is_absent = !is_itself && !references.services.contains_key(&key);
        return is_absent.then(|| (service.name.clone(), key.to_string()));
    }
    if let Some(frontend) = &caller.frontend {
        let frontend = frontend_of(frontend, own);
        let (storefront, name) = (&frontend.storefront, &frontend.name);
        let namespace = frontend.namespace.as_ref().unwrap_or(own);
        let is_absent = references.absent.frontends.contains(&frontend);
        let who = format!("frontend {name} of Storefront {namespace}/{storefront}");
        return is_absent.then(|| (format!("{storefront}-{name}"), who));
    }
    let namespace = caller.namespace.as_ref()?;
    let is_absent = references.absent.namespaces.contains(namespace);
    is_absent.then(|| (namespace.clone(), format!("namespace {namespace}")))
}

/// The frontend that is meant in a namespace.
#[must_use]
pub fn frontend_of(frontend: &FrontendReference, namespace: &str) -> FrontendReference {
    FrontendReference {
        namespace: Some(
            frontend
                .namespace
                .clone()
                .unwrap_or_else(|| namespace.to_owned()),
        ),
        ..frontend.clone()
    }
}
