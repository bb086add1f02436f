//! The catalogues, compiled in.

use crate::{Locale, whole};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_syntax::ast::Pattern;
use std::sync::LazyLock;
use unic_langid::LanguageIdentifier;

/// In the order of [`Locale::ALL`].
const CATALOGUES: [&str; 3] = [
    include_str!("../messages/de.ftl"),
    include_str!("../messages/en.ftl"),
    include_str!("../messages/fr.ftl"),
];

static BUNDLES: LazyLock<[FluentBundle<FluentResource>; 3]> =
    LazyLock::new(|| Locale::ALL.map(bundle));

/// A value in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arg<'a> {
    /// Ready to show: an amount, a date, a name.
    Text(&'a str),
    /// Shown with its groups as `{ $name-shown }`; `{ $name }` chooses between singular and plural.
    Count(u64),
}

/// A message in a language; a part of it (a mail's subject, a problem's detail) by `key.part`. A
/// message that there is not is shown by its key, so that nothing a customer waits for fails on a
/// word.
pub fn say(locale: Locale, key: &str, args: &[(&str, Arg<'_>)]) -> String {
    let bundle = bundle_of(locale);
    let Some(pattern) = pattern(bundle, key) else {
        return key.to_owned();
    };
    let mut values = FluentArgs::new();
    for (name, arg) in args {
        match arg {
            Arg::Text(text) => values.set(*name, FluentValue::from(*text)),
            Arg::Count(count) => {
                values.set(
                    format!("{name}-shown"),
                    FluentValue::from(whole(locale, *count)),
                );
                values.set(*name, FluentValue::from(*count));
            }
        }
    }
    // What cannot be resolved is shown by its name; a test finds what a catalogue asks for and
    // nobody gives.
    bundle
        .format_pattern(pattern, Some(&values), &mut Vec::new())
        .into_owned()
}

/// Whether there is such a message.
pub fn has(key: &str) -> bool {
    pattern(bundle_of(Locale::En), key).is_some()
}

fn bundle_of(locale: Locale) -> &'static FluentBundle<FluentResource> {
    &BUNDLES[locale.place()]
}

fn pattern<'a>(
    bundle: &'a FluentBundle<FluentResource>,
    key: &str,
) -> Option<&'a Pattern<&'a str>> {
    let (id, part) = key
        .split_once('.')
        .map_or((key, None), |(id, part)| (id, Some(part)));
    let message = bundle.get_message(id)?;
    match part {
        None => message.value(),
        Some(part) => message
            .get_attribute(part)
            .map(|attribute| attribute.value()),
    }
}

fn bundle(locale: Locale) -> FluentBundle<FluentResource> {
    // Of the language alone come the rules of its plurals.
    let language: LanguageIdentifier = locale.code().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // Amounts stand between words here, never between scripts of two directions.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(CATALOGUES[locale.place()].to_owned())
        .unwrap_or_else(|(readable, _)| readable);
    // Unreadable or repeated messages are found by a test.
    let _repeated = bundle.add_resource(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_syntax::ast::{Entry, Expression, InlineExpression, PatternElement};
    use std::collections::{BTreeMap, BTreeSet};

    /// Keys with the arguments they take.
    fn outline(text: &str) -> BTreeMap<String, BTreeSet<String>> {
        let resource =
            fluent_syntax::parser::parse(text).unwrap_or_else(|(_, errors)| panic!("{errors:?}"));
        let mut outline = BTreeMap::new();
        let mut add = |key: String, pattern: &Pattern<&str>| {
            let mut arguments = BTreeSet::new();
            collect(pattern, &mut arguments);
            assert!(
                outline.insert(key.clone(), arguments).is_none(),
                "{key} is there twice"
            );
        };
        for entry in &resource.body {
            let Entry::Message(message) = entry else {
                continue;
            };
            if let Some(value) = &message.value {
                add(message.id.name.to_owned(), value);
            }
            for attribute in &message.attributes {
                add(
                    format!("{}.{}", message.id.name, attribute.id.name),
                    &attribute.value,
                );
            }
        }
        outline
    }

    fn collect(pattern: &Pattern<&str>, into: &mut BTreeSet<String>) {
        for element in &pattern.elements {
            let PatternElement::Placeable { expression } = element else {
                continue;
            };
            let inline = match expression {
                Expression::Inline(inline) => inline,
                Expression::Select { selector, variants } => {
                    variants
                        .iter()
                        .for_each(|variant| collect(&variant.value, into));
                    selector
                }
            };
            match inline {
                InlineExpression::VariableReference { id } => {
                    into.insert(id.name.trim_end_matches("-shown").to_owned());
                }
                other => panic!("catalogues use arguments and plurals only: {other:?}"),
            }
        }
    }

    #[test]
    fn every_language_has_every_message_with_the_same_arguments() {
        let [de, en, fr] = CATALOGUES;
        let wanted = outline(en);
        assert!(wanted.len() > 30);
        for (language, text) in [("de", de), ("fr", fr)] {
            assert_eq!(outline(text), wanted, "{language}");
        }
    }

    #[test]
    fn every_message_resolves_in_every_language() {
        for (key, arguments) in outline(CATALOGUES[1]) {
            let args: Vec<(&str, Arg<'_>)> = arguments
                .iter()
                .map(|name| {
                    (
                        name.as_str(),
                        if name == "count" {
                            Arg::Count(1234)
                        } else {
                            Arg::Text("VALUE")
                        },
                    )
                })
                .collect();
            for locale in Locale::ALL {
                let said = say(locale, &key, &args);
                assert!(
                    !said.is_empty() && said != key && !said.contains(['{', '}', '$']),
                    "{locale} {key}: {said}"
                );
                assert_eq!(
                    said.contains("VALUE"),
                    args.iter().any(|(_, arg)| matches!(arg, Arg::Text(_))),
                    "{locale} {key}: {said}"
                );
            }
        }
    }

    #[test]
    fn counts_choose_the_plural() {
        let said = |locale, count| {
            say(
                locale,
                "usage-unrated.subject",
                &[("count", Arg::Count(count))],
            )
        };
        assert_eq!(said(Locale::En, 1), "1 usage event could not be priced");
        assert_eq!(
            said(Locale::En, 1200),
            "1,200 usage events could not be priced"
        );
        assert_eq!(
            said(Locale::De, 1),
            "1 Nutzungsereignis konnte nicht bepreist werden"
        );
        assert_eq!(
            said(Locale::Fr, 0),
            "0 événement d’usage n’a pas pu être tarifé"
        );
    }

    #[test]
    fn what_there_is_not_is_shown_by_its_key() {
        assert_eq!(say(Locale::De, "no-such-message", &[]), "no-such-message");
        assert!(
            !has("no-such-message") && has("balance-low.subject") && !has("balance-low.nothing")
        );
    }
}
