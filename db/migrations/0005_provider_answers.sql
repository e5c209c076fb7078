-- refusals: how often the provider refused the payment's form since its last answer, while it answered others.
-- provider_pending_since: when the provider first said that it has not decided yet. Kept from then on.
alter table payments
  add column refusals int not null default 0,
  add column provider_pending_since timestamptz;
