//! NumPy's `.npy` files of half precision, written as they come.

use std::io::{self, Write};

use half::f16;

/// Writes the header of an array of `shape` in half precision, little-endian, last index fastest: format version 1.0.
///
/// # Reference
/// NumPy Enhancement Proposal 1.
pub(super) fn write_header(writer: &mut dyn Write, shape: &[usize]) -> io::Result<()> {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    // A tuple of one has a comma.
    let sides = if sides.len() == 1 { sides.concat() + "," } else { sides.join(", ") };
    let text = format!("{{'descr': '<f2', 'fortran_order': False, 'shape': ({sides}), }}");
    // Magic, version and length take ten bytes; the whole, with a line feed at its end, is a multiple of 64.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let stated = u16::try_from(length).map_err(|_| io::Error::other("an array of too many sides"))?;
    writer.write_all(b"\x93NUMPY\x01\x00")?;
    writer.write_all(&stated.to_le_bytes())?;
    writeln!(writer, "{text:<width$}", width = length - 1)
}

/// Writes values in half precision.
pub(super) fn write_values(writer: &mut dyn Write, values: impl Iterator<Item = f32>) -> io::Result<()> {
    values.map(|value| f16::from_f32(value).to_le_bytes()).try_for_each(|bytes| writer.write_all(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_that_numpy_writes() {
        let mut bytes = Vec::new();
        write_header(&mut bytes, &[2, 3]).unwrap();
        write_values(&mut bytes, [0.0, 1.0, -2.0, 0.5, 65504.0, 1e-9].into_iter()).unwrap();
        // np.save(file, np.array([[0, 1, -2], [0.5, 65504, 1e-9]], dtype=np.float16))
        let text = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(bytes[10..128], *format!("{text:<117}\n").as_bytes());
        assert_eq!(bytes[128..], [0, 0, 0, 0x3c, 0, 0xc0, 0, 0x38, 0xff, 0x7b, 0, 0]);
        let mut one = Vec::new();
        write_header(&mut one, &[20]).unwrap();
        assert!(one.len() == 128 && String::from_utf8_lossy(&one).contains("'shape': (20,), }"));
    }
}
