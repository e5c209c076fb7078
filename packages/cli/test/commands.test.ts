import { expect } from 'chai'
import { Command, type CommanderError } from 'commander'
import { addCommands } from '../src/commands.ts'
import type { Act } from '../src/run-command.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'

/** Returns the act that the arguments name. Wrong arguments throw a CommanderError. */
function parse(args: readonly string[]): Act | undefined {
  let chosen: Act | undefined
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} })
  addCommands(program, (act) => {
    chosen = act
  })
  program.parse(args, { from: 'user' })
  return chosen
}

describe('cashflow', () => {
  for (const args of [
    [],
    ['bury', '1'],
    ['dead'],
    ['dead', 'bury', '1'],
    ['dead', 'list', '1'],
    ['dead', 'requeue'],
    ['dead', 'requeue', '1; drop'],
    ['dead', 'requeue', '1', '--reason', 'x'],
    ['dead', 'discard', '1'],
    ['dead', 'discard', '1', '--reason', ' '],
    ['dead', 'discard', '1', '2', '--reason', 'x'],
    ['dead', 'list', '--all'],
    ['settle'],
    ['settle', '42', '--success', '--reason', 'x'],
    ['settle', ID, '--reason', 'x'],
    ['settle', ID, '--success', '--failed', '--reason', 'x'],
    ['settle', ID, '--success'],
    ['settle', ID, '--success', '--reason', 'x', '--failure-code', 'y'],
    ['settle', ID, '--failed', '--reason', 'x', '--failure-code', 'No Code'],
  ])
    it(`refuses ${['cashflow', ...args].join(' ')}`, () => {
      const refused = (): CommanderError | undefined => {
        try {
          parse(args)
        } catch (error) {
          return error as CommanderError
        }
        return undefined
      }
      expect(refused()).to.have.property('exitCode', 1)
    })

  for (const args of [
    ['dead', 'list'],
    ['dead', 'requeue', '17'],
    ['dead', 'discard', '17', '--reason', 'ours'],
    ['settle', ID, '--success', '--reason', 'x'],
    ['settle', '--failed', '--reason=x', ID],
    ['settle', ID, '--failed', '--failure-code', 'fraud', '--reason', 'x'],
  ])
    it(`accepts ${['cashflow', ...args].join(' ')}`, () => {
      expect(parse(args)).to.be.a('function')
    })
})
