//! [`Inputs`]: files made from fixed seeds, when they are first asked for.

use crate::workshop::{Workshop, remove};
use benches::{
    Failure,
    text::{Random, lines_file, zipf_file},
};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// Is a part of the names of the files. To be raised with each change of what is in them (of the generators here and in
/// [`benches::text`], or of `rows_to_columns.py`), so that files of before are not taken for those of now.
const VERSION: u32 = 1;

/// How large the inputs are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Bytes of text.
    pub(crate) text_bytes: u64,
    /// Words that the text is drawn from.
    pub(crate) words: usize,
    /// Lines of 100 bytes.
    pub(crate) lines: usize,
    /// Rows of key and value.
    pub(crate) rows: usize,
    /// Keys in the rows, few and many.
    pub(crate) keys: [u64; 2],
}

impl Sizes {
    /// Those of the comparison: 421 MB, 839 MB, and twice 1.6 GB.
    pub(crate) const FULL: Self = Self {
        text_bytes: 421_000_000,
        words: 500_000,
        lines: 8 << 20,
        rows: 100_000_000,
        keys: [1_000, 50_000_000],
    };
    /// A twentieth, to try it out.
    pub(crate) const QUICK: Self = Self {
        text_bytes: 20_000_000,
        words: 50_000,
        lines: 400_000,
        rows: 4_000_000,
        keys: [1_000, 2_000_000],
    };
}

/// The inputs in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Inputs<'a> {
    workshop: &'a Workshop,
    sizes: Sizes,
}

impl<'a> Inputs<'a> {
    /// Inputs of these sizes, in the workshop's folder for them.
    pub(crate) fn new(workshop: &'a Workshop, sizes: Sizes) -> Self {
        Self { workshop, sizes }
    }

    /// Lines of ten words each, drawn by Zipf's law.
    ///
    /// # Errors
    /// As for the others: when it cannot be written.
    pub(crate) fn text(&self) -> Result<PathBuf, Failure> {
        let Sizes { text_bytes, words, .. } = self.sizes;
        self.file(&format!("text-{text_bytes}-{words}.txt"), |path| Ok(zipf_file(path, text_bytes, words)?))
    }

    /// Lines of 100 random characters of 16, ends included.
    ///
    /// # Errors
    /// See [`text`](Self::text).
    pub(crate) fn lines(&self) -> Result<PathBuf, Failure> {
        let lines = self.sizes.lines;
        self.file(&format!("lines-{lines}.txt"), |path| Ok(lines_file(path, lines)?))
    }

    /// Rows of a key and a value, two little-endian 64-bit integers each, with few or many keys.
    ///
    /// # Errors
    /// See [`text`](Self::text).
    pub(crate) fn rows(&self, many: bool) -> Result<PathBuf, Failure> {
        let (rows, keys) = (self.sizes.rows, self.sizes.keys[usize::from(many)]);
        let name = format!("rows-{rows}-{keys}");
        let range = if many { drawn_from(rows as u64, keys) } else { keys };
        self.file(&format!("{name}.u64"), |path| Ok(write_rows(path, rows, range)?))
    }

    /// The same rows as a file of columns, `parquet` or `arrow`. Needs Python.
    ///
    /// # Errors
    /// See [`text`](Self::text); and when Python cannot write it.
    pub(crate) fn columns(&self, many: bool, form: &str) -> Result<PathBuf, Failure> {
        let raw = self.rows(many)?;
        let path = raw.with_extension(form);
        self.make(path, |path| {
            fs::create_dir_all(&self.workshop.spill)?;
            let mut script = self.workshop.python("rows_to_columns.py");
            let status = script.arg(&raw).arg(path).arg(form).status()?;
            if status.success() { Ok(()) } else { Err("rows_to_columns.py has failed".into()) }
        })
    }

    fn file(&self, name: &str, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<PathBuf, Failure> {
        self.make(self.workshop.inputs.join(format!("v{VERSION}-{name}")), make)
    }

    /// A file, which is made under another name first: what is there is whole.
    fn make(
        &self,
        path: PathBuf,
        make: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<PathBuf, Failure> {
        if !path.exists() {
            println!("making {}", path.display());
            let unfinished = path.with_extension("unfinished");
            remove(&unfinished)?;
            make(&unfinished)?;
            fs::rename(unfinished, &path)?;
        }
        Ok(path)
    }
}

/// Reads a file once, so that it is in the page cache.
pub(crate) fn warm(path: &Path) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; 1 << 20]);
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Keys are 63 bits, so that engines without unsigned integers have them, and look random; values are below 1 000.
fn write_rows(path: &Path, rows: usize, range: u64) -> io::Result<()> {
    let mut random = Random::new(7);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for _ in 0..rows {
        let key = Random::new(random.bits() % range).bits() >> 1;
        out.write_all(&key.to_le_bytes())?;
        out.write_all(&(random.bits() % 1_000).to_le_bytes())?;
    }
    out.flush()
}

/// From how many keys one has to draw `rows` times so that about `keys` of them occur: the `n` with
/// `n (1 - exp(-rows / n)) = keys`, found by bisection.
fn drawn_from(rows: u64, keys: u64) -> u64 {
    let occurring = |n: u64| n as f64 * (1.0 - (-(rows as f64) / n as f64).exp());
    let (mut low, mut high) = (keys, keys * 64);
    while low < high {
        let middle = low.midpoint(high);
        if occurring(middle) < keys as f64 {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn files_of_a_version_are_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        let digest = |write: &dyn Fn(&Path) -> io::Result<()>| {
            write(&path).unwrap();
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            xxh3_64(&bytes)
        };
        let digests = [
            digest(&|path| zipf_file(path, 10_000, 1_000)),
            digest(&|path| lines_file(path, 100)),
            digest(&|path| write_rows(path, 100, 1_000)),
        ];
        // Another digest asks for another version.
        let of_version = (1, [0x937282f73a07f397, 0xf4797d87003dc071, 0x94c5d0b2eb241800]);
        assert_eq!((VERSION, digests), of_version, "{digests:#x?}");
    }

    #[test]
    fn about_as_many_keys_occur_as_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        write_rows(&path, 20_000, drawn_from(20_000, 10_000)).unwrap();
        let bytes = fs::read(path).unwrap();
        let keys: std::collections::HashSet<&[u8]> = bytes.chunks(16).map(|row| &row[..8]).collect();
        assert!((9_800..10_200).contains(&keys.len()), "{}", keys.len());
    }
}
