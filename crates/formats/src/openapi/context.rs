use portolan_record::Specification;

use super::refs::Refs;
use super::schema::Schemas;
use crate::Target;
use crate::tree::Node;

/// What converting needs beside the operation.
pub(super) struct Context<'d> {
    pub(super) root: &'d Node,
    pub(super) swagger: bool,
    pub(super) target: Target,
    pub(super) schemas: Schemas<'d>,
    pub(super) specification: Specification,
}

impl<'d> Context<'d> {
    pub(super) fn new(root: &'d Node, swagger: bool, target: Target, specification: Specification) -> Self {
        Self { root, swagger, target, schemas: Schemas::new(Refs::new(root)), specification }
    }

    pub(super) fn refs(&self) -> Refs<'d> {
        Refs::new(self.root)
    }

    pub(super) fn schemas(&self) -> &Schemas<'d> {
        &self.schemas
    }

    pub(super) fn swagger(&self) -> bool {
        self.swagger
    }
}
