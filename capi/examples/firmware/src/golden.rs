//! Golden files in the flash: a safetensors header read by searching it, arrays read where they lie.

use core::str;

use wseg_core::Shape;

use crate::memory::Memory;

/// A golden file.
#[derive(Clone, Copy)]
pub(crate) struct Golden {
    pub(crate) name: &'static str,
    header: &'static str,
    data: &'static [u8],
}

/// An array in the flash: its bytes, the width of an element, its shape.
pub(crate) struct Array {
    bytes: &'static [u8],
    width: usize,
    pub(crate) shape: Shape,
}

/// Includes a file of `fixtures`.
#[macro_export]
macro_rules! golden {
    ($name:literal) => {
        $crate::golden::Golden::new($name, include_bytes!(concat!("../../../../fixtures/", $name, ".safetensors")))
    };
}

type Result<T> = core::result::Result<T, &'static str>;

/// What stands between `start` and `end`.
fn between<'t>(text: &'t str, start: &str, end: char) -> Result<&'t str> {
    let text = text.split_once(start).ok_or("the header lacks an entry")?.1;
    Ok(text.split_once(end).ok_or("the header is cut off")?.0)
}

impl Golden {
    pub(crate) fn new(name: &'static str, file: &'static [u8]) -> Result<Self> {
        let (length, rest) = file.split_first_chunk::<8>().ok_or("the file is cut off")?;
        let (header, data) =
            rest.split_at_checked(u64::from_le_bytes(*length) as usize).ok_or("the file is cut off")?;
        Ok(Self { name, header: str::from_utf8(header).map_err(|_| "the header is no text")?, data })
    }

    /// What follows `"name":` in the header, from `opening` on.
    fn entry(&self, name: &str, opening: &str) -> Result<&'static str> {
        let mut rest = self.header;
        while let Some((before, after)) = rest.split_once(name) {
            let entry = after.strip_prefix("\":").and_then(|entry| entry.strip_prefix(opening));
            match entry {
                Some(entry) if before.ends_with('"') => return Ok(entry),
                _ => rest = after,
            }
        }
        Err("the header lacks an entry")
    }

    /// A parameter as it stands in the header.
    fn parameter(&self, name: &str) -> Result<&'static str> {
        Ok(self.entry(name, "\"")?.split_once('"').ok_or("the header is cut off")?.0)
    }

    /// A number among the parameters.
    pub(crate) fn number(&self, name: &str) -> Result<f64> {
        self.parameter(name)?.parse().map_err(|_| "a parameter is no number")
    }

    /// A list of whole numbers among the parameters.
    pub(crate) fn list(&self, name: &str) -> Result<impl Iterator<Item = usize> + use<>> {
        let list = self.parameter(name)?.trim_matches(['[', ']']);
        Ok(list.split(',').filter_map(|number| number.trim().parse().ok()))
    }

    /// An array.
    pub(crate) fn array(&self, name: &str) -> Result<Array> {
        let entry = self.entry(name, "{")?.split_once('}').ok_or("the header is cut off")?.0;
        let width = match between(entry, "\"dtype\":\"", '"')? {
            "F32" => 4,
            "F64" => 8,
            "U8" => 1,
            _ => return Err("an array has another type"),
        };
        let mut extents =
            between(entry, "\"shape\":[", ']')?.split(',').filter_map(|extent| extent.trim().parse().ok());
        let mut extent = || extents.next().unwrap_or(1);
        let shape = Shape::new(extent(), extent(), extent(), extent());
        let mut offsets = between(entry, "\"data_offsets\":[", ']')?.split(',').map(|offset| offset.trim().parse());
        let (Some(Ok(from)), Some(Ok(to))) = (offsets.next(), offsets.next()) else {
            return Err("an array has no place");
        };
        let bytes = self.data.get(from..to).ok_or("an array lies outside the file")?;
        Ok(Array { bytes, width, shape })
    }

    /// An input, copied into the memory.
    pub(crate) fn load<'m>(&self, name: &str, memory: &mut Memory<'m>) -> Result<(Shape, &'m mut [f32])> {
        let array = self.array(name)?;
        let numbers = memory.take(array.shape.count())?;
        numbers.iter_mut().zip(array.values()).for_each(|(number, value)| *number = value as f32);
        Ok((array.shape, numbers))
    }
}

impl Array {
    /// The elements.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.bytes.chunks_exact(self.width).map(|bytes| match *bytes {
            [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            [byte] => f64::from(byte),
            _ => f64::NAN,
        })
    }
}
