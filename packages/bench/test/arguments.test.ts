import { UsageError } from '@cashflow/dev-stack'
import { expect } from 'chai'
import { HELP, list, readArguments } from '../src/arguments.ts'
import { BENCHMARKS } from '../src/benchmarks/index.ts'

describe('arguments of bench', () => {
  it('selects all benchmarks and five rounds by default', () => {
    expect(readArguments([])).to.include({ benchmarks: BENCHMARKS, quick: false, rounds: 5 })
    expect(readArguments(['--quick'])).to.include({ quick: true, rounds: 1 })
    expect(readArguments(['--quick', '--rounds', '3'])).to.include({ quick: true, rounds: 3 })
  })

  it('selects named benchmarks, each once and in the order of the list', () => {
    const names = BENCHMARKS.map(({ name }) => name)
    const { benchmarks } = readArguments([...names.toReversed(), ...names])
    expect(benchmarks).to.deep.equal(BENCHMARKS)
    expect(readArguments(['post']).benchmarks.map(({ name }) => name)).to.deep.equal(['post'])
  })

  it('refuses wrong arguments of bench, with a list of correct ones', () => {
    expect(() => readArguments(['pots'])).to.throw(UsageError, `no benchmark "pots". There are:\n${list()}`)
    expect(() => readArguments(['--fast'])).to.throw(UsageError, HELP)
    for (const rounds of ['0', '101', '1.5', '-1', 'x', ''])
      expect(() => readArguments([`--rounds=${rounds}`]), rounds).to.throw(UsageError, 'from 1 to 100')
  })

  it('compares two commits in seven rounds, by named benchmarks that can compare', () => {
    expect(readArguments(['post', 'worker', '--against', 'HEAD~3'])).to.deep.include({ against: 'HEAD~3', rounds: 7 })
    expect(readArguments(['post', '--against=main', '--quick'])).to.include({ rounds: 1 })
    expect(readArguments(['post', '--against=main', '--rounds=9'])).to.include({ rounds: 9 })
    for (const name of ['post', 'relay', 'worker', 'pipeline'])
      expect(readArguments([name, '--against=main']).benchmarks.map((benchmark) => benchmark.name)).to.deep.equal([
        name,
      ])
    expect(() => readArguments(['--against=main'])).to.throw(UsageError, 'names of benchmarks: post, relay,')
    expect(() => readArguments(['post', 'soak', '--against=main'])).to.throw(
      UsageError,
      'soak cannot compare two commits',
    )
    expect(() => readArguments(['post', '--against'])).to.throw(UsageError, HELP)
  })

  it('accepts names of benchmarks that are valid names of files', () => {
    const names = BENCHMARKS.map(({ name }) => name)
    expect(new Set(names).size).to.equal(names.length)
    for (const name of names) expect(name).to.match(/^[a-z0-9-]+$/)
  })
})
