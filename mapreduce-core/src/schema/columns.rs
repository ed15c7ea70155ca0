//! [`Column`]: the columns that values of a type take in a table.

use super::{
    node::{Node, Shape},
    probe,
};
use serde::de::DeserializeOwned;

/// A column of a table, known from a type alone.
///
/// A struct has a column for each of its fields, a tuple one for each of its parts, and anything else is one column. `()`
/// has none. What lies deeper is not looked into: it stands [nested](ColumnKind::Nested) in its column.
///
/// ```
/// use mapreduce_core::schema::{Column, ColumnKind};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Visit {
///     country: String,
///     day: Option<u32>,
///     stops: Vec<String>,
/// }
///
/// let columns = Column::all_of::<Visit>();
/// let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
/// assert_eq!(names, ["country", "day", "stops"]);
/// assert_eq!(columns[1].kind, ColumnKind::Integer { bytes: 4, signed: false });
/// assert!(columns[1].optional);
/// assert_eq!(columns[2].kind, ColumnKind::Nested);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// The name of the field, or the number of the part counted from 0; empty if the value is neither struct nor tuple.
    pub name: String,
    /// What stands in it.
    pub kind: ColumnKind,
    /// Whether it may be empty: an `Option`.
    pub optional: bool,
}

/// What stands in a [`Column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnKind {
    /// True or false.
    Bool,
    /// An integer of so many bytes.
    Integer {
        /// 1, 2, 4, 8 or 16.
        bytes: u8,
        /// Whether it has a sign.
        signed: bool,
    },
    /// A float of so many bytes.
    Float {
        /// 4 or 8.
        bytes: u8,
    },
    /// A string, a char, or the name of a variant of an enum whose variants hold nothing.
    Text,
    /// A string of bytes.
    Bytes,
    /// A sequence of bytes that the type hands out one by one: a `Vec<u8>` in a struct.
    ByteSequence,
    /// Anything else.
    Nested,
}

impl Column {
    /// The columns of `T`, taken from what its `Deserialize` asks for.
    pub fn all_of<T: DeserializeOwned>() -> Vec<Self> {
        let root = probe::probe::<T>();
        let node = without_newtypes(&root);
        match node.shape {
            Shape::Unit(_) | Shape::Scalar("()") => Vec::new(),
            Shape::Fields(_, names) => named(names.iter().map(ToString::to_string), node),
            Shape::Tuple | Shape::Parts(_) => named((0..).map(|part: usize| part.to_string()), node),
            _ => vec![Self::of(String::new(), node)],
        }
    }

    /// The one column of a value that is no struct or tuple.
    pub(crate) fn single(kind: ColumnKind) -> Vec<Self> {
        vec![Self { name: String::new(), kind, optional: false }]
    }

    fn of(name: String, node: &Node) -> Self {
        let node = without_newtypes(node);
        match node.shape {
            Shape::Option => Self { name, kind: kind(without_newtypes(&node.parts[0])), optional: true },
            _ => Self { name, kind: kind(node), optional: false },
        }
    }
}

fn named(names: impl Iterator<Item = String>, node: &Node) -> Vec<Column> {
    names.zip(&node.parts).map(|(name, part)| Column::of(name, part)).collect()
}

/// A newtype is written as what is in it.
fn without_newtypes(mut node: &Node) -> &Node {
    while let (Shape::Parts(_), [part]) = (&node.shape, node.parts.as_slice()) {
        node = part;
    }
    node
}

fn kind(node: &Node) -> ColumnKind {
    let integer = |bytes, signed| ColumnKind::Integer { bytes, signed };
    match node.shape {
        Shape::Scalar(name) => match name {
            "bool" => ColumnKind::Bool,
            "u8" => integer(1, false),
            "u16" => integer(2, false),
            "u32" => integer(4, false),
            "u64" => integer(8, false),
            "u128" => integer(16, false),
            "i8" => integer(1, true),
            "i16" => integer(2, true),
            "i32" => integer(4, true),
            "i64" => integer(8, true),
            "i128" => integer(16, true),
            "f32" => ColumnKind::Float { bytes: 4 },
            "f64" => ColumnKind::Float { bytes: 8 },
            "str" | "char" => ColumnKind::Text,
            "bytes" => ColumnKind::Bytes,
            _ => ColumnKind::Nested,
        },
        Shape::Enum(..) if node.parts.iter().all(|variant| matches!(variant.shape, Shape::Unit(_))) => {
            ColumnKind::Text
        }
        Shape::Seq if matches!(node.parts[0].shape, Shape::Scalar("u8")) => ColumnKind::ByteSequence,
        _ => ColumnKind::Nested,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Id(u64);

    #[derive(Serialize, Deserialize)]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Serialize, Deserialize)]
    enum Figure {
        Point,
        Circle(f64),
    }

    #[derive(Serialize, Deserialize)]
    struct Nothing;

    fn described<T: DeserializeOwned>() -> Vec<(String, ColumnKind, bool)> {
        Column::all_of::<T>().into_iter().map(|column| (column.name, column.kind, column.optional)).collect()
    }

    #[test]
    fn what_is_no_struct_is_one_column() {
        let one = |kind, optional| vec![(String::new(), kind, optional)];
        assert_eq!(described::<u16>(), one(ColumnKind::Integer { bytes: 2, signed: false }, false));
        assert_eq!(described::<Id>(), one(ColumnKind::Integer { bytes: 8, signed: false }, false));
        assert_eq!(described::<Option<Id>>(), one(ColumnKind::Integer { bytes: 8, signed: false }, true));
        assert_eq!(described::<Colour>(), one(ColumnKind::Text, false));
        assert_eq!(described::<Figure>(), one(ColumnKind::Nested, false));
        assert_eq!(described::<Option<Option<u8>>>(), one(ColumnKind::Nested, true));
        assert_eq!(described::<Vec<u8>>(), one(ColumnKind::ByteSequence, false));
        assert_eq!(described::<Vec<f32>>(), one(ColumnKind::Nested, false));
    }

    #[test]
    fn nothing_has_no_columns() {
        assert_eq!(described::<()>(), []);
        assert_eq!(described::<Nothing>(), []);
    }

    #[test]
    fn parts_of_tuples_are_numbered() {
        let (text, float) = (ColumnKind::Text, ColumnKind::Float { bytes: 4 });
        let expected = [("0".to_string(), text, false), ("1".to_string(), float, true)];
        assert_eq!(described::<(char, Option<f32>)>(), expected);
    }
}
