import { databaseEnv, loggingEnv } from '@cashflow/runtime'
import { readmeSettings } from '@cashflow/testing'
import { expect } from 'chai'
import * as z from 'zod'

describe("the migration runner's settings", () => {
  it('are those of the table in the README', async () => {
    const schema = z.object({ ...databaseEnv, ...loggingEnv })
    const defaults: Record<string, unknown> = schema.parse({})
    const own = Object.keys(schema.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await readmeSettings('migrate')).to.deep.equal(Object.fromEntries(own))
  })
})
