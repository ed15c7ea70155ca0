//! Inputs in formats of their own: compressed text, CSV, records of a fixed length, Parquet. Every record is read once and
//! in order, here and on other nodes, whatever the splits; and what is wrong with a file is said.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

#[path = "../common/mod.rs"]
mod common;

mod changed;
mod compressed;
mod csv;
mod fixed;
mod parquet;

use mapreduce_core::{Dataset, Error, Input, ReadError, Records, codec, engine::ship, input::SharedFiles};

/// The records of all splits as this node reads them.
fn opened<T, I: Input>(
    data: &Dataset<I>,
    own: impl Fn(<I::Records as Records>::Record<'_>) -> T,
) -> Result<Vec<T>, ReadError> {
    let mut records = Vec::new();
    for split in data.splits() {
        let mut blocks = data.input().open(split)?;
        while let Some(block) = blocks.next_block()? {
            records.extend(block.into_iter().map(&own));
        }
    }
    Ok(records)
}

/// The records of all splits as other nodes read them, which are sent them, or which share the files if those can be
/// shared.
fn elsewhere<T, I: Input>(
    data: &Dataset<I>,
    files: Option<SharedFiles>,
    own: impl Fn(<I::Records as Records>::Record<'_>) -> T,
) -> Vec<T> {
    let mut encoded = Vec::new();
    codec::encode(&(data.input().shape(), &files), &mut encoded).unwrap();
    let (shape, files): (<I::Records as Records>::Shape, Option<SharedFiles>) =
        codec::decode(&encoded).unwrap();
    let (mut records, mut buffer) = (Vec::new(), Default::default());
    for (index, split) in data.splits().iter().enumerate() {
        let mut sent = Vec::new();
        ship(data, index as u32, &mut |chunk| sent.push(chunk.to_vec())).unwrap();
        if let Some(files) = &files {
            let fingerprint = data.shared_files().unwrap().fingerprint(split).unwrap();
            let (mut chunks, mut shared) = (files.open(split, fingerprint).unwrap(), Vec::new());
            while let Some(chunk) = chunks.next_chunk().unwrap() {
                shared.push(chunk.to_vec());
            }
            assert!(shared == sent, "{split:?}: shared files differ from what is sent");
        }
        for chunk in sent {
            let block = <I::Records as Records>::block(&shape, &chunk, &mut buffer).unwrap();
            records.extend(block.into_iter().map(&own));
        }
    }
    records
}

/// Reads an input in every way, cut in several ways. All must give the same.
fn read<T: PartialEq, I: Input + Clone>(
    input: &I,
    split_bytes: &[u64],
    own: impl Fn(<I::Records as Records>::Record<'_>) -> T,
) -> Vec<T> {
    let all = opened(&Dataset::new(input.clone()).unwrap(), &own).unwrap();
    for bytes in split_bytes {
        let data = Dataset::with_split_bytes(input.clone(), *bytes).unwrap();
        let data = if input.files().is_some() { data.on_shared_storage().unwrap() } else { data };
        assert!(opened(&data, &own).unwrap() == all, "splits of {bytes}");
        let there = elsewhere(&data, data.shared_files().cloned(), &own);
        assert!(there == all, "splits of {bytes}, elsewhere: {} records, not {}", there.len(), all.len());
        let mut next = 0;
        for split in data.splits() {
            assert!(split.bytes > 0 && !split.pieces.is_empty(), "{split:?}");
            let Some(first) = split.first_record else { continue };
            assert_eq!(first, next, "{split:?}");
            let mut blocks = data.input().open(split).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                next += block.into_iter().count() as u64;
            }
        }
        assert!(next == 0 || next == all.len() as u64);
    }
    all
}

/// The error of reading all splits.
fn failure<I: Input>(input: I) -> ReadError {
    let data = Dataset::new(input).unwrap();
    for split in data.splits() {
        let read = || -> Result<(), ReadError> {
            let mut blocks = data.input().open(split)?;
            while blocks.next_block()?.is_some() {}
            Ok(())
        };
        if let Err(error) = read() {
            return error;
        }
    }
    panic!("should have failed");
}

/// The message of an input that is refused before anything runs.
fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("should have failed"),
        Err(error @ (Error::Input { .. } | Error::Read(_))) => error.to_string(),
        Err(other) => panic!("{other}"),
    }
}
