import { randomBytes } from 'node:crypto'
import { appendFile } from 'node:fs/promises'
import { createLimiter, defined, pause } from '@cashflow/async'
import { formatMoney } from '@cashflow/domain'
import { redact } from '@cashflow/runtime'
import type { LogPrinter } from '../log-printer.ts'
import { SandboxRefusal } from './refusal.ts'
import type { RunPlan } from './requests.ts'
import { sendPayment } from './send-payment.ts'

/** POSTs without an answer yet. While all of them wait, no more are sent. */
const IN_FLIGHT_MAX = 100
const TICK_MS = 20

/** A run in progress. Times are ISO 8601. */
export interface RunState {
  /** The references of its payments are `sandbox-<id>-<number>`. */
  readonly id: string
  readonly rate: number
  readonly amount_min: string
  readonly amount_max: string
  readonly currency: string
  readonly simulate: string | null
  readonly seconds: number
  readonly started_at: string
  readonly ends_at: string
  /** Payments that were sent so far. */
  readonly sent: number
  /** Those without an answer yet. The run ends after the last answer. */
  readonly in_flight: number
}

export type Runner = ReturnType<typeof createRunner>

/** Makes payments, one run at a time. Each answer is in the file `answers` before it counts. */
export function createRunner(apiUrls: readonly string[], answers: string, log: LogPrinter['log']) {
  const stopping = new AbortController()
  let run: { state: () => RunState; stop: AbortController; ended: Promise<void> } | undefined

  function start(plan: RunPlan): RunState {
    if (run) throw new SandboxRefusal(409, 'A run is in progress, or waits for its last answers.')
    const id = randomBytes(4).toString('hex')
    const startedAt = new Date()
    const stop = new AbortController()
    const limiter = createLimiter({ runningMax: IN_FLIGHT_MAX })
    let sent = 0

    async function sendNext(): Promise<void> {
      sent += 1
      const { currency, simulate } = plan
      const api = defined(apiUrls[sent % apiUrls.length], 'address of an api')
      const payment = { api, amount: randomAmount(plan), currency, simulate, reference: `sandbox-${id}-${sent}` }
      const answer = await sendPayment(payment, stopping.signal)
      await appendFile(answers, `${JSON.stringify(answer)}\n`)
    }

    /** Only the file can fail. An answer that it does not have is not counted. */
    function fail(error: unknown): void {
      stop.abort()
      log('error', 'sandbox: the run ends, because an answer could not be kept', { error: redact(error) })
    }

    async function sendAll(): Promise<void> {
      const startMs = performance.now()
      const ends = AbortSignal.any([stop.signal, stopping.signal])
      const sending = new Set<Promise<unknown>>()
      // Payments that could not be sent in time, because too many were in flight, are not sent later.
      for (let due = 0; ; ) {
        const passedS = Math.min(plan.seconds, (performance.now() - startMs) / 1_000)
        for (; due < passedS * plan.rate; due++) {
          if (!limiter.tryAcquire()) continue
          const one = sendNext()
            .catch(fail)
            .finally(() => {
              limiter.release()
              sending.delete(one)
            })
          sending.add(one)
        }
        if (passedS === plan.seconds || ends.aborted) break
        await pause(TICK_MS, ends)
      }
      await Promise.all(sending)
    }

    const state = (): RunState => ({
      ...{ id, ...described(plan), started_at: startedAt.toISOString(), sent, in_flight: limiter.running },
      ends_at: new Date(startedAt.getTime() + plan.seconds * 1_000).toISOString(),
    })
    const ended = sendAll().finally(() => {
      run = undefined
    })
    run = { state, stop, ended }
    return state()
  }

  return {
    state: () => run?.state() ?? null,
    /** @throws SandboxRefusal with 409 during a run */
    start,
    /** Sends no more payments. The run ends after the last answer. */
    stop: () => run?.stop.abort(),
    /** Ends the run without waiting for answers. */
    async close(): Promise<void> {
      stopping.abort()
      await run?.ended
    },
  }
}

function described({ rate, seconds, currency, simulate, minMinor, maxMinor }: RunPlan) {
  const amount = (amountMinor: bigint) => formatMoney({ amountMinor, currency })
  return { rate, seconds, currency, simulate, amount_min: amount(minMinor), amount_max: amount(maxMinor) }
}

function randomAmount({ minMinor, maxMinor, currency }: RunPlan): string {
  const share = BigInt(Math.floor(Math.random() * 1_000_001))
  return formatMoney({ amountMinor: minMinor + ((maxMinor - minMinor) * share) / 1_000_000n, currency })
}
