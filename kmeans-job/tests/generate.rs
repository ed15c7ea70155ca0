//! Data sets that are made: what they look like, and that any piece is that of the whole, however it is written.

mod command;

use command::npy;
use kmeans_job::{
    data::{self, Dtype, Points},
    generate::{FileFormat, GenerateError, Generator, Shape, WriteOptions},
    output::OutputError,
};
use proptest::prelude::*;
use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

const BLOBS: Shape = Shape::Blobs { clusters: 5, spread: 0.25 };
const HIBENCH: Shape = Shape::HiBench { clusters: 5 };

fn generator(shape: Shape, rows: u64, d: usize) -> Generator {
    Generator::new(shape, rows, d, 42).expect("options that fit")
}

fn all(generator: &Generator) -> Vec<f64> {
    generator.rows(0..generator.row_count()).expect("all rows").into_values()
}

#[test]
fn blobs_have_their_spread_about_the_means_of_their_clusters() {
    let (n, d) = (50_000, 3);
    let blobs = generator(BLOBS, n, d);
    let values = all(&blobs);
    let mut counts = [0; 5];
    let mut sums = [[0.0; 3]; 5];
    let mut squares = 0.0;
    for (row, values) in (0..n).zip(values.chunks(d)) {
        let cluster = blobs.cluster_of(row).unwrap();
        counts[cluster] += 1;
        for ((sum, value), mean) in sums[cluster].iter_mut().zip(values).zip(blobs.mean(cluster).unwrap()) {
            *sum += value - mean;
            squares += (value - mean).powi(2);
        }
    }
    for (count, sums) in counts.into_iter().zip(sums) {
        // 5 standard deviations of a count of 10 000, and of a mean of so many.
        assert!((f64::from(count) - 1e4).abs() < 5.0 * 90.0, "{counts:?}");
        assert!(sums.iter().all(|sum| (sum / f64::from(count)).abs() < 5.0 * 0.25 / 100.0), "{sums:?}");
    }
    let deviation = (squares / (n * d as u64) as f64).sqrt();
    assert!((deviation - 0.25).abs() < 0.003, "{deviation}");
    let means: Vec<f64> = (0..5).flat_map(|cluster| blobs.mean(cluster).unwrap().to_vec()).collect();
    assert!(means.iter().all(|mean| mean.abs() <= 10.0));
    assert!(means.iter().any(|mean| *mean < -3.0) && means.iter().any(|mean| *mean > 3.0), "{means:?}");
    assert_eq!((blobs.mean(5), blobs.cluster_of(n)), (None, None));
}

#[test]
fn uniform_values_fill_their_range_evenly() {
    let uniform = generator(Shape::Uniform, 50_000, 2);
    let mut bins = [0_u32; 100];
    for value in all(&uniform) {
        assert!(value > 0.0 && value < 1.0);
        bins[(value * 100.0) as usize] += 1;
    }
    // Chi-square with 99 degrees of freedom: 160 is beyond the 99.99th percentile.
    let chi: f64 = bins.iter().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi < 160.0, "{chi}");
    assert_eq!(uniform.cluster_of(0), None);
}

#[test]
fn hibench_has_clusters_one_behind_the_other_with_deviations_of_their_own() {
    let (n, d) = (50_000, 4);
    let hibench = generator(HIBENCH, n, d);
    let values = all(&hibench);
    let mut deviations = Vec::new();
    for (cluster, values) in values.chunks(10_000 * d).enumerate() {
        assert_eq!(hibench.cluster_of(cluster as u64 * 10_000), Some(cluster));
        assert_eq!(hibench.cluster_of(cluster as u64 * 10_000 + 9_999), Some(cluster));
        for column in 0..d {
            let mean = hibench.mean(cluster).unwrap()[column];
            assert!((0.0..=1000.0).contains(&mean));
            let values: Vec<f64> = values.iter().skip(column).step_by(d).copied().collect();
            let found = values.iter().sum::<f64>() / 1e4;
            let deviation = (values.iter().map(|value| (value - found).powi(2)).sum::<f64>() / 1e4).sqrt();
            assert!((found - mean).abs() <= 5.0 * deviation / 100.0, "{found} for {mean}");
            deviations.push(deviation);
        }
    }
    assert!(deviations.iter().all(|deviation| *deviation < 103.0), "{deviations:?}");
    assert!(deviations.iter().any(|deviation| *deviation < 40.0), "{deviations:?}");
    assert!(deviations.iter().any(|deviation| *deviation > 60.0), "{deviations:?}");
    // Every cluster has rows, whatever the number of rows.
    let few = generator(HIBENCH, 7, 1);
    let clusters: Vec<usize> = (0..7).map(|row| few.cluster_of(row).unwrap()).collect();
    assert_eq!(clusters, [0, 0, 1, 2, 2, 3, 4]);
}

