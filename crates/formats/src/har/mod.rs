//! HAR captures: each entry of `log.entries` becomes one record.
//!
//! The file is read entry by entry, from memory or from a stream, so that memory is bounded by the largest entry and
//! in any case by [`ENTRY_BYTES_MAX`]. Flavours that the browsers and proxies write (byte-order mark, UTF-16, base64
//! bodies, HTTP/2 pseudo headers, private members) are read alike.

mod body;
mod entry;
mod scan;

use std::io::Read;
use std::ops::ControlFlow;

use portolan_record::{BoundExceeded, Record};
use serde::de::IgnoredAny;

use crate::text::{self, Encoding, Utf8Reader};
use crate::{FormatError, Target, error};
pub use scan::ENTRY_BYTES_MAX;
use scan::{Entry, ReaderFeed, Scanner, SliceFeed, Visit};

/// One entry of a HAR.
#[expect(clippy::large_enum_variant, reason = "nearly every item is a record, and each lives for one call")]
#[derive(Debug, PartialEq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Item<'a> {
    /// One call.
    Record(Record<'a>),
    /// `index` counts from 1; `reason` is a phrase for the person who sent the file.
    Refused { index: u64, reason: String },
}

/// What a pass over a HAR has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries that became records.
    pub records: u64,
    /// Entries that did not.
    pub refused: u64,
}

/// Converts a HAR in memory; the records borrow from it. The sink stops the pass by `ControlFlow::Break`.
///
/// # Errors
/// [`FormatError`] when the text is not JSON or not a HAR. Items before the fault have then been handed over, so call
/// [`validate_slice`] first where a bad file must change nothing.
pub fn convert_slice(
    input: &[u8],
    target: &Target,
    sink: &mut dyn FnMut(Item<'_>) -> ControlFlow<()>,
) -> Result<Summary, FormatError> {
    match text::encoding(input) {
        (Encoding::Utf8, mark) => convert(Scanner::new(SliceFeed::new(&input[mark..])), target, sink),
        _ => convert_reader(input, target, sink),
    }
}

/// Converts a HAR from a stream.
///
/// # Errors
/// As [`convert_slice`], and [`FormatError::Read`] when the stream fails.
pub fn convert_reader(
    input: impl Read,
    target: &Target,
    sink: &mut dyn FnMut(Item<'_>) -> ControlFlow<()>,
) -> Result<Summary, FormatError> {
    convert(Scanner::new(ReaderFeed::new(Utf8Reader::new(input))), target, sink)
}

/// Checks that a text in memory is a HAR and counts its entries. See [`validate_reader`].
///
/// # Errors
/// As [`validate_reader`].
pub fn validate_slice(input: &[u8]) -> Result<u64, FormatError> {
    match text::encoding(input) {
        (Encoding::Utf8, mark) => validate(Scanner::new(SliceFeed::new(&input[mark..]))),
        _ => validate_reader(input),
    }
}

/// Checks that a stream is a HAR and counts its entries, without building records. Where it answers a count, a
/// conversion of the same bytes hands over as many items. Values above [`ENTRY_BYTES_MAX`] are checked for balanced
/// brackets and quotes alone.
///
/// # Errors
/// [`FormatError`] when the text is not JSON, not a HAR, or the stream fails.
pub fn validate_reader(input: impl Read) -> Result<u64, FormatError> {
    validate(Scanner::new(ReaderFeed::new(Utf8Reader::new(input))))
}

fn validate<F: scan::Feed>(mut scanner: Scanner<F>) -> Result<u64, FormatError> {
    let mut counter = Counter { count: 0 };
    scanner.entries(&mut counter)?;
    Ok(counter.count)
}

struct Counter {
    count: u64,
}

impl Visit for Counter {
    fn whole(&mut self, bytes: &[u8]) -> Option<(usize, ControlFlow<()>)> {
        let (length, IgnoredAny) = scan::leading(bytes)?;
        self.count += 1;
        Some((length, ControlFlow::Continue(())))
    }

    fn entry(&mut self, entry: Entry<'_>) -> Result<ControlFlow<()>, FormatError> {
        if let Entry::Text { json, line, column } = entry {
            scan::check(json, line, column)?;
        }
        self.count += 1;
        Ok(ControlFlow::Continue(()))
    }
}

fn convert<F: scan::Feed>(
    mut scanner: Scanner<F>,
    target: &Target,
    sink: &mut dyn FnMut(Item<'_>) -> ControlFlow<()>,
) -> Result<Summary, FormatError> {
    let mut converter = Converter { target, sink, summary: Summary::default() };
    scanner.entries(&mut converter)?;
    Ok(converter.summary)
}

struct Converter<'t, 's> {
    target: &'t Target,
    sink: &'s mut dyn FnMut(Item<'_>) -> ControlFlow<()>,
    summary: Summary,
}

impl Converter<'_, '_> {
    fn give(&mut self, result: Result<Record<'_>, String>) -> ControlFlow<()> {
        match result {
            Ok(record) => {
                self.summary.records += 1;
                (self.sink)(Item::Record(record))
            }
            Err(reason) => {
                self.summary.refused += 1;
                let index = self.summary.records + self.summary.refused;
                (self.sink)(Item::Refused { index, reason })
            }
        }
    }
}

impl Visit for Converter<'_, '_> {
    fn whole(&mut self, bytes: &[u8]) -> Option<(usize, ControlFlow<()>)> {
        let (length, entry) = scan::leading(bytes)?;
        Some((length, self.give(entry::build(entry, self.target))))
    }

    fn entry(&mut self, entry: Entry<'_>) -> Result<ControlFlow<()>, FormatError> {
        let (json, line, column) = match entry {
            Entry::Text { json, line, column } => (json, line, column),
            Entry::TooLarge { bytes } => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                return Ok(self.give(Err(BoundExceeded::RecordBytes(bytes).to_string())));
            }
        };
        match entry::record(json, self.target) {
            Ok(result) => Ok(self.give(result)),
            // Capturing tools write unpaired surrogates and stray bytes of binary bodies into texts.
            Err(error) => match entry::record(entry::repair(json).as_bytes(), self.target) {
                Ok(result) => Ok(self.give(result)),
                Err(_) => {
                    scan::check(json, line, column)?;
                    Ok(self.give(Err(error::reason(&error))))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
