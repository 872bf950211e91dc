//! Arrays as NumPy keeps them in `.npy` files: read within bounds, and written.

use std::io::{self, Write};

use half::f16;

/// An array's elements, by what they can be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elements {
    /// Floating-point numbers: probabilities.
    Real(Vec<f32>),
    /// Whole numbers: labels.
    Whole(Vec<i64>),
}

/// An array in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Elements,
}

const MAGIC: &[u8] = b"\x93NUMPY";
/// Most axes that are of use here.
const MAX_AXES: usize = 4;
/// Largest header that is read.
const MAX_HEADER: usize = 1 << 16;

/// Reads an array.
///
/// # Errors
/// What is wrong with the bytes, as the end of a sentence.
pub(crate) fn parse(bytes: &[u8]) -> Result<Array, String> {
    let (header, data) = split(bytes)?;
    let descr = value_of(header, "descr").ok_or("its header does not say what its elements are")?;
    let order = value_of(header, "fortran_order").ok_or("its header does not say in which order its elements are")?;
    let shape = value_of(header, "shape").and_then(shape).ok_or("its header has no shape of up to 4 axes")?;
    if order.starts_with("True") {
        return Err("is in Fortran order; save np.ascontiguousarray(array)".to_owned());
    }
    let quoted = descr.strip_prefix(['\'', '"']).and_then(|rest| rest.split(['\'', '"']).next());
    let Some(kind) = quoted else {
        return Err("holds records, not numbers; save a plain array".to_owned());
    };
    let count = shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent));
    let elements = |size: usize| match count.and_then(|count| count.checked_mul(size)) {
        Some(length) if length == data.len() => Ok(()),
        _ => Err(format!("has {} bytes of elements, which is not what shape {shape:?} of `{kind}` needs", data.len())),
    };
    macro_rules! read {
        ($variant:ident, $size:literal, $convert:expr) => {{
            elements($size)?;
            Elements::$variant(data.as_chunks::<$size>().0.iter().map($convert).collect())
        }};
    }
    let elements = match kind {
        "<f2" => read!(Real, 2, |&b| f16::from_le_bytes(b).to_f32()),
        "<f4" => read!(Real, 4, |&b| f32::from_le_bytes(b)),
        "<f8" => read!(Real, 8, |&b| f64::from_le_bytes(b) as f32),
        "|u1" | "<u1" | "|b1" => read!(Whole, 1, |&[b]| i64::from(b)),
        "<i4" => read!(Whole, 4, |&b| i64::from(i32::from_le_bytes(b))),
        "<i8" => read!(Whole, 8, |&b| i64::from_le_bytes(b)),
        _ => {
            let known = "float16, float32, float64, bool, uint8, int32 or int64, little-endian";
            return Err(format!("has elements of type `{}`; save one of {known}", shortened(kind)));
        }
    };
    Ok(Array { shape, elements })
}

/// At most some characters of what a file says.
fn shortened(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(16).collect()
}

/// The header's text and the bytes of the elements.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let cut_off = || "is cut off within its header".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or("is not a NumPy array")?;
    let (&[major, _], rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
    let (length, rest) = if major == 1 {
        let (&length, rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
        (usize::from(u16::from_le_bytes(length)), rest)
    } else {
        let (&length, rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
        (u32::from_le_bytes(length) as usize, rest)
    };
    if length > MAX_HEADER {
        return Err(format!("claims a header of {length} bytes, more than any array needs"));
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    Ok((std::str::from_utf8(header).map_err(|_| "has a header that is not text")?, data))
}

/// What follows `'KEY':` in a dictionary as Python prints it.
fn value_of<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let (_, rest) = ['\'', '"'].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}")))?;
    rest.trim_start().strip_prefix(':').map(str::trim_start)
}

/// The extents of `(3, 4)`, `(3,)` or `()`.
fn shape(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let inside = inside.trim().trim_end_matches(',');
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let extents: Vec<usize> =
        inside.split(',').take(MAX_AXES + 1).map(|extent| extent.trim().parse().ok()).collect::<Option<_>>()?;
    (extents.len() <= MAX_AXES).then_some(extents)
}

/// Writes the header of an array of `kind` (`<f2`, `<f4`), last index fastest: format version 1.0.
///
/// # Reference
/// NumPy Enhancement Proposal 1.
pub(crate) fn write_header(writer: &mut dyn Write, kind: &str, shape: &[usize]) -> io::Result<()> {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    // A tuple of one has a comma.
    let sides = if sides.len() == 1 { sides.concat() + "," } else { sides.join(", ") };
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sides}), }}");
    // Magic, version and length take ten bytes; the whole, with a line feed at its end, is a multiple of 64.
    let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    let stated = u16::try_from(length).map_err(|_| io::Error::other("an array of too many sides"))?;
    writer.write_all(MAGIC)?;
    writer.write_all(&[1, 0])?;
    writer.write_all(&stated.to_le_bytes())?;
    writeln!(writer, "{text:<width$}", width = length - 1)
}

