import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient, type Request } from './client.ts'
import { type Pace, startMeter } from './resources.ts'
import { percentile } from './statistics.ts'

export interface LoadOptions {
  readonly url: string
  /** Each connection sends its next request after the answer to the one before. */
  readonly connections: number
  readonly signal: AbortSignal
}

/** Repeats `act` on each connection until it returns `enough`. @throws the first error of any connection */
export async function repeat(
  { url, connections, signal }: LoadOptions,
  act: (client: Client) => Promise<'again' | 'enough'>,
): Promise<void> {
  await using client = createClient(url, connections)
  let hasFailed = false
  async function loop(): Promise<void> {
    try {
      while (!hasFailed && (await act(client)) === 'again') signal.throwIfAborted()
    } catch (error) {
      hasFailed = true
      throw error
    }
  }
  // Waits for all loops, because a loop that runs on would use a server that is being stopped.
  const loops = await Promise.allSettled(Array.from({ length: connections }, loop))
  const failed = loops.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}

/** Sends as many requests as the server answers. @returns the pace after the warm-up, and the latency */
export async function closedLoop(
  options: LoadOptions & { readonly next: () => Request; readonly warmUpMs: number; readonly durationMs: number },
) {
  const { next, warmUpMs, durationMs } = options
  const warmAt = performance.now() + warmUpMs
  const tookMs: number[] = []
  let window: { readonly until: number; readonly stop: (count: number) => Pace } | undefined
  const ended: Pace[] = []
  await repeat(options, async (client) => {
    const sentAt = performance.now()
    await client.send(next())
    const answeredAt = performance.now()
    if (ended.length > 0) return 'enough'
    if (window) tookMs.push(answeredAt - sentAt)
    else if (answeredAt >= warmAt) window = { until: answeredAt + durationMs, stop: startMeter() }
    // A machine that stalls may give no answer in a short window. The window then lasts until the first answer.
    if (!window || answeredAt < window.until || tookMs.length === 0) return 'again'
    ended.push(window.stop(tookMs.length))
    return 'enough'
  })
  const [pace] = ended
  if (!pace) throw new Error('the load has ended before it was measured')
  return { ...pace, p50Ms: percentile(tookMs, 50), p99Ms: percentile(tookMs, 99) }
}

/**
 * Starts `act` by the clock, at even intervals, also while earlier ones run. Resolves when all have ended.
 *
 * @throws the first error of any of them
 */
export async function openLoop(
  { perSecond, durationMs, signal }: { perSecond: number; durationMs: number; signal: AbortSignal },
  act: () => Promise<void>,
): Promise<void> {
  const startedAt = performance.now()
  const count = Math.round((perSecond * durationMs) / 1_000)
  const running = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  for (let index = 0; index < count && !failure; index++) {
    const waitMs = startedAt + (index * 1_000) / perSecond - performance.now()
    if (waitMs > 0) await sleep(waitMs, undefined, { signal })
    const one: Promise<void> = act()
      .catch((error) => {
        failure ??= { error }
      })
      .finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
  if (failure) throw failure.error
}
