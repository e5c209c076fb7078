import * as z from 'zod'
import type { ProviderAnswer } from './provider.ts'
import { readRetryAfter } from './retry-after.ts'

const charge = z.discriminatedUnion('status', [
  z.object({ status: z.literal('approved') }),
  z.object({ status: z.literal('pending') }),
  z.object({
    status: z.literal('declined'),
    failure_code: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .nullish(),
  }),
])

const CONFIGURATION_ERRORS: readonly number[] = [401, 403]
const DECLINES: readonly number[] = [402, 422]
const REFUSALS: readonly number[] = [400, 404, 422]

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
  const read = isSuccess || DECLINES.includes(status) ? charge.safeParse(readJson(body)) : undefined
  const said = read?.success ? read.data : undefined
  if (said?.status === 'declined') return { outcome: 'declined', failureCode: said.failure_code ?? 'declined' }
  if (said?.status === 'approved' && isSuccess) return { outcome: 'approved' }
  if (status === 202 || (said?.status === 'pending' && isSuccess)) return { outcome: 'pending', ...askedFor() }
  if (REFUSALS.includes(status)) return { outcome: 'refused', reason: `HTTP ${status}` }
  const unreadable = read ? ' with a body that does not say what became of the charge' : ''
  return { outcome: 'unknown', reason: `HTTP ${status}${unreadable}`, ...askedFor() }

  function askedFor(): { retryAfterMs?: number } {
    const retryAfterMs = readRetryAfter(retryAfter)
    return retryAfterMs === undefined ? {} : { retryAfterMs }
  }
}

function readJson(body: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return undefined // Unreadable, which the schema refuses.
  }
}
