//! API schemas as Imperva exports them: each described endpoint becomes one record, or one for each declared type.
//!
//! A file is `{"data": {…}}`, `{"services": [{"hostname", "traffic": [{…}]}]}`, or a list of either. The objects of
//! `traffic` have the form of `data`. A schema names types and holds no values, so records carry one fixed value a type.

mod endpoint;

use std::collections::{BTreeMap, HashSet};

use crate::tree::{self, Node};
use crate::{FormatError, Target, text};
pub use endpoint::EndpointOutcome;
use endpoint::list;

/// Most records that one endpoint becomes when each declared type gets one.
const SAMPLES_MAX: usize = 50;

/// A parsed file.
pub struct Document {
    root: Node,
}

impl Document {
    /// Parses a file: JSON, in UTF-8 or UTF-16.
    ///
    /// # Errors
    /// [`FormatError::Syntax`] where the text is no JSON, [`FormatError::NotImperva`] where it holds neither form, and
    /// [`FormatError::TooLarge`] above the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let document = Self { root: tree::parse_json(&text::decode(bytes)?)?.root };
        let known = |node: &Node| node.get("data").or_else(|| node.get("services")).is_some();
        if document.parts().any(known) {
            Ok(document)
        } else {
            Err(FormatError::NotImperva("it has neither a member `data` nor a member `services`".to_owned()))
        }
    }

    /// The hosts that the file names, in order, each once; also those of services without traffic.
    pub fn hosts(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut hosts: Vec<String> = self.places().map(|(host, _)| host).collect();
        hosts.retain(|host| !host.is_empty() && seen.insert(host.clone()));
        hosts
    }

    /// Whether the file describes nothing, not even a service.
    pub fn is_empty(&self) -> bool {
        self.places().next().is_none()
    }

    /// How many outcomes [`Document::convert`] yields.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints().count()
    }

    /// Converts each endpoint in document order. The target of each is that of its host; an endpoint whose host has
    /// none goes to the first one.
    pub fn convert<'d>(
        &'d self,
        targets: &'d BTreeMap<String, Target>,
        default: Target,
        multiple_samples: bool,
    ) -> impl Iterator<Item = EndpointOutcome> + 'd {
        self.endpoints().map(move |(host, node)| {
            let target = targets.get(&host).unwrap_or(&default);
            endpoint::convert(node, host, target, if multiple_samples { SAMPLES_MAX } else { 1 })
        })
    }

    fn parts(&self) -> impl Iterator<Item = &Node> {
        match &self.root {
            Node::List(list) => list.iter(),
            other => std::slice::from_ref(other).iter(),
        }
    }

    /// Every endpoint with its host.
    fn endpoints(&self) -> impl Iterator<Item = (String, &Node)> {
        self.places().filter_map(|(host, node)| Some((host, node?)))
    }

    /// Every service, and every endpoint behind its service, with their hosts.
    fn places(&self) -> impl Iterator<Item = (String, Option<&Node>)> {
        self.parts().flat_map(|part| {
            let own = list(part.get("data")).map(|node| (host_of(node), Some(node)));
            let services = list(part.get("services")).flat_map(|service| {
                let host = host_of(service);
                let traffic = list(service.get("traffic")).map({
                    let host = host.clone();
                    move |node| {
                        let node = node.get("data").unwrap_or(node);
                        let own = host_of(node);
                        (if own.is_empty() { host.clone() } else { own }, Some(node))
                    }
                });
                std::iter::once((host, None)).chain(traffic)
            });
            own.chain(services)
        })
    }
}

fn host_of(node: &Node) -> String {
    let named = ["hostName", "hostname", "host"].into_iter().find_map(|name| node.get(name)).and_then(Node::as_text);
    let host = named.unwrap_or_default().trim();
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    host.split('/').next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests;
