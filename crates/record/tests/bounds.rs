//! Each bound of a record.

use portolan_record::{
    BoundExceeded, Declaration, DeclaredParameter, PARAMETERS_MAX, RECORD_BYTES_MAX, Record, SEGMENTS_MAX,
    URL_BYTES_MAX,
};

fn check(path: &str) -> Result<(), BoundExceeded> {
    Record { path: path.into(), ..Record::default() }.check_bounds()
}

#[test]
fn each_bound_is_the_last_value_that_is_taken() {
    let path = |segments: usize| "/a".repeat(segments);
    assert_eq!(check(&path(SEGMENTS_MAX)), Ok(()));
    assert_eq!(check(&path(SEGMENTS_MAX + 1)), Err(BoundExceeded::Segments(SEGMENTS_MAX + 1)));
    let absolute = format!("https://h.example{}?a=/b/c", path(SEGMENTS_MAX));
    assert_eq!(check(&absolute), Ok(()));
    assert_eq!(check(&format!("/{}", "a".repeat(URL_BYTES_MAX - 1))), Ok(()));
    let long = format!("/{}", "a".repeat(URL_BYTES_MAX));
    assert_eq!(check(&long), Err(BoundExceeded::UrlBytes(URL_BYTES_MAX + 1)));
}

#[test]
fn declared_parameters_and_bytes_are_bounded() {
    let declared = |count: usize| {
        let json = r#"{"location":"query","responseCode":-1,"name":"a","schemaType":"string"}"#;
        let parameter: DeclaredParameter = serde_json::from_str(json).unwrap();
        let declaration = Declaration { parameters: vec![parameter; count], ..Declaration::default() };
        Record { path: "/a".into(), declaration: Some(Box::new(declaration)), ..Record::default() }
    };
    assert_eq!(declared(PARAMETERS_MAX).check_bounds(), Ok(()));
    let over = declared(PARAMETERS_MAX + 1);
    assert_eq!(over.to_bounded_json(), Err(BoundExceeded::Parameters(PARAMETERS_MAX + 1)));
    let large = Record { path: "/a".into(), request_payload: "x".repeat(RECORD_BYTES_MAX).into(), ..Record::default() };
    assert!(matches!(large.to_bounded_json(), Err(BoundExceeded::RecordBytes(_))));
}
