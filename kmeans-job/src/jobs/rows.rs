//! The rows that all jobs read: [`CentredRows`] as records, [`CentredSlice`] as input.
//!
//! The distances that K-means compares are found by a formula that wants rows near the origin, so a fit moves its rows
//! there once, in memory; or it scales them to unit length. A node that is sent rows gets them as they are then. A node that
//! reads a file itself finds the rows as they were, and prepares each block as it reads it, in the same way: the same bits.

use crate::{
    data::StoredRows,
    numeric::{scalar::Scalar, unit::scale_to_unit},
};
use mapreduce_core::{
    Block, Error, Input, ReadError, Records, RowBlock, RowFiles, RowSlice, Rows, Schema, SplitInfo,
    input::{Blocks, SharedFiles},
    rayon::prelude::*,
};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Records that are rows of a fixed number of `T`, prepared: less a shift, the same row taken off each, or scaled to unit
/// length.
pub struct CentredRows<T>(PhantomData<fn() -> T>);

/// What is known of all rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct RowShape<T: Scalar> {
    /// Numbers per row.
    pub width: u64,
    /// What is to be done to each row of the bytes.
    pub preparation: Preparation<T>,
}

/// What makes rows as they came those that are computed with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub enum Preparation<T: Scalar> {
    /// Nothing: they are those.
    #[default]
    Done,
    /// This is to be subtracted from each.
    Shift(Block<T>),
    /// The first so many columns of each are to be scaled to unit length, as [`scale_to_unit`] does; zeros stay.
    Unit(u64),
}

/// Where rows are decoded to.
pub struct RowBuffer<T> {
    /// The rows as they lie in the bytes, if those are not aligned.
    aligned: Vec<T>,
    prepared: Vec<T>,
}

impl<T> Default for RowBuffer<T> {
    fn default() -> Self {
        Self { aligned: Vec::new(), prepared: Vec::new() }
    }
}

impl<T: Scalar> Records for CentredRows<T> {
    type Record<'a> = &'a [T];
    type Block<'a> = RowBlock<'a, T>;
    type Shape = RowShape<T>;
    type Buffer = RowBuffer<T>;

    /// Reads rows of little-endian numbers. Copies them only if they do not lie aligned or are to be prepared.
    fn block<'a>(
        shape: &RowShape<T>,
        bytes: &'a [u8],
        buffer: &'a mut RowBuffer<T>,
    ) -> Result<RowBlock<'a, T>, ReadError> {
        let block = Rows::block(&shape.width, bytes, &mut buffer.aligned)?;
        prepare(block, &shape.preparation, &mut buffer.prepared)
    }

    fn schema(schema: &mut Schema) {
        schema.text("centred rows ");
        schema.text(T::DTYPE);
        schema.text(" ");
        schema.serde_type::<RowShape<T>>();
    }
}

/// Rows as `preparation` leaves them: `block` itself, or in `prepared`.
pub(super) fn prepare<'a, T: Scalar>(
    block: RowBlock<'a, T>,
    preparation: &Preparation<T>,
    prepared: &'a mut Vec<T>,
) -> Result<RowBlock<'a, T>, ReadError> {
    match preparation {
        Preparation::Done => return Ok(block),
        Preparation::Shift(shift) if shift.len() == block.width => {
            centre(block.values, &pattern(shift), prepared);
        }
        Preparation::Shift(shift) => {
            return Err(ReadError::Malformed {
                place: "rows".into(),
                message: format!("rows of {} numbers have a shift of {}", block.width, shift.len()),
            });
        }
        &Preparation::Unit(columns) if columns <= block.width as u64 => {
            prepared.clear();
            prepared.extend_from_slice(block.values);
            scale(prepared, block.width, columns as usize);
        }
        Preparation::Unit(columns) => {
            return Err(ReadError::Malformed {
                place: "rows".into(),
                message: format!("rows of {} numbers are to have {columns} columns", block.width),
            });
        }
    }
    Ok(RowBlock { width: block.width, values: prepared })
}

/// Replaces `centred` with `values`, less the shift in each row, of which `pattern` is the [pattern].
pub(super) fn centre<T: Scalar>(values: &[T], pattern: &[T], centred: &mut Vec<T>) {
    centred.clear();
    centred.reserve(values.len());
    for values in values.chunks(pattern.len()) {
        centred.extend(values.iter().zip(pattern).map(|(&x, &shift)| x - shift));
    }
}

