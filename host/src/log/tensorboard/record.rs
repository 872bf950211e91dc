//! TFRecord: how an event file frames its events.
//!
//! ```text
//! length of the data   u64, little-endian
//! checksum of these eight bytes
//! data
//! checksum of the data
//! ```
//! A checksum is the CRC-32C of the bytes, turned and shifted by a constant so that checksums of data that holds
//! checksums stay good; u32, little-endian.

/// Frames the data of one event.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

const fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli): the one of iSCSI (RFC 3720), whose polynomial is not that of zip and PNG.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |state, byte| TABLE[usize::from(state as u8 ^ byte)] ^ (state >> 8))
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 1 == 1 { (state >> 1) ^ 0x82f6_3b78 } else { state >> 1 };
            bit += 1;
        }
        table[byte] = state;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, section B.4, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn a_record_is_the_data_and_sixteen_bytes() {
        let record = framed(b"data");
        assert_eq!((record.len(), &record[..8], &record[12..16]), (20, &[4, 0, 0, 0, 0, 0, 0, 0][..], &b"data"[..]));
    }
}
