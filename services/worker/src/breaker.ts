import { EventEmitter, once } from 'node:events'
import type { Logger, Part } from '@cashflow/runtime'
import {
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  DelegateBackoff,
  handleWhenResult,
  type IHalfOpenAfterBackoffContext,
} from 'cockatiel'
import { answerOf, type Provider, type ProviderAnswer } from './provider.ts'

const OPEN_MAX_MS = 60_000

export interface BreakerOptions {
  provider: Provider
  logger: Logger
  /** Attempts without an answer, one after the other, that open it. */
  failuresMax: number
  /** How long it stays open before the first probe; twice as long after each probe that fails, up to a minute. */
  openMs: number
  /** How long a probe may take to claim its payment before another one may be made. Default 10,000. */
  probeClaimMs?: number
}

/** Leave to charge one payment. */
export interface Permit extends Provider {
  /** Idempotent. To be called whether it was used or not. */
  release(): void
}

/** Stopped, it admits nobody, so that the worker need not wait for the provider to stop. */
export interface Breaker extends Part {
  /** How many wait to be admitted. Not all that may: RabbitMQ keeps what exceeds the worker's prefetch. */
  readonly waiting: number
  /**
   * Resolves when a payment may be claimed to be charged: at once, or when the provider is back, or is to be probed.
   * Undefined: not at all, as the signal has aborted or the worker stops.
   */
  admit(signal: AbortSignal): Promise<Permit | undefined>
}

/**
 * Keeps the worker from claiming while the provider is away, so that no payment spends its attempts on that. While open
 * nobody is admitted; then one at a time, until one gets an answer.
 */
export function createBreaker(options: BreakerOptions): Breaker {
  const { provider, logger, failuresMax, openMs, probeClaimMs = 10_000 } = options
  const changes = new EventEmitter().setMaxListeners(0)
  const failures = new ConsecutiveBreaker(failuresMax)
  let waitMs = openMs
  const halfOpenAfter = new DelegateBackoff((context: IHalfOpenAfterBackoffContext) => {
    waitMs = waitMsAfter(context, openMs)
    // The wait is kept by the timer below: the circuit would go by the wall clock, which may be set back.
    return Number.NEGATIVE_INFINITY
  })
  const policy = circuitBreaker(handleWhenResult(isFailure), { breaker: failures, halfOpenAfter })
  let probeDue = false
  let probing = false
  let stopped = false
  let waiting = 0
  let wakeUp: NodeJS.Timeout | undefined

  policy.onBreak((failure) => {
    logOpened(failure, waitMs, logger)
    rest()
  })
  policy.onReset(() => {
    logger.info('provider is back')
    changes.emit('change')
  })

  /** The next probe is due after the wait. */
  function rest(): void {
    probeDue = false
    clearTimeout(wakeUp)
    wakeUp = setTimeout(() => {
      probeDue = true
      changes.emit('change')
    }, waitMs).unref()
  }

  function permit(isProbe: boolean): Permit {
    let released = false
    // One that does not get as far as the provider, as its payment is locked, must not keep the others from it.
    const unused = isProbe ? setTimeout(() => release(), probeClaimMs).unref() : undefined

    function release(): void {
      clearTimeout(unused)
      if (released) return
      released = true
      if (!isProbe) return
      probing = false
      changes.emit('change')
    }

    return {
      async charge(payment, deadline, attempts) {
        clearTimeout(unused)
        // It has opened since, and now it allows probes only.
        if ((!isProbe || released) && policy.state !== CircuitState.Closed) return { outcome: 'withheld' }
        return await policy.execute(async () => {
          const answer = await answerOf(provider, payment, deadline, attempts)
          // One is enough: what is refused for its form is refused every time.
          if (answer.outcome === 'misconfigured') failures.state = failuresMax
          return answer
        })
      },
      release,
    }
  }

  return {
    name: 'breaker',
    get waiting() {
      return waiting
    },
    async start() {},
    async stop() {
      stopped = true
      clearTimeout(wakeUp)
      changes.emit('change')
    },
    async admit(signal) {
      waiting += 1
      try {
        while (!stopped && !signal.aborted) {
          if (policy.state === CircuitState.Closed) return permit(false)
          if (probeDue && !probing) {
            probing = true
            return permit(true)
          }
          // Rejects when the signal aborts, and nothing else.
          await once(changes, 'change', { signal }).catch(() => {})
        }
        return undefined
      } finally {
        waiting -= 1
      }
    },
  }
}

function isFailure(answer: unknown): boolean {
  const { outcome } = answer as ProviderAnswer
  return outcome === 'unknown' || outcome === 'misconfigured'
}

function waitMsAfter({ attempt, result }: IHalfOpenAfterBackoffContext, openMs: number): number {
  const answer = 'value' in result ? (result.value as ProviderAnswer) : undefined
  const askedMs = answer?.outcome === 'unknown' ? (answer.retryAfterMs ?? 0) : 0
  return Math.min(Math.max(openMs, OPEN_MAX_MS), Math.max(askedMs, openMs * 2 ** (attempt - 1)))
}

function logOpened(failure: object, waitMs: number, logger: Logger): void {
  const answer = 'value' in failure ? (failure.value as ProviderAnswer) : undefined
  const facts = { reason: answer && 'reason' in answer ? answer.reason : undefined, wait_ms: waitMs }
  if (answer?.outcome === 'misconfigured') logger.error('provider refuses our requests, nothing is claimed', facts)
  else logger.error('provider is away, nothing is claimed', facts)
}
