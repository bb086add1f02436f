//! E-mail: the same notices in the reader's language, as text and as simple HTML, through one SMTP
//! server.

use crate::rows::NoticeKind;
use i18n::{Arg, Locale, money, say};
use lettre::address::AddressError;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use rating::{Cents, Currency};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// Of every step of a session.
const STEP_TIME_MAX: Duration = Duration::from_secs(20);

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// Without the URL: it has a password.
    #[error(
        "the SMTP URL: expected smtp://HOST:PORT, smtps://USER:PASSWORD@HOST:PORT, or \
            smtp://USER:PASSWORD@HOST:PORT?tls=required for \
         STARTTLS, without a path or other parameters; what means something in a URL (@ : / ? # \
         %) is percent-encoded in a password"
    )]
    Url,
    #[error("the SMTP URL has a password and no TLS: add ?tls=required, or begin it with smtps://")]
    InClear,
    #[error("the sender: expected an address, such as Centwise <billing@example.com>: {0}")]
    From(AddressError),
}

/// Nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Later it may be.
    #[error("the mail server did not take it now")]
    Temporary,
    #[error("the mail server refused it")]
    Refused,
    #[error("the address is none")]
    Address,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    /// Paragraphs, with blank lines in between.
    pub text: String,
}

impl Mailer {
    /// # Errors
    /// One of the settings makes no sense.
    pub fn new(url: &str, from: &str) -> Result<Self, BadSettings> {
        check(url)?;
        let builder =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| BadSettings::Url)?;
        let from = from.parse().map_err(BadSettings::From)?;
        Ok(Self {
            transport: builder.timeout(Some(STEP_TIME_MAX)).build(),
            from,
        })
    }

    /// `id` names the mail, and is the same when it is sent again.
    ///
    /// # Errors
    /// The server did not take it.
    pub async fn send(
        &self,
        to: &str,
        id: &str,
        locale: Locale,
        mail: &Mail,
    ) -> Result<(), NotSent> {
        let to = to.parse::<Mailbox>().map_err(|_| NotSent::Address)?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&mail.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(
                mail.text.clone(),
                html(locale, mail),
            ))
            .map_err(|_| NotSent::Address)?;
        self.transport
            .send(message)
            .await
            .map(drop)
            .map_err(|error| failure(&error))
    }
}

/// The library passes over what it does not know: `?TLS=required` would send the password in clear.
fn check(url: &str) -> Result<(), BadSettings> {
    let parsed = Url::parse(url).map_err(|_| BadSettings::Url)?;
    let is_plain = matches!(parsed.path(), "" | "/")
        && parsed.fragment().is_none()
        && parsed.host_str().is_some_and(|host| !host.is_empty());
    let parameters: Vec<_> = parsed.query_pairs().collect();
    let tls = match parameters.as_slice() {
        [] => None,
        [(name, value)] if name == "tls" && ["required", "opportunistic"].contains(&&**value) => {
            Some(value.as_ref())
        }
        _ => return Err(BadSettings::Url),
    };
    match (is_plain, parsed.scheme(), tls) {
        (true, "smtps", None) => Ok(()),
        (true, "smtp", Some("required")) => Ok(()),
        (true, "smtp", _) if parsed.password().is_none() => Ok(()),
        (true, "smtp", _) => Err(BadSettings::InClear),
        _ => Err(BadSettings::Url),
    }
}

fn failure(error: &SmtpError) -> NotSent {
    if error.is_permanent() {
        NotSent::Refused
    } else {
        NotSent::Temporary
    }
}

/// Whether somebody can be written to at this address.
pub fn is_address(text: &str) -> bool {
    text.parse::<lettre::Address>().is_ok()
}

