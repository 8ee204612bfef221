//! Templates and the trie against their plain readings.

use std::borrow::Cow;

use portolan_path::{Kind, Segment, StrictPath, Template, Trie};
use proptest::prelude::*;

fn parse(path: &str) -> Template {
    Template::parse(path, &|name| {
        let is_number = name.ends_with("Number") && !name.contains(',');
        if is_number { Kind::Integer } else { Kind::String }
    })
}

#[test]
fn templates_are_read_and_written_in_both_forms() {
    for (path, words, names) in [
        ("/", "/", "/"),
        ("", "/", "/"),
        ("/books", "/books", "/books"),
        ("/books/", "/books/", "/books/"),
        ("/books/{id}", "/books/STRING", "/books/{id}"),
        ("/books/{bookNumber}", "/books/INTEGER", "/books/{bookNumber}"),
        ("/jobs/{jobId}:cancel", "/jobs/STRING:cancel", "/jobs/{jobId}:cancel"),
        ("/jobs:batchGet", "/jobs:batchGet", "/jobs:batchGet"),
        ("/files/{name}.csv", "/files/STRING.csv", "/files/{name}.csv"),
        ("/Customers('{id}')/Orders", "/Customers('STRING')/Orders", "/Customers('{id}')/Orders"),
        ("/Orders(A={a},B='{b}')", "/Orders(A=STRING,B='STRING')", "/Orders(A={a},B='{b}')"),
        ("/near({lat},{lon})", "/near(STRING,STRING)", "/near({lat},{lon})"),
        ("/c/{base}...{head}", "/c/STRING...STRING", "/c/{base}...{head}"),
        ("/v{major}/x", "/vSTRING/x", "/v{major}/x"),
        ("/{y}_{m}", "/STRING_STRING", "/{y}_{m}"),
        ("/X{a}", "/X{STRING}", "/X{a}"),
        ("/{a}{b}", "/STRING", "/{a,b}"),
        ("/{proxy+}", "/STRING+", "/{proxy+}"),
        ("/files/{path=**}", "/files/STRING+", "/files/{path+}"),
        ("/files/{path*}", "/files/STRING+", "/files/{path+}"),
        ("/files/{+path}", "/files/STRING+", "/files/{path+}"),
        ("/files/{file:.*}", "/files/STRING+", "/files/{file+}"),
        ("/x/{n:int}", "/x/INTEGER", "/x/{n}"),
        (
            "/v1/{name=projects/*/jobs/*}:run",
            "/v1/projects/STRING/jobs/STRING:run",
            "/v1/projects/{name}/jobs/{name}:run",
        ),
        ("/find{?q,page}", "/find", "/find"),
        ("/a{/b}", "/a/STRING", "/a/{b}"),
        ("/a/{id", "/a/{id", "/a/{id"),
        ("/a/{}", "/a/STRING", "/a/{param1}"),
        ("/caf%c3%a9/%7Eme", "/caf%C3%A9/~me", "/caf%C3%A9/~me"),
        // Dots of a part are no dot segment, however they are written.
        ("/%2E", "/.", "/."),
        ("/a/%2e%2e", "/a/..", "/a/.."),
        ("/{a}%2E", "/STRING.", "/{a}."),
        ("/types/STRING", "/types/%53TRING", "/types/STRING"),
        ("/types/FLOAT_VECTOR", "/types/FLOAT_VECTOR", "/types/FLOAT_VECTOR"),
    ] {
        let template = parse(path);
        assert_eq!(template.words(), words, "{path}");
        assert_eq!(template.names(), names, "{path}");
        assert!(Template::of_words(words).has_shape_of(&template), "{path}: {:?}", Template::of_words(words));
    }
}

#[test]
fn parts_of_a_segment_match_by_literals_and_kinds() {
    for (segment, text, expected) in [
        ("{id}:cancel", "7:cancel", true),
        ("{id}:cancel", ":cancel", false),
        ("{id}:cancel", "a:b:cancel", true),
        ("{id}:cancel", "7:cancel2", false),
        ("Orders({oNumber})", "Orders(7)", true),
        ("Orders({oNumber})", "Orders(x)", false),
        ("{a}.{bNumber}", "x.y.7", true),
        ("{a}...{b}", "main...topic", true),
        ("{a}...{b}", "main...", false),
        ("{a}-{b}-{c}", "1-2-3", true),
        ("{a}-{b}-{c}", "1-2", false),
        ("{a}é", "xé", true),
    ] {
        let kind = |name: &str| if name.ends_with("Number") { Kind::Integer } else { Kind::String };
        assert_eq!(Segment::parse(segment, true, &kind).matches(text), expected, "{segment} {text}");
    }
    let hostile = Segment::parse(&"{a}-".repeat(40), true, &|_| Kind::String);
    assert!(!hostile.matches(&format!("{}x", "-".repeat(16_000))));
}

