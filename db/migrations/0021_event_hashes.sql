-- steps after 0012
-- Not while services of an earlier version run: they prepare "select *", which fails in an open session once the table has
-- other columns.

-- `verify` finds pruned payments by their ids.
create index concurrently if not exists pruned_references_id on pruned_references (id);

-- hash: SHA-256 over the hash of the payment's event before and this event (src/events/hash.ts). Null for an event that an
-- earlier version has written, until verify --seal.
-- trace: how the event came about, for operators. No API shows it.
alter table payment_events
  add column if not exists hash bytea,
  add column if not exists trace jsonb;

-- The hash of the payment's last event.
alter table payments add column if not exists last_hash bytea;
