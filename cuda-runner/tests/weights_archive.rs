//! Zip archives that lie: about lengths, places, names and numbers of their records.

mod weights_support;

use weights_support::{Record, numbers, one_tensor, parse_bounded, records, refusal, zip};

fn honest() -> Vec<Record> {
    records(&one_tensor("FloatStorage", 4, 0, &[4], &[1]), &[("0", &numbers())])
}

/// The storage's record.
const STORAGE: usize = 2;

/// Asserts that the archive is refused with a sentence that holds `part` once `lie` has changed its records.
#[track_caller]
fn refused(lie: impl FnOnce(&mut Vec<Record>), part: &str) {
    let mut records = honest();
    lie(&mut records);
    let sentence = refusal(&zip(&records));
    assert!(sentence.contains(part), "`{part}` is missing: {sentence}");
}

/// As [`refused`], with a change of the finished archive.
#[track_caller]
fn refused_bytes(lie: impl FnOnce(&mut Vec<u8>), part: &str) {
    let mut bytes = zip(&honest());
    lie(&mut bytes);
    let sentence = refusal(&bytes);
    assert!(sentence.contains(part), "`{part}` is missing: {sentence}");
}

#[test]
fn an_honest_archive_is_read() {
    let state = parse_bounded(&zip(&honest())).unwrap();
    assert_eq!(state.get("x").unwrap().bytes(), numbers());
}

#[test]
fn records_may_lie_in_any_folder_and_order_and_have_a_comment_after_them() {
    let mut records = honest();
    records.reverse();
    for record in &mut records {
        record.name = record.name.replace("archive/", "a/b/");
    }
    let mut bytes = zip(&records);
    let length = bytes.len();
    bytes[length - 2..].copy_from_slice(&5_u16.to_le_bytes());
    bytes.extend(b"PK\x05\x06!");
    assert_eq!(parse_bounded(&bytes).unwrap().len(), 1);
}

#[test]
fn wrong_lengths_are_refused() {
    refused(|records| records[STORAGE].lengths = [16, 17], "has two lengths");
    refused(|records| records[STORAGE].lengths = [u32::MAX - 1; 2], "damaged or cut off");
    refused(|records| records[STORAGE].lengths = [17; 2], "reaches into its directory");
    refused(|records| records[0].lengths = [records[0].bytes.len() as u32 + 1; 2], "its records overlap");
    refused(|records| records[STORAGE].lengths = [15; 2], "checksum");
    refused(|records| records[STORAGE].lengths = [u32::MAX; 2], "damaged or cut off");
}

