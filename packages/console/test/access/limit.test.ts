import { expect } from 'chai'
import { createLoginToken, readConsoleKeys } from '../../src/server/access/tokens.ts'
import { createWrongTokens } from '../../src/server/access/wrong-tokens.ts'
import { type ConsoleUnderTest, startConsole, TOKEN } from '../start-console.ts'

describe('limit of wrong login tokens', () => {
  let operators: ConsoleUnderTest
  beforeEach(async () => {
    operators = await startConsole({ clientOf: ({ headers }) => String(headers['x-client']) })
  })
  afterEach(() => operators.stop())

  const wrongFrom = async (client: string) => await operators.login('wrong', { 'X-Client': client })

  it('console: an address gets 429 with Retry-After after 10 wrong tokens, and others still get 401', async () => {
    for (let count = 0; count < 10; count++) expect((await wrongFrom('a')).status).to.equal(401)
    const answer = await wrongFrom('a')
    expect(answer.status).to.equal(429)
    const retryAfter = Number(answer.headers['retry-after'])
    expect(retryAfter).to.be.within(1, 60)
    expect(answer.body?.error).to.equal(`Too many wrong login tokens. Wait ${retryAfter} s.`)
    expect((await wrongFrom('b')).status).to.equal(401)
  })

  it('console: right tokens get in although strangers, and the own address, sent too many wrong ones', async () => {
    for (let index = 0; index < 100; index++) expect((await wrongFrom(`stranger ${index}`)).status).to.equal(401)
    for (const client of ['stranger 0', 'ann']) expect((await wrongFrom(client)).status).to.equal(429)
    const keys = await readConsoleKeys(operators.db, operators.peppers)
    const { token } = createLoginToken({ name: 'ann', role: 'read', keys })
    for (const right of [TOKEN, token])
      expect((await operators.login(right, { 'X-Client': 'ann' })).status).to.equal(200)
    // Used a second time, it is a wrong one.
    expect((await operators.login(token, { 'X-Client': 'ann' })).status).to.equal(429)
    expect(operators.log.linesOf('login to the console refused')).to.have.length(100)
  })

  it('console: wrong tokens are counted for a minute at a time', () => {
    let now = 0
    const { count } = createWrongTokens(() => now)
    for (let index = 0; index < 10; index++) expect(count('a')).to.equal(undefined)
    now = 59_500
    expect(count('a')).to.equal(1)
    now = 60_000
    expect(count('a')).to.equal(undefined)
    for (let index = 0; index < 99; index++) expect(count(`b ${index}`)).to.equal(undefined)
    expect(count('c')).to.equal(60)
  })
})
