//! Palette files that GIMP, Inkscape and Krita read.

use std::fmt::Write as _;
use std::path::Path;

use crate::output::{AtomicFile, OutputError, stage_file};

/// Writes a GIMP palette (`.gpl`), up to where the file would take its place: the colours in their order, each with its
/// `#rrggbb` as a name.
///
/// # Errors
/// [`OutputError`]; the target is as it was.
pub fn stage_gpl(path: &Path, name: &str, palette: &[[u8; 3]]) -> Result<AtomicFile, OutputError> {
    stage_file(path, |file| std::io::Write::write_all(file, encode_gpl(name, palette).as_bytes()))
}

/// The text that [`stage_gpl`] writes. Line ends in the name become spaces.
///
/// ```
/// use kmeans_job::palette::encode_gpl;
///
/// let text = encode_gpl("sunset", &[[255, 128, 0], [9, 10, 11]]);
/// assert_eq!(text, "GIMP Palette\nName: sunset\nColumns: 0\n#\n255 128   0\t#ff8000\n  9  10  11\t#090a0b\n");
/// ```
pub fn encode_gpl(name: &str, palette: &[[u8; 3]]) -> String {
    let name = name.replace(char::is_control, " ");
    let mut text = format!("GIMP Palette\nName: {name}\nColumns: 0\n#\n");
    for [r, g, b] in palette {
        writeln!(text, "{r:>3} {g:>3} {b:>3}\t#{r:02x}{g:02x}{b:02x}")
            .expect("a String takes whatever is written");
    }
    text
}
