-- Webhooks. A row of payment_events becomes a delivery for each endpoint of its merchant (fan-out), and a delivery becomes
-- attempts (sending). Both read and write these tables only: the transactions of POST and of settlements know nothing of them.

create table webhook_endpoints (
  id uuid primary key,
  merchant_id uuid not null references merchants (id),
  url text not null,
  description text,
  -- Null for all types.
  types text[] check (cardinality(types) > 0),
  ordering text not null check (ordering in ('payment', 'none')),
  -- Sealed under the key that the id names. No dump of the database signs anything.
  secret bytea not null,
  secret_key_id text not null,
  -- The secret before the last rotation. It signs as well until this time.
  former_secret bytea,
  former_secret_key_id text,
  former_secret_until timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  -- Events below this xid are older than the endpoint. Null after a restore, where xids have no meaning any more.
  start_xid xid8,
  -- Every event of its types that is younger has a delivery, or will have one: it was created, enabled, or got its types.
  whole_since timestamptz not null default clock_timestamp(),
  disabled_at timestamptz,
  disabled_reason text check (disabled_reason in ('failing', 'gone', 'requested')),
  -- The place in the feed after which events were not delivered, because the endpoint was disabled. Null if none was missed.
  missed_epoch text,
  missed_xid xid8,
  missed_id bigint,
  missed_at timestamptz,
  deleted_at timestamptz,
  check ((former_secret is null) = (former_secret_key_id is null)),
  check ((former_secret is null) = (former_secret_until is null)),
  check ((disabled_at is null) = (disabled_reason is null)),
  check ((missed_epoch is null) = (missed_xid is null)),
  check ((missed_epoch is null) = (missed_id is null)),
  check ((missed_epoch is null) = (missed_at is null))
);

create index webhook_endpoints_merchant on webhook_endpoints (merchant_id, id) where deleted_at is null;
create index webhook_endpoints_disabled on webhook_endpoints (disabled_at) where disabled_at is not null and deleted_at is null;
create index webhook_endpoints_deleted on webhook_endpoints (deleted_at) where deleted_at is not null;

-- How far the events of a merchant are fanned out: a place in the feed. The row is locked by the process that fans out, and
-- by each change of the endpoints.
create table webhook_cursors (
  merchant_id uuid primary key references merchants (id),
  epoch text not null,
  xid xid8 not null,
  id bigint not null,
  -- Time of the last event that was read.
  reached_at timestamptz not null
) with (fillfactor = 50);

-- One row for each endpoint: when one of its deliveries is due, and how it answers. The row is locked by what claims or
-- finishes its deliveries, so both see all that the other has done.
create table webhook_queues (
  endpoint_id uuid primary key references webhook_endpoints (id),
  merchant_id uuid not null,
  is_enabled boolean not null default true,
  -- When to look for due deliveries next. 'infinity' if there are none.
  due_at timestamptz not null default 'infinity',
  -- The last claim has left deliveries that are due, because as many are under way as may be.
  is_full boolean not null default false,
  -- Its last attempt took long. It gets few at a time, so that slow endpoints do not occupy all sockets.
  is_slow boolean not null default false,
  -- One attempt at a time: it has never answered with success, or not for its last attempts.
  is_failing boolean not null default true,
  -- The first failed attempt after the last successful one, and the number of failed attempts since.
  failing_since timestamptz,
  failures int not null default 0,
  -- No attempt before this time: the endpoint has asked for it, or is overloaded.
  held_until timestamptz,
  -- The first success after failures. Deliveries in backoff are then tried early, at a rate that doubles each second.
  -- is_ramped: everything is sent at that rate, because the endpoint is away or was.
  recovering_since timestamptz,
  recovered int not null default 0,
  is_ramped boolean not null default false,
  succeeded_at timestamptz
) with (fillfactor = 50);

-- Failing endpoints, of which there may be many, are not on the way to the others.
create index webhook_queues_due on webhook_queues (due_at) where is_enabled and not is_failing;
create index webhook_queues_failing on webhook_queues (due_at) where is_enabled and is_failing;

-- No foreign key: each insert would lock the row of its endpoint.
create table webhook_deliveries (
  endpoint_id uuid not null,
  id bigint generated always as identity,
  merchant_id uuid not null,
  payment_id uuid not null,
  sequence int not null,
  type text not null,
  event_at timestamptz not null,
  -- waiting: for an earlier event of the payment, whose delivery is not finished.
  status text not null default 'pending' check (status in ('pending', 'waiting', 'succeeded', 'expired')),
  -- Failed attempts of the present schedule. A redelivery begins again with 0.
  attempts int not null default 0,
  -- What was asked for again comes behind what is new.
  is_replay boolean not null default false,
  -- The next attempt. While one runs: when another process may take it over.
  due_at timestamptz not null default clock_timestamp(),
  -- The next attempt by the schedule, after a failed one.
  retry_at timestamptz,
  -- The number of failed attempts after which it was last tried before retry_at. Such an attempt does not count.
  early_after int,
  -- Made by the process for each attempt.
  claim_token uuid,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  -- Of the last attempt. No status if there was no answer.
  last_attempt_at timestamptz,
  last_status int,
  last_error text,
  primary key (endpoint_id, id),
  unique (payment_id, sequence, endpoint_id),
  check ((finished_at is null) = (status in ('pending', 'waiting')))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index webhook_deliveries_due on webhook_deliveries (endpoint_id, is_replay, due_at, id) where status = 'pending';
create index webhook_deliveries_claimed on webhook_deliveries (endpoint_id) where claim_token is not null;
create index webhook_deliveries_status on webhook_deliveries (endpoint_id, status, id);
create index webhook_deliveries_finished on webhook_deliveries (finished_at) where finished_at is not null;

create table webhook_attempts (
  endpoint_id uuid not null,
  delivery_id bigint not null,
  id bigint generated always as identity,
  at timestamptz not null,
  duration_ms int not null,
  -- Null if there was no answer.
  status int,
  error text,
  -- The first kilobyte of the answer.
  answer text,
  primary key (endpoint_id, delivery_id, id)
);

-- The bytes that are signed, once for each event.
create table webhook_payloads (
  payment_id uuid not null,
  sequence int not null,
  body text not null,
  -- The place of the payment's request in its trace.
  traceparent text,
  primary key (payment_id, sequence)
);

-- What a merchant has asked for again.
create table webhook_replays (
  id uuid primary key,
  endpoint_id uuid not null references webhook_endpoints (id),
  merchant_id uuid not null,
  types text[] check (cardinality(types) > 0),
  epoch text not null,
  xid xid8 not null,
  place_id bigint not null,
  reached_at timestamptz not null,
  -- It ends with the events that were fanned out before it began. Null after a restore.
  end_xid xid8,
  replayed int not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
) with (fillfactor = 50);

create index webhook_replays_unfinished on webhook_replays (endpoint_id, id) where finished_at is null;

alter table api_keys drop constraint api_keys_scopes_check,
  add constraint api_keys_scopes_check
  check (cardinality(scopes) > 0 and scopes <@ array['payments:read', 'payments:write', 'webhooks:manage']);

alter table instances drop constraint instances_role_check,
  add constraint instances_role_check check (role in ('api', 'relay', 'worker', 'webhooks'));
