//! Parameters, data types and markings.

use portolan_api::inventory::{v1 as pb, v1::parameter_service_server::ParameterService};
use portolan_authz::Caller;
use portolan_ids::CollectionId;
use tonic::{Request, Response};

use crate::{
    model::{
        collections::NO_COLLECTION,
        data_types::{Changes, ConditionList, DataType, PredicateText},
        markings::ParameterId,
        parameters::{Parameter, SensitiveFilter},
    },
    parameters,
    parameters::{data_types, markings, recent},
    rpc::{Answer, Rpc, convert, convert::endpoint_named},
};

#[tonic::async_trait]
impl ParameterService for Rpc {
    async fn list_parameters(&self, request: Request<pb::ListParametersRequest>) -> Answer<pb::ListParametersResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_named(request.api_collection_id, request.url, request.method);
        let found = parameters::list(&self.deps, &caller, &id).await?;
        let params = found.into_iter().map(convert::parameter).collect();
        Ok(Response::new(pb::ListParametersResponse { data: Some(pb::ParameterList { params }) }))
    }

    async fn list_sensitive_parameters(
        &self,
        request: Request<pb::ListSensitiveParametersRequest>,
    ) -> Answer<pb::ListSensitiveParametersResponse> {
        let (caller, request) = Caller::split(request)?;
        let filter = SensitiveFilter {
            collection_id: request.api_collection_id.map(CollectionId).filter(|id| *id != NO_COLLECTION),
            url: request.url,
            method: request.method,
            sub_type: request.sub_type,
        };
        let (found, marked) = parameters::list_sensitive(&self.deps, &caller, filter).await?;
        let found = found.into_iter().map(convert::parameter);
        let endpoints = found.chain(marked.into_iter().map(convert::marked)).collect();
        Ok(Response::new(pb::ListSensitiveParametersResponse { data: Some(pb::SensitiveParameterList { endpoints }) }))
    }

    async fn list_sensitive_of_urls(
        &self,
        request: Request<pb::ListSensitiveOfUrlsRequest>,
    ) -> Answer<pb::ListSensitiveOfUrlsResponse> {
        let (caller, request) = Caller::split(request)?;
        if request.urls.is_empty() {
            return Ok(Response::new(pb::ListSensitiveOfUrlsResponse { response: None }));
        }
        let found = parameters::list_sensitive_of_urls(&self.deps, &caller, &request.urls).await?;
        let endpoints = found.into_iter().map(convert::parameter).collect();
        let data = Some(pb::SensitiveParameterList { endpoints });
        let response = Some(pb::ListSensitiveParametersResponse { data });
        Ok(Response::new(pb::ListSensitiveOfUrlsResponse { response }))
    }

    async fn list_recent_parameters(
        &self,
        request: Request<pb::ListRecentParametersRequest>,
    ) -> Answer<pb::ListRecentParametersResponse> {
        let (caller, request) = Caller::split(request)?;
        let (start, end) = (request.start_timestamp, request.end_timestamp);
        let found = recent::recent(&self.deps, &caller, start, end).await?;
        let endpoints = found.into_iter().map(convert::parameter).collect();
        Ok(Response::new(pb::ListRecentParametersResponse { data: Some(pb::RecentParameterList { endpoints }) }))
    }

    async fn count_sub_types(&self, request: Request<pb::CountSubTypesRequest>) -> Answer<pb::CountSubTypesResponse> {
        let (caller, request) = Caller::split(request)?;
        let (start, end) = (request.start_timestamp, request.end_timestamp);
        let [requests, responses] = recent::count_types(&self.deps, &caller, start, end).await?;
        let named = |counts: std::collections::BTreeMap<&str, i64>| {
            counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
        };
        let map = pb::SubTypeCountMap { request: named(requests), response: named(responses) };
        Ok(Response::new(pb::CountSubTypesResponse { sub_type_count_map: Some(map) }))
    }

    async fn list_markings(&self, request: Request<pb::ListMarkingsRequest>) -> Answer<pb::ListMarkingsResponse> {
        let (caller, _) = Caller::split(request)?;
        let marked = markings::list(&self.deps, &caller).await?;
        Ok(Response::new(pb::ListMarkingsResponse { data: marked.into_iter().map(convert::marking).collect() }))
    }

    async fn update_marking(&self, request: Request<pb::UpdateMarkingRequest>) -> Answer<pb::UpdateMarkingResponse> {
        let (caller, request) = Caller::split(request)?;
        let place = ParameterId {
            collection_id: request.api_collection_id.into(),
            url: request.url,
            method: request.method,
            response_code: request.response_code,
            is_header: request.is_header,
            name: request.param,
        };
        let marked = markings::set(&self.deps, &caller, place, request.sensitive).await?;
        Ok(Response::new(pb::UpdateMarkingResponse { data: marked.map(convert::marking) }))
    }

    async fn update_markings(&self, request: Request<pb::UpdateMarkingsRequest>) -> Answer<pb::UpdateMarkingsResponse> {
        let (caller, request) = Caller::split(request)?;
        let place = |item: pb::MarkingItem| ParameterId {
            collection_id: item.api_collection_id.into(),
            url: item.url,
            method: item.method,
            response_code: item.response_code,
            is_header: item.is_header,
            name: item.param,
        };
        let places = request.items.into_iter().map(place).collect();
        let (updates, inserts) = markings::set_many(&self.deps, &caller, places, request.sensitive).await?;
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        Ok(Response::new(pb::UpdateMarkingsResponse { updates: count(updates), inserts: count(inserts) }))
    }

    async fn list_private_parameters(
        &self,
        request: Request<pb::ListPrivateParametersRequest>,
    ) -> Answer<pb::ListPrivateParametersResponse> {
        let (caller, _) = Caller::split(request)?;
        let found = parameters::list_private(&self.deps, &caller).await?;
        let wrap = |(parameter, unique, again): (Parameter, usize, u64)| pb::SingleTypeInfo {
            unique_count: i64::try_from(unique).unwrap_or(i64::MAX),
            public_count: i64::try_from(again).unwrap_or(i64::MAX),
            ..convert::parameter(parameter)
        };
        let private_single_type_info = found.into_iter().map(wrap).collect();
        Ok(Response::new(pb::ListPrivateParametersResponse { private_single_type_info }))
    }

    async fn list_data_types(&self, request: Request<pb::ListDataTypesRequest>) -> Answer<pb::ListDataTypesResponse> {
        let (caller, request) = Caller::split(request)?;
        let listed = data_types::list(&self.deps, &caller, &request.page_token, request.page_size).await;
        let (page, more) = listed?;
        let next_page_token = page.last().filter(|_| more).map(|last| last.name.clone()).unwrap_or_default();
        let data_types = page.into_iter().map(data_type).collect();
        Ok(Response::new(pb::ListDataTypesResponse { data_types, next_page_token }))
    }

    async fn create_data_type(&self, request: Request<pb::CreateDataTypeRequest>) -> Answer<pb::DataType> {
        let (caller, request) = Caller::split(request)?;
        let wanted = request.data_type.unwrap_or_default();
        let name = wanted.name.clone();
        let created = data_types::create(&self.deps, &caller, &name, changes(wanted, "")).await?;
        Ok(Response::new(data_type(created)))
    }

    async fn update_data_type(&self, request: Request<pb::UpdateDataTypeRequest>) -> Answer<pb::DataType> {
        let (caller, request) = Caller::split(request)?;
        let wanted = changes(request.data_type.unwrap_or_default(), &request.update_mask);
        let updated = data_types::update(&self.deps, &caller, &request.name, wanted).await?;
        Ok(Response::new(data_type(updated)))
    }

    async fn delete_data_type(
        &self,
        request: Request<pb::DeleteDataTypeRequest>,
    ) -> Answer<pb::DeleteDataTypeResponse> {
        let (caller, request) = Caller::split(request)?;
        data_types::delete(&self.deps, &caller, &request.name).await?;
        Ok(Response::new(pb::DeleteDataTypeResponse {}))
    }
}

