//! What a file is that no format takes.

use crate::members::is_archive;
use crate::text;

/// First bytes that tell a kind of file.
const MAGIC: [(&[u8], &str); 32] = [
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG image"),
    (b"\xFF\xD8\xFF", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a bitmap image"),
    (b"\0\0\x01\0", "an icon"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\xD4\xC3\xB2\xA1", "a pcap capture of packets"),
    (b"\xA1\xB2\xC3\xD4", "a pcap capture of packets"),
    (b"\x4D\x3C\xB2\xA1", "a pcap capture of packets"),
    (b"\xA1\xB2\x3C\x4D", "a pcap capture of packets"),
    (b"\x0A\x0D\x0D\x0A", "a pcapng capture of packets"),
    (b"\x1F\x8B", "gzip in gzip"),
    (b"\x28\xB5\x2F\xFD", "zstd in zstd"),
    (b"BZh", "a bzip2 file"),
    (b"\xFD7zXZ\0", "an xz file"),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
    (b"Rar!\x1A\x07", "a RAR archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x7FELF", "a program"),
    (b"MZ", "a program"),
    (b"\xCA\xFE\xBA\xBE", "a Java class"),
    (b"\0asm", "a WebAssembly module"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"Obj\x01", "an Avro file"),
    (b"PAR1", "a Parquet file"),
    (b"\xD0\xCF\x11\xE0", "an Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"OggS", "an Ogg recording"),
    (b"ID3", "an MP3 recording"),
    (b"wOF", "a font"),
];

/// Parts of XML documents that tell their kind, looked for in this order.
const XML: [(&str, &str); 16] = [
    ("http://www.w3.org/ns/wsdl", "a WSDL 2.0 document"),
    ("schemas.xmlsoap.org/wsdl/", "a WSDL 1.1 document"),
    ("<wsdl:definitions", "a WSDL 1.1 document"),
    ("wadl.dev.java.net", "a WADL document"),
    ("soapui-project", "a SoapUI project"),
    ("<jmeterTestPlan", "a JMeter test plan"),
    ("edmx:Edmx", "OData metadata"),
    ("<edmx", "OData metadata"),
    ("http://www.w3.org/2001/XMLSchema\"", "an XML Schema"),
    ("schemas.xmlsoap.org/soap/envelope", "a SOAP message"),
    ("http://www.w3.org/2003/05/soap-envelope", "a SOAP message"),
    ("<svg", "an SVG image"),
    ("<rss", "a feed"),
    ("http://www.w3.org/2005/Atom", "a feed"),
    ("<project", "a Maven project"),
    ("<plist", "a property list"),
];

/// Members of JSON and YAML documents that tell their kind.
const MEMBERS: [(&str, &str); 11] = [
    ("_postman_variable_scope", "a Postman environment"),
    ("overlay", "an OpenAPI overlay"),
    ("arazzo", "an Arazzo workflow"),
    ("openrpc", "an OpenRPC document"),
    ("smithy", "a Smithy model"),
    ("kind", "a manifest of Kubernetes"),
    ("$schema", "a JSON Schema"),
    ("AWSTemplateFormatVersion", "a template of CloudFormation"),
    ("lockfileVersion", "a lock file of npm"),
    ("devDependencies", "a package file of npm"),
    ("discoveryVersion", "a Google API discovery document"),
];

/// The formats of files that are read.
const ACCEPTED: &str = "HAR, OpenAPI 3, Swagger 1.2 and 2.0, AsyncAPI 2 and 3, GraphQL schemas, gRPC descriptor sets and \
                        .proto files, Postman collections, exports of Insomnia and Bruno, saved items of Burp, and Imperva \
                        schemas, also in gzip or zstd, and several in a zip archive";

/// What a file looks like that no format takes, and what is taken. The text is for the person who sent it.
pub fn unknown(prefix: &[u8]) -> String {
    format!("{}; accepted are {ACCEPTED}", kind(prefix))
}

fn kind(prefix: &[u8]) -> String {
    let this_is = |kind: &str| format!("this is {kind}");
    if prefix.is_empty() {
        return "it is empty".to_owned();
    }
    if is_archive(prefix) {
        return "this is a zip archive whose first members are of no accepted format".to_owned();
    }
    let is_riff = prefix.starts_with(b"RIFF") && prefix.get(8..12) == Some(b"WEBP");
    if is_riff {
        return this_is("a WebP image");
    }
    if prefix.get(4..8) == Some(b"ftyp") {
        return this_is("a video or an image in an MP4 container");
    }
    if prefix.get(257..262) == Some(b"ustar") {
        return this_is("a tar archive");
    }
    // Two letters may also begin a text.
    let is_text = !prefix.iter().take(4_096).any(|byte| *byte == 0);
    let magic =
        MAGIC.iter().find(|(bytes, _)| prefix.starts_with(bytes) && (bytes.len() > 2 || !is_text || bytes[0] > 127));
    let magic = magic.or_else(|| MAGIC.iter().find(|(bytes, _)| *bytes == b"\x1F\x8B" && prefix.starts_with(bytes)));
    if let Some((_, kind)) = magic {
        return this_is(kind);
    }
    let text = text::decode_prefix(prefix);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let head = &text[..text.floor_char_boundary(4_096)];
    if head.is_empty() {
        return "it holds nothing but blanks".to_owned();
    }
    if !is_text && !head.starts_with(['{', '[', '<']) && head.chars().any(|letter| letter == '\0') {
        return this_is("a binary file of an unknown kind");
    }
    of_text(head).map_or_else(|| "nothing in its first bytes tells its kind".to_owned(), this_is)
}

fn of_text(head: &str) -> Option<&'static str> {
    let lower = head.to_ascii_lowercase();
    if head.starts_with('<') {
        if lower.starts_with("<!doctype html") || lower.starts_with("<html") || lower.starts_with("<head") {
            return Some("an HTML page");
        }
        let known = XML.iter().find(|(part, _)| head.contains(part)).map(|(_, kind)| *kind);
        return known.or(Some(if lower.contains("<html") {
            "an HTML page"
        } else {
            "an XML document of an unknown kind"
        }));
    }
    let first = head.lines().next().unwrap_or_default().trim();
    let starts = [
        ("#%RAML", "a RAML document"),
        ("FORMAT: 1A", "an API Blueprint document"),
        ("curl ", "a curl command"),
        ("$ curl ", "a curl command"),
        ("$version:", "a Smithy model"),
        ("using TypeSpec", "a TypeSpec source"),
        ("import \"@typespec", "a TypeSpec source"),
        ("#!", "a script"),
        ("HTTP/", "an HTTP message"),
    ];
    if let Some((_, kind)) = starts.iter().find(|(start, _)| head.starts_with(start)) {
        return Some(kind);
    }
    if head.contains("\n# Group ")
        || head.lines().any(|line| line.starts_with("## ") && line.ends_with(']') && line.contains("[/"))
    {
        return Some("an API Blueprint document");
    }
    let is_json = head.starts_with(['{', '[']);
    if is_json {
        let known = MEMBERS.iter().find(|(name, _)| *name != "kind" && head.contains(&format!("\"{name}\"")));
        let manifest = head.contains("\"apiVersion\"") && head.contains("\"kind\"");
        let kubernetes = manifest.then_some("a manifest of Kubernetes");
        return known.map(|(_, kind)| *kind).or(kubernetes).or(Some("JSON without a member that tells its kind"));
    }
    let has_line = |start: &str| head.lines().any(|line| line.starts_with(start));
    if has_line("namespace ") && (has_line("service ") || has_line("struct "))
        || first.starts_with("namespace ") && !first.ends_with('{')
    {
        return Some("a Thrift definition");
    }
    if has_line("service ") && (head.contains("1: ") || head.contains("1:")) && has_line("struct ") {
        return Some("a Thrift definition");
    }
    if has_line("apiVersion:") && has_line("kind:") {
        return Some("a manifest of Kubernetes");
    }
    let member = MEMBERS.iter().find(|(name, _)| *name != "kind" && has_line(&format!("{name}:")));
    if let Some((_, kind)) = member {
        return Some(kind);
    }
    if ["GET ", "POST ", "PUT ", "DELETE ", "PATCH ", "HEAD ", "OPTIONS "].iter().any(|verb| first.starts_with(verb)) {
        return Some("a file of HTTP requests");
    }
    if has_line("message ") && head.contains('{') || has_line("enum ") && head.contains('{') {
        return Some("a .proto file without a service, syntax or package");
    }
    if first.starts_with("# ") {
        return Some("a Markdown text");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect;

    #[test]
    fn refusals_name_what_they_see() {
        let wsdl = "<?xml version=\"1.0\"?><definitions xmlns=\"http://schemas.xmlsoap.org/wsdl/\"/>";
        let thrift = "namespace java a.b\n\nservice Shop {\n  Order get(1: i64 id)\n}\n";
        let jmeter = "<?xml version=\"1.0\"?>\n<jmeterTestPlan version=\"1.2\"><hashTree/></jmeterTestPlan>";
        let soapui =
            "<?xml version=\"1.0\"?><con:soapui-project name=\"a\" xmlns:con=\"http://eviware.com/soapui/config\"/>";
        for (text, expected) in [
            ("<?xml version=\"1.0\"?><wsdl:definitions/>", "this is a WSDL 1.1 document; accepted are HAR"),
            (wsdl, "this is a WSDL 1.1 document"),
            ("<description xmlns=\"http://www.w3.org/ns/wsdl\"/>", "this is a WSDL 2.0 document"),
            (jmeter, "this is a JMeter test plan"),
            (soapui, "this is a SoapUI project"),
            ("<application xmlns=\"http://wadl.dev.java.net/2009/02\"/>", "this is a WADL document"),
            ("<edmx:Edmx Version=\"4.0\"/>", "this is OData metadata"),
            ("<!doctype HTML><title>a</title>", "this is an HTML page"),
            ("<HTML lang=en>", "this is an HTML page"),
            ("<note/>", "this is an XML document of an unknown kind"),
            ("#%RAML 1.0\ntitle: A\n", "this is a RAML document"),
            ("FORMAT: 1A\n# A\n", "this is an API Blueprint document"),
            ("# Shop\n\n## Orders [/orders]\n\n### List [GET]\n", "this is an API Blueprint document"),
            (thrift, "this is a Thrift definition"),
            ("curl https://a.example", "this is a curl command"),
            ("{\"values\": [], \"_postman_variable_scope\": \"environment\"}", "this is a Postman environment"),
            ("[{\"v\": 2, \"folders\": []}]", "this is JSON without a member that tells its kind"),
            ("{\"openrpc\": \"1.2.6\"}", "this is an OpenRPC document"),
            ("overlay: 1.0.0\ninfo: {}\n", "this is an OpenAPI overlay"),
            ("apiVersion: v1\nkind: Service\n", "this is a manifest of Kubernetes"),
            ("GET https://a.example\n", "this is a file of HTTP requests"),
            ("hello", "nothing in its first bytes"),
            (" \n", "it holds nothing but blanks"),
            ("", "it is empty"),
        ] {
            assert_eq!(detect(text.as_bytes()), None, "{text}");
            assert!(unknown(text.as_bytes()).starts_with(expected), "{text}: {}", unknown(text.as_bytes()));
        }
        for (bytes, expected) in [
            (&b"%PDF-1.7"[..], "this is a PDF"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "this is a PNG image"),
            (b"\xFF\xD8\xFF\xE0\0\x10JFIF", "this is a JPEG image"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "this is a WebP image"),
            (b"\xD4\xC3\xB2\xA1\x02\0\x04\0", "this is a pcap capture"),
            (b"\x0A\x0D\x0D\x0A\x1C\0\0\0", "this is a pcapng capture"),
            (b"\x1F\x8B\x08\0", "this is gzip in gzip"),
            (b"\x7FELF\x02\x01", "this is a program"),
            (b"MZ\x90\0\x03\0", "this is a program"),
            (b"PK\x05\x06\0\0", "this is an empty zip archive"),
            (b"PK\x03\x04\x0A\0openapi: 3.0.0\n", "this is a zip archive whose first members"),
            (b"\x01\x02\x03\0\0\0", "this is a binary file of an unknown kind"),
        ] {
            assert_eq!(detect(bytes), None, "{expected}");
            assert!(unknown(bytes).starts_with(expected), "{expected}: {}", unknown(bytes));
        }
    }
}
