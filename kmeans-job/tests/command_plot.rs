//! `fit --plot` as a process: the picture is there with the other files, or none of them is.

#![cfg(feature = "plot")]

mod command;

use command::{Folder, noise, npy_f32, words};
use image::ImageFormat;
use std::collections::BTreeSet;

fn text(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.get(name)).expect("UTF-8")
}

#[test]
fn a_fit_draws_its_clusters() {
    let folder = Folder::new();
    let run = folder.succeed("fit IRIS --k 2..4 --plot iris.svg --model m.json");
    assert!(run.stdout.contains("wrote       iris.svg"), "{}", run.stdout);
    let svg = text(&folder, "iris.svg");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("iris.csv: 150 points of 4 columns in 2 clusters"));
    for panel in ["Points and centroids", "Cost by iteration", "Inertia by", "Silhouette by"] {
        assert_eq!(svg.matches(panel).count(), 1, "{panel}");
    }
    // The second time over a file that is there.
    folder.succeed("fit IRIS --k 3 --max-iter 1 --plot iris.svg");
    assert!(text(&folder, "iris.svg").contains("not converged after 1 iteration\n"));

    folder.succeed("fit IRIS --k 3 --plot iris.png");
    let image =
        image::load_from_memory_with_format(&folder.get("iris.png"), ImageFormat::Png).unwrap().into_rgb8();
    assert_eq!(image.dimensions(), (1280, 676));
    let colours: BTreeSet<_> = image.pixels().map(|pixel| pixel.0).collect();
    // Three clusters of tab10, whole in the legend.
    assert!([[0x1f, 0x77, 0xb4], [0xff, 0x7f, 0x0e], [0x2c, 0xa0, 0x2c]].iter().all(|c| colours.contains(c)));
}

#[test]
fn the_picture_depends_on_neither_threads_nor_split_size() {
    let folder = Folder::new();
    folder.put("points.npy", npy_f32(6000, 9, noise(54_000).map(|x| x as f32)));
    for ending in ["svg", "png"] {
        let mut first = None;
        for (threads, split) in [(1, 1000), (2, 100_000), (5, 3000)] {
            folder.succeed(&format!(
                "fit points.npy --k 5 --max-iter 3 --threads {threads} --split-size {split} --plot p.{ending} --quiet"
            ));
            let bytes = folder.get(&format!("p.{ending}"));
            assert!(*first.get_or_insert(bytes.clone()) == bytes, "{ending} {threads} {split}");
        }
    }
}

#[test]
fn the_clusters_of_an_image_have_their_colours() {
    let folder = Folder::new();
    folder.put("pixels.ppm", b"P6 3 1 255 \x00\x00\x00\x00\x00\x00\xff\x80\x00");
    folder.succeed("fit pixels.ppm --k 2 --plot p.svg");
    let svg = text(&folder, "p.svg");
    for text in ["fill=\"#FF8000\"", "\n#ff8000\n", "\n33.3 %\n", "\n#000000\n", "\n66.7 %\n"] {
        assert!(svg.contains(text), "{text}");
    }
}

#[test]
fn a_picture_that_cannot_be_written_is_refused_ahead_of_all_work() {
    for (args, status, parts) in [
        ("fit IRIS --plot p.jpg", 2, ["'p.jpg'", ".svg or .png"]),
        ("fit IRIS --plot p", 2, ["'p'", ".svg or .png"]),
        ("fit IRIS --plot none/p.svg", 1, ["--plot none/p.svg: ", "the folder none does not exist"]),
        ("fit IRIS --plot taken.png", 1, ["--plot taken.png: ", "this is a folder"]),
        ("fit IRIS --plot p.png --model p.png", 1, ["--plot p.png: ", "this is also --model"]),
    ] {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("taken.png")).unwrap();
        let before = folder.content();
        let run = folder.run(&words(args));
        assert_eq!(run.status, Some(status), "{args}: {}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{args}: {}", run.stderr);
        }
        assert!(!run.stderr.contains("iteration "), "{args}: work was done");
        assert!(folder.content() == before, "{args}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_is_refused_ahead_of_all_work() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("closed")).unwrap();
    if !command::forbid(&folder.path("closed")) {
        return;
    }
    let run = folder.run(&words("fit IRIS --plot closed/p.svg"));
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.starts_with("error: --plot closed/p.svg: no permission"), "{}", run.stderr);
}
