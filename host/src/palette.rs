//! The Pascal VOC colour map: which colour a label index is drawn in.

/// Label of pixels that belong to no class: VOC's border around objects, ignored by every measure.
pub const VOID: u8 = 255;

/// The 256 colours of Pascal VOC, by label index.
pub const VOC: [[u8; 3]; 256] = colour_map();

/// Colour of a label. The bits of the index are dealt out in threes, to red, green and blue, highest bit first.
///
/// # Reference
/// The colour map of the Pascal VOC development kit.
#[must_use]
pub const fn colour(label: u8) -> [u8; 3] {
    let mut channels = [0; 3];
    let mut bit = 0;
    while bit < 8 {
        channels[bit % 3] |= (label >> bit & 1) << (7 - bit / 3);
        bit += 1;
    }
    channels
}

/// Label whose colour is exactly `rgb`, if there is one: the map is a bijection onto its 256 colours.
#[must_use]
pub const fn label_of(rgb: [u8; 3]) -> Option<u8> {
    let mut label = 0;
    let mut bit = 0;
    while bit < 8 {
        label |= (rgb[bit % 3] >> (7 - bit / 3) & 1) << bit;
        bit += 1;
    }
    let [red, green, blue] = colour(label);
    if red == rgb[0] && green == rgb[1] && blue == rgb[2] { Some(label) } else { None }
}

const fn colour_map() -> [[u8; 3]; 256] {
    let mut map = [[0; 3]; 256];
    let mut label = 0;
    while label < 256 {
        map[label] = colour(label as u8);
        label += 1;
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_colours_come_out() {
        // As printed by the development kit for aeroplane, cat, person, tv/monitor and the border.
        for (label, rgb) in [
            (0, [0, 0, 0]),
            (1, [128, 0, 0]),
            (8, [64, 0, 0]),
            (15, [192, 128, 128]),
            (20, [0, 64, 128]),
            (255, [224, 224, 192]),
        ] {
            assert_eq!(VOC[label], rgb, "label {label}");
        }
    }

    #[test]
    fn every_colour_leads_back_to_its_label() {
        for label in 0..=255 {
            assert_eq!(label_of(colour(label)), Some(label));
        }
        assert_eq!(label_of([1, 0, 0]), None);
        assert_eq!(label_of([128, 128, 127]), None);
    }
}
