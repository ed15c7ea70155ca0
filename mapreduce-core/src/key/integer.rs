//! Keys that are integers, and what is encoded as one: big-endian, with the sign bit inverted.

use super::{KeyPart, key_as_part, take};
use crate::codec::CodecError;

macro_rules! unsigned {
    ($($int:ty),*) => {$(
        impl KeyPart for $int {
            #[inline]
            fn encode_part(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            #[inline]
            fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
                take::<Self, _>(bytes).map(<$int>::from_be_bytes)
            }
        }

        key_as_part!({} $int, |schema| schema.text(stringify!($int)), |key| key);
    )*};
}

/// Inverting the sign bit moves the negative half below the other one.
macro_rules! signed {
    ($($int:ty),*) => {$(
        impl KeyPart for $int {
            #[inline]
            fn encode_part(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(self ^ <$int>::MIN).to_be_bytes());
            }

            #[inline]
            fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
                take::<Self, _>(bytes).map(|bytes| <$int>::from_be_bytes(bytes) ^ <$int>::MIN)
            }
        }

        key_as_part!({} $int, |schema| schema.text(stringify!($int)), |key| (key ^ <$int>::MIN).cast_unsigned());
    )*};
}

/// The machine's integers are as wide as the widest machine's, so that all machines agree.
macro_rules! of_the_machine {
    ($($int:ty as $wide:ty),*) => {$(
        impl KeyPart for $int {
            #[inline]
            fn encode_part(&self, out: &mut Vec<u8>) {
                (*self as $wide).encode_part(out);
            }

            #[inline]
            fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
                let wide = <$wide>::decode_part(bytes)?;
                wide.try_into().map_err(|_| {
                    let reason = format!("{wide} is out of range on this machine; use {}", stringify!($wide));
                    CodecError::decode::<Self>(size_of::<$wide>(), reason)
                })
            }
        }

        key_as_part!({} $int, |schema| schema.text(stringify!($wide)));
    )*};
}

unsigned!(u8, u16, u32, u64, u128);
signed!(i8, i16, i32, i64, i128);
of_the_machine!(usize as u64, isize as i64);

impl KeyPart for bool {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    #[inline]
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        match take::<Self, 1>(bytes)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [byte] => Err(CodecError::decode::<Self>(1, format!("the byte is {byte}, not 0 or 1"))),
        }
    }
}

key_as_part!({} bool, |schema| schema.text("bool"), |key| u8::from(key));

impl KeyPart for char {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        u32::from(*self).encode_part(out);
    }

    #[inline]
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        let number = u32::from_be_bytes(take::<Self, _>(bytes)?);
        char::from_u32(number)
            .ok_or_else(|| CodecError::decode::<Self>(4, format!("{number:#x} is no Unicode scalar value")))
    }
}

key_as_part!({} char, |schema| schema.text("char"), |key| u32::from(key));

impl KeyPart for () {
    #[inline]
    fn encode_part(&self, _: &mut Vec<u8>) {}

    #[inline]
    fn decode_part(_: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(())
    }
}

key_as_part!({}(), |schema| schema.text("()"), |_key| 0_u8);
