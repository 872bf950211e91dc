//! The numbers of a run: tiles of the most important ones, and the table of classes.

use super::{
    Content,
    markup::{escaped, grouped, percent, swatch},
};
use crate::log::EpochLog;

/// The most important numbers.
pub(super) fn tiles(content: &Content<'_>) -> String {
    let best = |of: fn(&EpochLog) -> Option<f64>, sign: f64| {
        let values = content.epochs.iter().filter_map(|log| of(log).map(|value| (log.epoch, value)));
        values.reduce(|kept, next| if sign * next.1 > sign * kept.1 { next } else { kept })
    };
    let mut tiles: Vec<(String, &str, String)> = Vec::new();
    if let Some(judged) = content.judged {
        let images = format!("of {} photos", grouped(judged.report.images as u64));
        tiles.push((with_unit(judged.report.mean_iou), "mean IoU", images));
        tiles.push((with_unit(judged.report.pixel_accuracy), "pixel accuracy", "void left out".to_owned()));
    }
    if let Some((epoch, value)) = best(|log| log.validation_miou, 1.0) {
        tiles.push((with_unit(Some(value)), "best mean IoU in training", format!("epoch {epoch}")));
    }
    if let Some((epoch, value)) = best(|log| log.validation_map, 1.0) {
        tiles.push((with_unit(Some(value)), "best mean average precision", format!("epoch {epoch}")));
    }
    if let Some((epoch, value)) = best(|log| log.validation_loss, -1.0) {
        tiles.push((format!("{value:.4}"), "lowest validation loss", format!("epoch {epoch}")));
    }
    if let Some(last) = content.epochs.last() {
        tiles.push((last.epoch.to_string(), "epochs", format!("{} steps", grouped(last.step as u64))));
    }
    let tile = |(value, name, below): &(String, &str, String)| {
        format!(
            "<div class=\"tile\"><span class=\"value\">{value}</span><span class=\"name\">{name}</span>\
             <span class=\"below\">{below}</span></div>\n"
        )
    };
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.iter().map(tile).collect::<String>())
}

fn with_unit(value: Option<f64>) -> String {
    value.map_or_else(|| percent(None), |value| format!("{value:.1} %"))
}

/// The measures by class: of the masks that were compared, or else those of the log; `None` if there are none.
pub(super) fn classes(content: &Content<'_>) -> Option<String> {
    let logged =
        content.epochs.iter().rev().find(|log| !log.validation_ap.is_empty() || !log.validation_iou.is_empty());
    let precision = |name: &str| logged.and_then(|log| log.validation_ap.get(name).copied().flatten());
    let ranked = logged.is_some_and(|log| !log.validation_ap.is_empty());
    let mut about = Vec::new();
    let (heading, rows) = if let Some(judged) = content.judged {
        about.push(judged.origin.clone());
        let report = &judged.report;
        let row = |(label, class): (usize, &crate::metrics::ClassReport)| {
            let numbers = [percent(class.precision), percent(class.recall), grouped(class.true_pixels)];
            line(label as u8, &class.name, class.iou, &numbers, ranked.then(|| precision(&class.name)))
        };
        let means = [percent(report.mean_precision), percent(report.mean_recall), grouped(report.pixels)];
        let mut rows: String = report.classes.iter().enumerate().map(row).collect();
        rows += &mean("mean", report.mean_iou, &means, ranked);
        rows += &mean("mean without background", report.mean_iou_objects, &[(); 3].map(|()| String::new()), ranked);
        (vec!["precision %", "recall %", "true pixels"], rows)
    } else {
        let log = logged?;
        about.push(format!("As validation measured them in epoch {}.", log.epoch));
        let row = |(label, name): (usize, &String)| {
            let iou = log.validation_iou.get(name).copied().flatten();
            line(label as u8, name, iou, &[], ranked.then(|| precision(name)))
        };
        let mut rows: String = content.classes.iter().enumerate().map(row).collect();
        rows += &mean("mean", log.validation_miou, &[], ranked);
        (vec![], rows)
    };
    if let (true, Some(log)) = (ranked && content.judged.is_some(), logged) {
        about.push(format!("Average precision of the image scores: validation in epoch {}.", log.epoch));
    }
    let average = if ranked { "<th scope=\"col\">average precision %</th>" } else { "" };
    let headings: String = heading.iter().map(|name| format!("<th scope=\"col\">{name}</th>")).collect();
    Some(format!(
        "<p class=\"about\">{}</p>\n<div class=\"wide\"><table class=\"classes\">\n<thead><tr><th scope=\"col\">class</th>\
         <th scope=\"col\" class=\"bar\">IoU %</th>{headings}{average}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>",
        escaped(&about.join(" "))
    ))
}

/// A class.
fn line(label: u8, name: &str, iou: Option<f64>, numbers: &[String], average: Option<Option<f64>>) -> String {
    let numbers: String = numbers.iter().map(|number| format!("<td>{number}</td>")).collect();
    let average = average.map_or_else(String::new, |value| format!("<td>{}</td>", percent(value)));
    let bar = iou.map_or_else(String::new, |iou| format!("<i style=\"width:{iou:.1}%\"></i>"));
    format!(
        "<tr><th scope=\"row\">{}{}</th><td class=\"bar\"><span>{bar}</span>{}</td>{numbers}{average}</tr>\n",
        swatch(label),
        escaped(name),
        percent(iou)
    )
}

/// A row of means.
fn mean(name: &str, iou: Option<f64>, numbers: &[String], ranked: bool) -> String {
    let numbers: String = numbers.iter().map(|number| format!("<td>{number}</td>")).collect();
    let average = if ranked { "<td></td>" } else { "" };
    format!(
        "<tr class=\"mean\"><th scope=\"row\">{name}</th><td class=\"bar\"><span></span>{}</td>{numbers}{average}</tr>\n",
        percent(iou)
    )
}
