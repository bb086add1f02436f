//! The import into a card of a server: the card is created if need be, and the deck is posted to
//! it.

use super::arguments::Args;
use super::preview::show_and_check;
use crate::Ended;
use crate::client::{Answer, Call, Connection};
use crate::progress::Progress;
use crate::session::Session;
use anyhow::bail;
use clock::Clock;
use decks::{Mode, Preview};
use hyper::StatusCode;
use hyper::body::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rating::{Currency, Instant};
use serde::Deserialize;
use serde_json::json;
use std::io::Write;

pub(super) async fn change_card(
    args: &Args,
    file: Vec<u8>,
    out: &mut impl Write,
) -> anyhow::Result<Ended> {
    let session = Session::open(&args.target).await?;
    let mut connection = session.connect().await?;
    let done = Card::of(args)
        .change(&mut connection, file.into(), out)
        .await;
    drop(connection);
    session.close().await?;
    done
}

/// The card's place in the API.
struct Card<'a> {
    args: &'a Args,
    path: String,
}

#[derive(Debug, Deserialize)]
struct Imported {
    preview: Preview,
    version: Option<Version>,
    /// Where a version begins that was published before.
    effective_until: Option<Instant>,
}

#[derive(Debug, Deserialize)]
struct Version {
    number: i64,
    effective_from: Option<Instant>,
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl<'a> Card<'a> {
    fn of(args: &'a Args) -> Self {
        Self {
            args,
            path: format!("/v1/rate-cards/{}", encode(args.card())),
        }
    }

    async fn change(
        &self,
        connection: &mut Connection,
        file: Bytes,
        out: &mut impl Write,
    ) -> anyhow::Result<Ended> {
        let args = self.args;
        match self.currency(connection).await? {
            Some(currency) if args.currency.is_some_and(|wanted| wanted != currency) => {
                bail!(
                    "the card {} is in {currency}; a deck in another currency needs a card of its \
                        own",
                    args.card()
                )
            }
            Some(_) => {}
            None => {
                // Looked through first, so that a deck that is refused leaves no empty card.
                let base = args.new_card();
                let preview = decks::preview(&base, &args.deck(&file, &base)?, &args.laid_over());
                if args.dry_run || args.check_refused(&preview).is_err() {
                    show_and_check(args, &preview, out)?;
                    args.say("nothing was changed (--dry-run)", out)?;
                    return Ok(args.ended(&preview));
                }
                self.create(connection).await?;
            }
        }
        self.import(connection, file, out).await
    }

    async fn import(
        &self,
        connection: &mut Connection,
        file: Bytes,
        out: &mut impl Write,
    ) -> anyhow::Result<Ended> {
        let (progress, args) = (Progress::waiting("importing"), self.args);
        let mut answer = progress
            .over(self.post_deck(connection, file.clone(), args.dry_run))
            .await?;
        if answer.code() == "invalid_deck" {
            answer = progress
                .over(self.post_deck(connection, file, true))
                .await?;
        }
        let imported: Imported = answer.json()?;
        drop(progress);
        show_and_check(args, &imported.preview, out)?;
        let what = match imported.version {
            Some(Version {
                number,
                effective_from: Some(from),
            }) => {
                args.say(
                    &format!("{} version {number} is in force from {from}", args.card()),
                    out,
                )?;
                Some(format!("version {number} ends"))
            }
            _ if args.dry_run => {
                args.say("nothing was changed (--dry-run)", out)?;
                Some("these prices would end".to_owned())
            }
            _ => {
                args.say("the card already has these prices: nothing to do", out)?;
                None
            }
        };
        if let (Some(what), Some(until)) = (what, imported.effective_until) {
            // A version that is published never changes, and no two begin at one instant.
            let behind = until.plus_secs(1);
            tracing::warn!(
                "{what} at {until}: an already published version without these changes begins \
                    then. Import the deck for that date as well, one second later \
                    (--effective-from {behind})"
            );
        }
        Ok(args.ended(&imported.preview))
    }

    /// `None`: there is no such card.
    async fn currency(&self, connection: &mut Connection) -> anyhow::Result<Option<Currency>> {
        #[derive(Deserialize)]
        struct Head {
            currency: Currency,
        }
        let owner = self
            .args
            .owner
            .as_deref()
            .map(|owner| format!("?owner={}", encode(owner)))
            .unwrap_or_default();
        let answer = connection
            .send_patiently(&Call::get(&format!("{}{owner}", self.path)))
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            Ok(None)
        } else {
            Ok(Some(answer.json::<Head>()?.currency))
        }
    }

    async fn create(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let card = self.args.new_card();
        let new = json!({ "name": self.args.card(), "currency": card.currency, "owner": self.args.owner });
        let key = clock::request_id(&Clock::system());
        let call = Call::post("/v1/rate-cards", "application/json", new.to_string());
        connection.send_patiently(&call.keyed(&key)).await?.ok()?;
        Ok(())
    }

    /// Under a key of its own, so that it may be sent twice.
    async fn post_deck(
        &self,
        connection: &mut Connection,
        file: Bytes,
        preview: bool,
    ) -> anyhow::Result<Answer> {
        let args = self.args;
        let map = serde_json::to_string(&args.options(&args.new_card())?)?;
        let mut query = format!(
            "meter={}&map={}&preview={preview}&skip_refused={}",
            encode(&args.meter),
            encode(&map),
            args.skip_refused
        );
        let mode = if args.mode() == Mode::Partial {
            "partial"
        } else {
            "full"
        };
        let from = args.effective_from.map(|from| from.to_string());
        let (owner, zone) = (args.owner.clone(), args.zone.clone());
        for (name, value) in [
            ("mode", Some(mode.to_owned())),
            ("owner", owner),
            ("zone", zone),
            ("effective_from", from),
        ] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", encode(&value)));
            }
        }
        let path = format!("{}/import?{query}", self.path);
        let key = clock::request_id(&Clock::system());
        connection
            .send_patiently(&Call::post(&path, "text/csv", file).keyed(&key))
            .await
    }
}
