//! `/v1/ingest/{freeswitch,asterisk}`: call records as the switches send them.
//!
//! FreeSWITCH's mod_json_cdr posts here directly (HTTP basic, the API key as password). A record
//! that is refused is answered with its problem, so that the switch keeps it.

use crate::http::usage::answers::BatchBody;
use crate::http::usage::usage_events::{self, prefers_minimal};
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use formats::input::cdr::{self, Options, SecondsField};
use formats::input::{self, Row, asterisk, freeswitch};
use problem::{Code, Problem};
use rating::card::CALL_UNIT;
use serde::Deserialize;
use web::auth::MayUse;
use web::problem::ApiProblem;
use web::state::App;
use web::{query, write};

/// How the switch's records are to be read.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SwitchQuery {
    /// Default: `call`.
    pub meter: Option<String>,
    /// Source in the events' identity. Default: `default`.
    pub source: Option<String>,
    /// Variables or columns that may name the customer, separated by commas. Default:
    /// `accountcode`.
    pub customer: Option<String>,
    /// Variable or column with the number called, instead of the format's own.
    pub destination: Option<String>,
    /// Further variables or columns to keep as attributes, separated by commas.
    pub attributes: Option<String>,
    /// FreeSWITCH: bill by `billmsec`, exact to the millisecond, instead of `billsec`.
    #[serde(default)]
    pub milliseconds: bool,
    /// Treat second legs as separate calls.
    #[serde(default)]
    pub both_legs: bool,
    /// FreeSWITCH: values are not URL-encoded (`encode-values=false`).
    #[serde(default)]
    pub plain_values: bool,
    /// Asterisk: IANA zone of the local times.
    pub zone: Option<String>,
}

impl SwitchQuery {
    /// mod_json_cdr appends `?uuid=…` to whatever URL it is given, also to one that has a query.
    fn of(uri: &Uri) -> Result<Self, ApiProblem> {
        let asked = uri.query().unwrap_or_default();
        let ours: Vec<&str> = asked
            .split(['&', '?'])
            .filter(|pair| !pair.is_empty() && !pair.starts_with("uuid="))
            .collect();
        let uri = format!("/?{}", ours.join("&"))
            .parse()
            .map_err(|e| query::refusal(&e))?;
        query::read(&uri)
    }

    /// Asterisk says its seconds once, and encodes nothing.
    fn for_asterisk(self) -> Result<Self, ApiProblem> {
        let meaningless = [
            ("milliseconds", self.milliseconds),
            ("plain_values", self.plain_values),
        ];
        match meaningless.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(self),
            Some((name, _)) => {
                let detail = format!(
                    "{name} applies to records of FreeSWITCH only, not to those of Asterisk: \
                        leave it out"
                );
                Err(ApiProblem::field(Code::InvalidRequest, name, detail))
            }
        }
    }

    fn options(self) -> Options {
        let list = |text: Option<String>| {
            text.map(|text| {
                text.split(',')
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty())
                    .collect()
            })
        };
        let default = Options::default();
        Options {
            meter: self.meter.unwrap_or(default.meter),
            source: self.source.unwrap_or(default.source),
            customer: list(self.customer).unwrap_or(default.customer),
            destination: self.destination,
            attributes: list(self.attributes).unwrap_or_default(),
            seconds: if self.milliseconds {
                SecondsField::Billmsec
            } else {
                SecondsField::Billsec
            },
            both_legs: self.both_legs,
            url_encoded: !self.plain_values,
            zone: self.zone,
            columns: default.columns,
        }
    }
}

/// What a switch bills are seconds: a meter that counts something else would charge so many of
/// that.
async fn check_meter(app: &App, name: &str) -> Result<(), ApiProblem> {
    match app.engine.directory().meter(name).await? {
        Some(meter) if meter.unit != CALL_UNIT => Err(ApiProblem::field(
            Code::InvalidRequest,
            "meter",
            cdr::not_in_seconds(name, &meter.unit),
        )),
        _ => Ok(()),
    }
}

type Parser = fn(&[u8], &Options) -> Result<Vec<Row>, Problem>;

