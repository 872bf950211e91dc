//! Photos, predictions and truths beside each other.

use image::{Rgb, RgbImage};

use super::{
    Shown,
    markup::{escaped, img, percent, swatch},
};
use crate::{Result, palette::VOID, picture::LabelMap, report::overlay};

/// A figure for each photo, below one legend.
///
/// # Errors
/// If a picture cannot be encoded.
pub(super) fn sheet(photos: &[Shown], classes: &[String]) -> Result<String> {
    let mut drawn = [false; 256];
    let mut figures = String::new();
    for shown in photos {
        for mask in std::iter::once(&shown.prediction).chain(&shown.truth) {
            mask.present().iter().zip(&mut drawn).for_each(|(here, drawn)| *drawn |= here);
        }
        figures += &figure(shown)?;
    }
    let legend: String = (1..=u8::MAX)
        .filter(|&label| drawn[usize::from(label)])
        .map(|label| {
            let name = match classes.get(usize::from(label)) {
                Some(name) => escaped(name),
                None if label == VOID => "void".to_owned(),
                None => format!("class {label}"),
            };
            format!("<li>{}{name}</li>", swatch(label))
        })
        .collect();
    let legend = if legend.is_empty() { legend } else { format!("<ul class=\"legend\">{legend}</ul>\n") };
    Ok(format!("{legend}<div class=\"photos\">\n{figures}</div>"))
}

fn figure(shown: &Shown) -> Result<String> {
    let mut pictures = String::new();
    let mut add = |title: &str, picture: &RgbImage| -> Result<()> {
        let alt = format!("{}: {title}", shown.name);
        pictures += &format!("<div>{}<span>{title}</span></div>", img(picture, &alt)?);
        Ok(())
    };
    let white =
        |mask: &LabelMap| RgbImage::from_pixel(mask.width.max(1) as u32, mask.height.max(1) as u32, Rgb([255; 3]));
    let paper = shown.photo.clone().unwrap_or_else(|| white(&shown.prediction));
    if let Some(photo) = &shown.photo {
        add("photo", photo)?;
    }
    add("prediction", &overlay::blend(&paper, &shown.prediction))?;
    if let Some(truth) = &shown.truth {
        add("truth", &overlay::blend(&paper, truth))?;
    }
    let iou = shown.mean_iou.map_or_else(String::new, |iou| format!("<span>mean IoU {} %</span>", percent(Some(iou))));
    Ok(format!(
        "<figure>\n<div class=\"row\">{pictures}</div>\n<figcaption><b>{}</b>{iou}</figcaption>\n</figure>\n",
        escaped(&shown.name)
    ))
}
