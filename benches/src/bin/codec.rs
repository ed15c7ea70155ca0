//! Million keys and values a second to bytes and back, against bytes put together by hand.
//!
//! `cargo run --release -p benches --bin codec [-- MILLIONS [RUNS]]`
//!
//! On one thread. Keys go through their order-preserving encoding, values through serde and the codec, as when they are
//! emitted and reduced: appended to one buffer, and decoded from the slice that is exactly theirs, with all checks. By
//! hand they are copied: numbers as fixed little-endian bytes (big-endian for keys), text as it is, several numbers one
//! behind the other.

use benches::{
    Failure,
    alternate::{Times, alternate, print_rates, timed},
    runs,
    text::Random,
};
use mapreduce_core::{Block, Datum, Key, codec};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, cell::RefCell, fmt::Debug, hint::black_box, time::Duration};

/// A value of several fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    user: u32,
    seconds: f64,
    pages: u16,
}

/// One way to bytes and back.
struct Form<T, B> {
    encode: fn(&T, &mut Vec<u8>),
    decode: fn(&[u8]) -> B,
}

fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (count, runs) = (argument(0, 4) * 1_000_000, argument(1, 5));
    let mut random = Random::new(5);
    let mut some = |count: usize| -> Vec<u64> { (0..count).map(|_| random.bits()).collect() };
    let word = |bits: &u64| String::from_utf8(runs::word(*bits)).expect("words are letters");

    // Keys.
    measure(
        "keys: u64",
        runs,
        &some(count),
        &Form { encode: |n, out| out.extend_from_slice(&n.to_be_bytes()), decode: be },
        &Form { encode: |n, out| Key::encode(n, out), decode: |bytes| of_key::<u64>(bytes) },
    );
    let words: Vec<String> = some(count).iter().map(word).collect();
    measure(
        "keys: String, looked at where it is",
        runs,
        &words,
        &Form { encode: |word, out| out.extend_from_slice(word.as_bytes()), decode: text_len },
        &Form {
            encode: |word, out| Key::encode(word.as_str(), out),
            decode: |bytes| <str as Key>::decode(bytes).map_or(0, |word| word.len()),
        },
    );
    let pairs: Vec<(String, u32)> = words.iter().zip(0..).map(|(word, n)| (word.clone(), n)).collect();
    measure(
        "keys: (String, u32)",
        runs,
        &pairs,
        &Form {
            encode: |(word, n), out| {
                out.extend_from_slice(word.as_bytes());
                out.push(0);
                out.extend_from_slice(&n.to_be_bytes());
            },
            decode: |bytes| {
                let (word, n) = bytes.split_at(bytes.len() - 4);
                (text(&word[..word.len() - 1]), u32::from_be_bytes(fixed(n)))
            },
        },
        &Form { encode: |pair, out| Key::encode(pair, out), decode: |bytes| of_key::<(String, u32)>(bytes) },
    );

    // Values.
    let counts: Vec<u64> = some(count).iter().map(|bits| bits % 200).collect();
    let by_hand = Form { encode: |n: &u64, out| out.extend_from_slice(&n.to_le_bytes()), decode: le };
    measure("values: u64 below 200, in one byte", runs, &counts, &by_hand, &coded());
    measure("values: u64 of any size", runs, &some(count), &by_hand, &coded());
    let visits: Vec<Visit> = some(count)
        .iter()
        .map(|&bits| Visit { user: bits as u32, seconds: bits as f64, pages: bits as u16 })
        .collect();
    measure(
        "values: a struct of u32, f64 and u16",
        runs,
        &visits,
        &Form {
            encode: |Visit { user, seconds, pages }, out| {
                out.extend_from_slice(&user.to_le_bytes());
                out.extend_from_slice(&seconds.to_le_bytes());
                out.extend_from_slice(&pages.to_le_bytes());
            },
            decode: |bytes| Visit {
                user: u32::from_le_bytes(fixed(&bytes[..4])),
                seconds: f64::from_le_bytes(fixed(&bytes[4..12])),
                pages: u16::from_le_bytes(fixed(&bytes[12..])),
            },
        },
        &coded(),
    );
    measure(
        "values: String",
        runs,
        &words,
        &Form { encode: |word, out| out.extend_from_slice(word.as_bytes()), decode: text },
        &coded(),
    );
    let vectors: Vec<Vec<f32>> =
        some(count / 64).iter().map(|&bits| (0..64).map(|i| (bits >> (i % 32)) as f32).collect()).collect();
    let by_hand = Form::<Vec<f32>, Vec<f32>> {
        encode: |vector, out| vector.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes())),
        decode: |bytes| bytes.chunks_exact(4).map(|n| f32::from_le_bytes(fixed(n))).collect(),
    };
    measure("values: Vec<f32> of 64", runs, &vectors, &by_hand, &coded());
    let blocks: Vec<Block<f32>> = vectors.iter().map(|vector| Block::from(vector.clone())).collect();
    measure(
        "values: Block<f32> of 64",
        runs,
        &blocks,
        &Form {
            encode: |block, out| block.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes())),
            decode: |bytes| {
                let numbers: Vec<f32> = bytes.chunks_exact(4).map(|n| f32::from_le_bytes(fixed(n))).collect();
                Block::from(numbers)
            },
        },
        &coded(),
    );
    Ok(())
}

