//! Text in `.gz` and `.zst` files.

use super::{common::Folder, failure, opened, read, refusal};
use flate2::{Compression, write::GzEncoder};
use mapreduce_core::{Dataset, Input, ReadError, TextFiles, input::SharedFiles};
use proptest::{collection::vec, prelude::*};
use std::{io::Write, path::PathBuf};

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Writes a text as it is, or compressed in one of several ways.
pub(super) fn write(folder: &Folder, name: &str, text: &[u8], way: u8) -> PathBuf {
    let (first, second) = text.split_at(text.len() / 3);
    match way {
        0 => folder.file(name, text),
        1 => folder.file(&format!("{name}.gz"), gzip(text)),
        2 => folder.file(&format!("{name}.zst"), zstd(text)),
        // As `cat a.gz b.gz` and programs that compress in parallel make them.
        3 => folder.file(&format!("{name}.GZ"), [gzip(first), gzip(second)].concat()),
        _ => {
            let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
            folder.file(&format!("{name}.zst"), [skipped, zstd(first), zstd(second)].concat())
        }
    }
}

/// The lines of a text, by the simplest means.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop_if(|last| last.is_empty());
    lines
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(b"\n".to_vec()),
        8 => vec(any::<u8>(), 1..12),
        1 => (0..300_000usize).prop_map(|n| vec![b'x'; n]),
    ];
    vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn compressed_lines_are_those_of_the_text(files in vec((text(), 0..5u8), 1..6), bytes in 1..2_000_000u64) {
        let folder = Folder::new();
        let paths = files.iter().enumerate();
        let paths: Vec<_> = paths.map(|(i, (text, way))| write(&folder, &i.to_string(), text, *way)).collect();
        let input = TextFiles::open_bytes(&paths).unwrap();
        let longest = files.iter().map(|(text, _)| text.len() as u64).max().unwrap_or(0);
        let expected: Vec<_> = files.iter().flat_map(|(text, _)| lines(text)).collect();
        let found = read(&input, &[bytes.max(longest / 20), u64::MAX], <[u8]>::to_vec);
        prop_assert!(found == expected, "{} lines, not {}", found.len(), expected.len());
    }
}

#[test]
fn large_compressed_files_are_read_in_blocks() {
    let folder = Folder::new();
    let text: String = (0..200_000).map(|i| format!("line {i} {}\n", "x".repeat(i % 23))).collect();
    let expected: Vec<_> = text.lines().map(String::from).collect();
    for way in 1..5 {
        let input = TextFiles::open([write(&folder, "text", text.as_bytes(), way)]).unwrap();
        assert!(read(&input, &[1, u64::MAX], str::to_string) == expected);
    }
}

#[test]
fn a_compressed_file_is_never_cut_and_small_ones_share_a_split() {
    let folder = Folder::new();
    let text = "some words of a line\n".repeat(20_000);
    for i in 0..6 {
        write(&folder, &i.to_string(), text.as_bytes(), 1 + i % 2);
    }
    let input = TextFiles::open([folder.path()]).unwrap();
    let splits = |bytes| Dataset::with_split_bytes(input.clone(), bytes).unwrap().splits().to_vec();
    assert_eq!(splits(1).len(), 6);
    assert_eq!(splits(u64::MAX).len(), 1);
    assert_eq!(splits(u64::MAX), splits(u64::MAX));
    // What they are taken to hold counts, which is more than what they take.
    let files = splits(1);
    let two = splits(files[0].bytes + files[1].bytes);
    assert!(files[0].bytes > files[0].pieces[0].range.end && two.len() >= 3, "{two:?}");
    assert_eq!(input.describe(&files[0]), format!("{}, all of it", folder.join("0.gz").display()));
    // Next to text, which is cut.
    let paths = [folder.join("0.gz"), folder.file("plain", "0123456789\n".repeat(100))];
    let data = Dataset::with_split_bytes(TextFiles::open(paths).unwrap(), 250).unwrap();
    assert_eq!(data.splits().len(), 1 + 5);
}

#[test]
fn a_file_that_is_cut_off_is_an_error_wherever_it_ends() {
    let folder = Folder::new();
    let text = b"a line\nand one more line\n".repeat(40);
    for (name, whole) in [("text.gz", gzip(&text)), ("text.zst", zstd(&text))] {
        for len in 4..whole.len() {
            let path = folder.file(name, &whole[..len]);
            let error = failure(TextFiles::open([&path]).unwrap());
            let ReadError::Corrupt { offset, .. } = error else { panic!("{name} of {len}: {error}") };
            assert!(offset <= len as u64 && error.is_permanent());
            let message = error.to_string();
            let expected = format!("{}: cannot be decompressed at byte {offset} of the", path.display());
            assert!(message.starts_with(&expected) && message.contains("cut off"), "{message}");
        }
    }
}

