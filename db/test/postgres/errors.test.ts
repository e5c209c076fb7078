import { expect } from 'chai'
import { sql } from 'kysely'
import { isAway, isPermanent, isTransient, mayBeItemsOwn } from '../../src/index.ts'
import { createTestStore } from '../test-store.ts'

const errorWith = (code: string) => Object.assign(new Error('x'), { code })

describe('errors of PostgreSQL', () => {
  describe('isTransient', () => {
    it('isTransient is true for a deadlock, a lock timeout and a serialisation failure', async () => {
      const store = await createTestStore(3)
      for (const code of ['40P01', '55P03', '40001', '57P01', '57P02', '57P03', '53300', '25006', '08006']) {
        const error = await sql
          .raw(`do $$ begin raise exception 'x' using errcode = '${code}'; end $$`)
          .execute(store.db)
          .then(
            () => undefined,
            (thrown: Error & { code?: string }) => thrown,
          )
        expect(error?.code).to.equal(code)
        expect(isTransient(error), code).to.equal(true)
      }
      await store.drop()
    })

    it('isTransient is false for a constraint, a syntax error, a statement timeout and a bug', async () => {
      for (const code of ['23505', '42601', '57014', '22P02', '42P01']) {
        expect(isTransient(errorWith(code)), code).to.equal(false)
      }
      expect(isTransient(new TypeError('x is not a function'))).to.equal(false)
      expect(isTransient('text')).to.equal(false)
    })

    it('isTransient is true for every error of Node about a server that cannot be reached', () => {
      const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      expect(isTransient(refused)).to.equal(true)
      expect(isTransient(new AggregateError([refused, refused]))).to.equal(true)
      // A byte on the connection was changed. A COMMIT may have taken effect.
      const damaged = errorWith('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC')
      expect([isTransient(damaged), isPermanent(damaged), isAway(damaged)]).to.deep.equal([true, false, true])
    })
  })

  describe('isPermanent', () => {
    it('isPermanent is true for statements that PostgreSQL will always refuse, and for bugs', () => {
      for (const code of ['22P02', '23505', '42P01', '42601', '0A000', 'P0001', 'ERR_INVALID_ARG_TYPE']) {
        expect(isPermanent(errorWith(code)), code).to.equal(true)
      }
      expect(isPermanent(new TypeError('x is not a function'))).to.equal(true)
      expect(isPermanent('text')).to.equal(true)
    })

    it('isPermanent is false for errors that end by themselves, and for those that an operator has to fix', () => {
      // Also a full disk, a changed password, a missing database, one without connections, a slow statement, too many files.
      for (const code of [
        '40P01',
        'ECONNREFUSED',
        '53100',
        '28P01',
        '3D000',
        '55000',
        '57014',
        '58030',
        '25P03',
        'EMFILE',
      ]) {
        expect(isPermanent(errorWith(code)), code).to.equal(false)
      }
      expect(isPermanent(new Error('Connection terminated unexpectedly'))).to.equal(false)
    })
  })

  describe('mayBeItemsOwn', () => {
    it('mayBeItemsOwn is true for damaged data, internal errors, limits, triggers and constraints', () => {
      for (const code of [
        'XX001',
        'XX000',
        'XX002',
        '58030',
        '54000',
        '38000',
        '39P01',
        '23514',
        '22003',
        '21000',
        'P0001',
      ])
        expect(mayBeItemsOwn(errorWith(code)), code).to.equal(true)
    })

    it('mayBeItemsOwn is false for the server, the session, the load, the disk, the statement and a bug', () => {
      const states = [
        '08006',
        '25006',
        '26000',
        '28P01',
        '3D000',
        '40P01',
        '53100',
        '55P03',
        '57014',
        '58P01',
        '0A000',
        '42P01',
      ]
      for (const code of [...states, 'EPIPE', 'EMFILE', 'commit_in_doubt', 'ERR_INVALID_ARG_TYPE'])
        expect(mayBeItemsOwn(errorWith(code)), code).to.equal(false)
      // PostgreSQL reports this when it has run out of transaction ids.
      const noIds = Object.assign(errorWith('54000'), { routine: 'GetNewTransactionId' })
      expect(mayBeItemsOwn(noIds)).to.equal(false)
      expect(mayBeItemsOwn(new TypeError('x is not a function'))).to.equal(false)
      expect(mayBeItemsOwn('text')).to.equal(false)
    })
  })

  it('isAway is true for a server that gave no answer to a statement, and false for one that refused it', () => {
    for (const code of ['08006', '28P01', '3D000', '53300', '55000', '57P01', '57P03', 'EPIPE', 'ECONNREFUSED'])
      expect(isAway(errorWith(code)), code).to.equal(true)
    expect(isAway(new Error('Connection terminated unexpectedly'))).to.equal(true)
    for (const code of ['40P01', '53100', '55P03', '57014', '58030', 'XX001', '23505'])
      expect(isAway(errorWith(code)), code).to.equal(false)
    expect(isAway(new TypeError('x is not a function'))).to.equal(false)
  })
})
