import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestOutbox } from './test-outbox.ts'

const PACKAGE = join(REPOSITORY, 'packages/outbox')
const run = promisify(execFile)

/** A folder that has the package's dependencies and the package itself, as that of a user. */
async function createUserFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-readme-'))
  await mkdir(join(dir, 'node_modules/@cashflow'), { recursive: true })
  await symlink(PACKAGE, join(dir, 'node_modules/@cashflow/outbox'))
  for (const name of await readdir(join(PACKAGE, 'node_modules')))
    if (name !== '@cashflow') await symlink(join(PACKAGE, 'node_modules', name), join(dir, 'node_modules', name))
  return dir
}

async function typeErrors(dir: string): Promise<string> {
  const compilerOptions = { types: ['node'], typeRoots: [join(REPOSITORY, 'node_modules/@types')] }
  const config = { extends: join(REPOSITORY, 'tsconfig.base.json'), compilerOptions, include: ['example.ts'] }
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(config))
  return run(join(REPOSITORY, 'node_modules/.bin/tsc'), ['--project', dir]).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  )
}

describe('README of the outbox', () => {
  it('README of the outbox has an example that type-checks, and that prints what its comments say', async () => {
    const readme = await readFile(join(PACKAGE, 'README.md'), 'utf8')
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? []
    const dir = await createUserFolder()
    const outbox = await createTestOutbox()
    try {
      await writeFile(join(dir, 'package.json'), JSON.stringify({ type: 'module' }))
      await writeFile(join(dir, 'example.ts'), example)
      expect(await typeErrors(dir)).to.equal('')
      const { stdout } = await run(process.execPath, [join(dir, 'example.ts')], {
        env: { ...process.env, DATABASE_URL: outbox.url },
      })
      const printed = [...example.matchAll(/console\.log\(.*\) \/\/ (.*)/g)].map(([, line]) => line)
      expect(printed).to.have.length(2)
      expect(stdout.trimEnd().split('\n')).to.deep.equal(printed)
      expect(await outbox.backlog()).to.equal(0)
    } finally {
      await outbox.drop()
      await rm(dir, { recursive: true })
    }
  })
})
