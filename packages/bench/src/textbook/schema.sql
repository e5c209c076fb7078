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
