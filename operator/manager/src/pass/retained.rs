//! What custom resources leave in AWS when they go, as far as their Platform has to know: without its key all of that is lost
//! (`docs/decisions/0033-the-key-outlives-what-it-encrypts.md`).

use std::collections::BTreeMap;

use kube::{Api, ResourceExt};
use serde_json::json;
use shopkeeper_api::{Platform, platform::MOST_RETAINED};
use shopkeeper_kube::{Error, status::add_to_status, store::ObjectKey};
use shopkeeper_plan::{
    plan::Plan,
    planner::{DeletionPolicy, leaves_data},
};

use super::{Scoped, Site, Subject};

/// Field manager of `status.retained` of a Platform, which its own passes do not write.
const FIELD_MANAGER: &str = "shopkeeper-retained";

impl<K: Scoped> Subject<'_, K> {
    /// Writes into the status of the Platform that data is about to be left behind: before it is, or nobody would know.
    pub(super) async fn note_retained(&self, site: &Site<'_>, plan: &Plan) -> Result<(), Error> {
        let Some(in_use) = site.platform.as_ref().filter(|_| leaves_data(plan)) else {
            return Ok(());
        };
        let owner = self.owner.path();
        let key = ObjectKey::cluster(in_use.name.clone());
        let platform = self.world.stores.platforms.get(&key);
        let known = platform
            .as_ref()
            .and_then(|platform| platform.status.as_ref())
            .map(|status| &status.retained);
        if known.is_some_and(|known| known.contains_key(&owner) || known.len() >= MOST_RETAINED) {
            return Ok(());
        }
        let policy = word(site.policies.deletion);
        let api: Api<Platform> = Api::all(self.world.client.clone());
        let members = json!({"retained": {owner: policy}});
        match add_to_status(&api, &in_use.name, FIELD_MANAGER, &members).await {
            // A Platform that is gone deletes no key any more.
            Ok(()) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Subject<'_, Platform> {
    /// What others have left behind. Asked of the API server: the last of them may have gone before our watch told of what it left.
    pub(super) async fn retained(&self) -> Result<BTreeMap<String, String>, Error> {
        let platform = self.api().get(&self.object.name_any()).await?;
        Ok(platform
            .status
            .map(|status| status.retained)
            .unwrap_or_default())
    }
}

const fn word(policy: DeletionPolicy) -> &'static str {
    match policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Snapshot => "Snapshot",
        DeletionPolicy::Delete => "Delete",
    }
}