/// Through the codec.
fn coded<T: Datum + Clone + Serialize + serde::de::DeserializeOwned>() -> Form<T, T> {
    Form {
        encode: |value, out| codec::encode(value, out).expect("the value has a form"),
        decode: |bytes| codec::decode(bytes).expect("it was encoded as such"),
    }
}

fn of_key<K: Key + ToOwned<Owned = K>>(bytes: &[u8]) -> K {
    K::decode(bytes).map(Cow::into_owned).expect("it was encoded as such")
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("so many bytes were written")
}

fn be(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(fixed(bytes))
}

fn le(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(fixed(bytes))
}

fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map(str::to_owned).expect("it was text")
}

fn text_len(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).map_or(0, str::len)
}

/// Prints the rates of both forms, in turns.
fn measure<T, B: PartialEq + Debug>(
    title: &str,
    runs: usize,
    items: &[T],
    by_hand: &Form<T, B>,
    ours: &Form<T, B>,
) {
    let encoded = [by_hand, ours].map(|form| {
        let mut encoded = Encoded::default();
        encoded.fill(form, items);
        RefCell::new(encoded)
    });
    for i in (0..items.len()).step_by(997) {
        let [a, b] = [(by_hand, 0), (ours, 1)].map(|(form, at)| (form.decode)(encoded[at].borrow().get(i)));
        assert_eq!(a, b, "both mean the same");
    }
    let write = |form, at: usize| -> Box<dyn FnMut() -> Duration + '_> {
        let encoded = &encoded[at];
        Box::new(timed(move || encoded.borrow_mut().fill(form, items)))
    };
    let read = |form: &Form<T, B>, at: usize| -> Box<dyn FnMut() -> Duration + '_> {
        let (decode, encoded) = (form.decode, &encoded[at]);
        Box::new(timed(move || {
            let encoded = encoded.borrow();
            (0..items.len()).for_each(|i| drop(black_box(decode(encoded.get(i)))));
        }))
    };
    let all = alternate(
        runs,
        vec![
            ("by hand", write(by_hand, 0)),
            ("encode", write(ours, 1)),
            ("by hand", read(by_hand, 0)),
            ("decode", read(ours, 1)),
        ],
    );
    let bytes = encoded.each_ref().map(|encoded| encoded.borrow().bytes.len() as f64 / items.len() as f64);
    println!("{title}: {:.1} bytes each by hand, {:.1} encoded", bytes[0], bytes[1]);
    let (to, from): (&[Times], &[Times]) = all.split_at(2);
    print_rates("to bytes", items.len() as f64 / 1e6, "M", to);
    print_rates("from bytes", items.len() as f64 / 1e6, "M", from);
}

/// Items as bytes, one behind the other.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    /// Encodes the items in place of what there was.
    fn fill<T, B>(&mut self, form: &Form<T, B>, items: &[T]) {
        self.bytes.clear();
        self.ends.clear();
        for item in items {
            (form.encode)(item, &mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }
}
