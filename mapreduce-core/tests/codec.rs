//! The codec: values come back, and bytes that are no value are refused within bounded time and memory.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Debug,
};

use mapreduce_core::{
    Block, CodecError,
    codec::{DEPTH_MAX, EMPTY_ELEMENTS_MAX, decode, encode},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser::SerializeSeq};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(f64),
    Line(i32, i64),
    Named { name: String, tags: Vec<String>, size: Option<u128> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    shapes: Vec<Shape>,
    by_name: BTreeMap<String, (bool, char, i8)>,
    bytes: [u16; 3],
    block: Block<f32>,
    unit: (),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tree {
    children: Vec<Tree>,
}

fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).expect("the value encodes");
    bytes
}

fn reason<T: DeserializeOwned + Debug>(bytes: &[u8]) -> String {
    match decode::<T>(bytes).expect_err("the bytes are no value") {
        CodecError::Decode { reason, .. } => reason.into_owned(),
        other => panic!("{other}"),
    }
}

/// A length prefix of eight bytes.
fn length(len: u64) -> Vec<u8> {
    let mut bytes = vec![253];
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes
}

fn everything() -> impl Strategy<Value = Everything> {
    let shape = prop_oneof![
        Just(Shape::Empty),
        (-1e9..1e9).prop_map(Shape::Circle),
        any::<(i32, i64)>().prop_map(|(x, y)| Shape::Line(x, y)),
        (".*", prop::collection::vec(".*", 0..3), any::<Option<u128>>())
            .prop_map(|(name, tags, size)| Shape::Named { name, tags, size }),
    ];
    (
        prop::collection::vec(shape, 0..6),
        prop::collection::btree_map(".*", any::<(bool, char, i8)>(), 0..4),
        any::<[u16; 3]>(),
        prop::collection::vec(-1e9f32..1e9, 0..5).prop_map(Block::from),
    )
        .prop_map(|(shapes, by_name, bytes, block)| Everything {
            shapes,
            by_name,
            bytes,
            block,
            unit: (),
        })
}

proptest! {
    #[test]
    fn a_value_comes_back(value in everything()) {
        prop_assert_eq!(decode::<Everything>(&bytes_of(&value))?, value);
    }

    #[test]
    fn every_truncation_and_extension_is_refused(value in everything()) {
        let mut bytes = bytes_of(&value);
        for len in 0..bytes.len() {
            prop_assert!(decode::<Everything>(&bytes[..len]).is_err());
        }
        bytes.push(0);
        let trailing = matches!(decode::<Everything>(&bytes), Err(CodecError::Trailing { .. }));
        prop_assert!(trailing);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Everything>(&bytes);
        let _ = decode::<Vec<Tree>>(&bytes);
        let _ = decode::<HashMap<String, Vec<Option<Shape>>>>(&bytes);
        let _ = decode::<HashSet<char>>(&bytes);
    }
}

#[test]
fn encoding_appends_and_small_integers_take_one_byte() {
    let mut out = b"before".to_vec();
    encode(&7u64, &mut out).unwrap();
    encode("abc", &mut out).unwrap();
    encode(&u64::MAX, &mut out).unwrap();
    assert_eq!(out, b"before\x07\x03abc\xFD\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
}

#[test]
fn a_value_that_cannot_be_encoded_leaves_the_buffer_as_it_was() {
    struct Unknown;
    impl Serialize for Unknown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(None)?;
            seq.serialize_element(&1)?;
            seq.end()
        }
    }
    let mut out = b"before".to_vec();
    let error = encode(&(1u8, Unknown), &mut out).unwrap_err();
    assert_eq!(out, b"before");
    assert!(error.to_string().contains("does not tell its length ahead"), "{error}");
    assert!(error.to_string().contains("Unknown"), "{error}");
}

