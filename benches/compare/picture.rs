//! [`picture`]: the ratios of all contests as bars, in SVG.

use crate::report::Outcome;
use std::fmt::Write as _;

const WIDTH: usize = 760;
const NAME_WIDTH: usize = 260;
const BARS_WIDTH: usize = 360;
const ROW: usize = 22;

/// A group of bars for each contest: how many times as long as the first each took. The longest bar of a group has the
/// full width; the number stands behind it.
pub(crate) fn picture(outcomes: &[Outcome], caption: &str) -> String {
    let rows: usize = outcomes.iter().map(|outcome| outcome.results.len() + 2).sum();
    let height = (rows + 2) * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = ROW;
    for outcome in outcomes {
        text(&mut svg, 10, y, "font-weight=\"bold\"", &outcome.title);
        y += ROW;
        let ratios: Vec<Option<f64>> = outcome.results.iter().map(|result| outcome.ratio(result)).collect();
        let longest = ratios.iter().flatten().copied().fold(1.0, f64::max);
        for (i, (result, ratio)) in outcome.results.iter().zip(ratios).enumerate() {
            text(&mut svg, 10, y, "", &result.name);
            let fill = if i == 0 { "#2a6f97" } else { "#a9bcc9" };
            let (bar, figure) = match (ratio, result.seconds()) {
                (Some(ratio), Some(seconds)) => {
                    ((ratio / longest * BARS_WIDTH as f64) as usize, format!("{ratio:.2}x, {seconds:.2} s"))
                }
                _ => (0, "failed".to_owned()),
            };
            let top = y - 12;
            let rectangle = format!(
                "<rect x=\"{NAME_WIDTH}\" y=\"{top}\" width=\"{bar}\" height=\"{}\" fill=\"{fill}\"/>\n",
                ROW - 6
            );
            svg.push_str(&rectangle);
            text(&mut svg, NAME_WIDTH + bar + 6, y, "", &figure);
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
        let svg = picture(&[crate::report::tests::outcome()], "a machine");
        assert!(svg.contains("width=\"180\" height=\"16\" fill=\"#2a6f97\""), "{svg}");
        assert!(svg.contains("width=\"360\" height=\"16\" fill=\"#a9bcc9\""), "{svg}");
        assert!(
            svg.contains(">B &amp; C</text>")
                && svg.contains(">2.00x, 4.00 s</text>")
                && svg.contains(">failed<")
        );
    }
}
