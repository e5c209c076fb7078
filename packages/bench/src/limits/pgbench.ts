import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** All that an API writes for one payment, in one statement: its event and its message with it. */
export const PAYMENT_SQL = `
  with payment as (
    insert into payments (id, merchant_id, reference, amount_minor, currency, status, redrive_at)
    select id, '00000000-0000-7000-8000-000000000001', id, 10000, 'USD', 'PENDING', now() + interval '1 minute'
    from (select gen_random_uuid() as id) made
    returning *
  ), event as (
    insert into payment_events (payment_id, merchant_id, sequence, type, actor, request_id)
    select id, merchant_id, 1, 'payment.created', 'api', id from payment
  )
  insert into outbox_messages (lane, message_id, key, topic, payload, headers)
  select hashtext(id::text) & 31, gen_random_uuid(), id, 'payment.created', jsonb_build_object('payment_id', id),
    jsonb_build_object('x-request-id', gen_random_uuid())
  from payment;
`

const CLIENTS = 32

/** Where Debian's postgresql-client packages have it, if it is not on the PATH. */
export function findPgbench(): string | undefined {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...globSync('/usr/lib/postgresql/*/bin').sort().reverse(),
  ]
  return folders.flatMap((folder) => globSync(join(folder, 'pgbench')))[0]
}

/** @returns payments/s that as many sessions store as the API has connections, each in a transaction of its own */
export async function runPgbench(
  program: string,
  databaseUrl: string,
  length: { readonly seconds: number } | { readonly paymentsPerSession: number },
): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-bench-'))
  try {
    const file = join(dir, 'payment.sql')
    await writeFile(file, PAYMENT_SQL.replaceAll('\n', ' '))
    const until =
      'seconds' in length ? ['--time', `${length.seconds}`] : ['--transactions', `${length.paymentsPerSession}`]
    const load = ['--client', String(CLIENTS), '--jobs', '2', '--protocol', 'prepared', ...until]
    const { stdout } = await promisify(execFile)(program, ['--no-vacuum', ...load, '--file', file, databaseUrl])
    const rate = /^tps = ([\d.]+)/m.exec(stdout)?.[1]
    if (rate === undefined) throw new Error(`pgbench says no rate:\n${stdout}`)
    return Number(rate)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
