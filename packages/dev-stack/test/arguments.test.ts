import { expect } from 'chai'
import { readArguments } from '../src/arguments.ts'
import { StartError } from '../src/start-error.ts'

describe('the arguments of npm start', () => {
  it('start one process of each service unless they say otherwise', () => {
    expect(readArguments([])).to.deep.equal({ apis: 1, relays: 1, workers: 1, fresh: false, help: false })
  })

  it('scale each service', () => {
    const args = readArguments(['--apis', '2', '--relays=3', '--workers', '4', '--fresh'])
    expect(args).to.deep.equal({ apis: 2, relays: 3, workers: 4, fresh: true, help: false })
  })

  for (const args of [
    ['--workers', '0'],
    ['--workers', '1.5'],
    ['--workers', '99'],
    ['--workers', 'two'],
  ]) {
    it(`refuse ${args.join(' ')} and name it`, () => {
      expect(() => readArguments(args)).to.throw(StartError, `--workers must be a number from 1 to 32, not ${args[1]}`)
    })
  }

  it('refuse what they do not know, and show what there is', () => {
    expect(() => readArguments(['--wrokers', '2'])).to.throw(StartError, /--wrokers.*--workers N/s)
    expect(() => readArguments(['2'])).to.throw(StartError)
  })
})
