//! From a card's price model to scaled integers, with every mistake on the way.

use super::curve::{Build, Curve, Leg};
use super::input::{Converter, Input};
use super::local::{Kind, Local, Matrix, Percentage, Values, in_parts};
use super::{CompiledModel, Finish, ModelMistake, Shape};
use crate::card::{BlockPolicy, BlockTier, Cell, Model, PercentTier, PriceModel, Rounding, Tier};
use crate::money::Rate as Amount;
use crate::rounding::Mode;
use crate::{Currency, Exact, Overflow, Quantity, Ratio};

/// Tiers of one model.
pub const TIERS_MAX: usize = 1_000;
/// Cells of one matrix.
pub const CELLS_MAX: usize = 100_000;

/// Mistakes so far, and what is needed to read a model's numbers.
struct Reader {
    mistakes: Vec<ModelMistake>,
    /// Decimals of the major unit down to 10⁻¹² cent.
    money_decimals: u32,
    /// Parts in a billionth of the priced unit.
    scale: i128,
}

pub(super) fn compile(
    model: &PriceModel,
    currency: Currency,
    rounding: Option<Rounding>,
) -> Result<CompiledModel, Vec<ModelMistake>> {
    let money_decimals = currency.exponent() + Exact::CENT_DECIMALS;
    let mut reader = Reader {
        mistakes: Vec::new(),
        money_decimals,
        scale: 1,
    };
    let input = reader.input(model);
    let keep = reader.keep(model.percent_discount);
    let shape = reader.shape(&model.model, keep, currency);
    if let Some(Shape::Local(local)) = &shape {
        reader.refuse_modifiers(model, &local.kind);
    }
    let maximum = model
        .maximum_spend
        .map(|limit| Exact(reader.limit("maximum_spend", limit)));
    let minimum = model
        .minimum_spend
        .map(|limit| Exact(reader.limit("minimum_spend", limit)));
    if minimum
        .zip(maximum)
        .is_some_and(|(minimum, maximum)| minimum > maximum)
    {
        reader.mistake(
            "minimum_spend",
            "minimum_above_maximum",
            "the minimum spend is above the maximum spend",
        );
    }
    let (step, mode) = rounding
        .and_then(|rounding| step(rounding, money_decimals))
        .unwrap_or((1, Mode::HalfEven));
    let finish = Finish {
        step,
        mode,
        maximum,
    };
    if shape.is_none() && reader.mistakes.is_empty() {
        reader.too_large("");
    }
    match shape {
        Some(shape) if reader.mistakes.is_empty() => Ok(CompiledModel {
            input,
            shape,
            finish,
            minimum,
            amount_from: model.model.amount_from().flatten(),
        }),
        _ => Err(reader.mistakes),
    }
}

/// A rounding finer than 10⁻¹² cent changes nothing.
fn step(rounding: Rounding, money_decimals: u32) -> Option<(i128, Mode)> {
    let shift = money_decimals.checked_sub(u32::from(rounding.decimals))?;
    10_i128.checked_pow(shift).map(|step| (step, rounding.mode))
}

impl Reader {
    fn mistake(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.mistakes.push((path.into(), code, message.into()));
    }

    fn too_large(&mut self, path: impl Into<String>) {
        self.mistake(path, "too_large", "too large to be priced exactly");
    }

    /// An amount of major units in 10⁻¹² cents, of either sign.
    fn money(&mut self, path: impl Into<String>, amount: Amount) -> i128 {
        in_parts(amount, self.money_decimals).unwrap_or_else(|Overflow| {
            self.too_large(path);
            0
        })
    }

    /// Money that must not be negative.
    fn limit(&mut self, path: &str, amount: Amount) -> i128 {
        if amount.is_negative() {
            self.mistake(path, "negative", "must not be negative");
        }
        self.money(path, amount)
    }

    /// A quantity of priced units in parts.
    fn parts(&mut self, path: impl Into<String>, quantity: Quantity) -> i128 {
        quantity.0.checked_mul(self.scale).unwrap_or_else(|| {
            self.too_large(path);
            0
        })
    }

    fn not_negative(&mut self, path: &str, quantity: Quantity) -> i128 {
        if quantity.is_negative() {
            self.mistake(path, "negative", "must not be negative");
            return 0;
        }
        self.parts(path, quantity)
    }

    fn positive(&mut self, path: impl Into<String>, quantity: Quantity) -> i128 {
        let path = path.into();
        if quantity <= Quantity::ZERO {
            self.mistake(path, "not_positive", "must be greater than zero");
            return 1;
        }
        self.parts(path, quantity).max(1)
    }

