//! Elements: a type, a length and that many bytes.

use super::MatError;

/// Which end of a number comes first, in the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The low end: `IM` in the header.
    Little,
    /// The high end: `MI` in the header.
    Big,
}

impl ByteOrder {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// Numbers of the types of elements that are of interest here.
pub(super) mod code {
    /// Bytes, also used for names.
    pub(in super::super) const INT8: u32 = 1;
    /// Dimensions.
    pub(in super::super) const INT32: u32 = 5;
    /// Flags of a matrix.
    pub(in super::super) const UINT32: u32 = 6;
    /// A matrix: array, struct, cell.
    pub(in super::super) const MATRIX: u32 = 14;
    /// A zlib stream that holds one matrix.
    pub(in super::super) const COMPRESSED: u32 = 15;
}

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    /// Its type.
    pub(super) code: u32,
    /// Its bytes.
    pub(super) data: &'a [u8],
}

/// Elements that stand one after another.
#[derive(Debug, Clone)]
pub(super) struct Elements<'a> {
    order: ByteOrder,
    rest: &'a [u8],
    /// Whether each element but the small ones starts at a multiple of eight bytes: all but the top ones do.
    padded: bool,
}

/// Bytes of a tag: type and length, or type, length and up to four bytes of data.
const TAG: usize = 8;

impl<'a> Elements<'a> {
    /// The parts of a matrix.
    pub(super) const fn parts(order: ByteOrder, bytes: &'a [u8]) -> Self {
        Self { order, rest: bytes, padded: true }
    }

    /// The variables of a file, between which there is no padding.
    pub(super) const fn variables(order: ByteOrder, bytes: &'a [u8]) -> Self {
        Self { order, rest: bytes, padded: false }
    }

    pub(super) const fn order(&self) -> ByteOrder {
        self.order
    }

    /// The next element; `None` at the end.
    ///
    /// # Errors
    /// [`MatError::CutOff`] if it is longer than what is left, [`MatError::Corrupt`] for a small element of more than four
    /// bytes.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, MatError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, after) = self.rest.split_first_chunk::<TAG>().ok_or(MatError::CutOff)?;
        let [a, b, c, d, small @ ..] = *tag;
        let first = self.order.u32([a, b, c, d]);
        // A type is a small number: where the upper half says something, it is a length, and the data follow at once.
        if first >> 16 != 0 {
            let data = self.rest.get(4..TAG).and_then(|data| data.get(..(first >> 16) as usize));
            self.rest = after;
            let data = data.ok_or(MatError::Corrupt("a small element has more than four bytes"))?;
            return Ok(Some(Element { code: first & 0xffff, data }));
        }
        let length = usize::try_from(self.order.u32(small)).map_err(|_| MatError::CutOff)?;
        let (data, after) = after.split_at_checked(length).ok_or(MatError::CutOff)?;
        let padding = if self.padded { length.next_multiple_of(TAG) - length } else { 0 };
        // Writers leave out what pads the last element.
        self.rest = after.get(padding..).unwrap_or_default();
        Ok(Some(Element { code: first, data }))
    }

    /// The next element, which must be there.
    pub(super) fn expect(&mut self) -> Result<Element<'a>, MatError> {
        self.next()?.ok_or(MatError::CutOff)
    }

    /// The bytes of the next element, which must be of this type.
    pub(super) fn expect_code(&mut self, code: u32, otherwise: &'static str) -> Result<&'a [u8], MatError> {
        let element = self.expect()?;
        if element.code == code { Ok(element.data) } else { Err(MatError::Corrupt(otherwise)) }
    }
}
