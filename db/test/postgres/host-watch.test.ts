import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { errorOf, NOWHERE, startHostRig } from './host-rig.ts'

describe('watch of several hosts', () => {
  // Promise 56
  it('db: goes on watching the hosts while the file of a certificate is missing, and logs it', async () => {
    const rig = await startHostRig()
    const folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    const file = join(folder, 'ca.pem')
    await writeFile(file, '')
    const db = rig.open([NOWHERE, NOWHERE], { url: `${rig.url}?sslmode=verify-full&sslrootcert=${file}` })
    await errorOf(db)
    await rm(folder, { recursive: true })
    const failures = () => rig.logged('database host cannot be watched')
    await eventually(() => expect(failures()).to.have.length(2))
    for (const { error } of failures()) expect((error as Error).message).to.include('ENOENT')
    await rig.stop()
  })
})
