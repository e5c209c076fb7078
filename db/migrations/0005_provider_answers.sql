-- refusals: how often the provider has rejected the request for this payment since its last answer about it, while it
-- answered requests for other payments.
-- provider_pending_since: when the provider first answered that it has not decided yet. It is never cleared.
alter table payments
  add column refusals int not null default 0,
  add column provider_pending_since timestamptz;
