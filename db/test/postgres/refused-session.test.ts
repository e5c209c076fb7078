import { type AddressInfo, createServer } from 'node:net'
import { nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, isAway, mayBeItemsOwn } from '../../src/index.ts'

/** A message of PostgreSQL's protocol. */
function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + length.length)
  return Buffer.concat([Buffer.from(type), length, body])
}

const refusal = message('E', Buffer.from('SFATAL\0CXX000\0Mno such tenant\0\0'))
const ready = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))])

describe('session that a pooler ends with an internal error', () => {
  // Promise 41
  for (const [when, answers] of [
    ['at its start', [refusal]],
    ['at its first statement', [ready, refusal]],
  ] as const)
    it(`db: counts an internal error of a pooler ${when} as an unavailable database, not as a damaged row`, async () => {
      const pooler = createServer((socket) => {
        const left = [...answers]
        socket.on('error', () => {})
        socket.on('data', () => {
          const next = left.shift()
          if (next) socket.write(next)
          if (left.length === 0) socket.end()
        })
      })
      await new Promise<void>((resolve) => void pooler.listen(0, '127.0.0.1', resolve))
      const url = `postgres://u:p@127.0.0.1:${(pooler.address() as AddressInfo).port}/x`
      const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
      const refused = await sql`select 1`.execute(db).catch((error: unknown) => error)
      expect(refused).to.be.an('error').with.property('message', 'no such tenant')
      expect(mayBeItemsOwn(refused)).to.equal(false)
      expect(isAway(refused)).to.equal(true)
      await db.destroy()
      pooler.close()
    })
})
