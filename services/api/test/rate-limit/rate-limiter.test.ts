import { randomUUID } from 'node:crypto'
import { eventually } from '@cashflow/async'
import { nullLogger, recordingLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { Bucket } from '../../src/rate-limit/bucket.ts'
import { createRateLimiter } from '../../src/rate-limit/rate-limiter.ts'
import { simulate } from './simulation.ts'

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

const SPREADS: [title: string, shares: readonly number[]][] = [
  ['spread 98 : 1 : 1', [0.98, 0.01, 0.01]],
  ['spread evenly over three processes', [1 / 3, 1 / 3, 1 / 3]],
  ['spread evenly over twenty processes', new Array<number>(20).fill(0.05)],
  ['in one process', [1]],
]

describe('rate limiter', () => {
  for (const [title, shares] of SPREADS)
    for (const limit of [50, 500, 5_000])
      it(`accepts ${limit}/s within 10 % over 10 s, if twice as many are offered ${title}`, async () => {
        const simulation = simulate({ processes: shares.length, limit })
        const rates = shares.map((share) => 2 * limit * share)
        for (const when of ['at first', 'after ten seconds'])
          expect(sum(await simulation.run(10_000, rates)) / (10 * limit), when).to.be.within(0.9, 1.1)
        await simulation.run(
          5_000,
          shares.map(() => 0),
        )
        const afterPause = sum(await simulation.run(10_000, rates))
        expect(afterPause / (10 * limit), 'after a pause').to.be.within(0.9, 1.1)
      })

  for (const [title, shares] of SPREADS)
    it(`accepts at least 98 % of what is offered, if that is 90 % of the limit ${title}`, async () => {
      const simulation = simulate({ processes: shares.length, limit: 100 })
      const accepted = await simulation.run(
        10_000,
        shares.map((share) => 90 * share),
      )
      expect(sum(accepted)).to.be.at.least(0.98 * 900)
    })

  it('accepts a small limit that many processes share', async () => {
    const simulation = simulate({ processes: 3, limit: 2 })
    const accepted = sum(await simulation.run(60_000, [5, 5, 5]))
    expect(accepted / 120).to.be.within(0.9, 1.1)
  })

  it('gives two processes with the same load about the same share, also if one came later', async () => {
    const simulation = simulate({ processes: 2, limit: 100 })
    await simulation.run(5_000, [200, 0])
    await simulation.run(5_000, [200, 200])
    const [first = 0, second = 0] = await simulation.run(10_000, [200, 200])
    expect(first / second).to.be.within(0.7, 1.4)
  })

  it('accepts limit/20 of a key that is new to the process, before the first report', () => {
    const { limiters } = simulate({ limit: 200 })
    const left = Array.from({ length: 12 }, () => limiters[0]?.take('k'))
    expect(left).to.deep.equal([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -1])
  })

  it('reports a key that is new to an idle process immediately, and then accepts the whole burst', async () => {
    let isReported = false
    const limiter = createRateLimiter({
      limit: 100,
      async report(uses, { burst }) {
        isReported = true
        return uses.map(({ key, used, offered }) => ({ key, level: burst - used, demand: offered }))
      },
      deleteIdle: async () => {},
      reportEveryMs: 3_600_000,
      logger: nullLogger,
    })
    await limiter.start(new AbortController().signal)
    limiter.take('k')
    await eventually(() => expect(isReported).to.equal(true))
    for (let n = 0; n < 40; n += 1) expect(limiter.take('k')).to.be.at.least(0)
    await limiter.stop()
  })

  it('reports at most once in 160 ms, also if each request has a new key', async () => {
    const reportedAt: number[] = []
    const limiter = createRateLimiter({
      limit: 100,
      async report(uses, { burst }) {
        reportedAt.push(performance.now())
        return uses.map(({ key, used, offered }) => ({ key, level: burst - used, demand: offered }))
      },
      deleteIdle: async () => {},
      logger: nullLogger,
    })
    await limiter.start(new AbortController().signal)
    await eventually(
      () => {
        limiter.take(randomUUID())
        expect(reportedAt).to.have.length(6)
      },
      { intervalMs: 1 },
    )
    await limiter.stop()
    for (const [index, at] of reportedAt.entries())
      if (index > 0) expect(at - (reportedAt[index - 1] ?? 0)).to.be.at.least(155)
  })

  it('tells a refused client how long the refill pays what many processes have accepted too many', async () => {
    const { limiters } = simulate({ processes: 40, limit: 100 })
    for (const limiter of limiters) while (limiter.take('k') >= 0);
    for (const limiter of limiters) await limiter.once()
    // 40 times 5 requests, of which the bucket had 51.
    expect(limiters.at(-1)?.take('k')).to.equal(-2)
  })

  it('counts what it accepts while a report is under way', () => {
    const bucket = new Bucket('k', { limit: 100, burst: 51, debtMax: 200 }, 0)
    bucket.take(0)
    const { offered } = bucket.report(0)
    for (let n = 0; n < 3; n += 1) bucket.take(0)
    bucket.learn({ key: 'k', level: 50, demand: offered }, 0, () => 0.5)
    expect(bucket.take(0)).to.equal(50 - 3 - 1)
  })

  it('limits each key by itself', async () => {
    const simulation = simulate({ processes: 1, limit: 100 })
    await simulation.run(1_000, [1_000], 'greedy')
    expect(sum(await simulation.run(1_000, [90], 'modest'))).to.be.at.least(85)
  })

  it('goes on with its shares while PostgreSQL is away, and logs that once', async () => {
    const { logger, lines } = recordingLogger()
    const simulation = simulate({ processes: 3, limit: 100, logger })
    const rates = [100, 60, 40]
    await simulation.run(5_000, rates)
    simulation.isAnswering = false
    expect(sum(await simulation.run(60_000, rates)) / 6_000).to.be.within(0.9, 1.1)
    // Each process accepts limit/20 at once, and limit/10 a second.
    expect(sum(await simulation.run(10_000, [20, 20, 20], 'new')), 'of a new key').to.be.within(310, 318)
    simulation.isAnswering = true
    expect(sum(await simulation.run(10_000, rates)) / 1_000, 'afterwards').to.be.within(0.9, 1.1)
    const said = lines.map(({ message }) => message)
    expect(new Set(said)).to.deep.equal(
      new Set(['rate limits are not shared, each process goes on with its own share', 'rate limits are shared again']),
    )
  })

  it('accepts its share at most once more in a process that was frozen', async () => {
    const simulation = simulate({ processes: 2, limit: 100 })
    await simulation.run(5_000, [100, 100])
    await simulation.run(60_000, [200, 0])
    const late = Array.from({ length: 100 }, () => simulation.limiters[1]?.take('k') ?? -1)
    expect(late.filter((left) => left >= 0)).to.have.length.within(1, 51)
  })

  it('reports a key with few requests once a second, and an idle one not at all', async () => {
    const simulation = simulate({ processes: 1, limit: 1_000 })
    await simulation.run(1_000, [40])
    simulation.reports.statements = 0
    await simulation.run(10_000, [40])
    expect(simulation.reports.statements).to.be.within(7, 11)
    await simulation.run(2_000, [0])
    simulation.reports.statements = 0
    await simulation.run(10_000, [0])
    expect(simulation.reports.statements).to.equal(0)
  })

  it('reports all its keys in one statement', async () => {
    const simulation = simulate({ processes: 1, keysMax: 10_000 })
    for (let n = 0; n < 4_000; n += 1) simulation.limiters[0]?.take(`k${n}`)
    await simulation.limiters[0]?.once()
    expect(simulation.reports).to.deep.equal({ statements: 1, keys: 4_000 })
  })

  it('forgets a key only after half as many others as it remembers, also if thousands of new ones come', () => {
    const { limiters } = simulate({ processes: 1, limit: 200, keysMax: 10 })
    const [limiter] = limiters
    const left: unknown[] = []
    for (let n = 0; n < 12; n += 1) {
      left.push(limiter?.take('busy'))
      for (let other = 0; other < 4; other += 1) limiter?.take(`new ${n} ${other}`)
    }
    expect(left).to.deep.equal([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -1])
    for (let other = 0; other < 10; other += 1) limiter?.take(`last ${other}`)
    expect(limiter?.take('busy'), 'forgotten').to.equal(9)
  })

  it('remembers no more keys than its limit, and reports none twice in a statement', async () => {
    const simulation = simulate({ processes: 1, keysMax: 2 })
    for (const key of ['a', 'b', 'c', 'a']) simulation.limiters[0]?.take(key)
    await simulation.limiters[0]?.once()
    expect(simulation.reports.keys).to.equal(2)
  })
})
