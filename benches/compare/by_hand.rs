//! What one would write by hand with rayon and hash maps, without a framework: all of the input in memory, all of the
//! threads in each step, one file as output.
//!
//! `by_hand (word-count | sort | sum-by-key) INPUT OUTPUT THREADS`

use foldhash::fast::FixedState;
use rayon::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    env,
    error::Error,
    fs::{self, File},
    hash::Hash,
    io::{self, Write},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

type Map<K> = HashMap<K, u64, FixedState>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [contest, input, output, threads] = arguments.as_slice() else {
        return Err("usage: by_hand (word-count | sort | sum-by-key) INPUT OUTPUT THREADS".into());
    };
    let work = match contest.as_str() {
        "word-count" => word_count,
        "sort" => sort,
        "sum-by-key" => sum_by_key,
        other => return Err(format!("no contest {other}").into()),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    Ok(pool.install(|| work(Path::new(input), Path::new(output)))?)
}

/// A hash map for each thread, over pieces of the text; merged, sorted, written.
fn word_count(input: &Path, output: &Path) -> io::Result<()> {
    let text = fs::read(input)?;
    let pieces = pieces(&text);
    let counts = fold_maps(&pieces, |counts: &mut Map<&[u8]>, piece| {
        for word in piece.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            *counts.entry(word).or_default() += 1;
        }
    });
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.par_sort_unstable();
    write(output, &sorted, |out, (word, n)| {
        out.extend_from_slice(word);
        writeln!(out, "\t{n}")
    })
}

/// The lines with their first eight bytes in front, which decide most comparisons; sorted, written.
fn sort(input: &Path, output: &Path) -> io::Result<()> {
    let text = fs::read(input)?;
    let prefix = |line: &[u8]| {
        let mut bytes = [0; 8];
        let len = line.len().min(8);
        bytes[..len].copy_from_slice(&line[..len]);
        u64::from_be_bytes(bytes)
    };
    let mut lines: Vec<(u64, &[u8])> = pieces(&text)
        .into_par_iter()
        .flat_map_iter(|piece| {
            let whole = piece.strip_suffix(b"\n").unwrap_or(piece);
            whole.split(|&byte| byte == b'\n').map(|line| (prefix(line), line))
        })
        .collect();
    lines.par_sort_unstable();
    write(output, &lines, |out, (_, line)| {
        out.extend_from_slice(line);
        out.push(b'\n');
        Ok(())
    })
}

/// As word count if there are few keys. Otherwise rows in buckets by the high bits of their keys, which are spread evenly
/// here, and a hash map for each bucket; sorted, written.
fn sum_by_key(input: &Path, output: &Path) -> io::Result<()> {
    let bytes = fs::read(input)?;
    let pieces: Vec<&[u8]> = bytes.chunks(16 << 16).collect();
    let first: HashSet<u64, FixedState> =
        rows(pieces.first().unwrap_or(&&[][..])).map(|(key, _)| key).collect();
    let sums = if first.len() < 1 << 14 {
        let sums = fold_maps(&pieces, |sums: &mut Map<u64>, piece| {
            rows(piece).for_each(|(key, value)| *sums.entry(key).or_default() += value);
        });
        let mut sorted: Vec<_> = sums.into_iter().collect();
        sorted.par_sort_unstable();
        sorted
    } else {
        sums_of_buckets(&pieces)
    };
    write(output, &sums, |out, (key, sum)| writeln!(out, "{key}\t{sum}"))
}

fn sums_of_buckets(pieces: &[&[u8]]) -> Vec<(u64, u64)> {
    const BUCKETS: usize = 1 << 8;
    let of_threads: Vec<Vec<Vec<(u64, u64)>>> = pieces
        .par_chunks(pieces.len().div_ceil(rayon::current_num_threads()))
        .map(|pieces| {
            let mut buckets = vec![Vec::new(); BUCKETS];
            for (key, value) in pieces.iter().flat_map(|piece| rows(piece)) {
                buckets[(key >> (63 - 8)) as usize % BUCKETS].push((key, value));
            }
            buckets
        })
        .collect();
    let sums: Vec<Vec<(u64, u64)>> = (0..BUCKETS)
        .into_par_iter()
        .map(|bucket| {
            let mut sums = Map::<u64>::default();
            for (key, value) in of_threads.iter().flat_map(|buckets| &buckets[bucket]) {
                *sums.entry(*key).or_default() += value;
            }
            let mut sorted: Vec<_> = sums.into_iter().collect();
            sorted.sort_unstable();
            sorted
        })
        .collect();
    sums.concat()
}

