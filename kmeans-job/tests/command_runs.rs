//! The command as a process: what it prints and writes when all is well.

mod command;

use command::{Folder, IRIS, Run, labels, noise, npy_f32, npy_f64, words};
use kmeans_job::data::image::decode_rgb;
use serde_json::Value;
use std::{collections::BTreeSet, fs::File, process::Stdio};

const FIT_KEYS: [&str; 13] = [
    "n",
    "d",
    "k",
    "iterations",
    "converged",
    "inertia",
    "peers",
    "threads",
    "tasks_by_peer",
    "attempts_lost",
    "cost_per_iteration",
    "seconds",
    "peak_rss_bytes",
];

const PREDICT_KEYS: [&str; 10] = [
    "n",
    "d",
    "k",
    "inertia",
    "peers",
    "threads",
    "tasks_by_peer",
    "attempts_lost",
    "seconds",
    "peak_rss_bytes",
];

/// The one JSON object on standard output, with exactly these keys in this order.
fn json(run: &Run, keys: &[&str], seconds: &[&str]) -> Value {
    let value: Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    assert_eq!(run.stdout.matches('\n').count(), 1, "one line");
    for (object, keys) in [(&value, keys), (&value["seconds"], seconds)] {
        let found: BTreeSet<&str> =
            object.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(found, keys.iter().copied().collect());
        let at: Vec<usize> =
            keys.iter().map(|key| run.stdout.rfind(&format!("\"{key}\":")).expect("a key")).collect();
        assert!(at.is_sorted(), "{}", run.stdout);
    }
    value
}

fn inertia(run: &Run) -> f64 {
    serde_json::from_str::<Value>(&run.stdout).expect("JSON")["inertia"].as_f64().expect("a number")
}

#[test]
fn without_arguments_a_photograph_is_quantized() {
    let folder = Folder::new();
    let run = folder.succeed("");
    assert!(run.stdout.contains("512 x 512 pixels, in 16 colours"), "{}", run.stdout);
    for word in ["iterations", "inertia", "seconds", "Wrote astronaut-16.png"] {
        assert!(run.stdout.contains(word), "{word}: {}", run.stdout);
    }
    assert!(!run.stdout.contains('\x1b'), "no colours where nobody sees them");

    let image = decode_rgb(&folder.get("astronaut-16.png")).unwrap();
    assert_eq!((image.width, image.height), (512, 512));
    let colours: BTreeSet<[u8; 3]> = image.pixels.iter().copied().collect();
    let listed: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!((colours.len(), listed.len()), (16, 16));
    for [r, g, b] in colours {
        let colour = format!("#{r:02x}{g:02x}{b:02x}");
        assert!(listed.iter().any(|line| line.starts_with(&colour)), "{colour} in {listed:?}");
    }
    assert_eq!(folder.content().len(), 1);
}

#[test]
fn a_fit_finds_the_known_clusters_of_iris() {
    let folder = Folder::new();
    let run = folder.succeed("fit IRIS --k 3 --json");
    let result = json(&run, &FIT_KEYS, &["load", "init", "fit", "total"]);
    assert!((result["inertia"].as_f64().unwrap() - 78.851441426146).abs() < 1e-9, "{result}");
    assert_eq!(
        (result["n"].as_u64(), result["d"].as_u64(), result["k"].as_u64()),
        (Some(150), Some(4), Some(3))
    );
    assert_eq!(result["converged"], true);
    let costs = result["cost_per_iteration"].as_array().unwrap();
    assert_eq!(costs.len() as u64, result["iterations"].as_u64().unwrap());
    assert_eq!((result["peers"].as_u64(), result["attempts_lost"].as_u64()), (Some(1), Some(0)));
    assert!(result["tasks_by_peer"]["local"].as_u64() > Some(0), "{result}");
    assert!(folder.content().is_empty(), "no option asks for a file");
}

