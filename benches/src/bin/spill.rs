//! Megabytes a second of a sorted run on its way to a spill file and back, against LZ4 blocks written to a file by hand.
//!
//! `cargo run --release -p benches --bin spill [-- MEGABYTES [RUNS]]`
//!
//! On one thread, for three kinds of pairs: words with counts, lines of hexadecimal digits, and values that no compression
//! makes smaller. By hand: blocks of 64 KiB through `lz4_flex`, with their lengths in front and four to a write, into an
//! unnamed temporary file; without the checksums, without counting pairs, and compressed whether that pays or not. `plain`
//! writes the bytes as they are. The files stay in the page cache: nothing is said about disks.

use benches::{
    Failure,
    alternate::{Times, alternate, print_rates},
    runs::{self, Bytes},
};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use mapreduce_core::{
    Memory,
    exec::{Run, RunSpiller},
};
use std::{
    cell::RefCell,
    fs::File,
    hint::black_box,
    io::{Read, Seek, Write},
    time::{Duration, Instant},
};

const BLOCK_BYTES: usize = 64 << 10;
const WRITE_BYTES: usize = 256 << 10;

fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (megabytes, runs) = (argument(0, 100), argument(1, 5));
    let pairs = |pair_bytes: usize| megabytes * 1_000_000 / pair_bytes;
    let count = |random: &mut benches::text::Random| vec![(random.bits() % 200) as u8];
    let noise =
        |random: &mut benches::text::Random| (0..11).flat_map(|_| random.bits().to_le_bytes()).collect();
    let kinds = [
        ("words with counts", Bytes::random(1, pairs(15), runs::word, count)),
        ("lines", Bytes::random(2, pairs(92), runs::line, |_| Vec::new())),
        ("values of noise", Bytes::random(3, pairs(98), runs::number, noise)),
    ];
    for (name, run) in kinds {
        measure(name, &run, runs)?;
    }
    Ok(())
}

/// Writes and reads a run in each way, in turns.
fn measure(name: &str, source: &Bytes, runs: usize) -> Result<(), Failure> {
    let memory = Memory::limited(0);
    let spilled = RefCell::new(spill(&memory, source)?);
    let (blocks, plain) = (RefCell::new(write_blocks(source)?), RefCell::new(write_plain(source)?));
    let compressed = memory.spilled_bytes() as f64 / source.bytes.len() as f64;
    let all = alternate(
        runs,
        vec![
            ("LZ4 blocks by hand", keeping(&blocks, || write_blocks(source))),
            ("plain", keeping(&plain, || write_plain(source))),
            ("spill file", keeping(&spilled, || spill(&memory, source))),
            ("LZ4 blocks by hand", checking(source, || read_blocks(&mut blocks.borrow_mut()))),
            ("plain", checking(source, || read_plain(&mut plain.borrow_mut()))),
            ("spill file", checking(source, || read_spilled(&spilled.borrow()))),
            ("spill file, pair by pair", checking(source, || read_pairs(&spilled.borrow()))),
        ],
    );
    let megabytes = source.bytes.len() as f64 / 1e6;
    println!(
        "{name}: {megabytes:.0} MB, {} pairs, {:.0} % of it in the spill file",
        source.pairs,
        compressed * 100.0
    );
    let (written, read): (&[Times], &[Times]) = all.split_at(3);
    print_rates("written", megabytes, "MB", written);
    print_rates("read back", megabytes, "MB", read);
    Ok(())
}

/// Times what makes a file, and keeps it in place of the last one, which is dropped outside of the measured time.
fn keeping<'a, T: 'a>(
    place: &'a RefCell<T>,
    make: impl Fn() -> Result<T, Failure> + 'a,
) -> Box<dyn FnMut() -> Duration + 'a> {
    Box::new(move || {
        let start = Instant::now();
        let made = make().expect("what has been written once can be written again");
        let time = start.elapsed();
        *place.borrow_mut() = made;
        time
    })
}

/// Times what reads a file, which gives how many bytes there were.
fn checking<'a>(
    source: &'a Bytes,
    read: impl Fn() -> Result<usize, Failure> + 'a,
) -> Box<dyn FnMut() -> Duration + 'a> {
    Box::new(move || {
        let start = Instant::now();
        let bytes = read().expect("what has been written can be read");
        let time = start.elapsed();
        assert_eq!(bytes, source.bytes.len(), "everything comes back");
        time
    })
}

fn spill(memory: &Memory, source: &Bytes) -> Result<Run, Failure> {
    let mut spiller = RunSpiller::create(memory)?;
    for piece in source.bytes.chunks(WRITE_BYTES) {
        spiller.push(piece)?;
    }
    let run = spiller.finish(source.pairs)?.ok_or("the run is whole")?;
    assert!(run.in_memory().is_none(), "there is no memory for it");
    Ok(run)
}

fn read_spilled(run: &Run) -> Result<usize, Failure> {
    let (mut chunks, mut bytes) = (run.chunks(), 0);
    while let Some(chunk) = chunks.next_chunk()? {
        bytes += black_box(chunk).len();
    }
    Ok(bytes)
}

fn read_pairs(run: &Run) -> Result<usize, Failure> {
    let mut reader = run.reader();
    while let Some(pair) = reader.next_pair()? {
        black_box(pair);
    }
    Ok(run.byte_len() as usize)
}

fn write_blocks(source: &Bytes) -> Result<File, Failure> {
    let mut file = tempfile::tempfile()?;
    let mut gathered = Vec::with_capacity(WRITE_BYTES + 2 * BLOCK_BYTES);
    let mut block = vec![0; get_maximum_output_size(BLOCK_BYTES)];
    for piece in source.bytes.chunks(BLOCK_BYTES) {
        let len = compress_into(piece, &mut block)?;
        gathered.extend_from_slice(&(piece.len() as u32).to_le_bytes());
        gathered.extend_from_slice(&(len as u32).to_le_bytes());
        gathered.extend_from_slice(&block[..len]);
        if gathered.len() >= WRITE_BYTES {
            file.write_all(&gathered)?;
            gathered.clear();
        }
    }
    file.write_all(&gathered)?;
    Ok(file)
}

fn read_blocks(file: &mut File) -> Result<usize, Failure> {
    file.rewind()?;
    let (mut header, mut compressed, mut block, mut bytes) = ([0; 8], Vec::new(), vec![0; BLOCK_BYTES], 0);
    let mut file = std::io::BufReader::with_capacity(BLOCK_BYTES, file);
    while file.read_exact(&mut header).is_ok() {
        let [raw, len] = [&header[..4], &header[4..]]
            .map(|half| half.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)));
        compressed.resize(len, 0);
        file.read_exact(&mut compressed)?;
        bytes += decompress_into(&compressed, &mut block[..raw])?;
        black_box(&block);
    }
    Ok(bytes)
}

fn write_plain(source: &Bytes) -> Result<File, Failure> {
    let mut file = tempfile::tempfile()?;
    for piece in source.bytes.chunks(WRITE_BYTES) {
        file.write_all(piece)?;
    }
    Ok(file)
}

fn read_plain(file: &mut File) -> Result<usize, Failure> {
    file.rewind()?;
    let (mut block, mut bytes) = (vec![0; BLOCK_BYTES], 0);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(bytes),
            read => bytes += read,
        }
        black_box(&block);
    }
}
