//! [`Contestants`]: who takes part in the contests of K-means, and the commands.

use super::workload::{Task, Workload};
use crate::contests::Setup;
use std::process::Command;

/// What a contestant is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// This project through its library: what ratios are to.
    Ours,
    /// The same on a pool of peers of one thread.
    Pool,
    /// Its kernel without pruning and without the framework.
    PlainLoop,
    /// Lloyd's steps from the same start centroids: ends with the same inertia after as many iterations.
    Exact,
    /// Lloyd's steps from start centroids or with a rule of its own: an iteration is the same work, and ends elsewhere.
    OwnWay,
    /// Other steps.
    Approximate,
}

/// One of them.
pub(crate) struct Contestant {
    /// What it is.
    pub(crate) name: &'static str,
    /// What it is compared as.
    pub(crate) role: Role,
    /// How many times as long as this project an iteration should take at least.
    pub(crate) aim: Option<f64>,
    /// Iterations of its longer fit.
    pub(crate) iterations: u32,
    /// See `benches::on_demand`.
    pub(crate) command: Command,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Contestants {
    /// Those that take turns, this project first.
    pub(crate) steady: Vec<Contestant>,
    /// Those that have one turn each, behind the others, with fewer iterations.
    pub(crate) slow: Vec<Contestant>,
    /// Those that take no part, and why.
    pub(crate) absent: Vec<String>,
}

/// Peers in Python: name, package, role, script, and a last argument.
const SCRIPTS: [(&str, &str, Role, &str, &str); 5] = [
    ("scikit-learn (lloyd)", "scikit-learn", Role::Exact, "peer_scikit_learn.py", "scikit-learn"),
    ("oneDAL (scikit-learn-intelex)", "scikit-learn-intelex", Role::Exact, "peer_scikit_learn.py", "onedal"),
    ("FAISS, all points", "faiss-cpu", Role::Exact, "peer_faiss.py", ""),
    ("clostera (dense exact)", "clostera", Role::OwnWay, "peer_clostera.py", ""),
    (SUPERKMEANS, "superkmeans", Role::Approximate, "peer_superkmeans.py", ""),
];
/// An aim of its own names it.
pub(crate) const SUPERKMEANS: &str = "superkmeans (prunes by estimates)";

/// Iterations of MLlib, and of the program of map and reduceByKey, at the most.
const SPARK_ITERATIONS: [u32; 2] = [5, 2];

impl Contestants {
    /// Those that can take part here. Makes the Python environment if one of them needs it.
    pub(crate) fn of(task: &Task, setup: Setup<'_>) -> Self {
        let mut all = Self::default();
        let aims = task.workload.aims();
        all.ours(task, setup, "this project", Role::Ours, "threads");
        if aims.pool.is_some() || aims.pool_ms_max.is_some() {
            all.ours(task, setup, "this project, peers of one thread", Role::Pool, "pool");
        }
        all.ours(task, setup, "its kernel in a plain loop", Role::PlainLoop, "plain-loop");
        for (name, package, role, script, last) in SCRIPTS {
            let ready = || setup.workshop.require_package(package);
            if all.admits(setup, name, ready) {
                let mut command = setup.script(task, script);
                command.args((!last.is_empty()).then_some(last));
                all.steady.push(Contestant { name, role, aim: None, iterations: task.iterations, command });
            }
        }
        if all.admits(setup, "linfa", || setup.workshop.build_linfa()) {
            let mut command = Command::new(setup.workshop.program("fit_linfa"));
            command.arg(&task.points).arg(&task.start);
            all.steady.push(setup.steady("linfa", Role::OwnWay, task, command));
        }
        let [mllib, map_reduce] = SPARK_ITERATIONS.map(|most| most.min(task.iterations));
        let (aim_mllib, aim_map_reduce) = aims.spark.unzip();
        all.spark(task, setup, "Spark MLlib", Role::OwnWay, "peer_spark_mllib.py", (mllib, aim_mllib));
        let name = "PySpark, map and reduceByKey";
        match task.workload {
            Workload::Hibench | Workload::Wide => {
                all.leave_out(name, "takes minutes an iteration here");
            }
            _ => {
                let script = "peer_spark_map_reduce.py";
                all.spark(task, setup, name, Role::Exact, script, (map_reduce, aim_map_reduce));
            }
        }
        all
    }

