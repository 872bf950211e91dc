//! The published table with this study's rows, and what follows from them.

use serde::Serialize;
use wseg_core::metric::mean;

use super::{
    published::{self, Group, Published},
    stages::Stage,
};
use crate::{
    Error, Result,
    args::TableArgs,
    command::{pseudo::Summary, study::judge::Score},
    console::{Console, Paint},
    report::{
        evaluation::Digits,
        table::{Table, percent},
    },
};

/// A stage's score with a seed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Judged {
    pub(super) seed: u64,
    pub(super) stage: Stage,
    #[serde(flatten)]
    pub(super) score: Score,
}

/// What pseudo labels of a seed are like.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Labels {
    pub(super) seed: u64,
    pub(super) statistics: Summary,
}

/// What the numbers are of.
#[derive(Debug, Clone, Serialize)]
pub(super) struct About {
    /// What the data set is called.
    pub(super) data: String,
    /// Validation photos.
    pub(super) photos: usize,
    pub(super) seeds: Vec<u64>,
    /// Of the first stage and of the DeepLab.
    pub(super) backbones: [String; 2],
}

/// Everything that came of the study.
#[derive(Debug, Serialize)]
pub(super) struct Study {
    #[serde(flatten)]
    about: About,
    /// This study's rows, means over the seeds.
    own: Group,
    /// Share of the fully supervised score that image labels reach.
    share: Share,
    /// The scores that the rows are means of.
    runs: Vec<Judged>,
    pseudo_labels: Vec<Labels>,
    published: Vec<Group>,
}

/// In percent of the fully supervised score.
#[derive(Debug, Clone, Copy, Serialize)]
struct Share {
    single_stage: Option<f64>,
    single_stage_crf: Option<f64>,
    two_stage: Option<f64>,
}

impl Study {
    /// Puts everything together.
    ///
    /// # Errors
    /// None that can be met: the published table is there.
    pub(super) fn new(about: About, runs: Vec<Judged>, pseudo_labels: Vec<Labels>) -> Result<Self> {
        let score = |stage: Stage, crf: bool| {
            let of_stage = runs.iter().filter(|run| run.stage == stage);
            mean(of_stage.map(|run| if crf { run.score.iou_crf } else { run.score.iou }))
        };
        let [first, second] = &about.backbones;
        let row = |method: &str, backbone: &str, supervision: &str, val: Option<f64>| Published {
            method: method.to_owned(),
            backbone: backbone.to_owned(),
            supervision: supervision.to_owned(),
            val,
            test: None,
        };
        let (single, crf) = (score(Stage::Single, false), score(Stage::Single, true));
        let (two, full) = (score(Stage::Two, false), score(Stage::Full, false));
        let rows = vec![
            row("CAM", first, "I", score(Stage::Cam, false)),
            row("Single stage", first, "I", single),
            row("Single stage + CRF", first, "I", crf),
            row("Two stage: DeepLabv3+ on its pseudo labels", second, "I", two),
            row("Fully supervised: DeepLabv3+", second, "F", full),
        ];
        let share = |own: Option<f64>| Some(100.0 * own? / full.filter(|full| *full > 0.0)?);
        Ok(Self {
            own: Group { name: format!("This study, on {}", about.data), rows },
            about,
            share: Share { single_stage: share(single), single_stage_crf: share(crf), two_stage: share(two) },
            runs,
            pseudo_labels,
            published: published::groups()?,
        })
    }

    /// A row of words for each group, and its methods below.
    fn table(&self) -> Table {
        let mut table = Table::new(["Method", "Backbone", "Supervision", "val", "test"]);
        for (index, group) in self.published.iter().chain([&self.own]).enumerate() {
            if index > 0 {
                table.rule();
            }
            table.row([group.name.as_str()]);
            for row in &group.rows {
                let [val, test] = [row.val, row.test].map(percent);
                table.row([format!("  {}", row.method), row.backbone.clone(), row.supervision.clone(), val, test]);
            }
        }
        table
    }

    /// A row for each method, its group in a column, for programs.
    fn flat(&self) -> Table {
        let mut table = Table::new(["group", "method", "backbone", "supervision", "val", "test"]);
        for group in self.published.iter().chain([&self.own]) {
            for Published { method, backbone, supervision, val, test } in &group.rows {
                let [val, test] = [*val, *test].map(|value| Digits::All.percent(value));
                table.row([&group.name, method, backbone, supervision, &val, &test].map(String::as_str));
            }
        }
        table
    }

