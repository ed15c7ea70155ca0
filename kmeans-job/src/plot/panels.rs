//! [`draw`]: the panels of a picture, with what `plotters` has: areas, axes, lines, circles and texts.

use super::{
    scale::{LABELS_MAX, Scale},
    view::View,
};
use crate::Trial;
use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{
        Shift,
        cartesian::Cartesian2d,
        ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    },
    drawing::{DrawingArea, DrawingAreaErrorKind},
    element::{Circle, PathElement, Rectangle, Text},
    style::{BLACK, Color as _, IntoFont as _, RGBColor, TextStyle, WHITE},
};
use plotters_backend::{
    DrawingBackend,
    text_anchor::{HPos, Pos, VPos},
};

/// Pixels of a picture from left to right.
pub(super) const WIDTH: u32 = 1280;
/// Pixels of the lines above the panels, and of the two rows of panels.
const HEAD: u32 = 76;
const FIRST_ROW: u32 = 600;
const SECOND_ROW: u32 = 420;
/// Pixels of the points and the legend, and of the legend.
const VIEW: u32 = 760;
const LEGEND: u32 = 176;
/// Clusters that are listed; more colours cannot be told apart.
const LEGEND_MAX: usize = 10;
/// Sizes of texts, as `plotters` counts them: in SVG they are 1/1.24 of it, 16 and 20 pixels.
const SMALL: f64 = 16.0 * 1.24;
const LARGE: f64 = 20.0 * 1.24;
/// More points than these on a line would hide it.
const DOTS_MAX: usize = 60;

const GREY: RGBColor = RGBColor(0x55, 0x55, 0x55);
const LINE: RGBColor = RGBColor(0x1f, 0x4e, 0x79);
const CHOSEN: RGBColor = RGBColor(0xd6, 0x27, 0x28);

/// What a picture shows.
pub(super) struct Picture<'a> {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) view: View,
    /// The cluster of each point of the view.
    pub(super) labels: Vec<usize>,
    /// For each cluster.
    pub(super) colours: Vec<RGBColor>,
    /// The name of each cluster and its share, if they are to be listed.
    pub(super) legend: Vec<[String; 2]>,
    /// Behind the points: for colours that white would hide.
    pub(super) background: RGBColor,
    pub(super) costs: &'a [f64],
    /// Empty if there was no number of clusters to choose.
    pub(super) trials: &'a [Trial],
    /// The number of clusters.
    pub(super) k: usize,
}

impl Picture<'_> {
    /// Pixels from top to bottom.
    pub(super) fn height(&self) -> u32 {
        HEAD + FIRST_ROW + if self.trials.is_empty() { 0 } else { SECOND_ROW }
    }

    /// Whether clusters are listed.
    pub(super) fn has_legend(k: usize) -> bool {
        k <= LEGEND_MAX
    }
}

type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Draws all panels.
pub(super) fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, picture: &Picture<'_>) -> Drawn<B> {
    area.fill(&WHITE)?;
    let (head, panels) = area.split_vertically(HEAD);
    head.draw(&Text::new(picture.title.as_str(), (20, 14), text(LARGE, BLACK)))?;
    head.draw(&Text::new(picture.subtitle.as_str(), (20, 46), text(SMALL, GREY)))?;
    let (first, second) = panels.split_vertically(FIRST_ROW);
    let (points, costs) = first.split_horizontally(VIEW);
    draw_view(&points, picture)?;
    draw_costs(&costs, picture.costs)?;
    if !picture.trials.is_empty() {
        let (inertias, silhouettes) = second.split_horizontally(WIDTH / 2);
        let of = |value: fn(&Trial) -> Option<f64>| -> Vec<(i32, f64)> {
            let place = |trial: &Trial| Some((index(trial.k), value(trial)?));
            picture.trials.iter().filter_map(place).collect()
        };
        let (by_inertia, by_silhouette) = (of(|trial| Some(trial.inertia)), of(|trial| trial.silhouette));
        let chosen = Some(index(picture.k));
        let title = |what: &str| format!("{what} by number of clusters ({} chosen)", picture.k);
        draw_line(&inertias, &title("Inertia"), ["clusters", "inertia"], &by_inertia, chosen)?;
        let names = ["clusters", "mean silhouette"];
        draw_line(&silhouettes, &title("Silhouette"), names, &by_silhouette, chosen)?;
    }
    area.present()
}

