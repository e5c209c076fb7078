-- What the payment's metadata.simulate asks for, in a sandbox. Null for every other delivery. Values:
-- duplicate: sent once more after its first success.
-- late: its first attempt is delayed.
-- held: delayed, until the payment's unordered delivery is finished.
-- unordered: waits for no earlier event.
--
-- Not valid: all stored rows have null, so PostgreSQL need not read the whole table under the lock.
alter table webhook_deliveries
  add column fault text,
  add constraint webhook_deliveries_fault_check check (fault in ('duplicate', 'late', 'held', 'unordered')) not valid;
