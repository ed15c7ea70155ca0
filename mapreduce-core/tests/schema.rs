//! Schemas: equal exactly where the wire forms are.

use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use mapreduce_core::{Block, Datum, Schema, impl_key};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

fn text<T: Datum + ?Sized>() -> String {
    Schema::of::<T>().as_str().to_owned()
}

/// Types named `Visit`, one a module, and what their schema is.
macro_rules! visits {
    ($($module:ident { $($item:tt)* })*) => {$(
        mod $module {
            use super::*;
            #[derive(Clone, Serialize, Deserialize)]
            pub(super) struct Visit $($item)*
        }
    )*};
}

visits! {
    original { { country: String, day: u32 } }
    copy { { country: Box<str>, day: u32 } }
    added { { country: String, day: u32, hits: u8 } }
    renamed { { land: String, day: u32 } }
    reordered { { day: u32, country: String } }
    retyped { { country: String, day: i32 } }
    nameless { (String, u32); }
    serde_renamed { { #[serde(rename = "country")] land: String, day: u32 } }
}

#[test]
fn the_same_shape_has_the_same_hash_wherever_it_is_declared() {
    let hash = Schema::of::<original::Visit>().hash();
    assert_eq!(Schema::of::<copy::Visit>().hash(), hash);
    assert_eq!(Schema::of::<serde_renamed::Visit>().hash(), hash);
    assert_eq!(Schema::of::<Box<original::Visit>>().hash(), hash);
}

#[test]
fn any_change_of_a_field_changes_the_hash() {
    let hashes = [
        Schema::of::<original::Visit>().hash(),
        Schema::of::<added::Visit>().hash(),
        Schema::of::<renamed::Visit>().hash(),
        Schema::of::<reordered::Visit>().hash(),
        Schema::of::<retyped::Visit>().hash(),
        Schema::of::<nameless::Visit>().hash(),
    ];
    for (i, a) in hashes.iter().enumerate() {
        for b in &hashes[i + 1..] {
            assert_ne!(a, b);
        }
    }
}

/// If this fails, programs that were built before the change refuse those built after it.
#[test]
fn the_hash_never_drifts() {
    assert_eq!(text::<original::Visit>(), "Visit{country:str,day:u32}");
    assert_eq!(Schema::of::<original::Visit>().hash(), 15_209_750_141_221_163_207);
}

#[test]
fn scalars_and_collections() {
    assert_eq!(text::<(bool, char, f32, f64, ())>(), "(bool,char,f32,f64,())");
    assert_eq!(text::<(i8, i16, i32, i64, i128)>(), "(i8,i16,i32,i64,i128)");
    assert_eq!(text::<(u8, u16, u32, u64, u128)>(), "(u8,u16,u32,u64,u128)");
    assert_eq!(text::<(usize, isize)>(), "(u64,i64)");
    assert_eq!(text::<[f64; 3]>(), "(f64*3)");
    assert_eq!(text::<(u8, u8, String)>(), "(u8*2,str)");
    assert_eq!(text::<Option<Vec<String>>>(), "[str]?");
    assert_eq!(text::<HashMap<String, BTreeMap<u8, ()>>>(), "[str=>[u8=>()]]");
    assert_eq!(text::<PhantomData<u8>>(), "PhantomData;");
}

#[test]
fn std_types_with_a_deserialize_of_their_own() {
    assert_eq!(text::<NonZeroU32>(), "u32");
    assert_eq!(text::<Duration>(), "Duration{secs:u64,nanos:u32}");
    assert_eq!(text::<Result<u8, String>>(), "Result<Ok(u8)|Err(str)>");
    assert_eq!(text::<IpAddr>(), "IpAddr<V4((u8*4))|V6((u8*16))>");
}

#[test]
fn raw_strings_differ_from_those_with_a_length() {
    assert_eq!(text::<str>(), "raw str");
    assert_eq!(text::<[u8]>(), "raw bytes");
    assert_eq!(text::<String>(), "str");
    assert_eq!(text::<Vec<u8>>(), "[u8]");
}

#[test]
fn blocks_of_different_numbers_differ() {
    assert_eq!(text::<Block<f64>>(), "Block<f64>(bytes)");
    assert_ne!(Schema::of::<Block<i64>>(), Schema::of::<Block<u64>>());
}

#[derive(Clone, Serialize, Deserialize)]
struct Pair<A, B> {
    first: A,
    second: B,
}

#[test]
fn generic_types_are_told_apart_even_inside_each_other() {
    assert_eq!(text::<Pair<u8, Pair<u16, u32>>>(), "Pair{first:u8,second:Pair{first:u16,second:u32}}");
    assert_ne!(Schema::of::<(Pair<u8, u8>, Pair<u8, u16>)>(), Schema::of::<(Pair<u8, u8>, Pair<u8, u32>)>());
}

#[derive(Clone, Serialize, Deserialize)]
enum Event {
    Start,
    Move(i32, i32),
    Say(String),
    Stop {
        at: u64,
        why: Option<Reason>,
    },
    #[serde(skip)]
    Hidden,
    Last(Reason),
}

#[derive(Clone, Serialize, Deserialize)]
enum Reason {
    Done,
    Failed(u8),
}

#[test]
fn every_variant_of_every_enum_is_seen() {
    assert_eq!(
        text::<Event>(),
        "Event<Start;|Move(i32*2)|Say(str)|Stop{at:u64,why:Reason<Done;|Failed(u8)>?}|Last(Reason<Done;|Failed(u8)>)>"
    );
    assert_eq!(text::<Vec<(Reason, bool)>>(), "[(Reason<Done;|Failed(u8)>,bool)]");
    let _ = Event::Hidden;
}

#[derive(Clone, Serialize, Deserialize)]
struct Tree {
    children: Vec<Tree>,
    next: Option<Box<Tree>>,
    by_name: BTreeMap<String, Tree>,
    weight: u8,
}

#[derive(Clone, Serialize, Deserialize)]
struct Chain(Vec<Chain>);

/// The variants that end come last, so that a careless walk never gets to them.
#[derive(Clone, Serialize, Deserialize)]
enum Expr {
    Add(Box<Expr>, Box<Expr>),
    Mul(Box<Expr>, Box<Expr>),
    Neg { inner: Box<Expr> },
    Call(Box<Call>),
    Literal(i64),
}

#[derive(Clone, Serialize, Deserialize)]
struct Call {
    function: Expr,
    arguments: Vec<Expr>,
}

/// No value of it can exist.
#[derive(Clone, Serialize, Deserialize)]
struct Endless {
    inner: Box<Endless>,
    never_seen: u8,
}

#[test]
fn recursive_types_end() {
    assert_eq!(text::<Tree>(), "Tree{children:[^Tree],next:^Tree?,by_name:[str=>^Tree],weight:u8}");
    assert_eq!(text::<Chain>(), "Chain([^Chain])");
    assert_eq!(
        text::<Expr>(),
        "Expr<Add(^Expr*2)|Mul(^Expr*2)|Neg{inner:^Expr}|Call(Call{function:^Expr,arguments:[^Expr]})|Literal(i64)>"
    );
    assert_eq!(text::<Endless>(), "Endless{inner:^Endless,never_seen:_}");
}

/// Refuses everything it is shown, like a type that checks what it reads.
#[derive(Clone, Serialize)]
struct Even(u32);

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            even if even % 2 == 0 => Ok(Self(even)),
            odd => Err(D::Error::custom(format_args!("{odd} is odd"))),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
enum Picky {
    Checked(Even, String),
    Plain(u8),
}

#[test]
fn a_type_that_refuses_hides_only_what_comes_after_it() {
    assert_eq!(text::<Even>(), "u32");
    assert_eq!(text::<(u8, Even, u16)>(), "(u8,u32,_)");
    assert_eq!(text::<Vec<Picky>>(), "[Picky<Checked(u32,_)|Plain(u8)>]");
    assert_eq!(text::<(Picky, bool)>(), "(Picky<Checked(u32,_)|Plain(u8)>,bool)");
}

#[test]
fn a_type_that_no_format_of_ours_can_read_is_any() {
    assert_eq!(text::<serde_json::Value>(), "any");
}

#[derive(Clone)]
struct Place {
    country: String,
    position: (f64, Option<i32>),
}
impl_key!(Place { country, position });

#[derive(Clone)]
struct UserId(u64);
impl_key!(UserId(0));

#[test]
fn keys_name_their_encoding() {
    assert_eq!(Schema::of_key::<str>(), Schema::of_key::<String>());
    assert_eq!(Schema::of_key::<Vec<u8>>(), Schema::of_key::<[u8]>());
    assert_eq!(Schema::of_key::<usize>(), Schema::of_key::<u64>());
    assert_eq!(Schema::of_key::<[u8; 4]>().as_str(), "[u8;4]");
    assert_eq!(
        Schema::of_key::<(u8, std::cmp::Reverse<Option<char>>, ())>().as_str(),
        "(u8,reverse(option(char)),())"
    );
    assert_eq!(Schema::of_key::<Place>().as_str(), "Place{country:str;position:(f64,option(i32));}");
    assert_eq!(Schema::of_key::<UserId>().to_string(), "UserId{0:u64;}");
}
