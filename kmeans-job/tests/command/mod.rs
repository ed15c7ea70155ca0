//! Runs of the command in a folder of their own.

#![allow(dead_code, reason = "not every file of tests uses all of it")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// Fisher's iris flowers: 150 points x 4, 149 of them distinct.
pub(crate) const IRIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/iris.csv");

/// A folder in which the command is run.
pub(crate) struct Folder(TempDir);

/// What a run left.
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a file in a temporary folder");
    }

    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|problem| panic!("{name}: {problem}"))
    }

    /// Compares files.
    pub(crate) fn same(&self, names: &[&str]) {
        let first = self.get(names[0]);
        for name in &names[1..] {
            assert!(self.get(name) == first, "{name} differs from {}", names[0]);
        }
    }

    /// All files with their content, hidden ones too; folders have none.
    pub(crate) fn content(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.map(|path| (path.clone(), fs::read(&path).ok())).collect()
    }

    /// The names of all files, hidden ones too.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().into()).collect()
    }

    /// The command, not yet started.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kmeans-job"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Run {
        Run::of(self.command(args))
    }

    /// Runs a command line without quotes. Fails unless it succeeds.
    pub(crate) fn succeed(&self, args: &str) -> Run {
        let run = self.run(&words(args));
        assert_eq!(run.status, Some(0), "{args}: {}", run.stderr);
        run
    }
}

impl Run {
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().expect("the command can be started");
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

pub(crate) fn words(args: &str) -> Vec<String> {
    args.split_whitespace().map(|word| word.replace("IRIS", IRIS)).collect()
}

/// An `.npy` file, written independently of the reader.
pub(crate) fn npy(descr: &str, fortran_order: bool, shape: &str, body: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(body);
    file
}

pub(crate) fn npy_f32(rows: usize, d: usize, values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let body: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    npy("<f4", false, &format!("({rows}, {d})"), &body)
}

pub(crate) fn npy_f64(rows: usize, d: usize, values: impl IntoIterator<Item = f64>) -> Vec<u8> {
    let body: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
    npy("<f8", false, &format!("({rows}, {d})"), &body)
}

/// The labels of a file that the command wrote, read independently of the writer.
pub(crate) fn labels(file: &[u8]) -> Vec<i32> {
    let header = usize::from(u16::from_le_bytes([file[8], file[9]]));
    assert!(String::from_utf8_lossy(&file[10..10 + header]).contains("'<i4'"), "int32");
    file[10 + header..].as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect()
}

/// The f64 values of a file that the command wrote, and the header's text.
pub(crate) fn doubles(file: &[u8]) -> (String, Vec<f64>) {
    let header = usize::from(u16::from_le_bytes([file[8], file[9]]));
    let text = String::from_utf8_lossy(&file[10..10 + header]).into_owned();
    assert!(text.contains("'<f8'"), "{text}");
    (text, file[10 + header..].as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
}

/// The same numbers from 0 to 1 on every run.
pub(crate) fn noise(count: usize) -> impl Iterator<Item = f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
    .take(count)
}

/// Whether a file or folder whose permissions were taken away is out of this user's reach, as it never is for root.
#[cfg(unix)]
pub(crate) fn forbid(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if path.is_dir() { 0o555 } else { 0o000 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
    let stopped =
        if path.is_dir() { tempfile::tempfile_in(path).is_err() } else { fs::File::open(path).is_err() };
    if !stopped {
        eprintln!("not tested: permissions do not stop this user");
    }
    stopped
}
