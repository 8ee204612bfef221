//! What a decision costs when there is much to decide by: 100,000 profiles and 1,000,000 endpoints against 100 and 1,000.
//! Prints a row of a Markdown table. Requests go to random endpoints by random profiles, so that caches of the processor
//! help as little as they do at the edge.

use std::{borrow::Cow, hint::black_box, time::Instant};

use portolan_tokens::{
    enforce::{Hosts, Method, Profiles, Routes, profile::Profile},
    model::edge::{Endpoint, ProfileRow, digest_of},
};

const REQUESTS: usize = 500_000;
const HOSTS: usize = 20;

fn main() {
    let small = cost(100, 1_000);
    let large = cost(100_000, 1_000_000);
    println!(
        "| look-ups of a decision among 100,000 profiles and 1,000,000 endpoints | {large:.0} ns | among 100 and 1,000 \
         {small:.0} ns | {:.2} × | – |",
        large / small
    );
}

/// Nanoseconds for finding endpoint and profile of a request, the median of five rounds.
fn cost(profile_count: usize, endpoint_count: usize) -> f64 {
    let mut profiles = Profiles::default();
    for id in 0..profile_count {
        let row = ProfileRow {
            profile_id: (id as i64).into(),
            account_id: 1.into(),
            auth_type: "token".into(),
            active: true,
            secret_digest: Some(hex::encode(digest_of(&secret(id)))),
            collection_ids: vec![1.into()],
            ..ProfileRow::default()
        };
        profiles.put(Profile::new(row));
    }
    let mut routes = Routes::new(Hosts::default());
    for id in 0..endpoint_count {
        routes.put(&Endpoint {
            endpoint_id: (id as i64).into(),
            account_id: 1.into(),
            collection_id: 1.into(),
            host: host(id),
            method: "GET".into(),
            path: format!("/v1/area{}/thing{}/INTEGER", id % 97, id),
            active: true,
        });
    }
    let requests: Vec<_> = (0..REQUESTS)
        .map(|n| {
            // A fixed walk that jumps everywhere.
            let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11;
            let id = n % endpoint_count;
            (host(id), format!("v1/area{}/thing{}/42", id % 97, id), secret(n % profile_count))
        })
        .collect();
    let mut rounds: Vec<_> = (0..5)
        .map(|_| {
            let began = Instant::now();
            for (host, path, secret) in &requests {
                let path: Vec<_> = path.split('/').map(Cow::Borrowed).collect();
                black_box(routes.find(host, &path, Method { name: "GET", is_common: true }, None));
                black_box(profiles.by_digest(&digest_of(secret)).expect("the profile is there"));
            }
            began.elapsed().as_nanos() as f64 / REQUESTS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[2]
}

fn host(id: usize) -> String {
    format!("api{}.example.com", id % HOSTS)
}

fn secret(id: usize) -> String {
    format!("{id:064x}")
}
