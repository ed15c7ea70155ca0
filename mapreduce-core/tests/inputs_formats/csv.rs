//! CSV records, compared with what the crate `csv` reads.

use super::{common::Folder, compressed, elsewhere, failure, opened, read, refusal};
use csv::{ReaderBuilder, Terminator, WriterBuilder};
use mapreduce_core::{Csv, CsvFiles, CsvOptions, Dataset, Input, ReadError, Records};
use proptest::{collection::vec, option, prelude::*};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sale {
    id: i64,
    product: String,
    price: Option<f64>,
    sold: bool,
}

fn sale(text: &'static str) -> impl Strategy<Value = Sale> {
    let price = option::of(-1e9..1e9f64);
    (any::<i64>(), text, price, any::<bool>()).prop_map(|(id, product, price, sold)| Sale {
        id,
        product,
        price,
        sold,
    })
}

fn write(sales: &[Sale], delimiter: u8, crlf: bool) -> Vec<u8> {
    let terminator = if crlf { Terminator::CRLF } else { Terminator::Any(b'\n') };
    let mut writer = WriterBuilder::new().delimiter(delimiter).terminator(terminator).from_writer(Vec::new());
    // Also without a record there is a header.
    writer.write_record(["id", "product", "price", "sold"]).unwrap();
    for sale in sales {
        let price = sale.price.map(|price| price.to_string()).unwrap_or_default();
        writer.write_record([&sale.id.to_string(), &sale.product, &price, &sale.sold.to_string()]).unwrap();
    }
    writer.into_inner().unwrap()
}

/// A file as the crate `csv` reads it.
fn oracle<T: for<'de> Deserialize<'de>>(path: &Path, options: &CsvOptions) -> Vec<T> {
    let reader = ReaderBuilder::new()
        .delimiter(options.delimiter)
        .has_headers(options.header)
        .from_path(path)
        .unwrap();
    reader.into_deserialize().map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_of_lines_are_those_of_the_crate_csv(
        files in vec(vec(sale("[a-z,;\"' \t\u{e9}]{0,12}"), 0..30), 1..4),
        delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t')],
        crlf in any::<bool>(),
        way in 0..5u8,
        bytes in 1..500u64,
    ) {
        let folder = Folder::new();
        let options = CsvOptions { delimiter, ..CsvOptions::default() };
        let (mut paths, mut expected) = (Vec::new(), Vec::new());
        for (i, sales) in files.iter().enumerate() {
            let plain = write(sales, delimiter, crlf);
            expected.extend(oracle::<Sale>(&folder.file("plain", &plain), &options));
            paths.push(compressed::write(&folder, &i.to_string(), &plain, way));
        }
        let input = CsvFiles::<Sale>::open_with(&paths, &options).unwrap();
        let found = read(&input, &[1, bytes, u64::MAX], Sale::clone);
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(found, files.concat());
    }

    #[test]
    fn records_of_several_lines_are_those_of_the_crate_csv(
        files in vec(vec(sale("[a-z,\"\r\n]{0,12}"), 0..30), 1..4),
        crlf in any::<bool>(),
        way in 0..3u8,
    ) {
        let folder = Folder::new();
        let options = CsvOptions { multiline: true, ..CsvOptions::default() };
        let (mut paths, mut expected) = (Vec::new(), Vec::new());
        for (i, sales) in files.iter().enumerate() {
            let plain = write(sales, b',', crlf);
            expected.extend(oracle::<Sale>(&folder.file("plain", &plain), &options));
            paths.push(compressed::write(&folder, &i.to_string(), &plain, way));
        }
        let input = CsvFiles::<Sale>::open_with(&paths, &options).unwrap();
        let found = read(&input, &[1, u64::MAX], Sale::clone);
        prop_assert_eq!(found, expected);
    }

    /// Whatever the bytes: what the crate `csv` reads as records of two fields, or an error.
    #[test]
    fn any_bytes_are_read_as_the_crate_csv_reads_them_or_are_an_error(
        bytes in "(a|b|,|\"|\n|\r|\r\n| |\u{feff}){0,24}",
        multiline in any::<bool>(),
    ) {
        let folder = Folder::new();
        let path = folder.file("csv", &bytes);
        let options = CsvOptions { header: false, multiline, ..CsvOptions::default() };
        let Ok(input) = CsvFiles::<(String, String)>::open_with([&path], &options) else {
            // No quote closes the first record.
            prop_assert!(bytes.contains('"'));
            return Ok(());
        };
        let Ok(found) = opened(&Dataset::new(input.clone()).unwrap(), Clone::clone) else { return Ok(()) };
        prop_assert_eq!(&found, &oracle::<(String, String)>(&path, &options), "{:?}", bytes);
        prop_assert_eq!(&read(&input, &[1, 3, u64::MAX], Clone::clone), &found);
    }
}

