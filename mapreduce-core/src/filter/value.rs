//! [`ValueText`]: the text of a value between the filters, from which its encoding comes back exactly.

use crate::{
    Datum,
    codec::{self, CodecError},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{any::TypeId, fmt::Display, io::Write as _, str::FromStr};

/// Turns encoded values into text and back. Which text depends on the type:
///
/// | type | text |
/// |---|---|
/// | integers, `bool`, `char` | as Rust displays them |
/// | `f32`, `f64` | the shortest decimal number that is read as the same bits; `inf`, `-inf`; `NaN:` and its bits in hexadecimal |
/// | `str`, `String`, `[u8]`, `Vec<u8>` | as they are |
/// | `()` | nothing |
/// | any other | its encoding ([`codec`]) |
///
/// The text may hold any byte; it is escaped when it is put into a line.
#[derive(Clone, Copy)]
pub(super) struct ValueText {
    /// Appends the text of an encoded value.
    pub(super) write: fn(&[u8], &mut Vec<u8>) -> Result<(), CodecError>,
    /// Appends the encoding of the value that a text stands for.
    pub(super) read: fn(&[u8], &mut Vec<u8>) -> Result<(), CodecError>,
}

impl ValueText {
    /// That of a type.
    pub(super) fn of<V: ?Sized + Datum>() -> Self {
        let id = TypeId::of::<V>();
        macro_rules! displayed {
            ($($type:ty)*) => {
                $(if id == TypeId::of::<$type>() {
                    return Self { write: write_displayed::<$type>, read: read_parsed::<$type> };
                })*
            };
        }
        displayed!(u64 i64 u32 i32 usize isize u8 i8 u16 i16 u128 i128 bool char);
        if id == TypeId::of::<f64>() {
            Self { write: write_f64, read: read_f64 }
        } else if id == TypeId::of::<f32>() {
            Self { write: write_f32, read: read_f32 }
        } else if id == TypeId::of::<String>() {
            Self { write: write_string, read: read_string }
        } else if id == TypeId::of::<Vec<u8>>() {
            Self { write: write_bytes, read: read_bytes }
        } else {
            // The encoding of `str` and `[u8]` is the text already, and that of `()` is empty.
            Self { write: copy, read: copy }
        }
    }
}

fn copy(from: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.extend_from_slice(from);
    Ok(())
}

fn write_displayed<T: DeserializeOwned + Display>(value: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    push(out, format_args!("{}", codec::decode::<T>(value)?));
    Ok(())
}

fn read_parsed<T: FromStr<Err: Display> + Serialize>(
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    codec::encode(&parse::<T>(text)?, out)
}

fn write_string(value: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    copy(codec::decode::<String>(value)?.as_bytes(), out)
}

fn read_string(text: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    codec::encode(utf8::<String>(text)?, out)
}

fn write_bytes(value: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    copy(&codec::decode::<Vec<u8>>(value)?, out)
}

fn read_bytes(text: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    codec::encode(text, out)
}

/// What stands ahead of the bits of a float that is not a number: it may have any of many.
const NAN: &[u8] = b"NaN:";

macro_rules! float {
    ($write:ident, $read:ident, $float:ty, $bits:ty) => {
        fn $write(value: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
            let float: $float = codec::decode(value)?;
            match float.is_nan() {
                true => {
                    out.extend_from_slice(NAN);
                    push(out, format_args!("{:x}", float.to_bits()));
                }
                false => push(out, format_args!("{float:?}")),
            }
            Ok(())
        }

        fn $read(text: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
            let float = match text.strip_prefix(NAN) {
                Some(bits) => {
                    let bits = <$bits>::from_str_radix(utf8::<$float>(bits)?, 16);
                    <$float>::from_bits(bits.map_err(|error| bad::<$float>(text, error))?)
                }
                None => parse::<$float>(text)?,
            };
            codec::encode(&float, out)
        }
    };
}
float!(write_f64, read_f64, f64, u64);
float!(write_f32, read_f32, f32, u32);

fn parse<T: FromStr<Err: Display>>(text: &[u8]) -> Result<T, CodecError> {
    utf8::<T>(text)?.parse().map_err(|error| bad::<T>(text, error))
}

fn utf8<T>(text: &[u8]) -> Result<&str, CodecError> {
    str::from_utf8(text).map_err(|error| bad::<T>(text, error))
}

fn bad<T>(text: &[u8], error: impl Display) -> CodecError {
    CodecError::decode::<T>(text.len(), error.to_string())
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes whatever is written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// The text of a value, if its encoding comes back from it.
    fn text<V: ?Sized + Datum>(value: &V) -> String {
        let (mut encoded, mut text, mut back) = (Vec::new(), Vec::new(), Vec::new());
        value.encode(&mut encoded).unwrap();
        let form = ValueText::of::<V>();
        (form.write)(&encoded, &mut text).unwrap();
        (form.read)(&text, &mut back).unwrap();
        assert_eq!(back, encoded, "{text:?}");
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn values_are_readable() {
        assert_eq!(text(&42u64), "42");
        assert_eq!(text(&i128::MIN), "-170141183460469231731687303715884105728");
        assert_eq!((text(&true), text(&'ß'), text(&'\n')), ("true".into(), "ß".into(), "\n".into()));
        assert_eq!((text("a\tb"), text(&"a\tb".to_string())), ("a\tb".into(), "a\tb".into()));
        assert_eq!((text(&b"ab"[..]), text(&b"ab".to_vec())), ("ab".into(), "ab".into()));
        assert_eq!(text(&()), "");
        assert_eq!(
            (text(&0.1f64), text(&-0.0f64), text(&0.1f32)),
            ("0.1".into(), "-0.0".into(), "0.1".into())
        );
        assert_eq!((text(&f64::INFINITY), text(&f32::NEG_INFINITY)), ("inf".into(), "-inf".into()));
        assert_eq!(text(&f64::from_bits(0xfff8_0000_0000_0001)), "NaN:fff8000000000001");
    }

    proptest! {
        #[test]
        fn every_value_comes_back_to_the_bit(
            double in any::<u64>(), single in any::<u32>(), number in any::<i64>(), short in any::<u8>(),
            string in any::<String>(), bytes in vec(any::<u8>(), 0..40), char in any::<char>(),
        ) {
            text(&f64::from_bits(double));
            text(&f32::from_bits(single));
            text(&number);
            text(&short);
            text(&char);
            text(&*string);
            text(&*bytes);
            text(&(number, string.clone(), Some(f64::from_bits(double))));
            text(&string);
            text(&bytes);
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let read = |form: ValueText, text: &[u8]| (form.read)(text, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(
            read(ValueText::of::<u64>(), b"4x"),
            "cannot decode 2 bytes as u64: invalid digit found in string"
        );
        assert!(read(ValueText::of::<u8>(), b"256").contains("too large"));
        assert!(read(ValueText::of::<u64>(), b"").contains("empty"));
        assert!(read(ValueText::of::<f64>(), b"NaN:x").contains("invalid digit"));
        assert!(read(ValueText::of::<f32>(), b"one").contains("invalid float"));
        assert!(read(ValueText::of::<String>(), b"\xff").contains("utf-8"));
        assert!((ValueText::of::<u64>().write)(b"", &mut Vec::new()).is_err());
    }
}
