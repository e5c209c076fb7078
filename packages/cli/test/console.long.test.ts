import { createDatabase, type Tables } from '@cashflow/db'
import { listActions } from '@cashflow/db/operator'
import { createTestDatabase, nullLogger, startService, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { runCashflow } from './run-cashflow.ts'

const PEPPER = 'p'.repeat(32)
const OWN_PAGE = { 'Sec-Fetch-Site': 'same-origin', 'Content-Type': 'application/json' }

describe('cashflow console token', function () {
  // Each command starts a process.
  this.timeout(180_000)
  let database: TestDatabase
  let db: Kysely<Tables>
  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 1, logger: nullLogger })
  })
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  async function create(env: Record<string, string>, ...args: string[]) {
    const { code, stdout, stderr } = await runCashflow(['console', 'token', ...args, '--json'], {
      ...{ DATABASE_URL: database.url, ...env },
    })
    expect(code, stderr).to.equal(0)
    return JSON.parse(stdout)
  }
  async function login(url: unknown, token: string) {
    const answer = await fetch(`${url}/api/login`, {
      method: 'POST',
      headers: OWN_PAGE,
      body: JSON.stringify({ token }),
    })
    const [Cookie = ''] = answer.headers.getSetCookie().map((cookie) => String(cookie.split(';')[0]))
    const me = await fetch(`${url}/api/me`, { headers: { Cookie } })
    return { status: answer.status, me: me.ok ? ((await me.json()) as object) : undefined }
  }

  for (const [what, env] of [
    ['signed with KEY_PEPPER', { KEY_PEPPER: PEPPER }],
    ['signed with a secret of the database', {}],
  ] as [string, Record<string, string>][])
    it(`console token: prints a token, ${what}, that logs the named operator in once, and records that it was made`, async () => {
      const settings = { DATABASE_URL: database.url, PORT: '0', CONSOLE_PORT: '0', ...env }
      const api = startService('api', settings)
      const { url } = await api.logged('console is listening')
      const { token, ...facts } = await create(env, '--name', 'Ann Lee', '--role', 'read', '--actor', 'bob@ops')
      expect(facts).to.have.all.keys('name', 'role', 'expires_at')
      expect(facts).to.include({ name: 'Ann Lee', role: 'read' })
      expect(Date.parse(facts.expires_at) - Date.now()).to.be.within(500_000, 600_000)

      const { status, me } = await login(url, token)
      expect(status).to.equal(200)
      expect(me).to.include({ name: 'Ann Lee', role: 'read' })
      expect(await login(url, token)).to.deep.equal({ status: 401, me: undefined })
      const other = await create({ KEY_PEPPER: 'q'.repeat(32) }, '--name', 'eve', '--role', 'operate')
      expect((await login(url, other.token)).status).to.equal(401)
      expect(await api.stop()).to.equal(0)

      const [act] = await listActions(db, { action: 'console token', target: 'Ann Lee', limit: 1 })
      expect(act).to.deep.include({ actor: 'bob@ops', before: null })
      expect(act?.after).to.include({ role: 'read', expires_at: facts.expires_at }).and.have.property('token')
      expect(JSON.stringify([act, api.logs])).to.not.include(token.split('.')[1])
    })
})
