//! Query parameters that an operation does not have are refused: a misspelt one must not look obeyed.
//!
//! Which there are, the description of the operations says. Media are exempt: players and browsers add parameters of their own.

use super::openapi::operations;
use super::problem::{FieldError, Problem};
use super::rules::{self, Need};
use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{OpenApi, RefOr};

/// The query parameters of every operation, by method and path.
#[derive(Clone)]
pub struct Known(Arc<HashMap<(Method, String), Vec<String>>>);

impl Known {
    pub fn of(mut described: OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &mut described.paths.paths {
            for (method, operation) in operations(item) {
                let named = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
                    RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
                    _ => None,
                });
                known.insert((method, path.clone()), named.collect());
            }
        }
        Self(Arc::new(known))
    }

    /// What is wrong with a query; an operation that is not described takes anything.
    fn faults(&self, method: &Method, path: &str, given: &[(String, String)]) -> Vec<FieldError> {
        let method = if *method == Method::HEAD { Method::GET } else { method.clone() };
        let Some(known) = self.0.get(&(method, path.to_owned())) else { return Vec::new() };
        let expected = if known.is_empty() { "this takes no parameters".to_owned() } else { format!("expected {}", known.join(", ")) };
        let unknown = given.iter().filter(|(name, _)| !known.contains(name));
        unknown.map(|(name, _)| FieldError::new(format!("?{name}"), format!("unknown field: {expected}"))).collect()
    }
}

/// The layer around all operations.
pub async fn refuse_unknown(State(known): State<Known>, request: Request, next: Next) -> Result<Response, Problem> {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if request.uri().query().is_some() && rules::find(request.method(), path).is_some_and(is_strict) {
        let given = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map(|query| query.0).unwrap_or_default();
        let faults = known.faults(request.method(), path, &given);
        if !faults.is_empty() {
            return Err(Problem::validation(faults));
        }
    }
    Ok(next.run(request).await)
}

fn is_strict(rule: &rules::Rule) -> bool {
    let media = rule.method == "GET" && rule.produces != rules::JSON;
    rule.path.starts_with("/v1/") && rule.need != Need::Open && !media
}
