//! Side outputs: their names, and [`SideOutputError`].

use super::Job;
use crate::Error;

/// What is wrong with the side outputs of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SideOutputError {
    /// A line for an output that the job does not have.
    #[error("there is no side output {output:?} here ({}); name it in `SIDE_OUTPUTS` of the job", known(.outputs))]
    Unknown {
        /// The output that was asked for.
        output: &'static str,
        /// Those there are.
        outputs: &'static [&'static str],
    },
    /// A name that files cannot have, or that other files have.
    #[error(
        "{output:?} cannot be the name of a side output: {reason}; files are to be named after it, so change it in \
         `SIDE_OUTPUTS`"
    )]
    Name {
        /// The name.
        output: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More outputs than there are numbers for.
    #[error("{outputs} side outputs are too many; there may be {OUTPUTS_MAX}")]
    TooMany {
        /// How many there are.
        outputs: usize,
    },
}

/// The outputs there are, for a message.
fn known(outputs: &[&str]) -> String {
    match outputs {
        [] => "there is none".to_string(),
        outputs => format!("there are {}", outputs.join(", ")),
    }
}

/// The most side outputs of a job: a byte tells them and the pairs apart.
const OUTPUTS_MAX: usize = u8::MAX as usize;
/// The longest name, in bytes: a number is added to it, and file systems allow 255.
const NAME_BYTES_MAX: usize = 200;

/// Looks at the names of a job's side outputs, before it runs.
pub(crate) fn check_side_outputs<J: Job>() -> Result<(), Error> {
    check(J::SIDE_OUTPUTS).map_err(|reason| Error::SideOutputs { job: J::NAME.to_string(), reason })
}

fn check(outputs: &'static [&'static str]) -> Result<(), SideOutputError> {
    if outputs.len() > OUTPUTS_MAX {
        return Err(SideOutputError::TooMany { outputs: outputs.len() });
    }
    for (i, &output) in outputs.iter().enumerate() {
        let starts =
            |prefix: &str| output.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix));
        let reason = if output.is_empty() {
            "it is empty"
        } else if output.len() > NAME_BYTES_MAX {
            "it is longer than 200 bytes"
        } else if output.chars().any(|c| matches!(c, '/' | '\\') || c.is_control()) {
            "it has a path separator or a control character"
        } else if starts("part-") {
            "the parts of the output begin with `part-`"
        } else if starts("_") || starts(".") {
            "readers pass over files that begin with `_` or `.`"
        } else if outputs[..i].iter().any(|other| other.eq_ignore_ascii_case(output)) {
            "another has it, or differs in case only"
        } else {
            continue;
        };
        return Err(SideOutputError::Name { output, reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_files_can_have_are_taken() {
        for outputs in [&[][..], &["bad"], &["bad", "worse"], &["a", "a-00000"], &["part"], &["é ü"]] {
            assert_eq!(check(outputs), Ok(()), "{outputs:?}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        let refused: [&'static [&'static str]; 11] = [
            &[""],
            &["a/b"],
            &["a\\b"],
            &["a\nb"],
            &["part-1"],
            &["Part-1"],
            &["_a"],
            &[".."],
            &["a", "b", "a"],
            &["a", "A"],
            &["ok", ""],
        ];
        for outputs in refused {
            assert!(matches!(check(outputs), Err(SideOutputError::Name { .. })), "{outputs:?}");
        }
        let long: &'static str = Box::leak("a".repeat(NAME_BYTES_MAX + 1).into_boxed_str());
        assert!(matches!(check(Box::leak(Box::new([long]))), Err(SideOutputError::Name { .. })));
        assert_eq!(check(&["a"; 256]), Err(SideOutputError::TooMany { outputs: 256 }));
    }
}
