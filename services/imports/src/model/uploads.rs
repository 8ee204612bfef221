//! Uploads: what became of each operation or request of a document.

use portolan_authz::Caller;
use portolan_formats::Format;
use portolan_formats::openapi::ImportError;
use portolan_ids::{AccountId, CollectionId, UploadId, UserId, WorkspaceId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStatus {
    InProgress,
    Succeeded,
    Failed,
}

impl UploadStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }
}

/// Where an upload comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadKind {
    SwaggerFile,
    PostmanFile,
    PostmanWorkspace,
    ImpervaFile,
}

impl UploadKind {
    pub const ALL: [Self; 4] = [Self::SwaggerFile, Self::PostmanFile, Self::PostmanWorkspace, Self::ImpervaFile];

    pub fn name(self) -> &'static str {
        match self {
            Self::SwaggerFile => "SWAGGER_FILE",
            Self::PostmanFile => "POSTMAN_FILE",
            Self::PostmanWorkspace => "POSTMAN_WORKSPACE",
            Self::ImpervaFile => "IMPERVA_FILE",
        }
    }

    pub fn of(format: Format) -> Self {
        match format {
            Format::Postman => Self::PostmanFile,
            Format::Imperva => Self::ImpervaFile,
            Format::OpenApi | Format::Har => Self::SwaggerFile,
        }
    }

    pub fn is_postman(self) -> bool {
        matches!(self, Self::PostmanFile | Self::PostmanWorkspace)
    }
}

/// Which operations of an upload are in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ingested {
    None,
    /// Those without errors.
    Successful,
    All,
}

/// An uploaded document.
#[derive(Clone, Debug)]
pub struct Upload {
    pub account_id: AccountId,
    /// Who uploaded it; 0 when that is not known.
    pub user_id: UserId,
    /// 24 hex digits.
    pub upload_id: UploadId,
    pub kind: UploadKind,
    pub status: UploadStatus,
    /// Why it failed.
    pub fatal_error: Option<String>,
    /// The Postman workspace that it was fetched from.
    pub workspace_id: WorkspaceId,
    /// Where its operations were ingested.
    pub collection_id: Option<CollectionId>,
    pub collection_name: String,
    /// Operations of the document: the next three add up to it.
    pub total: i64,
    pub clean: i64,
    pub parsed_with_errors: i64,
    pub refused: i64,
    pub errors: Vec<ImportError>,
    pub ingested: Ingested,
    /// Unix seconds.
    pub created_at: i64,
}

/// One collection of a Postman upload.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The id that Postman gave it, or one made for it.
    pub group_id: String,
    pub name: String,
    pub errors: Vec<ImportError>,
    /// Where it was ingested.
    pub collection_id: Option<CollectionId>,
    /// It names itself as its version asks.
    pub has_info: bool,
}

/// One operation of an uploaded document, or one request of a collection.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The [`Group`] that it belongs to; empty for none.
    pub group_id: String,
    /// Empty when it has none.
    pub name: String,
    pub url: String,
    pub method: String,
    pub importable: bool,
    /// Its records in their wire form, one a line, kept while a review may still ask for them.
    pub record: Option<String>,
    pub errors: Vec<ImportError>,
}

/// What a caller asks an approval to ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportType {
    OnlySuccessful,
    All,
}

/// Whose an upload is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub account_id: AccountId,
    pub user_id: UserId,
}

impl From<&Caller> for Owner {
    fn from(caller: &Caller) -> Self {
        Self { account_id: caller.account_id, user_id: caller.user_id }
    }
}

impl Upload {
    pub fn is_of(&self, caller: &Caller) -> bool {
        self.user_id != UserId(0) && self.user_id == caller.user_id
    }
}

impl Operation {
    /// The operation in lists, such as `/pets (GET)`, or its name when it has no address.
    pub fn label(&self) -> String {
        if self.url.is_empty() { self.name.clone() } else { format!("{} ({})", self.url, self.method) }
    }

    /// Its errors as one text.
    pub fn error_text(&self) -> String {
        let errors: Vec<_> = self.errors.iter().map(|error| error.error.as_str()).collect();
        errors.join(", ")
    }
}

impl ImportType {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ONLY_SUCCESSFUL_APIS" => Some(Self::OnlySuccessful),
            "ALL_APIS" => Some(Self::All),
            _ => None,
        }
    }

    pub fn ingests(self) -> Ingested {
        match self {
            Self::OnlySuccessful => Ingested::Successful,
            Self::All => Ingested::All,
        }
    }
}

/// A Postman upload with its collections, the operations that have errors, and its first operations with their records.
pub struct PostmanLog {
    pub upload: Upload,
    pub groups: Vec<Group>,
    pub with_errors: Vec<Operation>,
    pub first: Vec<Operation>,
}
