//! The command with other distances and algorithms than the usual.

mod command;

use command::{Folder, doubles, labels, npy_f32};
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
        "kmeans-job: points.csv: row 1 (counted from 0) is all zeros, which have no cosine distance; remove it, or use the euclidean distance\n"
    );
    folder.put("good.csv", "1,2\n3,1\n");
    folder.put("start.npy", npy_f32(2, 2, [1.0, 0.0, 0.0, 0.0]));
    let run = folder.run(&["fit", "good.csv", "--k", "2", "--distance", "cosine", "--init", "start.npy"]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("--init start.npy: row 1 (counted from 0) is all zeros"), "{}", run.stderr);
}
