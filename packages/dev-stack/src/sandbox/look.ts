import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type pg from 'pg'
import { type Counted, createCounter, type Seen } from './counter.ts'
import { createTail, type SandboxFiles } from './files.ts'
import { answerRecord, chargeRecord, readRecords } from './records.ts'

const BATCH = 1_000
/** Batches of a look. A backlog of more payments takes several looks. */
const BATCHES_MAX = 10

export type Count = ReturnType<typeof createCount>

/** A count from its beginning: both files, and PostgreSQL, which is only read. */
export function createCount(files: SandboxFiles, pool: pg.Pool) {
  const counter = createCounter()
  const readAnswers = createTail(files.answers)
  const readCharges = createTail(files.charges)
  let unreadable = 0

  async function readFiles(): Promise<void> {
    const answers = readRecords(answerRecord, await readAnswers())
    for (const answer of answers.records) counter.noteAnswer(answer)
    const charges = readRecords(chargeRecord, await readCharges())
    for (const charge of charges.records) counter.noteCharge(charge)
    unreadable += answers.unreadable + charges.unreadable
  }

  async function see(batch: readonly Counted[]): Promise<boolean> {
    if (batch.length > 0) counter.noteSeen(batch, await readPayments(pool, batch))
    return batch.length === BATCH
  }

  return {
    since: new Date(),
    numbers: counter.numbers,
    /** Lines of the files that were no records. */
    unreadable: () => unreadable,
    readFiles,
    /** Looks at the payments that are not settled, and again at some of the others: PostgreSQL may lose those too. */
    async look(): Promise<void> {
      const { open, settled, unaccepted } = counter.rounds
      for (let batches = 0; batches < BATCHES_MAX; batches++) if (!(await see(open(BATCH)))) break
      await see(settled(BATCH))
      await see(unaccepted(BATCH))
    },
  }
}

/** @throws Error if PostgreSQL is away */
async function readPayments(pool: pg.Pool, batch: readonly Counted[]): Promise<Seen> {
  const at = Date.now()
  const ids = batch.flatMap(({ id }) => id ?? [])
  const { rows } = await pool.query<{ id: string; status: string }>(
    'select id, status from payments where id = any($1::uuid[])',
    [ids],
  )
  // The runner has no key, so its payments are those of the first merchant. The index is one of bytes.
  const { rows: doubles } = await pool.query<{ reference: string }>(
    `select reference from payments where merchant_id = $1 and reference collate "C" = any($2::text[])
     group by reference having count(*) > 1`,
    [DEFAULT_MERCHANT_ID, batch.map(({ reference }) => reference)],
  )
  const statuses = new Map(rows.map(({ id, status }) => [id, status]))
  return { at, statuses, twice: new Set(doubles.map(({ reference }) => reference)) }
}
