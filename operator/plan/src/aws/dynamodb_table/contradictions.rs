//! Keys that contradict each other, of a table that is there all the same.

use serde::{Deserialize, Serialize};

use super::{DynamoDbTable, Key, KeyAttribute, KeyType};

/// What the keys of a table are asked to be in two ways.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Contradictory {
    /// The key of the table or of a local index. DynamoDB makes them with the table and never changes them.
    Table,
    /// A global index, by name.
    GlobalIndex(String),
    /// The type of an attribute, by name.
    Attribute(String),
}

impl DynamoDbTable {
    /// Takes what contradicts itself as the table that is there has it, which can have it in one way only. What it does not have is not
    /// added to it.
    pub(super) fn settle(&mut self, contradictory: &Contradictory, observed: &Self) {
        match contradictory {
            Contradictory::Table => {
                self.key.clone_from(&observed.key);
                self.local_indexes.clone_from(&observed.local_indexes);
            }
            Contradictory::GlobalIndex(name) => match observed.global_indexes.get(name) {
                Some(found) => {
                    self.global_indexes.insert(name.clone(), found.clone());
                }
                None => self.leave_out(name),
            },
            Contradictory::Attribute(name) => match observed.type_of(name) {
                Some(found) => {
                    let keys = self.keys_mut().flat_map(parts_mut);
                    for attribute in keys.filter(|attribute| attribute.name == *name) {
                        attribute.r#type = found;
                    }
                }
                None => {
                    let users = self.global_indexes.iter();
                    let users = users.filter(|(_, index)| index.key.type_of(name).is_some());
                    let users: Vec<String> = users.map(|(index, _)| index.clone()).collect();
                    for index in users {
                        self.leave_out(&index);
                    }
                }
            },
        }
    }

    fn leave_out(&mut self, index: &str) {
        self.global_indexes.remove(index);
        self.index_warm_units.remove(index);
    }

    /// The type of a key attribute, which DynamoDB keeps once for all keys.
    fn type_of(&self, attribute: &str) -> Option<KeyType> {
        let indexes = self
            .global_indexes
            .values()
            .chain(self.local_indexes.values());
        std::iter::once(&self.key)
            .chain(indexes.map(|index| &index.key))
            .find_map(|key| key.type_of(attribute))
    }

    fn keys_mut(&mut self) -> impl Iterator<Item = &mut Key> {
        let global = self.global_indexes.values_mut();
        let indexes = global.chain(self.local_indexes.values_mut());
        std::iter::once(&mut self.key).chain(indexes.map(|index| &mut index.key))
    }
}

impl Key {
    fn type_of(&self, attribute: &str) -> Option<KeyType> {
        std::iter::once(&self.partition)
            .chain(&self.sort)
            .find(|part| part.name == attribute)
            .map(|part| part.r#type)
    }
}

fn parts_mut(key: &mut Key) -> impl Iterator<Item = &mut KeyAttribute> {
    std::iter::once(&mut key.partition).chain(&mut key.sort)
}
