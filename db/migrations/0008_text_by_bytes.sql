-- steps
-- Unique text is compared by its bytes. The order of the database's own collation changes with the server's libraries,
-- and its indexes then miss what they hold: a reference could be paid twice. The former indexes stay for now. Services of
-- the version before look up by them.
create unique index concurrently if not exists payments_reference_bytes
  on payments (merchant_id, reference collate "C");
create unique index concurrently if not exists payments_idempotency_key_bytes
  on payments (merchant_id, idempotency_key collate "C") where idempotency_key is not null;
create unique index concurrently if not exists dead_letters_unresolved_bytes
  on dead_letters (source collate "C", topic collate "C", key collate "C") where resolved_at is null;
create index concurrently if not exists outbox_scheduled_refused_bytes
  on outbox_scheduled (topic collate "C", created_at, id) where refused;
