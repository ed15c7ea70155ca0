//! [`Sink`]: where values go that are read without knowing how many there will be: into memory, and where they are too
//! many for that into a temporary file.

use super::{
    FileRows, LoadError, Matrix,
    temporary::{TemporaryFile, TemporaryRows},
    watch::Watch,
};
use crate::numeric::scalar::Scalar;
use std::path::Path;

/// Bytes gathered between two writes.
const BLOCK_BYTES: usize = 512 << 10;

/// The rows of tables and images, as they are read.
pub(super) struct Sink<'a, T> {
    pub(super) watch: &'a Watch<'a>,
    /// Where values go that are too many, if anywhere.
    folder: Option<&'a Path>,
    /// The values that are in memory: all, or those behind the ones in the file.
    pub(super) values: Vec<T>,
    file: Option<TemporaryFile>,
}

/// Where rows have come to.
pub(super) enum Kept<T> {
    Memory(Matrix<T>),
    File(FileRows<T>),
}

impl<'a, T: Scalar> Sink<'a, T> {
    /// A sink that keeps what the limit of `watch` allows in memory, and everything in a file in `folder` if it is more.
    /// Without a folder that is an error.
    pub(super) fn new(watch: &'a Watch<'a>, folder: Option<&'a Path>) -> Self {
        Self { watch, folder, values: Vec::new(), file: None }
    }

    /// To be called when values of one row or a few were put behind the others: `rows` are there so far. `path` is what
    /// they come from.
    #[inline]
    pub(super) fn check(&mut self, path: &Path, rows: usize) -> Result<(), LoadError> {
        let is_full = match self.file {
            None => self.watch.is_over::<T>(self.values.len(), rows),
            Some(_) => size_of_val(&self.values[..]) >= BLOCK_BYTES,
        };
        if is_full { self.make_room(path) } else { Ok(()) }
    }

    #[cold]
    fn make_room(&mut self, path: &Path) -> Result<(), LoadError> {
        let bytes_max = self.watch.bytes_max();
        let mut file =
            match (self.file.take(), self.folder) {
                (Some(file), _) => file,
                (None, Some(folder)) => TemporaryFile::create(folder).map_err(|problem| {
                    LoadError::Overflow { folder: folder.to_owned(), bytes_max, problem }
                })?,
                (None, None) => return Err(LoadError::OverLimit { path: path.to_owned(), bytes_max }),
            };
        self.write_to(&mut file)?;
        self.file = Some(file);
        Ok(())
    }

    fn write_to(&mut self, file: &mut TemporaryFile) -> Result<(), LoadError> {
        let bytes_max = self.watch.bytes_max();
        for block in self.values.chunks(BLOCK_BYTES / size_of::<T>()) {
            // The first time there may be many.
            self.watch.ask().map_err(|_| LoadError::Interrupted)?;
            file.append(block).map_err(|problem| LoadError::Overflow {
                folder: file.folder().to_owned(),
                bytes_max,
                problem,
            })?;
        }
        self.values.clear();
        // What was needed until then is given back the first time.
        self.values.shrink_to(2 * BLOCK_BYTES / size_of::<T>());
        Ok(())
    }

    /// All that was put in: at least one row, each of `d` values.
    pub(super) fn finish(mut self, rows: usize, d: usize) -> Result<Kept<T>, LoadError> {
        match self.file.take() {
            None => {
                let matrix = Matrix::new(rows, d, self.values);
                Ok(Kept::Memory(matrix.expect("there is a row, and all rows have as many values")))
            }
            Some(mut file) => {
                self.write_to(&mut file)?;
                Ok(Kept::File(FileRows::Temporary(TemporaryRows::new(file, rows, d))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Progress;
    use std::{cell::Cell, ops::ControlFlow};

    const D: usize = 3;

    /// What rows of `D` values came to that were put in one by one, and how often it was asked whether to go on.
    fn put(rows: usize, bytes_max: u64, row_bytes: u64, folder: &Path) -> (Kept<f64>, usize) {
        let asked = Cell::new(0);
        let observe = |_: Progress| {
            asked.set(asked.get() + 1);
            ControlFlow::Continue(())
        };
        let watch = Watch::new(&observe).within(bytes_max, row_bytes);
        let mut sink = Sink::new(&watch, Some(folder));
        for row in 0..rows {
            sink.values.extend((0..D).map(|column| (row * D + column) as f64));
            sink.check(Path::new("points"), row + 1).unwrap();
            assert!(sink.values.len() <= (bytes_max as usize).max(BLOCK_BYTES) / 8 + D);
        }
        (sink.finish(rows, D).unwrap(), asked.get())
    }

    #[test]
    fn rows_are_in_memory_up_to_the_limit_and_all_in_a_file_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let block = BLOCK_BYTES / 8 / D;
        for rows in [1, 10, block, block + 1, 3 * block + 7] {
            let bytes = (rows * D * 8) as u64;
            for (bytes_max, row_bytes) in [(bytes, 0), (bytes + 13 * rows as u64, 13)] {
                let (Kept::Memory(matrix), 0) = put(rows, bytes_max, row_bytes, folder.path()) else {
                    panic!("{rows} rows are in memory")
                };
                assert!(
                    matrix.rows() == rows && matrix.values().iter().zip(0..).all(|(&x, i)| x == f64::from(i))
                );
                // All blocks are asked for, also those that had been in memory.
                for bytes_max in [bytes_max - 1, 0] {
                    let (Kept::File(file), asked) = put(rows, bytes_max, row_bytes, folder.path()) else {
                        panic!("{rows} rows are in a file")
                    };
                    assert!(asked >= rows / block && (file.rows(), file.d()) == (rows, D));
                    assert_eq!(read(&file, None), matrix.values());
                    assert_eq!(read(&file, Some(1000)), matrix.values());
                }
            }
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the files have no names");
    }

    /// The values of all splits, as they are read, and as they are sent.
    fn read(rows: &FileRows<f64>, split_bytes: Option<u64>) -> Vec<f64> {
        let (input, mut values, mut sent) = (rows.input(), Vec::new(), Vec::new());
        for split in input.splits(split_bytes).unwrap() {
            assert_eq!(split.first_record, Some((values.len() / D) as u64));
            assert!(split.bytes <= split_bytes.unwrap_or(u64::MAX));
            let place = format!("rows {} to ", values.len() / D);
            assert!(input.describe(&split).contains(&place), "{}", input.describe(&split));
            let mut blocks = input.open(&split).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                values.extend_from_slice(block.values);
            }
            input.ship(&split, &mut |bytes| sent.extend_from_slice(bytes)).unwrap();
        }
        assert!(sent.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).eq(values.iter().copied()));
        values
    }
}
