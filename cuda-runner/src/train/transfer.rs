//! Batches on their way from the loader to the model's device.

use candle_core::Device;

use super::Batch;
use crate::Result;

/// The batches of each step, on a device. On a GPU a step's batches are sent while the step before computes.
pub(super) fn to_device<'a>(
    steps: impl Iterator<Item = Result<Vec<Batch>>> + 'a,
    device: &Device,
) -> Result<Box<dyn Iterator<Item = Result<Vec<Batch>>> + 'a>> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        return Ok(Box::new(sent(steps, device)?));
    }
    let device = device.clone();
    Ok(Box::new(steps.map(move |batches| batches?.iter().map(|batch| batch.to_device(&device)).collect())))
}

#[cfg(feature = "cuda")]
fn sent<'a>(
    steps: impl Iterator<Item = Result<Vec<Batch>>> + 'a,
    device: &candle_core::CudaDevice,
) -> Result<impl Iterator<Item = Result<Vec<Batch>>> + 'a> {
    use candle_core::Tensor;

    use super::Target;
    use crate::cuda::upload::{Sent, Uploader};

    /// Image labels on their way; masks, which stay.
    enum Lesson {
        Labels(Sent),
        Masks(Tensor),
    }
    let send = |uploader: &mut Uploader, batches: Result<Vec<Batch>>| -> Result<Vec<(Sent, Lesson)>> {
        let send = |batch: &Batch| {
            let images = uploader.send(&batch.images)?;
            let lesson = match &batch.target {
                Target::Labels(labels) => Lesson::Labels(uploader.send(labels)?),
                Target::Masks(masks) => Lesson::Masks(masks.clone()),
            };
            Ok((images, lesson))
        };
        batches?.iter().map(send).collect()
    };
    let receive = |uploader: &mut Uploader, sent: Result<Vec<(Sent, Lesson)>>| {
        let receive = |(images, lesson): (Sent, Lesson)| {
            let images = uploader.receive(images)?;
            let target = match lesson {
                Lesson::Labels(labels) => Target::Labels(uploader.receive(labels)?),
                Lesson::Masks(masks) => Target::Masks(masks),
            };
            Ok(Batch { images, target })
        };
        sent?.into_iter().map(receive).collect()
    };
    Ok(OneAhead { items: steps, courier: Uploader::new(device)?, send, receive, waiting: None })
}

/// Items that are sent one before they are received.
#[cfg(any(feature = "cuda", test))]
struct OneAhead<I, C, S, R, W> {
    items: I,
    courier: C,
    send: S,
    receive: R,
    waiting: Option<W>,
}

#[cfg(any(feature = "cuda", test))]
impl<I, C, S, R, W, T> Iterator for OneAhead<I, C, S, R, W>
where
    I: Iterator,
    S: FnMut(&mut C, I::Item) -> W,
    R: FnMut(&mut C, W) -> T,
{
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut sent = |courier: &mut C| self.items.next().map(|item| (self.send)(courier, item));
        let current = match self.waiting.take() {
            Some(waiting) => waiting,
            None => sent(&mut self.courier)?,
        };
        self.waiting = sent(&mut self.courier);
        Some((self.receive)(&mut self.courier, current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_sent_one_before_it_is_received() {
        let send = |log: &mut Vec<String>, item: usize| {
            log.push(format!("send {item}"));
            10 * item
        };
        let receive = |log: &mut Vec<String>, sent: usize| {
            log.push(format!("receive {sent}"));
            sent
        };
        let mut ahead = OneAhead { items: 1..=3, courier: Vec::new(), send, receive, waiting: None };
        assert_eq!(ahead.by_ref().collect::<Vec<_>>(), [10, 20, 30]);
        assert_eq!(
            ahead.courier,
            ["send 1", "send 2", "receive 10", "send 3", "receive 20", "receive 30"].map(str::to_owned)
        );
        assert_eq!(ahead.next(), None);
    }
}
