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

    fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
        let skip = |inverted: &mut [u8]| {
            invert(inverted);
            let mut rest = &*inverted;
            K::skip_part(&mut rest).map(|()| inverted.len() - rest.len())
        };
        // Most parts are short. One that is cut off has no end, so an end that is found is that of the part.
        let mut front = [0; FRONT_BYTES];
        let front = &mut front[..bytes.len().min(FRONT_BYTES)];
        front.copy_from_slice(&bytes[..front.len()]);
        let taken = match skip(front) {
            Err(_) if bytes.len() > FRONT_BYTES => skip(&mut bytes.to_vec())?,
            taken => taken?,
        };
        *bytes = &bytes[taken..];
        Ok(())
    }
}

/// Bytes that are inverted without a copy on the heap.
const FRONT_BYTES: usize = 64;

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
