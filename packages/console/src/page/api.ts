/** An answer other than 2xx, or none. The message is for the operator. */
export class ApiError extends Error {
  /** 0 if the server did not answer. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

let onLoggedOut = () => {}

/** Calls `listener` when the server says that there is no login. */
export function whenLoggedOut(listener: () => void): void {
  onLoggedOut = listener
}

/** @throws ApiError */
export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return ask<T>(path, signal ? { signal } : {})
}

/** @throws ApiError */
export function post<T>(path: string, body: unknown): Promise<T> {
  return ask<T>(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
}

/** @throws ApiError */
export function remove<T>(path: string): Promise<T> {
  return ask<T>(path, { method: 'DELETE' })
}

/** Time in which the server has to answer, in milliseconds. */
const ANSWER_WITHIN_MS = 15_000

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS)
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout
  const response = await fetch(path, { ...init, signal }).catch((error: unknown) => {
    if (init.signal?.aborted) throw error
    throw new ApiError(
      0,
      timeout.aborted ? 'The server has not answered for 15 seconds.' : 'The server cannot be reached.',
    )
  })
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok) return body as T
  if (response.status === 401) onLoggedOut()
  throw new ApiError(response.status, errorOf(body) ?? `The server answered with status ${response.status}.`)
}

function errorOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('error' in body)) return undefined
  return typeof body.error === 'string' ? body.error : undefined
}

/** A path with its parameters. Those without a value are left out. */
export function pathOf(path: string, parameters: Readonly<Record<string, string | null | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value)
  const text = query.toString()
  return text === '' ? path : `${path}?${text}`
}