    fn input(&mut self, model: &PriceModel) -> Input {
        let converter = model.convert.as_ref().and_then(|conversion| {
            let converter = Converter::new(conversion);
            if converter.is_err() {
                self.mistake(
                    "convert.factor",
                    "not_positive",
                    "must be greater than zero",
                );
            }
            converter.ok()
        });
        let input = Input::new(converter);
        self.scale = input.scale();
        let allowance = model
            .allowance
            .map_or(0, |units| self.not_negative("allowance", units));
        input.with_allowance(allowance)
    }

    /// What a percent discount leaves, as a fraction.
    fn keep(&mut self, discount: Option<Amount>) -> Ratio {
        let hundred = 100 * 10_i128.pow(Amount::DECIMALS);
        let discount = discount.map_or(Ok(0), |discount| in_parts(discount, Amount::DECIMALS));
        let left = match discount {
            Ok(discount) if discount < 0 => Err(("negative", "must not be negative")),
            Ok(discount) if discount > hundred => {
                Err(("percent_above_100", "at most 100 percent can be discounted"))
            }
            Ok(discount) => {
                Ok(Ratio::new(hundred - discount, hundred).map_or(Ratio::ZERO, Ratio::reduced))
            }
            Err(Overflow) => Err(("too_fine", "at most 12 decimals")),
        };
        left.unwrap_or_else(|(code, message)| {
            self.mistake("percent_discount", code, message);
            Ratio::ZERO
        })
    }

    fn shape(&mut self, model: &Model, keep: Ratio, currency: Currency) -> Option<Shape> {
        let kind = match model {
            Model::Percentage { .. } => Kind::Percentage(self.percentage(model)?),
            Model::CostPlus { factor } => Kind::PassThrough(self.factor(*factor, currency)),
            Model::Dynamic => Kind::PassThrough(Ratio::whole(10_i128.pow(currency.exponent()))),
            Model::Matrix {
                dimensions,
                cells,
                default_price,
            } => Kind::Matrix(self.matrix(dimensions, cells, *default_price)),
            _ => {
                let curve = self.curve(model)?.and_then(|curve| curve.times(keep));
                if curve.is_err() {
                    self.too_large("");
                }
                return curve.ok().map(Shape::Curve);
            }
        };
        Some(Shape::Local(Box::new(Local { kind, keep })))
    }

    /// `None`: there is nothing to build a curve of (the mistake is noted).
    fn curve(&mut self, model: &Model) -> Option<Result<Curve, Overflow>> {
        let unit = Quantity::ONE.checked_mul(self.scale)?;
        let one = |price, flat| {
            [Leg {
                up_to: 0,
                block: 1,
                price,
                flat,
            }]
        };
        Some(match model {
            Model::PerUnit { unit_price, per } => {
                let (price, per) = (
                    self.money("unit_price", *unit_price),
                    self.positive("per", *per),
                );
                Curve::build(&one(price, 0), per, Mode::Ceil, Build::TierByTier)
            }
            Model::Flat { amount } => Curve::build(
                &one(0, self.money("amount", *amount)),
                1,
                Mode::Ceil,
                Build::TierByTier,
            ),
            Model::Graduated { tiers } => {
                Curve::build(&self.tiers(tiers)?, unit, Mode::Ceil, Build::TierByTier)
            }
            Model::Volume { tiers } => {
                Curve::build(&self.tiers(tiers)?, unit, Mode::Ceil, Build::TopTier)
            }
            Model::GraduatedPercentage { tiers, .. } => {
                let per = unit.checked_mul(100)?;
                Curve::build(
                    &self.percent_tiers(tiers)?,
                    per,
                    Mode::Ceil,
                    Build::TierByTier,
                )
                .map(Curve::of_amounts)
            }
            Model::Package {
                size,
                amount,
                free,
                round,
            } => {
                let leg = Leg {
                    up_to: 0,
                    block: self.positive("size", *size),
                    price: self.money("amount", *amount),
                    flat: 0,
                };
                let free = free.map_or(0, |free| self.not_negative("free", free));
                let curve = Curve::build(&[leg], 1, round.unwrap_or(Mode::Ceil), Build::TierByTier);
                curve.map(|curve| curve.after_free(free).counting_blocks())
            }
            Model::BlockTiers { policy, tiers } => {
                let build = if *policy == BlockPolicy::AllTiers {
                    Build::TierByTier
                } else {
                    Build::TopTier
                };
                Curve::build(&self.block_tiers(tiers)?, 1, Mode::Ceil, build)
                    .map(Curve::counting_blocks)
            }
            Model::Percentage { .. }
            | Model::CostPlus { .. }
            | Model::Dynamic
            | Model::Matrix { .. } => return None,
        })
    }

