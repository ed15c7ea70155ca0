//! [`gather`]: copies of the rows of a cluster, in memory or, where they are too many for that, in a temporary file.

use crate::{
    centred::Centred,
    data::{FileRows, Matrix, TemporaryFile, TemporaryRows},
    error::FitError,
    jobs::rows::weight_of,
    numeric::scalar::Scalar,
    session::{Data, Session},
    source::Source,
    weighing::Weighed,
};
use mapreduce_core::{Engine, Error};
use std::{io, path::PathBuf};

/// Bytes gathered between two writes.
const BLOCK_BYTES: usize = 512 << 10;

/// Rows that are passed over together if none is in a cluster. Of many clusters it is most of them.
pub(crate) const RUN: usize = 16;

/// How much memory copies of rows may take, and where larger ones go.
#[derive(Clone, Debug)]
pub(crate) struct Overflow {
    /// The most bytes of one copy.
    pub(crate) bytes_max: u64,
    pub(crate) folder: PathBuf,
}

/// Copies the rows that belong to `cluster`, at least one, in their order and with their weights: as they are computed with,
/// centred or of unit length. `clusters` has the cluster of each row.
pub(crate) fn gather<T: Scalar, E: Engine>(
    centred: &Centred<T>,
    data: &Data<'_, T>,
    clusters: &[u32],
    cluster: u32,
    overflow: Option<&Overflow>,
    session: &Session<'_, E>,
) -> Result<Weighed<T>, FitError> {
    let (d, weighing) = (centred.d(), centred.weighing);
    let count = clusters.iter().filter(|found| **found == cluster).count();
    let mut copies = Copies::new(count, d + weighing.behind, overflow)?;
    let (splits, mut units) = (data.splits(), 0);
    // Rows are numbered: a split ends where the next begins.
    let starts = splits.iter().map(|split| split.first_record.unwrap_or_default() as usize);
    let ends = starts.clone().skip(1).chain([clusters.len()]);
    for ((split, start), end) in splits.iter().zip(starts).zip(ends) {
        let mut of_split = &clusters[start..end];
        if !of_split.contains(&cluster) {
            continue;
        }
        let mut blocks = data.input().open(split).map_err(Error::from)?;
        while let Some(block) = blocks.next_block().map_err(Error::from)? {
            if session.is_cancelled() {
                return Err(FitError::Job(Error::Cancelled));
            }
            let (of_block, after) = of_split.split_at(block.len().min(of_split.len()));
            of_split = after;
            for (rows, of_rows) in block.values.chunks(RUN * block.width).zip(of_block.chunks(RUN)) {
                if !of_rows.contains(&cluster) {
                    continue;
                }
                let rows = rows.chunks_exact(block.width).zip(of_rows);
                for (row, _) in rows.filter(|(_, found)| **found == cluster) {
                    units += weighing.in_units(weight_of(row, d));
                    copies.push(row)?;
                }
            }
        }
    }
    Ok(Weighed { source: copies.finish()?, d, weighing: weighing.of_some(units) })
}

/// Copies of a known number of rows.
struct Copies<'a, T> {
    rows: usize,
    width: usize,
    /// All, or those that are yet to be written.
    values: Vec<T>,
    file: Option<(TemporaryFile, &'a Overflow)>,
}

impl<'a, T: Scalar> Copies<'a, T> {
    fn new(rows: usize, width: usize, overflow: Option<&'a Overflow>) -> Result<Self, FitError> {
        let bytes = (rows as u64).saturating_mul((width * size_of::<T>()) as u64);
        let (file, room) = match overflow.filter(|overflow| bytes > overflow.bytes_max) {
            None => (None, rows * width),
            Some(overflow) => {
                let file = TemporaryFile::create(&overflow.folder);
                let file = file.map_err(|problem| failed(overflow, problem))?;
                (Some((file, overflow)), BLOCK_BYTES / size_of::<T>() + width)
            }
        };
        Ok(Self { rows, width, values: Vec::with_capacity(room), file })
    }

    #[inline]
    fn push(&mut self, row: &[T]) -> Result<(), FitError> {
        self.values.extend_from_slice(row);
        match self.file.is_some() && size_of_val(&self.values[..]) >= BLOCK_BYTES {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> Result<(), FitError> {
        if let Some((file, overflow)) = &mut self.file {
            file.append(&self.values).map_err(|problem| failed(overflow, problem))?;
            self.values.clear();
        }
        Ok(())
    }

    /// All rows were put in.
    fn finish(mut self) -> Result<Source<T>, FitError> {
        self.write()?;
        Ok(match self.file {
            None => {
                let matrix = Matrix::new(self.rows, self.width, self.values);
                Source::Memory(matrix.expect("all rows were put in, and are at least one"))
            }
            Some((file, _)) => {
                let rows = TemporaryRows::new(file, self.rows, self.width);
                Source::Files(FileRows::Temporary(rows))
            }
        })
    }
}

fn failed(overflow: &Overflow, problem: io::Error) -> FitError {
    let Overflow { bytes_max, folder } = overflow.clone();
    FitError::Overflow { folder, bytes_max, problem }
}
