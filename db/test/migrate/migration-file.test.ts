import { expect } from 'chai'
import { MigrationFileError, readMigrations, toMigration } from '../../src/migrate/migration-file.ts'
import { FOLDER } from './former-database.ts'

const INDEX = 'create unique index concurrently if not exists i\n  on t (a)'

describe('a migration file', () => {
  it('a migration file is one transaction if its first line is not "-- steps"', () => {
    const text = 'create table t (a int);\ninsert into t values (1);\n'
    expect(toMigration('0001_t', text)).to.deep.equal({ kind: 'whole', name: '0001_t', text })
  })

  it('a migration file is split into statements if its first line is "-- steps"', () => {
    const text = `-- steps\n-- Why; and how.\n${INDEX};\nalter table t drop column b;\n\ndrop index concurrently if exists j;`
    expect(toMigration('0001_t', text)).to.deep.equal({
      kind: 'steps',
      name: '0001_t',
      after: undefined,
      steps: [
        { kind: 'concurrently', text: INDEX, index: 'i', creates: true },
        { kind: 'plain', text: 'alter table t drop column b' },
        { kind: 'concurrently', text: 'drop index concurrently if exists j', index: 'j', creates: false },
      ],
    })
  })

  it('a migration file may name the migration that all connected services must know first', () => {
    expect(toMigration('0002_t', '-- steps after 0001\ndrop table t;\n')).to.include({ after: '0001' })
  })

  for (const [what, text] of [
    ['an index that is created concurrently without "-- steps"', `${INDEX};`],
    ['a creation of an index that cannot be repeated', '-- steps\ncreate index concurrently i on t (a);'],
    ['a statement without ";" at the end', '-- steps\nalter table t drop column b'],
    ['two statements on a line', '-- steps\ndrop table t; drop table u;'],
    ['the body of a function', '-- steps\ndo $$ begin\nperform 1;\nend $$;'],
    ['a comment after code', '-- steps\ndrop table t -- gone;\n;'],
  ] as const)
    it(`refuses a migration file with ${what}`, () => {
      expect(() => toMigration('0001_t', text)).to.throw(MigrationFileError, '0001_t.sql')
    })

  it('our migration files are numbered without a gap or a duplicate', async () => {
    const numbers = (await readMigrations(FOLDER)).map(({ name }) => Number(name.slice(0, 4)))
    expect(numbers).to.have.length.of.at.least(8)
    expect(numbers).to.deep.equal(Array.from(numbers.keys(), (index) => index + 1))
  })
})
