import { type CashflowClient, CashflowError, createClient } from '@cashflow/client'
import type { Key } from './merchants.ts'
import type { Answer } from './payment-request.ts'

const ATTEMPT_MS = 5_000
const CALL_MS = 10_000

/** `answered` records a page. The end of a call is recorded by itself. */
type Act<Result> = (client: CashflowClient, answered: () => void) => Promise<Result>

/**
 * Calls one API with `@cashflow/client`, which repeats what may succeed later. Each attempt is recorded as a use of the key.
 *
 * @param failed called with the status of each attempt that fails
 * @returns the error of the last attempt if none has succeeded
 */
export async function call<Result>(
  { apiUrl, key }: { apiUrl: string; key: Key },
  act: Act<Result>,
  failed: (status: Answer['status']) => void = () => {},
): Promise<Result | CashflowError> {
  // Never later than the attempt was sent, so that no answer counts as one to a revoked key by mistake.
  let sentAt = Date.now()
  const answered = (status: Answer['status'] = 200) => {
    key.uses.push({ sentAt, answeredAt: Date.now(), status })
    sentAt = Date.now()
  }
  const fail = ({ status = 'none' }: { status?: Answer['status'] | undefined }) => {
    answered(status)
    failed(status)
  }
  const client = createClient({
    url: apiUrl,
    key: key.secret,
    timeoutMs: CALL_MS,
    attemptTimeoutMs: ATTEMPT_MS,
    onRetry({ error, delayMs }) {
      fail(error)
      sentAt = Date.now() + delayMs
    },
  })
  try {
    const result = await act(client, answered)
    answered()
    return result
  } catch (error) {
    if (!(error instanceof CashflowError)) throw error
    fail(error)
    return error
  }
}
