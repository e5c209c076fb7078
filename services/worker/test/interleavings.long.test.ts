import { playScripts } from './interleavings/scripts.ts'

// A failure prints its seed and path. INTERLEAVINGS_SEED=… INTERLEAVINGS_PATH=… replays it.
const RUNS = Number(process.env.INTERLEAVINGS_RUNS ?? 100)
const SEED = Number(process.env.INTERLEAVINGS_SEED ?? Date.now() % 2 ** 31)
const PATH = process.env.INTERLEAVINGS_PATH ?? ''

describe('interleavings of relays and workers', () => {
  // Promises 1, 2
  it(`settle each payment once and lose no message, in any order and with crashes at any point (${RUNS} scripts, seed ${SEED})`, () =>
    playScripts({ runs: RUNS, seed: SEED, path: PATH })).timeout(60_000 + RUNS * 6_000)
})
