import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { documentedCommands } from '@cashflow/testing'
import { expect } from 'chai'
import { KNOWN, startDocumentedStack } from './documented-stack.ts'
import { expectShape } from './output-shape.ts'

describe('documented commands of cashflow', function () {
  this.timeout(120_000)
  const commands = documentedCommands()
  const nameOf = (args: readonly string[]) =>
    Object.keys(KNOWN)
      .filter((name) => name.split(' ').every((word, index) => args[index] === word))
      .toSorted((one, other) => other.length - one.length)[0]

  let stack: Awaited<ReturnType<typeof startDocumentedStack>>
  let folder: string
  before(async () => {
    stack = await startDocumentedStack()
    folder = mkdtempSync(join(tmpdir(), 'cashflow-docs-'))
  })
  after(async () => {
    await stack.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('documented pages show commands, and each is one that this test knows', () => {
    expect(commands.length).to.be.greaterThan(20)
    expect(commands.filter(({ args }) => nameOf(args) === undefined)).to.deep.equal([])
  })

  it('documented pages show the output of some commands', () => {
    expect(commands.filter(({ output }) => output !== undefined)).to.have.length.above(4)
  })

  for (const { place, args, output } of commands) {
    it(`${place}: cashflow ${args.join(' ')}`, async () => {
      const known = KNOWN[nameOf(args) ?? '']
      if (!known) return expect.fail('no such command is known')
      const cwd = mkdtempSync(join(folder, 'run-'))
      const run = (given: readonly string[]) => stack.run(given, cwd)
      const given = await known.prepare(stack, args, run, output)
      const { code, stdout, stderr } = await run(given)
      const finds = known.restore !== undefined && output !== undefined
      expect(finds ? [1] : (known.exits ?? [0]), `${stdout}\n${stderr}`).to.include(code)
      if (output !== undefined) expectShape(stdout, output)
      if (finds) await known.restore?.(stack, given)
      // Otherwise the next command finds workers and relays that do nothing.
      if (args[0] === 'pause') await run(['resume', defined(args[1], 'component')])
    })
  }
})
