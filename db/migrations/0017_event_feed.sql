-- steps
-- The events of a merchant in the order of their feed. An xid is assigned before the transaction's first event, so below the
-- oldest running one no event can appear any more.
create index concurrently if not exists payment_events_feed on payment_events (merchant_id, xid, id);
