//! The command with other distances and algorithms than the usual.

mod command;

use command::{Folder, doubles, labels, npy, npy_f32};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON object")
}

#[test]
fn directions_are_found_and_kept_in_the_model() {
    let folder = Folder::new();
    folder.put("points.csv", "x,y\n1,0.1\n900,80\n0.1,1\n70,900\n5,0.4\n");
    let fit = "fit points.csv --k 2 --distance cosine --model m.json --labels l.npy --distances d.npy --json";
    let run = folder.succeed(fit);
    let found = labels(&folder.get("l.npy"));
    assert_eq!((found[0], found[2]), (found[1], found[3]));
    assert_eq!((found[0] == found[4], found[0] == found[2]), (true, false));
    let (_, distances) = doubles(&folder.get("d.npy"));
    let inertia = json(&run.stdout)["inertia"].as_f64().unwrap();
    assert!((distances.iter().sum::<f64>() - inertia).abs() < 1e-12 && inertia < 0.01);
    assert!(String::from_utf8(folder.get("m.json")).unwrap().contains("\"metric\": \"cosine\""));

    folder.put("new.npy", npy_f32(2, 2, [0.001, 0.0, 0.0, 4e4]));
    let run = folder.succeed("predict m.json new.npy --labels n.npy --distances nd.npy --json");
    assert_eq!(labels(&folder.get("n.npy")), [found[0], found[2]]);
    let (_, distances) = doubles(&folder.get("nd.npy"));
    assert!((distances.iter().sum::<f64>() - json(&run.stdout)["inertia"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn points_without_direction_are_named() {
    let folder = Folder::new();
    folder.put("points.csv", "1,2\n0,0\n3,1\n");
    let run = folder.run(&["fit", "points.csv", "--k", "2", "--distance", "cosine"]);
    assert_eq!(run.status, Some(1));
    assert_eq!(
        run.stderr,
        "error: points.csv: row 1 (counted from 0) is all zeros, which have no cosine distance; remove it, or use the euclidean distance\n"
    );
    folder.put("good.csv", "1,2\n3,1\n");
    folder.put("start.npy", npy_f32(2, 2, [1.0, 0.0, 0.0, 0.0]));
    let run = folder.run(&["fit", "good.csv", "--k", "2", "--distance", "cosine", "--init", "start.npy"]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("--init start.npy: row 1 (counted from 0) is all zeros"), "{}", run.stderr);
}

#[test]
fn clusters_are_split_until_there_are_enough() {
    let folder = Folder::new();
    folder.put("points.csv", "0\n1\n20\n21\n1000\n1001\n1008\n1009\n");
    let run = folder.succeed("fit points.csv --k 3 --algorithm bisecting --labels l.npy --json");
    let found = labels(&folder.get("l.npy"));
    assert_eq!(json(&run.stdout)["inertia"], 66.0);
    assert_eq!((found[0], found[2], found[4]), (found[1], found[3], found[7]));
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("iteration 1 cost 1976538.0 moved 4 (50.0 %) "), "{}", run.stderr);
    assert!(lines[1].starts_with("iteration 2 cost 466.0 moved 2 "), "{}", run.stderr);

    let run = folder.run(&["fit", "points.csv", "--k", "3", "--algorithm", "bisecting", "--init", "s.npy"]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("--init s.npy: bisecting begins with one cluster; leave"), "{}", run.stderr);
}

#[test]
fn mini_batches_draw_as_many_points_as_asked_for() {
    let folder = Folder::new();
    folder.succeed("generate blobs --rows 5000 --columns 3 --clusters 4 --output p.npy --quiet");
    let exact = json(&folder.succeed("fit p.npy --k 4 --json --quiet").stdout);
    let run = folder.succeed("fit p.npy --k 4 --algorithm mini-batch --batch-size 500 --json --model a.json");
    let found = json(&run.stdout);
    assert!(found["inertia"].as_f64().unwrap() < 1.05 * exact["inertia"].as_f64().unwrap());
    let line = run.stderr.lines().next().unwrap();
    assert!(line.starts_with("iteration 1 cost ") && line.contains(" drawn "), "{line}");
    folder.succeed(
        "fit p.npy --k 4 --algorithm mini-batch --batch-size 500 --threads 1 --split-size 999 --model b.json",
    );
    assert_eq!(folder.get("a.json"), folder.get("b.json"));

    for (algorithm, size, status, words) in [
        ("lloyd", "5", 1, "--batch-size: only mini-batch draws points; leave it out, or give"),
        ("mini-batch", "0", 2, "give a whole number, 1 or more"),
        ("kmedoids", "5", 2, "possible values: lloyd, bisecting, mini-batch"),
    ] {
        let run = folder.run(&["fit", "p.npy", "--algorithm", algorithm, "--batch-size", size]);
        assert_eq!(run.status, Some(status));
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn weights_come_from_a_file_of_their_own() {
    let folder = Folder::new();
    folder.put("points.csv", "0\n1\n10\n500\n");
    folder.put("w.csv", "weight\n3\n1\n2\n0\n");
    let body: Vec<u8> = [3.0_f32, 1.0, 2.0, 0.0].into_iter().flat_map(f32::to_le_bytes).collect();
    folder.put("w1.npy", npy("<f4", false, "(4,)", &body));
    folder.put("w2.npy", npy("<f4", false, "(4, 1)", &body));
    folder.put("start.npy", npy_f32(2, 1, [0.0, 9.0]));
    for file in ["w.csv", "w1.npy", "w2.npy"] {
        let fit = format!(
            "fit points.csv --k 2 --weights {file} --init start.npy --model m.json --labels l.npy --quiet"
        );
        folder.succeed(&fit);
        let model = json(&String::from_utf8(folder.get("m.json")).unwrap());
        assert_eq!((&model["inertia"], &model["weights"]), (&json("0.75"), &json("[4.0,2.0]")), "{file}");
        assert_eq!(labels(&folder.get("l.npy")), [0, 0, 1, 1]);
    }
}

#[test]
fn weights_that_cannot_be_used_are_named_with_their_file() {
    let folder = Folder::new();
    folder.put("points.csv", "0\n1\n10\n");
    for (content, words) in [
        ("1\n2\n", "--weights w.csv: 3 rows do not have 2 weights; give one weight for each row"),
        ("1\n-2\n3\n", "--weights w.csv: the weight of row 1 (counted from 0) is -2; give numbers"),
        ("0\n0\n0\n", "--weights w.csv: all weights are 0"),
        ("1,2\n1,2\n1,2\n", "--weights w.csv: it has 2 columns, and weights are one number a point"),
        ("1\nNaN\n1\n", "--weights w.csv: "),
        ("1\n\"\"\n1\n", "--weights w.csv: "),
    ] {
        folder.put("w.csv", content);
        let run = folder.run(&["fit", "points.csv", "--k", "1", "--weights", "w.csv"]);
        assert_eq!(run.status, Some(1), "{content}");
        assert!(run.stderr.contains(words), "{content}: {}", run.stderr);
    }
    let run = folder.run(&["fit", "points.csv", "--k", "1", "--weights", "none.npy"]);
    assert!(run.stderr.contains("--weights none.npy: "), "{}", run.stderr);
    folder.put("w.npy", npy_f32(3, 1, [1.0; 3]));
    let run = folder.run(&["fit", "points.csv", "--k", "1", "--weights", "w.npy", "--labels", "./w.npy"]);
    assert!(run.stderr.contains("--labels ./w.npy: this is also --weights"), "{}", run.stderr);
}
