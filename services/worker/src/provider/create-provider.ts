import { setTimeout as sleep } from 'node:timers/promises'
import { createCertificates, type Logger } from '@cashflow/runtime'
import { SpanKind, type Spans, untilDone } from '@cashflow/tracing'
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
 */
export function createProvider(settings: ProviderSettings, logger: Logger, spans?: Spans): Provider {
  switch (settings.kind) {
    case 'simulated':
      logger.warn('the provider is simulated: no money moves, and chance settles each payment', {
        success_rate: settings.successRate,
      })
      return createSimulatedProvider(settings, Math.random, spans)
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

interface SimulatedSettings {
  readonly delayMs: number
  /** Share of approved payments, from 0 to 1. */
  readonly successRate: number
}

/** Creates a provider that moves no money: after a delay it approves or declines by chance. */
export function createSimulatedProvider(settings: SimulatedSettings, random = Math.random, spans?: Spans): Provider {
  const { delayMs, successRate } = settings

  async function answer(signal: AbortSignal): Promise<ProviderAnswer> {
    if (delayMs > 0) await sleep(delayMs, undefined, { signal })
    return random() < successRate ? { outcome: 'approved' } : { outcome: 'declined', failureCode: 'card_declined' }
  }

  return {
    charge(_payment, { signal }, _earlier, traceparent) {
      return untilDone(spans?.child('charge', traceparent, { kind: SpanKind.CLIENT }), answer(signal))
    },
  }
}
