//! What a driver asks of an input, whose code is the user's: [`ship`] a split, and say the [`place`] of a task.

use crate::{
    Dataset, Input,
    exec::{AttemptError, contain, guard},
    schedule::TaskId,
};

/// Hands the bytes of a split to `sink`, a block of whole records at a time; see [`Input::ship`].
///
/// # Errors
/// When the split cannot be read, or reading it panics: a failure that names the split.
///
/// # Panics
/// When there is no split of that index.
pub fn ship<I: Input>(
    data: &Dataset<I>,
    split: u32,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), AttemptError> {
    let place = || place(data, TaskId::Map(split));
    let info = &data.splits()[split as usize];
    guard(|| Ok(data.input().ship(info, sink)?), place, || None)
}

/// Where a task works, in words for a message: the split as the input describes it, or the partition.
pub fn place<I: Input>(data: &Dataset<I>, task: TaskId) -> String {
    match (task, data.splits().get(task.index() as usize)) {
        // The words are the input's own and may panic.
        (TaskId::Map(_), Some(split)) => {
            contain(|| Ok(data.input().describe(split)), task).unwrap_or_else(|error| error.failure.place)
        }
        (TaskId::Map(split), None) => format!("split {split}"),
        (TaskId::Reduce(partition), _) => format!("partition {partition}"),
    }
}
