import { type AddressInfo, createServer } from 'node:net'
import { createLogger } from '@cashflow/runtime'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, isAway, mayBeItemsOwn } from '../src/index.ts'

describe('a session that a pooler refuses with an internal error', () => {
  it('is no sign of a damaged row, but of a database that is away', async () => {
    const fields = Buffer.from('SFATAL\0CXX000\0Mno such tenant\0\0')
    const length = Buffer.alloc(4)
    length.writeInt32BE(fields.length + length.length)
    const pooler = createServer((socket) => {
      socket.once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, fields])))
    })
    await new Promise<void>((resolve) => void pooler.listen(0, '127.0.0.1', resolve))
    const url = `postgres://u:p@127.0.0.1:${(pooler.address() as AddressInfo).port}/x`
    const logger = createLogger({ service: 'test', level: 'error' })
    const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger })
    const refused = await sql`select 1`.execute(db).catch((error: unknown) => error)
    expect(refused).to.be.an('error').with.property('message', 'no such tenant')
    expect(mayBeItemsOwn(refused)).to.equal(false)
    expect(isAway(refused)).to.equal(true)
    await db.destroy()
    pooler.close()
  })
})
