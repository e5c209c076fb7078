import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { createDatabase, type Database } from '@cashflow/db'
import { createTestDatabase, nullLogger, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import type { Request, RequestHandler, Response } from 'express'
import { type KyselyPlugin, PostgresQueryCompiler } from 'kysely'
import { authenticate } from '../../src/auth/authenticate.ts'
import { createAuthentication } from '../../src/auth/create-authentication.ts'
import { createKeyCache } from '../../src/auth/key-cache.ts'
import { createWrongKeys } from '../../src/auth/wrong-keys.ts'
import { AUTH, createKey, inventedKey } from './merchant-keys.ts'
import { aStoredKey } from './stored-key.ts'

const IDS_MAX = 500
const ADDRESS_IDS_MAX = 125

/** Sends a request with a key to a handler. Resolves with the problem's code, or with `accepted`. */
async function outcomeOf(handler: RequestHandler, key: string, client: string): Promise<string> {
  const req = new IncomingMessage(new Socket())
  req.headers.authorization = `Bearer ${key}`
  const res = Object.assign(new ServerResponse(req), { locals: { client } })
  try {
    await handler(req as Request, res as unknown as Response, () => {})
    return 'accepted'
  } catch (error) {
    return (error as { code: string }).code
  }
}

const idOf = (key: string) => key.slice('cf_test_'.length).split('_', 1)[0] ?? ''

describe('createAuthentication', () => {
  let database: TestDatabase
  let db: Database
  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
  })
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  /** Keeps the ids of each statement that looks keys up. */
  function keeping(statements: (readonly string[])[]): KyselyPlugin {
    const compiler = new PostgresQueryCompiler()
    return {
      transformQuery({ node, queryId }) {
        statements.push(compiler.compileQuery(node, queryId).parameters[0] as string[])
        return node
      },
      transformResult: ({ result }) => Promise.resolve(result),
    }
  }

  /**
   * Sends wrong keys from several addresses at once, then a right one from another address.
   *
   * @returns the numbers of ids of each address in the first statement that several share
   */
  async function lookUp(floods: number, keysOfEach: number): Promise<Record<string, number>> {
    const statements: (readonly string[])[] = []
    const options = { auth: AUTH, db: db.withPlugin(keeping(statements)), sandbox: true, logger: nullLogger }
    const { authenticate: handler } = createAuthentication(options)
    const { text: right } = await createKey({ db })
    const addresses = new Map([[idOf(right), 'client']])
    const send = (key: string, address: string) => {
      addresses.set(idOf(key), address)
      return outcomeOf(handler, key, address)
    }
    const wrong = Array.from({ length: floods * keysOfEach }, (_, n) => send(inventedKey(), `flood ${n % floods}`))
    expect(await send(right, 'client')).to.equal('accepted')
    expect(new Set(await Promise.all(wrong))).to.deep.equal(new Set(['unauthenticated', 'too-many-wrong-keys']))
    const [first, shared = []] = statements
    expect(first, 'sent before the others came').to.have.length(1)
    return Object.fromEntries(
      Array.from(
        Map.groupBy(shared, (id) => addresses.get(id) ?? ''),
        ([address, ids]) => [address, ids.length],
      ),
    )
  }

  it('createAuthentication looks up at most 125 ids of an address in one statement, with the key of another address', async () => {
    expect(await lookUp(3, 200)).to.deep.equal({
      ...{ 'flood 0': ADDRESS_IDS_MAX, 'flood 1': ADDRESS_IDS_MAX, 'flood 2': ADDRESS_IDS_MAX },
      client: 1,
    })
  })

  it('createAuthentication looks up at most 500 ids in one statement, with the key of another address', async () => {
    const { client, ...floods } = await lookUp(6, 100)
    expect(client).to.equal(1)
    expect(Object.values(floods).reduce((sum, ids) => sum + ids)).to.equal(IDS_MAX - 1)
  })
})

describe('authenticate', () => {
  it('authenticate logs once a minute how many requests had a key whose pepper it lacks', async () => {
    let nowMs = 0
    const now = () => nowMs
    const lines: (readonly unknown[])[] = []
    const error = (message: string, fields?: object) => void lines.push([message, fields])
    // All ids have a key, of a pepper that is not in AUTH.
    const find = async (id: string) => ({ key: aStoredKey({ id, pepperId: '0123456789ab' }), askedAt: nowMs })
    const handler = authenticate({
      ...{ sandbox: true, peppers: AUTH.peppers, wrongKeys: createWrongKeys(now), uses: { note() {} }, now },
      cache: createKeyCache({ known: { find }, unknown: { find }, onRefreshed() {}, now }),
      logger: { ...nullLogger, error },
    })
    const keys = [inventedKey(), inventedKey(), inventedKey()] as const
    for (const atMs of [0, 59_999, 60_000]) {
      nowMs = atMs
      for (const key of keys) expect(await outcomeOf(handler, key, 'a')).to.equal('unauthenticated')
    }
    const named = (key: string, refused: number) => [
      'a key is refused: its pepper is not in KEY_PEPPER',
      { key_id: idOf(key), pepper_id: '0123456789ab', refused },
    ]
    // 2 at first, 3 just before a minute had passed, and the first one after it.
    expect(lines).to.deep.equal([named(keys[0], 1), named(keys[0], 6)])
  })
})
