-- Checks of receivers, which merchants ask for. services/webhooks works them off.

create table webhook_checks (
  id uuid primary key,
  endpoint_id uuid not null references webhook_endpoints (id),
  merchant_id uuid not null,
  -- ping: one valid event only.
  kind text not null check (kind in ('check', 'ping')),
  created_at timestamptz not null default clock_timestamp(),
  -- Of the process that runs it, and how long it may.
  claim_token uuid,
  lease_until timestamptz,
  -- How often it was begun: a process may die, or kill itself with it.
  starts int not null default 0,
  finished_at timestamptz,
  -- What the merchant is shown.
  report jsonb,
  check ((finished_at is null) = (report is null))
);

create index webhook_checks_endpoint on webhook_checks (endpoint_id, kind, created_at);
create index webhook_checks_unfinished on webhook_checks (created_at) where finished_at is null;
create index webhook_checks_finished on webhook_checks (finished_at) where finished_at is not null;
