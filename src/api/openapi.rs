//! `/openapi.json`: OpenAPI 3.1 out of the code.
//!
//! What holds for many operations stands here once: who may call them, how they fail, which headers they heed, that unknown
//! fields are refused, and that `null` in a merge-patch takes a value back. Everything else is said where the operation is.

use super::problem::Code;
use super::rules::{self, Need};
use super::{auth, schema};
use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, Required, ResponseBuilder};

const MERGE_PATCH: &str = "application/merge-patch+json";
/// Where a schema stands in the document.
const SCHEMAS: &str = "#/components/schemas/";

/// Paths whose resources have an ETag and whose changes heed `If-Match`.
const VERSIONED: &[&str] = &[
    "/v1/rooms/{room}",
    "/v1/rooms/{room}/participants/{id}",
    "/v1/rooms/{room}/views/{view}",
    "/v1/rooms/{room}/views/{view}/layout",
    "/v1/rooms/{room}/sidebars/{sidebar}",
    "/v1/ingress/{ingress}",
    "/v1/layouts/{name}",
    "/whip/{room}/{id}",
    "/whep/{room}/{id}",
];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Mixdown", description = "An MCU conferencing server: one composed picture and one mixed sound for every subscriber."),
    components(schemas(schema::Problem, schema::FieldError, auth::Grants))
)]
pub struct Base;

/// The whole document as JSON text.
pub fn document(described: OpenApi) -> String {
    let mut document = json!(complete(described));
    let taken = taken(&document);
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut).into_iter().flatten();
    schemas.filter(|(name, _)| taken.contains(*name)).for_each(|(_, schema)| refuse_unknown(schema));
    describe_patches(&mut document);
    describe_changes(&mut document);
    document.to_string()
}

/// Adds to every operation what all have: an id, who may call it, headers, and that errors are problems.
fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_default();
    components
        .add_security_scheme("token", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build()));
    components.add_security_scheme("api_key", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build()));
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let need = rules::find(&method, path).map(|rule| rule.need);
            if need != Some(Need::Open) {
                let requirement = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
                operation.security = Some(vec![requirement("token"), requirement("api_key")]);
            }
            // The derive names an operation after its function, which is unique in its module alone.
            let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
            operation.operation_id = operation.operation_id.take().map(|id| format!("{tag}_{id}"));
            operation.parameters.get_or_insert_default().extend(heeded(&method, path).map(RefOr::T));
            for (status, response) in &mut operation.responses.responses {
                let reason = status.parse().ok().and_then(|status: StatusCode| status.canonical_reason());
                if let (RefOr::T(response), Some(reason)) = (response, reason)
                    && response.description.is_empty()
                {
                    response.description = format!("{reason}.");
                }
            }
            operation.responses.responses.insert("default".into(), RefOr::T(problem()));
        }
    }
    document
}

/// The header that an operation heeds beyond its own.
fn heeded(method: &Method, path: &str) -> Option<Parameter> {
    let door = path.starts_with("/whip") || path.starts_with("/whep");
    let text = ObjectBuilder::new().schema_type(Type::String);
    let header = |name: &str, required, description: &str, text| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(required);
        parameter.description(Some(description)).schema(Some(text)).build()
    };
    match *method {
        Method::POST if rules::find(method, path)?.need != Need::Open => {
            let key = text.min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]([\\t -~]*[!-~])?$"));
            Some(header("Idempotency-Key", Required::False, "The same request with the same key gets the first answer again.", key))
        }
        Method::PATCH if door => {
            Some(header("If-Match", Required::True, "The session's ETag, or `*` for an ICE restart (RFC 9725 §4.3).", text))
        }
        // Sessions end without being asked for what they were.
        Method::DELETE if path.ends_with("{id}") => None,
        Method::PUT | Method::PATCH | Method::DELETE if VERSIONED.contains(&path) => {
            Some(header("If-Match", Required::False, "Only where the ETag still is this one; 412 otherwise.", text))
        }
        _ => None,
    }
}

/// The schemas of all that is taken in bodies, with all that they consist of.
fn taken(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let items = document["paths"].as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object).flat_map(Map::values);
    let mut open: Vec<&Value> = items.filter_map(|operation| operation.get("requestBody")).collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            Value::String(text) => {
                let name = text.strip_prefix(SCHEMAS).filter(|name| !found.contains(*name));
                let Some((name, schema)) = name.and_then(|name| Some((name, document["components"]["schemas"].get(name)?))) else {
                    continue;
                };
                found.insert(name.to_owned());
                open.push(schema);
            }
            _ => {}
        }
    }
    found
}

