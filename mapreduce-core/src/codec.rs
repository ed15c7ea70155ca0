//! The codec: how a serde value becomes bytes and comes back, and the only place that knows bincode.
//!
//! The format is bincode 2 with little-endian variable-length integers: a `u64` below 251 takes one byte. It is not
//! self-describing, so serde attributes that need to look ahead (`flatten`, `untagged`, `skip_serializing_if`) do not
//! survive it.
//!
//! Bytes may come from a damaged file or from a hostile peer, so [`decode`] holds whatever the type is:
//!
//! * the input has to be used up: a left-over byte is an error;
//! * a length prefix reserves no more than the input could fill, however large the number it claims;
//! * sequence elements that take no bytes are counted, because no input would ever run out under them;
//! * nesting is bounded, because a recursive type turns each byte of input into a stack frame.

mod guard;

use std::{any::type_name, borrow::Cow, cell::Cell};

use bincode::{
    config::{Configuration, standard},
    enc::write::Writer,
    error::{DecodeError, EncodeError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use guard::{Guard, Limits};

/// The longest encoding of one value, in bytes (1 GiB): larger ones are refused on both ends.
pub const ENCODED_BYTES_MAX: usize = 1 << 30;

/// How many sequence elements a value may have beyond one for each byte of its encoding.
///
/// Only elements that encode to nothing, such as those of a `Vec<()>`, can need it.
pub const EMPTY_ELEMENTS_MAX: usize = 1 << 16;

/// How deeply the parts of a value may nest: sequences, maps, options, structs, tuples and enums each count one.
pub const DEPTH_MAX: usize = 256;

/// What can go wrong between a value and its bytes.
///
/// Every variant names the Rust type, as [`std::any::type_name`] spells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CodecError {
    /// The value cannot be put into bytes: its `Serialize` failed or asked for what the format does not have.
    #[error("cannot encode a value of type {type_name}: {reason}")]
    Encode {
        /// The type of the value.
        type_name: Cow<'static, str>,
        /// What was wrong.
        reason: Cow<'static, str>,
    },
    /// The bytes are not a value of the type.
    #[error("cannot decode {len} bytes as {type_name}: {reason}")]
    Decode {
        /// The type that was asked for.
        type_name: Cow<'static, str>,
        /// How many bytes there were.
        len: u64,
        /// What was wrong.
        reason: Cow<'static, str>,
    },
    /// A value was found, and more bytes after it: the two sides mean different types.
    #[error(
        "cannot decode {len} bytes as {type_name}: it takes only the first {used}; was it written as another type?"
    )]
    Trailing {
        /// The type that was asked for.
        type_name: Cow<'static, str>,
        /// How many bytes there were.
        len: u64,
        /// How many of them the value takes.
        used: u64,
    },
    /// The encoding is longer than [`ENCODED_BYTES_MAX`].
    #[error(
        "a value of type {type_name} takes {len} bytes, more than the {max} one value may have; split it up"
    )]
    TooLarge {
        /// The type of the value.
        type_name: Cow<'static, str>,
        /// The length of the encoding in bytes.
        len: u64,
        /// The longest that is allowed, in bytes.
        max: u64,
    },
    /// The value has no text form: JSON cannot hold it.
    #[error("cannot write a value of type {type_name} as text: {reason}")]
    Text {
        /// The type of the value.
        type_name: Cow<'static, str>,
        /// What was wrong.
        reason: Cow<'static, str>,
    },
}

impl CodecError {
    /// `len` bytes are not a `T`, because of `reason`.
    ///
    /// For hand-written [`Key`](crate::key::Key) implementations.
    pub fn decode<T: ?Sized>(len: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Decode { type_name: type_name::<T>().into(), len: len as u64, reason: reason.into() }
    }

    /// A `T` ends after `used` of `len` bytes.
    ///
    /// For hand-written [`Key`](crate::key::Key) implementations.
    pub fn trailing<T: ?Sized>(len: usize, used: usize) -> Self {
        Self::Trailing { type_name: type_name::<T>().into(), len: len as u64, used: used as u64 }
    }

    fn encode<T: ?Sized>(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Encode { type_name: type_name::<T>().into(), reason: reason.into() }
    }

    pub(crate) fn text<T: ?Sized>(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Text { type_name: type_name::<T>().into(), reason: reason.into() }
    }

    fn too_large<T: ?Sized>(len: usize) -> Self {
        Self::TooLarge { type_name: type_name::<T>().into(), len: len as u64, max: ENCODED_BYTES_MAX as u64 }
    }
}

