//! What is sent to other nodes, and what they read themselves from shared storage, is what the driver reads.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{Folder, probe::numbers};
use mapreduce_core::{
    Both, Dataset, Error, FailureKind, Input, ItemSlice, Items, Lines, ReadError, Records, RowFiles,
    RowSlice, SplitInfo, TextFiles, codec,
    engine::{place, ship},
    input::{Blocks, Piece, SharedFiles},
    schedule::TaskId,
};
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use std::{fs, path::Path, sync::Arc};

/// The records of a split as the driver reads them.
fn opened<T, I: Input>(
    data: &Dataset<I>,
    split: &SplitInfo,
    own: impl Fn(<I::Records as Records>::Record<'_>) -> T,
) -> Vec<T> {
    let mut records = Vec::new();
    let mut blocks = data.input().open(split).unwrap();
    while let Some(block) = blocks.next_block().unwrap() {
        records.extend(block.into_iter().map(&own));
    }
    records
}

/// The chunks of a split as they are sent.
fn shipped<I: Input>(data: &Dataset<I>, split: u32) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    ship(data, split, &mut |chunk| chunks.push(chunk.to_vec())).unwrap();
    chunks
}

/// The chunks of a split as another node reads them from storage that it shares.
fn shared(files: &SharedFiles, split: &SplitInfo) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    codec::encode(&(files, split), &mut bytes).unwrap();
    let (sent, split): (SharedFiles, SplitInfo) = codec::decode(&bytes).unwrap();
    assert_eq!(&sent, files);
    let mut open = sent.open(&split, files.fingerprint(&split).unwrap()).unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = open.next_chunk().unwrap() {
        chunks.push(chunk.to_vec());
    }
    chunks
}

