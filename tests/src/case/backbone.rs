//! `backbone`: the two features of a backbone with weights made from their names.

use candle_core::DType;
use wseg_cuda_runner::{
    backbone::{self, BackboneConfig},
    dense::Dense,
    nn::{Origin, Params, Pass, Scope},
};

use super::{NETWORK, photos};
use crate::{bench::Bench, failure::Failure, named_weights::NamedWeights, report::Checks};

/// Largest error of a feature, as a share of its largest value. Files hold features in f32, so that f64 cannot show
/// less than the rounding of the file, 6e-8. In f32 rounding errors of about 1e-7 a layer add up over some twenty.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F64 { 1e-7 } else { 1e-5 }
}

/// Checks the names of the parameters and both features.
///
/// # Errors
/// [`Failure`] if an input is missing, malformed or too large, there is no such backbone, or the backend fails.
pub fn check<B: Bench<T = Dense>>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let images = photos(bench, golden)?.into_tensor();
    let weights = Box::new(NamedWeights::of(golden)?);
    let params = Params::filled(weights, images.dtype(), images.device());
    let config = BackboneConfig::named(golden.text("backbone")?);
    let backbone = backbone::build(&Scope::root(&params, Origin::Old), &config)?;

    let listed = golden.texts("names")?;
    if let Some((name, _)) = params.borrow().iter().find(|(name, _)| !listed.contains(name)) {
        return Err(golden.refuse(format!("has no parameter `{name}` among its `names`")).into());
    }
    let features = backbone.forward(&images, &Pass::evaluation())?;
    for (output, feature) in [("conv3", features.shallow), ("conv6", features.deep)] {
        let feature = Dense::new(feature)?;
        checks.close_within(
            output,
            NETWORK,
            feature.tensor().dims(),
            &bench.read(&feature)?,
            tolerance(images.dtype()),
        )?;
    }
    Ok(())
}
