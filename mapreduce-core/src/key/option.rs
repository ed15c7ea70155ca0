//! Optional keys: `None` comes before every `Some`.

use super::{KeyPart, key_as_part, take};
use crate::codec::CodecError;

impl<K: KeyPart> KeyPart for Option<K> {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(key) = self {
            key.encode_part(out);
        }
    }

    #[inline]
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        if is_some::<K>(bytes)? { K::decode_part(bytes).map(Some) } else { Ok(None) }
    }

    #[inline]
    fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
        if is_some::<K>(bytes)? { K::skip_part(bytes) } else { Ok(()) }
    }
}

/// Takes the first byte.
#[inline]
fn is_some<K: KeyPart>(bytes: &mut &[u8]) -> Result<bool, CodecError> {
    match take::<Option<K>, 1>(bytes)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [byte] => Err(CodecError::decode::<Option<K>>(
            bytes.len() + 1,
            format!("it starts with {byte}, not with 0 or 1"),
        )),
    }
}

key_as_part!({K: KeyPart} Option<K>, |schema| {
    schema.text("option(");
    K::schema(schema);
    schema.text(")");
});
