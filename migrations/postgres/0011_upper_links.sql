-- Upper links are never free.

-- Who said `on_exhausted: refuse`: it reaches up only as far as they sell. Null: the seller of the link.
alter table agreements add column refused_by bigint;

-- Of a commission: the seller gets at least the price by this card.
alter table agreements add column floor_card_id bigint;
-- Of a commission without a floor: whether the buyer may sell at prices that nobody above it published or approved. What
-- was agreed before there was such a rule goes on as it was; `health-check` counts it.
alter table agreements add column free_retail bigint not null default 0 check (free_retail in (0, 1));
alter table agreements alter column free_retail drop default;
update agreements set free_retail = 1 where pricing = 'commission';

-- Who published a version, or the one farthest above who approved it since. Null: the owner of the card.
alter table card_versions add column approved_by bigint;
