//! [`Both`]: two inputs as one, for joins. [`Either`] is a record of one or the other.

use super::{Blocks, Input, Piece, ReadError, Records, SharedFiles, SplitInfo};
use crate::{Error, Schema};
use serde::{Deserialize, Serialize};
use std::{iter, sync::OnceLock};

/// One of two: a record of [`Both`] inputs, or a value that comes from the one or the other.
///
/// As the records of a mapper it names the two kinds of records, `Either<Utf8Lines, Items<User>>`; what the mapper gets
/// is then `Either<&str, &User>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Either<L, R> {
    /// Of the first.
    Left(L),
    /// Of the second.
    Right(R),
}

/// Two inputs as one: the records of `left`, then those of `right`.
///
/// The splits of the left come before those of the right, so a reducer sees the left values of a key before its right
/// ones. Nodes of a pool are sent the records by the driver, or read them from [shared
/// storage](super::Dataset::on_shared_storage) if both inputs are in files.
///
/// Three inputs are two inputs of which one is two: `Both::new(a, Both::new(b, c))`.
///
/// ```
/// use mapreduce_core::prelude::*;
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Orders;
///
/// impl Mapper for Orders {
///     type Input = Either<Items<(u32, String)>, Items<(u32, f64)>>;
///     type Key = u32;
///     type Value = Either<String, f64>;
///     fn map(
///         &self,
///         record: Either<&(u32, String), &(u32, f64)>,
///         out: &mut impl Emit<u32, Self::Value>,
///     ) -> Result {
///         match record {
///             Either::Left((user, name)) => out.emit(user, &Either::Left(name.clone())),
///             Either::Right((user, amount)) => out.emit(user, &Either::Right(*amount)),
///         }
///     }
/// }
///
/// impl SimpleJob for Orders {
///     const NAME: &'static str = "orders";
///     type Combiner = NoCombiner;
///     type Reducer = InnerJoin;
/// }
///
/// let users = [(1, "ada".to_string()), (2, "bob".to_string())];
/// let orders = [(2, 9.5), (1, 20.0), (2, 3.0), (3, 1.0)];
/// let data = Dataset::new(Both::new(ItemSlice::new(&users), ItemSlice::new(&orders)))?;
/// let joined = Local::new(2)?.run(&Orders, &(), &data)?;
/// let row = |user: u32, name: &str, amount| (user, (name.to_string(), amount));
/// assert_eq!(joined.pairs, [row(1, "ada", 20.0), row(2, "bob", 9.5), row(2, "bob", 3.0)]);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Both<A, B> {
    left: A,
    right: B,
    /// The splits of each. The first piece of a split of both names one of these; behind it are the pieces of that one, for
    /// nodes that read shared files and do not know the plan.
    plan: OnceLock<Plan>,
}

#[derive(Debug, PartialEq, Eq)]
struct Plan {
    left: Vec<SplitInfo>,
    right: Vec<SplitInfo>,
}

/// The sources that first pieces of the splits name.
pub(super) const LEFT: u32 = 0;
pub(super) const RIGHT: u32 = 1;

impl<A, B> Both<A, B> {
    /// The records of `left`, then those of `right`.
    pub fn new(left: A, right: B) -> Self {
        Self { left, right, plan: OnceLock::new() }
    }
}

impl<A: Clone, B: Clone> Clone for Both<A, B> {
    /// The same inputs, not yet cut.
    fn clone(&self) -> Self {
        Self::new(self.left.clone(), self.right.clone())
    }
}

impl<A: Input, B: Input> Both<A, B> {
    /// The split of one of the two that a split of both stands for.
    fn find(&self, split: &SplitInfo) -> Option<Either<&SplitInfo, &SplitInfo>> {
        let plan = self.plan.get()?;
        let [Piece { source, range }, ..] = split.pieces.as_slice() else { return None };
        let index = usize::try_from(range.start).ok()?;
        match *source {
            LEFT => plan.left.get(index).map(Either::Left),
            RIGHT => plan.right.get(index).map(Either::Right),
            _ => None,
        }
    }

    fn planned(&self, split: &SplitInfo) -> Result<Either<&SplitInfo, &SplitInfo>, ReadError> {
        self.find(split).ok_or_else(|| malformed("the split is not of these inputs"))
    }
}

impl<A: Input, B: Input> Input for Both<A, B> {
    type Records = Either<A::Records, B::Records>;

    fn shape(&self) -> (<A::Records as Records>::Shape, <B::Records as Records>::Shape) {
        (self.left.shape(), self.right.shape())
    }

