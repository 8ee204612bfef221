use portolan_record::{Declaration, DeclaredAuth, DeclaredParameter, Location, Source};

use super::*;

fn outcomes(text: &str) -> Vec<OperationOutcome> {
    let target = Target { account_id: 1, collection_id: 7, time: 9, source: Source::OpenApi };
    Document::parse(text.as_bytes()).unwrap().operations(&target).collect()
}

fn only(text: &str) -> OperationOutcome {
    let mut outcomes = outcomes(text);
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes.remove(0)
}

fn declaration(outcome: &OperationOutcome) -> &Declaration {
    outcome.record.as_ref().unwrap().declaration.as_deref().unwrap()
}

/// One line a parameter: place, code, name, type, and what else is known.
fn lines(outcome: &OperationOutcome) -> Vec<String> {
    let line = |parameter: &DeclaredParameter| {
        let mut line = format!(
            "{:?} {} {}:{}",
            parameter.location, parameter.response_code, parameter.name, parameter.schema_type
        );
        parameter.format.iter().for_each(|format| line.push_str(&format!("/{format}")));
        line.push_str(if parameter.required { "!" } else { "" });
        parameter.label.iter().for_each(|label| line.push_str(&format!(" <{label}>")));
        if !parameter.examples.is_empty() {
            line.push_str(&format!(" {}", parameter.examples.join("|")));
        }
        line
    };
    declaration(outcome).parameters.iter().map(line).collect()
}

