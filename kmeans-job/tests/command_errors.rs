//! The command as a process, given what it cannot work with: it says what is wrong and what to do, prints no result
//! and leaves all files as they were.

mod command;

use command::{Folder, Run, npy, npy_f32, npy_f64, words};
use std::fs;

/// Name, files in the folder, arguments, exit status, parts of the message.
type Case<'a> = (&'a str, &'a [(&'a str, &'a [u8])], &'a str, i32, &'a [&'a str]);

fn check(cases: &[Case<'_>]) {
    for &(name, files, args, status, parts) in cases {
        let folder = Folder::new();
        for (file, bytes) in files {
            folder.put(file, bytes);
        }
        refused(&folder, name, args, status, parts);
    }
}

fn refused(folder: &Folder, name: &str, args: &str, status: i32, parts: &[&str]) {
    let before = folder.content();
    let Run { status: found, stdout, stderr } = folder.run(&words(args));
    assert_eq!(found, Some(status), "{name}: {stderr}");
    assert!(stderr.starts_with("error: "), "{name}: {stderr}");
    if status == 1 {
        assert_eq!(stderr.lines().count(), 1, "{name}: {stderr}");
    }
    for part in parts {
        assert!(stderr.contains(part), "{name}: no {part:?} in {stderr}");
    }
    assert_eq!(stdout, "", "{name}");
    assert!(folder.content() == before, "{name}: the folder has changed");
}

#[test]
fn wrong_usage() {
    check(&[
        ("k of 0", &[], "fit IRIS --k 0", 2, &["'--k <K>'", "1 or more"]),
        ("negative k", &[], "fit IRIS --k -3", 2, &["'-3'", "'--k <K>'", "1 or more"]),
        ("k that is no number", &[], "fit IRIS --k many", 2, &["'many'", "a whole number"]),
        ("enormous k", &[], "fit IRIS --k 99999999999999999999", 2, &["too large"]),
        ("empty k", &[], "fit IRIS --k=", 2, &["--k"]),
        ("negative tol", &[], "fit IRIS --tol -1", 2, &["'-1'", "'--tol <T>'", "0 or more"]),
        ("tol of NaN", &[], "fit IRIS --tol nan", 2, &["'nan'", "0 or more"]),
        ("infinite tol", &[], "fit IRIS --tol -inf", 2, &["'-inf'", "0 or more"]),
        ("no iterations", &[], "fit IRIS --max-iter 0", 2, &["'--max-iter <N>'", "1 or more"]),
        ("negative threads", &[], "fit IRIS --threads -1", 2, &["'--threads <N>'", "0 or more"]),
        ("too many threads", &[], "fit IRIS --threads 1025", 2, &["'--threads <N>'", "at most 1024"]),
        ("negative seed", &[], "fit IRIS --seed -1", 2, &["'--seed <S>'", "0 or more"]),
        ("empty splits", &[], "fit IRIS --split-size 0", 2, &["'--split-size <BYTES>'", "1 or more"]),
        (
            "unknown start",
            &[],
            "fit IRIS --init best",
            2,
            &["'best'", "`k-means||`, `k-means++`, `random`", ".npy"],
        ),
        ("no runs", &[], "fit IRIS --n-init 0", 2, &["'--n-init <N>'", "1 or more"]),
        ("a range upside down", &[], "fit IRIS --k 20..2", 2, &["'--k <K>'", "upside down; give 2..20"]),
        ("half a range", &[], "fit IRIS --k 2..", 2, &["'--k <K>'", "FROM..TO"]),
        (
            "runs of given",
            &[],
            "fit IRIS --k 3 --init c.npy --n-init 2",
            1,
            &["--init c.npy: ", "for one run"],
        ),
        ("range of given", &[], "fit IRIS --k 2..3 --init c.npy", 1, &["--init c.npy: ", "with one k"]),
        ("unknown option", &[], "fit IRIS --clusters 3", 2, &["'--clusters'", "--help"]),
        ("misspelt option", &[], "fit IRIS --label l.npy", 2, &["'--labels'"]),
        ("unknown command", &[], "train IRIS", 2, &["'train'", "--help"]),
        ("no input", &[], "fit", 2, &["<INPUT>"]),
        ("predict without labels", &[], "predict m.json IRIS", 2, &["--labels <OUT.npy|OUT.parquet>"]),
        ("labels of another kind", &[], "fit IRIS --labels l.csv", 2, &["'l.csv'", ".npy or .parquet"]),
        ("distances of another kind", &[], "fit IRIS --distances l", 2, &["'l'", ".npy or .parquet"]),
        ("centroids of another kind", &[], "fit IRIS --centroids c.parquet", 2, &["'c.parquet'", ".npy"]),
        ("a palette of another kind", &[], "quantize a.png --output b.png --palette c.act", 2, &[".gpl"]),
        ("an empty column", &[], "fit IRIS --columns a,,b", 2, &["'--columns <A,B,..>'", "a name is empty"]),
        (
            "an unknown shape",
            &[],
            "generate rings --rows 9 --columns 2 --output a.npy",
            2,
            &["'rings'", "blobs"],
        ),
        (
            "no rows",
            &[],
            "generate blobs --rows 0 --columns 2 --output a.npy",
            2,
            &["'--rows <N>'", "1 or more"],
        ),
        ("no output", &[], "generate blobs --rows 9 --columns 2", 2, &["--output"]),
        (
            "a negative spread",
            &[],
            "generate blobs --rows 9 --columns 2 --spread -1 --output a.npy",
            2,
            &["'--spread <S>'", "0 or more"],
        ),
        ("quantize without output", &[], "quantize a.png --k 4", 2, &["--output <OUT.png>"]),
        ("an output that is no PNG", &[], "quantize a.png --k 4 --output a.jpg", 2, &["'a.jpg'", ".png"]),
    ]);
}

#[test]
fn inputs_that_cannot_be_opened() {
    check(&[
        ("missing", &[], "fit no.npy --k 2", 1, &["no.npy: there is no such file"]),
        ("missing image", &[], "quantize no.png --k 2 --output o.png", 1, &["no.png: there is no such file"]),
        ("missing model", &[], "predict m.json IRIS --labels l.npy", 1, &["m.json: there is no such file"]),
        ("missing start", &[], "fit IRIS --k 2 --init c.npy", 1, &["--init c.npy: there is no such file"]),
        (
            "standard input",
            &[],
            "fit - --k 2",
            1,
            &["-: there is no such file", "standard input is not read"],
        ),
        ("empty folder", &[], "fit . --k 2", 1, &[".: there are no files in this folder", "name the files"]),
        ("folder of others", &[("a.txt", b"1,2")], "fit . --k 1", 1, &["a.txt: the extension"]),
        ("extension", &[("a.txt", b"1,2")], "fit a.txt --k 1", 1, &["a.txt: the extension", ".npy, .csv"]),
    ]);
}

#[test]
#[cfg(unix)]
fn an_input_without_permission() {
    let folder = Folder::new();
    folder.put("secret.csv", "1\n2\n");
    if command::forbid(&folder.path("secret.csv")) {
        refused(&folder, "unreadable", "fit secret.csv --k 1", 1, &["secret.csv: no permission to read it"]);
    }
}

#[test]
fn arrays_that_cannot_be_clustered() {
    let body = [0; 32];
    let cut = npy("<f8", false, "(3, 2)", &body);
    let long = npy("<f8", false, "(1, 2)", &body);
    let fortran = npy("<f8", true, "(2, 2)", &body);
    let integers = npy("<i8", false, "(2, 2)", &body);
    let big_endian = npy(">f8", false, "(2, 2)", &body);
    let one = npy("<f8", false, "(4,)", &body);
    let three = npy("<f8", false, "(2, 2, 1)", &body);
    let no_rows = npy("<f8", false, "(0, 2)", &[]);
    let no_columns = npy("<f8", false, "(2, 0)", &[]);
    let nan = npy_f32(2, 2, [0.0, 1.0, 2.0, f32::NAN]);
    let infinite = npy_f64(2, 2, [0.0, 1.0, f64::NEG_INFINITY, 2.0]);
    let too_large = npy_f32(2, 2, [0.0, 0.0, 0.0, 3e38]);
    let args = "fit a.npy --k 2 --model m.json --labels l.npy";
    check(&[
        ("cut off", &[("a.npy", &cut)], args, 1, &["a.npy: the file is cut off", "48 bytes", "32"]),
        (
            "cut off in its header",
            &[("a.npy", &cut[..40])],
            args,
            1,
            &["a.npy: the file ends within its header"],
        ),
        ("too long", &[("a.npy", &long)], args, 1, &["a.npy: 32 bytes of values follow"]),
        ("foreign", &[("a.npy", b"x,y\n1,2\n")], args, 1, &["a.npy: this is not an .npy file", "numpy.save"]),
        ("empty", &[("a.npy", b"")], args, 1, &["a.npy: this is not an .npy file"]),
        ("archive", &[("a.npy", b"PK\x03\x04    ")], args, 1, &["a.npy: this is an .npz archive"]),
        (
            "Fortran order",
            &[("a.npy", &fortran)],
            args,
            1,
            &["a.npy: ", "Fortran order", "ascontiguousarray"],
        ),
        ("integers", &[("a.npy", &integers)], args, 1, &["a.npy: the values are ", "<i8", "astype"]),
        ("big-endian", &[("a.npy", &big_endian)], args, 1, &["a.npy: the values are ", ">f8", "astype"]),
        ("one dimension", &[("a.npy", &one)], args, 1, &["a.npy: ", "1 dimension", "(4,)", "reshape"]),
        (
            "three dimensions",
            &[("a.npy", &three)],
            args,
            1,
            &["a.npy: ", "3 dimension", "(2, 2, 1)", "reshape"],
        ),
        ("no rows", &[("a.npy", &no_rows)], args, 1, &["a.npy: the array has 0 rows"]),
        ("no columns", &[("a.npy", &no_columns)], args, 1, &["a.npy: the array has 2 rows and 0 columns"]),
        ("NaN", &[("a.npy", &nan)], args, 1, &["a.npy: ", "row 1, column 1 (counted from 0) is NaN"]),
        (
            "infinity",
            &[("a.npy", &infinite)],
            args,
            1,
            &["a.npy: ", "row 1, column 0 (counted from 0) is -inf"],
        ),
        ("overflow", &[("a.npy", &too_large)], args, 1, &["a.npy: column 1 ", "overflow f32", "f64"]),
    ]);
}

#[test]
fn tables_that_cannot_be_clustered() {
    let args = "fit a.csv --k 1 --model m.json --labels l.npy";
    check(&[
        (
            "ragged",
            &[("a.csv", b"1,2\n3\n")],
            args,
            1,
            &["a.csv: line 2 has 1 fields where the first line has 2"],
        ),
        (
            "word",
            &[("a.csv", b"x,y\n1,2\n3,red\n")],
            args,
            1,
            &["a.csv: line 3, column 2 (`y`): `red` is not a number"],
        ),
        ("empty", &[("a.csv", b"")], args, 1, &["a.csv: the file is empty"]),
        ("header alone", &[("a.csv", b"x,y\n")], args, 1, &["a.csv: ", "no row below"]),
        ("empty field", &[("a.csv", b"1,2\n3,\n")], args, 1, &["a.csv: line 2, column 2 is empty"]),
        (
            "NaN",
            &[("a.csv", b"1,2\nnan,4\n")],
            args,
            1,
            &["a.csv: line 2, column 1: `nan` is not a finite number"],
        ),
        (
            "infinity",
            &[("a.csv", b"1,2\n3,inf\n")],
            args,
            1,
            &["a.csv: line 2, column 2: `inf` is not a finite"],
        ),
        ("semicolons", &[("a.csv", b"1;2\n3;4\n")], args, 1, &["a.csv: "]),
    ]);
}

#[test]
fn images_that_cannot_be_quantized() {
    let three = b"P6 3 2 255 \x00\x00\x00\x01\x00\x00\xff\xff\xff\x00\x00\x00\x01\x00\x00\xff\xff\xff";
    let args = "quantize a.png --k 4 --output o.png";
    check(&[
        ("no image", &[("a.png", b"not an image")], args, 1, &["a.png: this is not an image"]),
        ("empty", &[("a.png", b"")], args, 1, &["a.png: the file is empty"]),
        (
            "cut off",
            &[("a.png", b"P6 2 2 255 \x00\x00")],
            args,
            1,
            &["a.png: the image is cut off or damaged"],
        ),
        ("table", &[], "quantize IRIS --k 4 --output o.png", 1, &["iris.csv: this is not an image"]),
        (
            "too few colours",
            &[("a.png", three)],
            args,
            1,
            &["a.png: its 6 pixels have only 3 distinct colours", "--k 4", "at most 3"],
        ),
        (
            "too few pixels",
            &[("a.png", three)],
            "quantize a.png --k 7 --output o.png",
            1,
            &["a.png: ", "6", "--k 7"],
        ),
        ("as points", &[("a.png", b"not an image")], "fit a.png --k 2", 1, &["a.png: this is not an image"]),
    ]);
}

#[test]
fn more_clusters_than_points() {
    let same = npy_f64(3, 2, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    let start = npy_f64(2, 2, [1.0, 2.0, 5.0, 6.0]);
    let files: &[(&str, &[u8])] = &[("a.npy", &same), ("c.npy", &start)];
    check(&[
        ("k above n", &[], "fit IRIS --k 151", 1, &["iris.csv: ", "150 rows", "--k 151", "1 to 150"]),
        ("distinct", &[], "fit IRIS --k 150", 1, &["iris.csv: ", "150 rows", "149 distinct", "at most 149"]),
        ("random", &[], "fit IRIS --k 150 --init random", 1, &["iris.csv: ", "149 distinct", "at most 149"]),
        ("equal rows", files, "fit a.npy --k 2", 1, &["a.npy: ", "3 rows", "only 1 distinct"]),
        ("equal rows, random", files, "fit a.npy --k 2 --init random", 1, &["a.npy: ", "only 1 distinct"]),
        ("equal rows, given", files, "fit a.npy --k 2 --init c.npy", 1, &["a.npy: ", "only 1 distinct"]),
    ]);
}

#[test]
fn start_centroids_that_do_not_fit() {
    let narrow = npy_f64(3, 2, [0.0; 6]);
    let few = npy_f32(2, 4, [0.0; 8]);
    let nan = npy_f64(3, 4, [f64::NAN; 12]);
    let integers = npy("<i4", false, "(3, 4)", &[0; 48]);
    let args = "fit IRIS --k 3 --init c.npy --model m.json";
    check(&[
        ("columns", &[("c.npy", &narrow)], args, 1, &["--init c.npy: ", "3 x 2", "3 x 4 are needed"]),
        ("rows", &[("c.npy", &few)], args, 1, &["--init c.npy: ", "2 x 4", "3 x 4 are needed"]),
        ("NaN", &[("c.npy", &nan)], args, 1, &["--init c.npy: ", "row 0, column 0"]),
        ("integers", &[("c.npy", &integers)], args, 1, &["--init c.npy: ", "<i4"]),
    ]);
}

#[test]
fn models_that_do_not_fit() {
    let folder = Folder::new();
    folder.succeed("fit IRIS --k 3 --model m.json --quiet");
    let model = folder.get("m.json");
    let narrow = npy_f64(3, 2, [0.0; 6]);
    let nan = npy_f64(1, 4, [0.0, 0.0, f64::NAN, 0.0]);
    let args = "predict m.json a.npy --labels l.npy";
    check(&[
        (
            "columns",
            &[("m.json", &model), ("a.npy", &narrow)],
            args,
            1,
            &["a.npy: it has 2 columns", "m.json", "with 4"],
        ),
        ("NaN", &[("m.json", &model), ("a.npy", &nan)], args, 1, &["a.npy: ", "row 0, column 2"]),
        (
            "cut off",
            &[("m.json", &model[..100]), ("a.npy", &narrow)],
            args,
            1,
            &["m.json: the model file is cut off"],
        ),
        ("other JSON", &[("m.json", b"{}"), ("a.npy", &narrow)], args, 1, &["m.json: this is JSON, but no"]),
        ("no JSON", &[("m.json", b"k = 3"), ("a.npy", &narrow)], args, 1, &["m.json: this is not JSON"]),
    ]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = Folder::new();
    fs::create_dir(folder.path("folder")).unwrap();
    folder.put("file", "old");
    folder.put("m.json", "old");
    for (option, name, args) in [
        ("--model", "o.json", "fit IRIS --k 3 --labels l.npy --model"),
        ("--labels", "o.npy", "fit IRIS --k 3 --model m.json --labels"),
        ("--labels", "o.parquet", "predict m.json IRIS --labels"),
        ("--distances", "o.parquet", "fit IRIS --k 3 --distances"),
        ("--distances", "o.npy", "predict m.json IRIS --labels l.npy --distances"),
        ("--centroids", "o.npy", "fit IRIS --k 3 --centroids"),
        ("--output", "o.png", "quantize a.png --k 4 --output"),
        ("--palette", "o.gpl", "quantize a.png --k 4 --output b.png --palette"),
        ("--output", "o.npy", "generate uniform --rows 9 --columns 2 --output"),
        ("--output", "o", "generate uniform --rows 9 --columns 2 --output"),
    ] {
        for (place, part) in [
            ("no", "the folder no does not exist"),
            ("file", "file is not a folder"),
            ("folder/../no", "does not exist"),
        ] {
            let path = format!("{place}/{name}");
            refused(
                &folder,
                &path,
                &format!("{args} {path}"),
                1,
                &[&format!("error: {option} {path}: "), part],
            );
        }
        // Not even root may make files there.
        #[cfg(target_os = "linux")]
        refused(
            &folder,
            "read-only",
            &format!("{args} /sys/{name}"),
            1,
            &[option, &format!("/sys/{name}: no permission")],
        );
    }
    refused(&folder, "folder", "fit IRIS --k 3 --model folder", 1, &["--model folder: this is a folder"]);
    refused(&folder, "device", "fit IRIS --k 3 --model /dev/null", 1, &["--model /dev/null: "]);
    let mut permissions = fs::metadata(folder.path("m.json")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(folder.path("m.json"), permissions).unwrap();
    refused(
        &folder,
        "protected",
        "fit IRIS --k 3 --model m.json",
        1,
        &["--model m.json: this file is read-only"],
    );
}

#[test]
#[cfg(unix)]
fn the_demo_in_a_folder_that_cannot_be_written() {
    let folder = Folder::new();
    fs::create_dir(folder.path("astronaut-16.png")).unwrap();
    refused(&folder, "in its way", "", 1, &["astronaut-16.png: this is a folder"]);
    #[cfg(target_os = "linux")]
    {
        let mut command = folder.command::<&str>(&[]);
        command.current_dir("/sys");
        let run = Run::of(command);
        assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""));
        assert!(run.stderr.starts_with("error: astronaut-16.png: no permission to write"), "{}", run.stderr);
    }
}

#[test]
fn files_that_would_replace_each_other() {
    let points = npy_f64(2, 1, [0.0, 1.0]);
    let files: &[(&str, &[u8])] = &[("a.npy", &points), ("l.npy", b"old")];
    check(&[
        (
            "outputs",
            files,
            "fit a.npy --k 2 --model o.npy --labels ./o.npy",
            1,
            &["--labels ./o.npy: this is also --model"],
        ),
        (
            "existing outputs",
            files,
            "fit a.npy --k 2 --model l.npy --labels ./l.npy",
            1,
            &["this is also --model"],
        ),
        ("input", files, "fit a.npy --k 2 --labels a.npy", 1, &["--labels a.npy: this is also INPUT"]),
        ("start", files, "fit IRIS --k 2 --init a.npy --labels ././a.npy", 1, &["this is also --init"]),
        ("model", files, "predict l.npy a.npy --labels l.npy", 1, &["--labels l.npy: this is also MODEL"]),
        (
            "image",
            &[("a.png", b"")],
            "quantize a.png --k 2 --output a.png",
            1,
            &["--output a.png: this is also IMAGE"],
        ),
    ]);
}

#[test]
#[cfg(unix)]
fn links_do_not_hide_that_files_are_the_same() {
    let folder = Folder::new();
    folder.put("a.npy", npy_f64(2, 1, [0.0, 1.0]));
    std::os::unix::fs::symlink("a.npy", folder.path("link.npy")).unwrap();
    refused(&folder, "link", "fit a.npy --k 2 --labels link.npy", 1, &["link.npy: this is also INPUT"]);
}

/// The labels are over the limit, the model is not: neither is replaced.
#[test]
#[cfg(target_os = "linux")]
fn existing_files_stay_if_not_all_can_be_replaced() {
    use std::process::Command;

    let folder = Folder::new();
    folder.put("a.npy", npy_f64(20_000, 1, command::noise(20_000)));
    folder.put("m.json", "old model");
    folder.put("l.npy", "old labels");
    let before = folder.content();
    // Shells count in blocks of 512 or 1024 bytes; the labels are 80 000 bytes.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_kmeans-job")]);
    command.args(words("fit a.npy --k 2 --max-iter 5 --quiet --model m.json --labels l.npy"));
    command.current_dir(folder.path(""));
    let run = Run::of(command);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: --labels l.npy: the disk is full"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
    assert!(folder.content() == before);
}
