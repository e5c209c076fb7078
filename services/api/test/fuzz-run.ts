import fc from 'fast-check'

// FUZZ_REQUESTS=100000 makes a longer run. A failure names its seed, which FUZZ_SEED=… repeats.
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) }
const AT_ONCE = 20

/** The number of requests that a fuzzer sends. */
export const fuzzRequests = (usual: number) => Number(process.env.FUZZ_REQUESTS ?? usual)

export const fuzzTimeoutMs = (requests: number) => 60_000 + 100 * requests

/** Sends `requests` requests, some at the same time. */
export async function fuzz<Request>(
  request: fc.Arbitrary<Request>,
  check: (request: Request) => Promise<void>,
  requests: number,
): Promise<void> {
  const batches = fc.array(request, { minLength: AT_ONCE, maxLength: AT_ONCE })
  await fc.assert(
    fc.asyncProperty(batches, async (batch) => {
      await Promise.all(batch.map(check))
    }),
    { numRuns: Math.ceil(requests / AT_ONCE), endOnFailure: true, ...SEED },
  )
}

export function count(counts: Map<string, number>, kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
}

export function printCounts(counts: ReadonlyMap<string, number>): void {
  const kinds = Array.from(counts, ([kind, count]) => `${count} × ${kind}`)
  console.log(`      ${kinds.sort().join(', ')}`)
}
