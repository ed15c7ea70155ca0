//! [`picture`]: the ratios of all contests as bars, in SVG.

use crate::report::Section;
use std::fmt::Write as _;

const WIDTH: usize = 760;
const NAME_WIDTH: usize = 260;
const BARS_WIDTH: usize = 360;
const ROW: usize = 22;
/// Bars of more times the length of the first are cut: beside one of thousands nothing else could be seen.
const RATIO_MAX: f64 = 30.0;

/// A group of bars for each contest: how many times as long as the first each took. The longest bar of a group has the
/// full width; the number stands behind it.
pub(crate) fn picture(sections: &[Section], caption: &str) -> String {
    let rows: usize = sections.iter().map(|section| section.bars.len() + 2).sum();
    let height = (rows + 2) * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = ROW;
    for section in sections {
        text(&mut svg, 10, y, "font-weight=\"bold\"", &section.title);
        y += ROW;
        let ratios = section.bars.iter().filter_map(|bar| bar.figure.as_ref().map(|(ratio, _)| *ratio));
        let longest = ratios.fold(1.0, f64::max).min(RATIO_MAX);
        for (i, bar) in section.bars.iter().enumerate() {
            text(&mut svg, 10, y, "", &bar.name);
            let fill = if i == 0 { "#2a6f97" } else { "#a9bcc9" };
            let (bar, figure) = match &bar.figure {
                Some((ratio, figure)) => {
                    ((ratio.min(longest) / longest * BARS_WIDTH as f64) as usize, figure.as_str())
                }
                None => (0, "failed"),
            };
            let top = y - 12;
            let rectangle = format!(
                "<rect x=\"{NAME_WIDTH}\" y=\"{top}\" width=\"{bar}\" height=\"{}\" fill=\"{fill}\"/>\n",
                ROW - 6
            );
            svg.push_str(&rectangle);
            text(&mut svg, NAME_WIDTH + bar + 6, y, "", figure);
            y += ROW;
        }
        y += ROW;
    }
    text(&mut svg, 10, y, "fill=\"#555\" font-size=\"11\"", caption);
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, x: usize, y: usize, style: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {style}>{content}</text>").expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_ratios_and_names_are_escaped() {
        let svg = picture(&[crate::report::tests::outcome().section()], "a machine");
        assert!(svg.contains("width=\"180\" height=\"16\" fill=\"#2a6f97\""), "{svg}");
        assert!(svg.contains("width=\"360\" height=\"16\" fill=\"#a9bcc9\""), "{svg}");
        assert!(
            svg.contains(">B &amp; C</text>")
                && svg.contains(">2.00x, 4.00 s</text>")
                && svg.contains(">failed<")
        );
    }

    #[test]
    fn bars_that_are_far_too_long_are_cut() {
        let mut section = crate::report::tests::outcome().section();
        section.bars[1].figure = Some((6_000.0, "6000.00x".into()));
        let svg = picture(&[section], "a machine");
        assert!(svg.contains("width=\"12\" height=\"16\" fill=\"#2a6f97\""), "{svg}");
        assert!(svg.contains("width=\"360\" height=\"16\" fill=\"#a9bcc9\"") && svg.contains(">6000.00x<"));
    }
}
