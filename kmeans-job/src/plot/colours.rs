//! The colours of clusters.

use plotters::style::{Color as _, HSLColor, RGBColor, WHITE};

/// Colours that are told apart at a glance: category10 of D3, which matplotlib has as tab10.
const FEW: [RGBColor; 10] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0x8c, 0x56, 0x4b),
    RGBColor(0xe3, 0x77, 0xc2),
    RGBColor(0x7f, 0x7f, 0x7f),
    RGBColor(0xbc, 0xbd, 0x22),
    RGBColor(0x17, 0xbe, 0xcf),
];
/// The golden ratio, less one: multiples of it fill a circle evenly, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// A colour for each of `k` clusters. Of more than ten some look alike.
pub(super) fn of_clusters(k: usize) -> Vec<RGBColor> {
    if k <= FEW.len() {
        return FEW[..k].to_vec();
    }
    let hue = |i: usize| (i as f64 * GOLDEN).fract();
    let lightness = |i: usize| [0.45, 0.6, 0.35][i % 3];
    let colour = |i: usize| {
        let (r, g, b) = HSLColor(hue(i), 0.75, lightness(i)).to_backend_color().rgb;
        RGBColor(r, g, b)
    };
    (0..k).map(colour).collect()
}

/// Of white and some greys the one that is least like any of these colours.
pub(super) fn behind(colours: &[RGBColor]) -> RGBColor {
    let difference_min = |grey: u8| {
        let difference =
            |c: &RGBColor| [c.0, c.1, c.2].iter().map(|&level| u32::from(level.abs_diff(grey)).pow(2)).sum();
        colours.iter().map(difference).min().unwrap_or(u32::MAX)
    };
    // Lines and texts are black, so it has to be light. Of equals the last is taken: the lightest.
    let grey = [0x70, 0x90, 0xb0, 0xd0, 0xff].into_iter().max_by_key(|&grey| difference_min(grey));
    grey.map_or(WHITE, |grey| RGBColor(grey, grey, grey))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn clusters_that_are_listed_have_colours_of_their_own() {
        for k in [1, 10, 11, 100] {
            let colours: BTreeSet<_> =
                of_clusters(k).iter().map(|colour| (colour.0, colour.1, colour.2)).collect();
            assert_eq!(colours.len(), k);
        }
        assert_eq!(of_clusters(5000).len(), 5000);
    }

    #[test]
    fn no_colour_is_lost_on_what_is_behind_it() {
        assert_eq!(behind(&[]), WHITE);
        assert_eq!(behind(&[RGBColor(0, 0, 0), RGBColor(90, 80, 70)]), WHITE);
        assert_eq!(behind(&[WHITE, RGBColor(0, 0, 0)]), RGBColor(0x70, 0x70, 0x70));
    }
}
