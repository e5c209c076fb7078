import { expect } from 'chai'
import {
  answer,
  createTestDatabase,
  createTestVhost,
  eventually,
  type Script,
  type ScriptedServer,
  type ServiceProcess,
  startScriptedServer,
  startTcpProxy,
  type TcpProxy,
} from '../src/index.ts'
import { type Pipeline, postTo, startPipeline } from '../src/pipeline.ts'

const APPROVED = answer(200, { status: 'approved' })
const UNKNOWN = answer(503)
const SETTINGS = { PROVIDER: 'http', PROVIDER_DEADLINE_MS: '60000', RECONCILE_INTERVAL_MS: '100' }

describe('process that is killed', () => {
  let server: ScriptedServer
  let database: TcpProxy
  let broker: TcpProxy
  let pipeline: Pipeline
  let victim: ServiceProcess
  let number = 0

  before(async () => {
    const servers = { database: await createTestDatabase(), vhost: await createTestVhost() }
    ;[server, database, broker] = await Promise.all([
      startScriptedServer(),
      startTcpProxy(servers.database.url),
      startTcpProxy(servers.vhost.url),
    ])
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 0 }, { ...SETTINGS, PROVIDER_URL: server.url }, servers)
  })
  after(async () => {
    await pipeline.stop()
    await Promise.all([server.close(), database.stop(), broker.stop()])
  })
  beforeEach(() => {
    number += 1
    server.script = APPROVED
  })

  const startVictim = (role: 'api' | 'worker') =>
    pipeline.start(role, { DATABASE_URL: database.url, RABBITMQ_URL: broker.url })
  const rows = async (condition: string) =>
    (await pipeline.db.query(`select id from payments where reference = 'ref-${number}' and ${condition}`)).rows

  /** Lets the victim's statement with this text reach PostgreSQL, and holds the answer. */
  function hold(text: string): () => void {
    const before = database.held
    database.holdAnswerTo(text)
    return () => expect(database.held, text).to.equal(before + 1)
  }

  async function kill(): Promise<void> {
    victim.kill('SIGKILL')
    await victim.exited
    for (const proxy of [database, broker]) proxy.restore()
  }

  async function expectSettledOnce(id: string): Promise<void> {
    await eventually(
      async () => {
        const { rows } = await pipeline.db.query(
          `select p.id, status, array_agg(type order by sequence) as history, parked_at
          from payments p join payment_events e on e.payment_id = p.id where reference = $1 group by p.id`,
          [`ref-${number}`],
        )
        const history = ['payment.created', 'payment.succeeded']
        expect(rows).to.deep.equal([{ id, status: 'SUCCESS', history, parked_at: null }])
      },
      { timeoutMs: 60_000 },
    )
  }

  describe('as a worker that waits for', () => {
    const waitsFor: [what: string, text: string, fact: string, script?: Script][] = [
      ['the answer to its claim', 'with "locked"', 'claim_token is not null'],
      ['the answer to its settling', 'with "settling"', "status = 'SUCCESS'"],
      ['the answer to BEGIN of a retry', 'begin', 'true', UNKNOWN],
      ['the locked payment of a retry', 'select "claim_token"', 'true', UNKNOWN],
      ['the answer to a scheduled retry', 'insert into "outbox_scheduled"', 'true', UNKNOWN],
      ['the answer to a COMMIT of a retry', 'commit', 'attempts > 0', UNKNOWN],
    ]

    // Each worker settles the payment of the previous one, and is then killed itself.
    before(async () => {
      victim = await startVictim('worker')
    })
    after(() => victim.stop())

    async function expectAnotherSettles(id: string): Promise<void> {
      await kill()
      server.script = APPROVED
      // Ends the lease early. Waits for the end of the victim's transaction, if that has locked the row.
      await pipeline.db.query(
        "update payments set lease_until = now() where status = 'PENDING' and claim_token is not null",
      )
      victim = await startVictim('worker')
      await expectSettledOnce(id)
    }

    for (const [what, text, fact, script = APPROVED] of waitsFor) {
      // Promises 1, 2
      it(`${what} leaves a payment that another worker settles once`, async () => {
        server.script = script
        const isHeld = hold(text)
        const { id } = await pipeline.post(`ref-${number}`)
        await eventually(isHeld)
        await eventually(async () => expect(await rows(fact)).to.have.length(1))
        await expectAnotherSettles(id)
      }).timeout(180_000)
    }

    it('the provider leaves a payment that another worker settles once', async () => {
      const asked = Promise.withResolvers<void>()
      server.script = () => asked.resolve()
      const { id } = await pipeline.post(`ref-${number}`)
      await asked.promise
      await expectAnotherSettles(id)
    }).timeout(180_000)

    for (const [what, script, fact] of [
      ['a settled payment', APPROVED, "status = 'SUCCESS'"],
      ['a retry', UNKNOWN, 'attempts > 0'],
    ] as const) {
      // Promises 1, 2
      it(`its ack of ${what} to arrive leaves a payment that is settled once`, async () => {
        server.script = (...exchange) => {
          broker.freeze()
          script(...exchange)
        }
        const { id } = await pipeline.post(`ref-${number}`)
        await eventually(async () => expect(await rows(fact)).to.have.length(1))
        await expectAnotherSettles(id)
      }).timeout(180_000)
    }
  })

  describe('as an api that waits for the database', () => {
    before(() => pipeline.start('worker'))

    // Promises 1, 3
    it('leaves a payment that is settled once, and answers the client’s repeated request with it', async () => {
      victim = await startVictim('api')
      const { url } = await victim.logged('listening')
      const isHeld = hold('with "given"')
      const first = postTo(String(url), `ref-${number}`).catch(() => 'no answer')
      await eventually(isHeld)
      const [stored] = await eventually(async () => {
        const ids = await rows('true')
        expect(ids).to.have.length(1)
        return ids
      })
      await kill()
      expect(await first).to.equal('no answer')
      const other = await pipeline.processes.api[0]?.logged('listening')
      const again = await postTo(String(other?.url), `ref-${number}`)
      expect(again).to.include({ status: 409, id: stored?.id })
      await expectSettledOnce(again.id)
    }).timeout(180_000)
  })
})
