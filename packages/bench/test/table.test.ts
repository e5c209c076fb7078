import { expect } from 'chai'
import { table } from '../src/table.ts'

describe('table of results', () => {
  it('aligns its columns, and shows a value with two ratios once', () => {
    const ours = { what: 'ours: answers', value: 12_345.6, unit: '/s', spread: [11_000, 13_000] } as const
    const rows = [
      { ...ours, ratio_to: 'theirs: answers', ratio: 4.567 },
      { ...ours, ratio_to: 'limit: answers', ratio: 0.9 },
      { what: 'ours: p50', value: 1.234, unit: 'ms', spread: [1.234, 1.234] },
    ] as const
    expect(table(rows).split('\n')).to.deep.equal([
      'what            value  unit           spread  ratio  to',
      'ours: answers  12,346  /s    11,000 – 13,000   4.57  theirs: answers',
      '                                               0.90  limit: answers',
      'ours: p50        1.23  ms',
    ])
  })
})
