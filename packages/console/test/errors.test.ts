import { createDatabase } from '@cashflow/db'
import { nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { createLoginToken, readConsoleKeys } from '../src/server/access/tokens.ts'
import { startConsole, TOKEN } from './start-console.ts'

describe('errors of the console', () => {
  it('console: answers 503 while PostgreSQL is away, and the reason stands in the log only', async () => {
    const url = 'postgres://postgres:postgres@127.0.0.1:1/payments'
    const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
    const operators = await startConsole({}, { db })
    for (const answer of [await operators.login(TOKEN), await operators.ask('/api/me')]) {
      expect(answer.status).to.equal(503)
      expect(answer.body).to.deep.equal({ error: 'PostgreSQL does not answer.' })
    }
    const [line] = operators.log.linesOf('PostgreSQL does not answer the console')
    expect(line?.fields.error).to.be.an('error').with.property('message').that.includes('ECONNREFUSED')
    await operators.stop()
    await db.destroy()
  })

  it('console: answers 500 to an unexpected error, logs the error, and does not show it', async () => {
    const operators = await startConsole()
    const keys = await readConsoleKeys(operators.db, operators.peppers)
    await operators.db.schema.dropTable('console_logins').execute()
    const answer = await operators.login(createLoginToken({ name: 'ann', role: 'read', keys }).token)
    expect([answer.status, answer.body]).to.deep.equal([
      500,
      { error: 'The request could not be handled. The log of the api has the error.' },
    ])
    const [line] = operators.log.linesOf('request to the console failed')
    expect(line?.fields).to.include({ method: 'POST', path: '/api/login' })
    expect(line?.fields.error).to.be.an('error').with.property('code', '42P01')
    await operators.stop()
  })
})
