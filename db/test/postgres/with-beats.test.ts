import { Loops } from '@cashflow/async'
import { createTestDatabase, nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { createDatabase, withBeats } from '../../src/index.ts'

describe('database of a loop', () => {
  it('each statement is a beat of its loop, also within a transaction, and others are none', async () => {
    const database = await createTestDatabase()
    const db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
    const loop = new Loops().begin('test')
    const own = withBeats(db, loop)
    const select = (from: typeof own) => from.selectNoFrom((eb) => eb.lit(1).as('one')).execute()
    await select(db)
    expect(loop.turns).to.equal(0)
    expect(await select(own)).to.deep.equal([{ one: 1 }])
    expect(loop.turns).to.equal(1)
    await own.transaction().execute(async (tx) => {
      await select(tx)
      await select(tx)
    })
    expect(loop.turns).to.equal(3)
    await db.destroy()
    await database.drop()
  })
})
