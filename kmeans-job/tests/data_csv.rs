//! Loading tables of numbers: what is read, what is refused, and the line and column that a message names.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use kmeans_job::data::csv::{Column, CsvError, RowError};
use kmeans_job::data::{self, LoadError, Matrix, Points};
use proptest::prelude::*;

fn load_as(name: &str, bytes: &[u8]) -> Result<Matrix<f64>, LoadError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file in it");
    match data::load(&path, &|| false)? {
        Points::F64(matrix) => Ok(matrix),
        _ => panic!("a table is f64"),
    }
}

fn load(text: &str) -> Result<Matrix<f64>, LoadError> {
    load_as("points.csv", text.as_bytes())
}

fn rows(text: &str) -> Vec<Vec<f64>> {
    let matrix = load(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    matrix.values().chunks(matrix.d()).map(<[f64]>::to_vec).collect()
}

fn refused(text: &str) -> (CsvError, String) {
    match load(text) {
        Err(error @ LoadError::Csv { .. }) => {
            let message = error.to_string();
            assert!(message.contains("points.csv: "), "{message}");
            let LoadError::Csv { problem, .. } = error else { unreachable!("matched above") };
            (problem, message)
        }
        other => panic!("expected a csv error for {text:?}, got {other:?}"),
    }
}

/// The line and the error of a row that is refused.
fn refused_row(text: &str) -> (u64, RowError) {
    match refused(text).0 {
        CsvError::Row { line, problem } => (line, problem),
        other => panic!("expected a row of {text:?}, got {other:?}"),
    }
}

fn column(number: usize, name: Option<&str>) -> Column {
    Column { number, name: name.map(str::to_owned) }
}

#[test]
fn the_iris_table_has_150_points_of_4_columns() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/iris.csv");
    let Points::F64(iris) = data::load(&path, &|| false).unwrap() else { panic!("not f64") };
    assert_eq!((iris.rows(), iris.d()), (150, 4));
    assert_eq!(iris.row(0), Some(&[5.1, 3.5, 1.4, 0.2][..]));
    assert_eq!(iris.row(149), Some(&[5.9, 3.0, 5.1, 1.8][..]));
}

