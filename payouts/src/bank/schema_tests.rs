//! The rules of the schema of `pain.001.001.09`, narrowed to what EPC132-08 allows, as far as our
//! files use it: which elements in which order how often, and what each may say. The published
//! schema itself is not ours to ship.

use super::*;
use proptest::prelude::*;
use quick_xml::Reader;
use std::collections::HashSet;

/// Element: its children in order, each at least and at most so often.
type Rule = (&'static str, &'static [(&'static str, usize, usize)]);

const MANY: usize = usize::MAX;
const RULES: &[Rule] = &[
    ("Document", &[("CstmrCdtTrfInitn", 1, 1)]),
    ("CstmrCdtTrfInitn", &[("GrpHdr", 1, 1), ("PmtInf", 1, MANY)]),
    (
        "GrpHdr",
        &[
            ("MsgId", 1, 1),
            ("CreDtTm", 1, 1),
            ("NbOfTxs", 1, 1),
            ("CtrlSum", 1, 1),
            ("InitgPty", 1, 1),
        ],
    ),
    ("InitgPty", &[("Nm", 0, 1)]),
    (
        "PmtInf",
        &[
            ("PmtInfId", 1, 1),
            ("PmtMtd", 1, 1),
            ("BtchBookg", 0, 1),
            ("NbOfTxs", 1, 1),
            ("CtrlSum", 1, 1),
            ("PmtTpInf", 0, 1),
            ("ReqdExctnDt", 1, 1),
            ("Dbtr", 1, 1),
            ("DbtrAcct", 1, 1),
            ("DbtrAgt", 1, 1),
            ("UltmtDbtr", 0, 1),
            ("ChrgBr", 0, 1),
            ("CdtTrfTxInf", 1, MANY),
        ],
    ),
    (
        "PmtTpInf",
        &[
            ("InstrPrty", 0, 1),
            ("SvcLvl", 0, 1),
            ("LclInstrm", 0, 1),
            ("CtgyPurp", 0, 1),
        ],
    ),
    ("SvcLvl", &[("Cd", 1, 1)]),
    ("ReqdExctnDt", &[("Dt", 1, 1)]),
    ("Dbtr", &[("Nm", 1, 1), ("PstlAdr", 0, 1), ("Id", 0, 1)]),
    ("DbtrAcct", &[("Id", 1, 1)]),
    ("CdtrAcct", &[("Id", 1, 1)]),
    ("Id", &[("IBAN", 1, 1)]),
    ("DbtrAgt", &[("FinInstnId", 1, 1)]),
    ("CdtrAgt", &[("FinInstnId", 1, 1)]),
    // Either the one or the other.
    ("FinInstnId", &[("BICFI", 0, 1), ("Othr", 0, 1)]),
    ("Othr", &[("Id", 1, 1)]),
    (
        "CdtTrfTxInf",
        &[
            ("PmtId", 1, 1),
            ("PmtTpInf", 0, 1),
            ("Amt", 1, 1),
            ("ChrgBr", 0, 1),
            ("UltmtDbtr", 0, 1),
            ("CdtrAgt", 0, 1),
            ("Cdtr", 1, 1),
            ("CdtrAcct", 1, 1),
            ("UltmtCdtr", 0, 1),
            ("Purp", 0, 1),
            ("RmtInf", 0, 1),
        ],
    ),
    ("PmtId", &[("InstrId", 0, 1), ("EndToEndId", 1, 1)]),
    ("Amt", &[("InstdAmt", 1, 1)]),
    ("Cdtr", &[("Nm", 1, 1), ("PstlAdr", 0, 1), ("Id", 0, 1)]),
    ("RmtInf", &[("Ustrd", 0, 1)]),
];

#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn all<'a>(&'a self, name: &str, found: &mut Vec<&'a Element>) {
        found.extend((self.name == name).then_some(self));
        self.children
            .iter()
            .for_each(|child| child.all(name, found));
    }
    fn every(&self, name: &str) -> Vec<&str> {
        let mut found = Vec::new();
        self.all(name, &mut found);
        found
            .into_iter()
            .map(|element| element.text.as_str())
            .collect()
    }
    fn child(&self, name: &str) -> &Element {
        self.children
            .iter()
            .find(|child| child.name == name)
            .unwrap()
    }
}

fn parse(xml: &str) -> Element {
    let mut reader = Reader::from_str(xml);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let attribute = |one: quick_xml::events::attributes::Attribute<'_>| {
                    (one.key.as_ref().to_owned(), one.value.clone().into_owned())
                };
                let name = start.name().as_ref().to_owned();
                let attributes = start
                    .attributes()
                    .map(|one| attribute(one.unwrap()))
                    .collect();
                open.push(Element {
                    name,
                    attributes,
                    ..Element::default()
                });
            }
            Event::Text(text) => open
                .last_mut()
                .unwrap()
                .text
                .push_str(&text.xml10_content()),
            Event::GeneralRef(name) => match &*name.xml10_content() {
                "apos" => open.last_mut().unwrap().text.push('\''),
                other => panic!("&{other}; stands for nothing that SEPA takes"),
            },
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::Decl(_) => {}
            Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
            other => panic!("{other:?} is not expected in a payment file"),
        }
    }
}