#[test]
fn numbers_do_not_change_between_releases_or_platforms() {
    let first = |shape| all(&generator(shape, 10, 2))[..2].to_vec();
    let found: Vec<u64> =
        [Shape::Uniform, BLOBS, HIBENCH].into_iter().flat_map(first).map(f64::to_bits).collect();
    // Computed by another implementation of the same definition, in Python, whose `NormalDist.inv_cdf` is AS 241 too.
    let expected = [
        0x3fda_19d2_94d6_98ee,
        0x3fd0_e753_ea33_d532,
        0xc002_8ce6_d3e6_d582,
        0x4010_6775_059f_462c,
        0x4077_584a_4dca_61f7,
        0x4085_9c0a_339a_1c80_u64,
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_seed_and_the_shape_decide_the_values() {
    let values = |seed| Generator::new(BLOBS, 10, 2, seed).unwrap().rows::<f64>(0..10).unwrap();
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
    let single = Generator::new(BLOBS, 10, 2, 1).unwrap().rows::<f32>(0..10).unwrap();
    assert!(single.values().iter().zip(values(1).values()).all(|(single, double)| *single == *double as f32));
}

#[test]
fn what_cannot_be_made_is_refused() {
    let refused = |shape, rows, d| Generator::new(shape, rows, d, 0).unwrap_err();
    assert!(matches!(refused(BLOBS, 0, 2), GenerateError::NoRows));
    assert!(matches!(refused(BLOBS, 10, 0), GenerateError::Columns { d: 0 }));
    assert!(matches!(refused(BLOBS, 10, usize::MAX), GenerateError::Columns { .. }));
    assert!(matches!(refused(BLOBS, 4, 2), GenerateError::Clusters { .. }), "more clusters than rows");
    assert!(matches!(refused(Shape::HiBench { clusters: 0 }, 4, 2), GenerateError::Clusters { .. }));
    let many = Shape::HiBench { clusters: usize::MAX };
    assert!(matches!(refused(many, u64::MAX, 1 << 20), GenerateError::Clusters { .. }));
    for spread in [-1.0, f64::NAN, f64::INFINITY] {
        let blobs = Shape::Blobs { clusters: 1, spread };
        assert!(matches!(refused(blobs, 4, 2), GenerateError::Spread { .. }), "{spread}");
    }
    let generator = generator(Shape::Uniform, 10, 2);
    for range in [3..3, 5..11, 10..12, 0..u64::MAX] {
        assert!(matches!(generator.rows::<f32>(range), Err(GenerateError::Range { .. })));
    }
}

/// The bytes of an `.npy` file of these values, made independently.
fn npy_of(generator: &Generator, dtype: Dtype) -> Vec<u8> {
    let shape = format!("({}, {})", generator.row_count(), generator.d());
    match dtype {
        Dtype::F64 => npy(
            "<f8",
            false,
            &shape,
            &all(generator).into_iter().flat_map(f64::to_le_bytes).collect::<Vec<_>>(),
        ),
        Dtype::F32 => {
            let values = all(generator).into_iter().flat_map(|value| (value as f32).to_le_bytes());
            npy("<f4", false, &shape, &values.collect::<Vec<_>>())
        }
    }
}

/// The values behind a header.
fn body(npy: &[u8]) -> &[u8] {
    &npy[10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]))..]
}

#[test]
fn a_file_has_the_same_bytes_whichever_threads_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.npy");
    // Several pieces, the last of them short.
    let generator = generator(HIBENCH, 100_003, 3);
    for dtype in [Dtype::F32, Dtype::F64] {
        let expected = npy_of(&generator, dtype);
        for threads in [1, 2, 7] {
            generator.write(&path, WriteOptions { dtype, threads, ..WriteOptions::default() }).unwrap();
            assert!(body(&fs::read(&path).unwrap()) == body(&expected), "{dtype} {threads}");
            assert_eq!(data::load(&path, &|| false).unwrap().dtype(), dtype);
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no file is left beside it");
}

#[test]
#[cfg(feature = "parquet")]
fn a_parquet_file_has_the_same_bytes_and_rows_whichever_threads_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.parquet");
    // Several row groups.
    let generator = generator(BLOBS, 150_000, 30);
    let mut first = None;
    for threads in [1, 2, 5] {
        generator.write(&path, WriteOptions { threads, ..WriteOptions::default() }).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(*first.get_or_insert_with(|| bytes.clone()) == bytes, "{threads}");
    }
    let Points::F32(points) = data::load(&path, &|| false).unwrap() else { panic!("f32") };
    assert!(points == generator.rows(0..150_000).unwrap());

    let generator = self::generator(Shape::Uniform, 5, 2);
    generator.write(&path, WriteOptions { dtype: Dtype::F64, ..WriteOptions::default() }).unwrap();
    let Points::F64(points) = data::load(&path, &|| false).unwrap() else { panic!("f64") };
    assert_eq!(points, generator.rows(0..5).unwrap());
    let columns = ["x1".to_owned()];
    let options = data::LoadOptions { columns: &columns, ..data::LoadOptions::default() };
    assert_eq!(data::load_all(&[&path], options).unwrap().d(), 1);
}

