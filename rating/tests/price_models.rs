//! What must hold for every price model, whatever its numbers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail by panicking"
)]

use proptest::prelude::*;
use rating::aggregate::{self, DistinctValueChange, Known, Left};
use rating::card::{
    Aggregation, BlockPolicy, BlockTier, Cell, Conversion, ConversionOp, Model, PercentTier,
    PriceModel, Rounding, Tier,
};
use rating::model::CompiledModel;
use rating::money::Rate as Amount;
use rating::rounding::{self, Mode};
use rating::usage::{Counter, Number, Usage};
use rating::{Currency, Exact, Instant, Quantity, Ratio};
use rust_decimal::Decimal;

const CASES: u32 = 10_000;

/// How far the numbers of a generated model go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Numbers {
    /// Such as a card has them: prices not negative, sizes positive.
    Sensible,
    /// Anything that the types hold.
    Any,
}

fn amount(numbers: Numbers) -> BoxedStrategy<Amount> {
    let sensible = (0_i64..5_000_000, 0_u32..=6)
        .prop_map(|(mantissa, scale)| Amount(Decimal::new(mantissa, scale)));
    let largest = (1_i128 << 96) - 1;
    let any = (-largest..=largest, 0_u32..=28)
        .prop_map(|(mantissa, scale)| Amount(Decimal::from_i128_with_scale(mantissa, scale)));
    if numbers == Numbers::Sensible {
        sensible.boxed()
    } else {
        prop_oneof![1 => sensible, 1 => any].boxed()
    }
}

fn quantity(numbers: Numbers) -> BoxedStrategy<Quantity> {
    let whole = (1_i64..2_000).prop_map(Quantity::whole);
    let fine = (1_i128..2_000 * Quantity::ONE).prop_map(Quantity);
    let sensible = prop_oneof![whole, fine];
    if numbers == Numbers::Sensible {
        return sensible.boxed();
    }
    let edges = prop::sample::select(vec![
        0,
        1,
        -1,
        i128::MAX,
        i128::MIN,
        i128::MIN + 1,
        Quantity::EVENT_MAX.0,
        -Quantity::EVENT_MAX.0,
    ]);
    prop_oneof![2 => sensible, 1 => any::<i128>().prop_map(Quantity), 1 => edges.prop_map(Quantity)]
        .boxed()
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![
        Mode::Up,
        Mode::Down,
        Mode::HalfUp,
        Mode::HalfEven,
        Mode::Ceil,
        Mode::Floor,
    ])
}

/// Ascending ends if the numbers are sensible; the last one may be missing.
fn ends(numbers: Numbers) -> impl Strategy<Value = Vec<Option<Quantity>>> {
    (
        prop::collection::vec(quantity(numbers), 1..4),
        any::<bool>(),
    )
        .prop_map(move |(mut widths, open)| {
            if numbers == Numbers::Sensible {
                let mut end = 0;
                widths.iter_mut().for_each(|width| {
                    end += width.0;
                    width.0 = end;
                });
            }
            let mut ends: Vec<_> = widths.into_iter().map(Some).collect();
            if open && let Some(last) = ends.last_mut() {
                *last = None;
            }
            ends
        })
}

fn tiers(numbers: Numbers) -> impl Strategy<Value = Vec<Tier>> {
    let prices = prop::collection::vec((amount(numbers), prop::option::of(amount(numbers))), 3);
    let tier = |(up_to, (unit_price, flat))| Tier {
        up_to,
        unit_price,
        flat,
    };
    (ends(numbers), prices)
        .prop_map(move |(ends, prices)| ends.into_iter().zip(prices).map(tier).collect())
}

fn percent_tiers(numbers: Numbers) -> impl Strategy<Value = Vec<PercentTier>> {
    let as_amount =
        |end: Quantity| Amount(Decimal::try_from_i128_with_scale(end.0, 9).unwrap_or(Decimal::MAX));
    tiers(numbers).prop_map(move |tiers| {
        let tier = |tier: Tier| PercentTier {
            up_to: tier.up_to.map(as_amount),
            rate: tier.unit_price,
            flat: tier.flat,
        };
        tiers.into_iter().map(tier).collect()
    })
}

fn block_tiers(numbers: Numbers) -> impl Strategy<Value = Vec<BlockTier>> {
    let most = if numbers == Numbers::Sensible {
        50
    } else {
        u64::MAX
    };
    let tier = (quantity(numbers), 1..=most, amount(numbers));
    (prop::collection::vec(tier, 1..4), any::<bool>()).prop_map(|(tiers, open)| {
        let last = tiers.len() - 1;
        let tier = |(index, (block, blocks, price))| BlockTier {
            block,
            max_blocks: (index < last || !open).then_some(blocks),
            price,
        };
        tiers.into_iter().enumerate().map(tier).collect()
    })
}

