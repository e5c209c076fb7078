import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'

const SERVICE = join(import.meta.dirname, '..')
/** Messages of warnings and errors, and of conditions that last. */
const MESSAGE = /(?:logger\.(?:warn|error)\(|\bmessage: )'([^']+)'/g

describe('README of the webhooks service', () => {
  it('README of the webhooks service: has each warning and each error that the service logs', () => {
    const folder = join(SERVICE, 'src')
    const logged = readdirSync(folder).flatMap((file) =>
      [...readFileSync(join(folder, file), 'utf8').matchAll(MESSAGE)].map(([, message]) => message),
    )
    expect(logged).to.have.length.above(10)
    const readme = readFileSync(join(SERVICE, 'README.md'), 'utf8')
    expect(logged.filter((message) => !readme.includes(`\`${message}\``))).to.deep.equal([])
  })
})