fn rows(piece: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let number =
        |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("rows are cut into two times 8 bytes"));
    piece.chunks_exact(16).map(move |row| (number(&row[..8]), number(&row[8..])))
}

/// About a megabyte of whole lines each.
fn pieces(text: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let target = rest.len().min(1 << 20);
        let end = rest[target..].iter().position(|&b| b == b'\n').map_or(rest.len(), |at| target + at + 1);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// A hash map for each thread, over pieces; merged.
fn fold_maps<P: Sync, K: Hash + Eq + Send>(pieces: &[P], fold: impl Fn(&mut Map<K>, &P) + Sync) -> Map<K> {
    let next = AtomicUsize::new(0);
    let of_threads = rayon::broadcast(|_| {
        let mut map = Map::default();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            fold(&mut map, piece);
        }
        map
    });
    let merged = of_threads.into_iter().reduce(|mut all, map| {
        for (key, n) in map {
            *all.entry(key).or_default() += n;
        }
        all
    });
    merged.unwrap_or_default()
}

/// Formats rows on all threads, some at a time, and writes them in order.
fn write<T: Sync>(
    output: &Path,
    rows: &[T],
    format: impl Fn(&mut Vec<u8>, &T) -> io::Result<()> + Sync,
) -> io::Result<()> {
    const BATCH: usize = 1 << 14;
    let mut file = File::create(output)?;
    for some in rows.chunks(BATCH * 16) {
        let texts: Vec<Vec<u8>> = some
            .par_chunks(BATCH)
            .map(|batch| {
                let mut text = Vec::new();
                batch.iter().try_for_each(|row| format(&mut text, row)).map(|()| text)
            })
            .collect::<io::Result<_>>()?;
        texts.iter().try_for_each(|text| file.write_all(text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn of(work: fn(&Path, &Path) -> io::Result<()>, input: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&source, input).unwrap();
        work(&source, &target).unwrap();
        fs::read_to_string(target).unwrap()
    }

    #[test]
    fn words_are_counted_and_sorted() {
        assert_eq!(of(word_count, b"to be  or\nnot to\tbe\n"), "be\t2\nnot\t1\nor\t1\nto\t2\n");
        assert_eq!(of(word_count, b""), "");
    }

    #[test]
    fn lines_are_sorted_whole() {
        assert_eq!(of(sort, b"long line b\nlong line a\n\nb\na"), "\na\nb\nlong line a\nlong line b\n");
        assert_eq!(of(sort, b""), "");
    }

    #[test]
    fn many_keys_have_the_sums_that_a_tree_gives() {
        let rows: Vec<[u64; 2]> =
            (0..40_000_u64).map(|i| [(i % 30_000).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1, i]).collect();
        let mut expected = BTreeMap::<u64, u64>::new();
        rows.iter().for_each(|[key, value]| *expected.entry(*key).or_default() += value);
        let expected: String = expected.iter().map(|(key, sum)| format!("{key}\t{sum}\n")).collect();
        let bytes: Vec<u8> = rows.as_flattened().iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(of(sum_by_key, &bytes), expected);
    }

    #[test]
    fn values_are_summed_in_the_order_of_keys() {
        let rows = [[1_u64 << 62, 5], [3, 1], [1 << 62, 6], [u64::MAX >> 1, 2]];
        let bytes: Vec<u8> = rows.as_flattened().iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(of(sum_by_key, &bytes), "3\t1\n4611686018427387904\t11\n9223372036854775807\t2\n");
        assert_eq!(of(sum_by_key, b""), "");
    }
}