/// The same decision without any index: every template is tried, the best kept.
fn naive(templates: &[Template], path: &[Cow<'_, str>], ends_with_slash: bool) -> Option<String> {
    let rank = |template: &Template| {
        let segments = template.segments.iter().map(|segment| {
            let literals = segment.words().len() - segment.variables().map(|v| v.kind.token().len()).sum::<usize>();
            match segment {
                Segment::Literal(_) => (0, 0, String::new()),
                Segment::Mixed(_) => (1, usize::MAX - literals, segment.words()),
                Segment::Variable(variable) => (2, variable.kind as usize, String::new()),
                Segment::Greedy(variable) => (3, variable.kind as usize, String::new()),
            }
        });
        (segments.collect::<Vec<_>>(), template.ends_with_slash != ends_with_slash)
    };
    templates.iter().filter(|template| template.matches(path)).min_by_key(|t| rank(t)).map(Template::words)
}

const SEGMENT: &str = "a|b|me|\\{x\\}|\\{nNumber\\}|\\{x\\}:go|\\{x\\}:goon|\\{x\\}\\.csv|a-\\{x\\}|a-\\{nNumber\\}|\\{x\\}-\\{y\\}|K\\('\\{x\\}'\\)";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_trie_decides_as_the_naive_reading(
        templates in prop::collection::vec(
            (prop::collection::vec(SEGMENT, 0..4), "|/|/\\{rest\\+\\}"), 1..24,
        ),
        paths in prop::collection::vec(
            (prop::collection::vec("a|b|me|7|7:go|x:goon|7\\.csv|a-7|a-x|1-2|K\\('7'\\)|:go", 0..5), any::<bool>()), 1..24,
        ),
    ) {
        let mut templates: Vec<_> = templates
            .iter()
            .map(|(segments, end)| parse(&format!("/{}{end}", segments.join("/"))))
            .collect();
        templates.dedup_by_key(|template| template.words());
        let mut trie = Trie::new(false);
        let nodes: Vec<_> = templates.iter().map(|template| trie.insert(template, template.words())).collect();
        let agree = |trie: &Trie<String>, templates: &[Template]| {
            for (path, slash) in &paths {
                let path: Vec<_> = path.iter().map(|segment| Cow::Borrowed(segment.as_str())).collect();
                let found = trie.find(&path, *slash, &|_| true).first().cloned();
                prop_assert_eq!(found, naive(templates, &path, *slash), "{:?}", path);
            }
            Ok(())
        };
        agree(&trie, &templates)?;
        let gone: Vec<_> = templates.iter().step_by(2).map(Template::words).collect();
        nodes.iter().for_each(|node| trie.retain(*node, |words| !gone.contains(words)));
        templates.retain(|template| !gone.contains(&template.words()));
        agree(&trie, &templates)?;
    }

    #[test]
    fn a_written_template_reads_back(path in "(/([a-z]|[A-Z]|[0-9_.:'(),=~+-]|\\{[a-z]{1,3}(Number)?\\}|STRING|INTEGER|%[0-9A-F]{2}){0,6}){0,4}/?(\\{p\\+\\})?") {
        let template = parse(&path);
        prop_assert!(Template::of_words(&template.words()).has_shape_of(&template), "{} {:?}", template.words(), template);
        let again = parse(&template.names());
        prop_assert_eq!(again.words(), template.words());
    }

    #[test]
    fn distinct_templates_stay_distinct(left in "(/(a|b|\\{x\\}|\\{nNumber\\}|:|STRING|_){1,4}){1,2}", right in "(/(a|b|\\{y\\}|\\{mNumber\\}|:|STRING|_){1,4}){1,2}") {
        let (left, right) = (parse(&left), parse(&right));
        prop_assert_eq!(left.words() == right.words(), left.has_shape_of(&right));
    }
}

#[test]
fn literals_are_compared_decoded_and_on_request_without_case() {
    let find = |ignores_case, path: &str| {
        let mut trie = Trie::new(ignores_case);
        trie.insert(&parse("/Caf%C3%A9/{x}:Go"), 1);
        let path: Vec<_> = path.split('/').collect();
        trie.find(&path, false, &|_| true).len()
    };
    assert_eq!((find(false, "Café/X:Go"), find(false, "café/X:Go"), find(true, "CAFé/X:go")), (1, 0, 1));
}

#[test]
fn a_template_without_a_wanted_value_yields_to_the_next() {
    let mut trie = Trie::new(false);
    trie.insert(&parse("/users/me"), 1);
    trie.insert(&parse("/users/{id}"), 2);
    trie.insert(&parse("/{rest+}"), 3);
    let path = StrictPath::parse("/users/me").unwrap().segments;
    for (wanted, expected) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(trie.find(&path, false, &|values| values.contains(&wanted)), [expected]);
    }
}
