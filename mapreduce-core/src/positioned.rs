//! Reading and writing files at an offset, from any thread: the position of the handle does not matter. (On Windows it
//! moves.)

use std::{fs::File, io};

/// Fills `bytes` with what stands in a file from the byte `offset` on. For an [`Input`](crate::Input) whose splits are read
/// through one handle. On Windows this moves the position of the handle.
///
/// # Errors
/// What the system says, and [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends before.
///
/// ```
/// use mapreduce_core::input::read_exact_at;
/// use std::io::Write;
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"0123456789")?;
/// let mut bytes = [0; 3];
/// read_exact_at(&file, &mut bytes, 4)?;
/// assert_eq!(&bytes, b"456");
/// assert!(read_exact_at(&file, &mut bytes, 8).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    system::read_exact_at(file, bytes, offset)
}

/// Writes all of `bytes` to a file from the byte `offset` on.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    system::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
mod system {
    use super::*;
    use std::os::unix::fs::FileExt;

    pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(bytes, offset)
    }

    pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

#[cfg(windows)]
mod system {
    use super::*;
    use std::os::windows::fs::FileExt;

    pub(super) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match file.seek_read(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => (bytes, offset) = (&mut bytes[n..], offset + n as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match file.seek_write(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => (bytes, offset) = (&bytes[n..], offset + n as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