#[test]
fn large_numbers_stand_in_the_extra_field() {
    let field = |numbers: &[u64]| {
        let body: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        [&b"\x09\x00\x02\x00hi\x01\x00"[..], &(body.len() as u16).to_le_bytes(), &body].concat()
    };
    let mut records = honest();
    let place = zip(&records[..STORAGE]).windows(4).position(|part| part == b"PK\x01\x02").unwrap() as u64;
    records[STORAGE].lengths = [u32::MAX; 2];
    records[STORAGE].start = Some(u32::MAX);
    records[STORAGE].extra = field(&[16, 16, place]);
    assert_eq!(parse_bounded(&zip(&records)).unwrap().get("x").unwrap().bytes(), numbers());
    for (numbers, part) in [
        (&[16, 16, u64::MAX][..], "points beyond its end"),
        (&[16, 16, place + 1], "is not where it should be"),
        (&[u64::MAX, u64::MAX, place], "damaged or cut off"),
        (&[16, 17, place], "has two lengths"),
        (&[16, 16], "damaged or cut off"),
        (&[], "damaged or cut off"),
    ] {
        records[STORAGE].extra = field(numbers);
        let sentence = refusal(&zip(&records));
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn records_are_where_the_directory_says() {
    refused(|records| records[STORAGE].start = Some(0), "its records overlap");
    refused(|records| records[STORAGE].start = Some(1), "its records overlap");
    refused(|records| records[0].start = Some(3), "is not where it should be");
    refused(|records| records[STORAGE].start = Some(1 << 20), "points beyond its end");
    refused_bytes(|bytes| bytes[30] = b'b', "`archive/data.pkl` is not where it should be");
}

#[test]
fn records_within_records_are_refused() {
    // A whole record in the bytes of another one: the overlap by which a small file holds any amount of data.
    let inner = zip(&[Record::new("archive/data/1", &numbers())]);
    let inner = &inner[..inner.len() - 22];
    let mut records = honest();
    let place = zip(&records[..STORAGE]).windows(4).position(|part| part == b"PK\x01\x02").unwrap();
    records[STORAGE] = Record::new("archive/data/0", inner);
    let mut quoted = Record::new("archive/data/1", &numbers());
    quoted.start = Some((place + 30 + "archive/data/0".len()) as u32);
    records.push(quoted);
    let sentence = refusal(&zip(&records));
    assert!(sentence.contains("its records overlap"), "{sentence}");
}

#[test]
fn names_are_unique_and_text() {
    refused(|records| records.push(records[STORAGE].clone()), "two records `archive/data/0`");
    refused_bytes(
        |bytes| {
            let place = bytes.windows(9).rposition(|part| part == b"byteorder").unwrap();
            bytes[place] = 0xFF;
        },
        "no UTF-8",
    );
}

#[test]
fn compressed_and_encrypted_records_are_refused() {
    for (method, flags) in [(8, 0), (0, 1), (93, 0)] {
        let lie = |records: &mut Vec<Record>| (records[STORAGE].method, records[STORAGE].flags) = (method, flags);
        refused(lie, "`archive/data/0` compressed or encrypted");
    }
}

#[test]
fn checksums_are_checked_where_there_are_any() {
    refused(|records| records[STORAGE].checksum ^= 1, "the checksum of `archive/data/0` is wrong");
    refused(|records| records[0].bytes[40] ^= 1, "the checksum of `archive/data.pkl` is wrong");
    let mut records = honest();
    records[STORAGE].checksum = 0;
    assert!(parse_bounded(&zip(&records)).is_ok(), "PyTorch writes 0 where it was told to compute none");
}

#[test]
fn the_directory_is_what_the_end_says() {
    let end = |bytes: &Vec<u8>| bytes.len() - 22;
    let set = |at: usize, value: u32| {
        move |bytes: &mut Vec<u8>| {
            let place = bytes.len() - 22 + at;
            bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        }
    };
    refused_bytes(set(8, 0x0004_0004), "another number of entries");
    refused_bytes(set(12, 0), "another number of entries");
    refused_bytes(set(12, 1), "damaged or cut off");
    refused_bytes(set(12, u32::MAX), "directory is not where it should be");
    refused_bytes(set(16, 0), "something else than entries");
    refused_bytes(set(16, u32::MAX), "directory is not where it should be");
    refused_bytes(|bytes| drop(bytes.split_off(end(bytes))), "its end is missing");
    refused_bytes(|bytes| bytes.push(0), "its end is missing");
}

/// The archive with a large end and its locator before the end.
fn with_large_end(numbers: [u64; 3], place: u64) -> Vec<u8> {
    let mut bytes = zip(&honest());
    let end = bytes.split_off(bytes.len() - 22);
    bytes.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0");
    bytes.extend([0; 20]);
    bytes.extend(numbers.map(u64::to_le_bytes).concat());
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(place.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(end);
    bytes
}

#[test]
fn a_large_end_and_the_end_agree() {
    let honest = zip(&honest());
    let end = &honest[honest.len() - 22..];
    let short = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let (length, start, place) = (short(12), short(16), (honest.len() - 22) as u64);
    assert!(parse_bounded(&with_large_end([3, length, start], place)).is_ok());
    for (numbers, place, part) in [
        ([4, length, start], place, "contradict each other"),
        ([3, length + 1, start], place, "contradict each other"),
        ([3, length, u64::MAX], place, "contradict each other"),
        ([3, length, start], u64::MAX, "points beyond its end"),
        ([3, length, start], place + 1, "its end is not where it should be"),
        ([3, length, start], 0, "its end is not where it should be"),
    ] {
        let sentence = refusal(&with_large_end(numbers, place));
        assert!(sentence.contains(part), "{sentence}");
    }
    // The short numbers say that they are elsewhere: then the large ones count, and are held against the file.
    let mut bytes = with_large_end([u64::MAX, u64::MAX, u64::MAX], place);
    let end = bytes.len() - 22;
    bytes[end + 8..end + 20].fill(0xFF);
    assert!(refusal(&bytes).contains("directory is not where it should be"));
}

#[test]
fn archives_that_hold_no_state_dict_say_what_they_are() {
    refused(|records| records[0].name = "archive/other.pkl".to_owned(), "without a data.pkl");
    refused(|records| records.push(Record::new("other/data.pkl", b"")), "several data.pkl");
    refused(|records| records.push(Record::new("archive/constants.pkl", b"")), "TorchScript");
    refused(|records| records[1] = Record::new("archive/byteorder", b"big"), "big-endian");
    refused(|records| records[0] = Record::new("archive/data.pkl", b""), "damaged or cut off");
    let sentence = refusal(&zip(&[]));
    assert!(sentence.contains("neither"), "an empty archive starts with its end: {sentence}");
}
