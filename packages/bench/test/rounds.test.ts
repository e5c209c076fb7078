import { expect } from 'chai'
import { alternate, compare } from '../src/rounds.ts'

const say = () => {}
const { signal } = new AbortController()

describe('rounds of a benchmark', () => {
  it('alternate between all variants', async () => {
    const order: string[] = []
    const variant = (name: string) => async () => ({ turn: order.push(name) })
    const rounds = await alternate({ a: variant('a'), b: variant('b'), c: variant('c') }, { rounds: 2, say, signal })
    expect(order).to.deep.equal(['a', 'b', 'c', 'a', 'b', 'c'])
    expect(rounds).to.deep.equal({
      a: [{ turn: 1 }, { turn: 4 }],
      b: [{ turn: 2 }, { turn: 5 }],
      c: [{ turn: 3 }, { turn: 6 }],
    })
  })

  it('run every second round backwards when they are mirrored', async () => {
    const order: string[] = []
    const variant = (name: string) => async () => ({ turn: order.push(name) })
    const options = { rounds: 3, say, signal, mirrored: true }
    const rounds = await alternate({ a: variant('a'), b: variant('b') }, options)
    expect(order).to.deep.equal(['a', 'b', 'b', 'a', 'a', 'b'])
    expect(rounds.a).to.deep.equal([{ turn: 1 }, { turn: 4 }, { turn: 5 }])
  })

  it('begin no variant after the user stops the run', async () => {
    const stopping = new AbortController()
    const begun: string[] = []
    const variants = {
      first: async () => {
        begun.push('first')
        stopping.abort(new Error('stopped'))
        return {}
      },
      second: async () => {
        begun.push('second')
        return {}
      },
    }
    const failure = await alternate(variants, { rounds: 1, say, signal: stopping.signal }).catch((error) => error)
    expect(failure).to.have.property('message', 'stopped')
    expect(begun).to.deep.equal(['first'])
  })

  it('divide medians, not means, and keep the least and the greatest', () => {
    const rounds = {
      ours: [{ rate: 30 }, { rate: 1_000 }, { rate: 20 }],
      theirs: [{ rate: 10 }, { rate: 15 }, { rate: 1 }],
    }
    const comparison = { metric: 'rate', what: 'answers', unit: '/s', ratios: [['ours', 'theirs']] } as const
    expect(compare(rounds, comparison)).to.deep.equal([
      { what: 'ours: answers', value: 30, unit: '/s', spread: [20, 1_000], ratio_to: 'theirs: answers', ratio: 3 },
      { what: 'theirs: answers', value: 10, unit: '/s', spread: [1, 15] },
    ])
  })

  it('give one row for each ratio of a variant', () => {
    const rounds = { ours: [{ rate: 8 }], theirs: [{ rate: 2 }], limit: [{ rate: 16 }] }
    const ratios = [
      ['ours', 'theirs'],
      ['ours', 'limit'],
    ] as const
    const rows = compare(rounds, { metric: 'rate', what: 'answers', unit: '/s', ratios })
    expect(rows.map(({ what, ratio_to, ratio }) => [what, ratio_to, ratio])).to.deep.equal([
      ['ours: answers', 'theirs: answers', 4],
      ['ours: answers', 'limit: answers', 0.5],
      ['theirs: answers', undefined, undefined],
      ['limit: answers', undefined, undefined],
    ])
  })
})
