import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, type Request } from './client.ts'
import { percentile } from './statistics.ts'

export interface LoadOptions {
  readonly url: string
  /** Each sends its next request when the one before is answered. */
  readonly connections: number
  readonly next: () => Request
  readonly warmUpMs: number
  readonly durationMs: number
  readonly signal: AbortSignal
}

/** Answers per second, and how long they took, once all was warm. */
export type LoadMeasured = { readonly rate: number; readonly p50Ms: number; readonly p99Ms: number }

/** As many requests as the server answers. @throws the first error of any request */
export async function closedLoop(options: LoadOptions): Promise<LoadMeasured> {
  const { url, connections, next, warmUpMs, durationMs, signal } = options
  const client = createClient(url, connections)
  const from = performance.now() + warmUpMs
  let to = from + durationMs
  const tookMs: number[] = []
  async function repeat(): Promise<void> {
    for (;;) {
      const sentAt = performance.now()
      if (sentAt >= to && tookMs.length > 0) return
      signal.throwIfAborted()
      await client.send(next())
      const answeredAt = performance.now()
      // On a machine that stalls, a short time may have no answer at all: it lasts until the first one.
      if (tookMs.length === 0) to = Math.max(to, answeredAt)
      if (answeredAt >= from && answeredAt <= to) tookMs.push(answeredAt - sentAt)
    }
  }
  try {
    await together(Array.from({ length: connections }, repeat))
  } finally {
    await client.close()
  }
  return { rate: tookMs.length / ((to - from) / 1_000), p50Ms: percentile(tookMs, 50), p99Ms: percentile(tookMs, 99) }
}

/** This many requests, and no more. @throws the first error of any request */
export async function sendAll(
  { url, connections, next, signal }: Pick<LoadOptions, 'url' | 'connections' | 'next' | 'signal'>,
  count: number,
): Promise<void> {
  const client = createClient(url, connections)
  let left = count
  async function repeat(): Promise<void> {
    while (left > 0) {
      left -= 1
      signal.throwIfAborted()
      await client.send(next())
    }
  }
  try {
    await together(Array.from({ length: connections }, repeat))
  } finally {
    await client.close()
  }
}

export interface Pace {
  readonly perSecond: number
  readonly durationMs: number
  readonly signal: AbortSignal
}

/**
 * By the clock, evenly spaced, whether or not the answers before have come. Resolves when all have.
 *
 * @throws the first error of any of them
 */
export async function openLoop({ perSecond, durationMs, signal }: Pace, act: () => Promise<void>): Promise<void> {
  const startedAt = performance.now()
  const count = Math.round((perSecond * durationMs) / 1_000)
  const acts = new Set<Promise<void>>()
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => {})
  for (let index = 0; index < count; index++) {
    const waitMs = startedAt + (index * 1_000) / perSecond - performance.now()
    if (waitMs > 0) await Promise.race([sleep(waitMs, undefined, { signal }), failure.promise])
    const running: Promise<void> = act().then(() => void acts.delete(running), failure.reject)
    acts.add(running)
  }
  await Promise.race([Promise.all(acts), failure.promise])
}

/** All of them, also when one fails: what goes on after an error would meet a server that is being stopped. */
async function together(loops: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(loops)).find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}
