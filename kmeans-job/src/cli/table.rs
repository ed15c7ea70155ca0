//! The clusters of a result as a table, with colours where they are seen.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _},
};

/// Clusters that are listed one by one.
pub(crate) const CLUSTERS_MAX: usize = 32;

/// Clusters with their sizes, the largest first; those of an image with their colours.
///
/// `with_swatches` shows each colour as well as naming it.
pub(crate) fn clusters(sizes: &[u64], colours: Option<&[[u8; 3]]>, with_swatches: bool) -> String {
    let total: u64 = sizes.iter().sum();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&cluster| std::cmp::Reverse(sizes[cluster]));
    let title = if colours.is_some() { "colour" } else { "cluster" };
    let mut text = format!("{title:<12}{:>12}{:>10}\n", "points", "share");
    for cluster in order {
        let colour = colours.map(|colours| colours[cluster]);
        let name = colour.map_or_else(|| cluster.to_string(), hex);
        let share = 100.0 * sizes[cluster] as f64 / total.max(1) as f64;
        let swatch = match colour {
            Some([r, g, b]) if with_swatches => format!("  \x1b[48;2;{r};{g};{b}m      \x1b[0m"),
            _ => String::new(),
        };
        writeln!(text, "{name:<12}{:>12}{share:>8.1} %{swatch}", sizes[cluster])
            .expect("a String takes whatever is written");
    }
    text
}

/// A colour as `#rrggbb`.
fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Whether standard output shows colours: a terminal does, unless the user wants none (<https://no-color.org>).
pub(crate) fn shows_colours() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_listed_by_their_sizes() {
        let expected = "\
cluster           points     share
1                     60    60.0 %
0                     20    20.0 %
2                     20    20.0 %
";
        assert_eq!(clusters(&[20, 60, 20], None, true), expected);
    }

    #[test]
    fn colours_are_named_and_shown_if_wanted() {
        let colours = [[255, 0, 16], [1, 2, 3]];
        let plain = "\
colour            points     share
#010203                3    75.0 %
#ff0010                1    25.0 %
";
        assert_eq!(clusters(&[1, 3], Some(&colours), false), plain);
        let shown = clusters(&[1, 3], Some(&colours), true);
        assert!(shown.contains("75.0 %  \x1b[48;2;1;2;3m      \x1b[0m\n"), "{shown}");
    }
}