async fn take(
    app: App,
    key: MayUse,
    query: SwitchQuery,
    request: Request,
    parse: Parser,
) -> Result<Response, ApiProblem> {
    let minimal = prefers_minimal(request.headers());
    let body = write::body(request, &app).await?;
    let options = query.options();
    check_meter(&app, &options.meter).await?;
    let rows = parse(&body, &options)?;
    let of = rows.len();
    let events: Vec<_> = rows.into_iter().filter_map(Row::into_parsed).collect();
    let skipped = of - events.len();
    usage_events::ingest_records(&app, &key, events, skipped, minimal).await
}

/// Import FreeSWITCH call records (mod_json_cdr)
#[utoipa::path(post, path = "/v1/ingest/freeswitch", tag = "usage-events", params(SwitchQuery),
    request_body(content = Object, content_type = "application/json"), responses((status = 200, body = BatchBody)))]
pub async fn ingest_freeswitch(
    State(app): State<App>,
    key: MayUse,
    request: Request,
) -> Result<Response, ApiProblem> {
    let query = SwitchQuery::of(request.uri())?;
    take(app, key, query, request, freeswitch::parse).await
}

/// Import Asterisk call records (Master.csv)
///
/// Every line must end with a line feed: a last line without one may be cut off and is refused
/// (`incomplete_record`).
#[utoipa::path(post, path = "/v1/ingest/asterisk", tag = "usage-events", params(SwitchQuery),
    request_body(content = String, content_type = "text/csv"), responses((status = 200, body = BatchBody)))]
pub async fn ingest_asterisk(
    State(app): State<App>,
    key: MayUse,
    request: Request,
) -> Result<Response, ApiProblem> {
    let query = SwitchQuery::of(request.uri())?.for_asterisk()?;
    take(app, key, query, request, |body, options| {
        Ok(input::whole_rows(asterisk::parse(body, options)?, body))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, milliseconds: Option<bool>) {
        let read = SwitchQuery::of(&uri.parse().unwrap());
        assert_eq!(
            read.ok().map(|query| query.milliseconds),
            milliseconds,
            "{uri}"
        );
    }

    #[test]
    fn the_switch_appends_its_uuid() {
        check("/v1/ingest/freeswitch", Some(false));
        check("/v1/ingest/freeswitch?uuid=5a1e", Some(false));
        check(
            "/v1/ingest/freeswitch?milliseconds=true?uuid=5a1e",
            Some(true),
        );
        check(
            "/v1/ingest/freeswitch?milliseconds=true&uuid=5a1e",
            Some(true),
        );
        check("/v1/ingest/freeswitch?miliseconds=true&uuid=5a1e", None);
    }

    #[test]
    fn choices_of_freeswitch_are_none_of_asterisk() {
        for (query, field) in [
            ("zone=UTC", None),
            ("milliseconds=true", Some("milliseconds")),
            ("plain_values=true", Some("plain_values")),
        ] {
            let read = SwitchQuery::of(&format!("/v1/ingest/asterisk?{query}").parse().unwrap())
                .unwrap()
                .for_asterisk();
            let told = read.err().map(|refused| {
                (
                    refused.problem.code,
                    refused.problem.field.unwrap_or_default(),
                )
            });
            assert_eq!(
                told,
                field.map(|field| (Code::InvalidRequest, field.to_owned())),
                "{query}"
            );
        }
    }

    #[test]
    fn a_wrong_query_is_said_in_words_of_people() {
        for (query, field, detail) in [
            (
                "milliseconds=yes",
                Some("milliseconds"),
                "expected true or false",
            ),
            (
                "zoned=x",
                Some("zoned"),
                "there is no field `zoned`; expected one of `meter`, `source`",
            ),
        ] {
            let refused = SwitchQuery::of(&format!("/v1/ingest/asterisk?{query}").parse().unwrap())
                .unwrap_err()
                .problem;
            assert_eq!(
                (refused.code, refused.field.as_deref()),
                (Code::InvalidRequest, field),
                "{}",
                refused.detail
            );
            assert!(refused.detail.starts_with(detail), "{}", refused.detail);
        }
    }
}
