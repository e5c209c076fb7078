-- One row: when a worker last ended its own process, because a payment's metadata.simulate asked for it. All workers share it.
create table simulated_crashes (
  id boolean primary key default true check (id),
  crashed_at timestamptz not null
);

insert into simulated_crashes (crashed_at) values ('-infinity');
