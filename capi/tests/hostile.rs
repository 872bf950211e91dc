//! Random calls, most of them wrong: a status comes back, and memory that is not a result stays as it was.

use std::ptr;

use wseg_c::*;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }
}

/// Arguments that arrays may lie in, and elements of each: more than any shape below that is not refused.
const ROOMS: usize = 6;
const ROOM: usize = 256;

/// Small extents, none, and those whose products overflow.
const EXTENTS: [usize; 5] = [1, 2, 3, 4, 5];
const ABSURD: [usize; 5] = [0, usize::MAX, usize::MAX / 2 + 1, 1 << (usize::BITS - 3), usize::MAX / 4];

fn shape(random: &mut Random, wrong: u64) -> WsegShape {
    let mut extent = || if random.one_in(wrong) { random.pick(&ABSURD) } else { random.pick(&EXTENTS) };
    // Two samples and three channels at most, so that an array with a channel more and scratch memory fit a room.
    let (n, c) = (extent(), extent());
    let few = |extent: usize, most: usize| if extent <= 5 { extent.min(most) } else { extent };
    WsegShape { n: few(n, 2), c: few(c, 3), h: extent(), w: extent() }
}

/// What a call said, and which rooms beside its scratch memory it may write.
struct Call {
    status: WsegStatus,
    outputs: &'static [usize],
}

/// Calls function number `which`. Rooms 0, 1, 2 are inputs, 3, 4 outputs, 5 scratch memory.
///
/// # Safety
/// Each pointer is null, or misaligned, or points to a whole room.
unsafe fn call(which: u64, random: &mut Random, wrong: u64, at: [*mut f32; ROOMS], len: usize) -> Call {
    let one = shape(random, wrong);
    let other = if random.one_in(3) { shape(random, wrong) } else { WsegShape { c: one.c, ..one } };
    let numbers = [0.0, 0.5, 1.0, 3.0];
    let mut number = || if random.one_in(wrong) { f64::NAN } else { random.pick(&numbers) };
    let pooling = WsegPooling { epsilon: number(), p: number(), lambda: number(), background: number() };
    let cutoff = WsegCutoff { low: number(), background: number(), class_share: number() };
    let cam = WsegCam { background: number(), epsilon: number() };
    let (sigma_weight, epsilon, psi) = (number(), number(), number());
    let mut dilations = [1; WSEG_MAX_DILATIONS];
    dilations.fill_with(|| random.pick(&[1, 2, 9, usize::MAX, 0, 1, 2, 3]));
    // Under miri, which is slow, a refinement that is done has few neighbours.
    let counts: &[usize] = if cfg!(miri) { &[1, 0, 17] } else { &[1, 2, 16, 0, 17, usize::MAX] };
    let (dilation_count, iterations) = (random.pick(counts), random.pick(&[0, 1, 3, usize::MAX]));
    let pamr = WsegPamr { dilations, dilation_count, iterations, sigma_weight, epsilon };
    let null = !cfg!(miri) && random.one_in(2);
    fn maybe<T>(null: bool, value: &T) -> *const T {
        if null { ptr::null() } else { value }
    }
    let [a, b, c, x, y, scratch] = at;
    // SAFETY: the pointers are as promised, rooms are larger than any array of an accepted shape (asserted by the test),
    // and the constants live on this stack.
    let (status, outputs): (_, &[usize]) = unsafe {
        match which {
            0 => (wseg_classify(one, a, maybe(null, &pooling), x, y, scratch, len), &[3, 4]),
            1 => (wseg_cam_masks(one, a, maybe(null, &cam), x, scratch, len), &[3]),
            2 => (wseg_drop_absent(one, a, b, x, scratch, len), &[3]),
            3 => (wseg_pseudo_labels(one, a, maybe(null, &cutoff), x, scratch, len), &[3]),
            4 => (wseg_class_scores_gradient(one, a, b, maybe(null, &pooling), x, scratch, len), &[3]),
            5 => (wseg_soft_margin(one.h, a, b, x, y, scratch, len), &[3, 4]),
            6 => (wseg_segmentation_loss(one, a, other, b, x, y, scratch, len), &[3, 4]),
            7 => (wseg_pamr(one, a, other, b, maybe(null, &pamr), x, scratch, len), &[3]),
            8 => (wseg_gated_segmentation_loss(one, a, other, b, c, x, y, scratch, len), &[3, 4]),
            9 => (wseg_stochastic_gate(one, a, b, c, psi, x, scratch, len), &[3]),
            _ => (wseg_deterministic_gate(one, a, b, psi, x, scratch, len), &[3]),
        }
    };
    Call { status, outputs }
}

