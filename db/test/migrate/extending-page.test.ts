import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createTestStore } from '../test-store.ts'
import { FOLDER, migrateAll } from './former-database.ts'

describe('the migration in docs/extending.md', () => {
  it('migration of docs/extending.md has the next free number, runs on a migrated database, and allows the new status', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/extending.md'), 'utf8')
    const found = /`db\/migrations\/(\w+)\.sql`.*?```sql\n(.+?)```/s.exec(page)
    const [name, text] = [defined(found?.[1], 'name of a migration'), defined(found?.[2], 'text of a migration')]
    const [, needed] = /SCHEMA_NEEDED = '(\w+)'/.exec(page) ?? []
    expect(needed).to.equal(name)
    const last = defined((await readdir(FOLDER)).sort().at(-1), 'migration file')
    expect(Number(name.slice(0, 4)), name).to.equal(Number(last.slice(0, 4)) + 1)

    const store = await createTestStore()
    const folder = await mkdtemp(join(tmpdir(), 'migrations-'))
    await cp(FOLDER, folder, { recursive: true })
    await writeFile(join(folder, `${name}.sql`), text)
    const { id } = await store.insert()
    const cancel = () =>
      sql`update payments set status = 'CANCELLED', settled_at = now() where id = ${id}`.execute(store.db)
    expect(await cancel().catch((error: unknown) => error)).to.include({ code: '23514' })
    expect((await migrateAll(store.db, { folder })).applied).to.deep.equal([name])
    expect((await cancel()).numAffectedRows).to.equal(1n)
    await store.drop()
    await rm(folder, { recursive: true })
  })
})
