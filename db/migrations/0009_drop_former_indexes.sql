-- steps after 0008
-- A service of an earlier version reads all payments of a merchant to find a taken reference, if its index is gone.
alter table payments drop constraint if exists payments_merchant_id_reference_key;
drop index concurrently if exists payments_idempotency_key;
drop index concurrently if exists dead_letters_unresolved;
drop index concurrently if exists outbox_scheduled_refused;
