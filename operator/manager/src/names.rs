//! Names that custom resources of this process have taken.
//!
//! Whose a name is follows from the objects that there are and from the age of those that ask (see [`shopkeeper_plan::claims`]).
//! The caches show neither an object that is about to be made nor a custom resource that was made a moment ago. Between two looks
//! at them two passes could both find a name free: so one decides after the other, and what was decided holds.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use shopkeeper_plan::{
    claims::{self, Claim, Name},
    failure::Failure,
};

/// Names by the uid of the custom resource that has taken them.
#[derive(Debug, Default)]
pub struct Names {
    taken: Mutex<Taken>,
}

/// What is taken.
#[derive(Debug, Default)]
pub struct Taken(HashMap<String, BTreeSet<Name>>);

impl Taken {
    /// Whether a custom resource has taken a name.
    pub fn is_by(&self, uid: &str, name: &Name) -> bool {
        self.0.get(uid).is_some_and(|names| names.contains(name))
    }

    /// What a custom resource has taken.
    pub fn of(&self, uid: &str) -> impl Iterator<Item = &Name> {
        self.0.get(uid).into_iter().flatten()
    }
}

impl Names {
    /// Takes the names that a custom resource asks for, if `decide` lets it; nobody else decides meanwhile.
    pub fn take(
        &self,
        uid: &str,
        asked: &[Claim],
        decide: impl FnOnce(&Taken) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        decide(&taken)?;
        taken.0.insert(uid.to_owned(), claims::names(asked));
        Ok(())
    }

    /// Looks at what is taken; nobody decides meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&Taken) -> T) -> T {
        look(&self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets a custom resource that is gone.
    pub fn forget(&self, uid: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.0.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shopkeeper_api::OrderService;
    use shopkeeper_plan::{failure::Class, resolve::Resolve};

    use super::*;

    fn claims() -> Vec<Claim> {
        let service: OrderService = serde_json::from_value(json!({
            "apiVersion": "shopkeeper.dev/v1alpha1",
            "kind": "OrderService",
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": {"workload": {"image": "registry.example/orders:1"}},
        }))
        .unwrap();
        service.claims()
    }

    #[test]
    fn what_was_taken_is_seen_before_anything_of_it_is_there() {
        let names = Names::default();
        let claims = claims();
        let is_free = |taken: &Taken| match taken.is_by("first", &claims[0].name) {
            false => Ok(()),
            true => Err(Failure::new(Class::Invalid, "taken")),
        };
        assert_eq!(names.take("first", &claims, is_free), Ok(()));
        assert!(names.take("second", &claims, is_free).is_err());
        // Who was refused has taken nothing.
        let second = |taken: &Taken| {
            assert!(!taken.is_by("second", &claims[0].name));
            Ok(())
        };
        assert_eq!(names.take("third", &claims, second), Ok(()));
        names.forget("first");
        assert_eq!(names.take("second", &claims, is_free), Ok(()));
    }
}
