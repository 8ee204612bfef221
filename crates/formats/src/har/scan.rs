//! Finds the entries of a HAR without parsing them: where each starts and ends.

use std::io::{self, Read};
use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::FormatError;

/// Largest entry that is read into memory. Far above what a record may hold, so that an entry with a large binary
/// body, which the record leaves out, still becomes a record.
pub const ENTRY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One item of `log.entries`.
pub(super) enum Entry<'a> {
    /// The item's JSON text and where it stands in the file.
    Text { json: &'a [u8], line: u64, column: u64 },
    /// An item above [`ENTRY_BYTES_MAX`], passed over.
    TooLarge { bytes: u64 },
}

/// What is done with the entries.
pub(super) trait Visit {
    /// Takes the entry that the bytes start with, when it is whole and as expected, and returns its length. `None`
    /// has done nothing, and the entry is then given to [`Visit::entry`].
    fn whole(&mut self, bytes: &[u8]) -> Option<(usize, ControlFlow<()>)>;

    fn entry(&mut self, entry: Entry<'_>) -> Result<ControlFlow<()>, FormatError>;
}

/// Bytes that come in pieces.
pub(super) trait Feed {
    /// The bytes that are present and not yet consumed.
    fn bytes(&self) -> &[u8];
    /// Makes more bytes present; false at the end of the input.
    fn more(&mut self) -> io::Result<bool>;
    fn consume(&mut self, count: usize);
}

pub(super) struct SliceFeed<'a>(&'a [u8]);

impl<'a> SliceFeed<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl Feed for SliceFeed<'_> {
    fn bytes(&self) -> &[u8] {
        self.0
    }

    fn more(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    fn consume(&mut self, count: usize) {
        self.0 = &self.0[count..];
    }
}

pub(super) struct ReaderFeed<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
}

const CHUNK_BYTES: usize = 256 * 1024;

impl<R: Read> ReaderFeed<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), start: 0 }
    }
}

