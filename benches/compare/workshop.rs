//! [`Workshop`]: the folders of the comparison, the programs of this project, and the Python of its peers.

use benches::Failure;
use std::{
    cell::OnceCell,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where everything is. All of it but the raw runs is below cargo's target folder, and can be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    /// `benches`.
    pub(crate) sources: PathBuf,
    /// Where cargo puts programs.
    programs: PathBuf,
    /// The inputs, which are kept.
    pub(crate) inputs: PathBuf,
    /// Outputs.
    pub(crate) scratch: PathBuf,
    /// What does not fit into memory in a turn, and whatever else it leaves.
    pub(crate) spill: PathBuf,
    /// The virtual environment.
    environment: PathBuf,
    /// The packages that it lacks if it is there, and otherwise why not. Not looked for before something needs it.
    python_state: OnceCell<Result<Vec<String>, String>>,
    /// Whether linfa could be built. Likewise.
    linfa_state: OnceCell<Result<(), String>>,
}

impl Workshop {
    /// Finds the folders, and makes those that are not there.
    ///
    /// # Errors
    /// When one cannot be made, or this is not the release build: what it would compare lies beside it.
    pub(crate) fn open() -> Result<Self, Failure> {
        let programs = env::current_exe()?;
        let programs = programs.parent().ok_or("the program is in no folder")?.to_path_buf();
        if cfg!(debug_assertions) || !programs.ends_with("release") {
            return Err(format!(
                "only release builds are compared, and {} holds another one; use `cargo run --release -p benches \
                 --bin compare`",
                programs.display()
            )
            .into());
        }
        Self::beside(programs)
    }

    /// The workshop of the programs in this folder.
    pub(crate) fn beside(programs: PathBuf) -> Result<Self, Failure> {
        let all = programs.parent().ok_or("the program is not in a folder of cargo's")?.join("compare");
        let workshop = Self {
            sources: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            programs,
            inputs: all.join("inputs"),
            scratch: all.join("scratch"),
            spill: all.join("scratch").join("spill"),
            environment: all.join("python"),
            python_state: OnceCell::new(),
            linfa_state: OnceCell::new(),
        };
        fs::create_dir_all(&workshop.inputs)?;
        fs::create_dir_all(&workshop.scratch)?;
        Ok(workshop)
    }

    /// Builds the programs of the contests of the data path.
    ///
    /// # Errors
    /// When cargo does not succeed.
    pub(crate) fn build_data_path(&self) -> Result<(), Failure> {
        println!("building the programs of the data path");
        let mut cargo = self.cargo_build();
        cargo.args(["-p", "benches", "--bin", "by_hand", "--bin", "sum_by_key"]);
        cargo.args(["-p", "mapreduce-net", "--features", "mapreduce-net/cli"]);
        cargo.args(["--example", "word_count", "--example", "sort"]);
        succeed(&mut cargo)
    }

    /// Builds the programs of this project for the contests of K-means.
    ///
    /// # Errors
    /// When cargo does not succeed.
    pub(crate) fn build_kmeans(&self) -> Result<(), Failure> {
        println!("building the programs of K-means");
        succeed(self.cargo_build().args(["-p", "benches", "--bin", "fit_kmeans", "--bin", "start_kmeans"]))
    }

    /// Builds the program around linfa, which nothing else needs.
    ///
    /// # Errors
    /// When cargo does not succeed; the same each time.
    pub(crate) fn build_linfa(&self) -> Result<(), String> {
        let state = self.linfa_state.get_or_init(|| {
            println!("building linfa");
            let mut cargo = self.cargo_build();
            cargo.args(["-p", "benches", "--features", "linfa", "--bin", "fit_linfa"]);
            succeed(&mut cargo).map_err(|failure| format!("it cannot be built: {failure}"))
        });
        state.clone()
    }

