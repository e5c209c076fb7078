const ANSWER_MS = 5_000

/** Why the runner cannot make payments with the stack's api, for the operator. Null if nothing is known to be in its way. */
export async function findObstacle(api: string): Promise<string | null> {
  if (!api.startsWith('http:'))
    return 'Payments cannot be made here: the API speaks HTTPS, and its certificate is not for this.'
  const signal = AbortSignal.timeout(ANSWER_MS)
  const response = await fetch(`${api}/api/v1/payments?limit=1`, { signal }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status === 401 ? 'Payments cannot be made here: the API needs a key. AUTH=none needs none.' : null
}
