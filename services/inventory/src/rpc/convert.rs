//! Domain values as messages.

use std::collections::{BTreeMap, HashMap};

use portolan_api::inventory::v1 as pb;
use portolan_engine::SubType;
use portolan_ids::CollectionId;

use crate::model::{
    collections::{Collection, DAST_TAG, GEN_AI_TAG, MCP_TAG, NO_COLLECTION, Tag},
    conditions::Written,
    endpoints::{Activity, Endpoint, EndpointId},
    markings::Marked,
    parameters::Parameter,
    samples::Calls,
};

/// What stands for the smallest value of a parameter without numbers, as documented.
const NO_MIN: i64 = i64::MAX - 100_000;

/// What stands for the largest value of a parameter without numbers, as documented.
const NO_MAX: i64 = i64::MIN + 100_000;

pub fn collection(collection: Collection) -> pb::ApiCollection {
    let tags: Vec<pb::Tag> = collection.tags.iter().map(tag).collect();
    pb::ApiCollection {
        id: collection.id.into(),
        display_name: collection.display_name(),
        mcp_collection: collection.has_tag(MCP_TAG),
        gen_ai_collection: collection.has_tag(GEN_AI_TAG),
        dast_collection: collection.has_tag(DAST_TAG),
        name: collection.name,
        description: collection.description,
        start_ts: collection.created_at,
        urls: Vec::new(),
        urls_count: collection.endpoint_count,
        host_name: collection.host_name,
        vxlan_id: 0,
        r#type: collection.kind,
        conditions: collection.conditions.as_deref().map(conditions).unwrap_or_default(),
        tags_list: tags.clone(),
        env_type: tags,
        redact: collection.redacted,
        sample_collections_dropped: collection.values_removed,
        deactivated: collection.deactivated,
        is_out_of_testing_scope: collection.out_of_testing_scope,
        automated: collection.automated,
        access_type: collection.access_type,
        run_dependency_analyser: false,
        match_dependency_with_other_collections: false,
    }
}

pub fn basic_collection(collection: Collection) -> pb::BasicApiCollection {
    let reduced = |known: &Tag| pb::Tag { last_updated_ts: 0, source: None, ..tag(known) };
    pb::BasicApiCollection {
        id: collection.id.into(),
        display_name: collection.display_name(),
        env_type: collection.tags.iter().map(reduced).collect(),
        name: collection.name,
        description: collection.description,
        start_ts: collection.created_at,
        host_name: collection.host_name,
        // Counts leave deactivated collections out here, as documented.
        urls_count: if collection.deactivated { 0 } else { collection.endpoint_count },
        deactivated: collection.deactivated,
        is_out_of_testing_scope: collection.out_of_testing_scope,
        r#type: collection.kind,
        automated: collection.automated,
        access_type: collection.access_type,
        skills: Vec::new(),
        registry_status: None,
        base_risk_score: 0.0,
    }
}

/// Stored conditions as a caller wrote them; who wrote them is not answered.
fn conditions(stored: &str) -> Vec<pb::Condition> {
    let written: Vec<Written> = serde_json::from_str(stored).unwrap_or_default();
    let message = |written: Written| pb::Condition {
        r#type: written.kind,
        operator: written.operator,
        data: written.data.to_string(),
    };
    written.into_iter().map(message).collect()
}

fn tag(tag: &Tag) -> pb::Tag {
    pb::Tag {
        last_updated_ts: tag.updated_at,
        key_name: tag.key_name.clone(),
        value: tag.value.clone(),
        source: tag.source.clone(),
    }
}

pub fn import_target(collection: Collection) -> pb::ImportTarget {
    pb::ImportTarget {
        api_collection_id: collection.id.into(),
        name: collection.name,
        host_name: collection.host_name,
        r#type: collection.kind,
        deactivated: collection.deactivated,
    }
}

pub fn endpoint_id(id: EndpointId) -> pb::EndpointKey {
    pb::EndpointKey { api_collection_id: id.collection_id.into(), url: id.url, method: id.method }
}

pub fn activity(activity: Activity) -> pb::EndpointActivity {
    pb::EndpointActivity {
        id: Some(endpoint_id(activity.id)),
        start_ts: activity.started_at,
        changes_count: activity.parameters,
    }
}

pub fn endpoint(endpoint: Endpoint) -> pb::ApiInfo {
    let names = |set: &portolan_engine::AuthSet| set.iter().map(|auth| auth.name().to_owned()).collect();
    let sets = endpoint.auth_sets.iter().map(|set| pb::AuthTypeSet { auth_types: names(set) });
    let source = |(source, time): (&portolan_record::Source, &i64)| {
        (source.name().to_owned(), pb::SourceInfo { timestamp: *time })
    };
    pb::ApiInfo {
        all_auth_types_found: sets.collect(),
        actual_auth_type: endpoint.actual_auth_types().into_iter().map(|auth| auth.name().to_owned()).collect(),
        api_access_types: endpoint.access_types.iter().map(|known| known.name().to_owned()).collect(),
        api_type: endpoint.api_type.name().to_owned(),
        response_codes: endpoint.response_codes,
        discovered_timestamp: endpoint.discovered_at,
        last_seen: endpoint.last_seen,
        last_tested: endpoint.last_tested,
        last_calculated_time: endpoint.last_calculated,
        is_sensitive: endpoint.is_sensitive,
        severity_score: endpoint.severity_score,
        risk_score: endpoint.risk_score,
        threat_score: 0.0,
        violations: Default::default(),
        collection_ids: with_groups(endpoint.id.collection_id, endpoint.group_ids),
        sources: endpoint.sources.iter().map(source).collect(),
        description: endpoint.description,
        tags_list: endpoint.tags.iter().map(tag).collect(),
        kind: endpoint.kind.name().to_owned(),
        url_template: endpoint.template,
        id: Some(endpoint_id(endpoint.id)),
    }
}

