-- Messages of a topic that the broker refuses, moved out of the way of other topics. They come back topic by topic, the
-- oldest first. A column with a constant default rewrites no row.
alter table outbox_scheduled add column refused boolean not null default false;

create index outbox_scheduled_refused on outbox_scheduled (topic, created_at, id) where refused;

-- The others are looked for by their due time, past none of a million refused ones. The index of all
-- stays for relays of the version before.
create index outbox_scheduled_not_refused on outbox_scheduled (due_at) where not refused;
