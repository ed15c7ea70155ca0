//! Descending keys: the complement of the encoding sorts the other way round.

use std::cmp::Reverse;

use super::{KeyPart, key_as_part};
use crate::codec::CodecError;

/// The part encoding is inverted even if the key is the whole: inverting turns the order round only where no encoding is
/// the beginning of another.
impl<K: KeyPart> KeyPart for Reverse<K> {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.0.encode_part(out);
        invert(&mut out[start..]);
    }

    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        // Where the part ends is known only once it is decoded, so everything up to the end is inverted.
        let mut inverted = bytes.to_vec();
        invert(&mut inverted);
        let mut rest = &inverted[..];
        let key = K::decode_part(&mut rest)?;
        *bytes = &bytes[bytes.len() - rest.len()..];
        Ok(Self(key))
    }
}

key_as_part!({K: KeyPart} Reverse<K>, |schema| {
    schema.text("reverse(");
    K::schema(schema);
    schema.text(")");
});

#[inline]
fn invert(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}