#[test]
fn errors_name_the_type_and_the_reason() {
    assert_eq!(
        decode::<(u8, bool)>(&[1, 2]).unwrap_err().to_string(),
        "cannot decode 2 bytes as (u8, bool): a bool is 2, not 0 or 1"
    );
    assert_eq!(reason::<u64>(&[]), "the bytes end in the middle of the value");
    assert_eq!(reason::<Option<u8>>(&[2, 0]), "an option starts with 2, not with 0 or 1");
    assert_eq!(reason::<String>(&[1, 0xFF]), "a string is not UTF-8");
    assert_eq!(reason::<char>(&[0xFF]), "a char is not UTF-8");
    assert!(reason::<Shape>(&[4]).contains("expected variant index 0 <= i < 4"));
    assert!(reason::<serde_json::Value>(&[0]).contains("do without"));
    assert_eq!(
        decode::<u8>(&[1, 2, 3]).unwrap_err().to_string(),
        "cannot decode 3 bytes as u8: it takes only the first 1; was it written as another type?"
    );
}

#[test]
fn an_error_survives_the_codec() {
    let error = decode::<u8>(&[1, 2]).unwrap_err();
    assert_eq!(decode::<CodecError>(&bytes_of(&error)).unwrap(), error);
}

/// Without the guard these reserve the claimed memory and abort.
#[test]
fn a_length_that_lies_reserves_nothing() {
    for len in [1 << 34, 1 << 60, u64::MAX] {
        let bytes = length(len);
        assert!(decode::<String>(&bytes).is_err());
        assert!(decode::<Block<u8>>(&bytes).is_err());
        assert!(decode::<Vec<u64>>(&bytes).is_err());
        assert!(decode::<Vec<[u64; 32]>>(&bytes).is_err());
        assert!(decode::<HashMap<u64, String>>(&bytes).is_err());
    }
}

/// Without the guard this loops for centuries.
#[test]
fn elements_that_take_no_bytes_are_counted() {
    assert!(reason::<Vec<()>>(&length(1 << 60)).contains("claims 1152921504606846976 elements"));
    assert!(reason::<HashSet<()>>(&length(u64::MAX)).contains("elements"));
    let most = vec![(); EMPTY_ELEMENTS_MAX];
    assert_eq!(decode::<Vec<()>>(&bytes_of(&most)).unwrap().len(), EMPTY_ELEMENTS_MAX);

    // Many sequences share the one allowance.
    let rows = vec![vec![(); 200]; 1000];
    assert!(reason::<Vec<Vec<()>>>(&bytes_of(&rows)).contains("elements"));
}

#[test]
fn elements_that_take_bytes_need_no_allowance() {
    let many: Vec<u8> = vec![1; 10 * EMPTY_ELEMENTS_MAX];
    assert_eq!(decode::<Vec<u8>>(&bytes_of(&many)).unwrap(), many);
    let rows = vec![vec![1u64; 10]; EMPTY_ELEMENTS_MAX];
    assert_eq!(decode::<Vec<Vec<u64>>>(&bytes_of(&rows)).unwrap(), rows);
}

/// Without the guard this overflows the stack.
#[test]
fn nesting_is_bounded() {
    assert!(reason::<Tree>(&vec![1; 1 << 20]).contains("nest more than 256 deep"));
    // A tree is a struct and a sequence.
    let mut tree = Tree::default();
    for _ in 1..DEPTH_MAX / 2 {
        tree = Tree { children: vec![tree] };
    }
    assert_eq!(decode::<Tree>(&bytes_of(&tree)).unwrap(), tree);
    let bytes = bytes_of(&Tree { children: vec![tree] });
    assert!(reason::<Tree>(&bytes).contains("deep"));
}

#[test]
fn siblings_do_not_add_to_the_depth() {
    let tree = Tree { children: vec![Tree::default(); 10 * DEPTH_MAX] };
    assert_eq!(decode::<Tree>(&bytes_of(&tree)).unwrap(), tree);
}
