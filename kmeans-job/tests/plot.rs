//! Pictures of fits, as the library makes them: what is on them, and what is refused.

#![cfg(feature = "plot")]

mod command;

use command::noise;
use image::{ImageFormat, RgbImage};
use kmeans_job::{
    Distance, Fit, IntoPoints, KMeans,
    data::Points,
    output::OutputError,
    plot::{Plot, PlotError, PlotFormat, Sample},
};
use std::{collections::BTreeSet, path::Path};

/// Rows of numbers from 0 to 1, and a fit of them.
fn fitted(rows: usize, d: usize, k: usize) -> (Fit, Sample) {
    let points = (noise(rows * d).collect::<Vec<f64>>(), d).into_points().expect("rows");
    fit(points, |kmeans| kmeans.k(k).max_iter(4))
}

fn fit(
    points: Points,
    options: impl Fn(kmeans_job::KMeansBuilder) -> kmeans_job::KMeansBuilder,
) -> (Fit, Sample) {
    let sample = Sample::new(&points, 7).expect("finite points");
    (options(KMeans::builder()).build().expect("options").fit(points).expect("a fit"), sample)
}

fn svg(fit: &Fit, sample: &Sample) -> String {
    Plot::new(fit, sample).expect("its sample").svg().expect("SVG")
}

fn decode(png: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(png, ImageFormat::Png).expect("PNG").into_rgb8()
}

fn colours(image: &RgbImage) -> BTreeSet<[u8; 3]> {
    image.pixels().map(|pixel| pixel.0).collect()
}

/// Circles: one for each point, two for each centroid, one for each iteration, and the legend's.
fn circles(sample: &Sample, fit: &Fit) -> usize {
    let legend = usize::from(fit.model.k() <= 10);
    sample.rows().len() + 2 * fit.model.k() + fit.model.iterations as usize + legend
}

#[test]
fn each_point_and_centroid_is_drawn_whatever_the_number_of_columns() {
    for (rows, d, k) in [(60, 1, 3), (60, 2, 1), (60, 3, 3), (60, 40, 12), (1, 5, 1), (300, 2, 300)] {
        let (fit, sample) = fitted(rows, d, k);
        let svg = svg(&fit, &sample);
        assert_eq!(svg.matches("<circle ").count(), circles(&sample, &fit), "{rows} {d} {k}");
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{rows} {d} {k}");
        let image = decode(&Plot::new(&fit, &sample).unwrap().png().unwrap());
        assert_eq!(image.width(), 1280);
        assert!(colours(&image).len() > 20, "{rows} {d} {k}");
    }
}

#[test]
fn of_many_points_five_thousand_are_drawn() {
    let (fit, sample) = fitted(20_000, 3, 5);
    assert_eq!(sample.rows().len(), 5000);
    let svg = svg(&fit, &sample);
    assert_eq!(svg.matches("<circle ").count(), circles(&sample, &fit));
    assert!(svg.contains("K-means: 20000 points of 3 columns in 5 clusters"));
    assert!(svg.contains("5000 points drawn at random"));
}

#[test]
fn a_choice_of_k_adds_its_inertias_and_silhouettes() {
    let points = || (noise(400).collect::<Vec<f64>>(), 2).into_points().unwrap();
    let (one, sample) = fit(points(), |kmeans| kmeans.k(3));
    let (several, _) = fit(points(), |kmeans| kmeans.k(1..=6));
    let (one, several) = (svg(&one, &sample), svg(&several, &sample));
    assert!(!one.contains("silhouette"));
    for text in
        ["Inertia by number of clusters", "Silhouette by number of clusters", "mean silhouette", " chosen)"]
    {
        assert!(several.contains(text), "{text}");
    }
    let height =
        |svg: &str| svg.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse::<u32>().unwrap();
    assert!(height(&several) > height(&one));
}

#[test]
fn colours_of_the_user_are_those_of_the_points() {
    let (fit, sample) = fitted(50, 3, 2);
    let plot = Plot::new(&fit, &sample).unwrap().colours(&[[255, 0, 16], [1, 2, 3]]).unwrap();
    let svg = plot.svg().unwrap();
    assert!(svg.contains("fill=\"#FF0010\"") && svg.contains("fill=\"#010203\""));
    assert!(svg.contains("\n#ff0010\n") && svg.contains("\n#010203\n"), "the legend names them");
    assert!(colours(&decode(&plot.png().unwrap())).contains(&[255, 0, 16]), "a square of the legend");
}

#[test]
fn a_title_may_be_any_text() {
    let (fit, sample) = fitted(10, 2, 2);
    let plot = Plot::new(&fit, &sample).unwrap().title("<a&b>\u{1}\n\"Ä 日");
    assert!(plot.svg().unwrap().contains("\n&lt;a&amp;b&gt;&quot;Ä 日: 10 points of 2 columns"));
    assert!(plot.png().is_ok());
}

#[test]
fn points_that_are_all_alike_are_drawn() {
    for d in [1, 2, 7] {
        let (fit, sample) = fit((vec![4.25; 5 * d], d).into_points().unwrap(), |kmeans| kmeans.k(1));
        let svg = svg(&fit, &sample);
        assert_eq!(svg.matches("<circle ").count(), circles(&sample, &fit));
        assert!(!svg.contains("NaN"), "{d}");
    }
}

