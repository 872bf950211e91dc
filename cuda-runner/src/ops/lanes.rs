//! Vectors of elements, as wide as the processor has them: `pulp`'s `f32s` and `f64s` under one name.

use pulp::Simd;

use super::element::Element;

/// An element type with vectors.
pub(crate) trait Lanes: Element {
    /// A vector register of these elements. Its alignment is that of one element.
    type Vector<S: Simd>: Copy;

    /// Elements in a vector.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }

    /// Every lane `value`.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// The lanewise sum.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a * b + c`, fused where the processor can.
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    /// Sum of the lanes.
    fn sum<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;

    /// The elements of `slice`, at most as many as there are lanes; the other lanes are 0.
    fn load_some<S: Simd>(simd: S, slice: &[Self]) -> Self::Vector<S>;

    /// Fills `slice`, at most as long as there are lanes, with the first lanes.
    fn store_some<S: Simd>(simd: S, slice: &mut [Self], vector: Self::Vector<S>);

    /// 0 in the lanes that are at most 0. A NaN is not hidden.
    fn rectify<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;

    /// `gradient` in the lanes where `value` is above 0, 0 in the others.
    fn pass<S: Simd>(simd: S, value: Self::Vector<S>, gradient: Self::Vector<S>) -> Self::Vector<S>;

    /// A vector read from memory.
    ///
    /// # Safety
    /// As many elements as a vector has must be readable at `from`.
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> Self::Vector<S> {
        // SAFETY: the caller's promise; no alignment is assumed.
        unsafe { from.cast::<Self::Vector<S>>().read_unaligned() }
    }

    /// A vector written to memory.
    ///
    /// # Safety
    /// As many elements as a vector has must be writable at `to`.
    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut Self, vector: Self::Vector<S>) {
        // SAFETY: the caller's promise; no alignment is assumed.
        unsafe { to.cast::<Self::Vector<S>>().write_unaligned(vector) }
    }
}

macro_rules! lanes {
    (
        $float:ident, $vector:ident, $splat:ident, $add:ident, $mul_add:ident, $sum:ident, $load:ident, $store:ident,
        $at_most:ident, $below:ident, $select:ident
    ) => {
        impl Lanes for $float {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }

            #[inline(always)]
            fn load_some<S: Simd>(simd: S, slice: &[Self]) -> S::$vector {
                simd.$load(slice)
            }

            #[inline(always)]
            fn store_some<S: Simd>(simd: S, slice: &mut [Self], vector: S::$vector) {
                simd.$store(slice, vector);
            }

            #[inline(always)]
            fn rectify<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                let zero = simd.$splat(0.0);
                simd.$select(simd.$at_most(a, zero), zero, a)
            }

            #[inline(always)]
            fn pass<S: Simd>(simd: S, value: S::$vector, gradient: S::$vector) -> S::$vector {
                let zero = simd.$splat(0.0);
                simd.$select(simd.$below(zero, value), gradient, zero)
            }
        }
    };
}
lanes!(
    f32,
    f32s,
    splat_f32s,
    add_f32s,
    mul_add_e_f32s,
    reduce_sum_f32s,
    partial_load_f32s,
    partial_store_f32s,
    less_than_or_equal_f32s,
    less_than_f32s,
    select_f32s
);
lanes!(
    f64,
    f64s,
    splat_f64s,
    add_f64s,
    mul_add_e_f64s,
    reduce_sum_f64s,
    partial_load_f64s,
    partial_store_f64s,
    less_than_or_equal_f64s,
    less_than_f64s,
    select_f64s
);

/// Defines functions that run in code for the widest vectors of the processor at hand.
///
/// The generics come twice, with and without bounds. The body must be loops and functions that are inlined: a call
/// that is not goes to code for the oldest processor. That is why this is not a closure given to `dispatch`, which
/// is called for every kind of processor, and so seldom inlined.
macro_rules! vectorised {
    ($(
        $(#[$meta:meta])*
        [$($generics:tt)*] [$($names:tt)*]
        $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $output:ty $body:block
    )*) => {$(
        $(#[$meta])*
        $vis fn $name<$($generics)*>($($argument: $type),*) -> $output {
            struct Call<$($generics)*> {
                $($argument: $type),*
            }
            impl<$($generics)*> pulp::WithSimd for Call<$($names)*> {
                type Output = $output;

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> $output {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Call { $($argument),* })
        }
    )*};
}
pub(crate) use vectorised;
