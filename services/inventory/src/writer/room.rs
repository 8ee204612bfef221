use portolan_engine::template::Catalog;

use crate::model::{deltas, deltas::Deltas, keys};

/// Deltas for a collection that may have no more raw URLs: those of URLs that it has, and of URLs that a template of it
/// stands for, which count as calls of the template. What has no place in it comes second.
pub fn fit(catalog: &Catalog, deltas: Deltas, bytes_max: usize) -> (Deltas, Deltas) {
    if catalog.bytes() < bytes_max {
        return (deltas, Deltas::new());
    }
    let (mut fitting, mut rest) = (Deltas::new(), Deltas::new());
    for (key, mut delta) in deltas {
        let (method, url) = (delta.seen.method, &delta.seen.raw_url);
        if catalog.effective(method, url).is_some() {
            deltas::merge(&mut fitting, Deltas::from([(key, delta)]));
            continue;
        }
        // What stands for itself counts as no call of a template.
        let stands = delta.seen.facts.never_merge || delta.seen.facts.declared;
        match catalog.template_of(method, url).filter(|_| !stands) {
            Some(template) => {
                let key = keys::endpoint_key(method.name(), &template);
                delta.seen.raw_url = template;
                deltas::merge(&mut fitting, Deltas::from([(key, delta)]));
            }
            None => _ = rest.insert(key, delta),
        }
    }
    (fitting, rest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portolan_log::Stored;
    use portolan_record::Record;

    use super::*;
    use crate::{ingest::batch, model::detectors::DetectorSet};

    fn deltas(urls: &[String]) -> Deltas {
        let stored = |url: &String| {
            let record = Record {
                account_id: 1,
                collection_id: 1,
                method: "GET".into(),
                path: url.as_str().into(),
                status_code: 200,
                time: 7,
                ..Record::default()
            };
            Stored { offset: 0, key: Default::default(), value: record.to_json().into_bytes().into(), producer: None }
        };
        let records: Vec<_> = urls.iter().map(stored).collect();
        let batch = batch::fold(&records, Arc::default(), &DetectorSet::default());
        batch.deltas.into_values().next().unwrap()
    }

    #[test]
    fn a_full_collection_takes_what_it_knows_and_what_a_template_stands_for() {
        let urls = |from: usize, to: usize| (from..to).map(|at| format!("/people/Qx{at}")).collect::<Vec<_>>();
        let mut catalog = Catalog::default();
        for delta in deltas(&urls(0, 20)).into_values() {
            catalog.update(&delta.seen.raw_endpoint());
        }
        let sent = [urls(19, 25), vec!["/unseen/of/it".to_owned()]].concat();
        let (all, none) = fit(&catalog, deltas(&sent), catalog.bytes() + 1);
        assert_eq!((all.len(), none.len()), (7, 0));
        let (fitting, rest) = fit(&catalog, deltas(&sent), catalog.bytes());
        let calls = |deltas: &Deltas| {
            let one = |delta: &crate::model::deltas::Delta| {
                (delta.seen.raw_url.clone(), delta.seen.facts.status_counts.values().sum::<u64>())
            };
            deltas.values().map(one).collect::<std::collections::BTreeMap<_, _>>()
        };
        let expected = [("/people/Qx19".to_owned(), 1), ("/people/STRING".to_owned(), 5)];
        assert_eq!(calls(&fitting), expected.into());
        assert_eq!(calls(&rest), [("/unseen/of/it".to_owned(), 1)].into());
    }
}
