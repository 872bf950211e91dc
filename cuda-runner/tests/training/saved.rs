//! Trainings that are saved and go on, bit for bit, and states that are refused.

use super::*;

/// Five batches an epoch, some photos of which are `spoilt`.
#[derive(Default)]
struct Photos {
    spoilt: Option<(usize, usize)>,
    masked: bool,
}

impl Source for Photos {
    fn batches(&self) -> usize {
        5
    }

    fn epoch<'a>(&'a self, epoch: usize) -> Box<dyn Iterator<Item = Result<Batch>> + 'a> {
        Box::new((0..5).map(move |index| {
            let first = epoch * 20 + index * 4;
            let mut batch = if self.masked { masked(first, 4) } else { photos(first, 4, DType::F32) };
            if self.spoilt == Some((epoch, index)) {
                batch.images = batch.images.affine(0.0, f64::NAN)?;
            }
            Ok(batch)
        }))
    }

    fn files(&self, epoch: usize, batch: usize) -> Vec<String> {
        vec![format!("photo-{epoch}-{batch}.jpg")]
    }
}

/// Saves at every opportunity; ends the training after `end` of them.
#[derive(Default)]
struct Saver {
    steps: Vec<StepReport>,
    saved: Vec<Vec<u8>>,
    end: Option<usize>,
}

impl Observer for Saver {
    fn step(&mut self, report: &StepReport) -> Result<()> {
        self.steps.push(report.clone());
        Ok(())
    }

    fn epoch(&mut self, _epoch: usize, _model: &Model) -> Result<()> {
        Ok(())
    }

    fn between(&mut self, training: &Training<'_>) -> Result<ControlFlow<()>> {
        self.saved.push(training.encode(json!({ "seen": self.saved.len() }))?);
        match self.end {
            Some(end) if self.saved.len() >= end => Ok(ControlFlow::Break(())),
            _ => Ok(ControlFlow::Continue(())),
        }
    }
}

#[test]
fn a_training_goes_on_bit_for_bit_from_wherever_it_was_saved() {
    goes_on_bit_for_bit(ModelKind::SingleStage, &Photos::default());
}

#[test]
fn a_training_on_masks_does_so_too() {
    goes_on_bit_for_bit(ModelKind::DeepLab, &Photos { masked: true, ..Photos::default() });
}

fn goes_on_bit_for_bit(kind: ModelKind, source: &Photos) {
    let recipe = Recipe { accumulate: 2, clip: 1.0, warmup: 2, schedule: Schedule::Poly, ..recipe() };
    let whole = Model::new(tiny::config(kind), 5, DType::F32, &Device::Cpu).unwrap();
    let mut observer = Saver::default();
    Training::new(&whole, &recipe).unwrap().run(source, &mut observer).unwrap();
    let steps: Vec<usize> = observer.steps.iter().map(|report| report.step).collect();
    assert_eq!(steps, [0, 1, 2, 3, 4, 5], "five batches are two steps of two");
    assert_eq!(observer.saved.len(), 6 + 3, "after every step and every epoch");
    let (end, states) = (checkpoint::encode(&whole).unwrap(), observer.saved);
    for (index, bytes) in states.iter().enumerate() {
        let saved = Saved::parse(bytes).unwrap();
        assert_eq!(saved.note(), &json!({ "seen": index }));
        let again = Model::new(tiny::config(kind), 6, DType::F32, &Device::Cpu).unwrap();
        let mut training = Training::new(&again, &recipe).unwrap();
        training.restore(&saved).unwrap();
        assert!(training.encode(saved.note().clone()).unwrap() == *bytes, "{index}: what was read is not the same");
        training.run(source, &mut Saver::default()).unwrap();
        assert!(checkpoint::encode(&again).unwrap() == end, "from {index}");
    }
}

#[test]
fn an_observer_ends_a_training_where_it_can_go_on() {
    let (recipe, model) = (recipe(), model(DType::F32));
    let mut observer = Saver { end: Some(3), ..Saver::default() };
    let mut training = Training::new(&model, &recipe).unwrap();
    training.run(&Photos::default(), &mut observer).unwrap();
    assert_eq!((observer.steps.len(), training.position()), (3, Position { epoch: 0, batch: 3, step: 3 }));
}

