//! Statistics: coverage, issues, calls and what changed.

use std::collections::HashMap;

use portolan_api::inventory::{v1 as pb, v1::statistics_service_server::StatisticsService};
use portolan_authz::Caller;
use portolan_ids::CollectionId;
use tonic::{Request, Response};

use crate::{
    model::{
        endpoints::{Activity, EndpointId},
        issues::{Report, Severities},
    },
    parameters::{recent, recent::Query},
    rpc::{
        Answer, Rpc, convert,
        convert::{endpoint_named, size},
    },
    statistics::{calls, calls::Class, issues, overview},
};

#[tonic::async_trait]
impl StatisticsService for Rpc {
    async fn get_coverage(&self, request: Request<pb::GetCoverageRequest>) -> Answer<pb::GetCoverageResponse> {
        let (caller, request) = Caller::split(request)?;
        let only = convert::collections_named(request.api_collection_ids);
        let tested = issues::coverage(&self.deps, &caller, &only).await?;
        Ok(Response::new(pb::GetCoverageResponse { tested: convert::by_id(tested) }))
    }

    async fn count_issues_by_collection(
        &self,
        request: Request<pb::CountIssuesByCollectionRequest>,
    ) -> Answer<pb::CountIssuesByCollectionResponse> {
        let (caller, _) = Caller::split(request)?;
        let counts = issues::by_collection(&self.deps, &caller).await?;
        let severities = counts.into_iter().map(|(id, counts)| (id.into(), severities(counts))).collect();
        Ok(Response::new(pb::CountIssuesByCollectionResponse { severities }))
    }

