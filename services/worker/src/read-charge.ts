import * as z from 'zod'
import type { ProviderAnswer } from './provider.ts'
import { readRetryAfter } from './retry-after.ts'

const charge = z.discriminatedUnion('status', [
  z.object({ status: z.literal('approved') }),
  z.object({
    status: z.literal('declined'),
    failure_code: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .nullish(),
  }),
])

const CONFIGURATION_ERRORS: readonly number[] = [400, 401, 403, 404]
const REFUSALS: readonly number[] = [402, 422]

export interface HttpAnswer {
  readonly status: number
  readonly retryAfter: string | null
  /** Undefined when it was too large. */
  readonly body: Uint8Array | undefined
}

/** What an answer about a charge means. Only what docs/provider.md names decides; money may have moved behind all else. */
export function readCharge({ status, retryAfter, body }: HttpAnswer): ProviderAnswer {
  if (CONFIGURATION_ERRORS.includes(status)) return { outcome: 'misconfigured', reason: `HTTP ${status}` }
  const isSuccess = status >= 200 && status <= 299
  if (isSuccess || REFUSALS.includes(status)) {
    const read = charge.safeParse(readJson(body))
    if (read.success && read.data.status === 'declined')
      return { outcome: 'declined', failureCode: read.data.failure_code ?? 'declined' }
    if (read.success && isSuccess) return { outcome: 'approved' }
    return unknown(`HTTP ${status} with a body that does not say what became of the charge`)
  }
  return unknown(`HTTP ${status}`)

  function unknown(reason: string): ProviderAnswer {
    const retryAfterMs = readRetryAfter(retryAfter)
    return { outcome: 'unknown', reason, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
}

function readJson(body: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return undefined // Unreadable, which the schema refuses.
  }
}
