use std::collections::{BTreeMap, HashMap};

use portolan_api::billing::v1::{
    AgentQuery, AnalysisData, GetUserAnalysisRequest, GetUserAnalysisResponse, HarmfulTopic, IngestAgentQueriesRequest,
    IngestAgentQueriesResponse, ListUserAnalysesRequest, ListUserAnalysesResponse, ListedAnalysis, RejectedAgentQuery,
    SubTopics, UserAnalysis, agent_analysis_service_server::AgentAnalysisService,
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use super::{Rpc, RpcResult, small};
use crate::agents::{self, Analysis, SeenHarm, Sent};

#[tonic::async_trait]
impl AgentAnalysisService for Rpc {
    async fn get_user_analysis(&self, request: Request<GetUserAnalysisRequest>) -> RpcResult<GetUserAnalysisResponse> {
        let (caller, request) = Caller::split(request)?;
        let GetUserAnalysisRequest { agent_id, device_id, username } = request;
        let (agent_id, device_id) = (agent_id.as_deref(), device_id.as_deref());
        let found = agents::get(&self.deps, caller.account_id, agent_id, device_id, username.as_deref()).await?;
        Ok(Response::new(GetUserAnalysisResponse { user_analysis: found.map(analysis) }))
    }

    async fn list_user_analyses(
        &self,
        request: Request<ListUserAnalysesRequest>,
    ) -> RpcResult<ListUserAnalysesResponse> {
        let (caller, _) = Caller::split(request)?;
        let analyses = agents::list(&self.deps, caller.account_id).await?;
        Ok(Response::new(ListUserAnalysesResponse { analyses: analyses.into_iter().map(listed).collect() }))
    }

    async fn ingest_agent_queries(
        &self,
        request: Request<IngestAgentQueriesRequest>,
    ) -> RpcResult<IngestAgentQueriesResponse> {
        let (caller, request) = Caller::split(request)?;
        let sent: Vec<_> = request.agent_queries.into_iter().map(sent).collect();
        let ingested = agents::ingest(&self.deps, caller.account_id, &sent).await?;
        let rejected = ingested.rejected.into_iter();
        Ok(Response::new(IngestAgentQueriesResponse {
            accepted: small(ingested.accepted),
            duplicates: small(ingested.duplicates),
            rejected: rejected.map(|(index, reason)| RejectedAgentQuery { index: small(index), reason }).collect(),
        }))
    }
}

fn sent(query: AgentQuery) -> Sent {
    Sent {
        id: query.id,
        agent_id: query.service_id.or(query.agent_id),
        device_id: query.device_id,
        user_name: query.user_name,
        query: query.query_payload,
        response: query.response_payload,
        timestamp: query.timestamp,
        input_tokens: query.input_tokens,
        output_tokens: query.output_tokens,
        topic: query.topic,
        sub_topic: query.sub_topic,
    }
}

fn analysis(analysis: Analysis) -> UserAnalysis {
    let ai_summary = analysis.summary();
    let sub_topics = |counts: BTreeMap<String, i64>| SubTopics { counts: counts.into_iter().collect() };
    UserAnalysis {
        agent_id: analysis.agent_id,
        device_id: analysis.device_id,
        analysis_data: Some(AnalysisData {
            user_name: analysis.user_name,
            topic_hierarchy: analysis.topics.into_iter().map(|(topic, counts)| (topic, sub_topics(counts))).collect(),
            total_input_tokens: analysis.input_tokens,
            total_output_tokens: analysis.output_tokens,
            ai_summary,
            last_updated_at: analysis.last_query_at,
            harmful_topics: harmful(analysis.harms),
        }),
    }
}

fn listed(analysis: Analysis) -> ListedAnalysis {
    ListedAnalysis {
        ai_summary: analysis.summary(),
        user_name: analysis.user_name,
        last_updated_at: analysis.last_query_at,
        total_input_tokens: analysis.input_tokens,
        total_output_tokens: analysis.output_tokens,
        harmful_topics: harmful(analysis.harms),
    }
}

fn harmful(harms: BTreeMap<String, SeenHarm>) -> HashMap<String, HarmfulTopic> {
    let topic =
        |SeenHarm { queries, last_seen_at, last_reason }| HarmfulTopic { count: queries, last_seen_at, last_reason };
    harms.into_iter().map(|(category, harm)| (category, topic(harm))).collect()
}
