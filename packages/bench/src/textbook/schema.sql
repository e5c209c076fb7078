create table payments (
  id uuid primary key,
  reference text not null unique,
  amount numeric(18, 2) not null check (amount > 0),
  currency text not null,
  status text not null default 'PENDING',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table outbox (
  id bigint generated always as identity primary key,
  topic text not null,
  payload jsonb not null,
  created_at timestamptz not null default now(),
  published_at timestamptz
);

-- Only unpublished messages: without the condition, each poll reads every message that was ever published.
create index outbox_unpublished on outbox (id) where published_at is null;

create table webhook_endpoints (
  id bigint generated always as identity primary key,
  merchant_id uuid not null,
  url text not null,
  secret text not null
);

create index webhook_endpoints_merchant on webhook_endpoints (merchant_id);

create table webhook_deliveries (
  id bigint generated always as identity primary key,
  endpoint_id bigint not null references webhook_endpoints (id),
  body jsonb not null,
  attempts int not null default 0,
  due_at timestamptz not null default now(),
  delivered_at timestamptz
);

create index webhook_deliveries_undelivered on webhook_deliveries (id) where delivered_at is null;
