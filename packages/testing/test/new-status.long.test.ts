import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { REPOSITORY } from '../src/index.ts'

describe('a status that was added as docs/extending.md says', () => {
  let copy: string
  afterEach(() => rm(copy, { recursive: true }))

  it('compiles when the switches that the page names have its case, and not before', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/extending.md'), 'utf8')
    const section = page.slice(page.indexOf('## A new status'), page.indexOf('## A new topic'))
    copy = await mkdtemp(join(tmpdir(), 'cashflow-status-'))
    const copying = {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path: string) => !/\/(test|browser)$/.test(path),
    }
    for (const path of ['db', 'packages', 'services', 'tsconfig.json', 'tsconfig.base.json'])
      await cp(join(REPOSITORY, path), join(copy, path), copying)
    await symlink(join(REPOSITORY, 'node_modules'), join(copy, 'node_modules'))
    for (const [, file = '', diff = ''] of section.matchAll(/\]\(\.\.\/([^)]+)\):\n\n```diff\n(.+?)\n```/gs))
      for (const hunk of diff.split('\n\n').map((text) => text.split('\n'))) {
        const without = (sign: string) => hunk.filter((line) => line[0] !== sign).map((line) => line.slice(1))
        await replace(file, without('+').join('\n'), without('-').join('\n'))
      }
    // The client depends on no other package, so no compiler compares its types with the API's.
    const client = await readFile(join(copy, 'packages/client/src/payment.ts'), 'utf8')
    expect(client).to.match(/type PaymentStatus =[^=]* 'CANCELLED'/)
    expect(client).to.match(/type EventType =[^=]* 'payment\.cancelled'/)
    const switches = [...section.matchAll(/^- .*\]\(\.\.\/([^)]+)\)$/gm)].map(([, file = '']) => file)
    expect(await filesWithErrors()).to.have.members(switches)
    for (const file of switches) await replace(file, "case 'declined':", "case 'declined': case 'cancelled':")
    expect(await filesWithErrors()).to.eql([])
  }).timeout(240_000)

  async function replace(file: string, before: string, after: string): Promise<void> {
    const parts = (await readFile(join(copy, file), 'utf8')).split(before)
    expect(parts, `${file} with ${before}`).to.have.length(2)
    await writeFile(join(copy, file), parts.join(after))
  }

  async function filesWithErrors(): Promise<string[]> {
    const compiling = promisify(execFile)('tsc', ['--noEmit', '--pretty', 'false'], { cwd: copy })
    const { stdout } = await compiling.catch((error: { stdout: string }) => error)
    return [...new Set([...stdout.matchAll(/^(\S+)\(\d+,\d+\): error/gm)].map(([, file = '']) => file))]
  }
})
