//! Nodes of the tree.

use crate::{CHAIN_LINKS_MAX, Invalid, invalid::check};
use rating::{Instant, TenantId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantKind {
    Platform,
    Reseller,
    Customer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// The caller's own id; unique under the root (the platform's and the roots' own: globally).
    pub external_id: String,
    pub kind: TenantKind,
    pub name: String,
    /// The seller; `None` for the platform only.
    pub parent: Option<TenantId>,
    /// The root this tenant belongs to; the platform's is itself.
    pub root: TenantId,
    /// From the platform down to this tenant, both included.
    pub path: SmallVec<[TenantId; 4]>,
    /// ISO 3166-1 alpha-2: how national numbers are read.
    pub country: Option<String>,
    pub late_window_days: u16,
    pub created_at: Instant,
    pub closed_at: Option<Instant>,
}

pub const LATE_WINDOW_DAYS_DEFAULT: u16 = 35;
pub const LATE_WINDOW_DAYS_MAX: u16 = 366;
/// What the platform is called; nobody else.
pub const PLATFORM_NAME: &str = "platform";
pub const EXTERNAL_ID_BYTES_MAX: usize = 128;
pub const NAME_CHARS_MAX: usize = 200;

/// Where a new tenant stands in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub parent: TenantId,
    pub root: TenantId,
    pub path: SmallVec<[TenantId; 4]>,
}

/// The place of a new tenant under a seller. Customers sell to nobody; a chain has at most
/// [`CHAIN_LINKS_MAX`] links.
pub fn place(parent: &Tenant, id: TenantId) -> Result<Place, Invalid> {
    check(
        parent.kind != TenantKind::Customer,
        "parent",
        "a customer has no customers of its own; name a reseller or the platform",
    )?;
    check(parent.closed_at.is_none(), "parent", "the seller is closed")?;
    check(
        parent.path.len() <= CHAIN_LINKS_MAX,
        "parent",
        "expected at most 8 links from the platform down",
    )?;
    check(
        !parent.path.contains(&id),
        "id",
        "a tenant cannot be its own seller",
    )?;
    let mut path = parent.path.clone();
    path.push(id);
    Ok(Place {
        parent: parent.id,
        root: path[1],
        path,
    })
}

/// A caller's own id: 1 to 128 of A–Z a–z 0–9 . _ : @ + -, and not one of ours.
pub fn check_external_id(text: &str) -> Result<(), Invalid> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@+-".contains(&byte);
    let fits = (1..=EXTERNAL_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
    check(
        fits,
        "external_id",
        "expected 1 to 128 of A-Z a-z 0-9 . _ : @ + -",
    )?;
    check(
        !text.starts_with("ten_"),
        "external_id",
        "ids that begin with ten_ are assigned by Centwise",
    )
}

/// The platform's name leads to the platform, however it is written.
pub fn check_reserved(kind: TenantKind, external_id: &str) -> Result<(), Invalid> {
    let is_free = kind == TenantKind::Platform || !external_id.eq_ignore_ascii_case(PLATFORM_NAME);
    check(
        is_free,
        "external_id",
        "`platform` is reserved for the platform; choose another",
    )
}

/// A name for people: 1 to [`NAME_CHARS_MAX`] characters, not only blanks, no control characters.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let fits = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    check(
        fits,
        "name",
        "expected 1 to 200 characters and no control characters",
    )
}

/// ISO 3166-1, and three that have telephones of their own: Ascension (AC), Tristan da Cunha (TA),
/// Kosovo (XK).
const COUNTRIES: &str = "10 11 12 13 14 15 16 99 AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX \
    AZ BA BB BD BE BF BG BH BI BJ BL BM BN \
    BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK \
    DM DO DZ EC EE EG \
    EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM \
    HN HR HT HU ID IE \
    IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT \
    LU LV LY MA MC MD \
    ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU \
    NZ OM PA PE PF PG \
    PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR \
    SS ST SV SX SY SZ \
    TA TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF \
    WS XK YE YT ZA ZM \
    ZW";

/// A code of [`COUNTRIES`] in capitals. Two of the European Union's are not ISO's: they are told by
/// name.
pub fn check_country(country: &str) -> Result<(), Invalid> {
    let expected = match country.to_ascii_uppercase().as_str() {
        "UK" => "expected an ISO 3166-1 code: that of the United Kingdom is GB",
        "EL" => "expected an ISO 3166-1 code: that of Greece is GR",
        _ => "expected an ISO 3166-1 code of two capital letters, such as DE",
    };
    check(
        COUNTRIES
            .split_ascii_whitespace()
            .any(|code| code == country),
        "country",
        expected,
    )
}

