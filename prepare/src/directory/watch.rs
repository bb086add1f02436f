//! Changes that other processes make. Each moves a version in its own transaction; a process that
//! asks often enough learns of it whatever happens to connections in between, which no notification
//! promises.

use super::Inner;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};

/// With the time of one question this stays below a second.
const EVERY: Duration = Duration::from_millis(500);

pub(super) async fn go_on(inner: &Inner, token: CancellationToken) {
    let mut last = None;
    // What it was before the first answer is not known: that counts as a change.
    let mut rounds = Rounds::new(EVERY, token);
    while rounds.next().await {
        match inner.catalog.shared_version().await {
            Ok(None) => return,
            Ok(version) if version == last => {}
            Ok(version) => {
                last = version;
                inner.generation.next();
            }
            // Records that are not in memory cannot be read either, and nothing is committed: it
            // shows elsewhere. And whoever answers next may be a replica that has other changes of
            // that number.
            Err(error) => {
                last = None;
                tracing::warn!(%error, "checking for changed records failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::caller::Caller;
    use crate::directory::Directory;
    use catalog::{Actor, Catalog, NewTenant, TenantPatch};
    use db::{Db, PostgresOptions};
    use rating::{Instant, TenantId, ids::ApiKeyId};
    use std::time::Duration;
    use supervisor::CancellationToken;
    use tenants::{ApiKey, Scope, Tenant, TenantKind};

    const PLATFORM: TenantId = TenantId(1);
    const ROOT: TenantId = TenantId(2);

    fn tenant(id: TenantId, kind: TenantKind, path: &[TenantId]) -> NewTenant {
        let tenant = Tenant {
            id,
            external_id: format!("tenant {}", id.0),
            kind,
            name: "before".into(),
            parent: path
                .split_last()
                .and_then(|(_, above)| above.last().copied()),
            root: id,
            path: path.into(),
            country: None,
            late_window_days: 35,
            created_at: Instant(1),
            closed_at: None,
        };
        NewTenant {
            tenant,
            personal_key: [1; 32],
        }
    }

    fn admin() -> ApiKey {
        ApiKey {
            id: ApiKeyId(1),
            tenant: PLATFORM,
            root: PLATFORM,
            scope: Scope::PlatformAdmin,
            name: "admin".into(),
            hash: [1; 32],
            created_at: Instant(1),
            expires_at: None,
            revoked_at: None,
            made_by: None,
            last_used_at: None,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn another_process_learns_of_a_change_within_a_second() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        let options = PostgresOptions::default();
        let ours = Catalog::new(&Db::open_postgres(database.url(), &options).await.unwrap());
        let theirs = Directory::new(Catalog::new(
            &Db::open_postgres(database.url(), &options).await.unwrap(),
        ));
        let watching = theirs.clone();
        tokio::spawn(async move { watching.watch(CancellationToken::new()).await });

        let actor = Actor {
            key: None,
            tenant: PLATFORM,
            at: Instant(1),
            request_id: "r".into(),
            reason: None,
            once: None,
        };
        ours.ensure_platform(
            &actor,
            &tenant(PLATFORM, TenantKind::Platform, &[PLATFORM]),
            &admin(),
        )
        .await
        .unwrap();
        ours.create_tenant(
            &actor,
            &tenant(ROOT, TenantKind::Reseller, &[PLATFORM, ROOT]),
        )
        .await
        .unwrap();
        let caller = Caller {
            tenant: PLATFORM,
            root: PLATFORM,
            scope: Scope::PlatformAdmin,
            key: None,
        };
        let name = async || {
            theirs
                .customer(&caller, "tenant 2")
                .await
                .unwrap()
                .unwrap()
                .tenant
                .name
                .clone()
        };
        // Asked for in vain before it was there, it is found at once: what is not there is not
        // kept.
        assert_eq!(name().await, "before");
        for round in 0..3 {
            let patch = TenantPatch {
                name: Some(format!("after {round}")),
                ..TenantPatch::default()
            };
            ours.update_tenant(&actor, ROOT, patch).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(name().await, format!("after {round}"));
            let before = theirs.shared_generation().now();
            tokio::time::sleep(Duration::from_millis(1100)).await;
            assert_eq!(
                theirs.shared_generation().now(),
                before,
                "nothing is forgotten without a change"
            );
        }
    }
}