    /// # Errors
    /// Those of the two, and when the splits were asked for before, in another size.
    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let fresh = Plan { left: self.left.splits(split_bytes)?, right: self.right.splits(split_bytes)? };
        let plan = self.plan.get_or_init(|| Plan { left: fresh.left.clone(), right: fresh.right.clone() });
        if *plan != fresh {
            return Err(Error::Input {
                input: "two inputs".into(),
                message: "were cut in another way before; make a new `Both` for each dataset".into(),
            });
        }
        let split = |source, index, of: &SplitInfo, first_record| SplitInfo {
            pieces: iter::once(Piece { source, range: index..index + 1 })
                .chain(of.pieces.iter().cloned())
                .collect(),
            bytes: of.bytes,
            first_record,
        };
        let left = (0..).zip(&plan.left).map(|(i, of)| split(LEFT, i, of, of.first_record));
        // Where the records of the right begin only the left could say.
        let right = (0..).zip(&plan.right).map(|(i, of)| split(RIGHT, i, of, None));
        Ok(left.chain(right).collect())
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Self::Records> + 'a>, ReadError> {
        Ok(match self.planned(split)? {
            Either::Left(split) => Box::new(LeftBlocks(self.left.open(split)?)),
            Either::Right(split) => Box::new(RightBlocks(self.right.open(split)?)),
        })
    }

    fn describe(&self, split: &SplitInfo) -> String {
        match self.find(split) {
            Some(Either::Left(split)) => self.left.describe(split),
            Some(Either::Right(split)) => self.right.describe(split),
            None => "a split of other inputs".into(),
        }
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let planned = self.planned(split)?;
        let mut tagged = Vec::new();
        let side = if matches!(planned, Either::Left(_)) { LEFT } else { RIGHT };
        let mut sink = |chunk: &[u8]| {
            tagged.clear();
            tagged.extend_from_slice(chunk);
            tagged.push(side as u8);
            sink(&tagged);
        };
        match planned {
            Either::Left(split) => self.left.ship(split, &mut sink),
            Either::Right(split) => self.right.ship(split, &mut sink),
        }
    }

    fn files(&self) -> Option<SharedFiles> {
        Some(SharedFiles::of_both(self.left.files()?, self.right.files()?))
    }
}

struct LeftBlocks<'a, A>(Box<dyn Blocks<A> + 'a>);
struct RightBlocks<'a, B>(Box<dyn Blocks<B> + 'a>);

impl<A: Records, B: Records> Blocks<Either<A, B>> for LeftBlocks<'_, A> {
    fn next_block(&mut self) -> Result<Option<Either<A::Block<'_>, B::Block<'_>>>, ReadError> {
        Ok(self.0.next_block()?.map(Either::Left))
    }
}

impl<A: Records, B: Records> Blocks<Either<A, B>> for RightBlocks<'_, B> {
    fn next_block(&mut self) -> Result<Option<Either<A::Block<'_>, B::Block<'_>>>, ReadError> {
        Ok(self.0.next_block()?.map(Either::Right))
    }
}

impl<A: Records, B: Records> Records for Either<A, B> {
    type Record<'a> = Either<A::Record<'a>, B::Record<'a>>;
    type Block<'a> = Either<A::Block<'a>, B::Block<'a>>;
    type Shape = (A::Shape, B::Shape);
    type Buffer = (A::Buffer, B::Buffer);

    /// A block is one of the left or the right, with a byte behind it that says of which. (In front of it, it would
    /// shift numbers that are read where they lie.)
    fn block<'a>(
        (left, right): &Self::Shape,
        bytes: &'a [u8],
        buffer: &'a mut Self::Buffer,
    ) -> Result<Self::Block<'a>, ReadError> {
        match bytes.split_last() {
            Some((0, block)) => A::block(left, block, &mut buffer.0).map(Either::Left),
            Some((1, block)) => B::block(right, block, &mut buffer.1).map(Either::Right),
            _ => Err(malformed("a block does not say of which input it is")),
        }
    }

    fn schema(schema: &mut Schema) {
        schema.text("either (");
        A::schema(schema);
        schema.text(") or (");
        B::schema(schema);
        schema.text(")");
    }
}

impl<A: IntoIterator, B: IntoIterator> IntoIterator for Either<A, B> {
    type Item = Either<A::Item, B::Item>;
    type IntoIter = EitherIter<A::IntoIter, B::IntoIter>;

    fn into_iter(self) -> Self::IntoIter {
        EitherIter(match self {
            Self::Left(left) => Either::Left(left.into_iter()),
            Self::Right(right) => Either::Right(right.into_iter()),
        })
    }
}

/// The items of the one or the other of an [`Either`].
#[derive(Clone, Debug)]
pub struct EitherIter<A, B>(Either<A, B>);

impl<A: Iterator, B: Iterator> Iterator for EitherIter<A, B> {
    type Item = Either<A::Item, B::Item>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Either::Left(left) => left.next().map(Either::Left),
            Either::Right(right) => right.next().map(Either::Right),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Either::Left(left) => left.size_hint(),
            Either::Right(right) => right.size_hint(),
        }
    }
}

fn malformed(message: &str) -> ReadError {
    ReadError::Malformed { place: "one of two inputs".into(), message: message.into() }
}
