//! Scalable target of Application Auto Scaling, with its target tracking policy.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsResource, AwsSpecification, Capacity, Field, Tags, Units, tagged};

/// What of a resource is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScalableDimension {
    /// `dynamodb:table:ReadCapacityUnits`
    TableReads,
    /// `dynamodb:table:WriteCapacityUnits`
    TableWrites,
    /// `dynamodb:index:ReadCapacityUnits`
    IndexReads,
    /// `dynamodb:index:WriteCapacityUnits`
    IndexWrites,
}

impl ScalableDimension {
    const ALL: [Self; 4] = [
        Self::TableReads,
        Self::TableWrites,
        Self::IndexReads,
        Self::IndexWrites,
    ];

    /// AWS's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TableReads => "dynamodb:table:ReadCapacityUnits",
            Self::TableWrites => "dynamodb:table:WriteCapacityUnits",
            Self::IndexReads => "dynamodb:index:ReadCapacityUnits",
            Self::IndexWrites => "dynamodb:index:WriteCapacityUnits",
        }
    }

    /// From AWS's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|dimension| dimension.as_str() == text)
    }

    /// The units that it is.
    #[must_use]
    pub const fn units(self) -> Units {
        match self {
            Self::TableReads | Self::IndexReads => Units::Read,
            Self::TableWrites | Self::IndexWrites => Units::Write,
        }
    }

    /// The metric that its policy tracks, as AWS names it: what is consumed, in percent of what is provisioned.
    #[must_use]
    pub const fn metric(self) -> &'static str {
        match self.units() {
            Units::Read => "DynamoDBReadCapacityUtilization",
            Units::Write => "DynamoDBWriteCapacityUtilization",
        }
    }
}

/// A number that AWS scales within a range, and the policy by which it does. AWS tells a target by resource and dimension, and
/// gives it an ARN and tags; its policy has neither tags nor a life of its own, and goes with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalableTarget {
    /// Id of the resource that is scaled: `table/orders`, `table/orders/index/by-state`.
    pub resource_id: String,
    /// What of it is scaled.
    pub dimension: ScalableDimension,
    /// Fewest units.
    pub min_capacity: i32,
    /// Most units.
    pub max_capacity: i32,
    /// Whether policies are kept from scaling, in or out. A target that is suspended looks as if it scaled, and does not.
    pub suspended: bool,
    /// What the policy aims at, in percent of what is provisioned; `None` where there is no policy.
    pub target_utilization: Option<f64>,
    /// Seconds from the end of one scale-in to the next.
    pub scale_in_cooldown_seconds: i32,
    /// Seconds from one scale-out to the next.
    pub scale_out_cooldown_seconds: i32,
    /// Whether the policy only scales out.
    pub scale_in_disabled: bool,
    /// Tags.
    pub tags: Tags,
}

impl ScalableTarget {
    /// Id of a table, or of one of its global indexes, as Application Auto Scaling knows it.
    #[must_use]
    pub fn resource_of(table: &str, index: Option<&str>) -> String {
        index.map_or_else(
            || format!("table/{table}"),
            |index| format!("table/{table}/index/{index}"),
        )
    }

    /// The target's resource and dimension from its name.
    #[must_use]
    pub fn parse_name(name: &str) -> Option<(&str, ScalableDimension)> {
        let (resource_id, dimension) = name.split_once('|')?;
        Some((resource_id, ScalableDimension::parse(dimension)?))
    }

    /// The table that a target of this name scales, and the index of it.
    #[must_use]
    pub fn table_of(name: &str) -> Option<(&str, Option<&str>)> {
        let (resource_id, _) = Self::parse_name(name)?;
        let table = resource_id.strip_prefix("table/")?;
        Some(match table.split_once("/index/") {
            Some((table, index)) => (table, Some(index)),
            None => (table, None),
        })
    }
}

impl AwsSpecification for ScalableTarget {
    const KIND: AwsKind = AwsKind::ScalableTarget;
    const FIELDS: &'static [Field] = &[
        Field::harmless("minCapacity"),
        Field::harmless("maxCapacity"),
        Field::harmless("suspended"),
        Field::harmless("targetUtilization"),
        Field::harmless("scaleInCooldownSeconds"),
        Field::harmless("scaleOutCooldownSeconds"),
        Field::harmless("scaleInDisabled"),
    ];

    /// `resource|dimension`: what AWS tells targets apart by, whereas their ARN is chosen by AWS.
    fn name(&self) -> String {
        format!("{}|{}", self.resource_id, self.dimension.as_str())
    }
    tagged!();

    /// AWS refuses a target for what is not there, or is not of provisioned capacity.
    fn can_rest_on(&self, other: &AwsResource) -> bool {
        match other {
            AwsResource::DynamoDbTable(table) => {
                let name = self.name();
                let index = Self::table_of(&name).and_then(|(_, index)| index);
                matches!(table.capacity, Capacity::Provisioned(_))
                    && index.is_none_or(|index| table.global_indexes.contains_key(index))
            }
            _ => true,
        }
    }
}

impl Units {
    /// The dimension of these units of a table, or of one of its indexes.
    #[must_use]
    pub const fn dimension(self, of_index: bool) -> ScalableDimension {
        match (self, of_index) {
            (Self::Read, false) => ScalableDimension::TableReads,
            (Self::Write, false) => ScalableDimension::TableWrites,
            (Self::Read, true) => ScalableDimension::IndexReads,
            (Self::Write, true) => ScalableDimension::IndexWrites,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_which_table_and_index_is_scaled() {
        let name = "table/shop.orders|dynamodb:table:ReadCapacityUnits";
        assert_eq!(ScalableTarget::table_of(name), Some(("shop.orders", None)));
        let name = "table/orders/index/by-state|dynamodb:index:WriteCapacityUnits";
        assert_eq!(
            ScalableTarget::table_of(name),
            Some(("orders", Some("by-state")))
        );
        assert_eq!(
            ScalableTarget::parse_name(name),
            Some((
                "table/orders/index/by-state",
                ScalableDimension::IndexWrites
            ))
        );
        assert_eq!(
            ScalableTarget::parse_name("table/orders|rds:cluster:x"),
            None
        );
    }
}
