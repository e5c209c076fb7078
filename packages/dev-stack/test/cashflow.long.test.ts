import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { freePorts } from '../src/ports.ts'
import { isRunning } from '../src/processes/process-table.ts'
import { removePostgresData } from '../src/servers/postgres.ts'
import { query } from '../src/servers/postgres-client.ts'
import { processesOf, runCashflow, type StackRun } from './support/stack-run.ts'
import { temporaryFolder } from './support/temporary-folder.ts'

describe('npm start', () => {
  const folder = temporaryFolder()
  const others: Server[] = []
  let run: StackRun | undefined
  after(async () => {
    run?.kill('SIGTERM')
    await run?.exited
    for (const other of others) other.close()
    removePostgresData(folder.path)
    folder.remove()
  })

  async function settled(url: string, reference = 'REF-1'): Promise<string> {
    const payment = { amount: 100.5, currency: 'USD', reference }
    const headers = { 'content-type': 'application/json' }
    const created = await fetch(`${url}/api/v1/payments`, { method: 'POST', headers, body: JSON.stringify(payment) })
    expect(created.status).to.equal(201)
    return eventually(async () => {
      const { status } = (await (await fetch(new URL(created.headers.get('location') ?? '', url))).json()) as {
        status: string
      }
      expect(status).to.not.equal('PENDING')
      return status
    })
  }

  const linesLike = (line: RegExp) => run?.output().match(line) ?? []
  /** Waits until both relays have logged a line, and expects one of the stack for both. */
  async function shownOnce(ofRelays: RegExp, ofStack: RegExp): Promise<void> {
    await eventually(() => expect(linesLike(ofRelays)).to.have.length(2))
    expect(linesLike(ofStack)).to.have.length(1)
  }

  it('settles payments although every usual port is taken, prints all addresses, and leaves no process', async () => {
    const [postgres, rabbitmq, management] = await freePorts(4)
    for (const port of [postgres, rabbitmq, management, 8080]) {
      const other = createServer().listen(port, '127.0.0.1')
      // Another process may already listen on 8080, which is then taken as well.
      await Promise.race([once(other, 'listening'), new Promise((taken) => other.once('error', taken))])
      others.push(other)
    }
    // TLS is meant for a server that the settings name.
    const settings = { PROVIDER_DELAY_MS: '0', PROVIDER_SUCCESS_RATE: '1', DB_SSLMODE: 'verify-full', MQ_TLS: 'yes' }
    run = runCashflow(folder.path, { postgres, rabbitmq, management }, settings)
    const file = await run.ready()
    for (const [what, port] of Object.entries({ PostgreSQL: postgres, RabbitMQ: rabbitmq, 'the API': 8080 }))
      expect(run.output()).to.match(new RegExp(`port ${port} is taken: ${what} uses \\d+`))
    expect(file.processes.relay).to.have.length(2)
    expect(await settled(String(file.api[0]))).to.equal('SUCCESS')

    const pausing = `insert into pauses (component, reason, paused_by) values ('relay', 'the broker moves', 'ann@ops')`
    await query(file.database_url, pausing)
    const why = 'by=ann@ops reason="the broker moves" until=resumed'
    await shownOnce(
      /relay \d +warn +paused by an operator/g,
      new RegExp(`stack +warn +the relays are paused, .* ${why}`, 'g'),
    )
    await query(file.database_url, `update pauses set resumed_at = now(), resumed_by = 'ann@ops'`)
    await shownOnce(/relay \d +info +resumed/g, /stack +info +the relays are not paused any more/g)

    const [, origin, login] = /RabbitMQ +(\S+) +login (.*)/.exec(run.output()) ?? []
    const authorization = `Basic ${btoa(String(login).replace(' / ', ':'))}`
    expect((await fetch(`${origin}/api/whoami`, { headers: { authorization } })).status).to.equal(200)

    const { origin: consoleOrigin, hash } = new URL(file.console_url)
    const headers = { 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' }
    const body = JSON.stringify({ token: hash.replace('#token=', '') })
    expect((await fetch(`${consoleOrigin}/api/login`, { method: 'POST', headers, body })).status).to.equal(200)
    expect(run.output()).to.contain(file.console_url)

    const processes = processesOf(file)
    run.kill('SIGINT')
    expect(await run.exited).to.equal(0)
    expect(processes.filter(isRunning)).to.deep.equal([])
    expect(existsSync(join(folder.path, 'stack.json'))).to.equal(false)
  }).timeout(180_000)

  it('goes on with the payments of a version that did not store whether a database is a sandbox', async () => {
    const [postgres, rabbitmq, management] = await freePorts(4)
    const start = () => {
      run = runCashflow(folder.path, { postgres, rabbitmq, management }, { PORT: '0', PROVIDER_DELAY_MS: '0' })
      return run.ready()
    }
    const first = await start()
    await settled(String(first.api[0]), 'REF-2')
    await query(first.database_url, 'delete from deployment')
    run?.kill('SIGINT')
    await run?.exited
    const { api, database_url } = await start()
    await settled(String(api[0]), 'REF-3')
    expect(await query(database_url, 'select mode from deployment')).to.deep.equal([{ mode: 'sandbox' }])
  }).timeout(360_000)
})
