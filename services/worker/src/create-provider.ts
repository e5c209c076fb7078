import { createHttpProvider } from './http-provider.ts'
import type { Provider } from './provider.ts'
import { createSimulatedProvider } from './simulated-provider.ts'

export type ProviderSettings =
  | { readonly kind: 'simulated'; readonly delayMs: number; readonly successRate: number }
  | { readonly kind: 'http'; readonly url: string; readonly token: string | undefined }

export function createProvider(settings: ProviderSettings): Provider {
  switch (settings.kind) {
    case 'simulated':
      return createSimulatedProvider(settings)
    case 'http':
      return createHttpProvider(settings)
    default:
      return settings satisfies never
  }
}
