import { expect } from 'chai'
import type { PaymentAnswer } from '../src/answers.ts'
import { filterOf } from '../src/page/dead-letters/filter-of.ts'
import { outcomeText } from '../src/page/dead-letters/outcome-text.ts'
import { isFiltered } from '../src/page/payments/filter-names.ts'
import { heldRows } from '../src/page/payments/held-rows.ts'

const payment = (id: string, status: PaymentAnswer['status'] = 'PENDING') => ({ id, status }) as PaymentAnswer

describe('lists of the page', () => {
  it('page lists: rows under the pointer keep their places, show changes, and count what is new', () => {
    const shown = [payment('c'), payment('b'), payment('a')]
    const latest = [payment('e'), payment('d'), payment('c', 'SUCCESS'), payment('b')]
    const { rows, fresh } = heldRows(shown, latest)
    expect(rows.map(({ id, status }) => `${id} ${status}`)).to.deep.equal(['c SUCCESS', 'b PENDING', 'a PENDING'])
    expect(fresh).to.equal(2)
  })

  it('page lists: only the list of payments without any filter is live', () => {
    for (const filtered of ['status=PENDING', 'waiting_for=queue', 'merchant=m', 'q=x', 'after=y'])
      expect(isFiltered(new URLSearchParams(filtered)), filtered).to.equal(true)
    for (const all of ['', 'status=', 'other=1']) expect(isFiltered(new URLSearchParams(all)), all).to.equal(false)
  })

  it('page lists: the filter of dead letters is read from the address, and nonsense is left out', () => {
    expect(filterOf(new URLSearchParams('source=worker&topic=t&containing=no+queue&over_ms=60000'))).to.deep.equal({
      ...{ source: 'worker', topic: 't', containing: 'no queue', over_ms: 60_000 },
    })
    expect(filterOf(new URLSearchParams('source=&over_ms=soon&x=1'))).to.deep.equal({})
  })

  it('page lists: the operator is told how many dead letters were left, and why', () => {
    const done = (id: string) => ({ id, done: true, why: null })
    const left = (id: string, why: string | null) => ({ id, done: false, why })
    expect(outcomeText('requeue', { results: [done('1')] })).to.equal('1 dead letter was requeued.')
    expect(outcomeText('discard', { results: [done('1'), left('2', 'it is\u202e parked'), left('3', null)] })).to.equal(
      '1 dead letter was discarded. 2 dead letters were left: 2: it isU+202E parked; 3: no reason is known.',
    )
    const many = Array.from({ length: 7 }, (_, index) => left(String(index), 'no'))
    expect(outcomeText('requeue', { results: many })).to.match(/^0 dead letters were requeued\. .*; and 2 more\.$/)
  })
})
