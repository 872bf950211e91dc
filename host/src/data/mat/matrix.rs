//! A matrix: an array of numbers, a struct, a cell array, or something that is only named.

use super::{
    ByteOrder, MatError,
    element::{Elements, code},
};

/// Most numbers of an array, and most elements of a cell array: 64 megapixels.
pub const MAX_NUMBERS: usize = 64 << 20;

/// Most axes of an array.
const MAX_AXES: usize = 32;
/// Most fields of a struct.
const MAX_FIELDS: usize = 4096;

/// What kind of array a matrix is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An array of arrays of any kind.
    Cell,
    /// Named fields.
    Struct,
    /// Numbers or truth values of any type.
    Numeric,
    /// Text, sparse arrays, objects, functions: named, not read.
    Other,
}

/// A matrix whose flags, dimensions and name are read; the rest is when it is asked for.
#[derive(Debug, Clone)]
pub struct Matrix<'a> {
    class: Class,
    complex: bool,
    dims: Vec<usize>,
    name: &'a [u8],
    body: Elements<'a>,
}

impl<'a> Matrix<'a> {
    pub(super) fn parse(order: ByteOrder, bytes: &'a [u8]) -> Result<Self, MatError> {
        let mut body = Elements::parts(order, bytes);
        // An element without bytes is an empty array.
        let Some(flags) = body.next()? else {
            return Ok(Self { class: Class::Numeric, complex: false, dims: vec![0, 0], name: &[], body });
        };
        let flags = match (flags.code, flags.data) {
            // The second word is of interest for sparse arrays only.
            (code::UINT32, &[a, b, c, d, _, _, _, _]) => order.u32([a, b, c, d]),
            _ => return Err(MatError::Corrupt("a variable does not start with its flags")),
        };
        let class = match flags & 0xff {
            1 => Class::Cell,
            2 => Class::Struct,
            6..=15 => Class::Numeric,
            _ => Class::Other,
        };
        // Functions and objects of today have neither dimensions nor a name where others have.
        if flags & 0xff > 15 {
            return Ok(Self { class, complex: false, dims: Vec::new(), name: &[], body });
        }
        let dims = dimensions(order, body.expect_code(code::INT32, "a variable has no dimensions")?)?;
        let name = body.expect_code(code::INT8, "a variable has no name")?;
        Ok(Self { class, complex: flags & 0x800 != 0, dims, name, body })
    }

    /// What kind of array it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Its extents, rows first: at least two, but for what is not read.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Its name, as a person may see it; fields and elements of cells have none.
    #[must_use]
    pub fn name(&self) -> String {
        let visible = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
        self.name.iter().take(64).map(visible).collect()
    }

    fn order(&self) -> ByteOrder {
        self.body.order()
    }

    fn len(&self) -> usize {
        // Checked when the dimensions were read.
        self.dims.iter().product()
    }

    /// The field of that name, of a single struct; `None` if it has no such field, or is no single struct.
    ///
    /// # Errors
    /// If the list of fields or a field before this one is not as the format says.
    pub fn field(&self, wanted: &str) -> Result<Option<Matrix<'a>>, MatError> {
        if self.class != Class::Struct || self.len() != 1 {
            return Ok(None);
        }
        let mut body = self.body.clone();
        let length = body.expect_code(code::INT32, "a struct does not say how long its names are")?;
        let length = length.first_chunk().map_or(0, |length| self.order().u32(*length) as usize);
        let names = body.expect_code(code::INT8, "a struct does not name its fields")?;
        if length == 0 || !names.len().is_multiple_of(length) {
            return Err(MatError::Corrupt("the names of a struct's fields are not of one length"));
        }
        if names.len() / length > MAX_FIELDS {
            return Err(MatError::TooMany { what: "fields in a struct", limit: MAX_FIELDS });
        }
        let named = |name: &[u8]| name.split(|byte| *byte == 0).next() == Some(wanted.as_bytes());
        let Some(index) = names.chunks_exact(length).position(named) else { return Ok(None) };
        for _ in 0..index {
            body.expect_code(code::MATRIX, "a struct's field is no array")?;
        }
        let field = body.expect_code(code::MATRIX, "a struct's field is no array")?;
        Matrix::parse(self.order(), field).map(Some)
    }

    /// The elements of a cell array, column by column; none of anything else.
    ///
    /// # Errors
    /// Each item: an element that is missing or no array; the last item then.
    pub fn cells(&self) -> impl Iterator<Item = Result<Matrix<'a>, MatError>> + use<'a> {
        let (order, mut body) = (self.order(), self.body.clone());
        let mut left = if self.class == Class::Cell { self.len() } else { 0 };
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let cell = body
                .expect_code(code::MATRIX, "an element of a cell array is no array")
                .and_then(|cell| Matrix::parse(order, cell));
            if cell.is_err() {
                left = 0;
            }
            Some(cell)
        })
    }

    /// The numbers of a real array, column by column, whatever type they are stored in. (64-bit integers beyond 2^53 are
    /// rounded.) `None` if it is no such array.
    ///
    /// # Errors
    /// If there are not as many as the dimensions say, or their type is none of numbers.
    pub fn numbers(&self) -> Result<Option<impl Iterator<Item = f64> + use<'a>>, MatError> {
        if self.class != Class::Numeric || self.complex {
            return Ok(None);
        }
        let order = self.order();
        let (count, mut body) = (self.len(), self.body.clone());
        let (code, data) = body.next()?.map_or((code::INT8, &[][..]), |element| (element.code, element.data));
        let width = match code {
            1 | 2 => 1,
            3 | 4 => 2,
            5..=7 => 4,
            9 | 12 | 13 => 8,
            _ => return Err(MatError::Corrupt("an array's numbers are of no type of numbers")),
        };
        if Some(data.len()) != count.checked_mul(width) {
            return Err(MatError::Corrupt("an array has not as many numbers as its dimensions say"));
        }
        Ok(Some(data.chunks_exact(width).map(move |bytes| number(order, code, bytes))))
    }
}

/// The number stored in `bytes`, which are as many as its type has.
fn number(order: ByteOrder, code: u32, bytes: &[u8]) -> f64 {
    let value = match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(order.u16([a, b])),
        [a, b, c, d] => u64::from(order.u32([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => order.u64([a, b, c, d, e, f, g, h]),
        _ => 0,
    };
    match code {
        1 => f64::from(value as u8 as i8),
        3 => f64::from(value as u16 as i16),
        5 => f64::from(value as u32 as i32),
        7 => f64::from(f32::from_bits(value as u32)),
        9 => f64::from_bits(value),
        12 => value as i64 as f64,
        _ => value as f64,
    }
}

/// Extents, whose product is bounded.
fn dimensions(order: ByteOrder, bytes: &[u8]) -> Result<Vec<usize>, MatError> {
    let corrupt = MatError::Corrupt("a variable's dimensions make no sense");
    if !bytes.len().is_multiple_of(4) || bytes.len() < 8 {
        return Err(corrupt);
    }
    if bytes.len() / 4 > MAX_AXES {
        return Err(MatError::TooMany { what: "axes in an array", limit: MAX_AXES });
    }
    let dims: Vec<usize> = bytes.as_chunks().0.iter().map(|extent| order.u32(*extent) as usize).collect();
    // Extents are signed in the file: beyond 2^31 they are negative there, and beyond the limit here.
    let product = dims.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent.max(1)));
    match product {
        Some(0..=MAX_NUMBERS) => Ok(dims),
        _ => Err(MatError::TooMany { what: "elements in an array", limit: MAX_NUMBERS }),
    }
}
