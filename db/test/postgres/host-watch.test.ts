import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { errorOf, NOWHERE, startHostRig } from './host-rig.ts'

describe('watch of several hosts', () => {
  // Promise 56
  it('db: goes on watching the hosts with the former certificates while their file is missing, and logs it', async () => {
    const rig = await startHostRig()
    const folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    const file = join(folder, 'ca.pem')
    await copyFile(join(REPOSITORY, 'services/worker/test/certificate/certificate.pem'), file)
    const db = rig.open([NOWHERE, NOWHERE], { url: `${rig.url}?sslmode=verify-full&sslrootcert=${file}` })
    await errorOf(db)
    await rm(folder, { recursive: true })
    const kept = () => rig.logged('changed certificate files cannot be used, the former certificates stay in use')
    await eventually(() => expect(kept()).to.have.length(1))
    expect(kept()[0]?.reason).to.equal(`the file ${file} cannot be read: ENOENT`)
    const failures = () => rig.logged('database host cannot be watched')
    await eventually(() => expect(failures()).to.have.length(2))
    for (const { error } of failures()) expect((error as Error).message).to.include('ECONNREFUSED')
    await rig.stop()
  })
})
