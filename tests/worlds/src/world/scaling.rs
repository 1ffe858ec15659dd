//! What Application Auto Scaling does to tables, and what nobody else may do to them meanwhile.

use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, AwsSpecification as _, Capacity, DynamoDbTable, ScalableTarget},
    observed::Lifecycle,
    resource::ResourceKey,
};

use super::{SLOW, World};

impl World {
    /// The table that a target scales, or an index of which it does, where it is usable.
    pub(super) fn scaled_table(&self, target: &ScalableTarget) -> Option<DynamoDbTable> {
        let name = target.name();
        let (table, _) = ScalableTarget::table_of(&name)?;
        let thing = self
            .aws
            .get(&ResourceKey::aws(AwsKind::DynamoDbTable, table))?;
        match &thing.present.resource {
            AwsResource::DynamoDbTable(found) if self.has(AwsKind::DynamoDbTable, table) => {
                Some(found.clone())
            }
            _ => None,
        }
    }

    fn targets(&self) -> Vec<ScalableTarget> {
        self.aws
            .values()
            .filter_map(|thing| match &thing.present.resource {
                AwsResource::ScalableTarget(target) => Some(target.clone()),
                _ => None,
            })
            .collect()
    }

    /// What nobody may do to a table that is scaled: AWS would let it, and set it back or fail from then on.
    pub(super) fn check_unscaled(&self, key: &ResourceKey, wanted: &AwsResource) {
        let (AwsResource::DynamoDbTable(wanted), AwsResource::DynamoDbTable(found)) =
            (wanted, &self.aws[key].present.resource)
        else {
            return;
        };
        for target in self.targets() {
            let name = target.name();
            let Some((table, index)) = ScalableTarget::table_of(&name) else {
                continue;
            };
            // An index that goes takes its capacity with it.
            if table != key.name
                || index.is_some_and(|index| !wanted.global_indexes.contains_key(index))
            {
                continue;
            }
            let units = |table: &DynamoDbTable| {
                table
                    .throughput(index)
                    .map(|throughput| throughput.of(target.dimension.units()))
            };
            // What is not there yet, or comes back, begins with what is asked for.
            if let Some(found) = units(found) {
                assert_eq!(
                    units(wanted),
                    Some(found),
                    "{key} is changed against {name}"
                );
            }
        }
    }

    /// Autoscalers bring what they scale into their range; there is no load by which they would do more.
    pub(super) fn scale_tables(&mut self) -> bool {
        let mut moved = false;
        for target in self.targets() {
            let name = target.name();
            let Some(mut table) = self.scaled_table(&target) else {
                continue;
            };
            let (_, index) = ScalableTarget::table_of(&name).expect("it scales a table");
            let units = target.dimension.units();
            let Some(found) = table.throughput(index) else {
                continue;
            };
            let number = found
                .of(units)
                .max(target.min_capacity.into())
                .min(target.max_capacity.into());
            let key = ResourceKey::aws(AwsKind::DynamoDbTable, &table.name);
            let thing = self.thing(&key);
            if number == found.of(units)
                || target.suspended
                || thing.present.lifecycle != Lifecycle::Available
            {
                continue;
            }
            match index {
                None => table.capacity = Capacity::Provisioned(found.with(units, number)),
                Some(index) => {
                    table
                        .global_indexes
                        .get_mut(index)
                        .expect("it is there")
                        .provisioned = Some(found.with(units, number));
                }
            }
            thing.present.lifecycle = Lifecycle::Modifying;
            thing.busy = SLOW;
            thing.then = Some(table.into());
            moved = true;
        }
        moved
    }
}
