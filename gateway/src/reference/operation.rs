use http::Method;
use portolan_api::{Access, MethodPolicy, Reason, Who, common::v1::Carrier, descriptors, options};
use prost_reflect::MessageDescriptor;

use super::comments::Comments;
use crate::{
    dialect::{self, Rules},
    routes::{BodyRule, Route, Routes, param_of},
};

/// One route as callers read about it.
pub(crate) struct Operation<'r> {
    pub route: &'r Route,
    /// With JSON names, `/v1/jobs/{jobId}`.
    pub path: String,
    /// Such as `Inventory`.
    pub service: String,
    /// Name of the RPC, with a number at its second and later routes: unique over the contract.
    pub id: String,
    pub summary: String,
    pub description: String,
    /// Who may call it, in words.
    pub access: String,
    pub request: MessageDescriptor,
    pub response: MessageDescriptor,
}

/// An error that any route of a dialect may answer.
pub(crate) struct DocumentedError {
    pub reason: Reason,
    pub description: String,
}

/// Every route in the order of the contract.
pub(crate) fn operations(routes: &Routes) -> Vec<Operation<'_>> {
    let comments = Comments::read();
    let mut operations: Vec<Operation<'_>> = Vec::with_capacity(routes.list.len());
    for route in &routes.list {
        let is_same = |other: &&Operation<'_>| other.route.rpc.path == route.rpc.path;
        let number = 1 + operations.iter().filter(is_same).count();
        operations.push(Operation::new(routes, route, number, &comments));
    }
    operations
}

/// The error catalog with its comments.
pub(crate) fn documented_errors() -> Vec<DocumentedError> {
    let comments = Comments::read();
    let Some(catalog) = descriptors().get_enum_by_name("portolan.common.v1.Reason") else { return Vec::new() };
    let file = catalog.parent_file().name().to_owned();
    let reasons = catalog.values().filter(|value| value.number() != 0).filter_map(|value| {
        let reason = Reason::try_from(value.number()).ok()?;
        Some(DocumentedError { reason, description: comments.at(&file, value.path()).to_owned() })
    });
    reasons.collect()
}

impl<'r> Operation<'r> {
    fn new(routes: &Routes, route: &'r Route, number: usize, comments: &Comments) -> Self {
        let method = &route.rpc.descriptor;
        let fields = &routes.plans.message(route.rpc.request).fields;
        let mut params = route.params.iter();
        let segments = route.pattern.split('/').map(|segment| match (param_of(segment), segment) {
            (Some((_, suffix)), _) => match params.next() {
                Some(index) => format!("{{{}}}{suffix}", fields[*index].json_name),
                None => segment.to_owned(),
            },
            (None, literal) => literal.to_owned(),
        });
        let path = segments.collect::<Vec<_>>().join("/");
        let comment = comments.at(method.parent_service().parent_file().name(), method.path());
        let (summary, description) = match comment.split_once(". ") {
            Some((summary, description)) => (summary, description),
            None => (comment, ""),
        };
        let service = method.parent_service().name().trim_end_matches("Service").to_owned();
        let id = match number {
            1 => format!("{service}_{}", method.name()),
            _ => format!("{service}_{}_{number}", method.name()),
        };
        Self {
            route,
            path,
            service,
            id,
            summary: summary.trim_end_matches('.').to_owned(),
            description: description.to_owned(),
            access: access_text(route.rpc.policy),
            request: method.input(),
            response: method.output(),
        }
    }

    /// Its line in the list of routes.
    pub fn line(&self) -> String {
        let dialect = self.dialect().name();
        format!("{} {} {} {dialect} {}\n", self.path, self.route.verb, self.route.rpc.label, self.access)
    }

    pub fn dialect(&self) -> &'static dyn Rules {
        dialect::of(self.route.rpc.policy.dialect)
    }

    pub fn is_public(&self) -> bool {
        self.route.rpc.policy.who == Who::Public
    }

    /// Whether an `Idempotency-Key` is taken.
    pub fn takes_idempotency_key(&self) -> bool {
        self.route.verb != Method::GET && !self.is_public()
    }

    /// The request fields that stand in the query, by index.
    pub fn query_fields(&self) -> Vec<usize> {
        let input = self.route.rpc.descriptor.input();
        let carried: Vec<_> =
            input.fields().map(|field| options::field(&field).carrier != Carrier::Unspecified).collect();
        let in_body = |index: usize| match self.route.body {
            BodyRule::Message => true,
            BodyRule::Field(body) => body == index,
            BodyRule::None | BodyRule::Stream(_) => false,
        };
        let field = |index: usize| self.route.rpc.descriptor.input().fields().nth(index);
        let is_hidden = |index: usize| {
            field(index)
                .is_some_and(|field| options::field(&field).given_members || !options::from_header(&field).is_empty())
        };
        (0..carried.len())
            .filter(|index| !in_body(*index) && !self.route.params.contains(index))
            .filter(|index| !carried[*index] && !is_hidden(*index))
            .collect()
    }
}

fn access_text(policy: &MethodPolicy) -> String {
    match &policy.who {
        Who::Scoped => format!("scope {}", policy.scopes.join(" or ")),
        Who::VendorAdmin if policy.scopes.is_empty() => "vendor ADMIN".into(),
        Who::VendorAdmin => format!("vendor ADMIN, or scope {}", policy.scopes.join(" or ")),
        Who::Public => "public".into(),
        Who::AnyUser => "any user".into(),
        Who::Nobody | Who::Internal => "services only".into(),
        Who::AnyOf(needs) => {
            let needs = needs.iter().map(|(feature, access)| {
                let feature = feature.as_str_name().trim_start_matches("FEATURE_");
                format!("{feature} {}", if *access == Access::Read { "read" } else { "read and write" })
            });
            needs.collect::<Vec<_>>().join(" or ")
        }
    }
}
