-- steps
-- Unique text is compared by its bytes. The order of the database's own collation changes with the server's libraries. Its
-- indexes then do not find rows that they contain, and a reference could be paid twice. The former indexes stay until 0009:
-- services of the version before search with them.
create unique index concurrently if not exists payments_reference_bytes
  on payments (merchant_id, reference collate "C");
create unique index concurrently if not exists payments_idempotency_key_bytes
  on payments (merchant_id, idempotency_key collate "C") where idempotency_key is not null;
create unique index concurrently if not exists dead_letters_unresolved_bytes
  on dead_letters (source collate "C", topic collate "C", key collate "C") where resolved_at is null;
create index concurrently if not exists outbox_scheduled_refused_bytes
  on outbox_scheduled (topic collate "C", created_at, id) where refused;
