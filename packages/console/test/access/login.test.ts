import { operatorName } from '@cashflow/db/operator'
import { expect } from 'chai'
import { type ConsoleUnderTest, startConsole, TOKEN } from '../start-console.ts'

describe('login to the console', () => {
  let operators: ConsoleUnderTest
  before(async () => {
    operators = await startConsole()
  })
  after(() => operators.stop())

  it('console: the token of the process logs its user in, any number of times, and a logout ends the login', async () => {
    const { ask, login, post, port } = operators
    for (const time of ['first', 'second']) {
      const answer = await login(TOKEN)
      expect(answer.status, time).to.equal(200)
      expect(answer.headers['set-cookie']?.[0]).to.match(
        new RegExp(
          `^__Host-cashflow_${port}=[\\w-]+\\.[\\w-]{43}; Max-Age=43200; Path=/; Expires=.* GMT; HttpOnly; Secure; SameSite=Strict$`,
        ),
      )
    }
    const Cookie = await operators.cookieOf()
    const me = await ask('/api/me', { headers: { Cookie } })
    expect(me.status).to.equal(200)
    const { expires_at, ...facts } = me.body ?? {}
    expect(facts).to.deep.equal({ name: operatorName(), role: 'operate', sandbox: true, version: '1.2.3' })
    expect(Date.parse(String(expires_at)) - Date.now()).to.be.within(43_100_000, 43_200_000)
    const out = await post('/api/logout', {}, { Cookie })
    expect(out.status).to.equal(200)
    expect(out.headers['set-cookie']?.[0]).to.match(
      new RegExp(`^__Host-cashflow_${port}=; Path=/; Expires=Thu, 01 Jan 1970 `),
    )
  })
})
