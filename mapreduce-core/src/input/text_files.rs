//! [`TextFiles`]: lines of many files, cut by byte ranges.

use super::{Blocks, Input, Lines, Piece, ReadError, Records, SplitInfo, Utf8Lines, plan, unreadable};
use crate::Error;
use memchr::{memchr, memrchr};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    marker::PhantomData,
    path::{Path, PathBuf},
    vec,
};

/// How much is read at once. A block ends at the last line end in it; a longer line makes the buffer grow.
const BLOCK_BYTES: usize = 256 << 10;

/// Text files, read line by line in the order in which they are given.
///
/// A large file is cut into byte ranges; a line belongs to the range that its first byte is in. Small files share a
/// split. A line never continues in the next file.
#[derive(Clone, Debug)]
pub struct TextFiles<R = Utf8Lines> {
    files: Vec<TextFile>,
    records: PhantomData<fn() -> R>,
}

#[derive(Clone, Debug)]
struct TextFile {
    path: PathBuf,
    bytes: u64,
}

impl TextFiles<Utf8Lines> {
    /// Lines of UTF-8 text ([`Utf8Lines`]). A folder stands for the files in it, in the order of their names; those
    /// whose names begin with `.` or `_` are left out, so the output folder of one job can be the input of another.
    ///
    /// # Errors
    /// When a path is not there or cannot be read, or a folder has no files.
    pub fn open(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        Self::open_as(paths)
    }
}

impl TextFiles<Lines> {
    /// Lines as bytes ([`Lines`]), whatever their encoding. Otherwise as [`TextFiles::open`].
    ///
    /// # Errors
    /// As for [`TextFiles::open`].
    pub fn open_bytes(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        Self::open_as(paths)
    }
}

impl<R> TextFiles<R> {
    /// Lines as records of your own, whose [`Records::block`] gets whole lines. Otherwise as [`TextFiles::open`].
    ///
    /// # Errors
    /// As for [`TextFiles::open`].
    pub fn open_as(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        let mut files = Vec::new();
        for path in paths {
            add(path.as_ref(), &mut files)?;
        }
        if files.is_empty() {
            return Err(Error::Input { input: "text files".into(), message: "no file was given".into() });
        }
        Ok(Self { files, records: PhantomData })
    }
}