/// Checks every split: records of the chunks are those of the opened split, and shared files have the same chunks.
fn check<T: PartialEq, I: Input + Clone>(
    input: &I,
    split_bytes: u64,
    own: impl Fn(<I::Records as Records>::Record<'_>) -> T,
) {
    let data = Dataset::with_split_bytes(input.clone(), split_bytes).unwrap();
    let data = if input.files().is_some() { data.on_shared_storage().unwrap() } else { data };
    let shape = input.shape();
    for (i, split) in data.splits().iter().enumerate() {
        let chunks = shipped(&data, i as u32);
        let mut records = Vec::new();
        for chunk in &chunks {
            let mut buffer = Default::default();
            let block = <I::Records as Records>::block(&shape, chunk, &mut buffer).unwrap();
            let before = records.len();
            records.extend(block.into_iter().map(&own));
            assert!(records.len() > before, "a chunk without records");
        }
        let expected = opened(&data, split, &own);
        assert!(records == expected, "{split:?}: {} records, not {}", records.len(), expected.len());
        if let Some(files) = data.shared_files() {
            assert!(shared(files, split) == chunks, "{split:?}: shared files differ");
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        8 => vec(any::<u8>(), 1..12),
        1 => (0..300_000usize).prop_map(|n| vec![b'x'; n]),
    ];
    vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lines_are_sent_as_they_are_read(texts in vec(text(), 1..4), bytes in 1..2_000_000u64) {
        let folder = Folder::new();
        let input = TextFiles::open_bytes(folder.files(&texts)).unwrap();
        let total = texts.iter().map(|text| text.len() as u64).sum::<u64>();
        // Tiny splits of long texts would be too many.
        for bytes in [bytes.max(total / 50), total / 20 + 1, u64::MAX] {
            check(&input, bytes, <[u8]>::to_vec);
        }
    }

    #[test]
    fn tiny_splits_of_lines_are_sent_as_they_are_read(
        texts in vec(vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..40), 1..4),
        bytes in 1..30u64,
    ) {
        let folder = Folder::new();
        check(&TextFiles::open_bytes(folder.files(&texts)).unwrap(), bytes, <[u8]>::to_vec);
    }

    #[test]
    fn rows_are_sent_as_they_are_read(
        numbers in vec(any::<i16>(), 0..60),
        width in 1..4usize,
        offset in 0..5usize,
        bytes in 1..70u64,
    ) {
        let numbers = numbers[..numbers.len() / width * width].to_vec();
        let folder = Folder::new();
        let mut content = b"#####"[..offset].to_vec();
        content.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        let file = RowFiles::<i16>::open(folder.file("rows", content), offset as u64, width).unwrap();
        for bytes in [bytes, u64::MAX] {
            check(&file, bytes, <[i16]>::to_vec);
            check(&RowSlice::new(numbers.clone(), width).unwrap(), bytes, <[i16]>::to_vec);
        }
    }

    #[test]
    fn items_are_sent_as_they_are_read(items in vec((any::<String>(), any::<Option<u32>>()), 0..60), bytes in 0..200u64) {
        for bytes in [bytes, u64::MAX] {
            check(&ItemSlice::new(items.clone()), bytes, Clone::clone);
        }
    }
}

#[test]
fn many_blocks_are_sent_as_they_are_read() {
    let folder = Folder::new();
    let numbers: Vec<f32> = (0..300_000).map(|i| i as f32).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let file = RowFiles::<f32>::open(folder.file("rows", bytes), 0, 3).unwrap();
    check(&file, u64::MAX, <[f32]>::to_vec);
    check(&file, 500_000, <[f32]>::to_vec);
    check(&RowSlice::new(numbers, 3).unwrap(), u64::MAX, <[f32]>::to_vec);
    // Rows longer than a block.
    check(&RowSlice::new(vec![7u8; 900_000], 300_000).unwrap(), u64::MAX, <[u8]>::to_vec);
    let lines: String = (0..60_000).map(|i| format!("line {i} {}\r\n", "x".repeat(i % 23))).collect();
    check(&TextFiles::open([folder.file("text", lines)]).unwrap(), 300_000, str::to_string);
}

#[test]
fn items_of_any_length_are_sent_in_blocks_of_about_the_same_length() {
    let lengths = (0..40_000).map(|i| if i % 10_000 < 5_000 { 1 } else { 500 });
    let items: Vec<String> = lengths.map(|n| "x".repeat(n)).chain(["y".repeat(1 << 20)]).collect();
    check(&ItemSlice::new(items.clone()), u64::MAX, String::clone);
    let chunks = shipped(&Dataset::with_split_bytes(ItemSlice::new(items), u64::MAX).unwrap(), 0);
    let (last, others) = chunks.split_last().unwrap();
    assert!(others.iter().all(|chunk| (256 << 10..257 << 10).contains(&chunk.len())) && others.len() > 30);
    assert!(last.len() > 1 << 20);
    // Items that take no bytes are counted too, as far as may be received at once.
    check(&ItemSlice::new(vec![(); 200_000]), u64::MAX, |()| ());
}

/// The failure of reading a split.
fn failure<I: Input>(data: &Dataset<I>) -> (mapreduce_core::TaskFailure, bool) {
    let error = ship(data, 0, &mut |_| {}).unwrap_err();
    (error.failure, error.permanent)
}

#[test]
fn a_split_that_cannot_be_sent_is_a_failure_that_names_it() {
    let folder = Folder::new();
    let path = folder.file("text", "one\ntwo\n");
    let data = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap();
    fs::write(&path, "one\n").unwrap();
    let (failure, permanent) = failure(&data);
    assert_eq!((failure.kind, permanent), (FailureKind::Read, true));
    assert!(failure.place.ends_with("text, bytes 0 to 8"), "{failure}");
    fs::remove_file(&path).unwrap();
    let (failure, permanent) = self::failure(&data);
    assert_eq!((failure.kind, permanent), (FailureKind::Read, false));

    /// Items that are not what they seem.
    #[derive(Clone, Deserialize)]
    struct Odd(bool);
    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            if self.0 { Err(S::Error::custom("odd")) } else { panic!("very odd") }
        }
    }
    let data = |odd| Dataset::new(ItemSlice::new(vec![Odd(odd)])).unwrap();
    let (failure, permanent) = self::failure(&data(true));
    assert_eq!((failure.kind, permanent, &*failure.place), (FailureKind::Read, true, "items 0 to 1"));
    assert!(failure.message.starts_with("items from 0 on: cannot encode"), "{failure}");
    let (failure, permanent) = self::failure(&data(false));
    assert_eq!((failure.kind, permanent, &*failure.message), (FailureKind::Panic, false, "very odd"));
}

