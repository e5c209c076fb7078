import type { Logger } from '@cashflow/runtime'
import { attemptCharge, type Charge, type Provider, type ProviderAnswer } from './provider.ts'
import { createProviderRecord } from './provider-record.ts'

const OPEN_MAX_MS = 60_000
// A refused probe shows little, as several bad payments may have come together. So the next probe follows after a fraction
// of the wait. Probes with payments that were refused before, which cannot delay good ones, follow so fast only 32 times.
const QUICK_REPEATS_MAX = 32
const QUICK_FRACTION = 50

export interface CircuitOptions {
  provider: Provider
  logger: Logger
  /** The circuit opens after this many attempts in a row without an answer. */
  failuresMax: number
  /**
   * Time that the circuit stays open before the first probe. The wait doubles after each failed probe, up to a minute.
   * While the provider refuses payments, a fiftieth of it: before each probe with a payment that was not refused yet, and
   * before the first 32 probes with other payments.
   */
  openMs: number
  /** Called after each attempt with the provider's answer and the time that it took. */
  onAnswer?: ((answer: ProviderAnswer, seconds: number) => void) | undefined
}

/** `half_open`: a probe is at the provider. */
export type CircuitState = 'closed' | 'open' | 'half_open'

interface Judgement {
  readonly answer: ProviderAnswer
  /** The answer opens the circuit. */
  readonly opens: boolean
  /** The payment was refused, and had been refused before since the last answer. */
  readonly isRepeated: boolean
}

/**
 * A circuit breaker without a line of waiters. It is closed as long as the provider gives answers.
 *
 * @param onChange called when the circuit has closed, and when a probe is due
 */
export function createCircuit(
  { provider, logger, failuresMax, openMs, onAnswer }: CircuitOptions,
  onChange: () => void,
) {
  const record = createProviderRecord(failuresMax)
  const waits = createWaits(openMs)
  const probes = createTimer(onChange)
  /** Ends the wait of payments that were not refused since the provider's last answer: one of them may probe. */
  const firstProbes = createTimer(onChange)
  let state: CircuitState = 'closed'
  let isRefusing = false

  function open({ answer, isRepeated }: Judgement): void {
    state = 'open'
    isRefusing = answer.outcome === 'refused'
    const { waitMs, isLogged } = waits.next(answer, isRepeated)
    if (isLogged) logOpened(answer, waitMs, logger)
    probes.start(waitMs)
    firstProbes.start(isRefusing ? openMs / QUICK_FRACTION : waitMs)
  }

  function close(): void {
    state = 'closed'
    waits.reset()
    logger.info('provider is back')
    onChange()
  }

  function judge(answer: ProviderAnswer, paymentId: string, isProbe: boolean): Judgement {
    const isRepeated = record.lastRefusal(paymentId) > 0
    const finding = record.note(answer, paymentId)
    if (answer.outcome === 'refused') {
      const refused = { ...answer, othersAnswered: record.othersAnswered(paymentId) }
      // A late refusal, of a charge that began before the circuit opened, must not delay the probe.
      return { answer: refused, opens: isProbe || (finding === 'refusing' && state === 'closed'), isRepeated }
    }
    const opens = finding === 'silent' || finding === 'refusing' || (isProbe && finding !== 'answered')
    return { answer, opens, isRepeated }
  }

  return {
    get state(): CircuitState {
      return state
    },
    get isClosed() {
      return state === 'closed'
    },
    /** Returns whether the wait of an open circuit has ended for this payment, so that it may probe the provider. */
    mayProbe: (paymentId: string) => probes.isDue || (firstProbes.isDue && record.lastRefusal(paymentId) === 0),
    /**
     * Charges, and opens or closes by the answer. Never rejects. While the circuit is open, only the answer to a probe opens
     * or closes it, and a charge that was admitted earlier is not attempted. The exception is a circuit opened by refusals:
     * it still charges, because a refusal costs nothing, and a release would delay a good payment.
     */
    async charge(isProbe: boolean, ...[payment, attempt]: Parameters<Charge>): Promise<ProviderAnswer> {
      const decides = isProbe || state === 'closed'
      if (!decides && !isRefusing) return { outcome: 'not_attempted' }
      if (isProbe) state = 'half_open'
      const startedAt = performance.now()
      const answer = await attemptCharge(provider, payment, attempt)
      onAnswer?.(answer, (performance.now() - startedAt) / 1_000)
      const judgement = judge(answer, payment.id, isProbe)
      if (decides && judgement.opens && state !== 'open') open(judgement)
      // A late failure during the probe has opened the circuit again: the probe's answer came from before, and is ignored.
      else if (isProbe && !judgement.opens && state === 'half_open') close()
      return judgement.answer
    },
    lastRefusal: record.lastRefusal,
    /** Ends the wait. */
    stop(): void {
      probes.stop()
      firstProbes.stop()
    },
  }
}

function createTimer(onDue: () => void) {
  let isDue = false
  let timer: NodeJS.Timeout | undefined
  return {
    get isDue() {
      return isDue
    },
    start(ms: number): void {
      clearTimeout(timer)
      isDue = false
      timer = setTimeout(() => {
        isDue = true
        onDue()
      }, ms).unref()
    },
    stop(): void {
      clearTimeout(timer)
    },
  }
}

/** Times that the circuit stays open, by the answer that opened it and by the openings since it last closed. */
function createWaits(openMs: number) {
  let isRefusing = false
  let repeated = 0
  let failed = 0
  const bounded = (waitMs: number) => Math.min(Math.max(openMs, OPEN_MAX_MS), waitMs)
  return {
    /** `isLogged`: this opening is worth a line in the log. Of quick probes only the first is. */
    next(answer: ProviderAnswer, isRepeated: boolean): { waitMs: number; isLogged: boolean } {
      if (answer.outcome === 'refused') {
        const isFirst = !isRefusing
        isRefusing = true
        if (isRepeated) repeated += 1
        if (repeated <= QUICK_REPEATS_MAX) return { waitMs: openMs / QUICK_FRACTION, isLogged: isFirst }
        return { waitMs: bounded(openMs * 2 ** (repeated - QUICK_REPEATS_MAX - 1)), isLogged: isRepeated }
      }
      failed += 1
      const askedMs = answer.outcome === 'unknown' ? (answer.retryAfterMs ?? 0) : 0
      return { waitMs: bounded(Math.max(askedMs, openMs * 2 ** (failed - 1))), isLogged: true }
    },
    reset(): void {
      isRefusing = false
      repeated = 0
      failed = 0
    },
  }
}

function logOpened(answer: ProviderAnswer, waitMs: number, logger: Logger): void {
  const fields = { reason: 'reason' in answer ? answer.reason : undefined, wait_ms: waitMs }
  if (answer.outcome === 'unknown') logger.error('provider is away, nothing is claimed', fields)
  else logger.error('provider refuses our requests, nothing is claimed', fields)
}
