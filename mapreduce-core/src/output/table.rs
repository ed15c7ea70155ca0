//! [`Table`]: the columns of a job's output.

use crate::{Datum, schema::Column};
use std::collections::BTreeSet;

/// The columns of pairs: those of the key, then those of the value.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) key: Vec<Column>,
    pub(super) value: Vec<Column>,
    /// A name for each of them, no two the same.
    pub(super) names: Vec<String>,
}

impl Table {
    pub(super) fn of<K: ?Sized + Datum, V: ?Sized + Datum>() -> Self {
        let (key, value) = (K::columns(), V::columns());
        let name = |qualified| {
            let key = key.iter().map(move |column| shown("key", column, qualified));
            let value = value.iter().map(move |column| shown("value", column, qualified));
            key.chain(value).collect::<Vec<String>>()
        };
        let mut names = name(false);
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            names = name(true);
        }
        Self { key, value, names }
    }
}

/// The name of a column: that of the field, or what it is a part of.
fn shown(side: &str, Column { name, .. }: &Column, qualified: bool) -> String {
    match name.as_str() {
        "" => side.to_string(),
        name if qualified || name.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("{side}_{name}")
        }
        name => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize)]
    struct Visit {
        country: String,
        day: u32,
    }

    #[derive(Clone, Serialize, Deserialize)]
    struct Stay {
        key: String,
        day: u32,
    }

    fn names<K: ?Sized + Datum, V: ?Sized + Datum>() -> String {
        Table::of::<K, V>().names.join(" ")
    }

    #[test]
    fn columns_are_named_after_fields_and_otherwise_after_key_and_value() {
        assert_eq!(names::<str, u64>(), "key value");
        assert_eq!(names::<Visit, [u8]>(), "country day value");
        assert_eq!(names::<(u8, String), (f64, f64)>(), "key_0 key_1 value_0 value_1");
        assert_eq!(names::<str, ()>(), "key");
        assert_eq!(names::<(), ()>(), "");
    }

    #[test]
    fn names_that_would_stand_twice_say_whose_they_are() {
        assert_eq!(names::<Visit, Stay>(), "key_country key_day value_key value_day");
        assert_eq!(names::<str, Stay>(), "key value_key value_day");
    }
}