/// An input of the program's own that knows nothing of other nodes, nor of words.
#[derive(Clone, Debug)]
struct Own;

impl Input for Own {
    type Records = Items<u64>;
    fn shape(&self) {}
    fn splits(&self, _: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        Ok(vec![SplitInfo { pieces: Vec::new(), bytes: 0, first_record: None }; 2])
    }
    fn open<'a>(&'a self, _: &'a SplitInfo) -> Result<Box<dyn Blocks<Items<u64>> + 'a>, ReadError> {
        Err(ReadError::Malformed { place: "own".into(), message: "nothing".into() })
    }
    fn describe(&self, _: &SplitInfo) -> String {
        "own input".into()
    }
}

#[test]
fn inputs_that_stay_on_their_node_say_so() {
    let data = Dataset::new(Own).unwrap();
    let (failure, permanent) = failure(&data);
    assert_eq!((failure.kind, permanent), (FailureKind::Read, true));
    assert!(failure.message.starts_with("own input: this kind of input cannot be sent"), "{failure}");
    let error = data.on_shared_storage().unwrap_err().to_string();
    assert!(error.starts_with("own input: is not in files that other nodes could read"), "{error}");
    let error = numbers(4, 2).on_shared_storage().unwrap_err().to_string();
    assert!(error.starts_with("items 0 to 2: is not in files"), "{error}");
    let none = Dataset::new(ItemSlice::<u8, _>::new(vec![])).unwrap().on_shared_storage();
    assert!(none.unwrap_err().to_string().starts_with("an input without splits: is not in files"));
}

#[test]
fn a_task_is_placed_by_its_input() {
    let data = numbers(4, 2);
    assert_eq!(place(&data, TaskId::Map(1)), "items 2 to 4");
    assert_eq!(
        (&*place(&data, TaskId::Map(2)), &*place(&data, TaskId::Reduce(1))),
        ("split 2", "partition 1")
    );
}

fn on_shared_storage(path: &Path, split_bytes: u64) -> Dataset<TextFiles<Lines>> {
    let input = TextFiles::open_bytes([path]).unwrap();
    Dataset::with_split_bytes(input, split_bytes).unwrap().on_shared_storage().unwrap()
}

/// What a node that finds other files says.
fn refusal(files: &SharedFiles, split: &SplitInfo, fingerprint: u64) -> String {
    let error = files.open(split, fingerprint).err().expect("opened");
    assert_eq!((error.kind(), error.is_permanent()), (FailureKind::Storage, false));
    assert!(matches!(error, ReadError::NotShared { .. }), "{error}");
    error.to_string()
}

#[test]
fn files_that_are_not_the_drivers_are_refused() {
    let folder = Folder::new();
    let text = b"some line\n".repeat(50_000);
    let path = folder.file("text", &text);
    let data = on_shared_storage(&path, 100_000);
    let files = data.shared_files().unwrap();
    let split = &data.splits()[2];
    let fingerprint = files.fingerprint(split).unwrap();
    let refused = |content: &[u8], difference: &str| {
        fs::write(&path, content).unwrap();
        let message = refusal(files, split, fingerprint);
        let expected = format!("{}: is not the file that the driver reads: {difference}", path.display());
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.ends_with("or leave `on_shared_storage` out"), "{message}");
    };
    refused(&text[..text.len() - 1], "it has 499999 bytes here, but 500000 where the job was planned");
    refused(&[&text[..], b"x"].concat(), "it has 500001 bytes here, but 500000");
    refused(&b"other one\n".repeat(50_000), "the lengths are the same, the bytes are not");
    // The first and the last bytes of a split, and the one before it, which may end a line.
    for changed in [199_999, 200_000, 204_094, 295_904, 299_999] {
        let mut other = text.clone();
        other[changed] ^= 1;
        refused(&other, "the lengths are the same");
    }
    fs::remove_file(&path).unwrap();
    let message = refusal(files, split, fingerprint);
    assert!(
        message.contains("text: is not the file that the driver reads: it cannot be read here: "),
        "{message}"
    );
    fs::create_dir(&path).unwrap();
    let message = refusal(files, split, fingerprint);
    assert!(message.contains("it cannot be read here: it is not a file"), "{message}");
    fs::remove_dir(&path).unwrap();

    fs::write(&path, &text).unwrap();
    assert!(files.open(split, fingerprint).is_ok());
    // Of another split.
    assert!(refusal(files, &data.splits()[3], fingerprint).contains("the bytes are not"));
}