#[test]
fn a_summary_says_what_was_found_and_written() {
    let folder = Folder::new();
    let run = folder.succeed("fit IRIS --k 3 --model m.json --labels l.npy");
    for line in [
        "points      150 x 4 from ",
        "clusters    3",
        "iterations  ",
        "inertia     78.8514414",
        "wrote       m.json",
        "wrote       l.npy",
        "seconds     ",
    ] {
        assert!(run.stdout.lines().any(|found| found.starts_with(line)), "{line}: {}", run.stdout);
    }
    assert!(run.stdout.contains(", converged"), "{}", run.stdout);
    assert_eq!(sizes(&run), [62, 50, 38], "the largest first");
    assert!(run.stdout.contains("sizes       from 38 to 62"), "{}", run.stdout);
    let run = folder.succeed("fit IRIS --k 3 --max-iter 1");
    assert!(run.stdout.contains("iterations  1, not converged"), "{}", run.stdout);
    let run = folder.succeed("fit IRIS --k 40");
    assert!(run.stdout.contains("sizes       from "), "{}", run.stdout);
    assert!(sizes(&run).is_empty(), "too many to list: {}", run.stdout);
}

fn sizes(run: &Run) -> Vec<u32> {
    let lines = run.stdout.lines().skip_while(|line| !line.starts_with("cluster ")).skip(1);
    lines.map(|line| line.split_whitespace().nth(1).expect("a size").parse().expect("a number")).collect()
}

#[test]
fn each_iteration_is_a_line_on_standard_error() {
    let folder = Folder::new();
    let run = folder.succeed("fit IRIS --k 3 --json");
    let result: Value = serde_json::from_str(&run.stdout).unwrap();
    let costs = result["cost_per_iteration"].as_array().unwrap();
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines.len(), costs.len());
    for (i, (line, cost)) in lines.iter().zip(costs).enumerate() {
        let start = format!("iteration {} cost {:?} moved ", i + 1, cost.as_f64().unwrap());
        assert!(line.starts_with(&start), "{line}");
    }
    assert!(lines[0].contains(" moved 150 (100.0 %) shift "), "{}", lines[0]);
    assert!(lines[0].contains(" s, ") && lines[0].ends_with(" % of peak"), "{}", lines[0]);
    assert_eq!(folder.succeed("fit IRIS --k 3 --quiet").stderr, "");
}

#[test]
fn model_and_labels_depend_on_neither_threads_nor_split_size() {
    let folder = Folder::new();
    folder.put("points.npy", npy_f32(500, 3, noise(1500).map(|x| x as f32)));
    for input in ["IRIS", "points.npy"] {
        for init in ["k-means||", "random"] {
            let mut first = None;
            for threads in ["1", "2", "7"] {
                for split in ["1", "100", "100000"] {
                    let run = folder.succeed(&format!(
                        "fit {input} --k 5 --init {init} --threads {threads} --split-size {split} --model m --labels l.npy --json --quiet"
                    ));
                    let result: Value = serde_json::from_str(&run.stdout).unwrap();
                    assert_eq!(result["threads"].to_string(), threads);
                    let files = (folder.get("m"), folder.get("l.npy"));
                    let first = first.get_or_insert(files.clone());
                    assert!(*first == files, "{input} {init} {threads} {split}");
                }
            }
        }
    }
}

#[test]
fn a_split_size_makes_as_many_tasks() {
    let folder = Folder::new();
    let tasks = |split: &str| {
        let run = folder.succeed(&format!("fit IRIS --k 3 --json --quiet {split}"));
        serde_json::from_str::<Value>(&run.stdout).unwrap()["tasks_by_peer"]["local"].as_u64().unwrap()
    };
    assert!(tasks("--split-size 32") > 150, "32 bytes are one point");
    assert!(tasks("") < 150);
}

#[test]
fn predict_labels_the_training_points_as_the_fit_did() {
    let folder = Folder::new();
    folder.put("points.npy", npy_f32(400, 2, noise(800).map(|x| x as f32)));
    for input in ["IRIS", "points.npy"] {
        let fit = folder.succeed(&format!("fit {input} --k 6 --model m.json --labels fit.npy --json"));
        let run = folder.succeed(&format!("predict m.json {input} --labels predicted.npy --json"));
        assert_eq!(folder.get("fit.npy"), folder.get("predicted.npy"));
        let result = json(&run, &PREDICT_KEYS, &["load", "predict", "total"]);
        assert_eq!(result["inertia"].as_f64(), Some(inertia(&fit)));
        assert_eq!(result["k"].as_u64(), Some(6));
        assert_eq!(run.stderr, "");
        let run = folder.succeed(&format!("predict m.json {input} --labels other.npy --threads 3 --quiet"));
        assert!(run.stdout.contains("wrote       other.npy"), "{}", run.stdout);
        assert_eq!(sizes(&run).len(), 6);
    }
}

