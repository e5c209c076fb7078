import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createEmptyDatabase, type FormerDatabase, migrateAll, migrateUpTo } from './former-database.ts'

describe('migrate with roles of the former version', () => {
  const role = `former_${randomBytes(6).toString('hex')}`
  let database: FormerDatabase
  before(async () => {
    database = await createEmptyDatabase()
    await sql`create role ${sql.id(role)}`.execute(database.db)
  })
  after(async () => {
    await sql`drop owned by ${sql.id(role)}`.execute(database.db)
    await sql`drop role ${sql.id(role)}`.execute(database.db)
    await database.drop()
  })

  it('migrate lets a role that stores events write attempts but not what operators did, and no other role', async () => {
    await migrateUpTo(database.db, '0019_pauses')
    await sql`grant insert on payment_events to ${sql.id(role)}`.execute(database.db)
    await sql`grant select on payment_events to public`.execute(database.db)
    await migrateAll(database.db)
    const { rows } = await sql<{ privileges: string[] }>`
      select array(select t || ' ' || p from unnest(array['payment_attempts', 'operator_actions']) t,
        unnest(array['select', 'insert', 'update', 'delete']) p where has_table_privilege(${role}, t, p)) as privileges
      union all
      select array(select privilege_type from pg_class, aclexplode(relacl)
        where relname in ('payment_attempts', 'operator_actions') and grantee = 0)`.execute(database.db)
    expect(rows.map(({ privileges }) => privileges)).to.deep.equal([
      [...['payment_attempts select', 'payment_attempts insert', 'payment_attempts update']],
      [],
    ])
  })
})
