-- There is one merchant so far. Each payment names it, so that more merchants need no change of old payments. No foreign
-- key refers to this table: each new payment would lock this one row.
create table merchants (
  id uuid primary key,
  name text not null,
  created_at timestamptz not null default now()
);

insert into merchants (id, name) values ('00000000-0000-7000-8000-000000000001', 'default');

create table payments (
  id uuid primary key,
  merchant_id uuid not null,
  reference text not null check (char_length(reference) between 1 and 255),
  amount_minor bigint not null check (amount_minor > 0),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  status text not null check (status in ('PENDING', 'SUCCESS', 'FAILED')),
  failure_code text,
  metadata jsonb,
  idempotency_key text,
  request_hash bytea,
  attempts int not null default 0,
  claim_token uuid,
  lease_until timestamptz,
  redrive_at timestamptz,
  parked_at timestamptz,
  created_at timestamptz not null default now(),
  settled_at timestamptz,
  unique (merchant_id, reference),
  unique (merchant_id, idempotency_key),
  check ((status = 'PENDING') = (settled_at is null)),
  check (failure_code is null or status = 'FAILED')
) with (fillfactor = 80);

-- Only PENDING payments: the size of this index follows the load, not the number of stored payments.
create index payments_redrive on payments (redrive_at) where status = 'PENDING';

-- The history of each payment, append only. The unique sequence makes a second transition of one payment impossible.
create table payment_events (
  id bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  payment_id uuid not null,
  merchant_id uuid not null,
  sequence int not null check (sequence > 0),
  type text not null,
  data jsonb not null default '{}',
  actor text not null,
  request_id text,
  created_at timestamptz not null default now(),
  unique (payment_id, sequence)
);
