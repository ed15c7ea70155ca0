//! Keys of which a part only says in which order the values come: [`Sorted`].

use super::{Key, KeyPart};
use crate::{codec::CodecError, schema::Schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Groups by the first part and sorts the values of a group by the second: a secondary sort.
///
/// All keys with the same first part go to one partition and to one call of the reducer, which gets the values in the
/// order of the second part, and among equals in the order of the splits and of emission. The key it is given is the
/// first of them. A combiner folds values of which both parts are the same.
///
/// ```
/// use mapreduce_core::prelude::*;
///
/// /// The first and the last page that each user has seen.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Visits;
///
/// impl Mapper for Visits {
///     type Input = Items<(String, u64, String)>;
///     type Key = Sorted<String, u64>;
///     type Value = str;
///     fn map(
///         &self,
///         (user, time, page): &(String, u64, String),
///         out: &mut impl Emit<Self::Key, str>,
///     ) -> Result {
///         out.emit(&Sorted(user.clone(), *time), page)
///     }
/// }
///
/// #[derive(Default)]
/// struct FirstAndLast;
///
/// impl Reducer<Sorted<String, u64>, str> for FirstAndLast {
///     type Key = str;
///     type Value = (String, String);
///     fn reduce(
///         &self,
///         Sorted(user, _): &Sorted<String, u64>,
///         pages: &mut Values<'_, str>,
///         out: &mut impl Emit<str, (String, String)>,
///     ) -> Result {
///         let Some(first) = pages.next()?.map(|page| page.into_owned()) else { return Ok(()) };
///         let mut last = first.clone();
///         while let Some(page) = pages.next()? {
///             last = page.into_owned();
///         }
///         out.emit(user, &(first, last))
///     }
/// }
///
/// impl SimpleJob for Visits {
///     const NAME: &'static str = "visits";
///     type Combiner = NoCombiner;
///     type Reducer = FirstAndLast;
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sorted<K, S>(
    /// What values are grouped by.
    pub K,
    /// What the values of a group are sorted by.
    pub S,
);

impl<K: KeyPart, S: KeyPart> KeyPart for Sorted<K, S> {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        self.0.encode_part(out);
        self.1.encode_part(out);
    }

    #[inline]
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(Self(K::decode_part(bytes)?, S::decode_part(bytes)?))
    }

    fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
        K::skip_part(bytes)?;
        S::skip_part(bytes)
    }
}

impl<K: KeyPart, S: KeyPart> Key for Sorted<K, S> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_part(out);
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
        super::decode_whole(bytes).map(Cow::Owned)
    }

    #[inline]
    fn group(encoded: &[u8]) -> Result<&[u8], CodecError> {
        let mut rest = encoded;
        K::skip_part(&mut rest)?;
        Ok(&encoded[..encoded.len() - rest.len()])
    }

    fn schema(schema: &mut Schema) {
        schema.text("sorted(");
        K::schema(schema);
        schema.text(",");
        S::schema(schema);
        schema.text(")");
    }
}
