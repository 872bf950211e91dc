//! The arena of `wseg_core`, in f32 and f64.

use wseg_core::{
    Shape, Tensor,
    arena::{Arena, ArenaTensor},
};

use super::Bench;
use crate::failure::Failure;

/// The arena backend, over an arena of f32.
#[derive(Clone, Copy, Debug)]
pub struct ArenaF32<'a, 'm> {
    arena: &'a Arena<'m, f32>,
}

/// The arena backend, over an arena of f64.
#[derive(Clone, Copy, Debug)]
pub struct ArenaF64<'a, 'm> {
    arena: &'a Arena<'m, f64>,
}

macro_rules! arena_bench {
    ($bench:ident, $element:ty, $name:literal, $tolerance:literal) => {
        impl<'a, 'm> $bench<'a, 'm> {
            /// The backend over that arena.
            #[must_use]
            pub fn new(arena: &'a Arena<'m, $element>) -> Self {
                Self { arena }
            }

            /// The arena its tensors live in.
            #[must_use]
            pub fn arena(&self) -> &'a Arena<'m, $element> {
                self.arena
            }

            /// Calls `run` with a backend over `elements` elements of fresh memory.
            pub fn with_memory<R>(elements: usize, run: impl FnOnce($bench<'_, '_>) -> R) -> R {
                let mut memory = vec![0.0; elements];
                let arena = Arena::new(&mut memory);
                run($bench { arena: &arena })
            }
        }

        impl<'a, 'm> Bench for $bench<'a, 'm> {
            type T = ArenaTensor<'a, 'm, $element>;
            const NAME: &'static str = $name;
            const TOLERANCE: f64 = $tolerance;

            fn load(&self, shape: Shape, values: &[f64]) -> Result<Self::T, Failure> {
                Ok(self.arena.tensor_from_f64(shape, values)?)
            }

            fn read(&self, tensor: &Self::T) -> Result<Vec<f64>, Failure> {
                let mut values = vec![0.0; tensor.shape().count()];
                tensor.read(&mut values)?;
                Ok(values.into_iter().map(f64::from).collect())
            }
        }
    };
}

arena_bench!(ArenaF32, f32, "arena_f32", 1e-5);
arena_bench!(ArenaF64, f64, "arena_f64", 1e-10);