#[test]
fn damage_is_noticed_and_never_read_as_other_text() {
    let folder = Folder::new();
    let text: Vec<u8> = (0..400).flat_map(|i| format!("line {}\n", i * 7919 % 1000).into_bytes()).collect();
    for (name, whole) in [("text.gz", gzip(&text)), ("text.zst", zstd(&text))] {
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            let path = folder.file(name, damaged);
            let Ok(input) = TextFiles::open_bytes([&path]) else { continue };
            match opened(&Dataset::new(input).unwrap(), <[u8]>::to_vec) {
                // Some bits say nothing of the text: a time in the header, what fills up a byte.
                Ok(read) => assert!(read == lines(&text), "{name}, byte {at}"),
                Err(error) => assert!(matches!(error, ReadError::Corrupt { .. }), "{error}"),
            }
        }
        let path = folder.file(name, [&whole[..], b"what does not belong here"].concat());
        let error = failure(TextFiles::open([path]).unwrap());
        assert!(matches!(error, ReadError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_refused() {
    let folder = Folder::new();
    for (name, content, expected) in [
        ("a.gz", &b"text"[..], "is named .gz, but does not begin as a gzip file does"),
        ("b.gz", b"", "is empty, damaged, or has the wrong name"),
        ("c.zst", b"text", "is named .zst, but does not begin as a zstd file does"),
        ("d.zst", &gzip(b"text"), "is named .zst"),
    ] {
        let path = folder.file(name, content);
        let error = refusal(TextFiles::open([&path]));
        assert!(error.starts_with(&path.display().to_string()) && error.contains(expected), "{error}");
    }
    // The name alone decides: other files are what they are.
    let path = folder.file("bytes", gzip(b"text"));
    assert!(TextFiles::open_bytes([path]).is_ok());
}

#[test]
fn text_of_compressed_files_is_checked_too() {
    let folder = Folder::new();
    let path = write(&folder, "text", b"good\nbad \xff\n", 1);
    let error = failure(TextFiles::open([&path]).unwrap()).to_string();
    let expected = format!("{} (decompressed): not UTF-8 at byte 9", path.display());
    assert!(error.starts_with(&expected), "{error}");
}

/// Splits come from another node.
#[test]
fn a_part_of_a_compressed_file_is_no_split() {
    let folder = Folder::new();
    let content = gzip(b"a\nb\n");
    let path = folder.file("text.gz", &content);
    let data = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap();
    let files = SharedFiles::lines([(&path, content.len() as u64)]);
    let mut split = data.splits()[0].clone();
    let mut chunks = files.open(&split, files.fingerprint(&split).unwrap()).unwrap();
    assert_eq!(chunks.next_chunk().unwrap(), Some(&b"a\nb\n"[..]));
    split.pieces[0].range.start = 1;
    let error = files.fingerprint(&split).unwrap_err();
    assert!(matches!(error, ReadError::Malformed { .. }), "{error}");
}

/// As on tapes: GNU gzip reads them too.
#[test]
fn zeros_behind_the_last_member_are_passed_over() {
    let folder = Folder::new();
    for zeros in [1, 1_000, 300_000] {
        for members in [vec![gzip(b"a\nb\n")], vec![gzip(b"a\n"), gzip(b""), gzip(b"b\n")]] {
            let path = folder.file("tape.gz", [members.concat(), vec![0; zeros]].concat());
            let read = read(&TextFiles::open_bytes([path]).unwrap(), &[1], <[u8]>::to_vec);
            assert_eq!(read, [b"a", b"b"]);
        }
    }
}

#[test]
fn other_bytes_behind_the_last_member_are_named() {
    let folder = Folder::new();
    let member = gzip(b"a\nb\n");
    for behind in [&b"text"[..], b"\x1f\x8c", &[&[0; 9][..], &member].concat(), b"\0\0x"] {
        let path = folder.file("text.gz", [&member, behind].concat());
        let error = failure(TextFiles::open([&path]).unwrap());
        assert!(error.is_permanent(), "{error}");
        let expected = "there are other bytes behind the last member";
        assert!(error.to_string().contains(expected), "{error}");
    }
    let path = folder.file("text.gz", [&member, &member[..member.len() - 1]].concat());
    assert!(failure(TextFiles::open([path]).unwrap()).to_string().contains("it was cut off"));
}
