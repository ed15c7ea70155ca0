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
    /// Whether it is there, and otherwise why not. Not looked for before something needs it.
    python_state: OnceCell<Result<(), String>>,
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
        };
        fs::create_dir_all(&workshop.inputs)?;
        fs::create_dir_all(&workshop.scratch)?;
        Ok(workshop)
    }

    /// Builds the programs of this project.
    ///
    /// # Errors
    /// When cargo does not succeed.
    pub(crate) fn build(&self) -> Result<(), Failure> {
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
        cargo.args(["-p", "benches", "--bin", "by_hand", "--bin", "sum_by_key"]);
        cargo.args(["-p", "mapreduce-net", "--features", "mapreduce-net/cli"]);
        cargo.args(["--example", "word_count", "--example", "sort"]);
        succeed(&mut cargo)
    }

    /// Whether scripts can run. The first time, this makes the virtual environment unless it is there.
    ///
    /// # Errors
    /// When there is no `python3` with `venv`, or a package cannot be installed; the same each time.
    pub(crate) fn require_python(&self) -> Result<(), String> {
        let state = self.python_state.get_or_init(|| {
            self.install().map_err(|failure| format!("there is no Python environment: {failure}"))
        });
        state.clone()
    }

    /// Makes the virtual environment as `requirements.txt` says, unless it is there.
    fn install(&self) -> Result<(), Failure> {
        let requirements = self.sources.join("compare").join("requirements.txt");
        let wanted = fs::read(&requirements)?;
        let installed = self.environment.join("installed.txt");
        if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        println!("installing the Python packages of {}", requirements.display());
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&self.environment))?;
        let mut pip = Command::new(self.interpreter());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements);
        succeed(&mut pip)?;
        Ok(fs::write(installed, wanted)?)
    }

    /// The command of an example of `mapreduce-net`.
    pub(crate) fn example(&self, name: &str) -> PathBuf {
        self.programs.join("examples").join(name)
    }

    /// The command of a program of `benches`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A script of `benches/compare` in the virtual environment: see [`require_python`](Self::require_python).
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
