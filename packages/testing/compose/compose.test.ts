import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setInterval } from 'node:timers/promises'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import {
  api,
  compose,
  containers,
  getPayment,
  logging,
  type Payment,
  postPayment,
  publishByHand,
  query,
} from './system.ts'

const SERVICES = ['api', 'relay', 'worker', 'webhooks']
const STOP_MS_MAX = 20_000
const SETTLED_ONCE = ['SUCCESS payment.succeeded', 'FAILED payment.failed']

describe('docker-compose.yml', () => {
  const posted: Payment[] = []

  async function post(reference: string, path?: string): Promise<Payment> {
    const payment = await postPayment({ amount: 100.5, currency: 'USD', reference }, path)
    posted.push(payment)
    return payment
  }

  function settled(id: string, path?: string): Promise<Payment> {
    return eventually(
      async () => {
        const payment = await getPayment(id, path)
        expect(payment.status).to.be.oneOf(['SUCCESS', 'FAILED'])
        return payment
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    )
  }

  /** Waits until every payment that was answered with 201, and no other, is settled in one transition. */
  function allSettledOnce(): Promise<void> {
    return eventually(
      async () => {
        const rows = await query<{ id: string; course: string }>(`
          select id, concat_ws(' ', status, (select string_agg(type, ' ') from payment_events
                 where payment_id = payments.id and type <> 'payment.created')) as course from payments`)
        expect(rows.map(({ id }) => id)).to.have.members(posted.map(({ id }) => id))
        expect(rows.filter(({ course }) => !SETTLED_ONCE.includes(course))).to.eql([])
        expect(await query('select topic, key from outbox_messages')).to.eql([])
      },
      { timeoutMs: 120_000, intervalMs: 500 },
    )
  }

  async function up(...options: string[]): Promise<void> {
    await compose('up', '--detach', ...options)
    await eventually(async () => expect((await api('/health')).status).to.equal(200), { timeoutMs: 60_000 })
  }

  before('builds and starts', async function () {
    this.timeout(600_000)
    await up('--build')
  })

  it('answers GET /health', async () => {
    expect(await (await api('/health')).json()).to.eql({ status: 'ok' })
  })

  it('serves the page /docs with its files, and the document', async () => {
    for (const path of ['/docs', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js', '/openapi.json'])
      expect((await api(path)).status, path).to.equal(200)
  })

  it('runs its services unprivileged, with the given settings and without the host’s addresses', async () => {
    for (const service of SERVICES) {
      const env = await compose('exec', '-T', service, 'sh', '-c', 'echo "uid=$(id -u)"; printenv')
      expect(env).to.include('uid=1000').and.include('APP_ENV=production').and.not.include('localhost')
      if (service === 'worker') expect(env).to.include('PROVIDER_DELAY_MS=500')
    }
  })

  it('limits the logs of every container', async () => {
    const all = await logging('postgres', 'rabbitmq', 'migrate', ...SERVICES)
    expect(all).to.have.lengthOf(7)
    for (const { driver, options } of all) {
      expect(driver).to.equal('local')
      expect(options).to.deep.equal({ 'max-size': '20m', 'max-file': '5' })
    }
  })

  it('makes its services trust the certificates in the file of NODE_EXTRA_CA_CERTS', async () => {
    const authority = await readFile(String(process.env.NODE_EXTRA_CA_CERTS), 'utf8')
    for (const service of SERVICES) {
      const script = 'process.stdout.write(JSON.stringify(require("node:tls").getCACertificates("extra")))'
      const trusted = JSON.parse(await compose('exec', '-T', service, 'node', '-e', script)) as string[]
      expect(trusted.map((certificate) => certificate.trim())).to.eql([authority.trim()])
    }
  })

  it('gives its services the files of SECRETS_DIR, and the settings that name them', async () => {
    const read = (name: string) => `process.stdout.write(require("node:fs").readFileSync(process.env.${name}, "utf8"))`
    for (const [service, name] of [
      ['api', 'KEY_PEPPER_FILE'],
      ['worker', 'PROVIDER_TOKEN_FILE'],
    ] as const) {
      const file = join(String(process.env.SECRETS_DIR), basename(String(process.env[name])))
      expect(await compose('exec', '-T', service, 'node', '-e', read(name))).to.equal(await readFile(file, 'utf8'))
    }
  })

  for (const path of ['/api/v1/payments', '/payments']) {
    it(`takes a payment posted to ${path} to SUCCESS or FAILED`, async () => {
      const payment = await post(`REF${path}`, path)
      expect(payment).to.include({ amount: 100.5, currency: 'USD', reference: `REF${path}`, status: 'PENDING' })
      expect(await settled(payment.id, path)).to.include({ id: payment.id, amount: 100.5 })
    })
  }

  it('settles ten payments posted in a row', async () => {
    for (let i = 1; i <= 10; i++) await post(`REF-${i}`)
    await allSettledOnce()
  })

  it('skips a settled payment whose bare id is published by hand', async () => {
    const { id, status } = await settled((await post('REF-again')).id)
    await publishByHand('payments', id)
    await eventually(
      async () =>
        expect(await compose('logs', '--no-color', 'worker')).to.include(`Skipping payment ${id} (already ${status})`),
      { timeoutMs: 30_000, intervalMs: 500 },
    )
    expect(await getPayment(id)).to.include({ status })
    await allSettledOnce()
  })

  describe("the operator's commands in the image of migrate", () => {
    const run = (...command: string[]) => compose('run', '--rm', '-T', 'migrate', ...command)

    it('list an unparseable message, and discard it', async () => {
      await publishByHand('payments', 'no payment')
      const letter = await eventually(
        async () => {
          const lines = (await run('dead', 'list', '--json')).split('\n').filter(Boolean)
          expect(lines).to.have.lengthOf(1)
          return JSON.parse(String(lines[0])) as { id: string }
        },
        { timeoutMs: 60_000, intervalMs: 500 },
      )
      await run('dead', 'discard', letter.id, '--reason', 'sent by a test')
      expect(await run('dead', 'list', '--json')).to.equal('')
    })

    it('settle a payment that no worker has processed', async () => {
      await compose('stop', 'worker')
      const { id } = await post('REF-by-hand')
      await run('settle', id, '--success', '--reason', 'on the bank statement')
      expect(await getPayment(id)).to.include({ status: 'SUCCESS' })
      await compose('start', 'worker')
      await allSettledOnce()
    })

    it('migrate a second time without changes', async () => {
      expect(await run('migrate')).to.include('schema is up to date')
    })

    it('exit with 1, and print the reason, when the command is refused', async () => {
      const refused = await run('dead', 'requeue', '4711').catch((error: { code: number; stderr: string }) => error)
      expect(refused).to.include({ code: 1 }).and.to.have.property('stderr').that.includes('No unresolved dead letter')
    })
  })

  it('scales to three workers, two relays and two processes that send webhooks', async () => {
    await up('--scale=worker=3', '--scale=relay=2', '--scale=webhooks=2')
    const scaled = { relay: 2, worker: 3, webhooks: 2 }
    const running = (await containers(...Object.keys(scaled))).filter((container) => container.running)
    for (const [service, count] of Object.entries(scaled))
      expect(running.filter((container) => container.service === service)).to.have.lengthOf(count)
    for (let i = 1; i <= 100; i++) await post(`REF-scaled-${i}`)
    await allSettledOnce()
  })

  it('accepts payments while the broker is stopped, and settles them once it runs again', async () => {
    const back = new AbortController()
    const outage = async () => {
      await compose('stop', 'rabbitmq')
      const before = posted.length
      await eventually(() => expect(posted.length).to.be.greaterThan(before + 20))
      await compose('start', 'rabbitmq')
    }
    await Promise.all([postSteadily('REF-outage', back.signal), outage().finally(() => back.abort())])
    await allSettledOnce()
  })

  it('stops within 20 s and with exit code 0 while payments are in flight', async () => {
    for (let i = 1; i <= 100; i++) await post(`REF-stopped-${i}`)
    const startedAt = performance.now()
    await compose('stop', ...SERVICES)
    expect(performance.now() - startedAt).to.be.lessThan(STOP_MS_MAX)
    const stopped = await containers(...SERVICES)
    expect(stopped).to.have.lengthOf(8)
    expect(stopped.filter(({ running, exitCode }) => running || exitCode !== 0)).to.eql([])
  })

  it('continues with its data after down and up', async () => {
    await compose('down')
    await up()
    await allSettledOnce()
  })

  /** Posts a payment every 100 ms, and expects 201 for each. */
  async function postSteadily(reference: string, signal: AbortSignal): Promise<void> {
    let count = 0
    for await (const _ of setInterval(100)) {
      if (signal.aborted) return
      await post(`${reference}-${++count}`)
    }
  }
})