/// Whether an alert can be sent there: one address, with or without a name.
pub fn is_mailbox(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// What is written of a notice. `tenant`: the name of whom it is about; `reader`: of whose contact
/// it is.
pub fn written(locale: Locale, kind: NoticeKind, data: &Value, tenant: &str, reader: &str) -> Mail {
    let facts = Facts::of(locale, data, tenant);
    let key = kind.name().replace(['.', '_'], "-");
    let args = facts.args();
    let body = [
        say(locale, "mail-greeting", &[]),
        say(locale, &key, &args),
        say(locale, "mail-footer", &[("tenant", Arg::Text(reader))]),
    ];
    Mail {
        subject: one_line(&say(locale, &format!("{key}.subject"), &args)),
        text: body.join("\n\n"),
    }
}

/// An alert of `health-check`.
pub fn alert(locale: Locale, status: &str, findings: &str) -> Mail {
    let args = [
        ("status", Arg::Text(status)),
        ("findings", Arg::Text(findings)),
    ];
    Mail {
        subject: one_line(&say(locale, "health-alert.subject", &args)),
        text: say(locale, "health-alert", &args),
    }
}

/// What messages may ask for, of the data that is there.
struct Facts {
    texts: Vec<(&'static str, String)>,
    count: u64,
}

impl Facts {
    fn of(locale: Locale, data: &Value, tenant: &str) -> Self {
        let currency: Option<Currency> =
            data["currency"].as_str().and_then(|code| code.parse().ok());
        let amount = |name: &str| match (data[name].as_i64(), currency) {
            (Some(cents), Some(currency)) => money(locale, Cents(cents), currency),
            _ => "–".to_owned(),
        };
        let text = |name: &str| data[name].as_str().unwrap_or("–").to_owned();
        let texts = vec![
            ("tenant", tenant.to_owned()),
            ("amount", amount("cents")),
            ("balance", amount("balance_cents")),
            ("threshold", amount("threshold_cents")),
            ("reason", text("reason")),
            ("url", text("url")),
            ("what", text("what")),
        ];
        Self {
            texts,
            count: data["count"].as_u64().unwrap_or(1),
        }
    }

    fn args(&self) -> Vec<(&'static str, Arg<'_>)> {
        let texts = self
            .texts
            .iter()
            .map(|(name, text)| (*name, Arg::Text(text)));
        texts.chain([("count", Arg::Count(self.count))]).collect()
    }
}

/// A name with a line break in it must not begin another header.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The paragraphs of the text, with links.
fn html(locale: Locale, mail: &Mail) -> String {
    let paragraphs = mail
        .text
        .split("\n\n")
        .map(|paragraph| format!("<p>{}</p>\n", paragraph_html(paragraph)));
    format!(
        "<!doctype html>\n<html lang=\"{locale}\"><head><meta \
            charset=\"utf-8\"><title>{}</title></head>\n<body>\n{}</body></html>\n",
        escaped(&mail.subject),
        paragraphs.collect::<String>(),
    )
}

fn paragraph_html(paragraph: &str) -> String {
    let word = |word: &str| match word.starts_with("https://") {
        true => format!("<a href=\"{0}\">{0}</a>", escaped(word)),
        false => escaped(word),
    };
    paragraph
        .split(' ')
        .map(|part| part.lines().map(word).collect::<Vec<_>>().join("<br>\n"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_is_written_in_every_language() {
        let data = json!({ "currency": "EUR", "cents": 2500, "balance_cents": 480, "threshold_cents": 500, "reason": "no_rate",
            "count": 3, "url": "https://pay.example/x", "what": "dispute" });
        for kind in NoticeKind::ALL.into_iter().chain([NoticeKind::Test]) {
            for locale in Locale::ALL {
                let mail = written(locale, kind, &data, "Acme GmbH", "Muster Telecom");
                assert!(
                    !mail.subject.is_empty() && !mail.subject.contains('\n'),
                    "{mail:?}"
                );
                assert!(
                    !mail.text.contains(['{', '}', '–']) && mail.text.contains("Muster Telecom"),
                    "{kind:?} {mail:?}"
                );
            }
        }
    }

    #[test]
    fn amounts_are_the_readers() {
        let data = json!({ "currency": "EUR", "balance_cents": 480, "threshold_cents": 500 });
        let mail = written(
            Locale::De,
            NoticeKind::BalanceLow,
            &data,
            "Acme GmbH",
            "Acme GmbH",
        );
        assert_eq!(mail.subject, "Niedriges Guthaben: 4,80 €");
        assert!(
            mail.text
                .starts_with("Guten Tag,\n\nDas Guthaben von Acme GmbH beträgt 4,80\u{a0}€."),
            "{}",
            mail.text
        );
    }

    #[test]
    fn html_is_escaped_and_links_lead_somewhere() {
        let data =
            json!({ "currency": "EUR", "cents": 2500, "url": "https://pay.example/x?a=1&b=2" });
        let mail = written(
            Locale::En,
            NoticeKind::TopUpActionRequired,
            &data,
            "<b>Acme</b> & Co",
            "Acme",
        );
        let html = html(Locale::En, &mail);
        assert!(
            html.contains("&lt;b&gt;Acme&lt;/b&gt; &amp; Co") && !html.contains("<b>"),
            "{html}"
        );
        assert!(
            html.contains("<a href=\"https://pay.example/x?a=1&amp;b=2\">"),
            "{html}"
        );
    }

    #[test]
    fn a_name_begins_no_other_header() {
        let mail = written(
            Locale::En,
            NoticeKind::MarginNegative,
            &json!({}),
            "Acme\r\nBcc: all@example.com",
            "x",
        );
        assert_eq!(mail.subject, "Negative margin: Acme Bcc: all@example.com");
    }

    #[test]
    fn settings_are_checked_without_telling_the_password() {
        assert!(
            Mailer::new(
                "smtps://user:secret@mail.example.com:465",
                "Centwise <billing@example.com>"
            )
            .is_ok()
        );
        let refused = Mailer::new("http://user:secret@mail.example.com", "billing@example.com")
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("smtps://") && !refused.contains("secret"),
            "{refused}"
        );
        assert!(Mailer::new("smtp://localhost:25", "nobody").is_err());
        for well in [
            "smtp://localhost:25",
            "smtps://u:p@h",
            "smtp://u:p@h:587?tls=required",
            "smtp://h?tls=opportunistic",
        ] {
            assert!(Mailer::new(well, "billing@example.com").is_ok(), "{well}");
        }
        // Each sent the password in clear, or went to another host.
        for bad in [
            "smtp://u:secret@h:587?TLS=required",
            "smtp://u:secret@h:587?starttls=required",
            "smtp://u:secret@h:587?tls=required&x=1",
            "smtp://u:secret@h:587?tls=Required",
            "smtp://u:secret@h:587?tls=opportunistic",
            "smtp://u:secret@h:587",
            "smtps://u:12/secret@h",
            "smtps://u:12?secret@h",
            "smtps://u:12#secret@h",
        ] {
            let refused = Mailer::new(bad, "billing@example.com")
                .unwrap_err()
                .to_string();
            assert!(!refused.contains("secret"), "{bad}: {refused}");
        }
        assert!(
            is_address("a@example.com")
                && !is_address("a@b@c")
                && !is_address("a@example.com\r\nBcc: x@y.z")
        );
    }
}