impl Tenant {
    /// Everything that can be said of a tenant by itself, in the order of its fields.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_external_id(&self.external_id)?;
        check_reserved(self.kind, &self.external_id)?;
        check_name(&self.name)?;
        self.country.as_deref().map_or(Ok(()), check_country)?;
        check(
            self.late_window_days <= LATE_WINDOW_DAYS_MAX,
            "late_window_days",
            "expected 0 to 366 days",
        )?;
        check(
            self.closed_at
                .is_none_or(|closed| closed >= self.created_at),
            "closed_at",
            "a tenant cannot close before it was created",
        )?;
        self.check_place()
    }

    /// The path begins with the platform and ends here; parent and root are its members.
    fn check_place(&self) -> Result<(), Invalid> {
        check(
            (1..=CHAIN_LINKS_MAX + 1).contains(&self.path.len()),
            "path",
            "expected at most 8 links from the platform down",
        )?;
        let distinct =
            (1..self.path.len()).all(|index| !self.path[..index].contains(&self.path[index]));
        check(
            distinct && self.path.last() == Some(&self.id),
            "path",
            "expected each tenant once, from the platform down to this one",
        )?;
        let parent = self.path.len().checked_sub(2).map(|index| self.path[index]);
        check(
            self.parent == parent,
            "parent",
            "expected the last seller of the path, and none for the platform",
        )?;
        check(
            self.root == *self.path.get(1).unwrap_or(&self.id),
            "root",
            "expected the platform's direct child on the path",
        )?;
        check(
            (self.kind == TenantKind::Platform) == parent.is_none(),
            "kind",
            "the platform, and only it, has no seller",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tenant;

    #[test]
    fn external_ids() {
        let long = "x".repeat(EXTERNAL_ID_BYTES_MAX);
        for text in [
            "a",
            "acme-42",
            "A.b_c:d@e+f-1",
            "ten",
            "tenant_1",
            long.as_str(),
        ] {
            assert_eq!(check_external_id(text), Ok(()), "{text}");
        }
        let longer = "x".repeat(EXTERNAL_ID_BYTES_MAX + 1);
        for text in [
            "",
            " ",
            "a b",
            "ä",
            "a/b",
            "a\n",
            "ten_0000000000001",
            "ten_",
            longer.as_str(),
        ] {
            assert!(check_external_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_platform_is_called_platform() {
        for (path, name) in [
            (&[1, 2][..], "platform"),
            (&[1, 2, 3], "platform"),
            (&[1, 2, 3], "Platform"),
            (&[1, 2], "PLATFORM"),
        ] {
            let called = Tenant {
                external_id: name.into(),
                ..tenant(path)
            };
            assert_eq!(
                called.validate().map_err(|invalid| invalid.field),
                Err("external_id")
            );
        }
        assert_eq!(
            Tenant {
                external_id: "platform".into(),
                ..tenant(&[1])
            }
            .validate(),
            Ok(())
        );
    }

    #[test]
    fn countries_are_those_of_iso_3166() {
        for code in ["DE", "GB", "GR", "US", "XK", "ZW", "AD"] {
            assert_eq!(check_country(code), Ok(()), "{code}");
        }
        for (code, hint) in [
            ("UK", "GB"),
            ("uk", "GB"),
            ("EL", "GR"),
            ("Germany", "DE"),
            ("de", "DE"),
            ("XX", "DE"),
            ("", "DE"),
            ("AD AE", "DE"),
        ] {
            let invalid = check_country(code).unwrap_err();
            assert!(
                invalid.field == "country" && invalid.expected.contains(hint),
                "{code}: {invalid:?}"
            );
        }
    }

    #[test]
    fn the_fields_are_checked_in_order() {
        type Step = (fn(&mut Tenant), &'static str);
        let steps: [Step; 8] = [
            (|t| t.external_id.clear(), "external_id"),
            (|t| t.name = " ".into(), "name"),
            (|t| t.country = Some("de".into()), "country"),
            (|t| t.late_window_days = 367, "late_window_days"),
            (
                |t| (t.created_at, t.closed_at) = (Instant(2), Some(Instant(1))),
                "closed_at",
            ),
            (|t| t.path[0] = t.id, "path"),
            (|t| t.parent = None, "parent"),
            (|t| t.root = TenantId(99), "root"),
        ];
        for first in 0..steps.len() {
            let mut broken = tenant(&[1, 2, 3]);
            steps[first..]
                .iter()
                .rev()
                .for_each(|(step, _)| step(&mut broken));
            assert_eq!(
                broken.validate().map_err(|invalid| invalid.field),
                Err(steps[first].1)
            );
        }
        let second_platform = Tenant {
            kind: TenantKind::Platform,
            ..tenant(&[1, 2])
        };
        assert_eq!(
            second_platform.validate().map_err(|invalid| invalid.field),
            Err("kind")
        );
        for path in [&[1_i64][..], &[1, 2], &[1, 2, 3]] {
            assert_eq!(tenant(path).validate(), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn the_tree_is_at_most_eight_links_deep() {
        let mut parent = tenant(&[1]);
        for depth in 1_i64..=8 {
            let Place {
                parent: seller,
                root,
                path,
            } = place(&parent, TenantId(depth + 1)).unwrap();
            parent = Tenant {
                id: TenantId(depth + 1),
                kind: TenantKind::Reseller,
                parent: Some(seller),
                root,
                path,
                ..parent
            };
            assert_eq!(
                (parent.validate(), parent.root),
                (Ok(()), TenantId(2)),
                "{depth}"
            );
        }
        assert!(place(&parent, TenantId(10)).is_err());
    }

    #[test]
    fn customers_and_the_closed_have_no_customers() {
        let customer = Tenant {
            kind: TenantKind::Customer,
            ..tenant(&[1, 2])
        };
        let closed = Tenant {
            closed_at: Some(Instant(1)),
            ..tenant(&[1, 2])
        };
        for parent in [customer, closed] {
            assert_eq!(
                place(&parent, TenantId(3)).map_err(|invalid| invalid.field),
                Err("parent")
            );
        }
    }

    #[test]
    fn a_key_sees_its_own_subtree() {
        let path = tenant(&[1, 2, 4]).path;
        for (caller, sees) in [(1, true), (2, true), (4, true), (3, false), (5, false)] {
            assert_eq!(crate::visible(TenantId(caller), &path), sees, "{caller}");
        }
    }
}