/// How many statuses of each kind some thousand calls gave, of which one argument in `wrong` was a bad one.
fn storm(seed: u64, wrong: u64, calls: usize) -> [usize; 12] {
    let mut random = Random(seed);
    let mut seen = [0; 12];
    // One room more, so that a misaligned pointer stays inside.
    let mut memory = vec![0.0_f32; (ROOMS + 1) * ROOM];
    for _ in 0..calls {
        for value in &mut memory {
            *value = (random.next() >> 40) as f32 / (1 << 24) as f32;
        }
        if random.one_in(wrong) {
            let place = random.pick(&[0, 1, 2]) * ROOM + random.next() as usize % 12;
            memory[place] = random.pick(&[f32::NAN, f32::INFINITY, f32::MAX]);
        }
        let before: Vec<u32> = memory.iter().map(|value| value.to_bits()).collect();
        let (base, mut at, mut home) = (memory.as_mut_ptr(), [ptr::null_mut(); ROOMS], [0; ROOMS]);
        for (room, pointer) in at.iter_mut().enumerate() {
            home[room] = if random.one_in(wrong) { random.next() as usize % ROOMS } else { room };
            *pointer = base.wrapping_add(home[room] * ROOM);
            if random.one_in(wrong) {
                *pointer = random.pick(&[ptr::null_mut(), pointer.wrapping_byte_add(1), pointer.wrapping_add(3)]);
            }
        }
        let len = if random.one_in(wrong) { random.next() as usize % 40 } else { ROOM };
        let which = random.next() % 11;
        // SAFETY: as the function asks; an accepted array has at most 2 * 4 * 5 * 5 elements.
        let Call { status, outputs } = unsafe { call(which, &mut random, wrong, at, len) };
        seen[status as usize] += 1;
        let done = matches!(status, WsegStatus::Ok | WsegStatus::Overflow);
        let mine = |room: usize| done && (outputs.contains(&room) || room == 5);
        for (index, (value, before)) in memory.iter().zip(before).enumerate() {
            if value.to_bits() == before {
                continue;
            }
            // A pointer may have been sent to another room, a few elements into it.
            let reach = |argument: usize| [home[argument], home[argument] + 1].contains(&(index / ROOM));
            let written = (0..ROOMS).any(|argument| mine(argument) && reach(argument));
            assert!(written, "call {which} wrote element {index}: {status:?}");
        }
        if status == WsegStatus::Ok {
            for &output in outputs.iter().filter(|&&output| !at[output].is_null()) {
                // SAFETY: a room's first element.
                assert!(unsafe { at[output].read() }.is_finite());
            }
        }
    }
    seen
}

#[test]
fn hostile_calls_get_a_status_and_write_nothing_else() {
    let calls = if cfg!(miri) { 12 } else { 10_000 };
    let mut seen = [0; 12];
    // Now and then a mistake, so that calls go deep; then many.
    for (seed, wrong) in [(1, 40), (2, 12), (3, 4)] {
        seen.iter_mut().zip(storm(seed, wrong, calls)).for_each(|(seen, more)| *seen += more);
    }
    if !cfg!(miri) {
        let [others @ .., memory] = seen;
        assert!(others.iter().all(|&count| count > 0), "some status never came: {seen:?}");
        assert_eq!(memory, 0, "nothing here allocates");
        assert!(seen[0] > calls, "hardly a call was done: {seen:?}");
    }
}

#[test]
fn good_calls_are_done() {
    let seen = storm(4, u64::MAX, if cfg!(miri) { 10 } else { 2_000 });
    // Without a mistake of its own a call may still have shapes that do not match, and constants out of their range.
    let [done, _, _, empty, _, shape, _, _, _, constant, ..] = seen;
    assert!(done > 0, "{seen:?}");
    // The gated loss needs a class beside the background.
    assert_eq!(done + empty + shape + constant, seen.iter().sum::<usize>(), "{seen:?}");
}
