//! Keys: what values are grouped by, and their order-preserving encoding.
//!
//! A key is encoded once, when it is emitted. From then on grouping, sorting, merging, partitioning by range and hashing
//! look only at the bytes, so the bytes of two keys compare (as `memcmp` does) the way the keys do. The encodings are
//! this module's own; serde has no part in them.
//!
//! | type | bytes |
//! |---|---|
//! | `()` | none |
//! | `bool` | 1: `00` or `01` |
//! | `u8` to `u128` | 1 to 16: big-endian |
//! | `i8` to `i128` | 1 to 16: big-endian, the sign bit inverted |
//! | `usize`, `isize` | 8: as `u64` and `i64` |
//! | `char` | 4: as `u32` |
//! | `f32`, `f64` | 4, 8: big-endian; negative: every bit inverted, positive: the sign bit. The order of `total_cmp` |
//! | `[u8; N]` | N: as they are |
//! | `str`, `String`, `[u8]`, `Vec<u8>` | as they are |
//! | the same as a part of a key | each `00` becomes `00 FF`; then `00 00` ends it |
//! | [`Option`] | `00` for `None`, which comes first; `01` and the part for `Some` |
//! | [`Reverse`](std::cmp::Reverse) | the part, every bit inverted: descending |
//! | tuples of 2 to 8 parts | the parts one after another, the last one too |
//! | [`Sorted`] | both parts one after another |
//! | structs by [`impl_key!`](crate::impl_key) | the named fields as parts, in the order they are named |
//!
//! A part's encoding is never the beginning of another value's, so what follows a part has no say in its order. For the
//! types above that hold strings, that is what the escape is for; the others have a fixed length.
//!
//! What a `HashMap` is ordered by nobody can say, so it is no key:
//!
//! ```compile_fail
//! fn group_by<K: mapreduce_core::Key>() {}
//! group_by::<std::collections::HashMap<u32, u32>>();
//! ```
//!
//! Nor is a struct before [`impl_key!`](crate::impl_key) has been told which fields to compare:
//!
//! ```compile_fail
//! #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
//! struct Visit {
//!     day: u32,
//! }
//! fn group_by<K: mapreduce_core::Key>() {}
//! group_by::<Visit>();
//! ```
//!
//! A borrowed slice has no place inside a tuple, which would have to own it (a part is a `String`):
//!
//! ```compile_fail
//! fn group_by<K: mapreduce_core::Key>() {}
//! group_by::<(u32, &'static str)>();
//! ```

mod bytes;
mod float;
mod integer;
mod option;
mod reverse;
mod sorted;
mod structs;
mod tuple;

use std::borrow::Cow;

use crate::{codec::CodecError, schema::Schema};

pub use sorted::Sorted;
#[doc(hidden)]
pub use structs::{field_schema, skip_field};

/// A value to group by, whose encoding sorts as the value does.
///
/// Implemented for the types in the [module's table](self); a struct becomes a key by
/// [`impl_key!`](crate::impl_key). Keys may be unsized: a mapper that emits `str` keys hands out slices of its record.
///
/// # Contract
///
/// For all `a` and `b`: the bytes of `a` are less than those of `b` exactly if `a < b` (for floats: by `total_cmp`), and
/// decoding the bytes of `a` gives `a`. Bytes that no key encodes to are refused, so a key has one encoding only.
///
/// # Examples
///
/// ```
/// use mapreduce_core::Key;
///
/// let mut scratch = Vec::new();
/// assert_eq!("word".encoded(&mut scratch), b"word");
/// assert_eq!(258u32.encoded(&mut scratch), [0, 0, 1, 2]);
/// assert_eq!(*u32::decode(&[0, 0, 1, 2])?, 258);
/// # Ok::<(), mapreduce_core::CodecError>(())
/// ```
pub trait Key: ToOwned<Owned: Send + Sync> + Send + Sync + 'static {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The key that the whole of `bytes` encodes; borrowed from them if the type is unsized.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] or [`CodecError::Trailing`] if the bytes are not the encoding of a key of this type.
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError>;

    /// The encoding, in `scratch` (which is cleared first) unless the key is its own encoding, as strings are.
    #[inline]
    fn encoded<'a>(&'a self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.clear();
        self.encode(scratch);
        scratch
    }

    /// The part of an encoding that values are grouped by, always a beginning of it: keys that share it go to one
    /// partition and to one call of the reducer, in the order of their whole encodings. The default is all of it.
    ///
    /// Unless it is all of the encoding, the group of one key must never be the beginning of that of another: keys are in
    /// the order of their bytes, in which those of a longer group could come to lie between those of a shorter one, and
    /// cut it in two. What a [`KeyPart`] encodes to holds that; the bytes of a string without an end do not.
    ///
    /// # Errors
    ///
    /// [`CodecError`] if `encoded` does not begin with such a part.
    #[inline]
    fn group(encoded: &[u8]) -> Result<&[u8], CodecError> {
        Ok(encoded)
    }

    /// The bytes of an encoding, if every key of the type has as many, these are at most eight and the
    /// [group](Self::group) is all of them: such keys are looked up and sorted as numbers. The default, `None`, is always
    /// right.
    const WIDTH: Option<usize> = None;

    /// If there is a [`WIDTH`](Self::WIDTH), the number that the encoding is, big-endian, when zeros fill it up to eight
    /// bytes. Not called otherwise.
    ///
    /// ```
    /// use mapreduce_core::Key;
    ///
    /// assert_eq!((u16::WIDTH, 0x0102_u16.word()), (Some(2), 0x0102_0000_0000_0000));
    /// ```
    #[inline]
    fn word(&self) -> u64 {
        0
    }

    /// Adds the name of the type's encoding to `schema`.
    fn schema(schema: &mut Schema);
}

