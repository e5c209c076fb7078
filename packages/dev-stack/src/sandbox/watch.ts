import { stat } from 'node:fs/promises'
import { errorMessage, pause } from '@cashflow/async'
import type { LogPrinter } from '../log-printer.ts'
import { openPool } from '../servers/postgres-client.ts'
import { emptyFiles, type SandboxFiles } from './files.ts'
import { createCount } from './look.ts'

const LOOK_EVERY_MS = 1_000
const ANSWER_MS = 2_000
/** Room for the longest runs, one after the other. Payments that the runner did not make are charged too. */
const FILE_BYTES_MAX = 64 * 1024 * 1024

/** The counter of a sandbox, as the console shows it. Times are ISO 8601. */
export interface CounterState {
  /** Payments that were answered with 201. */
  readonly accepted: number
  readonly settled: number
  /** Accepted, and neither settled nor lost. */
  readonly waiting: number
  /** Accepted, and without a row, or not settled in time. It falls again when such a payment is settled after all. */
  readonly lost: number
  /** References with two payments, and payments charged under two keys or with two outcomes. */
  readonly doubled: number
  /** Payments that the api has refused. */
  readonly refused: number
  /** Payments about which no attempt was answered. They may exist. */
  readonly unanswered: number
  /** Lines of the files of answers and charges that could not be read. Above 0, the other numbers may be too low. */
  readonly unreadable: number
  /** Begin of the count. */
  readonly since: string
  /** Begin of the last look at the files and at PostgreSQL. */
  readonly as_of: string
  /** Why the numbers are as old as `as_of`. Null if they are not. */
  readonly stale: string | null
}

export type Watch = ReturnType<typeof startWatch>

interface WatchOptions {
  files: SandboxFiles
  databaseUrl: string
  /** End of the last fault, infinite during one, in milliseconds since 1970. */
  quietSince: () => number
  log: LogPrinter['log']
}

/** Looks every second at the files and at PostgreSQL, and counts. A file that gets too long begins a new count. */
export function startWatch({ files, databaseUrl, quietSince, log }: WatchOptions) {
  const pool = openPool(databaseUrl, {
    ...{ max: 1, application_name: 'cashflow-sandbox', connectionTimeoutMillis: ANSWER_MS, query_timeout: ANSWER_MS },
  })
  let count = createCount(files, pool)
  let shown = read()
  const stopping = new AbortController()
  const loop = keepLooking()

  function read(asOf = new Date().toISOString()): CounterState {
    const numbers = count.numbers(quietSince())
    return { ...numbers, unreadable: count.unreadable(), since: count.since.toISOString(), as_of: asOf, stale: null }
  }

  async function lookOnce(): Promise<void> {
    const looked = count
    const asOf = new Date().toISOString()
    try {
      await boundFiles()
      await looked.readFiles()
      await looked.look()
      if (looked === count) shown = read(asOf)
    } catch (error) {
      if (looked === count) shown = { ...read(shown.as_of), stale: errorMessage(error) }
    }
  }

  function reset(): void {
    emptyFiles(files)
    count = createCount(files, pool)
    shown = read()
  }

  async function boundFiles(): Promise<void> {
    for (const file of [files.answers, files.charges]) {
      if ((await stat(file)).size <= FILE_BYTES_MAX) continue
      log('warn', 'sandbox: the counter begins again, because its file is full', { file })
      reset()
    }
  }

  async function keepLooking(): Promise<void> {
    while (!stopping.signal.aborted) {
      await lookOnce()
      await pause(LOOK_EVERY_MS, stopping.signal)
    }
  }

  return {
    state: () => shown,
    /** Begins a new count, of nothing. */
    reset,
    async stop(): Promise<void> {
      stopping.abort()
      await loop
      await pool.end()
    },
  }
}