#[test]
fn points_of_any_kind_are_read() {
    let folder = Folder::new();
    folder.put("points.tsv", "x\ty\n0\t0\n0\t1\n9\t9\n");
    folder.put("POINTS.NPY", npy_f64(3, 1, [0.0, 1.0, 9.0]));
    folder.put("pixels.ppm", b"P6 3 1 255 \x00\x00\x00\x01\x00\x00\xff\xff\xff");
    for (input, inertia_expected) in [("points.tsv", 0.5), ("POINTS.NPY", 0.5), ("pixels.ppm", 0.5)] {
        let run = folder.succeed(&format!("fit {input} --k 2 --labels l.npy --json"));
        assert_eq!(inertia(&run), inertia_expected, "{input}");
        let labels = labels(&folder.get("l.npy"));
        assert!(labels[0] == labels[1] && labels[1] != labels[2], "{input}: {labels:?}");
    }
}

#[test]
fn start_centroids_can_be_given() {
    let folder = Folder::new();
    folder.put("points.npy", npy_f64(4, 1, [0.0, 1.0, 10.0, 11.0]));
    // The second cluster starts on the left: labels show that these were the centroids.
    folder.put("f64.npy", npy_f64(2, 1, [10.0, 0.0]));
    folder.put("f32.npy", npy_f32(2, 1, [10.0, 0.0]));
    for start in ["f64.npy", "f32.npy"] {
        let run = folder.succeed(&format!("fit points.npy --k 2 --init {start} --labels l.npy --json"));
        assert_eq!(labels(&folder.get("l.npy")), [1, 1, 0, 0]);
        assert_eq!(inertia(&run), 1.0);
    }
}

#[test]
fn the_seed_decides_which_points_a_random_start_takes() {
    let folder = Folder::new();
    let cost = |seed: u32| {
        let run = folder.succeed(&format!("fit IRIS --k 3 --init random --seed {seed} --json --quiet"));
        serde_json::from_str::<Value>(&run.stdout).unwrap()["cost_per_iteration"][0].to_string()
    };
    let costs: BTreeSet<String> = (0..5).map(cost).collect();
    assert_eq!(costs.len(), 5);
    assert_eq!(cost(3), cost(3));
}

#[test]
fn iterations_end_at_max_iter_or_tol() {
    let folder = Folder::new();
    let iterations = |options: &str| {
        let run = folder.succeed(&format!("fit IRIS --k 3 --init random --json --quiet {options}"));
        let result: Value = serde_json::from_str(&run.stdout).unwrap();
        (result["iterations"].as_u64().unwrap(), result["converged"].as_bool().unwrap())
    };
    assert_eq!(iterations("--max-iter 2 --tol 0"), (2, false));
    assert_eq!(iterations("--tol 1e9"), (1, true));
    let (all, converged) = iterations("--tol 0");
    assert!(all > 2 && converged);
}

