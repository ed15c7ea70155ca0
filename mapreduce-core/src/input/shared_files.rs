//! [`SharedFiles`]: files that every node of a pool sees under the same paths, and reads itself.
//!
//! That they are the same is what the user says; it is checked as far as it can be without reading everything. Before
//! a node reads a split, it compares the lengths of the files and a fingerprint of the split: xxh3 of the planned
//! lengths, the ranges, and of each range 6 samples of 4 KiB at even distances, the first and the last bytes among them.

use super::{
    Piece, ReadError, SplitInfo,
    both::{LEFT, RIGHT},
    compression::Compression,
    csv_reader::CsvReader,
    csv_records::Dialect,
    line_reader::LineReader,
    row_reader::RowChunks,
    source::{FileRange, SourceFile, modified},
};
use crate::{Error, exec::Chunks};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{self, Path},
};
use xxhash_rust::xxh3::Xxh3;

/// Files that the driver names and other nodes read: absolute paths, the lengths they had when the splits were
/// planned, and how records lie in them.
///
/// The driver takes the [fingerprint](Self::fingerprint) of a split, sends it and the split to a node together with
/// these files, and the node [opens](Self::open) the split if it finds the same. Of what a node was sent nothing is
/// believed: paths and ranges that do not fit are errors.
///
/// ```
/// use mapreduce_core::{Dataset, TextFiles};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("words.txt");
/// # std::fs::write(&path, "to be\nor not\n")?;
/// let data = Dataset::new(TextFiles::open([&path])?)?.on_shared_storage()?;
/// let (files, split) = (data.shared_files().ok_or("none")?, &data.splits()[0]);
/// let fingerprint = files.fingerprint(split)?;
/// assert_eq!(files.open(split, fingerprint)?.next_chunk()?, Some(&b"to be\nor not\n"[..]));
///
/// std::fs::write(&path, "to be\nor no\n")?;
/// let error = files.open(split, fingerprint).err().ok_or("opened")?.to_string();
/// assert!(error.contains("words.txt: is not the file that the driver reads: it has 12 bytes here"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedFiles {
    /// One, or those that [`Both`](super::Both) are made of, all in one list: what comes from elsewhere must not nest.
    inputs: Vec<SharedInput>,
}

/// The files of one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SharedInput {
    /// Of which side each `Both` is that the input is in, from the outermost inwards: the sources of the first pieces of its
    /// splits, and behind each block in the other order.
    sides: Vec<u8>,
    files: Vec<SourceFile>,
    layout: Layout,
}

/// How records lie in the files, and what the pieces of splits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Layout {
    /// Lines; pieces are ranges of bytes, and a line belongs to the piece that its first byte is in.
    Lines,
    /// Rows of `row_bytes` bytes from byte `offset` behind the header of a file on; pieces are ranges of rows.
    Rows { offset: u64, row_bytes: u64 },
    /// CSV records that may have line ends in their fields; every piece is a whole file.
    Csv(Dialect),
}

/// The bytes of one sample.
const SAMPLE_BYTES: u64 = 4 << 10;
/// The samples of a range. A range that is no longer than all of them is hashed whole.
const SAMPLES: u64 = 6;

impl SharedFiles {
    /// Files of lines with their lengths. Pieces of splits are ranges of bytes; a file whose name says that it is
    /// compressed (`.gz`, `.zst`) is one piece.
    pub fn lines(files: impl IntoIterator<Item = (impl AsRef<Path>, u64)>) -> Self {
        let file = |(path, bytes): (_, u64)| {
            let mut file = SourceFile::plain(AsRef::<Path>::as_ref(&path).to_path_buf(), bytes, None);
            file.compression = Compression::of_name(&file.path);
            file
        };
        Self::of_lines(&files.into_iter().map(file).collect::<Vec<_>>())
    }

    /// One file of `bytes` bytes that has rows of `row_bytes` bytes each from byte `offset` on. Pieces of splits are
    /// ranges of rows.
    pub fn rows(path: impl AsRef<Path>, bytes: u64, offset: u64, row_bytes: u64) -> Self {
        Self::of_rows(&[SourceFile::plain(path.as_ref().to_path_buf(), bytes, None)], offset, row_bytes)
    }

    pub(super) fn of_lines(files: &[SourceFile]) -> Self {
        Self::new(files, Layout::Lines)
    }

