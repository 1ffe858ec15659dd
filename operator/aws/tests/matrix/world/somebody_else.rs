//! What others do to a resource: they change it, make it without its owner's tags, or have it in their own custom resource.

use shopkeeper_plan::{difference, observed::Observation, resource::ResourceKind};

use super::{Outcome, World, with};
use crate::other_values::Values;

impl<'a> World<'a> {
    /// Somebody else brings the resource to other values, outside of any plan.
    pub async fn drift(&self, values: &Values) -> Outcome {
        let account = &self.ground.somebody_else;
        let other = with(&self.desired(self.wish()), values);
        let key = self.key();
        let ResourceKind::Aws(kind) = key.kind else {
            return Err(format!("{key} is none of AWS"));
        };
        let mut last = Vec::new();
        for _ in 0..20 {
            let observation = account.observe(kind, &key.name, &self.scope()).await;
            let Observation::Present(present) = observation else {
                return Err(format!("cannot drift: {observation:?}"));
            };
            last = difference::aws(&other, &present.resource)
                .iter()
                .map(|difference| difference.field.name.to_owned())
                .collect();
            if last.is_empty() {
                return Ok(());
            }
            account
                .update(&other, &present, &last)
                .await
                .map_err(|failure| format!("cannot drift to {values:?}: {failure}"))?;
        }
        Err(format!("does not drift to {values:?}: {last:?}"))
    }

    /// Makes it, with what it rests on, as nobody's: without tags.
    pub async fn make_untagged(&self) -> Outcome {
        for wish in &self.wishes {
            for _ in 0..30 {
                match self.look(&wish.key()).await {
                    Observation::Present(present) => {
                        let fields: Vec<String> = difference::aws(wish, &present.resource)
                            .iter()
                            .map(|difference| difference.field.name.to_owned())
                            .collect();
                        if fields.is_empty() {
                            break;
                        }
                        self.account
                            .update(wish, &present, &fields)
                            .await
                            .map_err(|failure| format!("cannot be prepared: {failure}"))?;
                    }
                    Observation::Absent => {
                        self.account
                            .create(wish)
                            .await
                            .map_err(|failure| format!("cannot be made untagged: {failure}"))?;
                    }
                    Observation::Unknown(failure) => return Err(failure.to_string()),
                }
            }
        }
        Ok(())
    }

    /// Another custom resource's world with the same resources.
    pub fn taken_over_by(&self, name: &str, uid: &str) -> World<'a> {
        World::new(self.ground, &self.specimen(), name, uid)
    }
}
