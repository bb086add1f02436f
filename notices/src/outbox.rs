//! From a notice to its deliveries: one for each endpoint and contact that wants it.

use crate::Clock;
use crate::rows::{Endpoint, NewDelivery, Notice, NoticeRows, Target};
use catalog::{Catalog, CatalogError};
use rating::ids::DeliveryId;
use serde_json::{Value, json};
use tenants::Tenant;

/// Makes the deliveries of every notice that has none yet; how many notices there were. Without
/// `mails` contacts get none: that there was something to write is logged.
///
/// # Errors
/// The database failed; what was not sent is sent next time.
pub async fn send_all(
    catalog: &Catalog,
    clock: &Clock,
    mails: bool,
) -> Result<usize, CatalogError> {
    let mut count = 0;
    loop {
        let unsent = NoticeRows::of(catalog).unsent_notices().await?;
        if unsent.is_empty() {
            return Ok(count);
        }
        for notice in &unsent {
            send(catalog, clock, mails, notice).await?;
        }
        count += unsent.len();
    }
}

async fn send(
    catalog: &Catalog,
    clock: &Clock,
    mails: bool,
    notice: &Notice,
) -> Result<(), CatalogError> {
    let mut deliveries = Vec::new();
    // Tenants are never removed: without one there is nobody to tell.
    if let Some(tenant) = catalog.tenant(notice.tenant).await? {
        let payload = payload(notice, &tenant).to_string();
        let new = |root, tenant, target, to_be_tried| {
            let (id, payload) = (DeliveryId(clock.id()), payload.clone());
            NewDelivery {
                id,
                root,
                tenant,
                target,
                notice: notice.id,
                kind: notice.kind,
                payload,
                to_be_tried,
            }
        };
        for endpoint in NoticeRows::of(catalog)
            .endpoints_wanting(&tenant, notice.kind)
            .await?
        {
            deliveries.push(new(
                endpoint.root,
                endpoint.tenant,
                Target::Endpoint(endpoint.id),
                true,
            ));
        }
        for contact in NoticeRows::of(catalog)
            .contacts_wanting(&tenant, notice.kind)
            .await?
        {
            deliveries.push(new(
                contact.root,
                contact.tenant,
                Target::Contact(contact.id),
                mails,
            ));
        }
    }
    let unwritten = deliveries
        .iter()
        .filter(|delivery| !delivery.to_be_tried)
        .count();
    if NoticeRows::of(catalog)
        .send_notice(notice, &deliveries, clock.now())
        .await?
        && unwritten > 0
    {
        tracing::info!(kind = notice.kind.name(), tenant = %notice.tenant, contacts = unwritten, "e-mail not sent: no SMTP server is configured");
    }
    Ok(())
}

/// The body of a webhook: `{"type", "timestamp", "data"}`; `data` says whom it is about.
pub fn payload(notice: &Notice, tenant: &Tenant) -> Value {
    let mut data = json!({ "tenant": tenant.external_id, "tenant_id": tenant.id });
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), &notice.data) {
        data.extend(
            more.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    json!({ "type": notice.kind.name(), "timestamp": notice.created_at, "data": data })
}

/// A delivery to one endpoint that nobody else hears of.
pub fn only_for(
    endpoint: &Endpoint,
    notice: &Notice,
    tenant: &Tenant,
    id: DeliveryId,
) -> NewDelivery {
    NewDelivery {
        id,
        root: endpoint.root,
        tenant: endpoint.tenant,
        target: Target::Endpoint(endpoint.id),
        notice: notice.id,
        kind: notice.kind,
        payload: payload(notice, tenant).to_string(),
        to_be_tried: true,
    }
}