#[test]
fn pictures_do_not_change_from_run_to_run() {
    let (fit, sample) = fitted(200, 12, 4);
    let plot = Plot::new(&fit, &sample).unwrap();
    assert!(plot.svg().unwrap() == plot.svg().unwrap() && plot.png().unwrap() == plot.png().unwrap());
}

#[test]
fn a_fit_of_other_points_is_refused() {
    let ((fit, _), (_, fewer), (_, wider)) = (fitted(20, 2, 2), fitted(19, 2, 2), fitted(20, 3, 2));
    assert!(matches!(Plot::new(&fit, &fewer), Err(PlotError::Rows { rows: 19, labels: 20 })));
    assert!(matches!(Plot::new(&fit, &wider), Err(PlotError::Columns { d: 2, found: 3 })));
    let (mut fit, sample) = fitted(20, 2, 2);
    let plot = Plot::new(&fit, &sample).unwrap();
    assert!(matches!(plot.colours(&[[0; 3]; 3]), Err(PlotError::Colours { k: 2, colours: 3 })));
    fit.labels[3] = 2;
    assert!(matches!(Plot::new(&fit, &sample), Err(PlotError::Label { label: 2, k: 2 })));
    let points = (vec![1.0, f64::NAN], 2).into_points().unwrap();
    assert!(matches!(Sample::new(&points, 0), Err(PlotError::NotFinite { row: 1, column: 2 })));
}

#[test]
fn files_are_written_in_the_format_that_they_name() {
    let (fit, sample) = fitted(20, 2, 2);
    let plot = Plot::new(&fit, &sample).unwrap();
    let folder = tempfile::tempdir().unwrap();
    plot.save(folder.path().join("a.PNG")).unwrap();
    plot.save(folder.path().join("a.svg")).unwrap();
    assert_eq!(decode(&std::fs::read(folder.path().join("a.PNG")).unwrap()).width(), 1280);
    assert!(std::fs::read(folder.path().join("a.svg")).unwrap().starts_with(b"<svg "));
    assert!(matches!(plot.save(folder.path().join("a.jpg")), Err(PlotError::Extension { .. })));
    assert!(matches!(PlotFormat::of(Path::new("svg")), Err(PlotError::Extension { .. })));
    let missing = plot.save(folder.path().join("none/a.svg"));
    assert!(matches!(missing, Err(PlotError::Output(OutputError::NoFolder { .. }))));
}

#[test]
fn points_that_stay_in_their_files_are_drawn_as_those_in_memory_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("points.npy");
    std::fs::write(&path, command::npy_f32(7000, 3, noise(21_000).map(|x| x as f32))).expect("a file");
    let loaded =
        kmeans_job::data::load_all(std::slice::from_ref(&path), kmeans_job::data::LoadOptions::default());
    let files = Points::from(
        kmeans_job::data::PointFiles::open(std::slice::from_ref(&path), &[]).expect("a file of points"),
    );
    let of_loaded = Sample::new(&loaded.expect("points"), 7).expect("finite points");
    assert_eq!(Sample::new(&files, 7).expect("a file that can be read"), of_loaded);
    std::fs::remove_file(path).expect("a file");
    let error = Sample::new(&files, 7).expect_err("a file that is gone");
    assert!(matches!(&error, PlotError::Read { problem } if problem.contains("points.npy")), "{error}");
}

#[test]
fn a_fit_without_labels_makes_the_same_picture() {
    for (d, distance) in
        [(1, Distance::Euclidean), (2, Distance::Euclidean), (4, Distance::Euclidean), (3, Distance::Cosine)]
    {
        let values: Vec<f32> = noise(6000 * d).map(|x| x as f32 + 0.1).collect();
        let points = (values, d).into_points().expect("rows");
        let sample = Sample::new(&points, 7).expect("finite points");
        let kmeans = KMeans::builder().k(4).distance(distance).max_iter(4);
        let without = kmeans.clone().without_labels().build().expect("options").fit(&points).expect("a fit");
        let fit = kmeans.build().expect("options").fit(points).expect("a fit");
        assert_eq!(
            Plot::without_labels(&without, &sample).unwrap().svg().unwrap(),
            svg(&fit, &sample),
            "{d}"
        );
        let (_, other) = fitted(20, d, 2);
        assert!(matches!(Plot::without_labels(&without, &other), Err(PlotError::Rows { rows: 20, .. })));
    }
}

#[test]
fn points_whose_directions_count_are_drawn_where_their_centroids_are() {
    // Two directions, at lengths from 1 to 100.
    let lengths = (1..=100).map(f64::from);
    let values: Vec<f64> =
        lengths.flat_map(|x| if x % 2.0 == 0.0 { [x, 0.0] } else { [0.6 * x, 0.8 * x] }).collect();
    let points = (values, 2).into_points().expect("rows");
    let (fit, sample) = fit(points, |kmeans| kmeans.k(2).distance(Distance::Cosine));
    let svg = svg(&fit, &sample);
    let place = |line: &str, name: &str| line.split(name).nth(1)?.split('"').nth(1).map(str::to_owned);
    let circles = svg.lines().filter(|line| line.starts_with("<circle"));
    let places: BTreeSet<_> =
        circles.filter_map(|line| Some((place(line, " cx=")?, place(line, " cy=")?))).collect();
    // All points of a direction lie on its centroid: there are two places beside those of the legend and the costs.
    assert!(places.len() <= 2 + 2 + fit.model.iterations as usize, "{places:?}");
}