/// What is wrong with an element, its order and what it says.
fn mistakes(element: &Element, parent: &str, found: &mut Vec<String>) {
    let name = element.name.as_str();
    match RULES.iter().find(|(known, _)| *known == name) {
        // An account of another kind, in a bank's own words.
        Some(_) if (parent, name) == ("Othr", "Id") => found.extend(leaf(name, &element.text)),
        Some((_, children)) => {
            let mut rest = element.children.iter().peekable();
            for (child, least, most) in *children {
                let mut count = 0;
                while rest.next_if(|next| next.name == *child).is_some() {
                    count += 1;
                }
                if count < *least || count > *most {
                    found.push(format!("{name}: {count} times {child}"));
                }
            }
            found.extend(
                rest.next()
                    .map(|left| format!("{name}: {} is not expected here", left.name)),
            );
            if name == "FinInstnId" && element.children.len() != 1 {
                found.push("FinInstnId: a choice of one".to_owned());
            }
        }
        None => found.extend(leaf(name, &element.text)),
    }
    for child in &element.children {
        mistakes(child, name, found);
    }
}

fn leaf(name: &str, text: &str) -> Option<String> {
    let taken = |c: char| c.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(c);
    let words = |most: usize| (1..=most).contains(&text.chars().count()) && text.chars().all(taken);
    let id = |most| {
        words(most) && !text.starts_with('/') && !text.ends_with('/') && !text.contains("//")
    };
    let ok = match name {
        "MsgId" | "PmtInfId" | "InstrId" | "EndToEndId" | "Id" => id(35),
        "CreDtTm" => text.parse::<jiff::Timestamp>().is_ok() && text.len() == 20,
        "Dt" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "NbOfTxs" => {
            (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        }
        "CtrlSum" | "InstdAmt" => is_amount(text),
        "PmtMtd" => text == "TRF",
        "Cd" => text == "SEPA",
        "ChrgBr" => text == "SLEV",
        "Nm" => words(70),
        "Ustrd" => words(140),
        "IBAN" => text.parse::<iban::Iban>().is_ok(),
        "BICFI" => matches!(text.len(), 8 | 11),
        _ => return Some(format!("{name} is not known")),
    };
    (!ok).then(|| format!("{name} may not say {text:?}"))
}

/// At most 18 digits, exactly two of them behind the point, at least 0.01.
fn is_amount(text: &str) -> bool {
    let Some((euros, cents)) = text.split_once('.') else {
        return false;
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = euros == "0" || !euros.starts_with('0');
    digits(euros)
        && digits(cents)
        && cents.len() == 2
        && (1..=16).contains(&euros.len())
        && plain
        && text != "0.00"
}

fn cents(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap()
}

#[track_caller]
fn check(document: &Document<'_>) -> Element {
    let root = parse(&write(document).unwrap());
    assert_eq!(
        root.attributes,
        [("xmlns".to_owned(), NAMESPACE.to_owned())]
    );
    let mut found = Vec::new();
    mistakes(&root, "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    root
}

fn account(holder: &str, bic: Option<&str>) -> BankAccount {
    BankAccount {
        holder: holder.to_owned(),
        iban: "DE89370400440532013000".to_owned(),
        bic: bic.map(str::to_owned),
    }
}

fn document<'a>(debtor: &'a BankAccount, transfers: &'a [Transfer]) -> Document<'a> {
    let cents = Cents(transfers.iter().map(|one| one.cents.0).sum());
    Document {
        message_id: "ptf-1",
        created_at: "2026-11-20T12:00:00Z",
        execution_on: "2026-11-23",
        debtor,
        transfers,
        cents,
    }
}

#[test]
fn a_file_with_one_transfer() {
    let debtor = account("Plattform GmbH & Co. KG", Some("COBADEFFXXX"));
    let creditor = BankAccount {
        iban: "FR1420041010050500013M02606".into(),
        ..account("Café Ümläut", None)
    };
    let entry = "Commission 2026-10 pyt-1".to_owned();
    let transfers = [Transfer {
        end_to_end_id: "pyt-1".to_owned(),
        cents: Cents(123_456),
        creditor,
        entry,
    }];
    let root = check(&document(&debtor, &transfers));
    assert_eq!(root.every("InstdAmt"), ["1234.56"]);
    assert_eq!(
        root.every("Nm"),
        [
            "Plattform GmbH + Co. KG",
            "Plattform GmbH + Co. KG",
            "Cafe Uemlaeut"
        ]
    );
    assert_eq!(
        (root.every("IBAN"), root.every("BICFI")),
        (
            vec!["DE89370400440532013000", "FR1420041010050500013M02606"],
            vec!["COBADEFFXXX"]
        )
    );
    let amount = root
        .child("CstmrCdtTrfInitn")
        .child("PmtInf")
        .child("CdtTrfTxInf")
        .child("Amt")
        .child("InstdAmt");
    assert_eq!(amount.attributes, [("Ccy".to_owned(), "EUR".to_owned())]);
}

#[test]
fn the_rules_find_mistakes() {
    let debtor = account("Plattform", None);
    let transfers = [Transfer {
        end_to_end_id: "pyt-1".into(),
        cents: Cents(1),
        creditor: account("Muster", None),
        entry: "x".into(),
    }];
    let good = write(&document(&debtor, &transfers)).unwrap();
    for (from, to) in [
        ("<MsgId>ptf-1</MsgId>", ""),
        ("<MsgId>ptf-1</MsgId>", "<MsgId>ptf_1</MsgId>"),
        ("<ChrgBr>SLEV</ChrgBr>", "<ChrgBr>SHAR</ChrgBr>"),
        ("0.01</InstdAmt>", "0.001</InstdAmt>"),
        ("DE8937", "DE8837"),
        (
            "<PmtMtd>TRF</PmtMtd>",
            "<PmtMtd>TRF</PmtMtd><Dt>2026-11-23</Dt>",
        ),
        (
            "<EndToEndId>pyt-1</EndToEndId>",
            "<EndToEndId>pyt//1</EndToEndId>",
        ),
    ] {
        let mut found = Vec::new();
        mistakes(&parse(&good.replacen(from, to, 1)), "", &mut found);
        assert!(good.contains(from) && !found.is_empty(), "{from} → {to}");
    }
}

fn transfer() -> impl Strategy<Value = (String, i64, bool)> {
    ("[^\\p{Cc}]{0,90}", 1..99_999_999_999_i64, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_file_keeps_the_rules_and_its_sums(list in prop::collection::vec(transfer(), 1..30), own_bic in any::<bool>()) {
        let debtor = account("Plattform", own_bic.then_some("COBADEFF"));
        let transfers: Vec<Transfer> = list.iter().enumerate().map(|(index, (name, cents, bic))| Transfer {
            end_to_end_id: format!("pyt-{index}"),
            cents: Cents(*cents),
            creditor: account(&format!("A{name}"), bic.then_some("COBADEFF")),
            entry: format!("Commission {name}"),
        }).collect();
        let root = check(&document(&debtor, &transfers));
        let amounts = root.every("InstdAmt");
        prop_assert_eq!(amounts.iter().map(|text| cents(text)).collect::<Vec<_>>(), list.iter().map(|one| one.1).collect::<Vec<_>>());
        let sum: i64 = list.iter().map(|one| one.1).sum();
        prop_assert!(root.every("CtrlSum").iter().all(|text| cents(text) == sum) && root.every("CtrlSum").len() == 2);
        prop_assert!(root.every("NbOfTxs").iter().all(|text| *text == list.len().to_string()));
        prop_assert_eq!(root.every("EndToEndId").iter().collect::<HashSet<_>>().len(), list.len());
    }
}