impl<R: Read> Feed for ReaderFeed<R> {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn more(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + CHUNK_BYTES, 0);
        loop {
            match self.reader.read(&mut self.buffer[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let read = *result.as_ref().unwrap_or(&0);
                    self.buffer.truncate(held + read);
                    return result.map(|read| read > 0);
                }
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

/// Where a value ends.
enum Extent {
    /// The value is present, this many bytes long.
    Present(usize),
    /// The value was above the limit and has been consumed.
    Passed(u64),
}

pub(super) struct Scanner<F> {
    feed: F,
    line: u64,
    column: u64,
}

impl<F: Feed> Scanner<F> {
    pub(super) fn new(feed: F) -> Self {
        Self { feed, line: 1, column: 1 }
    }

    /// Hands every entry to `visit` in file order, and checks the rest of the file on the way.
    ///
    /// # Errors
    /// [`FormatError`] when the file is not JSON or not a HAR, or the error of `visit`.
    pub(super) fn entries(&mut self, visit: &mut impl Visit) -> Result<(), FormatError> {
        match self.peek()? {
            Some(b'{') => self.advance(1),
            Some(_) => return Err(not_har("the outermost value is not a JSON object")),
            None => return Err(not_har("the file is empty")),
        }
        let (mut log_seen, mut entries_seen, mut first) = (false, false, true);
        while let Some(name) = self.name(&mut first)? {
            if name != "log" {
                self.pass()?;
                continue;
            }
            if std::mem::replace(&mut log_seen, true) {
                return Err(not_har("the member `log` stands twice"));
            }
            if self.peek()? != Some(b'{') {
                return Err(not_har("`log` is not an object"));
            }
            self.advance(1);
            let mut first_of_log = true;
            while let Some(name) = self.name(&mut first_of_log)? {
                if name != "entries" {
                    self.pass()?;
                    continue;
                }
                if std::mem::replace(&mut entries_seen, true) {
                    return Err(not_har("the member `log.entries` stands twice"));
                }
                if self.items(visit)?.is_break() {
                    return Ok(());
                }
            }
        }
        if !log_seen {
            return Err(not_har("the member `log` is missing"));
        }
        if !entries_seen {
            return Err(not_har("the member `log.entries` is missing"));
        }
        match self.peek()? {
            Some(_) => Err(self.fault("text follows the end of the document")),
            None => Ok(()),
        }
    }

    fn items(&mut self, visit: &mut impl Visit) -> Result<ControlFlow<()>, FormatError> {
        if self.peek()? != Some(b'[') {
            return Err(not_har("`log.entries` is not an array"));
        }
        self.advance(1);
        let mut first = true;
        loop {
            match self.peek()? {
                Some(b']') => {
                    self.advance(1);
                    return Ok(ControlFlow::Continue(()));
                }
                Some(b',') if !first => {
                    self.advance(1);
                    if self.peek()? == Some(b']') {
                        return Err(self.fault("an entry is missing after the comma"));
                    }
                }
                Some(_) if first => {}
                Some(_) => return Err(self.fault("expected `,` or `]` after an entry")),
                None => return Err(self.fault("the file ends inside `log.entries`")),
            }
            first = false;
            // Nearly every entry is whole and in order: parsing it finds its end, which saves looking for it first.
            let flow = match visit.whole(self.feed.bytes()) {
                Some((length, flow)) => {
                    self.advance(length);
                    flow
                }
                None => self.item(visit)?,
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }

    fn item(&mut self, visit: &mut impl Visit) -> Result<ControlFlow<()>, FormatError> {
        match self.extent()? {
            Extent::Present(length) => {
                let json = &self.feed.bytes()[..length];
                let flow = visit.entry(Entry::Text { json, line: self.line, column: self.column })?;
                self.advance(length);
                Ok(flow)
            }
            Extent::Passed(bytes) => visit.entry(Entry::TooLarge { bytes }),
        }
    }

    /// The next member's name with its colon consumed; `None` when the object ends.
    fn name(&mut self, first: &mut bool) -> Result<Option<String>, FormatError> {
        match self.peek()? {
            Some(b'}') => {
                self.advance(1);
                return Ok(None);
            }
            Some(b',') if !*first => self.advance(1),
            Some(_) if *first => {}
            Some(_) => return Err(self.fault("expected `,` or `}` after a member")),
            None => return Err(self.fault("the file ends inside an object")),
        }
        *first = false;
        if self.peek()? != Some(b'"') {
            return Err(self.fault("expected a member name in quotes"));
        }
        let name = match self.extent()? {
            Extent::Present(length) => {
                let name = serde_json::from_slice(&self.feed.bytes()[..length])
                    .map_err(|error| FormatError::json(&error, self.line, self.column))?;
                self.advance(length);
                name
            }
            Extent::Passed(_) => String::new(),
        };
        if self.peek()? != Some(b':') {
            return Err(self.fault("expected `:` after a member name"));
        }
        self.advance(1);
        Ok(Some(name))
    }

    /// Checks and consumes one value.
    fn pass(&mut self) -> Result<(), FormatError> {
        self.peek()?;
        if let Extent::Present(length) = self.extent()? {
            check(&self.feed.bytes()[..length], self.line, self.column)?;
            self.advance(length);
        }
        Ok(())
    }

    /// Finds the end of the value that starts here.
    fn extent(&mut self) -> Result<Extent, FormatError> {
        let mut search = Search::default();
        let mut passed = 0_u64;
        let mut at = 0;
        loop {
            let bytes = self.feed.bytes();
            if let Some(end) = search.end(bytes, &mut at) {
                if passed == 0 && end <= ENTRY_BYTES_MAX {
                    return Ok(Extent::Present(end));
                }
                self.advance(end);
                return Ok(Extent::Passed(passed + end as u64));
            }
            if at > ENTRY_BYTES_MAX || passed > 0 {
                self.advance(at);
                passed += at as u64;
                at = 0;
            }
            if !self.feed.more()? {
                // What is present cannot be a whole value, except for a number or a word at the very end.
                let length = self.feed.bytes().len();
                return match search.depth {
                    0 if !search.in_text && passed == 0 && length > 0 => Ok(Extent::Present(length)),
                    _ => Err(self.fault("the file ends inside a value")),
                };
            }
        }
    }

    /// The next byte that is not white space, not yet consumed.
    fn peek(&mut self) -> Result<Option<u8>, FormatError> {
        loop {
            let bytes = self.feed.bytes();
            let blank = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            match blank {
                Some(at) => {
                    let byte = bytes[at];
                    self.advance(at);
                    return Ok(Some(byte));
                }
                None => {
                    self.advance(bytes.len());
                    if !self.feed.more()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn advance(&mut self, count: usize) {
        let passed = &self.feed.bytes()[..count];
        match memchr::memrchr(b'\n', passed) {
            Some(last) => {
                self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
                self.column = (count - last) as u64;
            }
            None => self.column += count as u64,
        }
        self.feed.consume(count);
    }

    fn fault(&self, reason: &str) -> FormatError {
        FormatError::Syntax { line: self.line, column: self.column, reason: reason.to_owned() }
    }
}

/// Parses the object that the bytes start with; `None` when it is not whole, not as expected or above the limit.
pub(super) fn leading<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<(usize, T)> {
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
    let value = values.next()?.ok()?;
    let length = values.byte_offset();
    (length <= ENTRY_BYTES_MAX).then_some((length, value))
}

/// Checks that a text is one JSON value; `line` and `column` say where it stands.
pub(super) fn check(json: &[u8], line: u64, column: u64) -> Result<(), FormatError> {
    match serde_json::from_slice::<IgnoredAny>(json) {
        Ok(_) => Ok(()),
        Err(error) => Err(FormatError::json(&error, line, column)),
    }
}

fn not_har(reason: &str) -> FormatError {
    FormatError::NotHar(reason.to_owned())
}

/// The search for a value's end, which can pause wherever the present bytes end.
#[derive(Default)]
struct Search {
    depth: usize,
    in_text: bool,
    /// The byte before was a backslash inside a text.
    escaped: bool,
}

impl Search {
    /// The value's end, or `None` with `at` behind the last byte looked at.
    fn end(&mut self, bytes: &[u8], at: &mut usize) -> Option<usize> {
        while *at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                *at += 1;
                continue;
            }
            if self.in_text {
                let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[*at..]) else {
                    *at = bytes.len();
                    return None;
                };
                *at += found + 1;
                if bytes[*at - 1] == b'\\' {
                    self.escaped = true;
                } else {
                    self.in_text = false;
                    if self.depth == 0 {
                        return Some(*at);
                    }
                }
                continue;
            }
            match bytes[*at] {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    if self.depth <= 1 {
                        // At depth 0 the bracket belongs to what encloses a number or a word.
                        return Some(*at + self.depth);
                    }
                    self.depth -= 1;
                }
                b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return Some(*at),
                _ => {}
            }
            *at += 1;
        }
        None
    }
}
