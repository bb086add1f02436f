//! `/v1/restoration`: whether the database came from a backup, and what to look through before
//! anything goes out again.

use crate::restoration;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::restoration::Restoration;
use payouts::rows::PayoutRows;
use problem::Code;
use schema::words;
use serde::{Deserialize, Serialize};
use web::auth::MayOperate;
use web::problem::ApiProblem;
use web::state::App;
use web::write::{Done, Write};

/// Keys that are named.
const KEYS_MAX: usize = 100;

/// State of a restore.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Restoration)]
pub struct RestorationBody {
    /// Whether payouts, automatic top-ups and deliveries are waiting for `POST
    /// /v1/restoration/resume`.
    pub is_held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-20T12:00:00Z")]
    pub restored_at: Option<String>,
    /// Moment of the backup. The database contains nothing from after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-20T03:00:00Z")]
    pub backup_at: Option<String>,
    /// While on hold: keys that are valid now, including those that were revoked after the backup.
    /// The first 100.
    pub valid_keys: Vec<ValidKey>,
    /// While on hold: payouts that had begun, or were due, at the moment of the backup.
    pub open_payouts: i64,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ValidKey {
    #[schema(example = "key_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "switch in Frankfurt")]
    pub name: String,
    #[schema(value_type = words::Scope, example = "usage_write")]
    pub scope: tenants::Scope,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Reason recorded in the audit log.
    pub reason: Option<String>,
}

async fn shown(app: &App) -> Result<RestorationBody, ApiProblem> {
    let Some(restoration) = app.catalog.restoration().await? else {
        return Ok(RestorationBody {
            is_held: false,
            restored_at: None,
            backup_at: None,
            valid_keys: Vec::new(),
            open_payouts: 0,
        });
    };
    held(app, restoration).await
}

async fn held(app: &App, restoration: Restoration) -> Result<RestorationBody, ApiProblem> {
    let now = app.clock.now();
    let platform = app
        .catalog
        .tenant(app.platform)
        .await?
        .ok_or_else(|| ApiProblem::new(Code::Internal, "there is no platform"))?;
    let (mut valid_keys, mut after) = (Vec::new(), None);
    loop {
        let page = app
            .catalog
            .keys_below(&platform, None, after, KEYS_MAX)
            .await?;
        after = page.data.last().map(|key| key.id);
        let valid = page
            .data
            .into_iter()
            .filter(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|end| now < end));
        valid_keys.extend(valid.map(|key| ValidKey {
            id: key.id.to_string(),
            name: key.name,
            scope: key.scope,
        }));
        if !page.has_more || valid_keys.len() >= KEYS_MAX {
            break;
        }
    }
    valid_keys.truncate(KEYS_MAX);
    Ok(RestorationBody {
        is_held: true,
        restored_at: Some(restoration.restored_at().to_string()),
        backup_at: Some(restoration.backup_at().to_string()),
        valid_keys,
        open_payouts: PayoutRows::of(&app.catalog).payouts_open().await?,
    })
}

/// Read whether the database was restored, and what needs review
#[utoipa::path(get, path = "/v1/restoration", tag = "health", responses((status = 200, body = RestorationBody)))]
pub async fn get_restoration(
    State(app): State<App>,
    _key: MayOperate,
) -> Result<Json<RestorationBody>, ApiProblem> {
    Ok(Json(shown(&app).await?))
}

/// Resume payouts, automatic top-ups and deliveries after a restore
///
/// Resume once everything that happened after the backup has been reviewed: keys have been revoked
/// again, and payouts made since have been entered.
#[utoipa::path(post, path = "/v1/restoration/resume", tag = "health", request_body = Resume, responses((status = 200, body = RestorationBody)))]
pub async fn resume(
    State(app): State<App>,
    key: MayOperate,
    write: Write,
) -> Result<Response, ApiProblem> {
    let asked: Resume = write.read()?;
    let actor = write.actor(&app, &key, asked.reason.as_deref());
    write
        .repeatable(&app, &key, async {
            app.catalog.resume(&actor, app.platform).await?;
            restoration::look(&app).await?;
            Ok(Done::ok(shown(&app).await?))
        })
        .await
}
