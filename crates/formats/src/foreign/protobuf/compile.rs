//! `.proto` files into descriptors. Options other than the HTTP rules say nothing here, so the files that define them
//! need not be there.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::DescriptorPool;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, UninterpretedOption,
};
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::FormatError;
use crate::notes::{Notes, cut, listed};

/// The texts of `.proto` files by their paths.
pub(crate) type Sources = BTreeMap<String, String>;

/// Imports that every compiler has.
const KNOWN: &str = "google/protobuf/";
const HTTP: (&str, &str) = ("google/api/http.proto", include_str!("http.proto"));
const ANNOTATIONS: (&str, &str) = ("google/api/annotations.proto", include_str!("annotations.proto"));

/// Whether a text is a `.proto` file, by its first statement.
pub(crate) fn is_source(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        rest = match rest {
            comment if comment.starts_with("//") => comment.split_once('\n').map_or("", |(_, rest)| rest),
            comment if comment.starts_with("/*") => comment.split_once("*/").map_or("", |(_, rest)| rest),
            _ => break,
        }
        .trim_start();
    }
    let statement = rest.split([';', '{', '\n']).next().unwrap_or_default();
    let ended = rest[statement.len()..].starts_with(';');
    let mut words = statement.split_whitespace();
    match words.next() {
        Some(first) if first.starts_with("syntax") || first.starts_with("edition") => {
            let value: String = statement.chars().filter(|letter| !letter.is_whitespace()).collect();
            ended
                && ["syntax=\"proto", "syntax='proto", "edition=\"", "edition='"]
                    .iter()
                    .any(|start| value.starts_with(start))
        }
        Some("package") => {
            let name = words.next().unwrap_or_default();
            ended && words.next().is_none() && !name.is_empty() && rest.contains('{')
        }
        Some("import") => ended && statement.trim_end_matches(['"', '\'']).ends_with(".proto"),
        _ => false,
    }
}

/// Deepest nesting of a file; the parser needs stack for each level.
const DEPTH_MAX: usize = 64;

/// How deep braces of any kind nest. Those in texts and comments count too, where they are rarely as many.
fn depth_of(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// # Errors
/// [`FormatError::NotOpenApi`] with the file and what is wrong in it.
pub(super) fn compile(sources: &Sources, notes: &mut Notes) -> Result<DescriptorPool, FormatError> {
    let refused = |name: &str, reason: &str| {
        FormatError::NotOpenApi(format!("the file {} does not compile: {}", cut(name), cut(reason)))
    };
    let mut parsed = Vec::new();
    for (path, text) in sources {
        if depth_of(text) > DEPTH_MAX {
            return Err(refused(path, &format!("it nests deeper than {DEPTH_MAX} levels")));
        }
        let file = File::from_source(path, text).map_err(|error| refused(path, &reason(&error, text)))?;
        parsed.push((path, file.file_descriptor_proto().clone()));
    }
    let imports: BTreeSet<String> = parsed.iter().flat_map(|(_, file)| file.dependency.iter().cloned()).collect();
    let mut files = BTreeMap::new();
    for (path, mut file) in parsed {
        let name = imported_as(path, &imports);
        file.name = Some(name.clone());
        files.insert(name, file);
    }
    for (name, text) in [HTTP, ANNOTATIONS] {
        if !files.contains_key(name) {
            let file = File::from_source(name, text).map_err(|error| refused(name, &error.to_string()))?;
            files.insert(name.to_owned(), file.file_descriptor_proto().clone());
        }
    }
    let names: BTreeSet<String> = files.keys().cloned().collect();
    let mut missing = BTreeSet::new();
    for file in files.values_mut() {
        reduce(file, &names, &mut missing);
    }
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|name| cut(name)).collect();
        notes.warn(format!("{} imported files are not there: {}", names.len(), listed(&names)));
    }
    let mut compiler = protox::Compiler::with_file_resolver(Files { files, known: GoogleFileResolver::new() });
    compiler.include_imports(true);
    for name in &names {
        if let Err(error) = compiler.open_file(name) {
            let mut reason = error.to_string();
            if !missing.is_empty() {
                let absent: Vec<String> = missing.iter().map(|name| cut(name)).collect();
                reason.push_str(&format!("; these imported files are not there: {}", listed(&absent)));
            }
            return Err(refused(error.file().unwrap_or(name), &reason));
        }
    }
    Ok(compiler.descriptor_pool())
}

