//! The command as a process, with Parquet files of points, labels and distances.

#![cfg(feature = "parquet")]

mod command;

use command::{Folder, doubles, labels};
use kmeans_job::{
    Model,
    data::{self, LoadOptions, Points},
};
use parquet::{
    data_type::{ByteArray, ByteArrayType, DoubleType},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::{fs::File, sync::Arc};

/// A column of numbers of a Parquet file.
fn column(folder: &Folder, name: &str, column: &str) -> Vec<f64> {
    let columns = [column.to_owned()];
    let options = LoadOptions { columns: &columns, ..LoadOptions::default() };
    match data::load_all(&[folder.path(name)], options).expect("a column of numbers") {
        Points::F64(points) => points.into_values(),
        Points::Files(_) => unreachable!("they were loaded"),
        Points::F32(points) => points.into_values().into_iter().map(f64::from).collect(),
    }
}

#[test]
fn points_are_generated_and_clustered_from_any_kind_of_output() {
    let folder = Folder::new();
    let made = "generate blobs --rows 3000 --columns 4 --clusters 3 --spread 0.1 --seed 7 --output";
    let run = folder.succeed(&format!("{made} a.npy"));
    assert!(
        run.stdout.starts_with("points      3000 x 4 of f32, seed 7\nwrote       a.npy\n"),
        "{}",
        run.stdout
    );
    assert_eq!(run.stderr, "");
    folder.succeed(&format!("{made} a.parquet --threads 3"));
    folder.succeed(&format!("{made} a --files 5"));
    folder.succeed(&format!("{made} b --files 2 --format parquet"));
    folder.succeed("fit a.npy --k 3 --model m.json");
    let model = folder.get("m.json");
    for input in ["a.parquet", "a", "b"] {
        folder.succeed(&format!("fit {input} --k 3 --model m.json"));
        assert!(folder.get("m.json") == model, "{input}");
    }
    let inertia = Model::load(folder.path("m.json")).unwrap().inertia;
    // 3000 points, 4 columns, variance 0.01.
    assert!((inertia - 120.0).abs() < 12.0, "{inertia}");
    folder.succeed("fit a.parquet --columns x2,x0 --k 3 --model m.json");
    assert_eq!(Model::load(folder.path("m.json")).unwrap().d(), 2);
}

#[test]
fn labels_and_distances_are_written_as_parquet() {
    let folder = Folder::new();
    folder.succeed("fit IRIS --k 3 --model m.json --labels l.npy --distances d.npy");
    folder.succeed("fit IRIS --k 3 --labels l.parquet --distances d.PARQUET");
    let expected: Vec<f64> = labels(&folder.get("l.npy")).into_iter().map(f64::from).collect();
    assert_eq!(column(&folder, "l.parquet", "label"), expected);
    let expected = doubles(&folder.get("d.npy")).1;
    assert_eq!(column(&folder, "d.PARQUET", "distance"), expected);
    let inertia = Model::load(folder.path("m.json")).unwrap().inertia;
    let sum: f64 = expected.iter().map(|distance| distance * distance).sum();
    assert!((sum - inertia).abs() < 1e-9 * inertia, "{sum} {inertia}");
    folder.succeed("predict m.json IRIS --labels p.parquet --distances e.parquet");
    assert!(folder.get("p.parquet") == folder.get("l.parquet"));
}

#[test]
fn parquet_of_other_columns_is_refused_by_name() {
    let folder = Folder::new();
    folder.succeed("generate uniform --rows 10 --columns 2 --output a.parquet");
    for (args, part) in [
        ("fit a.parquet --columns x0,y --k 2", "a.parquet: there is no column `y`; the columns are x0, x1"),
        ("fit a.parquet --columns x0,x0 --k 2", "a.parquet: the column `x0` is chosen twice"),
        ("fit IRIS --columns x0 --k 2", "iris.csv: columns can be chosen by name in Parquet files alone"),
    ] {
        let run = folder.run(&command::words(args));
        assert_eq!(run.status, Some(1), "{args}");
        assert!(run.stderr.contains(part), "{args}: {}", run.stderr);
    }
}

#[test]
fn a_column_of_strings_is_named_with_the_columns_of_numbers() {
    let folder = Folder::new();
    let schema = "message flowers { required double x; required binary name (STRING); required double y; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(folder.path("flowers.parquet")).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for numbers in [Some([1.0, 2.0, 30.0]), None, Some([4.0, 5.0, 60.0])] {
        let mut column = group.next_column().unwrap().unwrap();
        match numbers {
            Some(numbers) => column.typed::<DoubleType>().write_batch(&numbers, None, None).unwrap(),
            None => {
                let names = ["rose", "iris", "aster"].map(ByteArray::from);
                column.typed::<ByteArrayType>().write_batch(&names, None, None).unwrap()
            }
        };
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();

    let run = folder.run(&command::words("fit flowers.parquet --k 2 --model m.json"));
    assert_eq!(run.status, Some(1));
    for part in ["error: flowers.parquet: ", "`name`", "--columns x,y"] {
        assert!(run.stderr.contains(part), "no {part:?} in {}", run.stderr);
    }
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
    assert!(!folder.path("m.json").exists());
    folder.succeed("fit flowers.parquet --columns x,y --k 2 --model m.json");
}
