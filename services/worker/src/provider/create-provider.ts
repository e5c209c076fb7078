import type { Logger } from '@cashflow/runtime'
import { createHttpProvider } from './http-provider.ts'
import type { Provider } from './provider.ts'
import { createSimulatedProvider } from './simulated-provider.ts'

export type ProviderSettings =
  | { readonly kind: 'simulated'; readonly delayMs: number; readonly successRate: number }
  | { readonly kind: 'http'; readonly url: string; readonly token: string | undefined }

/** The provider that the settings choose. The log says at each start which one it is. */
export function createProvider(settings: ProviderSettings, logger: Logger): Provider {
  switch (settings.kind) {
    case 'simulated':
      logger.warn('the provider is simulated: no money moves, and chance settles each payment', {
        success_rate: settings.successRate,
      })
      return createSimulatedProvider(settings)
    case 'http':
      logger.info('payments are charged at the HTTP provider', { url: settings.url })
      return createHttpProvider(settings)
    default:
      return settings satisfies never
  }
}
