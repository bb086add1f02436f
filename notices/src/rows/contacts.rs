//! Contacts: whom to write to, in which language, and of what. An address names a person: it is in
//! no log.

use super::deliveries::{self, Target};
use super::endpoints::{Wanted, check_room};
use super::{NoticeKind, NoticeRows};
use catalog::paths::below;
use catalog::tenants::tenant_held;
use catalog::{Actor, CatalogError, Change, Page, Result, audit, check_name, conflict, one_more};
use db::sql::{Tx, change, fetch_any, look, read, statements, write};
use rating::ids::ContactId;
use rating::{Instant, TenantId};
use serde_json::json;
use tenants::Tenant;

/// Of one tenant.
pub const CONTACTS_MAX: usize = 50;

macro_rules! columns {
    () => {
        "c.id, c.root_id, c.tenant_id, c.address, c.locale, c.kinds_json, c.subtree, c.created_at"
    };
}

statements! {
    INSERT = concat!(
        "insert into contacts (id, root_id, tenant_id, address, locale, kinds_json, subtree, \
            created_at)",
        " values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing"
    );
    BY_ID = concat!("select ", columns!(), " from contacts c where c.id = $1");
    OF_TENANTS = concat!("select ", columns!(), " from contacts c where c.tenant_id in ($1) order \
        by c.id");
    BELOW = concat!(
        "select ", columns!(), " from contacts c join tenants t on t.id = c.tenant_id",
        " where t.path >= $1 and t.path < $2 and c.id > $3 order by c.id limit $4"
    );
    COUNT = "select count(*) from contacts where root_id = $1 and tenant_id = $2";
    CHANGE = "update contacts set address = $3, locale = $4, kinds_json = $5, subtree = $6 where \
        root_id = $1 and id = $2";
    DELETE = "delete from contacts where root_id = $1 and id = $2";
}

/// Whom to write to.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    pub id: ContactId,
    pub root: TenantId,
    pub tenant: TenantId,
    pub address: String,
    /// `de`, `en` or `fr`.
    pub locale: String,
    pub wanted: Wanted,
    pub created_at: Instant,
}

/// Without the address.
impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct ContactRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    address: String,
    locale: String,
    kinds_json: Option<String>,
    subtree: i64,
    created_at: i64,
}

impl ContactRow {
    fn contact(self) -> Result<Contact> {
        Ok(Contact {
            id: ContactId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            address: self.address,
            locale: self.locale,
            wanted: Wanted::of(self.kinds_json, self.subtree)?,
            created_at: Instant(self.created_at),
        })
    }
}

/// Never the address: it may have to be forgotten.
fn contact_changed(contact: &Contact, action: &'static str) -> Change {
    let after = Some(json!({ "locale": contact.locale, "wanted": contact.wanted.json() }));
    let id = contact.id.to_string();
    Change {
        tenant: contact.tenant,
        root: contact.root,
        resource: "contact",
        id,
        action,
        before: None,
        after,
    }
}

async fn contact_held(tx: &mut Tx<'_>, id: ContactId) -> Result<Contact> {
    let missing = || CatalogError::NotFound { what: "contact" };
    let found = look!(&mut *tx, fetch_optional as ContactRow, BY_ID, id.0)?
        .ok_or_else(missing)?
        .contact()?;
    tx.lock(&[found.root]).await?;
    look!(&mut *tx, fetch_optional as ContactRow, BY_ID, id.0)?
        .ok_or_else(missing)?
        .contact()
}