/// The points, the centroids and the legend.
fn draw_view<B: DrawingBackend>(area: &DrawingArea<B, Shift>, picture: &Picture<'_>) -> Drawn<B> {
    let View { points, centroids, names, is_strip } = &picture.view;
    let all = || points.iter().chain(centroids);
    let x = Scale::of(all().map(|point| point[0]));
    // The numbers of the clusters, with half of the space between them at either end.
    let strip = is_strip.then_some([-0.5, picture.k as f64 - 0.5]).into_iter().flatten();
    let y = Scale::of(all().map(|point| point[1]).chain(strip));
    let (plane, legend) = match picture.legend.is_empty() {
        true => (area.clone(), None),
        false => {
            let (plane, legend) = area.split_horizontally(VIEW - LEGEND);
            (plane, Some(legend))
        }
    };
    let mut chart = chart_on(&plane, "Points and centroids", x.range.clone(), y.range.clone())?;
    chart.plotting_area().fill(&picture.background)?;
    let whole = |place: &f64| match place.round() {
        // Clusters have no numbers in between.
        number if (number - place).abs() < 1e-6 => format!("{}", number + 0.0),
        _ => String::new(),
    };
    let decimal = |place: &f64| y.show(*place);
    let show_y: &dyn Fn(&f64) -> String = if *is_strip { &whole } else { &decimal };
    axes(&mut chart, [x.name(&names[0]), y.name(&names[1])], &|place| x.show(*place), show_y)?;

    let place = |point: &[f64; 2]| (x.place(point[0]), y.place(point[1]));
    let radius = match points.len() {
        ..=500 => 4,
        501..=2000 => 3,
        _ => 2,
    };
    chart.draw_series(points.iter().zip(&picture.labels).map(|(point, &cluster)| {
        Circle::new(place(point), radius, picture.colours[cluster].mix(0.75).filled())
    }))?;
    let (radius, halo) = match centroids.len() {
        ..=50 => (6, 8),
        51..=500 => (3, 5),
        _ => (1, 2),
    };
    for (radius, colour) in [(halo, WHITE), (radius, BLACK)] {
        chart
            .draw_series(centroids.iter().map(|point| Circle::new(place(point), radius, colour.filled())))?;
    }
    match legend {
        Some(legend) => draw_legend(&legend, picture),
        None => Ok(()),
    }
}

