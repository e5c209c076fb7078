import { defined, eventually, pause } from '@cashflow/async'
import { expect } from 'chai'
import { createTestDatabase, createTestVhost, scrape, startTcpProxy, type TcpProxy } from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

/** A loop counts as hung after two minutes. */
const AWAY_MS = 180_000
const PROBE_EVERY_MS = 1_000

describe('livez and readyz', function () {
  this.timeout(400_000)
  const cleanUps: (() => Promise<unknown>)[] = []
  /** Both run in the same three minutes, each with its own services. */
  let outages: { readonly refusing: Promise<void>; readonly dropping: Promise<void> }
  before(() => {
    outages = {
      refusing: expectAliveWithout((proxy) => proxy.cut()),
      dropping: expectAliveWithout((proxy) => proxy.freeze()),
    }
    for (const outage of Object.values(outages)) outage.catch(() => {}) // Its test reports the error.
  })
  after(async () => {
    await Promise.allSettled(Object.values(outages))
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })

  async function startBehindProxies() {
    const [database, vhost] = await Promise.all([createTestDatabase(), createTestVhost()])
    const proxies = await Promise.all([startTcpProxy(database.url), startTcpProxy(vhost.url)])
    const [postgres, rabbitmq] = proxies
    cleanUps.push(() => Promise.all(proxies.map((proxy) => proxy.stop())))
    const settings = { DATABASE_URL: postgres.url, RABBITMQ_URL: rabbitmq.url, RECONCILE_INTERVAL_MS: '500' }
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, settings, { database, vhost })
    cleanUps.push(() => pipeline.stop())
    return { pipeline, proxies }
  }

  const urlsOf = ({ processes }: Pipeline) =>
    Promise.all(Object.values(processes).flatMap((services) => services.map((service) => service.adminUrl())))

  async function probe(url: string) {
    const response = await fetch(url)
    return { status: response.status, body: await response.json() }
  }

  /** Keeps both servers away, and expects each probe of each process to succeed. */
  async function expectAliveWithout(breakOff: (proxy: TcpProxy) => void): Promise<void> {
    const { pipeline, proxies } = await startBehindProxies()
    const urls = await urlsOf(pipeline)
    const api = defined(urls[0], 'api')
    await eventually(async () =>
      expect(await probe(`${api}/readyz`)).to.deep.equal({
        status: 200,
        body: { status: 'ready', postgresql: 'reached' },
      }),
    )
    for (const proxy of proxies) breakOff(proxy)
    const begunAt = performance.now()
    let rounds = 0
    let silentMax = 0
    while (performance.now() - begunAt < AWAY_MS) {
      for (const url of urls) {
        expect(await probe(`${url}/livez`), url).to.deep.equal({ status: 200, body: { status: 'alive' } })
        expect((await probe(`${url}/readyz`)).status, url).to.equal(200)
        const silent = (await scrape(url)).get('cashflow_loop_silent_seconds')?.samples ?? new Map<string, number>()
        silentMax = Math.max(silentMax, ...silent.values())
      }
      rounds += 1
      await pause(PROBE_EVERY_MS)
    }
    expect(rounds).to.be.above(60)
    // A minute is the longest wait of any loop. A loop that did not beat at all would be silent for three.
    expect(silentMax).to.be.below(90)
    expect((await probe(`${api}/readyz`)).body).to.deep.equal({ status: 'ready', postgresql: 'away' })
    expect((await scrape(api)).get('cashflow_postgres_reachable')?.samples.get('cashflow_postgres_reachable')).to.equal(
      0,
    )

    for (const proxy of proxies) proxy.restore()
    await eventually(async () => expect((await pipeline.post('after')).status).to.be.oneOf([201, 409]))
    await eventually(async () => {
      const { rows } = await pipeline.db.query("select from payments where status <> 'PENDING'")
      expect(rows).to.have.length(1)
    })
    await eventually(async () =>
      expect((await probe(`${api}/readyz`)).body).to.deep.equal({ status: 'ready', postgresql: 'reached' }),
    )
    for (const service of Object.values(pipeline.processes).flat()) {
      const exit = await Promise.race([service.exited, Promise.resolve('still running')])
      expect(exit, service.output.join('\n')).to.equal('still running')
    }
  }

  // Promise 101
  it('/livez stays 200, and no process ends, while PostgreSQL and RabbitMQ refuse connections for three minutes', () =>
    outages.refusing)

  // Promise 101
  it('/livez stays 200, and no process ends, while the network to PostgreSQL and RabbitMQ drops all packets for three minutes', () =>
    outages.dropping)
})