#[test]
fn a_loss_that_is_not_finite_names_the_step_and_its_photos() {
    let (recipe, model) = (Recipe { accumulate: 2, ..recipe() }, model(DType::F32));
    let mut observer = Saver::default();
    let error = Training::new(&model, &recipe)
        .unwrap()
        .run(&Photos { spoilt: Some((1, 3)), ..Photos::default() }, &mut observer)
        .unwrap_err();
    assert!(matches!(&error, Error::NotFinite { step: 4, files, .. } if files == &["photo-1-2.jpg", "photo-1-3.jpg"]));
    let sentence = error.to_string();
    assert!(sentence.contains("at step 4 ") && sentence.contains("photo-1-2.jpg, photo-1-3.jpg"), "{sentence}");
    assert_eq!(observer.steps.len(), 3, "the step did nothing");
    let params = model.params.borrow();
    let finite = |var: &candle_core::Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(params.iter().filter(|(_, e)| e.trainable).all(|(_, e)| finite(&e.var).iter().all(|v| v.is_finite())));
}

#[test]
fn weights_that_are_not_finite_are_not_saved() {
    let (recipe, model) = (recipe(), model(DType::F32));
    let training = Training::new(&model, &recipe).unwrap();
    let var = model.params.borrow().get("last_conv.8.bias").unwrap().var.clone();
    var.set(&var.affine(0.0, f64::INFINITY).unwrap()).unwrap();
    for error in [training.encode(json!(null)).unwrap_err(), checkpoint::encode(&model).unwrap_err()] {
        assert!(error.to_string().contains("last_conv.8.bias") && !error.is_input(), "{error}");
    }
}

#[test]
fn saved_states_that_are_damaged_or_of_another_training_are_refused_in_a_sentence() {
    let (recipe, own) = (recipe(), model(DType::F32));
    let mut observer = Saver { end: Some(1), ..Saver::default() };
    Training::new(&own, &recipe).unwrap().run(&Photos::default(), &mut observer).unwrap();
    let bytes = &observer.saved[0];
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = Saved::parse(&bytes[..cut]).unwrap_err();
        assert!(error.is_input() && !error.to_string().contains('\n'), "{error}");
    }
    let other = Saved::parse(&checkpoint::encode(&own).unwrap()).unwrap_err().to_string();
    assert!(other.contains("not the saved state"), "{other}");
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
        let mut bytes = bytes.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        let saved = Saved::parse(&bytes)?;
        let before = checkpoint::encode(&own)?;
        let restored = Training::new(&own, &recipe)?.restore(&saved);
        assert!(checkpoint::encode(&own)? == before, "something was changed");
        restored
    };
    for (from, to, expected) in [
        ("\\\"format\\\":1", "\\\"format\\\":2", "form 2"),
        ("\\\"step\\\":1", "\\\"stop\\\":1", "cannot be read"),
        ("\\\"epoch\\\":0", "\\\"epoch\\\":9", "epoch 10 of 3"),
        ("weights.conv1.weight", "weights.conv9.weight", "lacks `weights.conv1.weight`"),
        ("average.conv1.weight", "average.conv9.weight", "lacks `average.conv1.weight`"),
        ("velocity.conv1.weight", "velocity.conv9.weight", "has `velocity.conv9.weight`"),
    ] {
        let error = changed(from, to).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(expected), "{from}: {error}");
    }
    let size = Size { widths: [6, 6, 8, 8, 10], blocks: [1, 1, 1, 1] };
    let mut config = tiny::config(ModelKind::SingleStage);
    config.architecture.backbone = BackboneConfig { small: Some(size), ..BackboneConfig::named("small") };
    let wider = Model::new(config, 5, DType::F32, &Device::Cpu).unwrap();
    let saved = Saved::parse(bytes).unwrap();
    let error = Training::new(&wider, &recipe).unwrap().restore(&saved).unwrap_err();
    assert!(error.to_string().contains("shape"), "{error}");
}

#[test]
fn no_damage_to_a_saved_state_panics() {
    let (recipe, own) = (recipe(), model(DType::F32));
    let mut observer = Saver { end: Some(1), ..Saver::default() };
    let mut training = Training::new(&own, &recipe).unwrap();
    training.run(&Photos::default(), &mut observer).unwrap();
    let bytes = &observer.saved[0];
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut random = 1_u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..2000 {
        let mut damaged = bytes.clone();
        for _ in 0..=draw(3) {
            // The header is where damage tells.
            let digits = b"0123456789{}[]\",:-";
            damaged[draw(header)] = digits[draw(digits.len())];
        }
        match Saved::parse(&damaged).and_then(|saved| training.restore(&saved)) {
            Ok(()) => taken += 1,
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 1000, "{refused} refused, {taken} taken");
}
