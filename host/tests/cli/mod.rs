//! Runs the binary as a person does, and small data sets to run it on.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use image::RgbImage;
use tempfile::TempDir;
use wseg::picture::{LabelMap, write_mask, write_photo};

/// What the binary did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The binary, in an environment that asks for nothing.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wseg"));
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    command
}

/// Runs the binary to its end.
pub fn wseg<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Done {
    Done::from(command().args(arguments).output().unwrap())
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ends it"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Done {
    /// The output of a run that went well.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// Asserts that the input was refused with one sentence that holds all of `parts`, and nothing else was printed.
    #[track_caller]
    pub fn refused(&self, parts: &[&str]) {
        assert_eq!(self.code, 2, "{self:?}");
        assert_eq!(self.out, "", "results beside an error");
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is missing: {}", self.err);
        }
    }
}

/// Width of the photos of [`DataSet`].
pub const WIDTH: usize = 48;
/// Height of the photos of [`DataSet`].
pub const HEIGHT: usize = 40;

/// A data set in VOC layout with the classes `cat` and `dog`, in a folder with room for results beside it.
pub struct DataSet {
    dir: TempDir,
    /// The data set's folder.
    pub root: PathBuf,
}

impl DataSet {
    /// Four photos to train on and two to validate; each shows a square of its class, in the class's colour.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        let set = Self { dir, root };
        for folder in ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation"] {
            fs::create_dir_all(set.root.join(folder)).unwrap();
        }
        set.write("classes.txt", "background\ncat\ndog\n");
        set.write("ImageSets/Segmentation/train.txt", "t0\nt1\nt2\nt3\n");
        set.write("ImageSets/Segmentation/val.txt", "v0\nv1\n");
        for (index, name) in ["t0", "t1", "t2", "t3", "v0", "v1"].into_iter().enumerate() {
            let class = 1 + (index % 2) as u8;
            write_photo(&set.photo(name), &photo(class)).unwrap();
            write_mask(&set.mask(name), &mask(WIDTH, HEIGHT, class)).unwrap();
        }
        set
    }

    /// A place beside the data set.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path of a photo.
    pub fn photo(&self, name: &str) -> PathBuf {
        self.root.join(format!("JPEGImages/{name}.jpg"))
    }

    /// The path of a mask.
    pub fn mask(&self, name: &str) -> PathBuf {
        self.root.join(format!("SegmentationClass/{name}.png"))
    }

    /// Writes a file of the data set.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.root.join(name), text).unwrap();
    }

    /// Cuts a photo's file off in its middle.
    pub fn corrupt(&self, name: &str) {
        let bytes = fs::read(self.photo(name)).unwrap();
        fs::write(self.photo(name), &bytes[..bytes.len() / 2]).unwrap();
    }
}

/// A photo with a square of the class's colour.
pub fn photo(class: u8) -> RgbImage {
    RgbImage::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| {
        let object = (10..34).contains(&x) && (8..32).contains(&y);
        let grain = ((x * 7 + y * 13) % 16) as u8;
        image::Rgb(match (object, class) {
            (true, 1) => [200 + grain, 60, 40],
            (true, _) => [40, 80, 200 + grain],
            _ => [110 + grain, 120, 110],
        })
    })
}

/// The square's mask.
pub fn mask(width: usize, height: usize, class: u8) -> LabelMap {
    let labels = (0..width * height)
        .map(|pixel| {
            let (x, y) = (pixel % width, pixel / width);
            if (10..34).contains(&x) && (8..32).contains(&y) { class } else { 0 }
        })
        .collect();
    LabelMap { width, height, labels }
}
