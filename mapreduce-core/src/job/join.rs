//! Joins: reducers over values of two inputs, [`InnerJoin`], [`LeftJoin`] and [`FullJoin`].

use super::{Emit, Reducer, Values};
use crate::{Datum, Either, Key, Result};
use serde::{Serialize, de::DeserializeOwned};

/// What can be joined: any owned value.
trait Joinable: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}
impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Joinable for T {}

/// Left values of one key that a join holds in memory by default, and the bytes that they may have.
const LEFT_MAX: usize = 1 << 20;
const LEFT_BYTES_MAX: usize = 64 << 20;

/// Why a join cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// One key has more left values than may be held in memory.
    #[error(
        "the key has more than {max} values on the left, which a join holds in memory; put this input on the right, or \
         make the join with a larger `left_max`"
    )]
    LeftTooLong {
        /// The bound.
        max: usize,
    },
    /// The left values of one key take more bytes than may be held in memory.
    #[error(
        "the values of the key on the left have more than {bytes_max} bytes, which a join holds in memory; put this input \
         on the right, or make the join with a larger `left_bytes_max`"
    )]
    LeftTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// A left value came behind a right one, and has missed it.
    #[error(
        "a left value comes behind a right one; let the mapper emit left values from the left of `Both` inputs only, \
         and right values from the right"
    )]
    LeftAfterRight,
}

macro_rules! join {
    ($(#[$docs:meta])* $join:ident<$l:ident, $r:ident> => $value:ty, $emit:expr) => {
        $(#[$docs])*
        ///
        /// The values are [`Either`]s, all left ones before all right ones, as the splits of
        /// [`Both`](crate::Both) inputs come. The left values of one key are held in memory, in each running reduce task and
        /// outside the budget of [`Memory`](crate::Memory); right values pass by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $join {
            /// The most left values that one key may have, all of which are held in memory. A key that has more fails
            /// the job. Default: 1 048 576.
            pub left_max: usize,
            /// The most bytes that the left values of one key may have, encoded: in memory they may take a few times as
            /// much. A key whose values have more fails the job. Default: 64 MiB.
            pub left_bytes_max: usize,
        }

        impl Default for $join {
            fn default() -> Self {
                Self { left_max: LEFT_MAX, left_bytes_max: LEFT_BYTES_MAX }
            }
        }

        #[allow(private_bounds, reason = "the bounds are those of every owned datum")]
        impl<K, $l, $r> Reducer<K, Either<$l, $r>> for $join
        where
            K: ?Sized + Key + Datum,
            $l: Joinable,
            $r: Joinable,
        {
            type Key = K;
            type Value = $value;

            fn reduce(
                &self,
                key: &K,
                values: &mut Values<'_, Either<$l, $r>>,
                out: &mut impl Emit<K, $value>,
            ) -> Result {
                join(self.left_max, self.left_bytes_max, values, |left, right| match $emit(left, right) {
                    Some(row) => out.emit(key, &row),
                    None => Ok(()),
                })
            }
        }
    };
}

join! {
    /// For each right value of a key, a pair with each left one. Keys that are on one side only are left out.
    InnerJoin<L, R> => (L, R), |left: Option<&L>, right: Option<&R>| Some((left?.clone(), right?.clone()))
}

join! {
    /// As [`InnerJoin`], and each left value of a key without right ones alone.
    LeftJoin<L, R> => (L, Option<R>), |left: Option<&L>, right: Option<&R>| Some((left?.clone(), right.cloned()))
}

join! {
    /// As [`LeftJoin`], and each right value of a key without left ones alone.
    FullJoin<L, R> => (Option<L>, Option<R>), |left: Option<&L>, right: Option<&R>| Some((left.cloned(), right.cloned()))
}

/// Calls `row` for each pair of a left and a right value, or for each value of a key that has values on one side only.
fn join<L: Joinable, R: Joinable>(
    left_max: usize,
    left_bytes_max: usize,
    values: &mut Values<'_, Either<L, R>>,
    mut row: impl FnMut(Option<&L>, Option<&R>) -> Result,
) -> Result {
    let mut left = Vec::new();
    let mut left_bytes: usize = 0;
    let mut alone = true;
    while let Some((value, bytes)) = values.next_with_len()? {
        match value.into_owned() {
            Either::Left(_) if !alone => return Err(JoinError::LeftAfterRight.into()),
            Either::Left(_) if left.len() == left_max => {
                return Err(JoinError::LeftTooLong { max: left_max }.into());
            }
            Either::Left(value) => {
                left_bytes = left_bytes.saturating_add(bytes);
                if left_bytes > left_bytes_max {
                    return Err(JoinError::LeftTooLarge { bytes_max: left_bytes_max }.into());
                }
                left.push(value);
            }
            Either::Right(right) => {
                alone = false;
                if left.is_empty() {
                    row(None, Some(&right))?;
                }
                left.iter().try_for_each(|left| row(Some(left), Some(&right)))?;
            }
        }
    }
    if alone { left.iter().try_for_each(|left| row(Some(left), None)) } else { Ok(()) }
}