#[test]
fn large_files_are_cut_and_read_in_blocks() {
    let folder = Folder::new();
    let sale = |id: i64| Sale {
        id,
        product: "x, ".repeat(id as usize % 9),
        price: Some(id as f64 / 8.0),
        sold: id % 3 == 0,
    };
    let sales: Vec<Sale> = (0..40_000).map(sale).collect();
    let path = folder.file("csv", write(&sales, b',', false));
    for multiline in [false, true] {
        let options = CsvOptions { multiline, ..CsvOptions::default() };
        let input = CsvFiles::<Sale>::open_with([&path], &options).unwrap();
        let splits = Dataset::with_split_bytes(input.clone(), 100_000).unwrap().splits().len();
        assert!(if multiline { splits == 1 } else { splits > 10 });
        assert!(read(&input, &[100_000], Sale::clone) == sales);
    }
}

#[test]
fn a_record_of_many_lines_and_bytes_is_one() {
    let folder = Folder::new();
    let notes = "a line, \"quoted\"\n".repeat(100_000);
    let rows = [(1, notes.clone()), (2, String::new()), (3, notes)];
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().for_each(|row| writer.serialize(row).unwrap());
    let options = CsvOptions { header: false, multiline: true, ..CsvOptions::default() };
    let path = folder.file("csv", writer.into_inner().unwrap());
    let input = CsvFiles::<(u32, String)>::open_with([path], &options).unwrap();
    assert!(read(&input, &[1], Clone::clone) == rows);
}

/// A header, then `records`, read as `T`.
fn fails<T: Send + Sync + for<'de> Deserialize<'de> + 'static>(records: &str, multiline: bool) -> String {
    let folder = Folder::new();
    let path = folder.file("sales.csv", format!("id,product,price\n{records}"));
    let options = CsvOptions { multiline, ..CsvOptions::default() };
    let error = failure(CsvFiles::<T>::open_with([&path], &options).unwrap());
    assert!(error.is_permanent() && matches!(error, ReadError::BadRecord { .. }), "{error}");
    error.to_string().replace(&folder.path().display().to_string(), "")
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read by serde only")]
struct Priced {
    id: u32,
    price: f32,
}

#[test]
fn a_bad_record_is_named_by_file_line_and_field() {
    for multiline in [false, true] {
        let fails = |records| fails::<Priced>(records, multiline);
        let error = fails("1,nuts,0.5\n\n2,\"a, b\",cheap\n3,c,1\n");
        let expected =
            "/sales.csv, line 4, byte 29: field `price` is \"cheap\": invalid float literal; correct it";
        assert!(error.starts_with(expected), "{error}");
        let error = fails("1,nuts,0.5\n2,nuts\n");
        assert!(error.starts_with("/sales.csv, line 3, byte 28: the record has 2 fields, but"), "{error}");
        assert!(error.contains("the header has 3 (id, product, price)"), "{error}");
        let error = fails("1,nuts,and bolts,0.5");
        assert!(error.contains("line 2, byte 17: the record has 4 fields"), "{error}");
        assert!(error.contains("in double quotes"), "{error}");
        let error = fails("\r\n-1,nuts,0.5");
        assert!(error.contains("line 3, byte 19: field `id` is \"-1\": invalid digit"), "{error}");
        let long = fails(&format!("1,nuts,{}", "9x".repeat(1_000)));
        assert!(long.len() < 300 && long.contains("9x..."), "{long}");
    }
}

