//! A deserializer that has no input: it makes up what it is asked for, and notes what that was.
//!
//! One run of `T::deserialize` sees one variant of each enum, so runs are repeated over the same tree until there is
//! nothing new to see. The idea of learning a format by watching `Deserialize` is that of the serde-reflection crate.
//!
//! A value has to be finite even if its type is not. Inside a type that is already open nothing more is noted, and values
//! are as small as they can be: no elements, no options, and the variant of an enum that is known to end.

use std::{any::type_name, collections::HashMap, fmt};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::node::{Node, Shape};

/// How deeply the parts of a type may nest.
const DEPTH_MAX: usize = 64;

/// How many places may be visited in all runs together: a bound on the time and on the size of the text.
const VISITS_MAX: usize = 200_000;

/// The structure of `T`.
pub(super) fn probe<T: DeserializeOwned>() -> Node {
    let mut root = Node::default();
    let mut probe = Probe { visits_left: VISITS_MAX, ..Probe::default() };
    loop {
        let learned = probe.learned;
        // A refusal ends this run, and what has been seen until then stays.
        let _ = T::deserialize(Place { probe: &mut probe, node: Some(&mut root) });
        if probe.learned == learned || probe.visits_left == 0 || root.settled() {
            return root;
        }
    }
}

#[derive(Default)]
struct Probe {
    /// The named types that are being visited, from the outside in.
    open: Vec<Open>,
    /// For each enum the first variant of which a whole value was made. All that such a value holds was finished before
    /// it, so taking this variant always comes to an end.
    ending: HashMap<Identity, usize>,
    /// Counts the facts learned.
    learned: usize,
    visits_left: usize,
    depth: usize,
}

/// Tells the types of one program apart: the name of the type's visitor, type arguments included.
///
/// serde's own name of a type does not, as it is the same for `Pair<u8>` and `Pair<u16>`. This name never gets into the
/// text, where it would differ between compilers.
type Identity = &'static str;

struct Open {
    identity: Identity,
    variant: Option<usize>,
}

impl Probe {
    /// Notes the shape of a place with `parts` parts when it is first seen.
    fn note(&mut self, node: &mut Node, shape: Shape, parts: usize) {
        if matches!(node.shape, Shape::Unknown) {
            node.shape = shape;
            node.parts.resize_with(parts, Node::default);
            self.learned += 1;
        }
    }

    fn is_open(&self, identity: Identity) -> bool {
        self.open.iter().any(|open| open.identity == identity)
    }

    /// A variant that keeps the value small.
    fn ending_variant(&self, identity: Identity, variants: usize) -> Option<usize> {
        let is_open = |variant: &usize| {
            self.open.iter().any(|open| open.identity == identity && open.variant == Some(*variant))
        };
        self.ending.get(identity).copied().or_else(|| (0..variants).find(|variant| !is_open(variant)))
    }
}

/// The run has to end here; why is of no interest.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// The deserializer of one place in the type. Without a node nothing is noted, and values are small.
struct Place<'p> {
    probe: &'p mut Probe,
    node: Option<&'p mut Node>,
}

impl<'p> Place<'p> {
    /// Visits what is inside this place.
    fn inside<T>(
        self,
        shape: Shape,
        parts: usize,
        visit: impl FnOnce(&mut Probe, Option<&mut [Node]>) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let Self { probe, mut node } = self;
        if probe.visits_left == 0 || probe.depth == DEPTH_MAX {
            return Err(Refused);
        }
        probe.visits_left -= 1;
        if let Some(node) = node.as_deref_mut() {
            probe.note(node, shape, parts);
        }
        probe.depth += 1;
        let result = visit(probe, node.map(|node| &mut node.parts[..]));
        probe.depth -= 1;
        result
    }

    /// Like `inside`, for a type with a name, which may be recursive.
    fn inside_named<T>(
        mut self,
        identity: Identity,
        name: &'static str,
        shape: Shape,
        parts: usize,
        visit: impl FnOnce(&mut Probe, Option<&mut [Node]>) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        if self.probe.is_open(identity)
            && let Some(node) = self.node.take()
        {
            self.probe.note(node, Shape::Recursion(name), 0);
        }
        self.inside(shape, parts, |probe, nodes| {
            probe.open.push(Open { identity, variant: None });
            let result = visit(probe, nodes);
            probe.open.pop();
            result
        })
    }

    /// Gives `visitor` as many parts as the type has.
    fn parts<'de, V: Visitor<'de>>(
        probe: &mut Probe,
        nodes: Option<&mut [Node]>,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_seq(Parts { probe, nodes, next: 0, len })
    }
}

macro_rules! scalars {
    ($($method:ident: $name:literal => $visit:ident($($value:expr)?);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.inside(Shape::Scalar($name), 0, |_, _| visitor.$visit($($value)?))
        }
    )*};
}

/// What only a self-describing format can answer.
macro_rules! unanswerable {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
            self.inside(Shape::Scalar("any"), 0, |_, _| Err(Refused))
        }
    )*};
}

