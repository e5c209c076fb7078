import { playScripts } from './interleavings/scripts.ts'

// A failure names its seed and path: INTERLEAVINGS_SEED=… INTERLEAVINGS_PATH=… runs it again.
const RUNS = Number(process.env.INTERLEAVINGS_RUNS ?? 100)
const SEED = Number(process.env.INTERLEAVINGS_SEED ?? Date.now() % 2 ** 31)
const PATH = process.env.INTERLEAVINGS_PATH ?? ''

describe('relays and workers, in any order, dying anywhere', () => {
  it(`settle each payment once and lose no message (${RUNS} scripts, seed ${SEED})`, () =>
    playScripts({ runs: RUNS, seed: SEED, path: PATH })).timeout(60_000 + RUNS * 6_000)
})
