//! Compressed variables, unpacked within bounds.

use flate2::{Decompress, FlushDecompress, Status};

use super::{ByteOrder, MatError};

/// Most bytes that the compressed variables of a file may have together once unpacked: a mask of 64 megapixels and as
/// much again. (A mask of SBD has 200 kB.)
pub const MAX_INFLATED: usize = 128 << 20;

/// Bytes unpacked at a time: memory grows with what the file really holds, not with what it claims.
const STEP: usize = 256 << 10;

/// Bytes before the matrix: the tag, which says how long it is.
const TAG: usize = 8;

/// Unpacks a zlib stream that holds one element, tag and all.
///
/// # Errors
/// [`MatError::Zlib`] for a broken stream or checksum, [`MatError::Corrupt`] if the element's length is not that of the
/// stream, [`MatError::TooMany`] beyond `limit` bytes.
pub(super) fn inflate(order: ByteOrder, stream: &[u8], limit: usize) -> Result<Vec<u8>, MatError> {
    let mut zlib = Decompress::new(true);
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(STEP);
        let (taken, given) = (zlib.total_in(), bytes.len());
        let rest = usize::try_from(taken).ok().and_then(|taken| stream.get(taken..)).ok_or(MatError::Zlib)?;
        let status = zlib.decompress_vec(rest, &mut bytes, FlushDecompress::None).map_err(|_| MatError::Zlib)?;
        // What the element claims is known from its first bytes: a stream that goes on longer is not unpacked to its end.
        if let Some(tag) = bytes.first_chunk::<TAG>() {
            let [_, _, _, _, length @ ..] = *tag;
            let claimed = (order.u32(length) as usize).saturating_add(TAG);
            if claimed > limit {
                return Err(MatError::TooMany { what: "bytes", limit: MAX_INFLATED });
            }
            if bytes.len() > claimed || (status == Status::StreamEnd && bytes.len() < claimed) {
                return Err(MatError::Corrupt("a compressed variable is not as long as it says"));
            }
        }
        match status {
            Status::StreamEnd => return Ok(bytes),
            _ if zlib.total_in() == taken && bytes.len() == given => return Err(MatError::Zlib),
            _ => {}
        }
    }
}