/// Subtracts `shift` from each row of `values`: what [`CentredRows`] do to the rows of a file. On the threads of the rayon pool
/// it is called in, as [`scale_in_place`].
pub(crate) fn centre_in_place<T: Scalar>(values: &mut [T], shift: &[T]) {
    let pattern = pattern(shift);
    in_parts(values, pattern.len(), |part| {
        for values in part.chunks_mut(pattern.len()) {
            values.iter_mut().zip(&pattern).for_each(|(x, &shift)| *x = *x - shift);
        }
    });
}

/// Scales the first `d` columns of each row to unit length, but zeros: what [`CentredRows`] do to the rows of a file.
pub(crate) fn scale_in_place<T: Scalar>(values: &mut [T], width: usize, d: usize) {
    in_parts(values, width, |part| scale(part, width, d));
}

fn scale<T: Scalar>(values: &mut [T], width: usize, d: usize) {
    for row in values.chunks_exact_mut(width) {
        let _has_direction = scale_to_unit(&mut row[..d]);
    }
}

/// Values that one thread does something to at a time, about as many.
const PART: usize = 1 << 16;

/// Does something to all values in parts of a multiple of so many.
fn in_parts<T: Scalar>(values: &mut [T], multiple: usize, of_part: impl Fn(&mut [T]) + Sync + Send) {
    match PART.next_multiple_of(multiple) {
        // One part needs no second thread.
        len if len >= values.len() => of_part(values),
        len => values.par_chunks_mut(len).for_each(of_part),
    }
}

/// What a row of `d` columns weighs: the number behind them, or 1 if there is none.
pub(crate) fn weight_of<T: Scalar>(row: &[T], d: usize) -> f64 {
    row.get(d).map_or(1.0, |weight| weight.to_f64())
}

/// The shift of several rows: one alone may be shorter than a vector register.
pub(super) fn pattern<T: Scalar>(shift: &[T]) -> Vec<T> {
    shift.repeat(256_usize.div_ceil(shift.len()))
}

/// Prepared rows in memory; and the file they come from, if other nodes are to read that themselves.
///
/// ```
/// use kmeans_job::jobs::rows::CentredSlice;
/// use mapreduce_core::Dataset;
///
/// let centred = [-1.0_f32, 0.5, 0.0, 0.5, 1.0, -1.0];
/// let data = Dataset::new(CentredSlice::new(&centred, 2)?)?; // three rows of two
/// assert_eq!(data.bytes(), 24);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CentredSlice<'a, T: Scalar> {
    rows: RowSlice<T, &'a [T]>,
    d: usize,
    stored: Option<Stored<T>>,
}

/// The rows as they were before they were prepared, in a file.
#[derive(Clone, Debug)]
struct Stored<T: Scalar> {
    file: RowFiles<T>,
    preparation: Preparation<T>,
}

impl<'a, T: Scalar> CentredSlice<'a, T> {
    /// Rows of `d` numbers each.
    ///
    /// # Errors
    /// When `d` is 0 or the numbers are no whole number of rows.
    pub fn new(centred: &'a [T], d: usize) -> Result<Self, Error> {
        Ok(Self { rows: RowSlice::new(centred, d)?, d, stored: None })
    }

    /// The same rows, of which other nodes can read the originals: those of a file, to which `preparation` was done.
    ///
    /// # Errors
    /// When the file cannot be read or has no whole number of such rows.
    pub fn stored_in(self, file: &StoredRows, preparation: Preparation<T>) -> Result<Self, Error> {
        let file = RowFiles::open(file.path(), file.offset(), self.d)?;
        Ok(Self { stored: Some(Stored { file, preparation }), ..self })
    }
}

impl<T: Scalar> Input for CentredSlice<'_, T> {
    type Records = CentredRows<T>;

    fn shape(&self) -> RowShape<T> {
        let preparation = self.stored.as_ref().map(|stored| stored.preparation.clone());
        RowShape { width: self.d as u64, preparation: preparation.unwrap_or_default() }
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        self.rows.splits(split_bytes)
    }

    fn open<'b>(&'b self, split: &'b SplitInfo) -> Result<Box<dyn Blocks<CentredRows<T>> + 'b>, ReadError> {
        Ok(Box::new(InMemory(self.rows.open(split)?)))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        match &self.stored {
            Some(Stored { file, .. }) => file.describe(split),
            None => self.rows.describe(split),
        }
    }

    /// The bytes that go with [`shape`](Input::shape): prepared ones, or those of the file.
    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        match &self.stored {
            Some(Stored { file, .. }) => file.ship(split, sink),
            None => self.rows.ship(split, sink),
        }
    }

    fn files(&self) -> Option<SharedFiles> {
        self.stored.as_ref()?.file.files()
    }
}

