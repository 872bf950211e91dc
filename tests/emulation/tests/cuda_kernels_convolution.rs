//! What follows cuDNN's convolutions, and masks drawn on the GPU.
#![cfg(emulated)]

mod support;

use candle_core::{DType, Result};
use support::{ALL, SHAPES, in_any_order, memory, near, numbers, reference};
use wseg_cuda_runner::ops::kernels::{Argument, Grid, Machine};
use wseg_emulation::{Emulated, Memory};
use wseg_tests::sample::Sample;

fn launch(
    machine: &Emulated,
    kernel: &str,
    dtype: DType,
    blocks: usize,
    arguments: &[Argument<'_, Memory>],
) -> Result<()> {
    let grid = Grid { blocks: [blocks as u32, 1, 1], threads: 256 };
    // SAFETY: the emulation checks every access.
    unsafe { machine.launch("conv2d", &format!("{kernel}_{}", dtype.as_str()), grid, arguments) }
}

#[test]
fn a_finished_sum_is_scaled_shifted_added_to_and_cut() -> Result<()> {
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (number, (dtype, tolerance)) in ALL.into_iter().enumerate() {
            let given = [index % 2 == 0, number != 1, index % 3 == 0];
            let relu = number != 2;
            let dims = [n, c, h, w];
            let mut sample = Sample::new((8 * index + number) as u64);
            let x = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let residual = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let (scale, shift) =
                (numbers(&mut sample, DType::F32, &[c], 0.5, 2.0), numbers(&mut sample, DType::F32, &[c], -1.0, 1.0));
            let (count, pixels) = (x.len(), h * w);
            let results = in_any_order(|machine| {
                let y = memory(dtype, &x)?;
                let vector = reference(dtype);
                let memories = [memory(vector, &scale)?, memory(vector, &shift)?, memory(dtype, &residual)?];
                let kinds = [vector, vector, dtype];
                let mut arguments = vec![Argument::Out(&y)];
                for ((memory, is_given), dtype) in memories.iter().zip(given).zip(kinds) {
                    arguments.push(if is_given { Argument::In(memory) } else { Argument::NoIn(dtype) });
                }
                arguments.extend([count, c, pixels].map(|extent| Argument::Int(extent as i32)));
                arguments.push(Argument::Int(i32::from(relu)));
                launch(machine, "finish", dtype, 2, &arguments)?;
                Ok(vec![y])
            })?;
            let expected: Vec<f64> = (0..count)
                .map(|i| {
                    let channel = i / pixels % c;
                    let scaled = x[i] * if given[0] { scale[channel] } else { 1.0 };
                    let shifted = scaled + if given[1] { shift[channel] } else { 0.0 };
                    let sum = shifted + if given[2] { residual[i] } else { 0.0 };
                    if relu { sum.max(0.0) } else { sum }
                })
                .collect();
            near("finish", &results[0], &expected, tolerance, 1.0);
        }
    }
    Ok(())
}

#[test]
fn channels_are_summed() -> Result<()> {
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (dtype, tolerance) in ALL {
            let x = numbers(&mut Sample::new(index as u64), dtype, &[n, c, h, w], -1.0, 1.0);
            let results = in_any_order(|machine| {
                let sums = machine.make(reference(dtype), c)?;
                let x = memory(dtype, &x)?;
                let extents = [n, c, h * w].map(|extent| Argument::Int(extent as i32));
                let arguments = [[Argument::In(&x), Argument::Out(&sums)].as_slice(), &extents].concat();
                launch(machine, "channel_sums", dtype, c, &arguments)?;
                Ok(vec![sums])
            })?;
            let of = |channel: usize| x.chunks(h * w).skip(channel).step_by(c).flatten().sum::<f64>();
            near("sums", &results[0], &(0..c).map(of).collect::<Vec<_>>(), tolerance, 10.0);
        }
    }
    Ok(())
}

/// A mask of so many elements.
fn drawn(dtype: DType, count: usize, key: u64, limit: u32) -> Result<Vec<f64>> {
    let results = in_any_order(|machine| {
        let y = machine.make(dtype, count)?;
        let arguments =
            [Argument::Out(&y), Argument::Long(count as i64), Argument::Long(key as i64), Argument::Int(limit as i32)];
        launch(machine, "bernoulli", dtype, 2, &arguments)?;
        Ok(vec![y])
    })?;
    Ok(results[0].clone())
}

#[test]
fn masks_are_those_of_the_published_generator() -> Result<()> {
    // Random123's known answer for counter 0 and key 0.
    let words = [0x6627_e8d5_u32, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8];
    let halves: Vec<u32> = words.iter().flat_map(|word| [word & 0xffff, word >> 16]).collect();
    for (index, &half) in halves.iter().enumerate() {
        assert_eq!(drawn(DType::F32, 8, 0, half)?[index], 0.0, "draw {index} is not below itself");
        assert_eq!(drawn(DType::F32, 8, 0, half + 1)?[index], 1.0, "draw {index}");
    }
    Ok(())
}

#[test]
fn masks_have_their_share_and_follow_from_the_key_alone() -> Result<()> {
    let many = drawn(DType::F32, 5003, 7, 0xB333)?;
    let share = many.iter().sum::<f64>() / many.len() as f64;
    assert!((share - 0.7).abs() < 0.02, "{share}");
    assert_eq!(drawn(DType::BF16, 5003, 7, 0xB333)?, many);
    assert_eq!(drawn(DType::F64, 11, 7, 0xB333)?, many[..11]);
    assert_ne!(drawn(DType::F32, 5003, 8, 0xB333)?, many);
    assert!(drawn(DType::F32, 100, 7, 0)?.iter().all(|&value| value == 0.0));
    assert!(drawn(DType::F32, 100, 7, 0x10000)?.iter().all(|&value| value == 1.0));
    Ok(())
}
