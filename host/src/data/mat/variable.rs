//! The file: its header, and its variables.

use std::borrow::Cow;

use super::{
    ByteOrder, MAX_INFLATED, MatError, Matrix,
    element::{Elements, code},
    inflate::inflate,
};

/// Most variables of a file.
pub const MAX_VARIABLES: usize = 1024;

/// Bytes of the header: text, then the version and the byte order.
const HEADER: usize = 128;

/// A MAT file of level 5 whose header is read and whose variables are all there.
#[derive(Debug, Clone)]
pub struct MatFile<'a> {
    variables: Elements<'a>,
}

impl<'a> MatFile<'a> {
    /// Reads the header and walks over the variables, none of which is unpacked.
    ///
    /// # Errors
    /// Another format, or a file that is cut off or has more than [`MAX_VARIABLES`] variables.
    pub fn open(bytes: &'a [u8]) -> Result<Self, MatError> {
        let (header, body) = bytes.split_first_chunk::<HEADER>().ok_or(MatError::NotMat)?;
        let [.., v, w, m, i] = *header;
        let order = match [m, i] {
            [b'I', b'M'] => ByteOrder::Little,
            [b'M', b'I'] => ByteOrder::Big,
            _ => return Err(MatError::NotMat),
        };
        match order.u16([v, w]) {
            0x0100 => {}
            0x0200 => return Err(MatError::Hdf5),
            _ => return Err(MatError::NotMat),
        }
        let variables = Elements::variables(order, body);
        let (mut walk, mut count) = (variables.clone(), 0);
        while walk.next()?.is_some() {
            count += 1;
            if count > MAX_VARIABLES {
                return Err(MatError::TooMany { what: "variables", limit: MAX_VARIABLES });
            }
        }
        Ok(Self { variables })
    }

    /// The file's byte order.
    #[must_use]
    pub const fn order(&self) -> ByteOrder {
        self.variables.order()
    }

    /// The variables in the file's order, each unpacked when it is reached.
    ///
    /// # Errors
    /// Each item: compressed data that cannot be unpacked or are more than [`MAX_INFLATED`] bytes together, or an element
    /// that is no variable.
    pub fn variables(&self) -> impl Iterator<Item = Result<Variable<'a>, MatError>> + use<'a> {
        let (mut elements, mut left) = (self.variables.clone(), MAX_INFLATED);
        std::iter::from_fn(move || variable(&mut elements, &mut left).transpose())
    }
}

fn variable<'a>(elements: &mut Elements<'a>, left: &mut usize) -> Result<Option<Variable<'a>>, MatError> {
    let order = elements.order();
    let Some(element) = elements.next()? else { return Ok(None) };
    let bytes = match element.code {
        code::MATRIX => Cow::Borrowed(element.data),
        code::COMPRESSED => {
            let mut inflated = inflate(order, element.data, *left)?;
            *left = left.saturating_sub(inflated.len());
            let inner = Elements::variables(order, &inflated).expect()?;
            if inner.code != code::MATRIX {
                return Err(MatError::Corrupt("a compressed element is no variable"));
            }
            // The element has the stream's length, so what is before its data is its tag.
            let tag = inflated.len() - inner.data.len();
            inflated.drain(..tag);
            Cow::Owned(inflated)
        }
        _ => return Err(MatError::Corrupt("an element is no variable")),
    };
    Ok(Some(Variable { order, bytes }))
}

/// A variable, unpacked.
#[derive(Debug, Clone)]
pub struct Variable<'a> {
    order: ByteOrder,
    bytes: Cow<'a, [u8]>,
}

impl Variable<'_> {
    /// What it holds.
    ///
    /// # Errors
    /// If its flags, dimensions or name are not as the format says.
    pub fn matrix(&self) -> Result<Matrix<'_>, MatError> {
        Matrix::parse(self.order, &self.bytes)
    }
}
