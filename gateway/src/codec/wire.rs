//! The protobuf wire format: tags, varints and fields of one message.

/// The bytes are not a message of the expected type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf: {0}")]
pub(crate) struct Malformed(pub &'static str);

/// How a value is laid out on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// One value as it lies on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WireValue<'w> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'w [u8]),
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    put_varint(out, u64::from(number) << 3 | wire_type as u64);
}

/// Writes the tag and the length of a value of `len` bytes that follows.
pub(crate) fn put_tag_bytes(out: &mut Vec<u8>, number: u32, len: usize) {
    put_tag(out, number, WireType::Bytes);
    put_varint(out, len as u64);
}

/// Leaves room for the length of what is written next; [`end_nested`] fills it in.
pub(super) fn begin_nested(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of everything since `start`. Short values, nearly all, need no move.
pub(super) fn end_nested(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    if len < 0x80 {
        out[start - 1] = len as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, len as u64);
    out.splice(start - 1..start, prefix);
}

/// Walks the fields of one message, or the values of one packed field.
#[derive(Clone, Copy)]
pub(super) struct Reader<'w> {
    bytes: &'w [u8],
    position: usize,
}

impl<'w> Reader<'w> {
    pub fn new(bytes: &'w [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Starts at a position that an earlier reader of the same bytes had.
    pub fn at(bytes: &'w [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn is_done(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// The number and the value of the next field.
    pub fn field(&mut self) -> Result<(u32, WireValue<'w>), Malformed> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed("field number out of range"))?;
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            5 => WireType::Fixed32,
            _ => return Err(Malformed("unknown wire type")),
        };
        Ok((number, self.value(wire_type)?))
    }

    pub fn value(&mut self, wire_type: WireType) -> Result<WireValue<'w>, Malformed> {
        Ok(match wire_type {
            WireType::Varint => WireValue::Varint(self.varint()?),
            WireType::Fixed64 => WireValue::Fixed64(u64::from_le_bytes(self.array()?)),
            WireType::Fixed32 => WireValue::Fixed32(u32::from_le_bytes(self.array()?)),
            WireType::Bytes => {
                let len = usize::try_from(self.varint()?).map_err(|_| Malformed("length out of range"))?;
                WireValue::Bytes(self.take(len)?)
            }
        })
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.position).ok_or(Malformed("ends inside a number"))?;
            self.position += 1;
            if shift == 63 && byte > 1 {
                return Err(Malformed("number out of range"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("number out of range"))
    }

    fn take(&mut self, len: usize) -> Result<&'w [u8], Malformed> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let taken = rest.get(..len).ok_or(Malformed("ends inside a value"))?;
        self.position += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Malformed("ends inside a value"))
    }
}