pub fn parameter(parameter: Parameter) -> pb::SingleTypeInfo {
    let Parameter { endpoint, key, seen, with_values, group_ids } = parameter;
    let elements = || seen.values.list().map(str::to_owned).collect();
    let unique_count = i64::try_from(seen.values.list().count()).unwrap_or(i64::MAX);
    pb::SingleTypeInfo {
        url: endpoint.url,
        method: endpoint.method,
        response_code: key.response_code,
        is_header: key.is_header,
        param: key.name.into_string(),
        sub_type: Some(sub_type(key.sub_type)),
        sub_type_string: key.sub_type.name().to_owned(),
        is_url_param: key.is_url_param,
        is_query_param: key.is_query_param,
        count: i64::try_from(seen.count).unwrap_or(i64::MAX),
        timestamp: seen.first_seen,
        last_seen: seen.last_seen,
        duration: 0,
        domain: seen.domain(key.sub_type).name().to_owned(),
        values: with_values.then(|| pb::ParameterValues { elements: elements() }),
        min_value: seen.min.unwrap_or(NO_MIN),
        max_value: seen.max.unwrap_or(NO_MAX),
        unique_count,
        public_count: 0,
        api_collection_id: endpoint.collection_id.into(),
        collection_ids: with_groups(endpoint.collection_id, group_ids),
        sensitive: seen.sensitive,
        sample_data_saved: None,
    }
}

/// What a user said of a parameter, in a list of parameters.
pub fn marked(marked: Marked) -> pb::SingleTypeInfo {
    let place = marked.place;
    pb::SingleTypeInfo {
        url: place.url,
        method: place.method,
        response_code: place.response_code,
        is_header: place.is_header,
        param: place.name,
        api_collection_id: place.collection_id.into(),
        collection_ids: vec![place.collection_id.into()],
        sensitive: marked.sensitive,
        sample_data_saved: Some(false),
        ..pb::SingleTypeInfo::default()
    }
}

/// What a user said of a parameter, alone.
pub fn marking(marked: Marked) -> pb::Marking {
    let place = marked.place;
    pb::Marking {
        url: place.url,
        method: place.method,
        response_code: place.response_code,
        is_header: place.is_header,
        param: place.name,
        api_collection_id: place.collection_id.into(),
        sensitive: marked.sensitive,
        sample_data_saved: false,
        collection_ids: vec![place.collection_id.into()],
    }
}

pub fn sub_type(sub_type: SubType) -> pb::SubType {
    pb::SubType {
        name: sub_type.name().to_owned(),
        sensitive_always: sub_type.sensitive_always(),
        super_type: sub_type.super_type().name().to_owned(),
        sensitive_position: sub_type.sensitive_positions().iter().map(|place| place.name().to_owned()).collect(),
    }
}

pub fn samples(calls: Calls) -> pb::SampleData {
    let Calls { endpoint, group_ids, records } = calls;
    let collection_ids = with_groups(endpoint.collection_id, group_ids);
    let id = pb::SampleKey {
        api_collection_id: endpoint.collection_id.into(),
        url: endpoint.url,
        method: endpoint.method.to_ascii_uppercase(),
        // Samples of all codes and times stand together, which these values say.
        response_code: -1,
        bucket_start_epoch: 0,
        bucket_end_epoch: 0,
    };
    pb::SampleData { id: Some(id), samples: records, collection_ids }
}

/// The collection that something is in, and the groups that show it.
fn with_groups(collection_id: CollectionId, group_ids: Vec<CollectionId>) -> Vec<i32> {
    std::iter::once(collection_id).chain(group_ids).map(Into::into).collect()
}

/// A collection as a request names it; without an id none is meant.
pub fn collection_named(id: Option<i32>) -> CollectionId {
    id.map_or(NO_COLLECTION, Into::into)
}

/// Collections as a request names them.
pub fn collections_named(ids: Vec<i32>) -> Vec<CollectionId> {
    ids.into_iter().map(Into::into).collect()
}

/// What is known of collections, by the ids of messages.
pub fn by_id<T>(known: BTreeMap<CollectionId, T>) -> HashMap<i32, T> {
    known.into_iter().map(|(id, value)| (id.into(), value)).collect()
}

/// An endpoint as a request names it.
pub fn endpoint_named(collection_id: Option<i32>, url: String, method: String) -> EndpointId {
    EndpointId { collection_id: collection_named(collection_id), url, method }
}

/// Where a page begins, or how long it is; negative numbers count as zero.
pub fn size(number: i32) -> usize {
    usize::try_from(number).unwrap_or_default()
}
