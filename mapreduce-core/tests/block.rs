//! Blocks: raw on the wire, a list of numbers for people, added element by element.

use mapreduce_core::{
    Block,
    block::Number,
    codec::{decode, encode},
};
use proptest::prelude::*;

fn bytes_of<T: Number>(block: &Block<T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(block, &mut bytes).expect("a block encodes");
    bytes
}

#[test]
fn the_wire_form_is_a_length_and_little_endian_numbers() {
    assert_eq!(bytes_of(&Block::from(vec![1u16, 0x0203])), [4, 1, 0, 3, 2]);
    assert_eq!(bytes_of(&Block::from(vec![-2i32])), [4, 0xFE, 0xFF, 0xFF, 0xFF]);
    assert_eq!(bytes_of(&Block::from(vec![1.0f32])), [4, 0, 0, 0x80, 0x3F]);
    assert_eq!(bytes_of(&Block::<u128>::default()), [0]);
}

macro_rules! comes_back {
    ($($name:ident: $number:ty),*) => {
        proptest! {$(
            #[test]
            fn $name(numbers in prop::collection::vec(any::<$number>(), 0..20)) {
                let block = Block::from(numbers.clone());
                let back: Block<$number> = decode(&bytes_of(&block))?;
                prop_assert_eq!(back.into_vec(), numbers);
            }
        )*}
    };
}

comes_back! {
    u8_comes_back: u8, u16_comes_back: u16, u32_comes_back: u32, u64_comes_back: u64, u128_comes_back: u128,
    i8_comes_back: i8, i16_comes_back: i16, i32_comes_back: i32, i64_comes_back: i64, i128_comes_back: i128,
    f32_comes_back: f32, f64_comes_back: f64
}

#[test]
fn every_bit_of_a_nan_comes_back() {
    let nan = f64::from_bits(0xFFF0_0000_0000_0001);
    let back: Block<f64> = decode(&bytes_of(&Block::from(vec![nan]))).unwrap();
    assert_eq!(back[0].to_bits(), nan.to_bits());
}

#[test]
fn a_length_that_is_no_multiple_of_the_width_is_refused() {
    let error = decode::<Block<f64>>(&[3, 1, 2, 3]).unwrap_err().to_string();
    assert!(error.contains("invalid length 3, expected Block<f64> as raw bytes, a multiple of 8"), "{error}");
}

#[test]
fn json_is_a_list_of_numbers_and_comes_back() {
    let block = Block::from(vec![1.5f64, -2.0]);
    let json = serde_json::to_string(&block).unwrap();
    assert_eq!(json, "[1.5,-2.0]");
    assert_eq!(serde_json::from_str::<Block<f64>>(&json).unwrap(), block);
}

#[test]
fn blocks_add_element_by_element_and_short_ones_are_filled_with_zeros() {
    let mut sums = Block::<u64>::default();
    sums += &Block::from(vec![1, 2]);
    assert_eq!(*sums, [1, 2]);
    sums += &Block::from(vec![10, 20, 30]);
    assert_eq!(*sums, [11, 22, 30]);
    sums += &Block::from(vec![100]);
    sums += &Block::default();
    assert_eq!(*sums, [111, 22, 30]);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "overflow")]
fn a_sum_that_overflows_panics_where_overflow_is_checked() {
    let mut sums = Block::from(vec![255u8]);
    sums += &Block::from(vec![1]);
}

#[test]
fn a_block_is_a_slice_and_a_vec() {
    let mut block: Block<i32> = (0..3).collect();
    block[1] = 7;
    block.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(format!("{block:?}"), "[7, 2, 0]");
    assert_eq!(Vec::from(block.clone()), [7, 2, 0]);
    assert_eq!(Block::zeros(2), Block::from(vec![0i32, 0]));
}