/// A key that can stand inside another one: in a tuple, an option, a struct.
///
/// # Contract
///
/// The part encodings compare as the values do, and none is the beginning of another, so that a decoder knows where a
/// part ends and what follows it cannot change the order.
///
/// # Examples
///
/// ```
/// use mapreduce_core::{Key, KeyPart};
///
/// let mut bytes = Vec::new();
/// ("a\0".to_owned(), 7u8).encode(&mut bytes);
/// assert_eq!(bytes, b"a\x00\xFF\x00\x00\x07");
///
/// let mut rest = &bytes[..];
/// assert_eq!(String::decode_part(&mut rest)?, "a\0");
/// assert_eq!(rest, [7]);
/// # Ok::<(), mapreduce_core::CodecError>(())
/// ```
pub trait KeyPart: Key + Clone {
    /// Appends the self-delimiting encoding to `out`.
    fn encode_part(&self, out: &mut Vec<u8>);

    /// Takes one encoding off the front of `bytes`; on an error `bytes` may be anywhere in it.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] if `bytes` do not begin with the part encoding of a key of this type.
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError>;

    /// Takes one encoding off the front of `bytes` without decoding it, where that is faster. Whether it is the encoding
    /// of a key need not be looked at more closely than to find its end.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] if `bytes` have no end of an encoding.
    #[inline]
    fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
        Self::decode_part(bytes).map(drop)
    }
}

/// The key whose part encoding is the whole of `bytes`: what [`Key::decode`] is for a type that encodes alike as a whole
/// and as a part.
///
/// # Errors
///
/// Those of [`KeyPart::decode_part`], and [`CodecError::Trailing`].
pub fn decode_whole<K: KeyPart>(bytes: &[u8]) -> Result<K, CodecError> {
    let mut rest = bytes;
    let key = K::decode_part(&mut rest)?;
    if rest.is_empty() {
        Ok(key)
    } else {
        Err(CodecError::trailing::<K>(bytes.len(), bytes.len() - rest.len()))
    }
}

/// Takes the first `N` bytes off the front of `bytes`, on behalf of a `K`.
#[inline]
fn take<K: ?Sized, const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CodecError> {
    match bytes.split_first_chunk() {
        Some((taken, rest)) => {
            *bytes = rest;
            Ok(*taken)
        }
        None => Err(CodecError::decode::<K>(bytes.len(), format!("it takes {N}"))),
    }
}

/// A big-endian number of `width` bytes with zeros behind it, as one of eight bytes.
#[inline]
fn fill_up(number: u128, width: usize) -> u64 {
    (number.checked_shl(8 * (16 - width as u32)).unwrap_or_default() >> 64) as u64
}

/// `Key` for a `KeyPart` that encodes alike as a whole and as a part. The second closure is there for those of fixed
/// width: it gives the encoding as an unsigned number.
macro_rules! key_as_part {
    ({$($generics:tt)*} $key:ty, |$schema:ident| $describe:expr $(, |$key_word:ident| $word:expr)?) => {
        impl<$($generics)*> $crate::key::Key for $key {
            $(
                const WIDTH: Option<usize> = match size_of::<$key>() {
                    width @ ..=8 => Some(width),
                    _ => None,
                };

                #[inline]
                fn word(&self) -> u64 {
                    let $key_word = *self;
                    $crate::key::fill_up(u128::from($word), size_of::<$key>())
                }
            )?

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                $crate::key::KeyPart::encode_part(self, out);
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<std::borrow::Cow<'_, Self>, $crate::codec::CodecError> {
                $crate::key::decode_whole(bytes).map(std::borrow::Cow::Owned)
            }

            fn schema($schema: &mut $crate::schema::Schema) {
                $describe
            }
        }
    };
}
use key_as_part;
