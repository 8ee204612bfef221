//! Path and query parameters as fields of the request message.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use portolan_api::{Error, Reason, common::v1::Carrier};

use crate::{
    codec::{Plans, text_to_wire},
    cookie::{self, LOGIN_COOKIE},
    routes::{BodyRule, Route},
};

/// Most parameters that one query may hold.
const PARAMETERS_MAX: usize = 1000;

/// Appends the fields of a query. Unknown parameters are ignored, lists are given by repetition.
///
/// Errors: `MEMBER_TYPE` with the parameter's name, `PATH_INVALID` for a query that cannot be read.
pub(crate) fn encode_query(plans: &Plans, route: &Route, query: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    if route.body == BodyRule::Message || query.is_empty() {
        return Ok(());
    }
    let plan = plans.message(route.rpc.request);
    let mut given = 0u128;
    for (count, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if count >= PARAMETERS_MAX {
            return Err(Reason::PathInvalid.into());
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        // `name[]` is the name of a list.
        let listed = name.strip_suffix("[]");
        let Some(index) = plan.by_any_name(listed.unwrap_or(&name)) else { continue };
        let field = &plan.fields[index];
        if listed.is_some() && field.is_single() {
            continue;
        }
        let is_taken = match route.body {
            BodyRule::Field(body) => body == index,
            BodyRule::Stream(number) => number == field.number,
            BodyRule::None | BodyRule::Message => false,
        };
        if is_taken || route.params.contains(&index) || field.options.carrier != Carrier::Unspecified {
            continue;
        }
        if field.is_single() && given & 1 << index != 0 {
            let error = Error::new(Reason::MemberType).with("member", &field.json_name);
            return Err(error.with("detail", "must not be given twice"));
        }
        given |= 1 << index;
        text_to_wire(plans, field, &value, out)?;
    }
    Ok(())
}

/// Appends the parameters of the path. They come last, so that they win over a member of the body.
pub(crate) fn encode_params(plans: &Plans, route: &Route, values: &[String], out: &mut Vec<u8>) -> Result<(), Error> {
    let plan = plans.message(route.rpc.request);
    for (index, value) in route.params.iter().zip(values) {
        text_to_wire(plans, &plan.fields[*index], value, out)?;
    }
    Ok(())
}

/// Appends the fields that take request headers.
pub(crate) fn encode_headers(
    plans: &Plans,
    route: &Route,
    headers: &HeaderMap,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    for field in plans.message(route.rpc.request).fields.iter().filter(|field| !field.from_header.is_empty()) {
        if let Some(value) = headers.get(&field.from_header).and_then(|value| value.to_str().ok()) {
            text_to_wire(plans, field, value, out)?;
        }
    }
    Ok(())
}

/// Appends the fields that are read from cookies.
pub(crate) fn encode_cookies(
    plans: &Plans,
    route: &Route,
    headers: &HeaderMap,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    for field in &plans.message(route.rpc.request).fields {
        if field.options.carrier == Carrier::LoginCookie
            && let Some(value) = cookie::get(headers, LOGIN_COOKIE)
        {
            text_to_wire(plans, field, value, out)?;
        }
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Reason::PathInvalid.into()),
    }
}

#[cfg(test)]
mod tests {
    use portolan_api::imports::v1::{CreateImportRequest, ListJobsRequest};
    use prost::Message;

    use super::*;
    use crate::routes::Routes;

    fn query<T: Message + Default>(path: &str, query: &str) -> Result<T, Error> {
        let routes = Routes::from_contract().unwrap();
        let found = routes.find(path).unwrap();
        let mut wire = Vec::new();
        encode_query(&routes.plans, found.each().next().unwrap(), query, &mut wire)?;
        Ok(T::decode(wire.as_slice()).unwrap())
    }

    #[test]
    fn parameters_become_fields_under_both_names() {
        let jobs: ListJobsRequest = query("/v1/jobs", "pageSize=5&page_token=a%2Bb+c&unknown=1&&").unwrap();
        assert_eq!((jobs.page_size, jobs.page_token.as_str()), (5, "a+b c"));
        let import: CreateImportRequest = query("/v1/imports", "collectionName=x&content=AAAA&collectionId=3").unwrap();
        assert_eq!((import.collection_name.as_deref(), import.collection_id), (Some("x"), Some(3)));
        assert!(import.content.is_empty());
    }

    #[test]
    fn wrong_parameters_are_named() {
        let member = |text: &str| {
            let error = query::<ListJobsRequest>("/v1/jobs", text).unwrap_err();
            (error.reason(), error.metadata().get("member").cloned())
        };
        let page_size = Some("pageSize".to_owned());
        assert_eq!(member("pageSize=x"), (Reason::MemberType, page_size.clone()));
        assert_eq!(member("pageSize="), (Reason::MemberType, page_size.clone()));
        assert_eq!(member("pageSize=1&page_size=2"), (Reason::MemberType, page_size));
        assert_eq!(member("pageToken=%ff"), (Reason::PathInvalid, None));
        assert_eq!(member("pageToken=%00"), (Reason::TextHasNul, Some("pageToken".to_owned())));
    }
}