#[test]
fn quotes_that_are_not_closed_are_an_error_where_they_begin() {
    for (records, line, byte) in [
        ("1,\"nuts,0.5\n2,b,1\n", 2, 17),
        ("1,a,0.5\n2,\"b\n", 3, 25),
        ("1,a,0.5\n2,\"b", 3, 25),
        ("1,a,0.5\n\"", 3, 25),
    ] {
        let error = fails::<Priced>(records, false);
        let expected =
            format!("line {line}, byte {byte}: the line ends inside double quotes; close them, or set");
        // The last one ends inside quotes only if nothing else is wrong with it.
        assert!(error.contains(&expected), "{error}");
        let error = fails::<Priced>(records, true);
        let expected = format!("line {line}, byte {byte}: the record has a double quote that is not closed");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn a_field_that_is_missing_is_named_with_those_that_are_there() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "read by serde only")]
    struct Weighed {
        id: u32,
        weight: u32,
    }
    let error = fails::<Weighed>("1,nuts,0.5\n", false);
    assert!(error.contains("missing field `weight`; the header has id, product, price"), "{error}");
}

#[test]
fn text_that_is_not_utf8_is_an_error_for_strings_only() {
    let folder = Folder::new();
    let path = folder.file("latin1", b"id,product\n1,caf\xe9\n");
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "read by serde only")]
    struct Product {
        product: String,
    }
    let error = failure(CsvFiles::<Product>::open([&path]).unwrap()).to_string();
    assert!(error.contains("line 2, byte 11: field `product`") && error.contains("utf-8"), "{error}");
    #[derive(Debug, Deserialize)]
    struct Id {
        id: u32,
    }
    assert_eq!(read(&CsvFiles::<Id>::open([&path]).unwrap(), &[1], |row| row.id), [1]);
    let path = folder.file("header", b"caf\xe9\n1\n");
    assert!(refusal(CsvFiles::<Id>::open([&path])).contains("the header is not UTF-8"));
}

#[test]
fn the_line_of_an_error_is_found_in_every_split_and_in_compressed_files() {
    let folder = Folder::new();
    let mut text = String::from("id,price\n");
    (0..50_000).for_each(|i| text.push_str(&format!("{i},{}\n", if i == 40_000 { "x" } else { "1" })));
    for way in 0..3 {
        let path = compressed::write(&folder, "sales", text.as_bytes(), way);
        let input = CsvFiles::<Priced>::open([&path]).unwrap();
        let data = Dataset::with_split_bytes(input, 50_000).unwrap();
        let error = opened(&data, |_| ()).unwrap_err();
        let ReadError::BadRecord { line, offset, .. } = &error else { panic!("{error}") };
        assert_eq!((*line, *offset), (Some(40_002), text.find("40000,x").unwrap() as u64));
    }
}

