//! Values: what their bytes and their text are.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use mapreduce_core::{Block, CodecError, Datum};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mean {
    sum: f64,
    count: u64,
}

fn text<V: Datum + ?Sized>(value: &V) -> String {
    let mut out = b"|".to_vec();
    value.write_text(&mut out).expect("the value has a text");
    String::from_utf8(out.split_off(1)).expect("the text is UTF-8")
}

#[test]
fn strings_and_bytes_stand_in_text_as_they_are() {
    assert_eq!(text("say \"hi\""), "say \"hi\"");
    assert_eq!(text(&"say \"hi\"".to_owned()), "say \"hi\"");
    assert_eq!(text(&b"raw"[..]), "raw");
    assert_eq!(text(&b"raw".to_vec()), "raw");
    assert_eq!(text(&'ö'), "ö");
}

#[test]
fn a_unit_is_nothing_in_text() {
    assert_eq!(text(&()), "");
    assert!(<() as Datum>::is_unit());
    assert!(!<u32 as Datum>::is_unit());
    assert!(!<str as Datum>::is_unit());
}

#[test]
fn numbers_and_bools_are_plain_in_text() {
    assert_eq!(text(&-7i64), "-7");
    assert_eq!(text(&u128::MAX), u128::MAX.to_string());
    assert_eq!(text(&true), "true");
    assert_eq!(text(&0.1f64), "0.1");
    assert_eq!(text(&0.1f32), "0.1");
    assert_eq!(text(&f64::NAN), "NaN");
    assert_eq!(text(&f32::INFINITY), "inf");
    assert_eq!(text(&f64::NEG_INFINITY), "-inf");
}

#[test]
fn everything_else_is_compact_json_in_text() {
    assert_eq!(text(&Mean { sum: 1.5, count: 2 }), r#"{"sum":1.5,"count":2}"#);
    assert_eq!(text(&(1u8, "a".to_owned(), None::<u8>)), r#"[1,"a",null]"#);
    assert_eq!(text(&BTreeMap::from([(1u32, 2u32)])), r#"{"1":2}"#);
    assert_eq!(text(&Block::from(vec![1.0, 2.5])), "[1.0,2.5]");
}

#[test]
fn what_json_cannot_hold_is_an_error_and_writes_nothing() {
    let map = HashMap::from([((1u8, 2u8), 3u8)]);
    let mut out = b"before".to_vec();
    let error = map.write_text(&mut out).unwrap_err();
    assert_eq!(out, b"before");
    assert!(matches!(error, CodecError::Text { .. }));
    assert!(error.to_string().contains("HashMap<(u8, u8), u8>"), "{error}");
}

#[test]
fn unsized_data_are_raw_bytes_and_are_borrowed() {
    let mut bytes = Vec::new();
    Datum::encode("word", &mut bytes).unwrap();
    assert_eq!(bytes, b"word");
    assert!(matches!(<str as Datum>::decode(&bytes), Ok(Cow::Borrowed("word"))));
    assert!(matches!(<[u8] as Datum>::decode(&bytes), Ok(Cow::Borrowed(b"word"))));
    let error = <str as Datum>::decode(b"\xFF").unwrap_err();
    assert!(error.to_string().starts_with("cannot decode 1 bytes as str: invalid utf-8"), "{error}");
}

#[test]
fn serde_types_come_back() {
    let mean = Mean { sum: -0.0, count: u64::MAX };
    let mut bytes = Vec::new();
    Datum::encode(&mean, &mut bytes).unwrap();
    assert_eq!(Mean::decode(&bytes).unwrap().into_owned(), mean);
}