/// Objects have the described fields and no others.
fn refuse_unknown(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(refuse_unknown);
            if fields.get("properties").is_some_and(Value::is_object) {
                fields.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_unknown),
        _ => {}
    }
}

/// Where a body is a merge-patch of some settings, these settings with `null` beside every value; a schema that is a patch by
/// its name stays as it is.
fn describe_patches(document: &mut Value) {
    let mut schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let reference =
            operation.pointer_mut("/requestBody/content").and_then(|content| content.get_mut(MERGE_PATCH)?.pointer_mut("/schema/$ref"));
        let Some(reference) = reference else { continue };
        let name = reference.as_str().and_then(|text| text.strip_prefix(SCHEMAS)).filter(|name| !name.ends_with("Patch"));
        if let Some(name) = name.map(str::to_owned) {
            *reference = patch_of(&name, &mut schemas).into();
        }
    }
    document["components"]["schemas"] = schemas.into();
}

/// What answers a change of a room, a view or its layout says also what else came of it.
fn describe_changes(document: &mut Value) {
    let mut schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let items = document["paths"].as_object_mut().into_iter().flatten().filter(|(path, _)| path.starts_with("/v1/rooms"));
    let operations = items.filter_map(|(_, item)| item.as_object_mut()).flatten().filter(|(method, _)| method.as_str() != "get");
    let answers = operations.filter_map(|(_, operation)| operation.get_mut("responses")?.as_object_mut()).flat_map(Map::values_mut);
    for answer in answers {
        let Some(reference) = answer.pointer_mut("/content/application~1json/schema/$ref") else { continue };
        let name = reference.as_str().and_then(|text| text.strip_prefix(SCHEMAS)).filter(|name| ["Layout", "View", "Room"].contains(name));
        let Some((name, mut schema)) = name.and_then(|name| Some((format!("Changed{name}"), schemas.get(name)?.clone()))) else { continue };
        schema["properties"]["warnings"] = json!({
            "type": "array",
            "items": {"$ref": format!("{SCHEMAS}PreviewWarning")},
            "description": "Seats that are promised more pictures per second than the canvas has, and options that a merge-patch's change of type took \
                away because they have no effect on the new one; absent where there are none.",
        });
        *reference = format!("{SCHEMAS}{name}").into();
        schemas.insert(name, schema);
    }
    document["components"]["schemas"] = schemas.into();
}

/// A reference to the merge-patch of the schema `name`, which is made where there is none.
fn patch_of(name: &str, schemas: &mut Map<String, Value>) -> String {
    let patch = format!("{name}Patch");
    let reference = format!("{SCHEMAS}{patch}");
    if let Some(mut schema) = schemas.get(name).filter(|_| !schemas.contains_key(&patch)).cloned() {
        schemas.insert(patch.clone(), Value::Null);
        for property in schema["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            *property = or_null(property.take(), schemas);
        }
        schemas.insert(patch, schema);
    }
    reference
}

/// What a merge-patch may say of one value: `null`, or the value; of an object, what changes in it.
fn or_null(mut property: Value, schemas: &mut Map<String, Value>) -> Value {
    let choices = property.get("oneOf").and_then(Value::as_array);
    let nullable = choices.filter(|choices| choices.iter().any(|choice| choice["type"] == "null"));
    let mut value = nullable.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null")).cloned();
    let value = value.as_mut().unwrap_or(&mut property);
    if let Some(name) = value["$ref"].as_str().and_then(|text| text.strip_prefix(SCHEMAS)).map(str::to_owned) {
        if schemas.get(&name).is_some_and(|schema| schema.get("properties").is_some()) {
            value["$ref"] = patch_of(&name, schemas).into();
        }
    } else if value.get("type").is_some_and(Value::is_array) {
        return value.take();
    } else if value.get("type").is_some_and(Value::is_string) {
        value["type"] = json!([value["type"], "null"]);
        return value.take();
    }
    json!({"oneOf": [value.take(), {"type": "null"}]})
}

fn problem() -> utoipa::openapi::Response {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    ResponseBuilder::new()
        .description(format!("A problem (RFC 9457). `type` is /problems/ and one of: {}.", codes.join(", ")))
        .content("application/problem+json", Content::new(Some(Ref::from_schema_name("Problem"))))
        .build()
}

/// The operations of one path, by method.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}
