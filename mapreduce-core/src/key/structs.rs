//! Keys that are a user's own structs: [`impl_key!`](crate::impl_key).

use super::KeyPart;
use crate::{codec::CodecError, schema::Schema};

/// Makes a struct a [`Key`](crate::Key) and a [`KeyPart`](crate::KeyPart) by naming its fields in the order in which
/// they are compared.
///
/// Every field has to be named, is a `KeyPart` itself, and keeps its type to itself: the macro infers it. The struct has
/// to be `Clone`. A key sorts by its encoding, that is by the fields as they are listed here, whatever `Ord` the struct
/// has; list them in declaration order and derive `Ord`, and the two agree.
///
/// # Examples
///
/// ```
/// use mapreduce_core::{Key, impl_key};
///
/// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
/// struct Visit {
///     country: String,
///     day: u32,
/// }
/// impl_key!(Visit { country, day });
///
/// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
/// struct UserId(u64);
/// impl_key!(UserId(0));
///
/// let visit = Visit { country: "no".to_owned(), day: 7 };
/// let mut bytes = Vec::new();
/// visit.encode(&mut bytes);
/// assert_eq!(bytes, b"no\x00\x00\x00\x00\x00\x07");
/// assert_eq!(*Visit::decode(&bytes)?, visit);
/// # Ok::<(), mapreduce_core::CodecError>(())
/// ```
///
/// A field that is left out would be lost, and does not compile:
///
/// ```compile_fail,E0063
/// #[derive(Clone)]
/// struct Visit {
///     country: String,
///     day: u32,
/// }
/// mapreduce_core::impl_key!(Visit { country });
/// ```
///
/// Nor does a field that is no key:
///
/// ```compile_fail,E0277
/// #[derive(Clone)]
/// struct Visit {
///     country: std::collections::HashMap<u32, u32>,
/// }
/// mapreduce_core::impl_key!(Visit { country });
/// ```
#[macro_export]
macro_rules! impl_key {
    ($key:ident { $($field:ident),+ $(,)? }) => {
        $crate::impl_key!(@fields $key $($field)+);
    };
    ($key:ident ( $($field:tt),+ $(,)? )) => {
        $crate::impl_key!(@fields $key $($field)+);
    };
    (@fields $key:ident $($field:tt)+) => {
        impl $crate::key::Key for $key {
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                $crate::key::KeyPart::encode_part(self, out);
            }

            fn decode(
                bytes: &[u8],
            ) -> ::std::result::Result<::std::borrow::Cow<'_, Self>, $crate::codec::CodecError> {
                $crate::key::decode_whole(bytes).map(::std::borrow::Cow::Owned)
            }

            fn schema(schema: &mut $crate::schema::Schema) {
                schema.text(::std::stringify!($key));
                schema.text("{");
                $($crate::key::field_schema(::std::stringify!($field), |key: &$key| &key.$field, schema);)+
                schema.text("}");
            }
        }

        impl $crate::key::KeyPart for $key {
            fn encode_part(&self, out: &mut ::std::vec::Vec<u8>) {
                $($crate::key::KeyPart::encode_part(&self.$field, out);)+
            }

            fn decode_part(bytes: &mut &[u8]) -> ::std::result::Result<Self, $crate::codec::CodecError> {
                // Fields of a struct expression are evaluated in the order in which they are written.
                ::std::result::Result::Ok(Self { $($field: $crate::key::KeyPart::decode_part(bytes)?),+ })
            }

            fn skip_part(bytes: &mut &[u8]) -> ::std::result::Result<(), $crate::codec::CodecError> {
                $($crate::key::skip_field(|key: &$key| &key.$field, bytes)?;)+
                ::std::result::Result::Ok(())
            }
        }
    };
}

/// Takes a field, whose type follows from how it is got at, off the front of an encoding of `S`.
///
/// # Errors
/// Those of [`KeyPart::skip_part`].
#[doc(hidden)]
pub fn skip_field<S, F: KeyPart>(_: fn(&S) -> &F, bytes: &mut &[u8]) -> Result<(), CodecError> {
    F::skip_part(bytes)
}

/// Adds a field, whose type follows from how it is got at, to the schema of `S`.
#[doc(hidden)]
pub fn field_schema<S, F: KeyPart>(name: &str, _: fn(&S) -> &F, schema: &mut Schema) {
    schema.text(name);
    schema.text(":");
    F::schema(schema);
    schema.text(";");
}
