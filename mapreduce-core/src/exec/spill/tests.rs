//! Spill files come back as they were written, or are noticed.

use super::*;
use proptest::{collection::vec, prelude::*};

/// Contents of any length around that of a block, half of them compressible.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![0..300usize, BLOCK_BYTES - 2..BLOCK_BYTES + 3, 0..3 * BLOCK_BYTES];
    (len, any::<u64>(), any::<bool>()).prop_map(|(len, seed, plain)| {
        let noise = (0..len as u64).map(|i| ((i + 1).wrapping_mul(seed | 1) >> 40) as u8);
        noise.map(|byte| if plain { byte & 1 } else { byte }).collect()
    })
}

/// Where a run of that content lies.
fn write(memory: &Memory, content: &[u8]) -> (Arc<SpillFile>, u64, u64) {
    let mut writer = SpillWriter::create(memory).unwrap();
    let begin = writer.offset();
    writer.write(content).unwrap();
    writer.end_run().unwrap();
    let end = writer.offset();
    (writer.finish().unwrap(), begin, end)
}

fn read(file: &Arc<SpillFile>, begin: u64, end: u64) -> Result<Vec<u8>, SpillError> {
    let mut blocks = SpillBlocks::new(file.clone(), begin, end);
    let (mut all, mut block) = (Vec::new(), Vec::new());
    while blocks.next_block(&mut block)? {
        assert!((1..=BLOCK_BYTES).contains(&block.len()));
        all.extend_from_slice(&block);
    }
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn runs_come_back_as_they_were_written(contents in vec(content(), 1..6)) {
        let memory = Memory::limited(0);
        let mut writer = SpillWriter::create(&memory).unwrap();
        let mut ends = vec![0];
        for content in &contents {
            let (one, other) = content.split_at(content.len() / 3);
            writer.write(one).unwrap();
            writer.write(other).unwrap();
            prop_assert_eq!(writer.end_run().unwrap(), crate::hash::checksum(content));
            ends.push(writer.offset());
        }
        let file = writer.finish().unwrap();
        for (content, range) in contents.iter().zip(ends.windows(2)) {
            prop_assert!(read(&file, range[0], range[1]).unwrap() == *content);
        }
        prop_assert_eq!(memory.spilled_bytes(), *ends.last().unwrap());
    }
}

#[test]
fn what_compresses_takes_less_room_and_what_does_not_hardly_more() {
    let memory = Memory::limited(0);
    let (_file, begin, end) = write(&memory, &[b'x'; 10 * BLOCK_BYTES]);
    assert!(end - begin < BLOCK_BYTES as u64);
    let noise: Vec<u8> =
        (0..10 * BLOCK_BYTES as u64).map(|i| (crate::hash::partition(&i.to_le_bytes())) as u8).collect();
    let (_file, begin, end) = write(&memory, &noise);
    assert_eq!(end - begin, 10 * (BLOCK_BYTES + HEADER_BYTES) as u64);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let memory = Memory::limited(0);
    let (_first, ..) = write(&memory, b"in front");
    let (file, begin, end) = write(&memory, b"spilled spilled spilled spilled spilled");
    assert!(begin > 0);
    for at in begin..end {
        let mut byte = [0];
        read_exact_at(&file.file, &mut byte, at).unwrap();
        for bit in 0..8 {
            write_all_at(&file.file, &[byte[0] ^ 1 << bit], at).unwrap();
            let error = read(&file, begin, end).unwrap_err();
            assert!(matches!(error, SpillError::Damaged { offset, .. } if offset == begin), "{error}");
        }
        write_all_at(&file.file, &byte, at).unwrap();
    }
    assert_eq!(read(&file, begin, end).unwrap(), b"spilled spilled spilled spilled spilled");
}

#[test]
fn a_file_that_was_cut_or_a_block_that_moved_is_noticed() {
    let memory = Memory::limited(0);
    let (file, begin, end) = write(&memory, &[7; 100]);
    let mut block = vec![0; (end - begin) as usize];
    read_exact_at(&file.file, &mut block, begin).unwrap();
    write_all_at(&file.file, &block, end).unwrap();
    assert!(matches!(read(&file, end, 2 * end), Err(SpillError::Damaged { .. })));
    file.file.set_len(end - 1).unwrap();
    let error = read(&file, begin, end).unwrap_err().to_string();
    let folder = std::env::temp_dir();
    assert!(
        error.starts_with(&format!("{}: a spill file is damaged at byte 0", folder.display())),
        "{error}"
    );
}

#[test]
fn writers_share_a_file_and_its_space_goes_with_the_last_run() {
    let memory = Memory::limited(0);
    let abandoned = SpillWriter::create(&memory).unwrap();
    let (first, _, end) = write(&memory, b"first");
    assert_eq!(memory.files().open.lock().unwrap().len(), 1, "the abandoned writer still has its own");
    let mut unfinished = SpillWriter::create(&memory).unwrap();
    unfinished.write(&[1; 3 * WRITE_BYTES]).unwrap();
    drop((unfinished, abandoned));
    let (second, begin, _) = write(&memory, b"second");
    assert!(begin == 0 || (Arc::ptr_eq(&first, &second) && begin == end));
    let gone = [Arc::downgrade(&first), Arc::downgrade(&second)];
    drop((first, second));
    assert!(gone.iter().all(|file| file.upgrade().is_none()));
    assert_eq!(write(&memory, b"third").1, 0);
}

#[test]
fn a_long_file_is_not_appended_to() {
    let memory = Memory::limited(0);
    let (file, ..) = write(&memory, b"first");
    memory.files().open.lock().unwrap().clear();
    memory.files().put_back(&file, FILE_BYTES);
    assert!(!Arc::ptr_eq(&file, &write(&memory, b"second").0));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::limited(0).spilling_to(folder.path().join("gone"));
    let error = SpillWriter::create(&memory).err().unwrap().to_string();
    let gone = folder.path().join("gone").display().to_string();
    assert!(
        error.starts_with(&format!("{gone}: cannot spill: ")) && error.contains("spilling_to"),
        "{error}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told() {
    let memory = Memory::limited(0);
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    let full = Arc::new(SpillFile { file: full, folder: "the folder".into() });
    memory.files().put_back(&full, 0);
    let mut writer = SpillWriter::create(&memory).unwrap();
    writer.write(b"anything").unwrap();
    writer.end_run().unwrap();
    let error = writer.finish().unwrap_err();
    assert!(
        matches!(&error, SpillError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    );
    assert!(error.to_string().starts_with("the folder: cannot spill: No space left"), "{error}");
}
