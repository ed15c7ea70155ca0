//! [`TextFiles`]: lines of many files, cut by byte ranges.

use super::{
    Blocks, Input, Lines, Piece, ReadError, Records, SharedFiles, SplitInfo, Utf8Lines,
    line_reader::LineReader, plan, send, source::SourceFile, unreadable,
};
use crate::Error;
use std::{fs, marker::PhantomData, path::Path};

/// Text files, read line by line in the order in which they are given.
///
/// A large file is cut into byte ranges; a line belongs to the range that its first byte is in. Small files share a
/// split. A line never continues in the next file.
#[derive(Clone, Debug)]
pub struct TextFiles<R = Utf8Lines> {
    files: Vec<SourceFile>,
    records: PhantomData<fn() -> R>,
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

fn add(path: &Path, files: &mut Vec<SourceFile>) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(unreadable(path))?;
    if !metadata.is_dir() {
        let bytes = super::file_length(path, &metadata)?;
        files.push(SourceFile { path: path.to_path_buf(), bytes });
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
            entries.push(SourceFile { path, bytes: metadata.len() });
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

impl<R> TextFiles<R> {
    fn reader(&self, split: &SplitInfo) -> LineReader {
        let ranges = split
            .pieces
            .iter()
            .map(|Piece { source, range }| self.files[*source as usize].range(range.clone()));
        LineReader::new(ranges.collect())
    }
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
        Ok(Box::new(TextBlocks { reader: self.reader(split), buffer: R::Buffer::default() }))
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

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        send(&mut self.reader(split), sink)
    }

    fn files(&self) -> Option<SharedFiles> {
        Some(SharedFiles::lines(self.files.iter().map(|file| (&file.path, file.bytes))))
    }
}

/// Reads what the reader gives as records.
struct TextBlocks<R: Records> {
    reader: LineReader,
    buffer: R::Buffer,
}

impl<R: Records<Shape = ()>> Blocks<R> for TextBlocks<R> {
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError> {
        if !self.reader.advance()? {
            return Ok(None);
        }
        let (lines, path, offset) = self.reader.lines();
        match R::block(&(), lines, &mut self.buffer) {
            Ok(block) => Ok(Some(block)),
            Err(error) => Err(error.within(path, offset)),
        }
    }
}