    /// Ends of tiers must ascend; only the last may lack one.
    fn ends(&mut self, field: &str, ends: &[Option<Quantity>]) -> Option<Vec<i128>> {
        if ends.is_empty() {
            self.mistake("tiers", "missing", "at least one tier is needed");
            return None;
        }
        if ends.len() > TIERS_MAX {
            self.mistake("tiers", "too_many", format!("at most {TIERS_MAX} tiers"));
            return None;
        }
        let (mut below, mut parts) = (Quantity(-1), Vec::with_capacity(ends.len()));
        for (index, end) in ends.iter().enumerate() {
            let path = format!("tiers[{index}].{field}");
            let Some(end) = *end else {
                if index + 1 < ends.len() {
                    self.mistake(path, "missing", "only the last tier may be without an end");
                }
                parts.push(0);
                continue;
            };
            if end <= below {
                self.mistake(
                    path.as_str(),
                    "not_ascending",
                    "must be greater than the end of the tier before",
                );
            }
            below = end;
            parts.push(self.parts(path, end));
        }
        Some(parts)
    }

    fn tiers(&mut self, tiers: &[Tier]) -> Option<Vec<Leg>> {
        let ends: Vec<_> = tiers.iter().map(|tier| tier.up_to).collect();
        self.legs(
            &ends,
            "unit_price",
            tiers.iter().map(|tier| (tier.unit_price, tier.flat)),
        )
    }

    fn percent_tiers(&mut self, tiers: &[PercentTier]) -> Option<Vec<Leg>> {
        let mut ends = Vec::with_capacity(tiers.len());
        for (index, tier) in tiers.iter().enumerate() {
            ends.push(
                tier.up_to
                    .map(|end| self.amount_of_counter(format!("tiers[{index}].up_to"), end)),
            );
        }
        self.legs(
            &ends,
            "rate",
            tiers.iter().map(|tier| (tier.rate, tier.flat)),
        )
    }

    /// Tiers priced pro rata: (price, flat) of each.
    fn legs(
        &mut self,
        ends: &[Option<Quantity>],
        field: &str,
        prices: impl Iterator<Item = (Amount, Option<Amount>)>,
    ) -> Option<Vec<Leg>> {
        let ends = self.ends("up_to", ends)?;
        let mut legs = Vec::with_capacity(ends.len());
        for (index, ((price, flat), up_to)) in prices.zip(ends).enumerate() {
            let price = self.money(format!("tiers[{index}].{field}"), price);
            let flat = flat.map_or(0, |flat| self.money(format!("tiers[{index}].flat"), flat));
            legs.push(Leg {
                up_to,
                block: 1,
                price,
                flat,
            });
        }
        self.mistakes.is_empty().then_some(legs)
    }

    /// An amount that is compared with a counter of amounts: nine decimals.
    fn amount_of_counter(&mut self, path: impl Into<String>, amount: Amount) -> Quantity {
        in_parts(amount, Quantity::DECIMALS).map_or_else(
            |Overflow| {
                self.mistake(path, "too_fine", "at most 9 decimals");
                Quantity::ZERO
            },
            Quantity,
        )
    }

    fn block_tiers(&mut self, tiers: &[BlockTier]) -> Option<Vec<Leg>> {
        let (mut end, mut ends) = (Quantity::ZERO, Vec::with_capacity(tiers.len()));
        for (index, tier) in tiers.iter().enumerate() {
            let blocks = tier.max_blocks.map(|blocks| {
                tier.block
                    .0
                    .checked_mul(i128::from(blocks))
                    .and_then(|width| end.0.checked_add(width))
            });
            match blocks {
                Some(None) => self.too_large(format!("tiers[{index}].max_blocks")),
                Some(Some(reached)) => end = Quantity(reached),
                None => {}
            }
            if tier.max_blocks == Some(0) {
                self.mistake(
                    format!("tiers[{index}].max_blocks"),
                    "not_positive",
                    "must be greater than zero",
                );
            }
            ends.push(blocks.map(|_| end));
        }
        let blocks: Vec<i128> = tiers
            .iter()
            .enumerate()
            .map(|(index, tier)| self.positive(format!("tiers[{index}].block"), tier.block))
            .collect();
        if !self.mistakes.is_empty() {
            return None;
        }
        let ends = self.ends("max_blocks", &ends)?;
        let legs = tiers.iter().zip(ends).zip(blocks).enumerate().map(
            |(index, ((tier, up_to), block))| Leg {
                up_to,
                block,
                price: self.money(format!("tiers[{index}].price"), tier.price),
                flat: 0,
            },
        );
        let legs = legs.collect();
        self.mistakes.is_empty().then_some(legs)
    }

