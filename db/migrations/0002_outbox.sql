-- 32 rows, locked by relays and never updated: no dead tuples here, and no foreign key to it, or append would wait
-- for a relay.
create table outbox_lanes (lane smallint primary key);
insert into outbox_lanes select generate_series(0, 31);

-- Deleted when confirmed. The id is taken after the transaction has its xid (append sees to it): relays rely on it.
create table outbox_messages (
  lane smallint not null check (lane between 0 and 31),
  id bigint generated always as identity (cache 1),
  message_id uuid not null,
  key text not null,
  topic text not null,
  payload jsonb not null,
  headers jsonb not null default '{}',
  mandatory boolean not null default true,
  attempts int not null default 0,
  created_at timestamptz not null default now(),
  primary key (lane, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);

-- Delayed delivery and retries: moved to outbox_messages when due.
create table outbox_scheduled (
  lane smallint not null check (lane between 0 and 31),
  id bigint generated always as identity primary key,
  message_id uuid not null,
  key text not null,
  topic text not null,
  payload jsonb not null,
  headers jsonb not null default '{}',
  mandatory boolean not null default true,
  attempts int not null default 0,
  created_at timestamptz not null default now(),
  due_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);

create index outbox_scheduled_due on outbox_scheduled (due_at);

-- Everything that stopped retrying, whatever its origin, until an operator resolves it.
create table dead_letters (
  lane smallint not null check (lane between 0 and 31),
  id bigint generated always as identity primary key,
  message_id uuid not null,
  key text not null,
  topic text not null,
  payload jsonb not null,
  headers jsonb not null default '{}',
  mandatory boolean not null default true,
  attempts int not null default 0,
  created_at timestamptz not null default now(),
  source text not null,
  reason text not null,
  died_at timestamptz not null default now(),
  resolved_at timestamptz,
  resolution text,
  check ((resolved_at is null) = (resolution is null))
);

create unique index dead_letters_unresolved on dead_letters (source, topic, key) where resolved_at is null;
