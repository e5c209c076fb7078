import { expect } from 'chai'
import { measureFall, measureRise } from '../src/queue/pace.ts'
import type { Queue } from '../src/queue/queue.ts'

const { signal } = new AbortController()

/** Returns a queue that reports these depths, the last one again and again. */
function queueOf(...depths: number[]): Queue & { looks: number } {
  return {
    looks: 0,
    async state() {
      return { depth: depths[Math.min(this.looks++, depths.length - 1)] ?? 0, consumers: 0 }
    },
    async [Symbol.asyncDispose]() {},
  }
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: Error) => error.message,
  )
}

describe('pace of a queue', () => {
  it('measures the pace of a queue until the last message has arrived', async () => {
    const queue = queueOf(0, 0, 10, 40, 100, 100)
    const { rate, cpuUs } = await measureRise(queue, { from: 0, to: 100, signal })
    expect(rate).to.be.greaterThan(0)
    expect(cpuUs).to.be.at.least(0)
    expect(queue.looks).to.equal(5)
  })

  it('measures the pace of a queue even if all messages arrive between two looks', async () => {
    const { rate } = await measureRise(queueOf(20, 20, 100), { from: 20, to: 100, signal })
    expect(rate).to.be.greaterThan(0).and.finite
  })

  it('measures the pace of a queue even if all messages arrive before the first look', async () => {
    const before = { depth: 20, consumers: 0 }
    const { rate } = await measureRise(queueOf(100), { from: 20, to: 100, before, signal })
    expect(rate).to.be.greaterThan(0).and.finite
  })

  it('measures the pace of a queue for a limited time', async () => {
    const rising = queueOf(...Array.from({ length: 100_000 }, (_, depth) => depth))
    const { rate } = await measureRise(rising, { from: 0, to: 100_000, limitMs: 50, signal })
    expect(rate).to.be.greaterThan(0)
  })

  it('reports an error instead of a pace when messages were published twice', async () => {
    expect(await failureOf(measureRise(queueOf(0, 50, 101), { from: 0, to: 100, signal }))).to.equal(
      '1 messages were published more than once',
    )
  })

  it('measures the pace of a queue until the last message is processed, not only taken', async () => {
    const queue = queueOf(100, 80, 10, 0, 0, 0)
    const isDone = async () => queue.looks === 6
    expect((await measureFall(queue, { from: 90, isDone, signal })).rate).to.be.greaterThan(0)
    expect(queue.looks).to.equal(6)
  })

  it('stops measuring the pace of a queue when the user stops the run', async () => {
    const stopped = AbortSignal.abort(new Error('stopped'))
    expect(await failureOf(measureRise(queueOf(0), { from: 0, to: 1, signal: stopped }))).to.equal('stopped')
  })
})
