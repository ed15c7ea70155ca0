//! Part files of text: key, tab, value.

use crate::{Datum, codec::CodecError};

/// Appends the line of a pair. What is `()` is left out, and the tab with it.
#[inline]
pub(crate) fn append_line<K, V>(out: &mut Vec<u8>, key: &K, value: &V) -> Result<(), CodecError>
where
    K: ?Sized + Datum,
    V: ?Sized + Datum,
{
    if !K::is_unit() {
        key.write_text(out)?;
        if !V::is_unit() {
            out.push(b'\t');
        }
    }
    if !V::is_unit() {
        value.write_text(out)?;
    }
    out.push(b'\n');
    Ok(())
}
