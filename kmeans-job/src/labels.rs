//! [`Labels`]: what a fit returns of the labels of its rows.

/// What a [`Fit`](crate::Fit) has of the labels of its rows: `Vec<i32>`, all of them, or `()`, none. Which one is said by the
/// type of the [`KMeans`](crate::KMeans): see [`without_labels`](crate::KMeansBuilder::without_labels).
///
/// There are no others.
pub trait Labels: sealed::Found {}

impl Labels for Vec<i32> {}

impl Labels for () {}

pub(crate) mod sealed {
    /// Labels as they were found.
    pub trait Found: Sized {
        /// Whether a fit has to find them.
        const WANTED: bool;

        /// All labels, or what is there without.
        fn of(labels: Vec<i32>) -> Self;
    }

    impl Found for Vec<i32> {
        const WANTED: bool = true;

        fn of(labels: Vec<i32>) -> Self {
            labels
        }
    }

    impl Found for () {
        const WANTED: bool = false;

        fn of(_: Vec<i32>) {}
    }
}