fn draw_legend<B: DrawingBackend>(area: &DrawingArea<B, Shift>, picture: &Picture<'_>) -> Drawn<B> {
    const LINE_HEIGHT: i32 = 28;
    let at = |i: i32| 60 + i * LINE_HEIGHT;
    let beside = text(SMALL, BLACK).pos(Pos::new(HPos::Left, VPos::Center));
    let flush = text(SMALL, BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    for ((i, [name, share]), colour) in (0..).zip(&picture.legend).zip(&picture.colours) {
        let square = [(4, at(i) - 8), (20, at(i) + 8)];
        area.draw(&Rectangle::new(square, colour.filled()))?;
        area.draw(&Rectangle::new(square, GREY))?;
        area.draw(&Text::new(name.as_str(), (30, at(i)), beside.clone()))?;
        area.draw(&Text::new(share.as_str(), (LEGEND as i32 - 8, at(i)), flush.clone()))?;
    }
    let y = at(index(picture.legend.len())) + 8;
    area.draw(&Circle::new((12, y), 6, BLACK.filled()))?;
    area.draw(&Text::new("centroid", (30, y), beside))
}

fn draw_costs<B: DrawingBackend>(area: &DrawingArea<B, Shift>, costs: &[f64]) -> Drawn<B> {
    let points: Vec<(i32, f64)> = (1..).zip(costs.iter().copied()).collect();
    draw_line(area, "Cost by iteration", ["iteration", "sum of squared distances"], &points, None)
}

/// A line over whole numbers, with a mark at one of them.
fn draw_line<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    [below, beside]: [&str; 2],
    points: &[(i32, f64)],
    chosen: Option<i32>,
) -> Drawn<B> {
    let points: Vec<(i32, f64)> = points.iter().copied().filter(|point| point.1.is_finite()).collect();
    let scale = Scale::of(points.iter().map(|point| point.1));
    let x = match (points.first(), points.last()) {
        (Some(&(from, _)), Some(&(to, _))) if from < to => from..to,
        (Some(&(only, _)), _) => only - 1..only + 1,
        _ => 0..1,
    };
    let mut chart = chart_on(area, title, x, scale.range.clone())?;
    let names = [below.to_owned(), scale.name(beside)];
    axes(&mut chart, names, &|i| i.to_string(), &|place| scale.show(*place))?;
    let places: Vec<(i32, f64)> = points.iter().map(|&(i, value)| (i, scale.place(value))).collect();
    let radius = if places.len() <= DOTS_MAX { 4 } else { 0 };
    chart.draw_series([PathElement::new(places.clone(), LINE.stroke_width(2))])?;
    if radius > 0 {
        chart.draw_series(places.iter().map(|&place| Circle::new(place, radius, LINE.filled())))?;
    }
    if let Some(&(k, place)) = places.iter().find(|place| Some(place.0) == chosen) {
        let from_to = vec![(k, scale.range.start), (k, scale.range.end)];
        chart.draw_series([PathElement::new(from_to, CHOSEN.mix(0.5).stroke_width(2))])?;
        chart.draw_series([Circle::new((k, place), 7, CHOSEN.filled())])?;
    }
    Ok(())
}

type Chart<'a, B, X, Y> = ChartContext<'a, B, Cartesian2d<X, Y>>;
type Begun<'a, B, X, Y> = Result<
    Chart<'a, B, <X as AsRangedCoord>::CoordDescType, <Y as AsRangedCoord>::CoordDescType>,
    DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>,
>;

fn chart_on<'a, B: DrawingBackend, X: AsRangedCoord, Y: AsRangedCoord>(
    area: &'a DrawingArea<B, Shift>,
    title: &str,
    x: X,
    y: Y,
) -> Begun<'a, B, X, Y> {
    ChartBuilder::on(area)
        .caption(title, text(LARGE, BLACK))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(64)
        .y_label_area_size(96)
        .build_cartesian_2d(x, y)
}

/// Draws the axes with their names and the numbers along them.
fn axes<B: DrawingBackend, X, Y>(
    chart: &mut Chart<'_, B, X, Y>,
    [below, beside]: [String; 2],
    show_x: &dyn Fn(&X::ValueType) -> String,
    show_y: &dyn Fn(&Y::ValueType) -> String,
) -> Drawn<B>
where
    X: Ranged + ValueFormatter<X::ValueType>,
    Y: Ranged + ValueFormatter<Y::ValueType>,
{
    chart
        .configure_mesh()
        .x_labels(LABELS_MAX)
        .y_labels(LABELS_MAX)
        .x_label_formatter(show_x)
        .y_label_formatter(show_y)
        .x_desc(below)
        .y_desc(beside)
        .label_style(text(SMALL, BLACK))
        .axis_desc_style(text(SMALL, BLACK))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(BLACK.mix(0.0))
        .draw()
}

fn text(size: f64, colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour)
}

/// A number of clusters or iterations on an axis.
fn index(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
