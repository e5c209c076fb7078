-- 32 rows, which relays lock. They are never updated, so this table has no dead tuples. No foreign key refers to it: an
-- append would wait for the relay that holds its lane.
create table outbox_lanes (lane smallint primary key);
insert into outbox_lanes select generate_series(0, 31);

-- A row is deleted when RabbitMQ has confirmed its message. Its id is allocated after its transaction's xid: relays rely on
-- that, and append guarantees it.
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

-- Delayed messages and retries. A relay moves them to outbox_messages when they are due.
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

-- Messages and payments that are not retried any more. A row stays unresolved until an operator resolves it.
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
