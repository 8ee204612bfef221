//! One look-up among a thousand templates and among a million.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use portolan_path::{Kind, StrictPath, Template, Trie};

fn template(number: usize) -> String {
    let (service, resource) = (number / 1000, number % 1000);
    match resource % 5 {
        0 => format!("/svc{service}/resource{resource}"),
        1 => format!("/svc{service}/resource{resource}/{{id}}"),
        2 => format!("/svc{service}/resource{resource}/{{id}}/items/{{item}}"),
        3 => format!("/svc{service}/resource{resource}/{{id}}:cancel"),
        _ => format!("/svc{service}/Set{resource}('{{id}}')/value"),
    }
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trie");
    for count in [1_000, 1_000_000] {
        let mut trie = Trie::new(false);
        for number in 0..count {
            trie.insert(&Template::parse(&template(number), &|_| Kind::String), number);
        }
        let paths: Vec<_> = (0..1000)
            .map(|index| template(index * (count / 1000)).replace("{id}", "7f3c9a12").replace("{item}", "42"))
            .collect();
        let mut at = 0;
        group.bench_function(format!("{count}"), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % paths.len();
                let path = StrictPath::parse(&paths[at]).expect("a plain path");
                let found = trie.find(&path.segments, false, &|_| true);
                assert_eq!(found.len(), 1);
                black_box(found.first().copied())
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
