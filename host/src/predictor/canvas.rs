//! Maps of a whole photo, one a channel, in memory or, where they would not fit, in a working file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use wseg_cuda_runner::infer::Window;

use crate::{Error, Result, files};

/// Values that are kept in memory at most: 1 GiB of them.
pub(super) const IN_MEMORY: usize = 1 << 28;
/// Bytes of a value.
const BYTES: usize = size_of::<f32>();

/// `[channels, height, width]` values.
#[derive(Debug)]
pub(super) struct Canvas {
    height: usize,
    width: usize,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Memory(Vec<f32>),
    /// Little-endian, without a name: it goes when it is closed, even if the process is killed.
    File(File),
}

impl Canvas {
    /// All zero. More than `in_memory` values are kept in a file in `folder`.
    pub(super) fn zero(
        channels: usize,
        (height, width): (usize, usize),
        folder: &Path,
        in_memory: usize,
    ) -> Result<Self> {
        let values = channels * height * width;
        if values <= in_memory {
            return Ok(Self { height, width, store: Store::Memory(vec![0.0; values]) });
        }
        files::create_folder(folder)?;
        let failed = |error| Error::failed(folder, format!("no working file can be made here ({error})"));
        let file = tempfile::tempfile_in(folder).map_err(failed)?;
        file.set_len((values * BYTES) as u64).map_err(failed)?;
        Ok(Self { height, width, store: Store::File(file) })
    }

    /// Of `values`, channel by channel and row by row.
    pub(super) fn of((height, width): (usize, usize), values: Vec<f32>) -> Self {
        Self { height, width, store: Store::Memory(values) }
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Adds values to a part of a channel.
    pub(super) fn add(&mut self, channel: usize, window: Window, values: &[f32]) -> io::Result<()> {
        let mut bytes = vec![0; BYTES * window.width];
        for (row, values) in values.chunks_exact(window.width.max(1)).enumerate() {
            let start = (channel * self.height + window.top + row) * self.width + window.left;
            match &mut self.store {
                Store::Memory(all) => {
                    all[start..start + window.width].iter_mut().zip(values).for_each(|(a, b)| *a += b)
                }
                Store::File(file) => {
                    let place = SeekFrom::Start((BYTES * start) as u64);
                    file.seek(place)?;
                    file.read_exact(&mut bytes)?;
                    for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                        *bytes = (f32::from_le_bytes(*bytes) + value).to_le_bytes();
                    }
                    file.seek(place)?;
                    file.write_all(&bytes)?;
                }
            }
        }
        Ok(())
    }

    /// One channel.
    pub(super) fn plane(&mut self, channel: usize) -> io::Result<Vec<f32>> {
        let pixels = self.height * self.width;
        match &mut self.store {
            Store::Memory(all) => Ok(all[channel * pixels..(channel + 1) * pixels].to_vec()),
            Store::File(file) => {
                file.seek(SeekFrom::Start((BYTES * channel * pixels) as u64))?;
                let mut plane = vec![0.0; pixels];
                let mut bytes = vec![0; BYTES * self.width];
                for row in plane.chunks_exact_mut(self.width.max(1)) {
                    file.read_exact(&mut bytes)?;
                    for (value, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
                        *value = f32::from_le_bytes(*bytes);
                    }
                }
                Ok(plane)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_memory_holds_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = Canvas::zero(3, (5, 7), dir.path(), 1000).unwrap();
        let mut file = Canvas::zero(3, (5, 7), &dir.path().join("deeper"), 10).unwrap();
        assert!(matches!((&memory.store, &file.store), (Store::Memory(_), Store::File(_))));
        for (channel, left, top) in [(0, 0, 0), (2, 3, 1), (2, 2, 2), (1, 3, 2)] {
            let window = Window { left, top, width: 4, height: 3 };
            let values: Vec<f32> = (0..12).map(|at| at as f32 + channel as f32 / 3.0).collect();
            memory.add(channel, window, &values).unwrap();
            file.add(channel, window, &values).unwrap();
        }
        for channel in 0..3 {
            let plane = memory.plane(channel).unwrap();
            assert_eq!(plane, file.plane(channel).unwrap());
            assert!(plane.iter().sum::<f32>() > 60.0);
        }
        drop(file);
        assert_eq!(std::fs::read_dir(dir.path().join("deeper")).unwrap().count(), 0);
    }
}
