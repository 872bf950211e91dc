//! Maps copied into their frames. The zeros around them are there from the start and stay.

use pulp::Simd;

use super::{
    super::lanes::Lanes,
    plan::{Frame, VECTOR},
};

impl Frame {
    /// Copies a map, cut at 0 if `rectified`.
    #[inline(always)]
    pub(super) fn fill<T: Lanes, S: Simd>(&self, simd: S, map: &[T], rectified: bool, framed: &mut [T]) {
        let lanes = T::lanes::<S>();
        let columns = self.map.1;
        if self.spread != 1 {
            return self.spread_out(
                map,
                |value| if rectified && value <= T::zero() { T::zero() } else { value },
                framed,
            );
        }
        let whole = columns / lanes * lanes;
        assert!(framed.len() >= self.length && lanes <= VECTOR);
        for (row, map) in map.chunks_exact(columns).take(self.map.0).enumerate() {
            let start = self.left + row * self.pitch;
            let framed = &mut framed[start..start + columns.next_multiple_of(VECTOR)];
            // SAFETY: whole vectors stay inside the row; the rest is a whole vector in the frame, as its rows have room
            // for a multiple of the widest vector.
            unsafe {
                let mut column = 0;
                while column < whole {
                    let vector = T::load::<S>(map.as_ptr().add(column));
                    let vector = if rectified { T::rectify(simd, vector) } else { vector };
                    T::store::<S>(framed.as_mut_ptr().add(column), vector);
                    column += lanes;
                }
                if whole < columns && columns >= lanes {
                    // The last vector ends with the row: what is copied twice is the same.
                    let vector = T::load::<S>(map.as_ptr().add(columns - lanes));
                    let vector = if rectified { T::rectify(simd, vector) } else { vector };
                    T::store::<S>(framed.as_mut_ptr().add(columns - lanes), vector);
                } else if whole < columns {
                    let vector = T::load_some(simd, &map[whole..]);
                    let vector = if rectified { T::rectify(simd, vector) } else { vector };
                    T::store::<S>(framed.as_mut_ptr().add(whole), vector);
                }
            }
        }
    }

    /// Copies a map of gradients, with 0 where `outputs` is not above 0.
    #[inline(always)]
    pub(super) fn fill_passing<T: Lanes>(&self, map: &[T], outputs: &[T], framed: &mut [T]) {
        let columns = self.map.1;
        for (row, (map, outputs)) in map.chunks_exact(columns).zip(outputs.chunks_exact(columns)).enumerate() {
            let framed = &mut framed[self.left + row * self.pitch..];
            let passed = map.iter().zip(outputs).map(|(&dy, &y)| if y > T::zero() { dy } else { T::zero() });
            match self.spread {
                1 => framed.iter_mut().zip(passed).for_each(|(framed, value)| *framed = value),
                spread => framed.iter_mut().step_by(spread).zip(passed).for_each(|(framed, value)| *framed = value),
            }
        }
    }

    #[inline(always)]
    fn spread_out<T: Lanes>(&self, map: &[T], value: impl Fn(T) -> T, framed: &mut [T]) {
        for (row, map) in map.chunks_exact(self.map.1).enumerate() {
            let framed = framed[self.left + row * self.pitch..].iter_mut().step_by(self.spread);
            framed.zip(map).for_each(|(framed, &pixel)| *framed = value(pixel));
        }
    }
}
