//! The contract as Rust: generated messages, clients and service traits, the descriptor set with its options, the
//! error catalog, and the policy of every RPC.
//!
//! # Invariants
//! - Nothing here is written by hand twice: routes, access rules, statuses and texts are read from the descriptors.
//! - An RPC without an access rule has [`Who::Nobody`].
//!
//! Start with [`fn@policy`] for what stands beside an RPC and with [`Error`] for how a failure travels.

pub mod access;
pub mod codec;
mod error;
pub mod options;
mod policy;
mod seldom;

use std::sync::LazyLock;

pub use common::v1::{Access, Dialect, Feature, KeyUtility, Need, Reason};
pub use error::{Error, Result};
pub use policy::{MethodPolicy, Who, policies, policy};
pub use prost_reflect;
pub use seldom::Seldom;

/// Shared vocabulary: options and the error catalog.
#[allow(missing_docs, reason = "generated from proto files, whose comments it has")]
pub mod common {
    pub mod v1 {
        tonic::include_proto!("portolan.common.v1");
    }
}
#[allow(missing_docs, reason = "generated from proto files, whose comments it has")]
pub mod google {
    pub mod api {
        tonic::include_proto!("google.api");
    }
}
#[allow(missing_docs, reason = "generated from proto files, whose comments it has")]
pub mod identity {
    pub mod v1 {
        tonic::include_proto!("portolan.identity.v1");
    }
}
#[allow(missing_docs, reason = "generated from proto files, whose comments it has")]
pub mod tokens {
    pub mod v1 {
        tonic::include_proto!("portolan.tokens.v1");
    }
}
#[allow(missing_docs, reason = "generated from proto files, whose comments it has")]
pub mod inventory {
    pub mod v1 {
        tonic::include_proto!("portolan.inventory.v1");
    }
}
#[allow(missing_docs, reason = "generated from proto files, whose comments it has")]
pub mod imports {
    pub mod v1 {
        tonic::include_proto!("portolan.imports.v1");
    }
}
#[allow(missing_docs, reason = "generated from proto files, whose comments it has")]
pub mod billing {
    pub mod v1 {
        tonic::include_proto!("portolan.billing.v1");
    }
}

/// The encoded `FileDescriptorSet` of all packages, with options and comments.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The decoded descriptor set.
pub fn descriptors() -> &'static prost_reflect::DescriptorPool {
    static POOL: LazyLock<prost_reflect::DescriptorPool> = LazyLock::new(|| {
        prost_reflect::DescriptorPool::decode(DESCRIPTOR_SET).expect("the build script wrote a valid descriptor set")
    });
    &POOL
}
