import { Loop, Loops } from '@cashflow/async'
import { expect } from 'chai'
import { createLoopWatch } from '../../src/admin/loop-watch.ts'

describe('loop watch', () => {
  let now: number
  let loops: Loops
  let watch: ReturnType<typeof createLoopWatch>
  beforeEach(() => {
    now = 0
    loops = new Loops()
    watch = createLoopWatch(
      () => loops,
      () => now,
    )
  })

  /** Lets seconds pass, with a look in each. */
  function pass(seconds: number, eachSecond = () => {}): void {
    for (let second = 0; second < seconds; second++) {
      now += 1_000
      eachSecond()
      watch.look()
    }
  }

  it('loop watch: a loop hangs when it has not beaten for 120 seconds, and no longer after a beat', () => {
    const loop = loops.begin('pass')
    pass(120)
    expect(watch.hung()).to.deep.equal([])
    pass(1)
    expect(watch.hung()).to.deep.equal([{ name: 'pass', silentMs: 120_000 }])
    loop.beat()
    pass(1)
    expect(watch.hung()).to.deep.equal([])
  })

  it('loop watch: a loop that beats never hangs, and hides no other loop of the same name', () => {
    const beating = loops.begin('pass')
    loops.begin('pass')
    pass(121, () => beating.beat())
    expect(watch.hung()).to.deep.equal([{ name: 'pass', silentMs: 120_000 }])
  })

  it('loop watch: a loop that waits for a server is alive, and has 120 seconds after the end of the wait', async () => {
    const loop = loops.begin('pass')
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = loop.outwait(promise)
    pass(3_600)
    expect(watch.hung()).to.deep.equal([])
    resolve()
    await waiting
    pass(120)
    expect(watch.hung()).to.deep.equal([])
    pass(1)
    expect(watch.hung()).to.have.length(1)
  })

  it('loop watch: time in which the process was frozen does not count', () => {
    loops.begin('pass')
    pass(1)
    now += 3_600_000
    watch.look()
    expect(watch.ages()).to.deep.equal([{ name: 'pass', silentMs: 2_000 }])
  })

  it('loop watch: tracked work hangs if it does not end, and a loop that has ended does not', async () => {
    loops.end(loops.begin('pass'))
    void loops.track('batch', new Promise(() => {}))
    await loops.track('batch', Promise.resolve())
    pass(200)
    expect(watch.hung().map(({ name }) => name)).to.deep.equal(['batch'])
    expect([...loops]).to.have.length(1)
    expect([...loops][0]).to.be.instanceOf(Loop)
  })
})
