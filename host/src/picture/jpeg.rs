//! The frame of a JPEG file: decoders fill the missing part of a cut-off file with grey and say nothing, we look first.

/// Whether `bytes` are cut off: no end-of-image marker follows the scan data.
///
/// Only markers are walked, so an end marker inside an embedded thumbnail does not count, and bytes after the end,
/// which some cameras add, do no harm. Anything malformed before that is left to the decoder's own complaint.
pub(super) fn is_cut_off(bytes: &[u8]) -> bool {
    let mut at = 2; // after the start-of-image marker
    loop {
        // Find the next marker: 0xff, any number of fill bytes 0xff, then a code that is neither stuffing nor restart.
        let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) else {
            return true;
        };
        at += found;
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        let Some(&code) = bytes.get(at) else { return true };
        at += 1;
        match code {
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            0xd9 => return false,
            _ => {
                let Some(&[high, low]) = bytes.get(at..at + 2) else { return true };
                at += usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_cut_off;

    // Start, one comment segment, a scan header, scan data with a stuffed 0xff and a restart marker, end.
    const WHOLE: &[u8] = b"\xff\xd8\xff\xfe\x00\x04\xff\xd9\xff\xda\x00\x02ab\xff\x00c\xff\xd3d\xff\xd9";

    #[test]
    fn the_end_marker_decides() {
        assert!(!is_cut_off(WHOLE));
        assert!(!is_cut_off(&[WHOLE, b"trailing bytes of a camera"].concat()));
        for end in 0..WHOLE.len() {
            assert!(is_cut_off(&WHOLE[..end]), "cut at {end}");
        }
    }
}