    async fn count_issues_by_endpoint(
        &self,
        request: Request<pb::CountIssuesByEndpointRequest>,
    ) -> Answer<pb::CountIssuesByEndpointResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = convert::collection_named(request.api_collection_id);
        let counts = issues::by_endpoint(&self.deps, &caller, id).await?;
        let name = |id: &EndpointId| format!("{} {} {}", id.collection_id, id.url, id.method);
        let severities = counts.into_iter().map(|(id, counts)| (name(&id), severities(counts))).collect();
        Ok(Response::new(pb::CountIssuesByEndpointResponse { severities }))
    }

    async fn batch_ingest_issues(
        &self,
        request: Request<pb::BatchIngestIssuesRequest>,
    ) -> Answer<pb::BatchIngestIssuesResponse> {
        let (caller, request) = Caller::split(request)?;
        let report = |issue: pb::IssueReport| Report {
            id: issue.id,
            endpoint: endpoint_named(Some(issue.api_collection_id), issue.url, issue.method),
            severity: issue.severity,
            status: issue.status,
            tested_at: issue.tested_at,
        };
        let reports: Vec<_> = request.issues.into_iter().map(report).collect();
        let count = reports.len();
        let rejected = issues::take(&self.deps, &caller, reports).await?;
        let narrow = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let accepted = narrow(count - rejected.len());
        let wrap =
            |(index, reason): (usize, &str)| pb::RejectedIssue { index: narrow(index), reason: reason.to_owned() };
        let rejected = rejected.into_iter().map(wrap).collect();
        Ok(Response::new(pb::BatchIngestIssuesResponse { accepted, rejected }))
    }

    async fn get_sensitive_info(
        &self,
        request: Request<pb::GetSensitiveInfoRequest>,
    ) -> Answer<pb::GetSensitiveInfoResponse> {
        let (caller, request) = Caller::split(request)?;
        if request.r#type.as_deref() == Some("topSensitive") {
            let top = overview::most_sensitive(&self.deps, &caller).await?;
            let wrap = |(endpoint, sub_types)| pb::SensitiveEndpoint {
                api_info: Some(convert::endpoint(endpoint)),
                sub_types,
            };
            let endpoints = top.into_iter().map(wrap).collect();
            let sensitive_subtypes_in_url = Some(pb::SensitiveEndpoints { endpoints });
            return Ok(Response::new(pb::GetSensitiveInfoResponse { sensitive_subtypes_in_url, ..Default::default() }));
        }
        let (count, types) = overview::sensitive(&self.deps, &caller).await?;
        let wrap = |(id, names): (CollectionId, std::collections::BTreeSet<String>)| {
            (id.into(), pb::NameList { names: names.into_iter().collect() })
        };
        let names = types.into_iter().map(wrap).collect();
        Ok(Response::new(pb::GetSensitiveInfoResponse {
            sensitive_urls_in_response: Some(i64::try_from(count).unwrap_or(i64::MAX)),
            sensitive_subtypes_in_collection: Some(pb::SubTypesByCollection { names }),
            sensitive_subtypes_in_url: None,
        }))
    }

    async fn get_risk_scores(&self, request: Request<pb::GetRiskScoresRequest>) -> Answer<pb::GetRiskScoresResponse> {
        let (caller, _) = Caller::split(request)?;
        let (critical, scores) = overview::risk_scores(&self.deps, &caller).await?;
        Ok(Response::new(pb::GetRiskScoresResponse {
            critical_endpoints_count: i64::try_from(critical).unwrap_or(i64::MAX),
            risk_score_of_collections_map: convert::by_id(scores),
        }))
    }

    async fn get_last_calculated(
        &self,
        request: Request<pb::GetLastCalculatedRequest>,
    ) -> Answer<pb::GetLastCalculatedResponse> {
        let (caller, _) = Caller::split(request)?;
        let times = overview::last_calculated(&self.deps, &caller).await?;
        let times = times.into_iter().map(|(name, time)| (name.to_owned(), time)).collect();
        Ok(Response::new(pb::GetLastCalculatedResponse { times }))
    }

    async fn count_discovered(
        &self,
        request: Request<pb::CountDiscoveredRequest>,
    ) -> Answer<pb::CountDiscoveredResponse> {
        let (caller, request) = Caller::split(request)?;
        let (start, end) = (request.start_timestamp, request.end_timestamp);
        let (new_count, old_count) = overview::count_discovered(&self.deps, &caller, start, end).await?;
        Ok(Response::new(pb::CountDiscoveredResponse { new_count, old_count }))
    }

    async fn list_changes(&self, request: Request<pb::ListChangesRequest>) -> Answer<pb::ListChangesResponse> {
        let (caller, request) = Caller::split(request)?;
        let query = Query {
            sort_key: request.sort_key.unwrap_or_default(),
            sort_order: request.sort_order,
            skip: size(request.skip),
            limit: size(request.limit),
            filters: filters(request.filters)?,
            operators: request.filter_operators,
            start: request.start_timestamp,
            end: request.end_timestamp,
            sensitive: request.sensitive,
            request: request.request,
            search: request.search_string.unwrap_or_default(),
        };
        let (found, total) = recent::list(&self.deps, &caller, &query).await?;
        let endpoints = found.into_iter().map(convert::parameter).collect();
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        Ok(Response::new(pb::ListChangesResponse { data: Some(pb::ChangeList { endpoints, total }) }))
    }

    async fn get_call_stats(&self, request: Request<pb::GetCallStatsRequest>) -> Answer<pb::GetCallStatsResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_named(request.api_collection_id, request.url, request.method);
        let (start, end) = (request.start_epoch, request.end_epoch);
        let counts = calls::calls(&self.deps, &caller, &id, start, end).await?;
        let wrap = |(ts, count): (i64, u64)| pb::CallCount { ts, count: i64::try_from(count).unwrap_or(i64::MAX) };
        let api_call_stats = counts.into_iter().map(wrap).collect();
        Ok(Response::new(pb::GetCallStatsResponse { result: Some(pb::CallStats { api_call_stats }) }))
    }

    async fn get_address_stats(
        &self,
        request: Request<pb::GetAddressStatsRequest>,
    ) -> Answer<pb::GetAddressStatsResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_named(request.api_collection_id, request.url, request.method);
        let (start, end) = (request.start_window, request.end_window);
        let classes = calls::classes(&self.deps, &caller, &id, start, end).await?;
        let wrap = |class: Class| {
            let found = class.distribution();
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            pb::BucketStats {
                bucket_label: class.label,
                min: found.map(|(min, ..)| number(min)),
                max: found.map(|(_, max, _)| number(max)),
                p25: found.map(|(.., quartiles)| quartiles[0]),
                p50: found.map(|(.., quartiles)| quartiles[1]),
                p75: found.map(|(.., quartiles)| quartiles[2]),
            }
        };
        Ok(Response::new(pb::GetAddressStatsResponse { bucket_stats: classes.into_iter().map(wrap).collect() }))
    }

    async fn has_endpoints(&self, request: Request<pb::HasEndpointsRequest>) -> Answer<pb::HasEndpointsResponse> {
        let (caller, _) = Caller::split(request)?;
        let has_endpoints = overview::has_endpoints(&self.deps, &caller).await?;
        Ok(Response::new(pb::HasEndpointsResponse { has_endpoints }))
    }

    async fn list_endpoint_activity(
        &self,
        request: Request<pb::ListEndpointActivityRequest>,
    ) -> Answer<pb::ListEndpointActivityResponse> {
        let (caller, request) = Caller::split(request)?;
        let list = |found: Vec<Activity>| pb::EndpointActivityList {
            endpoints: found.into_iter().map(convert::activity).collect(),
        };
        if request.api_collection_ids.is_empty() {
            let id = convert::collection_named(request.api_collection_id);
            let found = overview::activity(&self.deps, &caller, id).await?;
            let list = Some(list(found));
            return Ok(Response::new(pb::ListEndpointActivityResponse { list, list_by_collection: None }));
        }
        let ids = convert::collections_named(request.api_collection_ids);
        let lists = overview::activity_of_many(&self.deps, &caller, ids).await?;
        let lists = lists.into_iter().map(|(id, found)| (id.into(), list(found))).collect();
        let list_by_collection = Some(pb::EndpointActivityLists { lists });
        Ok(Response::new(pb::ListEndpointActivityResponse { list: None, list_by_collection }))
    }

    async fn get_last_seen(&self, request: Request<pb::GetLastSeenRequest>) -> Answer<pb::GetLastSeenResponse> {
        let (caller, _) = Caller::split(request)?;
        let times = overview::last_seen(&self.deps, &caller).await?;
        Ok(Response::new(pb::GetLastSeenResponse { last_seen: convert::by_id(times) }))
    }
}

fn severities(counts: Severities) -> pb::SeverityCounts {
    pb::SeverityCounts { counts: counts.into_iter().collect() }
}

/// Filters are an object of lists; null, and a value that is no list, stand for a list.
fn filters(text: Option<String>) -> Result<HashMap<String, Vec<serde_json::Value>>, portolan_api::Error> {
    use serde_json::Value;
    let refuse = || {
        let error = portolan_api::Error::new(portolan_api::Reason::MemberType);
        error.with("member", "filters").with("detail", "must be an object")
    };
    match serde_json::from_str(text.as_deref().unwrap_or("null")).map_err(|_| refuse())? {
        Value::Null => Ok(HashMap::new()),
        Value::Object(members) => {
            let list = |value: Value| match value {
                Value::Array(values) => values,
                Value::Null => Vec::new(),
                value => vec![value],
            };
            Ok(members.into_iter().map(|(name, value)| (name, list(value))).collect())
        }
        _ => Err(refuse()),
    }
}
