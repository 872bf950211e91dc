//! Protocol buffers, as far as events need them, and the numbers of the fields.
//!
//! The definitions are TensorFlow's `event.proto` and `summary.proto`, which do not change.

/// `Event.wall_time`, double: seconds since 1970.
pub(super) const WALL_TIME: u32 = 1;
/// `Event.step`, int64.
pub(super) const STEP: u32 = 2;
/// `Event.file_version`, string: the first event of a file.
pub(super) const FILE_VERSION: u32 = 3;
/// `Event.summary`, message.
pub(super) const SUMMARY: u32 = 5;
/// `Event.session_log`, message.
pub(super) const SESSION_LOG: u32 = 7;

/// `SessionLog.status`, enum.
pub(super) const STATUS: u32 = 1;
/// The value of [`STATUS`] after which earlier events of this step and later ones are forgotten.
pub(super) const STATUS_START: u64 = 1;

/// `Summary.value`, repeated message.
pub(super) const VALUE: u32 = 1;
/// `Summary.Value.tag`, string.
pub(super) const TAG: u32 = 1;
/// `Summary.Value.simple_value`, float.
pub(super) const SIMPLE_VALUE: u32 = 2;
/// `Summary.Value.image`, message.
pub(super) const IMAGE: u32 = 4;

/// `Summary.Image.height`, int32.
pub(super) const HEIGHT: u32 = 1;
/// `Summary.Image.width`, int32.
pub(super) const WIDTH: u32 = 2;
/// `Summary.Image.colorspace`, int32.
pub(super) const COLOUR_SPACE: u32 = 3;
/// The value of [`COLOUR_SPACE`] for red, green and blue.
pub(super) const COLOUR_SPACE_RGB: u64 = 3;
/// `Summary.Image.encoded_image_string`, bytes.
pub(super) const ENCODED: u32 = 4;

/// How the value of a field is written.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// The bytes of a message, built field by field.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn integer(self, field: u32, value: u64) -> Self {
        self.key(field, Wire::Varint).varint(value)
    }

    pub(super) fn double(self, field: u32, value: f64) -> Self {
        self.key(field, Wire::Fixed64).raw(&value.to_le_bytes())
    }

    pub(super) fn float(self, field: u32, value: f32) -> Self {
        self.key(field, Wire::Fixed32).raw(&value.to_le_bytes())
    }

    pub(super) fn bytes(self, field: u32, value: &[u8]) -> Self {
        self.key(field, Wire::Bytes).varint(value.len() as u64).raw(value)
    }

    pub(super) fn message(self, field: u32, value: Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn key(self, field: u32, wire: Wire) -> Self {
        self.varint(u64::from(field) << 3 | wire as u64)
    }

    /// Seven bits a byte, the lowest first; the high bit says that more follow.
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_format_says() {
        // The examples of the documentation of protocol buffers, "Encoding": 150 in field 1, "testing" in field 2, and a
        // message of the first in field 3.
        assert_eq!(Message::new().integer(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(
            Message::new().bytes(2, b"testing").into_bytes(),
            [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]
        );
        let inner = Message::new().integer(1, 150);
        assert_eq!(Message::new().message(3, inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::new().float(2, 1.0).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::new().double(1, 1.0).into_bytes(), [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        let largest = Message::new().integer(1, u64::MAX).into_bytes();
        assert_eq!((largest.len(), largest[10]), (11, 1));
    }
}
