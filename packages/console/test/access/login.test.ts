import { randomBytes, randomUUID } from 'node:crypto'
import { type Pepper, parsePeppers } from '@cashflow/db'
import { operatorName } from '@cashflow/db/operator'
import { expect } from 'chai'
import { sealGrant } from '../../src/server/access/grant.ts'
import { createLoginToken, readConsoleKeys } from '../../src/server/access/tokens.ts'
import { type ConsoleUnderTest, startConsole, TOKEN } from '../start-console.ts'

const WRONG = { error: 'The login token is not valid.' }
const USED = { error: 'The login token was used before. Each is good for one login.' }

describe('login to the console', () => {
  let operators: ConsoleUnderTest
  beforeEach(async () => {
    operators = await startConsole()
  })
  afterEach(() => operators.stop())

  type Peppers = readonly [Pepper, ...Pepper[]] | undefined
  const keysOf = (peppers: Peppers = operators.peppers) => readConsoleKeys(operators.db, peppers)
  async function tokenOf({ name = 'ann', role = 'operate' as 'read' | 'operate', peppers = operators.peppers } = {}) {
    return createLoginToken({ name, role, keys: await keysOf(peppers) }).token
  }
  const newPepper = () => parsePeppers(randomBytes(32).toString('hex'))

  it('console: the token of the process logs its user in, any number of times, and a logout ends the login', async () => {
    const { ask, login, post, port } = operators
    for (const time of ['first', 'second']) {
      const answer = await login(TOKEN)
      expect(answer.status, time).to.equal(200)
      expect(answer.headers['set-cookie']).to.have.length(1)
      expect(answer.headers['set-cookie']?.[0]).to.match(
        new RegExp(
          `^__Host-cashflow_${port}=[\\w-]+\\.[\\w-]{43}; Max-Age=43200; Path=/; Expires=.* GMT; HttpOnly; Secure; SameSite=Strict$`,
        ),
      )
    }
    const Cookie = await operators.cookieOf()
    const me = await ask('/api/me', { headers: { Cookie: `other=1; ${Cookie}; more=2` } })
    expect(me.status).to.equal(200)
    const { expires_at, ...facts } = me.body ?? {}
    expect(facts).to.deep.equal({
      name: operatorName(),
      role: 'operate',
      sandbox: true,
      sandbox_panel: false,
      version: '1.2.3',
    })
    expect(Date.parse(String(expires_at)) - Date.now()).to.be.within(43_100_000, 43_200_000)
    const out = await post('/api/logout', {}, { Cookie })
    expect(out.status).to.equal(200)
    expect(out.headers['set-cookie']?.[0]).to.match(
      new RegExp(`^__Host-cashflow_${port}=; Path=/; Expires=Thu, 01 Jan 1970 `),
    )
  })

  it('console: a created token logs the operator that it names in once, and its use is logged without the token', async () => {
    const { ask, login, log } = operators
    const token = await tokenOf({ name: 'Ann Łęcka 👩', role: 'read' })
    const Cookie = await operators.cookieOf(token)
    const { body } = await ask('/api/me', { headers: { Cookie } })
    expect(body).to.include({ name: 'Ann Łęcka 👩', role: 'read' })
    const again = await login(` ${token}\n`)
    expect([again.status, again.body]).to.deep.equal([401, USED])
    expect(again.headers).to.not.have.property('set-cookie')
    expect(log.lines.map(({ level, message }) => [level, message])).to.deep.equal([
      ['info', 'login to the console'],
      ['warn', 'login to the console refused'],
    ])
    expect(log.lines[0]?.fields).to.include({ operator: 'Ann Łęcka 👩', role: 'read' })
    expect(JSON.stringify(log.lines)).to.not.include(token)
    expect((await ask('/api/me', { headers: { Cookie } })).status).to.equal(200)
  })

  // Promise 135
  it('console: of many logins with one token at the same moment, one gets in', async () => {
    const token = await tokenOf()
    const answers = await Promise.all(Array.from({ length: 8 }, () => operators.login(token)))
    expect(answers.map(({ status }) => status).toSorted()).to.deep.equal([200, ...Array(7).fill(401)])
  })

  // Promise 135
  it('console: refuses a token that has expired, is changed, is of another key, or is a cookie, with one error', async () => {
    const { login } = operators
    const { tokens, cookies } = await keysOf()
    const grant = { id: randomUUID(), name: 'ann', role: 'operate', expiresAt: new Date(Date.now() + 60_000) } as const
    const right = sealGrant(grant, tokens)
    const [text = '', mac = ''] = right.split('.')
    const raised = Buffer.from(Buffer.from(text, 'base64url').toString().replace('ann', 'bob')).toString('base64url')
    for (const [what, token] of Object.entries({
      expired: sealGrant({ ...grant, expiresAt: new Date() }, tokens),
      'with another name': `${raised}.${mac}`,
      'without its signature': `${text}.`,
      'with half of its signature': `${text}.${mac.slice(0, 20)}`,
      'with an end': `${right}.`,
      'of another pepper': await tokenOf({ peppers: newPepper() }),
      'that is a cookie': sealGrant(grant, cookies),
      'that is one character off': `${TOKEN.slice(0, -1)}x`,
    })) {
      const answer = await login(token)
      expect([answer.status, answer.body], what).to.deep.equal([401, WRONG])
    }
    expect((await login('')).status).to.equal(401)
    expect((await login(right)).status).to.equal(200)
  })

  // Promise 135
  it('console: a cookie is no login that has expired, is changed, is a token, or has the name of another port', async () => {
    const { ask, port } = operators
    const { tokens, cookies } = await keysOf()
    const grant = { id: randomUUID(), name: 'ann', role: 'operate', expiresAt: new Date(Date.now() + 60_000) } as const
    const name = `__Host-cashflow_${port}`
    const right = sealGrant(grant, cookies)
    for (const [what, Cookie] of Object.entries({
      expired: `${name}=${sealGrant({ ...grant, expiresAt: new Date() }, cookies)}`,
      'of a token': `${name}=${sealGrant(grant, tokens)}`,
      changed: `${name}=x${right}`,
      empty: `${name}=`,
      'too long': `${name}=${right}${'x'.repeat(5_000)}`,
      'of another port': `__Host-cashflow_1=${right}`,
      'without its prefix': `cashflow_${port}=${right}`,
      'of another name that ends alike': `x${name}=${right}`,
    })) {
      const answer = await ask('/api/me', { headers: { Cookie } })
      expect([answer.status, answer.body], what).to.deep.equal([401, { error: 'Log in first.' }])
    }
    expect((await ask('/api/me', { headers: { Cookie: `${name}=${right}` } })).status).to.equal(200)
  })

  it('console: after a change of the pepper, tokens and logins under the former one last until it is removed', async () => {
    const { ask, port } = operators
    const [former] = operators.peppers
    const [next] = newPepper()
    const token = await tokenOf()
    const Cookie = await operators.cookieOf(await tokenOf())
    for (const [peppers, status] of [
      [[next, former], 200],
      [[next], 401],
    ] as const) {
      const changed = await startConsole({ peppers }, operators)
      const Host = `127.0.0.1:${port}`
      expect((await changed.login(token, { Host })).status).to.equal(status)
      expect((await changed.ask('/api/me', { headers: { Cookie, Host } })).status).to.equal(status)
      await changed.stop()
    }
    expect((await ask('/api/me', { headers: { Cookie } })).status).to.equal(200)
  })

  it('console: without a pepper a secret of the database signs, and with one no token of another database gets in', async () => {
    const bare = await startConsole({ peppers: undefined }, operators)
    const { token } = createLoginToken({ name: 'ann', role: 'read', keys: await readConsoleKeys(bare.db, undefined) })
    expect((await operators.login(token)).status).to.equal(401)
    expect((await bare.login(token)).status).to.equal(200)
    const other = await startConsole({ peppers: operators.peppers })
    // Databases of tests are copies of one.
    await other.db
      .updateTable('deployment')
      .set({ cursor_secret: randomBytes(32) })
      .execute()
    expect((await other.login(await tokenOf())).status).to.equal(401)
    await Promise.all([bare.stop(), other.stop()])
  })

  it('console: a login deletes rows of tokens that expired a day ago, at most 100 of them', async () => {
    const { db, login } = operators
    const rows = (days: number, count: number) =>
      Array.from({ length: count }, () => ({ id: randomUUID(), expires_at: new Date(Date.now() - days * 86_400_000) }))
    await db
      .insertInto('console_logins')
      .values([...rows(2, 130), ...rows(0.9, 5)])
      .execute()
    const count = async () => (await db.selectFrom('console_logins').select('id').execute()).length
    expect((await login(await tokenOf())).status).to.equal(200)
    expect(await count()).to.equal(36)
    expect((await login(await tokenOf())).status).to.equal(200)
    expect(await count()).to.equal(7)
  })
})