    pub(super) fn of_rows(files: &[SourceFile], offset: u64, row_bytes: u64) -> Self {
        Self::new(files, Layout::Rows { offset, row_bytes })
    }

    pub(super) fn of_csv(files: &[SourceFile], dialect: Dialect) -> Self {
        Self::new(files, Layout::Csv(dialect))
    }

    fn new(files: &[SourceFile], layout: Layout) -> Self {
        // Without a current folder a path stays as it is, and a node that does not find it says so.
        let absolute = |file: &SourceFile| SourceFile {
            path: path::absolute(&file.path).unwrap_or_else(|_| file.path.clone()),
            ..file.clone()
        };
        let files = files.iter().map(absolute).collect();
        Self { inputs: vec![SharedInput { sides: Vec::new(), files, layout }] }
    }

    /// The files of [`Both`](super::Both) inputs.
    pub(super) fn of_both(left: Self, right: Self) -> Self {
        let side = |files: Self, side: u32| {
            files.inputs.into_iter().map(move |mut input| {
                input.sides.insert(0, side as u8);
                input
            })
        };
        Self { inputs: side(left, LEFT).chain(side(right, RIGHT)).collect() }
    }

    /// The paths, all absolute.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.inputs.iter().flat_map(|input| &input.files).map(|file| &*file.path)
    }

    /// What a split looks like here, for a node that opens it to compare.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it was when the splits were planned.
    pub fn fingerprint(&self, split: &SplitInfo) -> Result<u64, ReadError> {
        let mut hash = Xxh3::new();
        let (input, pieces) = self.find(split)?;
        for range in &input.ranges(pieces)? {
            let mut file = open(range).map_err(range.unreadable(0))?;
            range.check(&file)?;
            sample(&mut file, range, input.layout, &mut hash)?;
        }
        Ok(hash.digest())
    }

    /// Opens a split of which the driver has the given fingerprint. The chunks are those that the input of the driver
    /// [ships](super::Input::ship).
    ///
    /// # Errors
    /// [`ReadError::NotShared`] when a file is not there, cannot be read, or is not the driver's.
    pub fn open(&self, split: &SplitInfo, fingerprint: u64) -> Result<Box<dyn Chunks + Send>, ReadError> {
        let (input, pieces) = self.find(split)?;
        let mut ranges = input.ranges(pieces)?;
        let mut hash = Xxh3::new();
        for range in &mut ranges {
            let different = |difference| ReadError::NotShared { path: range.shown(), difference };
            let no = |error: io::Error| different(format!("it cannot be read here: {error}"));
            let mut file = open(range).map_err(no)?;
            let metadata = file.metadata().map_err(no)?;
            let (planned, found) = (range.file.bytes, metadata.len());
            if found != planned {
                return Err(different(format!(
                    "it has {found} bytes here, but {planned} where the job was planned"
                )));
            }
            sample(&mut file, range, input.layout, &mut hash).map_err(|error| match error {
                ReadError::Io { source, .. } => no(source),
                other => other,
            })?;
            // A copy may be older or younger than the driver's; that it does not change is looked after from here on.
            range.file.modified = modified(&metadata);
        }
        if hash.digest() != fingerprint {
            let path = match ranges.as_slice() {
                [one] => one.shown(),
                [first, .., last] => format!("{} ... {}", first.shown(), last.shown()),
                [] => "a split without files".to_string(),
            };
            let difference = "the lengths are the same, the bytes are not".to_string();
            return Err(ReadError::NotShared { path, difference });
        }
        let chunks: Box<dyn Chunks + Send> = match input.layout {
            Layout::Lines => Box::new(LineReader::new(ranges)),
            Layout::Rows { row_bytes, .. } => {
                let row_bytes = usize::try_from(row_bytes).map_err(|_| malformed("rows are too long"))?;
                Box::new(RowChunks::new(ranges, row_bytes))
            }
            Layout::Csv(dialect) => Box::new(CsvReader::new(ranges, dialect)),
        };
        Ok(match input.sides.as_slice() {
            [] => chunks,
            sides => {
                Box::new(Tagged { chunks, sides: sides.iter().rev().copied().collect(), tagged: Vec::new() })
            }
        })
    }

    /// Refuses paths that cannot be sent to other nodes.
    pub(super) fn check_paths(&self) -> Result<(), Error> {
        match self.paths().find(|path| path.to_str().is_none()) {
            None => Ok(()),
            Some(path) => Err(Error::Input {
                input: path.display().to_string(),
                message: "is not UTF-8, so that it cannot be named to other nodes; rename it".into(),
            }),
        }
    }

    /// The input that a split is of, and its pieces there.
    fn find<'a>(&self, split: &'a SplitInfo) -> Result<(&SharedInput, &'a [Piece]), ReadError> {
        let found = self.inputs.iter().find_map(|input| {
            let (sides, pieces) = split.pieces.split_at_checked(input.sides.len())?;
            let here = sides.iter().zip(&input.sides).all(|(piece, side)| piece.source == u32::from(*side));
            here.then_some((input, pieces))
        });
        found.ok_or_else(|| malformed("the split is not of these files"))
    }
}

