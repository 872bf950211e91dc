//! Archives of NumPy arrays, as `np.savez` and `np.savez_compressed` write them.

use std::io::{Cursor, Read};

use flate2::{Crc, read::DeflateDecoder};
use zip::{CompressionMethod, ZipArchive, read::ZipFile};

/// Names of arrays that an error shows.
const SHOWN: usize = 8;

/// The bytes of the `.npy` file called `name` in an archive; of its only one, if there is no name. At most `limit` bytes
/// are unpacked.
///
/// # Errors
/// What is wrong with the archive, as the end of a sentence.
pub(super) fn member(bytes: &[u8], name: Option<&str>, limit: u64) -> Result<Vec<u8>, String> {
    let damaged =
        |error: zip::result::ZipError| format!("is no archive of arrays ({error}); save it again with np.savez");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(damaged)?;
        if let Some(array) = String::from_utf8_lossy(file.name_raw()).strip_suffix(".npy") {
            arrays.push((index, array.to_owned()));
        }
    }
    let chosen = match (name, arrays.as_slice()) {
        (Some(name), all) => all.iter().find(|(_, array)| array == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(&(index, _)) = chosen else {
        let names: Vec<String> =
            arrays.iter().take(SHOWN).map(|(_, array)| format!("`{}`", array.escape_debug())).collect();
        let more = if arrays.len() > SHOWN { ", ..." } else { "" };
        return Err(match (name, names.is_empty()) {
            (_, true) => "holds no array".to_owned(),
            (Some(name), _) => format!("has no array `{name}`, but {}{more}", names.join(", ")),
            (None, _) => format!("has several arrays, {}{more}; choose one with --array", names.join(", ")),
        });
    };
    unpack(archive.by_index_raw(index).map_err(damaged)?, limit)
}

/// A member's bytes, unpacked and checked.
fn unpack(mut file: ZipFile<'_, Cursor<&[u8]>>, limit: u64) -> Result<Vec<u8>, String> {
    let (size, checksum) = (file.size(), file.crc32());
    if size > limit {
        return Err(format!("holds an array of {size} bytes, more than the {limit} that are read"));
    }
    if file.encrypted() {
        return Err("is encrypted; save it again with np.savez".to_owned());
    }
    let method = file.compression();
    let mut bytes = Vec::new();
    // One byte more than there should be shows that there are too many.
    let read = match method {
        CompressionMethod::Stored => file.take(size + 1).read_to_end(&mut bytes),
        CompressionMethod::DEFLATE => DeflateDecoder::new(&mut file).take(size + 1).read_to_end(&mut bytes),
        _ => return Err(format!("is compressed by {method}; save it again with np.savez")),
    };
    let mut crc = Crc::new();
    crc.update(&bytes);
    match read {
        Ok(_) if bytes.len() as u64 == size && crc.sum() == checksum => Ok(bytes),
        _ => Err("is damaged: its array does not unpack to what the archive says; copy or save it again".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};

    use super::*;

    /// An archive as `np.savez` writes it, or `np.savez_compressed`.
    fn archive(members: &[(&str, &[u8])], compressed: bool) -> Vec<u8> {
        let (mut records, mut directory) = (Vec::<u8>::new(), Vec::<u8>::new());
        for (name, data) in members {
            let packed = if compressed {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            } else {
                data.to_vec()
            };
            let mut crc = Crc::new();
            crc.update(data);
            let mut common = Vec::new();
            for field in [20_u16, 0, if compressed { 8 } else { 0 }, 0, 33] {
                common.extend(field.to_le_bytes());
            }
            for field in [crc.sum(), packed.len() as u32, data.len() as u32] {
                common.extend(field.to_le_bytes());
            }
            common.extend((name.len() as u16).to_le_bytes());
            common.extend(0_u16.to_le_bytes());
            let offset = records.len() as u32;
            records.extend(b"PK\x03\x04".iter().chain(&common).chain(name.as_bytes()).chain(&packed));
            directory.extend(b"PK\x01\x02\x14\x00".iter().chain(&common).chain(&[0; 10]));
            directory.extend(offset.to_le_bytes().iter().chain(name.as_bytes()));
        }
        let count = (members.len() as u16).to_le_bytes();
        let (start, length) = (records.len() as u32, directory.len() as u32);
        records.extend(directory);
        records.extend(b"PK\x05\x06\0\0\0\0".iter().chain(&count).chain(&count));
        records.extend(length.to_le_bytes().iter().chain(&start.to_le_bytes()).chain(&[0, 0]));
        records
    }

    #[test]
    fn arrays_are_found_stored_and_compressed() {
        let (one, other) = ([7_u8; 300], [8_u8; 20]);
        for compressed in [false, true] {
            let both = archive(&[("probs.npy", &one), ("labels.npy", &other), ("note.txt", b"")], compressed);
            assert_eq!(member(&both, Some("probs"), 300).unwrap(), one);
            assert_eq!(member(&both, Some("labels"), 300).unwrap(), other);
            let refused = member(&both, None, 300).unwrap_err();
            assert!(refused.contains("`probs`, `labels`; choose one with --array"), "{refused}");
            assert!(member(&both, Some("mask"), 300).unwrap_err().contains("no array `mask`, but `probs`"));
            assert!(member(&both, Some("probs"), 299).unwrap_err().contains("300 bytes"));
            assert_eq!(member(&archive(&[("arr_0.npy", &one)], compressed), None, 300).unwrap(), one);
        }
        assert_eq!(member(&archive(&[("note.txt", b"")], false), None, 9).unwrap_err(), "holds no array");
    }

    #[test]
    fn damage_is_found() {
        for compressed in [false, true] {
            let good = archive(&[("a.npy", &[5; 100])], compressed);
            assert!((0..good.len()).all(|length| member(&good[..length], None, 100).is_err()));
            for place in 35..40 {
                let mut bad = good.clone();
                bad[place] ^= 0x55;
                assert!(member(&bad, None, 100).is_err(), "byte {place}");
            }
        }
    }
}
