import { playScripts } from './interleavings/scripts.ts'

const SEED = Number(process.env.INTERLEAVINGS_SEED ?? Date.now() % 2 ** 31)

// interleavings.long.test.ts plays more scripts, and can replay one by its seed and path.
describe('interleavings of relays and workers', () => {
  // Promises 1, 2, 7, 8
  it(`settle each payment once and lose no message, in any order and with crashes at any point (seed ${SEED})`, () =>
    playScripts({ runs: 6, seed: SEED }))
})