#[test]
fn every_byte_of_a_short_split_counts() {
    let folder = Folder::new();
    let text: Vec<u8> = (0..20_000u32).map(|i| (i % 251) as u8).collect();
    let path = folder.file("text", &text);
    let data = on_shared_storage(&path, u64::MAX);
    let (files, split) = (data.shared_files().unwrap(), &data.splits()[0]);
    let fingerprint = files.fingerprint(split).unwrap();
    for changed in (0..text.len()).step_by(997) {
        let mut other = text.clone();
        other[changed] ^= 0x80;
        fs::write(&path, other).unwrap();
        assert!(refusal(files, split, fingerprint).contains("the bytes are not"));
    }
}

#[test]
fn a_split_of_many_files_names_the_ones_that_may_differ() {
    let folder = Folder::new();
    let paths = folder.files(&["a\n", "b\n", "c\n"]);
    let data = Dataset::new(TextFiles::open(&paths).unwrap()).unwrap().on_shared_storage().unwrap();
    let (files, split) = (data.shared_files().unwrap(), &data.splits()[0]);
    assert!(files.paths().eq(&paths));
    let fingerprint = files.fingerprint(split).unwrap();
    fs::write(&paths[1], "x\n").unwrap();
    let message = refusal(files, split, fingerprint);
    assert!(message.contains("000.txt ... ") && message.contains("002.txt: is not the file"), "{message}");
    fs::write(&paths[1], "longer\n").unwrap();
    assert!(refusal(files, split, fingerprint).contains("001.txt: is not the file"));
}

#[test]
fn the_driver_notices_that_its_own_file_has_shrunk() {
    let folder = Folder::new();
    let path = folder.file("text", "one\ntwo\n");
    let data = on_shared_storage(&path, 100);
    let (files, split) = (data.shared_files().unwrap(), &data.splits()[0]);
    fs::write(&path, "one\n").unwrap();
    let error = files.fingerprint(split).unwrap_err();
    assert!(matches!(error, ReadError::Shrunk { expected: 8, found: 4, .. }), "{error}");
    fs::remove_file(&path).unwrap();
    assert!(matches!(files.fingerprint(split), Err(ReadError::Io { .. })));
}

#[test]
fn inputs_that_are_two_or_three_are_read_from_shared_storage_as_they_are_sent() {
    let folder = Folder::new();
    let lines =
        TextFiles::open_bytes([folder.file("a", "to be\nor not\n"), folder.file("b", "to be\n")]).unwrap();
    let rows = RowFiles::<u16>::open(folder.file("rows", (1..=40).collect::<Vec<u8>>()), 4, 3).unwrap();
    let three = Both::new(lines.clone(), Both::new(rows, lines.clone()));
    for split_bytes in [1, 7, u64::MAX] {
        check(&three, split_bytes, |record| format!("{record:?}"));
    }

    let data = Dataset::with_split_bytes(three, 1).unwrap().on_shared_storage().unwrap();
    let files = data.shared_files().unwrap();
    assert_eq!(files.paths().count(), 5);
    let mut foreign = data.splits()[0].clone();
    for pieces in [vec![], vec![Piece { source: 2, range: 0..1 }], vec![Piece { source: 1, range: 0..1 }]] {
        foreign.pieces = pieces;
        assert!(files.fingerprint(&foreign).unwrap_err().to_string().contains("not of these files"));
    }
    let fingerprints: Vec<_> = data.splits().iter().map(|split| files.fingerprint(split).unwrap()).collect();
    fs::write(folder.join("rows"), [0; 40]).unwrap();
    for (split, fingerprint) in data.splits().iter().zip(fingerprints) {
        let of_rows = data.input().describe(split).contains("rows");
        assert_eq!(files.open(split, fingerprint).is_err(), of_rows, "{split:?}");
    }

    let in_memory = Both::new(lines, ItemSlice::new([1u8]));
    let error = Dataset::new(in_memory).unwrap().on_shared_storage().unwrap_err();
    assert!(error.to_string().contains("leave `on_shared_storage` out"), "{error}");
}

