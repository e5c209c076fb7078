import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { bearerToken } from '../../src/auth/bearer-token.ts'

function tokenOf(...fields: [name: string, value: string][]): string | undefined {
  const authorization = fields.find(([name]) => name.toLowerCase() === 'authorization')?.[1]
  return bearerToken({ headers: { authorization }, rawHeaders: fields.flat() } as unknown as IncomingMessage)
}

describe('bearerToken', () => {
  it('bearerToken reads the token after the scheme, in upper or lower case', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEARER '])
      expect(tokenOf(['Host', 'x'], ['Authorization', `${scheme} a.b`])).to.equal('a.b')
  })

  it('bearerToken finds no credentials without the header, and with another scheme', () => {
    expect(tokenOf(['Host', 'x'])).to.equal(undefined)
    for (const value of ['', 'Basic YTpi', 'Bearers a', 'a', 'Bearer:a'])
      expect(tokenOf(['Authorization', value])).to.equal(undefined)
  })

  it('bearerToken finds an empty token after the bare scheme', () => {
    expect(tokenOf(['Authorization', 'Bearer'])).to.equal('')
    expect(tokenOf(['Authorization', 'bearer  '])).to.equal('')
  })

  it('bearerToken accepts none of two headers, also if they are equal', () => {
    expect(tokenOf(['Authorization', 'Bearer a'], ['Host', 'x'], ['AUTHORIZATION', 'Bearer a'])).to.equal('')
    expect(tokenOf(['Authorization', 'Basic a'], ['authorization', 'Bearer a'])).to.equal('')
  })
})
