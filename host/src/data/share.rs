//! A share of the training photos, held out to validate on where a data set has no split for it.

/// Which of `names` are held out: `share` of them, at least one and not all if there are two or more. It depends on the
/// names alone, not on their order; a photo more or less moves few of the others.
#[must_use]
pub fn held_out<S: AsRef<str>>(names: &[S], share: f64) -> Vec<bool> {
    let wanted = (names.len() as f64 * share.clamp(0.0, 1.0)).round() as usize;
    let wanted = if share > 0.0 && names.len() > 1 { wanted.clamp(1, names.len() - 1) } else { 0 };
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|index| (hash(names[*index].as_ref()), names[*index].as_ref()));
    let mut held = vec![false; names.len()];
    order.into_iter().take(wanted).for_each(|index| held[index] = true);
    held
}

/// FNV-1a, then the output mix of splitmix64, without which names that differ in their last letter stay neighbours.
fn hash(name: &str) -> u64 {
    let fnv = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut mixed = fnv;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[String], share: f64) -> Vec<&String> {
        let held = held_out(names, share);
        let mut chosen: Vec<&String> = names.iter().zip(held).filter(|(_, held)| *held).map(|(name, _)| name).collect();
        chosen.sort();
        chosen
    }

    #[test]
    fn the_share_is_kept_and_the_order_is_of_no_weight() {
        let names: Vec<String> = (0..200).map(|index| format!("photo{index:03}")).collect();
        let mut backwards = names.clone();
        backwards.reverse();
        for (share, count) in [(0.0, 0), (0.1, 20), (0.5, 100), (1e-9, 1), (0.9999, 199)] {
            assert_eq!(chosen(&names, share).len(), count, "{share}");
            assert_eq!(chosen(&names, share), chosen(&backwards, share));
        }
        assert_eq!(chosen(&names[..1], 0.5).len(), 0, "one photo is to be learnt from");
        let first_half = chosen(&names, 0.5).iter().filter(|name| name.as_str() < "photo100").count();
        assert!(
            (30..=70).contains(&first_half),
            "{first_half} of 100: names next to each other are not held out together"
        );
    }

    #[test]
    fn a_photo_more_moves_few_others() {
        let names: Vec<String> = (0..200).map(|index| format!("photo{index:03}")).collect();
        let (before, after) = (chosen(&names[..199], 0.2), chosen(&names, 0.2));
        let moved = before.iter().filter(|name| !after.contains(name)).count();
        assert!(moved <= 1, "{moved}");
    }
}