#[test]
fn paths_are_made_absolute() {
    // The current folder of a test is that of its package.
    let data = on_shared_storage(Path::new("Cargo.toml"), 1 << 20);
    let files = data.shared_files().unwrap();
    let expected = std::env::current_dir().unwrap().join("Cargo.toml");
    assert!(files.paths().eq([&expected]));
    assert!(data.shared_files().is_some() && numbers(1, 1).shared_files().is_none());
}

#[cfg(unix)]
#[test]
fn paths_that_cannot_be_named_are_refused_at_once() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    if fs::write(&path, "a\n").is_err() {
        return; // Some file systems have no such names.
    }
    let data = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap();
    let error = data.on_shared_storage().unwrap_err().to_string();
    assert!(error.contains("is not UTF-8"), "{error}");
}

/// Splits come from another node.
#[test]
fn splits_that_are_not_of_the_files_are_refused() {
    let folder = Folder::new();
    let path = folder.file("text", [0; 100]);
    let lines = SharedFiles::lines([(&path, 100)]);
    let rows = |offset, row_bytes| SharedFiles::rows(&path, 100, offset, row_bytes);
    let split = |source, start, end| SplitInfo {
        pieces: vec![Piece { source, range: start..end }],
        bytes: 0,
        first_record: None,
    };
    for (files, split, fits) in [
        (&lines, split(0, 0, 100), true),
        (&lines, split(0, 100, 100), true),
        (&lines, split(0, 0, 101), false),
        (&lines, split(0, 3, 2), false),
        (&lines, split(1, 0, 1), false),
        (&lines, split(u32::MAX, 0, u64::MAX), false),
        (&rows(4, 8), split(0, 0, 12), true),
        (&rows(4, 8), split(0, 0, 13), false),
        (&rows(4, 8), split(0, 1 << 61, (1 << 61) + 1), false),
        (&rows(u64::MAX, 8), split(0, 0, 1), false),
        (&rows(0, 0), split(0, 0, 1), false),
        (&rows(0, u64::MAX), split(0, 0, 0), true),
    ] {
        let fingerprint = files.fingerprint(&split);
        assert_eq!(fingerprint.is_ok(), fits, "{split:?}");
        let opened = files.open(&split, fingerprint.unwrap_or_default());
        assert_eq!(opened.is_ok(), fits, "{split:?}");
        match opened {
            Ok(mut chunks) => while chunks.next_chunk().unwrap().is_some() {},
            Err(error) => assert!(matches!(error, ReadError::Malformed { .. }), "{error}"),
        }
    }
    // A split of nothing is the same everywhere.
    let nothing = SplitInfo { pieces: Vec::new(), bytes: 0, first_record: None };
    let fingerprint = lines.fingerprint(&nothing).unwrap();
    assert!(lines.open(&nothing, fingerprint).unwrap().next_chunk().unwrap().is_none());
    assert!(refusal(&lines, &nothing, fingerprint ^ 1).contains("a split without files"));
}

#[test]
fn what_an_engine_attaches_to_a_dataset_is_dropped_with_it() {
    let data = numbers(4, 2);
    let other = numbers(4, 2);
    assert_ne!(data.id(), other.id());
    let kept = Arc::new(());
    let first = data.attachment(1, || kept.clone());
    assert!(Arc::ptr_eq(&first, &data.attachment(1, || unreachable!("it is there"))));
    // Apart by owner, by type, and by dataset.
    assert!(!Arc::ptr_eq(&first, &data.attachment(2, || kept.clone())));
    assert_eq!(*data.attachment(1, || 7u64), 7);
    assert_eq!(*other.attachment(1, || 8u64), 8);
    drop(first);
    assert_eq!(Arc::strong_count(&kept), 3);
    drop(data);
    assert_eq!(Arc::strong_count(&kept), 1);
}
