//! Table 8: one stage, two stages, and full supervision.
//!
//! | module | holds |
//! |---|---|
//! | `plan` | data, settings and folders, all checked before anything is trained |
//! | `stages` | the trainings and pseudo labels, each made once |
//! | `table` | the published table with this study's rows |
//! | `published` | the published numbers |

mod plan;
mod published;
mod stages;
mod table;

use crate::{
    Result, args::TwoStageArgs, command::study::judge::Question, console::Console, files, training::Interrupt,
};
use plan::Plan;
use stages::{Stage, Work};
use table::{About, Judged, Labels, Study};

/// Makes the study, or what is missing of it.
pub(super) fn run(args: &TwoStageArgs, console: &Console) -> Result<()> {
    crate::command::use_threads(args.threads)?;
    let plan = Plan::new(args, console)?;
    let interrupt = Interrupt::listen()?;
    let compute = crate::command::compute(&args.compute, None, console)?;
    let work = Work { plan: &plan, compute: &compute, console, interrupt: &interrupt };
    let (mut judged, mut labels) = (Vec::new(), Vec::new());
    for &seed in &args.seeds {
        let mut pseudo = None;
        for stage in Stage::ALL {
            let masks = match stage {
                Stage::Cam | Stage::Single => None,
                Stage::Two => pseudo.as_deref(),
                Stage::Full => Some(plan.masks.as_path()),
            };
            let model = work.train(stage, seed, masks)?;
            let question = Question { iterations: &[0], labels: false, title: format!("{} {seed}", stage.name()) };
            let scores = question.judge(&model, &plan.data, console)?;
            judged.extend(scores.into_iter().map(|score| Judged { seed, stage, score }));
            if stage == Stage::Single {
                let (folder, statistics) = work.label(&model, seed)?;
                labels.push(Labels { seed, statistics });
                pseudo = Some(folder);
            }
            work.go_on()?;
        }
    }
    let backbones = [&plan.first, &plan.second].map(|recipe| recipe.settings.network.backbone.name.clone());
    let about = About { data: plan.name.clone(), photos: plan.photos, seeds: args.seeds.clone(), backbones };
    let study = Study::new(about, judged, labels)?;
    for (ending, text) in study.forms()? {
        files::write_atomic(&plan.out.join(format!("table.{ending}")), format!("{text}\n").as_bytes())?;
    }
    study.print(args.table, console)
}
