//! Keys of several parts: tuples, compared from left to right.

use super::{KeyPart, key_as_part};
use crate::codec::CodecError;

macro_rules! tuple {
    ($first:ident $($part:ident)+) => {
        impl<$first: KeyPart, $($part: KeyPart),+> KeyPart for ($first, $($part),+) {
            #[inline]
            #[allow(non_snake_case)]
            fn encode_part(&self, out: &mut Vec<u8>) {
                let ($first, $($part),+) = self;
                $first.encode_part(out);
                $($part.encode_part(out);)+
            }

            #[inline]
            fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
                Ok(($first::decode_part(bytes)?, $($part::decode_part(bytes)?),+))
            }

            #[inline]
            fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
                $first::skip_part(bytes)?;
                $($part::skip_part(bytes)?;)+
                Ok(())
            }
        }

        key_as_part!({$first: KeyPart, $($part: KeyPart),+} ($first, $($part),+), |schema| {
            schema.text("(");
            $first::schema(schema);
            $(
                schema.text(",");
                $part::schema(schema);
            )+
            schema.text(")");
        });
    };
}

tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
