//! Million keys and values a second to bytes and back, against bytes put together by hand and, for values, bincode alone.
//!
//! `cargo run --release -p benches --bin codec [-- MILLIONS [RUNS]]`
//!
//! On one thread. Keys go through their order-preserving encoding, values through serde and the codec, as when they are
//! emitted and reduced: appended to one buffer, and decoded from the slice that is exactly theirs, with all checks. By
//! hand they are copied: numbers as fixed little-endian bytes (big-endian for keys), text as it is, several numbers one
//! behind the other. bincode alone writes the bytes that the codec writes, and reads them without the guard that the codec
//! has against damaged and hostile ones.

use benches::{
    Failure,
    alternate::{Contestant, Times, alternate, print_rates, timed},
    runs,
    text::Random,
};
use mapreduce_core::{Block, Datum, Key, codec};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, cell::RefCell, fmt::Debug, hint::black_box};

/// A value of several fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    user: u32,
    seconds: f64,
    pages: u16,
}

/// One way to bytes and back.
#[derive(Clone, Copy)]
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
        &[
            ("by hand", Form { encode: |n, out| out.extend_from_slice(&n.to_be_bytes()), decode: be }),
            ("key", Form { encode: |n, out| Key::encode(n, out), decode: |bytes| of_key::<u64>(bytes) }),
        ],
    );
    let words: Vec<String> = some(count).iter().map(word).collect();
    measure(
        "keys: String, looked at where it is",
        runs,
        &words,
        &[
            (
                "by hand",
                Form { encode: |word, out| out.extend_from_slice(word.as_bytes()), decode: text_len },
            ),
            (
                "key",
                Form {
                    encode: |word, out| Key::encode(word.as_str(), out),
                    decode: |bytes| <str as Key>::decode(bytes).map_or(0, |word| word.len()),
                },
            ),
        ],
    );
    let pairs: Vec<(String, u32)> = words.iter().zip(0..).map(|(word, n)| (word.clone(), n)).collect();
    let by_hand = Form::<(String, u32), _> {
        encode: |(word, n), out| {
            out.extend_from_slice(word.as_bytes());
            out.push(0);
            out.extend_from_slice(&n.to_be_bytes());
        },
        decode: |bytes| {
            let (word, n) = bytes.split_at(bytes.len() - 4);
            (text(&word[..word.len() - 1]), u32::from_be_bytes(fixed(n)))
        },
    };
    let key = Form { encode: |pair, out| Key::encode(pair, out), decode: |bytes| of_key(bytes) };
    measure("keys: (String, u32)", runs, &pairs, &[("by hand", by_hand), ("key", key)]);

    // Values.
    let counts: Vec<u64> = some(count).iter().map(|bits| bits % 200).collect();
    let by_hand = Form { encode: |n: &u64, out| out.extend_from_slice(&n.to_le_bytes()), decode: le };
    measure_values("values: u64 below 200, in one byte", runs, &counts, by_hand);
    measure_values("values: u64 of any size", runs, &some(count), by_hand);
    let visits: Vec<Visit> = some(count)
        .iter()
        .map(|&bits| Visit { user: bits as u32, seconds: bits as f64, pages: bits as u16 })
        .collect();
    measure_values(
        "values: a struct of u32, f64 and u16",
        runs,
        &visits,
        Form {
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
    );
    measure_values(
        "values: String",
        runs,
        &words,
        Form { encode: |word, out| out.extend_from_slice(word.as_bytes()), decode: text },
    );
    let vectors: Vec<Vec<f32>> =
        some(count / 64).iter().map(|&bits| (0..64).map(|i| (bits >> (i % 32)) as f32).collect()).collect();
    let by_hand = Form::<Vec<f32>, Vec<f32>> {
        encode: |vector, out| vector.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes())),
        decode: |bytes| bytes.chunks_exact(4).map(|n| f32::from_le_bytes(fixed(n))).collect(),
    };
    measure_values("values: Vec<f32> of 64", runs, &vectors, by_hand);
    let blocks: Vec<Block<f32>> = vectors.iter().map(|vector| Block::from(vector.clone())).collect();
    measure_values(
        "values: Block<f32> of 64",
        runs,
        &blocks,
        Form {
            encode: |block, out| block.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes())),
            decode: |bytes| {
                let numbers: Vec<f32> = bytes.chunks_exact(4).map(|n| f32::from_le_bytes(fixed(n))).collect();
                Block::from(numbers)
            },
        },
    );
    Ok(())
}

/// Values by hand, by bincode alone, and by the codec.
fn measure_values<T>(title: &str, runs: usize, items: &[T], by_hand: Form<T, T>)
where
    T: Datum + Clone + Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    measure(title, runs, items, &[("by hand", by_hand), ("bincode alone", bare()), ("codec", coded())]);
}

/// Through bincode, in the configuration that the codec uses.
fn bare<T: Serialize + serde::de::DeserializeOwned>() -> Form<T, T> {
    Form {
        encode: |value, out| {
            bincode::serde::encode_into_std_write(value, out, bincode::config::standard())
                .expect("the value has a form");
        },
        decode: |bytes| {
            let decoded = bincode::serde::decode_from_slice(bytes, bincode::config::standard());
            decoded.expect("it was encoded as such").0
        },
    }
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

/// Prints the rates of all forms, in turns.
fn measure<T, B: PartialEq + Debug>(title: &str, runs: usize, items: &[T], forms: &[(&str, Form<T, B>)]) {
    let encoded: Vec<RefCell<Encoded>> = forms
        .iter()
        .map(|(_, form)| {
            let mut encoded = Encoded::default();
            encoded.fill(form, items);
            RefCell::new(encoded)
        })
        .collect();
    for i in (0..items.len()).step_by(997) {
        let values: Vec<B> =
            forms.iter().zip(&encoded).map(|((_, form), of)| (form.decode)(of.borrow().get(i))).collect();
        values.windows(2).for_each(|two| assert_eq!(two[0], two[1], "all mean the same"));
    }
    let mut all: Vec<Contestant<'_>> = Vec::new();
    for ((name, form), encoded) in forms.iter().zip(&encoded) {
        all.push((name, Box::new(timed(move || encoded.borrow_mut().fill(form, items)))));
    }
    for ((name, form), encoded) in forms.iter().zip(&encoded) {
        let read = move || {
            let encoded = encoded.borrow();
            (0..items.len()).for_each(|i| drop(black_box((form.decode)(encoded.get(i)))));
        };
        all.push((name, Box::new(timed(read))));
    }
    let times = alternate(runs, all);
    let sizes: Vec<String> = forms
        .iter()
        .zip(&encoded)
        .map(|((name, _), encoded)| {
            format!("{:.1} bytes each {name}", encoded.borrow().bytes.len() as f64 / items.len() as f64)
        })
        .collect();
    println!("{title}: {}", sizes.join(", "));
    let (to, from): (&[Times], &[Times]) = times.split_at(forms.len());
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
