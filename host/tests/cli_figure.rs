//! `wseg figure`: the supplement's figures as files.

mod cli;

use std::{fs, path::Path};

use cli::{DataSet, wseg};
use roxmltree::Document;
use wseg::picture::read_photo;

/// The SVG's words and number of photos; the PNG must be a picture of the same proportions.
fn figure(folder: &Path, name: &str) -> (Vec<String>, usize) {
    let svg = fs::read_to_string(folder.join(format!("{name}.svg"))).unwrap();
    let document = Document::parse(&svg).unwrap();
    let root = document.root_element();
    let side = |side: &str| root.attribute(side).unwrap().parse::<f64>().unwrap();
    let png = read_photo(&folder.join(format!("{name}.png"))).unwrap();
    assert_eq!((f64::from(png.width()), f64::from(png.height())), (2.0 * side("width"), 2.0 * side("height")));
    let named = |tag| document.descendants().filter(move |node| node.tag_name().name() == tag);
    let words = named("text").map(|node| node.text().unwrap_or_default().to_owned()).collect();
    let photos = named("image").filter(|node| node.attribute("href").unwrap().starts_with("data:image/png;base64,"));
    (words, photos.count())
}

#[test]
fn the_loss_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new folder");
    wseg(["figure", "loss", "--out", out.to_str().unwrap()]).good();
    let (words, photos) = figure(&out, "loss");
    for word in ["positive classes", "negative classes", "class score", "loss", "0"] {
        assert!(words.iter().any(|own| own == word), "{word}: {words:?}");
    }
    assert_eq!(photos, 0);
}

#[test]
fn masks_are_drawn_at_iterations_of_pamr() {
    let set = DataSet::new();
    let (photo, mask, out) = (set.photo("v0"), set.beside("shifted.png"), set.beside("figures"));
    // Two pixels too far to the right: PAMR has something to do.
    let mut shifted = cli::mask(cli::WIDTH, cli::HEIGHT, 1);
    shifted.labels.rotate_right(2);
    wseg::picture::write_mask(&mask, &shifted).unwrap();
    let [photo, mask, folder] = [&photo, &mask, &out].map(|path| path.to_str().unwrap());
    let line = ["figure", "pamr", "--image", photo, "--out", folder];
    wseg(line.iter().chain(&["--mask", mask, "--iterations", "10,0,1,3,3", "--quiet"])).good();
    let (words, photos) = figure(&out, "pamr");
    assert_eq!(words, ["photo", "initial mask", "1 iteration", "3 iterations", "10 iterations"]);
    assert_eq!(photos, 5);
    let svg = fs::read_to_string(out.join("pamr.svg")).unwrap();
    let pictures: Vec<&str> = svg.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(pictures[1] != pictures[0] && pictures[4] != pictures[1], "ten iterations move the mask's border");

    let run = set.beside("run");
    let tiny =
        ["--epochs", "1", "--batch", "2", "--crop", "32", "--threads", "2", "--quiet", "--set", "pamr_dilations=[1]"];
    let train = ["train", "--data", set.root.to_str().unwrap(), "--out", run.to_str().unwrap()];
    wseg(train.iter().chain(&tiny)).good();
    let checkpoint = run.join("last.safetensors");
    wseg(line.iter().chain(&["--checkpoint", checkpoint.to_str().unwrap(), "--iterations", "0,5"])).good();
    assert_eq!(figure(&out, "pamr").1, 3);
    wseg(["figure", "pamr", "--image", photo, "--checkpoint", mask]).refused(&["shifted.png"]);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let set = DataSet::new();
    let (photo, mask) = (set.photo("v0"), set.beside("small.png"));
    wseg::picture::write_mask(&mask, &cli::mask(9, 9, 1)).unwrap();
    let [photo, mask] = [&photo, &mask].map(|path| path.to_str().unwrap());
    wseg(["figure", "pamr", "--image", photo, "--mask", mask]).refused(&["small.png", "9 x 9", "48 x 40"]);
    wseg(["figure", "pamr", "--image", "no.jpg", "--mask", mask]).refused(&["no.jpg", "no such file"]);
    assert_eq!(wseg(["figure", "pamr", "--image", photo]).code, 2);
}