    fn cargo_build(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.sources).args(["build", "--release", "--quiet"]);
        // `cargo run` has set variables of this package, and the build scripts of some dependencies run again when those
        // change: half of the workspace would be built anew each time.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| text.starts_with(prefix)) {
                cargo.env_remove(&name);
            }
        }
        cargo
    }

    /// Whether scripts that need this package can run. The first time, this makes the virtual environment unless it is there.
    ///
    /// # Errors
    /// When there is no `python3` with `venv`, or the package cannot be installed; the same each time.
    pub(crate) fn require_package(&self, package: &str) -> Result<(), String> {
        let state = self.python_state.get_or_init(|| {
            self.install().map_err(|failure| format!("there is no Python environment: {failure}"))
        });
        match state.as_ref()?.iter().any(|missing| missing == package) {
            true => Err(format!("the package {package} cannot be installed")),
            false => Ok(()),
        }
    }

    /// Makes the virtual environment as `requirements.txt` says, unless it is there. Gives the packages that it lacks.
    fn install(&self) -> Result<Vec<String>, Failure> {
        let requirements = self.sources.join("compare").join("requirements.txt");
        let wanted = fs::read_to_string(&requirements)?;
        let [installed, missing] = ["installed.txt", "missing.txt"].map(|file| self.environment.join(file));
        if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
            let missing = fs::read_to_string(missing).unwrap_or_default();
            return Ok(missing.lines().map(str::to_owned).collect());
        }
        println!("installing the Python packages of {}", requirements.display());
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&self.environment))?;
        let pip = || {
            let mut pip = Command::new(self.interpreter());
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            pip
        };
        let mut lacking = Vec::new();
        if succeed(pip().arg("-r").arg(&requirements)).is_err() {
            // One that is not there for this machine should not take the others with it. The file names all that they need.
            for (name, requirement) in packages(&wanted) {
                if succeed(pip().args(["--no-deps", requirement])).is_err() {
                    lacking.push(name.to_owned());
                }
            }
        }
        fs::write(missing, lacking.join("\n"))?;
        fs::write(installed, wanted)?;
        Ok(lacking)
    }

    /// The command of an example of `mapreduce-net`.
    pub(crate) fn example(&self, name: &str) -> PathBuf {
        self.programs.join("examples").join(name)
    }

    /// The command of a program of `benches`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A script of `benches/compare` in the virtual environment: see [`require_package`](Self::require_package).
    pub(crate) fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.interpreter());
        command.arg(self.sources.join("compare").join(script));
        command.env("TMPDIR", &self.spill).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn interpreter(&self) -> PathBuf {
        self.environment.join("bin").join("python")
    }

    /// An empty path for an output.
    ///
    /// # Errors
    /// When what is there cannot be removed.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.scratch.join(name);
        remove(&path)?;
        Ok(path)
    }
}

/// Removes a file or a folder, if it is there.
///
/// # Errors
/// When it is there and cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).status();
    match status.map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))? {
        status if status.success() => Ok(()),
        status => Err(format!("{:?}: {status}", command.get_program()).into()),
    }
}

/// The packages of a file of requirements, and what is required of each.
fn packages(requirements: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = requirements.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some((line.split_once("==")?.0, line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_missing_is_named_and_the_others_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = Workshop::beside(folder.path().join("release")).unwrap();
        fs::create_dir(&workshop.environment).unwrap();
        let requirements = workshop.sources.join("compare").join("requirements.txt");
        fs::copy(requirements, workshop.environment.join("installed.txt")).unwrap();
        fs::write(workshop.environment.join("missing.txt"), "polars\nfaiss-cpu").unwrap();
        assert_eq!(workshop.require_package("duckdb"), Ok(()));
        let why = "the package faiss-cpu cannot be installed".to_owned();
        assert_eq!(workshop.require_package("faiss-cpu"), Err(why));
    }

    #[test]
    fn a_requirement_is_a_package_and_its_version() {
        let file = "# what for\nnumpy==2.0\n\nfaiss-cpu==1.2\n";
        let found: Vec<_> = packages(file).collect();
        assert_eq!(found, [("numpy", "numpy==2.0"), ("faiss-cpu", "faiss-cpu==1.2")]);
    }
}