/// Writes values in half precision: an array of `<f2`.
pub(crate) fn write_halves(writer: &mut dyn Write, values: impl Iterator<Item = f32>) -> io::Result<()> {
    values.map(|value| f16::from_f32(value).to_le_bytes()).try_for_each(|bytes| writer.write_all(&bytes))
}

/// Bytes of an array of float32.
pub(crate) fn encode(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128 + 4 * values.len());
    // Memory takes whatever is written, and a few sides of 20 digits are a short header.
    let _ = write_header(&mut bytes, "<f4", shape);
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn the_bytes_are_those_that_numpy_writes() {
        let mut bytes = Vec::new();
        write_header(&mut bytes, "<f2", &[2, 3]).unwrap();
        write_halves(&mut bytes, [0.0, 1.0, -2.0, 0.5, 65504.0, 1e-9].into_iter()).unwrap();
        // np.save(file, np.array([[0, 1, -2], [0.5, 65504, 1e-9]], dtype=np.float16))
        let text = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(bytes[10..128], *format!("{text:<117}\n").as_bytes());
        assert_eq!(bytes[128..], [0, 0, 0, 0x3c, 0, 0xc0, 0, 0x38, 0xff, 0x7b, 0, 0]);
        let mut one = Vec::new();
        write_header(&mut one, "<f2", &[20]).unwrap();
        assert!(one.len() == 128 && String::from_utf8_lossy(&one).contains("'shape': (20,), }"));
    }

    #[test]
    fn what_is_written_is_read() {
        let values: Vec<f32> = (0..24).map(|i| i as f32 / 7.0).collect();
        for shape in [vec![24], vec![4, 6], vec![2, 3, 4], vec![1, 2, 3, 4]] {
            let bytes = encode(&shape, &values);
            assert_eq!((bytes.len() - 96) % 64, 0, "elements are aligned");
            assert_eq!(parse(&bytes).unwrap(), Array { shape, elements: Elements::Real(values.clone()) });
        }
    }

    #[test]
    fn every_element_type_is_converted() {
        let header = |kind: &str| format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (2,), }}   \n");
        let read = |kind: &str, data: &[u8]| parse(&file(&header(kind), data)).unwrap().elements;
        assert_eq!(read("<f2", &[0, 0x3c, 0, 0xb8]), Elements::Real(vec![1.0, -0.5]));
        assert_eq!(
            read("<f8", &[0.25_f64.to_le_bytes(), 2_f64.to_le_bytes()].concat()),
            Elements::Real(vec![0.25, 2.0])
        );
        assert_eq!(read("|u1", &[3, 255]), Elements::Whole(vec![3, 255]));
        assert_eq!(read("|b1", &[0, 1]), Elements::Whole(vec![0, 1]));
        assert_eq!(read("<i4", &[1, 0, 0, 0, 255, 255, 255, 255]), Elements::Whole(vec![1, -1]));
        assert_eq!(read("<i8", &[[7, 0, 0, 0, 0, 0, 0, 0], [255; 8]].concat()), Elements::Whole(vec![7, -1]));
    }

    #[test]
    fn what_is_no_plain_array_is_refused_with_a_reason() {
        let whole = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n";
        let refused = |bytes: &[u8]| parse(bytes).unwrap_err();
        assert!(refused(b"PK\x03\x04").contains("not a NumPy array"));
        assert!(refused(b"\x93NUMPY\x01").contains("cut off"));
        assert!(refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("header of 4294967295 bytes"));
        assert!(refused(&file(whole, &[0; 15])).contains("15 bytes of elements"));
        assert!(refused(&file(whole, &[0; 17])).contains("[2, 2]"));
        assert!(refused(&file(&whole.replace("False", "True"), &[0; 16])).contains("ascontiguousarray"));
        assert!(refused(&file(&whole.replace("<f4", ">f4"), &[0; 16])).contains("`>f4`"));
        assert!(refused(&file(&whole.replace("'<f4'", "[('a', '<f4')]"), &[0; 16])).contains("records"));
        assert!(refused(&file(&whole.replace("(2, 2)", "(2, 99999999999999999999)"), &[0; 16])).contains("no shape"));
        assert!(refused(&file(&whole.replace("(2, 2)", "(4611686018427387904, 8)"), &[0; 16])).contains("16 bytes"));
        assert!(refused(&file(&whole.replace("(2, 2)", "(1, 1, 1, 2, 2)"), &[0; 16])).contains("no shape"));
        assert!(refused(&file("", &[])).contains("does not say"));
        // Every truncation of a good file.
        let good = file(whole, &[0; 16]);
        assert!((0..good.len()).all(|length| parse(&good[..length]).is_err()));
    }
}
