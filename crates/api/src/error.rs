use std::{collections::HashMap, sync::LazyLock};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    common::v1::{Dialect, ErrorRule, Reason},
    descriptors, options,
};

/// What a domain function returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The `domain` of `google.rpc.ErrorInfo` in every error of this installation.
const DOMAIN: &str = "portolan";

/// A failure with its public reason, the values its text needs, and a private cause that never leaves the process.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}{}", self.text(), self.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default())]
pub struct Error {
    reason: Reason,
    metadata: HashMap<String, String>,
    cause: Option<String>,
}

impl Error {
    /// An error of the catalog, without values for its text.
    pub fn new(reason: Reason) -> Self {
        Self { reason, metadata: HashMap::new(), cause: None }
    }

    /// A fault of ours: callers read "Internal error", the log has `cause`.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(Reason::Internal) }
    }

    /// A dependency does not answer: callers may repeat, the log has `cause`.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(Reason::Unavailable) }
    }

    /// Adds a value for the public text.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.metadata.insert(name.to_owned(), value.to_string());
        self
    }

    /// Takes a value out again.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.metadata.remove(name)
    }

    /// What it is in the catalog, which decides its status and its text.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The values of the public text.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The public text of the catalog with the metadata filled in.
    pub fn text(&self) -> String {
        let mut text = rule(self.reason).text.clone();
        for (name, value) in &self.metadata {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    /// What only the operator reads; the public text where there is no more to say.
    pub fn cause(&self) -> String {
        self.cause.clone().unwrap_or_else(|| self.text())
    }

    /// The HTTP status in a dialect.
    pub fn http_status(&self, dialect: Dialect) -> u16 {
        let rule = rule(self.reason);
        let listed = match dialect {
            Dialect::Akto => rule.akto,
            Dialect::Workato => rule.workato,
            Dialect::Katapult => rule.katapult,
            Dialect::Portolan | Dialect::Unspecified => rule.portolan,
        };
        match u16::try_from(listed) {
            Ok(status) if status != 0 => status,
            _ => status_of(Code::from_i32(rule.grpc), dialect),
        }
    }

    /// The documented code of the katapult dialect.
    pub fn katapult_code(&self) -> String {
        match rule(self.reason).katapult_code.as_str() {
            "" => self.reason.as_str_name().to_lowercase(),
            code => code.to_owned(),
        }
    }

    /// Reads back what travelled in a gRPC status; a status of another origin becomes the nearest reason.
    pub fn from_status(status: &Status) -> Self {
        if let Some(info) = status.get_details_error_info()
            && info.domain == DOMAIN
            && let Some(reason) = Reason::from_str_name(&info.reason)
        {
            return Self { reason, metadata: info.metadata, cause: None };
        }
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => {
                Self::unavailable(status.message())
            }
            // What has a source was met by the transport: the service ended in the middle of its answer.
            Code::Unknown | Code::Internal if std::error::Error::source(status).is_some() => {
                Self::unavailable(status.message())
            }
            Code::Unauthenticated => Self::new(Reason::Unauthenticated),
            Code::PermissionDenied => Self::new(Reason::NotCallable),
            Code::OutOfRange | Code::ResourceExhausted => {
                Self::new(Reason::BodyTooLarge).with("limit", crate::options::BODY_BYTES_MAX)
            }
            _ => Self::internal(format!("{:?}: {}", status.code(), status.message())),
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl From<Error> for Status {
    /// Here an error stops being ours, so a cause that callers must not see is logged here and nowhere else.
    fn from(error: Error) -> Self {
        if let Some(cause) = &error.cause {
            tracing::error!(reason = error.reason.as_str_name(), %cause, "request failed");
        }
        let details = ErrorDetails::with_error_info(error.reason.as_str_name(), DOMAIN, error.metadata.clone());
        Status::with_error_details(Code::from_i32(rule(error.reason).grpc), error.text(), details)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::from_status(&status)
    }
}

/// The status of a gRPC code where the catalog lists none.
fn status_of(code: Code, dialect: Dialect) -> u16 {
    let request_is_wrong = match dialect {
        Dialect::Akto => Some(422),
        Dialect::Workato => Some(400),
        Dialect::Katapult | Dialect::Portolan | Dialect::Unspecified => None,
    };
    match code {
        Code::InvalidArgument | Code::OutOfRange => request_is_wrong.unwrap_or(400),
        Code::NotFound if dialect == Dialect::Akto => 422,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => request_is_wrong.unwrap_or(409),
        Code::FailedPrecondition => request_is_wrong.unwrap_or(422),
        Code::Unauthenticated if dialect == Dialect::Katapult => 403,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::ResourceExhausted => 429,
        Code::Unavailable => 503,
        Code::Unimplemented => 404,
        _ => 500,
    }
}

fn rule(reason: Reason) -> &'static ErrorRule {
    static RULES: LazyLock<HashMap<i32, ErrorRule>> = LazyLock::new(|| {
        let catalog = descriptors().get_enum_by_name("portolan.common.v1.Reason").expect("the catalog is compiled in");
        catalog
            .values()
            .filter_map(|value| {
                let reason = Reason::try_from(value.number()).ok()?;
                Some((value.number(), options::error_rule(reason)?))
            })
            .collect()
    });
    RULES.get(&(reason as i32)).unwrap_or_else(|| &RULES[&(Reason::Internal as i32)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_text_and_a_grpc_code() {
        let catalog = descriptors().get_enum_by_name("portolan.common.v1.Reason").unwrap();
        for value in catalog.values().filter(|value| value.number() != 0) {
            let rule = options::error_rule(Reason::try_from(value.number()).unwrap());
            let rule = rule.unwrap_or_else(|| panic!("{}", value.name()));
            // One documented refusal has no text.
            let has_text = !rule.text.is_empty() || value.name() == "COLLECTION_ID_MISSING";
            assert!(has_text && rule.grpc != 0, "{}", value.name());
        }
    }

    #[test]
    fn an_error_survives_the_wire() {
        let error = Error::new(Reason::RoleHasNoAccess).with("role", "GUEST");
        let status = Status::from(error.clone());
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.message(), "The role 'GUEST' does not have access.");
        assert_eq!(Error::from_status(&status), error);
    }

    #[test]
    fn a_cause_stays_here() {
        let status = Status::from(Error::internal("disk is full"));
        assert!(!format!("{status:?}").contains("disk"));
        assert_eq!(status.message(), "Internal error");
    }

    #[test]
    fn statuses_follow_the_dialect() {
        let taken = Error::new(Reason::CollectionNameTaken);
        assert_eq!(taken.http_status(Dialect::Akto), 422);
        assert_eq!(taken.http_status(Dialect::Portolan), 409);
        let missing = Error::new(Reason::CollectionNotFound);
        assert_eq!((missing.http_status(Dialect::Akto), missing.http_status(Dialect::Workato)), (422, 404));
        let reused = Error::new(Reason::IdempotencyKeyReused);
        assert_eq!((reused.http_status(Dialect::Akto), reused.http_status(Dialect::Katapult)), (409, 409));
    }
}
