import type { Logger } from '@cashflow/runtime'
import { CircuitState, circuitBreaker, DelegateBackoff, handleWhenResult, type IBreaker } from 'cockatiel'
import { answerOf, type Provider, type ProviderAnswer } from './provider.ts'
import { createProviderRecord } from './provider-record.ts'

const OPEN_MAX_MS = 60_000
// A refused probe shows little: bad payments may have come together. So the next one follows at a fraction of the wait; with
// payments that were refused already, which cannot hold up good ones, only so often.
const QUICK_REPEATS_MAX = 32
const QUICK_FRACTION = 50

export interface CircuitOptions {
  provider: Provider
  logger: Logger
  /** Attempts without an answer, one after the other, that open it. */
  failuresMax: number
  /**
   * How long it stays open before the first probe; twice as long after each probe that fails, up to a minute. A fiftieth
   * of it while payments are refused: before each probe with one that was not refused yet, and the first 32 with others.
   */
  openMs: number
}

/** Closed as long as the provider gives answers. */
export interface Circuit {
  readonly isClosed: boolean
  /** While it is open: whether the wait is over for this payment, so that it may probe the provider. */
  mayProbe(paymentId: string): boolean
  /**
   * Charges, and opens or closes by what the answer shows. Never rejects. While it is open, only the answer to a probe
   * does, and another charge, admitted before, is withheld; but not where refusals have opened it: to be refused costs
   * nothing, and to be released would delay a good payment.
   */
  charge(isProbe: boolean, ...charge: Parameters<Provider['charge']>): Promise<ProviderAnswer>
  /** 0 when the payment was not refused since the provider's last answer; else the higher, the later it was refused. */
  refusedAs(paymentId: string): number
  /** Ends the wait. */
  stop(): void
}

interface Judged {
  readonly answer: ProviderAnswer
  readonly opens: boolean
  /** Refused, and not for the first time since the last answer. */
  readonly isRepeated: boolean
}

/** @param onChange called when it has closed, and when a probe is due */
export function createCircuit(
  { provider, logger, failuresMax, openMs }: CircuitOptions,
  onChange: () => void,
): Circuit {
  const record = createProviderRecord(failuresMax)
  const waits = createWaits(openMs)
  const opens = handleWhenResult((judged) => (judged as Judged).opens)
  const policy = circuitBreaker(opens, { breaker: AS_JUDGED, halfOpenAfter: NO_WAIT })
  let isRefusing = false
  const probes = createTimer(onChange)
  /** With payments that were not refused since the last answer. */
  const firstProbes = createTimer(onChange)
  const isClosed = () => policy.state === CircuitState.Closed

  policy.onBreak((failure) => {
    const { answer, isRepeated } = (failure as { value: Judged }).value
    const { waitMs, isTold } = waits.next(answer, isRepeated)
    isRefusing = answer.outcome === 'refused'
    if (isTold) logOpened(answer, waitMs, logger)
    probes.start(waitMs)
    firstProbes.start(isRefusing ? openMs / QUICK_FRACTION : waitMs)
  })
  policy.onReset(() => {
    waits.reset()
    logger.info('provider is back')
    onChange()
  })

  function judge(answer: ProviderAnswer, paymentId: string, isProbe: boolean): Judged {
    const isRepeated = record.refusedAs(paymentId) > 0
    const finding = record.note(answer, paymentId)
    if (answer.outcome === 'refused') {
      const refused = { ...answer, othersAnswered: record.othersAnswered(paymentId) }
      // A late refusal, of a charge from before the circuit opened, must not hold up the probe.
      return { answer: refused, opens: isProbe || (finding === 'refusing' && isClosed()), isRepeated }
    }
    const opens = finding === 'silent' || finding === 'refusing' || (isProbe && finding !== 'answered')
    return { answer, opens, isRepeated }
  }

  return {
    get isClosed() {
      return isClosed()
    },
    mayProbe: (paymentId) => probes.isOver || (firstProbes.isOver && record.refusedAs(paymentId) === 0),
    async charge(isProbe, ...charge) {
      const [{ id }] = charge
      const judged = async () => judge(await answerOf(provider, ...charge), id, isProbe)
      if (isClosed() || isProbe) return (await policy.execute(judged)).answer
      return isRefusing ? (await judged()).answer : { outcome: 'withheld' }
    },
    refusedAs: record.refusedAs,
    stop() {
      probes.stop()
      firstProbes.stop()
    },
  }
}

function createTimer(onOver: () => void) {
  let isOver = false
  let timer: NodeJS.Timeout | undefined
  return {
    get isOver() {
      return isOver
    },
    start(ms: number): void {
      clearTimeout(timer)
      isOver = false
      timer = setTimeout(() => {
        isOver = true
        onOver()
      }, ms).unref()
    },
    stop(): void {
      clearTimeout(timer)
    },
  }
}

/** Opens with each failure that it is told of: the record has counted by then, and `judge` has decided. */
const AS_JUDGED: IBreaker = { state: undefined, success() {}, failure: () => true }
/** A timer keeps the wait: the library would go by the wall clock, which may be set back. */
const NO_WAIT = new DelegateBackoff(() => Number.NEGATIVE_INFINITY)

/** How long the circuit stays open, by what opened it, and by how often that did since it was last closed. */
function createWaits(openMs: number) {
  let isRefusing = false
  let repeated = 0
  let failed = 0
  const bounded = (waitMs: number) => Math.min(Math.max(openMs, OPEN_MAX_MS), waitMs)
  return {
    /** `isTold`: worth a line in the log. Of quick probes only the first is. */
    next(answer: ProviderAnswer, isRepeated: boolean): { waitMs: number; isTold: boolean } {
      if (answer.outcome === 'refused') {
        const isFirst = !isRefusing
        isRefusing = true
        if (isRepeated) repeated += 1
        if (repeated <= QUICK_REPEATS_MAX) return { waitMs: openMs / QUICK_FRACTION, isTold: isFirst }
        return { waitMs: bounded(openMs * 2 ** (repeated - QUICK_REPEATS_MAX - 1)), isTold: isRepeated }
      }
      failed += 1
      const askedMs = answer.outcome === 'unknown' ? (answer.retryAfterMs ?? 0) : 0
      return { waitMs: bounded(Math.max(askedMs, openMs * 2 ** (failed - 1))), isTold: true }
    },
    reset(): void {
      isRefusing = false
      repeated = 0
      failed = 0
    },
  }
}

function logOpened(answer: ProviderAnswer, waitMs: number, logger: Logger): void {
  const facts = { reason: 'reason' in answer ? answer.reason : undefined, wait_ms: waitMs }
  if (answer.outcome === 'unknown') logger.error('provider is away, nothing is claimed', facts)
  else logger.error('provider refuses our requests, nothing is claimed', facts)
}
