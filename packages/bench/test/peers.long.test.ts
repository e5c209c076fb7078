import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  openClient,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import type pg from 'pg'
import { graphileWorker } from '../src/peers/graphile-worker.ts'
import { pgBoss } from '../src/peers/pg-boss.ts'
import { pgTransactionalOutbox } from '../src/peers/pg-transactional-outbox.ts'
import { type Running, startProcess } from '../src/process.ts'
import { createdMessages } from '../src/queue/messages.ts'
import { declareProductQueue, openQueue, type Queue } from '../src/queue/queue.ts'

describe('peers of the relay', () => {
  let dir: string
  let database: TestDatabase
  let vhost: TestVhost
  let client: pg.Client
  let queue: Queue
  let running: Running

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    database = await createTestDatabase()
    vhost = await createTestVhost()
    client = await openClient(database.url)
    await declareProductQueue(vhost.url)
    queue = await openQueue(vhost.url)
  })

  afterEach(async () => {
    await running.stop()
    await queue[Symbol.asyncDispose]()
    await client.end()
    await vhost.drop()
    await database.drop()
    await rm(dir, { recursive: true, force: true })
  })

  for (const { name, program, install } of [pgTransactionalOutbox, pgBoss, graphileWorker])
    it(`${name} publishes the messages of a committed transaction, and none of one that was rolled back`, async () => {
      const cleanup = new AsyncDisposableStack()
      const enqueue = await install(database.url, cleanup)
      for (const end of ['rollback', 'commit']) {
        await client.query('begin')
        for (const messages of createdMessages(20)) await enqueue(client, messages)
        await client.query(end)
      }
      await cleanup.disposeAsync()
      const place = { databaseUrl: database.url, brokerUrl: vhost.url }
      running = await startProcess({ name, file: program, place, dir })
      await eventually(async () => expect((await queue.state()).depth).to.be.at.least(20))
      await running.stop()
      expect((await queue.state()).depth).to.equal(20)
    })
})
