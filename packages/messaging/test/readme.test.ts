import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createTestVhost } from '@cashflow/testing'
import { expect } from 'chai'

describe('README of messaging', () => {
  it('README of messaging has an example that publishes a message and consumes it', async () => {
    const page = await readFile(new URL('../README.md', import.meta.url), 'utf8')
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(page) ?? []
    const vhost = await createTestVhost()
    const dir = await mkdtemp(join(tmpdir(), 'cashflow-readme-'))
    try {
      const file = join(dir, 'example.ts')
      await writeFile(file, example.replace('@cashflow/messaging', import.meta.resolve('@cashflow/messaging')))
      const env = { ...process.env, RABBITMQ_URL: vhost.url }
      const { stdout } = await promisify(execFile)(process.execPath, [file], { env, timeout: 100_000 })
      expect(stdout).to.include("[ { status: 'confirmed' } ]").and.include('{"order":7}')
    } finally {
      await rm(dir, { recursive: true, force: true })
      await vhost.drop()
    }
  })
})