impl SharedInput {
    /// The bytes that pieces are, all of them within their files.
    fn ranges(&self, pieces: &[Piece]) -> Result<Vec<FileRange>, ReadError> {
        let outside = || malformed("the split is not of these files");
        let range = |Piece { source, range }: &Piece| {
            let file = self.files.get(*source as usize)?;
            let bytes = self.bytes(file, range)?;
            let fits = match file.is_whole() {
                true => bytes == (0..file.bytes),
                false => bytes.start <= bytes.end && bytes.end <= file.bytes,
            };
            fits.then(|| file.range(bytes))
        };
        pieces.iter().map(|piece| range(piece).ok_or_else(outside)).collect()
    }

    /// The bytes of a piece of a file.
    fn bytes(&self, file: &SourceFile, piece: &Range<u64>) -> Option<Range<u64>> {
        match self.layout {
            Layout::Lines | Layout::Csv(_) => Some(piece.clone()),
            Layout::Rows { row_bytes: 0, .. } => None,
            Layout::Rows { offset, row_bytes } => {
                let first = file.header_bytes.checked_add(offset)?;
                let byte = |row: u64| row.checked_mul(row_bytes)?.checked_add(first);
                Some(byte(piece.start)?..byte(piece.end)?)
            }
        }
    }
}

/// Chunks with bytes behind each that say of which of two inputs they are, as [`Both`](super::Both) ships them.
struct Tagged {
    chunks: Box<dyn Chunks + Send>,
    sides: Vec<u8>,
    tagged: Vec<u8>,
}

impl Chunks for Tagged {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        let Some(chunk) = self.chunks.next_chunk()? else { return Ok(None) };
        self.tagged.clear();
        self.tagged.extend_from_slice(chunk);
        self.tagged.extend_from_slice(&self.sides);
        Ok(Some(&self.tagged))
    }
}

fn malformed(message: &str) -> ReadError {
    ReadError::Malformed { place: "files on shared storage".into(), message: message.into() }
}

/// Opens a file, and nothing that would block or never end.
fn open(range: &FileRange) -> io::Result<File> {
    match fs::metadata(&range.file.path)?.is_file() {
        true => File::open(&range.file.path),
        false => Err(io::Error::other("it is not a file")),
    }
}

/// Adds the length of a file and samples of a range to the fingerprint.
fn sample(file: &mut File, range: &FileRange, layout: Layout, hash: &mut Xxh3) -> Result<(), ReadError> {
    let Range { start, end } = range.bytes;
    for number in [range.file.bytes, start, end] {
        hash.update(&number.to_le_bytes());
    }
    // Whether a line begins at the start of a range is seen from the byte before.
    let start = if layout == Layout::Lines { start.saturating_sub(1) } else { start };
    let mut buffer = [0; SAMPLE_BYTES as usize];
    let mut read = |at: u64, len: u64| {
        let buffer = &mut buffer[..len as usize];
        let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(buffer));
        read.map_err(range.unreadable(at))?;
        hash.update(buffer);
        Ok(())
    };
    if end - start <= SAMPLES * SAMPLE_BYTES {
        let mut at = start;
        while at < end {
            let len = SAMPLE_BYTES.min(end - at);
            read(at, len)?;
            at += len;
        }
        return Ok(());
    }
    let last = u128::from(end - start - SAMPLE_BYTES);
    (0..SAMPLES).try_for_each(|i| {
        let offset = last * u128::from(i) / u128::from(SAMPLES - 1);
        read(start + offset as u64, SAMPLE_BYTES)
    })
}