fn cumulative(numbers: Numbers) -> BoxedStrategy<Model> {
    let policy = prop::sample::select(vec![BlockPolicy::AllTiers, BlockPolicy::TopTier]);
    let package = (
        quantity(numbers),
        amount(numbers),
        prop::option::of(quantity(numbers)),
        prop::option::of(mode()),
    );
    prop_oneof![
        (amount(numbers), quantity(numbers))
            .prop_map(|(unit_price, per)| Model::PerUnit { unit_price, per }),
        amount(numbers).prop_map(|amount| Model::Flat { amount }),
        tiers(numbers).prop_map(|tiers| Model::Graduated { tiers }),
        tiers(numbers).prop_map(|tiers| Model::Volume { tiers }),
        package.prop_map(|(size, amount, free, round)| Model::Package {
            size,
            amount,
            free,
            round
        }),
        percent_tiers(numbers).prop_map(|tiers| Model::GraduatedPercentage {
            tiers,
            amount_from: None
        }),
        (policy, block_tiers(numbers))
            .prop_map(|(policy, tiers)| Model::BlockTiers { policy, tiers }),
    ]
    .boxed()
}

fn local(numbers: Numbers) -> BoxedStrategy<Model> {
    let maybe = || prop::option::of(amount(numbers));
    let percentage = (
        amount(numbers),
        maybe(),
        prop::option::of(any::<u32>()),
        maybe(),
        maybe(),
        maybe(),
    );
    let cells = prop::collection::vec((prop::collection::vec("[ab]", 0..3), amount(numbers)), 0..4);
    prop_oneof![
        percentage.prop_map(
            |(rate, fixed, free_events, free_amount, minimum_per_event, maximum_per_event)| {
                Model::Percentage {
                    rate,
                    amount_from: None,
                    fixed,
                    free_events,
                    free_amount,
                    minimum_per_event,
                    maximum_per_event,
                }
            }
        ),
        amount(numbers).prop_map(|factor| Model::CostPlus { factor }),
        Just(Model::Dynamic),
        (prop::collection::vec("[xy]", 0..3), cells, maybe()).prop_map(
            |(dimensions, cells, default_price)| Model::Matrix {
                dimensions,
                cells: cells
                    .into_iter()
                    .map(|(values, unit_price)| Cell { values, unit_price })
                    .collect(),
                default_price
            }
        ),
    ]
    .boxed()
}

/// A model with any of its modifiers.
fn modified(model: BoxedStrategy<Model>, numbers: Numbers) -> impl Strategy<Value = PriceModel> {
    let maybe = || prop::option::of(amount(numbers));
    let discount = prop::option::of(
        (0_i64..=10_000).prop_map(|hundredths| Amount(Decimal::new(hundredths, 2))),
    );
    let discount = if numbers == Numbers::Sensible {
        discount.boxed()
    } else {
        maybe().boxed()
    };
    let op = prop::sample::select(vec![ConversionOp::Multiply, ConversionOp::Divide]);
    let convert = (op, amount(numbers), prop::option::of(mode()))
        .prop_map(|(op, factor, round)| Conversion { op, factor, round });
    let modifiers = (
        prop::option::of(quantity(numbers)),
        discount,
        maybe(),
        maybe(),
        prop::option::of(convert),
    );
    (model, modifiers).prop_map(
        |(model, (allowance, percent_discount, maximum_spend, minimum_spend, convert))| {
            PriceModel {
                model,
                allowance,
                percent_discount,
                maximum_spend,
                minimum_spend,
                convert,
            }
        },
    )
}

fn plain(model: Model) -> PriceModel {
    PriceModel {
        model,
        allowance: None,
        percent_discount: None,
        maximum_spend: None,
        minimum_spend: None,
        convert: None,
    }
}

fn rounding() -> impl Strategy<Value = Option<Rounding>> {
    prop::option::of((mode(), any::<u8>()).prop_map(|(mode, decimals)| Rounding {
        mode,
        decimals: decimals % 20,
    }))
}

fn usage(quantity: Quantity, amount: Option<Amount>, attributes: &[(String, String)]) -> Usage<'_> {
    let (meter, aggregation) = ("meter", Aggregation::Sum);
    Usage {
        meter,
        is_call: false,
        aggregation,
        at: Instant::MIN,
        quantity,
        amount,
        number: Number::International,
        destination: None,
        origin: None,
        attributes,
    }
}

