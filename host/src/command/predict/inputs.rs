//! The photos that `--images` names: paths, patterns that the shell left as they are, and standard input.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    data::{
        Photo, photos,
        photos::{distinct, is_photo},
        reason,
    },
};

/// Most bytes of paths that standard input may have.
const MAX_BYTES: u64 = 64 << 20;

/// Finds the photos in the order given; `-` is `stdin`, which is read at most once.
///
/// # Errors
/// As [`photos`]; a pattern that no photo matches; standard input that cannot be read or names nothing.
pub(super) fn find(images: &[PathBuf], stdin: &mut dyn Read) -> Result<Vec<Photo>> {
    let mut found = Vec::new();
    for image in images {
        if image == Path::new("-") {
            found.extend(read_paths(stdin)?.into_iter().map(Photo::named_by_file));
        } else if let Some(pattern) = pattern(image) {
            found.extend(matches(pattern)?.into_iter().map(Photo::named_by_file));
        } else {
            found.extend(photos(std::slice::from_ref(image))?);
        }
    }
    distinct(found)
}

/// The path as a pattern, if it has a wildcard and nothing is called so.
fn pattern(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists())
}

/// The photos that match, sorted.
fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    let bad = |problem: &dyn std::fmt::Display| Error::Input(format!("{pattern}: {problem}"));
    let mut paths = Vec::new();
    for path in glob::glob(pattern).map_err(|error| bad(&error.msg))? {
        let path = path.map_err(|error| Error::input(error.path(), reason(error.error())))?;
        if is_photo(&path) && path.is_file() {
            paths.push(path);
        }
    }
    match paths.is_empty() {
        true => Err(bad(&"no photo (.jpg, .png) matches this pattern")),
        false => Ok(paths),
    }
}

/// Paths of photos, one a line, or with a zero byte after each as `find -print0` writes them. What is wrong with a photo is
/// told when it is its turn.
fn read_paths(stdin: &mut dyn Read) -> Result<Vec<PathBuf>> {
    let failed = |problem: &str| Err(Error::Input(format!("standard input: {problem}")));
    let mut bytes = Vec::new();
    if let Err(error) = stdin.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        return failed(&reason(&error));
    }
    if bytes.len() as u64 > MAX_BYTES {
        return failed(&format!("larger than {} MiB; part the list", MAX_BYTES >> 20));
    }
    let zeros = bytes.contains(&0);
    let mut paths = Vec::new();
    for line in bytes.split(|&byte| byte == if zeros { 0 } else { b'\n' }) {
        let line = if zeros { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
        if !line.is_empty() {
            paths.push(path_of(line)?);
        }
    }
    if paths.is_empty() {
        return failed("no path of a photo in it; write one a line");
    }
    Ok(paths)
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere, not all bytes are a path")]
fn path_of(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::ffi::OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Result<PathBuf> {
    let text = std::str::from_utf8(bytes);
    text.map(PathBuf::from).map_err(|_| Error::Input("standard input: not a list of paths in UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(images: &[&Path], stdin: &[u8]) -> Result<Vec<String>> {
        let images: Vec<PathBuf> = images.iter().map(|path| path.to_path_buf()).collect();
        Ok(find(&images, &mut &*stdin)?.into_iter().map(|photo| photo.name).collect())
    }

    #[test]
    fn patterns_find_photos_and_a_name_comes_before_a_pattern() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a 1.jpg", "a2.PNG", "b[1].jpg", "notes.txt", "b1.jpg"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let at = |name: &str| dir.path().join(name);
        assert_eq!(found(&[&at("a*")], b"").unwrap(), ["a 1", "a2"]);
        assert_eq!(found(&[&at("b[1].jpg")], b"").unwrap(), ["b[1]"], "a file of this name");
        assert_eq!(found(&[&at("[b]1.*"), &at("a*.jpg")], b"").unwrap(), ["b1", "a 1"]);
        for (pattern, part) in [("n*", "no photo"), ("z?.jpg", "no photo"), ("a***", "wildcards")] {
            let message = found(&[&at(pattern)], b"").unwrap_err().to_string();
            assert!(message.contains(pattern) && message.contains(part), "{message}");
        }
    }

    #[test]
    fn standard_input_is_a_path_a_line_or_ends_each_with_zero() {
        let dash = Path::new("-");
        assert_eq!(found(&[dash], "x/a b.jpg\r\n\nc\u{e4}.png".as_bytes()).unwrap(), ["a b", "c\u{e4}"]);
        assert_eq!(found(&[dash], b"x/a\nb.jpg\0c.png\0").unwrap(), ["a\nb", "c"]);
        assert_eq!(found(&[dash, dash], b"a.jpg\na.jpg").unwrap_err().exit_code(), 2, "nothing is left to read");
        assert!(found(&[dash], b"\n").unwrap_err().to_string().contains("standard input: no path"));
        assert!(found(&[dash], b"x/a.jpg\ny/a.jpg").unwrap_err().to_string().contains("overwrite each other"));
        assert_eq!(find(&[dash.into()], &mut std::io::repeat(b'a')).unwrap_err().exit_code(), 2);
    }
}
