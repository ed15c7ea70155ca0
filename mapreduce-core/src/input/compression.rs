//! Compressed files: [`Compression`] says which there are, [`Content`] reads what a file holds.

use super::{ReadError, source::FileRange};
use crate::Error;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::Path,
};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Compression {
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

impl Compression {
    /// What the name of a file says: `.gz` and `.zst`.
    pub(super) fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?;
        [Self::Gzip, Self::Zstd].into_iter().find(|this| extension.eq_ignore_ascii_case(this.extension()))
    }

    /// Checks that this program can read the file, and that it begins as its name says.
    pub(super) fn check(self, path: &Path) -> Result<(), Error> {
        let refuse = |message| Err(Error::Input { input: path.display().to_string(), message });
        if !self.is_built_in() {
            return refuse(format!(
                "is compressed, and this program was built without the feature `{}` of mapreduce-core; build it in, \
                 or decompress the file",
                self.feature()
            ));
        }
        let mut magic = [0; 4];
        let mut file = File::open(path).map_err(super::unreadable(path))?;
        let read = read_full(|rest| file.read(rest), &mut magic).map_err(super::unreadable(path))?;
        if self.begins(&magic[..read]) {
            return Ok(());
        }
        refuse(format!(
            "is named .{}, but does not begin as a {self} file does; it is empty, damaged, or has the wrong name",
            self.extension()
        ))
    }

    /// The feature of this crate that reads such files.
    pub(super) fn feature(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    pub(super) fn is_built_in(self) -> bool {
        match self {
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        }
    }

    fn begins(self, bytes: &[u8]) -> bool {
        match self {
            Self::Gzip => bytes.starts_with(&[0x1f, 0x8b]),
            // A frame, or one to be skipped: programs that compress in parallel begin with such.
            Self::Zstd => {
                matches!(bytes, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
            }
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.feature())
    }
}

/// Compressed bytes that are read at once.
#[cfg(any(feature = "gzip", feature = "zstd"))]
const COMPRESSED_BYTES: usize = 128 << 10;

#[cfg(any(feature = "gzip", feature = "zstd"))]
type Compressed = io::BufReader<File>;

/// An open file, of which the content is read from front to back.
pub(super) enum Content {
    /// Bytes as they are, up to the planned length.
    Plain { file: File, position: u64, end: u64 },
    #[cfg(feature = "gzip")]
    Gzip(Box<Members>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::stream::read::Decoder<'static, Compressed>>),
}

impl Content {
    /// Opens a file of which the content is wanted from byte `offset` on. A file that has changed
    /// since it was planned is refused.
    pub(super) fn open(range: &FileRange, offset: u64) -> Result<Self, ReadError> {
        let Some(compression) = range.file.compression else {
            let mut file = range.open()?;
            file.seek(SeekFrom::Start(offset)).map_err(range.unreadable(offset))?;
            return Ok(Self::Plain { file, position: offset, end: range.file.bytes });
        };
        let mut content = Self::decoder(compression, range)?;
        let mut skipped = [0; 4 << 10];
        let mut left = offset;
        while left > 0 {
            let wanted = skipped.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = content.read(&mut skipped[..wanted], range)?;
            if read == 0 {
                break;
            }
            left -= read as u64;
        }
        Ok(content)
    }

    fn decoder(compression: Compression, range: &FileRange) -> Result<Self, ReadError> {
        match compression {
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                let compressed = Compressed::with_capacity(COMPRESSED_BYTES, range.open()?);
                Ok(Self::Gzip(Box::new(Members::new(compressed))))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let compressed = Compressed::with_capacity(COMPRESSED_BYTES, range.open()?);
                let decoder = zstd::stream::read::Decoder::with_buffer(compressed);
                Ok(Self::Zstd(Box::new(decoder.map_err(range.unreadable(0))?)))
            }
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            _ => Err(ReadError::NotBuiltIn { path: range.shown(), feature: compression.feature() }),
        }
    }

    /// Fills the buffer, or as much of it as there is.
    pub(super) fn read(&mut self, buffer: &mut [u8], range: &FileRange) -> Result<usize, ReadError> {
        match self {
            Self::Plain { file, position, end } => {
                let left = usize::try_from(*end - *position).unwrap_or(usize::MAX);
                let wanted = buffer.len().min(left);
                let read = read_full(|rest| file.read(rest), &mut buffer[..wanted]);
                let read = read.map_err(range.unreadable(*position))?;
                *position += read as u64;
                if read < wanted {
                    let found = file.metadata().map_or(*position, |now| now.len().min(*position));
                    return Err(ReadError::Shrunk { path: range.shown(), expected: *end, found });
                }
                Ok(read)
            }
            #[cfg(feature = "gzip")]
            Self::Gzip(decoder) => {
                let read = read_full(|rest| decoder.read(rest), buffer);
                read.map_err(|error| corrupt(error, decoder.compressed(), range))
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => {
                let read = read_full(|rest| decoder.read(rest), buffer);
                read.map_err(|error| corrupt(error, decoder.get_mut(), range))
            }
        }
    }

    /// About how many bytes there still are, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Plain { position, end, .. } => Some(end - position),
            #[cfg(any(feature = "gzip", feature = "zstd"))]
            _ => None,
        }
    }

    /// Whether the file still is what was planned.
    pub(super) fn check(&self, range: &FileRange) -> Result<(), ReadError> {
        range.check(match self {
            Self::Plain { file, .. } => file,
            #[cfg(feature = "gzip")]
            Self::Gzip(decoder) => decoder.file(),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
        })
    }
}

/// The members of a gzip file, one after the other. Zeros may follow the last: on tapes, files are filled up with them.
#[cfg(feature = "gzip")]
pub(super) struct Members {
    /// `None` only while one takes the place of another.
    member: Option<flate2::bufread::GzDecoder<Compressed>>,
}

#[cfg(feature = "gzip")]
impl Members {
    fn new(compressed: Compressed) -> Self {
        Self { member: Some(flate2::bufread::GzDecoder::new(compressed)) }
    }

    fn member(&mut self) -> &mut flate2::bufread::GzDecoder<Compressed> {
        self.member.as_mut().expect("there is a member between two calls")
    }

    fn compressed(&mut self) -> &mut Compressed {
        self.member().get_mut()
    }

    fn file(&self) -> &File {
        self.member.as_ref().expect("there is a member between two calls").get_ref().get_ref()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.member().read(buffer)?;
            if read > 0 || buffer.is_empty() || !self.next_member()? {
                return Ok(read);
            }
        }
    }

    /// Goes on behind the end of a member. False if it was the last.
    fn next_member(&mut self) -> io::Result<bool> {
        let compressed = self.compressed();
        let mut zeros = false;
        loop {
            let bytes = compressed.fill_buf()?;
            match *bytes {
                [] => return Ok(false),
                [0, ..] => {
                    zeros = true;
                    let count = bytes.iter().take_while(|byte| **byte == 0).count();
                    compressed.consume(count);
                }
                // The second byte may be in the next buffer, and is looked at by the decoder.
                [0x1f] | [0x1f, 0x8b, ..] if !zeros => break,
                _ => {
                    let message = "there are other bytes behind the last member";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
        }
        self.member = self.member.take().map(|member| flate2::bufread::GzDecoder::new(member.into_inner()));
        Ok(true)
    }
}

/// Why a decoder has failed: the system, a change of the file, or what is in it.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn corrupt(error: io::Error, compressed: &mut Compressed, range: &FileRange) -> ReadError {
    let buffered = compressed.buffer().len() as u64;
    let offset = compressed.get_mut().stream_position().map_or(0, |read| read.saturating_sub(buffered));
    // The zstd library numbers its errors as the system does not.
    if error.raw_os_error().is_some() {
        return range.unreadable(offset)(error);
    }
    if let Err(changed) = range.check(compressed.get_ref()) {
        return changed;
    }
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends in the middle of its data; it was cut off".to_string(),
        _ => error.to_string(),
    };
    ReadError::Corrupt { path: range.shown(), offset, message }
}

/// Reads until the buffer is full or nothing comes.
fn read_full(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
