import { expect } from 'chai'
import { createThrottle, eventually, pause } from '../src/index.ts'

describe('createThrottle', () => {
  it('createThrottle: runs at once, and once more for all calls within the interval', async () => {
    const runs: number[] = []
    const call = createThrottle(async () => void runs.push(performance.now()), 200)
    for (let n = 0; n < 100; n++) call()
    expect(runs).to.have.length(1)
    await eventually(() => expect(runs).to.have.length(2))
    expect(Number(runs[1]) - Number(runs[0])).to.be.at.least(199)
    await pause(250)
    expect(runs).to.have.length(2)
    call()
    expect(runs).to.have.length(3)
  })

  it('createThrottle: runs again after a run that takes longer than the interval', async () => {
    const first = Promise.withResolvers<void>()
    let runs = 0
    const call = createThrottle(async () => {
      runs += 1
      await first.promise
    }, 1)
    call()
    call()
    await pause(20)
    expect(runs, 'runs never overlap').to.equal(1)
    first.resolve()
    await eventually(() => expect(runs).to.equal(2))
  })
})