    /// What the numbers are of.
    fn title(&self) -> String {
        let seeds = match self.about.seeds.as_slice() {
            [seed] => format!("seed {seed}"),
            seeds => format!("mean of seeds {}", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        };
        format!(
            "Mean IoU (%) on Pascal VOC 2012 (Araslanov & Roth, CVPR 2020, supplement, Table 8), and in this study on the \
             validation split of {} ({} photos, {seeds}). Supervision: F pixel masks, I image labels, S saliency, D additional data.",
            self.about.data, self.about.photos
        )
    }

    /// What follows from the numbers.
    fn conclusion(&self) -> String {
        let of_labels =
            |of: fn(&Summary) -> Option<f64>| percent(mean(self.pseudo_labels.iter().map(|l| of(&l.statistics))));
        let miou = of_labels(|labels| labels.truth.as_ref().and_then(|truth| truth.mean_iou));
        let ignored = of_labels(|labels| Some(labels.ignored_percent));
        let Share { single_stage_crf, two_stage, .. } = self.share;
        format!(
            "Pseudo labels of the training split: mean IoU {miou} %, {ignored} % of the pixels undecided.\n\
             Image labels alone reach {} % of the fully supervised score in two stages, {} % in a single one with CRF.",
            percent(two_stage),
            percent(single_stage_crf)
        )
    }

    fn text(&self, paint: Paint) -> String {
        format!("{}\n\n{}\n\n{}", self.title(), self.table().text(paint), self.conclusion())
    }

    fn markdown(&self) -> String {
        format!("{}\n\n{}\n\n{}", self.title(), self.table().markdown(), self.conclusion().replace('\n', "  \n"))
    }

    fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Failed(error.to_string()))
    }

    /// All forms, with the endings of their files.
    ///
    /// # Errors
    /// None that can be met: everything is numbers and names.
    pub(super) fn forms(&self) -> Result<[(&'static str, String); 4]> {
        let (text, csv) = (self.text(Paint::PLAIN), self.flat().csv());
        Ok([("txt", text), ("md", self.markdown()), ("csv", csv), ("json", self.json()?)])
    }

    /// Prints the form that was asked for.
    ///
    /// # Errors
    /// As [`Self::forms`].
    pub(super) fn print(&self, form: TableArgs, console: &Console) -> Result<()> {
        match form {
            TableArgs { json: true, .. } => console.print(self.json()?),
            TableArgs { markdown: true, .. } => console.print(self.markdown()),
            TableArgs { csv: true, .. } => console.print(self.flat().csv()),
            TableArgs { .. } => console.print(self.text(console.paint())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study() -> Study {
        let about = About {
            data: "shapes".to_owned(),
            photos: 8,
            seeds: vec![1, 2],
            backbones: ["small".to_owned(), "resnet50".to_owned()],
        };
        let of_seed = |seed: u64, scores: [f64; 4]| {
            Stage::ALL.into_iter().zip(scores).map(move |(stage, iou)| Judged {
                seed,
                stage,
                score: Score { iou: Some(iou), iou_crf: Some(iou + 2.0) },
            })
        };
        let runs = of_seed(1, [30.0, 50.0, 60.0, 79.0]).chain(of_seed(2, [32.0, 54.0, 66.0, 81.0])).collect();
        Study::new(about, runs, Vec::new()).unwrap()
    }

    #[test]
    fn rows_are_means_over_seeds_and_shares_are_of_full_supervision() {
        let study = study();
        let own: Vec<_> = study.own.rows.iter().map(|row| (row.supervision.as_str(), row.val.unwrap())).collect();
        assert_eq!(own, [("I", 31.0), ("I", 52.0), ("I", 54.0), ("I", 63.0), ("F", 80.0)]);
        let backbones: Vec<&str> = study.own.rows.iter().map(|row| row.backbone.as_str()).collect();
        assert_eq!(backbones, ["small", "small", "small", "resnet50", "resnet50"]);
        let conclusion = study.conclusion();
        assert!(conclusion.contains("reach 78.8 %") && conclusion.contains("67.5 % in a single one"), "{conclusion}");
        assert!(
            study.title().contains("validation split of shapes (8 photos, mean of seeds 1, 2)"),
            "{}",
            study.title()
        );
    }

    #[test]
    fn own_rows_stand_below_the_published_ones_in_every_form() {
        let [(_, text), (_, markdown), (_, csv), (_, json)] = study().forms().unwrap();
        for form in [&text, &markdown] {
            let at = |part: &str| form.find(part).unwrap_or_else(|| panic!("`{part}` is missing: {form}"));
            assert!(at("Multi stage + Saliency") < at("SSDD [45]") && at("SSDD [45]") < at("This study, on shapes"));
            assert!(at("Two stage: DeepLabv3+") < at("Fully supervised: DeepLabv3+"));
        }
        assert!(markdown.contains("|   Ours + DeepLabv3+ | Xception-65 | I | 66.8 | 67.3 |"), "{markdown}");
        assert!(markdown.contains("|   Single stage + CRF | small | I | 54.0 | - |"), "{markdown}");
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!((lines.len(), lines[0]), (1 + 11 + 5, "group,method,backbone,supervision,val,test"));
        assert_eq!(lines[3], "Multi stage + Saliency,FickleNet [30],ResNet-101,S,64.9,65.3");
        assert_eq!(lines[16], "\"This study, on shapes\",Fully supervised: DeepLabv3+,resnet50,F,80,");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["own"]["rows"][3]["val"], 63.0);
        assert_eq!(json["runs"][5]["stage"], "single-stage");
        assert_eq!(json["share"]["two_stage"], 78.75);
    }
}