    /// A way of this project to fit.
    fn ours(&mut self, task: &Task, setup: Setup<'_>, name: &'static str, role: Role, how: &str) {
        if !self.admits(setup, name, || Ok(())) {
            return;
        }
        let mut command = Command::new(setup.workshop.program("fit_kmeans"));
        command.arg(how).arg(&task.points).arg(&task.start).arg(setup.threads.to_string());
        self.steady.push(setup.steady(name, role, task, command));
    }

    fn spark(
        &mut self,
        task: &Task,
        setup: Setup<'_>,
        name: &'static str,
        role: Role,
        script: &str,
        (iterations, aim): (u32, Option<f64>),
    ) {
        let java = || if setup.java { Ok(()) } else { Err("there is no Java".to_owned()) };
        if self.admits(setup, name, || java().and_then(|()| setup.workshop.require_package("pyspark"))) {
            let mut command = setup.script(task, script);
            command.arg(&setup.workshop.spill);
            self.slow.push(Contestant { name, role, aim, iterations, command });
        }
    }

    /// Whether it is to take part, and can.
    fn admits(&mut self, setup: Setup<'_>, name: &str, ready: impl FnOnce() -> Result<(), String>) -> bool {
        let unwanted = setup.without.iter().find(|word| name.contains(word.as_str()));
        let admitted = match unwanted {
            Some(word) => Err(format!("--without {word}")),
            None => ready(),
        };
        if let Err(why) = &admitted {
            self.leave_out(name, why);
        }
        admitted.is_ok()
    }

    fn leave_out(&mut self, name: &str, why: &str) {
        self.absent.push(format!("left out: {name} ({why})"));
    }
}

impl Setup<'_> {
    /// A contestant with all iterations.
    fn steady(self, name: &'static str, role: Role, task: &Task, mut command: Command) -> Contestant {
        self.limit(&mut command);
        Contestant { name, role, aim: None, iterations: task.iterations, command }
    }

    fn script(self, task: &Task, script: &str) -> Command {
        let mut command = self.workshop.python(&format!("kmeans/{script}"));
        command.arg(&task.points).arg(&task.start).arg(self.threads.to_string());
        self.limit(&mut command);
        command
    }

    /// Tells every library that a contestant may have inside how many threads there are.
    pub(super) fn limit(self, command: &mut Command) {
        for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"] {
            command.env(variable, self.threads.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inputs::{Inputs, Sizes},
        workshop::Workshop,
    };

    #[test]
    fn who_is_left_out_needs_neither_python_nor_a_build() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = &Workshop::beside(folder.path().join("release")).unwrap();
        let inputs = &Inputs::new(workshop, Sizes::QUICK);
        let without = &["scikit", "FAISS", "clostera", "superkmeans", "linfa"].map(str::to_owned);
        let setup = Setup { workshop, inputs, threads: 2, memory_mb: 200, java: false, without };
        let task = Task {
            workload: Workload::Small,
            n: 100,
            d: 2,
            k: 3,
            iterations: 5,
            points: folder.path().join("points.npy"),
            start: folder.path().join("start.npy"),
        };
        let all = Contestants::of(&task, setup);
        let names: Vec<&str> = all.steady.iter().map(|contestant| contestant.name).collect();
        let ours = ["this project", "this project, peers of one thread", "its kernel in a plain loop"];
        assert_eq!(names, ours);
        assert!(all.slow.is_empty() && !folder.path().join("compare").join("python").exists());
        let absent = [
            "left out: scikit-learn (lloyd) (--without scikit)",
            "left out: oneDAL (scikit-learn-intelex) (--without scikit)",
            "left out: FAISS, all points (--without FAISS)",
            "left out: clostera (dense exact) (--without clostera)",
            "left out: superkmeans (prunes by estimates) (--without superkmeans)",
            "left out: linfa (--without linfa)",
            "left out: Spark MLlib (there is no Java)",
            "left out: PySpark, map and reduceByKey (there is no Java)",
        ];
        assert_eq!(all.absent, absent);
    }
}