#[test]
fn an_operation_becomes_a_record() {
    let outcome = only(
        "openapi: 3.1.0
info: {title: Books}
servers: [{url: https://api.example.com/v1/}]
security: [{jwt: []}]
paths:
  /books/{id}/{name}:
    summary: shared
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer, format: int64}, example: 12}
      - {name: page, in: query, schema: {type: integer, default: 1}}
      - {name: 'filter[a]', in: query, schema: {type: string, enum: [x, y]}}
    put:
      deprecated: true
      tags: [books, 'shop', 7]
      parameters:
        - {name: page, in: query, required: true, schema: {type: string}}
        - {name: X-Trace, in: header, schema: {type: [string, 'null']}}
        - {name: sid, in: cookie, schema: {type: string}}
      requestBody:
        content:
          text/xml: {schema: {type: object, properties: {no: {type: string}}}}
          application/json:
            schema: {$ref: '#/components/schemas/Book'}
            example: {title: Emma}
      responses:
        404: {description: none}
        201:
          description: made
          headers: {Location: {schema: {type: string, format: uri}}}
          content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Book'}}}}
        default: {description: other}
components:
  securitySchemes: {jwt: {type: http, scheme: bearer}}
  schemas:
    Book: {required: [title], properties: {id: {type: integer, readOnly: true}, title: {type: string}}}
",
    );
    assert_eq!(outcome.url, "https://api.example.com/v1/books/INTEGER/STRING");
    assert_eq!(outcome.method, "PUT");
    assert_eq!(outcome.errors, []);
    let record = outcome.record.as_ref().unwrap();
    assert_eq!(record.path, outcome.url);
    assert_eq!(record.request_headers, r#"{"host":"api.example.com"}"#);
    assert_eq!((record.status_code, record.source, record.time, &*record.ip), (201, Source::OpenApi, 9, "null"));
    let declared = declaration(&outcome);
    assert_eq!((declared.deprecated, declared.summary.as_deref()), (true, Some("shared")));
    assert_eq!(declared.tags, ["books", "shop"]);
    assert_eq!(declared.response_codes, [201, 404]);
    assert_eq!(declared.auth, [DeclaredAuth::Bearer.into()]);
    assert_eq!(
        lines(&outcome),
        [
            "Path -1 2:integer/int64! <id> 12",
            "Path -1 3:string! <name>",
            "Query -1 page:string!",
            "Query -1 filter[a]:string x|y",
            "Header -1 x-trace:string",
            "Cookie -1 sid:string",
            "Header -1 content-type:string text/xml|application/json",
            "Body -1 title:string! Emma",
            "Body -1 no:string",
            "Header 201 location:string/uri",
            "Header 201 content-type:string application/json",
            "Body 201 json#$#id:integer",
            "Body 201 json#$#title:string!",
        ]
    );
}

#[test]
fn swagger_operations_become_records() {
    let outcomes = outcomes(
        r##"{"swagger": "2.0", "info": {"title": "S"}, "host": "h.example", "basePath": "/v2", "schemes": ["http"],
        "consumes": ["application/json"], "securityDefinitions": {"k": {"type": "apiKey"}},
        "parameters": {"limit": {"name": "limit", "in": "query", "type": "integer", "x-example": 5}},
        "definitions": {"Pet": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "paths": {"/pets": {
          "post": {"parameters": [{"$ref": "#/parameters/limit"},
              {"in": "body", "name": "pet", "schema": {"$ref": "#/definitions/Pet"}}],
            "security": [{"k": []}],
            "responses": {"2XX": {"description": "", "schema": {"$ref": "#/definitions/Pet"},
              "examples": {"application/json": {"name": "Rex"}}}}},
          "put": {"consumes": ["multipart/form-data"], "parameters": [
              {"in": "formData", "name": "file", "type": "file", "required": true}]}}}}"##,
    );
    assert_eq!(outcomes[0].url, "http://h.example/v2/pets");
    assert_eq!(
        lines(&outcomes[0]),
        [
            "Query -1 limit:integer 5",
            "Header -1 content-type:string application/json",
            "Body -1 name:string",
            "Body 200 name:string Rex",
        ]
    );
    assert_eq!(declaration(&outcomes[0]).auth, [DeclaredAuth::ApiKey.into()]);
    assert_eq!(outcomes[0].record.as_ref().unwrap().status_code, 200);
    assert!(declaration(&outcomes[0]).response_codes.is_empty());
    assert_eq!(
        lines(&outcomes[1]),
        ["Header -1 content-type:string multipart/form-data", "Body -1 file:string/binary!"]
    );
}

#[test]
fn servers_stand_at_three_levels() {
    let outcomes = outcomes(
        "openapi: 3.0.0\nservers: [{url: /root}]\npaths:
  /a: {servers: [{url: https://item.example}], get: {}, put: {servers: [{url: 'http://op.example:8080/x/'}]}}
  /b/: {get: {servers: []}}
  c: {get:}\n",
    );
    let urls: Vec<_> = outcomes.iter().map(|outcome| &*outcome.url).collect();
    assert_eq!(urls, ["https://item.example/a", "http://op.example:8080/x/a", "/root/b/", "/root/c"]);
    let headers: Vec<_> = outcomes.iter().map(|o| o.record.as_ref().unwrap().request_headers.as_ref()).collect();
    assert_eq!(headers, [r#"{"host":"item.example"}"#, r#"{"host":"op.example:8080"}"#, "", ""]);
}

#[test]
fn a_bad_operation_leaves_its_siblings() {
    let outcomes = outcomes(
        "openapi: 3.0.0
paths:
  x-note: {get: {}}
  /a/{id}:
    get: nonsense
    put: {parameters: [{$ref: '#/gone'}]}
    post: {parameters: [{$ref: 'https://x/y'}, {name: id, in: path, schema: {type: number}}, {in: query}, 7]}
    patch: {parameters: {}, requestBody: {$ref: 'other.yaml#/b'}, security: [{none: []}]}
    delete: {parameters: [{name: id, in: path}], requestBody: {content: {a/json: {schema: {$ref: '#/gone'}}}},
             responses: {200: {$ref: '#/gone'}}, security: [{none: []}]}
    head: {}
",
    );
    let check = |at: usize, method: &str, converted: bool, expected: &[(ErrorType, &str)]| {
        let outcome = &outcomes[at];
        assert_eq!((&*outcome.method, outcome.record.is_some()), (method, converted));
        let found: Vec<_> = outcome.errors.iter().map(|error| (error.error_type, &*error.error)).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((found_type, found), (expected_type, start)) in found.iter().zip(expected) {
            assert!(found_type == expected_type && found.starts_with(start), "{found}");
        }
    };
    use ErrorType::{Error, Warning};
    check(0, "GET", false, &[(Error, "Error while converting message to Akto format: ")]);
    check(1, "PUT", false, &[(Error, "unable to parse path parameters: reference #/gone points to nothing")]);
    let left_out = (Warning, "unable to parse path parameters: a parameter has no name or no known place");
    check(
        2,
        "POST",
        true,
        &[(Warning, "unable to parse path parameters: reference https://x/y points to another"), left_out, left_out],
    );
    assert_eq!(outcomes[2].url, "/a/FLOAT");
    check(3, "PATCH", false, &[(Error, "unable to parse path parameters: the member `parameters` is not an array")]);
    check(
        4,
        "DELETE",
        true,
        &[
            (Error, "Unable to parse request body: reference #/gone"),
            (Warning, "Error while converting response to Akto format: reference #/gone"),
            (Warning, "unable to parse security schemes: scheme `none` is not defined"),
        ],
    );
    check(5, "HEAD", true, &[]);
    assert_eq!(outcomes.len(), 6);
}

#[test]
fn path_items_may_be_references() {
    let text = "openapi: 3.1.0
paths:
  /a: {$ref: '#/components/pathItems/p', put: {}}
  /far: {$ref: 'https://x/y'}
  /self: {$ref: '#/paths/~1self'}
components: {pathItems: {p: {get: {}, put: {summary: hidden}}}}
webhooks: {w: {post: {}}}
";
    let methods: Vec<_> = outcomes(text).into_iter().map(|outcome| outcome.method).collect();
    assert_eq!(methods, ["PUT", "GET"]);
    let document = Document::parse(text.as_bytes()).unwrap();
    let errors: Vec<_> = document.errors().iter().map(|error| &*error.error).collect();
    assert_eq!(errors.len(), 4);
    assert_eq!(errors[0], "path /a: the method PUT stands twice, and the first one counts");
    assert!(errors[1].starts_with("path /far cannot be read: reference https://x/y points to another document"));
    assert!(errors[2].starts_with("path /self cannot be read: reference #/paths/~1self leads"));
    assert!(errors[3].starts_with("1 webhooks and 0 callbacks"));
}

#[test]
fn documents_are_recognized_or_refused_with_a_reason() {
    let check = |text: &str, expected: &str| {
        let error = Document::parse(text.as_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("", "the text is empty");
    check("hello", "not an object");
    check("{}", "neither a member `openapi`");
    check(r#"{"info": {}, "item": []}"#, "neither a member `openapi`");
    check("openapi: 4.0.0\npaths: {}", "version `4.0.0` is not supported");
    check("swagger: '1.2'\npaths: {}", "version `1.2` is not supported");
    check("openapi: {}\npaths: {}", "version `` is not supported");
    check("openapi: 3.0.0\npaths: []", "`paths` is not an object");
    check("openapi: 3.0.0\n", "`paths` is missing");
    check("openapi: 3.0.0\npaths:\n  /a: [\n", "line ");
    check("{\"openapi\": \"3.0.0\",\n\n \"paths\": {]}", "line 3, column 12");
    check("openapi: 3.0.0\npaths: {\u{0}}", "line 2");
    let document = Document::parse(b"swagger: 2.0\ninfo: {title: T}\npaths:\n").unwrap();
    assert_eq!((document.title(), document.version(), document.operation_count()), (Some("T"), "2.0", 0));
    let doubled = Document::parse(b"openapi: 3.0.0\npaths: {/a: {get: {}}, /a: {put: {}}}").unwrap();
    assert_eq!(doubled.errors()[0].error, "duplicate member `/a`: the last one counts");
}

#[test]
fn a_shared_costly_schema_is_bounded() {
    let mut text = String::from("openapi: 3.0.0\npaths:\n");
    for n in 0..50 {
        text.push_str(&format!(
            "  /p{n}: {{post: {{requestBody: {{content: {{a/json: {{schema: {{$ref: '#/s/l0'}}}}}}}}}}}}\n"
        ));
    }
    text.push_str("s:\n");
    for level in 0..40 {
        let next = format!("{{$ref: '#/s/l{}'}}", level + 1);
        text.push_str(&format!("  l{level}: {{anyOf: [{next}, {next}], properties: {{a: {next}, b: {next}}}}}\n"));
    }
    text.push_str("  l40: {type: string}\n");
    for outcome in outcomes(&text) {
        let parameters = &declaration(&outcome).parameters;
        assert!(parameters.iter().filter(|parameter| parameter.location == Location::Body).count() <= 1000);
    }
}
