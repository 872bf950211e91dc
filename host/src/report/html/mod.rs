//! A run as one static page: everything is in the file, nothing is fetched, nothing is executed.
//!
//! | module | holds |
//! |---|---|
//! | `mod` | [`Content`], and the page's order |
//! | `markup` | text and pictures, fit for markup |
//! | `numbers` | tiles, the table of classes |
//! | `confusion` | the confusion matrix |
//! | `photos` | photos, predictions and truths beside each other |
//! | `record` | settings and what the run says of itself |
//!
//! The markup is well-formed XML as well as HTML, so that any parser reads it.

mod confusion;
mod markup;
mod numbers;
mod photos;
mod record;

use crate::{Result, log::EpochLog, metrics::Report, picture::LabelMap, plot::Drawing, plot::theme, settings::Config};
use image::RgbImage;
use markup::escaped;

/// How the page looks.
const STYLE: &str = include_str!("style.css");

/// What is told about a run.
#[derive(Debug)]
pub struct Content<'a> {
    /// The run's name.
    pub name: &'a str,
    /// Its epochs, in rising order.
    pub epochs: &'a [EpochLog],
    /// Its curves.
    pub curves: Option<&'a Drawing>,
    /// What it was told, as it recorded it, and the text of that record.
    pub record: Option<(&'a Config, &'a str)>,
    /// Its masks compared with true ones.
    pub judged: Option<&'a Judged>,
    /// Some of its photos.
    pub photos: &'a [Shown],
    /// Class names, the background first.
    pub classes: &'a [String],
    /// What is missing and why, a sentence each.
    pub remarks: &'a [String],
}

/// Masks compared with true ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The measures.
    pub report: Report,
    /// Whose masks they are, as a sentence.
    pub origin: String,
}

/// A photo of the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its pixels; without them, masks are drawn on white.
    pub photo: Option<RgbImage>,
    /// The predicted mask.
    pub prediction: LabelMap,
    /// The true mask, where there is one.
    pub truth: Option<LabelMap>,
    /// Mean IoU of this photo alone, in percent.
    pub mean_iou: Option<f64>,
}

/// The page.
///
/// # Errors
/// If a picture cannot be encoded.
pub fn page(content: &Content<'_>) -> Result<String> {
    let [light, dark] = theme();
    let name = escaped(content.name);
    let mut sections: Vec<(&str, &str, String)> = Vec::new();
    if let Some(curves) = content.curves {
        let label =
            format!("Curves of {}: losses, mean IoU, mean average precision, learning rate, speed", content.name);
        let figure = format!("<div class=\"wide\"><div class=\"curves\">{}</div></div>", curves.inline_svg(&label)?);
        sections.push(("curves", "Curves", figure));
    }
    if let Some(table) = numbers::classes(content) {
        sections.push(("classes", "Classes", table));
    }
    if let Some(judged) = content.judged {
        sections.push(("confusion", "Confusion", confusion::matrix(judged)));
    }
    if !content.photos.is_empty() {
        sections.push(("photos", "Photos", photos::sheet(content.photos, content.classes)?));
    }
    if let Some((config, text)) = content.record {
        sections.push(("settings", "Settings and data", record::section(config, text)));
    }
    let links: String = sections.iter().map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>\n")).collect();
    let remarks: String =
        content.remarks.iter().map(|remark| format!("<p class=\"remark\">{}</p>\n", escaped(remark))).collect();
    let body: String = sections
        .iter()
        .map(|(id, title, inside)| format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{inside}\n</section>\n"))
        .collect();
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta name=\"generator\" content=\"wseg {}\"/>\n<title>{name} - wseg report</title>\n\
         <style>\n:root {{{light}}}\n@media (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n{STYLE}</style>\n</head>\n\
         <body>\n<header>\n<p class=\"kind\">wseg report</p>\n<h1>{name}</h1>\n{}\n<nav>\n{links}</nav>\n</header>\n\
         <main>\n{remarks}{}{body}</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        record::line(content),
        numbers::tiles(content),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let classes = ["background".to_owned(), "<script>alert(1)</script> & \"co\"".to_owned()];
        let mask = LabelMap { width: 2, height: 1, labels: vec![0, 1] };
        let shown = Shown {
            name: "a</p><b>\u{1b}".to_owned(),
            photo: None,
            prediction: mask.clone(),
            truth: Some(mask),
            mean_iou: Some(100.0),
        };
        let content = Content {
            name: "run <1> & \"2\"",
            epochs: &[],
            curves: None,
            record: None,
            judged: None,
            photos: &[shown],
            classes: &classes,
            remarks: &["no <data>".to_owned()],
        };
        let page = page(&content).unwrap();
        assert!(!page.contains("<script") && !page.contains("</p><b>") && !page.contains('\u{1b}'), "{page}");
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
        let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
        let title = document.descendants().find(|node| node.has_tag_name("h1")).unwrap();
        assert_eq!(title.text(), Some("run <1> & \"2\""));
    }
}
