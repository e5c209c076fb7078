-- redrives: how often the payment was redriven since its last claim. Each redrive doubles the wait for the next one.
alter table payments add column redrives int not null default 0;
