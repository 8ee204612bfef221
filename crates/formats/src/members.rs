//! The members of a zip archive of which only the first bytes are there.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

/// Bytes of a member by which its format is found.
const PEEK_BYTES: u64 = 64 * 1024;

const SIGNATURE: &[u8; 4] = b"PK\x03\x04";

/// Whether the first bytes are those of a zip archive.
pub fn is_archive(prefix: &[u8]) -> bool {
    prefix.starts_with(SIGNATURE)
}

/// The members of which the first bytes are there.
pub(crate) struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Members<'a> {
    pub(crate) fn of(prefix: &'a [u8]) -> Self {
        Self { rest: prefix }
    }
}

impl Iterator for Members<'_> {
    type Item = (String, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        const HEADER_BYTES: usize = 30;
        let at = memchr::memmem::find(self.rest, SIGNATURE)?;
        let header = self.rest.get(at..at + HEADER_BYTES)?;
        let short = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (method, name_bytes, extra_bytes) = (short(8), short(26), short(28));
        let name_at = at + HEADER_BYTES;
        let name = String::from_utf8_lossy(self.rest.get(name_at..name_at + name_bytes)?).into_owned();
        let data = self.rest.get(name_at + name_bytes + extra_bytes..)?;
        let known = u32::from_le_bytes([header[18], header[19], header[20], header[21]]) as usize;
        let mut content = Vec::new();
        let mut used = known.min(data.len());
        match method {
            0 => content.extend_from_slice(&data[..used.min(PEEK_BYTES as usize)]),
            8 => {
                let mut reader = DeflateDecoder::new(data);
                // The prefix may end within the member: what was read before that is enough.
                let _ = reader.by_ref().take(PEEK_BYTES).read_to_end(&mut content);
                used = used.max(usize::from(known == 0).min(data.len()));
            }
            _ => {}
        }
        self.rest = &data[used..];
        Some((name, content))
    }
}
