import { expect } from 'chai'
import { readArguments } from '../src/arguments.ts'
import { UsageError } from '../src/command-line.ts'

describe('readArguments', () => {
  it('defaults to one process of each service', () => {
    expect(readArguments([])).to.deep.equal({ apis: 1, relays: 1, workers: 1, webhooks: 1, fresh: false, help: false })
  })

  it('reads the number of processes of each service', () => {
    const args = readArguments(['--apis', '2', '--relays=3', '--workers', '4', '--webhooks', '5', '--fresh'])
    expect(args).to.deep.equal({ apis: 2, relays: 3, workers: 4, webhooks: 5, fresh: true, help: false })
  })

  for (const args of [
    ['--workers', '0'],
    ['--workers', '1.5'],
    ['--workers', '99'],
    ['--workers', 'two'],
  ]) {
    it(`rejects ${args.join(' ')} and names the argument`, () => {
      expect(() => readArguments(args)).to.throw(UsageError, `--workers must be a number from 1 to 32, not ${args[1]}`)
    })
  }

  it('rejects an unknown argument, and shows the help', () => {
    expect(() => readArguments(['--wrokers', '2'])).to.throw(UsageError, /--wrokers.*--workers N/s)
    expect(() => readArguments(['2'])).to.throw(UsageError)
  })
})
