-- steps after 0008
-- Not while services of an earlier version run: without its index, they read all payments of a merchant to find a taken
-- reference.
alter table payments drop constraint if exists payments_merchant_id_reference_key;
drop index concurrently if exists payments_idempotency_key;
drop index concurrently if exists dead_letters_unresolved;
drop index concurrently if exists outbox_scheduled_refused;