#[test]
fn an_image_is_quantized() {
    let folder = Folder::new();
    folder.put("in.ppm", b"P6 2 2 255 \x00\x00\x00\x02\x00\x00\xff\xff\xff\xff\xff\xff");
    let run = folder.succeed("quantize in.ppm --k 2 --output out.png --json");
    let keys: Vec<&str> = FIT_KEYS.into_iter().chain(["output"]).collect();
    let result = json(&run, &keys, &["load", "init", "fit", "total"]);
    assert_eq!((result["output"].as_str(), result["n"].as_u64()), (Some("out.png"), Some(4)));
    assert!(run.stderr.starts_with("iteration 1 cost "), "{}", run.stderr);
    let image = decode_rgb(&folder.get("out.png")).unwrap();
    assert_eq!((image.width, image.height), (2, 2));
    assert_eq!(image.pixels, [[1, 0, 0], [1, 0, 0], [255, 255, 255], [255, 255, 255]]);

    let run = folder.succeed("quantize in.ppm --k 3 --output out.png --quiet");
    assert!(run.stdout.contains("wrote       out.png"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
    assert_eq!(decode_rgb(&folder.get("out.png")).unwrap().pixels[1], [2, 0, 0], "replaced");

    folder.put("start.npy", npy_f32(2, 3, [0.0, 0.0, 0.0, 255.0, 255.0, 255.0]));
    folder.succeed("quantize in.ppm --k 2 --init start.npy --output given.png");
}

#[test]
fn help_says_the_defaults_and_that_0_threads_are_all_cores() {
    let folder = Folder::new();
    let help = folder.succeed("fit --help").stdout;
    for text in [
        "[default: 8]",
        "[default: 300]",
        "[default: 1e-4]",
        "[default: k-means||]",
        "0 means as many as there are cores",
    ] {
        assert!(help.contains(text), "{text}: {help}");
    }
    assert!(folder.succeed("--help").stdout.contains("Examples:"));
    assert!(folder.succeed("--version").stdout.starts_with("kmeans-job "));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_output_is_an_error() {
    let folder = Folder::new();
    for args in ["fit IRIS --k 3 --quiet", "fit IRIS --k 3 --quiet --json", "--help"] {
        let mut command = folder.command(&words(args));
        command.stdout(File::options().write(true).open("/dev/full").unwrap());
        let run = Run::of(command);
        assert_eq!(run.status, Some(1), "{args}");
        assert!(run.stderr.starts_with("error: cannot write to standard output: "), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn closed_pipes_do_not_panic() {
    let folder = Folder::new();
    for args in ["", "fit IRIS --k 3", "--help"] {
        let mut command = folder.command(&words(args));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        let run = Run::of(command);
        assert_eq!(run.status, Some(1), "{args}: {}", run.stderr);
        assert!(run.stderr.contains("error: cannot write to standard output"), "{}", run.stderr);
    }
    // Nobody reads the progress: the result counts.
    let mut command = folder.command(&["fit", IRIS, "--k", "3", "--json"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stderr(writer).stdout(Stdio::piped());
    let run = Run::of(command);
    assert_eq!(run.status, Some(0));
    assert!(inertia(&run) > 0.0);
}

#[test]
fn of_several_numbers_of_clusters_the_best_is_kept() {
    let folder = Folder::new();
    let run = folder.succeed("fit IRIS --k 2..4 --n-init 2 --tol 0 --json --model m.json");
    let result: Value = serde_json::from_str(&run.stdout).unwrap();
    let trials = result["trials"].as_array().unwrap();
    assert_eq!(trials.iter().map(|trial| trial["k"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3, 4]);
    assert!((trials[0]["silhouette"].as_f64().unwrap() - 0.681046).abs() < 1e-6, "{}", run.stdout);
    assert_eq!((&result["k"], &result["inertia"]), (&trials[0]["k"], &trials[0]["inertia"]));
    assert_eq!(serde_json::from_slice::<Value>(&folder.get("m.json")).unwrap()["k"], 2);
    assert!(run.stderr.starts_with("k 2 run 1 iteration 1 cost "), "{}", run.stderr);
    assert!(run.stderr.contains("\nk 4 run 2 iteration 1 cost "), "{}", run.stderr);

    let table = folder.succeed("fit IRIS --k 1..3 --quiet").stdout;
    let rows: Vec<&str> = table.lines().take(4).collect();
    assert!(rows[0].contains("inertia  silhouette  iterations"), "{table}");
    assert!(rows[1].trim_start().starts_with("1 ") && rows[1].contains(" - "), "{table}");
    assert!(rows[2].ends_with("<- chosen") && !rows[3].contains("chosen"), "{table}");
}

#[test]
fn one_number_of_clusters_leaves_nothing_to_tell_of_others() {
    let run = Folder::new().succeed("fit IRIS --k 3 --init k-means++ --json");
    assert!(!run.stdout.contains("trials"), "{}", run.stdout);
    assert!(run.stderr.starts_with("iteration 1 cost "), "{}", run.stderr);
}

#[test]
fn an_image_gets_as_many_colours_as_suit_it_best() {
    let folder = Folder::new();
    // Three colours, each in four shades.
    let pixels = (0..48).flat_map(|i| {
        let mut pixel = [0_u8; 3];
        pixel[i % 3] = 250 - (i / 3 % 4) as u8;
        pixel
    });
    folder.put("three.ppm", [b"P6 8 6 255\n".to_vec(), pixels.collect()].concat());
    let run = folder.succeed("quantize three.ppm --k 2..6 --output o.png --json --quiet");
    assert_eq!(serde_json::from_str::<Value>(&run.stdout).unwrap()["k"], 3);
}