#[test]
fn a_folder_of_files_has_the_rows_of_one_file() {
    let scratch = tempfile::tempdir().unwrap();
    let generator = generator(BLOBS, 1000, 3);
    let formats: &[FileFormat] =
        if cfg!(feature = "parquet") { &[FileFormat::Npy, FileFormat::Parquet] } else { &[FileFormat::Npy] };
    for &format in formats {
        let path = scratch.path().join(format.extension());
        generator.write_folder(&path, format, 7, WriteOptions::default()).unwrap();
        let names = data::list(&[&path]).unwrap();
        assert_eq!(names.len(), 7);
        assert_eq!(names[6], path.join(format!("part-00006.{}", format.extension())));
        let Points::F32(points) = data::load_all(&[&path], data::LoadOptions::default()).unwrap() else {
            panic!("f32")
        };
        assert_eq!(points, generator.rows(0..1000).unwrap());
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), formats.len());
    // An empty folder may be there, one with files not.
    let path = scratch.path().join("empty");
    fs::create_dir(&path).unwrap();
    let write = |files| generator.write_folder(&path, FileFormat::Npy, files, WriteOptions::default());
    write(2).unwrap();
    assert!(matches!(write(2), Err(GenerateError::Output(OutputError::NotEmpty { .. }))));
    assert!(matches!(write(0), Err(GenerateError::Files { files: 0, .. })));
    assert!(matches!(write(1001), Err(GenerateError::Files { .. })));
}

#[test]
fn files_that_cannot_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |shape, rows, path: &Path| generator(shape, rows, 3).write(path, WriteOptions::default());
    let error = write(BLOBS, 10, &folder.path().join("points.csv")).unwrap_err();
    assert!(matches!(error, GenerateError::Output(OutputError::Extension { .. })), "{error}");
    let error = write(BLOBS, 10, &folder.path().join("no/points.npy")).unwrap_err();
    assert!(matches!(error, GenerateError::Output(OutputError::NoFolder { .. })), "{error}");
    let error = write(BLOBS, u64::MAX, &folder.path().join("points.npy")).unwrap_err();
    assert!(matches!(error, GenerateError::TooLarge { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn writing_tells_how_far_it_is_and_leaves_nothing_when_asked_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let generator = generator(Shape::Uniform, 1_000_000, 2);
    let most = AtomicU64::new(0);
    let observe = |rows| {
        most.fetch_max(rows, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let path = folder.path().join("points.npy");
    generator.write(&path, WriteOptions { observe: &observe, ..WriteOptions::default() }).unwrap();
    assert_eq!(most.into_inner(), 1_000_000);
    let before = fs::metadata(&path).unwrap().len();

    let stop = |rows| if rows > 300_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    for name in ["points.npy", "points.parquet", "folder"] {
        if name.ends_with("parquet") && !cfg!(feature = "parquet") {
            continue;
        }
        let path = folder.path().join(name);
        let options = WriteOptions { observe: &stop, ..WriteOptions::default() };
        let result = match name {
            "folder" => generator.write_folder(&path, FileFormat::Npy, 3, options),
            _ => generator.write(&path, options),
        };
        assert!(matches!(result, Err(GenerateError::Interrupted)), "{name}");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), before, "as it was");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Uniform),
        (1_usize..9).prop_map(|clusters| Shape::HiBench { clusters }),
        (1_usize..9, 0.0..10.0).prop_map(|(clusters, spread)| Shape::Blobs { clusters, spread }),
    ]
}

proptest! {
    #[test]
    fn any_piece_is_that_of_the_whole(
        shape in shapes(), rows in 9_u64..500, d in 1_usize..6, seed: u64, from in 0.0..1.0, to in 0.0..1.0,
    ) {
        let generator = Generator::new(shape, rows, d, seed).unwrap();
        let [from, to] = [from, to].map(|share: f64| (share * rows as f64) as u64);
        let range = from.min(to)..from.max(to) + 1;
        let piece = generator.rows::<f64>(range.clone()).unwrap();
        let all = all(&generator);
        prop_assert_eq!(piece.values(), &all[range.start as usize * d..range.end as usize * d]);
        prop_assert!(all.iter().all(|value| value.is_finite()));
    }
}