    fn percentage(&mut self, model: &Model) -> Option<Percentage> {
        let Model::Percentage {
            rate,
            fixed,
            free_events,
            free_amount,
            minimum_per_event,
            maximum_per_event,
            ..
        } = model
        else {
            return None;
        };
        let percent = Ratio::new(self.money("rate", *rate), Quantity::ONE * 100)
            .map_or(Ratio::ZERO, Ratio::reduced);
        let minimum = minimum_per_event.map(|limit| self.limit("minimum_per_event", limit));
        let maximum = maximum_per_event.map(|limit| self.limit("maximum_per_event", limit));
        if minimum
            .zip(maximum)
            .is_some_and(|(minimum, maximum)| minimum > maximum)
        {
            self.mistake(
                "minimum_per_event",
                "minimum_above_maximum",
                "the minimum per event is above the maximum per event",
            );
        }
        if free_amount.is_some_and(Amount::is_negative) {
            self.mistake("free_amount", "negative", "must not be negative");
        }
        Some(Percentage {
            percent,
            fixed: fixed.map_or(0, |fixed| self.money("fixed", fixed)),
            free_events: free_events.map(i64::from),
            free_amount: free_amount.map(|free| self.amount_of_counter("free_amount", free).0),
            minimum,
            maximum,
        })
    }

    /// 10⁻¹² cents per 10⁻¹² of the major unit, times the factor.
    fn factor(&mut self, factor: Amount, currency: Currency) -> Ratio {
        if factor.is_negative() {
            self.mistake("factor", "negative", "must not be negative");
        }
        let num = in_parts(factor, Amount::DECIMALS + currency.exponent());
        num.and_then(|num| Ratio::new(num, 10_i128.pow(Amount::DECIMALS)))
            .map(Ratio::reduced)
            .unwrap_or_else(|Overflow| {
                self.too_large("factor");
                Ratio::ZERO
            })
    }

    fn matrix(
        &mut self,
        dimensions: &[String],
        cells: &[Cell],
        default_price: Option<Amount>,
    ) -> Matrix {
        if dimensions.is_empty() {
            self.mistake("dimensions", "missing", "at least one attribute is needed");
        }
        if cells.len() > CELLS_MAX {
            self.mistake("cells", "too_many", format!("at most {CELLS_MAX} cells"));
        }
        let mut priced = Vec::with_capacity(cells.len());
        for (index, cell) in cells.iter().enumerate() {
            if cell.values.len() != dimensions.len() {
                self.mistake(
                    format!("cells[{index}].values"),
                    "wrong_length",
                    "one value per dimension is needed",
                );
            }
            let values: Values = cell
                .values
                .iter()
                .map(|value| value.as_str().into())
                .collect();
            priced.push((
                values,
                index,
                self.per_part(format!("cells[{index}].unit_price"), cell.unit_price),
            ));
        }
        priced.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let twice: Vec<usize> = priced
            .windows(2)
            .filter(|pair| pair[0].0 == pair[1].0)
            .map(|pair| pair[1].1)
            .collect();
        for index in twice {
            self.mistake(
                format!("cells[{index}].values"),
                "duplicate",
                "another cell has the same values",
            );
        }
        Matrix {
            dimensions: dimensions
                .iter()
                .map(|dimension| dimension.as_str().into())
                .collect(),
            cells: priced
                .into_iter()
                .map(|(values, _, price)| (values, price))
                .collect(),
            default_price: default_price.map(|price| self.per_part("default_price", price)),
        }
    }

    fn per_part(&mut self, path: impl Into<String>, unit_price: Amount) -> Ratio {
        let path = path.into();
        let price = self.money(path.as_str(), unit_price);
        let unit = Quantity::ONE.checked_mul(self.scale).ok_or(Overflow);
        unit.and_then(|unit| Ratio::new(price, unit))
            .map(Ratio::reduced)
            .unwrap_or_else(|Overflow| {
                self.too_large(path);
                Ratio::ZERO
            })
    }

    /// Modifiers that need P of the period, or a quantity, on a model that has none.
    fn refuse_modifiers(&mut self, model: &PriceModel, kind: &Kind) {
        let local = "this model prices each event on its own";
        if model.maximum_spend.is_some() {
            self.mistake("maximum_spend", "not_with_this_model", local);
        }
        if matches!(kind, Kind::Matrix(_)) {
            return;
        }
        if model.allowance.is_some() {
            self.mistake(
                "allowance",
                "not_with_this_model",
                "this model prices an amount, not a quantity",
            );
        }
        if model.convert.is_some() {
            self.mistake(
                "convert",
                "not_with_this_model",
                "this model prices an amount, not a quantity",
            );
        }
    }
}
