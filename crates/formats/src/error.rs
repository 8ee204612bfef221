/// Why a whole file is refused. The text is meant for the person who sent the file.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says when it occurs")]
pub enum FormatError {
    #[error("not a HAR file: {0}")]
    NotHar(String),
    #[error("not an OpenAPI or Swagger document: {0}")]
    NotOpenApi(String),
    #[error("not a Postman collection: {0}")]
    NotPostman(String),
    #[error("not an Imperva schema: {0}")]
    NotImperva(String),
    #[error("not an archive of documents: {0}")]
    NotArchive(String),
    /// Lines and columns count from 1; a column counts bytes.
    #[error("line {line}, column {column}: {reason}")]
    Syntax { line: u64, column: u64, reason: String },
    #[error("the document is too large: {0}")]
    TooLarge(String),
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

impl FormatError {
    /// The reader's error, shifted to where its text starts in the file.
    pub(crate) fn json(error: &serde_json::Error, line: u64, column: u64) -> Self {
        let (found_line, found_column) = (error.line() as u64, error.column() as u64);
        Self::Syntax {
            line: line + found_line.saturating_sub(1),
            column: if found_line <= 1 { column + found_column.saturating_sub(1) } else { found_column },
            reason: reason(error),
        }
    }
}

/// The text of a JSON error without its position.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_file() {
        let error = serde_json::from_str::<serde_json::Value>("{\"a\": tru}").unwrap_err();
        assert_eq!(FormatError::json(&error, 3, 11).to_string(), "line 3, column 20: expected ident");
        let error = serde_json::from_str::<serde_json::Value>("{\n  x}").unwrap_err();
        assert_eq!(FormatError::json(&error, 3, 11).to_string(), "line 4, column 3: key must be a string");
    }
}
