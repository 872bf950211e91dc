//! What was predicted for a whole photo, a channel at a time, so that its size is no matter of memory.

use std::io;

use image::RgbImage;
use wseg_cuda_runner::infer::Prediction;

use super::canvas::Canvas;
use crate::{
    Error, Result,
    picture::LabelMap,
    refine::{self, Refinement},
};

/// Merged masks with background: the mean of all views, absent classes zero, the background to its power.
#[derive(Debug)]
pub struct Masks {
    canvas: Canvas,
    /// What is still to be done to each channel as it is read.
    finish: Vec<Finish>,
    confidence: Option<Vec<f32>>,
}

/// From the sum of all views to the mask of one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Finish {
    Done,
    Absent,
    Object { views: usize },
    Background { views: usize, power: f64 },
}

impl Finish {
    fn apply(self, sum: f32) -> f32 {
        match self {
            Self::Done => sum,
            Self::Absent => 0.0,
            Self::Object { views } => sum * (1.0 / views as f32),
            Self::Background { views, power } => (sum * (1.0 / views as f32)).powf(power as f32),
        }
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::Failed(format!("the working file cannot be read ({error})"))
}

impl Masks {
    /// Of a prediction that is in memory.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn whole(prediction: &Prediction) -> Result<Self> {
        let (_, channels, h, w) = prediction.masks.tensor().dims4()?;
        let values = prediction.masks.tensor().flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1()?;
        let finish = vec![Finish::Done; channels];
        Ok(Self { canvas: Canvas::of((h, w), values), finish, confidence: prediction.confidence.clone() })
    }

    /// Of the sum of `views` views. A class is kept if `kept` says so.
    pub(super) fn merged(
        canvas: Canvas,
        views: usize,
        kept: &[bool],
        power: f64,
        confidence: Option<Vec<f32>>,
    ) -> Self {
        let views = views.max(1);
        let objects = kept.iter().map(|&kept| if kept { Finish::Object { views } } else { Finish::Absent });
        let finish = std::iter::once(Finish::Background { views, power }).chain(objects).collect();
        Self { canvas, finish, confidence }
    }

    /// The masks drawn to the edges of the photo: probabilities of the classes that are there, refined.
    ///
    /// # Errors
    /// As [`Refinement::apply`], or the working file cannot be read.
    pub fn refined(mut self, photo: &RgbImage, refinement: &Refinement) -> Result<Self> {
        let [channels, height, width] = self.shape();
        let refined = refinement.apply(self.probabilities()?, photo)?;
        let (mut finish, mut all) = (vec![Finish::Absent; channels], vec![0.0; channels * height * width]);
        for (&label, plane) in refined.labels.iter().zip(refined.values.chunks_exact(height * width)) {
            finish[usize::from(label)] = Finish::Done;
            all[usize::from(label) * height * width..][..height * width].copy_from_slice(plane);
        }
        Ok(Self { canvas: Canvas::of((height, width), all), finish, confidence: self.confidence })
    }

    /// The probabilities of the background and of the classes that are somewhere.
    ///
    /// # Errors
    /// The working file cannot be read.
    pub fn probabilities(&mut self) -> Result<refine::Masks> {
        let [channels, height, width] = self.shape();
        let total = self.total().map_err(unreadable)?;
        let (mut labels, mut values) = (Vec::new(), Vec::new());
        for channel in 0..channels {
            let share = self.share(channel, &total).map_err(unreadable)?;
            if channel == 0 || share.iter().any(|&value| value > 0.0) {
                labels.push(channel as u8);
                values.extend(share);
            }
        }
        Ok(refine::Masks { labels, width, height, values, from_labels: false })
    }

    /// Classes and background, height, width.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        let (height, width) = self.canvas.size();
        [self.finish.len(), height, width]
    }

    /// Largest `sigmoid(score)` over all that was looked at, of each class without the background; `None` from a network
    /// without class scores.
    #[must_use]
    pub fn confidence(&self) -> Option<&[f32]> {
        self.confidence.as_deref()
    }

    /// The mask of one channel, row by row; 0 is the background. Masks do not sum to 1: see [`Self::total`].
    ///
    /// # Errors
    /// The working file cannot be read.
    pub fn plane(&mut self, channel: usize) -> io::Result<Vec<f32>> {
        let finish = self.finish[channel];
        let mut plane = match finish {
            Finish::Absent => return Ok(vec![0.0; self.canvas.size().0 * self.canvas.size().1]),
            _ => self.canvas.plane(channel)?,
        };
        if finish != Finish::Done {
            plane.iter_mut().for_each(|value| *value = finish.apply(*value));
        }
        Ok(plane)
    }

    /// The sum of all channels, which makes probabilities of masks.
    ///
    /// # Errors
    /// As [`Self::plane`].
    pub fn total(&mut self) -> io::Result<Vec<f32>> {
        let mut total = self.plane(0)?;
        for channel in 1..self.finish.len() {
            total.iter_mut().zip(self.plane(channel)?).for_each(|(total, value)| *total += value);
        }
        Ok(total)
    }

    /// The probability of one channel at every pixel, from its mask and [`Self::total`]. Where nothing is left of any class,
    /// it is background.
    ///
    /// # Errors
    /// As [`Self::plane`].
    pub fn share(&mut self, channel: usize, total: &[f32]) -> io::Result<Vec<f32>> {
        let nothing = if channel == 0 { 1.0 } else { 0.0 };
        let mut plane = self.plane(channel)?;
        for (value, &total) in plane.iter_mut().zip(total) {
            *value = if total > 0.0 { *value / total } else { nothing };
        }
        Ok(plane)
    }

    /// The most likely channel of each pixel.
    ///
    /// # Errors
    /// As [`Self::plane`].
    pub fn labels(&mut self) -> Result<LabelMap> {
        let [channels, height, width] = self.shape();
        let mut labels = vec![0; height * width];
        let mut best = self.plane(0).map_err(unreadable)?;
        for channel in 1..channels {
            let plane = self.plane(channel).map_err(unreadable)?;
            for ((label, best), value) in labels.iter_mut().zip(&mut best).zip(plane) {
                if value > *best {
                    (*label, *best) = (channel as u8, value);
                }
            }
        }
        Ok(LabelMap { width, height, labels })
    }
}
