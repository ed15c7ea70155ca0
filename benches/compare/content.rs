//! [`Content`]: what two outputs must have in common to be equal, however they are cut into parts.

use benches::Failure;
use rayon::prelude::*;
use std::{
    fs, iter,
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::xxh3_128;

/// How the lines of an output are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Whole lines by their bytes; there may be equal ones.
    Lines,
    /// Each line by its bytes up to the tab, all different.
    Keys,
    /// Each line by the number in front of the tab, all different.
    Numbers,
}

/// The lines of an output regardless of their order, of which only a sum of hashes is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// How many.
    pub(crate) lines: u64,
    /// Their length together, with ends.
    pub(crate) bytes: u64,
    /// The sum of their 128-bit hashes.
    pub(crate) digest: u128,
}

/// Lines that are looked at together are about so many bytes.
const PIECE_BYTES: usize = 4 << 20;

impl Content {
    /// Reads an output: a file, or a folder of files `part-*`, each of which must be in order. If `as_a_whole`, they must
    /// be so one after the other as well.
    ///
    /// # Errors
    /// When it cannot be read or is not in order.
    pub(crate) fn read(output: &Path, order: Order, as_a_whole: bool) -> Result<Self, Failure> {
        let mut all = Self::default();
        let mut before: Option<Vec<u8>> = None;
        for part in parts(output)? {
            let bytes = fs::read(&part)?;
            let out_of_order = |line: &[u8]| -> Failure {
                format!("{} is not in order: {}", part.display(), String::from_utf8_lossy(line)).into()
            };
            if let (Some(before), Some(first)) = (&before, lines(&bytes).next())
                && as_a_whole
                && !order.allows(before, first)
            {
                return Err(out_of_order(first));
            }
            let read = pieces(&bytes)
                .into_par_iter()
                .map(|range| Self::of_piece(&bytes[..range.end], range.start, order))
                .try_reduce(Self::default, |a, b| Ok(a.and(b)));
            all = all.and(read.map_err(out_of_order)?);
            before = lines_backwards(&bytes).next().map(<[u8]>::to_vec).or(before);
        }
        Ok(all)
    }

    /// The lines from `start` on, each compared with the one in front of it. Otherwise the line that is out of order.
    fn of_piece(bytes: &[u8], start: usize, order: Order) -> Result<Self, &[u8]> {
        let mut before = lines_backwards(&bytes[..start]).next();
        let mut content = Self::default();
        for line in lines(&bytes[start..]) {
            if before.is_some_and(|before| !order.allows(before, line)) {
                return Err(line);
            }
            content.lines += 1;
            content.bytes += line.len() as u64 + 1;
            content.digest = content.digest.wrapping_add(xxh3_128(line));
            before = Some(line);
        }
        Ok(content)
    }

    fn and(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            bytes: self.bytes + other.bytes,
            digest: self.digest.wrapping_add(other.digest),
        }
    }
}

impl Order {
    /// Whether one line may stand in front of another.
    fn allows(self, before: &[u8], line: &[u8]) -> bool {
        match self {
            Self::Lines => before <= line,
            Self::Keys => key(before) < key(line),
            Self::Numbers => matches!((number(before), number(line)), (Some(a), Some(b)) if a < b),
        }
    }
}

fn key(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b'\t').next().unwrap_or(line)
}

fn number(line: &[u8]) -> Option<u64> {
    key(line).iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    whole.split(|&byte| byte == b'\n').skip(usize::from(bytes.is_empty()))
}

fn lines_backwards(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    whole.rsplit(|&byte| byte == b'\n').skip(usize::from(bytes.is_empty()))
}

/// Ranges of whole lines.
fn pieces(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut start = 0;
    iter::from_fn(|| {
        let target = (start + PIECE_BYTES).min(bytes.len());
        let end = bytes[target..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |at| target + at + 1);
        let range = start..end;
        start = end;
        (!range.is_empty()).then_some(range)
    })
    .collect()
}

/// The files of an output, in the order of their names.
fn parts(output: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| format!("there is no output {}: {error}", output.display());
    if !fs::metadata(output).map_err(unreadable)?.is_dir() {
        return Ok(vec![output.to_path_buf()]);
    }
    let mut parts = Vec::new();
    for entry in fs::read_dir(output)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("part-") {
            parts.push(entry.path());
        }
    }
    parts.sort_unstable();
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(parts: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (i, part) in parts.iter().enumerate() {
            fs::write(folder.path().join(format!("part-{i:05}")), part).unwrap();
        }
        fs::write(folder.path().join("_SUCCESS"), "no part").unwrap();
        folder
    }

    #[test]
    fn parts_do_not_matter() {
        let (one, two) = (folder(&["a\t1\nb\t2\nc\t3\n"]), folder(&["a\t1\nc\t3\n", "", "b\t2\n"]));
        let content = Content::read(one.path(), Order::Keys, false).unwrap();
        assert_eq!(content, Content::read(two.path(), Order::Keys, false).unwrap());
        assert_eq!((content.lines, content.bytes), (3, 12));
    }

    #[test]
    fn another_line_is_another_content() {
        let read = |text| Content::read(folder(&[text]).path(), Order::Keys, true).unwrap();
        assert_ne!(read("a\t1\nb\t2\n"), read("a\t2\nb\t1\n"));
    }

    #[test]
    fn disorder_is_found_within_and_between_parts() {
        let read = |parts: &[&str], order, whole| Content::read(folder(parts).path(), order, whole);
        assert!(read(&["b\na\n"], Order::Lines, false).is_err());
        assert!(read(&["b\n", "a\n"], Order::Lines, false).is_ok());
        assert!(read(&["b\n", "", "a\n"], Order::Lines, true).is_err());
        assert!(read(&["a\na\n"], Order::Lines, true).is_ok());
        assert!(read(&["a\t1\na\t2\n"], Order::Keys, true).is_err());
        assert!(read(&["9\t1\n10\t1\n"], Order::Numbers, true).is_ok());
        assert!(read(&["9\t1\nx\t1\n"], Order::Numbers, true).is_err());
    }

    #[test]
    fn pieces_are_checked_where_they_meet() {
        let mut text: String = (0..1_000_000).map(|i| format!("{i:08}\n")).collect();
        assert!(text.len() > 2 * PIECE_BYTES);
        assert_eq!(Content::read(folder(&[&text]).path(), Order::Lines, true).unwrap().lines, 1_000_000);
        let first_piece = pieces(text.as_bytes())[0].end;
        text.replace_range(first_piece..first_piece + 8, "00000000");
        assert!(Content::read(folder(&[&text]).path(), Order::Lines, true).is_err());
    }
}
