-- refused: the broker refuses the topic of this message, so a relay has moved it out of the way of other topics. Relays
-- retry these messages topic by topic, the oldest first. Adding a column with a constant default rewrites no row.
alter table outbox_scheduled add column refused boolean not null default false;

create index outbox_scheduled_refused on outbox_scheduled (topic, created_at, id) where refused;

-- Finds other messages by their due time without reading a million refused ones. outbox_scheduled_due stays for relays of
-- the version before.
create index outbox_scheduled_not_refused on outbox_scheduled (due_at) where not refused;
