//! Keys that are floats, in the order of `total_cmp`: -NaN, -inf, .., -0.0, 0.0, .., inf, NaN.
//!
//! Every bit pattern is a key of its own and comes back as it was. So -0.0 and 0.0 are two groups; a job that does not
//! want that adds `0.0` to its keys first, which turns the one into the other.

use super::{KeyPart, key_as_part, take};
use crate::codec::CodecError;

/// IEEE 754 numbers of one sign compare as their bits do, and the negative ones the other way round.
macro_rules! float {
    ($($float:ty, $bits:ty);*) => {$(
        impl KeyPart for $float {
            #[inline]
            fn encode_part(&self, out: &mut Vec<u8>) {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let bits = self.to_bits();
                let ordered = if bits & SIGN == 0 { bits ^ SIGN } else { !bits };
                out.extend_from_slice(&ordered.to_be_bytes());
            }

            #[inline]
            fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let ordered = <$bits>::from_be_bytes(take::<Self, _>(bytes)?);
                let bits = if ordered & SIGN == 0 { !ordered } else { ordered ^ SIGN };
                Ok(<$float>::from_bits(bits))
            }
        }

        key_as_part!({} $float, |schema| schema.text(stringify!($float)));
    )*};
}

float!(f32, u32; f64, u64);
