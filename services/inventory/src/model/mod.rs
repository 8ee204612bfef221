/// How often endpoints are called.
pub mod calls;
/// Collections and their tags.
pub mod collections;
/// What selects the members of groups.
pub mod conditions;
/// What values are, and which are sensitive.
pub mod data_types;
/// What records add to an endpoint.
pub mod deltas;
/// Which values of an account are of which kind.
pub mod detectors;
/// How specifications differ from each other and from calls.
pub mod drift;
/// Endpoints as they were called, and by their templates.
pub mod endpoints;
pub mod environment;
/// What the edge is told of endpoints.
pub mod feed;
/// Members of groups.
pub mod groups;
/// Findings of scanners.
pub mod issues;
pub mod jobs;
pub mod keys;
/// What somebody says of a parameter.
pub mod markings;
pub mod masking;
/// Parameters and what was seen of them.
pub mod parameters;
/// How far the log is read.
pub mod reached;
/// What ingest follows.
pub mod rules;
/// Calls as they are shown.
pub mod samples;
pub mod text;
