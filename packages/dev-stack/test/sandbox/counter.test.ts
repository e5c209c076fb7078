import { expect } from 'chai'
import { type Counted, createCounter, PATIENCE_MS } from '../../src/sandbox/counter.ts'

const T0 = Date.parse('2026-01-01T00:00:00Z')
const SECOND = 1_000

describe('counter of a sandbox', () => {
  /** A counter and a PostgreSQL that is a map: the status of each payment, by its reference. */
  function createRig() {
    const counter = createCounter()
    const rows = new Map<string, string>()
    const twice = new Set<string>()
    return {
      counter,
      rows,
      twice,
      accept(reference: string, at = T0, simulate: string | null = null) {
        rows.set(reference, 'PENDING')
        const time = new Date(at).toISOString()
        counter.noteAnswer({
          at: time,
          reference,
          idempotency_key: reference,
          simulate,
          status: 201,
          id: reference,
          error: null,
        })
      },
      charge: (payment_id: string, key = payment_id, outcome = 'approved') =>
        counter.noteCharge({ key, payment_id, outcome }),
      look(at: number) {
        const { open, settled, unaccepted } = counter.rounds
        for (const round of [open, settled, unaccepted]) {
          const batch: Counted[] = round(100)
          counter.noteSeen(batch, { at, statuses: rows, twice })
        }
        return counter
      },
    }
  }

  it('counter: a payment without a row is lost at once, also one that was settled before', () => {
    const { accept, rows, look, counter } = createRig()
    accept('one')
    accept('two')
    rows.set('two', 'SUCCESS')
    look(T0)
    expect(counter.numbers(0)).to.include({ accepted: 2, settled: 1, waiting: 1, lost: 0 })
    rows.clear()
    look(T0 + SECOND)
    expect(counter.numbers(0)).to.include({ accepted: 2, settled: 0, waiting: 0, lost: 2 })
  })

  it('counter: a payment is lost 60 s after it was accepted, and 60 s after the last fault, until it is settled', () => {
    const { accept, rows, look } = createRig()
    accept('late')
    expect(look(T0 + PATIENCE_MS - 1).numbers(0)).to.include({ waiting: 1, lost: 0 })
    const due = look(T0 + PATIENCE_MS)
    expect(due.numbers(0)).to.include({ waiting: 0, lost: 1 })
    expect(due.numbers(Number.POSITIVE_INFINITY), 'during a fault').to.include({ waiting: 1, lost: 0 })
    expect(due.numbers(T0 + SECOND), 'after a fault').to.include({ waiting: 1, lost: 0 })
    expect(look(T0 + PATIENCE_MS + SECOND).numbers(T0 + SECOND)).to.include({ waiting: 0, lost: 1 })
    rows.set('late', 'FAILED')
    expect(look(T0 + PATIENCE_MS + 2 * SECOND).numbers(0)).to.include({ settled: 1, waiting: 0, lost: 0 })
  })

  it('counter: a payment that PostgreSQL was not asked about in time is not lost', () => {
    const { accept, look, counter } = createRig()
    accept('unseen')
    look(T0)
    accept('new', T0 + 2 * PATIENCE_MS)
    expect(counter.numbers(0)).to.include({ waiting: 2, lost: 0 })
  })

  it('counter: a payment of a backlog is not lost while older ones are settled, and is once newer ones are', () => {
    const { accept, rows, look } = createRig()
    accept('first')
    accept('second', T0 + SECOND)
    rows.set('first', 'SUCCESS')
    const later = T0 + PATIENCE_MS + 10 * SECOND
    expect(look(later).numbers(0)).to.include({ settled: 1, waiting: 1, lost: 0 })
    accept('newer', T0 + SECOND + PATIENCE_MS)
    rows.set('newer', 'SUCCESS')
    expect(look(later + SECOND).numbers(0)).to.include({ settled: 2, waiting: 0, lost: 1 })
  })

  it('counter: a payment that asks for no answer of the provider waits, and is lost only without a row', () => {
    const { accept, rows, look } = createRig()
    accept('parked', T0, 'timeout')
    expect(look(T0 + 10 * PATIENCE_MS).numbers(0)).to.include({ waiting: 1, lost: 0 })
    rows.clear()
    expect(look(T0 + 11 * PATIENCE_MS).numbers(0)).to.include({ waiting: 0, lost: 1 })
  })

  it('counter: a payment that was charged twice with one key and one outcome is not doubled', () => {
    const { accept, charge, counter } = createRig()
    accept('one')
    charge('one')
    charge('one')
    expect(counter.numbers(0)).to.include({ doubled: 0 })
  })

  it('counter: a payment is doubled once, by a second key, a second outcome, or a second payment of its reference', () => {
    const { accept, charge, twice, look, counter } = createRig()
    for (const reference of ['keys', 'outcomes', 'references']) accept(reference)
    charge('keys')
    charge('keys', 'another')
    charge('outcomes')
    charge('outcomes', 'outcomes', 'declined')
    charge('outcomes', 'another')
    twice.add('references')
    look(T0)
    look(T0 + SECOND)
    expect(counter.numbers(0)).to.include({ accepted: 3, doubled: 3, lost: 0 })
  })

  it('counter: a reference without an answer is doubled if two payments have it, and is not accepted', () => {
    const { twice, look, counter } = createRig()
    const at = new Date(T0).toISOString()
    const unanswered = { at, idempotency_key: 'k', simulate: null, status: null, id: null, error: 'no answer' }
    counter.noteAnswer({ ...unanswered, reference: 'silent' })
    counter.noteAnswer({ ...unanswered, reference: 'refused', status: 422, error: 'invalid' })
    twice.add('silent')
    look(T0)
    expect(counter.numbers(0)).to.include({ accepted: 0, unanswered: 1, refused: 1, doubled: 1, waiting: 0 })
  })
})
