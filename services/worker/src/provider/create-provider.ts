import { setTimeout as sleep } from 'node:timers/promises'
import type { Payment } from '@cashflow/domain'
import { createCertificates, type Logger } from '@cashflow/runtime'
import { SpanKind, type Spans, untilDone } from '@cashflow/tracing'
import { chanceOf, type NoteCharge } from './charges-file.ts'
import { createHttpProvider } from './http-provider.ts'
import type { Provider, ProviderAnswer } from './provider.ts'

export type ProviderSettings =
  | ({ readonly kind: 'simulated' } & SimulatedSettings)
  | {
      readonly kind: 'http'
      readonly url: string
      readonly token: string | undefined
      /** Path of a PEM file with the authorities that its certificate must come from. */
      readonly ca?: string | undefined
    }

/**
 * Creates the provider that the settings choose, and logs which one it is.
 *
 * @param spans undefined where nothing is traced
 * @param noteCharge undefined where the simulated provider's charges are not noted
 */
export function createProvider(
  settings: ProviderSettings,
  logger: Logger,
  spans?: Spans,
  noteCharge?: NoteCharge,
): Provider {
  switch (settings.kind) {
    case 'simulated':
      logger.warn('the provider is simulated: no money moves, and chance settles each payment', {
        success_rate: settings.successRate,
      })
      return createSimulatedProvider(settings, Math.random, spans, noteCharge)
    case 'http':
      logger.info('payments are charged at the HTTP provider', { url: settings.url })
      return createHttpProvider({ ...settings, certificates: certificatesOf(settings.ca, logger) }, spans)
    default:
      return settings satisfies never
  }
}

function certificatesOf(ca: string | undefined, logger: Logger) {
  return ca === undefined ? undefined : createCertificates({ ca }, { what: 'the provider', logger })
}

const APPROVED: ProviderAnswer = { outcome: 'approved' }
const DECLINED: ProviderAnswer = { outcome: 'declined', failureCode: 'card_declined' }

interface SimulatedSettings {
  readonly delayMs: number
  /** Share of approved payments, from 0 to 1. */
  readonly successRate: number
  /** File to which each charge is appended. */
  readonly chargesFile?: string | undefined
}

/**
 * Creates a provider that moves no money: after a delay it approves or declines by chance. Where charges are noted, the chance
 * belongs to the payment. A second attempt, after a worker died, must not be a second outcome.
 */
export function createSimulatedProvider(
  settings: Omit<SimulatedSettings, 'chargesFile'>,
  random = Math.random,
  spans?: Spans,
  noteCharge?: NoteCharge,
): Provider {
  const { delayMs, successRate } = settings

  async function answer(payment: Payment, signal: AbortSignal): Promise<ProviderAnswer> {
    if (delayMs > 0) await sleep(delayMs, undefined, { signal })
    const chance = noteCharge ? chanceOf(payment) : random()
    const given = chance < successRate ? APPROVED : DECLINED
    noteCharge?.(payment, given)
    return given
  }

  return {
    charge(payment, { signal }, _earlier, traceparent) {
      return untilDone(spans?.child('charge', traceparent, { kind: SpanKind.CLIENT }), answer(payment, signal))
    },
  }
}