/// Rows that need no preparation.
struct InMemory<'a, T: Scalar>(Box<dyn Blocks<Rows<T>> + 'a>);

impl<T: Scalar> Blocks<CentredRows<T>> for InMemory<'_, T> {
    fn next_block(&mut self) -> Result<Option<RowBlock<'_, T>>, ReadError> {
        self.0.next_block()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(shape: &RowShape<f32>, bytes: &[u8]) -> Result<Vec<f32>, String> {
        let mut buffer = RowBuffer::default();
        let block = CentredRows::block(shape, bytes, &mut buffer);
        block.map(|block| block.values.to_vec()).map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn blocks_are_centred_as_memory_is(
            values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 0..2000),
            d in 1..400_usize,
            seed in prop::collection::vec(-1e3_f32..1e3, 400),
            skew in 0..4_usize,
        ) {
            let values = &values[..values.len() / d * d];
            let shift = &seed[..d];
            // Behind some bytes of something else, so that they lie anywhere.
            let mut bytes = vec![0; skew];
            bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();

            let raw = RowShape { width: d as u64, preparation: Preparation::Done };
            prop_assert_eq!(bits(&read(&raw, &bytes[skew..]).unwrap()), bits(values));

            let preparation = Preparation::Shift(shift.to_vec().into());
            let shape = RowShape { width: d as u64, preparation };
            let expected: Vec<f32> = values.iter().zip(shift.iter().cycle()).map(|(x, shift)| x - shift).collect();
            let found = read(&shape, &bytes[skew..]).unwrap();
            prop_assert_eq!(bits(&found), bits(&expected));
            let mut in_place = values.to_vec();
            centre_in_place(&mut in_place, shift);
            prop_assert_eq!(bits(&in_place), bits(&expected));

            let shape = RowShape { width: d as u64, preparation: Preparation::Unit(d as u64) };
            let found = read(&shape, &bytes[skew..]).unwrap();
            let mut in_place = values.to_vec();
            scale_in_place(&mut in_place, d, d);
            prop_assert_eq!(bits(&found), bits(&in_place));
        }
    }

    #[test]
    fn many_rows_are_prepared_in_parts_as_each_is_by_itself() {
        // Neither a part nor the pattern is a multiple of the width.
        for (width, weight) in [(3, 0), (7, 1), (300, 1)] {
            let shift: Vec<f32> =
                (0..width).map(|j| if j + weight == width { 0.0 } else { j as f32 / 8.0 + 1.0 }).collect();
            let values: Vec<f32> = (0..(2 * PART / width + 5) * width).map(|i| (i % 1009) as f32).collect();
            let mut centred = values.clone();
            centre_in_place(&mut centred, &shift);
            assert!(centred.iter().zip(&values).zip(shift.iter().cycle()).all(|((c, x), s)| *c == x - s));
            let mut scaled = values.clone();
            scale_in_place(&mut scaled, width, width - weight);
            let mut expected = values;
            scale(&mut expected, width, width - weight);
            assert!(scaled == expected);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let shape =
            |width, shift: &[f32]| RowShape { width, preparation: Preparation::Shift(shift.to_vec().into()) };
        assert_eq!(read(&shape(2, &[1.0, 2.0]), &[0; 8]), Ok(vec![-1.0, -2.0]));
        assert_eq!(read(&shape(2, &[1.0]), &[0; 8]), Err("rows: rows of 2 numbers have a shift of 1".into()));
        let unit = RowShape { width: 2, preparation: Preparation::Unit(3) };
        assert_eq!(read(&unit, &[0; 8]), Err("rows: rows of 2 numbers are to have 3 columns".into()));
        for (width, bytes) in [(0, 8), (3, 8), (u64::MAX, 8)] {
            assert!(read(&shape(width, &[1.0, 2.0]), &vec![0; bytes]).is_err());
        }
    }
}
