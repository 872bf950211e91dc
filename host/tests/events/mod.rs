//! A decoder of event files for tests: written from the description of the formats, and sharing nothing with the writer.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

/// An event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    pub wall_time: f64,
    pub step: u64,
    pub version: Option<String>,
    /// Status of the session.
    pub session: Option<u64>,
    pub values: Vec<(String, Value)>,
}

/// What a tag holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f32),
    Image { width: u64, height: u64, colours: u64, encoded: Vec<u8> },
}

/// The events of all whole records, and the number of bytes after them that are no whole, good record.
pub fn decode(mut bytes: &[u8]) -> (Vec<Event>, usize) {
    let mut events = Vec::new();
    while let Some((event, rest)) = record(bytes) {
        events.push(event);
        bytes = rest;
    }
    (events, bytes.len())
}

fn record(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let (length, rest) = bytes.split_at_checked(8)?;
    let (length_check, rest) = rest.split_at_checked(4)?;
    checked(length, length_check)?;
    let (data, rest) = rest.split_at_checked(u64::from_le_bytes(length.try_into().ok()?) as usize)?;
    let (data_check, rest) = rest.split_at_checked(4)?;
    checked(data, data_check)?;
    Some((event(data)?, rest))
}

/// The inverse of the mask, which turns to the right by 15 and adds 0xa282ead8; and the checksum bit by bit.
fn checked(data: &[u8], check: &[u8]) -> Option<()> {
    let turned = u32::from_le_bytes(check.try_into().ok()?).wrapping_sub(0xa282_ead8);
    let expected = turned.rotate_left(15);
    let mut state = u32::MAX;
    for byte in data {
        for bit in 0..8 {
            let feedback = (state ^ u32::from(byte >> bit)) & 1;
            state = state >> 1 ^ if feedback == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    (!state == expected).then_some(())
}

/// A field's value.
enum Field<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers; `None` if a byte is left over.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => Field::Eight(take(&mut bytes, 8)?.try_into().ok()?),
            2 => {
                let length = varint(&mut bytes)?;
                Field::Bytes(take(&mut bytes, usize::try_from(length).ok()?)?)
            }
            5 => Field::Four(take(&mut bytes, 4)?.try_into().ok()?),
            _ => return None,
        };
        fields.push((key >> 3, field));
    }
    Some(fields)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn event(bytes: &[u8]) -> Option<Event> {
    let mut event = Event::default();
    for field in fields(bytes)? {
        match field {
            (1, Field::Eight(bytes)) => event.wall_time = f64::from_le_bytes(bytes),
            (2, Field::Varint(step)) => event.step = step,
            (3, Field::Bytes(text)) => event.version = Some(String::from_utf8(text.to_vec()).ok()?),
            (5, Field::Bytes(summary)) => {
                for field in fields(summary)? {
                    let (1, Field::Bytes(value)) = field else { return None };
                    event.values.push(tagged(value)?);
                }
            }
            (7, Field::Bytes(session)) => match fields(session)?.as_slice() {
                [(1, Field::Varint(status))] => event.session = Some(*status),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(event)
}

fn tagged(bytes: &[u8]) -> Option<(String, Value)> {
    match fields(bytes)?.as_slice() {
        [(1, Field::Bytes(tag)), (2, Field::Four(number))] => {
            Some((String::from_utf8(tag.to_vec()).ok()?, Value::Number(f32::from_le_bytes(*number))))
        }
        [(1, Field::Bytes(tag)), (4, Field::Bytes(image))] => match fields(image)?.as_slice() {
            [
                (1, Field::Varint(height)),
                (2, Field::Varint(width)),
                (3, Field::Varint(colours)),
                (4, Field::Bytes(encoded)),
            ] => {
                let (width, height, colours, encoded) = (*width, *height, *colours, encoded.to_vec());
                Some((String::from_utf8(tag.to_vec()).ok()?, Value::Image { width, height, colours, encoded }))
            }
            _ => None,
        },
        _ => None,
    }
}
