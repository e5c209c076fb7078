import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { lock, tryLock } from '../../src/processes/lock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const LOCK_MODULE = join(import.meta.dirname, '../../src/processes/lock.ts')

describe('lock', () => {
  const folder = temporaryFolder()
  after(folder.remove)

  it('lock has one holder until it is released', async () => {
    const file = join(folder.path, 'released')
    const first = tryLock(file)
    expect(first).not.to.equal(undefined)
    expect(tryLock(file)).to.equal(undefined)
    let waited = false
    const second = lock(file, () => {
      waited = true
    })
    await eventually(() => expect(waited).to.equal(true))
    first?.release()
    ;(await second).release()
  })

  it('lock is free after its holder is killed', async () => {
    const file = join(folder.path, 'killed')
    const script = `import { tryLock } from ${JSON.stringify(LOCK_MODULE)}
      globalThis.taken = tryLock(${JSON.stringify(file)}) // A lock that is not referenced may be collected, and closed.
      console.log(taken !== undefined); setInterval(() => {}, 1000)`
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script])
    const [answer] = await once(holder.stdout, 'data')
    expect(String(answer).trim()).to.equal('true')
    expect(tryLock(file)).to.equal(undefined)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const taken = tryLock(file)
    expect(taken).not.to.equal(undefined)
    taken?.release()
  })
})
