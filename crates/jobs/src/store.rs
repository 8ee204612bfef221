//! The table `jobs`, in which a service sees its own rows.

mod asks;
mod claims;
mod ends;
mod reads;
mod rows;

pub(crate) use asks::{add, ask};
pub(crate) use claims::{Claimed, advance, claim, claim_one, give_back, keep, release, take};
pub(crate) use ends::{cancel, cancel_of, delete_ended, fail, finish, replace_outcome};
pub(crate) use reads::{
    active_bytes, attempts, ended_of, find, get, is_active, newest, newest_ended, oldest_active, page,
};
pub(crate) use rows::Key;
