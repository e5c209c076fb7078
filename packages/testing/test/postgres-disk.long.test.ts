import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { identify } from '@cashflow/dev-stack'
import { expect } from 'chai'
import { eventually } from '../src/index.ts'
import { startPostgresOnDisk } from '../src/postgres-disk.ts'

const DISK_MODULE = join(import.meta.dirname, '../src/postgres-disk.ts')

describe('PostgreSQL on a small disk', () => {
  const folders: string[] = []
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

  async function newFolder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    folders.push(folder)
    return folder
  }

  it('leaves neither process nor data nor disk once the next one starts after its parent process was killed', async () => {
    const dir = await newFolder()
    const script = `import { startPostgresOnDisk } from ${JSON.stringify(DISK_MODULE)}
      const { pid, logFile } = await startPostgresOnDisk(${JSON.stringify({ dir, diskMb: 128 })})
      console.log(JSON.stringify({ pid, logFile }))`
    const run = spawn(process.execPath, ['--input-type=module', '-e', script])
    const [answer] = await once(run.stdout, 'data')
    const { pid, logFile } = JSON.parse(String(answer))
    run.kill('SIGKILL')
    await eventually(() => expect(identify(pid)).to.equal(undefined))
    await rm(dir, { recursive: true, force: true }) // Root's files are elsewhere.
    await (await startPostgresOnDisk({ dir: await newFolder(), diskMb: 128 })).stop()
    expect(existsSync(dirname(logFile))).to.equal(false)
  })
})