fn add(path: &Path, files: &mut Vec<TextFile>) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(unreadable(path))?;
    if !metadata.is_dir() {
        let bytes = super::file_length(path, &metadata)?;
        files.push(TextFile { path: path.to_path_buf(), bytes });
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable(path))? {
        let entry = entry.map_err(unreadable(path))?;
        if matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_')) {
            continue;
        }
        let path = entry.path();
        let metadata = fs::metadata(&path).map_err(unreadable(&path))?;
        if metadata.is_file() {
            entries.push(TextFile { path, bytes: metadata.len() });
        }
    }
    if entries.is_empty() {
        return Err(Error::Input {
            input: path.display().to_string(),
            message: "the folder has no files; name the files, or a folder that holds them itself".into(),
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    files.append(&mut entries);
    Ok(())
}

impl<R> Input for TextFiles<R>
where
    R: Records<Shape = ()>,
{
    type Records = R;

    fn shape(&self) {}

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let target = plan::split_bytes(self.files.iter().map(|file| file.bytes).sum(), split_bytes);
        let mut splits = Vec::new();
        let mut open = SplitInfo { pieces: Vec::new(), bytes: 0, first_record: None };
        for (source, file) in self.files.iter().enumerate() {
            let mut start = 0;
            while start < file.bytes {
                let end = file.bytes.min(start + target - open.bytes);
                open.pieces.push(Piece { source: source as u32, range: start..end });
                open.bytes += end - start;
                start = end;
                if open.bytes >= target {
                    let next = SplitInfo { pieces: Vec::new(), bytes: 0, first_record: None };
                    splits.push(std::mem::replace(&mut open, next));
                }
            }
        }
        if !open.pieces.is_empty() {
            splits.push(open);
        }
        Ok(splits)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<R> + 'a>, ReadError> {
        Ok(Box::new(TextBlocks {
            files: &self.files,
            pieces: split.pieces.clone().into_iter(),
            reader: None,
            buffer: R::Buffer::default(),
        }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        let pieces: Vec<String> = split
            .pieces
            .iter()
            .map(|Piece { source, range }| {
                let path = self.files[*source as usize].path.display();
                format!("{path}, bytes {} to {}", range.start, range.end)
            })
            .collect();
        match pieces.as_slice() {
            [first, .., last] => format!("{first} ... {last}"),
            _ => pieces.concat(),
        }
    }
}

/// The pieces of a split, one after the other.
struct TextBlocks<'a, R: Records> {
    files: &'a [TextFile],
    pieces: vec::IntoIter<Piece>,
    reader: Option<PieceReader>,
    buffer: R::Buffer,
}

impl<R: Records<Shape = ()>> Blocks<R> for TextBlocks<'_, R> {
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError> {
        loop {
            if let Some(reader) = &mut self.reader
                && reader.fill()?
            {
                break;
            }
            let Some(piece) = self.pieces.next() else { return Ok(None) };
            let bytes = self.reader.take().map(|reader| reader.bytes).unwrap_or_default();
            self.reader = Some(PieceReader::open(&self.files[piece.source as usize], piece, bytes)?);
        }
        let Some(PieceReader { path, bytes, offset, lines, .. }) = &self.reader else { return Ok(None) };
        match R::block(&(), &bytes[..*lines], &mut self.buffer) {
            Ok(block) => Ok(Some(block)),
            Err(error) => Err(error.within(path, *offset)),
        }
    }
}

/// Reads the whole lines that begin in a byte range.
struct PieceReader {
    path: String,
    planned: u64,
    file: File,
    end: u64,
    /// The file's bytes from `offset` on that have been read: `lines` of them are the current block, whole lines.
    bytes: Vec<u8>,
    filled: usize,
    lines: usize,
    offset: u64,
}

impl PieceReader {
    fn open(file: &TextFile, piece: Piece, bytes: Vec<u8>) -> Result<Self, ReadError> {
        let path = file.path.display().to_string();
        // One byte earlier: if that is a line end, the line behind it begins in this piece.
        let offset = piece.range.start.saturating_sub(1);
        let opened = File::open(&file.path)
            .and_then(|mut file| file.seek(SeekFrom::Start(offset)).map(|_| file))
            .map_err(|source| ReadError::Io { path: path.clone(), offset, source })?;
        let mut reader = Self {
            path,
            planned: file.bytes,
            file: opened,
            end: piece.range.end,
            bytes,
            filled: 0,
            lines: 0,
            offset,
        };
        if piece.range.start > 0 {
            reader.skip_line()?;
        }
        Ok(reader)
    }

    /// Drops what belongs to the piece before: everything up to the first line end.
    fn skip_line(&mut self) -> Result<(), ReadError> {
        loop {
            let read = self.read_more()?;
            match memchr(b'\n', &self.bytes[..self.filled]) {
                Some(end) => {
                    self.lines = end + 1;
                    return Ok(());
                }
                None if read == 0 || self.offset + self.filled as u64 >= self.end => {
                    // No line begins in this piece.
                    self.lines = self.filled;
                    self.end = self.end.min(self.offset + self.filled as u64);
                    return Ok(());
                }
                None => {
                    self.offset += self.filled as u64;
                    self.filled = 0;
                }
            }
        }
    }

    /// Drops the current block and makes the next one: whole lines that begin before `end`. False behind the last.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.bytes.copy_within(self.lines..self.filled, 0);
        self.filled -= self.lines;
        self.offset += self.lines as u64;
        self.lines = 0;
        if self.offset >= self.end {
            return Ok(false);
        }
        let mut searched = 0;
        loop {
            // The last line is the one that begins before `end`; it ends at the first line end from `end - 1` on.
            let last_byte = (self.end - 1 - self.offset) as usize;
            if self.filled > last_byte
                && let Some(end) = memchr(b'\n', &self.bytes[last_byte.max(searched)..self.filled])
            {
                self.lines = last_byte.max(searched) + end + 1;
                return Ok(true);
            }
            let before = self.filled.min(last_byte);
            if searched < before
                && let Some(end) = memrchr(b'\n', &self.bytes[searched..before])
            {
                self.lines = searched + end + 1;
                return Ok(true);
            }
            searched = self.filled;
            if self.read_more()? == 0 {
                self.lines = self.filled;
                return Ok(self.filled > 0);
            }
        }
    }

    /// Reads behind what is there. The end of the file before its planned length is an error.
    fn read_more(&mut self) -> Result<usize, ReadError> {
        let wanted = self.filled + BLOCK_BYTES.max(self.filled);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        let offset = self.offset + self.filled as u64;
        // Up to the planned length only: lines appended meanwhile are not part of the job.
        let left = usize::try_from(self.planned - offset).unwrap_or(usize::MAX);
        let room = (self.bytes.len() - self.filled).min(left);
        let mut read = 0;
        while read < room {
            match self.file.read(&mut self.bytes[self.filled + read..self.filled + room]) {
                Ok(0) => {
                    let end = offset + read as u64;
                    let found = self.file.metadata().map_or(end, |now| now.len().min(end));
                    return Err(ReadError::Shrunk { path: self.path.clone(), expected: self.planned, found });
                }
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ReadError::Io { path: self.path.clone(), offset, source }),
            }
        }
        self.filled += read;
        Ok(read)
    }
}