impl NoticeRows<'_> {
    pub async fn create_contact(self, actor: &Actor, new: &Contact) -> Result<()> {
        check_name("address", &new.address)?;
        write!(self.0, |tx| {
            let tenant = tenant_held(tx, new.tenant).await?;
            check_room(tx, COUNT, &tenant, CONTACTS_MAX).await?;
            let (kinds, subtree) = (new.wanted.column()?, i64::from(new.wanted.subtree));
            let (id, root, of, at) = (
                new.id.0,
                tenant.root.0,
                tenant.id.0,
                new.created_at.micros(),
            );
            if change!(
                &mut *tx,
                INSERT,
                id,
                root,
                of,
                new.address.as_str(),
                new.locale.as_str(),
                kinds,
                subtree,
                at
            )? == 0
            {
                return Err(conflict("id", "it is taken"));
            }
            audit::append(tx, actor, &contact_changed(new, "create")).await
        })
    }

    pub async fn contact(self, id: ContactId) -> Result<Option<Contact>> {
        read!(self.0, fetch_optional as ContactRow, BY_ID, id.0)?
            .map(ContactRow::contact)
            .transpose()
    }

    /// Contacts of `top` and of every tenant under it.
    pub async fn contacts_below(
        self,
        top: &Tenant,
        after: Option<ContactId>,
        limit: usize,
    ) -> Result<Page<Contact>> {
        let (first, end) = below(&top.path);
        let after = after.map_or(0, |id| id.0);
        let rows = read!(
            self.0,
            fetch_all as ContactRow,
            BELOW,
            first,
            end,
            after,
            one_more(limit)
        )?;
        Page::of(rows, limit, ContactRow::contact)
    }

    /// Contacts that want what happens to a tenant.
    pub async fn contacts_wanting(self, tenant: &Tenant, kind: NoticeKind) -> Result<Vec<Contact>> {
        let rows = fetch_any!(pool self.0, ContactRow, OF_TENANTS, &tenant.path);
        let all: Vec<Contact> = rows
            .into_iter()
            .map(ContactRow::contact)
            .collect::<Result<_>>()?;
        Ok(all
            .into_iter()
            .filter(|contact| contact.wanted.wants(kind, contact.tenant == tenant.id))
            .collect())
    }

    pub async fn change_contact(
        self,
        actor: &Actor,
        id: ContactId,
        patch: ContactPatch,
    ) -> Result<Contact> {
        write!(self.0, |tx| {
            let mut contact = contact_held(tx, id).await?;
            patch.clone().apply(&mut contact);
            check_name("address", &contact.address)?;
            let (kinds, subtree) = (contact.wanted.column()?, i64::from(contact.wanted.subtree));
            let (address, locale) = (contact.address.as_str(), contact.locale.as_str());
            change!(
                &mut *tx,
                CHANGE,
                contact.root.0,
                id.0,
                address,
                locale,
                kinds,
                subtree
            )?;
            audit::append(tx, actor, &contact_changed(&contact, "change")).await?;
            Ok(contact)
        })
    }

    pub async fn delete_contact(self, actor: &Actor, id: ContactId) -> Result<()> {
        write!(self.0, |tx| {
            let contact = contact_held(tx, id).await?;
            change!(&mut *tx, DELETE, contact.root.0, id.0)?;
            deliveries::give_up(
                tx,
                contact.root,
                Target::Contact(id),
                "the contact was deleted",
                actor.at,
            )
            .await?;
            audit::append(
                tx,
                actor,
                &Change {
                    after: None,
                    ..contact_changed(&contact, "delete")
                },
            )
            .await
        })
    }
}

/// What to change; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactPatch {
    pub address: Option<String>,
    pub locale: Option<String>,
    /// `Some(None)`: every kind.
    pub kinds: Option<Option<Vec<NoticeKind>>>,
    pub subtree: Option<bool>,
}

impl ContactPatch {
    fn apply(self, contact: &mut Contact) {
        contact.address = self.address.unwrap_or_else(|| contact.address.clone());
        contact.locale = self.locale.unwrap_or_else(|| contact.locale.clone());
        contact.wanted.kinds = self.kinds.unwrap_or_else(|| contact.wanted.kinds.clone());
        contact.wanted.subtree = self.subtree.unwrap_or(contact.wanted.subtree);
    }
}