fn data_type(known: DataType) -> pb::DataType {
    let definition = known.definition;
    pb::DataType {
        name: known.name,
        built_in: known.built_in,
        active: Some(known.active),
        key_conditions: definition.key_conditions.map(conditions),
        value_conditions: definition.value_conditions.map(conditions),
        operator: definition.operator,
        sensitive_always: Some(definition.sensitive_always),
        sensitive_position: definition.sensitive_positions,
        redacted: Some(definition.redacted),
        priority: definition.priority,
        categories: definition.categories,
        create_time: known.created_at,
        update_time: known.updated_at,
    }
}

fn conditions(list: ConditionList) -> pb::DataTypeConditions {
    let predicate =
        |text: PredicateText| pb::DataTypePredicate { r#type: text.kind, value: text.value, values: text.values };
    pb::DataTypeConditions { operator: list.operator, predicates: list.predicates.into_iter().map(predicate).collect() }
}

fn condition_list(conditions: pb::DataTypeConditions) -> ConditionList {
    let predicate = |wanted: pb::DataTypePredicate| PredicateText {
        kind: wanted.r#type,
        value: wanted.value,
        values: wanted.values,
    };
    let predicates = conditions.predicates.into_iter().map(predicate).collect();
    ConditionList { operator: conditions.operator, predicates }
}

/// What to change: with a mask exactly its members, else those that are there.
fn changes(wanted: pb::DataType, mask: &str) -> Changes {
    let names: Vec<&str> = mask.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let named = |name: &str| names.contains(&name);
    let taken = |name: &str, is_there: bool| if names.is_empty() { is_there } else { named(name) };
    let flag = |name: &str, value: Option<bool>| match taken(name, value.is_some()) {
        true => Some(value.unwrap_or_default()),
        false => None,
    };
    Changes {
        active: flag("active", wanted.active),
        key_conditions: taken("keyConditions", wanted.key_conditions.is_some())
            .then(|| wanted.key_conditions.map(condition_list)),
        value_conditions: taken("valueConditions", wanted.value_conditions.is_some())
            .then(|| wanted.value_conditions.map(condition_list)),
        operator: taken("operator", !wanted.operator.is_empty()).then_some(wanted.operator),
        sensitive_always: flag("sensitiveAlways", wanted.sensitive_always),
        sensitive_positions: taken("sensitivePosition", !wanted.sensitive_position.is_empty())
            .then_some(wanted.sensitive_position),
        redacted: flag("redacted", wanted.redacted),
        priority: taken("priority", !wanted.priority.is_empty()).then_some(wanted.priority),
        categories: taken("categories", !wanted.categories.is_empty()).then_some(wanted.categories),
    }
}
