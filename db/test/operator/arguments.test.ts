import { expect } from 'chai'
import { readDead, readSettle } from '../../src/operator/arguments.ts'

describe("the operator's arguments", () => {
  const ID = '0197f3c0-0000-7000-8000-0123456789ab'
  for (const [program, args] of [
    ['dead', []],
    ['dead', ['bury', '1']],
    ['dead', ['list', '1']],
    ['dead', ['requeue']],
    ['dead', ['requeue', '1; drop']],
    ['dead', ['requeue', '1', '--reason', 'x']],
    ['dead', ['discard', '1']],
    ['dead', ['discard', '1', '--reason', ' ']],
    ['dead', ['discard', '1', '2', '--reason', 'x']],
    ['dead', ['list', '--all']],
    ['settle', []],
    ['settle', ['42', '--success', '--reason', 'x']],
    ['settle', [ID, '--reason', 'x']],
    ['settle', [ID, '--success', '--failed', '--reason', 'x']],
    ['settle', [ID, '--success']],
    ['settle', [ID, '--success', '--reason', 'x', '--failure-code', 'y']],
    ['settle', [ID, '--failed', '--reason', 'x', '--failure-code', 'No Code']],
  ] as ['dead' | 'settle', string[]][]) {
    it(`are no command: ${[program, ...args].join(' ')}`, () => {
      expect(() => (program === 'dead' ? readDead(args) : readSettle(args))).to.throw()
    })
  }

  for (const args of [['list'], ['requeue', '17'], ['discard', '17', '--reason', 'ours']]) {
    it(`are a command: dead ${args.join(' ')}`, () => {
      expect(readDead(args)).to.be.a('function')
    })
  }

  for (const args of [
    [ID, '--success', '--reason', 'x'],
    ['--failed', '--reason=x', ID],
    [ID, '--failed', '--failure-code', 'fraud', '--reason', 'x'],
  ]) {
    it(`are a command: settle ${args.join(' ')}`, () => {
      expect(readSettle(args)).to.be.a('function')
    })
  }
})
