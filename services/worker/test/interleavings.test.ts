import { playScripts } from './interleavings/scripts.ts'

const SEED = Number(process.env.INTERLEAVINGS_SEED ?? Date.now() % 2 ** 31)

// The long file plays many, and plays one again by its seed and path.
describe('relays and workers, in any order, dying anywhere', () => {
  it(`settle each payment once and lose no message (seed ${SEED})`, () => playScripts({ runs: 6, seed: SEED }))
})