#[test]
fn a_header_line_is_optional() {
    assert_eq!(rows("1,2\n3,4\n"), [[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(rows("x,y\n3,4\n"), [[3.0, 4.0]]);
    assert_eq!(rows(",\n3,4\n"), [[3.0, 4.0]], "names may be empty");
}

#[test]
fn numbers_are_read_in_every_usual_notation() {
    assert_eq!(
        rows("1,-2.5,+3\n1e3,.5,5.\n-0,1E-2,007\n"),
        [[1.0, -2.5, 3.0], [1e3, 0.5, 5.0], [0.0, 0.01, 7.0]]
    );
}

#[test]
fn layout_that_does_not_matter_is_taken_as_it_comes() {
    let expected = [[1.0, 2.0], [3.0, 4.0]];
    for text in [
        "1,2\n3,4",
        "1,2\r\n3,4\r\n",
        "\u{feff}1,2\n3,4\n",
        "\u{feff}x,y\r\n1,2\r\n3,4",
        "\n\n1,2\n\n\r\n3,4\n\n",
        "   \n1,2\n  \n3,4\n \n",
        " 1 ,\t2\n3 , 4 \n",
        "\"1\",\"2\"\n\" 3 \",4\n",
        "\"x, in cm\",\"y\"\n1,2\n3,4\n",
    ] {
        assert_eq!(rows(text), expected, "{text:?}");
    }
    let tabs = load_as("POINTS.TSV", b"x\ty\n1\t2\n3\t4\n").unwrap();
    assert_eq!(tabs.values(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn one_column_is_enough() {
    assert_eq!(rows("x\n1\n2\n"), [[1.0], [2.0]]);
    assert_eq!(refused_row("1\n \n2\n"), (2, RowError::EmptyField { column: column(1, None) }));
}

#[test]
fn files_without_rows_are_refused() {
    assert_eq!(refused("").0, CsvError::Empty);
    assert_eq!(refused("\n\r\n \n").0, CsvError::Empty);
    assert_eq!(refused("\u{feff}").0, CsvError::Empty);
    let (error, message) = refused("x,y\n\n");
    assert_eq!(error, CsvError::OnlyHeader);
    assert!(message.contains("add one line of numbers a point"), "{message}");
}

#[test]
fn a_ragged_row_is_named_by_its_line() {
    assert_eq!(refused_row("1,2\n3,4\n5\n"), (3, RowError::Ragged { found: 1, expected: 2 }));
    assert_eq!(refused_row("x,y\n1,2,3\n"), (2, RowError::Ragged { found: 3, expected: 2 }));
}

#[test]
fn a_word_is_named_by_line_and_column() {
    let (error, message) = refused("width,species\n1.5,setosa\n");
    let problem = RowError::NotANumber { column: column(2, Some("species")), text: "setosa".to_owned() };
    assert_eq!(error, CsvError::Row { line: 2, problem });
    assert!(
        message.contains("line 2, column 2 (`species`): `setosa` is not a number; remove the column"),
        "{message}"
    );

    let (line, error) = refused_row("1,2\n3,4 cm\n");
    assert_eq!((line, error), (2, RowError::NotANumber { column: column(2, None), text: "4 cm".to_owned() }));
}

#[test]
fn a_long_word_is_cut_and_control_characters_do_not_reach_the_terminal() {
    let long = "é".repeat(100);
    let (_, error) = refused_row(&format!("1\n{long}\n"));
    assert_eq!(error, RowError::NotANumber { column: column(1, None), text: format!("{}…", "é".repeat(40)) });
    let (_, message) = refused("1\n\u{1b}[2Jx\n");
    assert!(!message.contains('\u{1b}'), "{message:?}");
}

#[test]
fn other_separators_get_a_hint() {
    let (_, message) = refused("x;y\n1;2\n");
    assert!(message.contains("columns are separated by `,` in a .csv file"), "{message}");
    let error = load_as("points.tsv", b"x,y\n1,2\n").unwrap_err();
    assert!(error.to_string().contains("by tabs in a .tsv file"), "{error}");
}

#[test]
fn an_empty_field_is_named() {
    assert_eq!(refused_row("x,y\n1,\n"), (2, RowError::EmptyField { column: column(2, Some("y")) }));
    assert_eq!(refused_row("1,2\n , 4\n"), (2, RowError::EmptyField { column: column(1, None) }));
}

#[test]
fn a_first_line_of_words_and_numbers_is_neither_dropped_nor_guessed_at() {
    for text in ["NA", "O.2", "year"] {
        let half_header = RowError::HalfHeader { column: column(2, None), text: text.to_owned() };
        assert_eq!(refused_row(&format!("1,{text}\n3,4\n")), (1, half_header));
    }
    assert_eq!(refused_row(",2\n3,4\n"), (1, RowError::EmptyField { column: column(1, None) }));
}

#[test]
fn a_number_that_is_not_finite_is_named() {
    for text in ["NaN", "inf", "-Infinity", "1e999"] {
        let (line, error) = refused_row(&format!("x,y\n1,2\n1,{text}\n"));
        assert_eq!(line, 3);
        assert_eq!(error, RowError::NotFinite { column: column(2, Some("y")), text: text.to_owned() });
    }
    assert_eq!(refused_row("1,nan\n").0, 1);
}

#[test]
fn blank_lines_crlf_and_quoted_line_feeds_count_as_lines() {
    assert_eq!(refused_row("1,2\n\n\n3\n").0, 4);
    assert_eq!(refused_row("\n\nx,y\n1\n").0, 4);
    assert_eq!(refused_row("1,2\r\n3,4\r\n5\r\n").0, 3);
    assert_eq!(refused_row("1,2\r\n\r\n3,4\r\n\r\n5").0, 5);
    assert_eq!(refused_row("\"a\nb\",y\n1,2\n3\n").0, 4);
    let many: String = (0..50_000).map(|row| format!("{row},1\r\n")).collect();
    assert_eq!(refused_row(&format!("{many}x,1\r\n")).0, 50_001);
}

#[test]
fn files_in_other_encodings_are_refused() {
    let utf16: Vec<u8> = "\u{feff}1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = load_as("points.csv", &utf16).unwrap_err();
    assert!(matches!(error, LoadError::Csv { problem: CsvError::Utf16, .. }), "{error}");
    assert!(error.to_string().contains("iconv"), "{error}");
    let error = load_as("points.csv", b"1,2\n\xff\xfe,3\n").unwrap_err();
    assert!(error.to_string().contains("line 2, column 1"), "{error}");
}

#[test]
fn a_long_load_can_be_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.csv");
    fs::write(&path, "1.5,2.5\n".repeat(200_000)).unwrap();
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    assert!(matches!(data::load(&path, &interrupted), Err(LoadError::Interrupted)));
    assert_eq!(asked.get(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_table_of_finite_numbers_comes_back_bit_for_bit(
        values in (1_usize..5).prop_flat_map(|d| prop::collection::vec(
            prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL, d), 1..30)),
        header: bool,
        crlf: bool,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = if header { vec!["name"; values[0].len()].join(",") + end } else { String::new() };
        for row in &values {
            let row: Vec<String> = row.iter().map(f64::to_string).collect();
            text += &(row.join(",") + end);
        }
        let bits = |rows: &[Vec<f64>]| rows.concat().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&rows(&text)), bits(&values));
    }

    #[test]
    fn a_part_of_a_table_is_an_error_or_its_first_rows(cut in 0_usize..240) {
        let text: String = (0..20).map(|row| format!("{row}.25,{row}.5\n")).collect();
        let length = cut.min(text.len());
        if let Ok(matrix) = load(&text[..length]) {
            let lines = text[..length].lines().count();
            prop_assert_eq!(matrix.rows(), lines);
            for row in 0..lines - 1 {
                prop_assert_eq!(matrix.row(row), Some(&[row as f64 + 0.25, row as f64 + 0.5][..]));
            }
        }
    }

    #[test]
    fn any_bytes_give_an_error_or_points(bytes in prop::collection::vec(
        prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), Just(b'\r'), Just(b' '), b'0'..=b'9', any::<u8>()], 0..60)) {
        if let Ok(matrix) = load_as("points.csv", &bytes) {
            prop_assert!(matrix.values().iter().all(|value| value.is_finite()));
        }
    }
}