impl<'de> Deserializer<'de> for Place<'_> {
    type Error = Refused;

    scalars! {
        deserialize_bool: "bool" => visit_bool(true);
        deserialize_u8: "u8" => visit_u8(1);
        deserialize_u16: "u16" => visit_u16(1);
        deserialize_u32: "u32" => visit_u32(1);
        deserialize_u64: "u64" => visit_u64(1);
        deserialize_u128: "u128" => visit_u128(1);
        deserialize_i8: "i8" => visit_i8(1);
        deserialize_i16: "i16" => visit_i16(1);
        deserialize_i32: "i32" => visit_i32(1);
        deserialize_i64: "i64" => visit_i64(1);
        deserialize_i128: "i128" => visit_i128(1);
        deserialize_f32: "f32" => visit_f32(1.0);
        deserialize_f64: "f64" => visit_f64(1.0);
        deserialize_char: "char" => visit_char('1');
        deserialize_str: "str" => visit_borrowed_str("1");
        deserialize_string: "str" => visit_string("1".to_owned());
        deserialize_bytes: "bytes" => visit_borrowed_bytes(b"");
        deserialize_byte_buf: "bytes" => visit_byte_buf(Vec::new());
        deserialize_unit: "()" => visit_unit();
    }

    unanswerable! { deserialize_any deserialize_identifier deserialize_ignored_any }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.inside(Shape::Option, 1, |probe, nodes| match nodes {
            Some(nodes) => visitor.visit_some(Place { probe, node: nodes.first_mut() }),
            None => visitor.visit_none(),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.inside(Shape::Seq, 1, |probe, nodes| {
            let len = usize::from(nodes.is_some());
            Self::parts(probe, nodes, len, visitor)
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.inside(Shape::Map, 2, |probe, nodes| {
            let len = if nodes.is_some() { 2 } else { 0 };
            visitor.visit_map(Parts { probe, nodes, next: 0, len })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.inside(Shape::Tuple, len, |probe, nodes| Self::parts(probe, nodes, len, visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.inside(Shape::Unit(name), 0, |_, _| visitor.visit_unit())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.inside_named(type_name::<V>(), name, Shape::Parts(name), 1, |probe, nodes| {
            visitor.visit_newtype_struct(Place { probe, node: nodes.and_then(<[Node]>::first_mut) })
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.inside_named(type_name::<V>(), name, Shape::Parts(name), len, |probe, nodes| {
            Self::parts(probe, nodes, len, visitor)
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let shape = Shape::Fields(name, fields);
        self.inside_named(type_name::<V>(), name, shape, fields.len(), |probe, nodes| {
            Self::parts(probe, nodes, fields.len(), visitor)
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let identity = type_name::<V>();
        let shape = Shape::Enum(name, variants);
        self.inside_named(identity, name, shape, variants.len(), |probe, mut nodes| {
            let unseen = nodes.as_ref().and_then(|nodes| nodes.iter().position(|node| !node.settled()));
            let Some(index) = unseen.or_else(|| probe.ending_variant(identity, variants.len())) else {
                return Err(Refused);
            };
            if let Some(open) = probe.open.last_mut() {
                open.variant = Some(index);
            }
            let learned = probe.learned;
            let node = nodes.as_deref_mut().and_then(|nodes| nodes.get_mut(index));
            let result = visitor.visit_enum(Choice { probe, node, index, name: variants[index] });
            match &result {
                Ok(_) => {
                    probe.ending.entry(identity).or_insert(index);
                }
                // Seen before, and refused again: go on with the next variant in the next run.
                Err(Refused) if probe.learned == learned => {
                    if let Some(node) = nodes.and_then(|nodes| nodes.get_mut(index)) {
                        node.given_up = true;
                        probe.learned += 1;
                    }
                }
                Err(Refused) => {}
            }
            result
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a struct, tuple or sequence; of a map the key and then the value.
struct Parts<'p> {
    probe: &'p mut Probe,
    nodes: Option<&'p mut [Node]>,
    next: usize,
    len: usize,
}

impl Parts<'_> {
    fn part<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        let node = self.nodes.as_deref_mut().and_then(|nodes| nodes.get_mut(self.next));
        self.next += 1;
        seed.deserialize(Place { probe: self.probe, node })
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.next < self.len { self.part(seed).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.next)
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        self.part(seed)
    }
}

/// One variant of an enum.
struct Choice<'p> {
    probe: &'p mut Probe,
    node: Option<&'p mut Node>,
    index: usize,
    name: &'static str,
}

impl<'p> Choice<'p> {
    fn place(self) -> Place<'p> {
        Place { probe: self.probe, node: self.node }
    }
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let index = u32::try_from(self.index).map_err(|_| Refused)?;
        Ok((seed.deserialize(index.into_deserializer())?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        let shape = Shape::Unit(self.name);
        self.place().inside(shape, 0, |_, _| Ok(()))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        let shape = Shape::Parts(self.name);
        self.place().inside(shape, 1, |probe, nodes| {
            seed.deserialize(Place { probe, node: nodes.and_then(<[Node]>::first_mut) })
        })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        let shape = Shape::Parts(self.name);
        self.place().inside(shape, len, |probe, nodes| Place::parts(probe, nodes, len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let shape = Shape::Fields(self.name, fields);
        self.place()
            .inside(shape, fields.len(), |probe, nodes| Place::parts(probe, nodes, fields.len(), visitor))
    }
}
