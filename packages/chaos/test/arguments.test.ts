import { UsageError } from '@cashflow/dev-stack'
import { expect } from 'chai'
import { commandLine, readArguments } from '../src/arguments.ts'
import { FAULTS } from '../src/faults/index.ts'

describe('arguments of chaos', () => {
  it('arguments of chaos have defaults, and a random seed', () => {
    expect(readArguments([])).to.include({ minutes: 5, faults: FAULTS, atOnce: 2, clients: 24, perSecond: 40 })
    expect(readArguments([]).restMs).to.deep.equal([500, 4_000])
    expect(readArguments(['--rest', '15']).restMs).to.deep.equal([15_000, 15_000])
    expect(readArguments([]).seed).to.be.within(0, 999_999)
  })

  it('chooses faults by the beginnings of their names', () => {
    const { faults, seed, minutes } = readArguments([
      '--seed',
      '7',
      '--minutes',
      '0.5',
      '--faults',
      'worker,broker-wipe',
    ])
    expect({ seed, minutes }).to.deep.equal({ seed: 7, minutes: 0.5 })
    const names = ['worker-kill', 'worker-stop', 'worker-freeze', 'worker-freeze-long', 'broker-wipe', 'worker-pause']
    expect(faults.map(({ name }) => name)).to.deep.equal(names)
  })

  it('chooses only one fault by its whole name', () => {
    expect(readArguments(['--faults', 'worker-freeze']).faults.map(({ name }) => name)).to.deep.equal(['worker-freeze'])
  })

  for (const line of [
    '--seed 7 --minutes 5 --at-once 2 --clients 24 --per-second 40',
    '--seed 7 --minutes 5 --at-once 2 --clients 24 --per-second 40 --prometheus',
    '--seed 7 --minutes 0.5 --faults api-kill,worker-freeze --at-once 1 --rest 15 --clients 8 --per-second 10',
  ]) {
    it(`prints the arguments of chaos as they were given: ${line}`, () => {
      expect(commandLine(readArguments(line.split(' ')))).to.equal(`npm run chaos -- ${line}`)
    })
  }

  for (const [wrong, says] of [
    [['--faults', 'worker,nonsense'], 'there is no fault "nonsense"'],
    [['--faults', ''], 'there is no fault ""'],
    [['--seed', '1.5'], '--seed must be'],
    [['--seed=-1'], '--seed must be'],
    [['--minutes', '0'], '--minutes must be'],
    [['--at-once', '9'], '--at-once must be'],
    [['--what'], 'Unknown option'],
    [['surplus'], 'Unexpected argument'],
  ] as const) {
    it(`refuses wrong arguments of chaos: ${wrong.join(' ')}`, () => {
      expect(() => readArguments(wrong)).to.throw(UsageError, says)
    })
  }
})
