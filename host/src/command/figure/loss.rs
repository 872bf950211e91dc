//! Figure 9: the classification loss of one class.

use candle_core::{DType, Device, Tensor};
use wseg_core::Kernels as _;
use wseg_cuda_runner::dense::Dense;

use crate::{
    Error, Result,
    args::LossArgs,
    console::Console,
    plot::{LossPoint, loss_figure},
};

/// Scores go from minus this to this.
const RANGE: i32 = 5;
/// Points between two whole scores.
const STEPS: i32 = 20;

pub(super) fn run(args: &LossArgs, console: &Console) -> Result<()> {
    let points = (-RANGE * STEPS..=RANGE * STEPS).map(|step| point(f64::from(step) / f64::from(STEPS)));
    let points = points.collect::<Result<Vec<LossPoint>>>()?;
    let drawing = loss_figure(&points).ok_or_else(|| Error::Failed("there is nothing to draw".to_owned()))?;
    super::write(&drawing, &args.out, "loss", args.json, console)
}

/// The loss that training minimises, of one photo and one class.
fn point(score: f64) -> Result<LossPoint> {
    let single = |value: f64| Dense::new(Tensor::from_vec(vec![value], (1, 1, 1, 1), &Device::Cpu)?);
    let score_of = single(score)?;
    let loss = |label: f64| -> Result<f64> {
        let loss = score_of.soft_margin(&single(label)?)?;
        Ok(loss.tensor().flatten_all()?.get(0)?.to_dtype(DType::F64)?.to_scalar()?)
    };
    Ok(LossPoint { score, positive: loss(1.0)?, negative: loss(0.0)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curves_are_those_of_equation_12() {
        for score in [-5.0, -0.5, 0.0, 3.0_f64] {
            let point = point(score).unwrap();
            assert!((point.positive - (-score).exp().ln_1p()).abs() < 1e-12, "{point:?}");
            assert!((point.negative - score.exp().ln_1p()).abs() < 1e-12, "{point:?}");
        }
    }
}
