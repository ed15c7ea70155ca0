//! The command as a process: what it reads, makes and writes besides one file of points and a model.

mod command;

use command::{Folder, doubles, labels, noise, npy_f32, npy_f64};
use kmeans_job::data::image::decode_rgb;
use serde_json::Value;

#[test]
fn several_files_and_folders_give_what_one_file_gives() {
    let folder = Folder::new();
    let points: Vec<f32> = noise(600).map(|x| x as f32).collect();
    folder.put("all.npy", npy_f32(200, 3, points.iter().copied()));
    std::fs::create_dir(folder.path("parts")).unwrap();
    folder.put("parts/a.npy", npy_f32(150, 3, points[..450].iter().copied()));
    folder.put("parts/b.npy", npy_f32(50, 3, points[450..].iter().copied()));
    folder.succeed("fit all.npy --k 4 --model all.json --labels all_labels.npy");
    for input in ["parts", "parts/a.npy parts/b.npy"] {
        let run = folder.succeed(&format!("fit {input} --k 4 --model m.json --labels l.npy"));
        assert!(run.stdout.contains("200 x 3 from parts/a.npy and 1 more"), "{}", run.stdout);
        assert!(folder.get("m.json") == folder.get("all.json"));
        assert!(folder.get("l.npy") == folder.get("all_labels.npy"));
        folder.succeed(&format!("predict m.json {input} --labels p.npy"));
        assert!(folder.get("p.npy") == folder.get("all_labels.npy"));
    }
}

#[test]
fn generated_bytes_depend_on_neither_threads_nor_what_was_there() {
    let folder = Folder::new();
    for shape in ["blobs", "uniform", "hibench"] {
        let mut first = None;
        for threads in [1, 2, 5] {
            let args = format!(
                "generate {shape} --rows 50000 --columns 8 --dtype f64 --output o.npy --threads {threads} --json"
            );
            let run = folder.succeed(&args);
            let result: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!((result["n"].as_u64(), result["d"].as_u64()), (Some(50_000), Some(8)));
            assert_eq!((result["dtype"].as_str(), result["output"].as_str()), (Some("f64"), Some("o.npy")));
            let bytes = folder.get("o.npy");
            assert!(*first.get_or_insert_with(|| bytes.clone()) == bytes, "{shape} {threads}");
        }
        assert_eq!(folder.content().len(), 1, "nothing is left beside it");
    }
}

#[test]
fn generate_refuses_what_does_not_fit() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("full")).unwrap();
    folder.put("full/a.npy", "old");
    let before = folder.content();
    for (args, part) in [
        (
            "uniform --rows 9 --columns 2 --clusters 3 --output a.npy",
            "--clusters: the shape uniform has none",
        ),
        ("hibench --rows 9 --columns 2 --spread 3 --output a.npy", "--spread: the shape hibench has none"),
        ("blobs --rows 9 --columns 2 --clusters 10 --output a.npy", "10 clusters cannot be made of 9 rows"),
        ("blobs --rows 9 --columns 2 --output a.csv", "--output a.csv: the extension names no format"),
        (
            "blobs --rows 9 --columns 2 --output full",
            "--output full: there is a folder of this name that is not empty",
        ),
        ("blobs --rows 9 --columns 2 --files 10 --output a", "9 rows cannot be written to 10 files"),
        ("blobs --rows 18446744073709551615 --columns 2 --output a.npy", "more than a file can hold"),
    ] {
        let run = folder.run(&command::words(&format!("generate {args}")));
        assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{args}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(part), "{args}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    assert!(folder.content() == before);
}

