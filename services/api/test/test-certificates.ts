import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { createCertificates } from '@cashflow/runtime'
import { type Authority, createAuthority, type IssuedFiles, nullLogger } from '@cashflow/testing'

/** Makes an authority and a certificate for this machine, before the tests of the `describe` that calls it. */
export function createTestCertificates() {
  let folder: string
  let authority: Authority | undefined
  let files: IssuedFiles | undefined
  let certificates: ReturnType<typeof createCertificates> | undefined
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cashflow-https-'))
    authority = await createAuthority(folder)
    files = await authority.issue('server')
    certificates = createCertificates(files, { what: 'HTTPS', logger: nullLogger })
  })
  after(() => rm(folder, { recursive: true, force: true }))
  return {
    get authority() {
      return defined(authority, 'authority')
    },
    get files() {
      return defined(files, 'files')
    },
    /** Certificate and key as an api reads them. */
    get certificates() {
      return defined(certificates, 'certificates')
    },
  }
}