fn report(counter: &Counter, billed: Quantity) -> Counter {
    aggregate::grow(
        Aggregation::Sum,
        counter,
        billed,
        DistinctValueChange::Report(Known::default()),
    )
    .unwrap()
}

fn difference(model: &CompiledModel, before: &Counter, after: &Counter) -> Exact {
    model
        .p(after)
        .unwrap()
        .checked_sub(model.p(before).unwrap())
        .unwrap()
}

/// The sum of the charges of events in this order, and where the counter ends.
fn charged(model: &CompiledModel, events: &[Quantity]) -> (Exact, Counter) {
    events.iter().fold(
        (Exact::ZERO, Counter::default()),
        |(sum, before), &billed| {
            let after = report(&before, billed);
            (
                sum.checked_add(difference(model, &before, &after)).unwrap(),
                after,
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn the_order_of_arrival_does_not_change_the_total(
        model in modified(cumulative(Numbers::Sensible), Numbers::Sensible),
        rounding in rounding(),
        (events, shuffled) in prop::collection::vec(quantity(Numbers::Sensible), 1..8)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
    ) {
        // A zero factor or a minimum above the maximum is refused: nothing to compare.
        if let Ok(model) = CompiledModel::compile(&model, Currency::EUR, rounding) {
            let (sum, reached) = charged(&model, &events);
            prop_assert_eq!((sum, reached), charged(&model, &shuffled));
            prop_assert_eq!(sum, model.p(&reached).unwrap());
        }
    }

    #[test]
    fn what_is_withdrawn_leaves_no_trace(
        model in modified(cumulative(Numbers::Sensible), Numbers::Sensible),
        stay in prop::collection::vec(quantity(Numbers::Sensible), 0..5),
        gone in quantity(Numbers::Sensible),
        later in prop::collection::vec(quantity(Numbers::Sensible), 0..5),
    ) {
        if let Ok(model) = CompiledModel::compile(&model, Currency::EUR, None) {
            let with: Vec<Quantity> = stay.iter().copied().chain([gone]).chain(later.iter().copied()).collect();
            let without: Vec<Quantity> = stay.into_iter().chain(later).collect();
            let (sum, before) = charged(&model, &with);
            let after = aggregate::grow(Aggregation::Sum, &before, gone, DistinctValueChange::Withdraw(Left::default())).unwrap();
            let given_back = sum.checked_add(difference(&model, &before, &after)).unwrap();
            prop_assert_eq!((given_back, after), charged(&model, &without));
        }
    }

    #[test]
    fn a_curve_is_what_its_tiers_say(model in cumulative(Numbers::Sensible), used in quantity(Numbers::Sensible)) {
        let compiled = CompiledModel::compile(&plain(model.clone()), Currency::EUR, None).unwrap();
        let counter = Counter { quantity: used, events: 1 };
        prop_assert_eq!(compiled.p(&counter).unwrap(), rounding::to_exact(by_hand(&model, used)).unwrap());
    }

    #[test]
    fn more_never_costs_less(model in modified(cumulative(Numbers::Sensible), Numbers::Sensible), a in quantity(Numbers::Sensible), b in quantity(Numbers::Sensible)) {
        // The whole bill by the tier reached may fall at a tier's edge: that is what these are for.
        let may_fall = matches!(model.model, Model::Volume { .. } | Model::BlockTiers { policy: BlockPolicy::TopTier, .. });
        if let (false, Ok(model)) = (may_fall, CompiledModel::compile(&model, Currency::EUR, None)) {
            let (less, more) = (a.min(b), a.max(b));
            prop_assert!(Exact::ZERO <= model.at(Quantity::ZERO).unwrap());
            prop_assert!(model.at(Quantity::ZERO).unwrap() <= model.at(less).unwrap());
            prop_assert!(model.at(less).unwrap() <= model.at(more).unwrap());
        }
    }

    #[test]
    fn absurd_numbers_are_refused_and_never_wrap(
        model in modified(prop_oneof![cumulative(Numbers::Any), local(Numbers::Any)].boxed(), Numbers::Any),
        rounding in rounding(),
        currency in prop::sample::select(vec!["EUR", "JPY", "KWD", "CLF"]),
        (before, used, events) in (quantity(Numbers::Any), quantity(Numbers::Any), any::<i64>()),
        price in prop::option::of(amount(Numbers::Any)),
    ) {
        match CompiledModel::compile(&model, currency.parse().unwrap(), rounding) {
            Err(mistakes) => prop_assert!(!mistakes.is_empty()),
            Ok(model) => {
                let attributes = [("x".to_owned(), "a".to_owned()), ("y".to_owned(), "b".to_owned())];
                let (counter, usage) = (Counter { quantity: before, events }, usage(used, price, &attributes));
                let _ = (model.p(&counter), model.local(&usage, &counter), model.billed(&usage), model.at(used));
                let _ = rating::spend::due_at_close(&model, &counter, Exact(used.0), rating::spend::ZeroUsage::Charged);
                for aggregation in [Aggregation::Count, Aggregation::Sum, Aggregation::Max, Aggregation::Unique, Aggregation::Latest] {
                    let _ = aggregate::grow(aggregation, &counter, used, DistinctValueChange::Report(Known::default()));
                    let _ = aggregate::grow(aggregation, &counter, used, DistinctValueChange::Withdraw(Left::default()));
                }
            }
        }
    }
}

/// 10⁻¹² cents, tier by tier in plain fractions: the other way to say the same.
fn by_hand(model: &Model, used: Quantity) -> Ratio {
    let times = |price: Amount, quantity: Quantity, per: i128| {
        money(price)
            .checked_mul(Ratio::new(quantity.0, per).unwrap())
            .unwrap()
    };
    match model {
        Model::PerUnit { unit_price, per } => times(*unit_price, used, per.0),
        Model::Flat { amount } => money(*amount),
        Model::Graduated { tiers } => tier_by_tier(
            tiers
                .iter()
                .map(|tier| (tier.up_to, tier.unit_price, tier.flat)),
            used,
            Quantity::ONE,
        ),
        Model::GraduatedPercentage { tiers, .. } => {
            let end = |end: Amount| Quantity::from_decimal(end.0).unwrap();
            tier_by_tier(
                tiers
                    .iter()
                    .map(|tier| (tier.up_to.map(end), tier.rate, tier.flat)),
                used,
                100 * Quantity::ONE,
            )
        }
        Model::Volume { tiers } => {
            let reached = tiers
                .iter()
                .find(|tier| tier.up_to.is_none_or(|end| used <= end))
                .or(tiers.last())
                .unwrap();
            times(reached.unit_price, used, Quantity::ONE)
                .checked_add(money(reached.flat.unwrap_or_default()))
                .unwrap()
        }
        Model::Package {
            size,
            amount,
            free,
            round,
        } => {
            let counted = Quantity((used.0 - free.unwrap_or_default().0).max(0));
            let blocks = rounding::blocks(counted, *size, round.unwrap_or(Mode::Ceil)).unwrap();
            money(*amount).checked_mul(Ratio::whole(blocks)).unwrap()
        }
        Model::BlockTiers { policy, tiers } => {
            let (mut rest, mut below, mut sum) = (used.0, 0, Ratio::ZERO);
            for (index, tier) in tiers.iter().enumerate() {
                let width = tier
                    .max_blocks
                    .filter(|_| index + 1 < tiers.len())
                    .map_or(i128::MAX, |blocks| tier.block.0 * i128::from(blocks));
                let inside = rest.min(width);
                let priced = if *policy == BlockPolicy::AllTiers {
                    inside
                } else {
                    below + inside
                };
                let blocks = rounding::blocks(Quantity(priced), tier.block, Mode::Ceil).unwrap();
                let price = money(tier.price).checked_mul(Ratio::whole(blocks)).unwrap();
                sum = if *policy == BlockPolicy::AllTiers {
                    sum.checked_add(price).unwrap()
                } else {
                    price
                };
                (rest, below) = (rest - inside, below + inside);
                if rest == 0 {
                    break;
                }
            }
            sum
        }
        other => panic!("{other:?} is not cumulative"),
    }
}

fn tier_by_tier(
    tiers: impl ExactSizeIterator<Item = (Option<Quantity>, Amount, Option<Amount>)>,
    used: Quantity,
    per: i128,
) -> Ratio {
    let (last, mut start, mut sum) = (tiers.len() - 1, 0, Ratio::ZERO);
    for (index, (end, price, flat)) in tiers.enumerate() {
        let end = end
            .filter(|_| index < last)
            .map_or(used.0, |end| end.0.min(used.0));
        let part = money(price)
            .checked_mul(Ratio::new(end - start, per).unwrap())
            .unwrap();
        sum = sum
            .checked_add(part)
            .unwrap()
            .checked_add(money(flat.unwrap_or_default()))
            .unwrap();
        start = end;
        if start == used.0 {
            break;
        }
    }
    sum
}

/// Euros in 10⁻¹² cents.
fn money(amount: Amount) -> Ratio {
    Ratio::new(
        amount.0.mantissa() * 100 * Exact::PER_CENT,
        10_i128.pow(amount.0.scale()),
    )
    .unwrap()
    .reduced()
}