/// The parser's sentence with the line, where it tells one.
fn reason(error: &protox::Error, text: &str) -> String {
    let whole = format!("{error:?}");
    let sentence = error.to_string();
    // The place is told in the form for programmers only, as `file:line:column`.
    let place = whole.split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
    match place.filter(|line| *line <= text.lines().count()) {
        Some(line) if !sentence.contains(&format!(":{line}:")) => format!("line {line}: {sentence}"),
        _ => sentence,
    }
}

/// The name by which others import a file: the longest end of its path that is imported.
fn imported_as(path: &str, imports: &BTreeSet<String>) -> String {
    let ends = std::iter::once(path).chain(path.match_indices('/').map(|(at, _)| &path[at + 1..]));
    ends.into_iter().find(|end| imports.contains(*end)).unwrap_or(path).to_owned()
}

/// Takes out imports that are not there, and the options that say nothing here.
fn reduce(file: &mut FileDescriptorProto, names: &BTreeSet<String>, missing: &mut BTreeSet<String>) {
    let is_there = |name: &String| names.contains(name) || name.starts_with(KNOWN);
    missing.extend(file.dependency.iter().filter(|name| !is_there(name)).cloned());
    let kept: Vec<String> = file.dependency.iter().filter(|name| is_there(name)).cloned().collect();
    let public: Vec<String> = file
        .public_dependency
        .iter()
        .filter_map(|at| file.dependency.get(usize::try_from(*at).ok()?).cloned())
        .collect();
    let place = |name: &String| kept.iter().position(|known| known == name).and_then(|at| i32::try_from(at).ok());
    file.public_dependency = public.iter().filter_map(place).collect();
    file.weak_dependency = Vec::new();
    file.dependency = kept;
    if let Some(options) = &mut file.options {
        plain(&mut options.uninterpreted_option);
    }
    file.message_type.iter_mut().for_each(reduce_message);
    file.enum_type.iter_mut().for_each(reduce_enum);
    file.extension.iter_mut().for_each(reduce_field);
    for service in &mut file.service {
        if let Some(options) = &mut service.options {
            plain(&mut options.uninterpreted_option);
        }
        for options in service.method.iter_mut().filter_map(|method| method.options.as_mut()) {
            let is_rule = |option: &UninterpretedOption| {
                let name = option.name.first().filter(|part| part.is_extension).map(|part| part.name_part.as_str());
                name.is_none_or(|name| matches!(name.trim_start_matches('.'), "google.api.http" | "api.http" | "http"))
            };
            options.uninterpreted_option.retain(is_rule);
            let uses_rules = !options.uninterpreted_option.is_empty();
            let annotations = ANNOTATIONS.0.to_owned();
            if uses_rules && !file.dependency.contains(&annotations) && file.name.as_deref() != Some(ANNOTATIONS.0) {
                file.dependency.push(annotations);
            }
        }
    }
}

/// Keeps the options of the language itself.
fn plain(options: &mut Vec<UninterpretedOption>) {
    options.retain(|option| option.name.first().is_none_or(|part| !part.is_extension));
}

fn reduce_message(message: &mut DescriptorProto) {
    if let Some(options) = &mut message.options {
        plain(&mut options.uninterpreted_option);
    }
    for options in message.extension_range.iter_mut().filter_map(|range| range.options.as_mut()) {
        plain(&mut options.uninterpreted_option);
    }
    for options in message.oneof_decl.iter_mut().filter_map(|oneof| oneof.options.as_mut()) {
        plain(&mut options.uninterpreted_option);
    }
    message.field.iter_mut().chain(&mut message.extension).for_each(reduce_field);
    message.enum_type.iter_mut().for_each(reduce_enum);
    message.nested_type.iter_mut().for_each(reduce_message);
}

fn reduce_field(field: &mut FieldDescriptorProto) {
    if let Some(options) = &mut field.options {
        plain(&mut options.uninterpreted_option);
    }
}

fn reduce_enum(values: &mut EnumDescriptorProto) {
    if let Some(options) = &mut values.options {
        plain(&mut options.uninterpreted_option);
    }
    for options in values.value.iter_mut().filter_map(|value| value.options.as_mut()) {
        plain(&mut options.uninterpreted_option);
    }
}

struct Files {
    files: BTreeMap<String, FileDescriptorProto>,
    known: GoogleFileResolver,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.files.get(name) {
            Some(file) => Ok(File::from_file_descriptor_proto(file.clone())),
            None => self.known.open_file(name),
        }
    }
}
