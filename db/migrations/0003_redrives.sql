-- How often a payment was redriven since it was last claimed: each redrive waits twice as long for the next.
alter table payments add column redrives int not null default 0;