#[test]
fn files_of_an_input_have_the_same_header() {
    let folder = Folder::new();
    let paths = folder.files(&["id,price\n1,2\n", "", "price,id\n1,2\n"]);
    let error = refusal(CsvFiles::<Priced>::open(&paths));
    let (third, first) = (paths[2].display(), paths[0].display());
    let expected =
        format!("{third}: the header is price, id, but that of {first} is id, price; give all files");
    assert!(error.starts_with(&expected), "{error}");
    // An empty file has no record, and that is all.
    let input = CsvFiles::<Priced>::open(&paths[..2]).unwrap();
    assert_eq!(input.header().unwrap(), ["id", "price"]);
    assert_eq!(read(&input, &[1], |row| row.id), [1]);
    let error = refusal(CsvFiles::<Priced>::open(&paths[1..2]));
    assert!(error.contains("has no header: it is empty"), "{error}");
    let error = refusal(CsvFiles::<Priced>::open([folder.file("open", "id,\"price\n1,2\n")]));
    assert!(error.contains("open, byte 0: the line ends inside double quotes"), "{error}");
}

#[test]
fn a_header_may_have_a_byte_order_mark_and_line_ends_of_any_kind() {
    let folder = Folder::new();
    for text in [
        "\u{feff}id,price\r\n1,2\r\n3,4",
        "id,price\r1,2\r3,4\r",
        "\n\r\n\"id\",\"price\"\n\n1,2\n\n\n3,4\n\n",
        "\u{feff}\"id\",price\n1,2\n3,4\n",
    ] {
        for multiline in [false, true] {
            let options = CsvOptions { multiline, ..CsvOptions::default() };
            let path = folder.file("csv", text);
            let input = CsvFiles::<Priced>::open_with([path], &options).unwrap();
            let found = read(&input, &[1, 4, u64::MAX], |row| (row.id, row.price));
            assert_eq!(found, [(1, 2.0), (3, 4.0)], "{text:?}");
        }
    }
    let options = CsvOptions { header: false, ..CsvOptions::default() };
    let path = folder.file("csv", "\u{feff}1,2\n3,4\n");
    let input = CsvFiles::<(u32, u32)>::open_with([path], &options).unwrap();
    assert_eq!(read(&input, &[1, 4], Clone::clone), [(1, 2), (3, 4)]);
    assert_eq!(input.header(), None);
}

#[test]
fn a_header_alone_has_no_records() {
    let folder = Folder::new();
    let path = folder.file("csv", "id,price");
    let input = CsvFiles::<Priced>::open([path]).unwrap();
    assert!(read(&input, &[1], |row| row.id).is_empty());
}

#[test]
fn a_delimiter_that_separates_nothing_is_refused() {
    let folder = Folder::new();
    let path = folder.file("csv", "a\n");
    for delimiter in [b'"', b'\n', b'\r', 0xe9] {
        let options = CsvOptions { delimiter, ..CsvOptions::default() };
        let error = refusal(CsvFiles::<Priced>::open_with([&path], &options));
        assert!(error.contains("cannot separate fields"), "{error}");
    }
    assert!(refusal(CsvFiles::<Priced>::open([""; 0])).contains("no file was given"));
    assert!(refusal(CsvFiles::<Priced>::open([folder.join("missing")])).contains("missing"));
}

/// A block that has failed leaves nothing behind that the next one could stumble over.
#[test]
fn a_buffer_can_be_used_again_after_an_error() {
    let folder = Folder::new();
    let path = folder.file("csv", "id,price\n1,2\n");
    let shape = CsvFiles::<Priced>::open([path]).unwrap().shape();
    let mut buffer = Default::default();
    let error = Csv::<Priced>::block(&shape, b"1,\"2\n", &mut buffer).unwrap_err();
    assert!(matches!(error, ReadError::BadRecord { line: None, .. }), "{error}");
    assert_eq!(Csv::<Priced>::block(&shape, b"3,4\n", &mut buffer).unwrap()[0].id, 3);
}

#[test]
fn an_input_of_records_can_be_cloned_and_shown() {
    let folder = Folder::new();
    let input = CsvFiles::<Priced>::open([folder.file("csv", "id,price\n1,2\n")]).unwrap();
    assert!(format!("{:?}", input.clone()).contains("csv"));
    let data = Dataset::new(input).unwrap();
    assert_eq!(elsewhere(&data, None, |row| row.id), [1]);
}