/// Appends the encoding of `value` to `out`; on an error `out` is as it was.
///
/// # Errors
///
/// [`CodecError::Encode`] if the value's `Serialize` fails or does not tell the length of a sequence ahead, and
/// [`CodecError::TooLarge`].
///
/// # Examples
///
/// ```
/// use mapreduce_core::codec::{decode, encode};
///
/// let mut bytes = Vec::new();
/// encode(&(7u64, "seven"), &mut bytes)?;
/// assert_eq!(bytes, b"\x07\x05seven");
/// assert_eq!(decode::<(u64, String)>(&bytes)?, (7, "seven".to_owned()));
/// # Ok::<(), mapreduce_core::CodecError>(())
/// ```
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = out.len();
    let result = bincode::serde::encode_into_writer(value, Append(out), CONFIG);
    let len = out.len() - start;
    if result.is_ok() && len <= ENCODED_BYTES_MAX {
        return Ok(());
    }
    out.truncate(start);
    Err(match result {
        Err(error) => encode_error::<T>(&error),
        Ok(()) => CodecError::too_large::<T>(len),
    })
}

/// Makes `out` the encoding of the first items as one sequence, of as many as take `bytes` bytes together, and at least
/// one. Gives how many these are. It is [`decode`]d as a `Vec`.
///
/// # Errors
///
/// As for [`encode`]ing one of the items.
pub(crate) fn encode_some<T: Serialize>(
    items: &[T],
    bytes: usize,
    out: &mut Vec<u8>,
) -> Result<usize, CodecError> {
    out.clear();
    let mut count = 0;
    // Items may take no bytes at all.
    for item in items.iter().take(EMPTY_ELEMENTS_MAX) {
        encode(item, out)?;
        count += 1;
        if out.len() >= bytes {
            break;
        }
    }
    // A sequence is its length and then its elements.
    let mut length = Vec::new();
    encode(&(count as u64), &mut length)?;
    out.splice(0..0, length);
    Ok(count)
}

/// The value that the whole of `bytes` encodes.
///
/// Memory and time are bounded by the length of `bytes`, see the [module](self).
///
/// # Errors
///
/// [`CodecError::Decode`] if the bytes are not a `T`, nest deeper than [`DEPTH_MAX`] or hold more than
/// [`EMPTY_ELEMENTS_MAX`] empty elements; [`CodecError::Trailing`] if bytes are left over; [`CodecError::TooLarge`].
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > ENCODED_BYTES_MAX {
        return Err(CodecError::too_large::<T>(bytes.len()));
    }
    let limits = Limits {
        input_len: bytes.len(),
        elements: Cell::new(bytes.len() + EMPTY_ELEMENTS_MAX),
        depth: Cell::new(DEPTH_MAX),
    };
    match bincode::serde::seed_decode_from_slice(Guard::seed(&limits), bytes, CONFIG) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => Err(CodecError::trailing::<T>(bytes.len(), used)),
        Err(error) => Err(decode_error::<T>(bytes.len(), &error)),
    }
}

/// Without bincode's own limit, which is a constant and counts a `u64` of one byte as eight: the input is a slice, so
/// its length is the limit, and what does not use it up is counted by [`guard`].
const CONFIG: Configuration = standard();

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// bincode prints its errors in `Debug` form; the ones that a user can cause get words of their own.
#[cold]
fn encode_error<T: ?Sized>(error: &EncodeError) -> CodecError {
    use bincode::serde::EncodeError as Serde;
    CodecError::encode::<T>(match error {
        EncodeError::OtherString(reason) => Cow::Owned(reason.clone()),
        EncodeError::Serde(Serde::SequenceMustHaveLength) => Cow::Borrowed(
            "a sequence or map does not tell its length ahead; `#[serde(flatten)]` is one cause",
        ),
        other => Cow::Owned(other.to_string()),
    })
}

#[cold]
fn decode_error<T: ?Sized>(len: usize, error: &DecodeError) -> CodecError {
    use bincode::serde::DecodeError as Serde;
    let reason = match error {
        DecodeError::UnexpectedEnd { .. } => Cow::Borrowed("the bytes end in the middle of the value"),
        DecodeError::Utf8 { .. } => Cow::Borrowed("a string is not UTF-8"),
        DecodeError::InvalidCharEncoding(_) => Cow::Borrowed("a char is not UTF-8"),
        DecodeError::InvalidBooleanValue(byte) => Cow::Owned(format!("a bool is {byte}, not 0 or 1")),
        DecodeError::UnexpectedVariant { found, .. } => {
            Cow::Owned(format!("an option starts with {found}, not with 0 or 1"))
        }
        DecodeError::OtherString(reason) => Cow::Owned(reason.clone()),
        DecodeError::Serde(
            Serde::AnyNotSupported | Serde::IdentifierNotSupported | Serde::IgnoredAnyNotSupported,
        ) => Cow::Borrowed(
            "the type looks ahead in its input, which this format does not allow; do without `#[serde(flatten)]`, \
             `#[serde(untagged)]`, `#[serde(tag)]` and `serde_json::Value`",
        ),
        other => Cow::Owned(other.to_string()),
    };
    CodecError::decode::<T>(len, reason)
}