#[test]
fn distances_and_centroids_are_written() {
    let folder = Folder::new();
    folder.put("points.npy", npy_f64(4, 2, [0.0, 0.0, 0.0, 2.0, 10.0, 0.0, 10.0, 6.0]));
    folder.put("start.npy", npy_f64(2, 2, [0.0, 0.0, 10.0, 0.0]));
    let run = folder.succeed(
        "fit points.npy --k 2 --init start.npy --model m.json --centroids c.npy --labels l.npy --distances d.npy",
    );
    for file in ["m.json", "c.npy", "l.npy", "d.npy"] {
        assert!(run.stdout.contains(&format!("wrote       {file}\n")), "{}", run.stdout);
    }
    let (header, centroids) = doubles(&folder.get("c.npy"));
    assert!(header.contains("(2, 2"), "{header}");
    assert_eq!(centroids, [0.0, 1.0, 10.0, 3.0]);
    assert_eq!(labels(&folder.get("l.npy")), [0, 0, 1, 1]);
    let (header, distances) = doubles(&folder.get("d.npy"));
    assert!(header.contains("(4,"), "{header}");
    assert_eq!(distances, [1.0, 1.0, 3.0, 3.0]);
    // The centroids are start centroids for another fit.
    let run = folder.succeed("fit points.npy --k 2 --init c.npy --json");
    assert_eq!(serde_json::from_str::<Value>(&run.stdout).unwrap()["iterations"].as_u64(), Some(1));

    folder.put("other.npy", npy_f32(2, 2, [3.0, 5.0, 10.0, 3.0]));
    folder.succeed("predict m.json other.npy --labels l.npy --distances d.npy --threads 2");
    assert_eq!(doubles(&folder.get("d.npy")).1, [5.0, 0.0]);
}

#[test]
fn a_dithered_image_has_the_palette_and_the_mean_of_the_image() {
    let folder = Folder::new();
    // From black to white: 64 x 16 pixels.
    let levels: Vec<u8> = (0..16).flat_map(|_| (0..64).map(|x| (x * 4) as u8)).collect();
    folder.put("grey.pgm", [b"P5 64 16 255 ".as_slice(), &levels].concat());
    folder.put("start.npy", npy_f32(2, 3, [0.0, 0.0, 0.0, 255.0, 255.0, 255.0]));
    let args = "quantize grey.pgm --k 2 --init start.npy --palette p.gpl --output";
    folder.succeed(&format!("{args} plain.png"));
    let run = folder.succeed(&format!("{args} dithered.png --dither"));
    assert!(run.stdout.contains("wrote       dithered.png\nwrote       p.gpl\n"), "{}", run.stdout);

    let palette = String::from_utf8(folder.get("p.gpl")).unwrap();
    let lines: Vec<&str> = palette.lines().collect();
    assert_eq!(lines[..4], ["GIMP Palette", "Name: dithered", "Columns: 0", "#"]);
    let colours: Vec<[u8; 3]> = lines[4..]
        .iter()
        .map(|line| {
            let mut levels = line.split_whitespace().map_while(|level| level.parse().ok());
            [(); 3].map(|()| levels.next().expect("a level"))
        })
        .collect();
    assert_eq!(colours.len(), 2);
    for [r, g, b] in &colours {
        let name = format!("#{r:02x}{g:02x}{b:02x}");
        assert!(palette.contains(&format!("\t{name}\n")), "{palette}");
        assert!(run.stdout.lines().any(|line| line.starts_with(&name)), "{}", run.stdout);
    }
    assert!(!run.stdout.contains('\x1b'), "no colours where nobody sees them");

    let [plain, dithered] = ["plain.png", "dithered.png"].map(|name| decode_rgb(&folder.get(name)).unwrap());
    assert_ne!(plain, dithered);
    assert!(dithered.pixels.iter().all(|pixel| colours.contains(pixel)));
    // Between the two colours dithering keeps the mean of a part of the image, which nearest colours do not.
    let mean = |pixels: &[[u8; 3]]| {
        let middle = pixels.chunks(64).flat_map(|row| &row[20..28]);
        middle.map(|pixel| f64::from(pixel[0])).sum::<f64>() / (16.0 * 8.0)
    };
    let expected = (20..28).map(|x| f64::from(x * 4)).sum::<f64>() / 8.0;
    assert!((mean(&dithered.pixels) - expected).abs() < 8.0, "{} for {expected}", mean(&dithered.pixels));
    assert!((mean(&plain.pixels) - expected).abs() > 15.0, "{}", mean(&plain.pixels));
    folder.succeed(&format!("{args} again.png --dither --threads 1"));
    assert!(folder.get("again.png") == folder.get("dithered.png"));
}
