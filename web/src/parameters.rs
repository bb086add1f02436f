//! Routes that take no parameters behind the `?` refuse any: `?dry_run=true` at a route that knows
//! none would be carried out. Those that take some refuse others themselves
//! ([`crate::query::Query`]).

use crate::problem::ApiProblem;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use problem::Code;
use std::collections::HashSet;
use std::sync::Arc;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

/// One that is only referred to may be.
fn is_of_query(parameter: &RefOr<Parameter>) -> bool {
    match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => true,
    }
}

/// Method and path of the operations without parameters in the query, as the OpenAPI document says.
#[derive(Debug, Clone)]
pub struct Without(Arc<HashSet<(Method, String)>>);

impl Without {
    pub fn of(document: &OpenApi) -> Self {
        let takes_some =
            |operation: &Operation| operation.parameters.iter().flatten().any(is_of_query);
        let mut found = HashSet::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::PUT, &item.put),
                (Method::DELETE, &item.delete),
            ];
            let without = operations.into_iter().filter(|(_, operation)| {
                operation
                    .as_ref()
                    .is_some_and(|operation| !takes_some(operation))
            });
            found.extend(without.map(|(method, _)| (method, path.clone())));
        }
        Self(Arc::new(found))
    }

    fn refuses(&self, request: &Request) -> Option<String> {
        let name = form_urlencoded::parse(request.uri().query()?.as_bytes())
            .next()?
            .0
            .into_owned();
        let path = request
            .extensions()
            .get::<MatchedPath>()?
            .as_str()
            .to_owned();
        self.0
            .contains(&(request.method().clone(), path))
            .then_some(name)
    }
}

pub async fn check(State(without): State<Without>, request: Request, next: Next) -> Response {
    match without.refuses(&request) {
        Some(name) => ApiProblem::field(
            Code::UnknownField,
            &name,
            format!("there is no parameter `{name}` here; this path takes none"),
        )
        .into_response(),
        None => next.run(request).await,
    }
}
